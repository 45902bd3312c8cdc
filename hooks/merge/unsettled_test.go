package merge

import (
	"os"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation/formationtest"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// A rebase that went on past a vault which it could not merge lost what that commit
// changed, until somebody brings that, or another value, or takes the rebase back.
func TestLostIn(t *testing.T) {
	r := gittest.New(t)
	key := formationtest.NewKey(t)
	put := func(message string, values ...string) string {
		formationtest.Put(r, "agent", key, values...)
		return r.Commit(message)
	}
	vault := func(rev string) []byte { return []byte(r.Git("cat-file", "blob", rev+":"+vaultPath)) }
	put("base", "A=1", "B=1")
	r.Git("tag", "base")
	put("earlier", "A=earlier", "B=1")
	put("theirs", "A=theirs", "B=1")
	r.Git("tag", "theirs")
	r.Write("x", "no vault")
	r.Commit("later")
	r.Git("reset", "-q", "--hard", "base")
	put("onto", "A=1", "B=onto")
	r.Git("tag", "onto")

	repo := formationtest.Open(r, "git")
	state := NewState(repo.Layout(), vaultPath)
	state.Failed = true
	state.Head, state.Theirs = strings.TrimSpace(r.Git("rev-parse", "onto")), strings.TrimSpace(r.Git("rev-parse", "theirs"))
	state.BaseFile, state.OursFile, state.TheirsFile = vault("base"), vault("onto"), vault("theirs")
	if err := state.keepLost(repo.Layout(), safefile.Files{}); err != nil {
		t.Fatal(err)
	}
	if found, err := LostIn(t.Context(), repo, "HEAD"); err != nil || len(found) > 0 {
		t.Errorf("noted outside of a rebase: %v, %v", found, err)
	}
	if err := os.Mkdir(r.Path(".git/rebase-merge"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := state.keepLost(repo.Layout(), safefile.Files{}); err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		name string
		make func()
		lost bool
	}{
		{"gone on with ours", func() { r.Write("x", "x"); r.Commit("theirs") }, true},
		{"gone on, and ours sealed again", func() { put("theirs", "A=1", "B=onto") }, true},
		{"gone on, and another name since", func() { put("theirs", "A=1", "B=onto", "C=1") }, true},
		{"gone on, and more commits on top", func() { r.Write("x", "x"); r.Commit("theirs"); r.Write("x", "y"); r.Commit("more") }, true},
		{"brought", func() { put("theirs", "A=theirs", "B=onto") }, false},
		{"another value", func() { put("theirs", "A=other", "B=onto") }, false},
		{"brought later", func() { r.Write("x", "x"); r.Commit("theirs"); put("again", "A=theirs", "B=onto") }, false},
		{"skipped: a commit of another message", func() { r.Write("x", "x"); r.Commit("other") }, false},
		{"not gone on", func() {}, false},
		{"gone back on", func() { r.Git("reset", "-q", "--hard", "base"); r.Write("x", "x"); r.Commit("theirs") }, false},
		{"merged since", func() { r.Write("x", "x"); r.Commit("theirs"); r.Git("merge", "-q", "-s", "ours", "-m", "m", "theirs") }, false},
		{"sealed with a key that is not here", func() {
			r.Write(vaultPath, string(formationtest.Sealed(t, formationtest.NewKey(t), "A=1")))
			r.Commit("theirs")
		}, false},
	} {
		r.Git("reset", "-q", "--hard", "onto")
		tt.make()
		found, err := LostIn(t.Context(), repo, "HEAD")
		if err != nil || (len(found) == 1) != tt.lost {
			t.Errorf("%s: %v, %v", tt.name, found, err)
		}
	}

	// What the sides were decides, too: theirs may have had nothing of its own.
	sealed := func(values ...string) []byte { return formationtest.Sealed(t, key, values...) }
	for _, tt := range []struct {
		name               string
		base, ours, theirs []byte
		lost               bool
	}{
		{"there was none before", nil, sealed("A=1", "B=onto"), sealed("A=theirs", "B=1"), true},
		{"theirs changed nothing", sealed("A=1", "B=1"), sealed("A=1", "B=onto"), sealed("A=1", "B=1"), false},
		{"theirs changed what ours did", sealed("A=0", "B=1"), sealed("A=1", "B=onto"), sealed("A=1", "B=1"), false},
		{"theirs does not open", sealed("A=1", "B=1"), sealed("A=1", "B=onto"), formationtest.Sealed(t, formationtest.NewKey(t), "A=theirs"), false},
		{"theirs is the very file", state.TheirsFile, vault("onto"), state.TheirsFile, false},
	} {
		other := *state
		other.BaseFile, other.OursFile, other.TheirsFile = tt.base, tt.ours, tt.theirs
		if err := other.keepLost(repo.Layout(), safefile.Files{}); err != nil {
			t.Fatal(err)
		}
		r.Git("reset", "-q", "--hard", "onto")
		r.Write("x", "x")
		r.Commit("theirs")
		found, err := LostIn(t.Context(), repo, "HEAD")
		if err != nil || (len(found) == 1) != tt.lost {
			t.Errorf("%s: %v, %v", tt.name, found, err)
		}
	}
	if err := state.keepLost(repo.Layout(), safefile.Files{}); err != nil {
		t.Fatal(err)
	}

	r.Git("reset", "-q", "--hard", "onto")
	r.Write("x", "x")
	r.Commit("theirs")
	state.ForgetLost()
	if found, err := LostIn(t.Context(), repo, "HEAD"); err != nil || len(found) > 0 {
		t.Errorf("settled: %v, %v", found, err)
	}
}

// What a rebase or a cherry-pick put into a commit unsettled is found there, and
// no longer once the vault is another one.
func TestUnsettledIn(t *testing.T) {
	key := formationtest.NewKey(t)
	r, s := conflict(t, key)
	m := newMerger(t, r)
	if _, state, err := m.Vault(t.Context(), s); err != nil || state == nil {
		t.Fatalf("%v", err)
	}
	left, err := os.ReadFile(s.Ours)
	if err != nil {
		t.Fatal(err)
	}
	repo := formationtest.Open(r.For(t), "git")
	count := func(rev string, want int) {
		t.Helper()
		found, err := UnsettledIn(t.Context(), repo, rev)
		if err != nil || len(found) != want {
			t.Errorf("%s: %v, %v; want %d", rev, found, err, want)
		}
	}
	count("HEAD", 0)
	r.Write(vaultPath, string(left))
	r.Git("add", "-A")
	r.Git("commit", "-q", "--no-verify", "-m", "unsettled")
	count("HEAD", 1)
	count("HEAD~1", 0)
	formationtest.Put(r, "agent", key, "A=settled")
	r.Commit("another")
	count("HEAD", 0)
}
