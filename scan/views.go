package scan

import (
	"bytes"
	"slices"
	"sort"
	"unicode/utf16"
	"unicode/utf8"
)

// view searches a text for known values the way they read once an encoding is
// undone: escapes, and base64 or hex that was wrapped into lines. Only the lines
// that have any of it are copied and searched again.
type view struct {
	known *Known
	text  []byte
	found []match
	more  bool
	buf   []byte
}

// maxLine bounds how much of one line is decoded at a time; longer lines are
// taken in pieces that overlap.
const (
	maxLine = 1 << 20
	overlap = 1 << 16
)

// unescape appends what text spells and returns it. It handles malformed
// escapes by leaving them as they are. With at >= 0 it also returns the offset
// in text of byte at of the result.
type unescape func(dst, text []byte, at int) (_ []byte, offset int)

func (v *view) escaped(mark byte, decode unescape) {
	for at := 0; at < len(v.text) && !v.more; {
		next := bytes.IndexByte(v.text[at:], mark)
		if next < 0 {
			return
		}
		start := at + bytes.LastIndexByte(v.text[at:at+next], '\n') + 1
		end := at + next + lineLength(v.text[at+next:])
		for end-start > maxLine {
			v.piece(start, start+maxLine, decode)
			start += maxLine - overlap
		}
		v.piece(start, end, decode)
		at = end
	}
}

func lineLength(text []byte) int {
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return end
	}
	return len(text)
}

func (v *view) piece(start, end int, decode unescape) {
	piece := v.text[start:end]
	v.buf, _ = decode(v.buf[:0], piece, -1)
	if len(v.buf) == len(piece) {
		return // nothing was escaped: the plain search has seen it
	}
	from, decoded := 0, 0 // the same place in piece and in its decoded form
	for _, m := range v.find(v.buf) {
		_, step := decode(nil, piece[from:], m.start-decoded)
		from, decoded = from+step, m.start
		_, length := decode(nil, piece[from:], m.end-m.start)
		if length > m.end-m.start {
			if m.form == formRaw {
				m.form = formEscaped
			}
			v.found = append(v.found, match{start + from, start + from + length, m.value, m.form})
		}
	}
}

// find returns the matches in decoded text, in order, with offsets into it.
func (v *view) find(decoded []byte) []match {
	fresh, more := v.known.matcher.find(decoded, nil)
	v.more = v.more || more || len(v.found) > maxMatches
	return settle(v.known.wholeBlocks(decoded, fresh))
}

// minWrapped is the length in bytes of a line that may be one of several that
// an encoder broke: base64(1), MIME and PEM use 64 and 76, people use less.
const minWrapped = 40

// wrapped searches base64 and hex that run over several lines.
func (v *view) wrapped() {
	for at := 0; !v.more; {
		start, end, ok := nextRun(v.text, at, minWrapped, isBase64)
		if !ok {
			return
		}
		at = end
		v.buf = append(v.buf[:0], v.text[start:end]...)
		pieces := []int{0, start} // pairs: offset in buf, offset in text
		for {
			next, ok := nextLine(v.text, at)
			stop := span(v.text, next, isBase64)
			if !ok || stop == next {
				break
			}
			pieces = append(pieces, len(v.buf), next)
			v.buf = append(v.buf, v.text[next:stop]...)
			at = stop
			if len(v.buf) > 2*maxLine {
				break
			}
		}
		if len(pieces) == 2 {
			continue
		}
		for _, m := range v.find(v.buf) {
			from, to := unwrap(pieces, m.start), unwrap(pieces, m.end-1)+1
			if to-from > m.end-m.start {
				v.found = append(v.found, match{from, to, m.value, m.form})
			}
		}
	}
}

func unwrap(pieces []int, offset int) int {
	i := sort.Search(len(pieces)/2, func(i int) bool { return pieces[2*i] > offset }) - 1
	return pieces[2*i+1] + offset - pieces[2*i]
}

// unescapeURL undoes %XX.
func unescapeURL(dst, text []byte, at int) ([]byte, int) {
	n := 0
	for i := 0; i < len(text); n++ {
		if n == at {
			return dst, i
		}
		c, size := text[i], 1
		if c == '%' && i+2 < len(text) && is(text[i+1], isHex) && is(text[i+2], isHex) {
			c, size = hexDigit(text[i+1])<<4|hexDigit(text[i+2]), 3
		}
		if at < 0 {
			dst = append(dst, c)
		}
		i += size
	}
	return dst, len(text)
}

// unescapeJSON undoes the backslashes of JSON and of the languages that took
// them from C. An unknown escape stands for the character behind the backslash.
func unescapeJSON(dst, text []byte, at int) ([]byte, int) {
	n := 0
	var buf [utf8.UTFMax]byte
	for i := 0; i < len(text); {
		if at >= 0 && n >= at {
			return dst, i
		}
		one, size := text[i:i+1], 1
		if text[i] == '\\' && i+1 < len(text) {
			one, size = unescapeOne(buf[:0], text[i:])
		}
		if at < 0 {
			dst = append(dst, one...)
		}
		n += len(one)
		i += size
	}
	return dst, len(text)
}

// unescapeOne reads the escape that text starts with, at least two bytes.
func unescapeOne(dst, text []byte) (one []byte, size int) {
	switch c := text[1]; c {
	case 'n':
		return append(dst, '\n'), 2
	case 't':
		return append(dst, '\t'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 'b':
		return append(dst, '\b'), 2
	case 'f':
		return append(dst, '\f'), 2
	case '0':
		return append(dst, 0), 2
	case 'x':
		if v, ok := hexNumber(text[2:], 2); ok {
			return append(dst, byte(v)), 4
		}
	case 'U':
		if v, ok := hexNumber(text[2:], 8); ok {
			return utf8.AppendRune(dst, v), 10
		}
	case 'u':
		v, ok := hexNumber(text[2:], 4)
		if !ok {
			break
		}
		if utf16.IsSurrogate(v) && len(text) > 7 && text[6] == '\\' && text[7] == 'u' {
			if low, ok := hexNumber(text[8:], 4); ok {
				return utf8.AppendRune(dst, utf16.DecodeRune(v, low)), 12
			}
		}
		return utf8.AppendRune(dst, v), 6
	}
	return append(dst, text[1]), 2
}

func hexNumber(text []byte, digits int) (v rune, ok bool) {
	if len(text) < digits || slices.ContainsFunc(text[:digits], func(b byte) bool { return !is(b, isHex) }) {
		return 0, false
	}
	for _, b := range text[:digits] {
		v = v<<4 | rune(hexDigit(b))
	}
	return v, true
}

func hexDigit(b byte) byte {
	if is(b, isDigit) {
		return b - '0'
	}
	return b | 0x20 - 'a' + 10
}
