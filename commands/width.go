package commands

import (
	"io"
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

// foldWidth is how wide lines for w may be; 0 where nobody looks at them on a
// terminal.
func foldWidth(w io.Writer) int {
	if to, ok := w.(*stickyWriter); ok {
		return to.width
	}
	return 0
}

// hanging stands before the lines that a folded one goes on with.
const hanging = "    "

// fold breaks a line between words where it is wider than the terminal. What stands
// in quotes is to be typed as it stands, and stays together if it can.
func fold(w io.Writer, line string) string {
	width := foldWidth(w)
	if width < 40 || textWidth(unpainted(line)) <= width {
		return line
	}
	var b strings.Builder
	used := 0
	for i, word := range foldable(line) {
		columns := textWidth(unpainted(word))
		switch {
		case i == 0:
		case used+1+columns > width:
			b.WriteString("\n" + hanging)
			used = len(hanging)
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += columns
	}
	return b.String()
}

// foldable are the words of a line; what stands in single quotes, and a reference,
// is one.
func foldable(line string) (words []string) {
	quoted, closing := "", ""
	for _, word := range strings.Split(line, " ") {
		if quoted != "" {
			quoted += " " + word
			if strings.Contains(word, closing) {
				words, quoted = append(words, quoted), ""
			}
			continue
		}
		open := strings.TrimLeft(word, "(")
		switch {
		case strings.HasPrefix(open, "'") && strings.Count(open, "'") == 1:
			quoted, closing = word, "'"
		case strings.HasPrefix(open, "${{") && !strings.Contains(open, "}}"):
			quoted, closing = word, "}}"
		default:
			words = append(words, word)
		}
	}
	if quoted != "" {
		words = append(words, strings.Split(quoted, " ")...)
	}
	return words
}

// unpainted is a line without what paint put into it.
func unpainted(line string) string {
	for {
		start := strings.Index(line, "\x1b[")
		if start < 0 {
			return line
		}
		end := strings.IndexByte(line[start:], 'm')
		if end < 0 {
			return line
		}
		line = line[:start] + line[start+end+1:]
	}
}
