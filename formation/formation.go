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
	"sort"
	"strings"
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
	for _, name := range formationFiles {
		if base == name {
			return true
		}
	}
	return false
}

// Formation is one folder with a formation file.
type Formation struct {
	Dir  string // absolute
	File string // base name of the formation file
	// SharedKey is the path of a .key that is used where the folder has none: a
	// linked work tree uses that of the main one. "" for none.
	SharedKey string
}

// NotFormationError says that Dir is no formation, and why.
type NotFormationError struct {
	Dir string
	Err error // the file system's reason, or nil: the folder has no formation file
}

func (e *NotFormationError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("cannot open formation '%s': %v", e.Dir, plainCause(e.Err))
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

// skipFolder names folders that never hold a formation's own files: git's,
// a code host's (its 'secrets.' are not MUXI's), and installed dependencies.
func skipFolder(name string) bool {
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
// path. Symbolic links are not followed. A folder that cannot be read is
// passed over: a search is no place to fail.
func Below(root string) []*Formation {
	var found []*Formation
	seen := 0
	filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if entry != nil && entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.IsDir() {
			return nil
		}
		if seen++; seen > maxFolders {
			return fs.SkipAll
		}
		if path != root && skipFolder(entry.Name()) {
			return fs.SkipDir
		}
		if f, err := At(path); err == nil {
			found = append(found, f)
		}
		return nil
	})
	sort.Slice(found, func(i, j int) bool { return found[i].Dir < found[j].Dir })
	return found
}

// Path joins the formation's folder and a name in it.
func (f *Formation) Path(name string) string { return filepath.Join(f.Dir, name) }

// exists tells a file that is there (even as a broken link) from one that is
// not; any other failure is an error, so that "cannot look" is never "absent".
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if err == nil {
		return true, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, err
}

// HasVault reports whether the formation has a secrets.enc.
func (f *Formation) HasVault() (bool, error) { return exists(f.Path(VaultFile)) }

// HasKey reports whether the formation has a .key, if only as a broken link.
func (f *Formation) HasKey() (bool, error) { return exists(f.Path(KeyFile)) }

// plainCause strips the operation and path from an *fs.PathError or
// *os.LinkError: our messages name the file themselves, in the user's terms.
func plainCause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err.Error()
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err.Error()
	}
	return strings.TrimSpace(err.Error())
}
