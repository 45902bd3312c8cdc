package commands

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// runeWidth is how many columns a character takes: two for wide ones
// (UAX #11), none for those that stand on the one before.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1 // the soft hyphen is shown, too
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf), r >= 0x1160 && r <= 0x11ff:
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// textWidth is how many columns a line takes. What a terminal makes of joined
// emoji differs; here each of them counts.
func textWidth(text string) int {
	columns := 0
	for _, r := range text {
		columns += runeWidth(r)
	}
	return columns
}

// cut takes out of the middle what a line has beyond width columns, and puts …
// there: names differ at their beginnings and at their ends.
func cut(text string, width int) string {
	if textWidth(text) <= width {
		return text
	}
	if width < 1 {
		return ""
	}
	runes := []rune(text)
	room := width - 1
	head, used := 0, 0
	for used+runeWidth(runes[head]) <= (room+1)/2 {
		used += runeWidth(runes[head])
		head++
	}
	tail := len(runes)
	for used+runeWidth(runes[tail-1]) <= room {
		tail--
		used += runeWidth(runes[tail])
	}
	for tail < len(runes) && runeWidth(runes[tail]) == 0 {
		tail++ // what it stood on is gone
	}
	return strings.Join([]string{string(runes[:head]), string(runes[tail:])}, "…")
}
