//go:build !windows

package commands

import "os"

// takesEscapes reports whether a terminal does what escape sequences say.
func takesEscapes(*os.File) bool { return true }
