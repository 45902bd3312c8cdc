package commands

import (
	"os"

	"golang.org/x/sys/windows"
)

// takesEscapes has a console do what escape sequences say, which it does not by
// itself, and reports whether it will.
func takesEscapes(f *os.File) bool {
	var mode uint32
	handle := windows.Handle(f.Fd())
	if windows.GetConsoleMode(handle, &mode) != nil {
		return true // no console: a file, a pipe, or the terminal of MSYS
	}
	return windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
