package formation

import (
	"bytes"
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

// VaultError says that secrets.enc could not be opened. Err is a
// *crypto.Error, or a *ContentError where the plaintext is not what it should
// be.
type VaultError struct {
	Path string
	Err  error
}

func (e *VaultError) Error() string { return fmt.Sprintf("cannot open '%s': %v", e.Path, e.Err) }
func (e *VaultError) Unwrap() error { return e.Err }

// BesideError says that a secrets.enc holds text that is not sealed: readers pass it
// over, and it would be gone with the next vault.
type BesideError struct {
	Path string
	Line int
}

func (e *BesideError) Error() string {
	return fmt.Sprintf("line %d of '%s' stands beside what is sealed", e.Line, e.Path)
}

// Opened is a formation with its key and the content of its vault.
type Opened struct {
	*Formation
	Key *crypto.Key
	// Found is where Key was found; nil for one that is new.
	Found *FoundKey
	Vault *Vault
	// Sealed says that a secrets.enc is there; without one Vault is empty.
	Sealed bool
	beside int // the line of secrets.enc that is not sealed; 0 for none
}

// String keeps the plaintext out of logs and test failures.
func (o *Opened) String() string { return fmt.Sprintf("'%s' with a %v", o.Dir, o.Vault) }

// GoString keeps it out of %#v.
func (o *Opened) GoString() string { return o.String() }

// maxVaultFile bounds a secrets.enc in bytes.
const maxVaultFile = safefile.MaxSize

// KeyReadableByOthers reports whether group or others may read the .key.
func (f *Formation) KeyReadableByOthers() bool {
	info, err := os.Stat(f.Path(KeyFile))
	return err == nil && info.Mode().IsRegular() && safefile.ReadableByOthers(info)
}

// ReadSealed returns the bytes of secrets.enc; ok is false where there is none.
func (f *Formation) ReadSealed() (sealed []byte, ok bool, err error) {
	path := f.Path(VaultFile)
	sealed, err = safefile.Read(path, maxVaultFile)
	if errors.Is(err, fs.ErrNotExist) {
		if link, linkErr := os.Readlink(path); linkErr == nil {
			return nil, false, &safefile.Error{Op: "read", Path: path, Err: fmt.Errorf("it is a link to '%s', which is not there", link)}
		}
		return nil, false, nil
	}
	if err != nil {
		return nil, false, &safefile.Error{Op: "read", Path: path, Err: err}
	}
	return sealed, true, nil
}

// How long Open waits for a writer that is at work: rotation puts several files
// in place, and between two of them key and vault do not belong together.
const (
	openTries = 100
	openPause = 5 * time.Millisecond
)

// Open opens the formation to read it, with whatever key at hand opens the vault:
// .key, or one from the places that Place names. One that has a key and no vault
// yet opens as an empty one. It fails with *NoKeyError, *KeyError,
// *TrackedKeyError, *ArrivedKeyError, *RetiredKeyError, *GoneError, *VaultError or
// *safefile.Error.
func (f *Formation) Open() (*Opened, error) {
	return reading(f.OpenToWrite())
}

// reading takes a key from another place, too.
func reading(o *Opened, err error) (*Opened, error) {
	if elsewhere := (*ElsewhereError)(nil); errors.As(err, &elsewhere) {
		return elsewhere.Opened, nil
	}
	return o, err
}

// OpenToWrite is Open with .key alone, which is what a vault is sealed with. Where
// a key from another place opens it, the error is an *ElsewhereError.
func (f *Formation) OpenToWrite() (*Opened, error) {
	for try := 0; ; try++ {
		found, err := f.ReadKeyFile()
		if err != nil {
			return f.openWithout(err)
		}
		sealed, there, err := f.ReadSealed()
		if err == nil && !there {
			err = f.gone()
		}
		if err != nil {
			return nil, err
		}
		o, err := f.openWith(found, sealed, there)
		if err == nil {
			return o, nil
		}

		// A key and a vault read while another process replaces both do not
		// belong together. If it still has one to put in place, its temp file is
		// there; if not, a look after that finds other bytes.
		busy := f.beingWritten(found)
		again, _, errAgain := f.ReadSealed()
		keyNow, errKey := f.ReadKey()
		same := errAgain == nil && errKey == nil && bytes.Equal(again, sealed) && keyNow.Equal(found.Key)
		if same && !busy || try == openTries {
			return f.elsewhere(sealed, err)
		}
		if same {
			time.Sleep(openPause)
		}
	}
}

// GoneError says that there is no secrets.enc although git tracks it and the .key is
// here. It does not count as an empty one: who goes on with that leaves the rest
// behind. Where the .key was taken away, too, somebody begins anew.
type GoneError struct{ Path string }

func (e *GoneError) Error() string { return fmt.Sprintf("'%s' is gone, and git tracks it", e.Path) }

// gone fails with *GoneError where git has the secrets.enc that is not there.
func (f *Formation) gone() error {
	if f.Finder == nil {
		return nil
	}
	path := f.Path(VaultFile)
	tracked, err := f.Finder.Tracked(path)
	if err == nil && tracked {
		return &GoneError{path}
	}
	return err
}

// openWithout goes on where there is no .key: because says why.
func (f *Formation) openWithout(because error) (*Opened, error) {
	var missing *NoKeyError
	if !errors.As(because, &missing) || !missing.Vault || missing.Link != "" {
		return nil, because
	}
	sealed, there, err := f.ReadSealed()
	if err != nil || !there {
		return nil, because
	}
	return f.elsewhere(sealed, because)
}

// OpenVersion is Open for what the index or a commit has as the formation's vault;
// there is false where it has none.
func (f *Formation) OpenVersion(sealed []byte, there bool) (*Opened, error) {
	return reading(f.openVersion(sealed, there))
}

// openVersion is OpenToWrite for a version.
func (f *Formation) openVersion(sealed []byte, there bool) (*Opened, error) {
	found, err := f.ReadKeyFile()
	if missing := (*NoKeyError)(nil); errors.As(err, &missing) && missing.Link == "" && there {
		missing.Vault = true
		return f.elsewhere(sealed, err)
	}
	if err != nil {
		return nil, err
	}
	o, err := f.openWith(found, sealed, there)
	if err == nil {
		return o, nil
	}
	return f.elsewhere(sealed, err)
}

// openWith opens a vault with a key. It fails with *VaultError.
func (f *Formation) openWith(found *FoundKey, sealed []byte, there bool) (*Opened, error) {
	o := &Opened{Formation: f, Key: found.Key, Found: found, Vault: NewVault(), Sealed: there}
	if !there {
		return o, nil
	}
	vault, _, err := OpenSealed(sealed, found.Key)
	if err != nil {
		return nil, &VaultError{f.Path(VaultFile), err}
	}
	o.Vault = vault
	if at := crypto.Beside(sealed); at >= 0 {
		o.beside = 1 + bytes.Count(sealed[:at], []byte("\n"))
	}
	return o, nil
}

// Replaceable fails with *BesideError where another vault in the place of this one
// would drop more than what is sealed in it.
func (o *Opened) Replaceable() error {
	if o.beside > 0 {
		return &BesideError{o.Path(VaultFile), o.beside}
	}
	return nil
}

// beingWritten reports whether a temp file lies where the formation's files and
// its key are: a writer is at work, or was killed.
func (f *Formation) beingWritten(key *FoundKey) bool {
	folders := append(f.Folders(), filepath.Dir(key.Path))
	return slices.ContainsFunc(folders, func(dir string) bool { return len(safefile.Leftovers(dir)) > 0 })
}

// Save adds the sealed vault to a batch, mode 0600, if its content differs
// from what was read, and returns the sealed bytes; nil where nothing changes. It
// fails with *BesideError, see Replaceable.
func (o *Opened) Save(batch *safefile.Batch) ([]byte, error) {
	// A vault that another tool wrote with other spacing or in another order is
	// left as it is until a value in it changes.
	if o.Sealed && !o.Vault.Changed() {
		return nil, nil
	}
	if err := o.Replaceable(); err != nil {
		return nil, err
	}
	plaintext := o.Vault.Encode()
	sealed, err := o.Key.Seal(plaintext)
	if err != nil {
		return nil, &VaultError{o.Path(VaultFile), err}
	}
	if !o.Sealed {
		// A new one: what stands in its place, if a link, is no vault of ours.
		return sealed, batch.Put(o.Path(VaultFile), sealed, 0o600)
	}
	return sealed, batch.ReplacePrivate(o.Path(VaultFile), sealed)
}

// ReadTemplate reads the template; an absent one is empty, with ok false.
func (f *Formation) ReadTemplate() (t *Template, content []byte, ok bool, err error) {
	path := f.Path(TemplateFile)
	content, err = safefile.Read(path, maxReferenceFile)
	if errors.Is(err, fs.ErrNotExist) {
		return ParseTemplate(nil), nil, false, nil
	}
	if err != nil {
		return nil, nil, false, &safefile.Error{Op: "read", Path: path, Err: err}
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
// edit, where not nil, may change the template before. A real value that somebody
// typed into it goes only where the vault has that value for the name.
func PlanTemplate(content []byte, there bool, survey *Survey, vault *Vault, edit func(*Template)) *TemplatePlan {
	t := ParseTemplate(content)
	before := t.Names()
	if edit != nil {
		edit(t)
	}

	t.keepTyped(vault)

	names := survey.Names()
	if vault != nil {
		for _, name := range vault.Names() {
			if stored := Normalize(name); stored != "" {
				names = append(names, stored)
			}
		}
	}
	if vault == nil || len(survey.Filtered) > 0 { // what explains them cannot be seen
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
func (p *TemplatePlan) Apply(batch *safefile.Batch) (bool, error) {
	if p.State == TemplateCurrent {
		return false, nil
	}
	if p.Content == nil {
		batch.Remove(p.path)
		return true, nil
	}
	if len(p.Content) > maxReferenceFile {
		return false, &safefile.Error{Op: "write", Path: p.path, Err: &safefile.TooLargeError{Limit: maxReferenceFile}}
	}
	return true, batch.Replace(p.path, p.Content, 0o644)
}

// Folders returns the folders that hold the formation's files and, where some
// are symbolic links, their targets: where a killed command may have left temp
// files.
func (f *Formation) Folders() []string {
	folders := []string{f.Dir}
	for _, name := range [...]string{KeyFile, VaultFile, TemplateFile} {
		if real, err := safefile.Target(f.Path(name)); err == nil {
			if dir := filepath.Dir(real); dir != f.Dir && dir != folders[len(folders)-1] {
				folders = append(folders, dir)
			}
		}
	}
	return folders
}

// AsideName returns a free name for a file of the formation that is put aside at a
// time.
func (f *Formation) AsideName(file string, now time.Time) (string, error) {
	base := file + ".old-" + now.UTC().Format("20060102-150405")
	name := base
	for n := 2; ; n++ {
		there, err := paths.Exists(f.Path(name))
		if err != nil {
			return "", &safefile.Error{Op: "read", Path: f.Path(name), Err: err}
		}
		if !there {
			return name, nil
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}
