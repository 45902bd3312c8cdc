//go:build unix

package doctor

import (
	"os"
	"path/filepath"
	"testing"
)

// An older program on PATH is one that says so, and is another file than the one
// that runs.
func TestOlderProgram(t *testing.T) {
	dir := t.TempDir()
	program := func(name, says string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+says+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		name, says, ours string
		older            bool
	}{
		{"older", "echo git-muxi-secrets v1.9.3", "v1.10.0", true},
		{"same", "echo git-muxi-secrets v1.10.0", "v1.10.0", false},
		{"newer", "echo git-muxi-secrets v2.0.0", "v1.10.0", false},
		{"silent", "exit 0", "v1.10.0", false},
		{"failing", "echo v0.1; exit 1", "v1.10.0", false},
		{"ours unknown", "echo v0.1", "(devel)", false},
	} {
		d := &doctor{Options: Options{Program: program("ours", "exit 1"), Version: tt.ours}}
		theirs, older := d.olderProgram(t.Context(), program("theirs", tt.says))
		if older != tt.older || older && theirs != (version{1, 9}) {
			t.Errorf("%s: %v, %v", tt.name, theirs, older)
		}
	}
	old := program("one", "echo v0.1")
	if err := os.Symlink(old, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	d := &doctor{Options: Options{Program: old, Version: "v1.0"}}
	if _, older := d.olderProgram(t.Context(), filepath.Join(dir, "link")); older {
		t.Error("a program is older than itself")
	}
}
