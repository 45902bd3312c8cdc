package doctor

import (
	"io/fs"
	"syscall"
)

// ownerOf is whose a file is; ok is false where a container sees other owners
// than we do.
func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
