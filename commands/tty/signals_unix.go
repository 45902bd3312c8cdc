//go:build unix

package tty

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// terminating are the signals that end a question.
func terminating() []os.Signal {
	return []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT}
}

// continued is the signal after which the terminal may have been someone else's.
func continued() []os.Signal { return []os.Signal{unix.SIGCONT} }

// stop suspends the group of this process as the terminal does at Ctrl-Z: git, which waits for us, has
// to stop too, or the shell never gets its turn. It returns when the group continues, which cont says.
//
// SIGTSTP must not be subscribed to anywhere: the Go runtime never returns it to its default action,
// and SIGSTOP instead would stop a process that no shell can wake. Where there is none (an orphaned
// group) the kernel discards SIGTSTP, which the time limit is for.
func stop(cont <-chan os.Signal) {
	if unix.Kill(0, unix.SIGTSTP) != nil {
		return
	}
	limit := time.NewTimer(300 * time.Millisecond)
	defer limit.Stop()
	select {
	case <-cont:
	case <-limit.C:
	}
}
