package gitutil

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// testRepo is a gittest.Repo that both backends can be asked about.
type testRepo struct {
	t   testing.TB
	dir string
	env []string
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

func newRepo(t testing.TB, initArgs ...string) *testRepo {
	t.Helper()
	r := gittest.New(t, initArgs...)
	return &testRepo{t: t, dir: r.Dir, env: append(r.Env,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.com", "GIT_COMMITTER_DATE=1700000000 +0000")}
}

func (r *testRepo) repo() *gittest.Repo { return &gittest.Repo{TB: r.t, Dir: r.dir, Env: r.env} }

// at is the same environment in another folder.
func (r *testRepo) at(dir string) *testRepo {
	return &testRepo{t: r.t, dir: r.repo().Path(dir), env: r.env}
}

func (r *testRepo) with(env ...string) *testRepo {
	return &testRepo{t: r.t, dir: r.dir, env: r.repo().With(env...).Env}
}

// in is the same place for a subtest, whose failures are its own.
func (r *testRepo) in(t testing.TB) *testRepo { return &testRepo{t: t, dir: r.dir, env: r.env} }

func (r *testRepo) git(args ...string) string {
	r.t.Helper()
	return r.repo().Git(args...)
}

func (r *testRepo) gitIn(stdin string, args ...string) string {
	r.t.Helper()
	return r.repo().GitIn(stdin, args...)
}

func (r *testRepo) fails(args ...string) {
	r.t.Helper()
	r.repo().Fails(args...)
}

func (r *testRepo) path(name string) string { return r.repo().Path(name) }

func (r *testRepo) write(name, content string) {
	r.t.Helper()
	r.repo().Write(name, content)
}

func (r *testRepo) remove(name string) {
	r.t.Helper()
	r.repo().Remove(name)
}

func (r *testRepo) link(name, target string) {
	r.t.Helper()
	r.repo().Link(name, target)
}

func (r *testRepo) commit(message string, args ...string) string {
	r.t.Helper()
	return r.repo().Commit(message, args...)
}

func (r *testRepo) commitStaged(message string, args ...string) string {
	r.t.Helper()
	return r.repo().CommitStaged(message, args...)
}

func (r *testRepo) open(backend string) (Repository, error) {
	return Open(r.dir, Options{Backend: backend, Environ: r.env, Getenv: r.repo().Getenv})
}

// openWriter opens the repository to change it.
func (r *testRepo) openWriter() Writer {
	r.t.Helper()
	repo, err := r.open("git")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { repo.Close() })
	w, err := Writing(repo)
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

func backendOf(repo Repository) string {
	if _, ok := repo.(*gitRepo); ok {
		return "git"
	}
	return "go-git"
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
