package tty

import (
	"errors"
	"fmt"
	"io"
)

// maxVisible is the longest visible answer, in bytes: less than where any system's line mode cuts a
// line without a word (1,024 bytes on macOS, 4,096 on Linux).
const maxVisible = 1000

// visible asks in the terminal's own line mode: the terminal echoes, edits, and hands over a line.
func (s *session) visible() (string, error) {
	answer, err := s.line()
	if errors.Is(err, ErrInterrupted) {
		s.end(lineEnd) // no Enter has ended the line
	}
	return answer, err
}

func (s *session) line() (string, error) {
	if err := s.dev.send(s.ctx, s.prompt); err != nil {
		return "", err
	}

	var line []byte
	for {
		// All of the line at once: Linux takes Ctrl-D behind the last byte asked for as the end.
		err := s.fill(len(s.buffer))
		switch {
		case errors.Is(err, errWouldBlock):
			resumed, err := s.await()
			if err == nil && resumed {
				err = s.dev.send(s.ctx, s.prompt) // the terminal has dropped what was typed
			}
			if err != nil {
				return "", err
			}
			continue
		case errors.Is(err, io.EOF):
			if err := s.dev.ours(); err != nil {
				return "", err // it hung up
			}
			s.end(lineEnd)
			return settled(line)
		case err != nil:
			return "", fmt.Errorf("%w: cannot read from it: %w", ErrNoTerminal, err)
		}

		for len(s.unread) > 0 {
			b := s.take()
			if b == '\n' || b == '\r' {
				if b == '\r' && len(s.unread) > 0 && s.unread[0] == '\n' { // Windows
					s.take()
				}
				return settled(append(line, '\n'))
			}

			if len(line) <= maxVisible {
				line = append(line, b)
			}
		}
	}
}

// settled judges a line as far as it came: with a LF behind it, or without one where input ended.
func settled(line []byte) (string, error) {
	text := string(line)
	switch {
	case text == "", text == "\x1a\n": // the latter on Windows
		return "", ErrEOF
	case text[len(text)-1] == '\n':
		text = text[:len(text)-1]
	}
	if len(text) > maxVisible {
		return "", &TooLongError{maxVisible}
	}
	return text, nil
}
