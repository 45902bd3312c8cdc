package tty

import (
	"os"
	"syscall"
)

// terminating: Ctrl-Break, and closing the window.
func terminating() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

func continued() []os.Signal { return nil }

func stop(<-chan os.Signal) {}
