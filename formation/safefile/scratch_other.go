//go:build !linux

package safefile

func inMemory(string) bool { return false }

// MemoryFolders are those that everybody has, in memory: no system but Linux has one.
func MemoryFolders() []string { return nil }
