package hooks

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// To git a driver that failed, was killed or is not there has met a conflict: of a
// code above 128 git 2.42 and newer say that the whole merge failed.
func TestDriversEndInConflict(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell script")
	}
	sh := needs.Program(t, "sh")
	for ending, want := range map[string]int{"exit 0": 0, "exit 1": 1, "exit 129": 1, "kill -KILL $$": 1, "": 1} {
		program := filepath.Join(t.TempDir(), "git-muxi-secrets")
		if ending != "" {
			if err := os.WriteFile(program, []byte("#!/bin/sh\n"+ending+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for _, set := range Drivers(program) {
			if !strings.HasPrefix(set.Key, "merge.") || !strings.HasSuffix(set.Key, ".driver") {
				continue
			}
			cmd := exec.Command(sh, "-c", set.Value)
			cmd.Env = []string{"PATH=" + filepath.Dir(program)}
			code, exit := 0, (*exec.ExitError)(nil)
			if err := cmd.Run(); errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != want {
				t.Errorf("%s, whose program ends with %q: exit %d, not %d", set.Key, ending, code, want)
			}
		}
	}
}
