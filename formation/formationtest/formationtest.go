// Package formationtest puts formations into the repositories of tests, without
// starting this program: a key, a vault and a template, as it would write them.
package formationtest

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// NewKey makes a Fernet key.
func NewKey(t testing.TB) *crypto.Key {
	t.Helper()
	key, err := crypto.GenerateKey(crypto.Fernet)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Sealed is a vault with these values, as NAME=VALUE, under a key.
func Sealed(t testing.TB, key *crypto.Key, values ...string) []byte {
	t.Helper()
	vault := formation.NewVault()
	for _, pair := range values {
		name, value, _ := strings.Cut(pair, "=")
		vault.Set(name, value)
	}
	sealed, err := key.Seal(vault.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// Put writes a formation into the folder dir of a repository: one that refers to
// each of its values, with its .key, which git ignores. Nothing is staged.
func Put(r *gittest.Repo, dir string, key *crypto.Key, values ...string) {
	r.Helper()
	var names []string
	body := "schema: \"1.0.0\"\nid: " + path.Base(dir) + "\nmcp:\n  servers:\n"
	for _, pair := range values {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name)
		body += "    - id: s\n      auth:\n        token: ${{ secrets." + name + " }}\n"
	}
	slices.Sort(names)
	r.Write(dir+"/formation.afs", body)
	r.Write(dir+"/.gitignore", formation.KeyFile+"\n")
	r.Write(dir+"/"+formation.VaultFile, string(Sealed(r, key, values...)))
	r.Write(dir+"/"+formation.TemplateFile, strings.Join(names, "=\n")+"=\n")
	PutKey(r, dir, key)
}

// PutKey writes the .key of a folder.
func PutKey(r *gittest.Repo, dir string, key *crypto.Key) {
	r.Helper()
	file := dir + "/" + formation.KeyFile
	r.Write(file, string(key.File()))
	if err := os.Chmod(r.Path(file), 0o600); err != nil {
		r.Fatal(err)
	}
}

// Values are those of a vault, as NAME=VALUE, sorted.
func Values(vault *formation.Vault) []string {
	var values []string
	for _, name := range vault.Names() {
		value, _, _ := vault.Get(name)
		values = append(values, name+"="+value)
	}
	slices.Sort(values)
	return values
}

// Open opens a repository until the test ends, by the backend "git" or "go-git".
func Open(r *gittest.Repo, backend string) gitutil.Repository {
	r.Helper()
	repo, err := gitutil.Open(r.Dir, gitutil.Options{Backend: backend, Environ: r.Env, Getenv: r.Getenv})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { repo.Close() })
	return repo
}
