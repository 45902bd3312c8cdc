//go:build unix

package commands_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/commands"
)

// TestHelpGroups: -h has every command once, in the groups and the order of the man
// page.
func TestHelpGroups(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "man", "git-muxi-secrets.1.md"))
	must(t, err)
	_, list, _ := strings.Cut(string(page), "## COMMANDS\n")
	list, _, _ = strings.Cut(list, "\n## ")
	var want []string
	for _, found := range regexp.MustCompile(`(?m)^([A-Za-z' ]+:)$|\*\*git-muxi-secrets-([a-z-]+)\*\*`).FindAllStringSubmatch(list, -1) {
		want = append(want, found[1]+found[2])
	}

	b := newSandbox(t, simpleExample, false)
	var got []string
	for _, found := range regexp.MustCompile(`(?m)^([A-Z][A-Za-z ]+:|git's part:)$|^   ([a-z]+) +[a-z]`).FindAllStringSubmatch(b.do("", "-h").out, -1) {
		if word := found[1] + found[2]; word != "Example:" && word != "Usage:" && word != "cd" && word != "git" {
			got = append(got, word)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("-h has\n%q\nthe page\n%q", got, want)
	}
	for _, d := range commands.Describe() {
		if !slices.Contains(got, d.Words[0]) && !slices.Contains([]string{"hook-run", "textconv", "complete", "merge-vault", "merge-template", "merge-people"}, d.Words[0]) {
			t.Errorf("%s is in no group", d.Words[0])
		}
	}
}
