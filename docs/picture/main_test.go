//go:build unix

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// TestPictureIsWhatIsSeen: the lines of session.svg are those that the session shows
// today.
func TestPictureIsWhatIsSeen(t *testing.T) {
	if testing.Short() {
		t.Skip("it has the session run, and -short is given")
	}
	for _, tool := range []string{"bash", "git"} {
		needs.Program(t, tool)
	}
	screen, err := session("session.sh", filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(screen, "")
	seen := strings.Split(strings.TrimRight(plain, "\n"), "\n")
	if drawn := linesOf(t, "session.svg"); !slices.Equal(drawn, seen) {
		t.Errorf("docs/picture/session.svg is out of date: 'make picture' makes it again. It shows\n%s\n\nand today's session is\n%s", strings.Join(drawn, "\n"), strings.Join(seen, "\n"))
	}
	for _, value := range []string{"a-value-that-nobody-sees", "sk-the-"} {
		if strings.Contains(screen, value) {
			t.Error("the session shows a value")
		}
	}
	if n := len(seen); n > 45 {
		t.Errorf("%d lines are no picture", n)
	}
	if !strings.Contains(screen, "\x1b[31m") {
		t.Error("the session has no colour")
	}
}

// linesOf reads the text of a picture, a line for each <text>.
func linesOf(t *testing.T, file string) []string {
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(content) > 32<<10 || bytes.Contains(content, []byte("base64")) {
		t.Errorf("%s has %d bytes: is there a font in it?", file, len(content))
	}
	var lines []string
	decoder := xml.NewDecoder(bytes.NewReader(content))
	inText := false
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "text" {
				inText = true
				lines = append(lines, "")
			}
		case xml.EndElement:
			inText = inText && token.Name.Local != "text"
		case xml.CharData:
			if inText {
				lines[len(lines)-1] += string(token)
			}
		}
	}
	return lines
}

func TestWrap(t *testing.T) {
	word := strings.Repeat("x", columns-10)
	for _, test := range []struct {
		line string
		want []string
	}{
		{"", []string{""}},
		{"short", []string{"short"}},
		{word + " 23456789 ", []string{word + " 23456789 "}},
		{word + " 12345 \x1b[31mlonger words\x1b[m", []string{word + " 12345", "    \x1b[31mlonger words\x1b[m"}},
		{strings.Repeat("y", columns+1), []string{strings.Repeat("y", columns), "    y"}},
	} {
		if got := wrap(test.line); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.line, got, test.want)
		}
	}
}

func TestTidy(t *testing.T) {
	if got, want := tidy("\x1b[?2004hasked: \x1b[?2004l\r\nprogress\rdone \x1b[31mred\x1b[m\r\n"), "asked:\ndone \x1b[31mred\x1b[m\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
