package gitutil

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// Mode is the kind of an entry as git stores it. Only these three kinds have
// content of their own; folders and submodules are never visited.
type Mode uint32

const (
	ModeFile Mode = 0o100644
	ModeExec Mode = 0o100755
	ModeLink Mode = 0o120000 // its content is the path it points to
)

func (m Mode) hasContent() bool {
	return m&0o170000 == 0o100000 || m == ModeLink
}

// Blob is one version of one file. It and its Data are valid only until the
// callback returns.
type Blob struct {
	Path   string // from the top, '/' between folders, the bytes that git stores
	Mode   Mode
	ID     string // object id in hex; empty for a file of the work tree
	Commit string // the commit that brings it in; empty outside of Commits and History
	Size   int64  // of the whole content
	Data   []byte // its first Visitor.MaxBlob bytes: truncated where shorter than Size

	// Rest reads what follows Data, as far as somebody wants to; nil where nothing
	// does. Reopen reads all of it once more, from the beginning. Both are for a
	// truncated blob alone, and good until the callback returns.
	Rest   io.Reader
	Reopen func() (io.ReadCloser, error)

	// Err says why a file of the work tree could not be read; Data is empty
	// then. Content that git should have and has not ends the visit instead.
	Err error
}

// Truncated tells whether Data is less than the file.
func (b *Blob) Truncated() bool { return int64(len(b.Data)) < b.Size }

// Commit is one commit of a range.
type Commit struct {
	Hash    string
	Parents []string
	Message string // the bytes behind the header, as they are stored
	Tag     string // of an annotated tag, which is shown as a commit: its ref; else empty
}

// Ref is a name for an object.
type Ref struct {
	Name string // "refs/tags/v1"
	ID   string // of the object, in hex
}

// DefaultMaxBlob is the number of bytes of one file that are held in memory
// where a Visitor names no other.
const DefaultMaxBlob = 16 << 20

// Visitor receives what a question finds. Every callback may be nil. One that
// returns an error ends the visit, which returns that error. Callbacks run one
// at a time, in order, but Want may run ahead of the others on another
// goroutine.
type Visitor struct {
	// Want tells whether a blob's content is needed; nil means that all are.
	// Refusing one saves reading it.
	Want func(path string, mode Mode) bool
	// Commit is called before the blobs of each commit (Commits and History).
	Commit func(*Commit) error
	Blob   func(*Blob) error
	// Deleted is called for each path that the pending commit takes away (Staged).
	Deleted func(path string) error
	// MaxBlob bounds how many bytes of one file are held, DefaultMaxBlob when 0.
	MaxBlob int64
}

func (v *Visitor) wants(path string, mode Mode) bool {
	return v.Blob != nil && mode.hasContent() && (v.Want == nil || v.Want(path, mode))
}

func (v *Visitor) maxBlob() int64 {
	if v.MaxBlob > 0 {
		return v.MaxBlob
	}
	return DefaultMaxBlob
}

// seenBlobs remembers pairs of path and object id. Paths are few and long, ids
// are many and short, so a pair costs its id and a number.
type seenBlobs struct {
	paths map[string]uint32
	pairs map[seenPair]struct{}
}

type seenPair struct {
	id   [32]byte // room for SHA-256
	path uint32
}

func newSeenBlobs() *seenBlobs {
	return &seenBlobs{paths: map[string]uint32{}, pairs: map[seenPair]struct{}{}}
}

// add tells whether the pair is new.
func (s *seenBlobs) add(path, id string) bool {
	n, ok := s.paths[path]
	if !ok {
		n = uint32(len(s.paths))
		s.paths[path] = n
	}
	pair := seenPair{path: n}
	hex.Decode(pair.id[:], []byte(id[:min(len(id), 2*len(pair.id))]))
	if _, ok := s.pairs[pair]; ok {
		return false
	}
	s.pairs[pair] = struct{}{}
	return true
}

// maxBlobs is the most that Blobs reads of one object. A history may hold
// anything under the name that is asked for.
const maxBlobs = 256 << 20

// BlobIDs are the ids that git has for content, in SHA-1 and in SHA-256: which of
// the two a repository uses, a note about it need not know.
func BlobIDs(content []byte) []string {
	blob := append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...)
	short, long := sha1.Sum(blob), sha256.Sum256(blob)
	return []string{hex.EncodeToString(short[:]), hex.EncodeToString(long[:])}
}

// Show is a file of a commit (git show REV:PATH), of which path is the path from the top; nil where
// it cannot be had, for whatever reason.
func Show(ctx context.Context, repo Repository, rev, path string) []byte {
	var content []byte
	err := repo.TreeBlobs(ctx, rev, path, Visitor{MaxBlob: maxBlobs, Blob: func(b *Blob) error {
		if b.Path == path && !b.Truncated() {
			content = append([]byte{}, b.Data...)
		}
		return nil
	}})
	if err != nil {
		return nil
	}
	return content
}

// LargeObjectError says that an object was not read because of its size.
type LargeObjectError struct {
	ID   string
	Size int64
}

func (e *LargeObjectError) Error() string {
	return fmt.Sprintf("object %s has %d MiB, too many to read", e.ID, e.Size>>20)
}

// wholeBlob is for Blobs, which gives whole objects or none.
func wholeBlob(b *Blob, visit func(id string, data []byte) error) error {
	if b.Truncated() {
		return &LargeObjectError{ID: b.ID, Size: b.Size}
	}
	return visit(b.ID, b.Data)
}
