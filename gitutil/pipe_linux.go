package gitutil

import (
	"os"
	"syscall"
)

// widenPipe lets git run further ahead than the 64 KiB a pipe holds by default.
// An unprivileged process may ask for this much (pipe(7)); nothing depends on it.
func widenPipe(f *os.File) {
	const setPipeSize, size = 1031, 1 << 20
	syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), setPipeSize, size)
}
