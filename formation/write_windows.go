package formation

import "io/fs"

// onWindows: there are no modes beyond read-only (a new file takes its folder's access
// list), and its renames are journaled by NTFS: a folder cannot be synced.
// os.Rename replaces an existing file there too (MoveFileEx), unless another
// program holds it open without sharing; the write then fails and the old file
// stays.
const onWindows = true

func syncDir(string) {}

// ReadableByOthers is not known on Windows, whose access lists Go does not
// show: a file there is as private as the folder it was made in.
func ReadableByOthers(fs.FileInfo) bool { return false }

// Executable is true on Windows, where git judges a hook by its first line.
func Executable(fs.FileInfo) bool { return true }
