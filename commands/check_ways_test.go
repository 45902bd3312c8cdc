package commands

import (
	"bytes"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// What extract cannot move is not said to be moved by it: the kinds of places are
// those that formation.Pieces refuses.
func TestSwappable(t *testing.T) {
	key := "gh" + "p_" + strings.Repeat("aB3dE5gH7k", 4)[:36]
	for name, c := range map[string]struct {
		path, text string
		want       bool
	}{
		"a value":                 {"agents/a.afs", "schema: \"1.0.0\"\ntoken: KEY\n", true},
		"in a list":               {"mcp/a.afs", "args: [\"--token\", \"KEY\"]\n", true},
		"a comment":               {"agents/a.afs", "a: 1 # KEY\n", true},
		"front matter":            {"triggers/t.md", "---\na: KEY\n---\n", true},
		"a skill":                 {"skills/s/SKILL.md", "Use KEY.\n", true},
		"a key":                   {"agents/a.afs", "KEY: 1\n", false},
		"inside of a key":         {"agents/a.afs", "? {KEY: x}\n: 1\n", false},
		"an anchor's name":        {"agents/a.afs", "a: &KEY x\nb: *KEY\n", false},
		"a tag":                   {"agents/a.afs", "a: !KEY x\n", false},
		"behind the front matter": {"triggers/t.md", "---\na: 1\n---\nKEY\n", false},
		"no front matter":         {"triggers/t.md", "KEY\n", false},
		"knowledge":               {"knowledge/k.md", "KEY\n", false},
		"broken YAML":             {"agents/a.afs", "a: [\ntoken: KEY\n", false},
	} {
		text := strings.ReplaceAll(c.text, "KEY", key)
		scanner := &scan.Scanner{IsFormation: func(dir string) bool { return dir == "." }}
		found := scanner.File(c.path, []byte(text), scan.Regular)
		if len(found) == 0 {
			t.Errorf("%s: nothing found", name)
			continue
		}
		if f := found[0]; f.Rule != scan.PlaintextKey || swappable(c.path, []byte(text), f) != c.want {
			t.Errorf("%s: %s, swappable: %v", name, f.Rule, !c.want)
		}
	}
}

// Where no formation is, no command on one is named.
func TestRemedyWithoutFormation(t *testing.T) {
	calls := remedyCalls{tells: "never", file: "x", git: func(words string) string { return words + " x" }}
	for _, f := range []scan.Finding{
		{Rule: scan.GitFiles, Path: "x", Filtered: "x"},
		{Rule: scan.VaultNotEncrypted, Path: "x", Filtered: "x"},
		{Rule: scan.MissingSecret, Path: "x"},
	} {
		if said := remedy(f, calls); said != "" {
			t.Errorf("%s: %s", f.Rule, said)
		}
	}
	calls.on = program
	if said := remedy(scan.Finding{Rule: scan.VaultNotEncrypted, Path: "x", Filtered: "x"}, calls); !strings.Contains(said, "never") {
		t.Errorf("with one: %s", said)
	}
}

func TestClaimed(t *testing.T) {
	commit := &gitutil.LogEntry{Hash: strings.Repeat("ab", 20)}
	if got := claimed(commit); got != "commit ababababab" {
		t.Errorf("without a name: %s", got)
	}
	commit.Author = "Ann"
	if got := claimed(commit); got != "commit ababababab, which says it is by Ann" {
		t.Errorf("with one: %s", got)
	}
}

// What a key command prints is taken up to what any key may have, and no more of it.
func TestLimitedWriter(t *testing.T) {
	var taken bytes.Buffer
	w := &limitedWriter{&taken, 4}
	for _, part := range []string{"ab", "", "cd"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("%q: %d, %v", part, n, err)
		}
	}
	if _, err := w.Write([]byte("e")); err == nil || taken.String() != "abcd" {
		t.Errorf("%q, %v", taken.String(), err)
	}
}
