//go:build unix

package commands_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// A leak that needs no vault to be found, put together here so that no scanner
// takes this file for one, and a text without any.
var (
	leak  = "token: ghp_" + "n8Zr2Kq5Vx1Lw7Tb4Mc9Jd3Hf6Gs0PaYeU2i\n"
	clean = "token: none\n"
)

// repo is a repository that real git works in, with this program on PATH.
type repo struct {
	testing.TB
	dir string
	env []string // added to the environment of git
}

// newRepo makes a repository; isolateProcess must have run.
func newRepo(t testing.TB, initArgs ...string) *repo {
	t.Helper()
	made := gittest.NewIn(t, filepath.Join(gittest.Folder(t), "repo"), os.Environ(), initArgs...)
	return &repo{TB: t, dir: made.Dir}
}

func (r *repo) repo() *gittest.Repo {
	return &gittest.Repo{TB: r.TB, Dir: r.dir, Env: append(os.Environ(), r.env...)}
}

// at is the same repository, worked in from another folder.
func (r *repo) at(path string) *repo {
	return &repo{r.TB, r.path(path), r.env}
}

func (r *repo) path(path string) string { return r.repo().Path(path) }

// run runs a program in the repository. This one runs in the test's own process,
// where its environment is like that.
func (r *repo) run(stdin, program string, args ...string) result {
	r.Helper()
	if program == "git-muxi-secrets" && !slices.ContainsFunc(r.env, forGit) {
		as := exec.Cmd{Dir: r.dir, Env: append(os.Environ(), r.env...)}
		return here(run{stdin: stdin, piped: true}, r.dir, as.Environ(), args...)
	}
	res := r.repo().Run(stdin, program, args...)
	return result{res.Code, res.Out, res.Err}
}

// forGit reports whether a variable must be seen by more than this program itself.
func forGit(entry string) bool { return !strings.HasPrefix(entry, "HOME=") }

func (r *repo) try(args ...string) result {
	r.Helper()
	return r.run("", "git", args...)
}

// git is try for what must succeed.
func (r *repo) git(args ...string) string {
	r.Helper()
	return r.repo().Git(args...)
}

// muxi runs this program in the repository.
func (r *repo) muxi(args ...string) result {
	r.Helper()
	return r.run("", "git-muxi-secrets", args...)
}

func (r *repo) mustMuxi(args ...string) string {
	r.Helper()
	res := r.muxi(args...)
	if res.code != 0 {
		r.Fatalf("%s: exit %d\n%s%s", strings.Join(args, " "), res.code, res.out, res.err)
	}
	return res.out
}

func (r *repo) write(path, content string) {
	r.Helper()
	r.repo().Write(path, content)
}

func (r *repo) read(path string) string {
	r.Helper()
	return r.repo().Read(path)
}

func (r *repo) remove(path string) {
	r.Helper()
	r.repo().Remove(path)
}

func (r *repo) stage(path, content string) {
	r.Helper()
	r.repo().Stage(path, content)
}

// save commits what is staged, past every hook.
func (r *repo) save(message string) {
	r.Helper()
	r.repo().Save(message)
}

// head is the commit that HEAD is, or "" before the first.
func (r *repo) head() string {
	r.Helper()
	return r.repo().Head()
}

// formation puts a formation with a key into the repository, and commits it.
// values are NAME=VALUE.
func (r *repo) formation(dir string, values ...string) {
	r.Helper()
	body := "schema: \"1.0.0\"\nid: " + filepath.Base(dir) + "\nmcp:\n  servers:\n"
	for _, pair := range values {
		name, _, _ := strings.Cut(pair, "=")
		body += "    - id: s\n      auth:\n        token: ${{ secrets." + name + " }}\n"
	}
	if len(values) == 0 {
		body = "schema: \"1.0.0\"\nid: " + filepath.Base(dir) + "\n"
	}
	r.write(filepath.Join(dir, "formation.afs"), body)
	if res := r.at(dir).muxi("init", "--no-hooks"); res.code != 0 {
		r.Fatalf("init: exit %d\n%s", res.code, res.err)
	}
	for _, pair := range values {
		name, value, _ := strings.Cut(pair, "=")
		if res := r.at(dir).run(value, "git-muxi-secrets", "add", name, "--stdin"); res.code != 0 {
			r.Fatalf("add %s: exit %d\n%s", name, res.code, res.err)
		}
	}
	r.git("add", "-A")
	r.save("formation " + dir)
}
