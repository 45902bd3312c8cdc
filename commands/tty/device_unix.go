//go:build unix

package tty

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// In line mode the terminal itself turns this into CR LF.
const lineEnd = "\n"

// errWouldBlock says that the terminal has nothing to read, or no room to write.
const errWouldBlock = unix.EAGAIN

// device is the controlling terminal: an open file of its own, so that making it non-blocking changes
// nothing for whoever else has the terminal open.
type device struct {
	fd    int
	saved *term.State
	// A select that nobody waits for any more is ended through this pipe.
	wakeR, wakeW *os.File
}

func openDevice() (*device, error) {
	const name = "/dev/tty"
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	r, w, err := os.Pipe()
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}

	d := &device{fd: fd, wakeR: r, wakeW: w}
	if max(fd, int(r.Fd())) >= unix.FD_SETSIZE {
		_ = d.close()
		return nil, &os.PathError{Op: "open", Path: name, Err: unix.EMFILE}
	}
	return d, nil
}

func (d *device) close() error {
	return errors.Join(unix.Close(d.fd), d.wakeR.Close(), d.wakeW.Close())
}

// ours returns an error that wraps ErrNoTerminal when the terminal belongs to another process group,
// so that reading or setting modes would stop this one. Without job control both groups are the same.
func (d *device) ours() error {
	group, err := unix.IoctlGetInt(d.fd, unix.TIOCGPGRP)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNoTerminal, err)
	case group != unix.Getpgrp():
		return fmt.Errorf("%w: running in the background", ErrNoTerminal)
	}
	return nil
}

// raw keeps the modes of the first call until restore: a second one finds modes of our own, or
// those a shell left behind.
func (d *device) raw() error {
	state, err := term.MakeRaw(d.fd)
	if err != nil {
		return err
	}
	if d.saved == nil {
		d.saved = state
	}
	return nil
}

func (d *device) restore() {
	if d.saved == nil {
		return
	}
	// From the background this would stop the process, and the modes are the shell's by then.
	if d.ours() == nil {
		_ = term.Restore(d.fd, d.saved)
	}
	d.saved = nil
}

// vt tells whether the terminal understands escape sequences.
func (d *device) vt() bool {
	name := os.Getenv("TERM")
	return name != "" && name != "dumb"
}

func (d *device) read(p []byte) (int, error) {
	for {
		n, err := unix.Read(d.fd, p)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF // in raw mode it hung up, in line mode that is Ctrl-D
		}
		return n, nil
	}
}

func (d *device) write(p []byte) (int, error) {
	for {
		n, err := unix.Write(d.fd, p)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0), err
	}
}

type direction bool

const (
	forReading direction = false
	forWriting direction = true
)

// ready returns a channel that is closed when the terminal can be read or written, or is gone. The
// goroutine behind it only looks and never reads, so it takes no input away from anyone.
func (d *device) ready(dir direction) <-chan struct{} {
	ch := make(chan struct{})
	go func() {
		defer close(ch)
		d.poll(dir)
	}()
	return ch
}

// cancel ends the wait behind a channel from ready.
func (d *device) cancel(ch <-chan struct{}) {
	_, _ = d.wakeW.Write([]byte{0})
	<-ch
	_, _ = d.wakeR.Read(make([]byte, 1))
}

// poll uses select(2): on macOS, poll(2) and kqueue do not work on /dev/tty.
func (d *device) poll(dir direction) {
	wake := int(d.wakeR.Fd())
	for {
		var r, w unix.FdSet
		r.Set(wake)
		if dir == forWriting {
			w.Set(d.fd)
		} else {
			r.Set(d.fd)
		}
		if _, err := unix.Select(max(d.fd, wake)+1, &r, &w, nil, nil); err != unix.EINTR {
			return // what it is, the read or write that follows will say
		}
	}
}
