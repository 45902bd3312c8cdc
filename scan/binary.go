package scan

import "bytes"

// Bytes that are written with letters and digits: base64, hex, listings of bytes,
// and text in 16 bits for each character.

const (
	minBase64 = 16           // characters of base64 that are worth a look
	minHex    = 2 * readable // digits of hex
	minBytes  = 8            // bytes of a listing
	// readable is how many bytes of ASCII in a row tell a text from random bytes.
	readable = 11
)

// sextetOf is what a character of base64, in either alphabet, stands for.
const sextetOf = "" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x3e\x00\x3e\x00\x3f" +
	"\x34\x35\x36\x37\x38\x39\x3a\x3b\x3c\x3d\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e" +
	"\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x00\x00\x00\x00\x3f" +
	"\x00\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21\x22\x23\x24\x25\x26\x27\x28" +
	"\x29\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31\x32\x33\x00\x00\x00\x00\x00"

// decodeWords makes layers of base64 and of hex that spells text. Where a word is
// stuck to its beginning, the characters that belong together begin later.
func decodeWords(w *walker, into *layer) {
	text := into.under.text
	for at := 0; ; {
		start, end, ok := nextRun(text, at, minBase64, isBase64)
		if !ok {
			break
		}
		at = end
		if decodeHex(text, start, end, into, w) {
			continue
		}
		for shift := range 4 {
			if spellsText(text[start+shift:end]) && decodeRun(text, start+shift, end, into, w) {
				break
			}
		}
	}
}

// decodeHex appends what the hex in a word says, and reports whether there is any.
func decodeHex(text []byte, at, stop int, into *layer, w *walker) (says bool) {
	for stop-at >= minHex {
		start, end, ok := nextRun(text[:stop], at, minHex, isHex)
		if !ok {
			break
		}
		at = end
		for shift := range 2 {
			if readableHex(text, start+shift, end) {
				decodeDigits(text, start+shift, end, into, w)
				says = true
				break
			}
		}
	}
	return says
}

// spellsText saves what is no text the decoding: of three groups in a row, the
// first character says that they are ASCII.
func spellsText(run []byte) bool {
	row := 0
	for i := 0; i+4 <= len(run); i += 4 {
		if row++; !is(run[i], isFirst) {
			row = 0
		} else if row == 3 {
			return true
		}
	}
	return false
}

// decodeRun appends what a run of base64 says, and reports whether that is text.
func decodeRun(text []byte, start, end int, into *layer, w *walker) (says bool) {
	const piece, again = maxPiece / 3 * 4, overlap / 3 * 4
	for from := start; ; from += piece - again {
		to := min(end, from+piece)
		into.apart(from)
		before := len(into.text)
		i := from
		for ; i+4 <= to; i += 4 {
			v := uint32(sextetOf[text[i]])<<18 | uint32(sextetOf[text[i+1]])<<12 | uint32(sextetOf[text[i+2]])<<6 | uint32(sextetOf[text[i+3]])
			into.text = append(into.text, byte(v>>16), byte(v>>8), byte(v))
		}
		switch to - i {
		case 2:
			into.text = append(into.text, sextetOf[text[i]]<<2|sextetOf[text[i+1]]>>4)
		case 3:
			into.text = append(into.text, sextetOf[text[i]]<<2|sextetOf[text[i+1]]>>4, sextetOf[text[i+1]]<<4|sextetOf[text[i+2]]>>2)
		}
		into.parts = append(into.parts, part{at: int32(before), from: int32(from), size: sextets})
		if isReadable(into.text[before:]) {
			says = true
		} else {
			into.text, into.parts = into.text[:before], into.parts[:len(into.parts)-1]
		}
		if len(into.text) >= maxPiece/2 {
			w.give(into)
		}
		if to == end {
			return says
		}
	}
}

// isReadable reports whether there is a stretch of text in decoded bytes: ASCII, or
// ASCII in 16 bits each.
func isReadable(decoded []byte) bool {
	row, wide := 0, 0
	for i, c := range decoded {
		switch {
		case c >= ' ' && c <= '~', c == '\n', c == '\r', c == '\t':
			if row++; row >= readable {
				return true
			}
		case c == 0 && i > 0 && decoded[i-1] != 0:
			if wide++; wide >= minBytes {
				return true
			}
			row = 0
		default:
			row, wide = 0, 0
		}
	}
	return false
}

// readableHex reports whether hex digits say text: minHex/2 bytes of ASCII in a row.
func readableHex(text []byte, start, end int) bool {
	row := 0
	for i := start; i+2 <= end; i += 2 {
		if row++; text[i] < '2' || text[i] > '7' {
			row = 0
		} else if row == minHex/2 {
			return true
		}
	}
	return false
}

func decodeDigits(text []byte, start, end int, into *layer, w *walker) {
	for from := start; ; from += 2 * (maxPiece - overlap) {
		to := min(end, from+2*maxPiece)
		into.apart(from)
		for i := from; i+2 <= to; i += 2 {
			into.add([]byte{hexDigit(text[i])<<4 | hexDigit(text[i+1])}, i, 2)
		}
		if len(into.text) >= maxPiece/2 {
			w.give(into)
		}
		if to == end {
			return
		}
	}
}

// decodeWide makes layers of ASCII in 16 bits each, in what was encoded itself: a
// command for PowerShell is in base64 like that. How a whole file is read is
// settled before.
func decodeWide(w *walker, into *layer) {
	text := into.under.text
	for at := 0; into.under.under != nil && at < len(text); {
		next := bytes.IndexByte(text[at:], 0)
		if next < 0 {
			break
		}
		zero := at + next
		at = zero + 1
		for _, first := range [...]int{zero - 1, zero} { // little-endian, big-endian
			ascii := zero - first ^ 1
			end := first
			for first >= 0 && end+1 < len(text) && text[end+1-ascii] == 0 && text[end+ascii] >= '\t' && text[end+ascii] <= '~' {
				end += 2
			}
			if (end-first)/2 < minBytes {
				continue
			}
			into.apart(first)
			for i := first; i < end; i += 2 {
				into.add(text[i+ascii:i+ascii+1], i, 2)
			}
			at = end
			break
		}
	}
}
