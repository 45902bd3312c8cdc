package judge

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/formationtest"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

const stored = "hunter2-hunter2"

// judged is a repository with a formation whose vault holds stored.
func judged(t *testing.T) *gittest.Repo {
	t.Helper()
	r := gittest.New(t)
	formationtest.Put(r, "agent", formationtest.NewKey(t), "TOKEN="+stored)
	r.Commit("formation")
	r.Git("branch", "base")
	return r
}

// places writes findings down, without commits.
func places(found []scan.Finding) string {
	var lines []string
	for _, f := range found {
		lines = append(lines, fmt.Sprintf("%s %s:%d %s", f.Rule, f.Path, f.Line, f.Secret))
	}
	return strings.Join(lines, "\n")
}

// A leak is the same finding in every scope, through each backend; what only
// differs is what a scope looks at.
func TestEveryScopeFindsTheLeak(t *testing.T) {
	r := judged(t)
	r.Write("notes.txt", "one\nthe token is "+stored+"\n")
	r.Write("fine.txt", "nothing\n")
	r.Commit("leak")
	r.Remove("notes.txt")
	r.Commit("gone again")
	r.Stage("notes.txt", "one\nthe token is "+stored+"\n")

	const want = "known-secret notes.txt:2 TOKEN"
	fingerprints := map[string]bool{}
	for _, backend := range []string{"git", "go-git"} {
		repo := formationtest.Open(r, backend)
		ctx := context.Background()
		j := &Judge{Repo: repo, Basis: func() (*Basis, error) { return BasisOnDisk(context.Background(), repo) }}
		for scope, look := range map[string]func() (*Report, error){
			"staged":    func() (*Report, error) { return j.Staged(ctx) },
			"work tree": func() (*Report, error) { return j.WorkTree(ctx) },
			"range":     func() (*Report, error) { return j.Range(ctx, gitutil.Range{Exclude: []string{"base"}}) },
			"history":   func() (*Report, error) { return j.History(ctx) },
		} {
			report, err := look()
			if err != nil {
				t.Errorf("%s, %s: %v", backend, scope, err)
				continue
			}
			if got := places(report.Findings); got != want {
				t.Errorf("%s, %s:\n%s\nwant\n%s", backend, scope, got, want)
				continue
			}
			fingerprints[report.Findings[0].Fingerprint] = true
			if (report.Findings[0].Commit != "") != (scope == "range" || scope == "history") {
				t.Errorf("%s, %s: its commit is %q", backend, scope, report.Findings[0].Commit)
			}
			if report.Files == 0 || (report.Commits > 0) != (scope == "range" || scope == "history") {
				t.Errorf("%s, %s: looked at %d files and %d commits", backend, scope, report.Files, report.Commits)
			}
		}
	}
	if len(fingerprints) != 1 {
		t.Errorf("the leak has the fingerprints %v", fingerprints)
	}
}

// A message is searched as a file is, but for what git takes out of it.
func TestMessage(t *testing.T) {
	r := judged(t)
	repo := formationtest.Open(r, "git")
	j := &Judge{Repo: repo, Basis: func() (*Basis, error) { return BasisOnDisk(context.Background(), repo) }}
	hash := []string{"#"}
	for _, test := range []struct {
		message, want string
		comment       []string
	}{
		{"all is well\n", "", hash},
		{"why\n\nit was " + stored, "known-secret :3 TOKEN", hash},
		{"why\n# it was " + stored, "", hash},
		{"why\n#it was\n" + stored, "known-secret :3 TOKEN", hash},
		{"subject " + stored + "\n#x", "known-secret :1 TOKEN", hash},
		{"why\n# it was " + stored, "known-secret :2 TOKEN", nil},
		{"why\n# it was " + stored, "known-secret :2 TOKEN", []string{"#", "//"}},
		{"why\n// it was " + stored, "known-secret :2 TOKEN", []string{"#", "//"}},
		{"why\n#> it was " + stored, "", []string{"#", "#>"}},
	} {
		report, err := j.Message([]byte(test.message), Cleanup{Comment: test.comment})
		if err != nil {
			t.Errorf("%v", err)
		} else if got := places(report.Findings); got != test.want {
			t.Errorf("%q by %q: %q, want %q", test.message, test.comment, got, test.want)
		}
	}
}

// Settings silence by path and by rule.
func TestBasisSettles(t *testing.T) {
	r := judged(t)
	leak := scan.Finding{Rule: scan.KnownSecret, Path: "docs/a.txt", Fingerprint: "1"}
	other := scan.Finding{Rule: scan.PlaintextKey, Path: "src/a.txt", Fingerprint: "2"}
	for settings, want := range map[string]int{
		"":                               2,
		"allow:\n- path: docs/\n":        1,
		"allow:\n- path: '*.txt'\n":      0,
		"allow:\n- rule: known-secret\n": 1,
		"allow:\n- path: docs/\n  rule: plaintext-key\n": 2,
	} {
		basis, err := NewBasis(context.Background(), formationtest.Open(r, "git"), []string{"agent"}, []byte(settings))
		if err != nil {
			t.Errorf("%q: %v", settings, err)
			continue
		}
		if got, silenced := basis.Settle([]scan.Finding{leak, other, leak}); len(got) != want || len(silenced) != 2-want {
			t.Errorf("%q leaves %d findings and silences %d, want %d of 2", settings, len(got), len(silenced), want)
		}
	}
}

// A file that says that a stranger may stay came with the stranger.
func TestUnvouchedIsNeverSilenced(t *testing.T) {
	r := judged(t)
	settings := "allow:\n- path: '**'\n- rule: unvouched-key\n- rule: unvouched-people\n"
	basis, err := NewBasis(context.Background(), formationtest.Open(r, "git"), []string{"agent"}, []byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	found := []scan.Finding{
		{Rule: scan.UnvouchedKey, Path: "agent/.age-recipients", Fingerprint: "1"},
		{Rule: scan.UnvouchedPeople, Path: "agent/.age-recipients", Fingerprint: "2"},
	}
	if got, silenced := basis.Settle(found); len(got) != 2 || len(silenced) != 0 {
		t.Errorf("%d findings are left, %d silenced", len(got), len(silenced))
	}
}

// forEverybody lets others read a file, whatever the umask is.
func forEverybody(r *gittest.Repo, file string) {
	r.Helper()
	if err := os.Chmod(filepath.Join(r.Dir, filepath.FromSlash(file)), 0o644); err != nil {
		r.Fatal(err)
	}
}

// The rules that no single file shows, one ailment each.
func TestState(t *testing.T) {
	for name, tt := range map[string]struct {
		ail  func(r *gittest.Repo)
		want string
	}{
		"in order":                    {func(*gittest.Repo) {}, ""},
		"a name less in the template": {func(r *gittest.Repo) { r.Write("agent/secrets", "") }, "template-stale"},
		"a name more in the template": {func(r *gittest.Repo) { r.Write("agent/secrets", "GONE=\nTOKEN=\n") }, "template-stale"},
		"a reference without a value": {func(r *gittest.Repo) {
			r.Write("agent/more.afs", "x: ${{ secrets.MORE }}\n")
			r.Write("agent/secrets", "MORE=\nTOKEN=\n")
		}, "missing-secret"},
		"a value without a reference": {func(r *gittest.Repo) { r.Write("agent/formation.afs", "id: agent\n") }, "unused-secret"},
		"a key for two": {func(r *gittest.Repo) {
			for _, name := range []string{"formation.afs", "secrets", "secrets.enc", ".key", ".gitignore"} {
				r.Write("other/"+name, r.Read("agent/"+name))
			}
			forEverybody(r, "other/.key")
		}, "key-permissions shared-key shared-value"},
		"a key for everybody": {func(r *gittest.Repo) {
			r.Remove("agent/.key")
			r.Write("agent/.key", string(formationtest.NewKey(r).File()))
			forEverybody(r, "agent/.key")
		}, "key-permissions"},
		"a key that git takes": {func(r *gittest.Repo) { r.Remove("agent/.gitignore") }, "key-not-ignored"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := judged(t)
			tt.ail(r)
			for _, backend := range []string{"git", "go-git"} {
				repo := formationtest.Open(r, backend)
				j := &Judge{Repo: repo, Now: func() time.Time { return time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC) }}
				j.Basis = func() (*Basis, error) { return BasisOnDisk(context.Background(), repo) }
				basis, err := BasisOnDisk(context.Background(), repo)
				if err != nil {
					t.Fatal(err)
				}
				formations, err := Formations(repo.Layout(), history.NewKeys(t.Context(), repo, r.Dir), basis.Dirs)
				if err != nil {
					t.Fatal(err)
				}
				var snapshots []*Snapshot
				for _, f := range formations {
					s, err := OnDisk(repo.Layout(), f)
					if err != nil {
						t.Fatal(err)
					}
					snapshots = append(snapshots, s)
				}
				found, err := j.State(context.Background(), snapshots)
				if err != nil {
					t.Fatal(err)
				}
				var rules []string
				for _, f := range found.Findings {
					rules = append(rules, string(f.Rule))
				}
				slices.Sort(rules)
				if got := strings.Join(slices.Compact(rules), " "); got != tt.want {
					t.Errorf("%s: %q, want %q", backend, got, tt.want)
				}
			}
		})
	}
}

// A snapshot of the index, of a commit and of the work tree has each its own.
func TestSnapshotsOfVersions(t *testing.T) {
	r := judged(t)
	r.Stage("agent/secrets", "STAGED=\nTOKEN=\n")
	r.Write("agent/secrets", "DISK=\nTOKEN=\n")
	repo := formationtest.Open(r, "git")
	ctx := context.Background()
	keys := history.NewKeys(ctx, repo, r.Dir)
	for name, want := range map[string]string{"index": "-STAGED", "HEAD": ""} {
		from := Index(repo)
		if name == "HEAD" {
			from = Tree(repo, "HEAD")
		}
		found, err := Snapshots(ctx, repo, keys, from, []string{"agent"}, []string{"agent"})
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %d, %v", name, len(found), err)
		}
		s := found[0]
		if s.Template.Changes() != want || s.Vault() == nil || s.Locked() != nil {
			t.Errorf("%s: template %s, %v", name, s.Template.Changes(), s.Locked())
		} else if got := formationtest.Values(s.Vault()); !slices.Equal(got, []string{"TOKEN=" + stored}) {
			t.Errorf("%s: other values", name)
		}
	}
	f, err := formation.At(r.Path("agent"))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := OnDisk(repo.Layout(), f); err != nil || s.Template.Changes() != "-DISK" {
		t.Errorf("work tree: %v", err)
	}
}
