package gitutil

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestStaged(t *testing.T) {
	base := func(r *testRepo) {
		r.write("a", "1\n")
		r.write("dir/b", "2\n")
		r.write("dir/c", "3\n")
		r.commit("base")
	}
	tests := []struct {
		name     string
		init     []string
		setup    func(r *testRepo) *testRepo // gives the repository to ask, nil for the same
		onlyGit  bool
		gitAsked bool // the index does not name the pending commit's tree, though git has tried to write it
		want     []string
	}{
		{name: "nothing", setup: func(r *testRepo) *testRepo { base(r); return nil }},
		{name: "first commit", gitAsked: true, setup: func(r *testRepo) *testRepo {
			r.write("a", "1")
			r.write("b/c", "2")
			r.git("add", "-A")
			return nil
		}, want: []string{`100644 "a" "1"`, `100644 "b/c" "2"`}},
		{name: "no commit, no index", gitAsked: true, setup: func(r *testRepo) *testRepo { return nil }},
		{name: "changed, added, deleted", setup: func(r *testRepo) *testRepo {
			base(r)
			r.write("dir/b", "changed")
			r.write("dir.x", "new")
			r.remove("a")
			r.git("add", "-A")
			r.write("dir/c", "not staged")
			return nil
		}, want: []string{`deleted "a"`, `100644 "dir.x" "new"`, `100644 "dir/b" "changed"`}},
		{name: "rename is judged again", setup: func(r *testRepo) *testRepo {
			base(r)
			r.git("mv", "a", "z")
			r.git("config", "diff.renames", "copies")
			return nil
		}, want: []string{`deleted "a"`, `100644 "z" "1\n"`}},
		{name: "mode and type change", setup: func(r *testRepo) *testRepo {
			base(r)
			r.git("update-index", "--chmod=+x", "dir/c")
			r.remove("a")
			r.link("a", "../.key")
			r.git("add", "a")
			return nil
		}, want: []string{`120000 "a" "../.key"`, `100755 "dir/c" "3\n"`}},
		{name: "folder becomes file", setup: func(r *testRepo) *testRepo {
			base(r)
			r.remove("dir")
			r.write("dir", "now a file")
			r.git("add", "-A")
			return nil
		}, want: []string{`100644 "dir" "now a file"`, `deleted "dir/b"`, `deleted "dir/c"`}},
		{name: "intent to add", gitAsked: true, setup: func(r *testRepo) *testRepo {
			base(r)
			r.write("n", "secret")
			r.git("add", "-N", "n")
			r.git("rm", "-q", "--cached", "a")
			r.git("add", "-N", "a")
			return nil
		}, want: []string{`deleted "a"`}},
		{name: "intent to add in the first commit", gitAsked: true, setup: func(r *testRepo) *testRepo {
			r.write("n", "secret")
			r.git("add", "-N", "n")
			return nil
		}},
		{name: "from a subfolder", setup: func(r *testRepo) *testRepo {
			base(r)
			r.write("a", "x")
			r.git("add", "-A")
			return r.at("dir")
		}, want: []string{`100644 "a" "x"`}},
		{name: "settings that change output", setup: func(r *testRepo) *testRepo {
			base(r)
			for _, kv := range []string{"color.ui=always", "diff.external=false", "diff.noprefix=true", "diff.relative=true", "core.quotePath=true",
				"diff.orderFile=nowhere", "core.abbrev=4", "core.pager=false", "core.fsmonitor=false", "diff.ignoreSubmodules=all"} {
				k, v, _ := strings.Cut(kv, "=")
				r.git("config", k, v)
			}
			r.write(".gitattributes", "* -diff\n")
			r.write("é", "x")
			r.git("add", "-A")
			return r.at("dir")
		}, want: []string{`100644 ".gitattributes" "* -diff\n"`, `100644 "é" "x"`}},
		{name: "GIT_INDEX_FILE, relative", setup: func(r *testRepo) *testRepo {
			base(r)
			other := r.with("GIT_INDEX_FILE=.git/other")
			other.git("read-tree", "HEAD")
			r.write("a", "in the other index")
			other.git("add", "a")
			return other
		}, want: []string{`100644 "a" "in the other index"`}},
		{name: "linked work tree", setup: func(r *testRepo) *testRepo {
			base(r)
			r.git("worktree", "add", "-q", "../linked")
			w := r.at("../linked")
			w.write("n", "x")
			w.git("add", "n")
			return w
		}, want: []string{`100644 "n" "x"`}},
		{name: "submodule", setup: func(r *testRepo) *testRepo {
			base(r)
			r.git("clone", "-q", ".", "../lib")
			r.git("submodule", "--quiet", "add", r.path("../lib"), "sub")
			sub := r.at("sub")
			sub.write("n", "x")
			sub.git("add", "n")
			return sub
		}, want: []string{`100644 "n" "x"`}},
		{name: "submodule entries are no content", setup: func(r *testRepo) *testRepo {
			base(r)
			r.git("update-index", "--add", "--cacheinfo", "160000,"+r.git("rev-parse", "HEAD")+",sub")
			return nil
		}},
		{name: "submodule entry gone, and one become a file", setup: func(r *testRepo) *testRepo {
			base(r)
			r.write("other", "x")
			commit := r.git("rev-parse", "HEAD")
			for _, path := range []string{"sub", "other"} {
				r.git("update-index", "--add", "--cacheinfo", "160000,"+commit+","+path)
			}
			r.commitStaged("submodules")
			r.git("update-index", "--force-remove", "sub")
			blob := r.git("rev-parse", "HEAD~:a")
			r.git("update-index", "--cacheinfo", "100644,"+blob+",other")
			return nil
		}, want: []string{`100644 "other" "1\n"`}},
		{name: "unmerged", gitAsked: true, setup: func(r *testRepo) *testRepo {
			base(r)
			r.git("switch", "-qc", "side")
			r.write("a", "side")
			r.commit("side")
			r.git("switch", "-q", "main")
			r.write("a", "main")
			r.commit("main")
			r.fails("merge", "side")
			r.write("b", "clean")
			r.git("add", "b")
			return nil
		}, want: []string{`100644 "b" "clean"`}},
		{name: "index version 4", setup: func(r *testRepo) *testRepo {
			base(r)
			r.git("update-index", "--index-version=4")
			r.write("dir/c2", "x")
			r.git("add", "-A")
			return nil
		}, want: []string{`100644 "dir/c2" "x"`}},
		{name: "replaced object", setup: func(r *testRepo) *testRepo {
			base(r)
			r.write("n", "the real one")
			r.git("add", "n")
			r.git("replace", r.git("rev-parse", ":n"), r.git("rev-parse", ":a"))
			return nil
		}, want: []string{`100644 "n" "the real one"`}},
		{name: "split index", onlyGit: true, gitAsked: true, setup: func(r *testRepo) *testRepo {
			base(r)
			r.git("update-index", "--split-index")
			r.write("n", "x")
			r.git("add", "n")
			return nil
		}, want: []string{`100644 "n" "x"`}},
		{name: "SHA-256", init: []string{"--object-format=sha256"}, onlyGit: true, gitAsked: true, setup: func(r *testRepo) *testRepo {
			r.write("n", "x")
			r.git("add", "n")
			return nil
		}, want: []string{`100644 "n" "x"`}},
		{name: "sparse checkout", setup: func(r *testRepo) *testRepo {
			base(r)
			r.git("sparse-checkout", "set", "--no-cone", "/a")
			r.write("a", "x")
			r.git("add", "a")
			return nil
		}, want: []string{`100644 "a" "x"`}},
		{name: "sparse index", onlyGit: true, gitAsked: true, setup: func(r *testRepo) *testRepo {
			base(r)
			r.git("sparse-checkout", "set", "--cone", "--sparse-index", "other")
			r.write("a", "x")
			r.git("add", "a")
			return nil
		}, want: []string{`100644 "a" "x"`}},
		{name: "alternates", onlyGit: true, setup: func(r *testRepo) *testRepo {
			base(r)
			r.git("clone", "-q", "-s", ".", "../shared")
			s := r.at("../shared")
			s.write("a", "x")
			s.git("add", "a")
			return s
		}, want: []string{`100644 "a" "x"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t, tt.init...)
			if other := tt.setup(r); other != nil {
				r = other
			}
			staged := func(repo Repository) (string, error) { return visited(repo.Staged) }
			r.both(tt.onlyGit, lines(tt.want...), staged)

			// As a hook finds it: git has written the tree that it will commit.
			r.repo().Try("write-tree")
			r.both(tt.onlyGit, lines(tt.want...), staged)
			repo, err := r.open("git")
			if err != nil {
				t.Fatal(err)
			}
			defer repo.Close()
			if _, ok := repo.(*gitRepo).pendingTree(context.Background()); ok == tt.gitAsked {
				t.Errorf("the pending commit's tree is read: %v", ok)
			}
		})
	}
}

func TestHostileNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such names")
	}
	r := newRepo(t)
	var want, names []string
	for _, name := range hostileNames() {
		r.write(name, name)
		r.write(".d/"+name, name)
	}
	for _, dir := range []string{" lead", "*", "-dash", ".d/", ":(top)x", "a\nb", "a\tb", "a\x1b[31m", "a b", "q\"uote'", "tab\\n", "z\xff\xfe", "é"} {
		if dir == ".d/" {
			for _, name := range hostileNames() {
				names = append(names, ".d/"+name)
			}
			continue
		}
		names = append(names, dir)
	}
	sortStrings(names)
	for _, name := range names {
		want = append(want, blobLine(name, filepath.Base(name)))
	}
	// Untracked first, then in the index, then in a commit.
	r.both(false, lines(want...), func(repo Repository) (string, error) { return visited(repo.WorkTree) })
	r.git("add", "-A")
	r.both(false, lines(want...), func(repo Repository) (string, error) { return visited(repo.WorkTree) })
	r.both(false, lines(want...), func(repo Repository) (string, error) {
		return visited(func(ctx context.Context, v Visitor) error { return repo.Staged(ctx, v) })
	})
	r.commit("hostile")
	r.both(false, lines(append([]string{`commit "hostile\n"`}, want...)...), func(repo Repository) (string, error) {
		return visited(repo.History)
	})
	for _, name := range hostileNames() {
		r.both(false, blobLine(name, name), func(repo Repository) (string, error) {
			return visited(func(ctx context.Context, v Visitor) error { return IndexBlobs(ctx, repo, name, v) })
		})
		r.both(false, blobLine(".d/"+name, name), func(repo Repository) (string, error) {
			return visited(func(ctx context.Context, v Visitor) error { return repo.TreeBlobs(ctx, "HEAD", ".d/"+name, v) })
		})
	}
	r.write(".git/info/exclude", "a*\n*/z*\n")
	r.both(false, "0 0 0 0 1 1 1 1 0 0 0 0 0 0 0 0 1 1 1 1 0 0 1 0", func(repo Repository) (string, error) {
		var paths []string
		for _, name := range hostileNames() {
			paths = append(paths, r.path(name))
		}
		for _, name := range hostileNames() {
			paths = append(paths, r.path(".d/"+name))
		}
		ignored, err := repo.Ignored(context.Background(), paths)
		if err != nil {
			return "", err
		}
		tracked, err := repo.Tracked(context.Background(), paths)
		for i, ok := range tracked {
			if !ok {
				t.Errorf("%s: %q is not tracked", backendOf(repo), paths[i])
			}
		}
		return bits(ignored), err
	})
}

func TestVisitorStopsAndSkips(t *testing.T) {
	r := newRepo(t)
	for i := range 2000 {
		r.write("f"+string(rune('a'+i%26))+"/"+strings.Repeat("x", i%7)+string(rune('0'+i/200)), strings.Repeat("content\n", i))
	}
	r.git("add", "-A")
	stop := errors.New("stop")
	for _, backend := range []string{"git", "go-git"} {
		repo, err := r.open(backend)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = repo.Staged(context.Background(), Visitor{Blob: func(*Blob) error {
			if n++; n == 3 {
				return stop
			}
			return nil
		}})
		if !errors.Is(err, stop) || n != 3 {
			t.Errorf("%s: %v after %d blobs", backend, err, n)
		}
		n = 0
		err = repo.Staged(context.Background(), Visitor{
			MaxBlob: 5,
			Want:    func(path string, _ Mode) bool { return strings.HasPrefix(path, "fb/") },
			Blob: func(b *Blob) error {
				n++
				if !strings.HasPrefix(b.Path, "fb/") || len(b.Data) > 5 || b.Truncated() != (b.Size > 5) {
					t.Errorf("%s: %q, %d of %d bytes", backend, b.Path, len(b.Data), b.Size)
				}
				return nil
			},
		})
		if err != nil || n == 0 {
			t.Errorf("%s: %v, %d blobs", backend, err, n)
		}
		ctx, cancel := context.WithCancel(context.Background())
		err = repo.Staged(ctx, Visitor{Blob: func(*Blob) error { cancel(); return nil }})
		if backend == "git" && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v after cancel", backend, err)
		}
		repo.Close()
	}
}

// What is not held of a blob can be read on, as far as somebody wants to, and read
// again; the blobs behind it come all the same.
func TestRestOfABlob(t *testing.T) {
	r := newRepo(t)
	content := map[string]string{"a": "0123456789", "b": "short", "c": "abcdefghijklmnopqrstuvwxyz", "d": "0123456789abcdef"}
	for name, text := range content {
		r.write(name, text)
	}
	r.git("add", "-A")
	for _, backend := range []string{"git", "go-git"} {
		repo, err := r.open(backend)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{}
		visitor := Visitor{MaxBlob: 8, Blob: func(b *Blob) error {
			if !b.Truncated() {
				seen[b.Path] = string(b.Data)
				return nil
			}
			again, err := b.Reopen()
			if err != nil {
				return err
			}
			defer again.Close()
			all, err := io.ReadAll(again)
			if err != nil || string(all) != content[b.Path] {
				t.Errorf("%s: %s is read again as %q, %v", backend, b.Path, all, err)
			}
			rest := make([]byte, 64)
			if b.Path != "a" { // of which nobody reads the rest
				n, err := io.ReadFull(b.Rest, rest)
				if err != io.ErrUnexpectedEOF {
					t.Errorf("%s: the end of %s: %v", backend, b.Path, err)
				}
				rest = rest[:n]
			} else {
				rest = []byte(content["a"][8:])
			}
			seen[b.Path] = string(b.Data) + string(rest)
			return nil
		}}
		for what, visit := range map[string]func(context.Context, Visitor) error{"staged": repo.Staged, "the work tree": repo.WorkTree} {
			clear(seen)
			if err := visit(context.Background(), visitor); err != nil || !maps.Equal(seen, content) {
				t.Errorf("%s, %s: %v, %q", backend, what, err, seen)
			}
		}
		repo.Close()
	}
}

// Nothing in a repository's own configuration may start a program through us.
func TestNoCommandFromConfig(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("shell scripts")
	}
	r := newRepo(t)
	r.write("a", "1")
	r.commit("base")
	trap := r.path("../trap")
	mark := r.path("../mark")
	if err := os.WriteFile(trap, []byte("#!/bin/sh\necho \"$0 $*\" >>'"+mark+"'\ncat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"core.fsmonitor", "diff.external", "core.pager", "pager.ls-files", "filter.x.clean", "filter.x.smudge", "filter.x.process",
		"diff.x.textconv", "diff.x.command", "core.sshCommand", "core.editor", "gpg.program", "credential.helper", "core.alternateRefsCommand", "core.askPass"} {
		r.git("config", key, trap)
	}
	r.git("config", "log.showSignature", "true")
	r.git("config", "core.hooksPath", r.path("../hooks"))
	for _, hook := range []string{"post-index-change", "pre-commit", "reference-transaction"} {
		r.write("../hooks/"+hook, "#!/bin/sh\necho \"$0 $*\" >>'"+mark+"'\n")
		os.Chmod(r.path("../hooks/"+hook), 0o755)
	}
	r.write(".gitattributes", "* filter=x diff=x\n")
	r.write("b", "2")
	repo := r.openWriter()
	ctx := context.Background()
	check := func(what string, err error) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if started, err := os.ReadFile(mark); err == nil {
			t.Errorf("%s started %s", what, started)
			os.Remove(mark)
		}
	}
	all := (&transcript{}).visitor()
	if err := os.Remove(mark); err == nil {
		t.Log("git started one of them while the test was set up")
	}
	check("StageFile", repo.StageFile(ctx, "b", []byte("2"), ModeFile))
	check("Staged", repo.Staged(ctx, all))
	check("WorkTree", repo.WorkTree(ctx, all))
	check("IndexBlobs", IndexBlobs(ctx, repo, "", all))
	check("TreeBlobs", repo.TreeBlobs(ctx, "HEAD", "", all))
	check("Commits", repo.Commits(ctx, Range{}, all))
	check("History", repo.History(ctx, all))
	_, err := repo.Ignored(ctx, []string{r.path("a")})
	check("Ignored", err)
	_, err = repo.Attributes(ctx, []string{r.path("a")}, []string{"filter"})
	check("Attributes", err)
	_, err = repo.Tracked(ctx, []string{r.path("a")})
	check("Tracked", err)
	_, err = repo.HooksDir(ctx)
	check("HooksDir", err)
}
