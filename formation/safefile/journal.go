package safefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// OpJournal is the Op of an *Error that Commit returns when a change cannot be
// written to a journal. Nothing was changed.
const OpJournal = "journal"

// Why a change cannot be written to a journal.
var (
	errNoJournal = errors.New("there is no place for a journal, which several files need")
	errOutside   = errors.New("it lies outside of the folders that are written")
	errTwice     = errors.New("it would be written twice")
)

// ErrForeign is the Err of a *JournalError of a journal that the user did not
// write: another user's, or none that a Commit makes.
var ErrForeign = errors.New("it is not a file of your own")

// JournalError says that a journal cannot be read as one. It is left where it
// is: it may hold the only copy of a key.
type JournalError struct {
	Path string // absolute
	Err  error
}

func (e *JournalError) Error() string {
	return fmt.Sprintf("cannot finish what '%s' says: %v", e.Path, e.Err)
}
func (e *JournalError) Unwrap() error { return e.Err }

// TakenBackError says that Replay could not finish a write, and gave every file
// of it what it had before. The journal is gone.
type TakenBackError struct{ Err error } // an *Error: the file that could not be written

func (e *TakenBackError) Error() string {
	return fmt.Sprintf("a write that was cut short cannot be finished and was taken back: %v", e.Err)
}
func (e *TakenBackError) Unwrap() error { return e.Err }

// OverrunError says that files were changed between a killed Commit and
// Replay, so that neither the old nor the new state of all of them can be had.
// None of them was touched.
type OverrunError struct {
	Path  string   // of the journal, which is no longer there
	Files []string // absolute: those that are neither as before nor as after
	// Kept is the name that the journal has now, in the same folder, or "" where
	// it was removed because no file had been put in place.
	Kept string
}

func (e *OverrunError) Error() string {
	return fmt.Sprintf("a write that was cut short cannot be finished: '%s' changed since", strings.Join(e.Files, "', '"))
}

// maxJournal bounds a journal in bytes: two vaults of the largest size in
// base64, the old and the new one, and room beside them.
const maxJournal = 3 * MaxSize

// journalVersion is raised when an older program could not finish a journal.
const journalVersion = 2

// journal is what Commit notes first, as JSON.
type journal struct {
	Version int     `json:"version"`
	Sum     string  `json:"sum"` // SHA-256 of the entries' JSON, in hex
	Entries []entry `json:"entries"`
}

// entry is one path of a batch.
type entry struct {
	Folder int    `json:"folder"` // of the Place's
	Path   string `json:"path"`   // below it, with /
	// Follow says that a link at the path stands for the file it leads to.
	Follow bool `json:"follow,omitempty"`
	// Before and After are what stands there; null for nothing.
	Before *state `json:"before"`
	After  *state `json:"after"`
}

// state is what stands at a path: a file, or a symbolic link.
type state struct {
	Link    string      `json:"link,omitempty"` // where a link leads
	Mode    fs.FileMode `json:"mode,omitempty"` // of a file: permission bits
	Owner   *owner      `json:"owner,omitempty"`
	Content []byte      `json:"content,omitempty"` // in base64
}

// owner is whose a file is, in the numbers of Unix.
type owner struct {
	User  int `json:"user"`
	Group int `json:"group"`
}

// same reports whether a and b are one content, or one link.
func (a *state) same(b *state) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Link == b.Link && bytes.Equal(a.Content, b.Content)
}

// is reports whether a is all that b says; who owns it is left open.
func (a *state) is(b *state) bool {
	return a.same(b) && (a == nil || OnWindows || a.Link != "" || a.Mode == b.Mode)
}

// writeJournal puts the journal of a batch of several files in place, on the
// disk, and returns what it says; nil for one file, which is put in place in one
// step and needs no note.
func (b *Batch) writeJournal() (*journal, error) {
	path := b.place.Journal
	failed := func(err error) (*journal, error) { return nil, &Error{"write", path, err} }
	if path != "" && len(b.pending) > 0 {
		// A journal that is there has not been replayed: it would be lost.
		if there, err := paths.Exists(path); err != nil || there {
			if err == nil {
				err = ErrExists
			}
			return failed(err)
		}
	}

	if len(b.pending) < 2 {
		return nil, nil
	}

	j := &journal{Version: journalVersion}
	written := map[string]*state{}
	for _, next := range b.pending {
		e, err := b.entry(&next)
		if after, twice := written[next.path]; err == nil && twice && !after.same(e.After) {
			err = errTwice
		}
		if err != nil {
			return nil, &Error{OpJournal, next.asked, err}
		}
		written[next.path] = e.After
		j.Entries = append(j.Entries, e)
	}

	if path == "" {
		return nil, &Error{OpJournal, b.pending[0].asked, errNoJournal}
	}

	content, err := j.encode()
	if err != nil {
		return failed(err)
	}

	dir := filepath.Dir(path)
	if err := MakePrivate(dir); err != nil {
		return failed(err)
	}

	// It stays its writer's own, also in a folder of somebody else's: only who
	// wrote it finishes it.
	own := &owner{os.Geteuid(), os.Getegid()}
	before := len(b.pending)
	err = b.prepare(pendingFile{path: path, after: &state{Content: content, Mode: 0o600, Owner: own}})
	if err == nil {
		err = b.files.flush(b.pending) // the files that it speaks of, too
	}
	if err == nil {
		next := b.pending[before]
		if err = b.files.publish(&next); err != nil {
			err = &Error{"write", path, err}
		} else if next.pointer != "" {
			os.Remove(next.pointer)
		}
	}

	if err != nil {
		return nil, err // Discard removes its temp file
	}

	b.pending = b.pending[:before]
	b.files.syncDir(dir)
	return j, nil
}

// entry describes a prepared change.
func (b *Batch) entry(p *pendingFile) (entry, error) {
	abs, err := filepath.Abs(p.asked)
	if err != nil {
		return entry{}, err
	}
	for i, folder := range b.place.Folders {
		rel, err := filepath.Rel(folder, abs)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		e := entry{Folder: i, Path: filepath.ToSlash(rel), Follow: p.asked != p.path, After: p.after}
		e.Before, err = lookAt(abs, e.Follow)
		if err == nil && p.fresh && e.Before != nil {
			err = ErrExists
		}
		return e, err
	}
	return entry{}, errOutside
}

// endJournal removes the journal. Where that fails, or is lost with the power,
// the next Replay finds nothing left to do and tries again: so its folder need
// not be synced.
func (b *Batch) endJournal() { os.Remove(b.place.Journal) }

// Replay finishes what a Commit that was killed had noted in the journal of
// place, and removes that. It reports whether there was something to finish. The
// caller holds the lock that the killed writer held.
//
// It fails with *TakenBackError where it cannot write a file and makes all as it
// was before instead; with *Error where it can do neither (the journal stays, and
// the next Replay tries again); with *JournalError where the journal is damaged,
// from another version or of another user (it stays, too); and with *OverrunError
// where a file is neither as it was before Commit nor as after it, because
// somebody changed it since: then nothing is touched and the journal goes.
func Replay(place Place, files Files) (bool, error) {
	path := place.Journal
	if there, err := paths.Exists(path); err != nil || !there {
		if err != nil {
			return false, &Error{"read", path, err}
		}
		return false, nil
	}

	j, err := readJournal(place)
	if err != nil {
		return false, err
	}

	dir := filepath.Dir(path)

	// A Replay that was killed left its temp files there, or links to them.
	for _, folder := range append([]string{dir}, place.Folders...) {
		for _, left := range Leftovers(folder) {
			removeTemp(left)
		}
	}

	changed, begun, err := j.compare(place)
	if err != nil {
		return false, err
	}
	if len(changed) > 0 {
		return false, overrun(path, changed, begun)
	}

	failed := j.write(files, place, func(e *entry) *state { return e.After }, false)
	if failed != nil {
		if err := j.takeBack(files, place); err != nil {
			return false, failed
		}
	}

	if err := os.Remove(path); err != nil {
		return false, &Error{"remove", path, err}
	}
	if failed != nil {
		return false, &TakenBackError{failed}
	}
	return true, nil
}

// readJournal reads the journal of a place, if it is the user's own.
func readJournal(place Place) (*journal, error) {
	path := place.Journal
	info, err := os.Lstat(path)
	if err == nil && (!info.Mode().IsRegular() || !ownedByUser(info)) {
		return nil, &JournalError{path, ErrForeign}
	}
	content, err := Read(path, maxJournal)
	if err != nil {
		return nil, &Error{"read", path, err}
	}
	j, err := parseJournal(content)
	if err == nil && slices.ContainsFunc(j.Entries, func(e entry) bool {
		return e.Folder >= len(place.Folders) || place.Admits != nil && !place.Admits(e.in(place))
	}) {
		err = errOutside
	}
	if err != nil {
		return nil, &JournalError{path, err}
	}
	return j, nil
}

// takeBack makes every path what it was before, the last one first.
func (j *journal) takeBack(files Files, place Place) error {
	err := j.write(files, place, func(e *entry) *state { return e.Before }, true)
	var file *Error
	if errors.As(err, &file) {
		return &Error{OpTakeBack, file.Path, file.Err}
	}
	return err
}

// write gives each path that is not so yet the state that is wanted there.
func (j *journal) write(files Files, place Place, want func(*entry) *state, backwards bool) error {
	b := files.Batch(Place{Folders: place.Folders[:1]})
	defer b.Discard()
	entries := slices.Clone(j.Entries)
	if backwards {
		slices.Reverse(entries)
	}

	for _, e := range entries {
		path := e.in(place)
		now, err := lookAt(path, e.Follow)
		if err != nil {
			return &Error{"read", path, err}
		}
		if now.is(want(&e)) {
			continue
		}
		next := pendingFile{asked: path, path: path, after: want(&e)}
		if e.Follow {
			if next.path, err = Target(path); err != nil {
				return &Error{"write", path, err}
			}
		}

		if next.after == nil {
			b.pending = append(b.pending, next)
		} else if err := b.prepare(next); err != nil {
			return err
		}
	}

	if err := files.flush(b.pending); err != nil {
		return err
	}

	var folders []string
	for i := range b.pending {
		next := &b.pending[i]
		if err := files.publish(next); err != nil {
			return &Error{OpReplace, next.path, err}
		}
		folders = append(folders, filepath.Dir(next.path))
	}

	slices.Sort(folders)
	for _, dir := range slices.Compact(folders) {
		files.syncDir(dir)
	}

	return nil
}

// compare finds the files that are neither as before nor as after, and whether
// one was put in place.
func (j *journal) compare(place Place) (changed []string, begun bool, err error) {
	for _, e := range j.Entries {
		path := e.in(place)
		now, err := lookAt(path, e.Follow)
		if errors.Is(err, ErrNotRegular) || errors.Is(err, ErrIsFolder) {
			changed = append(changed, path)
			continue
		}

		if err != nil {
			return nil, false, &Error{"read", path, err}
		}
		folder, err := os.Stat(filepath.Dir(path))
		switch gone := err != nil || !folder.IsDir(); {
		case now.same(e.After):
			begun = begun || !e.Before.same(e.After) && !gone
		case !now.same(e.Before) || gone:
			changed = append(changed, path)
		}
	}
	return changed, begun, nil
}

// overrun disposes of a journal whose files were changed since.
func overrun(path string, changed []string, begun bool) error {
	gone := &OverrunError{Path: path, Files: changed}
	var err error
	if begun {
		// A file in place may be sealed with a key that is in the journal alone.
		gone.Kept, err = setAside(path)
	} else if err = os.Remove(path); err != nil {
		err = &Error{"remove", path, err}
	}
	if err != nil {
		return err
	}
	syncDir(filepath.Dir(path))
	return gone
}

// setAside gives the journal a free name beside its own.
func setAside(path string) (string, error) {
	for n := 1; ; n++ {
		kept := fmt.Sprintf("%s.overrun-%d", path, n)
		there, err := paths.Exists(kept)
		if err == nil && there {
			continue
		}
		if err == nil {
			err = os.Rename(path, kept)
		}
		if err != nil {
			return "", &Error{"rename", path, err}
		}
		return kept, nil
	}
}

func (e *entry) in(place Place) string {
	return filepath.Join(place.Folders[e.Folder], filepath.FromSlash(e.Path))
}

func (j *journal) encode() ([]byte, error) {
	sum, err := j.sum()
	if err != nil {
		return nil, err
	}
	j.Sum = sum
	content, err := json.Marshal(j)
	if err == nil && len(content) > maxJournal {
		err = &TooLargeError{maxJournal}
	}
	return content, err
}

func (j *journal) sum() (string, error) {
	entries, err := json.Marshal(j.Entries)
	sum := sha256.Sum256(entries)
	return hex.EncodeToString(sum[:]), err
}

// parseJournal reads a journal's bytes. Its errors hold nothing of them.
func parseJournal(content []byte) (*journal, error) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	var j journal
	if err := decoder.Decode(&j); err != nil {
		return nil, errors.New("its JSON is damaged")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows its JSON")
	}
	if j.Version != journalVersion {
		return nil, fmt.Errorf("it has version %d, not %d: another version of this program wrote it", j.Version, journalVersion)
	}
	if len(j.Entries) == 0 {
		return nil, errors.New("it names no file")
	}
	if sum, err := j.sum(); err != nil || sum != j.Sum {
		return nil, errors.New("it is damaged")
	}

	for i, e := range j.Entries {
		if e.Folder < 0 || !filepath.IsLocal(filepath.FromSlash(e.Path)) || strings.ContainsRune(e.Path, 0) {
			return nil, fmt.Errorf("its entry %d has no path", i+1)
		}
		for _, s := range [...]*state{e.Before, e.After} {
			if s != nil && (s.Mode&^fs.ModePerm != 0 || s.Link != "" && len(s.Content) > 0) {
				return nil, fmt.Errorf("its entry %d is damaged", i+1)
			}
		}
	}

	return &j, nil
}

// lookAt tells what stands at a path; nil where nothing does. It fails with
// ErrIsFolder or ErrNotRegular where that is no file, and where it cannot tell: a
// link to nothing, where links are followed, may lead to a disk that is not there
// just now.
func lookAt(path string, follow bool) (*state, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSymlink != 0 && !follow {
		to, err := os.Readlink(path)
		return &state{Link: to}, err
	}

	content, err := Read(path, MaxSize)
	if err != nil {
		return nil, err
	}
	if info, err = os.Stat(path); err != nil {
		return nil, err
	}
	return &state{Mode: info.Mode().Perm(), Owner: ownerOf(info), Content: content}, nil
}
