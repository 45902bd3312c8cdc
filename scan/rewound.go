package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	// maxEnding is how much of the end of a file is held, in bytes: a zip's directory
	// stands there.
	maxEnding = 1 << 20
	// maxRewound is how often a file is read anew to get at what lies before.
	maxRewound = 8
)

var errRewound = errors.New("its files lie in no order that it can be read in: not searched in full")

// ending takes in what a file ends in, and counts what may be the entries of a
// zip's directory.
type ending struct {
	held    []byte // the last maxEnding bytes or more
	size    int64  // of all
	members int
	begins  bool // the file begins as a zip
}

func (e *ending) Write(p []byte) (int, error) {
	n := len(p)
	for ; len(p) > maxEnding; p = p[maxEnding:] {
		e.add(p[:maxEnding])
	}
	e.add(p)
	return n, nil
}

func (e *ending) add(p []byte) {
	if len(e.held)+len(p) > 2*maxEnding {
		e.held = append(e.held[:0], e.held[len(e.held)-maxEnding:]...)
	}
	from := max(0, len(e.held)-len(zipEntry)+1)
	e.held = append(e.held, p...)
	e.size += int64(len(p))
	e.members += bytes.Count(e.held[from:], []byte(zipEntry))
}

// isZip reports whether the file may be a zip, or end in one.
func (e *ending) isZip() bool { return e.begins || mayEndInZip(e.held) }

// rewound reads a file anywhere, of which only the end is held: what lies further on
// by passing over what is between, what lies before by opening it anew.
type rewound struct {
	open  func() (io.ReadCloser, error)
	size  int64
	end   []byte
	r     io.ReadCloser
	at    int64 // where r has come to
	again int   // how often it was opened

	members int // of the directory, see [ending]
}

// ReadAt is that of [io.ReaderAt], but for one goroutine at a time.
func (w *rewound) ReadAt(p []byte, off int64) (n int, err error) {
	if from := off - (w.size - int64(len(w.end))); from >= 0 {
		if from < int64(len(w.end)) {
			n = copy(p, w.end[from:])
		}
		if n < len(p) {
			return n, io.EOF
		}
		return n, nil
	}
	if w.r == nil || off < w.at {
		if w.Close(); w.again == maxRewound {
			return 0, errRewound
		}
		if w.r, err = w.open(); err != nil {
			return 0, fmt.Errorf("reading it again: %w", err)
		}
		w.at, w.again = 0, w.again+1
	}
	skipped, err := io.CopyN(io.Discard, w.r, off-w.at)
	w.at += skipped
	if err != nil {
		return 0, err
	}
	n, err = io.ReadFull(w.r, p)
	w.at += int64(n)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// Read is there for who reads what is no zip; a zip is read at its offsets.
func (w *rewound) Read([]byte) (int, error) { return 0, io.EOF }

// Close ends the reading; another begins it again.
func (w *rewound) Close() error {
	if w.r != nil {
		w.r.Close()
	}
	w.r = nil
	return nil
}
