package commands

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// What others wrote - names of files, secrets and people, subjects of commits -
// is printed so that it steers nobody who reads it: no terminal, and no runner of
// a pipeline, which obeys lines of its log.

// sanitize makes text fit to stand anywhere in a line. A key that lost its way into
// it, as the name of a file that there is not, is masked.
func sanitize(text string) string {
	text = strings.Map(func(r rune) rune {
		if steers(r) && r != '\t' {
			return '\ufffd'
		}
		return r
	}, formation.HideKeys(text))
	var b strings.Builder
	for at := workflowCommand(text); at >= 0; at = workflowCommand(text) {
		b.WriteString(text[:at] + "\ufffd")
		text = text[at+1:]
	}
	return b.String() + text
}

// showPath quotes a path as git does where printing it raw could deceive: with
// control characters, quotes, bytes that are no text, or a command to a runner.
func showPath(path string) string {
	if utf8.ValidString(path) && !strings.ContainsAny(path, `"\`) && !strings.ContainsFunc(path, steers) && workflowCommand(path) < 0 {
		return path
	}
	return strings.ReplaceAll(strconv.QuoteToASCII(path), "##", `#\x23`)
}

// steers reports whether a character would steer a terminal, or turn the order of
// what stands around it.
func steers(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// workflowCommand returns the offset of a character without which text holds one
// command less to a runner, or -1: GitHub's and its descendants' take a line that
// begins with :: for one, behind blanks too; GitHub's older form and that of Azure
// Pipelines count anywhere in a line.
func workflowCommand(text string) int {
	if line := strings.TrimLeftFunc(text, unicode.IsSpace); strings.HasPrefix(line, "::") {
		return len(text) - len(line)
	}
	for at := 0; ; at++ {
		next := strings.Index(text[at:], "##")
		if next < 0 {
			return -1
		}
		at += next
		rest := text[at+len("##"):]
		if strings.HasPrefix(rest, "[") || len(rest) >= 4 && strings.EqualFold(rest[:4], "vso[") {
			return at
		}
	}
}
