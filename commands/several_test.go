//go:build unix

package commands_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// TestSeveralAllOrNone: a value goes into several formations or into none, wherever
// one of their writes fails or the command is killed; any command on either of them
// finishes.
func TestSeveralAllOrNone(t *testing.T) {
	long(t)
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	other := &sandbox{b.TB, b.top, filepath.Join(b.top, "other")}
	must(t, os.CopyFS(other.dir, os.DirFS(b.dir)))
	b.do("old", "add", "OPENAI_API_KEY", "--stdin")
	b.do("to copy", "add", "COPIED", "--stdin")

	for name, args := range map[string][]string{
		"add":  {"add", "OPENAI_API_KEY", "--stdin", "--to", ".", "--to", "../other"},
		"all":  {"add", "OPENAI_API_KEY", "--stdin", "--all"},
		"copy": {"copy", "COPIED", "--to", "../third", "--to", "../other"},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := &sandbox{t, b.top, b.dir}, &sandbox{t, b.top, other.dir}
			if name == "copy" {
				first.dir = filepath.Join(b.top, "third")
				must(t, os.CopyFS(first.dir, os.DirFS(second.dir)))
				defer os.RemoveAll(first.dir)
			}
			from := &sandbox{t, b.top, b.dir}
			before := from.tree()
			count := &nth{}
			if r := from.call(run{stdin: "new", fault: count.fault}, args...); r.code != 0 {
				t.Fatalf("exit %d\n%s", r.code, r.err)
			}
			if len(count.seen) < 10 {
				t.Fatal("hardly anything is written")
			}
			after := [2]map[string]string{first.stored(), second.stored()}
			from.restore(before)
			old := [2]map[string]string{first.stored(), second.stored()}

			for i := range count.seen {
				if thinned(i, len(count.seen)) {
					continue
				}
				for _, what := range []string{"kill", "ENOSPC"} {
					if what == "kill" {
						from.spawn(run{stdin: "new", env: []string{fmt.Sprintf("TEST_FAULT=#%d=kill", i+1)}}, args...)
					} else {
						from.call(run{stdin: "new", fault: (&nth{n: i + 1, what: syscall.ENOSPC}).fault}, args...)
					}
					[]*sandbox{first, second}[i%2].call(run{}, "status")
					now := [2]map[string]string{first.stored(), second.stored()}
					if !same2(now, old) && !same2(now, after) {
						t.Errorf("%s at %s: one has the value, the other has not", what, count.seen[i])
					}
					if left := append(from.leftovers(), from.journals()...); len(left) > 0 {
						t.Errorf("%s at %s: left behind: %v", what, count.seen[i], left)
					}
					from.restore(before)
				}
			}
		})
	}
}

func same2(a, b [2]map[string]string) bool { return maps.Equal(a[0], b[0]) && maps.Equal(a[1], b[1]) }

// stored is what a formation's vault holds; nothing where there is none.
func (b *sandbox) stored() map[string]string {
	b.Helper()
	if _, err := os.Stat(filepath.Join(b.dir, formation.VaultFile)); err != nil {
		return map[string]string{}
	}
	values, _ := b.secrets()
	return values
}
