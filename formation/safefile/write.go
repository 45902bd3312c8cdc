package safefile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// tempPrefix starts the names of the files that a write is prepared in. A
// process that was killed may leave one; the next command removes it.
const tempPrefix = ".muxi-secrets-tmp-"

// TempPattern matches the names of those files, for git to ignore.
const TempPattern = tempPrefix + "*"

// Step is one step of writing a file, for tests that make it fail there.
type Step string

// The steps, in their order.
const (
	StepTemp    Step = "create temp"
	StepWrite   Step = "write"
	StepSync    Step = "fsync"
	StepClose   Step = "close"
	StepRename  Step = "rename"
	StepSyncDir Step = "fsync folder"
)

// The Ops of an *Error that say more than which step failed.
const (
	// OpOwner: the new file could not get the owner and the group of the one it
	// replaces, or those of its folder. Nothing was changed.
	OpOwner = "keep owner and group of"
	// OpReplace: the file that is there could not be replaced. Nothing was
	// changed: what had been put in place before it was taken back.
	OpReplace = "replace"
	// OpTakeBack: a file could not be replaced, nor could this one be given what
	// stood there before. The journal stays, and Replay tries again.
	OpTakeBack = "take back"
)

// ErrExists says that a file to be created is already there.
var ErrExists = errors.New("it already exists")

// Files makes batches of writes. The zero value is ready.
type Files struct {
	// Fault, in tests, is called before each step with the path of the file to
	// be written; an error it returns is treated as the step's own.
	Fault func(step Step, path string) error
	// link, in tests, stands in for os.Link.
	link func(from, to string) error
}

func (w Files) hardLink(from, to string) error {
	if w.link == nil {
		return os.Link(from, to)
	}
	return w.link(from, to)
}

func (w Files) fault(step Step, path string) error {
	if w.Fault == nil {
		return nil
	}
	return w.Fault(step, path)
}

// Place is where a batch writes.
type Place struct {
	// Folders are absolute. A batch of several files writes below them alone, and
	// its journal names each file by its folder and the path in that: so the
	// journal can be finished where the folders were moved to, and one that
	// somebody else wrote leads nowhere else. Where a file is prepared in another
	// folder than the first, a link to its temp file lies in that one, so that
	// Sweep finds what a killed command left in a folder nobody would look into.
	Folders []string
	// Journal is the absolute path of the file that Commit notes a batch of
	// several files in until it is done. Without one, a batch takes one file.
	Journal string
	// Admits, where not nil, reports of a path which a journal names whether a batch
	// of this place writes it.
	Admits func(path string) bool
}

// Batch writes several files so that each is, at any moment and after any
// crash, the old one or the new one, and so that all of them are old or all are
// new once Commit has returned or, where it was killed, once Replay has: every
// new content first goes to a temp file in the folder of its file and is synced;
// Commit notes all of them in the journal, renames one after the other, in the
// order in which they were added, and syncs the folders. A file that is replaced
// keeps its owner and group; a new one in a folder of somebody else's is theirs.
type Batch struct {
	files   Files
	place   Place
	pending []pendingFile
}

// pendingFile is a change of one path, prepared.
type pendingFile struct {
	asked   string   // the path as it was given
	path    string   // what is written: links are followed, or replaced themselves
	after   *state   // nil: nothing is to be there
	fresh   bool     // nothing may be there before
	temp    string   // holds after, in the folder of path; "" where that is nil
	file    *os.File // the temp file, until it is on the disk
	pointer string   // a link in the first folder that leads to temp, or ""
}

// Batch starts an empty batch. Discard must be called on it in the end; after
// Commit that does nothing.
func (w Files) Batch(place Place) *Batch { return &Batch{files: w, place: place} }

// Replace writes one file, as a batch of its own.
func (w Files) Replace(path string, data []byte, perm fs.FileMode) error {
	return w.Do(func(b *Batch) error { return b.Replace(path, data, perm) })
}

// Put writes one file, as a batch of its own.
func (w Files) Put(path string, data []byte, perm fs.FileMode) error {
	return w.Do(func(b *Batch) error { return b.Put(path, data, perm) })
}

// Do commits a batch of at most one file, once it is prepared.
func (w Files) Do(prepare func(*Batch) error) error {
	b := w.Batch(Place{})
	defer b.Discard()
	if err := prepare(b); err != nil {
		return err
	}
	return b.Commit()
}

// Replace prepares data as the new content of path. An existing symbolic link
// is followed: the file it points to is replaced and the link stays. A file that
// is there keeps its permissions; a new one has perm, whatever the umask.
func (b *Batch) Replace(path string, data []byte, perm fs.FileMode) error {
	return b.replace(path, data, modeOf(path, perm))
}

// ReplacePrivate is Replace for a file that its owner alone may read, whoever could
// before. One that was read-only stays so: 'muxi new' makes .key 0400.
func (b *Batch) ReplacePrivate(path string, data []byte) error {
	return b.replace(path, data, modeOf(path, 0o600)&0o600|0o400)
}

func (b *Batch) replace(path string, data []byte, perm fs.FileMode) error {
	real, err := Target(path)
	if err != nil {
		return &Error{"write", path, err}
	}
	return b.prepare(pendingFile{asked: path, path: real, after: &state{Content: data, Mode: perm}})
}

// Put prepares data as a file at path with exactly perm, in place of a file or
// of a symbolic link itself.
func (b *Batch) Put(path string, data []byte, perm fs.FileMode) error {
	return b.prepare(pendingFile{asked: path, path: path, after: &state{Content: data, Mode: perm}})
}

// Create prepares data as a new file. Where one is already there, or a symbolic
// link, even one that appears before Commit, it fails with ErrExists.
func (b *Batch) Create(path string, data []byte, perm fs.FileMode) error {
	return b.create(path, &state{Content: data, Mode: perm})
}

// Copy prepares what is at from, if a symbolic link then that link, as a new
// file like Create.
func (b *Batch) Copy(from, path string) error {
	there, err := content(from)
	if err != nil {
		return err
	}
	return b.create(path, there)
}

// Move prepares what is at from, if a symbolic link then that link, to be at path
// instead, in place of what is there.
func (b *Batch) Move(from, path string) error {
	there, err := content(from)
	if err != nil {
		return err
	}
	if err := b.prepare(pendingFile{asked: path, path: path, after: there}); err != nil {
		return err
	}
	b.Remove(from)
	return nil
}

// content is what stands at a path, for a new file.
func content(path string) (*state, error) {
	there, err := lookAt(path, false)
	if err == nil && there == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, &Error{"read", path, err}
	}
	there.Owner = nil
	return there, nil
}

func (b *Batch) create(path string, after *state) error {
	if there, err := paths.Exists(path); err != nil || there {
		if err == nil {
			err = ErrExists
		}
		return &Error{"create", path, err}
	}
	return b.prepare(pendingFile{asked: path, path: path, after: after, fresh: true})
}

// Remove has Commit delete path, if a symbolic link then that link; one that is
// not there is no error.
func (b *Batch) Remove(path string) {
	b.pending = append(b.pending, pendingFile{asked: path, path: path})
}

// prepare adds a change to what Commit puts in place, with a temp file.
func (b *Batch) prepare(next pendingFile) error {
	if int64(len(next.after.Content)) > MaxSize {
		return &Error{"write", next.path, &TooLargeError{MaxSize}}
	}
	if err := b.files.fault(StepTemp, next.path); err != nil {
		return &Error{"write", next.path, err}
	}

	var random [8]byte
	rand.Read(random[:])
	name := tempPrefix + hex.EncodeToString(random[:])
	next.temp = filepath.Join(filepath.Dir(next.path), name)
	if f := b.place.Folders; len(f) > 0 && f[0] != filepath.Dir(next.path) {
		// Where links cannot be made, only a kill's litter is not cleaned up.
		if link := filepath.Join(f[0], name); os.Symlink(next.temp, link) == nil {
			next.pointer = link
		}
	}

	b.pending = append(b.pending, next)
	at := len(b.pending) - 1
	if err := b.files.fill(&b.pending[at]); err != nil {
		return err
	}
	if at%maxOpen == maxOpen-1 {
		return b.files.flush(b.pending)
	}
	return nil
}

// maxOpen bounds the temp files that wait, open, to be synced.
const maxOpen = 16

// fill writes the temp file of a change.
func (w Files) fill(p *pendingFile) error {
	failed := func(err error) error { return &Error{"write", p.path, err} }
	there, err := os.Lstat(p.path)
	if err == nil && there.Mode()&fs.ModeSymlink == 0 && !there.Mode().IsRegular() {
		if there.IsDir() {
			return failed(ErrIsFolder)
		}
		return failed(ErrNotRegular)
	}

	if p.after.Link != "" {
		if err := os.Symlink(p.after.Link, p.temp); err != nil {
			return failed(err)
		}
		return nil
	}

	if p.file, err = os.OpenFile(p.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return failed(err)
	}
	if err = w.fault(StepWrite, p.path); err == nil {
		_, err = p.file.Write(p.after.Content)
	}
	if err != nil {
		return failed(err)
	}
	if err := giveTo(p.file, p.ownerFor()); err != nil {
		return &Error{OpOwner, p.path, err}
	}
	if err := setMode(p.file, p.after.Mode); err != nil {
		return failed(err)
	}
	return nil
}

// flush has the temp files of changes on the disk, and closes them. They are
// synced at once, which a disk does in little more time than one.
func (w Files) flush(pending []pendingFile) error {
	failed := make([]error, len(pending))
	var all sync.WaitGroup
	for i := range pending {
		p := &pending[i]
		if p.file == nil {
			continue
		}
		if failed[i] = w.fault(StepSync, p.path); failed[i] == nil {
			all.Go(func() { failed[i] = p.file.Sync() })
		}
	}

	all.Wait()
	for i := range pending {
		p := &pending[i]
		if p.file == nil {
			continue
		}
		err := failed[i]
		if err == nil {
			err = w.fault(StepClose, p.path)
		}
		if closed := p.file.Close(); err == nil {
			err = closed
		}
		p.file = nil
		if err != nil {
			return &Error{"write", p.path, err}
		}
	}

	return nil
}

// publish puts a prepared change in place.
func (w Files) publish(p *pendingFile) error {
	if err := w.fault(StepRename, p.path); err != nil {
		return err
	}
	if p.after == nil {
		err := os.Remove(p.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}

	if p.fresh {
		if there, err := paths.Exists(p.path); err != nil || there {
			if err == nil {
				err = ErrExists
			}
			return err
		}

		// Unlike a rename, this fails where somebody made the file just now. (Some
		// systems would follow a link, and some file systems cannot do it: there
		// the lock that every writer holds keeps two of ours apart.)
		if p.after.Link == "" {
			err := w.hardLink(p.temp, p.path)
			if errors.Is(err, fs.ErrExist) {
				return ErrExists
			}
			if err == nil {
				os.Remove(p.temp)
				return nil
			}
		}
	}

	return rename(p.temp, p.path)
}

// Commit puts the prepared files in place. Where one of them cannot be, those
// before it are taken back: nothing is changed then, and the error names the
// file that could not be replaced. Should even that fail, the journal stays, from
// which Replay makes all files new, or old, once it can.
func (b *Batch) Commit() error {
	defer b.Discard()
	j, err := b.writeJournal()
	if err == nil {
		err = b.files.flush(b.pending) // one file, for which there is no journal
	}
	if err != nil {
		return err
	}

	var folders []string
	for i := range b.pending {
		next := &b.pending[i]
		if err := b.files.publish(next); err != nil {
			failed := &Error{OpReplace, next.path, err}
			if j == nil {
				return failed
			}
			b.Discard() // room on a full disk, for what was there before
			if err := j.takeBack(b.files, b.place); err != nil {
				return err
			}
			b.endJournal()
			return failed
		}

		if dir := filepath.Dir(next.path); len(folders) == 0 || folders[len(folders)-1] != dir {
			folders = append(folders, dir)
		}
	}

	for _, dir := range folders {
		b.files.syncDir(dir)
	}

	if j != nil {
		b.endJournal()
	}
	return nil
}

// syncDir syncs a folder. The new files are the files: a folder that cannot be
// synced (on some network file systems) is no reason to call the writes undone.
func (w Files) syncDir(dir string) {
	if w.fault(StepSyncDir, dir) == nil {
		syncDir(dir)
	}
}

// Discard forgets what was not put in place.
func (b *Batch) Discard() {
	for _, p := range b.pending {
		if p.file != nil {
			p.file.Close()
		}
		if p.temp != "" {
			os.Remove(p.temp)
		}
		if p.pointer != "" {
			os.Remove(p.pointer)
		}
	}
	b.pending = nil
}

// Len is the number of files that Commit would touch.
func (b *Batch) Len() int { return len(b.pending) }

// setMode gives a file exactly the mode perm. On a file system without modes
// that fails, which matters only where others could then read more than perm
// allows.
func setMode(file *os.File, perm fs.FileMode) error {
	if OnWindows {
		return nil
	}
	err := file.Chmod(perm)
	if err == nil {
		return nil
	}
	if info, statErr := file.Stat(); statErr == nil && info.Mode().Perm()&^perm == 0 {
		return nil
	}
	return err
}

// Leftovers returns the temp files that killed commands left in dir.
func Leftovers(dir string) []string {
	folder, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer folder.Close()
	names, _ := folder.Readdirnames(-1)
	var left []string
	for _, name := range names {
		if strings.HasPrefix(name, tempPrefix) {
			left = append(left, filepath.Join(dir, name))
		}
	}
	return left
}

// ownerFor tells whose the new file is to be: who is said, whose the file is that
// it replaces, or whose the folder is; nil for whose the system makes it.
func (p *pendingFile) ownerFor() *owner {
	if p.after.Owner != nil {
		return p.after.Owner
	}
	if info, err := os.Lstat(p.path); err == nil && info.Mode().IsRegular() {
		return ownerOf(info)
	}
	return folderOwner(filepath.Dir(p.path))
}
