package hooks

import (
	"strings"
	"testing"
)

// earlier are the texts that a version of ours wrote before: each must be known
// as ours for good. A changed Script adds its predecessor here.
var earlier = []string{
	"#!/bin/sh\n# git-muxi-secrets hook v0: pre-commit\nexit 0\n",
	"#!/bin/sh\n# git-muxi-secrets hook v1: pre-commit\n# Made by 'git muxi-secrets hooks install'; 'git muxi-secrets hooks uninstall'\n# takes it away and puts back what was here before. Edits are lost.\n",
}

func TestIsOurs(t *testing.T) {
	for _, name := range append(All(false), All(true)...) {
		if !IsOurs([]byte(Script(name, "/x/git-muxi-secrets"))) {
			t.Errorf("%s is not known as ours", name)
		}
	}
	for _, text := range earlier {
		if !IsOurs([]byte(text)) {
			t.Errorf("%.40q is not known as ours", text)
		}
	}
	for _, text := range []string{
		"", "#!/bin/sh\n", "#!/bin/sh\nexec git muxi-secrets hook-run pre-commit\n",
		"#!/bin/sh\n\n# git-muxi-secrets hook v1: pre-commit\n", // mentioned, not made
		"# git-muxi-secrets hook v1: pre-commit\n",
	} {
		if IsOurs([]byte(text)) {
			t.Errorf("%q is taken for ours", text)
		}
	}
}

func TestSameButProgram(t *testing.T) {
	const name = "pre-push"
	for _, program := range []string{"/usr/bin/git-muxi-secrets", "/it's here/'x'", `C:\Program Files\git-muxi-secrets.exe`, ""} {
		if !sameButProgram([]byte(Script(name, program)), name) {
			t.Errorf("%q: another program's path makes it another hook", program)
		}
	}
	changed := strings.Replace(Script(name, "/x"), "exit 1", "exit 0", 1)
	if sameButProgram([]byte(changed), name) || sameButProgram([]byte(Script("pre-commit", "/x")), name) {
		t.Error("another text is taken for the same")
	}
}

func TestNewer(t *testing.T) {
	current := Script("pre-commit", "/x")
	for version, want := range map[string]bool{scriptVersion: false, "v0": false, "v1": false, "v99": true, "x": false} {
		text := strings.Replace(current, idLine+scriptVersion, idLine+version, 1)
		if newer([]byte(text)) != want {
			t.Errorf("%s: newer is %v", version, !want)
		}
	}
}
