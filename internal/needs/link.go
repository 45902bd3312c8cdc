package needs

import (
	"os"
	"testing"
)

// Link makes the symbolic link from, which leads to to. Where the system makes none
// (Windows without the right to it; wine, which says that it did), the test ends.
func Link(t testing.TB, to, from string) {
	t.Helper()
	err := os.Symlink(to, from)
	if err == nil {
		_, err = os.Readlink(from)
	}
	if err != nil {
		Missing(t, "symbolic links: %v", err)
	}
}
