package formation

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// OpPublish is the Op of a *FileError that Commit returns when a file could
// not be put in place: those before it in the batch are. Where the batch has a
// journal that is still there, Replay finishes it.
const OpPublish = "put in place"

// ErrExists says that a file to be created is already there.
var ErrExists = errors.New("it already exists")

// Files makes batches of writes. The zero value is ready.
type Files struct {
	// Fault, in tests, is called before each step with the path of the file to
	// be written; an error it returns is treated as the step's own.
	Fault func(step Step, path string) error
}

func (w Files) fault(step Step, path string) error {
	if w.Fault == nil {
		return nil
	}
	return w.Fault(step, path)
}

// Batch writes several files so that each is, at any moment and after any
// crash, the old one or the new one, and so that nothing changes at all when
// one of them cannot be written: every new content first goes to a temp file
// in the folder of its file and is synced; Commit then renames one after the
// other, in the order in which they were added, and syncs the folders.
type Batch struct {
	files   Files
	home    string
	journal string // where Commit first writes what it is about to do, or ""
	pending []pendingFile
}

type pendingFile struct {
	kind    change
	asked   string // the path as it was given
	path    string // what is written, links followed
	perm    fs.FileMode
	temp    string // "": path is removed instead
	pointer string // a link in home that points to temp, or ""
	publish func(temp, path string) error
}

// change is what a batch does to one path.
type change int

const (
	changeReplace change = iota
	changeCreate
	changeRemove
	changeMove // path gets another name
)

// Batch starts an empty batch. Discard must be called on it in the end; after
// Commit that does nothing.
func (w Files) Batch() *Batch { return &Batch{files: w} }

// BatchIn starts an empty batch like Batch. Where it prepares a file in another
// folder than home, it leaves a link to the temp file in home, so that Sweep on
// home finds what a killed command left in a folder nobody would look into.
func (w Files) BatchIn(home string) *Batch { return &Batch{files: w, home: home} }

// Replace prepares data as the new content of path. An existing symbolic link
// is followed: the file it points to is replaced and the link stays. perm is
// what the file has afterwards, whatever the umask.
func (b *Batch) Replace(path string, data []byte, perm fs.FileMode) error {
	real, err := target(path)
	if err != nil {
		return &FileError{"write", path, err}
	}
	for _, p := range b.pending {
		if p.kind == changeMove && p.path == path {
			real = path // a link that goes away takes what it points to along
		}
	}
	return b.prepare(pendingFile{asked: path, path: real, perm: perm, publish: os.Rename}, data)
}

// Put is Replace for a place where a symbolic link is itself replaced.
func (b *Batch) Put(path string, data []byte, perm fs.FileMode) error {
	return b.prepare(pendingFile{asked: path, path: path, perm: perm, publish: os.Rename}, data)
}

// Create prepares data as a new file. Where one is already there, or a symbolic
// link, even one that appears before Commit, it fails with ErrExists.
func (b *Batch) Create(path string, data []byte, perm fs.FileMode) error {
	if there, err := exists(path); err != nil || there {
		if err == nil {
			err = ErrExists
		}
		return &FileError{"create", path, err}
	}
	return b.prepare(pendingFile{kind: changeCreate, asked: path, path: path, perm: perm, publish: func(temp, path string) error {
		err := os.Link(temp, path) // unlike rename, fails where path exists
		if errors.Is(err, fs.ErrExist) {
			return ErrExists
		}
		if err != nil {
			// A file system without hard links. The lock that every writer
			// holds keeps two of ours apart between the look above and this.
			return os.Rename(temp, path)
		}
		return os.Remove(temp)
	}}, data)
}

// Remove has Commit delete path; one that is not there is no error.
func (b *Batch) Remove(path string) {
	b.pending = append(b.pending, pendingFile{kind: changeRemove, asked: path, path: path, publish: func(_, path string) error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}})
}

// Move has Commit give a file another name in its folder, where none may be.
func (b *Batch) Move(from, to string) {
	b.pending = append(b.pending, pendingFile{kind: changeMove, asked: from, path: from, publish: func(_, from string) error {
		if there, err := exists(to); err != nil || there {
			if err == nil {
				err = ErrExists
			}
			return err
		}
		return os.Rename(from, to)
	}})
}

// prepare writes data to a temp file beside next.path, and adds next to what
// Commit publishes.
func (b *Batch) prepare(next pendingFile, data []byte) (err error) {
	path := next.path
	failed := func(err error) error { return &FileError{"write", path, err} }
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return failed(errIsFolder)
		}
		return failed(errNotRegular)
	}
	if err := b.files.fault(StepTemp, path); err != nil {
		return failed(err)
	}
	var random [8]byte
	rand.Read(random[:])
	name := tempPrefix + hex.EncodeToString(random[:])
	temp := filepath.Join(filepath.Dir(path), name)
	if b.home != "" && b.home != filepath.Dir(path) {
		// Where links cannot be made, only a kill's litter is not cleaned up.
		if link := filepath.Join(b.home, name); os.Symlink(temp, link) == nil {
			next.pointer = link
		}
	}
	next.temp = temp
	b.pending = append(b.pending, next)
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return failed(err)
	}
	for _, step := range []struct {
		name Step
		do   func() error
	}{
		{StepWrite, func() error { _, err := file.Write(data); return err }},
		{StepSync, func() error {
			if err := setMode(file, next.perm); err != nil {
				return err
			}
			return file.Sync()
		}},
		{StepClose, file.Close},
	} {
		err := b.files.fault(step.name, path)
		if err == nil {
			err = step.do()
		}
		if err != nil {
			file.Close()
			return failed(err)
		}
	}
	return nil
}

// Commit puts the prepared files in place. An error before the first of them
// leaves every byte as it was; a later one, which a file system gives hardly
// ever, names the file that is still the old one.
//
// With a journal, an error behind the first leaves the journal, from which
// Replay makes all files new.
func (b *Batch) Commit() error {
	defer b.Discard()
	if err := b.writeJournal(); err != nil {
		return err
	}
	var folders []string
	for len(b.pending) > 0 {
		next := b.pending[0]
		err := b.files.fault(StepRename, next.path)
		if err == nil {
			err = next.publish(next.temp, next.path)
		}
		if err != nil {
			if len(folders) == 0 {
				b.dropJournal(next)
			}
			return &FileError{OpPublish, next.path, err}
		}
		if next.pointer != "" {
			os.Remove(next.pointer)
		}
		b.pending = b.pending[1:]
		if dir := filepath.Dir(next.path); len(folders) == 0 || folders[len(folders)-1] != dir {
			folders = append(folders, dir)
		}
	}
	for _, dir := range folders {
		b.files.syncDir(dir)
	}
	b.endJournal()
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
	if onWindows {
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

// target follows a symbolic link to the file it stands for; a path without
// one is its own target.
func target(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return path, nil
	}
	return filepath.EvalSymlinks(path)
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
