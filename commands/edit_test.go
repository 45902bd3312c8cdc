//go:build unix

package commands_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// editorScript is a program for GIT_EDITOR: sh, that is, with what it does to "$1".
func editorScript(t *testing.T, does string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "editor")
	must(t, os.WriteFile(file, []byte(does), 0o600))
	return "sh '" + file + "'"
}

// traces are the files below folders in which a value stands.
func traces(t *testing.T, value string, folders ...string) (found []string) {
	t.Helper()
	for _, folder := range folders {
		filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return nil
			}
			content, err := os.ReadFile(path)
			if err == nil && bytes.Contains(content, []byte(value)) {
				found = append(found, path)
			}
			return nil
		})
	}
	return found
}

// TestEditLeavesNoTrace kills edit while the editor is open, and looks for the value
// wherever a file may be left.
func TestEditLeavesNoTrace(t *testing.T) {
	long(t)
	isolateProcess(t)
	const value = "a-value-nobody-else-has-4711"
	temp, runtime := t.TempDir(), filepath.Join(t.TempDir(), "run dir")
	must(t, os.Mkdir(runtime, 0o700))
	t.Setenv("TMPDIR", temp)
	for _, c := range []struct {
		signal string
		code   int
		stays  bool // until the next command
	}{
		{"KILL", -1, true},
		{"TERM", 130, false},
		{"HUP", 130, false},
		{"INT", 0, false}, // the editor's own affair
		{"QUIT", 0, false},
	} {
		for place, memory := range map[string]string{"a folder of the session": runtime, "memory": ""} {
			t.Run(c.signal+" in "+place, func(t *testing.T) {
				if _, err := os.Stat("/dev/shm"); memory == "" && err != nil {
					t.Skip("there is no /dev/shm")
				}
				b := newSandbox(t, simpleExample, true)
				b.do(value, "add", "OPENAI_API_KEY", "--stdin")
				folders := []string{os.Getenv("HOME"), temp, runtime, b.top, fmt.Sprintf("/dev/shm/git-muxi-secrets-edit-%d", os.Geteuid())}

				// A plain word is started without a shell between: edit is the one above.
				then := map[int]string{130: "exec sleep 20", 0: `echo ADDED=x >>"$1"`}[c.code]
				bin := t.TempDir()
				must(t, os.WriteFile(filepath.Join(bin, "killing-editor"), fmt.Appendf(nil, "#!/bin/sh\nkill -%s $PPID\n%s\n", c.signal, then), 0o755))
				path := "PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH")
				r := b.spawn(run{env: []string{path, "XDG_RUNTIME_DIR=" + memory, "GIT_EDITOR=killing-editor"}}, "edit")
				if r.code != c.code {
					t.Errorf("exit %d, want %d\n%s", r.code, c.code, r.err)
				}
				if left := traces(t, value, folders...); (len(left) > 0) != c.stays {
					t.Errorf("left: %q", left)
				}
				if c.stays {
					if r := b.spawn(run{env: []string{"XDG_RUNTIME_DIR=" + memory}}, "list"); r.code != 0 {
						t.Errorf("list: exit %d\n%s", r.code, r.err)
					}
					if left := traces(t, value, folders...); len(left) > 0 {
						t.Errorf("the next command leaves %q", left)
					}
				}
				if got, _ := b.secrets(); got["OPENAI_API_KEY"] != value || (got["ADDED"] == "x") != (c.code == 0) {
					t.Error("the vault is another one")
				}
			})
		}
	}
}
