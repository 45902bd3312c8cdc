//go:build unix

package commands_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// What 'hooks install --write' puts into a manager's file runs there: each of the
// hooks stops a leak, or says its note. Nothing else in the file changes, no path of
// this machine gets into it, and uninstall leaves it as it was.
func TestManagersWritten(t *testing.T) {
	sideBySide(t)
	for _, tt := range sample([]struct {
		name    string
		files   map[string]string
		make    func(t *testing.T, r *repo)
		install []string // the manager's own, once ours is written
	}{
		{"lefthook, commands", map[string]string{"lefthook.yml": "# ours\npre-commit:\n  commands:\n    # lints\n    lint:\n      run: echo lint\npre-push:\n  commands:\n    test:\n      run: cat\n      use_stdin: true"},
			func(t *testing.T, r *repo) { needs.Program(t, "lefthook") }, []string{"lefthook", "install"}},
		{"lefthook, jobs", map[string]string{".lefthook.yaml": "pre-commit:\n  jobs:\n    - run: echo lint\ncommit-msg:\n  jobs:\n  - run: echo message\n"},
			func(t *testing.T, r *repo) { needs.Program(t, "lefthook") }, []string{"lefthook", "install"}},
		{"pre-commit", map[string]string{".pre-commit-config.yaml": "repos:\n- repo: local # one\n  hooks:\n  - {id: x, name: x, entry: echo, language: system}\n"},
			func(t *testing.T, r *repo) {
				needs.Program(t, "pre-commit")
				needs.Program(t, "bash")
				r.env = append(r.env, "PRE_COMMIT_HOME="+r.path("../cache"))
				r.mustRun("pre-commit", "install")
			}, []string{"pre-commit", "install", "-t", "pre-commit", "-t", "pre-merge-commit", "-t", "commit-msg", "-t", "pre-push", "-t", "post-merge"}},
		{"husky 9", map[string]string{".husky/pre-commit": "echo test\n", ".husky/pre-push": "cat >../pushed\n"},
			func(t *testing.T, r *repo) { r.husky(9) }, nil},
		{"husky 8", map[string]string{".husky/pre-commit": huskyEight + "echo test\n", ".husky/pre-push": huskyEight + "cat >../pushed\n"},
			func(t *testing.T, r *repo) { r.husky(8) }, nil},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := withRemote(t)
			r.mustMuxi("hooks", "uninstall")
			r.env = append(r.env, "NO_COLOR=1")
			for name, content := range tt.files {
				if strings.HasPrefix(name, ".husky/") {
					r.executable(name, content)
				} else {
					r.write(name, content)
				}
			}
			tt.make(t, r)
			r.git("add", "-A")
			r.save("settings")
			r.git("tag", "settings")
			r.git("push", "-q", "--no-verify", "origin", "main")

			res := r.muxi("hooks", "install")
			if res.code != 1 || !strings.Contains(res.out, "+++ b/") || !strings.Contains(res.err, "'git muxi-secrets hooks install --write'") {
				t.Errorf("without --write: exit %d\n%s%s", res.code, res.out, res.err)
			}
			if got := r.git("status", "--short"); got != "" {
				t.Errorf("without --write there is %s", got)
			}
			r.mustMuxi("hooks", "install", "--write")
			if tt.install != nil {
				r.mustRun(tt.install[0], tt.install[1:]...)
			}
			if res := r.muxi("hooks", "status"); res.code != 0 || strings.Count(res.out, "managed") != len(hooks.All(false)) {
				t.Errorf("status: exit %d\n%s", res.code, res.out)
			}
			r.git("add", "-A")
			r.save("ours")
			if res := r.try("grep", "-F", os.TempDir()); res.code == 0 {
				t.Errorf("a path of this machine: %s", res.out)
			}
			r.mustMuxi("hooks", "install", "--write")
			if got := r.git("status", "--short"); got != "" {
				t.Errorf("the second time there is %s", got)
			}

			r.stage("notes.txt", leak)
			stops(r, "notes.txt:1:8: error", "commit", "-qm", "x")
			r.stage("notes.txt", clean)
			stops(r, "commit message:1:", "commit", "-qm", "the key "+strings.TrimPrefix(leak, "token: "))
			if res := r.try("commit", "-qm", "clean"); res.code != 0 {
				t.Errorf("a clean commit: exit %d\n%s%s", res.code, res.out, res.err)
			}
			r.stage("notes.txt", leak)
			r.save("leaky")
			stops(r, "notes.txt:1:8: error", "push", "-q", "origin", "main")
			r.git("branch", "-q", "leaky")
			r.git("reset", "-q", "--hard", "HEAD~1")
			if res := r.try("push", "-q", "origin", "main"); res.code != 0 {
				t.Errorf("a clean push: exit %d\n%s%s", res.code, res.out, res.err)
			}
			if pushed, err := os.ReadFile(r.path("../pushed")); err == nil && !strings.HasPrefix(string(pushed), "refs/heads/main ") {
				t.Errorf("what stands behind ours read %q", pushed)
			}
			r.stage("more.txt", clean)
			r.save("more")
			stops(r, "notes.txt:1:8: error", "merge", "-q", "--no-ff", "leaky", "-m", "x")
			r.git("merge", "--abort")
			r.git("reset", "-q", "--hard", "leaky~1")
			if res := r.try("merge", "-q", "leaky"); res.code != 0 || !strings.Contains(res.out+res.err, "this merge brought 1 finding") {
				t.Errorf("the note: exit %d\n%s%s", res.code, res.out, res.err)
			}

			r.mustMuxi("hooks", "uninstall")
			if got := r.git("diff", "settings", "--", ".", ":!notes.txt", ":!more.txt"); got != "" {
				t.Errorf("in the end there is\n%s", got)
			}
		})
	}
}

func stops(r *repo, says string, args ...string) {
	r.Helper()
	if res := r.try(args...); res.code == 0 || !strings.Contains(res.out+res.err, says) {
		r.Errorf("git %s: exit %d, without %q\n%s%s", args[0], res.code, says, res.out, res.err)
	}
}

// huskyEight begins each hook that husky 8 made.
const huskyEight = "#!/usr/bin/env sh\n. \"$(dirname -- \"$0\")/_/husky.sh\"\n\n"

// husky lays down what 'husky install' does, without what it downloads.
func (r *repo) husky(version int) {
	r.Helper()
	r.write(".husky/_/.gitignore", "*")
	if version == 8 {
		r.write(".husky/_/husky.sh", "if [ -z \"$husky_skip_init\" ]; then\n  readonly husky_skip_init=1\n  export husky_skip_init\n  sh -e \"$0\" \"$@\"\n  exit $?\nfi\n")
		r.git("config", "core.hooksPath", ".husky")
		return
	}
	r.write(".husky/_/h", "n=$(basename \"$0\")\ns=$(dirname \"$(dirname \"$0\")\")/$n\n[ ! -f \"$s\" ] && exit 0\nsh -e \"$s\" \"$@\"\nexit $?\n")
	for _, name := range hooks.All(false) {
		r.executable(".husky/_/"+name, "#!/usr/bin/env sh\n. \"$(dirname \"$0\")/h\"\n")
	}
	r.git("config", "core.hooksPath", ".husky/_")
}

// A change to several files that fails at any step leaves all as they were; one
// that is killed there is finished, or taken back, by the next. Taking it out is
// the same.
func TestManagersWrittenAllOrNothing(t *testing.T) {
	long(t)
	sideBySide(t)
	for _, what := range []string{"ENOSPC", "kill"} {
		for _, verb := range []string{"install", "uninstall"} {
			t.Run(what+" "+verb, func(t *testing.T) {
				t.Parallel()
				for step := 1; ; step++ {
					if thinned(step, 20) {
						continue
					}
					r := newRepo(t)
					r.formation("agent")
					r.husky(9)
					r.executable(".husky/pre-commit", "echo test\n")
					without := r.filesIn(".husky")
					r.mustMuxi("hooks", "install", "--write")
					with := r.filesIn(".husky")
					before, args := with, []string{"hooks", "uninstall"}
					if verb == "install" {
						r.mustMuxi("hooks", "uninstall")
						before, args = without, []string{"hooks", "install", "--write"}
					}

					r.env = []string{fmt.Sprintf("TEST_FAULT=#%d=%s", step, what)}
					res := r.muxi(args...)
					r.env = nil
					if res.code == 0 {
						if step < 10 {
							t.Errorf("only %d steps were seen", step)
						}
						break
					}
					if what != "kill" {
						if res.code != 3 {
							t.Errorf("step %d: exit %d\n%s", step, res.code, res.err)
						}
						sameFiles(t, r.filesIn(".husky"), before)
					}
					r.mustMuxi("hooks", "uninstall")
					r.mustMuxi("sync") // as any command, it clears up behind the killed one
					sameFiles(t, r.filesIn(".husky"), without)
					r.mustMuxi("hooks", "install", "--write")
					r.mustMuxi("hooks", "status")
					r.mustMuxi("hooks", "uninstall")
					sameFiles(t, r.filesIn(".husky"), without)
					if t.Failed() {
						t.Fatalf("at step %d", step)
					}
					if testing.Short() {
						break
					}
				}
			})
		}
	}
}
