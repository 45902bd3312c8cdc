//go:build unix

package commands_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
	"golang.org/x/term"
)

// console is a command that runs on a terminal of its own, seen from the
// terminal's side.
type console struct {
	t             *testing.T
	cmd           *exec.Cmd
	master, slave *os.File
	before        *term.State
	ended         chan struct{} // nothing more comes from the terminal

	mu     sync.Mutex
	screen bytes.Buffer
}

// What a command's standard input is while it asks on the terminal.
const (
	stdinPipe   = "a pipe" // with something in it that is no answer
	stdinClosed = "closed"
	stdinNull   = "/dev/null"
)

// onTerminal starts a command of the sandbox on a terminal.
func (b *sandbox) onTerminal(t *testing.T, stdin string, args ...string) *console {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		needs.Missing(t, "no pseudo-terminals: %v", err)
	}
	before, err := term.GetState(int(slave.Fd()))
	must(t, err)
	cmd := b.process(run{stdin: "no answer\n", env: []string{"TERM=xterm"}}, args...)
	switch stdin {
	case stdinNull:
		cmd.Stdin = nil
	case stdinClosed:
		sh, err := exec.LookPath("sh")
		must(t, err)
		// testscript has put the test binary on PATH under this name.
		cmd.Path, cmd.Args = sh, append([]string{"sh", "-c", `exec git-muxi-secrets "$@" 0<&-`, "sh"}, args...)
	}
	c := &console{t: t, cmd: cmd, master: master, slave: slave, before: before, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1}
	must(t, cmd.Start())
	go func() {
		defer close(c.ended)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			c.mu.Lock()
			c.screen.Write(buffer[:n])
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		slave.Close()
		<-c.ended
		master.Close()
	})
	return c
}

func (c *console) shown() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.screen.String()
}

// waitFor waits until a prompt is on the screen.
func (c *console) waitFor(prompt string) {
	c.t.Helper()
	for range 1500 {
		if strings.Contains(c.shown(), prompt) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatalf("%q does not appear", prompt)
}

func (c *console) typed(text string) {
	c.t.Helper()
	_, err := io.WriteString(c.master, text)
	must(c.t, err)
}

// exit waits for the end, and checks that the terminal is as it was and shows
// nothing of what must stay hidden.
func (c *console) exit(code int, hidden ...string) {
	c.t.Helper()
	late := time.AfterFunc(15*time.Second, func() { c.cmd.Process.Kill() })
	c.cmd.Wait()
	late.Stop()
	if got := c.cmd.ProcessState.ExitCode(); got != code {
		c.t.Errorf("exit %d, want %d", got, code)
	}
	after, err := term.GetState(int(c.slave.Fd()))
	must(c.t, err)
	if *after != *c.before {
		c.t.Error("the terminal's modes are not what they were")
	}
	const end = "[the end]" // what the command wrote is on the screen before it
	_, err = io.WriteString(c.slave, "\n"+end+"\n")
	must(c.t, err)
	c.waitFor(end)
	for _, value := range hidden {
		if strings.Contains(c.shown(), value) {
			c.t.Error("the screen shows what was typed at a hidden prompt")
		}
	}
}

const (
	askFolder = "Formation directory [./]: "
	askName   = "Key name (for example OPENAI_API_KEY): "
	askValue  = "Value of OPENAI_API_KEY (hidden): "
)

func TestAddAsks(t *testing.T) {
	sideBySide(t)
	const value = "  two words, \u00e9 and \U0001f511  "
	for _, stdin := range []string{stdinPipe, stdinClosed, stdinNull} {
		t.Run("NAME given, stdin "+stdin, func(t *testing.T) {
			b := newSandbox(t, simpleExample, true)
			c := b.onTerminal(t, stdin, "add", "OPENAI_API_KEY")
			c.waitFor(askValue)
			c.typed(value + "\r")
			c.exit(0, "two words")
			b.hasExactly(map[string]string{"OPENAI_API_KEY": value})
		})
		t.Run("conversation, stdin "+stdin, func(t *testing.T) {
			b := newSandbox(t, simpleExample, true)
			c := b.onTerminal(t, stdin, "add")
			c.waitFor(askFolder)
			c.typed("\r")
			c.waitFor(askName)
			c.typed("openai-api-key\r")
			c.waitFor(askValue)
			c.typed(value + "\r")
			c.exit(0, "two words")
			b.hasExactly(map[string]string{"OPENAI_API_KEY": value})
		})
	}
}

// TestAnswersInOneWrite: what a script types ahead reaches the prompts that come
// later. Nothing typed at a hidden prompt is shown; what is typed ahead of one
// the terminal echoes, as for every program.
func TestAnswersInOneWrite(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	c := b.onTerminal(t, stdinNull, "add")
	c.waitFor(askFolder)
	c.typed("\ropenai-api-key\rtyped ahead\r")
	c.exit(0)
	b.hasExactly(map[string]string{"OPENAI_API_KEY": "typed ahead"})

	c = b.onTerminal(t, stdinNull, "add")
	c.waitFor(askFolder)
	c.typed("\rother\r")
	c.waitFor("Value of OTHER (hidden): ")
	c.typed("hidden value\r")
	c.exit(0, "hidden value")
	b.hasExactly(map[string]string{"OPENAI_API_KEY": "typed ahead", "OTHER": "hidden value"})
}

func TestInterruptedAtPrompts(t *testing.T) {
	long(t)
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	before := b.tree()
	steps := []struct{ prompt, keys string }{{askFolder, "\r"}, {askName, "openai_api_key\r"}, {askValue, "half a val"}}
	for n := range steps {
		for _, how := range []string{"Ctrl-C", "SIGTERM", "SIGHUP"} {
			t.Run(how+" at "+steps[n].prompt, func(t *testing.T) {
				c := b.onTerminal(t, stdinNull, "add")
				for _, step := range steps[:n] {
					c.waitFor(step.prompt)
					c.typed(step.keys)
				}
				c.waitFor(steps[n].prompt)
				if n == 2 {
					c.typed(steps[n].keys)
				}
				switch how {
				case "Ctrl-C":
					c.typed("\x03")
				case "SIGTERM":
					c.cmd.Process.Signal(syscall.SIGTERM)
				case "SIGHUP":
					c.cmd.Process.Signal(syscall.SIGHUP)
				}
				c.exit(130, "half a val")
				if differ := differing(before, b.tree()); len(differ) > 0 {
					t.Errorf("%v changed", differ)
				}
			})
		}
	}
}

func TestLongPaste(t *testing.T) {
	long(t)
	sideBySide(t)
	long := strings.Repeat("0123456789 abcde", 4096)
	for name, paste := range map[string]struct{ typed, want string }{
		"typed":   {long + "\r", long},
		"pasted":  {"\x1b[200~" + long + "\x1b[201~\r", long},
		"5000":    {long[:5000] + "\r", long[:5000]},
		"in rows": {"\x1b[200~" + strings.ReplaceAll(long, " ", "\r") + "\x1b[201~\r", strings.ReplaceAll(long, " ", "\n")},
	} {
		t.Run(name, func(t *testing.T) {
			b := newSandbox(t, simpleExample, true)
			c := b.onTerminal(t, stdinPipe, "add", "OPENAI_API_KEY")
			c.waitFor(askValue)
			c.typed(paste.typed)
			c.exit(0, "0123456789")
			b.hasExactly(map[string]string{"OPENAI_API_KEY": paste.want})
		})
	}
}

// TestSetupAsks: each answer is stored at once, so that Ctrl-C and Ctrl-D lose none,
// and the answers may come at once.
func TestSetupAsks(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	b.write("agents.afs", "a: ${{ secrets.AAA }}\n")
	before := b.tree()
	first := "[1/2] AAA (agents.afs:1, hidden): "
	second := "[2/2] OPENAI_API_KEY (formation.afs:"

	c := b.onTerminal(t, stdinNull, "setup")
	c.waitFor(first)
	c.typed("first answer\r")
	c.waitFor(second)
	c.typed("\x03")
	c.exit(130, "first answer")
	b.hasExactly(map[string]string{"AAA": "first answer"})
	if !strings.Contains(c.shown(), "interrupted; 1 secret was stored before") {
		t.Error("what is stored is not said")
	}

	b.restore(before)
	c = b.onTerminal(t, stdinNull, "setup")
	c.waitFor(first)
	c.typed("\x03")
	c.exit(130)
	if differ := differing(before, b.tree()); len(differ) > 0 {
		t.Errorf("Ctrl-C at the first, and %v changed", differ)
	}

	c = b.onTerminal(t, stdinNull, "setup")
	c.waitFor(first)
	c.typed("first answer\r")
	c.waitFor(second)
	c.typed("\x04")
	c.exit(0, "first answer")
	b.hasExactly(map[string]string{"AAA": "first answer"})

	b.restore(before)
	c = b.onTerminal(t, stdinClosed, "setup")
	c.waitFor(first)
	c.typed("first answer\rsecond answer\r")
	c.exit(0, "first answer", "second answer")
	b.hasExactly(map[string]string{"AAA": "first answer", "OPENAI_API_KEY": "second answer"})
}

// TestAnswersAreShownMasked: on a terminal, a value is answered with its mask and
// its length, and one of another provider than the name says is stored with a warning:
// it is asked for once.
func TestAnswersAreShownMasked(t *testing.T) {
	sideBySide(t)
	const anthropic = "sk-ant-api03-Vb3nTq8ZxK1wLr6MyH4cPj9dSf2gVb3nTq8ZxK1w"
	const doubt = "the value of OPENAI_API_KEY begins like an"
	b := newSandbox(t, simpleExample, true)
	before := b.tree()
	c := b.onTerminal(t, stdinNull, "add", "OPENAI_API_KEY")
	c.waitFor(askValue)
	c.typed(anthropic + "\r")
	c.waitFor("Added OPENAI_API_KEY to ./: sk-ant-****, 53 characters")
	c.waitFor(doubt)
	c.exit(0, anthropic)
	b.hasExactly(map[string]string{"OPENAI_API_KEY": anthropic})

	b.restore(before)
	c = b.onTerminal(t, stdinNull, "setup")
	c.waitFor("[1/1] OPENAI_API_KEY")
	c.typed(anthropic + "\r")
	c.waitFor("OPENAI_API_KEY: sk-ant-****, 53 characters")
	c.waitFor(doubt)
	c.exit(0, anthropic)
	b.hasExactly(map[string]string{"OPENAI_API_KEY": anthropic})
}

// TestChoosesOneOfSeveral: where there are several formations and none was named, a
// person chooses by number; who watches nothing is not asked.
func TestChoosesOneOfSeveral(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	must(t, os.CopyFS(filepath.Join(b.top, "other"), os.DirFS(b.dir)))
	b.do("other value", "-C", "../other", "add", "ONLY_HERE", "--stdin")
	b.do("value", "add", "OPENAI_API_KEY", "--stdin")
	inner := b.dir
	b.dir = b.top

	c := b.onTerminal(t, stdinNull, "list")
	c.waitFor("Which formation?")
	c.waitFor("1  agent")
	c.waitFor("2  other")
	c.waitFor("Number (1-2): ")
	c.typed("3\r")
	c.typed("2\r")
	c.waitFor("ONLY_HERE")
	c.exit(0)

	c = b.onTerminal(t, stdinNull, "list")
	c.waitFor("Number (1-2): ")
	c.typed("0\r")
	c.typed("1\r")
	c.waitFor("OPENAI_API_KEY")
	c.exit(0)

	c = b.onTerminal(t, stdinNull, "get", "ONLY_HERE")
	c.waitFor("Number (1-2): ")
	c.typed("other\r")
	c.waitFor("other value")
	c.exit(0)

	for _, keys := range []string{"\r", "\x04"} {
		c = b.onTerminal(t, stdinNull, "list")
		c.waitFor("Number (1-2): ")
		c.typed(keys)
		c.waitFor("there are 2 formations and none was chosen")
		c.exit(2)
	}
	c = b.onTerminal(t, stdinNull, "list")
	c.waitFor("Number (1-2): ")
	c.typed("\x03")
	c.exit(130)

	// where there is none to choose nothing is asked
	c = b.onTerminal(t, stdinNull, "-C", "nowhere", "list")
	c.waitFor("cannot open folder 'nowhere'")
	c.exit(2)

	// add alone takes a number where it asks for the folder.
	c = b.onTerminal(t, stdinNull, "add")
	c.waitFor("2  other")
	c.waitFor("Formation directory: ")
	c.typed("1\r")
	c.waitFor(askName)
	c.typed("new_one\r")
	c.waitFor("Value of NEW_ONE (hidden): ")
	c.typed("new value\r")
	c.waitFor("Added NEW_ONE to agent")
	c.exit(0)
	b.dir = inner
	b.hasExactly(map[string]string{"OPENAI_API_KEY": "value", "NEW_ONE": "new value"})
}
