package commands_test

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// obeyModes takes from root, for the program that this process becomes, the
// right to read and write whatever the modes say.
func obeyModes() error {
	// Both this and the exec that follows are this thread's.
	runtime.LockOSThread()
	for _, capability := range [...]uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER} {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
			return err
		}
	}
	return nil
}
