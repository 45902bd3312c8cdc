package hooks

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// Every place that a key can be in is looked at, and the error speaks of the
// folder's own.
func TestKeysOpen(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("git is missing")
		}
		t.Skip("git is missing")
	}
	top, err := filepath.EvalSymlinks(t.TempDir())
	check(t, err)
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(git, append([]string{"-C", top}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
	put := func(path string, content []byte) {
		t.Helper()
		full := filepath.Join(top, filepath.FromSlash(path))
		check(t, os.MkdirAll(filepath.Dir(full), 0o755))
		check(t, os.WriteFile(full, content, 0o600))
	}
	run("init", "-q")
	put("agent/formation.afs", nil)
	put("other/formation.yaml", nil)
	run("add", "agent", "other")
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
	put("was/here/.key", keys["stray"].File())
	put("bad/formation.afs", nil)
	put("bad/.key", []byte("no key"))
	repo, err := gitutil.Open(top, gitutil.Options{})
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
			if value, _, _ := vault.Get("NAME"); value != name || !equalKeys(key, keys[name]) {
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
	if !equalKeys(k.Current("agent/secrets.enc"), keys["own"]) || k.Current("gone/secrets.enc") != nil {
		t.Error("Current is another key")
	}
	if content, _ := k.File("agent/secrets.enc"); string(content) != string(keys["own"].File()) {
		t.Error("File gives other bytes")
	}
	outside := NewKeys(context.Background(), nil, filepath.Join(top, "agent"))
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
