//go:build unix

package commands_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every scope looks for one set of values: those of every formation whose key is at
// hand, in a submodule too, and of one that git does not know yet.
func TestEveryScopeKnowsTheSameValues(t *testing.T) {
	long(t)
	sideBySide(t)
	r := newRepo(t)
	values := map[string]string{"agent": "hunter2-hunter2-own", "sub/inner": "hunter3-hunter3-sub", "untracked": "hunter4-hunter4-new", "kept": "hunter5-hunter5-kept"}
	store := func(r *repo, dir, value string) {
		r.write(dir+"/formation.afs", "id: x\na: ${{ secrets.A_KEY }}\n")
		if res := r.run(value, "git-muxi-secrets", "-C", dir, "add", "A_KEY", "--stdin"); res.code != 0 {
			t.Fatal(res.err)
		}
	}
	lib := newRepo(t)
	store(lib, "inner", values["sub/inner"])
	lib.git("add", "-A")
	lib.git("commit", "-qm", "lib", "--no-verify")
	store(r, "agent", values["agent"])
	store(r, "kept", values["kept"])
	r.remove("kept/.key")
	r.git("submodule", "--quiet", "add", lib.dir, "sub")
	must(t, os.WriteFile(r.path("sub/inner/.key"), []byte(lib.read("inner/.key")), 0o600))
	r.git("add", "-A")
	r.git("commit", "-qm", "first", "--no-verify")
	r.git("branch", "base")
	store(r, "untracked", values["untracked"])

	bare := t.TempDir() // without git on it
	self, err := exec.LookPath("git-muxi-secrets")
	must(t, err)
	must(t, os.Symlink(self, filepath.Join(bare, "git-muxi-secrets")))
	alone := filepath.Join(bare, "git-muxi-secrets")

	for dir, value := range values {
		t.Run(dir, func(t *testing.T) {
			r.write("notes.txt", "x: "+value+"\n")
			r.git("add", "notes.txt")
			want := "the value of A_KEY of " + dir
			finds := func(r *repo, stdin, program string, args ...string) {
				t.Helper()
				if res := r.run(stdin, program, args...); res.code != 1 || !strings.Contains(res.out+res.err, want) {
					t.Errorf("%s %v: exit %d\n%s%s", filepath.Base(program), args, res.code, res.out, res.err)
				}
			}
			hook := dir != "untracked" // for which a hook would have to search the disk
			finds(r, "", "git-muxi-secrets", "check", "--staged")
			if hook {
				finds(r, "", "git-muxi-secrets", "hook-run", "pre-commit")
				r.write("../message", "the value is "+value+"\n")
				finds(r, "", "git-muxi-secrets", "hook-run", "commit-msg", r.path("../message"))
			}
			r.git("commit", "-qm", "leak", "--no-verify")
			head := r.head()
			for _, args := range [][]string{{"check"}, {"check", "--base", "base"}, {"check", "--range", "base..HEAD"}, {"check", "--history"}} {
				finds(r, "", "git-muxi-secrets", args...)
				finds(&repo{TB: t, dir: r.dir, env: append(r.env, "PATH="+bare)}, "", alone, args...)
			}
			if hook {
				finds(r, "refs/heads/main "+head+" refs/heads/main "+strings.Repeat("0", 40)+"\n", "git-muxi-secrets", "hook-run", "pre-push", "origin", "url")
			}
			r.git("reset", "-q", "--hard", "base")
		})
	}

	// A formation that nothing here opens is named, in every scope.
	r.remove("agent/.key")
	r.remove(".git/muxi-secrets/keys")
	for _, args := range [][]string{{"check"}, {"check", "--staged"}, {"check", "--base", "base~0"}, {"check", "--history"}, {"hook-run", "pre-commit"}} {
		if res := r.run("", "git-muxi-secrets", args...); !strings.Contains(res.err, "warning: no key here opens the vault of agent, kept, so its values were not looked for") {
			t.Errorf("%v: it is not said\n%s", args, res.err)
		}
	}
}
