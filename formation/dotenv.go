package formation

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Assignment is one NAME=VALUE of a .env file.
type Assignment struct {
	Spelled string // the name as the file has it
	Name    string // normalised
	Value   string
	Line    int // 1-based
}

// DotenvError says where a .env file cannot be read. It never repeats the line.
type DotenvError struct {
	Line   int
	Reason string
}

func (e *DotenvError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// ParseDotenv reads a .env file. `export ` is stripped; $ is never expanded;
// single quotes are literal; double quotes know \n \t \" \\ and keep any other
// backslash; quoted values may span lines; ` #` behind an unquoted value
// starts a comment; NAME= is a template line and is left out. CRLF, a BOM and
// UTF-16 with a BOM are fine.
func ParseDotenv(content []byte) ([]Assignment, error) {
	text, err := dotenvText(content)
	if err != nil {
		return nil, err
	}
	var list []Assignment
	p := dotenvParser{text: text, line: 1}
	for p.at < len(p.text) {
		a, ok, err := p.next()
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, a)
		}
	}
	return list, nil
}

// dotenvText decodes UTF-16, which PowerShell's > writes, and takes a BOM off.
func dotenvText(content []byte) (string, error) {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(content, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(content, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		text := strings.TrimPrefix(string(content), "\ufeff")
		if !utf8.ValidString(text) {
			at := 0
			for at < len(text) {
				r, size := utf8.DecodeRuneInString(text[at:])
				if r == utf8.RuneError && size <= 1 {
					break
				}
				at += size
			}
			return "", &DotenvError{strings.Count(text[:at], "\n") + 1, "it is not UTF-8 text"}
		}
		return text, nil
	}
	units := make([]uint16, 0, len(content)/2)
	for rest := content[2:]; len(rest) >= 2; rest = rest[2:] {
		units = append(units, order.Uint16(rest))
	}
	return string(utf16.Decode(units)), nil
}

type dotenvParser struct {
	text string
	at   int
	line int
}

// next reads one line, or several where a quoted value spans them.
func (p *dotenvParser) next() (a Assignment, ok bool, err error) {
	a.Line = p.line
	line := p.rest()
	trimmed := strings.TrimSpace(line)
	if trimmed == "" || trimmed[0] == '#' {
		p.skipLine()
		return a, false, nil
	}
	name, value, found := strings.Cut(line, "=")
	if !found {
		return a, false, &DotenvError{p.line, "it has no '='"}
	}
	name = strings.TrimSpace(name)
	if rest, ok := strings.CutPrefix(name, "export"); ok && rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
		name = strings.TrimSpace(rest)
	}
	a.Spelled, a.Name = name, Normalize(name)
	if a.Name == "" {
		return a, false, &DotenvError{p.line, "its name has no letter or digit"}
	}
	lead := len(value) - len(strings.TrimLeft(value, " \t"))
	if quoted := value[lead:]; quoted != "" && (quoted[0] == '"' || quoted[0] == '\'') {
		p.at += len(line) - len(value) + lead + 1
		a.Value, err = p.quoted(quoted[0])
		return a, a.Value != "" && err == nil, err
	}
	p.skipLine()
	a.Value = unquotedValue(value)
	return a, a.Value != "", nil
}

// rest is what remains of the current line, without its ending.
func (p *dotenvParser) rest() string {
	line, _, _ := strings.Cut(p.text[p.at:], "\n")
	return strings.TrimSuffix(line, "\r")
}

func (p *dotenvParser) skipLine() {
	next := strings.IndexByte(p.text[p.at:], '\n')
	if next < 0 {
		p.at = len(p.text)
		return
	}
	p.at += next + 1
	p.line++
}

func unquotedValue(value string) string {
	for i := range len(value) {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
			break
		}
	}
	return strings.TrimSpace(value)
}

// quoted reads up to the closing quote and the rest of that line, on which
// only a comment may stand.
func (p *dotenvParser) quoted(quote byte) (string, error) {
	opened := p.line
	var b strings.Builder
	for ; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		switch {
		case c == quote:
			p.at++
			rest := strings.TrimSpace(p.rest())
			if rest != "" && rest[0] != '#' {
				return "", &DotenvError{p.line, "something follows the closing quote"}
			}
			p.skipLine()
			return b.String(), nil
		case c == '\\' && quote == '"' && p.at+1 < len(p.text):
			if r, ok := unescape(p.text[p.at+1]); ok {
				b.WriteByte(r)
				p.at++
				continue
			}
			b.WriteByte(c)
		case c == '\r' && p.at+1 < len(p.text) && p.text[p.at+1] == '\n':
			// The line ending of a file from Windows, not part of the value.
		default:
			if c == '\n' {
				p.line++
			}
			b.WriteByte(c)
		}
	}
	return "", &DotenvError{opened, "its quote is never closed"}
}

func unescape(c byte) (byte, bool) {
	switch c {
	case 'n':
		return '\n', true
	case 't':
		return '\t', true
	case '"', '\\':
		return c, true
	}
	return 0, false
}

// FormatDotenv writes NAME=VALUE so that ParseDotenv reads the same value
// back, and so that no other reader expands a $ in it: bare where that is
// plain, else in single quotes, else in double quotes with escapes.
func FormatDotenv(name, value string) string {
	switch {
	case value != "" && strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,=") == "":
		return name + "=" + value + "\n"
	case !strings.ContainsAny(value, "'\n\r"):
		return name + "='" + value + "'\n"
	}
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(value)
	return name + `="` + escaped + "\"\n"
}
