package gitutil

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/internal/ramdisk"
)

// In some tests the test binary itself is a hook, or a merge driver.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_HOOK") != "" {
		os.Exit(stageTemplate())
	}
	if file := os.Getenv("TEST_DRIVER"); file != "" {
		os.Exit(sayIncoming(file))
	}
	os.Exit(ramdisk.Tests{M: m}.Run())
}

// stageTemplate does what the pre-commit hook does: it makes "template" from
// what is staged, in the index and in the work tree.
func stageTemplate() int {
	repo, err := Open(".", Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer repo.Close()
	ctx := context.Background()
	template := "for"
	err = IndexBlobs(ctx, repo, "", Visitor{Blob: func(b *Blob) error {
		if b.Path != "template" {
			template += " " + b.Path + "=" + string(b.Data)
		}
		return nil
	}})
	var writer Writer
	if err == nil {
		writer, err = Writing(repo)
	}
	if err == nil {
		err = writer.StageFile(ctx, "template", []byte(template), ModeFile)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(repo.Layout().Top, "template"), []byte(template), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestStageFileInHook(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a hook that is a shell script")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"plain", "all", "path", "path, subfolder", "path, linked work tree", "amend", "first"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			if kind != "first" {
				r.write("a", "1")
				r.write("b", "1")
				r.write("sub/c", "1")
				r.write("template", "for a=1 b=1 sub/c=1")
				r.commit("base")
			}
			r.write(".git/hooks/pre-commit", "#!/bin/sh\nTEST_HOOK=1 exec '"+self+"'\n")
			if err := os.Chmod(r.path(".git/hooks/pre-commit"), 0o755); err != nil {
				t.Fatal(err)
			}
			if kind == "path, linked work tree" {
				r.git("worktree", "add", "-q", "../linked")
				r = r.at("../linked")
			}
			r.write("a", "2")
			r.write("b", "2")
			want, status := "", ""
			switch kind {
			case "plain":
				r.git("add", "a")
				r.git("commit", "-qm", "x")
				want, status = "for a=2 b=1 sub/c=1", " M b"
			case "all":
				r.git("commit", "-qam", "x")
				want = "for a=2 b=2 sub/c=1"
			case "path", "path, linked work tree":
				r.write("new", "n")
				r.git("add", "new")
				r.git("commit", "-qm", "x", "a")
				want, status = "for a=2 b=1 sub/c=1", " M b\nA  new"
			case "path, subfolder":
				r.write("sub/c", "2")
				r.at("sub").git("commit", "-qm", "x", "c")
				want, status = "for a=1 b=1 sub/c=2", " M a\n M b"
			case "amend":
				r.git("add", "b")
				r.git("commit", "-q", "--amend", "-m", "x")
				want, status = "for a=1 b=2 sub/c=1", " M a"
			case "first":
				r.git("add", "a")
				r.git("commit", "-qm", "x")
				want, status = "for a=2", "?? b"
			}
			if got := r.git("show", "HEAD:template"); got != want {
				t.Errorf("committed %q, want %q", got, want)
			}
			if got := r.git("show", ":template"); got != want {
				t.Errorf("index holds %q, want %q", got, want)
			}
			if got := r.git("status", "--short"); got != status {
				t.Errorf("status\n%s\nwant\n%s", got, status)
			}
			r.git("fsck", "--strict")
		})
	}
}

// A template that was staged apart is not swept away by `git commit PATH`.
func TestStageFileKeepsOtherStagedWork(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.write("template", "old")
	r.commit("base")
	r.write("template", "staged by hand")
	r.git("add", "template")
	data, err := os.ReadFile(r.path(".git/index"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.path(".git/index.lock"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	pending := r.with("GIT_INDEX_FILE=" + r.path(".git/next-index-1.lock"))
	pending.git("read-tree", "HEAD")
	repo := pending.openWriter()
	if err := repo.StageFile(context.Background(), "template", []byte("made"), ModeFile); err != nil {
		t.Fatal(err)
	}
	if got := pending.git("cat-file", "blob", ":template"); got != "made" {
		t.Errorf("pending commit holds %q", got)
	}
	staying := r.with("GIT_INDEX_FILE=" + r.path(".git/index.lock"))
	if got := staying.git("cat-file", "blob", ":template"); got != "staged by hand" {
		t.Errorf("the index that stays holds %q", got)
	}
}

func TestStageFileKeepsIndexEntries(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.write("n", "n")
	r.write("s/x", "x")
	r.git("add", "a", "s")
	r.git("add", "-N", "n")
	r.git("update-index", "--skip-worktree", "s/x")
	before := r.git("ls-files", "-s", "-v")
	repo := r.openWriter()
	if err := repo.StageFile(context.Background(), "s/new\nname", []byte{}, ModeExec); err != nil {
		t.Fatal(err)
	}
	empty := r.gitIn("", "hash-object", "--stdin")
	want := before[:len(before)-len("S 100644 "+r.git("rev-parse", ":s/x")+" 0\ts/x")] + "H 100755 " + empty + " 0\t\"s/new\\nname\"\n" + "S 100644 " + r.git("rev-parse", ":s/x") + " 0\ts/x"
	if got := r.git("ls-files", "-s", "-v"); got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	if got := r.git("diff", "--name-only", "--cached", "--ita-visible-in-index"); got == "" {
		t.Errorf("intent to add is gone")
	}
}

// No content takes the entry away, in the pending commit and in what stays.
func TestStageFileTakesAway(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.write("template", "t")
	r.commit("base")
	data, err := os.ReadFile(r.path(".git/index"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"index.lock", "next-index-1.lock"} {
		if err := os.WriteFile(r.path(".git/"+name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pending := r.with("GIT_INDEX_FILE=" + r.path(".git/next-index-1.lock"))
	repo := pending.openWriter()
	for range 2 { // what is not there is gone as well
		if err := repo.StageFile(context.Background(), "template", nil, ModeFile); err != nil {
			t.Fatal(err)
		}
	}
	for _, index := range []*testRepo{pending, r.with("GIT_INDEX_FILE=" + r.path(".git/index.lock"))} {
		if got := index.git("ls-files"); got != "a" {
			t.Errorf("the index holds %q", got)
		}
	}
}

// An entry outside of the sparse checkout stays there.
func TestStageFileInSparseCheckout(t *testing.T) {
	r := newRepo(t)
	r.write("in/a", "1")
	r.write("out/a", "1")
	r.commit("base")
	r.git("config", "core.sparseCheckout", "true")
	r.write(".git/info/sparse-checkout", "/in/\n")
	r.git("read-tree", "-mu", "HEAD")
	repo := r.openWriter()
	if err := repo.StageFile(context.Background(), "out/a", []byte("2"), ModeFile); err != nil {
		t.Fatal(err)
	}
	if got := r.git("status", "--short"); got != "M  out/a" {
		t.Errorf("status %q", got)
	}
}

// TestStageFileWaits: an index that another program is writing is waited for.
func TestStageFileWaits(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1\n")
	r.commit("base")
	r.write(".git/index.lock", "")
	time.AfterFunc(3*lockPause, func() { os.Remove(r.repo().Path(".git/index.lock")) })
	if err := r.openWriter().StageFile(context.Background(), "b", []byte("2\n"), ModeFile); err != nil {
		t.Fatal(err)
	}
	if got := r.git("show", ":b"); got != "2" {
		t.Errorf("staged %q", got)
	}
}
