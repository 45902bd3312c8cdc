package cryptotest_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
)

func TestFormationRoundTrip(t *testing.T) {
	python := cryptotest.Python(t)
	dir := t.TempDir()
	want := map[string]string{"OPENAI_API_KEY": "a \"b\" $c\\d\n\x01é\U0001f511", "EMPTY": ""}
	python.WriteFormation(t, dir, nil, want)

	got, class := python.ReadFormation(t, dir)
	if class != "" || !maps.Equal(got, want) {
		t.Fatalf("class %q, or other secrets than were written", class)
	}
	key, err := os.ReadFile(filepath.Join(dir, ".key"))
	if err != nil || len(key) != 44 {
		t.Fatalf(".key has %d bytes, err %v", len(key), err)
	}
	sealed, err := os.ReadFile(filepath.Join(dir, "secrets.enc"))
	if err != nil {
		t.Fatal(err)
	}
	result := python.OpenAll(t, []cryptotest.Case{{Key: key, Token: sealed}, {Key: key, Token: sealed[1:]}})
	if len(result[0].Plaintext) == 0 || result[1].Class != "InvalidToken" {
		t.Errorf("OpenAll: %d bytes, class %q", len(result[0].Plaintext), result[1].Class)
	}
}

func TestReadFormationClasses(t *testing.T) {
	python := cryptotest.Python(t)
	dir := t.TempDir()
	class := func() string {
		_, class := python.ReadFormation(t, dir)
		return class
	}
	if got := class(); got != "FileNotFoundError" {
		t.Errorf("no files: %q", got)
	}
	python.WriteFormation(t, dir, nil, map[string]any{"PORT": 5432})
	if got := class(); got != "TypeError" {
		t.Errorf("a number: %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, ".key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := class(); got != "ValueError" {
		t.Errorf("malformed key: %q", got)
	}
}

func TestRun(t *testing.T) {
	python := cryptotest.Python(t)
	var got []string
	python.Run(t, "response = [s.upper() for s in request]", []string{"straße", "a"}, &got)
	if len(got) != 2 || got[0] != "STRASSE" || got[1] != "A" {
		t.Errorf("got %q", got)
	}
}
