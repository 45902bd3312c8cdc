package judge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"path"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// know opens every vault of these formations whose key is at hand, for the search
// for their values. A vault that does not open is no reason to fail here: it is
// what other rules speak of.
func (b *Basis) know(top string, formations []*formation.Formation) {
	for _, f := range formations {
		label := Label(top, paths.Real(f.Dir))
		if b.seen[label] {
			continue
		}
		b.seen[label] = true
		opened, err := f.Open()
		if err != nil {
			if key, err := f.ReadKey(); err == nil {
				b.keys = append(b.keys, key.File())
			}
			if there, err := f.HasVault(); err != nil || there {
				b.Locked = append(b.Locked, label)
			}
			continue
		}

		b.Opened = append(b.Opened, opened)
		b.take(label, opened.Vault, opened.Key)
	}
	b.search()
}

// take has the values of a vault, and its key, among what is looked for.
func (b *Basis) take(label string, vault *formation.Vault, key *crypto.Key) {
	b.keys = append(b.keys, key.File())
	for _, name := range vault.Names() {
		if value, _, err := vault.Get(name); err == nil {
			b.values = append(b.values, scan.NamedValue{Formation: label, Name: name, Value: []byte(value)})
		}
	}
}

func (b *Basis) search() {
	if len(b.keys) > 0 {
		b.Scanner.Known = scan.NewKnown(b.values, b.keys...)
	}
}

// knowAbsent is know for formations that are not on disk, as outside of a sparse
// checkout: their vaults are those of the index.
func (b *Basis) knowAbsent(ctx context.Context, repo gitutil.Repository, keys *history.Keys, dirs []string) error {
	top := repo.Layout().Top
	vaults := map[string]string{} // the label of each, by its path
	for _, dir := range dirs {
		if top != "" && !b.seen[dir] {
			vaults[path.Join(dir, formation.VaultFile)] = dir
		}
	}
	if len(vaults) == 0 {
		return nil
	}
	err := gitutil.IndexBlobs(ctx, repo, "", gitutil.Visitor{
		MaxBlob: safefile.MaxSize,
		Want:    func(p string, _ gitutil.Mode) bool { return vaults[p] != "" },
		Blob: func(blob *gitutil.Blob) error {
			label := vaults[blob.Path]
			if b.seen[label] {
				return nil // another side of a merge
			}
			b.seen[label] = true
			if vault, key, err := keys.Open(blob.Path, blob.Data, nil); err == nil {
				b.take(label, vault, key)
			} else {
				b.Locked = append(b.Locked, label)
			}
			return nil
		},
	})
	b.search()
	return err
}

// Also looks for these values as well, which no vault has yet.
func (b *Basis) Also(values []scan.NamedValue) {
	b.values = append(b.values, values...)
	b.Scanner.Known = scan.NewKnown(b.values, b.keys...)
}

// Everywhere has the values of every formation in the work tree known, of those too
// that git does not know. A hook cannot wait for the search.
func (b *Basis) Everywhere(ctx context.Context, repo gitutil.Repository) error {
	layout := repo.Layout()
	if layout.Top == "" {
		return nil
	}
	keys := history.NewKeys(ctx, repo, "")
	defer keys.Close()
	found := formation.Below(layout.Top, layout.Elsewhere)
	for _, f := range found {
		keys.Of(f)
	}
	b.know(layout.Top, found)
	return nil
}

// Label is a folder's path from the top of the repository, with /; "." is the
// top itself.
func Label(top, dir string) string {
	rel, err := filepath.Rel(top, dir)
	if err != nil {
		return filepath.ToSlash(dir)
	}
	return filepath.ToSlash(rel)
}

// Formations opens the folders (from the top, with /) that are formations in
// the work tree. Their keys are found by keys.
func Formations(layout gitutil.Layout, keys *history.Keys, dirs []string) ([]*formation.Formation, error) {
	top := layout.Top
	if top == "" {
		return nil, nil
	}
	var found []*formation.Formation
	for _, dir := range dirs {
		f, err := formation.At(filepath.Join(top, filepath.FromSlash(dir)))
		var not *formation.NotFormationError
		if errors.As(err, &not) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, keys.Of(f))
	}
	slices.SortFunc(found, func(a, b *formation.Formation) int { return cmp.Compare(a.Dir, b.Dir) })
	return found, nil
}

// NewBasis opens every vault of the work tree whose key is at hand: those of the
// formations in dirs, of the index, and of submodules. settings is the content of
// .muxi-secrets.yaml, nil where there is none.
// Errors: *formation.SettingsError.
func NewBasis(ctx context.Context, repo gitutil.Repository, dirs []string, settings []byte) (*Basis, error) {
	basis, err := newBasis(dirs, settings)
	if err != nil {
		return nil, err
	}
	keys := history.NewKeys(ctx, repo, "")
	defer keys.Close()
	formations, err := Formations(repo.Layout(), keys, dirs)
	if err != nil {
		return nil, err
	}
	others, err := keys.Formations()
	if err != nil {
		return nil, err
	}

	basis.know(repo.Layout().Top, append(formations, others...))
	folders, err := keys.Folders()
	if err != nil {
		return nil, err
	}
	return basis, basis.knowAbsent(ctx, repo, keys, folders)
}

// newBasis is a basis that knows no values yet.
func newBasis(dirs []string, settings []byte) (*Basis, error) {
	parsed, err := formation.ParseSettings(settings, func(rule string) bool { return slices.Contains(scan.Rules(), scan.Rule(rule)) })
	if err != nil {
		return nil, err
	}
	folders := map[string]bool{}
	for _, dir := range dirs {
		folders[dir] = true
	}
	return &Basis{Dirs: dirs, Settings: parsed, seen: map[string]bool{}, Scanner: &scan.Scanner{
		IsFormation: func(dir string) bool { return folders[dir] }, Formats: parsed.Formats,
	}}, nil
}

// BasisOfOne is the basis for a text that belongs to no file: the values of one
// formation, nil for none, and in a repository its settings. top is its work tree,
// or else the formation's folder.
func BasisOfOne(top string, inRepository bool, f *formation.Formation) (*Basis, error) {
	var settings []byte
	if inRepository && top != "" {
		var err error
		if settings, err = settingsOnDisk(top); err != nil {
			return nil, err
		}
	}
	basis, err := newBasis(nil, settings)
	if err == nil && f != nil {
		basis.know(top, []*formation.Formation{f})
	}
	return basis, err
}

// Text judges a text that belongs to no file, as it comes.
func (b *Basis) Text(r io.Reader) (*Report, error) {
	found, unread, size, err := b.Scanner.Stream(r)
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: string(scan.InText), Err: err}
	}
	report := &Report{}
	if size > 0 {
		report.Files = 1
	}
	for _, part := range unread {
		report.Skipped = append(report.Skipped, Skipped{part.Path, part.Reason})
	}
	report.Findings, report.Silenced = b.Settle(found)
	return report, nil
}

// BasisOf is the basis for a version of the repository: its formations, its
// settings, and the keys of the work tree. Where there is no commit yet, a tree
// counts as empty.
func BasisOf(ctx context.Context, repo gitutil.Repository, from Source) (*Basis, error) {
	dirs, settings, err := VersionAt(ctx, from)
	if err != nil {
		return nil, err
	}
	return NewBasis(ctx, repo, dirs, settings)
}

// VersionAt reads from a version which folders are formations, and the settings.
func VersionAt(ctx context.Context, from Source) (dirs []string, settings []byte, err error) {
	dirs, err = versionAt(ctx, from, func(b *gitutil.Blob) error {
		settings, err = settingsOf(b)
		return err
	})
	return dirs, settings, err
}

// FormationsAt reads from a version which folders are formations.
func FormationsAt(ctx context.Context, from Source) ([]string, error) {
	return versionAt(ctx, from, nil)
}

// versionAt has settings, if not nil, read the version's settings.
func versionAt(ctx context.Context, from Source, settings func(*gitutil.Blob) error) (dirs []string, err error) {
	seen := map[string]bool{}
	err = from(ctx, "", gitutil.Visitor{
		MaxBlob: formation.MaxSettings + 1,
		Want: func(p string, _ gitutil.Mode) bool {
			if dir := path.Dir(p); formation.IsFormationFile(path.Base(p)) && !seen[dir] {
				seen[dir] = true
				dirs = append(dirs, dir)
			}
			return settings != nil && p == formation.SettingsFile
		},
		Blob: func(b *gitutil.Blob) error { return settings(b) },
	})
	if gitutil.IsUnborn(err) {
		err = nil
	}
	return dirs, err
}

// BasisOfIndex is BasisOf for the index, which a hook asks for before every
// commit: no process is started for it.
func BasisOfIndex(ctx context.Context, repo gitutil.Repository) (*Basis, error) {
	dirs, settings, err := VersionOfIndex(ctx, repo)
	if err != nil {
		return nil, err
	}
	return NewBasis(ctx, repo, dirs, settings)
}

// VersionOfIndex reads from the index which folders are formations, and the
// settings. A vault counts beside a formation file that only lies on disk, too: the
// commit that first has the vault is the one to judge.
func VersionOfIndex(ctx context.Context, repo gitutil.Repository) (dirs []string, settings []byte, err error) {
	dirs, entries, err := versionOfIndex(ctx, repo)
	if err != nil || len(entries) == 0 {
		return dirs, nil, err
	}
	err = repo.Contents(ctx, entries, gitutil.Visitor{MaxBlob: formation.MaxSettings + 1, Blob: func(b *gitutil.Blob) error {
		settings, err = settingsOf(b)
		return err
	}})
	return dirs, settings, err
}

// formationsOfIndex is VersionOfIndex without the settings.
func formationsOfIndex(ctx context.Context, repo gitutil.Repository) ([]string, error) {
	dirs, _, err := versionOfIndex(ctx, repo)
	return dirs, err
}

func versionOfIndex(ctx context.Context, repo gitutil.Repository) (dirs []string, settings []gitutil.IndexEntry, err error) {
	seen := map[string]bool{}
	var vaults []string // their folders
	settings, err = repo.ListIndex(ctx, func(p []byte, _ gitutil.Mode) bool {
		base := p[bytes.LastIndexByte(p, '/')+1:]
		if formation.IsFormationFile(string(base)) {
			if dir := path.Dir(string(p)); !seen[dir] {
				seen[dir] = true
				dirs = append(dirs, dir)
			}
			return false
		}
		if string(base) == formation.VaultFile {
			vaults = append(vaults, path.Dir(string(p)))
		}
		return string(p) == formation.SettingsFile
	})
	for _, dir := range vaults {
		if seen[dir] || repo.Layout().Top == "" {
			continue
		}
		seen[dir] = true // a conflict has several sides
		if _, err := formation.At(filepath.Join(repo.Layout().Top, filepath.FromSlash(dir))); err == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs, settings, err
}

// BasisOnDisk is the basis for the work tree as it is.
func BasisOnDisk(ctx context.Context, repo gitutil.Repository) (*Basis, error) {
	layout := repo.Layout()
	top := layout.Top
	var dirs []string
	for _, f := range formation.Below(top, layout.Elsewhere) {
		dirs = append(dirs, Label(top, f.Dir))
	}
	settings, err := settingsOnDisk(top)
	if err != nil {
		return nil, err
	}
	return NewBasis(ctx, repo, dirs, settings)
}
