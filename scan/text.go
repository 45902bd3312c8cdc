package scan

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxText is the size in bytes above which a file is searched for known secrets
// and key material only. Whoever reports to a person says so.
const MaxText = 64 << 20

// sniffed is how many bytes decide whether a file is text, as in git.
const sniffed = 8000

// encoding is how the characters of a text are written as bytes.
type encoding uint8

const (
	bytewise encoding = iota // as it stands there: ASCII, UTF-8, or no text at all
	utf16LE
	utf16BE
	utf32LE
	utf32BE
)

// reading is one way to read the bytes of a file, and what was found that way.
type reading struct {
	text     []byte
	encoding encoding
	skipped  int  // bytes of the file before those that text was made of
	isText   bool // not binary
	hits     []hit
	more     bool // there was more than hits
}

// readings returns every way in which somebody may read content: what a byte
// order mark says, or plain ASCII in 16 bits each without one, and always the
// bytes as they stand there. A mark is a claim: two bytes in front of a text turn
// it into nonsense for whoever believes them, and it still shows everywhere else.
func readings(content []byte) []reading {
	if len(content) > MaxText {
		return []reading{{text: content}}
	}

	var all []reading
	decode := func(e encoding, from int) {
		if !slices.ContainsFunc(all, func(r reading) bool { return r.encoding == e }) {
			text := e.decode(content[from:])
			for bytes.HasPrefix(text, []byte("\ufeff")) {
				text, from = text[len("\ufeff"):], from+e.size('\ufeff')
			}

			all = append(all, reading{text: text, encoding: e, skipped: from, isText: true})
		}
	}

	marked := 0 // an editor that does not know a mark puts its own before it
	for {
		length, says := byteOrderMark(content[marked:])
		if length == 0 {
			break
		}
		for _, e := range says {
			decode(e, marked+length)
		}

		marked += length
	}

	raw := content[marked:]
	head := raw[:min(len(raw), sniffed)]
	isText := bytes.IndexByte(head, 0) < 0
	if e := sniff16(head); e != bytewise {
		decode(e, marked)
	}

	all = append(all, reading{text: raw, skipped: marked, isText: isText})
	if marked > 0 && content[0] == '+' {
		all = append(all, reading{text: content, isText: isText}) // what is written in letters may be no mark
	}
	return all
}

// byteOrderMark returns the length of the mark that content begins with, and the
// encodings that it may stand for. Of the rest no character is written in another
// way than here, or nobody writes them any more; they are only skipped.
func byteOrderMark(content []byte) (length int, says []encoding) {
	if len(content) == 0 || bytes.IndexByte([]byte("\xff\xfe\x00\xef\xf7\xdd\x0e\xfb\x84+"), content[0]) < 0 {
		return 0, nil
	}

	for _, m := range [...]struct {
		mark string
		says encoding
	}{
		{"\xff\xfe\x00\x00", utf32LE}, // or UTF-16 and a NUL
		{"\x00\x00\xfe\xff", utf32BE},
		{"\xff\xfe", utf16LE},
		{"\xfe\xff", utf16BE},
		{"\xef\xbb\xbf", bytewise},     // UTF-8
		{"\xf7\x64\x4c", bytewise},     // UTF-1
		{"\xdd\x73\x66\x73", bytewise}, // UTF-EBCDIC
		{"\x0e\xfe\xff", bytewise},     // SCSU
		{"\xfb\xee\x28", bytewise},     // BOCU-1
		{"\x84\x31\x95\x33", bytewise}, // GB 18030
		{"+/v8", bytewise},             // UTF-7, in four spellings
		{"+/v9", bytewise},
		{"+/v+", bytewise},
		{"+/v/", bytewise},
	} {
		if !bytes.HasPrefix(content, []byte(m.mark)) {
			continue
		}
		length = max(length, len(m.mark))
		if m.says != bytewise {
			says = append(says, m.says)
		}
	}

	return length, says
}

// sniff16 recognises UTF-16 without a mark by the plain ASCII in it: most of
// its characters have a NUL on the same side.
func sniff16(head []byte) encoding {
	if bytes.IndexByte(head, 0) < 0 {
		return bytewise
	}
	var zeros [2]int // at even offsets, at odd ones
	for i, c := range head {
		if c == 0 {
			zeros[i%2]++
		}
	}
	switch pairs := len(head) / 2; {
	case zeros[1]*2 > pairs && zeros[0]*8 <= zeros[1]:
		return utf16LE
	case zeros[0]*2 > pairs && zeros[1]*8 <= zeros[0]:
		return utf16BE
	}
	return bytewise
}

// size is how many bytes e writes r with.
func (e encoding) size(r rune) int {
	switch {
	case e == bytewise:
		return utf8.RuneLen(r)
	case e >= utf32LE, r >= 1<<16:
		return 4
	}
	return 2
}

// decode returns content as UTF-8. What is no character becomes U+FFFD, as many
// bytes of it as e takes for one; a rest too short for one is left off.
func (e encoding) decode(content []byte) []byte {
	order := binary.ByteOrder(binary.LittleEndian)
	if e == utf16BE || e == utf32BE {
		order = binary.BigEndian
	}

	text := make([]byte, 0, len(content)/2+len(content)/8)
	if e >= utf32LE {
		for ; len(content) >= 4; content = content[4:] {
			text = utf8.AppendRune(text, rune(order.Uint32(content)))
		}
		return text
	}

	for i := 0; i+1 < len(content); i += 2 {
		r := rune(order.Uint16(content[i:]))
		if utf16.IsSurrogate(r) && i+3 < len(content) {
			if full := utf16.DecodeRune(r, rune(order.Uint16(content[i+2:]))); full != utf8.RuneError {
				r, i = full, i+2
			}
		}

		text = utf8.AppendRune(text, r)
	}

	return text
}

// unrepeated takes out of a file's readings the hits that an earlier one has: a
// value in UTF-16 is seen where that is undone, and as the bytes that it is.
func unrepeated(all []reading) {
	type leak struct {
		rule   Rule
		secret string
	}

	type place struct{ start, end int } // in the file
	seen := map[leak][]place{}
	for i := range all {
		r := &all[i]
		slices.SortStableFunc(r.hits, func(a, b hit) int { return cmp.Compare(a.start, b.start) })

		fresh := map[leak][]place{}
		at, start := r.skipped, 0
		r.hits = slices.DeleteFunc(r.hits, func(h hit) bool {
			at, start = at+r.encoding.length(r.text[start:h.start]), h.start
			p := place{at, at + r.encoding.length(r.text[h.start:min(max(h.start, h.end), len(r.text))])}
			l := leak{h.rule, h.secret}
			before := seen[l]
			next := sort.Search(len(before), func(i int) bool { return before[i].end > p.start })
			if next < len(before) && before[next].start < p.end {
				return true
			}
			fresh[l] = append(fresh[l], p)
			return false
		})

		for l, places := range fresh {
			seen[l] = append(seen[l], places...)
			slices.SortFunc(seen[l], func(a, b place) int { return cmp.Compare(a.start, b.start) })
		}
	}
}

// length is how many bytes of a file text was made of.
func (e encoding) length(text []byte) int {
	if e == bytewise {
		return len(text)
	}
	n := 0
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		n += e.size(r)
		text = text[size:]
	}
	return n
}
