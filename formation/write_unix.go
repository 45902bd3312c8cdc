//go:build unix

package formation

import (
	"io/fs"
	"os"
)

const onWindows = false

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

// ReadableByOthers reports whether group or others may read a file.
func ReadableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o044 != 0 }

// Executable reports whether somebody may run a file.
func Executable(info fs.FileInfo) bool { return info.Mode().Perm()&0o111 != 0 }
