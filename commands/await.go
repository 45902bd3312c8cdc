package commands

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// await does what may block for good, as opening and reading a pipe, and a signal
// does not end: when ctx does, it is left behind, to go with the process.
func await[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case r := <-done:
		return r.value, r.err
	}
}

// awaited reads what may never end, until ctx does.
type awaited struct {
	ctx  context.Context
	from io.Reader
	own  []byte // what is left behind writes into this, and never into the reader's buffer
}

func (a *awaited) Read(p []byte) (int, error) {
	if a.own == nil {
		a.own = make([]byte, 64<<10) // a pipe holds as much
	}
	own := a.own[:min(len(p), len(a.own))]
	n, err := await(a.ctx, func() (int, error) { return a.from.Read(own) })
	return copy(p, own[:n]), err
}

// input is standard input.
func (s *session) input() io.Reader { return &awaited{ctx: s.ctx, from: s.In} }

// readInput reads standard input, and at most one byte more than a value may have.
func (s *session) readInput() ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(s.input(), maxValue+1))
	if err != nil && !errors.Is(err, context.Canceled) {
		err = failed(err, "cannot read standard input: %v", err)
	}
	return content, err
}

func (a *awaited) Close() error {
	if c, ok := a.from.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// openAwaited opens a file that may be a pipe.
func (s *session) openAwaited(path string) (io.ReadCloser, error) {
	file, err := await(s.ctx, func() (*os.File, error) { return os.Open(path) })
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: path, Err: err}
	}
	return &awaited{ctx: s.ctx, from: file}, nil
}

// readAwaited reads a file that may be a pipe, as readInput does.
func (s *session) readAwaited(path string) ([]byte, error) {
	file, err := s.openAwaited(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxValue+1))
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: path, Err: err}
	}
	return content, nil
}
