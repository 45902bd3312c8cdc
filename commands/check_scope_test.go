//go:build unix

package commands_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// checked is what check --format json says.
type checked struct {
	Checked struct {
		Files, Commits int
		Skipped        []struct{ Path, Reason string }
	}
	Findings []checkedFinding
}

type checkedFinding struct {
	Rule, Severity, Path, Commit, Secret, Message, Fingerprint string
	Line, Column                                               int
}

// places are the findings as "rule path:line:column secret", sorted.
func (c checked) places() []string {
	var list []string
	for _, f := range c.Findings {
		list = append(list, strings.TrimSuffix(fmt.Sprintf("%s %s:%d:%d %s", f.Rule, f.Path, f.Line, f.Column, f.Secret), " "))
	}
	slices.Sort(list)
	return list
}

func (r *repo) check(args ...string) (checked, result) {
	r.Helper()
	res := r.muxi(append([]string{"check", "--format", "json"}, args...)...)
	var c checked
	if res.code < 2 {
		if err := json.Unmarshal([]byte(res.out), &c); err != nil {
			r.Fatalf("check %v: exit %d, no JSON: %v\n%s%s", args, res.code, err, res.out, res.err)
		}
	}
	return c, res
}

// finds checks what a check comes to: its exit code and its findings' places.
func (r *repo) finds(code int, want []string, args ...string) checked {
	r.Helper()
	c, res := r.check(args...)
	if res.code != code {
		r.Errorf("check %v: exit %d, want %d\n%s%s", args, res.code, code, res.out, res.err)
	}
	slices.Sort(want)
	if got := c.places(); !slices.Equal(got, want) {
		r.Errorf("check %v found\n  %s\nwant\n  %s", args, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return c
}

// leaky is a repository with a leak in its past, one staged, one on disk alone
// and one that git ignores.
func leaky(t testing.TB) *repo {
	r := newRepo(t)
	r.stage(".gitignore", "ignored.txt\n")
	r.stage("base.txt", "base\n")
	r.save("base")
	r.git("branch", "origin")
	r.stage("past.txt", "\n"+leak)
	r.save("leaky")
	r.stage("past.txt", clean)
	r.save("clean again")
	r.stage("sub/staged.txt", leak)
	r.write("sub/staged.txt", clean)
	r.write("untracked.txt", leak)
	r.write("ignored.txt", leak)
	return r
}

// Every scope sees what it is for, from every folder, and with go-git where
// there is no git.
func TestCheckScopes(t *testing.T) {
	sideBySide(t)
	r := leaky(t)
	past := []string{"plaintext-key past.txt:2:8"}
	scopes := []struct {
		args           []string
		want           []string
		files, commits int
	}{
		{nil, []string{"plaintext-key untracked.txt:1:8"}, 5, 0},
		{[]string{"--staged"}, []string{"plaintext-key sub/staged.txt:1:8"}, 1, 0},
		{[]string{"--base", "origin"}, past, 2, 2},
		{[]string{"--range", "origin..HEAD"}, past, 2, 2},
		{[]string{"--range", "HEAD~1..HEAD"}, nil, 1, 1},
		{[]string{"--range", "origin.."}, past, 2, 2},
		{[]string{"--history"}, past, 4, 3},
	}
	short := filepath.Join(t.TempDir(), "bin")
	must(t, os.Mkdir(short, 0o755))
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, filepath.Join(short, "git-muxi-secrets")))
	for _, backend := range []string{"git", "go-git"} {
		for _, scope := range scopes {
			t.Run(backend+" "+strings.Join(scope.args, " "), func(t *testing.T) {
				t.Parallel()
				in := &repo{TB: t, dir: r.dir}
				program := "git-muxi-secrets"
				if backend == "go-git" {
					in.env = []string{"PATH=" + short}
					program = filepath.Join(short, program)
				}
				var outputs []string
				for _, dir := range []string{".", "sub"} {
					res := in.at(dir).run("", program, append([]string{"check", "--format", "json"}, scope.args...)...)
					var c checked
					if err := json.Unmarshal([]byte(res.out), &c); err != nil {
						t.Fatalf("exit %d: %v\n%s", res.code, err, res.err)
					}
					code := 0
					if len(scope.want) > 0 {
						code = 1
					}
					if got := c.places(); res.code != code || !slices.Equal(got, scope.want) {
						t.Errorf("in %s: exit %d, %q, want %q", dir, res.code, got, scope.want)
					}
					if c.Checked.Files != scope.files || c.Checked.Commits != scope.commits {
						t.Errorf("in %s: %d files, %d commits, want %d, %d", dir, c.Checked.Files, c.Checked.Commits, scope.files, scope.commits)
					}
					summary := fmt.Sprintf("checked %d files, %d commits\n", scope.files, scope.commits)
					if !strings.Contains(res.err, summary) {
						t.Errorf("in %s: stderr lacks %q:\n%s", dir, summary, res.err)
					}
					outputs = append(outputs, res.out)
				}
				if outputs[0] != outputs[1] {
					t.Error("another folder, another report")
				}
			})
		}
	}
}

// The exit code says what happened, in every format.
func TestCheckExitCodes(t *testing.T) {
	sideBySide(t)
	r := leaky(t)
	warned := newRepo(t)
	warned.formation("agent", "USED=hunter2-hunter2")
	if res := warned.at("agent").run("other-value-2", "git-muxi-secrets", "add", "UNUSED", "--stdin"); res.code != 0 {
		t.Fatal(res.err)
	}
	empty := newRepo(t)
	nowhere := &repo{TB: t, dir: t.TempDir()}
	broken := newRepo(t)
	broken.write(".muxi-secrets.yaml", "allow: [\n")
	misspelt := newRepo(t)
	misspelt.write(".muxi-secrets.yaml", "allow:\n  - rule: plaintext-keys\n")
	command := newRepo(t)
	command.write(".muxi-secrets.yaml", "keyPullCommand: curl https://example.com\n")
	unknown := newRepo(t)
	unknown.write(".muxi-secrets.yaml", "alow: []\n")
	for _, tt := range sample([]struct {
		name string
		r    *repo
		args []string
		code int
		says string // on stderr
	}{
		{"found", r, nil, 1, "checked 5 files, 0 commits"},
		{"found, json", r, []string{"--format", "json"}, 1, ""},
		{"found, sarif", r, []string{"--format", "sarif"}, 1, ""},
		{"found, github", r, []string{"--format", "github"}, 1, ""},
		{"found, gitlab", r, []string{"--format=gitlab"}, 1, ""},
		{"found, to a file", r, []string{"--output", filepath.Join(t.TempDir(), "out")}, 1, ""},
		{"warning", warned, nil, 0, "found 0 errors, 1 warning"},
		{"warning, strict", warned, []string{"--strict"}, 1, ""},
		{"warning, strict, sarif", warned, []string{"--strict", "--format", "sarif"}, 1, ""},
		{"nothing", empty, nil, 0, "checked 0 files, 0 commits"},
		{"nothing staged", empty, []string{"--staged"}, 0, "checked 0 files, 0 commits"},
		{"no history", empty, []string{"--history"}, 0, "checked 0 files, 0 commits"},
		{"no base", empty, []string{"--base", "main"}, 2, "unknown revision"},
		{"two scopes", r, []string{"--staged", "--history"}, 2, "exclude each other"},
		{"two other scopes", r, []string{"--base", "origin", "--range", "a..b"}, 2, "exclude each other"},
		{"unknown format", r, []string{"--format", "xml"}, 2, "sarif"},
		{"unknown revision", r, []string{"--base", "no-such-branch"}, 2, "no-such-branch"},
		{"unknown revision of a range", r, []string{"--range", "nope..HEAD"}, 2, "nope"},
		{"no range", r, []string{"--range", "HEAD"}, 2, ""},
		{"empty base", r, []string{"--base", ""}, 2, ""},
		{"an option for a revision", r, []string{"--base", "--all"}, 2, ""},
		{"an option in a range", r, []string{"--range=--output=x..HEAD"}, 2, ""},
		{"an argument", r, []string{"agent"}, 2, ""},
		{"no repository", nowhere, nil, 2, "not in a git repository"},
		{"broken settings", broken, nil, 2, ".muxi-secrets.yaml"},
		{"broken settings, json", broken, []string{"--format", "json"}, 2, ".muxi-secrets.yaml"},
		{"unknown rule", misspelt, nil, 2, "plaintext-keys"},
		{"unknown setting", unknown, nil, 2, "alow"},
		{"a command", command, nil, 2, "git config"},
		{"no baseline", r, []string{"--baseline", "nowhere.json"}, 3, "nowhere.json"},
		{"no place for the output", r, []string{"--output", "no/such/folder/out"}, 3, ""},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := (&repo{TB: t, dir: tt.r.dir}).muxi(append([]string{"check"}, tt.args...)...)
			if res.code != tt.code || !strings.Contains(res.err, tt.says) {
				t.Errorf("exit %d, want %d and %q\n%s%s", res.code, tt.code, tt.says, res.out, res.err)
			}
			if tt.code >= 2 && !strings.Contains(res.err, "git muxi-secrets: error: ") {
				t.Errorf("no error is said:\n%s", res.err)
			}
		})
	}
}

// A clone that lacks part of what was asked for fails, and says how to get it.
func TestCheckClonesThatLackHistory(t *testing.T) {
	sideBySide(t)
	full := newRepo(t)
	full.stage("base.txt", "base\n")
	full.save("base")
	full.stage("past.txt", leak)
	full.save("leaky")
	full.stage("past.txt", clean)
	full.save("clean again")
	full.stage("now.txt", clean)
	full.save("now")
	full.git("config", "uploadpack.allowFilter", "true")
	url := "file://" + full.dir
	for _, tt := range sample([]struct {
		name  string
		clone []string
		more  func(r *repo)
		args  []string
		code  int
		says  string
	}{
		{"shallow, plain", []string{"--depth=1"}, nil, nil, 0, "checked 3 files"},
		{"shallow, staged", []string{"--depth=1"}, nil, []string{"--staged"}, 0, ""},
		{"shallow, history", []string{"--depth=1"}, nil, []string{"--history"}, 3, "fetch-depth: 0"},
		{"shallow, base", []string{"--depth=1"}, nil, []string{"--base", "HEAD~1"}, 3, "git fetch --unshallow"},
		{"shallow, range within", []string{"--depth=2"}, nil, []string{"--range", "HEAD~1..HEAD"}, 0, ""},
		{"shallow, unknown base", []string{"--depth=1"}, nil, []string{"--base", "origin/feature"}, 3, "fetch-depth: 0"},
		{"shallow, branches that meet beyond", []string{"--depth=1"}, func(r *repo) {
			full.git("branch", "-f", "side", "HEAD~3")
			r.git("fetch", "-q", "--depth=1", "origin", "side")
		}, []string{"--base", "FETCH_HEAD"}, 3, "GIT_DEPTH: 0"},
		{"partial, plain", []string{"--filter=blob:none"}, nil, nil, 0, ""},
		{"partial, staged", []string{"--filter=blob:none"}, nil, []string{"--staged"}, 0, ""},
		{"partial, history", []string{"--filter=blob:none"}, nil, []string{"--history"}, 3, "partial clone"},
		{"partial, without trees", []string{"--filter=tree:0"}, nil, []string{"--history"}, 3, "partial clone"},
		{"partial, base", []string{"--filter=blob:none"}, nil, []string{"--base", "HEAD~3"}, 3, "partial clone"},
		{"partial, base at hand", []string{"--filter=blob:none"}, nil, []string{"--base", "HEAD~1"}, 0, ""},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepo(t)
			r.git(append(append([]string{"clone", "-q"}, tt.clone...), url, "../clone")...)
			clone := r.at("../clone")
			if tt.more != nil {
				tt.more(clone)
			}
			objects := clone.git("count-objects", "-v")
			res := clone.muxi(append([]string{"check"}, tt.args...)...)
			if res.code != tt.code || !strings.Contains(res.err, tt.says) {
				t.Errorf("exit %d, want %d and %q\n%s%s", res.code, tt.code, tt.says, res.out, res.err)
			}
			if clone.git("count-objects", "-v") != objects {
				t.Error("something was fetched")
			}
		})
	}
	t.Run("shallow, push", func(t *testing.T) {
		r := newRepo(t)
		r.git("clone", "-q", "--depth=1", url, "../clone")
		clone := r.at("../clone")
		clone.mustMuxi("hooks", "install")
		clone.stage("more.txt", clean)
		clone.git("commit", "-qm", "more")
		clone.git("push", "-q", "origin", "HEAD:refs/heads/more")
		clone.stage("more.txt", leak)
		clone.save("leak")
		if res := clone.try("push", "-q", "origin", "HEAD:refs/heads/leak"); res.code == 0 {
			t.Error("a leak is pushed")
		}
	})
}

func TestCheckBareRepository(t *testing.T) {
	sideBySide(t)
	r := leaky(t)
	r.git("clone", "-q", "--bare", ".", "../bare.git")
	bare := r.at("../bare.git")
	want := []string{"plaintext-key past.txt:2:8"}
	bare.finds(1, want, "--history")
	bare.finds(1, want, "--range", "origin..main")
	bare.finds(1, want, "--base", "origin")
	if res := bare.muxi("check"); res.code != 2 || !strings.Contains(res.err, "--history") {
		t.Errorf("plain: exit %d\n%s", res.code, res.err)
	}
	if res := bare.muxi("check", "--staged"); res.code != 2 && res.code != 0 {
		t.Errorf("--staged: exit %d\n%s", res.code, res.err)
	}
}

// What only some refs hold, and what no commit does.
func TestCheckHistorySeesEveryRef(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.stage("a.txt", clean)
	r.save("a")
	for _, name := range []string{"tag", "note", "stash", "remote", "detached"} {
		r.git("checkout", "-q", "--detach", "main")
		r.stage(name+".txt", leak)
		switch name {
		case "stash":
			r.git("stash", "-q")
			continue
		case "detached":
			r.save(name)
			r.git("worktree", "add", "-q", "--detach", "../linked", "HEAD")
			continue
		case "note":
			r.git("rm", "-qf", "note.txt")
			r.git("notes", "add", "-m", leak)
			continue
		}
		r.save(name)
		r.git("update-ref", map[string]string{"tag": "refs/tags/v1", "remote": "refs/remotes/origin/x"}[name], "HEAD")
	}
	r.git("checkout", "-q", "main")
	r.git("tag", "-am", leak, "annotated")
	c, _ := r.check("--history")
	var paths []string
	for _, f := range c.Findings {
		if strings.Count(f.Path, "") == 41 {
			f.Path = "(note)"
		}
		paths = append(paths, f.Path)
	}
	slices.Sort(paths)
	if got := strings.Join(paths, " "); got != " (note) detached.txt remote.txt stash.txt tag.txt" {
		t.Errorf("found in %q", got)
	}
	if _, res := r.check("--base", "main"); res.code != 0 {
		t.Errorf("--base main: exit %d", res.code)
	}
}

// One leak is one finding, its commit the first that holds it.
func TestCheckOneLeakOneFinding(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.stage("a.txt", clean)
	r.save("clean")
	r.git("branch", "origin")
	r.stage("a.txt", leak)
	r.save("first")
	first := r.head()
	r.stage("a.txt", "moved down\n"+leak)
	r.save("moved")
	r.stage("b.txt", leak)
	r.save("another file")
	second := r.head()
	r.stage("b.txt", leak+leak)
	r.save("twice")
	for _, scope := range [][]string{{"--base", "origin"}, {"--range", "origin..main"}, {"--history"}} {
		c := r.finds(1, []string{"plaintext-key a.txt:1:8", "plaintext-key b.txt:1:8", "plaintext-key b.txt:2:8"}, scope...)
		for i, f := range c.Findings {
			if want := []string{first, second, r.head()}[i]; f.Commit != want {
				t.Errorf("%v: %s comes with %.8s, want %.8s", scope, f.Path, f.Commit, want)
			}
		}
	}
}
