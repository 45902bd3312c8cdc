//go:build unix

package commands_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
	top, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	r := &repo{TB: t, dir: filepath.Join(top, "repo")}
	must(t, os.Mkdir(r.dir, 0o755))
	r.git(append([]string{"init", "-q"}, initArgs...)...)
	return r
}

// at is the same repository, worked in from another folder.
func (r *repo) at(path string) *repo {
	return &repo{r.TB, r.path(path), r.env}
}

func (r *repo) path(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.dir, path)
}

// run runs a program in the repository.
func (r *repo) run(stdin, program string, args ...string) result {
	r.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = r.dir
	cmd.Env = append(append(os.Environ(), "PWD="+r.dir), r.env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		r.Fatalf("cannot start %s: %v", program, err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func (r *repo) try(args ...string) result {
	r.Helper()
	return r.run("", "git", args...)
}

// git is try for what must succeed.
func (r *repo) git(args ...string) string {
	r.Helper()
	res := r.try(args...)
	if res.code != 0 {
		r.Fatalf("git %s: exit %d\n%s%s", strings.Join(args, " "), res.code, res.out, res.err)
	}
	return strings.TrimSuffix(res.out, "\n")
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
	must(r, os.MkdirAll(filepath.Dir(r.path(path)), 0o755))
	must(r, os.WriteFile(r.path(path), []byte(content), 0o644))
}

func (r *repo) read(path string) string {
	r.Helper()
	content, err := os.ReadFile(r.path(path))
	must(r, err)
	return string(content)
}

func (r *repo) remove(path string) {
	r.Helper()
	must(r, os.RemoveAll(r.path(path)))
}

// stage writes a file and stages it, whatever its name is.
func (r *repo) stage(path, content string) {
	r.Helper()
	r.write(path, content)
	r.git("--literal-pathspecs", "add", "-f", "--", path)
}

// save commits what is staged, past every hook.
func (r *repo) save(message string) {
	r.Helper()
	r.git("commit", "-q", "--no-verify", "-m", message)
}

// head is the commit that HEAD is, or "" before the first.
func (r *repo) head() string {
	return strings.TrimSpace(r.try("rev-parse", "--quiet", "--verify", "HEAD").out)
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
