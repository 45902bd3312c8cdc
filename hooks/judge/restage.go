package judge

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// NoteRestage marks the findings of what is staged that git add mends: the file in
// the work tree has them no more. Whatever changes files there has nothing to do.
func (j *Judge) NoteRestage(found []scan.Finding) error {
	layout := j.Repo.Layout()
	if layout.Top == "" {
		return nil
	}
	basis, err := j.Basis()
	if err != nil {
		return err
	}

	onDisk := map[string][]string{} // fingerprints, by file
	for i := range found {
		f := &found[i]
		if f.Path == "" || f.Where != "" || !restaged(f.Rule) {
			continue
		}
		counting, looked := onDisk[f.Path]
		if !looked {
			file := filepath.Join(layout.Top, filepath.FromSlash(f.Path))
			content, err := safefile.Read(file, scan.MaxHeld)
			if err != nil && !os.IsNotExist(err) && paths.There(file) {
				continue // nobody knows, or it is too long to be held for this
			}
			still, _ := basis.Settle(basis.Scanner.File(f.Path, content, scan.Regular))
			for _, one := range still {
				counting = append(counting, one.Fingerprint)
			}
			onDisk[f.Path] = counting
		}
		if !slices.Contains(counting, f.Fingerprint) {
			f.Remedy = scan.Remedy{Stage: true}
		}
	}
	return nil
}

// restaged reports whether a rule speaks of text that may have left a file.
func restaged(rule scan.Rule) bool {
	return rule == scan.KnownSecret || rule == scan.PlaintextKey || rule == scan.TemplateValue
}
