//go:build unix

package tty

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// A plan is what the child does: this test binary again, in a session with a terminal of its own.
type plan struct {
	Asks       string // one letter per question: h hidden, v visible
	MaxBytes   int
	CancelMS   int  // cancel the context after this long
	Panic      bool // the first key panics
	IgnoreHUP  bool
	CloseStdin bool
	// Shell makes the child a shell with job control: it runs the rest of the plan in a child of its
	// own, in a group of its own.
	Shell string // "", "foreground", "background"
}

// A reply says what came of one question, without the answer.
type reply struct {
	Len    int
	Digest string
	Err    string // "", or the name of the error
	Limit  int
}

const planVariable = "TTY_TEST_PLAN"

// File descriptors of the child.
const (
	replyFD = 3
	ttyFD   = 4
)

func TestMain(m *testing.M) {
	if text := os.Getenv(planVariable); text != "" {
		var p plan
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			panic(err)
		}
		os.Exit(p.run())
	}
	os.Exit(m.Run())
}

func (p plan) run() int {
	if p.Shell != "" {
		return p.runShell()
	}
	if p.CloseStdin {
		_ = os.Stdin.Close()
	}
	if p.IgnoreHUP {
		signal.Ignore(syscall.SIGHUP)
	}
	ctx := context.Background()
	if p.CancelMS > 0 {
		c, cancel := context.WithTimeout(ctx, time.Duration(p.CancelMS)*time.Millisecond)
		defer cancel()
		ctx = c
	}
	replies := json.NewEncoder(os.NewFile(replyFD, "replies"))
	t, err := Open()
	if err != nil {
		_ = replies.Encode(newReply("", err))
		return 1
	}
	defer t.Close()
	if p.Panic {
		t.dec.state, t.dec.matched = paste, len(pasteEnd) // out of range
	}
	for i, kind := range p.Asks {
		answer, err := t.Ask(ctx, fmt.Sprintf("Question %d: ", i+1), Options{Hidden: kind == 'h', MaxBytes: p.MaxBytes})
		_ = replies.Encode(newReply(answer, err))
	}
	t.Print("the end")
	return 0
}

func newReply(answer string, err error) reply {
	r := reply{Len: len(answer), Digest: digest(answer)}
	var tooLong *TooLongError
	switch {
	case err == nil:
	case errors.As(err, &tooLong):
		r.Err, r.Limit = "TooLong", tooLong.Limit
	case errors.Is(err, ErrInterrupted):
		r.Err = "Interrupted"
	case errors.Is(err, ErrEOF):
		r.Err = "EOF"
	case errors.Is(err, ErrNoTerminal):
		r.Err = "NoTerminal"
	default:
		r.Err = err.Error()
	}
	return r
}

// runShell does what a shell does with a job that stops: takes the terminal back, looks at it (the exit
// code says what it saw), and continues the job in the foreground.
func (p plan) runShell() int {
	signal.Ignore(syscall.SIGTTOU)
	foreground := p.Shell == "foreground"
	before, err := term.GetState(ttyFD)
	if err != nil {
		return 10
	}
	p.Shell = ""
	cmd := childCommand(p)
	tty := os.NewFile(ttyFD, "tty")
	cmd.ExtraFiles = []*os.File{os.NewFile(replyFD, "replies"), tty}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Foreground: foreground, Ctty: ttyFD}
	if err := cmd.Start(); err != nil {
		return 11
	}
	pid := cmd.Process.Pid
	for {
		var ws unix.WaitStatus
		_, err := unix.Wait4(pid, &ws, unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 12
		case !ws.Stopped():
			return ws.ExitStatus()
		}
		after, err := term.GetState(ttyFD)
		if err != nil || *after != *before {
			return 13
		}
		if unix.IoctlSetPointerInt(ttyFD, unix.TIOCSPGRP, unix.Getpgrp()) != nil {
			return 14
		}
		fmt.Fprint(tty, "[stopped]\n")
		time.Sleep(50 * time.Millisecond)
		if unix.IoctlSetPointerInt(ttyFD, unix.TIOCSPGRP, pid) != nil || unix.Kill(-pid, unix.SIGCONT) != nil {
			return 15
		}
	}
}

func childCommand(p plan) *exec.Cmd {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(os.Args[0])
	// The race detector sleeps a second at exit unless told.
	cmd.Env = append(os.Environ(), planVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// child is a running plan, seen from the terminal's side.
type child struct {
	t       *testing.T
	cmd     *exec.Cmd
	master  *os.File
	slave   *os.File
	before  *term.State
	replies *json.Decoder

	mu     sync.Mutex
	screen bytes.Buffer
}

// newChild prepares a child. What is written to its master before start is typed ahead.
func newChild(t *testing.T, p plan) *child {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		needs.Missing(t, "no pseudo-terminals: %v", err)
	}
	master, err = interruptible(master)
	if err != nil {
		t.Fatal(err)
	}
	before, err := term.GetState(int(slave.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: childCommand(p), master: master, slave: slave, before: before}
	c.cmd.Env = append(c.cmd.Env, "TERM=xterm")
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: ttyFD}
	t.Cleanup(func() {
		if c.cmd.Process != nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
		_ = master.Close()
		_ = slave.Close()
	})
	return c
}

// interruptible returns f such that Close ends a Read under way.
func interruptible(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

func (c *child) start() *child {
	c.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = r.Close() })
	_ = r.SetReadDeadline(time.Now().Add(15 * time.Second))
	c.replies = json.NewDecoder(r)
	c.cmd.ExtraFiles = []*os.File{w, c.slave}
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	_ = w.Close()
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.master.Read(buf)
			c.mu.Lock()
			c.screen.Write(buf[:n])
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return c
}

func startChild(t *testing.T, p plan) *child {
	t.Helper()
	return newChild(t, p).start()
}

func (c *child) shown() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.screen.String()
}

// wait waits for text on the screen, n times.
func (c *child) wait(text string, n int) {
	c.t.Helper()
	for range 1500 {
		if strings.Count(c.shown(), text) >= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	c.t.Fatalf("%q did not appear %d times; the child: %v", text, n, c.cmd.ProcessState)
}

func (c *child) typed(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.master, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *child) reply() reply {
	c.t.Helper()
	var r reply
	if err := c.replies.Decode(&r); err != nil {
		c.t.Fatalf("no reply: %v", err)
	}
	return r
}

func (c *child) expect(answers ...string) {
	c.t.Helper()
	for _, a := range answers {
		if got, want := c.reply(), newReply(a, nil); got != want {
			c.t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func (c *child) expectErr(name string) {
	c.t.Helper()
	if got := c.reply(); got.Err != name || got.Len != 0 {
		c.t.Errorf("got %+v, want %s", got, name)
	}
}

// exit waits for the end and checks that the modes are what they were.
func (c *child) exit() (code int) {
	c.t.Helper()
	_ = c.cmd.Wait()
	after, err := term.GetState(int(c.slave.Fd()))
	if err != nil {
		c.t.Fatal(err)
	}
	if *after != *c.before {
		c.t.Error("the modes of the terminal are not what they were")
	}
	return c.cmd.ProcessState.ExitCode()
}
