package scan

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// variable returns the name of the field or variable that a value at offset is
// given to, or "": NAME=value, name: "value", "name" := `value`, <name>value.
// It is made of letters, digits, _ - and dots, at most 64 of them.
func variable(text []byte, offset int) string {
	line := text[bytes.LastIndexByte(text[max(0, offset-256):offset], '\n')+1+max(0, offset-256) : offset]
	line = bytes.TrimRight(line, " \t\"'`[(&*")
	line = bytes.TrimSuffix(line, []byte("Bearer"))
	line = bytes.TrimRight(line, " \t\"'`")
	trimmed := bytes.TrimRight(line, ":=>")
	if len(trimmed) == len(line) {
		return ""
	}
	trimmed = bytes.TrimRight(trimmed, " \t\"'`])")
	start := len(trimmed)
	for start > 0 && (is(trimmed[start-1], isToken) || trimmed[start-1] == '.') {
		start--
	}
	if name := string(trimmed[start:]); len(name) <= 64 {
		return name
	}
	return ""
}

// foldName brings apiKey, API-KEY and api_key to one spelling.
func foldName(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '-' || c == '.' || c == ' ':
			b.WriteByte('_')
		case is(c, isUpper):
			if i > 0 && is(name[i-1], isLower) {
				b.WriteByte('_')
			}
			b.WriteByte(c | 0x20)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// decodeHead decodes the beginning of base64 in either alphabet.
func decodeHead(text []byte) []byte {
	head := strings.NewReplacer("-", "+", "_", "/").Replace(string(text[:min(len(text), 80)]))
	raw, _ := base64.RawStdEncoding.DecodeString(head[:len(head)/4*4])
	return raw
}
