package formation

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

func fingerprints(keys []*FoundKey) string {
	var all []string
	for _, found := range keys {
		all = append(all, found.Key.Fingerprint())
	}
	return fmt.Sprint(all)
}

func TestKeyring(t *testing.T) {
	ring := Keyring{Dir: filepath.Join(t.TempDir(), "muxi-secrets", "keys")}
	if keys := ring.Keys(); len(keys) != 0 {
		t.Errorf("%d keys before there is a folder", len(keys))
	}
	first, second := newKey(t, crypto.Fernet), newKey(t, crypto.Age)
	add := func(key *crypto.Key, writes int) {
		t.Helper()
		b := safefile.Files{}.Batch(safefile.Place{Folders: []string{ring.Dir}, Journal: filepath.Join(t.TempDir(), "journal")})
		defer b.Discard()
		if err := ring.Add(b, key, key.File()); err != nil {
			t.Fatal(err)
		}
		if b.Len() != writes {
			t.Errorf("%d files to write, want %d", b.Len(), writes)
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	add(first, 1)
	path := filepath.Join(ring.Dir, first.Fingerprint())
	if content, err := os.ReadFile(path); err != nil || string(content) != string(first.File()) {
		t.Errorf("not its bytes, %v", err)
	}
	if info, err := os.Stat(ring.Dir); err != nil || !safefile.OnWindows && (info.Mode().Perm() != 0o700 || modeOf(t, path) != 0o600) {
		t.Errorf("modes %v and %v", info.Mode(), modeOf(t, path))
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	add(first, 0)
	add(second, 1)
	want := fmt.Sprint([]string{second.Fingerprint(), first.Fingerprint()})
	if got := fingerprints(ring.Keys()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	// What is no key does not matter, and what was cut short is mended.
	write(t, filepath.Join(ring.Dir, "notes.txt"), []byte("none"))
	write(t, filepath.Join(ring.Dir, strings.TrimSuffix(safefile.TempPattern, "*")+"x"), newKey(t, crypto.Fernet).File())
	write(t, filepath.Join(ring.Dir, "again"), first.File())
	if err := os.Mkdir(filepath.Join(ring.Dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	needs.Link(t, "nowhere", filepath.Join(ring.Dir, "broken"))
	if got := fingerprints(ring.Keys()); len(ring.Keys()) != 2 {
		t.Errorf("got %s, want %s in some order", got, want)
	}
	write(t, filepath.Join(ring.Dir, second.Fingerprint()), second.File()[:10])
	if len(ring.Keys()) != 1 {
		t.Error("half a key is a key")
	}
	add(second, 1)
	if len(ring.Keys()) != 2 {
		t.Error("half a key is not mended")
	}

	// An earlier release named it otherwise.
	third := newKey(t, crypto.Fernet)
	write(t, filepath.Join(ring.Dir, third.FingerprintV1()), third.File())
	add(third, 0)
	if len(ring.Keys()) != 3 {
		t.Error("a key under its older name is not found")
	}
}

// A key is kept as its owner spells it, and once; a folder that others may look
// into is closed.
func TestKeyringSpelling(t *testing.T) {
	ring := Keyring{Dir: t.TempDir()}
	if err := os.Chmod(ring.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	spelled := []byte("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n")
	key, err := crypto.ParseKey(spelled)
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range [][]byte{spelled, key.File()} {
		b := safefile.Files{}.Batch(safefile.Place{})
		if err := ring.Add(b, key, content); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	keys := ring.Keys()
	if len(keys) != 1 || string(keys[0].Content) != string(spelled) || keys[0].Place != Kept {
		t.Errorf("%d kept, or not as it was spelled", len(keys))
	}
	if !safefile.OnWindows && modeOf(t, ring.Dir) != 0o700 {
		t.Errorf("mode %v", modeOf(t, ring.Dir))
	}
}

func TestKeyringNone(t *testing.T) {
	b := safefile.Files{}.Batch(safefile.Place{})
	if err := (Keyring{}).Add(b, newKey(t, crypto.Fernet), nil); err != nil || b.Len() != 0 || (Keyring{}).Keys() != nil {
		t.Errorf("%d files, %v", b.Len(), err)
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	err := Keyring{Dir: filepath.Join(file, "keys")}.Add(b, newKey(t, crypto.Fernet), nil)
	if _, ok := errors.AsType[*safefile.Error](err); !ok {
		t.Errorf("below a file: %v", err)
	}
}

func TestOpenSealed(t *testing.T) {
	old, now, other := newKey(t, crypto.Fernet), newKey(t, crypto.Fernet), newKey(t, crypto.Age)
	seal := func(key *crypto.Key, plaintext string) []byte {
		token, err := key.Seal([]byte(plaintext))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	vault, key, err := OpenSealed(seal(old, oneSecret), nil, now, other, old)
	if err != nil || key != old {
		t.Fatalf("%v", err)
	}
	if value, _, _ := vault.Get("A"); value != marker {
		t.Error("another value")
	}
	for _, test := range [...]struct {
		about  string
		sealed []byte
		keys   []*crypto.Key
		reason crypto.Reason
		detail string
	}{
		{"no key fits", seal(old, oneSecret), []*crypto.Key{now, other}, crypto.WrongKey, "wrong key, or a damaged file"},
		{"the first says why", seal(old, oneSecret), []*crypto.Key{other, now}, crypto.WrongKey, "wrong key: the file is sealed with fernet, the key is for age"},
		{"no keys", seal(old, oneSecret), nil, crypto.WrongKey, "wrong key: no key to try"},
		{"markers", []byte("<<<<<<< ours\n"), []*crypto.Key{now, old}, crypto.MergeMarkers, ""},
	} {
		vault, key, err := OpenSealed(test.sealed, test.keys...)
		if vault != nil || key != nil || crypto.ReasonOf(err) != test.reason || test.detail != "" && err.Error() != test.detail {
			t.Errorf("%s: %v", test.about, err)
		}
	}
	_, _, err = OpenSealed(seal(old, "no JSON"), now, old)
	if _, ok := errors.AsType[*ContentError](err); !ok {
		t.Errorf("no vault: %v", err)
	}
}
