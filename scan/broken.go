package scan

import (
	"bytes"
	"math"
	"slices"
	"strings"
)

// readBroken reads YAML that the parser does not take as a whole, because of
// merge markers, tabs, a lost quote or bracket, or its size. It takes the text
// apart, along its indentation, until the parser takes the parts: what is not
// broken is read as if nothing else were. What no parser takes, at last a few
// words, is looked at as it stands.
func readBroken(text []byte) []leaf {
	r := brokenReader{budget: 4*len(text) + 1<<20}
	r.text = withoutMarkers(text)
	r.most = max(maxLeaves, len(text)/2) // what was visited in vain counts
	r.mappings = 1

	var lines []textLine
	for start := 0; start < len(r.text); {
		end := start + lineLength(r.text[start:])
		lines = append(lines, r.line(start, start, end))
		start = end + 1
	}
	r.block(lines, scope{self: r.mappings}, 0)
	return r.leaves
}

// withoutMarkers returns text without what git leaves in a file that it could not
// merge, and indented with blanks alone; every other byte is where it was.
func withoutMarkers(text []byte) []byte {
	clean := bytes.Clone(text)
	for line := range bytes.Lines(clean) {
		for _, marker := range [...]string{"<<<<<<<", "=======", ">>>>>>>", "|||||||"} {
			if bytes.HasPrefix(line, []byte(marker)) {
				blankOut(line)
			}
		}

		for i := 0; i < len(line) && isBlank(line[i]); i++ {
			if line[i] == '\t' {
				line[i] = ' '
			}
		}
	}
	return clean
}

// blankOut overwrites text, but for the ends of its lines.
func blankOut(text []byte) {
	for i, b := range text {
		if b != '\r' && b != '\n' {
			text[i] = ' '
		}
	}
}

// brokenReader blanks out of its text what it has read, so that the rest of a
// line still stands where it stood.
type brokenReader struct {
	yamlWalk
	budget int // bytes that may be given to the parser
}

// maxBrokenDepth is how deep broken YAML may nest: at every level its lines are
// looked at anew.
const maxBrokenDepth = 64

// parseCost is what a parse costs beside its bytes, in bytes.
const parseCost = 4096

// textLine is what is left of a line.
type textLine struct {
	start, at, end int // its text is text[at:end]
	begins         beginning
}

// beginning is what a line begins with.
type beginning uint8

const (
	withNothing beginning = iota // blanks, a comment
	withWords
	withKey
	withDash
)

func (l textLine) indent() int { return l.at - l.start }

// line looks at the line from start to end, which has been read up to at.
func (r *brokenReader) line(start, at, end int) textLine {
	l := textLine{start: start, at: at, end: end, begins: withWords}
	for l.at < end && isBlank(r.text[l.at]) {
		l.at++
	}
	for l.end > l.at && isBlank(r.text[l.end-1]) {
		l.end--
	}

	content := r.text[l.at:l.end]
	_, colon := yamlKey(content)
	switch {
	case len(content) == 0, content[0] == '#':
		l.begins = withNothing
	case content[0] == '-' && (len(content) == 1 || isBlank(content[1])):
		l.begins = withDash
	case colon >= 0:
		l.begins = withKey
	}
	return l
}

// rest is a line that has been read up to at.
func (r *brokenReader) rest(l textLine, at int) textLine {
	blankOut(r.text[l.at:at])
	return r.line(l.start, at, l.end)
}

// block reads lines that hang in one place.
func (r *brokenReader) block(lines []textLine, s scope, depth int) {
	for len(lines) > 0 && lines[0].begins == withNothing {
		lines = lines[1:]
	}

	if len(lines) == 0 || depth > maxBrokenDepth || len(r.leaves) >= mostLeaves(r.text) || r.parsed(lines, s) {
		return
	}

	parts := splitBlock(lines)
	if len(parts) > 1 {
		for _, part := range parts {
			r.block(part, s, depth)
		}

		return
	}

	switch lines[0].begins {
	case withDash:
		r.item(lines, s, depth+1)
	case withKey:
		r.field(lines, s, depth+1)
	default:
		for len(lines) > 0 && lines[0].begins < withKey {
			if lines[0].begins == withWords {
				r.words(lines[0], s, depth+1)
			}
			lines = lines[1:]
		}

		r.block(lines, s, depth)
	}
}

// splitBlock cuts lines before each that has a key or a dash and stands as far
// left as any of them. A list may stand as far left as the key it belongs to.
func splitBlock(lines []textLine) (parts [][]textLine) {
	left := math.MaxInt
	for _, l := range lines {
		if l.begins >= withKey {
			left = min(left, l.indent())
		}
	}

	first := lines[0]
	for i := len(lines) - 1; i > 0; i-- {
		l := lines[i]
		underKey := l.begins == withDash && first.begins == withKey && first.indent() == left
		if l.begins >= withKey && l.indent() == left && !underKey {
			parts = append(parts, lines[i:])
			lines = lines[:i]
		}
	}

	parts = append(parts, lines)
	slices.Reverse(parts)
	return parts
}

// parsed has the parser read lines, if it can.
func (r *brokenReader) parsed(lines []textLine, s scope) bool {
	start, end := lines[0].start, lines[len(lines)-1].end
	if r.budget -= end - start + parseCost; r.budget < 0 {
		return false
	}
	return r.parse(r.text[start:end], start, s) == nil
}

// item reads an item of a list.
func (r *brokenReader) item(lines []textLine, s scope, depth int) {
	l := lines[0]
	lines[0] = r.rest(l, l.at+1)

	name := "[]"
	for _, other := range lines {
		if other.begins != withKey || other.indent() != lines[0].indent() {
			continue
		}
		if key, colon := yamlKey(r.text[other.at:other.end]); key == "id" || key == "name" {
			_, value := r.bare(other.at+colon+1, other.end)
			name = "[" + value + "]"
			break
		}
	}

	r.mappings++
	r.block(lines, scope{&crumb{name, true, s.at}, l.at, s.parent, r.mappings}, depth)
}

// field reads a key and what belongs to it.
func (r *brokenReader) field(lines []textLine, s scope, depth int) {
	l := lines[0]
	key, colon := yamlKey(r.text[l.at:l.end])
	lines[0] = r.rest(l, l.at+colon+1)
	r.mappings++
	below := scope{&crumb{key, false, s.at}, l.at, s.self, r.mappings}

	own, others := lines, lines[len(lines):]
	for i, other := range lines[1:] {
		beside := other.indent() == l.indent() && other.begins != withDash
		if other.begins != withNothing && (beside || other.indent() < l.indent()) {
			own, others = lines[:i+1], lines[i+1:]
			break
		}
	}

	switch value := own[0]; {
	case len(own) == 1, value.begins != withWords, strings.IndexByte("{[|>&!", r.text[value.at]) >= 0:
		r.block(own, below, depth)
	case !r.parsed(own, below):
		// A key below one that has a value stands beside it, badly indented.
		r.block(own[:1], below, depth)
		r.block(own[1:], s, depth)
	}

	r.block(others, s, depth)
}

// words reads a line that begins with neither key nor dash: a value, or what
// stands between commas and brackets in flow style.
func (r *brokenReader) words(l textLine, s scope, depth int) {
	start := l.at
	if strings.IndexByte("{}[]", r.text[start]) >= 0 {
		if r.text[start] == '[' {
			s.at = &crumb{"[]", true, s.at}
		}
		r.mappings++
		s.self = r.mappings
		start++
	}

	open := 0
	for at := start; at < l.end; at++ {
		switch r.text[at] {
		case '{', '[':
			open++
			continue
		case '}', ']':
			open--
		case ',':
		default:
			continue
		}

		if open <= 0 {
			r.block([]textLine{r.line(start, start, at)}, s, depth)
			start, open = at+1, 0
		}
	}

	if start == l.at {
		r.scalar(l, s)
		return
	}

	r.block([]textLine{r.line(start, start, l.end)}, s, depth)
}

// scalar takes in what is left of a value, as it stands there.
func (r *brokenReader) scalar(l textLine, s scope) {
	at, end := l.at, l.end
	for at < end && (r.text[at] == '&' || r.text[at] == '!') {
		for at < end && !isBlank(r.text[at]) {
			at++
		}
		at = skipBlank(r.text[:end], at)
	}

	switch {
	case at == end, r.text[at] == '|', r.text[at] == '>':
		return
	case r.text[at] == '*':
		name := bytes.TrimSpace(cutComment(r.text[at+1 : end]))
		if at = r.anchor(string(name)); at < 0 {
			return
		}
		end = at + lineLength(r.text[at:])
	}

	start, value := r.bare(at, end)
	r.leaves = append(r.leaves, leaf{at: s.at, value: value, start: start, end: start + len(value), field: min(s.field, start), parent: s.parent})
}

// bare returns the value in text[at:end] without quotes, comment, and what comes
// behind it in flow style.
func (r *brokenReader) bare(at, end int) (start int, value string) {
	at = skipBlank(r.text[:end], at)
	text := r.text[at:end]
	if len(text) > 0 && (text[0] == '"' || text[0] == '\'') {
		at++
		text = text[1:]
		text = text[:quoteEnd(text, r.text[at-1])]
	}
	return at, string(bytes.TrimRight(cutComment(text), " \t\"'}],"))
}

// anchor returns where the value stands that an alias means, or -1.
func (r *brokenReader) anchor(name string) int {
	if r.budget -= len(r.text); r.budget < 0 {
		return -1
	}
	mark := []byte("&" + name + " ")
	if at := bytes.Index(r.text, mark); at >= 0 {
		return at + len(mark)
	}
	return -1
}

// yamlKey returns the key that a line begins with and the offset of its colon,
// -1 where there is none.
func yamlKey(line []byte) (key string, colon int) {
	if len(line) == 0 || strings.IndexByte("{[|>#*!&", line[0]) >= 0 {
		return "", -1
	}
	if q := line[0]; q == '"' || q == '\'' {
		end := 1 + quoteEnd(line[1:], q)
		after := skipBlank(line, min(end+1, len(line)))
		if after == len(line) || line[after] != ':' {
			return "", -1
		}
		return string(line[1:end]), after
	}

	for i, b := range line {
		switch {
		case b == ':' && (i+1 == len(line) || isBlank(line[i+1])):
			return string(bytes.TrimSpace(line[:i])), i
		case b == '#' && i > 0 && isBlank(line[i-1]), b == '"', b == '{':
			return "", -1
		}
	}

	return "", -1
}

// cutComment takes off a comment, which a # behind white space begins.
func cutComment(line []byte) []byte {
	for i, b := range line {
		if b == '#' && i > 0 && isBlank(line[i-1]) {
			return line[:i]
		}
	}
	return line
}
