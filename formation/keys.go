package formation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// maxKeyFile bounds a .key in bytes, so that a device or a runaway file is
// refused, not swallowed.
const maxKeyFile = 64 << 10

// Place says where a key was found.
type Place int

// The places that a formation's key is looked for in, in this order but for the
// last two: those are told apart by what opens the vault, which one key alone does.
const (
	InFolder   Place = iota // .key of the formation, or what ReadKeyFile takes for it
	InWorkTree              // .key of its folder in another work tree
	LeftBehind              // .key of a folder that the formation had before
	Kept                    // the copy in the git dir
)

// FoundKey is a key, and the file that holds it.
type FoundKey struct {
	Key     *crypto.Key
	Content []byte // the very bytes of the file: what is handed on is what its owner has
	Path    string // absolute
	Place   Place
}

// String keeps the key out of logs and test failures.
func (k *FoundKey) String() string { return fmt.Sprintf("%v in '%s'", k.Key, k.Path) }

// GoString keeps it out of %#v.
func (k *FoundKey) GoString() string { return k.String() }

// Finder knows of a formation's keys what no look into its folder tells: git's
// part, in package hooks/history. It finds; what is read, and in which order, is
// decided here.
type Finder interface {
	// Tracked reports whether git tracks the file at a path.
	Tracked(path string) (bool, error)
	// WorkTrees are the folders that the formation in dir has in the repository's
	// other work trees, the main one first.
	WorkTrees(dir string) []string
	// StandIns are those of them whose .key counts as that of a dir which has none:
	// for one in a linked work tree that in the main one, or where the repository has
	// no main one those in all; for one in the main one none.
	StandIns(dir string) []string
	// Earlier are the folders that it had before by HEAD's history, in any work
	// tree, the latest first.
	Earlier(dir string) []string
	// Kept are the keys of the keyring.
	Kept() []*FoundKey
	// Keyring is where the repository keeps copies of keys.
	Keyring() Keyring
	// Arrived says which commit brought a key that lies in the place of the one that
	// the formation had; nil where none did.
	Arrived(found *FoundKey) (*Arrival, error)
	// Retired says when HEAD's own history left a key behind; nil where it did not.
	Retired(dir string, key *crypto.Key) (*Retirement, error)
}

// Retirement is the commit of HEAD's history that first sealed a formation's vault
// with a key that came after another, and the newest one that did.
type Retirement struct {
	Commit, Newest string // in hex
	Date           time.Time
	Author         string
}

// Arrival is a .key of a commit, which git laid over the formation's own.
type Arrival struct {
	Commit string // in hex
	Path   string // of the .key in it, from the top, with /
	Pinned crypto.PublicKey
}

// NoKeyError says that a formation has no .key.
type NoKeyError struct {
	Dir   string
	Link  string // what a broken symbolic link points to, or ""
	Vault bool   // a secrets.enc is there, which only the lost key opens
}

func (e *NoKeyError) Error() string {
	if e.Link != "" {
		return fmt.Sprintf("no %s in '%s': it is a link to '%s', which is not there", KeyFile, e.Dir, e.Link)
	}
	return fmt.Sprintf("no %s in '%s'", KeyFile, e.Dir)
}

// KeyError says that the .key of a formation is no key. Err is a
// *crypto.Error.
type KeyError struct {
	Path string
	Err  error
}

func (e *KeyError) Error() string { return fmt.Sprintf("cannot use '%s': %v", e.Path, e.Err) }
func (e *KeyError) Unwrap() error { return e.Err }

// TrackedKeyError says that git tracks the .key of a formation, or a link on the
// way to it. It is not read: whoever wrote the commit chose what is in it.
type TrackedKeyError struct {
	Dir  string // of the formation
	Path string // of the key or link
}

func (e *TrackedKeyError) Error() string { return fmt.Sprintf("git tracks '%s'", e.Path) }

// ArrivedKeyError says that git laid the .key over the one that the formation had.
// It is not read, tracked or not any more: whoever wrote the commit chose it.
type ArrivedKeyError struct {
	Dir   string // of the formation
	Found *FoundKey
	*Arrival
}

func (e *ArrivedKeyError) Error() string {
	return fmt.Sprintf("'%s' came with commit %.10s", e.Found.Path, e.Commit)
}

// errSpelling is of a file that is .key only where letters have no case.
var errSpelling = errors.New("its name is not spelled like that")

// ElsewhereError says that .key does not open the vault, and that a key from
// another place does. Nothing is sealed with that one before it is the .key.
type ElsewhereError struct {
	Opened *Opened
	Err    error // why .key does not: *NoKeyError or *VaultError
}

func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("%v; the key is in '%s'", e.Err, e.Opened.Found.Path)
}
func (e *ElsewhereError) Unwrap() error { return e.Err }

// RetiredKeyError says that the one key at hand that opens the vault was retired:
// HEAD's own history has a later one.
type RetiredKeyError struct {
	Dir     string
	Found   *FoundKey
	Retired *Retirement
	Err     error // why .key does not open it: *NoKeyError or *VaultError
}

func (e *RetiredKeyError) Error() string {
	return fmt.Sprintf("the key that opens the vault of '%s' was retired in %.10s", e.Dir, e.Retired.Commit)
}
func (e *RetiredKeyError) Unwrap() error { return e.Err }

// ReadKey is ReadKeyFile for the key alone.
func (f *Formation) ReadKey() (*crypto.Key, error) {
	found, err := f.ReadKeyFile()
	if err != nil {
		return nil, err
	}
	return found.Key, nil
}

// ReadKeyFile reads the formation's .key, following a symbolic link. In a linked work
// tree that has none, that of the same folder in the main one counts, since git brings
// no .key along; without a main one, and while there is no vault yet, that of any. It
// fails with
// *NoKeyError, *KeyError, *TrackedKeyError, *ArrivedKeyError, *safefile.Error, or with
// what git says.
func (f *Formation) ReadKeyFile() (*FoundKey, error) {
	path := f.Path(KeyFile)
	if err := f.untracked(path); err != nil {
		return nil, err
	}

	found, err := f.readOwn(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}

	missing := &NoKeyError{Dir: f.Dir}
	if missing.Vault, err = f.HasVault(); err != nil {
		return nil, &safefile.Error{Op: "read", Path: f.Path(VaultFile), Err: err}
	}
	if missing.Link, _ = os.Readlink(path); missing.Link == "" && f.Finder != nil {
		dirs := f.Finder.WorkTrees(f.Dir)
		if missing.Vault {
			dirs = f.Finder.StandIns(f.Dir)
		}
		for _, dir := range dirs {
			if found := f.readElsewhere(dir, InFolder); found != nil {
				return found, nil
			}
		}
	}

	if missing.Vault {
		// The first writer puts .key in place and then secrets.enc: both may have
		// come since the look above.
		if found, err := f.readOwn(path); !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
	}

	return nil, missing
}

func (f *Formation) workTrees() []string {
	if f.Finder == nil {
		return nil
	}
	return f.Finder.WorkTrees(f.Dir)
}

// readOwn reads the key of a folder in a work tree, but for one that git laid there.
func (f *Formation) readOwn(path string) (*FoundKey, error) {
	found, err := readKeyAt(path)
	if err != nil || f.Finder == nil {
		return found, err
	}
	if !spelled(path) {
		return nil, &KeyError{path, errSpelling}
	}

	arrival, err := f.Finder.Arrived(found)
	if err != nil {
		return nil, err
	}
	if arrival != nil {
		return nil, &ArrivedKeyError{f.Dir, found, arrival}
	}
	return found, nil
}

// spelled reports whether a file's entry in its folder reads exactly as the path
// says: where letters have no case, a .KEY that git checked out answers to .key, too.
func spelled(path string) bool {
	dir, name := filepath.Split(path)
	own, err := os.Lstat(path)
	if err != nil {
		return true
	}
	other, err := os.Lstat(filepath.Join(dir, strings.ToUpper(name)))
	if err != nil || !os.SameFile(own, other) {
		return true // letters have a case here
	}

	entries, err := os.ReadDir(dir)
	return err != nil || slices.ContainsFunc(entries, func(entry fs.DirEntry) bool { return entry.Name() == name })
}

// readKeyAt reads a key. It fails with *KeyError or *safefile.Error.
func readKeyAt(path string) (*FoundKey, error) {
	content, err := safefile.Read(path, maxKeyFile)
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: path, Err: err}
	}
	key, err := crypto.ParseKey(content)
	if err != nil {
		return nil, &KeyError{path, err}
	}
	return &FoundKey{Key: key, Content: content, Path: path}, nil
}

// readElsewhere reads the .key of another folder; nil where it is none to be used.
func (f *Formation) readElsewhere(dir string, place Place) *FoundKey {
	path := filepath.Join(dir, KeyFile)
	found, err := f.readOwn(path)
	if err != nil || f.untracked(path) != nil {
		return nil
	}
	found.Place = place
	return found
}

// mostLinks bounds a chain of symbolic links, as the kernel does.
const mostLinks = 40

// untracked fails with *TrackedKeyError where git tracks the file at path, or a
// symbolic link that it is, or that such a link leads to.
func (f *Formation) untracked(path string) error {
	for n := 0; f.Finder != nil && n < mostLinks; n++ {
		tracked, err := f.Finder.Tracked(path)
		if err != nil {
			return err
		}
		if tracked {
			return &TrackedKeyError{f.Dir, path}
		}
		to, err := os.Readlink(path)
		if err != nil {
			break // the file itself, or nothing
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(paths.Real(filepath.Dir(path)), to)
		}
		path = to
	}
	return nil
}

// elsewhere opens a vault that .key does not open, with a key from another place.
// because is why .key does not: where nothing else does, it is the error, too.
func (f *Formation) elsewhere(sealed []byte, because error) (*Opened, error) {
	vault := (*VaultError)(nil)
	if f.Finder == nil || errors.As(because, &vault) && crypto.ReasonOf(because) != crypto.WrongKey {
		return nil, because
	}
	found, opened, err := f.findKey(sealed)
	if err != nil {
		return nil, &VaultError{f.Path(VaultFile), err}
	}
	if found == nil {
		return nil, because
	}

	retired, err := f.Finder.Retired(f.Dir, found.Key)
	if err != nil {
		return nil, err
	}
	if retired != nil {
		return nil, &RetiredKeyError{f.Dir, found, retired, because}
	}
	o := &Opened{Formation: f, Key: found.Key, Found: found, Vault: opened, Sealed: true}
	return nil, &ElsewhereError{o, because}
}

// OpenElsewhere opens the vault with a key from another place whatever .key is:
// one that is none, say. Where there is no such key, the error is because.
func (f *Formation) OpenElsewhere(because error) (*Opened, error) {
	sealed, there, err := f.ReadSealed()
	if err != nil || !there {
		return nil, because
	}
	return reading(f.elsewhere(sealed, because))
}

// findKey finds the key that opens a vault in the places beside .key; nil where
// there is none. Git is asked only for what a rename left behind.
func (f *Formation) findKey(sealed []byte) (*FoundKey, *Vault, error) {
	opens := func(found *FoundKey) (*Vault, bool, error) {
		plaintext, err := found.Key.Open(sealed)
		if err != nil {
			return nil, false, nil
		}
		vault, err := DecodeVault(plaintext)
		return vault, true, err
	}

	for _, place := range []func() []*FoundKey{f.InWorkTrees, f.Finder.Kept, f.LeftBehind} {
		for _, found := range place() {
			if vault, ok, err := opens(found); ok {
				return found, vault, err
			}
		}
	}

	return nil, nil, nil
}

// InWorkTrees reads the keys that lie in the formation's folder in other work trees.
func (f *Formation) InWorkTrees() (keys []*FoundKey) {
	for _, dir := range f.workTrees() {
		if found := f.readElsewhere(dir, InWorkTree); found != nil {
			keys = append(keys, found)
		}
	}
	return keys
}

// LeftBehind reads the keys that lie in the folders which the formation had
// before: git takes no ignored file along when a pull renames a folder.
func (f *Formation) LeftBehind() []*FoundKey {
	if f.Finder == nil {
		return nil
	}
	var keys []*FoundKey
	for _, dir := range f.Finder.Earlier(f.Dir) {
		if found := f.readElsewhere(dir, LeftBehind); found != nil {
			keys = append(keys, found)
		}
	}
	return keys
}

// KeepKey has a batch add a key that is, or comes to be, the formation's .key to
// the repository's keyring; outside of a repository there is none.
func (f *Formation) KeepKey(batch *safefile.Batch, key *crypto.Key, content []byte) error {
	if f.Finder == nil {
		return nil
	}
	return f.Finder.Keyring().Add(batch, key, content)
}

// errNoKeys is what OpenSealed says when it was given none.
var errNoKeys = errors.New("no key to try")

// OpenSealed opens the bytes of a secrets.enc with the first of the keys that
// fits, and returns that key. Nil keys are passed over. Where none fits, the
// error is that of the first, a *crypto.Error; where one fits and what it opens
// is no vault, a *ContentError.
func OpenSealed(sealed []byte, keys ...*crypto.Key) (*Vault, *crypto.Key, error) {
	var first error
	for _, key := range keys {
		if key == nil {
			continue
		}
		plaintext, err := key.Open(sealed)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}

		vault, err := DecodeVault(plaintext)
		if err != nil {
			return nil, nil, err
		}
		return vault, key, nil
	}

	if first == nil {
		first = &crypto.Error{Reason: crypto.WrongKey, Detail: errNoKeys.Error(), Err: errNoKeys}
	}
	return nil, nil, first
}
