//go:build unix

package commands_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

const leakedToken = "sk-ant-api03-Qm7Zt2Rk9Wd4Xv6Ns1Lp8Jf3Gh5Bc0Ya2Te4UiKo"

// scrubSandbox is a repository with leaks in commits that were not pushed: one that
// a vault takes in, one in another file and in a message.
func scrubSandbox(t testing.TB) *sandbox {
	b := newSandbox(t, simpleExample, true)
	b.do("old-openai-value", "add", "OPENAI_API_KEY", "--stdin")
	b.git("add", "-A")
	b.git("commit", "-q", "--no-verify", "-m", "base")
	must(t, os.MkdirAll(filepath.Join(b.dir, "agents"), 0o755))
	b.write("agents/leak.afs", "schema: \"1.0.0\"\nid: leak\napi_key: "+leakedToken+" # mine\n")
	b.write("notes.txt", "old-openai-value and "+leakedToken+"\n")
	b.git("add", "-A")
	b.git("commit", "-q", "--no-verify", "-m", "with old-openai-value in it")
	b.git("commit", "-q", "--no-verify", "--allow-empty", "-m", "more")
	return b
}

// copied is the sandbox once more, as it is.
func (b *sandbox) copied(t testing.TB) *sandbox {
	t.Helper()
	top := gittest.Folder(t)
	must(t, os.CopyFS(top, os.DirFS(b.top)))
	must(t, os.Chmod(filepath.Join(top, "agent", ".key"), 0o600))
	must(t, os.Chmod(filepath.Join(top, "agent", "secrets.enc"), 0o600))
	return &sandbox{t, top, filepath.Join(top, "agent")}
}

// scrubbed says whether nothing of a scrub was done, or all of it; anything between
// is an error.
func (b *sandbox) scrubbed(tip string) bool {
	b.Helper()
	b.git("fsck", "--strict")
	values, _ := b.secrets()
	if head := b.git("rev-parse", "HEAD"); head == tip {
		if status := b.git("status", "--porcelain", "--untracked-files=no"); strings.TrimSpace(status) != "" {
			b.Errorf("the branch did not move, and there are changes:\n%s", status)
		}
		if len(values) != 1 {
			b.Errorf("the branch did not move, and the vault has %d values", len(values))
		}
		return false
	}

	status := strings.TrimSpace(b.git("status", "--porcelain", "--untracked-files=no"))
	if status != "M agent/secrets\n M agent/secrets.enc" && status != "M agent/secrets.enc" {
		b.Errorf("the branch moved, and git status says\n%s", status)
	}
	history := b.git("log", "-p", "--format=%B") + b.read("agents/leak.afs") + b.read("notes.txt")
	if strings.Contains(history, leakedToken) || strings.Contains(history, "old-openai-value") {
		b.Errorf("a value is still there")
	}
	if len(values) != 2 || values["LEAK_API_KEY"]+values["ANTHROPIC_API_KEY"] != leakedToken {
		b.Errorf("the value is not in the vault, which has %d", len(values))
	}
	return true
}

// A scrub that fails or is killed at any step is as if it had not run, or is
// finished by the next command.
func TestScrubFaultAtEveryStep(t *testing.T) {
	sideBySide(t)
	begin := scrubSandbox(t)
	tip := begin.git("rev-parse", "HEAD")
	count := &nth{}
	whole := begin.copied(t)
	if r := whole.call(run{fault: count.fault}, "scrub"); r.code != 0 || !whole.scrubbed(tip) {
		t.Fatalf("exit %d\n%s", r.code, r.err)
	}
	if steps := strings.Join(count.seen, "\n"); !strings.Contains(steps, "move refs") || !strings.Contains(steps, "follow") {
		t.Fatalf("steps:\n%s", steps)
	}

	for i, step := range count.seen {
		if thinned(i, len(count.seen)) {
			continue
		}
		for _, what := range []string{"kill", "ENOSPC"} {
			t.Run(fmt.Sprintf("%d %s %s", i+1, step, what), func(t *testing.T) {
				b := begin.copied(t)
				moved := false
				if what == "kill" {
					if r := b.spawn(run{env: []string{fmt.Sprintf("TEST_FAULT=#%d=kill", i+1)}}, "scrub"); r.code != -1 {
						t.Fatalf("not killed: exit %d\n%s", r.code, r.err)
					}
				} else {
					r := b.call(run{fault: (&nth{n: i + 1, what: syscall.ENOSPC}).fault}, "scrub")
					switch {
					case r.code == 0:
						moved = b.scrubbed(tip)
					case r.code != 3 || !strings.Contains(r.err, "no space left") || !strings.Contains(r.err, "hint: "):
						t.Errorf("exit %d\n%s", r.code, r.err)
					case !strings.Contains(r.err, "the rest is not done yet"):
						if b.scrubbed(tip) {
							t.Errorf("it failed, and moved the branch:\n%s", r.err)
						}
					}
					if strings.Contains(r.out+r.err, leakedToken) {
						t.Errorf("it prints a value")
					}
				}

				r := b.call(run{}, "status")
				if r.code != 0 {
					t.Fatalf("status: exit %d\n%s", r.code, r.err)
				}
				moved = b.scrubbed(tip) || moved
				if left := append(b.leftovers(), b.journals()...); len(left) > 0 {
					t.Errorf("the next command leaves %v", left)
				}
				if r := b.call(run{}, "scrub"); !moved && (r.code != 0 || !b.scrubbed(tip)) {
					t.Errorf("again: exit %d\n%s", r.code, r.err)
				}
			})
		}
	}
}
