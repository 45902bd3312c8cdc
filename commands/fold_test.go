package commands

import (
	"bytes"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/scan"
)

func TestFold(t *testing.T) {
	to := &stickyWriter{Writer: &bytes.Buffer{}, width: 40, colours: true}
	for _, line := range []string{
		"short", "git muxi-secrets: hint: " + strings.Repeat("word ", 30), paint(to, red, "error:") + strings.Repeat(" painted", 12), strings.Repeat("x", 100), "  indented " + strings.Repeat("é ", 60),
		"it's a word's end " + strings.Repeat("a ", 40), "(say 'git muxi-secrets -C formations/a add NAME' there or 'git a b' here and there and here",
	} {
		folded := fold(to, line)
		for i, part := range strings.Split(folded, "\n") {
			if textWidth(unpainted(part)) > 40 && strings.Contains(strings.TrimSpace(unpainted(part)), " ") && !strings.Contains(part, "'") {
				t.Errorf("%q is too wide", part)
			}
			if i > 0 && !strings.HasPrefix(part, hanging) {
				t.Errorf("%q does not hang", part)
			}
		}
		if got := strings.ReplaceAll(folded, "\n"+hanging, " "); got != line {
			t.Errorf("%q became %q", line, got)
		}
		if plain := (&stickyWriter{Writer: &bytes.Buffer{}}); fold(plain, line) != line || fold(&bytes.Buffer{}, line) != line {
			t.Error("folded where nobody looks")
		}
	}
	command := "'git muxi-secrets -C a add NAME'"
	if got := fold(to, "store the value with "+command+" and be done"); !strings.Contains(got, command) {
		t.Errorf("a command is broken: %q", got)
	}
}

// Thirty findings fit a screen: those of a file stand together, and what says the
// same is said once.
func TestReportText(t *testing.T) {
	var found []scan.Finding
	for i := range 30 {
		f := scan.Finding{Rule: scan.KnownSecret, Severity: scan.Error, Path: []string{"a.txt", "b/c.py"}[i%2], Line: i + 1, Column: 3, Message: "the value of A"}
		found = append(found, f)
	}
	var piped, screen bytes.Buffer
	if err := reportText(&piped, found); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(piped.String()), "\n")
	if len(lines) != 30 || lines[0] != "a.txt:1:3: error: the value of A [known-secret]" || !strings.HasPrefix(lines[14], "a.txt:29:3: ") || !strings.HasPrefix(lines[15], "b/c.py:2:3: ") {
		t.Errorf("%d lines\n%s", len(lines), piped.String())
	}
	if err := reportText(&stickyWriter{Writer: &screen, width: 80}, found); err != nil {
		t.Fatal(err)
	}
	want := "a.txt:1:3: error: the value of A [known-secret], also at 3:3, 5:3, 7:3, 9:3,\n    11:3, 13:3, 15:3, 17:3 and 6 more\n"
	if got := screen.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 4 {
		t.Errorf("%q", got)
	}
}
