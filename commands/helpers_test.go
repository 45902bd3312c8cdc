//go:build unix

package commands_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muxi-ai/git-muxi-secrets/formation"
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
// WHAT is the error's text ("no space left on device" is ENOSPC), "kill"
// to die there by SIGKILL, or "sleep" to stay there for a minute.
func faultFromEnv() func(formation.Step, string) error {
	spec := os.Getenv("TEST_FAULT")
	if spec == "" {
		return nil
	}
	place, what, _ := strings.Cut(spec, "=")
	step, base, _ := strings.Cut(place, "@")
	nth, counted := strings.CutPrefix(place, "#")
	seen := 0
	return func(at formation.Step, path string) error {
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
		case "ENOSPC":
			return syscall.ENOSPC
		case "EACCES":
			return syscall.EACCES
		}
		return errors.New(what)
	}
}
