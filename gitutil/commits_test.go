package gitutil

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// branchy is a repository with a merge that brings content of its own, a
// rename, a revert and a second branch.
func branchy(t *testing.T) *testRepo {
	r := newRepo(t)
	r.write("a", "1")
	r.write("d/b", "1")
	r.commit("one")
	r.git("tag", "v1")
	r.git("switch", "-qc", "side")
	r.write("d/b", "side")
	r.commit("side")
	r.git("switch", "-q", "main")
	r.write("a", "leak")
	r.commit("leak\n\nbody\n:100644 looks like a change\n")
	r.write("a", "1")
	r.commit("revert")
	r.git("mv", "a", "z")
	r.commit("rename")
	r.git("merge", "-q", "--no-ff", "--no-commit", "side")
	r.write("evil", "only in the merge")
	r.commit("merge")
	r.git("branch", "other", "v1")
	return r
}

func visitCommits(rng Range) func(Repository) (string, error) {
	return func(repo Repository) (string, error) {
		return visited(func(ctx context.Context, v Visitor) error { return repo.Commits(ctx, rng, v) })
	}
}

func TestCommits(t *testing.T) {
	one := []string{`commit "one\n"`, `100644 "a" "1"`, `100644 "d/b" "1"`}
	main := []string{
		`commit "leak\n\nbody\n:100644 looks like a change\n"`, `100644 "a" "leak"`,
		`commit "revert\n"`,
		`commit "rename\n"`, `100644 "z" "1"`,
	}
	side := []string{`commit "side\n"`, `100644 "d/b" "side"`}
	merge := []string{`commit "merge\n"`, `100644 "evil" "only in the merge"`}
	revert := []string{`commit "revert\n"`, `100644 "a" "1"`, `commit "rename\n"`, `100644 "z" "1"`}
	join := func(parts ...[]string) string {
		var all []string
		for _, p := range parts {
			all = append(all, p...)
		}
		return lines(all...)
	}
	r := branchy(t)
	// Seen from after "one", the revert brings "1" back under "a".
	fromV1 := append(append([]string{}, main[:2]...), revert...)
	tests := []struct {
		name string
		rng  Range
		want string
	}{
		{"everything", Range{}, join(one, side, main, merge)},
		{"range", Range{Include: []string{"main"}, Exclude: []string{"v1"}}, join(side, fromV1, merge)},
		{"base", Range{Exclude: []string{"side"}}, join(fromV1, merge)},
		{"base is ahead", Range{Exclude: []string{"main"}}, ""},
		{"several exclusions", Range{Include: []string{"HEAD"}, Exclude: []string{"side", "HEAD~1"}}, join(merge)},
		{"parents", Range{Include: []string{"HEAD^2"}, Exclude: []string{"HEAD^2^"}}, join(side)},
		{"known to the other side", Range{Known: []string{r.git("rev-parse", "side"), strings.Repeat("1", 40), strings.Repeat("0", 40)}}, join(fromV1, merge)},
		{"refs there were", Range{Include: []string{r.gitIn("", "commit-tree", "-p", "HEAD", "-m", "pushed", "HEAD^{tree}")}, ExceptRefs: true}, `commit "pushed\n"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r.in(t).both(false, tt.want, visitCommits(tt.rng))
		})
	}
	t.Run("remote", func(t *testing.T) {
		r := r.in(t)
		r.git("update-ref", "refs/remotes/up/side", "side")
		r.git("update-ref", "refs/remotes/upper/main", "main")
		r.both(false, join(fromV1, merge), visitCommits(Range{ExceptRemote: "up"}))
		r.both(false, join(one, side, main, merge), visitCommits(Range{ExceptRemote: "nowhere"}))
		r.both(false, "", visitCommits(Range{Unpushed: true}))
		r.git("update-ref", "-d", "refs/remotes/upper/main")
		r.both(false, join(fromV1, merge), visitCommits(Range{Unpushed: true}))
	})
	t.Run("unknown", func(t *testing.T) {
		for _, backend := range []string{"git", "go-git"} {
			repo, err := r.open(backend)
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"nope", "--all", "", "^main", "main~99", strings.Repeat("1", 40)} {
				for _, rng := range []Range{{Include: []string{bad}}, {Exclude: []string{bad}}} {
					err := repo.Commits(context.Background(), rng, Visitor{Blob: func(*Blob) error { return nil }})
					var unknown *RevisionError
					if !errors.As(err, &unknown) || unknown.Rev != bad {
						t.Errorf("%s: %+v: %v", backend, rng, err)
					}
				}
			}
		}
	})
}

func TestParseRange(t *testing.T) {
	for text, want := range map[string]string{
		"a..b": "[b] ^[a]", "a..": "[HEAD] ^[a]", "..b": "[b] ^[HEAD]", "a": "error", "a...b": "error", "": "error",
	} {
		r, err := ParseRange(text)
		got := fmt.Sprintf("%v ^%v", r.Include, r.Exclude)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestHistory(t *testing.T) {
	r := branchy(t)
	// Reachable in other ways than from a branch.
	r.git("switch", "-qc", "gone", "v1")
	r.write("stashed", "s")
	r.git("add", "stashed")
	r.with("GIT_COMMITTER_DATE=1800000000 +0000").git("stash", "-q")
	r.git("worktree", "add", "-q", "--detach", "../linked", "v1")
	linked := r.at("../linked")
	linked.write("detached", "d")
	linked.with("GIT_COMMITTER_DATE=1900000000 +0000").gitIn("", "add", "-A")
	linked.with("GIT_COMMITTER_DATE=1900000000 +0000").git("commit", "-qm", "detached")
	blob := r.gitIn("in a tagged blob", "hash-object", "-w", "--stdin")
	r.git("tag", "blob", blob)
	r.git("tag", "-m", "t", "tree", r.gitIn("100644 blob "+blob+"\tx\n", "mktree"))
	r.git("pack-refs", "--all")
	r.git("symbolic-ref", "refs/heads/dangling", "refs/heads/none")
	// What this program keeps for itself is pushed by nothing.
	r.git("update-ref", OwnRefs+"scrubbed/x", r.gitIn("", "commit-tree", "-m", "kept", "HEAD^{tree}"))
	want := lines(`commit "one\n"`, `100644 "a" "1"`, `100644 "d/b" "1"`,
		`commit "side\n"`, `100644 "d/b" "side"`,
		`commit "leak\n\nbody\n:100644 looks like a change\n"`, `100644 "a" "leak"`,
		`commit "revert\n"`, `commit "rename\n"`, `100644 "z" "1"`,
		`commit "merge\n"`, `100644 "evil" "only in the merge"`,
		`commit "index on gone: `+r.git("rev-parse", "--short", "v1")+` one\n"`, `100644 "stashed" "s"`,
		`commit "WIP on gone: `+r.git("rev-parse", "--short", "v1")+` one"`,
		`commit "detached\n"`, `100644 "detached" "d"`,
		`100644 "refs/tags/blob" "in a tagged blob"`, `commit "t\n"`, `100644 "refs/tags/tree/x" "in a tagged blob"`)
	history := func(repo Repository) (string, error) { return visited(repo.History) }
	r.both(false, want, history)
	r.git("gc", "-q", "--prune=now")
	r.both(false, want, history)
	r.at("../linked").both(false, want, history)

	first := map[string]string{}
	for _, backend := range []string{"git", "go-git"} {
		repo, err := r.open(backend)
		if err != nil {
			t.Fatal(err)
		}
		err = repo.History(context.Background(), Visitor{Blob: func(b *Blob) error {
			if backend == "git" {
				first[b.Path+b.ID] = b.Commit
			} else if first[b.Path+b.ID] != b.Commit {
				t.Errorf("%s: first commit %s, git says %s", b.Path, b.Commit, first[b.Path+b.ID])
			}
			return nil
		}})
		if err != nil {
			t.Error(err)
		}
		repo.Close()
	}
	if first["evil"+r.git("rev-parse", "main:evil")] != r.git("rev-parse", "main") {
		t.Error("the merge is not named as the commit of its own content")
	}
}

func TestEmptyHistory(t *testing.T) {
	r := newRepo(t)
	r.both(false, "", func(repo Repository) (string, error) { return visited(repo.History) })
	bare := newRepo(t, "--bare")
	bare.both(false, "", func(repo Repository) (string, error) { return visited(repo.History) })
}

func TestMessagesKeepTheirBytes(t *testing.T) {
	r := newRepo(t)
	tree := r.gitIn("", "mktree")
	raw := "tree " + tree + "\nauthor a <a> 1700000000 +0000\ncommitter c <c> 1700000000 +0000\nencoding ISO-8859-1\n\n\n caf\xe9 \n\n\n"
	id := r.gitIn(raw, "hash-object", "-t", "commit", "-w", "--stdin")
	r.git("update-ref", "refs/heads/main", id)
	empty := r.gitIn("tree "+tree+"\nparent "+id+"\nauthor a <a> 1700000060 +0000\ncommitter c <c> 1700000060 +0000\n\n", "hash-object", "-t", "commit", "-w", "--stdin")
	r.git("update-ref", "refs/heads/main", empty)
	r.git("config", "i18n.logOutputEncoding", "UTF-16")
	r.both(false, lines(`commit "\n caf\xe9 \n\n\n"`, `commit ""`), func(repo Repository) (string, error) { return visited(repo.History) })
}

func TestRevisions(t *testing.T) {
	r := branchy(t)
	r.git("tag", "-m", "annotated", "v2", "side")
	for _, rev := range []string{"HEAD", "@", "main", "refs/heads/main", "heads/main", "v1", "v2", "side~1", "main^2", "main^1~2", "main^0", "v2^{commit}", r.git("rev-parse", "HEAD"), r.git("rev-parse", "HEAD")[:9], r.git("rev-parse", "HEAD")[:8]} {
		r.both(false, r.git("rev-parse", rev+"^{commit}"), func(repo Repository) (string, error) {
			return repo.ResolveRev(context.Background(), rev)
		})
	}
	for range 14 {
		r.git("commit", "-q", "--allow-empty", "-m", "far")
	}
	for _, rev := range []string{"HEAD~2", "HEAD~3", "HEAD~4", "HEAD~5", "HEAD~6", "HEAD~7", "HEAD~8", "HEAD~9", "HEAD~10", "HEAD~13"} {
		r.both(false, r.git("rev-parse", rev), func(repo Repository) (string, error) { return repo.ResolveRev(context.Background(), rev) })
	}
	r.git("reset", "-q", "--hard", "HEAD~14")
	base := func(a, b string) func(repo Repository) (string, error) {
		return func(repo Repository) (string, error) {
			id, ok, err := repo.MergeBase(context.Background(), a, b)
			return fmt.Sprint(id, ok), err
		}
	}
	for _, pair := range [][2]string{{"main", "side"}, {"side", "other"}, {"main~1", "side"}, {"main", "main"}} {
		r.both(false, r.git("merge-base", pair[0], pair[1])+"true", base(pair[0], pair[1]))
		r.both(false, r.git("merge-base", pair[0], pair[1])+"true", base(pair[1], pair[0]))
	}
	r.git("switch", "-q", "--orphan", "root")
	r.commit("unrelated")
	r.both(false, "false", base("root", "main"))
	r.both(false, r.git("rev-parse", "root")+"true", func(repo Repository) (string, error) {
		id, ok, err := repo.Head(context.Background())
		return fmt.Sprint(id, ok), err
	})
	r.git("switch", "-q", "--orphan", "unborn")
	r.both(false, "false", func(repo Repository) (string, error) {
		id, ok, err := repo.Head(context.Background())
		return fmt.Sprint(id, ok), err
	})
}

func TestShallowClone(t *testing.T) {
	r := branchy(t)
	r.git("clone", "-q", "--depth=2", "file://"+r.dir, "../shallow")
	s := r.at("../shallow")
	for _, backend := range []string{"git", "go-git"} {
		repo, err := s.open(backend)
		if err != nil {
			t.Fatal(err)
		}
		if len(repo.Layout().ShallowCommits()) == 0 {
			t.Errorf("%s: it is not known to be shallow", backend)
		}
		for name, visit := range map[string]func(context.Context, Visitor) error{
			"History": repo.History,
			"Commits": func(ctx context.Context, v Visitor) error { return repo.Commits(ctx, Range{}, v) },
		} {
			var l transcript
			err := visit(context.Background(), l.visitor())
			var shallow *ShallowError
			if !errors.As(err, &shallow) || !strings.HasPrefix(err.Error(), "shallow clone: it does not hold the ") {
				t.Errorf("%s: %s: %v", backend, name, err)
			}
			want := lines(`commit "side\n"`, `100644 "a" "1"`, `100644 "d/b" "side"`, `commit "rename\n"`, `100644 "d/b" "1"`, `100644 "z" "1"`, `commit "merge\n"`, `100644 "evil" "only in the merge"`)
			if l.String() != want {
				t.Errorf("%s: %s:\n%s\nwant\n%s", backend, name, l.String(), want)
			}
		}
		repo.Close()
	}
	// A range that stays on this side of the end is whole.
	s.both(false, lines(`commit "merge\n"`, `100644 "evil" "only in the merge"`), visitCommits(Range{Include: []string{"HEAD"}, Exclude: []string{"HEAD^1", "HEAD^2"}}))
}

func TestPartialClone(t *testing.T) {
	r := branchy(t)
	r.git("config", "uploadpack.allowFilter", "true")
	r.git("config", "uploadpack.allowAnySHA1InWant", "true")
	r.git("clone", "-q", "--filter=blob:none", "--no-checkout", "file://"+r.dir, "../partial")
	p := r.at("../partial")
	missing := r.git("rev-parse", "v1:a")
	for _, backend := range []string{"git", "go-git"} {
		repo, err := p.open(backend)
		if err != nil {
			t.Fatal(err)
		}
		_, err = visited(repo.History)
		var absent *MissingObjectError
		if !errors.As(err, &absent) || absent.ID != missing || absent.Path != "a" {
			t.Errorf("%s: %v, want object %s of 'a'", backend, err, missing)
		}
		// What is not asked for is not missed.
		n := 0
		err = repo.History(context.Background(), Visitor{
			Commit: func(*Commit) error { n++; return nil },
			Want:   func(string, Mode) bool { return false },
			Blob:   func(*Blob) error { return nil },
		})
		if err != nil || n != 6 {
			t.Errorf("%s: %d commits, %v", backend, n, err)
		}
		repo.Close()
	}
	if out := p.git("cat-file", "--batch-check", "--batch-all-objects"); strings.Contains(out, missing) {
		t.Error("the missing object was fetched")
	}
}

func TestDamagedRepository(t *testing.T) {
	r := newRepo(t)
	r.write("a", "some content\n")
	r.commit("one")
	id := r.git("rev-parse", "HEAD:a")
	if err := os.Remove(r.path(".git/objects/" + id[:2] + "/" + id[2:])); err != nil {
		t.Fatal(err)
	}
	for _, backend := range []string{"git", "go-git"} {
		repo, err := r.open(backend)
		if err != nil {
			t.Fatal(err)
		}
		_, err = visited(repo.History)
		var absent *MissingObjectError
		if !errors.As(err, &absent) || absent.ID != id {
			t.Errorf("%s: %v", backend, err)
		}
		repo.Close()
	}
}

func TestShow(t *testing.T) {
	r := newRepo(t)
	r.write("d/a", "1")
	r.write("d/empty", "")
	r.write("d/deep/x", "2")
	r.write("odd \n*", "3")
	r.commit("one")
	r.write("d/a", "other")
	r.commit("two")
	for file, want := range map[string]string{"d/a": `"1"`, "d/empty": `""`, "d/deep": "nil", "d": "nil", "none": "nil", "d/deep/x": `"2"`, "odd \n*": `"3"`} {
		r.both(false, want, func(repo Repository) (string, error) {
			content := Show(context.Background(), repo, "HEAD~1", file)
			if content == nil {
				return "nil", nil
			}
			return fmt.Sprintf("%q", content), nil
		})
	}
	r.both(false, "true", func(repo Repository) (string, error) {
		return fmt.Sprint(Show(context.Background(), repo, "nowhere", "d/a") == nil), nil
	})
}

func TestBlobIDs(t *testing.T) {
	for i, format := range []string{"sha1", "sha256"} {
		r := newRepo(t, "--object-format="+format)
		for _, text := range []string{"", "text\n", "a\x00b"} {
			if got, want := BlobIDs([]byte(text))[i], r.gitIn(text, "hash-object", "--stdin"); got != want {
				t.Errorf("%s of %q: %s, git says %s", format, text, got, want)
			}
		}
	}
}

func TestInWorkTree(t *testing.T) {
	r := newRepo(t)
	r.write("d/a", "1")
	r.write("../outside/x", "1")
	for link, to := range map[string]string{"in": "d/a", "folder": "d", "out": "../outside", "nowhere": "d/none", "git": ".git/config"} {
		r.link(link, to)
	}
	layout, err := Discover(r.dir, r.repo().Getenv)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"d/a": true, "d/new": true, "in": true, "folder/new": true, "out": false, "out/new": false, "nowhere": false, "git": false, ".git/x": false, "../outside/x": false} {
		if layout.InWorkTree(r.path(path)) != want {
			t.Errorf("%s: %t", path, !want)
		}
	}
}

// A name that git warns of, and what it does not warn of.
func TestUnambiguous(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	id := r.commit("one")
	r.write("a", "2")
	r.commit("two")
	r.git("config", "core.warnAmbiguousRefs", "false")
	r.git("update-ref", "refs/remotes/origin/main", "HEAD~1")
	r.git("update-ref", "refs/remotes/origin/HEAD", "HEAD~1")
	r.git("tag", "both")
	r.git("branch", "both", "HEAD~1")
	r.git("tag", "origin/main")
	r.git("branch", "origin")
	r.git("branch", id[:8])
	r.git("tag", "--no-sign", "deadbeef")
	r.git("update-ref", "refs/heads/refs/heads/main", "HEAD~1")
	r.git("tag", id)
	for rev, want := range map[string]bool{
		"both": false, "both~0": false, "both^{commit}": false, "tags/both": true, "heads/both": true, "refs/heads/both": true,
		"origin/main": false, "remotes/origin/main": true, "refs/remotes/origin/main": true, "origin": false,
		id[:8]: false, id[:9]: true, id: false, r.git("rev-parse", "HEAD"): true, "deadbeef": true,
		"main": true, "refs/heads/main": false, "HEAD": true, "HEAD~1": true, "@": true, "nope": true, "": true, "-x": true,
	} {
		r.both(false, fmt.Sprint(want), func(repo Repository) (string, error) {
			err := repo.Unambiguous(context.Background(), rev)
			var ambiguous *AmbiguousError
			if errors.As(err, &ambiguous) {
				return "false", nil
			}
			return "true", err
		})
		if t.Failed() {
			t.Fatalf("%q", rev)
		}
	}
}
