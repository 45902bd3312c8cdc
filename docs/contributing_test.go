package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What CONTRIBUTING.md names is there: files, and tests and fuzz targets.
func TestContributingNamesWhatExists(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)

	var tests strings.Builder
	err = filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			source, err := os.ReadFile(path)
			tests.Write(source)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(text, -1)
	if len(named) < 4 {
		t.Errorf("only %q are named", named)
	}
	for _, name := range named {
		if !strings.Contains(tests.String(), "\nfunc "+name+"(") {
			t.Errorf("there is no %s", name)
		}
	}

	for _, found := range regexp.MustCompile("(?:^|[ `(./])((?:\\.ci|commands|crypto|docs|gitutil|testdata)/[\\w./-]*\\w)").FindAllStringSubmatch(text, -1) {
		if name := found[1]; !strings.Contains(name, "NAME") && !strings.Contains(name, "COMMAND") {
			if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(name))); err != nil {
				t.Errorf("there is no %s", name)
			}
		}
	}
}
