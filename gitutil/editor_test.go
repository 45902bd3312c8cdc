package gitutil_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// TestEditor: with git and without it is the same editor, but for git's settings.
func TestEditor(t *testing.T) {
	gittest.Isolate(t)
	repo := gittest.New(t)
	for _, c := range []struct {
		env  string // NAME=VALUE, separated by blanks
		want string // "": none
	}{
		{"TERM=xterm", "vi"},
		{"TERM=xterm EDITOR=ed", "ed"},
		{"TERM=xterm EDITOR=ed VISUAL=emacs", "emacs"},
		{"TERM=xterm EDITOR=ed VISUAL=emacs GIT_EDITOR=nano", "nano"},
		{"TERM=dumb EDITOR=ed VISUAL=emacs", "ed"},
		{"EDITOR=ed VISUAL=emacs", "ed"},
		{"TERM=dumb VISUAL=emacs", ""},
	} {
		environ := strings.Fields(c.env)
		getenv := func(name string) string {
			for _, entry := range environ {
				if value, ok := strings.CutPrefix(entry, name+"="); ok {
					return value
				}
			}
			return ""
		}
		for _, path := range []string{os.Getenv("PATH"), t.TempDir()} {
			t.Run(c.env, func(t *testing.T) {
				t.Setenv("PATH", path)
				all := append([]string{"PATH=" + path, "HOME=" + os.Getenv("HOME"), "GIT_CONFIG_NOSYSTEM=1"}, environ...)
				got, err := gitutil.Editor(t.Context(), repo.Dir, getenv, all)
				none := (*gitutil.NoEditorError)(nil)
				// A distribution's git may have another last resort than vi.
				if got != c.want && (c.want != "vi" || got == "") || errors.As(err, &none) != (c.want == "") {
					t.Errorf("%q, %v; want %q", got, err, c.want)
				}
			})
		}
	}
}
