package hooks

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// sayOnce leaves out what an earlier commit was told already: a secret that no file
// refers to is one for as long as its owner likes. What ends is forgotten, and said
// anew when it begins again. dirs are the formations that were looked at.
func (r *Runner) sayOnce(dirs []string, warnings []scan.Finding) []scan.Finding {
	note := filepath.Join(r.Repo.Layout().CommonDir, "muxi-secrets", "said-unused")
	content, _ := safefile.Read(note, 1<<20)
	before := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")

	var now []string
	for _, line := range before {
		file, _, _ := strings.Cut(line, "\t")
		if line != "" && !slices.Contains(dirs, path.Dir(file)) {
			now = append(now, line)
		}
	}
	warnings = slices.DeleteFunc(warnings, func(f scan.Finding) bool {
		if f.Rule != scan.UnusedSecret {
			return false
		}
		line := path.Join(path.Dir(f.Path), formation.VaultFile) + "\t" + f.Secret
		now = append(now, line)
		return slices.Contains(before, line)
	})

	slices.Sort(now)
	if text := strings.Join(append(now, ""), "\n"); text != string(content) {
		r.Files.Put(note, []byte(text), 0o600) // said once more, where that cannot be
	}
	return warnings
}
