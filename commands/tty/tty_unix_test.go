//go:build unix

package tty

import (
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

func TestHiddenIsNotShown(t *testing.T) {
	const value = "  pa\tss wörd 世界 😀 \x7f  "
	c := startChild(t, plan{Asks: "h"})
	c.wait("Question 1: ", 1)
	c.typed(value + "\r")
	c.expect(strings.Replace(value, " \x7f", "", 1))
	c.wait("the end", 1)
	if code := c.exit(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if got, want := c.shown(), pasteOn+"Question 1: "+pasteOff+"\r\nthe end\r\n"; got != want {
		t.Errorf("the screen shows %s, want %s", digest(got), digest(want))
	}
}

// A visible prompt leaves the terminal in its own line mode: that echoes and edits.
func TestVisibleIsTheTerminalsOwn(t *testing.T) {
	c := startChild(t, plan{Asks: "v"})
	c.wait("Question 1: ", 1)
	if modes, err := term.GetState(int(c.slave.Fd())); err != nil || *modes != *c.before {
		t.Errorf("the modes changed (%v)", err)
	}
	c.typed("one two\x15ax\x7f é\r")
	c.expect("a é")
	c.wait("the end", 1)
	c.exit()
	if got := c.shown(); !strings.Contains(got, "Question 1: one two") || !strings.HasSuffix(got, " é\r\nthe end\r\n") || strings.Contains(got, "\x1b") {
		t.Errorf("screen shows %q", got)
	}
}

// Whatever ends a visible question, what is printed next begins a line.
func TestVisibleEnds(t *testing.T) {
	tests := []struct {
		name, keys string
		sig        os.Signal
		err        string
		want       string
	}{
		{name: "nothing", keys: "\r"},
		{name: "ctrl-c", keys: "x\x03", err: "Interrupted"},
		{name: "ctrl-backslash", keys: "x\x1c", err: "Interrupted"},
		{name: "SIGTERM", keys: "x", sig: unix.SIGTERM, err: "Interrupted"},
		{name: "SIGHUP", keys: "x", sig: unix.SIGHUP, err: "Interrupted"},
		{name: "ctrl-d", keys: "\x04", err: "EOF"},
		{name: "ctrl-d after erasing", keys: "x\x7f\x04", err: "EOF"},
		{name: "ctrl-d inside", keys: "ab\x04cd\r", want: "abcd"},
		{name: "ctrl-d twice inside", keys: "ab\x04\x04", want: "ab"},
		{name: "the longest", keys: strings.Repeat("x", maxVisible) + "\r", want: strings.Repeat("x", maxVisible)},
	}
	for _, tt := range tests {
		if tt.sig != nil && signal.Ignored(tt.sig) {
			continue // started by nohup, which the child would be, too
		}
		t.Run(tt.name, func(t *testing.T) {
			c := startChild(t, plan{Asks: "v"})
			c.wait("Question 1: ", 1)
			c.typed(tt.keys)
			if tt.sig != nil {
				c.wait("Question 1: "+tt.keys, 1)
				_ = c.cmd.Process.Signal(tt.sig)
			}
			if tt.err == "" {
				c.expect(tt.want)
			} else {
				c.expectErr(tt.err)
			}
			c.wait("the end", 1)
			if code := c.exit(); code != 0 {
				t.Errorf("exit %d", code)
			}
			if !strings.HasSuffix(c.shown(), "\r\nthe end\r\n") {
				t.Errorf("screen shows %q", c.shown())
			}
		})
	}
}

// The terminal would cut such a line without a word. What follows it is the next answer.
func TestVisibleTooLong(t *testing.T) {
	for _, n := range []int{maxVisible + 1, 4000, 10000} {
		c := startChild(t, plan{Asks: "vv"})
		c.wait("Question 1: ", 1)
		c.typed(strings.Repeat("x", n) + "\r")
		if got := c.reply(); got.Err != "TooLong" || got.Limit != maxVisible {
			t.Errorf("%d bytes: got %+v", n, got)
		}
		c.typed("next\r")
		c.expect("next")
		c.exit()
	}
}

func TestDumbTerminalGetsNoSequences(t *testing.T) {
	c := newChild(t, plan{Asks: "h"})
	c.cmd.Env = append(c.cmd.Env, "TERM=dumb")
	c.start()
	c.wait("Question 1: ", 1)
	c.typed("a\r")
	c.expect("a")
	c.exit()
	if strings.Contains(c.shown(), "\x1b") {
		t.Error("an escape sequence was sent")
	}
}

func TestEveryEndRestoresTheModes(t *testing.T) {
	tests := []struct {
		name string
		plan plan
		keys string
		sig  os.Signal
		err  string
	}{
		{name: "enter", keys: "x\r"},
		{name: "ctrl-c", keys: "x\x03", err: "Interrupted"},
		{name: "ctrl-backslash", keys: "x\x1c", err: "Interrupted"},
		{name: "ctrl-d", keys: "x\x7f\x04", err: "EOF"},
		{name: "too long", plan: plan{MaxBytes: 4}, keys: "12345\r", err: "TooLong"},
		{name: "SIGINT", sig: unix.SIGINT, err: "Interrupted"},
		{name: "SIGTERM", sig: unix.SIGTERM, err: "Interrupted"},
		{name: "SIGHUP", sig: unix.SIGHUP, err: "Interrupted"},
		{name: "SIGQUIT", sig: unix.SIGQUIT, err: "Interrupted"},
		{name: "cancel", plan: plan{CancelMS: 300}, err: "Interrupted"},
	}
	for _, tt := range tests {
		if tt.sig != nil && signal.Ignored(tt.sig) {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			tt.plan.Asks = "h"
			c := startChild(t, tt.plan)
			c.wait("Question 1: ", 1)
			if raw, err := term.GetState(int(c.slave.Fd())); err != nil || *raw == *c.before {
				t.Fatalf("not raw at the prompt (%v)", err)
			}
			c.typed(tt.keys)
			if tt.sig != nil {
				_ = c.cmd.Process.Signal(tt.sig)
			}
			if tt.err == "" {
				c.expect("x")
			} else {
				c.expectErr(tt.err)
			}
			if code := c.exit(); code != 0 {
				t.Errorf("exit %d", code)
			}
		})
	}
}

func TestPanicRestoresTheModes(t *testing.T) {
	c := startChild(t, plan{Asks: "h", Panic: true})
	c.wait("Question 1: ", 1)
	c.typed("x")
	if code := c.exit(); code != 2 {
		t.Errorf("exit %d: no panic", code)
	}
}

func TestLongLines(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int
	}{{"5000", 5000}, {"64 KiB", 64 << 10}, {"1 MiB", 1 << 20}} {
		t.Run(tt.name, func(t *testing.T) {
			value := strings.Repeat("0123456789abcde ", tt.n/16+1)[:tt.n]
			c := startChild(t, plan{Asks: "hv"})
			c.wait("Question 1: ", 1)
			start := time.Now()
			c.typed(value + "\r")
			c.expect(value)
			t.Logf("%d bytes in %v", tt.n, time.Since(start).Round(time.Millisecond))
			c.typed("next\r")
			c.expect("next")
			c.exit()
		})
	}
}

func TestTooLongIsDrained(t *testing.T) {
	c := startChild(t, plan{Asks: "hv", MaxBytes: 1000})
	c.wait("Question 1: ", 1)
	c.typed(strings.Repeat("x", 64<<10) + "\rnext\r")
	if got := c.reply(); got.Err != "TooLong" || got.Limit != 1000 {
		t.Errorf("got %+v", got)
	}
	c.expect("next")
	c.exit()
}

func TestTypeAhead(t *testing.T) {
	t.Run("before the program", func(t *testing.T) {
		c := newChild(t, plan{Asks: "vvh"})
		c.typed("one\rtwo words\n three \r")
		c.start().expect("one", "two words", " three ")
		c.exit()
	})
	t.Run("at the first prompt", func(t *testing.T) {
		c := startChild(t, plan{Asks: "vvh"})
		c.wait("Question 1: ", 1)
		c.typed("one\rtwo words\r three \r")
		c.expect("one", "two words", " three ")
		c.exit()
	})
}

// What follows the line is for whoever reads next: the shell's next command, say.
func TestRestStaysWithTheTerminal(t *testing.T) {
	c := startChild(t, plan{Asks: "h"})
	c.wait("Question 1: ", 1)
	c.typed("value\rnext command")
	c.expect("value")
	c.exit()
	if _, err := term.MakeRaw(int(c.slave.Fd())); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, err := unix.Read(int(c.slave.Fd()), buf)
	if err != nil || string(buf[:n]) != "next command" {
		t.Errorf("%d bytes are left (%v)", n, err)
	}
}

func TestBracketedPaste(t *testing.T) {
	c := startChild(t, plan{Asks: "hh"})
	c.wait("Question 1: ", 1)
	c.typed(pasteBegin + "line 1\r\nline 2\x03\x1b[A\rline 3\r" + pasteEnd)
	c.typed(" end\r\n")
	c.expect("line 1\nline 2\x03\x1b[A\nline 3 end")
	c.wait("Question 2: ", 1)
	c.typed("value\r")
	c.expect("value")
	c.exit()
}

// A paste whose end got lost would hold Enter and Ctrl-C as content for ever.
func TestInterruptInUnfinishedPaste(t *testing.T) {
	c := startChild(t, plan{Asks: "h"})
	c.wait("Question 1: ", 1)
	c.typed(pasteBegin + "abc\r\r")
	time.Sleep(1200 * time.Millisecond)
	c.typed("\x03")
	c.expectErr("Interrupted")
	c.exit()
}

func TestStdinElsewhere(t *testing.T) {
	for name, p := range map[string]plan{"pipe": {}, "closed": {CloseStdin: true}} {
		t.Run(name, func(t *testing.T) {
			p.Asks = "h"
			c := newChild(t, p)
			c.cmd.Stdin = strings.NewReader("not this\n")
			c.start().wait("Question 1: ", 1)
			c.typed("this\r")
			c.expect("this")
			c.exit()
		})
	}
}

func TestNoTerminal(t *testing.T) {
	start := time.Now()
	c := newChild(t, plan{Asks: "h"})
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.start().expectErr("NoTerminal")
	c.exit()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestHangUp(t *testing.T) {
	c := startChild(t, plan{Asks: "h", IgnoreHUP: true})
	c.wait("Question 1: ", 1)
	_ = c.slave.Close()
	_ = c.master.Close()
	c.expectErr("NoTerminal")
	_ = c.cmd.Wait()
}

func TestBackground(t *testing.T) {
	c := startChild(t, plan{Asks: "h", Shell: "background"})
	c.expectErr("NoTerminal")
	if code := c.exit(); code != 1 {
		t.Errorf("exit %d", code)
	}
}

func TestSuspend(t *testing.T) {
	c := startChild(t, plan{Asks: "vh", Shell: "foreground"})
	c.wait("Question 1: ", 1)
	c.typed("abc\x1a")
	c.wait("[stopped]", 1)
	c.wait("Question 1: ", 2)
	c.typed("d\r")
	c.expect("d") // the terminal itself drops what stood in front of Ctrl-Z
	c.wait("Question 2: ", 1)
	c.typed("va\x1a")
	c.wait("[stopped]", 2)
	c.wait("Question 2: ", 2)
	c.typed("lue\r")
	c.expect("value")
	if code := c.exit(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if strings.Contains(c.shown(), "va") {
		t.Error("the hidden answer was shown")
	}
}

// With no shell to wake it, Ctrl-Z must not stop the process for good.
func TestSuspendWithoutShell(t *testing.T) {
	c := startChild(t, plan{Asks: "h"})
	c.wait("Question 1: ", 1)
	c.typed("va\x1a")
	c.wait("Question 1: ", 2)
	c.typed("lue\r")
	c.expect("value")
	c.exit()
}

func TestClosed(t *testing.T) {
	tt := &Terminal{}
	if err := tt.Close(); err != nil {
		t.Error(err)
	}
	tt.Print("nothing")
	if _, err := tt.Ask(t.Context(), "? ", Options{}); !errors.Is(err, ErrNoTerminal) {
		t.Error("a closed terminal answered")
	}
}
