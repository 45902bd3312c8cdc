//go:build !linux

package ramdisk

func folder() string { return "" }
