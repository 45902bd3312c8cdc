package gitutil

import (
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// A tree that is damaged is said to be, and no part of it passes for all of it.
func TestDamagedTree(t *testing.T) {
	entry := func(mode, name string) string { return mode + " " + name + "\x00" + strings.Repeat("i", 20) }
	id := plumbing.NewHash(strings.Repeat("1", 40))
	walk := func(content string) (names []string, err error) {
		err = trees(func(plumbing.Hash) ([]byte, error) { return []byte(content), nil }).walk([]plumbing.Hash{id}, "", func(string, []treeEntry) bool { return false },
			func(path string, _ []treeEntry) error {
				names = append(names, path)
				return nil
			})
		return names, err
	}

	whole := entry("100644", "a") + entry("100755", "b c") + entry("120000", "d")
	if names, err := walk(whole); err != nil || strings.Join(names, "|") != "a|b c|d" {
		t.Fatalf("%q, %v", names, err)
	}
	for _, content := range []string{
		"100644", "100644 a", "100644 a\x00", "100644 a\x00" + strings.Repeat("i", 19), "100644 \x00" + strings.Repeat("i", 20),
		"x " + "a\x00" + strings.Repeat("i", 20), "\x00" + strings.Repeat("i", 30), whole + "1", whole + "100644 e\x00i",
	} {
		if names, err := walk(content); err == nil || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(err.Error(), id.String()) {
			t.Errorf("%q: %q, %v", content, names, err)
		}
	}
}
