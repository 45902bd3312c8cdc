//go:build unix

package commands_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLockCutShort kills and fails lock at each step. Whatever is gone by then, the
// same command again takes out the rest, and unlock brings the key back.
func TestLockCutShort(t *testing.T) {
	long(t)
	isolateProcess(t)
	own := ownIdentity(t)
	b := newSandbox(t, simpleExample, true)
	b.do("old-openai", "add", "OPENAI_API_KEY", "--stdin")
	b.do("", "share", "add", own, "--name", "Own")
	b.do("", "rotate")
	before := b.tree()
	count := &nth{}
	if r := b.call(run{fault: count.fault}, "lock"); r.code != 0 || len(count.seen) < 4 {
		t.Fatalf("exit %d after %d steps\n%s", r.code, len(count.seen), r.err)
	}
	for i, step := range count.seen {
		for _, what := range []string{"kill", "EACCES"} {
			t.Run(fmt.Sprintf("%d %s %s", i+1, step, what), func(t *testing.T) {
				b.TB = t
				b.restore(before)
				if what == "kill" {
					if r := b.spawn(run{env: []string{fmt.Sprintf("TEST_FAULT=#%d=kill", i+1)}}, "lock"); r.code != -1 {
						t.Fatalf("not killed: exit %d\n%s", r.code, r.err)
					}
				} else {
					b.call(run{fault: (&nth{n: i + 1, what: syscall.EACCES}).fault}, "lock")
				}
				if r := b.call(run{}, "lock"); r.code != 0 {
					t.Fatalf("again: exit %d\n%s", r.code, r.err)
				}
				for path, file := range b.tree() {
					if isKey(file.content) || strings.HasPrefix(filepath.Base(path), ".muxi-secrets-tmp-") {
						t.Errorf("'%s' is left", path)
					}
				}
				b.do("", "unlock")
				if r := b.call(run{}, "get", "OPENAI_API_KEY"); r.code != 0 || r.out != "old-openai" {
					t.Errorf("after unlock: exit %d\n%s", r.code, r.err)
				}
			})
		}
	}
}
