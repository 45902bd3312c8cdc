//go:build unix

package commands_test

import (
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/hooks"
)

// From 2.54 on git runs hooks that its configuration names, beside those in the folder:
// one that calls ours there is installed. Older git ignores them.
func TestHooksInConfiguration(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	configure := func(hook, command string) {
		r.git("config", "hook.Muxi "+hook+".event", hook)
		r.git("config", "hook.Muxi "+hook+".command", command)
	}
	for _, hook := range hooks.All(false) {
		configure(hook, "git muxi-secrets hook-run "+hook)
	}
	if res := r.try("hook", "list", "pre-commit"); res.code != 0 {
		if res := r.muxi("hooks", "status"); res.code != 1 || strings.Contains(res.out, "managed") {
			t.Errorf("git here runs none of them: exit %d\n%s", res.code, res.out)
		}
		return
	}

	if res := r.muxi("hooks", "status"); res.code != 0 || strings.Count(res.out, "managed\n") != 5 {
		t.Errorf("exit %d\n%s%s", res.code, res.out, res.err)
	}
	if res := r.muxi("hooks", "install"); res.code != 0 || !strings.Contains(res.err, "installed already") {
		t.Errorf("install: exit %d\n%s", res.code, res.err)
	}
	r.stage("a.txt", leak)
	if res := r.try("commit", "-qm", "x"); res.code == 0 || strings.Count(res.err, "[plaintext-key]") != 1 {
		t.Errorf("a leak: exit %d\n%s", res.code, res.err)
	}

	r.git("config", "hook.Muxi pre-commit.enabled", "false")
	configure("pre-push", "git muxi-secrets hook-run pre-push || true")
	configure("commit-msg", "echo git muxi-secrets hook-run commit-msg")
	res := r.muxi("hooks", "status")
	for _, want := range []string{"pre-commit        missing\n", "pre-push          missing: the hook there calls ours and goes on", "commit-msg        missing\n"} {
		if !strings.Contains(res.out, want) {
			t.Errorf("exit %d, and not %q\n%s", res.code, want, res.out)
		}
	}
	r.git("config", "hook.Muxi pre-commit.enabled", "true")
	r.hook(".git/hooks/pre-commit", "#!/bin/sh\n")
	if res := r.muxi("hooks", "status"); !strings.Contains(res.out, "pre-commit        managed\n") {
		t.Errorf("beside another one in the folder\n%s", res.out)
	}
}
