package gitutil

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

func TestDiscover(t *testing.T) {
	tests := []struct {
		name  string
		setup func(r *testRepo) *testRepo
		none  bool // git and we find no repository
	}{
		{"top", func(r *testRepo) *testRepo { return r }, false},
		{"subfolder", func(r *testRepo) *testRepo { r.write("a/b/c", ""); return r.at("a/b") }, false},
		{"through a link", func(r *testRepo) *testRepo { r.write("a/b", ""); r.link("../l", "repo/a"); return r.at("../l") }, false},
		{".git is a link", func(r *testRepo) *testRepo {
			os.Rename(r.path(".git"), r.path("../moved"))
			r.link(".git", "../moved")
			return r
		}, false},
		{"linked work tree", func(r *testRepo) *testRepo {
			r.write("a/b", "")
			r.commit("x")
			r.git("worktree", "add", "-q", "../w")
			return r.at("../w/a")
		}, false},
		{"submodule", func(r *testRepo) *testRepo {
			r.commit("x")
			r.git("clone", "-q", ".", "../lib")
			r.git("submodule", "--quiet", "add", "../lib", "deep/sub")
			return r.at("deep/sub")
		}, false},
		{"linked work tree of a bare repository", func(r *testRepo) *testRepo {
			r.commit("x")
			r.git("clone", "-q", "--bare", ".", "../bare.git")
			b := r.at("../bare.git")
			b.git("worktree", "add", "-q", "../w", "main")
			return r.at("../w")
		}, false},
		{"worktreeConfig", func(r *testRepo) *testRepo {
			r.commit("x")
			r.git("clone", "-q", "--bare", ".", "../bare.git")
			b := r.at("../bare.git")
			b.git("config", "extensions.worktreeConfig", "true")
			b.git("config", "--worktree", "core.bare", "true")
			b.git("config", "--unset", "core.bare")
			b.git("worktree", "add", "-q", "../w", "main")
			return r.at("../w")
		}, false},
		{"bare", func(r *testRepo) *testRepo {
			r.git("init", "-q", "--bare", "../b.git")
			return r.at("../b.git/refs")
		}, false},
		{"bare, said without a value", func(r *testRepo) *testRepo {
			r.git("init", "-q", "--bare", "../b.git")
			r.write("../b.git/config", "[core]\n\trepositoryformatversion = 0\n\tbare\n")
			return r.at("../b.git")
		}, false},
		{"inside .git", func(r *testRepo) *testRepo { return r.at(".git/objects") }, false},
		{"core.worktree", func(r *testRepo) *testRepo {
			r.write("../elsewhere/x", "")
			r.git("config", "core.worktree", "../../elsewhere")
			return r
		}, false},
		{"separate git dir", func(r *testRepo) *testRepo {
			r.git("init", "-q", "--separate-git-dir=../sep", "../w")
			return r.at("../w")
		}, false},
		{"GIT_DIR", func(r *testRepo) *testRepo {
			r.write("../w/a/b", "")
			return r.at("../w/a").with("GIT_DIR=../../repo/.git")
		}, false},
		{"GIT_DIR and GIT_WORK_TREE", func(r *testRepo) *testRepo {
			r.write("../w/a/b", "")
			return r.at("../w/a").with("GIT_DIR=../../repo/.git", "GIT_WORK_TREE=..")
		}, false},
		{"GIT_DIR=. in a bare one, as in pre-receive", func(r *testRepo) *testRepo {
			r.git("init", "-q", "--bare", "../b.git")
			return r.at("../b.git").with("GIT_DIR=.")
		}, false},
		{"GIT_DIR to a gitfile", func(r *testRepo) *testRepo {
			r.git("init", "-q", "--separate-git-dir=../sep", "../w")
			return r.at("../w").with("GIT_DIR=" + r.path("../w/.git"))
		}, false},
		{"ceiling", func(r *testRepo) *testRepo {
			r.write("a/b/c", "")
			return r.at("a/b").with("GIT_CEILING_DIRECTORIES=" + r.path("a"))
		}, true},
		{"ceiling at the top's parent", func(r *testRepo) *testRepo {
			r.write("a/b/c", "")
			return r.at("a/b").with("GIT_CEILING_DIRECTORIES=/nowhere" + string(os.PathListSeparator) + filepath.Dir(r.dir))
		}, false},
		{"ceiling at the start", func(r *testRepo) *testRepo {
			r.write("a/b", "")
			return r.at("a").with("GIT_CEILING_DIRECTORIES=" + r.path("a"))
		}, false},
		{"nothing", func(r *testRepo) *testRepo { return r.at("..") }, true},
		{"no such folder", func(r *testRepo) *testRepo { return r.at("none") }, true},
		{"broken gitfile", func(r *testRepo) *testRepo { r.write("a/.git", "gitdir: nowhere\n"); return r.at("a") }, true},
		{"gitfile of another kind", func(r *testRepo) *testRepo { r.write("a/.git", "hello\n"); return r.at("a") }, true},
		{"empty .git is passed over", func(r *testRepo) *testRepo { os.MkdirAll(r.path("a/.git"), 0o755); return r.at("a") }, false},
		{"reftable-like HEAD", func(r *testRepo) *testRepo { r.write(".git/HEAD", "ref: refs/heads/.invalid\n"); return r }, false},
		{"damaged HEAD", func(r *testRepo) *testRepo { r.write(".git/HEAD", "what\n"); return r }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := tt.setup(newRepo(t))
			layout, err := Discover(r.dir, r.repo().Getenv)
			if tt.none {
				var none *NotRepositoryError
				if !errors.As(err, &none) {
					t.Errorf("%+v, %v", layout, err)
				}
				if isDir(r.dir) {
					r.fails("rev-parse", "--git-dir")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := []string{layout.GitDir, layout.CommonDir, "false"}
			if layout.Bare {
				got[2] = "true"
			}
			said := strings.Split(r.git("rev-parse", "--path-format=absolute", "--absolute-git-dir", "--git-common-dir", "--is-bare-repository"), "\n")
			if strings.Join(got, "\n") != strings.Join([]string{said[0], paths.Real(said[1]), said[2]}, "\n") {
				t.Errorf("%q, git says %q", got, said)
			}
			if layout.Top != "" {
				r.write("probe", "x")
				r.both(false, "false", func(repo Repository) (string, error) {
					tracked, err := repo.Tracked(context.Background(), []string{filepath.Join(layout.Top, "probe")})
					return fmt.Sprint(tracked[0]), err
				})
				if top := r.git("rev-parse", "--show-toplevel"); top != layout.Top {
					t.Errorf("top %q, git says %q", layout.Top, top)
				}
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	r := newRepo(t)
	if _, err := Open(r.dir, Options{Backend: "svn"}); err == nil {
		t.Error("a backend that does not exist")
	}
	t.Setenv("PATH", t.TempDir())
	repo, err := Open(r.dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var none *NoGitError
	if _, err := Writing(repo); !errors.As(err, &none) {
		t.Errorf("without git it can be written to: %v", err)
	}
	if err := repo.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(r.dir, Options{Backend: "git"}); !errors.As(err, &none) {
		t.Errorf("git insisted on: %v", err)
	}
}

// What is another work tree, and what belongs to this one.
func TestElsewhere(t *testing.T) {
	r := newRepo(t)
	r.write("d/a", "")
	r.commit("x")
	r.git("worktree", "add", "-q", ".agents/linked")
	r.git("clone", "-q", ".", "../lib")
	r.git("submodule", "--quiet", "add", "../lib", "d/sub")
	r.at("d/sub").git("worktree", "add", "-q", r.path("of-sub"))
	r.at("../lib").git("worktree", "add", "-q", r.path("of-other"))
	r.git("clone", "-q", "../lib", "clone")
	r.git("clone", "-q", "../lib", "within")
	r.git("submodule", "--quiet", "add", "./within", "within")
	r.write("broken/.git", "gitdir: nowhere\n")
	r.write("empty/.git/x", "")
	r.git("init", "-q", "--bare", "bare")
	r.git("commit", "-qm", "submodules")

	r.git("clone", "-q", "--bare", ".", "../hub/.bare")
	hub := r.at("../hub/.bare")
	hub.git("worktree", "add", "-q", "../one", "main")
	hub.git("worktree", "add", "-q", "../one/in/two", "-b", "two")
	for at, want := range map[string]map[string]bool{
		".": {
			".": false, "d": false, ".agents": false, ".agents/linked": true, ".agents/linked/d": false,
			"d/sub": false, "of-sub": true, "of-other": true, "clone": true, "within": false,
			"broken": false, "empty": false, "bare": false,
		},
		".agents/linked": {".agents/linked": false, ".agents/linked/d": false},
		"../hub/one":     {"../hub/one": false, "../hub/one/d": false, "../hub/one/in/two": true},
	} {
		layout, err := Discover(r.path(at), r.repo().Getenv)
		if err != nil {
			t.Fatal(err)
		}
		for dir, want := range want {
			if layout.Elsewhere(r.path(dir)) != want {
				t.Errorf("from %s: %s: %t", at, dir, !want)
			}
		}
	}
}

// Every other work tree is named, wherever one asks from; one that is gone is not.
func TestWorkTrees(t *testing.T) {
	r := newRepo(t)
	r.write("a", "")
	r.commit("x")
	r.git("worktree", "add", "-q", "../w1")
	r.git("worktree", "add", "-q", "inside/w2")
	r.git("worktree", "add", "-q", "../gone")
	os.RemoveAll(r.path("../gone"))
	r.git("clone", "-q", "--bare", ".", "../hub/.bare")
	hub := r.at("../hub/.bare")
	hub.git("worktree", "add", "-q", "../one", "main")
	hub.git("worktree", "add", "-q", "../two", "-b", "two")
	r.git("clone", "-q", ".", "../lib")
	r.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../lib", "sub")
	sub := r.at("sub")
	sub.git("worktree", "add", "-q", "../../w3")

	for at, want := range map[string][]string{
		".":          {"../w1", "inside/w2"},
		"../w1":      {".", "inside/w2"},
		"inside/w2":  {".", "../w1"},
		"../hub/one": {"../hub/two"},
		"../hub/two": {"../hub/one"},
		"sub":        {"../w3"},
		"../w3":      {"sub"},
	} {
		layout, err := Discover(r.path(at), func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		var tops []string
		for _, path := range want {
			tops = append(tops, paths.Real(r.path(path)))
		}
		if got := layout.WorkTrees(); !slices.Equal(got, tops) {
			t.Errorf("%s: %q, want %q", at, got, tops)
		}
	}
}

// Of the listed folders only whole paths count, and the longest of those that lie
// above.
func TestCeilingOf(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(top, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(top, "a"), filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(top)
	list := func(entries ...string) string { return strings.Join(entries, string(filepath.ListSeparator)) }
	a, start := filepath.Join(top, "a"), filepath.Join(top, "a", "b")
	for _, tt := range []struct{ list, want string }{
		{"", ""},
		{"a", ""},
		{".", ""},
		{top, top},
		{list(top, a), a},
		{list(a, top), a},
		{list(start, filepath.Join(top, "other")), ""},
		{filepath.Join(top, "link"), a},
		{list("", filepath.Join(top, "link")), ""}, // as it is written
		{list("", a+"/"), a},
	} {
		if got := ceilingOf(start, tt.list); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.list, got, tt.want)
		}
	}
}
