package gitutil

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// IndexEntry is one file of the index.
type IndexEntry struct {
	Path string // from the top, with /
	ID   string // object id in hex
	Mode Mode
}

// errIndexForm says that an index has a form that git alone reads: split, sparse,
// of a newer version, or damaged.
var errIndexForm = errors.New("an index with a form of its own (split, sparse or newer)")

// indexReader visits every entry of the pending commit's index, in its order.
// again is called before each reading: what was given before it counts for
// nothing.
type indexReader interface {
	eachIndexEntry(ctx context.Context, again func(), each func(*indexRecord)) error
}

// eachIndexEntry reads the index directly: hooks ask for it before every commit,
// and in a large repository git's listing costs as much as the rest of the
// check, since git formats every entry, and we parse it again. Where the file
// has a form of its own git is asked.
func (g *gitRepo) eachIndexEntry(ctx context.Context, again func(), each func(*indexRecord)) error {
	if _, err := readIndexFile(indexPath(g.layout, g.getenv), again, each); err == nil {
		return nil
	}
	again()
	out, err := g.output(ctx, nil, "ls-files", "--stage", "--full-name", "-z")
	if err != nil {
		return err
	}
	for record := range bytes.SplitSeq(out, []byte{0}) {
		if len(record) == 0 {
			continue
		}
		entry, err := parseEntry(record)
		if err != nil {
			return err
		}
		stage, err := strconv.Atoi(entry.columns[1])
		if err != nil {
			return fmt.Errorf("unexpected stage in git's listing: %q", record)
		}
		id, err := hex.DecodeString(entry.columns[0])
		if err != nil {
			return fmt.Errorf("unexpected id in git's listing: %q", record)
		}
		each(&indexRecord{path: entry.path, id: id, mode: entry.mode, stage: stage})
	}
	return nil
}

// eachIndexEntry gives nothing where there is no index yet.
func (r *goGitRepo) eachIndexEntry(_ context.Context, again func(), each func(*indexRecord)) error {
	_, err := readIndexFile(indexPath(r.layout, r.getenv), again, each)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, errIndexForm):
		return &UnsupportedError{Feature: err.Error()}
	}
	return err
}

func (g *gitRepo) ListIndex(ctx context.Context, want func(path []byte, mode Mode) bool) ([]IndexEntry, error) {
	return listIndex(ctx, g, want)
}

func (r *goGitRepo) ListIndex(ctx context.Context, want func(path []byte, mode Mode) bool) ([]IndexEntry, error) {
	return listIndex(ctx, r, want)
}

func listIndex(ctx context.Context, index indexReader, want func(path []byte, mode Mode) bool) ([]IndexEntry, error) {
	var entries []IndexEntry
	err := index.eachIndexEntry(ctx, func() { entries = nil }, func(e *indexRecord) {
		if e.stage == 0 && !e.intentToAdd && e.mode.hasContent() && want(e.path, e.mode) {
			entries = append(entries, e.entry())
		}
	})
	return entries, err
}

// EachIndexed visits every path of the index once, in whatever stage it is, in its
// order; a submodule is one. path is valid until visit returns, and again is called
// before each reading: what was visited before it counts for nothing.
func EachIndexed(ctx context.Context, repo Repository, again func(), visit func(path []byte, submodule bool)) error {
	index, ok := repo.(indexReader)
	if !ok {
		return fmt.Errorf("%T lists no index", repo)
	}
	var last []byte
	return index.eachIndexEntry(ctx, func() { last = last[:0]; again() }, func(e *indexRecord) {
		if !bytes.Equal(e.path, last) {
			last = append(last[:0], e.path...)
			visit(e.path, e.mode == modeSubmodule)
		}
	})
}

// IndexBlobs visits the index's entries at or below a path ("" for all), in its
// order. GIT_INDEX_FILE says which index.
func IndexBlobs(ctx context.Context, repo Repository, path string, v Visitor) error {
	entries, err := repo.ListIndex(ctx, func(p []byte, mode Mode) bool {
		name := string(p)
		return below(name, path) && v.wants(name, mode)
	})
	if err != nil {
		return err
	}
	return repo.Contents(ctx, entries, v)
}

// below tells whether a path of git's is dir or lies in it; "" is the top.
func below(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (dir == "" || rest == "" || rest[0] == '/')
}

// indexPath is the index of the pending commit. Git takes a relative
// GIT_INDEX_FILE from the top of the work tree, where it runs hooks.
func indexPath(layout Layout, getenv func(string) string) string {
	path := getenv("GIT_INDEX_FILE")
	switch {
	case path == "":
		return filepath.Join(layout.GitDir, "index")
	case layout.Top == "":
		return paths.From(layout.GitDir, path)
	}
	return paths.From(layout.Top, path)
}

// IndexLocked reports whether git is about to write the index, as during a merge
// whose result comes into the work tree. For one that is only looked at
// (git-merge-tree(1), --remerge-diff) it locks nothing.
func (l Layout) IndexLocked(getenv func(string) string) bool {
	return paths.There(indexPath(l, getenv) + ".lock")
}

// readIndexFile reads an index itself (gitformat-index(5), versions 2 to 4). tree
// is the id of the tree that a commit of it has, nil where git has not yet written
// that one. Errors: errIndexForm, or what opening the file says.
func readIndexFile(path string, again func(), each func(*indexRecord)) (tree []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}

	for _, size := range [...]int{20, 32} { // SHA-1, SHA-256: a wrong guess does not parse
		again()
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		if tree, ok := parseIndex(file, info.Size(), size, each); ok {
			return tree, nil
		}
	}
	return nil, errIndexForm
}

// indexRecord is one entry of an index file; path and id are valid until the
// next one is read.
type indexRecord struct {
	path        []byte
	id          []byte
	mode        Mode
	stage       int
	intentToAdd bool
}

func (e *indexRecord) entry() IndexEntry {
	return IndexEntry{string(e.path), hex.EncodeToString(e.id), e.mode}
}

// window is a piece of a file that moves forward: an index of megabytes is read
// without holding it.
type window struct {
	r    io.Reader
	buf  []byte
	data []byte // what was read and not taken yet
	left int64  // bytes of the file that were not read yet
}

// need makes at least n bytes available, or says that the file has no more.
func (w *window) need(n int) bool {
	if len(w.data) >= n {
		return true
	}
	if n > len(w.buf) || int64(n-len(w.data)) > w.left {
		return false
	}
	kept := copy(w.buf, w.data)
	more := int(min(int64(len(w.buf)-kept), w.left))
	if _, err := io.ReadFull(w.r, w.buf[kept:kept+more]); err != nil {
		return false
	}
	w.left -= int64(more)
	w.data = w.buf[:kept+more]
	return true
}

// skip passes over n bytes.
func (w *window) skip(n int64) bool {
	for n > 0 {
		if !w.need(1) {
			return false
		}
		step := min(n, int64(len(w.data)))
		w.data = w.data[step:]
		n -= step
	}
	return true
}

// fill makes n bytes available, or as many as the file has.
func (w *window) fill(n int) { w.need(int(min(int64(n), int64(len(w.data))+w.left))) }

// zero finds the next NUL at or behind from; -1 where none is near.
func (w *window) zero(from int) int {
	at := bytes.IndexByte(w.data[from:], 0)
	if at < 0 {
		w.fill(len(w.buf))
		at = bytes.IndexByte(w.data[from:], 0)
	}
	if at < 0 {
		return -1
	}
	return from + at
}

// parseIndex reads an index file of size bytes, with object ids of hashSize.
func parseIndex(r io.Reader, size int64, hashSize int, each func(*indexRecord)) (tree []byte, ok bool) {
	const header = 12
	w := &window{r: r, buf: make([]byte, 128<<10), left: size - int64(hashSize)}
	if !w.need(header) || !bytes.HasPrefix(w.data, []byte("DIRC")) {
		return nil, false
	}
	version := binary.BigEndian.Uint32(w.data[4:])
	if version < 2 || version > 4 {
		return nil, false
	}

	count := binary.BigEndian.Uint32(w.data[8:])
	w.data = w.data[header:]
	var record indexRecord
	for range count {
		if !w.entry(version, hashSize, &record) {
			return nil, false
		}
		each(&record)
	}
	return w.plainExtensions(hashSize)
}

// entry reads the next entry into record, which holds the one before.
func (w *window) entry(version uint32, hashSize int, record *indexRecord) bool {
	const stat, extendedFlags, intentToAdd = 40, 0x4000, 0x2000
	fixed := stat + hashSize + 2
	if !w.need(fixed + 2) {
		return false
	}
	mode := Mode(binary.BigEndian.Uint32(w.data[24:]))
	flags := binary.BigEndian.Uint16(w.data[fixed-2:])
	var extended uint16
	if flags&extendedFlags != 0 {
		if version < 3 {
			return false
		}
		extended = binary.BigEndian.Uint16(w.data[fixed:])
		fixed += 2
	}

	// In version 4 a path begins like the one before it, without so many bytes of
	// that one's end.
	start, shared := fixed, 0
	if version == 4 {
		cut, n := w.varint(fixed)
		if n == 0 || cut > len(record.path) {
			return false
		}
		start, shared = fixed+n, len(record.path)-cut
	}
	end := w.zero(start)
	if end < 0 || !validIndexMode(mode) {
		return false
	}
	length := shared + end - start
	if int(flags&0xfff) != min(length, 0xfff) { // it says no more of a longer one
		return false
	}

	next := end + 1
	if version < 4 { // one to eight zeros, up to a multiple of eight from the entry's start
		next = (fixed + length + 8) &^ 7
	}
	if !w.need(next) {
		return false
	}
	if version < 4 {
		record.path = w.data[start:end]
	} else {
		record.path = append(record.path[:shared], w.data[start:end]...)
	}
	record.id = w.data[stat : stat+hashSize]
	record.mode, record.stage, record.intentToAdd = mode, int(flags>>12&3), extended&intentToAdd != 0
	w.data = w.data[next:]
	return true
}

// varint reads git's offset encoding (varint.c) at a place: its value, and how
// many bytes it has, 0 where there is none.
func (w *window) varint(at int) (value, n int) {
	const most = 4 // bytes: a path is shorter
	w.fill(at + most)
	for ; n < most && at+n < len(w.data); n++ {
		c := w.data[at+n]
		value = value<<7 | int(c&0x7f)
		if c < 0x80 {
			return value, n + 1
		}
		value++
	}
	return 0, 0
}

func validIndexMode(mode Mode) bool {
	switch mode & 0o170000 {
	case 0o100000, 0o120000, 0o160000:
		return true
	}
	return false
}

// plainExtensions reports whether what follows the entries changes nothing about
// them: no split index ("link"), no sparse one ("sdir"), and nothing unknown
// that must be understood (a name in small letters). One of them is git's record of
// the trees that it has written already, with the top's first.
func (w *window) plainExtensions(hashSize int) (tree []byte, plain bool) {
	const header = 8
	for w.left > 0 || len(w.data) > 0 {
		if !w.need(header) || w.data[0] < 'A' || w.data[0] > 'Z' {
			return nil, false
		}
		name, size := string(w.data[:4]), int64(binary.BigEndian.Uint32(w.data[4:]))
		w.data = w.data[header:]
		if name == "TREE" {
			tree = w.topTree(min(size, int64(64+hashSize)), hashSize)
		}
		if !w.skip(size) {
			return nil, false
		}
	}
	return tree, true
}

// topTree reads the first entry of the cache tree, of which size bytes are enough:
// no path, NUL, the number of files (-1 where the tree has changed since), a blank,
// the number of folders, a line end, and the tree's id.
func (w *window) topTree(size int64, hashSize int) []byte {
	if !w.need(int(size)) {
		return nil
	}
	counts, rest, ok := bytes.Cut(w.data[:size], []byte{'\n'})
	if !ok || len(counts) < 2 || counts[0] != 0 || counts[1] == '-' || len(rest) < hashSize {
		return nil
	}
	return bytes.Clone(rest[:hashSize])
}
