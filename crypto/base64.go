package crypto

import (
	"encoding/base64"
	"errors"
)

// errBase64 stands for Python's binascii.Error; the message is never shown.
var errBase64 = errors.New("not base64 with its padding")

// decodeBase64 decodes src as Python's base64.urlsafe_b64decode does: bytes of
// neither alphabet (URL-safe or standard) are skipped, the padding that
// completes a quad ends the input, bits beyond the last byte are ignored, and a
// last quad that is not complete is an error.
//
// CPython before 3.13.13 and 3.14.4 decides "ends the input"; later ones skip
// that padding and read on (python/cpython issue 145264). Files differ between
// the two only where base64 characters follow the padding.
func decodeBase64(src []byte) ([]byte, error) {
	dst := make([]byte, len(src)/4*3+3) // room for a quad that ends early
	// What we write ourselves takes the standard library's fast path. It
	// accepts a subset of what the loop below does, with the same result.
	if n, err := base64.URLEncoding.Decode(dst, src); err == nil {
		return dst[:n], nil
	}
	return decodeBase64Leniently(dst, src)
}

// decodeBase64Leniently does the work of decodeBase64 byte by byte, into dst.
func decodeBase64Leniently(dst, src []byte) ([]byte, error) {
	var (
		n    int    // bytes written
		quad uint32 // bits of the quad so far
		pos  int    // characters of the quad so far
		pads int    // padding seen since the last character
	)
	for _, c := range src {
		if c == '=' {
			if pos < 2 {
				continue
			}
			if pads++; pos+pads >= 4 {
				pos = 0
				break
			}
			continue
		}
		v := sextet(c)
		if v == noSextet {
			continue
		}
		pads = 0
		quad = quad<<6 | uint32(v)
		// A byte is written as soon as its bits are there, because a quad
		// that padding completes has been written by then.
		switch pos {
		case 1:
			dst[n] = byte(quad >> 4)
			n++
		case 2:
			dst[n] = byte(quad >> 2)
			n++
		case 3:
			dst[n] = byte(quad)
			n++
		}
		pos = (pos + 1) % 4
	}
	if pos != 0 {
		return nil, errBase64
	}
	return dst[:n], nil
}

const noSextet = 0xff

// sextet returns the value of one base64 character of either alphabet.
func sextet(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c - 'A'
	case 'a' <= c && c <= 'z':
		return c - 'a' + 26
	case '0' <= c && c <= '9':
		return c - '0' + 52
	case c == '-' || c == '+':
		return 62
	case c == '_' || c == '/':
		return 63
	}
	return noSextet
}
