package formation

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
	"strings"
	"syscall"
)

// OpJournal is the Op of a *FileError that Commit returns when a change cannot
// be written to a journal. Nothing was changed.
const OpJournal = "journal"

// Why a change cannot be written to a journal.
var (
	errJournalMove  = errors.New("a file that gets another name cannot be part of a journal")
	errJournalLink  = errors.New("a link that is to be replaced cannot be part of a journal")
	errJournalTwice = errors.New("it would be written twice")
)

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

// maxJournal bounds a journal in bytes: a vault of the largest size in base64,
// and room beside it.
const maxJournal = maxVaultFile/3*4 + maxVaultFile/4

// journalVersion is raised when an older program could not finish a journal.
const journalVersion = 1

// journal is the file that Commit writes first, as JSON.
type journal struct {
	Version int            `json:"version"`
	Entries []journalEntry `json:"entries"`
}

// journalEntry is one file of a batch.
type journalEntry struct {
	// Path is relative to the journal's folder, with /, so that a repository
	// that is moved takes its journal along; absolute on another drive. Links
	// are not followed in its last part.
	Path    string      `json:"path"`
	Mode    fs.FileMode `json:"mode,omitempty"`
	Before  string      `json:"before"`            // SHA-256 in hex; "": no file
	After   string      `json:"after"`             // of Content; "" where removed
	Content []byte      `json:"content,omitempty"` // base64
	Removed bool        `json:"removed,omitempty"`
	Create  bool        `json:"create,omitempty"`
}

// Journal has Commit write all contents to one file at path (absolute, mode
// 0600, its folder made with 0700), before the first file is put in place, and
// remove it when the last one is. A Commit that is killed in between is finished
// by Replay. Remove is supported, Move is not: Commit then fails.
func (b *Batch) Journal(path string) { b.journal = path }

// writeJournal puts the journal in place, on the disk.
func (b *Batch) writeJournal() error {
	if b.journal == "" || len(b.pending) == 0 {
		return nil
	}
	failed := func(err error) error { return &FileError{"write", b.journal, err} }
	// A journal that is there has not been replayed: it would be lost.
	if there, err := exists(b.journal); err != nil || there {
		if err == nil {
			err = ErrExists
		}
		return failed(err)
	}
	if len(b.pending) == 1 {
		return nil // put in place in one step, which needs no note
	}
	dir := filepath.Dir(b.journal)
	if err := makePrivate(dir); err != nil {
		return failed(err)
	}
	j := journal{Version: journalVersion}
	written := map[string]string{}
	for _, next := range b.pending {
		entry, err := next.journalEntry(dir)
		if err != nil {
			return &FileError{OpJournal, next.asked, err}
		}
		real := realFolder(next.path)
		if after, ok := written[real]; ok && after != entry.After {
			return &FileError{OpJournal, next.asked, errJournalTwice}
		}
		written[real] = entry.After
		j.Entries = append(j.Entries, entry)
	}
	content, err := json.Marshal(j)
	if err != nil {
		return failed(err)
	}
	before := len(b.pending)
	if err := b.prepare(pendingFile{path: b.journal, perm: 0o600}, content); err != nil {
		return err
	}
	own := b.pending[before]
	err = b.files.fault(StepRename, b.journal)
	if err == nil {
		err = os.Rename(own.temp, b.journal)
	}
	if err != nil {
		return failed(err) // Discard removes its temp file
	}
	b.pending = b.pending[:before]
	if own.pointer != "" {
		os.Remove(own.pointer)
	}
	b.files.syncDir(dir)
	return nil
}

// journalEntry describes a prepared change. What it holds is read back from the
// temp file: those bytes are the ones that Commit puts in place.
func (p *pendingFile) journalEntry(dir string) (journalEntry, error) {
	e := journalEntry{Path: p.asked, Mode: p.perm, Create: p.kind == changeCreate, Removed: p.kind == changeRemove}
	if p.kind == changeMove {
		return e, errJournalMove
	}
	if info, err := os.Lstat(p.path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return e, errJournalLink
	}
	abs, err := filepath.Abs(p.asked)
	if err != nil {
		return e, err
	}
	abs = realFolder(abs)
	e.Path = filepath.ToSlash(abs)
	if rel, err := filepath.Rel(realPath(dir), abs); err == nil {
		e.Path = filepath.ToSlash(rel)
	}
	now, err := lookAt(p.asked)
	if err != nil {
		return e, err
	}
	if now.other {
		return e, errNotRegular
	}
	e.Before = now.hash
	if e.Removed {
		return e, nil
	}
	if e.Content, err = os.ReadFile(p.temp); err != nil {
		return e, err
	}
	e.After = hashOf(e.Content)
	return e, nil
}

// dropJournal takes the journal back after the first file could not be put in
// place, so that everything is as it was. If that file is the new one all the
// same (a network file system may say no and have done it), the journal stays.
func (b *Batch) dropJournal(first pendingFile) {
	if b.journal == "" {
		return
	}
	content, err := os.ReadFile(b.journal)
	if err != nil {
		return
	}
	j, err := parseJournal(content)
	if err != nil {
		return
	}
	e := j.Entries[0]
	if now, err := lookAt(first.asked); err == nil && (now.hash != e.After || e.Before == e.After) {
		b.endJournal()
	}
}

// endJournal removes the journal. Where that fails, the next Replay finds
// nothing left to do and tries again.
func (b *Batch) endJournal() {
	if b.journal != "" && os.Remove(b.journal) == nil {
		b.files.syncDir(filepath.Dir(b.journal))
	}
}

// Replay finishes what a Commit that was killed had written to the journal at
// path, and removes the journal. It reports whether there was one. The caller
// holds the lock that the killed writer held. Links are followed as Commit
// follows them.
//
// It fails with *FileError where a file cannot be read or written (the journal
// stays, and the next Replay tries again), with *JournalError where the journal
// is damaged or from a newer version (it stays, too), and with *OverrunError
// where a file is neither as it was before Commit nor as after it, because
// somebody changed it since: then nothing is touched and the journal goes.
func Replay(path string, files Files) (bool, error) {
	if there, err := exists(path); err != nil || !there {
		if err != nil {
			return false, &FileError{"read", path, err}
		}
		return false, nil
	}
	content, err := readRegular(path, maxJournal)
	if err != nil {
		return false, &FileError{"read", path, err}
	}
	j, err := parseJournal(content)
	if err != nil {
		return false, &JournalError{path, err}
	}
	dir := filepath.Dir(path)
	// A Replay that was killed left links here to its temp files.
	for _, left := range Leftovers(dir) {
		removeTemp(left)
	}
	unfinished, overrun, err := j.compare(dir, path)
	if err != nil {
		return false, err
	}
	if overrun != nil {
		return false, overrun
	}
	b := files.BatchIn(dir)
	defer b.Discard()
	for _, e := range unfinished {
		if err := e.addTo(b, e.in(dir)); err != nil {
			return false, err
		}
	}
	if err := b.Commit(); err != nil {
		return false, err
	}
	if err := os.Remove(path); err != nil {
		return false, &FileError{"remove", path, err}
	}
	files.syncDir(dir)
	return true, nil
}

// compare finds what is left to do. Where a file is neither as before nor as
// after, it disposes of the journal.
func (j *journal) compare(dir, path string) (unfinished []journalEntry, overrun, err error) {
	var changed []string
	begun := false // a file was put in place
	for _, e := range j.Entries {
		full := e.in(dir)
		now, err := lookAt(full)
		if err != nil {
			return nil, nil, &FileError{"read", full, err}
		}
		switch {
		case now.other || now.hash != e.Before && now.hash != e.After:
			changed = append(changed, full)
		case e.Removed && now.hash == "", now.hash == e.After && now.has(e.Mode):
			begun = begun || e.Before != e.After && !now.noFolder
		case now.hash == "" && now.noFolder:
			changed = append(changed, full)
		default:
			e.Create = e.Create && now.hash == "" // else only its mode is to be set
			unfinished = append(unfinished, e)
		}
	}
	if changed == nil {
		return unfinished, nil, nil
	}
	gone := &OverrunError{Path: path, Files: changed}
	if begun {
		// A file in place may be sealed with a key that is in the journal alone.
		gone.Kept, err = setAside(path)
	} else if err = os.Remove(path); err != nil {
		err = &FileError{"remove", path, err}
	}
	if err != nil {
		return nil, nil, err
	}
	syncDir(dir)
	return nil, gone, nil
}

// setAside gives the journal a free name beside its own.
func setAside(path string) (string, error) {
	for n := 1; ; n++ {
		kept := fmt.Sprintf("%s.overrun-%d", path, n)
		there, err := exists(kept)
		if err == nil && there {
			continue
		}
		if err == nil {
			err = os.Rename(path, kept)
		}
		if err != nil {
			return "", &FileError{"rename", path, err}
		}
		return kept, nil
	}
}

func (e *journalEntry) in(dir string) string {
	path := filepath.FromSlash(e.Path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(realPath(dir), path)
}

func (e *journalEntry) addTo(b *Batch, path string) error {
	switch {
	case e.Removed:
		b.Remove(path)
		return nil
	case e.Create:
		return b.Create(path, e.Content, e.Mode)
	}
	return b.Replace(path, e.Content, e.Mode)
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
	for i, e := range j.Entries {
		after := ""
		if !e.Removed {
			after = hashOf(e.Content)
		}
		switch {
		case e.Path == "" || strings.ContainsRune(e.Path, 0):
			return nil, fmt.Errorf("its entry %d has no path", i+1)
		case e.Mode&^fs.ModePerm != 0 || e.Removed && (len(e.Content) > 0 || e.Create) || !isHash(e.Before) || e.Create && e.Before != "":
			return nil, fmt.Errorf("its entry %d is damaged", i+1)
		case e.After != after:
			return nil, fmt.Errorf("the content of its entry %d is damaged", i+1)
		}
	}
	return &j, nil
}

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func isHash(text string) bool {
	return text == "" || len(text) == 2*sha256.Size && strings.Trim(text, "0123456789abcdef") == ""
}

// look is what stands at a path.
type look struct {
	hash     string // of its content, links followed; "": nothing is there
	mode     fs.FileMode
	other    bool // a folder, a pipe, or more than a vault may be
	noFolder bool // nor is the folder that it would be in
}

func (l look) has(mode fs.FileMode) bool { return onWindows || l.mode == mode }

// lookAt fails where it cannot tell. A link to nothing is such a case: what it
// points to may be on a disk that is not there just now.
func lookAt(path string) (look, error) {
	var l look
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		dir, err := os.Stat(filepath.Dir(path))
		l.noFolder = err != nil || !dir.IsDir()
		return l, nil
	}
	if err != nil {
		return l, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return l, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxVaultFile {
		l.other = true
		return l, nil
	}
	content, err := readRegular(path, maxVaultFile)
	if err != nil {
		return l, err
	}
	l.hash, l.mode = hashOf(content), info.Mode().Perm()
	return l, nil
}

// realFolder resolves the links in a path but for its last part.
func realFolder(path string) string {
	return filepath.Join(realPath(filepath.Dir(path)), filepath.Base(path))
}

// realPath resolves the links in a path, where that can be done.
func realPath(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	return abs
}

// makePrivate makes a folder that is the user's alone, and those above it.
func makePrivate(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	syncDir(filepath.Dir(dir))
	return nil
}
