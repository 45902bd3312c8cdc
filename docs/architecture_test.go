package docs_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/muxi-ai/git-muxi-secrets"

// arrow is an import of one room by another; rooms are folders from the top,
// and the top itself is main.
type arrow struct{ from, to string }

// imports reads the arrows of the code, for every system, tests and what only
// tests and documents use left out.
func imports(t *testing.T) map[arrow]bool {
	t.Helper()
	all := map[arrow]bool{}
	skip := []string{".git", "crypto/cryptotest", "docs/generate", "docs/picture", "formation/formationtest", "gitutil/gittest", "internal", "packaging", "scan/scantest", "testdata"}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "../")
		if entry.IsDir() {
			if slices.Contains(skip, name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		from := filepath.ToSlash(filepath.Dir(name))
		if from == "." {
			from = "main"
		}
		for _, spec := range file.Imports {
			if to, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"/"); ours && to != "internal/trace" {
				all[arrow{from, to}] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d arrows were found", len(all))
	}
	return all
}

func page(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// The order of the rooms, as the page has it, is that of the code.
func TestImportsRunDownwards(t *testing.T) {
	line := regexp.MustCompile(`Imports run downwards only: (.*)\.`).FindString(page(t))
	var order []string
	for _, room := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(line, -1) {
		order = append(order, room[1])
	}
	if len(order) < 7 {
		t.Fatalf("the page names the rooms %q", order)
	}
	for a := range imports(t) {
		from, to := hall(a.from), hall(a.to)
		switch {
		case from == to || to == "docs":
		case from == "crypto" || from == "gitutil":
			t.Errorf("%s imports %s: it knows no room", a.from, a.to)
		case slices.Index(order, from) < 0 || slices.Index(order, from) >= slices.Index(order, to):
			t.Errorf("%s imports %s, which is not below it", a.from, a.to)
		}
	}
}

// hall is the first folder of a room.
func hall(room string) string {
	first, _, _ := strings.Cut(room, "/")
	return first
}

// The arrows of each picture are those of the code between the rooms in it.
func TestPicturesShowTheArrows(t *testing.T) {
	pictures := strings.Split(page(t), "```mermaid\n")[1:]
	if len(pictures) != 2 {
		t.Fatalf("%d pictures", len(pictures))
	}
	for i, as := range []func(string) string{hall, func(room string) string { return room }} {
		picture, _, _ := strings.Cut(pictures[i], "```")
		drawn := map[arrow]bool{}
		for _, found := range regexp.MustCompile(`([\w/]+) --> ([\w/]+)`).FindAllStringSubmatch(picture, -1) {
			drawn[arrow{found[1], found[2]}] = true
		}
		real := map[arrow]bool{}
		for a := range imports(t) {
			from, to := as(a.from), as(a.to)
			if i == 0 && from != to || i == 1 && hall(from) == "hooks" && hall(to) == "hooks" {
				real[arrow{from, to}] = true
			}
		}
		for a := range maps.Keys(real) {
			if !drawn[a] {
				t.Errorf("picture %d lacks %s --> %s", i+1, a.from, a.to)
			}
		}
		for a := range maps.Keys(drawn) {
			if !real[a] {
				t.Errorf("picture %d has %s --> %s, which the code has not", i+1, a.from, a.to)
			}
		}
	}
}

// Every room of the code has a row in the table.
func TestEveryRoomIsNamed(t *testing.T) {
	text := page(t)
	for a := range imports(t) {
		if !strings.Contains(text, "`"+a.to+"`") {
			t.Errorf("%s is not named", a.to)
		}
	}
}
