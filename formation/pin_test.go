package formation

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

func TestPins(t *testing.T) {
	git := t.TempDir()
	pins := Pins{Dir: filepath.Join(git, "a[b]", "muxi-secrets", "pins")}
	first, second := newKey(t, crypto.Fernet).Public(), newKey(t, crypto.Age).Public()
	set := func(pins Pins, pin Pin, writes int) {
		t.Helper()
		b := safefile.Files{}.Batch(safefile.Place{})
		defer b.Discard()
		if err := pins.Set(b, pin); err != nil || b.Len() != writes {
			t.Fatalf("%d files to write, want %d; %v", b.Len(), writes, err)
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	get := func(pins Pins, folder string, want Pin) {
		t.Helper()
		if got, ok, err := pins.Get(folder); err != nil || !reflect.DeepEqual(got, want) || ok != !reflect.DeepEqual(want, Pin{}) {
			t.Errorf("%s: got %+v, %v, want %+v", folder, got, err, want)
		}
	}

	get(pins, ".", Pin{})
	if all, err := pins.All(); err != nil || len(all) != 0 {
		t.Errorf("%d pins before there is a folder, %v", len(all), err)
	}
	odd := strings.Repeat("ö/", 300) + "a\nb"
	set(pins, Pin{Folder: "bot", Key: first}, 1)
	set(pins, Pin{Folder: "bot", Key: first}, 0)
	set(pins, Pin{Folder: "bot", Key: second, Signed: true}, 1)
	set(pins, Pin{Folder: odd, Key: first, Gone: true}, 1)
	get(pins, "bot", Pin{Folder: "bot", Key: second, Signed: true, Earlier: []crypto.PublicKey{first}})
	get(pins, odd, Pin{Folder: odd, Key: first, Gone: true})
	get(pins, "other", Pin{})

	// Another work tree has its own, where it has one.
	other := Pins{Dir: filepath.Join(git, "worktrees", "x", "pins"), Others: []string{pins.Dir}}
	set(other, Pin{Folder: "bot", Key: first}, 1)
	get(other, "bot", Pin{Folder: "bot", Key: first, Earlier: []crypto.PublicKey{second}})
	get(other, odd, Pin{Folder: odd, Key: first, Gone: true})
	get(pins, "bot", Pin{Folder: "bot", Key: second, Signed: true, Earlier: []crypto.PublicKey{first}})
	all, err := other.All()
	if want := []Pin{{Folder: "bot", Key: first, Earlier: []crypto.PublicKey{second}}, {Folder: odd, Key: first, Gone: true}}; err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("got %v, %v, want %v", all, err, want)
	}

	if info, err := os.Stat(pins.Dir); err != nil || !safefile.OnWindows && info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	b := safefile.Files{}.Batch(safefile.Place{})
	if err := (Pins{}).Set(b, Pin{Folder: "bot", Key: first}); err != nil || b.Len() != 0 {
		t.Errorf("a pin outside of any repository: %v", err)
	}
	get(Pins{}, "bot", Pin{})
}

// An accepted key counts in its own work tree, and is none that the folder had.
func TestPinsAccepted(t *testing.T) {
	git := t.TempDir()
	pins := Pins{Dir: filepath.Join(git, "pins")}
	other := Pins{Dir: filepath.Join(git, "worktrees", "x", "pins"), Others: []string{pins.Dir}}
	own, evil := newKey(t, crypto.Fernet).Public(), newKey(t, crypto.Age).Public()
	owns, evils := []crypto.PublicKey{own}, []crypto.PublicKey{evil}

	step := func(pin, here, there Pin) {
		t.Helper()
		b := safefile.Files{}.Batch(safefile.Place{})
		defer b.Discard()
		if err := pins.Set(b, pin); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		for want, in := range map[*Pin]Pins{&here: pins, &there: other} {
			got, ok, err := in.Get("bot")
			if err != nil || ok != !want.Key.IsZero() || !reflect.DeepEqual(got, *want) {
				t.Errorf("got %+v, %v, want %+v", got, err, *want)
			}
		}
		if accepted, err := other.Accepted(evil); err != nil || accepted != (here.Accepted != nil) {
			t.Errorf("accepted: %v, %v", accepted, err)
		}
	}

	first := Pin{Folder: "bot", Key: evil, Accepted: evils}
	step(first, first, Pin{}) // with nothing before it
	mine := Pin{Folder: "bot", Key: own, Accepted: evils}
	step(Pin{Folder: "bot", Key: own}, mine, mine)
	again := Pin{Folder: "bot", Key: evil, Earlier: owns, Accepted: evils}
	step(first, again, mine)
	step(first, again, mine)
	step(Pin{Folder: "bot", Key: own}, mine, mine)

	vouched := Pin{Folder: "bot", Key: evil, Earlier: owns}
	step(Pin{Folder: "bot", Key: evil}, vouched, vouched)
	// A retired key that is accepted stays one that the folder had.
	retired := Pin{Folder: "bot", Key: own, Earlier: []crypto.PublicKey{evil, own}, Accepted: owns}
	b := safefile.Files{}.Batch(safefile.Place{})
	defer b.Discard()
	if err := pins.Set(b, Pin{Folder: "bot", Key: own, Accepted: owns}); err != nil || b.Commit() != nil {
		t.Fatal(err)
	}
	if got, _, err := pins.Get("bot"); err != nil || !reflect.DeepEqual(got, retired) {
		t.Errorf("got %+v, %v, want %+v", got, err, retired)
	}
}

// What cannot be read is not nothing: any key could be the first then.
func TestPinsThatCannotBeRead(t *testing.T) {
	key := newKey(t, crypto.Fernet).Public().String()
	for what, content := range map[string]string{
		"empty":            "",
		"cut":              `{"folder": "bot", "key": "` + key,
		"no key":           `{"folder": "bot"}`,
		"another spelling": `{"folder": "bot", "key": "` + key + `="}`,
		"another folder":   `{"folder": "not", "key": "` + key + `"}`,
	} {
		pins := Pins{Dir: t.TempDir()}
		write(t, filepath.Join(pins.Dir, pinName("bot")), []byte(content))
		var bad *safefile.Error
		if _, _, err := pins.Get("bot"); !errors.As(err, &bad) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := pins.All(); !errors.As(err, &bad) {
			t.Errorf("%s, all: %v", what, err)
		}
	}
}
