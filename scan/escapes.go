package scan

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// unescape reads the escape that text begins with. size 0 says that it is none.
type unescape func(dst, text []byte) (decoded []byte, size int)

// nearEscape is how much of a line around an escape is looked at, in bytes: a line
// may be as long as a file.
const nearEscape = 8 << 10

// escapes makes a decoder of the escapes that begin with mark: of the lines that
// have any, since a value without one reads as it stands there.
func escapes(mark byte, one unescape) decoder {
	return func(w *walker, into *layer) {
		text, done := into.under.text, 0
		for done < len(text) {
			first := nextEscape(text, done, mark, one)
			if first < 0 {
				break
			}
			start, end := escapedRegion(text, done, first, mark)
			if start > done || done == 0 || text[start-1] != '\n' {
				into.apart(start)
			}
			for from := start; ; from += maxPiece - overlap {
				to := min(end, from+maxPiece)
				unescapeAll(into, text, from, to, mark, one)
				if to == end {
					break
				}
				w.give(into)
			}

			if done = end; len(into.text) >= maxPiece-overlap {
				w.give(into)
			}
			if done < len(text) && text[done] == '\n' {
				into.add(text[done:done+1], done, 1)
				done++
			}
		}
	}
}

// nextEscape finds the next escape at or after from; -1 where there is none.
func nextEscape(text []byte, from int, mark byte, one unescape) int {
	var buf [utf8.UTFMax]byte
	for {
		next := bytes.IndexByte(text[from:], mark)
		if next < 0 {
			return -1
		}
		from += next
		if _, size := one(buf[:0], text[from:]); size > 0 {
			return from
		}
		from++
	}
}

// escapedRegion is what is looked at around the escape at first: its line, as far
// as it is near to an escape. A backslash at its end takes the next line in.
func escapedRegion(text []byte, done, first int, mark byte) (start, end int) {
	start = max(done, first-nearEscape)
	start += bytes.LastIndexByte(text[start:first], '\n') + 1
	for last := first; ; {
		stop := min(len(text), last+nearEscape)
		end = last + min(stop-last, lineLength(text[last:]))
		if mark == '\\' && end < len(text) && text[end] == '\n' && bytes.HasSuffix(bytes.TrimRight(text[last:end], "\r"), []byte(`\`)) {
			end++
			end += min(nearEscape, lineLength(text[end:]))
		}
		next := bytes.LastIndexByte(text[min(last+1, end):end], mark)
		if next < 0 {
			return start, max(end, first+1)
		}
		last = min(last+1, end) + next
	}
}

// unescapeAll appends what text[from:to] says.
func unescapeAll(into *layer, text []byte, from, to int, mark byte, one unescape) {
	var buf [utf8.UTFMax]byte
	plain := from
	for from < to {
		next := bytes.IndexByte(text[from:to], mark)
		if next < 0 {
			break
		}
		from += next
		decoded, size := one(buf[:0], text[from:to])
		if size == 0 {
			from++
			continue
		}
		if plain < from {
			into.add(text[plain:from], plain, 1)
		}
		into.addWhole(decoded, from, size)
		from += size
		plain = from
	}
	if plain < to {
		into.add(text[plain:to], plain, 1)
	}
}

// unescaped is what all of text says.
func unescaped(text []byte, mark byte, one unescape) []byte {
	var l layer
	unescapeAll(&l, text, 0, len(text), mark, one)
	return l.text
}

func lineLength(text []byte) int {
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return end
	}
	return len(text)
}

// unescapeURL undoes %XX.
func unescapeURL(dst, text []byte) ([]byte, int) {
	if len(text) < 3 || !is(text[1], isHex) || !is(text[2], isHex) {
		return dst, 0
	}
	return append(dst, hexDigit(text[1])<<4|hexDigit(text[2])), 3
}

// unescapeBackslash undoes the backslashes of JSON, of YAML and of the languages
// that took them from C. An unknown escape stands for the character behind the
// backslash; a line that ends in one goes on behind the next one's indentation.
func unescapeBackslash(dst, text []byte) (one []byte, size int) {
	if len(text) < 2 {
		return dst, 0
	}
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
	case 'e':
		return append(dst, '\x1b'), 2
	case '\r', '\n':
		if size = 1; c == '\r' {
			size = 2
		}
		if size >= len(text) || text[size] != '\n' {
			break
		}
		for size++; size < len(text) && (text[size] == ' ' || text[size] == '\t'); size++ {
		}
		return dst, size
	case 'x':
		if v, ok := hexNumber(text[2:], 2); ok {
			return append(dst, byte(v)), 4
		}
	case 'U':
		if v, ok := hexNumber(text[2:], 8); ok {
			return utf8.AppendRune(dst, v), 10
		}
	case 'u':
		if v, size := bracedNumber(text[2:]); size > 0 {
			return utf8.AppendRune(dst, v), 2 + size
		}
		v, ok := hexNumber(text[2:], 4)
		if !ok {
			break
		}
		if utf16.IsSurrogate(v) && len(text) > 7 && text[6] == '\\' && text[7] == 'u' {
			low, _ := hexNumber(text[8:], 4)
			if both := utf16.DecodeRune(v, low); both != utf8.RuneError {
				return utf8.AppendRune(dst, both), 12
			}
		}

		return utf8.AppendRune(dst, v), 6
	}

	return append(dst, text[1]), 2
}

// unescapeCharacters is unescapeBackslash where \xNN is a character, as YAML,
// JavaScript and Python's text have it, and no byte of one, as in C, Go and shells.
func unescapeCharacters(dst, text []byte) (one []byte, size int) {
	if v, ok := highNumber(text); ok {
		return utf8.AppendRune(dst, v), 4
	}
	return unescapeBackslash(dst, text)
}

// highNumber reads an \xNN that a byte and a character are two things for.
func highNumber(text []byte) (rune, bool) {
	if !bytes.HasPrefix(text, []byte(`\x`)) {
		return 0, false
	}
	v, ok := hexNumber(text[2:], 2)
	return v, ok && v >= utf8.RuneSelf
}

// characterEscapes decodes once more, with \xNN as characters, what has any: which
// language a text is in, nothing says.
func characterEscapes(w *walker, into *layer) {
	high := func(dst, text []byte) ([]byte, int) {
		if _, ok := highNumber(text); ok {
			return dst, 1
		}
		return dst, 0
	}
	if nextEscape(into.under.text, 0, '\\', high) >= 0 {
		escapes('\\', unescapeCharacters)(w, into)
	}
}

// bracedNumber reads {67}, as JavaScript, Rust, Swift and PHP write a character
// behind \u.
func bracedNumber(text []byte) (v rune, size int) {
	end := bytes.IndexByte(text[:min(len(text), 8)], '}')
	if end < 2 || text[0] != '{' {
		return 0, 0
	}
	v, ok := hexNumber(text[1:end], end-1)
	if !ok {
		return 0, 0
	}
	return v, end + 1
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

// entities are the names that HTML has for signs of ASCII (HTML 5, 13.5).
var entities = map[string]byte{
	"amp": '&', "AMP": '&', "lt": '<', "LT": '<', "gt": '>', "GT": '>', "quot": '"', "QUOT": '"', "apos": '\'', "Tab": '\t', "NewLine": '\n',
	"excl": '!', "num": '#', "dollar": '$', "percnt": '%', "lpar": '(', "rpar": ')', "ast": '*', "midast": '*', "plus": '+', "comma": ',',
	"period": '.', "sol": '/', "colon": ':', "semi": ';', "equals": '=', "quest": '?', "commat": '@', "lsqb": '[', "lbrack": '[', "bsol": '\\',
	"rsqb": ']', "rbrack": ']', "Hat": '^', "lowbar": '_', "UnderBar": '_', "grave": '`', "lcub": '{', "lbrace": '{', "verbar": '|', "vert": '|',
	"VerticalLine": '|', "rcub": '}', "rbrace": '}',
}

// maxEntity is the length in bytes of the longest entity that is undone, with
// zeros in front of a number.
const maxEntity = 20

// unescapeEntity undoes &amp; &#38; and &#x26; of HTML and XML.
func unescapeEntity(dst, text []byte) ([]byte, int) {
	if len(text) < 4 || text[1] != '#' && !is(text[1], isLetter) {
		return dst, 0
	}
	end := bytes.IndexByte(text[:min(len(text), maxEntity)], ';')
	if end < 0 {
		return dst, 0
	}
	name := text[1:end]
	if name[0] != '#' {
		c, ok := entities[string(name)]
		if !ok {
			return dst, 0
		}
		return append(dst, c), end + 1
	}

	digits, base := name[1:], rune(10)
	if len(digits) > 0 && digits[0]|0x20 == 'x' {
		digits, base = digits[1:], 16
	}
	if len(digits) == 0 {
		return dst, 0
	}
	var v rune
	for _, d := range digits {
		if !is(d, isHex) || base == 10 && !is(d, isDigit) {
			return dst, 0
		}
		if v = v*base + rune(hexDigit(d)); v > utf8.MaxRune {
			return dst, 0
		}
	}
	return utf8.AppendRune(dst, v), end + 1
}

// unescapeColour takes out what a terminal obeys instead of showing: colours and
// the like (ECMA-48, 5.4), links and titles (5.6, OSC).
func unescapeColour(dst, text []byte) ([]byte, int) {
	if len(text) < 2 {
		return dst, 0
	}
	switch text[1] {
	case '[':
		for i := 2; i < min(len(text), 64); i++ {
			if text[i] >= 0x40 && text[i] <= 0x7e {
				return dst, i + 1
			}
			if text[i] < 0x20 || text[i] > 0x3f {
				break
			}
		}
	case ']':
		for i := 2; i < min(len(text), 4096); i++ {
			if text[i] == '\a' {
				return dst, i + 1
			}
			if text[i] == '\x1b' && i+1 < len(text) && text[i+1] == '\\' {
				return dst, i + 2
			}
			if text[i] < ' ' {
				break // never closed; what follows begins anew
			}
		}
	case '(', ')':
		return dst, min(len(text), 3)
	}
	return dst, 0
}

// colourEnd returns where the colour ends, or another order to a terminal, that the
// word at start begins with; 0 for none. Where the escape itself was lost on the way
// (copied from a page, shown as ^[), numbers and an m or K tell.
func colourEnd(text []byte, start int) int {
	open := start - 1
	for open >= 0 && open > start-32 && text[open] >= '0' && text[open] <= '?' {
		open--
	}
	if open < 0 || strings.IndexByte("[()", text[open]) < 0 {
		return 0
	}
	if open > 0 && text[open-1] == '\x1b' {
		_, size := unescapeColour(nil, text[open-1:])
		return open - 1 + size
	}

	end := open + 1
	for end < len(text) && text[end] >= '0' && text[end] <= ';' {
		end++
	}
	if text[open] != '[' || end == open+1 || end == len(text) || text[end] != 'm' && text[end] != 'K' {
		return 0
	}
	return end + 1
}
