package commands

import (
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/muxi-ai/git-muxi-secrets/commands/shell"
	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// Env is everything a command touches outside of the formation's files and
// git. It is handed down; nothing in this package reaches for the process.
type Env struct {
	In  io.Reader
	Out io.Writer // results
	Err io.Writer // what is said to a person
	// InIsPiped says that In is a pipe or a file that a person gave on purpose.
	InIsPiped bool
	// OutIsTerminal says that a person reads Out.
	OutIsTerminal bool
	// ErrIsTerminal says that a person watches Err: progress is shown.
	ErrIsTerminal bool
	// PlainTerminal says that they show escape sequences instead of doing them.
	PlainTerminal bool
	// Columns is how wide the terminal is; 0, or nil, where that is not known.
	Columns func() int
	// Terminal opens the terminal itself, for prompts.
	Terminal func() (*tty.Terminal, error)
	Now      func() time.Time
	Getenv   func(string) string
	// Environ is the whole environment: git names in it what it merges.
	Environ func() []string
	Dir     string // the current folder, absolute
	// Shell tells which shell the person types in; nil for a POSIX one.
	Shell func() shell.Kind
	// Files writes; tests make its steps fail.
	Files safefile.Files
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
		InIsPiped:     isPiped(os.Stdin),
		OutIsTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		ErrIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		PlainTerminal: !takesEscapes(os.Stdout) || !takesEscapes(os.Stderr),
		Columns:       terminalColumns,
		Terminal:      tty.Open,
		Now:           time.Now,
		Getenv:        os.Getenv,
		Environ:       os.Environ,
		Dir:           dir,
		Shell:         sync.OnceValue(shell.Parent),
	}
}

func isPiped(in *os.File) bool {
	info, err := in.Stat()
	return err == nil && (info.Mode().IsRegular() || info.Mode()&os.ModeNamedPipe != 0)
}

func terminalColumns() int {
	for _, f := range [...]*os.File{os.Stdout, os.Stderr} {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 0
}

// columns is how wide the terminal is, or may be taken to be.
func (e *Env) columns() int {
	if e.Columns != nil {
		if width := e.Columns(); width > 0 {
			return width
		}
	}
	return tableWidth
}

// stickyWriter is a stream as the commands have it. It remembers the first failure,
// so that a full disk behind `> file` or `| command` is not taken for success; it
// knows whether colour is wanted (paint), and keeps a progress line out of the way.
type stickyWriter struct {
	io.Writer
	err     error
	colours bool
	live    *liveLine // one for both streams
	width   int       // of the terminal that it is; 0: none
}

func (w *stickyWriter) Write(b []byte) (int, error) {
	w.live.clear()
	n, err := w.Writer.Write(b)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}
