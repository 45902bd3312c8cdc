package safefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// Replaceable says what would keep a file from being replaced, as far as that can be
// known without a change: its folder takes no files, it is made immutable, or no file
// is there but a folder. Commit may still fail.
func Replaceable(path string) error {
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		there = nil
	} else if err != nil {
		return &Error{"write", path, err}
	}
	if there != nil && there.IsDir() {
		return &Error{"write", path, ErrIsFolder}
	}

	if there != nil && there.Mode().IsRegular() {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil {
			file.Close()
		} else if errors.Is(err, syscall.EPERM) {
			return &Error{OpReplace, path, err} // its mode alone (EACCES) keeps no rename away
		}
	}
	if err := refusesWrites(filepath.Dir(paths.Real(path))); err != nil {
		return &Error{"write", path, err}
	}
	return nil
}
