package formation

import (
	"strings"
	"unicode/utf8"
)

// Normalize returns the name that the MUXI runtime stores a secret under:
// upper-case as Python's str.upper, every run of characters other than A-Z,
// 0-9 and _ as one _, and no _ at the ends. It may return "": such a name
// cannot be stored.
func Normalize(name string) string {
	var b strings.Builder
	gap := false // a _ is owed before the next letter
	put := func(s string) {
		if gap && b.Len() > 0 {
			b.WriteByte('_')
		}
		gap = false
		b.WriteString(s)
	}

	for _, r := range name {
		switch {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			put(string(r))
		case r >= 'a' && r <= 'z':
			put(string(r - 'a' + 'A'))
		case r < utf8.RuneSelf:
			gap = true
		default:
			lead, letters, trail := upperASCII(r)
			if letters == "" {
				gap = true
				continue
			}

			gap = gap || lead
			put(letters)
			gap = gap || trail
		}
	}

	return b.String()
}

// upperASCII gives the ASCII letters in r's upper case, for the few characters
// outside ASCII that have any (Unicode SpecialCasing.txt and UnicodeData.txt,
// the same in every version since 3.0): ß becomes SS, ŉ becomes ʼN. lead and
// trail say that other characters stand before or after those letters.
func upperASCII(r rune) (lead bool, letters string, trail bool) {
	switch r {
	case 'ß':
		return false, "SS", false
	case 'ı':
		return false, "I", false
	case 'ſ':
		return false, "S", false
	case 'ŉ':
		return true, "N", false
	case 'ǰ':
		return false, "J", true
	case 'ẖ':
		return false, "H", true
	case 'ẗ':
		return false, "T", true
	case 'ẘ':
		return false, "W", true
	case 'ẙ':
		return false, "Y", true
	case 'ẚ':
		return false, "A", true
	case 'ﬀ':
		return false, "FF", false
	case 'ﬁ':
		return false, "FI", false
	case 'ﬂ':
		return false, "FL", false
	case 'ﬃ':
		return false, "FFI", false
	case 'ﬄ':
		return false, "FFL", false
	case 'ﬅ', 'ﬆ':
		return false, "ST", false
	}

	return false, "", false
}
