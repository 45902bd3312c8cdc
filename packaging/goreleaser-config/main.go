// goreleaser-config reads GoReleaser configuration files with GoReleaser's own
// model of them, and fails on a field that it does not know.
//
// It is the part of 'goreleaser check' that can be had in seconds: the program
// itself draws in every cloud's SDK. It is a module of its own, so that none of
// that is in this project's go.mod.
package main

import (
	"fmt"
	"os"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
)

func main() {
	for _, file := range os.Args[1:] {
		if _, err := config.Load(file); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			os.Exit(1)
		}
	}
}
