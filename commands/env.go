package commands

import (
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Env is everything a command touches outside of the formation's files and
// git. It is handed down; nothing in this package reaches for the process.
type Env struct {
	In  io.Reader
	Out io.Writer // results
	Err io.Writer // what is said to a person
	// OutIsTerminal says that a person reads Out.
	OutIsTerminal bool
	// ErrIsTerminal says that a person watches Err: progress is shown.
	ErrIsTerminal bool
	// Terminal opens the terminal itself, for prompts.
	Terminal func() (*tty.Terminal, error)
	Now      func() time.Time
	Getenv   func(string) string
	// Environ is the whole environment: git names in it what it merges.
	Environ func() []string
	Dir     string // the current folder, absolute
	// Files writes; tests make its steps fail.
	Files formation.Files
}

// System is the process's own environment.
func System() *Env {
	// Getwd prefers $PWD, so paths in messages are the ones a person typed.
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	return &Env{
		In:            os.Stdin,
		Out:           os.Stdout,
		Err:           os.Stderr,
		OutIsTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		ErrIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		Terminal:      tty.Open,
		Now:           time.Now,
		Getenv:        os.Getenv,
		Environ:       os.Environ,
		Dir:           dir,
	}
}

// stickyWriter remembers the first failure of the writer it wraps, so that a
// full disk behind `> file` or `| command` is not taken for success.
type stickyWriter struct {
	io.Writer
	err error
}

func (w *stickyWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}
