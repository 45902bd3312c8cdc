package shell

import (
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// process is one that runs.
type process struct {
	parent uint32
	name   string // of its file, in lower case, without .exe
}

// Parent is the kind of shell that this process was started from, by way of git or
// not. Where none is found, it is PowerShell: what Windows' own terminal opens.
func Parent() Kind {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return PowerShell
	}
	defer windows.CloseHandle(snapshot)

	running := map[uint32]process{}
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		name := strings.ToLower(windows.UTF16ToString(entry.ExeFile[:]))
		running[entry.ProcessID] = process{entry.ParentProcessID, strings.TrimSuffix(name, ".exe")}
	}

	var above []string
	at := running[uint32(os.Getpid())].parent
	for range 16 { // a number can come to belong to another process: no end is promised
		p, ok := running[at]
		if !ok {
			break
		}
		above, at = append(above, p.name), p.parent
	}
	return typedIn(above)
}
