package gitutil

import (
	"bytes"
	"strings"
)

// SplitMarkers takes a file that git left its conflict markers in apart, into what
// each side had. base is nil where the markers do not show it (merge.conflictStyle
// diff3 and zdiff3 do). ok is false where there are none, or where somebody edited
// them so far that no side is to be had from them.
func SplitMarkers(content []byte) (base, ours, theirs []byte, ok bool) {
	const outside, inOurs, inBase, inTheirs = 0, 1, 2, 3
	var sides [4][]byte
	part, length, based := outside, 0, false
	for line := range bytes.Lines(content) {
		mark, n := marker(line)
		switch {
		case mark == '<' && part == outside:
			part, length, ok = inOurs, n, true
		case mark == 0 || part == outside && mark == '=' || part != outside && n != length:
			// Text; the marker of a conflict inside the base of another is longer.
			if part == outside {
				for i := inOurs; i <= inTheirs; i++ {
					sides[i] = append(sides[i], line...)
				}
				continue
			}
			sides[part] = append(sides[part], line...)
		case mark == '|' && part == inOurs:
			part, based = inBase, true
		case mark == '=' && (part == inOurs || part == inBase):
			part = inTheirs
		case mark == '>' && part == inTheirs:
			part = outside
		default:
			return nil, nil, nil, false
		}
	}
	if !ok || part != outside {
		return nil, nil, nil, false
	}
	if based {
		base = append([]byte{}, sides[inBase]...)
	}
	return base, append([]byte{}, sides[inOurs]...), append([]byte{}, sides[inTheirs]...), true
}

// marker reads a line as one of git's conflict markers: its character, and how often
// it stands there; 0 for any other line.
func marker(line []byte) (mark byte, n int) {
	text := strings.TrimPrefix(strings.TrimRight(string(line), "\r\n"), "\ufeff")
	if text == "" || strings.IndexByte("<|=>", text[0]) < 0 {
		return 0, 0
	}
	mark = text[0]
	for n < len(text) && text[n] == mark {
		n++
	}
	if n < 7 || n < len(text) && (text[n] != ' ' || mark == '=') {
		return 0, 0
	}
	return mark, n
}
