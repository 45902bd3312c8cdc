//go:build unix

package commands_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withRemote is a repository with our hooks and a bare remote that has its
// first commit.
func withRemote(t testing.TB) *repo {
	t.Helper()
	r := newRepo(t)
	r.git("init", "-q", "--bare", "../remote.git")
	r.git("remote", "add", "origin", "../remote.git")
	r.stage("base.txt", "base\n")
	r.save("base")
	r.git("push", "-q", "origin", "main")
	r.mustMuxi("hooks", "install")
	return r
}

func refsOf(r *repo) string { return r.at("../remote.git").try("show-ref").out }

// What the commit hook never saw is caught before it is pushed, and in a pull
// request.
func TestWhatNoCommitHookSaw(t *testing.T) {
	isolateProcess(t)
	leaky := func(r *repo) string { // on a branch of its own
		r.git("checkout", "-qb", "side")
		r.stage("notes.txt", leak)
		r.save("leaky")
		r.git("checkout", "-q", "main")
		return "side"
	}
	for _, tt := range sample([]struct {
		name string
		make func(r *repo)
		path string // notes.txt if empty
	}{
		{name: "--no-verify", make: func(r *repo) { r.stage("notes.txt", leak); r.save("leaky") }},
		{name: "cherry-pick", make: func(r *repo) { r.git("cherry-pick", leaky(r)) }},
		{name: "rebase", make: func(r *repo) {
			leaky(r)
			r.stage("main.txt", "main\n")
			r.save("main")
			r.git("checkout", "-q", "side")
			r.git("rebase", "-q", "main")
		}},
		{name: "am", make: func(r *repo) {
			leaky(r)
			r.git("format-patch", "-q", "-o", "..", "main..side")
			r.git("am", "-q", "../0001-leaky.patch")
		}},
		{name: "fast-forward", make: func(r *repo) { leaky(r); r.git("merge", "-q", "--ff-only", "side") }},
		{name: "added and removed again", make: func(r *repo) {
			r.stage("notes.txt", leak)
			r.save("leaky")
			r.git("rm", "-q", "notes.txt")
			r.save("gone")
		}},
		{name: "in a merge commit alone", make: func(r *repo) {
			r.git("checkout", "-qb", "side")
			r.stage("side.txt", "side\n")
			r.save("side")
			r.git("checkout", "-q", "main")
			r.stage("main.txt", "main\n")
			r.save("main")
			r.git("merge", "-q", "--no-commit", "--no-ff", "side")
			r.stage("notes.txt", leak)
			r.save("evil merge")
		}},
		{name: "octopus", make: func(r *repo) {
			for _, side := range []string{"one", "two"} {
				r.git("checkout", "-qb", side, "main")
				r.stage(side+".txt", side)
				if side == "two" {
					r.stage("notes.txt", leak)
				}
				r.save(side)
			}
			r.git("checkout", "-q", "main")
			r.git("merge", "-q", "--no-verify", "one", "two", "-m", "octopus")
		}},
		{name: "commit-tree", make: func(r *repo) {
			r.stage("notes.txt", leak)
			commit := r.git("commit-tree", r.git("write-tree"), "-p", "HEAD", "-m", "by hand")
			r.git("reset", "-q", "--hard", commit)
		}},
		{name: "fast-import", make: func(r *repo) {
			text := fmt.Sprintf("commit refs/heads/main\ncommitter T <t@example.com> 1700000000 +0000\ndata 1\nx\nfrom %s\nM 644 inline notes.txt\ndata %d\n%s\n", r.head(), len(leak), leak)
			if res := r.run(text, "git", "fast-import", "--quiet"); res.code != 0 {
				r.Fatal(res.err)
			}
			r.git("reset", "-q", "--hard")
		}},
		{name: "hooks removed", make: func(r *repo) {
			r.remove(".git/hooks/pre-commit")
			r.stage("notes.txt", leak)
			r.git("commit", "-qm", "leaky")
		}},
		{name: "rename", path: "moved.txt", make: func(r *repo) {
			r.stage("notes.txt", leak)
			r.save("leaky")
			r.git("push", "-q", "--no-verify", "origin", "main")
			r.git("mv", "notes.txt", "moved.txt")
			r.save("moved")
		}},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := withRemote(t)
			tt.make(r)
			if tt.path == "" {
				tt.path = "notes.txt"
			}
			res := r.muxi("check", "--base", "origin/main")
			if res.code != 1 || !strings.Contains(res.out, tt.path+":1:8: error: ") || !strings.Contains(res.out, "(commit ") {
				t.Errorf("check --base: exit %d\n%s%s", res.code, res.out, res.err)
			}
			before := refsOf(r)
			res = r.try("push", "-q", "origin", "HEAD:refs/heads/main")
			if res.code == 0 || refsOf(r) != before {
				t.Errorf("push: exit %d\n%s", res.code, res.err)
			}
			for _, want := range []string{tt.path + ":1:8: error: ", "(commit ", "the push was stopped", "git muxi-secrets scrub'", "git push --no-verify"} {
				if !strings.Contains(res.err, want) {
					t.Errorf("push does not say %q:\n%s", want, res.err)
				}
			}
		})
	}
}

// A push is judged by what the remote lacks, no more and no less.
func TestPushIsJudgedByWhatTheRemoteLacks(t *testing.T) {
	sideBySide(t)
	add := func(r *repo, path, content string) { r.stage(path, content); r.save(path) }
	oldLeak := func(r *repo) { // which the remote has
		add(r, "old.txt", leak)
		r.git("push", "-q", "--no-verify", "origin", "main")
	}
	for _, tt := range sample([]struct {
		name  string
		make  func(r *repo)
		push  []string
		stops bool
	}{
		{name: "nothing new", push: []string{"origin", "main"}},
		{name: "clean", make: func(r *repo) { add(r, "a.txt", clean) }, push: []string{"origin", "main"}},
		{name: "on top of an old leak", make: func(r *repo) { oldLeak(r); add(r, "a.txt", clean) }, push: []string{"origin", "main"}},
		{name: "new branch on top of an old leak", make: func(r *repo) { oldLeak(r); add(r, "a.txt", clean) }, push: []string{"origin", "main:refs/heads/new"}},
		{name: "new branch", make: func(r *repo) { add(r, "a.txt", leak); add(r, "b.txt", clean) }, push: []string{"origin", "HEAD:refs/heads/new"}, stops: true},
		{name: "new branch at what is there", make: oldLeak, push: []string{"origin", "HEAD:refs/heads/new"}},
		{name: "force push of what is there", make: func(r *repo) { oldLeak(r); r.git("reset", "-q", "--hard", "HEAD~"); add(r, "a.txt", clean) }, push: []string{"--force", "origin", "main"}},
		{name: "force push", make: func(r *repo) { oldLeak(r); r.git("reset", "-q", "--hard", "HEAD~"); add(r, "a.txt", leak) }, push: []string{"--force", "origin", "main"}, stops: true},
		{name: "delete", make: func(r *repo) { r.git("push", "-q", "origin", "main:refs/heads/gone"); add(r, "a.txt", leak) }, push: []string{"origin", ":refs/heads/gone"}},
		{name: "delete and leak", make: func(r *repo) { r.git("push", "-q", "origin", "main:refs/heads/gone"); add(r, "a.txt", leak) }, push: []string{"origin", ":refs/heads/gone", "main"}, stops: true},
		{name: "tag", make: func(r *repo) { add(r, "a.txt", leak); r.git("tag", "v1"); r.git("reset", "-q", "--hard", "HEAD~") }, push: []string{"origin", "v1"}, stops: true},
		{name: "annotated tag", make: func(r *repo) {
			add(r, "a.txt", leak)
			r.git("tag", "-am", "v1", "v1")
			r.git("reset", "-q", "--hard", "HEAD~")
		}, push: []string{"origin", "v1"}, stops: true},
		{name: "tag of what is there", make: func(r *repo) { oldLeak(r); r.git("tag", "-am", "v1", "v1") }, push: []string{"origin", "v1"}},
		{name: "tag of a blob", make: func(r *repo) {
			r.git("tag", "blob", strings.TrimSpace(r.run(leak, "git", "hash-object", "-w", "--stdin").out))
		}, push: []string{"origin", "blob"}, stops: true},
		{name: "tag of a tree", make: func(r *repo) {
			r.stage("a.txt", leak)
			r.git("tag", "tree", r.git("write-tree"))
			r.git("reset", "-q", "--hard")
		}, push: []string{"origin", "tree"}, stops: true},
		{name: "message of an annotated tag", make: func(r *repo) { r.git("tag", "-am", leak, "v1") }, push: []string{"origin", "v1"}, stops: true},
		{name: "several, the last leaks", make: func(r *repo) {
			r.git("branch", "one")
			r.git("branch", "two")
			r.git("checkout", "-qb", "three")
			add(r, "a.txt", leak)
			r.git("checkout", "-q", "main")
		}, push: []string{"origin", "one", "two", "three"}, stops: true},
		{name: "several, none leaks", make: func(r *repo) { oldLeak(r); r.git("branch", "one"); add(r, "a.txt", clean); r.git("branch", "two") }, push: []string{"origin", "one", "two"}},
		{name: "one that is not checked out", make: func(r *repo) {
			r.git("checkout", "-qb", "side")
			add(r, "a.txt", leak)
			r.git("checkout", "-q", "main")
		}, push: []string{"origin", "side"}, stops: true},
		{name: "a leak that stays here", make: func(r *repo) {
			r.git("checkout", "-qb", "side")
			add(r, "a.txt", leak)
			r.git("checkout", "-q", "main")
			add(r, "b.txt", clean)
		}, push: []string{"origin", "main"}},
		{name: "by a name that is no remote", make: func(r *repo) { add(r, "a.txt", leak) }, push: []string{"../remote.git", "main"}, stops: true},
		{name: "remote with commits unknown here", make: func(r *repo) {
			r.git("clone", "-q", "../remote.git", "../other")
			other := r.at("../other")
			add(other, "theirs.txt", clean)
			other.git("push", "-q", "origin", "main")
			add(r, "a.txt", leak)
		}, push: []string{"--force", "origin", "main"}, stops: true},
		{name: "unrelated history", make: func(r *repo) {
			r.git("checkout", "-q", "--orphan", "new")
			add(r, "a.txt", leak)
		}, push: []string{"origin", "new"}, stops: true},
		{name: "--mirror", make: func(r *repo) {
			r.git("checkout", "-qb", "side")
			add(r, "a.txt", leak)
			r.git("checkout", "-q", "main")
		}, push: []string{"--mirror", "origin"}, stops: true},
		{name: "--all from a subfolder of a worktree", make: func(r *repo) {
			r.git("checkout", "-qb", "side")
			add(r, "a.txt", leak)
			r.git("checkout", "-q", "main")
		}, push: []string{"--all", "origin"}, stops: true},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := withRemote(t)
			if tt.make != nil {
				tt.make(r)
			}
			before := refsOf(r)
			res := r.try(append([]string{"push", "-q"}, tt.push...)...)
			if stopped := res.code != 0; stopped != tt.stops {
				t.Fatalf("stopped: %v\n%s", stopped, res.err)
			}
			if tt.stops && refsOf(r) != before {
				t.Error("the remote has changed")
			}
			if tt.stops && !strings.Contains(res.err, "[plaintext-key]") {
				t.Errorf("it does not say why:\n%s", res.err)
			}
			if !tt.stops && strings.Contains(res.err, "git muxi-secrets") {
				t.Errorf("a push that may go says\n%s", res.err)
			}
		})
	}
}

// A server's hook sees what is still in quarantine.
func TestServerRefuses(t *testing.T) {
	sideBySide(t)
	for _, tt := range sample([]struct {
		name  string
		make  func(r *repo)
		push  []string
		stops bool
	}{
		{name: "clean", make: func(r *repo) { r.stage("a.txt", clean); r.save("clean") }, push: []string{"main"}},
		{name: "leak", make: func(r *repo) { r.stage("a.txt", leak); r.save("leak") }, push: []string{"main"}, stops: true},
		{name: "leak that is gone again", make: func(r *repo) {
			r.stage("a.txt", leak)
			r.save("leak")
			r.git("rm", "-q", "a.txt")
			r.save("gone")
		}, push: []string{"main"}, stops: true},
		{name: "leak on a new branch", make: func(r *repo) { r.stage("a.txt", leak); r.save("leak") }, push: []string{"main:refs/heads/new"}, stops: true},
		{name: "delete", make: func(r *repo) { r.git("push", "-q", "origin", "main:refs/heads/gone") }, push: []string{":refs/heads/gone"}},
		{name: "key in a message", make: func(r *repo) { r.stage("a.txt", clean); r.save(leak) }, push: []string{"main"}, stops: true},
		{name: "annotated tag", make: func(r *repo) { r.stage("a.txt", leak); r.save("leak"); r.git("tag", "-am", "v", "v") }, push: []string{"v"}, stops: true},
		{name: "tag of a blob", make: func(r *repo) {
			r.git("tag", "blob", strings.TrimSpace(r.run(leak, "git", "hash-object", "-w", "--stdin").out))
		}, push: []string{"blob"}, stops: true},
		{name: "settings that are pushed along", make: func(r *repo) {
			r.stage(".muxi-secrets.yaml", "allow:\n  - path: a.txt\n")
			r.stage("a.txt", leak)
			r.save("allowed")
		}, push: []string{"main"}, stops: true},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := withRemote(t)
			must(t, os.RemoveAll(r.path(".git/hooks")))
			server := r.at("../remote.git")
			server.mustMuxi("hooks", "install", "--server")
			if res := server.muxi("hooks", "status", "--server"); res.code != 0 {
				t.Errorf("hooks status --server: exit %d\n%s", res.code, res.out)
			}
			tt.make(r)
			before := refsOf(r)
			res := r.try(append([]string{"push", "-q", "origin"}, tt.push...)...)
			if stopped := res.code != 0; stopped != tt.stops {
				t.Fatalf("stopped: %v\n%s", stopped, res.err)
			}
			if tt.stops && (refsOf(r) != before || !strings.Contains(res.err, "[plaintext-key]") || strings.Contains(res.err, "--no-verify")) {
				t.Errorf("the server took it, or does not say why, or names a way around it:\n%s", res.err)
			}
		})
	}
}

// The first push to a server without any commit.
func TestServerRefusesFirstPush(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.git("init", "-q", "--bare", "../remote.git")
	r.at("../remote.git").mustMuxi("hooks", "install", "--server")
	r.stage("a.txt", leak)
	r.save("leak")
	if res := r.try("push", "-q", "../remote.git", "main"); res.code == 0 || !strings.Contains(res.err, "[plaintext-key]") {
		t.Errorf("exit %d\n%s", res.code, res.err)
	}
	r.stage("a.txt", clean)
	r.git("commit", "-q", "--amend", "-m", "clean")
	if res := r.try("push", "-q", "../remote.git", "main"); res.code != 0 {
		t.Errorf("exit %d\n%s", res.code, res.err)
	}
	if entries, _ := filepath.Glob(r.path("../remote.git/objects/tmp_objdir-*")); len(entries) > 0 {
		t.Error("quarantine is left behind")
	}
}
