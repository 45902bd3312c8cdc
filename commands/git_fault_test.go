//go:build unix

package commands_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A git that fails is a full disk, a lock of somebody else's, an object that is
// damaged, a fork that the system refuses. Whatever it is: what was not looked at is
// no clean bill, and what could not be done is said.

// failingGit stands on PATH before git, notes each call of this program's, and fails
// the one that GIT_FAILS names by its number.
const failingGit = `#!/bin/sh
case $1 in --no-pager | --version)
	echo "$*" >>"$GIT_CALLS"
	if [ "$(wc -l <"$GIT_CALLS")" -eq "$GIT_FAILS" ]; then
		echo 'fatal: made to fail' >&2
		exit 128
	fi
esac
exec '%s' "$@"
`

// faultyGit is a folder with such a git, and the file of its calls.
type faultyGit struct{ bin, calls string }

func newFaultyGit(t testing.TB) faultyGit {
	t.Helper()
	git, err := exec.LookPath("git")
	must(t, err)
	g := faultyGit{t.TempDir(), filepath.Join(t.TempDir(), "calls")}
	must(t, os.WriteFile(filepath.Join(g.bin, "git"), fmt.Appendf(nil, failingGit, git), 0o755))
	return g
}

// env has the nth call from now on fail, 0 being none. Hooks and drivers find their
// git in the folder that git has its own programs in.
func (g faultyGit) env(n int) []string {
	os.Remove(g.calls)
	return []string{"PATH=" + g.bin + ":" + os.Getenv("PATH"), "GIT_EXEC_PATH=" + g.bin, "GIT_CALLS=" + g.calls, "GIT_FAILS=" + strconv.Itoa(n)}
}

// made are the calls that were made, without the options of all of them.
func (g faultyGit) made() []string {
	content, _ := os.ReadFile(g.calls)
	calls := strings.Split(strings.TrimSpace(string(content)), "\n")
	for i, call := range calls {
		calls[i] = strings.TrimPrefix(call, "--no-pager -c core.fsmonitor=false -c core.quotePath=false -c advice.graftFileDeprecated=false ")
	}
	return calls
}

// named says that something is not known, for want of git.
var named = regexp.MustCompile(`made to fail|hooks +unknown|git does not tell its version`)

// leaks are the scenarios of surveys that end with a finding.
var leaks = regexp.MustCompile(`^(check|check --json|check --staged|hook-run .*|doctor), leak$|^check (--history|--range .*|--base .*), past$|^hook-run commit-msg .*, past`)

// TestGitFailsAtEveryCall fails each of a command's calls of git in turn. The
// command does all the same what it should, or says so; one that fails changed
// nothing, and the same command again ends as the first one should have.
func TestGitFailsAtEveryCall(t *testing.T) {
	isolateProcess(t)
	t.Setenv("GIT_EDITOR", editorScript(t, `{ printf 'OTHER=a-value\nFRESH=a-value\n'; grep -v -e ^OTHER= -e ^FRESH= "$1"; } >"$1.new" && mv "$1.new" "$1"`))
	for _, sc := range sample(slices.Concat(scenarios(t), surveys())) {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			b := newSandbox(t, sc.example, true)
			if sc.prepare != nil {
				sc.prepare(b)
			}
			before := b.tree()
			git := newFaultyGit(t)
			want := b.spawn(run{stdin: sc.stdin, env: git.env(0)}, sc.args...)
			after, calls := state(b, before), git.made()
			if leaks.MatchString(sc.name) != (want.code == 1) {
				t.Fatalf("exit %d\n%s%s", want.code, want.out, want.err)
			}
			for n := 1; n <= len(calls); n++ {
				b.restore(before)
				r := b.spawn(run{stdin: sc.stdin, env: git.env(n)}, sc.args...)
				made := git.made()
				if len(made) < n {
					continue // it depends on what is at hand, as on a cache
				}
				at := fmt.Sprintf("call %d, %s", n, made[n-1])
				differ := differing(after, state(b, before))
				if r.code == want.code && r.out == want.out && len(differ) == 0 {
					continue
				}

				if !named.MatchString(r.out + r.err) {
					t.Errorf("%s: exit %d, other in %v, and nothing says why\n%s%s", at, r.code, differ, r.out, r.err)
				}
				switch {
				case r.code == 0 && (want.code != 0 || len(differ) > 0 && !strings.Contains(r.err, "warning: ")):
					t.Errorf("%s: exit 0, not %d, other in %v\n%s", at, want.code, differ, r.err)
				case r.code != 0 && sc.args[0] != "doctor" && (!strings.Contains(r.err, "error: ") || !strings.Contains(r.err, "hint: ")):
					t.Errorf("%s: exit %d, and no error with a way out\n%s", at, r.code, r.err)
				}
				put := strings.HasPrefix(r.err, "Put the key of") // a step of its own, and said
				if changed := differing(before, b.tree()); r.code != 0 && len(changed) > 0 && !put {
					t.Errorf("%s: it failed, and changed %v\n%s", at, changed, r.err)
				}
				again := b.spawn(run{stdin: sc.stdin}, sc.args...)
				if differ := differing(after, state(b, before)); len(differ) > 0 {
					t.Errorf("%s: run again (exit %d), it still differs in %v\n%s", at, again.code, differ, again.err)
				}
			}
		})
	}
}

// surveys are commands that look and say what they see.
func surveys() (all []scenario) {
	stored := func(b *sandbox) {
		b.do("old-openai", "add", "OPENAI_API_KEY", "--stdin")
		b.do("hT7-kd92-Xw41-pQ", "add", "OTHER", "--stdin")
		b.git("add", "-A")
		b.git("commit", "-qm", "first", "--no-verify")
		b.write(filepath.Join("..", ".git", "MSG"), "a message\n")
	}
	clean := func(b *sandbox) {
		stored(b)
		b.write("fine.txt", "nothing\n")
		b.git("add", "-A")
	}
	leak := func(b *sandbox) {
		stored(b)
		b.write("leak.txt", "it is hT7-kd92-Xw41-pQ\n")
		b.write(filepath.Join("..", ".git", "MSG"), "it is hT7-kd92-Xw41-pQ\n")
		b.git("add", "-A")
	}
	past := func(b *sandbox) {
		leak(b)
		b.git("commit", "-qm", "leak", "--no-verify")
		b.git("rm", "-q", "agent/leak.txt")
		b.do("another", "add", "OPENAI_API_KEY", "--stdin")
		b.git("commit", "-qam", "gone", "--no-verify")
	}
	for name, prepare := range map[string]func(*sandbox){"clean": clean, "leak": leak, "past": past} {
		for _, args := range []string{
			"check", "check --json", "check --staged", "check --history", "check --range HEAD~2..HEAD", "check --base HEAD~2",
			"hook-run pre-commit", "hook-run pre-merge-commit", "hook-run commit-msg ../.git/MSG", "scrub --dry-run",
			"status", "status --all", "doctor", "diff", "diff HEAD~1", "diff HEAD~1...HEAD", "log", "list --json", "share list", "hooks status", "get OTHER --rev HEAD", "render formation.afs",
		} {
			all = append(all, scenario{name: args + ", " + name, example: simpleExample, prepare: prepare, args: strings.Fields(args)})
		}
	}
	return all
}

// TestGitFailsDuringKeyChange is that for the commands that make another key, of
// which no two runs have the same.
func TestGitFailsDuringKeyChange(t *testing.T) {
	isolateProcess(t)
	for _, sc := range sample(keyChanges(ownIdentity(t))) {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			b := newSandbox(t, simpleExample, true)
			sc.prepare(b)
			before := b.tree()
			git := newFaultyGit(t)
			if r := b.spawn(run{env: git.env(0)}, sc.args...); r.code != 0 {
				t.Fatalf("exit %d\n%s", r.code, r.err)
			}
			for n := range len(git.made()) {
				b.restore(before)
				r := b.spawn(run{env: git.env(n + 1)}, sc.args...)
				at := fmt.Sprintf("call %d, %s", n+1, git.made()[n])
				changed := slices.DeleteFunc(differing(before, b.tree()), func(path string) bool {
					return strings.HasPrefix(path, filepath.Join(".git", "muxi-secrets"))
				})
				if r.code != 0 && (!strings.Contains(r.err, "error: ") || !strings.Contains(r.err, "hint: ") || len(changed) > 0) {
					t.Errorf("%s: exit %d, changed %v\n%s", at, r.code, changed, r.err)
				}
				b.next(at)
				if r := b.call(run{}, sc.args...); r.code != 0 && !(sc.name == "share remove" && r.code == 1) {
					t.Errorf("%s: run again, it ends with %d\n%s", at, r.code, r.err)
				}
				b.settled(at)
			}
		})
	}
}

// TestGitFailsUnderGit fails the calls of hooks and drivers, which git starts.
func TestGitFailsUnderGit(t *testing.T) {
	sideBySide(t)
	m := newMergeRepo(t, "agent", "A=a", "B=b", "LONG=hT7-kd92-Xw41-pQ")
	m.sides([]string{"A=1", "D=1"}, []string{"B=2", "E=2"})
	m.git("init", "-q", "--bare", "../remote.git")
	m.git("remote", "add", "origin", m.path("../remote.git"))
	m.git("push", "-q", "--no-verify", "origin", "base")
	merged := secrets{"A": "1", "B": "2", "D": "1", "E": "2", "LONG": "hT7-kd92-Xw41-pQ"}
	leak := func(m *mergeRepo) { m.stage("notes.txt", hush+"hT7-kd92-Xw41-pQ\n") }
	for _, tt := range []struct {
		name    string
		prepare func(*mergeRepo)
		args    []string
		code    int
		holds   func(*mergeRepo, result) // what is so whatever fails
	}{
		{"merge", nil, []string{"merge", "-q", "theirs"}, 0, func(m *mergeRepo, r result) {
			if r.code != 0 {
				m.git("merge", "--abort")
				m.holds(secrets{"A": "1", "B": "b", "D": "1", "LONG": "hT7-kd92-Xw41-pQ"})
				r = m.merge("theirs")
			}
			m.settled(merged)
		}},
		{"resolve", func(m *mergeRepo) {
			m.git("checkout", "-q", "theirs")
			m.change("A=2")
			m.commit("theirs, too")
			m.git("checkout", "-q", "ours")
			m.conflicted(m.try("merge", "-q", "theirs"), secrets{"A": "1", "B": "2", "D": "1", "E": "2", "LONG": "hT7-kd92-Xw41-pQ"}, "A")
		}, []string{"muxi-secrets", "-C", "agent", "resolve", "--ours"}, 0, func(m *mergeRepo, r result) {
			if r.code != 0 {
				m.resolve(0, "--ours")
			}
			m.git("commit", "-qm", "merged")
			m.settled(merged)
		}},
		{"commit a leak", leak, []string{"commit", "-qm", "x"}, 1, func(m *mergeRepo, r result) {
			if r.code == 0 {
				m.Errorf("committed:\n%s", r.err)
			}
		}},
		{"commit a leak in the message", func(m *mergeRepo) { m.stage("notes.txt", "nothing\n") }, []string{"commit", "-qm", hush + "hT7-kd92-Xw41-pQ"}, 1, func(m *mergeRepo, r result) {
			if r.code == 0 {
				m.Errorf("committed:\n%s", r.err)
			}
		}},
		{"push a leak", func(m *mergeRepo) { leak(m); m.save("leak") }, []string{"push", "-q", "origin", "HEAD:refs/heads/main"}, 1, func(m *mergeRepo, r result) {
			if r.code == 0 {
				m.Errorf("pushed:\n%s", r.err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			git := newFaultyGit(t)
			once := func(n int) (*mergeRepo, result) {
				m := m.copyOf(t)
				if tt.prepare != nil {
					tt.prepare(m)
				}
				res := (&repo{m.TB, m.dir, append(slices.Clone(m.env), git.env(n)...)}).try(tt.args...)
				return m, res
			}
			c, r := once(0)
			if r.code != tt.code {
				t.Fatalf("exit %d\n%s", r.code, r.err)
			}
			tt.holds(c, r)
			calls := git.made()
			if calls[0] == "" {
				t.Fatal("git was never called")
			}
			for n := range len(calls) {
				m, r := once(n + 1)
				if r.code != tt.code && !named.MatchString(r.err) {
					t.Errorf("call %d, %s: exit %d, and nothing says why\n%s", n+1, calls[n], r.code, r.err)
				}
				tt.holds(m, r)
				if t.Failed() {
					t.Fatalf("call %d, %s: exit %d\n%s", n+1, calls[n], r.code, r.err)
				}
			}
		})
	}
}

// TestGitFailsDuringScrub is that for the command that makes commits again: they are
// as they were, or all of them are clean.
func TestGitFailsDuringScrub(t *testing.T) {
	sideBySide(t)
	begin := scrubSandbox(t)
	tip := begin.git("rev-parse", "HEAD")
	git := newFaultyGit(t)
	c := begin.copied(t)
	if r := c.spawn(run{env: git.env(0)}, "scrub"); r.code != 0 || !c.scrubbed(tip) {
		t.Fatalf("exit %d\n%s", r.code, r.err)
	}
	calls := len(git.made())
	for n := 1; n <= calls; n++ {
		if thinned(n, calls) {
			continue
		}
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			git, b := newFaultyGit(t), begin.copied(t)
			r := b.spawn(run{env: git.env(n)}, "scrub")
			at := git.made()[n-1]
			if r.code != 0 && (!named.MatchString(r.err) || !strings.Contains(r.err, "hint: ")) {
				t.Errorf("%s: exit %d, and no error with a way out\n%s", at, r.code, r.err)
			}
			begun := strings.Contains(r.err, "any command finishes it: 'git muxi-secrets status'")
			if begun {
				b.do("", "status")
			}
			done := b.scrubbed(tip)
			if r.code == 0 && !done || r.code != 0 && done != begun {
				t.Errorf("%s: exit %d, done: %t\n%s", at, r.code, done, r.err)
			}
			if !done {
				if r := b.call(run{}, "scrub"); r.code != 0 || !b.scrubbed(tip) {
					t.Errorf("%s: run again, it ends with %d\n%s", at, r.code, r.err)
				}
			}
		})
	}
}
