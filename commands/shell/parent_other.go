//go:build !windows

package shell

// Parent is the kind of shell that this process was started from.
func Parent() Kind { return POSIX }
