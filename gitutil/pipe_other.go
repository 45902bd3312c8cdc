//go:build !linux

package gitutil

import "os"

func widenPipe(*os.File) {}
