// Lines counts the lines of production code, room by room:
//
//	go run ./testdata/lines              # the tree it is run in
//	go run ./testdata/lines FOLDER       # another one
//	go run ./testdata/lines -longest 10  # and names the longest functions
//
// A line counts that holds any part of a token: no blank one, no comment. Tests
// and what only tests use, the programs that make documents and packages, and
// testdata are left out.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// besides are the folders, from the top, that hold no production code.
var besides = []string{".git", "crypto/cryptotest", "docs", "formation/formationtest", "gitutil/gittest", "internal/needs", "internal/ramdisk", "internal/typist", "packaging", "scan/scantest", "testdata"}

func main() {
	longest := flag.Int("longest", 0, "so many of the longest functions, too")
	flag.Parse()
	top := "."
	if flag.NArg() > 0 {
		top = flag.Arg(0)
	}
	rooms, functions, err := count(top)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lines:", err)
		os.Exit(1)
	}

	total := 0
	for _, room := range slices.Sorted(maps.Keys(rooms)) {
		fmt.Printf("%7d  %s\n", rooms[room], room)
		total += rooms[room]
	}
	fmt.Printf("%7d  in all\n", total)

	slices.SortStableFunc(functions, func(a, b function) int { return b.lines - a.lines })
	for _, f := range functions[:min(*longest, len(functions))] {
		fmt.Printf("%7d  %s\n", f.lines, f.name)
	}
}

// function is one with the lines from its first to its last, blank ones too.
type function struct {
	name  string // FILE:LINE NAME
	lines int
}

func functionsOf(name string, source []byte) ([]function, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []function
	for _, declared := range file.Decls {
		if f, ok := declared.(*ast.FuncDecl); ok {
			first, last := files.Position(f.Pos()), files.Position(f.End())
			found = append(found, function{fmt.Sprintf("%s:%d %s", name, first.Line, f.Name), last.Line - first.Line + 1})
		}
	}
	return found, nil
}

// count returns the lines of code by room, the folder of a package, and all
// functions.
func count(top string) (map[string]int, []function, error) {
	rooms := map[string]int{}
	var functions []function
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			if slices.Contains(besides, name) || entry.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rooms[filepath.ToSlash(filepath.Dir(name))] += linesOf(source)
		inFile, err := functionsOf(name, source)
		functions = append(functions, inFile...)
		return err
	})
	return rooms, functions, err
}

// linesOf counts the lines of a Go file that hold code.
func linesOf(source []byte) int {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, 0) // comments are no tokens

	lines := map[int]bool{}
	for {
		at, kind, text := s.Scan()
		if kind == token.EOF {
			return len(lines)
		}
		if kind == token.SEMICOLON && text == "\n" {
			continue // a line's end
		}
		first := file.Line(at)
		lines[first] = true
		for i, part := range bytes.Split([]byte(text), []byte("\n")) { // a raw string
			if i > 0 && len(bytes.TrimSpace(part)) > 0 {
				lines[first+i] = true
			}
		}
	}
}
