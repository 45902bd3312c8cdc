//go:build !unix

package gitutil

// sameDevice: git on Windows has no such limit either (st_dev is always 0).
func sameDevice(_, _ string) bool { return true }
