package safefile

import "golang.org/x/sys/unix"

// inMemory reports whether a folder's files are in memory alone.
func inMemory(dir string) bool {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return false
	}
	return disk.Type == unix.TMPFS_MAGIC || disk.Type == unix.RAMFS_MAGIC
}

// MemoryFolders are those that everybody has, in memory.
func MemoryFolders() []string { return []string{"/dev/shm"} }
