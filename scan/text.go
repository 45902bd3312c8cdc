package scan

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxText is the size in bytes above which a file is searched for known secrets
// and key material only. Whoever reports to a person says so.
const MaxText = 64 << 20

// sniffed is how many bytes decide whether a file is text, as in git.
const sniffed = 8000

// decode returns content as UTF-8 without a byte order mark, and whether it is
// text. UTF-16 is recognised by its mark or, without one, by plain ASCII in it.
// Bytes that are no text are returned as they are.
func decode(content []byte) (text []byte, isText bool) {
	switch {
	case bytes.HasPrefix(content, []byte("\xef\xbb\xbf")):
		content = content[3:]
	case bytes.HasPrefix(content, []byte("\xff\xfe\x00\x00")): // UTF-32
		return content, false
	case bytes.HasPrefix(content, []byte("\xff\xfe")):
		return fromUTF16(content[2:], binary.LittleEndian), true
	case bytes.HasPrefix(content, []byte("\xfe\xff")):
		return fromUTF16(content[2:], binary.BigEndian), true
	}
	head := content[:min(len(content), sniffed)]
	if bytes.IndexByte(head, 0) < 0 {
		return content, true
	}
	even, odd := zeros(head)
	switch pairs := len(head) / 2; {
	case even == 0 && odd*2 > pairs:
		return fromUTF16(content, binary.LittleEndian), true
	case odd == 0 && even*2 > pairs:
		return fromUTF16(content, binary.BigEndian), true
	}
	return content, false
}

// zeros counts the NUL bytes at even and at odd offsets.
func zeros(b []byte) (even, odd int) {
	for i, c := range b {
		if c != 0 {
			continue
		}
		if i%2 == 0 {
			even++
		} else {
			odd++
		}
	}
	return even, odd
}

func fromUTF16(content []byte, order binary.ByteOrder) []byte {
	text := make([]byte, 0, len(content)/2+len(content)/8)
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
