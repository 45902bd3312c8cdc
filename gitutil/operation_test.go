package gitutil

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func operation(repo Repository) (string, error) {
	op, err := repo.Operation(context.Background())
	return strings.TrimSpace(op.Kind + " " + op.Theirs), err
}

func TestOperation(t *testing.T) {
	for _, kind := range []struct {
		name    string
		init    []string
		linked  bool
		onlyGit bool
	}{
		{name: "main work tree"},
		{name: "linked work tree", linked: true},
		{name: "SHA-256", init: []string{"--object-format=sha256"}, onlyGit: true},
		{name: "reftable", init: []string{"--ref-format=reftable"}, onlyGit: true},
		{name: "reftable, linked work tree", init: []string{"--ref-format=reftable"}, linked: true, onlyGit: true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			if !formatKnown(t, kind.init) {
				return
			}
			main := newRepo(t, kind.init...)
			main.write("v", "1\n")
			main.write("w", "1\n")
			main.commit("base")
			main.git("branch", "base")
			main.git("switch", "-qc", "theirs")
			main.write("v", "theirs\n")
			main.commit("theirs 1")
			main.write("w", "theirs\n")
			main.commit("theirs 2")
			main.git("switch", "-qc", "clean", "base")
			main.write("x", "1\n")
			main.commit("clean")
			main.git("switch", "-q", "main")
			main.write("v", "ours\n")
			main.commit("ours 1")
			main.write("w", "ours\n")
			main.commit("ours 2")
			r := main
			if kind.linked {
				main.git("worktree", "add", "-q", "../linked", "-b", "here")
				r = main.at("../linked")
			}
			home := r.git("rev-parse", "--abbrev-ref", "HEAD")
			id := func(rev string) string { return r.git("rev-parse", rev) }
			settle := func() { r.git("checkout", "-q", "--theirs", "."); r.git("add", "-A") }
			quiet := r.with("GIT_EDITOR=true", "GIT_SEQUENCE_EDITOR=true")
			for _, tt := range []struct {
				name  string
				setup func()
				want  string
				abort string
			}{
				{"nothing", func() {}, "", ""},
				{"merge", func() { r.fails("merge", "theirs") }, "merge " + id("theirs"), "merge --abort"},
				{"merge, settled", func() { r.fails("merge", "theirs"); settle() }, "merge " + id("theirs"), "merge --abort"},
				{"merge, not committed", func() { r.git("merge", "-q", "--no-commit", "--no-ff", "clean") }, "merge " + id("clean"), "merge --abort"},
				{"octopus", func() {
					r.git("merge", "-q", "--no-commit", "clean", id("base"), r.git("commit-tree", "-p", "base", "-m", "x", "base^{tree}"))
				}, "merge " + id("clean"), "merge --abort"},
				{"squash", func() { r.fails("merge", "--squash", "theirs") }, "", "reset -q --hard"},
				{"cherry-pick", func() { r.fails("cherry-pick", "theirs~") }, "cherry-pick " + id("theirs~"), "cherry-pick --abort"},
				{"cherry-pick of none", func() { r.fails("cherry-pick", "main") }, "cherry-pick " + id("main"), "cherry-pick --abort"},
				{"cherry-pick -n", func() { r.git("cherry-pick", "-n", "clean") }, "", "reset -q --hard"},
				{"cherry-pick of several", func() { r.fails("cherry-pick", "clean", "theirs~", "theirs") }, "cherry-pick " + id("theirs~"), "cherry-pick --abort"},
				{"cherry-pick, committed by hand", func() {
					r.fails("cherry-pick", "theirs~", "theirs")
					settle()
					r.git("commit", "-qm", "by hand")
				}, "cherry-pick", "cherry-pick --quit"},
				{"cherry-pick, reset by hand", func() { r.fails("cherry-pick", "theirs~", "theirs"); r.git("reset", "-q", "--hard") }, "cherry-pick", "cherry-pick --quit"},
				{"revert", func() { r.write("v", "more\n"); r.commit("more"); r.fails("revert", "--no-edit", "HEAD~2") }, "revert " + id(home+"~"), "revert --abort"},
				{"revert of several, reset by hand", func() {
					r.write("v", "more\n")
					r.commit("more")
					r.fails("revert", "--no-edit", "HEAD~2", "HEAD~1")
					r.git("reset", "-q", "--hard")
				}, "revert", "revert --quit"},
				{"rebase", func() { r.fails("rebase", "theirs") }, "rebase " + id(home+"~"), "rebase --abort"},
				{"rebase --apply", func() { r.fails("rebase", "--apply", "theirs") }, "rebase " + id(home+"~"), "rebase --abort"},
				{"rebase -i", func() { quiet.fails("rebase", "-i", "theirs") }, "rebase " + id(home+"~"), "rebase --abort"},
				{"rebase -i, the second one", func() {
					quiet.fails("rebase", "-i", "theirs")
					settle()
					quiet.fails("rebase", "--continue")
				}, "rebase " + id(home), "rebase --abort"},
				{"rebase -i, squash", func() {
					r.with("GIT_EDITOR=true", "GIT_SEQUENCE_EDITOR=sed -i.bak -e '2s/^pick/squash/'").fails("rebase", "-i", "theirs")
					settle()
					quiet.fails("rebase", "--continue")
				}, "rebase " + id(home), "rebase --abort"},
				{"rebase -i, break", func() { r.with("GIT_SEQUENCE_EDITOR=sed -i.bak -e 1ibreak").git("rebase", "-q", "-i", "base") }, "rebase", "rebase --abort"},
				{"rebase -i, a merge meanwhile", func() {
					r.with("GIT_SEQUENCE_EDITOR=sed -i.bak -e 1ibreak").git("rebase", "-q", "-i", "base")
					r.git("merge", "-q", "--no-commit", "--no-ff", "clean")
				}, "rebase " + id("clean"), "rebase --abort"},
				{"am", func() {
					patch := r.git("format-patch", "--stdout", "theirs~2..theirs~")
					cmd := r.path("../patch")
					if err := os.WriteFile(cmd, []byte(patch+"\n"), 0o644); err != nil {
						t.Fatal(err)
					}
					r.fails("am", "-3", cmd)
				}, "am", "am --abort"},
				{"stash pop", func() {
					r.write("v", "stashed\n")
					r.git("stash", "-q")
					r.write("v", "more\n")
					r.commit("more")
					r.fails("stash", "pop")
				}, "", "reset -q --hard"},
			} {
				t.Run(tt.name, func(t *testing.T) {
					// What goes wrong in here, setting up included, is this subtest's.
					for _, used := range []*testRepo{main, r, quiet} {
						used.t = t
					}
					at := r.in(t)
					start := at.git("rev-parse", "HEAD")
					tt.setup()
					at.both(kind.onlyGit, tt.want, operation)
					if kind.linked {
						main.in(t).both(kind.onlyGit, "", operation)
					}
					if tt.abort != "" {
						at.git(strings.Fields(tt.abort)...)
					}
					at.both(kind.onlyGit, "", operation)
					at.git("reset", "-q", "--hard", start)
					at.git("clean", "-qfd")
				})
			}
		})
	}
}

// Where refs are in files nothing is asked of git; a git that cannot be run
// answers as well.
func TestOperationStartsNoProcess(t *testing.T) {
	r := newRepo(t)
	r.write("v", "1")
	first := r.commit("one")
	ask := func(want string) {
		t.Helper()
		repo, err := r.open("git")
		if err != nil {
			t.Fatal(err)
		}
		defer repo.Close()
		repo.(*gitRepo).exe = r.path("no such program")
		if got, err := operation(repo); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	ask("")
	r.write(".git/CHERRY_PICK_HEAD", first+"\n")
	ask("cherry-pick " + first)
	// With a reftable, too, as long as nothing is going on.
	r.remove(".git/CHERRY_PICK_HEAD")
	r.git("config", "core.repositoryFormatVersion", "1")
	r.git("config", "extensions.refStorage", "reftable")
	ask("")
}

// What is in git's own files may be anything.
func TestOperationDamaged(t *testing.T) {
	r := newRepo(t)
	for name, want := range map[string]string{"MERGE_HEAD": "merge", "REVERT_HEAD": "revert", "CHERRY_PICK_HEAD": "cherry-pick", "REBASE_HEAD": "", "sequencer/todo": "", "sequencer/x": ""} {
		for _, text := range []string{"", "\n", "no id\n", strings.Repeat("x", 100000), "ref: refs/heads/main\n", "# comment\n\nexec false\n"} {
			r := r.in(t)
			for _, old := range []string{"MERGE_HEAD", "REVERT_HEAD", "CHERRY_PICK_HEAD", "REBASE_HEAD", "sequencer"} {
				r.remove(".git/" + old)
			}
			r.write(".git/"+name, text)
			r.both(false, want, func(repo Repository) (string, error) {
				got, err := operation(repo)
				if err != nil {
					err = fmt.Errorf("%s holds %.20q: %w", name, text, err)
				}
				return got, err
			})
		}
	}
}

// sayIncoming is a merge driver that writes down what git brings in, and fails.
func sayIncoming(file string) int {
	layout, err := Discover(".", os.Getenv)
	if err == nil {
		err = os.WriteFile(file, []byte(layout.Incoming(os.Environ())), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 1
}

// What is being merged is known while a driver runs, and what it left in conflict
// once git was told that all is well.
func TestIncomingAndNotedConflicts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a driver that a shell starts")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := newRepo(t)
	r.write(".gitattributes", "v merge=say\n")
	r.write("v", "1\n")
	r.write("odd name", "1\n")
	r.commit("base")
	r.git("branch", "base")
	r.git("switch", "-qc", "theirs")
	r.write("v", "theirs\n")
	r.write("odd name", "theirs\n")
	r.commit("theirs")
	r.git("switch", "-q", "main")
	r.write("v", "ours\n")
	r.write("odd name", "ours\n")
	r.commit("ours")
	said := r.path("../said")
	r.git("config", "merge.say.driver", "TEST_DRIVER='"+said+"' '"+self+"'")

	layout := func() Layout {
		layout, err := Discover(r.dir, r.repo().Getenv)
		if err != nil {
			t.Fatal(err)
		}
		return layout
	}
	for _, tt := range []struct {
		args            []string
		incoming, abort string
		rebasing        bool
	}{
		{[]string{"merge", "theirs"}, "theirs", "merge --abort", false},
		{[]string{"rebase", "theirs"}, "main", "rebase --abort", true},
		{[]string{"cherry-pick", "theirs"}, "", "cherry-pick --abort", false},
		{[]string{"merge", "--squash", "theirs"}, "theirs", "reset --hard", false},
	} {
		want := ""
		if tt.incoming != "" {
			want = r.git("rev-parse", tt.incoming)
		}
		os.Remove(said)
		r.fails(tt.args...)
		if got := mustRead(t, said); got != want {
			t.Errorf("%v brings in %q, want %q", tt.args, got, want)
		}
		r.git("add", "-A")
		if got := layout().Rebasing(); got != tt.rebasing {
			t.Errorf("%v: rebasing: %t", tt.args, got)
		}
		if got := layout().NotedConflicts(); !slices.Equal(got, []string{"odd name", "v"}) {
			t.Errorf("%v: noted %q", tt.args, got)
		}
		r.git(strings.Fields(tt.abort)...)
	}
	if got := layout().NotedConflicts(); got != nil {
		t.Errorf("nothing going on: noted %q", got)
	}
	if got := layout().Incoming([]string{"GITHEAD_" + strings.Repeat("1", 40) + "=a", "GITHEAD_" + strings.Repeat("2", 40) + "=b"}); got != "" {
		t.Errorf("an octopus brings in %s", got)
	}
}
