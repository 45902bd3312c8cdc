package hooks

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Secrets opens every vault whose key is at hand, for the search for their
// values. A vault that does not open is no reason to fail here: it is what
// other rules speak of.
func Secrets(top string, formations []*formation.Formation) *scan.Known {
	var values []scan.NamedValue
	var keys [][]byte
	for _, f := range formations {
		key, err := f.ReadKey()
		if err != nil {
			continue
		}
		keys = append(keys, key.File())
		opened, err := f.Open()
		if err != nil {
			continue
		}
		label := Label(top, f.Dir)
		for _, name := range opened.Vault.Names() {
			if value, _, err := opened.Vault.Get(name); err == nil {
				values = append(values, scan.NamedValue{Formation: label, Name: name, Value: []byte(value)})
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return scan.NewKnown(values, keys...)
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

// Share has a formation of a linked work tree, which has no .key of its own since
// git never brings one along, use that of the main work tree.
func Share(layout gitutil.Layout, f *formation.Formation) *formation.Formation {
	main := layout.MainTop()
	if main == "" {
		return f
	}
	dir := f.Dir
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if rel, err := filepath.Rel(layout.Top, dir); err == nil && filepath.IsLocal(rel) {
		f.SharedKey = filepath.Join(main, rel, formation.KeyFile)
	}
	return f
}

// Formations opens the folders (from the top, with /) that are formations in
// the work tree.
func Formations(layout gitutil.Layout, dirs []string) ([]*formation.Formation, error) {
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
		found = append(found, Share(layout, f))
	}
	slices.SortFunc(found, func(a, b *formation.Formation) int { return cmp.Compare(a.Dir, b.Dir) })
	return found, nil
}

// NewBasis opens what the formations in dirs have: every vault whose key is at
// hand. settings is the content of .muxi-secrets.yaml, nil where there is none.
// Errors: *formation.SettingsError.
func NewBasis(layout gitutil.Layout, dirs []string, settings []byte) (*Basis, error) {
	parsed, err := formation.ParseSettings(settings, func(rule string) bool { return slices.Contains(scan.Rules(), scan.Rule(rule)) })
	if err != nil {
		return nil, err
	}
	formations, err := Formations(layout, dirs)
	if err != nil {
		return nil, err
	}
	folders := map[string]bool{}
	for _, dir := range dirs {
		folders[dir] = true
	}
	return &Basis{dirs, parsed, &scan.Scanner{
		Known:       Secrets(layout.Top, formations),
		IsFormation: func(dir string) bool { return folders[dir] },
	}}, nil
}

// BasisOf is the basis for a version of the repository: its formations, its
// settings, and the keys of the work tree. Where there is no commit yet, a tree
// counts as empty.
func BasisOf(ctx context.Context, repo gitutil.Repository, from Source) (*Basis, error) {
	dirs, settings, err := version(ctx, from)
	if err != nil {
		return nil, err
	}
	return NewBasis(repo.Layout(), dirs, settings)
}

// version reads from a version which folders are formations, and the settings.
func version(ctx context.Context, from Source) (dirs []string, settings []byte, err error) {
	seen := map[string]bool{}
	err = from(ctx, "", gitutil.Visitor{
		Want: func(p string, _ gitutil.Mode) bool {
			if dir := path.Dir(p); formation.IsFormationFile(path.Base(p)) && !seen[dir] {
				seen[dir] = true
				dirs = append(dirs, dir)
			}
			return p == formation.SettingsFile
		},
		Blob: func(b *gitutil.Blob) error {
			settings = append([]byte(nil), b.Data...)
			return nil
		},
	})
	var unborn *gitutil.RevisionError
	if errors.As(err, &unborn) {
		err = nil
	}
	return dirs, settings, err
}

// BasisOfIndex is BasisOf for the index, which a hook asks for before every
// commit: no process is started for it.
func BasisOfIndex(ctx context.Context, repo gitutil.Repository) (*Basis, error) {
	dirs, settings, err := versionOfIndex(ctx, repo)
	if err != nil {
		return nil, err
	}
	return NewBasis(repo.Layout(), dirs, settings)
}

func versionOfIndex(ctx context.Context, repo gitutil.Repository) (dirs []string, settings []byte, err error) {
	seen := map[string]bool{}
	entries, err := repo.ListIndex(ctx, func(p []byte, _ gitutil.Mode) bool {
		base := p[bytes.LastIndexByte(p, '/')+1:]
		if formation.IsFormationFile(string(base)) {
			if dir := path.Dir(string(p)); !seen[dir] {
				seen[dir] = true
				dirs = append(dirs, dir)
			}
			return false
		}
		return string(p) == formation.SettingsFile
	})
	if err != nil || len(entries) == 0 {
		return dirs, nil, err
	}
	err = repo.Contents(ctx, entries, gitutil.Visitor{Blob: func(b *gitutil.Blob) error {
		settings = append([]byte(nil), b.Data...)
		return nil
	}})
	return dirs, settings, err
}

// BasisOnDisk is the basis for the work tree as it is.
func BasisOnDisk(repo gitutil.Repository) (*Basis, error) {
	top := repo.Layout().Top
	var dirs []string
	for _, f := range formation.Below(top) {
		dirs = append(dirs, Label(top, f.Dir))
	}
	file := filepath.Join(top, formation.SettingsFile)
	settings, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &formation.FileError{Op: "read", Path: file, Err: err}
	}
	return NewBasis(repo.Layout(), dirs, settings)
}
