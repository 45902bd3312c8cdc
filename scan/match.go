package scan

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// matcher finds any of many patterns in one pass. It is a Wu-Manber search: a
// window as long as the shortest pattern slides over the text, the four bytes at
// its end say how far it may jump, and only where they could end a pattern is
// anything compared. With a vault's worth of values it reads about every fifth
// byte; an Aho-Corasick automaton reads each, and takes milliseconds to build
// where every hook has to start from nothing.
type matcher struct {
	patterns []pattern
	window   int     // bytes; 8..maxWindow
	shift    []uint8 // by hash of four bytes: how far the window may jump
	drop     uint    // bits dropped from the hash that indexes shift
	heads    []int32 // by hash of a window's first eight bytes: pattern + 1
	next     []int32 // by pattern: the next one with the same heads entry, + 1
	headDrop uint
}

type pattern struct {
	text  []byte
	value int32 // index of the value it is a spelling of
	form  form
	at    int32 // where in text the window lies
	head  uint64
}

// match is one place where a pattern stands: text[start:end].
type match struct {
	start, end int
	value      int32
	form       form
}

const (
	blockSize  = 4
	minPattern = 8 // bytes; a shorter pattern would match by chance
	maxWindow  = 32
	// maxMatches bounds what is collected from one text: a log that repeats a
	// value a million times is one problem, not a million.
	maxMatches = 4096
)

// newMatcher takes over patterns, all at least minPattern bytes long.
func newMatcher(patterns []pattern) *matcher {
	m := &matcher{patterns: patterns, window: maxWindow}
	for _, p := range patterns {
		m.window = min(m.window, len(p.text))
	}
	blocks := len(patterns) * (m.window - blockSize + 1)
	size := min(max(bits.Len(uint(blocks*8)), 12), 22)
	m.drop = uint(32 - size)
	m.shift = make([]uint8, 1<<size)
	furthest := uint8(m.window - blockSize + 1)
	for i := range m.shift {
		m.shift[i] = furthest
	}
	headBits := max(bits.Len(uint(len(patterns)*2)), 4)
	m.headDrop = uint(64 - headBits)
	m.heads = make([]int32, 1<<headBits)
	m.next = make([]int32, len(patterns))
	same := make(map[uint64]int, len(patterns))
	for i := range patterns {
		p := &patterns[i]
		m.place(p, same)
		m.insert(int32(i), p)
	}

	return m
}

// place chooses where in the pattern the window lies: where the fewest others
// share its first bytes. Keys of one provider all begin alike, and a chain of
// ten thousand of them at every "sk-proj-" would make the search crawl.
func (m *matcher) place(p *pattern, same map[uint64]int) {
	last := len(p.text) - m.window
	best := -1
	for _, at := range [...]int{last, last / 2, 0} {
		head := binary.LittleEndian.Uint64(p.text[at:])
		if n := same[head]; best < 0 || n < best {
			best, p.at, p.head = n, int32(at), head
		}
	}
	same[p.head]++
}

func (m *matcher) insert(i int32, p *pattern) {
	window := p.text[p.at : int(p.at)+m.window]
	for end := blockSize; end <= m.window; end++ {
		h := m.block(window[end-blockSize:])
		m.shift[h] = min(m.shift[h], uint8(m.window-end))
	}
	h := m.headHash(p.head)
	m.next[i] = m.heads[h]
	m.heads[h] = i + 1
}

func (m *matcher) block(b []byte) uint32 {
	return binary.LittleEndian.Uint32(b) * 0x9e3779b1 >> m.drop
}

func (m *matcher) headHash(head uint64) uint64 {
	return head * 0x9e3779b97f4a7c15 >> m.headDrop
}

// find appends every match in text to found, in no particular order, and
// reports whether it stopped early because there were maxMatches of them.
func (m *matcher) find(text []byte, found []match) (_ []match, more bool) {
	for end := m.window; end <= len(text); {
		jump := m.shift[m.block(text[end-blockSize:])]
		if jump != 0 {
			end += int(jump)
			continue
		}

		start := end - m.window
		head := binary.LittleEndian.Uint64(text[start:])
		for i := m.heads[m.headHash(head)]; i != 0; i = m.next[i-1] {
			p := &m.patterns[i-1]
			from := start - int(p.at)
			if p.head != head || from < 0 || from+len(p.text) > len(text) {
				continue
			}
			if !bytes.Equal(text[from:from+len(p.text)], p.text) {
				continue
			}
			found = append(found, match{from, from + len(p.text), p.value, p.form})
			if len(found) >= maxMatches {
				return found, true
			}
		}

		end++
	}

	return found, false
}
