//go:build unix

package commands_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// What is no settling is refused: each way to conclude a merge with a name that
// nobody said anything about. 'resolve' leads out of each.
func TestUnsettledMergeIsRefused(t *testing.T) {
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b", "C=c")
	start.sides([]string{"A=1", "-B", "D=1"}, []string{"A=2", "B=2", "E=2"})
	want := secrets{"A": "1", "C": "c", "D": "1", "E": "2"} // before it is settled
	vault := start.vault()
	for _, tt := range sample([]struct {
		name string
		try  func(m *mergeRepo)
	}{
		{"add, commit", func(m *mergeRepo) {
			m.git("add", vault)
			m.refused("commit", "-qm", "x")
		}},
		{"add -A, commit from a subfolder", func(m *mergeRepo) {
			m.git("add", "-A")
			m.in("agent", ".").refused("commit", "-qm", "x")
		}},
		{"commit -a", func(m *mergeRepo) { m.refused("commit", "-qam", "x") }},
		{"commit -a, twice", func(m *mergeRepo) { m.refused("commit", "-qam", "x"); m.refused("commit", "-qam", "x") }},
		{"commit -i", func(m *mergeRepo) { m.refused("commit", "-q", "-i", vault, "-m", "x") }},
		{"add, merge --continue", func(m *mergeRepo) {
			m.git("add", vault)
			m.editing("").refused("merge", "--continue")
		}},
		{"checkout --theirs, add, commit", func(m *mergeRepo) {
			m.git("checkout", "--theirs", vault)
			m.git("add", vault)
			m.refused("commit", "-qm", "x")
		}},
		{"checkout --ours, add, commit", func(m *mergeRepo) {
			m.git("checkout", "--ours", vault)
			m.git("add", vault)
			m.refused("commit", "-qm", "x")
		}},
		{"checkout REV, commit", func(m *mergeRepo) {
			m.git("checkout", "theirs", "--", vault)
			m.refused("commit", "-qm", "x")
		}},
		{"rm, commit", func(m *mergeRepo) {
			m.git("rm", "-q", vault)
			m.refused("commit", "-qm", "x")
		}},
		{"add, add another name, commit", func(m *mergeRepo) {
			m.git("add", vault)
			if r := m.muxiIn(run{stdin: hush + "f"}, "add", "F", "--stdin"); r.code != 0 {
				m.Errorf("add: exit %d\n%s", r.code, r.err)
			}
			m.refused("commit", "-qam", "x")
			m.muxiIn(run{}, "delete", "F")
		}},
		{"one of two settled, add, commit", func(m *mergeRepo) {
			m.resolve(0, "A", "--ours")
			m.git("add", vault)
			m.refused("commit", "-qm", "x")
		}},
		{"the vault deleted on disk, commit -a", func(m *mergeRepo) {
			m.remove(vault)
			m.refused("commit", "-qam", "x")
		}},
		{"in another process's index", func(m *mergeRepo) {
			m.git("add", vault)
			other := &mergeRepo{&repo{m.TB, m.dir, []string{"GIT_INDEX_FILE=" + m.path("../index")}}, m.folder}
			must(m, os.WriteFile(m.path("../index"), []byte(m.read(".git/index")), 0o600))
			other.refused("commit", "-qm", "x")
		}},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := start.copyOf(t)
			m.conflicted(m.merge(), want, "A, B")
			tt.try(m)
			m.resolve(0, "A", "--theirs")
			m.resolve(0, "B", "--theirs")
			m.must("commit", "-q", "--no-edit")
			if n := m.git("rev-list", "--count", "--merges", "-1", "HEAD"); n != "1" {
				t.Error("the merge is not in the history")
			}
			m.settled(want.change("A=2", "B=2"))
		})
	}
}

// TestResolve settles names in every way and order.
func TestResolve(t *testing.T) {
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b", "C=c")
	start.sides([]string{"A=1", "-B", "C=1", "D=1"}, []string{"A=2", "B=2", "-C", "D=2", "E=2"})
	all := []string{"A", "B", "C", "D"}
	unsettled := secrets{"A": "1", "C": "1", "D": "1", "E": "2"}
	type step struct {
		stdin string
		args  []string
		code  int
		says  string
	}
	settle := func(name, how string) step { return step{args: []string{name, how}} }
	for _, tt := range sample([]struct {
		name  string
		steps []step
		want  secrets
	}{
		{"all ours", []step{settle("A", "--ours"), settle("B", "--ours"), settle("C", "--ours"), settle("D", "--ours")}, unsettled},
		{"all theirs", []step{settle("A", "--theirs"), settle("B", "--theirs"), settle("C", "--theirs"), settle("D", "--theirs")}, secrets{"A": "2", "B": "2", "D": "2", "E": "2"}},
		{"backwards, flag first", []step{settle("--theirs", "D"), settle("--ours", "C"), settle("--theirs", "B"), settle("--ours", "A")}, secrets{"A": "1", "B": "2", "C": "1", "D": "2", "E": "2"}},
		{"values of one's own", []step{
			{hush + "other\n", []string{"A", "--stdin"}, 0, ""}, {hush + "back", []string{"B", "--stdin"}, 0, ""},
			settle("C", "--theirs"), {hush + "x\n\n", []string{"--stdin", "D"}, 0, "Nothing is left to settle"},
		}, secrets{"A": "other", "B": "back", "D": "x\n", "E": "2"}},
		{"another mind", []step{
			settle("A", "--theirs"), settle("A", "--ours"), settle("B", "--theirs"), settle("B", "--ours"),
			settle("C", "--theirs"), settle("C", "--ours"), {hush + "x", []string{"D", "--stdin"}, 0, ""}},
			unsettled.change("D=x")},
		{"other spellings", []step{settle("a", "--theirs"), settle("b", "--ours"), settle(" c ", "--ours"), settle("d", "--ours")}, unsettled.change("A=2")},
		{"wrong use in between", []step{
			{"", []string{"A"}, 2, "takes a NAME, and one of"},
			{"x", []string{"--stdin"}, 2, "takes a NAME, and one of"},
			{"", []string{"A", "--ours", "--theirs"}, 2, "takes a NAME, and one of"},
			{"x", []string{"A", "--ours", "--stdin"}, 2, ""},
			{"", []string{"A", "B", "--ours"}, 2, ""},
			{"", []string{"A", "--mine"}, 2, ""},
			{"", []string{"A", "--stdin"}, 2, "the value is empty"},
			{"\xff", []string{"A", "--stdin"}, 2, "not UTF-8"},
			{"", []string{"NOBODY", "--ours"}, 1, "NOBODY is not contested"},
			{"", []string{"E", "--ours"}, 1, "E is not contested"},
			{"", []string{"A=" + hush + "x", "--ours"}, 2, ""},
			settle("A", "--ours"), settle("B", "--ours"), settle("C", "--ours"), settle("D", "--ours"),
		}, unsettled},
		{"without a name in between", []step{
			{"", nil, 1, "both sides changed A, B, C, D"}, settle("A", "--theirs"),
			{"", nil, 1, "both sides changed B, C, D"}, settle("B", "--ours"), settle("C", "--ours"), settle("D", "--ours"),
			{"", nil, 0, ""},
		}, unsettled.change("A=2")},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := start.copyOf(t)
			m.conflicted(m.merge(), unsettled, all...)
			var last result
			for _, s := range tt.steps {
				before := m.everything()
				last = m.muxiIn(run{stdin: s.stdin}, append([]string{"resolve"}, s.args...)...)
				if last.code != s.code || !strings.Contains(last.err, s.says) {
					t.Fatalf("resolve %q: exit %d, want %d\n%s", s.args, last.code, s.code, last.err)
				}
				if s.args == nil { // has the template follow what ours keeps
					delete(before, m.template())
					before[m.template()] = m.everything()[m.template()]
				}
				if s.code != 0 {
					m.asBefore(before)
				}
			}
			// Nothing is left; the same again changes nothing.
			if got := m.stages(m.vault()) + m.stages(m.template()); got != "00" {
				t.Errorf("the index has the stages %q", got)
			}
			m.holds(tt.want)
			before := m.everything()
			for _, name := range all {
				m.resolve(0, name, "--ours")
				m.resolve(0, name, "--theirs")
			}
			m.asBefore(before)
			m.resolve(1, "E", "--ours")
			m.must("commit", "-q", "--no-edit")
			for _, name := range all {
				m.resolve(1, name, "--ours")
			}
			m.resolve(1)
			m.settled(tt.want)
		})
	}
}

func TestResolveOutsideOfAMerge(t *testing.T) {
	sideBySide(t)
	m := newMergeRepo(t, "agent", "A=a")
	before := m.everything()
	for code, args := range map[int][]string{1: {"A", "--ours"}, 2: {"A"}} {
		m.resolve(code, args...)
	}
	if r := m.resolve(1, "A", "--theirs"); !strings.Contains(r.err, "there is no conflict in secrets.enc") {
		t.Errorf("it says:\n%s", r.err)
	}
	m.resolve(1)
	m.asBefore(before)

	outside := newSandbox(t, simpleExample, false)
	outside.do("x", "add", "A", "--stdin")
	if r := outside.call(run{}, "resolve", "A", "--ours"); r.code == 0 {
		t.Error("it settles something outside of a repository")
	}
}

// TestOtherCommandsInAMerge runs what else writes to the vault while a name is
// contested.
func TestOtherCommandsInAMerge(t *testing.T) {
	long(t)
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	start.sides([]string{"A=1", "B=1"}, []string{"A=2", "B=2", "E=2"})
	m := func(t *testing.T) *mergeRepo {
		t.Parallel()
		m := start.copyOf(t)
		m.conflicted(m.merge(), secrets{"A": "1", "B": "1", "E": "2"}, "A, B")
		return m
	}
	do := func(m *mergeRepo, stdin string, args ...string) {
		m.Helper()
		if r := m.muxiIn(run{stdin: stdin}, args...); r.code != 0 {
			m.Errorf("%s: exit %d\n%s", args[0], r.code, r.err)
		}
	}
	t.Run("add settles", func(t *testing.T) {
		m := m(t)
		do(m, hush+"x", "add", "A", "--stdin")
		r := m.do("commit", "-qam", "x")
		if r.code == 0 || strings.Contains(r.err, "changed A") || !strings.Contains(r.err, "changed B") {
			t.Errorf("exit %d\n%s", r.code, r.err)
		}
		m.resolve(0, "B", "--theirs")
		m.must("commit", "-q", "--no-edit")
		m.settled(secrets{"A": "x", "B": "2", "E": "2"})
	})
	t.Run("add of the last one", func(t *testing.T) {
		m := m(t)
		m.resolve(0, "B", "--theirs")
		do(m, hush+"x", "add", "A", "--stdin")
		m.must("commit", "-qam", "x")
		m.settled(secrets{"A": "x", "B": "2", "E": "2"})
	})
	t.Run("add of the value that ours has", func(t *testing.T) {
		m := m(t)
		do(m, hush+"1", "add", "A", "--stdin")
		m.refused("commit", "-qam", "x")
		m.resolve(0, "A", "--ours")
		m.resolve(0, "B", "--ours")
		m.must("commit", "-q", "--no-edit")
		m.settled(secrets{"A": "1", "B": "1", "E": "2"})
	})
	t.Run("delete and rename settle", func(t *testing.T) {
		m := m(t)
		do(m, "", "delete", "A", "--force")
		do(m, "", "rename", "B", "B2")
		m.must("commit", "-qam", "x")
		m.settled(secrets{"B2": "1", "E": "2"})
	})
	t.Run("import settles", func(t *testing.T) {
		m := m(t)
		do(m, "A="+hush+"x\nB="+hush+"y\n", "import", "-", "--overwrite")
		m.must("commit", "-qam", "x")
		m.settled(secrets{"A": "x", "B": "y", "E": "2"})
	})
	t.Run("others leave it to be settled", func(t *testing.T) {
		m := m(t)
		do(m, hush+"x", "add", "OTHER", "--stdin")
		do(m, "", "sync")
		m.refused("commit", "-qam", "x")
		m.resolve(0, "A", "--theirs")
		do(m, "", "delete", "OTHER")
		do(m, hush+"y", "add", "LATE", "--stdin")
		m.refused("commit", "-qam", "x")
		m.resolve(0, "B", "--theirs")
		m.must("commit", "-q", "--no-edit")
		m.settled(secrets{"A": "2", "B": "2", "E": "2", "LATE": "y"})
	})
	t.Run("no new key", func(t *testing.T) {
		m := m(t)
		m.resolve(0, "A", "--theirs")
		before := m.everything()
		for _, args := range [][]string{{"rotate"}, {"convert", "--to", "age"}, {"share", "remove", "Bob"}} {
			if r := m.muxiIn(run{}, args...); r.code != 1 || !strings.Contains(r.err, "still to settle: B") || !strings.Contains(r.err, "resolve' says what is left") {
				t.Errorf("%s: exit %d\n%s", args[0], r.code, r.err)
			}
		}
		m.asBefore(before)
		m.resolve(0, "B", "--theirs")
		m.must("commit", "-q", "--no-edit")
		do(m, "", "rotate")
		m.holds(secrets{"A": "2", "B": "2", "E": "2"})
	})
	t.Run("all at once", func(t *testing.T) {
		for side, want := range map[string]secrets{"--ours": {"A": "1", "B": "1", "E": "2"}, "--theirs": {"A": "2", "B": "2", "E": "2"}} {
			m := start.copyOf(t)
			m.merge()
			m.resolve(0, side)
			m.resolve(0, side) // again: nothing changed
			m.must("commit", "-q", "--no-edit")
			m.settled(want)
		}
	})
	t.Run("a vault put back by hand", func(t *testing.T) {
		m := m(t)
		m.git("add", m.vault())
		m.resolve(0, "A", "--theirs")
		m.git("checkout", "--", m.vault()) // the one from before
		if r := m.resolve(0, "B", "--theirs"); !strings.Contains(r.err, "A") {
			t.Errorf("it does not say that A is open again:\n%s", r.err)
		}
		m.refused("commit", "-qam", "x")
		m.resolve(0, "A", "--theirs")
		m.must("commit", "-q", "--no-edit")
		m.settled(secrets{"A": "2", "B": "2", "E": "2"})
	})
	t.Run("checkout -m begins again", func(t *testing.T) {
		m := m(t)
		m.resolve(0, "A", "--theirs")
		m.resolve(0, "B", "--theirs")
		m.must("checkout", "-m", "--", m.vault())
		m.refused("commit", "-qam", "x")
		m.resolve(0, "A", "--ours")
		m.resolve(0, "B", "--theirs")
		m.must("commit", "-q", "--no-edit")
		m.settled(secrets{"A": "1", "B": "2", "E": "2"})
	})
	t.Run("reads", func(t *testing.T) {
		m := m(t)
		before := m.everything()
		for _, args := range [][]string{{"list"}, {"status"}, {"check"}, {"status", "--all", "--json"}} {
			if r := m.muxiIn(run{}, args...); r.code > 1 {
				t.Errorf("%s: exit %d\n%s", args[0], r.code, r.err)
			}
		}
		m.asBefore(before)
		m.refused("commit", "-qam", "x")
	})
}

// A rebase runs no hook when it goes on. What it put into commits unsettled is
// refused by the next commit and by the push, and resolve still settles it.
func TestRebaseGoesOnUnsettled(t *testing.T) {
	long(t)
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	start.git("init", "-q", "--bare", "../remote.git")
	start.sides([]string{"A=1", "D=1"}, []string{"A=2", "E=2"})
	setup := func(t *testing.T) *mergeRepo {
		t.Parallel()
		m := start.copyOf(t)
		m.git("init", "-q", "--bare", "../remote.git")
		m.git("remote", "add", "origin", "../remote.git")
		return m
	}
	pushRefused := func(m *mergeRepo, name string) {
		m.Helper()
		if r := m.do("push", "-q", "origin", "HEAD:refs/heads/x"); r.code == 0 || !strings.Contains(r.err, "changed "+name) || !strings.Contains(r.err, "[unsettled-merge]") {
			m.Errorf("push: exit %d, want a refusal that names %s\n%s", r.code, name, r.err)
		}
	}
	want := secrets{"A": "1", "B": "b", "D": "1", "E": "2"}
	finish := func(m *mergeRepo, want secrets) {
		m.Helper()
		m.resolve(0, "A", "--theirs")
		m.must("commit", "-qm", "settled")
		m.must("push", "-q", "origin", "HEAD:refs/heads/x")
		m.settled(want)
	}
	t.Run("one", func(t *testing.T) {
		m := setup(t)
		m.conflicted(m.do("rebase", "-q", "theirs"), want.change("A=2"), "A")
		m.git("add", "-A")
		m.editing("").must("rebase", "--continue")
		pushRefused(m, "A")
		m.refused("commit", "-q", "--allow-empty", "-m", "x")
		finish(m, want)
	})
	t.Run("another follows that is not contested", func(t *testing.T) {
		m := setup(t)
		m.on("F=1")
		m.conflicted(m.do("rebase", "-q", "theirs"), want.change("A=2"), "A")
		m.git("add", "-A")
		m.conflicted(m.editing("").do("rebase", "--continue"), want.change("A=2", "F=1"), "A")
		m.git("add", "-A")
		m.editing("").must("rebase", "--continue")
		pushRefused(m, "A")
		finish(m, want.change("F=1"))
	})
	t.Run("another follows that is contested too", func(t *testing.T) {
		m := setup(t)
		m.on("E=1")
		m.conflicted(m.do("rebase", "-q", "theirs"), want.change("A=2"), "A")
		m.git("add", "-A")
		m.conflicted(m.editing("").do("rebase", "--continue"), want.change("A=2", "E=2"), "A, E")
		m.resolve(0, "E", "--theirs")
		m.git("add", "-A")
		m.editing("").must("rebase", "--continue")
		pushRefused(m, "A")
		finish(m, want.change("E=1"))
	})
	t.Run("another follows that leaves the vault alone", func(t *testing.T) {
		m := setup(t)
		m.write("other.txt", "x\n")
		m.commit("other")
		m.conflicted(m.do("rebase", "-q", "theirs"), want.change("A=2"), "A")
		m.git("add", "-A")
		m.editing("").must("rebase", "--continue")
		pushRefused(m, "A")
		finish(m, want)
	})
	t.Run("a value added afterwards", func(t *testing.T) {
		m := setup(t)
		m.conflicted(m.do("rebase", "-q", "theirs"), want.change("A=2"), "A")
		m.git("add", "-A")
		m.editing("").must("rebase", "--continue")
		if r := m.muxiIn(run{stdin: hush + "g"}, "add", "G", "--stdin"); r.code != 0 {
			t.Errorf("add: exit %d\n%s", r.code, r.err)
		}
		m.commit("with --no-verify")
		pushRefused(m, "A")
		finish(m, want.change("G=g"))
	})
	t.Run("a driver that failed", func(t *testing.T) {
		m := setup(t)
		m.write("other.txt", "x\n")
		m.git("add", "-A")
		m.git("commit", "-q", "--amend", "--no-edit", "--no-verify")
		lost := m.head()
		key := m.read("agent/.key")
		m.remove("agent/.key")
		m.remove(".git/muxi-secrets/keys")
		if r := m.do("rebase", "-q", "theirs"); r.code == 0 {
			t.Fatal("it merged without a key")
		}
		m.git("add", "-A")
		m.editing("").must("rebase", "--continue")
		m.git("commit", "-q", "--allow-empty", "-m", "later")
		m.write("agent/.key", key)
		for range 2 {
			r := m.do("push", "-q", "origin", "HEAD:refs/heads/x")
			if r.code == 0 || !strings.Contains(r.err, "git cherry-pick "+lost[:10]) {
				t.Fatalf("push: exit %d\n%s", r.code, r.err)
			}
		}
		m.must("push", "-q", "origin", "theirs:refs/heads/theirs")
		m.do("cherry-pick", lost)
		m.resolve(0, "A", "--ours")
		m.must("commit", "-q", "--no-edit")
		m.must("push", "-q", "origin", "HEAD:refs/heads/x")
		m.settled(want.change("A=2"))
	})
	t.Run("taken back", func(t *testing.T) {
		m := setup(t)
		m.conflicted(m.do("rebase", "-q", "theirs"), want.change("A=2"), "A")
		m.git("add", "-A")
		m.editing("").must("rebase", "--continue")
		m.git("reset", "-q", "--hard", "theirs")
		m.must("push", "-q", "origin", "HEAD:refs/heads/x")
		m.settled(secrets{"A": "2", "B": "b", "E": "2"})
	})
	t.Run("the one that was skipped binds nobody", func(t *testing.T) {
		m := setup(t)
		m.write("clash.txt", "ours\n")
		m.commit("clash")
		m.git("checkout", "-q", "theirs")
		m.write("clash.txt", "theirs\n")
		m.commit("clash")
		m.git("checkout", "-q", "ours")
		m.git("tag", "mine")
		for _, by := range []string{"rebase", "cherry-pick"} {
			if by == "rebase" {
				m.conflicted(m.do("rebase", "-q", "theirs"), want.change("A=2"), "A")
			} else {
				m.git("checkout", "-q", "-B", "picked", "theirs")
				m.conflicted(m.do("cherry-pick", "base..mine"), want.change("A=2"), "A")
			}
			m.editing("").do(by, "--skip") // stops at clash.txt
			m.stage("clash.txt", "both, by "+by+"\n")
			m.must("commit", "-qm", "clash")
			m.editing("").do(by, "--continue")
		}
	})
}

// failures are what keeps a driver from opening a side.
func TestDriverThatFails(t *testing.T) {
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	start.sides([]string{"A=1", "D=1"}, []string{"B=2", "E=2"})
	want := secrets{"A": "1", "B": "2", "D": "1", "E": "2"}
	key := start.read("agent/.key")
	other := newMergeRepo(t, "agent", "X=x").read("agent/.key")
	spoil := func(branch string, content func(string) string) func(m *mergeRepo) {
		return func(m *mergeRepo) {
			m.git("checkout", "-q", branch)
			m.write(m.vault(), content(m.read(m.vault())))
			m.commit("spoiled")
			m.git("checkout", "-q", "ours")
		}
	}
	for _, tt := range sample([]struct {
		name    string
		prepare func(m *mergeRepo)
		says    string
		import_ bool // the key, with which it can be merged then
	}{
		{"no key", func(m *mergeRepo) { m.remove("agent/.key"); m.remove(".git/muxi-secrets/keys") }, "Could not find .key file in agent/", true},
		{"wrong key", func(m *mergeRepo) { m.write("agent/.key", other); m.remove(".git/muxi-secrets/keys") }, "wrong key", true},
		{"malformed key", func(m *mergeRepo) { m.write("agent/.key", "short") }, "does not open", true},
		{"theirs truncated", spoil("theirs", func(s string) string { return s[:len(s)/2] }), "their side does not open", false},
		{"ours truncated", spoil("ours", func(s string) string { return s[:len(s)/2] }), "our side does not open", false},
		{"theirs with a flipped bit", spoil("theirs", func(s string) string { return s[:40] + "A" + s[41:len(s)-12] + "abcdefgh" + s[len(s)-4:] }), "their side does not open", false},
		{"theirs empty", spoil("theirs", func(string) string { return "" }), "their side does not open", false},
		{"ours empty", spoil("ours", func(string) string { return "" }), "our side does not open", false},
		{"theirs not sealed", spoil("theirs", func(string) string { return `{"B": "x"}` }), "their side does not open", false},
		{"theirs with conflict markers", spoil("theirs", func(s string) string { return "<<<<<<< HEAD\n" + s + "\n=======\n" + s + "\n>>>>>>> x\n" }), "their side does not open", false},
		{"theirs not JSON", func(m *mergeRepo) {
			spoil("theirs", func(string) string {
				sealed, err := m.keyOf("agent").Seal([]byte("no json"))
				must(m, err)
				return string(sealed)
			})(m)
		}, "their side does not open", false},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := start.copyOf(t)
			tt.prepare(m)
			before, sealed := m.everything(), m.read(m.vault())
			m.looked(1, tt.says, "hint:")
			r := m.merge()
			if r.code != 1 || !strings.Contains(r.err, tt.says) || !strings.Contains(r.err, "hint:") {
				t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
			}
			if m.read(m.vault()) != sealed {
				t.Error("the vault is not as it was")
			}
			if got := m.stages(m.vault()); got != "123" {
				t.Errorf("the index has the stages %q", got)
			}
			if r := m.muxiIn(run{}, "resolve"); r.code != 4 && r.code != 3 || m.read(m.vault()) != sealed {
				t.Errorf("resolve with the same cause: exit %d\n%s", r.code, r.err)
			}
			aborted := m.copyOf(t)
			aborted.must("merge", "--abort")
			aborted.asBefore(before)
			m.git("add", "-A")
			if r := m.do("commit", "-qm", "x"); r.code == 0 {
				t.Error("ours was committed as the merge")
			}
			if !tt.import_ {
				good, bad, whole := "--ours", "--theirs", secrets{"A": "1", "B": "b", "D": "1"}
				if strings.HasPrefix(tt.name, "ours") {
					good, bad, whole = bad, good, secrets{"A": "a", "B": "2", "E": "2"}
				}
				if tt.name != "theirs with a flipped bit" && !strings.Contains(r.err, "resolve "+good) {
					t.Errorf("the hint leads nowhere:\n%s", r.err)
				}
				code := 3
				if tt.name == "theirs with a flipped bit" {
					code = 4 // which can't be told from a wrong key
				}
				m.resolve(code, bad)
				m.resolve(0, good)
				m.resolve(0, good)
				m.must("commit", "-q", "--no-edit")
				m.settled(whole)
				return
			}
			if r := m.muxiIn(run{stdin: key}, "key", "import", "-"); r.code != 0 {
				t.Fatalf("key import: exit %d\n%s", r.code, r.err)
			}
			m.refused("commit", "-qm", "x")
			m.resolve(0)
			m.must("commit", "-q", "--no-edit")
			m.settled(want)
		})
	}

	// Called by hand, for the exit code, which git takes for a conflict.
	t.Run("129", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t)
		sides := map[string]string{"base": m.git("show", "base:"+m.vault()), "ours": m.read(m.vault()), "theirs": "junk"}
		for name, content := range sides {
			m.write("../"+name, content)
		}
		for _, args := range [][]string{
			{"../base", "../ours", "../theirs", "7", m.vault()},
			{"../base", "../ours", "../nothing", "7", m.vault()},
			{"../base", "../ours"},
			{},
		} {
			if r := m.muxi(append([]string{"merge-vault"}, args...)...); r.code != 129 || r.out != "" || r.err == "" {
				t.Errorf("merge-vault %v: exit %d\n%s", args, r.code, r.err)
			}
			if m.read("../ours") != sides["ours"] {
				t.Errorf("merge-vault %v: ours is not as it was", args)
			}
		}
	})
}

// TestMergeKilled kills and fails the driver, then resolve, at every step of
// every file they write.
func TestMergeKilled(t *testing.T) {
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	start.sides([]string{"A=1", "D=1"}, []string{"A=2", "E=2"})
	want := secrets{"A": "1", "B": "b", "D": "1", "E": "2"}
	finish := func(m *mergeRepo, done bool) {
		m.Helper()
		if !done {
			m.refused("commit", "-qam", "x")
		}
		m.resolve(0, "A", "--theirs")
		m.must("commit", "-q", "--no-edit")
		m.settled(want.change("A=2"))
		var left []string
		for path := range m.everything() {
			if strings.Contains(path, ".muxi-secrets-tmp-") || strings.Contains(path, ".merge_file_") {
				left = append(left, path)
			}
		}
		if len(left) > 0 {
			m.Errorf("left behind: %v", left)
		}
	}
	whats := []string{"kill", "ENOSPC"}
	for step := 1; step <= 12; step++ { // six for the note, six for the vault
		if thinned(step, 12) {
			continue
		}
		for _, what := range whats {
			t.Run(fmt.Sprintf("driver %d %s", step, what), func(t *testing.T) {
				t.Parallel()
				m := start.copyOf(t)
				m.env = append(m.env, fmt.Sprintf("TEST_FAULT=#%d=%s", step, what))
				sealed := m.read(m.vault())
				r := m.merge()
				m.env = nil
				if r.code != 1 || m.stages(m.vault()) != "123" {
					t.Errorf("exit %d, stages %q\n%s%s", r.code, m.stages(m.vault()), r.out, r.err)
				}
				if got := m.values(); m.read(m.vault()) != sealed && got["A"] != "1" {
					t.Error("the vault is neither as it was nor merged")
				}
				finish(m, false)
			})
		}
	}
	count := &nth{}
	m := start.copyOf(t)
	m.merge()
	if r := m.muxiIn(run{fault: count.fault}, "resolve", "A", "--theirs"); r.code != 0 || len(count.seen) == 0 {
		t.Fatalf("resolve: exit %d, %d steps", r.code, len(count.seen))
	}
	for i, step := range count.seen {
		if thinned(i, len(count.seen)) {
			continue
		}
		for _, what := range whats {
			t.Run(fmt.Sprintf("resolve %d %s %s", i+1, step, what), func(t *testing.T) {
				t.Parallel()
				m := start.copyOf(t)
				m.merge()
				if what == "kill" {
					m.env = []string{fmt.Sprintf("TEST_FAULT=#%d=kill", i+1)}
					if r := m.at("agent").muxiEnv(m.env, "resolve", "A", "--theirs"); r.code != -1 {
						t.Errorf("exit %d, want a death", r.code)
					}
					m.env = nil
				} else {
					c := &nth{n: i + 1, what: syscall.ENOSPC}
					if r := m.muxiIn(run{fault: c.fault}, "resolve", "A", "--theirs"); r.code != 3 && !strings.HasPrefix(step, "fsync folder") {
						t.Errorf("exit %d, want 3\n%s", r.code, r.err)
					}
				}
				got := m.values()
				if got["A"] != "1" && got["A"] != "2" {
					t.Error("the vault holds neither")
				}
				m.resolve(0, "A", "--theirs") // the same again finishes
				finish(m, true)
			})
		}
	}
}

func (r *repo) muxiEnv(env []string, args ...string) result {
	r.Helper()
	return (&repo{r.TB, r.dir, append(r.env, env...)}).muxi(args...)
}

// TestMergeWithoutDrivers merges in a clone whose git knows of no driver: it
// leaves conflict markers in vault and template, or one side.
func TestMergeWithoutDrivers(t *testing.T) {
	long(t)
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	start.sides([]string{"A=1", "D=1"}, []string{"A=2", "E=2"})
	want := secrets{"A": "1", "B": "b", "D": "1", "E": "2"}
	clone := func(t *testing.T) *mergeRepo {
		t.Parallel()
		m := start.copyOf(t)
		m.git("config", "--remove-section", "merge.muxi-secrets")
		m.git("config", "--remove-section", "merge.muxi-secrets-template")
		return m
	}
	t.Run("resolve merges", func(t *testing.T) {
		m := clone(t)
		if r := m.merge(); r.code != 1 || !strings.Contains(m.read(m.vault()), "<<<<<<<") {
			t.Fatalf("exit %d, and no markers\n%s", r.code, r.out)
		}
		if r := m.do("commit", "-qam", "x"); r.code == 0 {
			t.Errorf("exit %d, or it does not name resolve\n%s", r.code, r.err)
		}
		if r := m.muxiIn(run{}, "list"); r.code != 3 || !strings.Contains(r.err, "merge markers") || !strings.Contains(r.err, "resolve") {
			t.Errorf("list: exit %d, or it does not name resolve\n%s", r.code, r.err)
		}
		m.names(m.resolve(1), "A")
		m.refused("commit", "-qam", "x")
		m.resolve(0, "A", "--theirs")
		m.must("commit", "-q", "--no-edit")
		m.settled(want.change("A=2"))
		if strings.Contains(m.read(m.template()), "<<<<") || strings.Contains(m.read(m.template()), "====") {
			t.Error("the template has conflict markers")
		}
	})
	t.Run("nothing contested", func(t *testing.T) {
		m := clone(t)
		m.git("checkout", "-q", "-B", "theirs", "base")
		m.on("E=2")
		m.git("checkout", "-q", "ours")
		m.merge()
		if r := m.resolve(0); !strings.Contains(r.err, "Nothing is left to settle") {
			t.Errorf("it says:\n%s", r.err)
		}
		m.must("commit", "-q", "--no-edit")
		m.settled(want)
	})
	t.Run("aborted", func(t *testing.T) {
		m := clone(t)
		before := m.everything()
		m.merge()
		m.resolve(1)
		m.must("merge", "--abort")
		before[".git/config"] = m.everything()[".git/config"] // has the drivers now
		m.asBefore(before)
		m.forgotten()
	})
	t.Run("the first command that writes brings them", func(t *testing.T) {
		for _, c := range []run{{stdin: hush + "x"}, {}, {stdin: start.read("agent/.key")}} {
			args := []string{"sync"}
			switch {
			case strings.HasPrefix(c.stdin, hush):
				args = []string{"add", "X", "--stdin"}
			case c.stdin != "":
				args = []string{"key", "import", "-"}
			}
			m := start.copyOf(t)
			for _, section := range []string{"merge.muxi-secrets", "merge.muxi-secrets-template", "diff.muxi-secrets"} {
				m.git("config", "--remove-section", section)
			}
			if args[0] == "key" {
				m.remove("agent/.key")
			}
			if r := m.muxiIn(c, args...); r.code != 0 {
				t.Errorf("%s: exit %d\n%s", args[0], r.code, r.err)
			}
			if got := m.try("config", "merge.muxi-secrets.driver").out; !strings.Contains(got, "merge-vault") {
				t.Errorf("after %s git has no driver", args[0])
			}
		}
	})
}

// TestOctopus has git merge two branches at once, which calls no driver.
func TestOctopus(t *testing.T) {
	long(t)
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	start.side("one", "D=1")
	start.side("two", "E=2")
	start.side("three", "A=3")
	start.git("checkout", "-q", "-B", "ours", "base")
	start.write("other.txt", "x\n")
	start.commit("other")
	for _, branches := range [][]string{{"one", "two"}, {"one", "three"}, {"one", "two", "three"}, {"two", "three"}} {
		t.Run(strings.Join(branches, " "), func(t *testing.T) {
			t.Parallel()
			m := start.copyOf(t)
			before := m.everything()
			r := m.do(append([]string{"merge", "--no-edit"}, branches...)...)
			if r.code == 0 {
				t.Fatalf("git merged them\n%s%s", r.out, r.err)
			}
			if m.stages(m.vault()) == "0" {
				m.asBefore(before) // refused
				m.forgotten()
				return
			}
			for _, args := range [][]string{{"commit", "-qam", "x"}, {"commit", "-qm", "x"}} {
				if r := m.do(args...); r.code == 0 {
					t.Errorf("a mangled vault was committed")
				}
			}
			m.resolve(0)
			got := m.values()
			if got["B"] != "b" || got["D"] == "" && got["E"] == "" {
				t.Error("the vault is not the merge of the sides there are")
			}
			m.must("merge", "--abort")
			m.asBefore(before)
			m.forgotten()
		})
	}
}
