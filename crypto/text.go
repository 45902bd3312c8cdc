package crypto

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// PlainText is a text in UTF-8 without a byte order mark. One in UTF-16 that begins
// with its mark, as Windows' shell writes where output is redirected, is put into
// UTF-8; one that is damaged stays as it is, and is then no UTF-8.
func PlainText(content []byte) []byte {
	var order binary.ByteOrder
	switch {
	case len(content) < 2:
		return content
	case content[0] == 0xff && content[1] == 0xfe:
		order = binary.LittleEndian
	case content[0] == 0xfe && content[1] == 0xff:
		order = binary.BigEndian
	default:
		return trimBOM(content)
	}

	if len(content)%2 != 0 {
		return content
	}
	units := make([]uint16, 0, len(content)/2)
	for rest := content[2:]; len(rest) > 0; rest = rest[2:] {
		units = append(units, order.Uint16(rest))
	}

	text := make([]byte, 0, len(units))
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			if i+1 == len(units) {
				return content
			}
			if r = utf16.DecodeRune(r, rune(units[i+1])); r == '\ufffd' {
				return content // half a pair
			}
			i++
		}
		text = utf8.AppendRune(text, r)
	}
	return text
}

// HandedOver is the plain text of a file that somebody sent: as PlainText has it,
// and without the > that a mail puts before each line it quotes.
func HandedOver(content []byte) []byte {
	text := PlainText(content)
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte(">")) {
		return text
	}
	plain := make([]byte, 0, len(text))
	for line := range bytes.Lines(text) {
		for rest := bytes.TrimLeft(line, " \t"); len(rest) > 0 && rest[0] == '>'; rest = bytes.TrimLeft(line, " \t") {
			line = bytes.TrimPrefix(rest[1:], []byte(" "))
		}
		plain = append(plain, line...)
	}
	return plain
}

// Unquote takes the quotes off that stand around a whole text: ", ' or `.
func Unquote(text string) string {
	if n := len(text); n >= 2 && text[0] == text[n-1] && (text[0] == '"' || text[0] == '\'' || text[0] == '`') {
		return text[1 : n-1]
	}
	return text
}
