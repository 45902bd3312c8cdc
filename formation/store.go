package formation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

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

// VaultError says that secrets.enc could not be opened. Err is a
// *crypto.Error, or a *ContentError where the plaintext is not what it should
// be.
type VaultError struct {
	Path string
	Err  error
}

func (e *VaultError) Error() string { return fmt.Sprintf("cannot open '%s': %v", e.Path, e.Err) }
func (e *VaultError) Unwrap() error { return e.Err }

// Opened is a formation with its key and the content of its vault.
type Opened struct {
	*Formation
	Key   *crypto.Key
	Vault *Vault
	// Sealed says that a secrets.enc is there; without one Vault is empty.
	Sealed bool
}

// String keeps the plaintext out of logs and test failures.
func (o *Opened) String() string { return fmt.Sprintf("'%s' with a %v", o.Dir, o.Vault) }

// GoString keeps it out of %#v.
func (o *Opened) GoString() string { return o.String() }

// limits in bytes, so that a device or a runaway file is refused, not swallowed
const (
	maxKeyFile   = 64 << 10
	maxVaultFile = 256 << 20
)

// ReadKey reads the formation's .key, following a symbolic link. It fails with
// *NoKeyError, *KeyError or *FileError.
func (f *Formation) ReadKey() (*crypto.Key, error) {
	_, key, err := f.ReadKeyFile()
	return key, err
}

// ReadKeyFile is ReadKey with the very bytes of the file: what is wrapped for
// other people is what its owner has.
func (f *Formation) ReadKeyFile() (content []byte, key *crypto.Key, err error) {
	path := f.Path(KeyFile)
	content, err = readRegular(path, maxKeyFile)
	if _, link := os.Lstat(path); errors.Is(err, fs.ErrNotExist) && link != nil && f.SharedKey != "" {
		if shared, sharedErr := readRegular(f.SharedKey, maxKeyFile); sharedErr == nil {
			path, content, err = f.SharedKey, shared, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		missing := &NoKeyError{Dir: f.Dir}
		missing.Link, _ = os.Readlink(path)
		vault, errVault := f.HasVault()
		if errVault != nil {
			return nil, nil, &FileError{"read", f.Path(VaultFile), errVault}
		}
		missing.Vault = vault
		if vault {
			// The first writer puts .key in place and then secrets.enc: both
			// may have come since the look above.
			content, err = readRegular(path, maxKeyFile)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, missing
		}
	}
	if err != nil {
		return nil, nil, &FileError{"read", path, err}
	}
	key, err = crypto.ParseKey(content)
	if err != nil {
		return nil, nil, &KeyError{path, err}
	}
	return content, key, nil
}

// KeyReadableByOthers reports whether group or others may read the .key.
func (f *Formation) KeyReadableByOthers() bool {
	info, err := os.Stat(f.Path(KeyFile))
	return err == nil && ReadableByOthers(info)
}

// ReadSealed returns the bytes of secrets.enc; ok is false where there is none.
func (f *Formation) ReadSealed() (sealed []byte, ok bool, err error) {
	path := f.Path(VaultFile)
	sealed, err = readRegular(path, maxVaultFile)
	if errors.Is(err, fs.ErrNotExist) {
		if link, linkErr := os.Readlink(path); linkErr == nil {
			return nil, false, &FileError{"read", path, fmt.Errorf("it is a link to '%s', which is not there", link)}
		}
		return nil, false, nil
	}
	if err != nil {
		return nil, false, &FileError{"read", path, err}
	}
	return sealed, true, nil
}

// How long Open waits for a writer that is at work: rotation puts several files
// in place, and between two of them key and vault do not belong together.
const (
	openTries = 100
	openPause = 5 * time.Millisecond
)

// Open reads the key and the vault. A formation that has a key and no vault
// yet opens as an empty one.
func (f *Formation) Open() (*Opened, error) {
	var last error
	for try := 0; ; try++ {
		key, err := f.ReadKey()
		if err != nil {
			return nil, err
		}
		o := &Opened{Formation: f, Key: key, Vault: NewVault()}
		sealed, ok, err := f.ReadSealed()
		if err != nil {
			return nil, err
		}
		if !ok {
			return o, nil
		}
		o.Sealed = true
		plaintext, err := key.Open(sealed)
		if err == nil {
			if o.Vault, err = DecodeVault(plaintext); err == nil {
				return o, nil
			}
		}
		last = &VaultError{f.Path(VaultFile), err}
		// A key and a vault read while another process replaces both do not
		// belong together. If it still has one to put in place, its temp file is
		// there; if not, a look after that finds other bytes.
		busy := f.beingWritten()
		again, _, err := f.ReadSealed()
		keyNow, errKey := f.ReadKey()
		same := err == nil && errKey == nil && bytes.Equal(again, sealed) && keyNow.Fingerprint() == key.Fingerprint()
		if same && !busy || try == openTries {
			return nil, last
		}
		if same {
			time.Sleep(openPause)
		}
	}
}

// beingWritten reports whether a temp file lies where the formation's files
// are: a writer is at work, or was killed.
func (f *Formation) beingWritten() bool {
	folders := f.Folders()
	if f.SharedKey != "" {
		folders = append(folders, filepath.Dir(f.SharedKey))
	}
	return slices.ContainsFunc(folders, func(dir string) bool { return len(Leftovers(dir)) > 0 })
}

var (
	errIsFolder   = errors.New("it is a folder")
	errNotRegular = errors.New("it is not a regular file")
)

// readRegular reads a regular file of at most limit bytes, following links.
// Anything else (a folder, a pipe that would block) is an error.
func readRegular(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, errIsFolder
	case !info.Mode().IsRegular():
		return nil, errNotRegular
	case info.Size() > limit:
		return nil, fmt.Errorf("it is longer than %d bytes", limit)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(content)) > limit {
		return nil, fmt.Errorf("it is longer than %d bytes", limit)
	}
	return content, err
}

// Save adds the sealed vault to a batch, mode 0600, if its content differs
// from what was read, and returns the sealed bytes; nil where nothing changes.
func (o *Opened) Save(batch *Batch) ([]byte, error) {
	// A vault that another tool wrote with other spacing or in another order is
	// left as it is until a value in it changes.
	if o.Sealed && !o.Vault.Changed() {
		return nil, nil
	}
	plaintext := o.Vault.Encode()
	sealed, err := o.Key.Seal(plaintext)
	if err != nil {
		return nil, &VaultError{o.Path(VaultFile), err}
	}
	return sealed, batch.Replace(o.Path(VaultFile), sealed, 0o600)
}

// ReadTemplate reads the template; an absent one is empty, with ok false.
func (f *Formation) ReadTemplate() (t *Template, content []byte, ok bool, err error) {
	path := f.Path(TemplateFile)
	content, err = readRegular(path, maxReferenceFile)
	if errors.Is(err, fs.ErrNotExist) {
		return ParseTemplate(nil), nil, false, nil
	}
	if err != nil {
		return nil, nil, false, &FileError{"read", path, err}
	}
	return ParseTemplate(content), content, true, nil
}

// TemplateState is what a template is against what it should be.
type TemplateState string

// The states of a template.
const (
	TemplateCurrent TemplateState = "current"
	TemplateStale   TemplateState = "stale"
	TemplateMissing TemplateState = "missing"
)

// TemplatePlan is the template as it should be.
type TemplatePlan struct {
	State   TemplateState
	Content []byte // nil: the file should not be there
	Added   []string
	Dropped []string
	path    string
}

// PlanTemplate works out the template of the formation on disk.
func (f *Formation) PlanTemplate(survey *Survey, vault *Vault, edit func(*Template)) (*TemplatePlan, error) {
	_, content, there, err := f.ReadTemplate()
	if err != nil {
		return nil, err
	}
	p := PlanTemplate(content, there, survey, vault, edit)
	p.path = f.Path(TemplateFile)
	return p, nil
}

// PlanTemplate works out the template from the names referred to and the names
// stored. vault is nil where the key is not at hand: the names that the
// template already has are then kept, since a stored value may explain them.
// edit, where not nil, may change the template before.
func PlanTemplate(content []byte, there bool, survey *Survey, vault *Vault, edit func(*Template)) *TemplatePlan {
	t := ParseTemplate(content)
	before := t.Names()
	if edit != nil {
		edit(t)
	}
	names := survey.Names()
	if vault != nil {
		for _, name := range vault.Names() {
			if stored := Normalize(name); stored != "" {
				names = append(names, stored)
			}
		}
	} else {
		names = append(names, t.Names()...)
	}
	p := &TemplatePlan{Content: t.With(names)}
	p.Added, p.Dropped = difference(ParseTemplate(p.Content).Names(), before)
	switch {
	case bytes.Equal(p.Content, content) && (there == (p.Content != nil) || len(content) == 0):
		p.State = TemplateCurrent // an absent template is an empty one
	case !there:
		p.State = TemplateMissing
	default:
		p.State = TemplateStale
	}
	return p
}

// Changes lists the names that the plan adds and drops: "+NEW -OLD".
func (p *TemplatePlan) Changes() string {
	var parts []string
	for _, name := range p.Added {
		parts = append(parts, "+"+name)
	}
	for _, name := range p.Dropped {
		parts = append(parts, "-"+name)
	}
	return strings.Join(parts, " ")
}

// difference returns what is in a alone and what is in b alone; both sorted.
func difference(a, b []string) (onlyA, onlyB []string) {
	in := func(names []string) map[string]bool {
		set := map[string]bool{}
		for _, name := range names {
			set[name] = true
		}
		return set
	}
	inA, inB := in(a), in(b)
	for _, name := range a {
		if !inB[name] {
			onlyA = append(onlyA, name)
		}
	}
	for _, name := range b {
		if !inA[name] {
			onlyB = append(onlyB, name)
		}
	}
	return onlyA, onlyB
}

// Apply adds the plan to a batch and reports whether it changes a byte.
func (p *TemplatePlan) Apply(batch *Batch) (bool, error) {
	if p.State == TemplateCurrent {
		return false, nil
	}
	if p.Content == nil {
		batch.Remove(p.path)
		return true, nil
	}
	return true, batch.Replace(p.path, p.Content, ModeOf(p.path, 0o644))
}

// ModeOf returns the permissions a file has, or those it should get when it is
// made.
func ModeOf(path string, fresh fs.FileMode) fs.FileMode {
	if info, err := os.Stat(path); err == nil {
		return info.Mode().Perm()
	}
	return fresh
}

// Folders returns the folders that hold the formation's files and, where some
// are symbolic links, their targets: where a killed command may have left temp
// files.
func (f *Formation) Folders() []string {
	folders := []string{f.Dir}
	for _, name := range [...]string{KeyFile, VaultFile, TemplateFile} {
		if real, err := target(f.Path(name)); err == nil {
			if dir := filepath.Dir(real); dir != f.Dir && dir != folders[len(folders)-1] {
				folders = append(folders, dir)
			}
		}
	}
	return folders
}

// AsideName returns a free name for a secrets.enc that is put aside at a time.
func (f *Formation) AsideName(now time.Time) (string, error) {
	base := VaultFile + ".old-" + now.UTC().Format("20060102-150405")
	name := base
	for n := 2; ; n++ {
		there, err := exists(f.Path(name))
		if err != nil {
			return "", &FileError{"read", f.Path(name), err}
		}
		if !there {
			return name, nil
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}
