// Package safefile writes files so that each is the old one or the new one at
// any moment and after any crash, several together too, and keeps writers apart.
// It knows neither what is in the files nor git.
package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MaxSize bounds a file that is written or compared, in bytes: what is longer is
// no file of ours.
const MaxSize = 256 << 20

// Error says that a file could not be used.
type Error struct {
	Op   string // "read", "write", "remove", ...
	Path string // absolute
	Err  error
}

func (e *Error) Error() string {
	return fmt.Sprintf("cannot %s '%s': %s", e.Op, e.Path, e.Cause())
}
func (e *Error) Unwrap() error { return e.Err }

// Cause is why, without the path.
func (e *Error) Cause() string { return Cause(e.Err) }

// Cause strips the operation and path from an *fs.PathError or
// *os.LinkError: our messages name the file themselves, in the user's terms.
func Cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err.Error()
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err.Error()
	}
	return strings.TrimSpace(err.Error())
}

// Why a path is no file that can be read or replaced.
var (
	ErrIsFolder   = errors.New("it is a folder")
	ErrNotRegular = errors.New("it is not a regular file")
)

// TooLargeError says that a file is longer than what is read of such a file.
type TooLargeError struct{ Limit int64 } // in bytes

func (e *TooLargeError) Error() string { return fmt.Sprintf("it is longer than %d bytes", e.Limit) }

// Read reads a regular file of at most limit bytes, following links.
// Anything else (a folder, a pipe that would block) is an error.
func Read(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, ErrIsFolder
	case !info.Mode().IsRegular():
		return nil, ErrNotRegular
	case info.Size() > limit:
		return nil, &TooLargeError{limit}
	}
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(content)) > limit {
		return nil, &TooLargeError{limit}
	}
	return content, err
}

// Same reports whether two paths have one content and mode, or are links that
// lead to one place.
func Same(a, b string) bool {
	one, errOne := lookAt(a, false)
	other, errOther := lookAt(b, false)
	return errOne == nil && errOther == nil && one.is(other)
}

// modeOf returns the permissions a file has, or those it should get when it is
// made.
func modeOf(path string, fresh fs.FileMode) fs.FileMode {
	if info, err := os.Stat(path); err == nil {
		return info.Mode().Perm()
	}
	return fresh
}

// Target follows a symbolic link to the file it stands for; a path without
// one is its own target.
func Target(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return path, nil
	}
	return filepath.EvalSymlinks(path)
}

// Touch makes an empty file, and its folder, where there is none yet. It is a note
// whose loss does no harm, so it is not on the disk when this returns.
func Touch(path string) error {
	if err := MakeFolder(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(giveTo(file, folderOwner(filepath.Dir(path))), file.Close())
}

// MakePrivate makes a folder that is the user's alone, and those above it.
func MakePrivate(dir string) error { return MakeFolder(dir, 0o700) }

// MakeFolder makes a folder with these permissions, and those above it. In a
// folder of somebody else's it is theirs.
func MakeFolder(dir string, perm fs.FileMode) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := MakeFolder(above, perm); err != nil {
			return err
		}
	}

	if err := os.Mkdir(dir, perm); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil // another process made it, or what stands there is said by who uses it
		}
		return err
	}

	folder, err := os.Open(dir)
	if err == nil {
		err = errors.Join(giveTo(folder, folderOwner(above)), folder.Close())
	}
	syncDir(above)
	return err
}
