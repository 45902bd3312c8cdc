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
	names   []knownName
	matcher *matcher
	blocks  map[int32][][]byte // the lines of values that have several
	longest int                // bytes of the longest value
}

// NewKnown prepares the search for values and for keys (the content of `.key`
// files). Values that are not [Searchable] are left out. The password of a URL in a
// value is searched for by itself as well. Where two names have one value, the
// first by formation and name is the one that findings speak of.
//
// Each value is looked for as it is, as base64 (at any offset, both alphabets), as
// hex, as UTF-16, and, when it has several lines, indented, with other line ends or
// behind the prefixes of a log;
// all of these in each layer of a text as well.
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
		k.names = append(k.names, knownName{})
		b.key(key)
	}

	add := func(v NamedValue, value []byte, part string) {
		if !Searchable(value) {
			return
		}
		b.value = int32(len(k.names))
		k.longest = max(k.longest, len(value))
		k.names = append(k.names, knownName{v.Formation, v.Name, part})
		if lines := b.add(bytes.TrimSpace(value)); lines != nil {
			k.blocks[b.value] = lines
		}
	}

	for _, v := range values {
		add(v, v.Value, "")
	}

	// Behind all whole values, which say more where one has the other in it.
	for _, v := range values {
		for _, password := range urlPasswords(v.Value) {
			add(v, password, "the password in ")
		}
	}

	if len(b.patterns) > 0 {
		k.matcher = newMatcher(b.patterns)
	}
	return k
}

// maxSpelled is how many bytes a byte of a value takes in the longest of the common
// spellings: \u0041, behind the indentation of a value of several lines.
const maxSpelled = 8

// maxReach bounds what is looked at behind the beginning of a value, in bytes.
const maxReach = 1 << 20

// reach is how many bytes the longest known value may take in a text.
func (k *Known) reach() int {
	if k == nil {
		return 0
	}
	return min(maxSpelled*k.longest, maxReach)
}

// knownName is what a finding says of a value that is searched for.
type knownName struct {
	formation, name string // a nameless one is a key
	part            string // which part of the value it is; "" for all of it
}

// isKey reports whether a value is one of the repository's own keys.
func (k *Known) isKey(value int32) bool { return k.names[value].name == "" }

// find returns where known values stand in text: in order, never overlapping,
// of several that start together the longest. more says that there were too
// many to list. Values are seen as they are, and in the spellings that there are
// few of; the rest is seen in the layers of the text.
func (k *Known) find(text []byte) (found []match, more bool) {
	if k == nil || k.matcher == nil {
		return nil, false
	}
	found, more = k.matcher.find(text, nil)
	return settle(k.wholeBlocks(text, found)), more
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
// m matched, each on a line of its own, whatever the indentation. A log or a diff
// has more than that in front of each.
func growBlock(text []byte, m match, lines [][]byte) (match, bool) {
	anchor := longestLine(lines)
	start, end := m.start, m.end
	prefix := prefixOf(text, start)
	begin := start - len(prefix)
	for i := anchor + 1; i < len(lines); i++ {
		at, p, ok := lineBelow(text, end, lines[i], prefix, i == 1, i == len(lines)-1)
		if !ok {
			return m, false
		}
		prefix, end = p, at+len(lines[i])
	}

	for i := anchor - 1; i >= 0; i-- {
		at, p, ok := lineAbove(text, begin, lines[i], prefix, i == 0)
		if !ok {
			return m, false
		}
		start, begin = at, at-len(p)
	}
	if len(bytes.TrimRight(prefix, blanks)) > 0 {
		return match{start, end, m.value, formWrapped}, true
	}
	return match{start, end, m.value, formRaw}, true
}

// maxPrefix is how many bytes are looked at of what stands on its line before a line
// of a value.
const maxPrefix = 256

// prefixOf returns what stands before at on its line.
func prefixOf(text []byte, at int) []byte {
	near := text[max(0, at-maxPrefix):at]
	return near[bytes.LastIndexByte(near, '\n')+1:]
}

// lineBelow finds a line of a value on the one behind at, behind a prefix like the
// given one; lines with nothing else are skipped. The first line of a value, which
// the second one follows, may have more before it, the last one more behind it.
func lineBelow(text []byte, at int, line, prefix []byte, second, last bool) (start int, own []byte, ok bool) {
	for {
		content, ok := nextLine(text, at)
		if !ok {
			return 0, nil, false
		}
		begin := content - len(prefixOf(text, content))
		near := text[begin:min(len(text), begin+maxPrefix+len(line))]
		near = near[:lineLength(near)]
		from := 0
		if !last {
			from = max(0, len(bytes.TrimRight(near, blanks))-len(line))
		}
		for ; ; from++ {
			next := bytes.Index(near[from:], line)
			if next < 0 {
				break
			}
			from += next
			if p := near[:from]; alike(p, prefix) || second && begins(prefix, p) {
				return begin + from, p, true
			}
		}
		if at = begin + len(near); at < len(text) && text[at] != '\n' || !isOnly(near, prefix) {
			return 0, nil, false
		}
	}
}

// lineAbove is lineBelow backwards, from where a line begins.
func lineAbove(text []byte, begin int, line, prefix []byte, first bool) (start int, own []byte, ok bool) {
	for {
		at, ok := lineBefore(text, begin)
		if !ok {
			return 0, nil, false
		}
		if bytes.HasSuffix(text[:at], line) {
			start = at - len(line)
			if p := prefixOf(text, start); alike(p, prefix) || first && begins(p, prefix) {
				return start, p, true
			}
		}
		near := prefixOf(text, at)
		if begin = at - len(near); !isOnly(near, prefix) {
			return 0, nil, false
		}
	}
}

// alike reports whether two lines with such prefixes may be of one log: the prefixes
// are of one length, with the indentation behind them or without, or differ in
// numbers alone.
func alike(a, b []byte) bool {
	one, other := bytes.TrimRight(a, blanks), bytes.TrimRight(b, blanks)
	if len(one) == 0 || len(other) == 0 {
		return len(one) == len(other)
	}
	return len(a) == len(b) || len(one) == len(other) || bytes.Equal(prefixKind(one), prefixKind(other))
}

// isOnly reports whether a line holds nothing behind such a prefix.
func isOnly(line, prefix []byte) bool {
	return alike(bytes.TrimRight(line, blanks), bytes.TrimRight(prefix, blanks))
}

// begins reports whether text begins with such a prefix.
func begins(text, prefix []byte) bool {
	prefix = bytes.TrimRight(prefix, blanks)
	return len(prefix) <= len(text) && bytes.Equal(prefixKind(text[:len(prefix)]), prefixKind(prefix))
}

// prefixKind is a prefix with one 0 for each of its numbers.
func prefixKind(prefix []byte) (kind []byte) {
	for i, b := range prefix {
		switch {
		case !is(b, isDigit):
			kind = append(kind, b)
		case i == 0 || !is(prefix[i-1], isDigit):
			kind = append(kind, '0')
		}
	}
	return kind
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

const blanks = " \t\r\n"

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
