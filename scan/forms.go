package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"unicode/utf16"
)

// form is a spelling of a value, for the message.
type form uint8

const (
	formRaw form = iota
	formBase64
	formHex
	formUTF16
	formEscaped
	formColoured
	formWrapped
	formLine // one line of a value that has several; never leaves this package's search
)

func (f form) String() string {
	switch f {
	case formBase64:
		return ", in base64"
	case formHex:
		return ", in hex"
	case formUTF16:
		return ", in UTF-16"
	case formEscaped:
		return ", escaped"
	case formColoured:
		return ", between colours"
	case formWrapped:
		return ", over several lines"
	}
	return ""
}

// builder collects the patterns of values. Escaped spellings are no patterns:
// the search undoes escapes instead, because there are many ways to write them.
type builder struct {
	patterns []pattern
	value    int32
	seen     map[string]bool
}

func (b *builder) pattern(text []byte, f form) {
	if len(text) < minPattern || b.seen[string(text)] {
		return
	}
	b.seen[string(text)] = true
	b.patterns = append(b.patterns, pattern{text: text, value: b.value, form: f})
}

// add takes one value, without white space around it. It returns the value's
// lines if one of them was taken as a pattern of its own.
func (b *builder) add(value []byte) (lines [][]byte) {
	b.pattern(value, formRaw)
	if bytes.IndexByte(value, ' ') >= 0 {
		b.pattern(bytes.ReplaceAll(value, []byte(" "), []byte("+")), formEscaped) // form encoding
	}
	if bytes.IndexByte(value, '\'') >= 0 {
		b.pattern(bytes.ReplaceAll(value, []byte("'"), []byte("''")), formEscaped) // YAML, SQL
	}
	b.encodings(value)
	if bytes.IndexByte(value, '\n') < 0 {
		return nil
	}
	for _, line := range bytes.Split(value, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, line)
		}
	}

	if anchor := lines[longestLine(lines)]; len(anchor) >= minPattern {
		b.seen[string(anchor)] = false // two values may share a line
		b.pattern(anchor, formLine)
		return lines
	}

	return nil
}

func longestLine(lines [][]byte) int {
	longest := 0
	for i, line := range lines {
		if len(line) > len(lines[longest]) {
			longest = i
		}
	}
	return longest
}

// base64 adds the three spellings that depend on where in the encoded text the
// value starts; the characters that its neighbours have a say in are left off.
func (b *builder) base64(value []byte) {
	for offset := range 3 {
		padded := append(make([]byte, offset, offset+len(value)), value...)
		first, last := (offset*8+5)/6, len(padded)*8/6
		for _, alphabet := range [...]*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			encoded := []byte(alphabet.EncodeToString(padded))
			b.pattern(encoded[first:last], formBase64)
		}
	}
}

// encodings adds the spellings that share no byte with the value.
func (b *builder) encodings(value []byte) {
	b.base64(value)
	digits := hex.AppendEncode(nil, value)
	b.pattern(digits, formHex)
	b.pattern(bytes.ToUpper(digits), formHex)
	units := utf16.Encode([]rune(string(value)))
	little, big := make([]byte, 0, 2*len(units)), make([]byte, 0, 2*len(units))
	for _, u := range units {
		little = append(little, byte(u), byte(u>>8))
		big = append(big, byte(u>>8), byte(u))
	}

	b.pattern(little, formUTF16)
	b.pattern(big, formUTF16)
	if len(units) < len(value) { // else it is ASCII, and seen where the base64 is undone
		b.base64(little)
		b.base64(big)
	}
}

// key takes the content of a `.key` file: every line in it that can be a key.
// For a Fernet key that includes its bytes and the other base64 alphabet.
func (b *builder) key(content []byte) {
	for _, line := range bytes.Split(content, []byte("\n")) {
		line = bytes.Trim(line, " \t\r\"'\ufeff")
		if len(line) < 2*minPattern || line[0] == '#' {
			continue
		}
		line = bytes.TrimRight(line, "=")
		b.pattern(line, formRaw)
		b.encodings(line)
		raw := fernetBytes(line)
		if raw == nil {
			continue
		}
		b.pattern([]byte(base64.RawURLEncoding.EncodeToString(raw)), formRaw)
		b.pattern([]byte(base64.RawStdEncoding.EncodeToString(raw)), formRaw)
		b.pattern(raw, formRaw)
		digits := hex.AppendEncode(nil, raw)
		b.pattern(digits, formHex)
		b.pattern(bytes.ToUpper(digits), formHex)
	}
}

// fernetBytes decodes a Fernet key without its padding, in either alphabet, or
// the hex that an old `muxi new` wrote. It returns nil for anything else.
func fernetBytes(line []byte) []byte {
	if len(line) == 64 {
		if raw, err := hex.DecodeString(string(line)); err == nil {
			return raw
		}
	}
	text := bytes.ReplaceAll(bytes.ReplaceAll(line, []byte("+"), []byte("-")), []byte("/"), []byte("_"))
	raw, err := base64.RawURLEncoding.DecodeString(string(text))
	if err != nil || len(raw) != 32 {
		return nil
	}
	return raw
}
