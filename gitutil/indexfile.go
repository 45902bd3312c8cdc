package gitutil

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// IndexEntry is one file of the index.
type IndexEntry struct {
	Path string // from the top, with /
	ID   string // object id in hex
	Mode Mode
}

// ListIndex: hooks ask this before every commit, and in a large repository the
// listing of git costs as much as the rest of the check: git formats every
// entry, and we parse it again. So the index is read directly where its format
// is one of the plain ones (gitformat-index(5), versions 2 and 3), and asked
// from git where it is not (version 4, split or sparse).
func (g *gitRepo) ListIndex(ctx context.Context, want func(path []byte, mode Mode) bool) ([]IndexEntry, error) {
	var entries []IndexEntry
	ok := g.readIndexFile(func() { entries = nil }, func(e *indexRecord) {
		if e.stage == 0 && !e.intentToAdd && e.mode.hasContent() && want(e.path, e.mode) {
			entries = append(entries, e.entry())
		}
	})
	if ok {
		return entries, nil
	}
	entries = nil
	err := g.listStages(ctx, func(path []byte, mode Mode, id string, stage int) {
		if stage == 0 && mode.hasContent() && want(path, mode) {
			entries = append(entries, IndexEntry{string(path), id, mode})
		}
	}, "--stage")
	return entries, err
}

// listStages asks git for entries of the index: which says which.
func (g *gitRepo) listStages(ctx context.Context, each func(path []byte, mode Mode, id string, stage int), which string) error {
	out, err := g.output(ctx, nil, "ls-files", which, "--full-name", "-z")
	if err != nil {
		return err
	}
	for record := range bytes.SplitSeq(out, []byte{0}) {
		if len(record) == 0 {
			continue
		}
		head, path, ok := bytes.Cut(record, []byte{'\t'})
		columns := strings.Fields(string(head))
		if !ok || len(columns) != 3 {
			return fmt.Errorf("unexpected entry in git's listing: %q", record)
		}
		mode, err := strconv.ParseUint(columns[0], 8, 32)
		if err != nil {
			return fmt.Errorf("unexpected mode in git's listing: %q", record)
		}
		stage, err := strconv.Atoi(columns[2])
		if err != nil {
			return fmt.Errorf("unexpected stage in git's listing: %q", record)
		}
		each(path, Mode(mode), columns[1], stage)
	}
	return nil
}

// indexBlobs is IndexBlobs for both backends.
func indexBlobs(ctx context.Context, repo Repository, path string, v Visitor) error {
	entries, err := repo.ListIndex(ctx, func(p []byte, mode Mode) bool {
		return (path == "" || below(string(p), path)) && v.wants(string(p), mode)
	})
	if err != nil {
		return err
	}
	return repo.Contents(ctx, entries, v)
}

// readIndexFile reads the index itself. false: there is none, it is of no plain
// version, or it is not well-formed; what each was given counts for nothing
// then. again is called before each reading.
func (g *gitRepo) readIndexFile(again func(), each func(*indexRecord)) bool {
	path := g.getenv("GIT_INDEX_FILE")
	switch {
	case path == "":
		path = filepath.Join(g.layout.GitDir, "index")
	case !filepath.IsAbs(path):
		path = filepath.Join(g.layout.Top, path) // git runs hooks there
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false
	}
	for _, size := range [...]int{20, 32} { // SHA-1, SHA-256: a wrong guess does not parse
		again()
		if _, err := file.Seek(0, io.SeekStart); err == nil && parseIndex(file, info.Size(), size, each) {
			return true
		}
	}
	return false
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

// parseIndex reads an index file of size bytes, with object ids of hashSize.
func parseIndex(r io.Reader, size int64, hashSize int, each func(*indexRecord)) bool {
	const header, stat = 12, 40
	w := &window{r: r, buf: make([]byte, 128<<10), left: size - int64(hashSize)}
	if !w.need(header) || !bytes.HasPrefix(w.data, []byte("DIRC")) {
		return false
	}
	version := binary.BigEndian.Uint32(w.data[4:])
	if version != 2 && version != 3 {
		return false
	}
	count := binary.BigEndian.Uint32(w.data[8:])
	w.data = w.data[header:]
	var record indexRecord
	for range count {
		fixed := stat + hashSize + 2
		if !w.need(fixed) {
			return false
		}
		flags := binary.BigEndian.Uint16(w.data[fixed-2:])
		var extended uint16
		if flags&0x4000 != 0 {
			if version < 3 || !w.need(fixed+2) {
				return false
			}
			extended = binary.BigEndian.Uint16(w.data[fixed:])
			fixed += 2
		}
		length := int(flags & 0xfff)
		if length == 0xfff { // or longer: up to the NUL
			w.need(min(len(w.buf), int(w.left)+len(w.data)))
			if length = bytes.IndexByte(w.data[fixed:], 0); length < 0xfff {
				return false
			}
		}
		// One to eight zeros, up to a multiple of eight from the entry's start.
		padded := (fixed + length + 8) &^ 7
		if !w.need(padded) || w.data[fixed+length] != 0 {
			return false
		}
		mode := Mode(binary.BigEndian.Uint32(w.data[24:]))
		path := w.data[fixed : fixed+length]
		if !validIndexMode(mode) || bytes.IndexByte(path, 0) >= 0 {
			return false
		}
		const intentToAdd = 0x2000
		record = indexRecord{path, w.data[stat : stat+hashSize], mode, int(flags >> 12 & 3), extended&intentToAdd != 0}
		each(&record)
		w.data = w.data[padded:]
	}
	return w.plainExtensions()
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
// that must be understood (a name in small letters).
func (w *window) plainExtensions() bool {
	for w.left > 0 || len(w.data) > 0 {
		if !w.need(8) || w.data[0] < 'A' || w.data[0] > 'Z' {
			return false
		}
		if !w.skip(8 + int64(binary.BigEndian.Uint32(w.data[4:]))) {
			return false
		}
	}
	return true
}
