package gitutil

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An object comes out as git stores it, whatever it is, and goes in again as the same.
func TestObjects(t *testing.T) {
	r := branchy(t)
	r.git("tag", "-m", "annotated", "an")
	w := r.openWriter()
	for rev, want := range map[string]string{"HEAD": "commit", "HEAD^{tree}": "tree", "HEAD:evil": "blob", "an": "tag"} {
		id := r.git("rev-parse", rev)
		kind, content, err := w.Object(t.Context(), id)
		if err != nil || kind != want {
			t.Fatalf("%s: %s, %v", rev, kind, err)
		}
		if again, err := w.StoreObject(t.Context(), kind, content); err != nil || again != id {
			t.Errorf("%s: %s is stored as %s, %v", rev, id, again, err)
		}
	}
	var missing *MissingObjectError
	for _, id := range []string{strings.Repeat("1", 40), "HEAD", "main:evil", "", r.git("rev-parse", "HEAD") + "\n"} {
		if _, _, err := w.Object(t.Context(), id); !errors.As(err, &missing) {
			t.Errorf("%q, which is no object's name or not there: %v", id, err)
		}
	}
	if _, _, err := w.Object(t.Context(), r.git("rev-parse", "HEAD")); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// Refs change together, or not at all: where one is not what it should be, where
// what is done meanwhile fails, and where this process is gone.
func TestChangeRefs(t *testing.T) {
	r := branchy(t)
	w := r.openWriter()
	head, other := r.git("rev-parse", "main"), r.git("rev-parse", "side")
	refs := func() string { return r.git("for-each-ref", "--format=%(refname) %(objectname)") }
	before := refs()
	done := func() error { return nil }
	changes := []RefChange{{"refs/heads/main", head, other}, {OwnRefs + "scrubbed/x", "", head}}

	failed := errors.New("no")
	if err := w.ChangeRefs(t.Context(), "why", changes, func() error { return failed }); !errors.Is(err, failed) || refs() != before {
		t.Errorf("meanwhile failed: %v\n%s", err, refs())
	}
	wrong := append(slices.Clone(changes), RefChange{"refs/heads/side", head, other})
	called := false
	err := w.ChangeRefs(t.Context(), "why", wrong, func() error { called = true; return nil })
	var git *GitError
	if !errors.As(err, &git) || called || refs() != before {
		t.Errorf("a ref that moved: %v, called %t\n%s", err, called, refs())
	}
	if err := w.ChangeRefs(t.Context(), "why", changes, done); err != nil {
		t.Fatal(err)
	}
	if r.git("rev-parse", "main") != other || r.git("rev-parse", OwnRefs+"scrubbed/x") != head {
		t.Errorf("after it:\n%s", refs())
	}
	if log := r.git("reflog", "-1", "main"); !strings.Contains(log, "why") {
		t.Errorf("the reflog does not say why: %s", log)
	}

	r.git("checkout", "-q", "--detach", "v1")
	at := r.git("rev-parse", "HEAD")
	if err := w.ChangeRefs(t.Context(), "why", []RefChange{{"HEAD", at, head}}, done); err != nil {
		t.Fatal(err)
	}
	if branch, err := w.HeadBranch(t.Context()); err != nil || branch != "" || r.git("rev-parse", "HEAD") != head {
		t.Errorf("HEAD is on %q, %v", branch, err)
	}
}

// Index and work tree follow what became of a file; one that somebody changed stays,
// as does one that git has no more. Done again after a kill, it ends the same.
func TestFollowTree(t *testing.T) {
	r := newRepo(t)
	for _, name := range []string{"plain", "with space", "exec", "link", "gone", "mine", "sub/deep"} {
		r.write(name, "old\n")
	}
	if err := os.Remove(r.path("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("old", r.path("link")); err != nil {
		t.Skip("no symbolic links here")
	}
	r.git("add", "-A")
	r.git("update-index", "--chmod=+x", "exec")
	r.git("commit", "-qm", "old")
	r.git("checkout", "-q", "--", "exec")
	old := r.git("rev-parse", "HEAD")

	tree := r.at(".")
	index := tree.with("GIT_INDEX_FILE=" + filepath.Join(t.TempDir(), "index"))
	index.git("read-tree", old)
	blob := r.gitIn("new\n", "hash-object", "-w", "--stdin")
	to := r.gitIn("new", "hash-object", "-w", "--stdin")
	for _, name := range []string{"plain", "with space", "mine", "sub/deep"} {
		index.git("update-index", "--cacheinfo", "100644,"+blob+","+name)
	}
	index.git("update-index", "--cacheinfo", "100755,"+blob+",exec")
	index.git("update-index", "--cacheinfo", "120000,"+to+",link")
	index.git("update-index", "--force-remove", "gone")
	r.write("mine", "changed\n")

	w := r.openWriter()
	after := r.gitIn("", "commit-tree", "-p", old, "-m", "new", index.git("write-tree"))
	changes, err := w.TreeChanges(t.Context(), old, after)
	if err != nil || len(changes) != 7 {
		t.Fatalf("%+v, %v", changes, err)
	}
	check := func(what string) {
		t.Helper()
		left, err := w.FollowTree(t.Context(), changes)
		if err != nil || !slices.Equal(left, []string{"mine"}) {
			t.Fatalf("%s: left %q, %v", what, left, err)
		}
		if got := r.git("diff", "--cached", "--name-status", after); got != "" {
			t.Errorf("%s: the index differs in\n%s", what, got)
		}
		if got := r.git("status", "--porcelain", "--untracked-files=all"); !strings.Contains(got, "?? gone") || strings.Contains(got, "plain") || strings.Contains(got, "link") {
			t.Errorf("%s: status\n%s", what, got)
		}
		for name, want := range map[string]string{"plain": "new\n", "with space": "new\n", "exec": "new\n", "sub/deep": "new\n", "gone": "old\n", "mine": "changed\n"} {
			if got, err := os.ReadFile(r.path(name)); err != nil || string(got) != want {
				t.Errorf("%s: %s is %q, %v", what, name, got, err)
			}
		}
		if target, _ := os.Readlink(r.path("link")); target != "new" {
			t.Errorf("%s: the link leads to %q", what, target)
		}
	}
	r.git("update-ref", "HEAD", after)
	check("at once")
	check("again")
	r.write("plain", "old\n") // killed after the index, before the file
	check("after a kill")
}

// Others that have a commit are named: branches, stashes, a work tree on no branch.
func TestHolders(t *testing.T) {
	r := branchy(t)
	first := r.git("rev-parse", "v1")
	r.git("worktree", "add", "-q", "--detach", "../linked", "side")
	r.git("update-ref", OwnRefs+"scrubbed/x", "main")
	w := r.openWriter()
	holders, err := w.Holders(t.Context(), []string{first})
	if err != nil || !slices.Contains(holders, "refs/heads/main") || !slices.Contains(holders, "refs/heads/side") || slices.ContainsFunc(holders, func(h string) bool { return strings.HasPrefix(h, OwnRefs) }) {
		t.Errorf("%q, %v", holders, err)
	}
	if !slices.ContainsFunc(holders, func(h string) bool { return strings.HasPrefix(h, "HEAD of ") && strings.HasSuffix(h, "linked") }) {
		t.Errorf("the other work tree is not named: %q", holders)
	}
}

// What this program has git do calls no hook, neither those of the folder nor those
// that the configuration names (git 2.54 and newer).
func TestWithoutHooks(t *testing.T) {
	r := newRepo(t)
	r.write("a", "old\n")
	old := r.commit("old")
	r.write("a", "new\n")
	head := r.commit("new")
	r.git("reset", "-q", "--hard", old)
	for _, hook := range []string{"reference-transaction", "post-index-change", "post-checkout"} {
		r.git("config", "hook.My "+hook+".event", hook)
		r.write(".git/hooks/"+hook, "#!/bin/sh\necho folder >>"+hook+".ran\n")
		if err := os.Chmod(r.path(".git/hooks/"+hook), 0o755); err != nil {
			t.Fatal(err)
		}
		r.git("config", "hook.My "+hook+".command", "echo configuration >>"+hook+".ran; :")
	}

	w := r.openWriter()
	changes, err := w.TreeChanges(t.Context(), old, head)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := w.FollowTree(t.Context(), changes); err != nil || len(left) > 0 {
		t.Fatalf("left %q, %v", left, err)
	}
	if err := w.ChangeRefs(t.Context(), "why", []RefChange{{"refs/heads/main", old, head}}, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Changed(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Refresh(t.Context())
	ran, err := filepath.Glob(r.path("*.ran"))
	if err != nil || len(ran) > 0 {
		t.Errorf("these ran: %q, %v", ran, err)
	}
	r.git("update-ref", "refs/heads/other", "HEAD")
	if content, _ := os.ReadFile(r.path("reference-transaction.ran")); len(content) == 0 {
		t.Error("a hook that could run would not be seen")
	}
}
