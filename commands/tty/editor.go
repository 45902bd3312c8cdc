package tty

import (
	"unicode"
	"unicode/utf8"
)

type outcome uint8

const (
	editing outcome = iota
	entered
	interrupted
	ended
	suspended
)

// editor is one hidden line being typed. It does no input or output and keeps no clock: the same keys
// make the same line.
type editor struct {
	max     int
	line    []byte
	tooLong bool
	// A newline at the very end of a paste is not content, so each waits for what follows it.
	newline bool
}

func newEditor(max int) *editor { return &editor{max: max} }

// feed takes one byte.
func (e *editor) feed(d *decoder, b byte) outcome {
	for _, k := range d.next(b) {
		if o := e.press(k); o != editing {
			return o
		}
	}
	return editing
}

func (e *editor) press(k key) outcome {
	switch k.kind {
	case keyText:
		e.insert(k.b)
	case keyPasted:
		e.keepNewline()
		e.insert(k.b)
	case keyPastedNewline:
		e.keepNewline()
		e.newline = true
	case keyPasteEnd:
		e.newline = false
	case keyEnter:
		return entered
	case keyErase:
		e.truncate(lastRune(e.line))
	case keyEraseWord:
		e.truncate(lastWord(e.line))
	case keyEraseLine:
		e.tooLong = false
		e.truncate(0)
	case keyEOF:
		if len(e.line) == 0 {
			return ended
		}
	case keyInterrupt:
		return interrupted
	case keySuspend:
		return suspended
	}

	return editing
}

func (e *editor) keepNewline() {
	if e.newline {
		e.newline = false
		e.insert('\n')
	}
}

func (e *editor) insert(b byte) {
	if len(e.line) >= e.max {
		e.tooLong = true
	}
	if e.tooLong {
		return // what is cut cannot be edited back into what was meant; Ctrl-U starts again
	}
	e.line = append(e.line, b)
}

func (e *editor) truncate(n int) {
	if e.tooLong {
		return
	}
	clear(e.line[n:])
	e.line = e.line[:n]
}

func lastRune(line []byte) int {
	_, n := utf8.DecodeLastRune(line)
	return len(line) - n
}

// lastWord is where the last word begins, as the terminal's own Ctrl-W finds it: at white space.
func lastWord(line []byte) int {
	n := len(line)
	for seen := false; n > 0; {
		r, size := utf8.DecodeLastRune(line[:n])
		space := unicode.IsSpace(r)
		if space && seen {
			break
		}
		seen = seen || !space
		n -= size
	}
	return n
}
