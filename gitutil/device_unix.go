//go:build unix

package gitutil

import (
	"os"
	"syscall"
)

// sameDevice tells whether two folders are on one file system. Git does not
// walk up over a mount point unless told to.
func sameDevice(a, b string) bool {
	sa, errA := os.Stat(a)
	sb, errB := os.Stat(b)
	if errA != nil || errB != nil {
		return true
	}
	da, okA := sa.Sys().(*syscall.Stat_t)
	db, okB := sb.Sys().(*syscall.Stat_t)
	return !okA || !okB || da.Dev == db.Dev
}
