package history

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// Every place that a key can be in is looked at, and the error speaks of the
// folder's own.
func TestKeysOpen(t *testing.T) {
	r := gittest.New(t)
	put := func(path string, content []byte) {
		t.Helper()
		r.Write(path, string(content))
	}
	check(t, os.MkdirAll(r.Path("moved"), 0o755))
	put("agent/formation.afs", nil)
	put("other/formation.yaml", nil)
	r.Git("add", "agent", "other")
	keys := map[string]*crypto.Key{}
	for _, name := range []string{"own", "retired", "beside", "stray", "wrapped", "unknown"} {
		format := crypto.Fernet
		if name == "retired" {
			format = crypto.Age
		}
		key, err := crypto.GenerateKey(format)
		check(t, err)
		keys[name] = key
	}
	put("agent/.key", keys["own"].File())
	put(".git/muxi-secrets/keys/x", keys["retired"].File())
	put("other/.key", keys["beside"].File())
	// A folder that was renamed leaves its key behind.
	put("was/here/formation.afs", []byte("id: moved\n"))
	put("was/here/secrets.enc", []byte("the same bytes"))
	put("was/here/.key", keys["stray"].File())
	r.Git("add", "was/here/formation.afs", "was/here/secrets.enc")
	r.Git("commit", "-qm", "before")
	r.Git("mv", "was/here/formation.afs", "was/here/secrets.enc", "moved")
	r.Git("commit", "-qm", "after")
	put("bad/formation.afs", nil)
	put("bad/.key", []byte("no key"))
	repo, err := gitutil.Open(r.Dir, gitutil.Options{Environ: r.Env, Getenv: r.Getenv})
	check(t, err)
	defer repo.Close()
	asked := 0
	k := NewKeys(context.Background(), repo, "")
	k.Unwrap = func(wrapped []byte) ([]byte, error) {
		asked++
		if string(wrapped) != "wrapped" {
			return nil, errors.New("none fits")
		}
		return keys["wrapped"].File(), nil
	}
	sealed := map[string][]byte{}
	for name, key := range keys {
		v := formation.NewVault()
		v.Set("NAME", name)
		sealed[name], err = key.Seal(v.Encode())
		check(t, err)
	}
	for _, name := range []string{"own", "retired", "beside", "stray", "wrapped", "own", "retired"} {
		for _, file := range []string{"agent/secrets.enc", "gone/secrets.enc", ""} {
			vault, key, err := k.Open(file, sealed[name], func() []byte { return []byte("wrapped") })
			if err != nil {
				t.Errorf("%s at '%s': %v", name, file, err)
				continue
			}
			if value, _, _ := vault.Get("NAME"); value != name || !key.Equal(keys[name]) {
				t.Errorf("%s at '%s' was opened by another key", name, file)
			}
		}
	}
	if asked != 1 {
		t.Errorf("the wrapped key was opened %d times, want once", asked)
	}
	_, _, err = k.Open("agent/secrets.enc", sealed["unknown"], nil)
	if crypto.ReasonOf(err) != crypto.WrongKey {
		t.Errorf("an unknown key: %v", err)
	}
	var missing *formation.NoKeyError
	if _, _, err = k.Open("gone/secrets.enc", sealed["unknown"], nil); !errors.As(err, &missing) || !missing.Vault {
		t.Errorf("without a .key: %v", err)
	}
	var malformed *formation.KeyError
	if _, _, err = k.Open("bad/secrets.enc", sealed["unknown"], nil); !errors.As(err, &malformed) {
		t.Errorf("with a malformed .key: %v", err)
	}
	if _, _, err = k.Open("agent/secrets.enc", []byte("A=1"), nil); crypto.ReasonOf(err) != crypto.NotSealed {
		t.Errorf("plain text: %v", err)
	}
	content, err := keys["own"].Seal([]byte("[]"))
	check(t, err)
	var not *formation.ContentError
	if vault, key, err := k.Open("agent/secrets.enc", content, nil); !errors.As(err, &not) || key == nil || vault != nil {
		t.Errorf("a list: %v", err)
	}
	if own := k.Own("agent/secrets.enc"); own == nil || !own.Key.Equal(keys["own"]) || string(own.Content) != string(keys["own"].File()) {
		t.Error("Own is another key, or other bytes")
	}
	if k.Own("gone/secrets.enc") != nil {
		t.Error("Own is another folder's")
	}
	outside := NewKeys(context.Background(), nil, r.Path("agent"))
	if _, _, err := outside.Open("secrets.enc", sealed["own"], nil); err != nil {
		t.Errorf("outside of a repository: %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A file that git tracks is known by whatever name the file system has it by: one
// without letter case knows .key by others.
func TestTrackedByAnotherName(t *testing.T) {
	for _, name := range []string{"a/.KEY", "a/.\u212aey", "b/.key"} {
		r := gittest.New(t)
		r.Write("a/formation.afs", "")
		r.Write(name, "a stranger's")
		r.Git("add", "-f", name)
		file := r.Path("a/.key")
		if _, err := os.Lstat(file); err != nil {
			check(t, os.Link(r.Path(name), file)) // as one that tells them apart can show it
		}

		repo, err := gitutil.Open(r.Dir, gitutil.Options{Environ: r.Env, Getenv: r.Getenv})
		check(t, err)
		k := NewKeys(context.Background(), repo, "")
		if tracked, err := k.Tracked(file); !tracked || err != nil {
			t.Errorf("%q: %v, %v", name, tracked, err)
		}
		check(t, os.Remove(file))
		r.Write("a/.key", "our own")
		if _, err := os.Lstat(r.Path(name)); err == nil && name != "b/.key" {
			if tracked, err := NewKeys(context.Background(), repo, "").Tracked(file); tracked || err != nil {
				t.Errorf("%q beside our own: %v, %v", name, tracked, err)
			}
		}
		repo.Close()
	}
}

// A key is one of the past where a later commit has a vault that it does not seal,
// whoever has that one's key; a vault of before it brings back nothing.
func TestRetired(t *testing.T) {
	keys := map[byte]*crypto.Key{}
	for name := range "ABCD" {
		key, err := crypto.GenerateKey(crypto.Fernet)
		check(t, err)
		keys["ABCD"[name]] = key
	}
	for _, tt := range []struct {
		history string // the keys of the vault's versions, in their order
		own     byte
		retired bool
	}{
		{"B", 'B', false},
		{"AB", 'B', false},
		{"BC", 'B', true},
		{"ABC", 'B', true},
		{"ABCD", 'B', true},
		{"ABB", 'B', false},
		{"BCB", 'B', true}, // taken back
		{"CBC", 'B', true}, // another seal of an old key, which nobody here knows
		{"A", 'B', false},
		{"", 'B', false},
	} {
		r := gittest.New(t)
		r.Write("agent/formation.afs", "id: agent\n")
		r.Git("add", ".")
		r.Git("commit", "-qm", "start")
		for i := range len(tt.history) {
			sealed, err := keys[tt.history[i]].Seal(formation.NewVault().Encode())
			check(t, err)
			r.Write("agent/secrets.enc", string(sealed))
			r.Git("add", ".")
			r.Git("commit", "-qm", tt.history[i:i+1])
		}
		repo, err := gitutil.Open(r.Dir, gitutil.Options{Environ: r.Env, Getenv: r.Getenv})
		check(t, err)
		since, err := NewKeys(t.Context(), repo, "").Retired(r.Path("agent"), keys[tt.own])
		repo.Close()
		if err != nil || (since != nil) != tt.retired {
			t.Errorf("%s after %q: %v, %v", string(tt.own), tt.history, since, err)
		}
	}
}
