package formation

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Copies are the files of this clone that hold a key which the formation has or
// had, its own .key last: that of its folder in other work trees, what a renamed
// folder left behind, and the kept ones that ours takes for its. A .key that is
// there counts, whatever is in it; a link is a copy, what it leads to is none.
// Errors: those of ours, and of looking at its own.
func (f *Formation) Copies(ours func(*FoundKey) (bool, error)) ([]string, error) {
	var files []string
	for _, dir := range f.workTrees() {
		if file := filepath.Join(dir, KeyFile); f.untracked(file) == nil {
			files = appendFile(files, file)
		}
	}

	for _, found := range f.LeftBehind() {
		files = appendFile(files, found.Path)
	}

	if f.Finder != nil {
		for _, found := range f.Finder.Keyring().files() {
			mine, err := ours(found)
			if err != nil {
				return nil, err
			}
			if mine {
				files = append(files, found.Path)
			}
		}
	}

	own := f.Path(KeyFile)
	if err := f.untracked(own); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(own); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return appendFile(files, own), nil
}

// appendFile adds a file that is there.
func appendFile(files []string, file string) []string {
	if _, err := os.Lstat(file); err != nil {
		return files
	}
	return append(files, file)
}
