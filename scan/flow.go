package scan

import (
	"bytes"
	"strconv"
	"strings"
)

// maxFlow bounds the bytes of one {} or [] that are read before it is taken for
// unclosed.
const maxFlow = 1 << 16

// flowEnd returns the offset behind the bracket that closes the one at offset at.
// One that is not closed within maxFlow has lost its bracket: what is read is the
// rest of its line. Looking ahead has a budget, so that a file of nothing but
// opened brackets is no more work than another.
func (r *lineReader) flowEnd(at int) int {
	depth := 0
	limit := min(len(r.text), at+maxFlow)
	for i := at; i < limit && r.ahead < 16*len(r.text); i++ {
		r.ahead++
		switch r.text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				return i + 1
			}
		case '"', '\'':
			if strings.IndexByte(" \t{[,:", r.text[i-1]) >= 0 {
				length := 1 + quoteEnd(r.text[i+1:limit], r.text[i])
				i, r.ahead = i+length, r.ahead+length
			}
		}
	}
	return at + lineLength(r.text[at:])
}

// flow reads {a: b, c: [d]} from offset at and returns the offset behind it, end
// at most.
func (r *lineReader) flow(at, end int) int {
	base := len(r.levels)
	defer func() { r.levels = r.levels[:min(base, len(r.levels))] }()
	depth := 0
	for at < end {
		switch c := r.text[at]; {
		case c == ',':
			r.nextItem()
			at++
		case isBlank(c):
			at++
		case c == '#' && isBlank(r.text[at-1]):
			at += lineLength(r.text[at:])
		case c == '{' || c == '[':
			depth++
			if c == '[' {
				r.push(0, "[]", true)
			} else {
				r.mappings++
				r.levels = append(r.levels, level{0, r.here(), r.mappings})
			}
			at++
		case c == '}' || c == ']':
			depth--
			if len(r.levels) > base {
				r.levels = r.levels[:len(r.levels)-1]
			}
			at++
			if depth <= 0 {
				return at
			}
		default:
			at = r.flowItem(at, end)
		}
	}
	return at
}

// nextItem begins another item of a list, which may have a name of its own.
func (r *lineReader) nextItem() {
	n := len(r.levels)
	if n == 0 || !r.levels[n-1].at.isItem() || n > 1 && r.levels[n-2].at == r.levels[n-1].at {
		return
	}
	r.levels[n-1].at = &crumb{"[]", true, r.levels[n-1].at.up}
}

// flowItem reads `key: value`, or a value alone.
func (r *lineReader) flowItem(at, end int) int {
	word, start, stop, next := r.flowWord(at, end)
	colon := skipSpaces(r.text, next, end)
	if colon >= end || r.text[colon] != ':' {
		if word != "" {
			r.plainOrQuoted(word, start, stop)
		}
		return max(next, at+1)
	}
	r.nameItem(word, nil)
	r.push(0, word, false)
	r.field = at
	at = skipBlank(r.text[:end], colon+1)
	if at < end {
		switch c := r.text[at]; c {
		case '{', '[':
			at = r.flow(at, end)
		case ',', '}', ']':
		default:
			word, start, stop, next = r.flowWord(at, end)
			if strings.HasPrefix(word, "*") {
				if l, ok := r.anchors[word[1:]]; ok {
					r.emit(l.value, l.start, l.end, l.number, l.plain, "")
				}
			} else {
				r.plainOrQuoted(word, start, stop)
			}
			at = max(next, at+1)
		}
	}
	if n := len(r.levels); n > 0 {
		r.levels = r.levels[:n-1]
	}
	return at
}

func (r *lineReader) plainOrQuoted(word string, start, stop int) {
	if start > 0 && (r.text[start-1] == '"' || r.text[start-1] == '\'') {
		r.emit(word, start, stop, false, false, "")
		return
	}
	number, plain := plainKind(word)
	r.emit(word, start, stop, number, plain, "")
}

// flowWord reads one scalar of a flow collection: its value, its bounds, and
// where the text goes on behind it. A reference may hold braces.
func (r *lineReader) flowWord(at, end int) (word string, start, stop, next int) {
	if q := r.text[at]; q == '"' || q == '\'' {
		stop = at + 1 + quoteEnd(r.text[at+1:end], q)
		return unquote(r.text[at+1:stop], q), at + 1, stop, min(stop+1, end)
	}
	i := at
	for i < end {
		c := r.text[i]
		if bytes.HasPrefix(r.text[i:end], []byte("${{")) {
			if close := bytes.Index(r.text[i:end], []byte("}}")); close >= 0 {
				i += close + 2
				continue
			}
		}
		if strings.IndexByte(",{}[]\n", c) >= 0 || c == ':' && (i+1 >= end || isBlank(r.text[i+1])) || c == '#' && i > at && isBlank(r.text[i-1]) {
			break
		}
		i++
	}
	value := bytes.TrimSpace(r.text[at:i])
	return string(value), at, at + len(value), i
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

// unquote undoes the quotes of YAML well enough to judge what is inside.
func unquote(text []byte, quote byte) string {
	if quote == '\'' {
		return strings.ReplaceAll(string(text), "''", "'")
	}
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text)
	}
	value, _ := unescapeJSON(nil, text, -1)
	return string(value)
}

// plainKind tells numbers, booleans and null from strings.
func plainKind(value string) (number, plain bool) {
	switch strings.ToLower(value) {
	case "true", "false", "yes", "no", "on", "off", "null", "~":
		return false, true
	}
	if value == "" || strings.IndexByte("+-.0123456789", value[0]) < 0 {
		return false, false
	}
	_, err := strconv.ParseFloat(strings.ReplaceAll(value, "_", ""), 64)
	return err == nil, err == nil
}
