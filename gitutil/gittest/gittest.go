// Package gittest makes git repositories for the tests of every package: with
// the git of this machine, and with nothing of the machine's own settings or of
// a hook that the tests may have been started from.
package gittest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// When is the date of every commit for which none is given.
const When = "2026-01-02T03:04:05Z"

// isolated is a variable that only Settings sets.
const isolated = "GIT_ATTR_NOSYSTEM"

// config is all that git is told by a file: nothing that a test is about.
const config = `[user]
	name = Test
	email = test@example.com
[init]
	defaultBranch = main
[gc]
	auto = 0
[maintenance]
	auto = false
[advice]
	detachedHead = false
[protocol "file"]
	allow = always
`

// Strip returns an environment without the variables that change what git, the
// programs it starts, or this one do. The list it is given stays as it is.
func Strip(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		for _, prefix := range []string{"GIT_", "XDG_", "LC_", "GITHUB_", "RUNNER_", "INPUT_", "PRE_COMMIT", "TEST_", "CLICOLOR", "MAKE"} {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return slices.Contains([]string{
			"EDITOR", "VISUAL", "PAGER", "MANPAGER", "LESS", "LV", "COLUMNS", "LINES", "NO_COLOR", "LANG", "LANGUAGE", "TZ",
			"SSH_ASKPASS", "SSH_AUTH_SOCK", "BASH_ENV", "ENV", "CDPATH", "MFLAGS",
		}, name)
	})
}

// Settings returns what makes an environment that Strip has cleaned one of its
// own: a home with git's settings in it, which is made, one author and one date.
func Settings(home string) ([]string, error) {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(home, "gitconfig")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return nil, err
	}

	return []string{
		"HOME=" + home,
		"LC_ALL=C.UTF-8",
		"GIT_CONFIG_NOSYSTEM=1",
		isolated + "=1",
		"GIT_CONFIG_GLOBAL=" + file,
		"GIT_CEILING_DIRECTORIES=" + os.TempDir(), // a repository around it is no test's
		"GIT_AUTHOR_DATE=" + When,
		"GIT_COMMITTER_DATE=" + When,
		"GORACE=atexit_sleep_ms=0", // else each program with the race detector takes a second to end
	}, nil
}

// Environ is this process's environment after Strip and Settings.
func Environ(t testing.TB, home string) []string {
	t.Helper()
	own, err := environ(home)
	if err != nil {
		t.Fatal(err)
	}
	return own
}

func environ(home string) ([]string, error) {
	settings, err := Settings(home)
	return append(Strip(os.Environ()), settings...), err
}

// Take gives this process such an environment for good: for the tests of a package
// that run side by side, when none is left that sets variables.
func Take(home string) error {
	own, err := environ(home)
	if err != nil {
		return err
	}
	os.Clearenv()
	for _, entry := range own {
		if name, value, _ := strings.Cut(entry, "="); name != "" {
			if err := os.Setenv(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// Isolate gives this process such an environment until the test ends, and
// returns its home. Subtests may run in parallel afterwards.
func Isolate(t testing.TB) (home string) {
	t.Helper()
	home = t.TempDir()
	own := Environ(t, home)

	kept := map[string]bool{}
	for _, entry := range own {
		name, value, _ := strings.Cut(entry, "=")
		kept[name] = true
		if os.Getenv(name) != value {
			t.Setenv(name, value)
		}
	}
	for _, entry := range os.Environ() {
		if name, value, _ := strings.Cut(entry, "="); name != "" && !kept[name] {
			t.Setenv(name, value) // has it restored in the end
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return home
}
