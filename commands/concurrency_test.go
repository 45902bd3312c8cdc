//go:build unix

package commands_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// together starts every command line at once, each in a process of its own,
// and fails for each that does not exit 0.
func (b *sandbox) together(lines ...line) {
	b.Helper()
	results := make([]result, len(lines))
	var all sync.WaitGroup
	for i, l := range lines {
		in := *b
		if l.dir != "" {
			in.dir = l.dir
		}
		all.Go(func() { results[i] = in.spawn(run{stdin: l.stdin}, l.args...) })
	}
	all.Wait()
	for i, r := range results {
		if r.code != 0 {
			b.Errorf("%s: exit %d\n%s", strings.Join(lines[i].args, " "), r.code, r.err)
		}
	}
}

// line is a command line, with what goes into its standard input.
type line struct {
	dir   string // "": the sandbox's formation
	stdin string
	args  []string
}

func adding(name, value string) line {
	return line{stdin: value, args: []string{"add", name, "--stdin"}}
}

// hasExactly checks what is stored, and that nothing was left lying about.
func (b *sandbox) hasExactly(want map[string]string) {
	b.Helper()
	got, _ := b.secrets()
	for name, value := range want {
		if got[name] != value {
			b.Errorf("%s was lost, or has another value", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			b.Errorf("%s is stored and should not be", name)
		}
	}
	if left := b.leftovers(); len(left) > 0 {
		b.Errorf("left behind: %v", left)
	}
}

func TestFiftyAddFiftyNames(t *testing.T) {
	long(t)
	sideBySide(t)
	for _, repository := range []bool{true, false} {
		t.Run(fmt.Sprintf("repository %v", repository), func(t *testing.T) {
			b := newSandbox(t, simpleExample, repository)
			want := map[string]string{}
			var lines []line
			for i := range 50 {
				name := fmt.Sprintf("NAME_%02d", i)
				want[name] = strings.Repeat(name, i+1)
				lines = append(lines, adding(name, want[name]))
			}
			b.together(lines...) // the first of them makes the key
			b.hasExactly(want)
			b.do("", "sync", "--check")
		})
	}
}

func TestFiftyAddOneName(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	values := map[string]bool{}
	var lines []line
	for i := range 50 {
		value := strings.Repeat(fmt.Sprintf("value %02d ", i), 500)
		values[value] = true
		lines = append(lines, adding("OPENAI_API_KEY", value))
	}
	b.together(lines...)
	got, _ := b.secrets()
	if len(got) != 1 || !values[got["OPENAI_API_KEY"]] {
		t.Error("what is stored is none of the values, whole")
	}
}

// TestCommandsTogether runs writers of every kind and readers at once, on one
// vault and on references in the same files, and compares with a model.
func TestCommandsTogether(t *testing.T) {
	sideBySide(t)
	for _, repository := range []bool{true, false} {
		t.Run(fmt.Sprintf("repository %v", repository), func(t *testing.T) {
			b := newSandbox(t, agentExample, repository)
			model := map[string]string{"STABLE": "stays"}
			var env strings.Builder
			var refs, want []string
			var lines []line
			for i := range 8 {
				value := fmt.Sprintf("value %d", i)
				old, renamed := fmt.Sprintf("OLD_%d", i), fmt.Sprintf("RENAMED_%d", i)
				gone, added, imported := fmt.Sprintf("GONE_%d", i), fmt.Sprintf("ADDED_%d", i), fmt.Sprintf("IMPORTED_%d", i)
				fmt.Fprintf(&env, "%s='%s'\n%s=x\n", old, value, gone)
				refs = append(refs, fmt.Sprintf("k%d: '${{ secrets.%s }}' # a comment", i, old))
				want = append(want, fmt.Sprintf("k%d: '${{ secrets.%s }}' # a comment", i, renamed))
				model[renamed], model[added], model[imported] = value, value, value
				lines = append(lines,
					line{args: []string{"rename", old, renamed}},
					line{args: []string{"delete", gone}},
					adding(added, value),
					line{stdin: imported + "='" + value + "'\n", args: []string{"import", "-"}},
					line{args: []string{"sync"}},
					line{args: []string{"list"}},
					line{args: []string{"get", "STABLE"}},
					line{args: []string{"status", "--json"}})
			}
			b.write("agents/refs.afs", strings.Join(refs, "\n")+"\n")
			b.do(env.String()+"STABLE=stays\n", "import", "-")
			b.together(lines...)
			b.hasExactly(model)
			if got := b.read("agents/refs.afs"); got != strings.Join(want, "\n")+"\n" {
				t.Error("agents/refs.afs is not as the renames should leave it")
			}
			b.do("", "sync", "--check")
		})
	}
}

func TestTwoWorktreesAtOnce(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	b.do("", "init")
	b.git("add", "-A")
	b.git("commit", "-qm", "formation")
	second := *b
	second.top = filepath.Join(t.TempDir(), "second")
	second.dir = filepath.Join(second.top, "agent")
	b.git("worktree", "add", "-q", second.top)
	must(t, os.WriteFile(filepath.Join(second.dir, ".key"), []byte(b.read(".key")), 0o600))
	here, there := map[string]string{}, map[string]string{}
	var lines []line
	for i := range 20 {
		name := fmt.Sprintf("NAME_%02d", i)
		here[name], there[name] = "here "+name, "there "+name
		other := adding(name, there[name])
		other.dir = second.dir
		lines = append(lines, adding(name, here[name]), other)
	}
	b.together(lines...)
	b.hasExactly(here)
	second.hasExactly(there)
}

// TestLockIsWaitedForAndNamesItsHolder has one add hold the lock.
func TestLockIsWaitedForAndNamesItsHolder(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	b.do("old", "add", "OPENAI_API_KEY", "--stdin")
	before := b.tree()

	holder := b.process(run{stdin: "new", env: []string{"TEST_FAULT=fsync@secrets.enc=sleep"}}, "add", "OPENAI_API_KEY", "--stdin")
	must(t, holder.Start())
	defer holder.Wait()
	defer holder.Process.Kill()
	for i := 0; len(b.leftovers()) < 1; i++ {
		if i > 1000 {
			t.Fatal("the holder never got the lock")
		}
		time.Sleep(5 * time.Millisecond)
	}

	start := time.Now()
	r := b.spawn(run{env: []string{"GIT_MUXI_SECRETS_LOCK_TIMEOUT=200ms"}}, "delete", "--force", "OPENAI_API_KEY")
	if waited := time.Since(start); r.code != 3 || waited < 200*time.Millisecond || len(b.leftovers()) == 0 {
		t.Errorf("exit %d after %v, want 3 after 200ms, and the holder still at it", r.code, waited)
	}
	if !strings.Contains(r.err, "process "+strconv.Itoa(holder.Process.Pid)) || !strings.Contains(r.err, "'add'") || !strings.Contains(r.err, "hint: ") {
		t.Errorf("the message does not name the holder, what it does, and the way out:\n%s", r.err)
	}
	if r := b.spawn(run{env: []string{"GIT_MUXI_SECRETS_LOCK_TIMEOUT=soon"}}, "sync"); r.code != 2 {
		t.Errorf("a limit that is no duration: exit %d, want 2", r.code)
	}
	// Who only reads does not wait, and sees what there is.
	if r := b.spawn(run{}, "get", "OPENAI_API_KEY"); r.code != 0 || r.out != "old" || len(b.leftovers()) == 0 {
		t.Errorf("get beside a writer: exit %d", r.code)
	}
	// Who waits can be interrupted.
	waiting := b.startTo(0, run{stdin: "x"}, "add", "OTHER", "--stdin")
	time.Sleep(100 * time.Millisecond) // it waits by now, as a rule; before that it ends no other way
	must(t, waiting.Process.Signal(syscall.SIGINT))
	if waiting.Wait(); waiting.ProcessState.ExitCode() != 130 {
		t.Errorf("interrupted while it waited: %v, want exit 130", waiting.ProcessState)
	}

	// The lock goes with its process.
	holder.Process.Kill()
	holder.Wait()
	b.do("", "list")
	if differ := differing(before, b.tree()); len(differ) > 0 {
		t.Errorf("the holder was killed, and %v is not as it was", differ)
	}
	b.do("newer", "add", "OPENAI_API_KEY", "--stdin")
}

// TestInterruptedWhileReading: nothing comes on standard input, and Ctrl-C
// ends the wait.
func TestInterruptedWhileReading(t *testing.T) {
	long(t)
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	b.do("old", "add", "OPENAI_API_KEY", "--stdin")
	before := b.tree()
	fifo := filepath.Join(t.TempDir(), "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	for _, args := range [][]string{
		{"add", "OTHER", "--stdin"}, {"import", "-"}, {"add", "OTHER", "--from-file", fifo}, {"import", fifo},
		{"check", "--stdin"}, {"textconv", fifo}, {"hook-run", "pre-push", "origin"},
	} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(args[0]+" "+filepath.Base(args[len(args)-1])+" "+sig.String(), func(t *testing.T) {
				r, w, err := os.Pipe()
				must(t, err)
				defer r.Close()
				defer w.Close()
				cmd := b.startTo(0, run{input: r}, args...)
				time.Sleep(50 * time.Millisecond) // it reads by now, as a rule; before that it ends no other way
				cmd.Process.Signal(sig)
				stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
				defer stuck.Stop()
				cmd.Wait()
				if code := cmd.ProcessState.ExitCode(); code != 130 {
					t.Errorf("%v, want exit 130", cmd.ProcessState)
				}
				if differ := differing(before, b.tree()); len(differ) > 0 {
					t.Errorf("%v changed", differ)
				}
			})
		}
	}
}

// TestNoLitterInTheWorkTree: after any command, git sees nothing but the
// formation's own files, and ignores .key alone.
func TestNoLitterInTheWorkTree(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, agentExample, true)
	b.do("", "init")
	b.git("add", "-A")
	b.git("commit", "-qm", "formation")
	for _, l := range []line{
		adding("OPENAI_API_KEY", "a value"), adding("OTHER", "a value"), adding("OTHER", "a value"),
		{args: []string{"add", "TOKEN", "--generate"}}, {args: []string{"get", "TOKEN"}}, {args: []string{"list"}},
		{args: []string{"rename", "OPENAI_API_KEY", "RENAMED"}}, {args: []string{"delete", "OTHER"}},
		{stdin: "A=1\nB=2\n", args: []string{"import", "-"}}, {args: []string{"export"}}, {args: []string{"sync"}},
		{args: []string{"sync", "--check"}}, {args: []string{"status"}}, {args: []string{"init"}},
		{args: []string{"setup", "--dry-run"}}, {args: []string{"init", "--start-over"}},
	} {
		b.do(l.stdin, l.args...)
		status := b.git("status", "--porcelain", "--ignored", "--untracked-files=all")
		for _, entry := range strings.Split(strings.TrimSuffix(status, "\n"), "\n") {
			switch entry {
			case "!! agent/.key", " M agent/secrets.enc", " M agent/secrets", " M agent/formation.afs", " M agent/agents/support.afs":
			default:
				t.Errorf("after %s: git status says %q", strings.Join(l.args, " "), entry)
			}
		}
	}
	// The values are not in the lock either.
	lock, err := os.ReadFile(filepath.Join(b.top, ".git", "muxi-secrets", "lock"))
	if err != nil || len(lock) != 0 {
		t.Errorf("the lock file holds %d bytes (%v)", len(lock), err)
	}
	var listed struct{ Secrets []struct{ Name string } }
	must(t, json.Unmarshal([]byte(b.do("", "list", "--json").out), &listed))
	got, _ := b.secrets()
	if len(listed.Secrets) != len(got) || !slices.Contains(slices.Collect(maps.Keys(got)), "RENAMED") {
		t.Errorf("list shows %d of %d", len(listed.Secrets), len(got))
	}
}
