// Package ramdisk keeps the temporary files of a package's tests in memory,
// where the machine has room for them: what we write is synced to the disk file
// by file, as it must be, and the tests would wait for little else.
package ramdisk

import (
	"fmt"
	"os"
	"testing"
)

// Tests are a package's tests, run with the temporary files in memory: for
// os.Exit in TestMain, or for testscript.Main. A TMPDIR that somebody set stays.
type Tests struct{ M *testing.M }

// Run runs the tests and returns their exit code.
func (tests Tests) Run() int {
	if os.Getenv("TMPDIR") == "" {
		if dir := folder(); dir != "" {
			defer os.RemoveAll(dir)
			if err := os.Setenv("TMPDIR", dir); err != nil {
				fmt.Fprintln(os.Stderr, "temporary files stay on the disk:", err)
			}
		}
	}
	return tests.M.Run()
}
