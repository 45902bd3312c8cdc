//go:build unix

package commands_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestManOnTerminal: man shows the page where there is one; where there is
// none, or it fails, the page is printed.
func TestManOnTerminal(t *testing.T) {
	needShell(t, "man")
	isolateProcess(t)
	b := newSandbox(t, simpleExample, true)
	t.Setenv("MANPAGER", "cat")
	c := b.onTerminal(t, stdinNull, "man", "add")
	c.waitFor("GIT-MUXI-SECRETS-ADD(1)")
	c.waitFor("'git muxi-secrets man --install' has") // it is installed nowhere
	c.waitFor("'git muxi-secrets --help'")
	c.exit(0)

	bin := t.TempDir()
	git, err := exec.LookPath("git")
	must(t, err)
	must(t, os.Symlink(git, filepath.Join(bin, "git")))
	t.Setenv("PATH", bin)
	c = b.onTerminal(t, stdinNull, "man", "add")
	c.waitFor("git-muxi-secrets-add - add a secret")
	c.exit(0)

	must(t, os.WriteFile(filepath.Join(bin, "man"), []byte("#!/bin/sh\nexit 1\n"), 0o755))
	c = b.onTerminal(t, stdinNull, "man", "add")
	c.waitFor("git-muxi-secrets-add - add a secret")
	c.exit(0)
}
