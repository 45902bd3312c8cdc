//go:build unix

package commands_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/creack/pty"
)

// onTerminal is the program on-terminal: `on-terminal COLUMNS PROGRAM [ARGS]` runs
// another one on a terminal that wide, prints what a person would get to see, and
// ends as it did.
func onTerminal() {
	fail := func(err error) {
		fmt.Fprintf(os.Stderr, "on-terminal: %v\n", err)
		os.Exit(125)
	}
	if len(os.Args) < 3 {
		fail(errors.New("which program?"))
	}
	columns, err := strconv.ParseUint(os.Args[1], 10, 16)
	if err != nil {
		fail(err)
	}
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	if os.Getenv("TERM") == "" {
		cmd.Env = append(os.Environ(), "TERM=xterm")
	}
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: uint16(columns)})
	if err != nil {
		fail(err)
	}
	screen, err := io.ReadAll(master)
	if err != nil && !errors.Is(err, syscall.EIO) { // Linux ends a terminal with it
		fail(err)
	}
	os.Stdout.Write(bytes.ReplaceAll(screen, []byte("\r\n"), []byte("\n")))
	var exit *exec.ExitError
	if err := cmd.Wait(); errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	} else if err != nil {
		fail(err)
	}
}
