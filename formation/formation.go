// Package formation is the domain: a MUXI formation, the secrets it refers
// to, the vault that holds their values and the template that lists their
// names. It knows files and YAML, never git and never a terminal.
package formation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// The files of a formation. These names have their one home here.
const (
	KeyFile        = ".key"            // the key; never committed
	VaultFile      = "secrets.enc"     // the sealed values
	TemplateFile   = "secrets"         // the names, for people
	WrappedKeyFile = ".key.age"        // the key, wrapped for people
	RecipientsFile = ".age-recipients" // the people
)

// formationFiles are the names a formation's main file may have, in the order
// in which the MUXI runtime looks for them.
var formationFiles = [...]string{"formation.afs", "formation.yaml", "formation.yml"}

// IsFormationFile reports whether base (a file's name without its folder)
// makes the folder it lies in a formation.
func IsFormationFile(base string) bool {
	return formationRank(base) < len(formationFiles)
}

// formationRank is the place of a name among those of formation files.
func formationRank(base string) int {
	for i, name := range formationFiles {
		if base == name {
			return i
		}
	}
	return len(formationFiles)
}

// Formation is one folder with a formation file.
type Formation struct {
	Dir  string // absolute
	File string // base name of the formation file
	// Finder finds keys beyond the folder; nil outside of a repository.
	Finder Finder
}

// NotFormationError says that Dir is no formation, and why.
type NotFormationError struct {
	Dir string
	Err error // the file system's reason, or nil: the folder has no formation file
}

func (e *NotFormationError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("cannot open formation '%s': %v", e.Dir, safefile.Cause(e.Err))
	}
	return fmt.Sprintf("'%s' is not a formation: it has no %s", e.Dir, formationFiles[0])
}

func (e *NotFormationError) Unwrap() error { return e.Err }

// At returns the formation in dir, or a *NotFormationError.
func At(dir string) (*Formation, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, &NotFormationError{dir, err}
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, &NotFormationError{dir, err}
	}
	if !info.IsDir() {
		return nil, &NotFormationError{dir, errors.New("it is a file, not a folder")}
	}
	for _, name := range formationFiles {
		if info, err := os.Stat(filepath.Join(abs, name)); err == nil && !info.IsDir() {
			return &Formation{Dir: abs, File: name}, nil
		}
	}
	return nil, &NotFormationError{dir, nil}
}

// Above returns the nearest formation in dir or a folder that holds it, or nil.
func Above(dir string) *Formation {
	for {
		if f, err := At(dir); err == nil {
			return f
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil
		}
		dir = parent
	}
}

// SkipFolder names folders that never hold a formation's own files: git's,
// a code host's (its 'secrets.' are not MUXI's), and installed dependencies.
func SkipFolder(name string) bool {
	switch name {
	case ".git", ".github", ".gitea", ".forgejo", ".hg", ".svn", "node_modules", ".venv", "venv", "__pycache__":
		return true
	}
	return false
}

// maxFolders bounds Below on a folder that is no project at all, such as a
// home folder or '/'.
const maxFolders = 200_000

// Below returns every formation in root and the folders under it, sorted by
// path. Symbolic links are not followed, nor are folders below root entered that
// elsewhere, where not nil, says belong to something else: it is asked of those that
// hold a .git. A folder that cannot be
// read is passed over: a search is no place to fail.
func Below(root string, elsewhere func(dir string) bool) []*Formation {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil
	}
	var found []*Formation
	left := maxFolders
	var look func(dir string)
	look = func(dir string) {
		entries, err := unsorted(dir)
		if left--; err != nil || left < 0 {
			return
		}

		// A name decides whether a folder is worth a closer look: there may be
		// tens of thousands of them.
		named := func(is func(string) bool) bool {
			return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return is(e.Name()) })
		}
		if elsewhere != nil && dir != root && named(func(name string) bool { return strings.EqualFold(name, ".git") }) && elsewhere(dir) {
			return
		}
		if named(IsFormationFile) {
			if f, err := At(dir); err == nil {
				found = append(found, f)
			}
		}

		for _, entry := range entries {
			if entry.IsDir() && !SkipFolder(entry.Name()) {
				look(filepath.Join(dir, entry.Name()))
			}
		}
	}
	look(root)

	slices.SortFunc(found, func(a, b *Formation) int { return strings.Compare(a.Dir, b.Dir) })
	return found
}

// unsorted is os.ReadDir without the sorting.
func unsorted(dir string) ([]fs.DirEntry, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return folder.ReadDir(-1)
}

// Path joins the formation's folder and a name in it.
func (f *Formation) Path(name string) string { return filepath.Join(f.Dir, name) }

// HasVault reports whether the formation has a secrets.enc.
func (f *Formation) HasVault() (bool, error) { return paths.Exists(f.Path(VaultFile)) }

// HasKey reports whether the formation has a .key, if only as a broken link.
func (f *Formation) HasKey() (bool, error) { return paths.Exists(f.Path(KeyFile)) }
