package scan

// Classes of bytes, as bits of classes[b]. A constant string instead of a
// table, so that nothing is built when the process starts.
const (
	isToken  = 1 << iota // A-Z a-z 0-9 _ -   what a key is written with
	isBase64             // token bytes and + /
	isDigit
	isUpper
	isLower
	isHex
	isDump   // hex digits, and what stands between them where bytes are listed
	isFirst  // the first of four characters of base64 that begin with printable ASCII or a NUL
	isLetter = isUpper | isLower
	isAlnum  = isLetter | isDigit
)

const classes = "" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x40\x03\x00\x02" +
	"\x67\x67\x67\x67\x67\x67\x67\x67\x67\x67\x40\x00\x00\x00\x00\x00" +
	"\x00\xeb\x6b\x6b\x6b\x6b\x6b\x0b\x0b\x8b\x8b\x8b\x8b\x8b\x8b\x8b" +
	"\x8b\x8b\x8b\x8b\x8b\x8b\x8b\x8b\xcb\x8b\x8b\x00\x00\x00\x00\x03" +
	"\x00\xf3\xf3\xf3\xf3\xf3\xf3\x13\x13\x13\x13\x13\x13\x13\x13\x13" +
	"\x13\x13\x13\x13\x13\x13\x13\x13\x53\x13\x13\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func is(b byte, class byte) bool { return classes[b]&class != 0 }

// span returns the end of the stretch of class bytes that starts at from.
func span(text []byte, from int, class byte) int {
	for from < len(text) && classes[text[from]]&class != 0 {
		from++
	}
	return from
}

// spanBack returns the start of the stretch of class bytes that ends before end.
func spanBack(text []byte, end int, class byte) int {
	for end > 0 && classes[text[end-1]]&class != 0 {
		end--
	}
	return end
}

// nextRun returns the first maximal stretch of at least min class bytes that
// starts at or after from. It looks at the byte where a run of min bytes would
// have to end and walks back from there, so most of ordinary text is never read:
// words are shorter than keys.
func nextRun(text []byte, from, min int, class byte) (start, end int, ok bool) {
	for i := from; i+min <= len(text); {
		j := i + min - 1
		for j >= i && classes[text[j]]&class != 0 {
			j--
		}
		if j < i {
			return i, span(text, i+min, class), true
		}
		i = j + 1
	}
	return 0, 0, false
}
