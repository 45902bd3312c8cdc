package tty

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// screen draws the line of a visible prompt. The bytes to send gather in out.
type screen struct {
	prompt string // its last line
	cols   func() int
	vt     bool // understands escape sequences
	out    bytes.Buffer
}

// put shows one character. Whatever could act on the terminal is shown as U+FFFD instead: pasted text
// is not ours to trust. A tab is shown as one space, so that erasing it needs no tab stops.
func (s *screen) put(r rune) {
	r, _ = glyph(r)
	s.out.WriteRune(r)
}

// erase takes gone, the end of the text on the screen, off it.
func (s *screen) erase(kept, gone []byte) {
	cols := s.cols()
	width := 0
	for rest := gone; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		_, w := glyph(r)
		width += w
		rest = rest[n:]
	}
	row := 0
	if cols > 0 {
		p := position{cols: cols}
		for _, r := range s.prompt {
			p.advance(r)
		}
		for _, text := range [][]byte{kept, gone} {
			for _, r := range string(text) {
				p.advance(r)
			}
		}
		row = p.row
	}
	if !s.vt || row == 0 && width > 0 {
		back := strings.Repeat("\b", width)
		s.out.WriteString(back + strings.Repeat(" ", width) + back)
		return
	}
	// A backspace does not cross the edge of the screen, and none takes back a combining mark.
	if row > 0 {
		fmt.Fprintf(&s.out, "\x1b[%dA", row)
	}
	s.out.WriteString("\r\x1b[J" + s.prompt)
	for _, r := range string(kept) {
		s.put(r)
	}
}

// position follows the cursor as the terminal moves it: the line wraps before the character that does
// not fit, not after the one that fills it.
type position struct{ cols, row, col int }

func (p *position) advance(r rune) {
	_, w := glyph(r)
	if p.col+w > p.cols {
		p.row++
		p.col = 0
	}
	p.col += w
}

// glyph is what stands for r on the screen, and its width in columns.
func glyph(r rune) (rune, int) {
	const nonJoiner, joiner = '\u200c', '\u200d'
	switch {
	case r == '\t':
		return ' ', 1
	case r == nonJoiner || r == joiner || unicode.In(r, unicode.Mn, unicode.Me):
		return r, 0
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
		return utf8.RuneError, 1
	case isWide(r):
		return r, 2
	}
	return r, 1
}

// isWide reports the characters that terminals show two columns wide: East Asian Wide and Fullwidth
// (UAX #11), in blocks rather than one by one. At worst an erased character leaves half of itself.
func isWide(r rune) bool {
	switch {
	case r < 0x1100:
		return false
	case r <= 0x115f, // Hangul initial consonants
		r >= 0x231a && r <= 0x231b, r >= 0x23e9 && r <= 0x23ec, r == 0x23f0, r == 0x23f3, // clocks
		r >= 0x25fd && r <= 0x25fe, r >= 0x2614 && r <= 0x2615, r >= 0x2648 && r <= 0x2653,
		r == 0x267f, r == 0x2693, r == 0x26a1, r >= 0x26aa && r <= 0x26ab,
		r >= 0x26bd && r <= 0x26be, r >= 0x26c4 && r <= 0x26c5, r == 0x26ce, r == 0x26d4,
		r == 0x26ea, r >= 0x26f2 && r <= 0x26f3, r == 0x26f5, r == 0x26fa, r == 0x26fd,
		r == 0x2705, r >= 0x270a && r <= 0x270b, r == 0x2728, r == 0x274c, r == 0x274e,
		r >= 0x2753 && r <= 0x2755, r == 0x2757, r >= 0x2795 && r <= 0x2797,
		r == 0x27b0, r == 0x27bf, r >= 0x2b1b && r <= 0x2b1c, r == 0x2b50, r == 0x2b55,
		r >= 0x2e80 && r <= 0x303e, r >= 0x3041 && r <= 0xa4cf, // CJK, kana, Yi
		r >= 0xa960 && r <= 0xa97f, r >= 0xac00 && r <= 0xd7a3, // Hangul
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe10 && r <= 0xfe19, r >= 0xfe30 && r <= 0xfe6f,
		r >= 0xff01 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, // full-width forms
		r >= 0x16fe0 && r <= 0x18dff, r >= 0x1aff0 && r <= 0x1b2ff, // Tangut, Khitan, kana
		r == 0x1f004, r == 0x1f0cf, r == 0x1f18e, r >= 0x1f191 && r <= 0x1f19a,
		r >= 0x1f200 && r <= 0x1f265, r >= 0x1f300 && r <= 0x1f320, r >= 0x1f32d && r <= 0x1f393,
		r >= 0x1f3a0 && r <= 0x1f4fc, r >= 0x1f4ff && r <= 0x1f53d, r >= 0x1f54b && r <= 0x1f567,
		r >= 0x1f595 && r <= 0x1f596, r >= 0x1f5fb && r <= 0x1f64f, r >= 0x1f680 && r <= 0x1f6c5,
		r >= 0x1f6cc && r <= 0x1f6ff, r >= 0x1f7e0 && r <= 0x1f7f0, r >= 0x1f90c && r <= 0x1f9ff,
		r >= 0x1fa70 && r <= 0x1faff, // emoji
		r >= 0x20000 && r <= 0x3fffd: // CJK extensions
		return true
	}
	return false
}
