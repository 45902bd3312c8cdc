package scan

import (
	"bytes"
	"cmp"
	"slices"
)

// NamedValue is a stored secret: the formation it belongs to (a path for
// people), its name there, and its value.
type NamedValue struct {
	Formation, Name string
	Value           []byte
}

// Known searches for what this repository must never show: the values of its
// vaults and its own keys. Make it with [NewKnown]; the nil *Known finds
// nothing. It is safe for concurrent use.
type Known struct {
	names   []NamedValue // without the values; a nameless one is a key
	matcher *matcher
	blocks  map[int32][][]byte // the lines of values that have several
}

// NewKnown prepares the search for values and for keys (the content of `.key`
// files). Values that are not [Searchable] are left out. Where two names have
// one value, the first by formation and name is the one that findings speak of.
//
// Each value is looked for as it is, as base64 (at any offset, both alphabets,
// wrapped lines), as hex, URL-escaped, JSON-escaped, as UTF-16, and, when it has
// several lines, indented or with other line ends.
func NewKnown(values []NamedValue, keys ...[]byte) *Known {
	values = slices.Clone(values)
	slices.SortStableFunc(values, func(a, b NamedValue) int {
		return cmp.Or(cmp.Compare(a.Formation, b.Formation), cmp.Compare(a.Name, b.Name))
	})
	k := &Known{blocks: map[int32][][]byte{}}
	b := builder{seen: map[string]bool{}}
	// Keys first: where a value is also a key, it is the key that is shown.
	for _, key := range keys {
		b.value = int32(len(k.names))
		k.names = append(k.names, NamedValue{})
		b.key(key)
	}
	for _, v := range values {
		if !Searchable(v.Value) {
			continue
		}
		b.value = int32(len(k.names))
		k.names = append(k.names, NamedValue{Formation: v.Formation, Name: v.Name})
		if lines := b.add(bytes.TrimSpace(v.Value)); lines != nil {
			k.blocks[b.value] = lines
		}
	}
	if len(b.patterns) > 0 {
		k.matcher = newMatcher(b.patterns)
	}
	return k
}

// isKey reports whether a value is one of the repository's own keys.
func (k *Known) isKey(value int32) bool { return k.names[value].Name == "" }

// find returns where known values stand in text: in order, never overlapping,
// of several that start together the longest. more says that there were too
// many to list.
func (k *Known) find(text []byte) (found []match, more bool) {
	if k == nil || k.matcher == nil {
		return nil, false
	}
	found, more = k.matcher.find(text, nil)
	found = k.wholeBlocks(text, found)
	v := view{known: k, text: text, found: found}
	v.escaped('%', unescapeURL)
	v.escaped('\\', unescapeJSON)
	v.wrapped()
	return settle(v.found), more || v.more
}

// wholeBlocks replaces a match of one line of a multi-line value by a match of
// the whole value, or drops it.
func (k *Known) wholeBlocks(text []byte, found []match) []match {
	kept := found[:0]
	for _, m := range found {
		if m.form == formLine {
			var ok bool
			if m, ok = growBlock(text, m, k.blocks[m.value]); !ok {
				continue
			}
		}
		kept = append(kept, m)
	}
	return kept
}

// growBlock checks that the other lines of a value stand around the one that
// m matched, each on a line of its own, whatever the indentation.
func growBlock(text []byte, m match, lines [][]byte) (match, bool) {
	anchor := longestLine(lines)
	start, end := m.start, m.end
	for i := anchor + 1; i < len(lines); i++ {
		at, ok := nextLine(text, end)
		if !ok || !bytes.HasPrefix(text[at:], lines[i]) {
			return m, false
		}
		end = at + len(lines[i])
	}
	for i := anchor - 1; i >= 0; i-- {
		at, ok := lineBefore(text, start)
		if !ok || !bytes.HasSuffix(text[:at], lines[i]) {
			return m, false
		}
		start = at - len(lines[i])
	}
	return match{start, end, m.value, formRaw}, true
}

// nextLine skips blanks, one or more line ends and the indentation after them.
func nextLine(text []byte, at int) (int, bool) {
	ended := false
	for at < len(text) && isBlank(text[at]) {
		ended = ended || text[at] == '\n'
		at++
	}
	return at, ended
}

// lineBefore is nextLine backwards.
func lineBefore(text []byte, at int) (int, bool) {
	ended := false
	for at > 0 && isBlank(text[at-1]) {
		ended = ended || text[at-1] == '\n'
		at--
	}
	return at, ended
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// settle sorts matches and keeps, of those that overlap, the first and longest.
func settle(found []match) []match {
	if len(found) < 2 {
		return found
	}
	slices.SortFunc(found, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end), cmp.Compare(a.value, b.value))
	})
	kept := found[:1]
	for _, m := range found[1:] {
		if m.start >= kept[len(kept)-1].end {
			kept = append(kept, m)
		}
	}
	return kept
}
