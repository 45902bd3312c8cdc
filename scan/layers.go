package scan

import (
	"slices"
	"sort"
	"sync"
)

// A value reads otherwise in a log, a manifest or a script than it was typed:
// escaped, in base64, in colours, some of it at once. What such a text says is a
// layer, made of the text below it and judged like it, and whatever is found there
// is said where it stands in the file. Only what is encoded is copied, a piece at a
// time.

// layer is a text as it reads once one encoding is undone.
type layer struct {
	text  []byte
	under *layer // whose text this one was made of; nil: the file itself
	parts []part // where its text stands there, in order
	form  form
	whole bool // may hold all of a token, not only what one is made of
	level int
}

// part says where a stretch of a layer's text, up to the next part, comes from.
type part struct {
	at, from int32
	size     int32 // bytes below for each byte, or for all of it where whole is set
	whole    bool
}

// sextets is the size of a part in base64: four characters for three bytes.
const sextets = 0

const (
	// maxLayers is how many encodings are undone, one on top of another.
	maxLayers = 4
	// maxPiece bounds what a layer holds, in bytes; longer stretches are taken in
	// pieces that overlap.
	maxPiece = 256 << 10
	overlap  = 32 << 10
)

// part returns the part that byte at of the text belongs to.
func (l *layer) part(at int) part {
	i := sort.Search(len(l.parts), func(i int) bool { return int(l.parts[i].at) > at })
	return l.parts[i-1]
}

// formAt is how what stands at byte at of the text is written below.
func (l *layer) formAt(at int) form {
	if l.form == formBase64 && l.part(at).size != sextets {
		return formHex
	}
	return l.form
}

// below returns where text[start:end] stands in the text below.
func (l *layer) below(start, end int) (int, int) {
	first, last := l.part(start), l.part(end-1)
	from, into := int(first.from), start-int(first.at)
	switch {
	case first.whole:
	case first.size == sextets:
		from += into * 4 / 3
	default:
		from += into * int(first.size)
	}

	to, into := int(last.from), end-int(last.at)
	switch {
	case last.whole:
		to += int(last.size)
	case last.size == sextets:
		to += (into*4 + 2) / 3
	default:
		to += into * int(last.size)
	}
	return from, to
}

// inFile returns where text[start:end] stands in the file.
func (l *layer) inFile(start, end int) (int, int) {
	for ; l.under != nil; l = l.under {
		start, end = l.below(start, end)
	}
	return start, end
}

// add appends decoded bytes, each made of size bytes that begin at from below.
func (l *layer) add(decoded []byte, from, size int) {
	if n := len(l.parts); n > 0 {
		last := l.parts[n-1]
		if !last.whole && size != sextets && int(last.size) == size && int(last.from)+(len(l.text)-int(last.at))*size == from {
			l.text = append(l.text, decoded...)
			return
		}
	}
	l.parts = append(l.parts, part{at: int32(len(l.text)), from: int32(from), size: int32(size)})
	l.text = append(l.text, decoded...)
}

// addWhole appends bytes that were made together of size bytes at from below.
func (l *layer) addWhole(decoded []byte, from, size int) {
	if len(decoded) == 1 {
		l.add(decoded, from, size)
		return
	}
	if len(decoded) > 0 {
		l.parts = append(l.parts, part{at: int32(len(l.text)), from: int32(from), size: int32(size), whole: true})
		l.text = append(l.text, decoded...)
	}
}

// apart separates what does not stand together below: what is next begins at from.
// A text in 16 bits ends before it and begins behind it, whichever byte of a pair
// comes first: each has the zero that it may share with its neighbour.
func (l *layer) apart(from int) {
	if len(l.text) == 0 {
		return
	}
	_, end := l.below(len(l.text)-1, len(l.text))
	l.addWhole([]byte("\x00\xff"), end, 0)
	l.addWhole([]byte("\x00\n"), from, 0)
}

// decoder makes layers of the text of one, of which it gives the walker one at a
// time.
type decoder func(w *walker, into *layer)

type decoding struct {
	form   form
	decode decoder
}

// decoders in an order in which what is cheap and often there comes first.
var decoders = []decoding{
	{formEscaped, escapes('%', unescapeURL)},
	{formEscaped, escapes('\\', unescapeBackslash)},
	{formEscaped, characterEscapes},
	{formEscaped, escapes('&', unescapeEntity)},
	{formColoured, escapes('\x1b', unescapeColour)},
	{formBase64, decodeWords},
	{formHex, decodeDumps},
	{formUTF16, decodeWide},
	{formWrapped, joinLines},
}

// walker goes through the layers of one text.
type walker struct {
	decoders []decoding
	scanner  *Scanner
	tokens   bool // providers' tokens are wanted as well
	found    []hit
	more     bool
	file     layer
	levels   [maxLayers]layer
	left     int // bytes that may still be decoded on top of the lowest layer
}

var walkers = sync.Pool{New: func() any { return &walker{decoders: decoders} }}

// layers looks for known values, keys and, if they are wanted, tokens in all that
// text spells. hits are those of the text itself: what they have is not said again.
func (s *Scanner) layers(text []byte, tokens bool, hits []hit) (_ []hit, more bool) {
	w := walkers.Get().(*walker)
	defer walkers.Put(w)
	w.scanner, w.tokens, w.found, w.more = s, tokens, w.found[:0], false
	w.file = layer{text: text}
	w.climb(&w.file, 0)
	w.file.text = nil
	if len(w.found) == 0 {
		return hits, w.more
	}

	here := map[Rule]stretches{}
	for _, rule := range [...]Rule{KeyMaterial, KnownSecret, PlaintextKey} {
		here[rule] = placesOf(hits, rule)
	}
	hits = slices.Clip(hits)
	for _, h := range w.found {
		if here[h.rule].overlapped(h) == nil {
			hits = append(hits, h)
		}
	}
	return hits, w.more
}

// climb makes the layers on top of one, and looks at each.
func (w *walker) climb(under *layer, level int) {
	if level == maxLayers {
		return
	}
	l := &w.levels[level]
	l.under, l.level = under, level
	for _, d := range w.decoders {
		l.form, l.whole = d.form, d.form != formWrapped
		d.decode(w, l)
		w.give(l)
	}
}

// give takes a piece of a layer, and empties the layer for the next.
func (w *walker) give(l *layer) {
	if len(l.text) == 0 {
		return
	}
	if l.level == 0 {
		w.left = 2*len(l.text) + 1<<16
	} else {
		w.left -= len(l.text)
	}
	if !w.more && w.left >= 0 {
		w.look(l)
		w.climb(l, l.level+1)
	}
	l.text, l.parts = l.text[:0], l.parts[:0]
}

// look judges a layer, and says what is found there in terms of the file. What
// takes as much room there was not encoded: it is found without.
func (w *walker) look(l *layer) {
	if k := w.scanner.Known; k != nil && k.matcher != nil {
		matches, more := k.matcher.find(l.text, nil)
		w.more = w.more || more
		for _, m := range settle(k.wholeBlocks(l.text, matches)) {
			start, end := l.inFile(m.start, m.end)
			if end-start <= m.end-m.start {
				continue
			}
			if m.form == formRaw {
				m.form = l.formAt(m.start)
			}
			w.found = append(w.found, k.hit(w.file.text, match{start, end, m.value, m.form}))
		}
	}

	if l.whole {
		hits := material("", l.text)
		if w.tokens {
			hits = append(hits, tokens("", l.text)...)
			hits = teamTokens(l.text, w.scanner.Formats, hits)
		}
		for _, h := range hits {
			w.take(l, h)
		}
	}
	w.more = w.more || len(w.found) >= maxHits
}

// take keeps a hit of a layer.
func (w *walker) take(l *layer, h hit) {
	start, end := l.inFile(h.start, h.end)
	if end-start <= h.end-h.start {
		if h.rule != PlaintextKey || !l.freed(h.start) {
			return
		}
		h.start, h.end, h.field = start, end, start
		h.from, h.to, h.place = start, end, variable(w.file.text, start)
		w.found = append(w.found, h)
		return
	}
	if h.from, h.to = start, end; h.place == "" {
		h.place = variable(w.file.text, start)
	}
	h.message += l.formAt(h.start).String()
	h.start, h.end, h.field = start, end, start
	w.found = append(w.found, h)
}

// freed reports whether an escape stood before text[start], and what it hid is a
// boundary: a%2520 before a token that is written as it is.
func (l *layer) freed(start int) bool {
	if start == 0 || is(l.text[start-1], isToken) {
		return false
	}
	from, to := l.inFile(start-1, start)
	return to-from > 1
}
