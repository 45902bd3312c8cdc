package gitutil

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// testRepo is a repository in a temporary folder, made with git in an
// environment of its own.
type testRepo struct {
	t   *testing.T
	dir string
	env []string
}

func needGit(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("git is not installed")
		}
		t.Skip("git is not installed")
	}
}

// formatKnown reports whether the git here, if there is one, knows the format of
// a repository that newRepo is to make. One that it does not know is no test
// that was skipped: there is nothing to read.
func formatKnown(t testing.TB, initArgs []string) bool {
	for _, arg := range initArgs {
		if !strings.HasPrefix(arg, "--ref-format") {
			continue
		}
		if out, err := exec.Command("git", "init", "-q", arg, t.TempDir()).CombinedOutput(); err != nil {
			t.Logf("not tried, since this git does not know %s: %s", arg, out)
			return false
		}
	}
	return true
}

func testEnv(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + home,
		"XDG_CONFIG_HOME=" + filepath.Join(home, "xdg"),
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + filepath.Join(home, "gitconfig"),
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.com", "GIT_COMMITTER_DATE=1700000000 +0000",
	}
}

func newRepo(t *testing.T, initArgs ...string) *testRepo {
	t.Helper()
	needGit(t)
	home := resolve(t.TempDir())
	r := &testRepo{t: t, dir: filepath.Join(home, "repo"), env: testEnv(home)}
	if err := os.WriteFile(filepath.Join(home, "gitconfig"), []byte("[protocol \"file\"]\n\tallow = always\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", append(append([]string{"init", "-q", "-b", "main"}, initArgs...), r.dir)...)
	cmd.Env = r.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("git init %v: %s", initArgs, out)
	}
	return r
}

// at is the same environment in another folder.
func (r *testRepo) at(dir string) *testRepo {
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.dir, dir)
	}
	return &testRepo{t: r.t, dir: dir, env: r.env}
}

func (r *testRepo) with(env ...string) *testRepo {
	return &testRepo{t: r.t, dir: r.dir, env: append(append([]string{}, r.env...), env...)}
}

func (r *testRepo) git(args ...string) string {
	r.t.Helper()
	return r.gitIn("", args...)
}

func (r *testRepo) gitIn(stdin string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = r.dir, r.env
	cmd.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git %q: %v\n%s%s", args, err, out, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// fails runs git where it is expected to exit with a status.
func (r *testRepo) fails(args ...string) {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = r.dir, r.env
	if out, err := cmd.CombinedOutput(); err == nil {
		r.t.Fatalf("git %q succeeded: %s", args, out)
	}
}

func (r *testRepo) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

func (r *testRepo) write(name, content string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *testRepo) remove(name string) {
	r.t.Helper()
	if err := os.RemoveAll(r.path(name)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *testRepo) link(name, target string) {
	r.t.Helper()
	if err := os.Symlink(target, r.path(name)); err != nil {
		r.t.Skipf("symbolic links: %v", err)
	}
}

// commit stages everything and commits it, each time a minute later.
func (r *testRepo) commit(message string, args ...string) string {
	r.t.Helper()
	r.git("add", "-A")
	return r.commitStaged(message, args...)
}

func (r *testRepo) commitStaged(message string, args ...string) string {
	r.t.Helper()
	n := 0
	fmt.Sscan(r.git("rev-list", "--all", "--count"), &n)
	r.with(fmt.Sprintf("GIT_COMMITTER_DATE=%d +0000", 1700000000+60*n)).
		gitIn("", append([]string{"commit", "-q", "--allow-empty", "-m", message}, args...)...)
	return r.git("rev-parse", "HEAD")
}

func (r *testRepo) open(backend string) (Repository, error) {
	return Open(r.dir, Options{Backend: backend, Environ: r.env, Getenv: getenvFrom(r.env)})
}

func getenvFrom(env []string) func(string) string {
	return func(name string) string {
		value := ""
		for _, entry := range env {
			if v, ok := strings.CutPrefix(entry, name+"="); ok {
				value = v
			}
		}
		return value
	}
}

// both asks a question of both backends and checks their answers; onlyGit says
// that go-git must refuse with an *UnsupportedError.
func (r *testRepo) both(onlyGit bool, want string, ask func(Repository) (string, error)) {
	r.t.Helper()
	for _, backend := range []string{"git", "go-git"} {
		got, err := func() (string, error) {
			repo, err := r.open(backend)
			if err != nil {
				return "", err
			}
			defer repo.Close()
			return ask(repo)
		}()
		if onlyGit && backend == "go-git" {
			var unsupported *UnsupportedError
			if !errors.As(err, &unsupported) {
				r.t.Errorf("go-git: %v, want an *UnsupportedError", err)
			}
			continue
		}
		if err != nil {
			r.t.Errorf("%s: %v", backend, err)
		} else if got != want {
			r.t.Errorf("%s:\ngot\n%s\nwant\n%s", backend, got, want)
		}
	}
}

// transcript writes down what a visitor is shown.
type transcript struct{ lines []string }

func (l *transcript) visitor() Visitor {
	add := func(format string, args ...any) error {
		l.lines = append(l.lines, fmt.Sprintf(format, args...))
		return nil
	}
	return Visitor{
		Commit:  func(c *Commit) error { return add("commit %q", c.Message) },
		Deleted: func(path string) error { return add("deleted %q", path) },
		Blob: func(b *Blob) error {
			if b.Err != nil {
				return add("unreadable %q", b.Path)
			}
			return add("%o %q %q", b.Mode, b.Path, b.Data)
		},
	}
}

func (l *transcript) String() string { return strings.Join(l.lines, "\n") }

func visited(visit func(context.Context, Visitor) error) (string, error) {
	var l transcript
	err := visit(context.Background(), l.visitor())
	return l.String(), err
}

func lines(l ...string) string { return strings.Join(l, "\n") }

// hostileNames are file names that break careless parsers, in git's order.
func hostileNames() []string {
	return []string{" lead", "*", "-dash", ":(top)x", "a\nb", "a\tb", "a\x1b[31m", "a b", "q\"uote'", "tab\\n", "z\xff\xfe", "é"}
}
