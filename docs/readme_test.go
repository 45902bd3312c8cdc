package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README is for strangers: they read two screens.
func TestReadmeIsShort(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(content), "\n"); lines > 150 {
		t.Errorf("%d lines; what is over 150 belongs into the guide", lines)
	}
}

// What the documents link to in the sources is there.
func TestLinksLeadSomewhere(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../*.md", "*.md", "../.github/*.md", "../.github/*/*"} {
		found, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	links := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`\]\(([^)#\s]+)`).FindAllStringSubmatch(string(content), -1) {
			if strings.Contains(found[1], ":") {
				continue // of the web
			}
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), filepath.FromSlash(found[1]))); err != nil {
				t.Errorf("%s links to %s, which is not there", file, found[1])
			}
		}
	}
	if links < 10 {
		t.Errorf("only %d links were looked at", links)
	}
}
