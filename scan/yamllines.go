package scan

import (
	"bytes"
	"unicode/utf8"
)

// yamlLines turns the lines and columns of a YAML parser into byte offsets.
type yamlLines struct {
	text  []byte
	runes []int // by line: how many characters precede it
	marks []int // by character/markEvery: its offset
}

// markEvery keeps the offset of every so many characters, so that a file which
// is one long line costs no more than any other.
const markEvery = 128

// newYAMLLines indexes text. Lines are counted as YAML 1.1 does: CR, NEL, LS and
// PS end one too.
func newYAMLLines(text []byte) yamlLines {
	l := yamlLines{text: text, runes: []int{0}}
	n := 0
	for i := 0; i < len(text); n++ {
		if n%markEvery == 0 {
			l.marks = append(l.marks, i)
		}
		size := 1
		if text[i] >= utf8.RuneSelf {
			_, size = utf8.DecodeRune(text[i:])
		}
		switch {
		case text[i] == '\n', text[i] == '\r' && !bytes.HasPrefix(text[i+1:], []byte("\n")), size > 1 && endsLine(text[i:i+size]):
			l.runes = append(l.runes, n+1)
		}
		i += size
	}
	return l
}

func endsLine(r []byte) bool {
	return string(r) == "\u0085" || string(r) == "\u2028" || string(r) == "\u2029"
}

// offset of a character; line and column are 1-based.
func (l *yamlLines) offset(line, column int) int {
	if line < 1 || line > len(l.runes) {
		return 0
	}
	n := l.runes[line-1] + max(column-1, 0)
	if n/markEvery >= len(l.marks) {
		return len(l.text)
	}
	at := l.marks[n/markEvery]
	for range n % markEvery {
		if at >= len(l.text) {
			break
		}
		_, size := utf8.DecodeRune(l.text[at:])
		at += size
	}
	return at
}
