package scan

import (
	"bytes"
	"strings"
)

// readLines reads YAML that no parser takes, because of merge markers, tabs, a
// lost quote or its size: line by line, by indentation. It follows keys, lists,
// quotes, block scalars, flow style and aliases of scalars, and gives up on
// nothing: what one line breaks, the next sets right.
func readLines(text []byte) []leaf {
	r := lineReader{text: text, anchors: map[string]leaf{}, mappings: 1}
	for r.at < len(text) && len(r.leaves) < maxLeaves {
		end := r.at + lineLength(text[r.at:])
		r.line(r.at, end)
		r.at = max(r.at, min(end+1, len(text)))
		if end == len(text) {
			break
		}
	}
	return r.leaves
}

type lineReader struct {
	text     []byte
	at       int // the next line; a value of several lines moves it on
	levels   []level
	leaves   []leaf
	anchors  map[string]leaf
	mappings int
	waiting  bool // the last key had no value on its line
	field    int  // its offset
	ahead    int  // bytes looked ahead for closing brackets
}

// level is a key or a list item that the lines below it belong to.
type level struct {
	indent  int
	at      *crumb // shared with its leaves: an item's name may come after them
	mapping int    // the mapping below it
}

// line reads the line text[start:end].
func (r *lineReader) line(start, end int) {
	at := start
	for at < end && (r.text[at] == ' ' || r.text[at] == '\t') {
		at++
	}
	content := r.text[at:end]
	switch {
	case len(bytes.TrimSpace(content)) == 0, content[0] == '#', isMarker(content):
		return
	case bytes.HasPrefix(content, []byte("---")), bytes.HasPrefix(content, []byte("...")):
		r.levels, r.waiting = nil, false
		return
	}
	for len(content) > 1 && content[0] == '-' && (content[1] == ' ' || content[1] == '\t') {
		r.pop(at-start, true)
		r.push(at-start, "[]", true)
		r.waiting, r.field = true, at
		at++
		for at < end && (r.text[at] == ' ' || r.text[at] == '\t') {
			at++
		}
		content = r.text[at:end]
	}
	key, colon := yamlKey(content)
	if colon < 0 {
		if r.waiting && len(content) > 0 {
			r.value(at, end, at-start)
		}
		r.waiting = false
		return
	}
	r.pop(at-start, false)
	r.nameItem(key, content[colon+1:])
	r.push(at-start, key, false)
	r.field, r.waiting = at, false
	indent := at - start
	at = skipSpaces(r.text, at+colon+1, end)
	if at >= end || r.text[at] == '#' {
		r.waiting = true
		return
	}
	r.value(at, end, indent)
}

// isMarker recognises what git leaves in a file that it could not merge.
func isMarker(line []byte) bool {
	for _, marker := range [...]string{"<<<<<<<", "=======", ">>>>>>>", "|||||||"} {
		if bytes.HasPrefix(line, []byte(marker)) {
			return true
		}
	}
	return false
}

// pop leaves the levels that end at a line of this indentation.
func (r *lineReader) pop(indent int, item bool) {
	for n := len(r.levels); n > 0; n-- {
		top := r.levels[n-1]
		// A list may stand at the indentation of its own key.
		if top.indent < indent || top.indent == indent && item && !top.at.item {
			return
		}
		r.levels = r.levels[:n-1]
	}
}

func (r *lineReader) push(indent int, name string, item bool) {
	if len(r.levels) >= maxDepth {
		r.levels = r.levels[:0] // no file of a person is like that: start over
	}
	r.mappings++
	r.levels = append(r.levels, level{indent, &crumb{name, item, r.here()}, r.mappings})
}

// here is the innermost key or item.
func (r *lineReader) here() *crumb {
	if n := len(r.levels); n > 0 {
		return r.levels[n-1].at
	}
	return nil
}

// nameItem gives the innermost list item the name that its id says.
func (r *lineReader) nameItem(key string, rest []byte) {
	if at := r.here(); at != nil && at.item && at.name == "[]" && (key == "id" || key == "name") {
		if value := strings.TrimSpace(string(cutComment(rest))); value != "" {
			at.name = "[" + strings.Trim(value, `"' `) + "]"
		}
	}
}

// yamlKey returns the key that a line begins with and the offset of its colon.
func yamlKey(line []byte) (key string, colon int) {
	if len(line) == 0 {
		return "", -1
	}
	if q := line[0]; q == '"' || q == '\'' {
		end := 1 + quoteEnd(line[1:], q)
		after := skipSpaces(line, end+1, len(line))
		if after >= len(line) || line[after] != ':' {
			return "", -1
		}
		return string(line[1:end]), after
	}
	if strings.IndexByte("{[|>#*!&", line[0]) >= 0 {
		return "", -1
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

func skipSpaces(text []byte, at, end int) int {
	for at < end && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}

// value reads the value at offset at; the line ends at end, indent is its key's.
func (r *lineReader) value(at, end, indent int) {
	anchor := ""
	for at < end && (r.text[at] == '&' || r.text[at] == '!') {
		word := at
		for at < end && !isBlank(r.text[at]) {
			at++
		}
		if r.text[word] == '&' {
			anchor = string(r.text[word+1 : at])
		}
		at = skipSpaces(r.text, at, end)
	}
	if at >= end || r.text[at] == '#' {
		r.waiting = true
		return
	}
	switch r.text[at] {
	case '*':
		if l, ok := r.anchors[string(bytes.TrimSpace(cutComment(r.text[at+1:end])))]; ok {
			r.emit(l.value, l.start, l.end, l.number, l.plain, "")
		}
	case '|', '>':
		r.block(end, indent, anchor)
	case '{', '[':
		r.at = r.flow(at, r.flowEnd(at))
	case '"', '\'':
		stop := r.quoted(at, end)
		r.emit(unquote(r.text[at+1:stop], r.text[at]), at+1, stop, false, false, anchor)
		r.at = max(r.at, stop+lineLength(r.text[stop:]))
	default:
		value := bytes.TrimSpace(cutComment(r.text[at:end]))
		r.plain(value, at, anchor)
	}
}

func (r *lineReader) plain(value []byte, at int, anchor string) {
	v := string(value)
	number, plain := plainKind(v)
	r.emit(v, at, at+len(value), number, plain, anchor)
}

// quoted returns where a string that opens at offset at is closed. A string that
// is not closed within a few lines has lost its quote; it ends with its line.
func (r *lineReader) quoted(at, end int) int {
	const lines, bytesAtMost = 32, 1 << 16
	limit := r.text[at+1 : min(len(r.text), at+1+bytesAtMost)]
	stop := quoteEnd(limit, r.text[at])
	if stop < len(limit) && bytes.Count(limit[:stop], []byte("\n")) < lines && !looksLikeField(limit[:stop]) {
		return at + 1 + stop
	}
	return max(end, at+1)
}

// looksLikeField reports whether a string has swallowed lines that are fields.
func looksLikeField(s []byte) bool {
	_, rest, ok := bytes.Cut(s, []byte("\n"))
	for ok {
		var line []byte
		line, rest, ok = bytes.Cut(rest, []byte("\n"))
		if _, colon := yamlKey(bytes.TrimLeft(line, " -")); colon >= 0 {
			return true
		}
	}
	return false
}

// block reads the lines below a | or > that are indented deeper than its key.
func (r *lineReader) block(end, indent int, anchor string) {
	start, stop := -1, 0
	var value []string
	at := min(end+1, len(r.text))
	for at < len(r.text) {
		next := at + lineLength(r.text[at:])
		first := skipSpaces(r.text, at, next)
		if line := bytes.TrimSpace(r.text[first:next]); len(line) > 0 {
			if first-at <= indent || isMarker(line) {
				break
			}
			if start < 0 {
				start = first
			}
			value = append(value, string(line))
			stop = first + len(line)
		}
		at = min(next+1, len(r.text))
		if next == len(r.text) {
			break
		}
	}
	r.at = at
	if start >= 0 {
		r.emit(strings.Join(value, "\n"), start, stop, false, false, anchor)
	}
}

// emit adds a leaf at the current levels.
func (r *lineReader) emit(value string, start, end int, number, plain bool, anchor string) {
	l := leaf{at: r.here(), value: value, start: start, end: end, field: min(r.field, start), number: number, plain: plain}
	if anchor != "" {
		r.anchors[anchor] = l
	}
	// The mapping that the innermost key is in is the one below the level above.
	if n := len(r.levels); n > 1 {
		l.parent = r.levels[n-2].mapping
	}
	r.leaves = append(r.leaves, l)
	r.waiting = false
}
