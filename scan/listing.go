package scan

import "bytes"

// decodeDumps makes layers of bytes that are listed one by one: what xxd, hexdump
// and od print, AA:BB:CC, and 0xAA, 0xBB as programs have it.
func decodeDumps(w *walker, into *layer) {
	text := into.under.text
	for at := 0; ; {
		start, end, ok := nextRun(text, at, 3*minBytes-1, isDump)
		if !ok {
			break
		}
		at = end
		line := max(0, start-256)
		line += bytes.LastIndexByte(text[line:start], '\n') + 1
		stop := dumpLines(text, line, into)
		if stop <= end {
			stop = pairs(text, start, end, into)
		}
		at = max(at, stop)
		if full := into.overlapped(); full > start {
			at = full
		}
		if len(into.text) >= maxPiece {
			w.give(into)
		}
	}
}

// overlapped returns where below the next piece begins, so that what stands over the
// end of this one is in that; 0 where this one is not full.
func (l *layer) overlapped() int {
	if len(l.text) < maxPiece {
		return 0
	}
	from, _ := l.below(len(l.text)-overlap, len(l.text)-overlap+1)
	return from
}

// mark is how far a layer has come, to go back to.
type mark struct{ text, parts int }

func (l *layer) mark() mark { return mark{len(l.text), len(l.parts)} }

func (l *layer) backTo(m mark) { l.text, l.parts = l.text[:m.text], l.parts[:m.parts] }

// dumpLines appends the bytes of the lines of a dump that begins at from, and
// returns where they end. Without enough of them, nothing is appended, and the end
// is from; of many lines that say nothing it is theirs, so that no other dump is
// looked for in them.
func dumpLines(text []byte, from int, into *layer) (end int) {
	const many = 8
	begin := into.mark()
	into.apart(from)
	first, lines := len(into.text), 0
	end = from
	for end < len(text) && len(into.text)-first < maxPiece {
		stop := min(len(text), end+lineLength(text[end:])+1)
		if stop-end > 512 || !dumpLine(text[end:stop], end, into) {
			break
		}
		end = stop
		lines++
	}
	if isReadable(into.text[first:]) {
		return end
	}
	if into.backTo(begin); lines < many {
		end = from
	}
	return end
}

// dumpLine appends the bytes of one line: an offset, groups of bytes, and the same
// as text, which is passed over.
func dumpLine(line []byte, at int, into *layer) bool {
	i := skipBlanks(line, 0)
	offset := span(line, i, isHex)
	colon := offset < len(line) && line[offset] == ':'
	next := skipBlanks(line, min(len(line), offset+1))
	width := span(line, next, isHex) - next
	switch n := offset - i; {
	case colon && n >= 4, n >= 6 && width != n:
		i = next
	default:
		colon, width = false, n
	}

	// Words of two bytes without a colon before them are how hexdump and od show a
	// little-endian machine's.
	swapped := width == 4 && !colon
	if width < 2 || width > 32 || width%2 != 0 {
		return false
	}
	groups := 0
	for {
		end := span(line, i, isHex)
		n := end - i
		if n == 0 || n%2 != 0 || n > width {
			return groups > 0
		}
		for ; i < end; i += 2 {
			if swapped && i+4 <= end {
				into.addWhole([]byte{hexPair(line[i+2:]), hexPair(line[i:])}, at+i, 4)
				i += 2
				continue
			}
			into.add([]byte{hexPair(line[i:])}, at+i, 2)
		}
		groups++
		i = skipBlanks(line, end)
		if i == end || colon && i > end+1 || n < width {
			return true // what follows is the text
		}
	}
}

func skipBlanks(line []byte, at int) int {
	for at < len(line) && (line[at] == ' ' || line[at] == '\t') {
		at++
	}
	return at
}

func hexPair(text []byte) byte { return hexDigit(text[0])<<4 | hexDigit(text[1]) }

// pairs appends bytes of two digits each that stand apart, from the first such
// between from and latest on, and returns where they end. Without enough of them
// nothing is appended.
func pairs(text []byte, from, latest int, into *layer) (end int) {
	begin := into.mark()
	into.apart(from)
	first := len(into.text)
	end = from
	for i := from; i < len(text) && len(into.text)-first < maxPiece; {
		for i < len(text) && (isBlank(text[i]) || text[i] == ',' || text[i] == ':') {
			i++
		}
		if i+1 < len(text) && text[i] == '0' && text[i+1]|0x20 == 'x' {
			i += 2
		}
		stop := span(text[:min(len(text), i+3)], i, isHex)
		if stop-i != 2 || stop < len(text) && is(text[stop], isAlnum) {
			if len(into.text) > first || i >= latest || !is(text[i], isDump) {
				break
			}
			i = max(span(text, i, isHex), i+1) // what stands before the first
			continue
		}
		into.addWhole([]byte{hexPair(text[i:])}, i, stop-i)
		i, end = stop, stop
	}
	if !isReadable(into.text[first:]) {
		into.backTo(begin)
	}
	return end
}

// joinLines makes layers of lines that are one word each: base64 and hex as an
// encoder breaks them, at any width. The first may begin behind something else, and
// the last end before it.
func joinLines(w *walker, into *layer) {
	text := into.under.text
	for at := 0; at < len(text); {
		start, end, next := lineWord(text, at)
		if start < 0 {
			at = next
			continue
		}
		begin := into.mark()
		into.apart(start)
		first := len(into.text)
		into.add(text[start:end], start, 1)
		lines := 1
		for next < len(text) && len(into.text)-first < maxPiece {
			from := next + leading(text[next:])
			to := span(text, from, isBase64)
			if from == to || to-from > maxWord {
				break
			}
			into.add(text[from:to], from, 1)
			lines++
			if _, _, next = lineWord(text, next); !closesLine(text, to) {
				break
			}
		}
		if at = next; lines == 1 || len(into.text)-first < minPattern {
			into.backTo(begin)
		}
		if full := into.overlapped(); full > start && next < len(text) {
			at = bytes.LastIndexByte(text[:full], '\n') + 1
		}
		if len(into.text) >= maxPiece {
			w.give(into)
		}
	}
}

// minTail is how long a word at the end of a line with something before it has to
// be to count as the first line of several.
const minTail = 24

// maxWord is how long a line may be that an encoder broke off.
const maxWord = 64 << 10

// lineWord returns the word that the line at from is, or that it ends in, and where
// the next line begins. start is -1 where it is none.
func lineWord(text []byte, from int) (start, end, next int) {
	stop := from + lineLength(text[from:])
	next = min(len(text), stop+1)
	if stop == from || !is(text[stop-1], isBase64) && !isTrailing(text[stop-1]) {
		return -1, -1, next
	}
	end = stop
	for end > from && (isTrailing(text[end-1]) || text[end-1] == '+' && end-1 > from && isTrailing(text[end-2])) {
		end--
	}
	start = from + spanBack(text[from:end], end-from, isBase64)
	switch {
	case start == end, end-start > maxWord, end-start < minTail && leading(text[from:start]) < start-from:
		return -1, -1, next
	}
	return start, end, next
}

// leading is the length of what stands before a word that is a line: indentation,
// quotes, the signs of comments and citations.
func leading(line []byte) int {
	for i, c := range line {
		switch c {
		case ' ', '\t', '"', '\'', '`', '#', '>', '*', '|':
		default:
			return i
		}
	}
	return len(line)
}

func isTrailing(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '"', '\'', '`', ',', ';', '\\', '=', '*', '|':
		return true
	}
	return false
}

// closesLine reports whether nothing but punctuation stands behind a word.
func closesLine(text []byte, at int) bool {
	for ; at < len(text) && isTrailing(text[at]); at++ {
	}
	for ; at < len(text) && text[at] == '+'; at++ { // "..." + in many languages
		for at+1 < len(text) && isTrailing(text[at+1]) {
			at++
		}
	}
	return at >= len(text) || text[at] == '\n'
}
