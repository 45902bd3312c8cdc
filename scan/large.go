package scan

import (
	"archive/zip"
	"bytes"
	"cmp"
	"io"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// MaxHeld is how much of one file is judged as a whole, in bytes. A longer one is
// judged as it is read, a window at a time.
const MaxHeld = 2 << 20

// Large is a file that is longer than [MaxHeld], and is not in memory.
type Large struct {
	Name string // as for File
	Size int64  // bytes
	Mode Mode
	Head []byte    // its first bytes, MaxHeld or more of them
	Rest io.Reader // what follows
	// Reopen reads all of it once more: a zip says at its end what is in it.
	Reopen func() (io.ReadCloser, error)
	// Limit is how many bytes are read at most.
	Limit int64
}

// OpenLarge is Open for a file that is read as it comes. The files of a formation
// whose fields or lines belong together are held in memory all the same, as far as
// they are no longer than [MaxText]. The error is that of reading the file.
func (s *Scanner) OpenLarge(f Large) (found []Finding, unread []Unread, err error) {
	content := io.MultiReader(bytes.NewReader(f.Head), io.LimitReader(f.Rest, f.Limit-int64(len(f.Head))))
	if most := s.wholeness(&f); f.Size <= most {
		held := bytes.NewBuffer(make([]byte, 0, f.Size+bytes.MinRead))
		if _, err := held.ReadFrom(content); err != nil {
			return nil, nil, err
		}
		found, unread = s.Open(f.Name, held.Bytes(), f.Mode)
		return found, unread, nil
	}

	shownAs := f.Name
	if hits := s.named(f.Name); len(hits) > 0 {
		shownAs = shown(f.Name, hits)
		found = inName(f.Name, shownAs, InName, hits)
	}
	all := readings(f.Head)
	if kind := keyFile(f.Name, all); kind != "" {
		return append(found, findings(shownAs, []reading{{hits: []hit{keyFileHit(kind)}}})...), nil, nil
	}

	texts := s.windows(&f, shownAs, all)
	end := &ending{}
	var into []io.Writer
	for _, t := range texts {
		into = append(into, t)
	}
	content = io.TeeReader(content, io.MultiWriter(append(into, end)...))

	var inside []Finding
	if f.Mode == Regular {
		inside, unread = s.unpackLarge(&f, shownAs, content, end)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return nil, nil, err
	}
	for _, t := range texts {
		t.Close()
	}
	found = append(found, listed(texts)...)
	if f.Mode == Regular && end.isZip() {
		more, skipped := s.unpackZip(&f, shownAs, end)
		inside, unread = append(inside, more...), append(unread, skipped...)
	}
	return append(found, inside...), unread, nil
}

// wholeness is up to which size a file is judged as a whole, in bytes: what is
// sealed, and the files of a formation that are more than their lines.
func (s *Scanner) wholeness(f *Large) int64 {
	switch base := baseOf(f.Name); {
	case f.Mode != Regular:
	case isSealed(base):
		return f.Limit
	case base == formation.TemplateFile && s.isTemplate(f.Name, f.Head):
		return MaxText
	}
	return 0
}

// lastKey is where the last key of a YAML file's outermost mapping begins in a part
// of the file; 0 for none but one that it begins with.
func lastKey(text []byte) int {
	for end := len(text); end > 0; {
		start := bytes.LastIndexByte(text[:end], '\n') + 1
		if _, colon := yamlKey(text[start:end]); colon > 0 && !isBlank(text[start]) && text[start] != '-' {
			return start
		}
		end = start - 1
	}
	return 0
}

// recoder writes the text of a file in 16 or 32 bits for each character into a stream.
type recoder struct {
	*stream
	skip int    // bytes before the text
	rest []byte // what is no whole character yet
}

func (r *recoder) Write(p []byte) (int, error) {
	n := len(p)
	skipped := min(r.skip, n)
	r.skip -= skipped
	for p = p[skipped:]; len(p) > 0; {
		part := p[:min(len(p), 64<<10)]
		p = p[len(part):]
		if r.encoding == bytewise {
			r.stream.Write(part)
			continue
		}
		r.rest = append(r.rest, part...)
		whole := r.encoding.complete(r.rest)
		r.stream.Write(r.encoding.decode(r.rest[:whole]))
		r.rest = append(r.rest[:0], r.rest[whole:]...)
	}
	return n, nil
}

// complete is how many bytes of content are whole characters of e.
func (e encoding) complete(content []byte) int {
	if e >= utf32LE {
		return len(content) &^ 3
	}
	n := len(content) &^ 1
	if n == 0 {
		return 0
	}
	high := content[n-1]
	if e == utf16BE {
		high = content[n-2]
	}
	if high&0xfc == 0xd8 { // the first half of a pair
		n -= 2
	}
	return n
}

// windows are the readings of a file, of which all are those of its head.
func (s *Scanner) windows(f *Large, path string, all []reading) (texts []*recoder) {
	for _, r := range all {
		st := &stream{path: path, seen: map[string]int{}, encoding: r.encoding, begin: r.skipped, ahead: s.Known.reach()}
		rules := func(text []byte) []hit {
			if f.Mode == Symlink || !r.isText && len(all) > 1 {
				return providers(text)
			}
			return tokens(f.Name, text)
		}
		switch {
		case f.Size > MaxText:
			rules = nil
		case f.Mode == Regular && (r.isText || len(all) == 1) && s.isFormationYAML(f.Name, r.text):
			rules = fields
			st.apart = lastKey
		}
		st.judge = func(text []byte, _ bool) ([]hit, bool) { return s.text(f.Name, text, rules) }
		texts = append(texts, &recoder{stream: st, skip: r.skipped})
	}
	return texts
}

// listed are the findings of a file's readings, without what an earlier one has.
func listed(texts []*recoder) (found []Finding) {
	more := false
	for _, t := range texts {
		more = more || t.cut
		before := found[:len(found):len(found)]
		for _, f := range t.found {
			if !slices.ContainsFunc(before, func(b Finding) bool {
				return b.Rule == f.Rule && b.Secret == f.Secret && b.start < f.end && f.start < b.end
			}) {
				found = append(found, f)
			}
		}
	}
	if len(texts) > 1 {
		slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	}
	return notListed(found, more)
}

// unpackLarge judges what a file unpacks to that can be unpacked as it is read.
func (s *Scanner) unpackLarge(f *Large, path string, content io.Reader, end *ending) ([]Finding, []Unread) {
	p, name := packingOf(f.Head[:min(len(f.Head), sniffPacked)])
	switch p {
	case unpacked:
		return nil, nil
	case packedZip:
		end.begins = true
		return nil, nil
	}
	return s.unpackAll(path, p, name, content, -1)
}

// unpackZip judges what the zip is of that a file is, or ends in.
func (s *Scanner) unpackZip(f *Large, path string, end *ending) ([]Finding, []Unread) {
	r := &rewound{open: f.Reopen, size: end.size, end: end.held, members: end.members}
	defer r.Close()
	if !end.begins {
		z, err := zip.NewReader(r, r.size)
		if err != nil || len(z.File) == 0 {
			return nil, nil
		}
	}
	return s.unpackAll(path, packedZip, "zip", r, r.size)
}
