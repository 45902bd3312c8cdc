package formation

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ansiEscapes are those that stand for one character, by what follows the \.
var ansiEscapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '\\': '\\', '\'': '\'', '"': '"', 'e': 0x1b, 'a': '\a', 'b': '\b', 'f': '\f', 'v': '\v'}

// ansiDigits says how many hex digits follow \x, \u and \U.
var ansiDigits = map[byte]int{'x': 2, 'u': 4, 'U': 8}

// ansiPart reads the $'...' that stands here and goes past it. Of what bash knows it
// takes what [formatAnsi] writes and the names of control characters.
func (p *dotenvParser) ansiPart(b *strings.Builder) error {
	opened := p.line
	for p.at += len("$'"); p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case '\'':
			p.at++
			return nil
		case '\\':
			size, err := p.ansiEscape(b, p.text[p.at+1:])
			if err != nil {
				return err
			}
			p.at += size
		case '\n':
			p.line++
			b.WriteByte(c)
		case '\r': // a line ending from Windows: a real one is written \r
		default:
			b.WriteByte(c)
		}
	}
	return &DotenvError{opened, "its quote is never closed"}
}

// ansiEscape reads what follows a backslash, and returns how many bytes that were.
func (p *dotenvParser) ansiEscape(b *strings.Builder, rest string) (size int, err error) {
	if rest == "" {
		return 0, nil // the quote is never closed
	}
	if c, ok := ansiEscapes[rest[0]]; ok {
		b.WriteByte(c)
		return 1, nil
	}

	digits := ansiDigits[rest[0]]
	if digits > 0 && len(rest) > digits {
		n, err := strconv.ParseUint(rest[1:1+digits], 16, 32)
		r := rune(n)
		if err == nil && utf8.ValidRune(r) && (digits > 2 || r < utf8.RuneSelf) {
			b.WriteRune(r)
			return 1 + digits, nil
		}
	}
	return 0, &DotenvError{p.line, `it has a \ that means nothing in $'...': write it \\`}
}

// editable reports whether a value comes through an editor as it is: programs take
// line ends and control characters for what they know, and blanks at the end of a
// line for a slip.
func editable(value string) bool {
	for line := range strings.SplitSeq(value, "\n") {
		last, _ := utf8.DecodeLastRuneInString(line)
		if unicode.IsSpace(last) || strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }) {
			return false
		}
	}
	return true
}

// formatAnsi writes NAME=$'...', in which every character can be seen.
func formatAnsi(name, value string) string {
	var b strings.Builder
	b.WriteString(name + "=$'")
	for _, r := range value {
		writeVisible(&b, r, '\'')
	}
	b.WriteString("'\n")
	return b.String()
}

// writeVisible writes a character of a text between quotes so that it can be seen,
// in the escapes that a shell's $'...' and YAML's double quotes have in common.
func writeVisible(b *strings.Builder, r, quote rune) {
	switch {
	case r == quote, r == '\\':
		b.WriteString(`\` + string(r))
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case unicode.IsPrint(r):
		b.WriteRune(r)
	case r < utf8.RuneSelf:
		fmt.Fprintf(b, `\x%02x`, r)
	case r <= 0xffff:
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		fmt.Fprintf(b, `\U%08x`, r)
	}
}
