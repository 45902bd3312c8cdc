//go:build unix

package commands_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/hooks"
)

// filesIn is everything below a folder of a repository: mode and bytes, or
// mode and target, by path.
func (r *repo) filesIn(dir string) map[string]string {
	r.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(r.path(dir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			content, err = os.Readlink(path)
		} else {
			var data []byte
			data, err = os.ReadFile(path)
			content = string(data)
		}
		found[strings.TrimPrefix(path, r.path(dir)+"/")] = info.Mode().String() + " " + content
		return err
	})
	must(r, err)
	return found
}

func sameFiles(t testing.TB, got, want map[string]string) {
	t.Helper()
	for path := range want {
		if got[path] != want[path] {
			t.Errorf("%s is %.80q, was %.80q", path, got[path], want[path])
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("%s is new", path)
		}
	}
}

func (r *repo) hook(path, body string) {
	r.Helper()
	r.write(path, "#!/bin/sh\n"+body)
	must(r, os.Chmod(r.path(path), 0o755))
}

// A hook that was there runs first, with its arguments, its input and its say.
func TestHookKeptRunsFirst(t *testing.T) {
	sideBySide(t)
	r := withRemote(t)
	r.remove(".git/hooks")
	log := r.path("../log")
	for _, name := range hooks.Names(false) {
		r.hook(".git/hooks/"+name, fmt.Sprintf("{ echo '%s' $# \"$@\"; case %s in pre-push) cat;; esac; } >>'%s'\n", name, name, log))
	}
	r.mustMuxi("hooks", "install")
	r.stage("a.txt", clean)
	r.git("commit", "-qm", "x")
	r.git("push", "-q", "origin", "main")
	want := fmt.Sprintf("pre-commit 0\ncommit-msg 1 .git/COMMIT_EDITMSG\npre-push 2 origin ../remote.git\nrefs/heads/main %s refs/heads/main %s\n",
		r.head(), r.git("rev-parse", "main~1"))
	if got := r.read("../log"); got != want {
		t.Errorf("the hooks saw\n%s\nwant\n%s", got, want)
	}
	t.Run("stops", func(t *testing.T) {
		for _, name := range []string{"pre-commit", "commit-msg", "pre-push"} {
			r.hook(".git/hooks/"+name+".before-muxi-secrets", "echo no from "+name+" >&2; exit 7\n")
			r.stage("a.txt", name)
			res := r.try("commit", "-qm", name)
			if name == "pre-push" {
				res = r.try("push", "-q", "origin", "main")
			}
			if res.code == 0 || !strings.Contains(res.err, "no from "+name) || strings.Contains(res.err, "git muxi-secrets") {
				t.Errorf("%s: exit %d\n%s", name, res.code, res.err)
			}
			r.hook(".git/hooks/"+name+".before-muxi-secrets", "exit 0\n")
		}
	})
	t.Run("ours stops too", func(t *testing.T) {
		r.stage("a.txt", leak)
		if res := r.try("commit", "-qm", "x"); res.code == 0 {
			t.Error("the leak is committed")
		}
		r.save("x")
		if res := r.try("push", "-q", "origin", "main"); res.code == 0 {
			t.Error("the leak is pushed")
		}
	})
	t.Run("not executable: git would pass it over", func(t *testing.T) {
		r.hook(".git/hooks/pre-commit.before-muxi-secrets", "exit 9\n")
		must(t, os.Chmod(r.path(".git/hooks/pre-commit.before-muxi-secrets"), 0o644))
		r.stage("a.txt", clean)
		r.git("commit", "-qm", "x")
	})
	t.Run("reads no input", func(t *testing.T) {
		r.hook(".git/hooks/pre-push.before-muxi-secrets", "exit 0\n")
		for i := range 300 {
			r.git("update-ref", fmt.Sprintf("refs/heads/many/%d", i), "HEAD")
		}
		r.stage("notes.txt", leak)
		r.save("leak")
		r.git("update-ref", "refs/heads/zzz", "HEAD")
		if res := r.try("push", "-q", "origin", "refs/heads/*:refs/heads/*"); res.code == 0 || !strings.Contains(res.err, "notes.txt:1:8") {
			t.Errorf("exit %d\n%s", res.code, res.err)
		}
	})
}

// Installing and uninstalling leaves the folder byte for byte as it was.
func TestHooksUninstallRestores(t *testing.T) {
	sideBySide(t)
	for _, tt := range sample([]struct {
		name string
		make func(r *repo)
	}{
		{"empty", func(r *repo) { r.remove(".git/hooks"); must(r, os.Mkdir(r.path(".git/hooks"), 0o755)) }},
		{"samples", func(r *repo) {}},
		{"script", func(r *repo) { r.hook(".git/hooks/pre-commit", "exit 0\n") }},
		{"mode", func(r *repo) {
			r.hook(".git/hooks/pre-commit", "exit 0\n")
			must(r, os.Chmod(r.path(".git/hooks/pre-commit"), 0o750))
		}},
		{"not executable", func(r *repo) { r.write(".git/hooks/pre-push", "a\r\nb\x00\xff") }},
		{"empty file", func(r *repo) { r.write(".git/hooks/commit-msg", "") }},
		{"binary", func(r *repo) { r.write(".git/hooks/commit-msg", "\x7fELF"+strings.Repeat("\x00\n\xff", 1000)) }},
		{"links", func(r *repo) {
			r.hook("tools/hook", "exit 0\n")
			must(r, os.Symlink("../../tools/hook", r.path(".git/hooks/pre-commit")))
			must(r, os.Symlink(r.path("tools/hook"), r.path(".git/hooks/pre-push")))
			must(r, os.Symlink("nowhere", r.path(".git/hooks/commit-msg")))
		}},
		{"all, and others", func(r *repo) {
			for _, name := range append(hooks.All(false), "post-commit", "prepare-commit-msg") {
				r.hook(".git/hooks/"+name, "echo "+name+"\n")
			}
		}},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			tt.make(r)
			before := r.filesIn(".git/hooks")
			r.mustMuxi("hooks", "install")
			installed := r.filesIn(".git/hooks")
			if res := r.muxi("hooks", "status"); res.code != 0 {
				t.Errorf("hooks status: exit %d\n%s", res.code, res.out)
			}
			r.mustMuxi("hooks", "install")
			sameFiles(t, r.filesIn(".git/hooks"), installed)
			// An older text of ours is brought up to date, and keeps its place.
			for _, name := range hooks.All(false) {
				r.hook(".git/hooks/"+name, "# git-muxi-secrets hook v0: "+name+"\nexit 0\n")
			}
			if res := r.muxi("hooks", "status"); res.code != 1 || !strings.Contains(res.out, "outdated") {
				t.Errorf("hooks status with older hooks: exit %d\n%s", res.code, res.out)
			}
			r.mustMuxi("hooks", "install")
			sameFiles(t, r.filesIn(".git/hooks"), installed)
			must(t, os.Chmod(r.path(".git/hooks/pre-push"), 0o644))
			r.mustMuxi("hooks", "install")
			sameFiles(t, r.filesIn(".git/hooks"), installed)
			r.mustMuxi("hooks", "uninstall")
			sameFiles(t, r.filesIn(".git/hooks"), before)
			r.mustMuxi("hooks", "uninstall")
			sameFiles(t, r.filesIn(".git/hooks"), before)
			if res := r.muxi("hooks", "status"); res.code != 1 {
				t.Errorf("hooks status without hooks: exit %d", res.code)
			}
			// One removed by hand, as the hook itself advises, is no trap.
			r.mustMuxi("hooks", "install")
			r.remove(".git/hooks/pre-commit")
			r.mustMuxi("hooks", "uninstall")
			sameFiles(t, r.filesIn(".git/hooks"), before)
		})
	}
}

// An installation that fails at any step leaves no hook changed; one that is
// killed there is finished by the next.
func TestHooksInstallIsAllOrNothing(t *testing.T) {
	sideBySide(t)
	for _, what := range []string{"ENOSPC", "kill"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for step := 1; ; step++ {
				if thinned(step, 30) {
					continue
				}
				r := newRepo(t)
				r.remove(".git/hooks")
				r.hook(".git/hooks/pre-commit", "exit 0\n")
				must(t, os.Symlink("pre-commit", r.path(".git/hooks/pre-push")))
				r.hook(".git/hooks/commit-msg", "# git-muxi-secrets hook v0: commit-msg\nexit 0\n")
				must(t, os.Chmod(r.path(".git/hooks/commit-msg"), 0o700))
				before := r.filesIn(".git/hooks")
				r.env = []string{fmt.Sprintf("TEST_FAULT=#%d=%s", step, what)}
				res := r.muxi("hooks", "install")
				r.env = nil
				if res.code == 0 {
					if step < 15 {
						t.Errorf("only %d steps were seen", step)
					}
					break
				}
				if what != "kill" {
					if res.code != 3 {
						t.Errorf("step %d: exit %d\n%s", step, res.code, res.err)
					}
					sameFiles(t, r.filesIn(".git/hooks"), before)
				}
				if t.Failed() {
					t.Fatalf("at step %d", step)
				}
				r.mustMuxi("hooks", "install")
				if status := r.mustMuxi("hooks", "status"); strings.Count(status, "installed") != 5 {
					t.Fatalf("after step %d:\n%s", step, status)
				}
				r.mustMuxi("hooks", "uninstall")
				after := r.filesIn(".git/hooks")
				delete(before, "commit-msg") // ours
				for path := range after {
					if strings.HasPrefix(path, ".muxi-secrets-tmp-") && what == "kill" {
						delete(after, path)
					}
				}
				sameFiles(t, after, before)
				if testing.Short() {
					break
				}
			}
		})
	}
}

// A later hook in our place, while one from before is still kept: nothing is lost.
func TestHooksInstallKeepsBoth(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.hook(".git/hooks/pre-commit", "echo first\n")
	r.mustMuxi("hooks", "install")
	r.hook(".git/hooks/pre-commit", "echo second\n")
	before := r.filesIn(".git/hooks")
	res := r.muxi("hooks", "install")
	if res.code != 3 || !strings.Contains(res.err, "pre-commit.before-muxi-secrets") {
		t.Errorf("exit %d\n%s", res.code, res.err)
	}
	sameFiles(t, r.filesIn(".git/hooks"), before)
}

// A hook whose program is gone stops git, and says how to install it, skip it
// and remove it.
func TestHookWithoutProgram(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	for _, name := range append(hooks.Names(false), hooks.Names(true)...) {
		r.write(".git/hooks/"+name, hooks.Script(name, "/nowhere/git-muxi-secrets"))
		must(t, os.Chmod(r.path(".git/hooks/"+name), 0o755))
	}
	r.env = []string{"PATH=" + pathWithout(t, "git-muxi-secrets")}
	r.stage("a.txt", clean)
	res := r.try("commit", "-qm", "x")
	for _, want := range []string{
		"git muxi-secrets: error: ", "not on PATH", "go install github.com/muxi-ai/git-muxi-secrets@latest",
		"git commit --no-verify\n", "rm '" + r.path(".git/hooks/pre-commit") + "'\n",
	} {
		if res.code == 0 || !strings.Contains(res.err, want) {
			t.Errorf("exit %d, without %q\n%s", res.code, want, res.err)
		}
	}
	// The way out can be typed from any folder, whatever the name of this one.
	odd := r.at("../it's a \"repo\"")
	r.git("init", "-q", odd.dir)
	odd.write("below/.git-hook", hooks.Script("pre-commit", "/nowhere/git-muxi-secrets"))
	odd.executable(".git/hooks/pre-commit", odd.read("below/.git-hook"))
	said := odd.at("below").try("commit", "-qm", "x", "--allow-empty").err
	_, command, _ := strings.Cut(said, "remove the hook: ")
	command, _, _ = strings.Cut(command, "\n")
	if res := r.run("", "sh", "-c", command); res.code != 0 {
		t.Errorf("%q: exit %d\n%s", command, res.code, res.err)
	}
	if _, err := os.Stat(odd.path(".git/hooks/pre-commit")); err == nil {
		t.Errorf("%q leaves the hook", command)
	}

	r.write(".git/hooks/pre-commit.before-muxi-secrets", "")
	if res := r.try("commit", "-qm", "x"); !strings.Contains(res.err, "mv '"+r.path(".git/hooks/pre-commit.before-muxi-secrets")+"' '"+r.path(".git/hooks/pre-commit")+"'\n") {
		t.Errorf("it does not speak of the hook before it\n%s", res.err)
	}
	r.git("commit", "-q", "--no-verify", "-m", "x")
	r.git("init", "-q", "--bare", "../remote.git")
	if res := r.try("push", "-q", "../remote.git", "main"); res.code == 0 || !strings.Contains(res.err, "git push --no-verify") {
		t.Errorf("push: exit %d\n%s", res.code, res.err)
	}
	must(t, os.WriteFile(r.path("../remote.git/hooks/pre-receive"), []byte(hooks.Script("pre-receive", "/nowhere/x")), 0o755))
	if res := r.try("push", "-q", "--no-verify", "../remote.git", "main"); res.code == 0 || strings.Contains(res.err, "--no-verify") {
		t.Errorf("pre-receive: exit %d\n%s", res.code, res.err)
	}

	// A graphical client's PATH is short: the program that installed is tried.
	self, err := os.Executable()
	must(t, err)
	link := filepath.Join(t.TempDir(), "it's here")
	must(t, os.Symlink(self, link))
	r.write(".git/hooks/pre-commit", hooks.Script("pre-commit", link))
	r.remove(".git/hooks/commit-msg")
	r.stage("a.txt", leak)
	if res := r.try("commit", "-qm", "y"); res.code == 0 || !strings.Contains(res.err, "[plaintext-key]") {
		t.Errorf("by its own path: exit %d\n%s", res.code, res.err)
	}
}

// pathWithout is a PATH with everything but one program.
func pathWithout(t testing.TB, program string) string {
	t.Helper()
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			dirs = append(dirs, dir)
		}
	}
	return strings.Join(dirs, string(filepath.ListSeparator))
}

// Where somebody else keeps the hooks nothing is written, what to add is
// printed, and what is printed works.
func TestHooksOfOthers(t *testing.T) {
	sideBySide(t)
	everyone := t.TempDir()
	for _, tt := range sample([]struct {
		name    string
		make    func(r *repo)
		folders []string
		says    []string
	}{
		{"husky 9", func(r *repo) {
			r.hook(".husky/pre-commit", "npm test\n")
			r.hook(".husky/_/pre-commit", ". \"$(dirname \"$0\")/h\"\n")
			r.write(".husky/_/.gitignore", "*")
			r.git("config", "core.hooksPath", ".husky/_")
		}, []string{".husky", ".git/hooks"}, []string{".husky/pre-commit", "git muxi-secrets hook-run pre-push \"$@\""}},
		{"husky, not installed yet", func(r *repo) { r.hook(".husky/pre-commit", "npm test\n") },
			[]string{".husky", ".git/hooks"}, []string{".husky/commit-msg"}},
		{"lefthook", func(r *repo) {
			r.write("lefthook.yml", "pre-commit:\n  commands: {}\n")
			r.hook(".git/hooks/pre-commit", "call_lefthook() { lefthook \"$@\"; }\ncall_lefthook run pre-commit \"$@\"\n")
		}, []string{".git/hooks"}, []string{"lefthook.yml", "run: git muxi-secrets hook-run commit-msg {1}", "use_stdin: true"}},
		{"lefthook, not installed yet", func(r *repo) { r.write(".lefthook.toml", "") },
			[]string{".git/hooks"}, []string{"lefthook install"}},
		{"pre-commit", func(r *repo) {
			r.write(".pre-commit-config.yaml", "repos: []\n")
			r.write(".git/hooks/pre-commit", "#!/usr/bin/env bash\n# File generated by pre-commit: https://pre-commit.com\n")
		}, []string{".git/hooks"}, []string{".pre-commit-config.yaml", "entry: git-muxi-secrets hook-run pre-commit", "pre-commit install"}},
		{"global core.hooksPath", func(r *repo) {
			config := r.path("../config")
			must(r, os.WriteFile(config, []byte("[core]\n\thooksPath = "+everyone+"\n"), 0o644))
			r.env = []string{"GIT_CONFIG_GLOBAL=" + config}
		}, []string{".git/hooks", everyone}, []string{"git muxi-secrets hook-run"}},
		{"core.hooksPath elsewhere", func(r *repo) { r.git("config", "core.hooksPath", everyone) },
			[]string{".git/hooks", everyone}, []string{"git muxi-secrets hook-run"}},
		{"a link to a folder elsewhere", func(r *repo) {
			r.remove(".git/hooks")
			must(r, os.Symlink(everyone, r.path(".git/hooks")))
		}, []string{everyone}, []string{"git muxi-secrets hook-run"}},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			tt.make(r)
			var before []map[string]string
			for _, dir := range tt.folders {
				before = append(before, r.filesIn(dir))
			}
			res := r.muxi("hooks", "install")
			if res.code != 1 || !strings.Contains(res.err, "nothing was changed") {
				t.Errorf("exit %d\n%s", res.code, res.err)
			}
			for _, want := range tt.says {
				if !strings.Contains(res.out, want) {
					t.Errorf("it does not say %q\n%s", want, res.out)
				}
			}
			if res := r.muxi("hooks", "status"); res.code != 1 {
				t.Errorf("hooks status: exit %d\n%s%s", res.code, res.out, res.err)
			}
			r.write("agent/formation.afs", "id: agent\n")
			if res := r.at("agent").muxi("init"); res.code != 0 || !strings.Contains(res.err, "hooks install") {
				t.Errorf("init: exit %d\n%s", res.code, res.err)
			}
			for i, dir := range tt.folders {
				sameFiles(t, r.filesIn(dir), before[i])
			}
		})
	}
}

// Once the snippet is where it belongs, status says so.
func TestHooksManagedByOthers(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	for _, name := range hooks.Names(false) {
		r.hook(".husky/"+name, "git muxi-secrets hook-run "+name+" \"$@\"\n")
		r.hook(".husky/_/"+name, ". ./h\n")
	}
	r.git("config", "core.hooksPath", ".husky/_")
	for range 2 {
		var status struct{ Hooks []hooks.Hook }
		res := r.muxi("hooks", "status", "--json")
		must(t, json.Unmarshal([]byte(res.out), &status))
		if res.code != 0 || len(status.Hooks) != 5 || slices.ContainsFunc(status.Hooks, func(h hooks.Hook) bool { return h.State != hooks.Managed && !h.Note }) {
			t.Errorf("exit %d: %+v", res.code, status)
		}
		if res := r.muxi("hooks", "install"); res.code != 0 {
			t.Errorf("hooks install: exit %d\n%s", res.code, res.err)
		}
	}
}

// The hooks of a repository are one set, from wherever they are installed.
func TestHooksInstallPlaces(t *testing.T) {
	sideBySide(t)
	t.Run("linked worktree", func(t *testing.T) {
		r := newRepo(t)
		r.stage("a.txt", clean)
		r.save("a")
		r.git("worktree", "add", "-q", "../linked")
		r.at("../linked").mustMuxi("hooks", "install")
		if got := r.mustMuxi("hooks", "status"); strings.Count(got, "installed") != 5 {
			t.Errorf("in the main work tree:\n%s", got)
		}
		r.mustMuxi("hooks", "uninstall")
		if res := r.at("../linked").muxi("hooks", "status"); res.code != 1 {
			t.Errorf("in the linked one: exit %d", res.code)
		}
	})
	t.Run("submodule", func(t *testing.T) {
		r := newRepo(t)
		sub := inSubmodule(r)
		if res := r.muxi("hooks", "status"); res.code != 1 {
			t.Errorf("the outer repository has them too: exit %d", res.code)
		}
		if _, err := os.Stat(r.path(".git/modules/module/hooks/pre-commit")); err != nil {
			t.Error(err)
		}
		sub.mustMuxi("hooks", "uninstall")
	})
	t.Run("subfolder", func(t *testing.T) {
		r := newRepo(t)
		r.write("a/b/c", "")
		r.at("a/b").mustMuxi("hooks", "install")
		r.mustMuxi("hooks", "status")
	})
	t.Run("name with spaces and quotes", func(t *testing.T) {
		r := newRepo(t)
		r.git("init", "-q", "../it's a \"repo\"")
		odd := r.at("../it's a \"repo\"")
		odd.hook(".git/hooks/pre-commit", "echo kept >&2\n")
		odd.mustMuxi("hooks", "install")
		odd.stage("a.txt", leak)
		if res := odd.try("commit", "-qm", "x"); res.code == 0 || !strings.Contains(res.err, "kept\n") {
			t.Errorf("exit %d\n%s", res.code, res.err)
		}
	})
	t.Run("bare", func(t *testing.T) {
		r := newRepo(t, "--bare")
		if res := r.muxi("hooks", "install"); res.code != 2 || !strings.Contains(res.err, "--server") {
			t.Errorf("exit %d\n%s", res.code, res.err)
		}
		r.hook("hooks/pre-receive", "cat >/dev/null\n")
		before := r.filesIn("hooks")
		r.mustMuxi("hooks", "install", "--server")
		r.mustMuxi("hooks", "status", "--server")
		r.mustMuxi("hooks", "uninstall", "--server")
		sameFiles(t, r.filesIn("hooks"), before)
	})
	t.Run("no repository", func(t *testing.T) {
		r := &repo{TB: t, dir: t.TempDir()}
		for _, verb := range []string{"install", "uninstall", "status"} {
			if res := r.muxi("hooks", verb); res.code != 2 {
				t.Errorf("%s: exit %d\n%s", verb, res.code, res.err)
			}
		}
	})
	t.Run("no folder to write to", func(t *testing.T) {
		r := newRepo(t)
		must(t, os.RemoveAll(r.path(".git/hooks")))
		r.write(".git/hooks", "in the way")
		if res := r.muxi("hooks", "install"); res.code != 3 {
			t.Errorf("exit %d\n%s", res.code, res.err)
		}
	})
}

// The text of a hook is POSIX shell.
func TestHookScriptsAreShell(t *testing.T) {
	for _, name := range append(hooks.All(false), hooks.All(true)...) {
		cmd := exec.Command("sh", "-n")
		cmd.Stdin = strings.NewReader(hooks.Script(name, "/a b'c/git-muxi-secrets"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
