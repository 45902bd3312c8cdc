package judge

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// Why a .muxi-secrets.yaml is not read: it comes with whatever is cloned.
var (
	errSettingsFile = &formation.SettingsError{Reason: "it is no regular file"}
	errSettingsLong = &formation.SettingsError{Reason: "it is too long"}
)

// settingsOnDisk reads the settings of a work tree; nil where there are none.
// Errors: *formation.SettingsError, *safefile.Error.
func settingsOnDisk(top string) ([]byte, error) {
	file := filepath.Join(top, formation.SettingsFile)
	info, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, &safefile.Error{Op: "read", Path: file, Err: err}
	case !info.Mode().IsRegular():
		return nil, errSettingsFile
	case info.Size() > formation.MaxSettings:
		return nil, errSettingsLong
	}
	content, err := safefile.Read(file, formation.MaxSettings)
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: file, Err: err}
	}
	return content, nil
}

// settingsOf is settingsOnDisk for what git has.
func settingsOf(b *gitutil.Blob) ([]byte, error) {
	switch {
	case b.Err != nil:
		return nil, &safefile.Error{Op: "read", Path: b.Path, Err: b.Err}
	case b.Mode == gitutil.ModeLink:
		return nil, errSettingsFile
	case b.Size > formation.MaxSettings:
		return nil, errSettingsLong
	}
	return slices.Clone(b.Data), nil
}

// BasisOfChange is the basis for the commits that a change adds to base: the
// formations of both sides, and the settings of base. A change that could bring
// its own would silence the check of itself.
func BasisOfChange(ctx context.Context, repo gitutil.Repository, base string) (*Basis, error) {
	dirs, settings, err := VersionAt(ctx, Tree(repo, base))
	if err != nil {
		return nil, err
	}
	brought, err := FormationsAt(ctx, Tree(repo, "HEAD"))
	if err != nil {
		return nil, err
	}
	dirs = append(dirs, brought...)
	if repo.Layout().Top != "" {
		here, err := formationsOfIndex(ctx, repo)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, here...)
	}
	slices.Sort(dirs)
	return NewBasis(ctx, repo, slices.Compact(dirs), settings)
}
