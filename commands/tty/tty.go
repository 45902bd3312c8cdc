package tty

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Reasons for which a question has no answer; test with errors.Is.
var (
	// ErrNoTerminal: this process has no controlling terminal, is in its background, or the
	// terminal hung up.
	ErrNoTerminal = errors.New("no terminal")
	// ErrInterrupted: Ctrl-C, Ctrl-\, a terminating signal or the end of the context came while
	// asking. The terminal is as it was before.
	ErrInterrupted = errors.New("interrupted")
	// ErrEOF: Ctrl-D on an empty line.
	ErrEOF = errors.New("end of input")
	// ErrSeveralLines: more than the answer came at once, from a paste that the terminal does not
	// mark as one. What came was read and dropped, so nothing of it reaches the shell and its history.
	ErrSeveralLines = errors.New("several lines came at once")
)

// TooLongError says that an answer was longer than Limit bytes. The whole line was read and dropped,
// so nothing of it reaches the next prompt or the shell. Ask returns a pointer to it.
type TooLongError struct{ Limit int }

func (e *TooLongError) Error() string {
	return fmt.Sprintf("input is longer than %d bytes", e.Limit)
}

// Options of one question.
type Options struct {
	// Hidden shows nothing of the answer, not even its length.
	Hidden bool
	// MaxBytes is the longest hidden answer accepted, in bytes; 1 MiB when 0.
	MaxBytes int
	// Last says that no other hidden answer is asked for: more lines that come along with this one
	// are no type-ahead for a next prompt, and the answer is refused with [ErrSeveralLines].
	Last bool
}

// Terminal is the controlling terminal of this process. Its methods may be called from any
// goroutine, one at a time: each waits for the one before it.
type Terminal struct {
	mu  sync.Mutex
	dev *device // nil once closed

	// What outlives a question: a LF that belongs to the CR before, and what was read and not used.
	dec    decoder
	buffer [4096]byte
	unread []byte // of buffer
}

// Open opens the controlling terminal. It changes no mode. The error wraps [ErrNoTerminal].
func Open() (*Terminal, error) {
	dev, err := openDevice()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTerminal, err)
	}

	if err := dev.ours(); err != nil {
		_ = dev.close()
		return nil, err
	}
	return &Terminal{dev: dev}, nil
}

// Ask prints prompt as it is, reads one line and returns it without its end. It returns
// [ErrInterrupted], [ErrEOF], [ErrSeveralLines], an error that wraps [ErrNoTerminal], or a *[TooLongError]; whichever
// it is, the modes of the terminal are as they were.
func (t *Terminal) Ask(ctx context.Context, prompt string, opt Options) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.dev == nil {
		return "", fmt.Errorf("%w: closed", ErrNoTerminal)
	}
	return t.ask(ctx, prompt, opt)
}

// Print writes s and a line end to the terminal; from the background, or after Close, nothing. A
// terminal that is gone is no error here: the next Ask reports it.
func (t *Terminal) Print(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.dev != nil && t.dev.ours() == nil {
		_ = t.dev.send(context.Background(), s+lineEnd)
	}
}

// Close lets go of the terminal. Closing twice is no error.
func (t *Terminal) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.dev == nil {
		return nil
	}

	dev := t.dev
	t.dev = nil
	clear(t.buffer[:])
	return dev.close()
}

// send writes all of text. It gives up with [ErrInterrupted] when ctx ends while the terminal takes
// nothing.
func (d *device) send(ctx context.Context, text string) error {
	for out := []byte(text); len(out) > 0; {
		n, err := d.write(out)
		out = out[n:]

		switch {
		case errors.Is(err, errWouldBlock):
			ready := d.ready(forWriting)
			select {
			case <-ready:
			case <-ctx.Done():
				d.cancel(ready)
				return ErrInterrupted
			}
		case err != nil:
			return fmt.Errorf("%w: cannot write to it: %w", ErrNoTerminal, err)
		}
	}
	return nil
}

// fill reads until something is unread: at most size bytes. It does not wait; errWouldBlock says
// that there is nothing.
func (t *Terminal) fill(size int) error {
	if len(t.unread) > 0 {
		return nil
	}
	n, err := t.dev.read(t.buffer[:size])
	t.unread = t.buffer[:n]
	return err
}

// take returns the next unread byte.
func (t *Terminal) take() byte {
	b := t.unread[0]
	t.unread[0] = 0
	t.unread = t.unread[1:]
	return b
}
