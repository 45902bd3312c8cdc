package gittest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// Repo is a repository that real git works in, or a folder in or beside one. Its
// failures end the test.
type Repo struct {
	testing.TB
	Dir string   // where git runs
	Env []string // all of its environment
}

// Result is what one run of a program came to.
type Result struct {
	Code     int // -1 where a signal ended it
	Out, Err string
}

// New makes a repository with a work tree, in a folder and an environment of its
// own. initArgs are git init's.
func New(t testing.TB, initArgs ...string) *Repo {
	t.Helper()
	home := Folder(t)
	return NewIn(t, filepath.Join(home, "repo"), Environ(t, home), initArgs...)
}

// NewIn makes a repository in a folder that need not be there, for an
// environment that is isolated already.
func NewIn(t testing.TB, dir string, env []string, initArgs ...string) *Repo {
	t.Helper()
	needs.Program(t, "git")
	r := &Repo{TB: t, Dir: dir, Env: env}
	if r.Getenv(isolated) == "" {
		t.Fatal("git would work with this machine's own settings: gittest.Isolate comes first")
	}
	r.check(os.MkdirAll(dir, 0o755))
	r.Git(append([]string{"init", "-q"}, initArgs...)...)
	return r
}

// Folder returns a temporary folder by its real path.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func (r *Repo) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// For is the same place for a subtest, whose failures are its own.
func (r *Repo) For(t testing.TB) *Repo { return &Repo{t, r.Dir, r.Env} }

// At is the same environment in another folder.
func (r *Repo) At(dir string) *Repo { return &Repo{r.TB, r.Path(dir), r.Env} }

// With is the same place with more in its environment, as NAME=value.
func (r *Repo) With(env ...string) *Repo {
	return &Repo{r.TB, r.Dir, append(slices.Clone(r.Env), env...)}
}

// Getenv is os.Getenv for what runs in the repository's environment.
func (r *Repo) Getenv(name string) string {
	value := ""
	for _, entry := range r.Env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v // the last counts
		}
	}
	return value
}

// Path is a file's, from its slash-separated path below the repository.
func (r *Repo) Path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.Dir, filepath.FromSlash(name))
}

// Run runs a program in the repository, whatever it ends with.
func (r *Repo) Run(stdin, program string, args ...string) Result {
	r.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = r.Dir
	cmd.Env = append(slices.Clone(r.Env), "PWD="+r.Dir)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		r.Fatalf("cannot start %s: %v", program, err)
	}
	return Result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// Try runs git, whatever it ends with.
func (r *Repo) Try(args ...string) Result {
	r.Helper()
	return r.Run("", "git", args...)
}

// Git runs git and returns what it printed, without the last newline.
func (r *Repo) Git(args ...string) string {
	r.Helper()
	return r.GitIn("", args...)
}

// GitIn is Git with something to read.
func (r *Repo) GitIn(stdin string, args ...string) string {
	r.Helper()
	result := r.Run(stdin, "git", args...)
	if result.Code != 0 {
		r.Fatalf("git %q: exit %d\n%s%s", args, result.Code, result.Out, result.Err)
	}
	return strings.TrimSuffix(result.Out, "\n")
}

// Fails runs git where it must end with a status.
func (r *Repo) Fails(args ...string) {
	r.Helper()
	if result := r.Try(args...); result.Code == 0 {
		r.Fatalf("git %q succeeded\n%s%s", args, result.Out, result.Err)
	}
}

// Write writes a file, and makes the folders above it.
func (r *Repo) Write(name, content string) {
	r.Helper()
	r.check(os.MkdirAll(filepath.Dir(r.Path(name)), 0o755))
	r.check(os.WriteFile(r.Path(name), []byte(content), 0o644))
}

// Read returns what is in a file that must be there.
func (r *Repo) Read(name string) string {
	r.Helper()
	content, err := os.ReadFile(r.Path(name))
	r.check(err)
	return string(content)
}

// Remove removes a file or a folder with all that is in it.
func (r *Repo) Remove(name string) {
	r.Helper()
	r.check(os.RemoveAll(r.Path(name)))
}

// Link makes a symbolic link, or skips the test where there are none.
func (r *Repo) Link(name, target string) {
	r.Helper()
	if err := os.Symlink(target, r.Path(name)); err != nil {
		r.Skipf("symbolic links: %v", err)
	}
}

// Stage writes a file and stages it, whatever its name is and whatever is ignored.
func (r *Repo) Stage(name, content string) {
	r.Helper()
	r.Write(name, content)
	r.Git("--literal-pathspecs", "add", "-f", "--", name)
}

// Save commits what is staged, past every hook.
func (r *Repo) Save(message string, args ...string) {
	r.Helper()
	r.Git(append([]string{"commit", "-q", "--no-verify", "-m", message}, args...)...)
}

// Commit stages everything and commits it, also if nothing changed, each time a
// minute later. It returns the commit's id.
func (r *Repo) Commit(message string, args ...string) string {
	r.Helper()
	r.Git("add", "-A")
	return r.CommitStaged(message, args...)
}

// CommitStaged is Commit for what is staged already.
func (r *Repo) CommitStaged(message string, args ...string) string {
	r.Helper()
	n := 0
	fmt.Sscan(r.Git("rev-list", "--all", "--count"), &n)
	later := r.With(fmt.Sprintf("GIT_COMMITTER_DATE=%d +0000", 1700000000+60*n))
	later.Save(message, append([]string{"--allow-empty"}, args...)...)
	return r.Git("rev-parse", "HEAD")
}

// Head is the commit that HEAD is, or "" before the first.
func (r *Repo) Head() string {
	r.Helper()
	return strings.TrimSpace(r.Try("rev-parse", "--quiet", "--verify", "HEAD").Out)
}

// Fill copies a folder's files into the repository.
func (r *Repo) Fill(name, from string) {
	r.Helper()
	r.check(os.CopyFS(r.Path(name), os.DirFS(from)))
}
