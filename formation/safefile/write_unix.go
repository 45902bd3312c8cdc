//go:build unix

package safefile

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// OnWindows: see write_windows.go.
const OnWindows = false

// rename puts a file in another's place.
func rename(from, to string) error { return os.Rename(from, to) }

// open opens a file for reading.
func open(path string) (*os.File, error) { return os.Open(path) }

// syncDir makes a rename in dir last through a power failure. A file system
// that cannot do it says so, and there is nothing more to be done.
func syncDir(dir string) {
	folder, err := os.Open(dir)
	if err != nil {
		return
	}
	folder.Sync()
	folder.Close()
}

// refusesWrites says why nothing new can be put into a folder; nil where it can, by
// what the system says without a try.
func refusesWrites(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

// ReadableByOthers reports whether group or others may read a file.
func ReadableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o044 != 0 }

// Executable reports whether somebody may run a file.
func Executable(info fs.FileInfo) bool { return info.Mode().Perm()&0o111 != 0 }

// ownerOf tells whose a file is; nil where the system does not say.
func ownerOf(info fs.FileInfo) *owner {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return &owner{int(stat.Uid), int(stat.Gid)}
	}
	return nil
}

// OwnerOf tells whose a file is: the numbers of its user and its group.
func OwnerOf(info fs.FileInfo) (user, group int) {
	if of := ownerOf(info); of != nil {
		return of.User, of.Group
	}
	return os.Geteuid(), os.Getegid()
}

// ownedByUser reports whether a file is of the user this process acts for.
func ownedByUser(info fs.FileInfo) bool {
	of := ownerOf(info)
	return of == nil || of.User == os.Geteuid()
}

// folderOwner tells whose a new file in dir is to be: where root works in the
// folder of somebody else (in a container, by sudo), theirs; else nil, for whose
// the system makes it.
func folderOwner(dir string) *owner {
	info, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 || ownedByUser(info) {
		return nil
	}
	return ownerOf(info)
}

// giveTo makes a file somebody's, if it is not yet.
func giveTo(file *os.File, to *owner) error {
	info, err := file.Stat()
	if err != nil || to == nil {
		return err
	}
	if now := ownerOf(info); now == nil || *now == *to {
		return nil
	}
	return file.Chown(to.User, to.Group)
}
