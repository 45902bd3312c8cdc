package history

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// What a checkout makes of a committed file may differ from it byte for byte.
func TestCommittedKeyIs(t *testing.T) {
	key, other := newKey(t), newKey(t)
	dir := t.TempDir()
	file := filepath.Join(dir, ".key")
	link := filepath.Join(dir, "link")
	if err := os.Symlink("../elsewhere", link); err != nil {
		t.Skip("no symbolic links here")
	}
	found := &formation.FoundKey{Key: key, Content: key.File(), Path: file}
	linked := &formation.FoundKey{Key: key, Content: key.File(), Path: link}
	pointer := func(content []byte) string {
		sum := sha256.Sum256(content)
		return "version https://git-lfs.github.com/spec/v1\noid sha256:" + hex.EncodeToString(sum[:]) + "\nsize 44\n"
	}

	for _, c := range []struct {
		name      string
		committed string
		found     *formation.FoundKey
		want      bool
	}{
		{"the bytes", string(key.File()), found, true},
		{"another line end", string(key.File()) + "\n", found, true},
		{"another key", string(other.File()), found, false},
		{"a pointer", pointer(key.File()), found, true},
		{"a pointer to another", pointer(other.File()), found, false},
		{"the same link", "../elsewhere", linked, true},
		{"another link", "../other", linked, false},
		{"nothing", "", found, false},
	} {
		if got := (committedKey{data: []byte(c.committed)}).is(c.found); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func newKey(t *testing.T) *crypto.Key {
	t.Helper()
	key, err := crypto.GenerateKey(crypto.Fernet)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Where letters have no case, a .KEY that git checked out answers to .key.
func TestSpelledOtherwise(t *testing.T) {
	dir := t.TempDir()
	key := newKey(t)
	if err := os.WriteFile(filepath.Join(dir, "formation.afs"), []byte("id: f\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, strings.ToUpper(formation.KeyFile)), key.File(), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &formation.Formation{Dir: dir, Finder: NewKeys(t.Context(), nil, dir)}
	if found, err := f.ReadKey(); err == nil {
		t.Errorf("read %v", found)
	}

	// Beside one that is spelled so, it is of no interest.
	own := filepath.Join(dir, formation.KeyFile)
	os.Remove(filepath.Join(dir, strings.ToUpper(formation.KeyFile)))
	if err := os.WriteFile(own, key.File(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(own, filepath.Join(dir, strings.ToUpper(formation.KeyFile))); err != nil && !os.IsExist(err) {
		t.Skip("no hard links here")
	}
	if _, err := f.ReadKey(); err != nil {
		t.Error(err)
	}
}
