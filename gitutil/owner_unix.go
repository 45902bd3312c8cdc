//go:build unix

package gitutil

import (
	"os"
	"strconv"
	"syscall"
)

// ownedByUser tells whether a path (a link itself, not what it leads to) is the
// user's own. For root, that is also who called sudo.
func ownedByUser(path string, getenv func(string) string) bool {
	info, err := os.Lstat(path)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	user := uint64(os.Geteuid())
	if user == 0 && stat.Uid != 0 {
		if caller, err := strconv.ParseUint(getenv("SUDO_UID"), 10, 32); err == nil {
			user = caller
		}
	}
	return uint64(stat.Uid) == user
}
