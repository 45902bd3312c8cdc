package safefile

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/windows"
)

// OnWindows: there are no modes beyond read-only (a new file takes its folder's access
// list), and its renames are journaled by NTFS: a folder cannot be synced.
// A file that another program keeps open without sharing cannot be replaced; the
// write then fails and the old file stays.
const OnWindows = true

// patience is how long a file may be held open by somebody who reads or replaces it,
// a virus scanner or another command of ours, before it counts as kept open.
const patience = 2 * time.Second

// rename puts a file in another's place, as it does elsewhere: also of one that is
// read-only, as the .key is that 'muxi new' makes, and that is being read just now.
// MoveFileEx alone refuses both.
func rename(from, to string) error {
	if info, err := os.Stat(to); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o200 == 0 {
		_ = os.Chmod(to, 0o600) // if that fails, so does what follows, and says why
	}
	return patiently(func() error { return os.Rename(from, to) }, windows.ERROR_SHARING_VIOLATION, windows.ERROR_ACCESS_DENIED)
}

// open opens a file for reading, as soon as nobody puts another in its place.
func open(path string) (file *os.File, err error) {
	err = patiently(func() error { file, err = os.Open(path); return err }, windows.ERROR_SHARING_VIOLATION)
	return file, err
}

// patiently does something again that fails because somebody has the file.
func patiently(do func() error, busy ...error) error {
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := do()
		if time.Since(begun) > patience || !slices.ContainsFunc(busy, func(b error) bool { return errors.Is(err, b) }) {
			return err
		}
	}
}

func syncDir(string) {}

func refusesWrites(string) error { return nil }

// ReadableByOthers is not known on Windows, whose access lists Go does not
// show: a file there is as private as the folder it was made in.
func ReadableByOthers(fs.FileInfo) bool { return false }

// Executable is true on Windows, where git judges a hook by its first line.
func Executable(fs.FileInfo) bool { return true }

// OwnerOf gives -1 for each on Windows.
func OwnerOf(fs.FileInfo) (user, group int) { return -1, -1 }

// A new file is its maker's on Windows, and has the access list of its folder.

func ownerOf(fs.FileInfo) *owner { return nil }

func ownedByUser(fs.FileInfo) bool { return true }

func folderOwner(string) *owner { return nil }

func giveTo(*os.File, *owner) error { return nil }
