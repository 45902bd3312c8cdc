// Package needs has one answer for every test that wants something of the
// machine it runs on: the test is skipped, naming what is missing, and fails
// where CI=true, since there everything must be installed.
package needs

import (
	"os"
	"os/exec"
	"testing"
)

// Program returns the path of the first of names that is on PATH. Several are
// names of one program.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, "%s is not installed", names[0])
	return ""
}

// Missing ends a test for want of something. The text says of what.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
