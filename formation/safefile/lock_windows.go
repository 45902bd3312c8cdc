package safefile

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockedRange lies far behind the holder's note: a locked range cannot be read
// by others on Windows, and the note must be.
const lockedRange = 1 << 30

func tryLock(file *os.File) error {
	at := windows.Overlapped{Offset: lockedRange}
	err := windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errBusy
	}
	return err
}

func unlock(file *os.File) {
	at := windows.Overlapped{Offset: lockedRange}
	windows.UnlockFileEx(windows.Handle(file.Fd()), 0, 1, 0, &at)
}
