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

// editor is one line being typed. It does no input or output and keeps no clock: the same keys make
// the same line and the same drawing, however they were split into reads.
type editor struct {
	max     int
	line    []byte
	tooLong bool
	// A newline at the very end of a paste is not content, so each waits for what follows it.
	newline bool
	screen  *screen // nil: hidden
	drawn   int     // bytes of line that the screen shows
}

func newEditor(max int, scr *screen) *editor {
	return &editor{max: max, screen: scr}
}

// feed takes bytes up to the one that settles the line, and returns how many it took.
func (e *editor) feed(d *decoder, p []byte) (int, outcome) {
	for i, b := range p {
		for _, k := range d.next(b) {
			if o := e.press(k); o != editing {
				return i + 1, o
			}
		}
	}
	return len(p), editing
}

func (e *editor) press(k key) outcome {
	switch k.kind {
	case keyText:
		e.insert(k.b)
	case keyPasted:
		switch {
		case e.screen == nil:
			e.keepNewline()
			e.insert(k.b)
		case !isControl(k.b):
			e.insert(k.b)
		}
	case keyPastedNewline:
		if e.screen != nil {
			return e.finish()
		}
		e.keepNewline()
		e.newline = true
	case keyPasteEnd:
		e.newline = false
	case keyEnter:
		return e.finish()
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
	e.draw(false)
}

// finish draws what can only be half a character.
func (e *editor) finish() outcome {
	e.draw(true)
	return entered
}

// draw shows whole characters, and the bytes of a broken one when all is true.
func (e *editor) draw(all bool) {
	if e.screen == nil {
		return
	}
	for rest := e.line[e.drawn:]; len(rest) > 0 && (all || utf8.FullRune(rest)); rest = e.line[e.drawn:] {
		r, n := utf8.DecodeRune(rest)
		e.screen.put(r)
		e.drawn += n
	}
}

func (e *editor) truncate(n int) {
	if e.tooLong || n == len(e.line) {
		return
	}
	e.draw(true)
	gone := e.line[n:]
	e.line = e.line[:n]
	if e.screen != nil {
		e.drawn = n
		e.screen.erase(e.line, gone)
	}
	clear(gone)
}

// redraw shows prompt and line anew, after the terminal was someone else's for a while.
func (e *editor) redraw() {
	e.drawn = 0
	e.draw(true)
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
