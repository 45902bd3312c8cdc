package formation

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// Pin is the key that a formation of this work tree has: the one that last opened
// its vault here, or that its owner accepted. It holds public halves only, and
// stays when the key itself goes.
type Pin struct {
	Folder string           `json:"folder"` // from the top of the work tree, with /
	Key    crypto.PublicKey `json:"key"`
	// Signed says that the list of people was signed: it has to be from then on.
	Signed bool `json:"signed,omitempty"`
	// Over is a key that was rotated to apart from this one, where it was decided
	// here that this one counts.
	Over crypto.PublicKey `json:"over,omitzero"`
	// Earlier are the keys that the folder had here before, the last one first.
	Earlier []crypto.PublicKey `json:"earlier,omitempty"`
	// Accepted are keys that count, or counted, only because the owner of this work
	// tree accepted them in it: nowhere else, nor again once another took the place.
	Accepted []crypto.PublicKey `json:"accepted,omitempty"`
	// Gone says that the folder is another now, or is missed by nobody: where it
	// is not there, that speaks against no other.
	Gone bool `json:"gone,omitempty"`
}

// Pins is where pins are kept.
type Pins struct {
	Dir string // of this work tree, absolute; "": nothing is kept
	// Others are those of the other work trees of the repository. A folder that
	// has no pin here has the one that it has there, or had before one was accepted.
	Others []string
}

// maxPinFile bounds a pin, in bytes: its folder's name and some keys.
const maxPinFile = 64 << 10

// maxEarlier bounds how many earlier keys a pin remembers.
const maxEarlier = 256

// A pin that cannot be read is no reason to take any key for the first one.
var errNoPin = errors.New("it is no note of a formation's key")

// Get returns the pin of a folder. It fails with *safefile.Error.
func (p Pins) Get(folder string) (pin Pin, ok bool, err error) {
	for _, dir := range p.dirs() {
		if pin, ok, err = p.read(dir, pinName(folder)); ok || err != nil {
			return pin, ok, err
		}
	}
	return Pin{}, false, nil
}

// All returns every pin, each folder once, sorted by folder. It fails with
// *safefile.Error.
func (p Pins) All() ([]Pin, error) {
	found := map[string]Pin{}
	err := p.each(func(dir, name string) error {
		pin, ok, err := p.read(dir, name)
		if _, known := found[pin.Folder]; ok && !known {
			found[pin.Folder] = pin
		}
		return err
	})
	if err != nil {
		return nil, err
	}

	var all []Pin
	for _, pin := range found {
		all = append(all, pin)
	}

	slices.SortFunc(all, func(a, b Pin) int { return cmp.Compare(a.Folder, b.Folder) })
	return all, nil
}

// Accepted reports whether a key was accepted in any work tree. It fails with
// *safefile.Error.
func (p Pins) Accepted(key crypto.PublicKey) (accepted bool, err error) {
	err = p.each(func(dir, name string) error {
		pin, _, err := readPin(filepath.Join(dir, name))
		accepted = accepted || slices.Contains(pin.Accepted, key)
		return err
	})
	return accepted, err
}

// each calls do with every file of a pin.
func (p Pins) each(do func(dir, name string) error) error {
	for _, dir := range p.dirs() {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &safefile.Error{Op: "read", Path: dir, Err: err}
		}
		for _, entry := range entries {
			if !strings.HasSuffix(entry.Name(), pinSuffix) {
				continue // a temp file
			}
			if err := do(dir, entry.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads a pin of this work tree, or of another: as it was there before its
// owner accepted a key.
func (p Pins) read(dir, name string) (pin Pin, ok bool, err error) {
	pin, ok, err = readPin(filepath.Join(dir, name))
	if err != nil || !ok || dir == p.Dir || !pin.IsAccepted() {
		return pin, ok, err
	}
	if len(pin.Earlier) == 0 {
		return Pin{}, false, nil
	}
	pin.Key, pin.Earlier, pin.Over = pin.Earlier[0], slices.Concat(pin.Earlier[1:]), crypto.PublicKey{}
	return pin, true, nil
}

// Set has the batch keep a pin for this work tree, with the keys that the folder
// had before; one that is there as it is stays. It fails with *safefile.Error.
func (p Pins) Set(batch *safefile.Batch, pin Pin) error {
	if p.Dir == "" {
		return nil
	}

	path := filepath.Join(p.Dir, pinName(pin.Folder))
	if was, ok, err := p.Get(pin.Folder); err == nil && ok { // else it is made anew
		pin = pin.After(was)
	}
	if there, ok, err := readPin(path); err == nil && ok && reflect.DeepEqual(there, pin) {
		return nil
	}
	content, err := json.Marshal(pin)
	if err != nil {
		return &safefile.Error{Op: "write", Path: path, Err: err}
	}
	if err := safefile.MakePrivate(p.Dir); err != nil {
		return &safefile.Error{Op: "make folder", Path: p.Dir, Err: err}
	}
	return batch.Put(path, content, 0o600)
}

// After returns the pin with the keys of the one that it takes the place of, and
// what was decided of the same key. One that was accepted is none that the folder
// had.
func (pin Pin) After(was Pin) Pin {
	if pin.Over.IsZero() && pin.Key == was.Key {
		pin.Over = was.Over
	}

	accepted := slices.Clone(pin.Accepted)
	for _, key := range was.Accepted {
		if key != pin.Key && !slices.Contains(accepted, key) {
			accepted = append(accepted, key)
		}
	}

	before := slices.Clone(pin.Earlier)
	if !was.IsAccepted() {
		before = append(before, was.Key)
	}
	var earlier []crypto.PublicKey
	for _, key := range append(before, was.Earlier...) {
		if (key != pin.Key || pin.IsAccepted()) && !slices.Contains(earlier, key) {
			earlier = append(earlier, key)
		}
	}

	pin.Accepted = accepted[:min(len(accepted), maxEarlier)]
	pin.Earlier = earlier[:min(len(earlier), maxEarlier)]
	return pin
}

// IsAccepted reports whether the key counts only because it was accepted.
func (pin Pin) IsAccepted() bool { return slices.Contains(pin.Accepted, pin.Key) }

// Had reports whether a key is, or was, that of the folder here.
func (pin Pin) Had(key crypto.PublicKey) bool {
	return key == pin.Key || slices.Contains(pin.Earlier, key)
}

func (p Pins) dirs() []string {
	if p.Dir == "" {
		return p.Others
	}
	return append([]string{p.Dir}, p.Others...)
}

const pinSuffix = ".json"

// pinName is the file of a folder's pin: a folder's own name may be none that a
// file can have.
func pinName(folder string) string {
	sum := sha256.Sum256([]byte(folder))
	return hex.EncodeToString(sum[:16]) + pinSuffix
}

func readPin(path string) (pin Pin, ok bool, err error) {
	content, err := safefile.Read(path, maxPinFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Pin{}, false, nil
	case err != nil:
		return Pin{}, false, &safefile.Error{Op: "read", Path: path, Err: err}
	}
	if err := json.Unmarshal(content, &pin); err != nil || pin.Key.IsZero() || filepath.Base(path) != pinName(pin.Folder) {
		return Pin{}, false, &safefile.Error{Op: "read", Path: path, Err: errNoPin}
	}
	return pin, true, nil
}
