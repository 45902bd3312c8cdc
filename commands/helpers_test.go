//go:build unix

package commands_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/rogpeppe/go-internal/testscript"
)

// scriptT makes a running script a testing.TB, so that the Python oracle can
// skip or fail it.
type scriptT struct {
	testing.TB
	ts *testscript.TestScript
}

func tOf(ts *testscript.TestScript) testing.TB { return &scriptT{ts: ts} }

func (t *scriptT) Helper()                           {}
func (t *scriptT) Cleanup(f func())                  { t.ts.Defer(f) }
func (t *scriptT) Log(args ...any)                   { t.ts.Logf("%s", fmt.Sprint(args...)) }
func (t *scriptT) Logf(format string, args ...any)   { t.ts.Logf(format, args...) }
func (t *scriptT) Fatal(args ...any)                 { t.ts.Fatalf("%s", fmt.Sprint(args...)) }
func (t *scriptT) Fatalf(format string, args ...any) { t.ts.Fatalf(format, args...) }
func (t *scriptT) Error(args ...any)                 { t.ts.Fatalf("%s", fmt.Sprint(args...)) }
func (t *scriptT) Errorf(format string, args ...any) { t.ts.Fatalf(format, args...) }
func (t *scriptT) Skip(args ...any)                  { t.ts.Fatalf("skip: %s", fmt.Sprint(args...)) }
func (t *scriptT) Skipf(format string, args ...any)  { t.ts.Fatalf("skip: "+format, args...) }

func octal(perm fs.FileMode) string { return fmt.Sprintf("%04o", perm) }

// faultFromEnv is the fault that a test asks for: TEST_FAULT=STEP@BASENAME=WHAT
// at that step of that file, or TEST_FAULT=#N=WHAT at the Nth step of all, where
// WHAT is the error's text ("no space left on device" is ENOSPC), "kill" to die
// there by SIGKILL, "sleep" to stay there for a minute, or "tell" to say so on
// descriptor 3 and go on. The step before all others is number 0.
func faultFromEnv() func(safefile.Step, string) error {
	spec := os.Getenv("TEST_FAULT")
	if spec == "" {
		return nil
	}
	place, what, _ := strings.Cut(spec, "=")
	step, base, _ := strings.Cut(place, "@")
	nth, counted := strings.CutPrefix(place, "#")
	seen := 0
	if nth == "0" && what == "tell" {
		tell()
	}
	return func(at safefile.Step, path string) error {
		seen++
		here := string(at) == step && (base == "*" || filepath.Base(path) == base)
		if counted {
			here = strconv.Itoa(seen) == nth
		}
		if !here {
			return nil
		}
		switch what {
		case "kill":
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		case "sleep":
			time.Sleep(time.Minute)
		case "tell":
			tell()
			return nil
		case "ENOSPC":
			return syscall.ENOSPC
		case "EACCES":
			return syscall.EACCES
		}
		return errors.New(what)
	}
}

// tell says to startTo that the step has come.
func tell() { syscall.Write(3, []byte(".")) }

// startTo starts a command in a process of its own and returns when that has
// come to the nth step of its writes, 0 being the moment from which on it heeds
// signals. It does not stop there; where it ended well before, it had fewer steps.
func (b *sandbox) startTo(n int, r run, args ...string) *exec.Cmd {
	b.Helper()
	read, write, err := os.Pipe()
	must(b, err)
	defer read.Close()
	r.env = append(slices.Clone(r.env), fmt.Sprintf("TEST_FAULT=#%d=tell", n))
	cmd := b.process(r, args...)
	cmd.ExtraFiles = []*os.File{write}
	err = cmd.Start()
	write.Close()
	must(b, err)
	if _, err := read.Read(make([]byte, 1)); err != nil {
		if err := cmd.Wait(); err != nil {
			b.Fatalf("%s never came to step %d: %v", args[0], n, err)
		}
	}
	return cmd
}

// steps counts the steps of a command's writes, and undoes what it did.
func (b *sandbox) steps(r run, args ...string) int {
	b.Helper()
	before, count := b.tree(), &nth{}
	r.fault = count.fault
	if res := b.call(r, args...); res.code != 0 || len(count.seen) == 0 {
		b.Fatalf("%s: exit %d after %d steps\n%s", args[0], res.code, len(count.seen), res.err)
	}
	b.restore(before)
	return len(count.seen)
}
