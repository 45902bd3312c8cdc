//go:build unix

package gitutil

import (
	"errors"
	"io/fs"
	"syscall"
)

// openNoFollow: between Lstat and open a file may be replaced by a link, or by
// a pipe that nobody writes to.
const openNoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// isMissing: ENOTDIR is a tracked file whose folder is a file now.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
