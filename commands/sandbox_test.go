//go:build unix

package commands_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/commands"
	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// Three of MUXI's example formations: without, and with files beside the
// formation's own.
const (
	simpleExample = "01-simple-chatbot"
	agentExample  = "02-customer-support"
	teamExample   = "05-multi-agent-team"
)

// isolateProcess keeps the machine's own settings and identity out of a test
// that runs commands in this very process or starts them itself. Subtests may
// run in parallel afterwards.
func isolateProcess(t *testing.T) {
	t.Helper()
	gittest.Isolate(t)
}

// sideBySide is that for a test which sets no variable and changes nothing else of
// the process: it runs beside others, when those that do are through.
func sideBySide(t *testing.T) {
	t.Helper()
	t.Parallel()
	must(t, sharedEnvironment())
}

// sharedHome is the home of the tests that run side by side. TestMain removes it.
var sharedHome string

var sharedEnvironment = sync.OnceValue(func() (err error) {
	if sharedHome, err = os.MkdirTemp("", "home"); err != nil {
		return err
	}
	return gittest.Take(sharedHome)
})

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sandbox is a formation in a folder of its own, in which a test runs the
// program. Its failures name files, never what is in them.
type sandbox struct {
	testing.TB
	top string // the repository, or the folder above the formation
	dir string // the formation
}

// newSandbox copies an example formation to the folder agent of a new
// repository, or of a folder that is none.
func newSandbox(t testing.TB, example string, repository bool) *sandbox {
	t.Helper()
	top := gittest.Folder(t)
	b := &sandbox{t, top, filepath.Join(top, "agent")}
	must(t, os.CopyFS(b.dir, os.DirFS(filepath.Join("..", "testdata", "formations", example))))
	if repository {
		gittest.NewIn(t, top, os.Environ())
	}
	return b
}

func (b *sandbox) git(args ...string) string {
	b.Helper()
	r := gittest.Repo{TB: b.TB, Dir: b.top, Env: os.Environ()}
	return r.Git(args...) + "\n"
}

// result is what one run came to.
type result struct {
	code     int
	out, err string
}

// run is one run of a command.
type run struct {
	stdin string
	piped bool                              // a person gave stdin on purpose
	input *os.File                          // in place of stdin, in a process of its own only
	fault func(safefile.Step, string) error // in this process only
	env   []string                          // in a process of its own only
}

// ownHelp is urfave/cli's help flag, of which there is one for all runs. Each sets
// up a copy, so that several can be under way in this process.
type ownHelp struct{ *cli.BoolFlag }

func (f ownHelp) Apply(set *flag.FlagSet) error {
	own := *f.BoolFlag
	return own.Apply(set)
}

// here runs a command in this process, in a folder and with an environment, without a
// terminal. What it looks up on PATH it finds on this process's.
func here(r run, dir string, environ []string, args ...string) result {
	var out, errs bytes.Buffer
	env := &commands.Env{
		In: strings.NewReader(r.stdin), InIsPiped: r.piped, Out: &out, Err: &errs,
		Terminal: func() (*tty.Terminal, error) { return nil, tty.ErrNoTerminal },
		Now:      time.Now, Dir: dir, Files: safefile.Files{Fault: r.fault},
		Getenv:  (&gittest.Repo{Env: environ}).Getenv,
		Environ: func() []string { return environ },
	}
	code := commands.Run(context.Background(), env, append([]string{"git-muxi-secrets"}, args...))
	return result{code, out.String(), errs.String()}
}

// call runs a command in this process.
func (b *sandbox) call(r run, args ...string) result {
	return here(r, b.dir, os.Environ(), args...)
}

// process prepares a run in a process of its own, without a terminal.
func (b *sandbox) process(r run, args ...string) *exec.Cmd {
	b.Helper()
	executable, err := os.Executable()
	must(b, err)
	cmd := &exec.Cmd{
		Path: executable, Args: append([]string{"git-muxi-secrets"}, args...), Dir: b.dir,
		Env:         append(append(os.Environ(), "PWD="+b.dir), r.env...),
		Stdin:       strings.NewReader(r.stdin),
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if r.input != nil {
		cmd.Stdin = r.input
	}
	return cmd
}

// spawn runs a command in a process of its own to its end. The code of a
// process that was killed is -1.
func (b *sandbox) spawn(r run, args ...string) result {
	b.Helper()
	cmd := b.process(r, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		b.Fatalf("cannot start %s: %v", args[0], err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// do is call for a command that must succeed.
func (b *sandbox) do(stdin string, args ...string) result {
	b.Helper()
	r := b.call(run{stdin: stdin}, args...)
	if r.code != 0 {
		b.Fatalf("%s: exit %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r
}

// secrets opens the formation. ok is false where it has neither key nor vault.
func (b *sandbox) secrets() (values map[string]string, ok bool) {
	b.Helper()
	f, err := formation.At(b.dir)
	must(b, err)
	opened, err := f.Open()
	if missing, none := errors.AsType[*formation.NoKeyError](err); none && !missing.Vault {
		return nil, false
	}
	if err != nil {
		b.Errorf("the formation does not open: %v", err)
		return nil, false
	}
	values = map[string]string{}
	for _, name := range opened.Vault.Names() {
		values[name], _, _ = opened.Vault.Get(name)
	}
	return values, true
}

// forgetKeys takes away the copies of keys in the git dir, loseKey the .key as well:
// nothing here opens the vault any more.
func (b *sandbox) forgetKeys() {
	b.Helper()
	must(b, os.RemoveAll(filepath.Join(b.top, ".git", "muxi-secrets", "keys")))
}

func (b *sandbox) loseKey() {
	b.Helper()
	b.forgetKeys()
	must(b, os.Remove(filepath.Join(b.dir, ".key")))
}

func (b *sandbox) read(path string) string {
	content, err := os.ReadFile(filepath.Join(b.dir, path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.Fatal(err)
	}
	return string(content)
}

func (b *sandbox) write(path, content string) {
	b.Helper()
	must(b, os.WriteFile(filepath.Join(b.dir, path), []byte(content), 0o600))
}

// tree is every file below a folder, its mode and bytes by its path. Of git's
// own files it has the hooks and the settings.
type tree map[string]file

type file struct {
	mode    fs.FileMode
	content string
}

func (b *sandbox) tree() tree {
	b.Helper()
	found := tree{}
	must(b, filepath.WalkDir(b.top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(b.top, path)
		if err != nil {
			return err
		}
		switch {
		case rel == filepath.Join(".git", "muxi-secrets", "lock"):
			return nil
		case entry.IsDir() && strings.HasPrefix(rel, ".git"+string(filepath.Separator)) && !slices.Contains([]string{"hooks", "muxi-secrets", "keys", "pins"}, entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || filepath.Dir(rel) == ".git" && entry.Name() != "config":
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			found[rel] = file{info.Mode(), to}
			return err
		}
		content, err := os.ReadFile(path)
		found[rel] = file{info.Mode(), string(content)}
		return err
	}))
	return found
}

// restore makes the sandbox's files what they were.
func (b *sandbox) restore(was tree) {
	b.Helper()
	for path, now := range b.tree() {
		if was[path] != now {
			must(b, os.Remove(filepath.Join(b.top, path)))
		}
	}
	for path, file := range was {
		full := filepath.Join(b.top, path)
		if _, err := os.Lstat(full); err == nil {
			continue
		}
		must(b, os.MkdirAll(filepath.Dir(full), 0o755))
		must(b, os.WriteFile(full, []byte(file.content), file.mode))
		must(b, os.Chmod(full, file.mode.Perm()))
	}
}

// differing returns the paths whose files are not the same in both.
func differing(a, b tree) []string {
	paths := map[string]bool{}
	for path := range a {
		paths[path] = a[path] != b[path]
	}
	for path := range b {
		paths[path] = a[path] != b[path]
	}
	maps.DeleteFunc(paths, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(paths))
}

// leftovers returns the temp files in the sandbox.
func (b *sandbox) leftovers() []string {
	var left []string
	for path := range b.tree() {
		if strings.HasPrefix(filepath.Base(path), ".muxi-secrets-tmp-") {
			left = append(left, path)
		}
	}
	return left
}

var hooksFolder = filepath.Join(".git", "hooks")

// nth makes the nth step of a write fail with what; it counts all steps.
type nth struct {
	n    int // from 1; 0: none fails
	what error
	seen []string
}

func (c *nth) fault(step safefile.Step, path string) error {
	at := fmt.Sprintf("%s %s", step, filepath.Base(path))
	if strings.Contains(path, hooksFolder) {
		at = fmt.Sprintf("%s hook %s", step, filepath.Base(path))
	}
	c.seen = append(c.seen, at)
	if len(c.seen) == c.n {
		return c.what
	}
	return nil
}

// isKey reports whether content is a usable .key.
func isKey(content string) bool {
	_, err := crypto.ParseKey([]byte(content))
	return err == nil
}
