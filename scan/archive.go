package scan

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// What is packed is judged as it is unpacked, a window at a time: no archive makes
// this program hold what it unpacks to.
const (
	// MaxUnpacked is how much one file may unpack to, in bytes, all archives in it
	// together. What lies behind is not searched.
	MaxUnpacked = 64 << 20
	// maxNested is how deep archives, and compressed files, may lie in each other.
	maxNested = 3
	// maxHeld bounds what archives inside of others have to be held in memory to be
	// read, all at once: a zip's directory stands at its end.
	maxHeld = 16 << 20
	// maxMembers bounds the files of a zip.
	maxMembers = 20_000
	// maxUnread bounds how many parts of one file are named that were not searched.
	maxUnread = 8
)

// Unread is what was not searched of a file, and why.
type Unread struct{ Path, Reason string }

// Why something in an archive is not searched.
var (
	errTooLong = fmt.Errorf("unpacks to more than %d MiB: not searched beyond", MaxUnpacked>>20)
	errNested  = fmt.Errorf("more than %d archives deep: not opened", maxNested)
	errMembers = fmt.Errorf("more than %d files in it: not opened", maxMembers)
	errLocked  = errors.New("encrypted: not opened")
	errMethod  = errors.New("packed in a way that is not known here: not opened")
	errDamaged = errors.New("damaged: not searched in full")
	errHeld    = fmt.Errorf("more than %d MiB inside of another archive or a pipe: not opened", maxHeld>>20)
)

// packing is how files are packed.
type packing uint8

const (
	unpacked packing = iota
	packedZip
	packedGzip
	packedBzip2
	packedTar
	packedOther
)

// sniffPacked is how many bytes tell how a file is packed: a tar's mark stands in
// its first block.
const sniffPacked = 512

// packingOf recognises a packed file by its first bytes. name is for people.
func packingOf(head []byte) (p packing, name string) {
	for _, m := range [...]struct {
		mark string
		is   packing
		name string
	}{
		{"PK\x03\x04", packedZip, "zip"}, {"PK\x05\x06", packedZip, "zip"}, {"\x1f\x8b\x08", packedGzip, "gzip"}, {"BZh", packedBzip2, "bzip2"},
		{"\xfd7zXZ\x00", packedOther, "xz"}, {"\x28\xb5\x2f\xfd", packedOther, "zstd"}, {"7z\xbc\xaf\x27\x1c", packedOther, "7z"},
		{"Rar!\x1a\x07", packedOther, "rar"}, {"\x04\x22\x4d\x18", packedOther, "lz4"}, {"\x1f\x9d", packedOther, "compress"},
		{"LZIP\x01", packedOther, "lzip"}, {"MSCF\x00\x00\x00\x00", packedOther, "cab"}, {"\xed\xab\xee\xdb", packedOther, "rpm"},
	} {
		if bytes.HasPrefix(head, []byte(m.mark)) && (m.is != packedBzip2 || len(head) > 9 && string(head[4:10]) == "1AY&SY") {
			return m.is, m.name
		}
	}
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		return packedTar, "tar"
	}
	return unpacked, ""
}

// endsInZip reports whether a file ends in a zip that something else stands before:
// a program that unpacks it, or a line that names one (APPNOTE.TXT, 4.3.16).
func endsInZip(content []byte) bool {
	if !mayEndInZip(content) {
		return false
	}
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	return err == nil && len(z.File) > 0
}

// mayEndInZip looks for what every zip ends in.
func mayEndInZip(content []byte) bool {
	const end, longestComment = "PK\x05\x06", 22 + 1<<16 - 1
	return bytes.Contains(content[max(0, len(content)-longestComment):], []byte(end))
}

// zipEntry begins each entry of a zip's directory.
const zipEntry = "PK\x01\x02"

// unpacker goes through what one file unpacks to.
type unpacker struct {
	scanner *Scanner
	path    string // as it is shown
	seen    map[string]int
	left    int64 // bytes that may still be unpacked
	listed  int64 // bytes that may still come out of tars, where files may have holes
	found   []Finding
	unread  []Unread
	room    int64 // bytes of archives that may still be held
	stream  bool  // read as it comes: nothing of it is searched elsewhere
}

// unpack judges what a file unpacks to.
func (s *Scanner) unpack(shown string, content []byte) (found []Finding, unread []Unread) {
	p, name := packingOf(content[:min(len(content), sniffPacked)])
	if p == unpacked && endsInZip(content) {
		p = packedZip
	}
	if p == unpacked {
		return nil, nil
	}
	return s.unpackAll(shown, p, name, bytes.NewReader(content), int64(len(content)))
}

// unpackAll is unpack for content that may not be held; size is -1 where it shows
// at its end only. What is packed in a way called name is opened, or named.
func (s *Scanner) unpackAll(shown string, p packing, name string, content io.Reader, size int64) ([]Finding, []Unread) {
	u := &unpacker{scanner: s, path: shown, seen: map[string]int{}, left: MaxUnpacked, listed: 4 * MaxUnpacked, room: maxHeld}
	if p == packedOther {
		u.skip("", fmt.Errorf("packed with %s: not opened", name))
		return nil, u.unread
	}
	u.open("", p, content, size, depth{})
	return notListed(u.found, len(u.found) > maxFindings), u.unread
}

// unpackStream judges what a text that is read as it comes unpacks to.
func (s *Scanner) unpackStream(p packing, name string, r io.Reader) (found []Finding, unread []Unread) {
	u := &unpacker{scanner: s, seen: map[string]int{}, left: MaxUnpacked, listed: 4 * MaxUnpacked, room: maxHeld, stream: true}
	if p == packedOther {
		u.skip("", fmt.Errorf("packed with %s: not opened", name))
	} else {
		u.open("", p, r, -1, depth{})
	}
	for i := range u.unread {
		u.unread[i].Path = string(InText) + u.unread[i].Path
	}
	return notListed(u.found, len(u.found) > maxFindings), u.unread
}

// depth is how many of each kind lie around a member. bare says that its bytes
// stand in the file as they are: they are searched there.
type depth struct {
	archives, compressed int
	bare                 bool
}

// skip names what is not searched. One limit is named once.
func (u *unpacker) skip(member string, err error) {
	path := u.path
	if member != "" {
		path += "/" + u.scanner.Shown(member)
	}
	switch {
	case len(u.unread) < maxUnread:
		u.unread = append(u.unread, Unread{path, err.Error()})
	case len(u.unread) == maxUnread:
		u.unread = append(u.unread, Unread{u.path, "more parts of it were not searched"})
	}
}

// open unpacks member, "" for the file itself; size is its length, -1 where that
// shows at its end only. It reports whether to go on.
func (u *unpacker) open(member string, p packing, r io.Reader, size int64, at depth) bool {
	if p == packedZip || p == packedTar {
		at.archives++
	} else {
		at.compressed++
	}
	if at.archives > maxNested || at.compressed > maxNested {
		u.skip(member, errNested)
		return true
	}
	at.bare = false
	var err error
	switch p {
	case packedZip:
		err = u.zip(member, r, size, at)
	case packedTar:
		err = u.tar(member, r, at)
	case packedGzip:
		var z *gzip.Reader
		if z, err = gzip.NewReader(r); err == nil {
			err = u.member(strings.TrimSuffix(member, ".gz"), u.limit(z), -1, at)
		}
	case packedBzip2:
		err = u.member(strings.TrimSuffix(member, ".bz2"), u.limit(bzip2.NewReader(r)), -1, at)
	}
	if err == nil {
		return true
	}
	switch err {
	case errTooLong, errMembers, errHeld, errMethod, errLocked, errRewound:
	default:
		err = errDamaged
	}
	u.skip(member, err)
	return err != errTooLong
}

// limit counts what is unpacked.
func (u *unpacker) limit(r io.Reader) io.Reader { return &limited{r, &u.left} }

type limited struct {
	r    io.Reader
	left *int64
}

func (l *limited) Read(p []byte) (int, error) {
	if *l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.r.Read(p[:min(int64(len(p)), *l.left)])
	*l.left -= int64(n)
	return n, err
}

// member judges one file of an archive, or what a compressed file unpacks to.
func (u *unpacker) member(name string, r io.Reader, size int64, at depth) error {
	head, r := peek(r, sniffPacked)
	switch p, kind := packingOf(head); p {
	case unpacked:
	case packedOther:
		u.skip(name, fmt.Errorf("packed with %s: not opened", kind))
		return nil
	default:
		if !u.open(name, p, r, size, at) {
			return errTooLong
		}
		return nil
	}
	if at.bare {
		r = io.LimitReader(r, window/2) // its name counts all the same
	}
	if at.compressed > 0 || at.archives > 1 || u.stream { // else it stands in the file as it is
		u.name(name)
	}
	return u.judge(name, r, at.bare)
}

// judge is the end of the unpacking: a file's text. With nameOnly it is judged
// elsewhere, but for what its name says.
func (u *unpacker) judge(name string, r io.Reader, nameOnly bool) error {
	s := u.scanner
	shown := s.Shown(name)
	st := &stream{path: u.path, seen: u.seen, ahead: s.Known.reach(), judge: func(text []byte, whole bool) (hits []hit, more bool) {
		if hits, more = u.inside(name, text, whole, nameOnly); len(hits) > 0 {
			hits = slices.DeleteFunc(hits, func(h hit) bool { return !leaks(h.rule) })
		}
		for i := range hits {
			hits[i].place = name + "\x00" + hits[i].place
		}
		return hits, more
	}}
	err := st.read(r)
	for _, f := range st.found {
		if f.Message += ", in "; shown == "" {
			f.Message += fmt.Sprintf("line %d of what it unpacks to", f.Line)
		} else {
			f.Message += fmt.Sprintf("%s:%d inside of it", shown, f.Line)
		}
		f.Line, f.Column = 1, 1
		f.start, f.end = 0, 0
		if len(u.found) <= maxFindings {
			u.found = append(u.found, f)
		}
	}
	return err
}

// name judges what a file in an archive is called, once for all that lies below it.
func (u *unpacker) name(name string) {
	for _, f := range inName(name, u.path, "name of a file inside of it", u.scanner.named(name)) {
		f.Where = ""
		same := func(other Finding) bool { return other.Secret == f.Secret && other.Message == f.Message }
		if len(u.found) <= maxFindings && !slices.ContainsFunc(u.found, same) {
			u.found = append(u.found, f)
		}
	}
}

// leaks reports whether a rule is about what text says, wherever the text is.
func leaks(rule Rule) bool {
	return rule == KeyFile || rule == KeyMaterial || rule == KnownSecret || rule == PlaintextKey
}

// inside judges the text of a file in an archive, all of it or a window.
func (u *unpacker) inside(name string, text []byte, whole, nameOnly bool) (hits []hit, more bool) {
	s, file := u.scanner, path.Join(u.path, name)
	if whole || nameOnly {
		if kind := keyFile(file, []reading{{text: text}}); kind != "" {
			return []hit{keyFileHit(kind)}, false
		}
	}
	switch {
	case nameOnly:
		return nil, false
	case !whole:
		return s.plain("", text)
	}
	hits, more = s.bytes(file, text)
	hits = append(hits, s.rules(file, text, Regular, true)...)
	hits = teamTokens(text, s.Formats, hits)
	hits, m := s.layers(text, true, hits)
	return hits, more || m
}

func (u *unpacker) tar(member string, r io.Reader, at depth) error {
	at.bare = !u.stream && at.archives == 1 && at.compressed == 0
	t := tar.NewReader(r)
	for {
		header, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Join(member, header.Name)
		switch header.Typeflag {
		case tar.TypeReg:
		case tar.TypeGNUSparse:
			u.skip(name, errMethod)
			continue
		default:
			continue
		}
		if err := u.member(name, &limited{t, &u.listed}, header.Size, at); err != nil {
			return err
		}
	}
}

func (u *unpacker) zip(member string, r io.Reader, size int64, at depth) error {
	content, ok := r.(io.ReaderAt)
	if !ok {
		held, err := io.ReadAll(io.LimitReader(r, u.room+1))
		if err != nil {
			return err
		}
		if int64(len(held)) > u.room {
			return errHeld
		}
		u.room -= int64(len(held))
		defer func() { u.room += int64(len(held)) }()
		content, size = bytes.NewReader(held), int64(len(held))
	}
	if members(content, size) > maxMembers {
		return errMembers
	}
	z, err := zip.NewReader(content, size)
	if err != nil {
		return err
	}
	for _, f := range z.File {
		name := path.Join(member, f.Name)
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		err := u.zipped(name, f, at)
		switch err {
		case nil:
		case errTooLong, errRewound:
			return err
		case errLocked, errMethod:
			u.skip(name, err)
		default:
			u.skip(name, errDamaged)
		}
	}
	return nil
}

func (u *unpacker) zipped(name string, f *zip.File, at depth) error {
	if f.Flags&1 != 0 {
		return errLocked
	}
	if f.Method != zip.Store && f.Method != zip.Deflate {
		return errMethod
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	at.bare = !u.stream && f.Method == zip.Store && at.archives == 1 && at.compressed == 0
	return u.member(name, u.limit(r), int64(f.UncompressedSize64), at)
}

// members counts the entries of a zip's directory before room is made for them.
func members(content io.ReaderAt, size int64) (n int) {
	if w, ok := content.(*rewound); ok {
		return w.members
	}
	buf := make([]byte, 64<<10)
	for at := int64(0); at < size && n <= maxMembers; at += int64(len(buf) - len(zipEntry) + 1) {
		read, _ := content.ReadAt(buf, at)
		n += bytes.Count(buf[:read], []byte(zipEntry))
	}
	return n
}
