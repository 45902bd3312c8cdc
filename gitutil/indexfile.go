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
	if content, ok := readIndexFile(g.layout, g.getenv); ok {
		for _, size := range [...]int{20, 32} { // SHA-1, SHA-256: the padding tells a wrong guess
			if entries, ok := parseIndex(content, size, want); ok {
				return entries, nil
			}
		}
	}
	out, err := g.output(ctx, nil, "ls-files", "--stage", "--full-name", "-z")
	if err != nil {
		return nil, err
	}
	var entries []IndexEntry
	for record := range bytes.SplitSeq(out, []byte{0}) {
		if len(record) == 0 {
			continue
		}
		head, path, ok := bytes.Cut(record, []byte{'\t'})
		columns := strings.Fields(string(head))
		if !ok || len(columns) != 3 {
			return nil, fmt.Errorf("unexpected entry in git's listing: %q", record)
		}
		mode, err := strconv.ParseUint(columns[0], 8, 32)
		if err != nil {
			return nil, fmt.Errorf("unexpected mode in git's listing: %q", record)
		}
		if columns[2] == "0" && Mode(mode).hasContent() && want(path, Mode(mode)) {
			entries = append(entries, IndexEntry{string(path), columns[1], Mode(mode)})
		}
	}
	return entries, nil
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

// maxIndexFile bounds, in bytes, what is read directly.
const maxIndexFile = 1 << 30

func readIndexFile(layout Layout, getenv func(string) string) ([]byte, bool) {
	path := getenv("GIT_INDEX_FILE")
	switch {
	case path == "":
		path = filepath.Join(layout.GitDir, "index")
	case !filepath.IsAbs(path):
		path = filepath.Join(layout.Top, path) // git runs hooks there
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() > maxIndexFile {
		return nil, false
	}
	content := make([]byte, info.Size())
	_, err = io.ReadFull(file, content)
	return content, err == nil
}

// parseIndex reads an index file with object ids of hashSize bytes. ok is false
// where it is not of a plain version, or not well-formed.
func parseIndex(content []byte, hashSize int, want func([]byte, Mode) bool) (entries []IndexEntry, ok bool) {
	const header, stat = 12, 40
	if len(content) < header+hashSize || !bytes.HasPrefix(content, []byte("DIRC")) {
		return nil, false
	}
	version := binary.BigEndian.Uint32(content[4:])
	if version != 2 && version != 3 {
		return nil, false
	}
	count := binary.BigEndian.Uint32(content[8:])
	end := len(content) - hashSize
	at := header
	for range count {
		start := at
		flagsAt := start + stat + hashSize
		if flagsAt+2 > end {
			return nil, false
		}
		mode := Mode(binary.BigEndian.Uint32(content[start+24:]))
		flags := binary.BigEndian.Uint16(content[flagsAt:])
		at = flagsAt + 2
		var extended uint16
		if flags&0x4000 != 0 {
			if version < 3 || at+2 > end {
				return nil, false
			}
			extended = binary.BigEndian.Uint16(content[at:])
			at += 2
		}
		length := bytes.IndexByte(content[at:end], 0)
		if length < 0 || (flags&0xfff != 0xfff && length != int(flags&0xfff)) {
			return nil, false
		}
		path := content[at : at+length]
		at += length
		// One to eight zeros, up to a multiple of eight from the entry's start.
		padded := start + (at-start+8)&^7
		if padded > end || !validIndexMode(mode) {
			return nil, false
		}
		at = padded
		const stageMask, intentToAdd = 0x3000, 0x2000
		if flags&stageMask == 0 && extended&intentToAdd == 0 && mode.hasContent() && want(path, mode) {
			entries = append(entries, IndexEntry{string(path), hex.EncodeToString(content[start+stat : start+stat+hashSize]), mode})
		}
	}
	return entries, plainExtensions(content[at:end])
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
func plainExtensions(rest []byte) bool {
	for len(rest) > 0 {
		if len(rest) < 8 || rest[0] < 'A' || rest[0] > 'Z' {
			return false
		}
		size := binary.BigEndian.Uint32(rest[4:])
		if uint64(size) > uint64(len(rest)-8) {
			return false
		}
		rest = rest[8+size:]
	}
	return true
}
