package scan

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// A text that is read as it comes is judged a window at a time. Windows overlap:
// what begins in one is judged with what stands before and behind it.
const (
	window     = 1 << 20
	lookBehind = 8 << 10
	lookAhead  = 64 << 10
)

var windows = sync.Pool{New: func() any { b := make([]byte, 0, window); return &b }}

// stream is a text that is read as it comes, or written into it.
type stream struct {
	path  string // for the findings
	judge func(text []byte, whole bool) (hits []hit, more bool)
	seen  map[string]int // identities so far
	size  int64          // bytes read

	encoding encoding // of the file that the text is of
	found    []Finding
	cut      bool // not everything is listed

	held  *[]byte // where buf comes from
	buf   []byte
	from  int      // what begins before was judged in the window before
	at    position // of the beginning of buf
	begin int      // the same, in bytes of the file
	later bool     // a window was judged
	ahead int      // bytes, how much is looked at behind what begins in a window
	// apart, where set, says where text may be taken apart, into pieces that have
	// nothing to do with each other; 0 for nowhere. They take the place of windows.
	apart func(text []byte) int
}

// Stream judges a text without a name, of any length: a log, a transcript, also one
// that is packed. The findings have no path. size is how many bytes were read.
func (s *Scanner) Stream(r io.Reader) (found []Finding, unread []Unread, size int64, err error) {
	head, r := peek(r, sniffPacked)
	if p, name := packingOf(head); p != unpacked {
		found, unread = s.unpackStream(p, name, &counter{r, &size})
		return inText(found), unread, size, nil
	}
	st := &stream{seen: map[string]int{}, ahead: s.Known.reach(), judge: func(text []byte, _ bool) ([]hit, bool) {
		return s.plain("", text)
	}}
	if err := st.read(r); err != nil {
		return nil, nil, st.size, err
	}
	return inText(notListed(st.found, st.cut)), nil, st.size, nil
}

// inText says of findings where they are.
func inText(found []Finding) []Finding {
	for i := range found {
		f := &found[i]
		f.Where, f.start, f.end = InText, 0, 0
	}
	return found
}

// plain judges text by what is wanted in every text: known values, keys and tokens.
func (s *Scanner) plain(name string, text []byte) (hits []hit, more bool) {
	hits, more = s.bytes(name, text)
	hits = append(hits, tokens("", text)...)
	hits = teamTokens(text, s.Formats, hits)
	hits, m := s.layers(text, true, hits)
	return hits, more || m
}

// read judges what r has, up to its end.
func (st *stream) read(r io.Reader) error {
	r = st.decoded(r)
	st.open()
	defer st.release()
	for {
		n, err := fill(r, st.buf[len(st.buf):cap(st.buf)])
		st.buf = st.buf[:len(st.buf)+n]
		if err == io.EOF {
			st.end()
			return nil
		}
		if err != nil {
			return err
		}
		st.next()
	}
}

// Write takes in what follows. It never fails.
func (st *stream) Write(p []byte) (int, error) {
	if st.buf == nil {
		st.open()
	}
	for rest := p; len(rest) > 0; {
		n := copy(st.buf[len(st.buf):cap(st.buf)], rest)
		st.buf, rest = st.buf[:len(st.buf)+n], rest[n:]
		if len(st.buf) == cap(st.buf) {
			st.next()
		}
	}
	return len(p), nil
}

// Close judges the end of what was written.
func (st *stream) Close() error {
	if st.buf == nil {
		st.open()
	}
	st.end()
	st.release()
	return nil
}

func (st *stream) open() {
	st.ahead = max(st.ahead, lookAhead)
	if st.held == nil {
		st.held = windows.Get().(*[]byte)
	}
	if need := lookBehind + 2*st.ahead; cap(*st.held) < need {
		*st.held = make([]byte, 0, need)
	}
	st.buf, st.at = (*st.held)[:0], position{line: 1}
}

func (st *stream) release() {
	if cap(*st.held) == window {
		windows.Put(st.held)
	}
	st.held, st.buf = nil, nil
}

// next judges a window that is full, and makes room for the next one.
func (st *stream) next() {
	if st.apart != nil {
		st.piece()
		return
	}
	to := len(st.buf) - st.ahead
	st.window(st.from, to, false)
	gone := st.buf[:to-lookBehind]
	st.at.pass(gone)
	st.begin += st.encoding.length(gone)
	st.buf = append(st.buf[:0], st.buf[to-lookBehind:]...)
	st.from, st.later = lookBehind, true
}

// piece judges what can be taken apart from the rest. Where nothing can, more is held.
func (st *stream) piece() {
	to := st.apart(st.buf)
	if to == 0 {
		st.buf = slices.Grow(st.buf, len(st.buf))
		return
	}
	all := st.buf
	st.buf = all[:to]
	st.window(0, to, false)
	st.at.pass(st.buf)
	st.begin += st.encoding.length(st.buf)
	st.buf = append(all[:0], all[to:]...)
	st.later = true
}

// end judges what is left.
func (st *stream) end() { st.window(st.from, len(st.buf), !st.later) }

// window judges what is held, of which only what begins in buf[from:to] is new; at
// the end of the text, to is where it ends.
func (st *stream) window(from, to int, whole bool) {
	hits, more := st.judge(st.buf, whole)
	r := reading{text: st.buf, encoding: st.encoding, skipped: st.begin, more: more}
	for _, h := range hits {
		if h.start >= from && (h.start < to || to == len(st.buf)) {
			r.hits = append(r.hits, h)
		}
	}
	if len(r.hits) > 0 {
		at := st.at
		at.text = st.buf
		var cut bool
		st.found, cut = r.findings(st.path, st.found, st.seen, at)
		st.cut = st.cut || cut
	}
}

// decoded counts what is read, and has text in 16 bits for each character read as
// the text that it is.
func (st *stream) decoded(r io.Reader) io.Reader {
	head, r := peek(r, sniffed)
	r = &counter{r, &st.size}
	e := sniff16(head)
	if _, says := byteOrderMark(head); len(says) > 0 && e == bytewise {
		e = says[0]
	}
	switch e {
	case utf16LE:
		r = transform.NewReader(r, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder())
	case utf16BE:
		r = transform.NewReader(r, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder())
	}
	return r
}

// fill reads until buf is full. Its error is io.EOF at the end of r alone: one that
// ends too early has another.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// peek gives the first bytes of r, at most most, and a reader of all that r has.
func peek(r io.Reader, most int) (head []byte, _ io.Reader) {
	head = make([]byte, most)
	n, err := fill(r, head)
	head = head[:n]
	if err != nil {
		return head, io.MultiReader(bytes.NewReader(head), failing{err})
	}
	return head, io.MultiReader(bytes.NewReader(head), r)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type counter struct {
	r io.Reader
	n *int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}

// pass moves a position, at the beginning of text, to its end.
func (p *position) pass(text []byte) {
	if n := bytes.Count(text, []byte("\n")); n > 0 {
		p.line, p.column = p.line+n, 0
		text = text[bytes.LastIndexByte(text, '\n')+1:]
	}
	p.column += utf8.RuneCount(text)
}
