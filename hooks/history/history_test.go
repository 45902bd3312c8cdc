package history

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/formationtest"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// past is a repository whose vault changes.
type past struct {
	*gittest.Repo
	key *crypto.Key
}

// seal commits the vault of agent with these values.
func (p *past) seal(message string, values ...string) string {
	p.Helper()
	formationtest.Put(p.Repo, "agent", p.key, values...)
	return p.Commit(message)
}

// story is the history of a folder, a line for each commit, newest first.
func (p *past) story(t *testing.T, backend, dir string) string {
	t.Helper()
	repo := formationtest.Open(p.For(t), backend)
	keys := NewKeys(t.Context(), repo, p.Dir)
	defer keys.Close()
	h, err := Read(t.Context(), repo, keys, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	err = h.Walk([]string{dir}, func(_ int, c *VaultCommit) bool {
		line := c.Subject + ":"
		for _, change := range c.Changes {
			line += fmt.Sprintf(" %s %s", change.Kind, change.Name)
		}
		if c.Rotated {
			line += " rotated"
		}
		if c.MovedFrom != "" {
			line += " from " + c.MovedFrom
		}
		if c.Err != nil {
			line += " cannot be opened"
		}
		lines = append(lines, line)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// A history names what each commit did, follows rotations and renames, and
// leaves out what changed no value.
func TestWalk(t *testing.T) {
	p := &past{gittest.New(t), formationtest.NewKey(t)}
	p.seal("first", "A=1", "B=1")
	p.seal("change", "A=2", "B=1", "C=1")
	p.seal("sealed again", "A=2", "B=1", "C=1")
	old := p.key
	p.Write(".git/muxi-secrets/keys/"+old.Fingerprint(), string(old.File()))
	p.key = formationtest.NewKey(t)
	p.seal("new key", "A=2", "B=1", "C=1")
	p.seal("remove", "A=2", "C=1")
	p.Write("README", "x\n")
	p.Commit("elsewhere")
	p.Git("mv", "agent", "bot")
	p.Remove("agent")
	formationtest.PutKey(p.Repo, "bot", p.key)
	p.Commit("move")
	const before = "remove: removed B\nnew key: rotated\nchange: changed A added C\nfirst: added A added B"
	for _, backend := range []string{"git", "go-git"} {
		if got, want := p.story(t, backend, "bot"), "move: from agent\n"+before; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", backend, got, want)
		}
	}

	// Without the retired key it says where it knows nothing.
	p.Remove(".git/muxi-secrets")
	for _, backend := range []string{"git", "go-git"} {
		got := p.story(t, backend, "bot")
		if !strings.HasPrefix(got, "move: from agent\nremove: removed B\n") || !strings.Contains(got, "cannot be opened") || strings.Contains(got, "added A") {
			t.Errorf("%s, without the old key:\n%s", backend, got)
		}
	}
}

// A merge is told where it brings something in that no side has, and a value is
// as old as the commit that brought it.
func TestWalkMergesAndAges(t *testing.T) {
	p := &past{gittest.New(t), formationtest.NewKey(t)}
	p.Env = append(p.Env, "GIT_AUTHOR_DATE=2026-01-01T00:00:00Z")
	p.seal("first", "A=1")
	content, err := os.ReadFile(p.Path("agent/secrets.enc"))
	check(t, err)
	p.Write("other/secrets.enc", string(content))
	p.Git("add", "other")
	p.Git("commit", "-qm", "other")
	p.Git("checkout", "-q", "-b", "side")
	p.Env = append(p.Env, "GIT_AUTHOR_DATE=2026-01-02T00:00:00Z")
	p.seal("on side", "A=1", "S=1")
	p.Git("checkout", "-q", "main")
	p.Env = append(p.Env, "GIT_AUTHOR_DATE=2026-01-03T00:00:00Z")
	p.seal("on main", "A=1", "M=1")
	p.Env = append(p.Env, "GIT_AUTHOR_DATE=2026-01-04T00:00:00Z")
	p.Try("merge", "-q", "--no-commit", "-s", "ours", "side")
	p.seal("merge", "A=1", "M=1", "S=1")
	p.Git("checkout", "-q", "-b", "evil", "main~")
	p.Try("merge", "-q", "--no-commit", "-s", "ours", "side")
	p.seal("evil merge", "A=9", "M=1", "S=1")
	for _, backend := range []string{"git", "go-git"} {
		p.Git("checkout", "-q", "-f", "main")
		if got := p.story(t, backend, "agent"); strings.Contains(got, "merge:") || !strings.Contains(got, "on side: added S") || !strings.Contains(got, "on main: added M") {
			t.Errorf("%s:\n%s", backend, got)
		}

		repo := formationtest.Open(p.Repo, backend)
		keys := NewKeys(t.Context(), repo, p.Dir)
		h, err := Read(t.Context(), repo, keys, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		vault := formation.NewVault()
		for name, value := range map[string]string{"A": "1", "M": "1", "S": "1", "NEW": "x"} {
			vault.Set(name, value)
		}
		now := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
		other := formation.NewVault()
		other.Set("A", "1")
		ages, err := h.Ages(map[string]*formation.Vault{"agent": vault, "other": other, "none": nil}, now)
		if err != nil {
			t.Fatal(err)
		}
		if since := ages["other"]["A"]; since.UTC().Format("01-02") != "01-01" {
			t.Errorf("%s: the other formation's value is of %v", backend, since)
		}
		var got []string
		for name, since := range ages["agent"] {
			got = append(got, name+" "+since.UTC().Format("01-02"))
		}
		slices.Sort(got)
		if want := []string{"A 01-01", "M 01-03", "NEW 02-01", "S 01-02"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", backend, got, want)
		}

		p.Git("checkout", "-q", "-f", "evil")
		if got := p.story(t, backend, "agent"); !strings.HasPrefix(got, "evil merge: changed A") {
			t.Errorf("%s, what only the merge did:\n%s", backend, got)
		}
	}
}

// A repository without a commit has an empty history.
func TestReadNothing(t *testing.T) {
	r := gittest.New(t)
	for _, backend := range []string{"git", "go-git"} {
		repo := formationtest.Open(r, backend)
		h, err := Read(context.Background(), repo, NewKeys(t.Context(), repo, r.Dir), "", nil)
		if err != nil || h.Shallow {
			t.Errorf("%s: %v", backend, err)
			continue
		}
		if err := h.Walk([]string{"agent"}, func(int, *VaultCommit) bool { t.Error("a commit"); return true }); err != nil {
			t.Errorf("%s: %v", backend, err)
		}
	}
}
