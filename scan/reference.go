package scan

import (
	"bytes"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// urls finds URLs with a password or a key in their query. It is asked about a
// formation's files only: elsewhere such URLs are mostly examples.
func urls(text []byte) (hits []hit) {
	for at := 0; ; {
		start, end, ok := leakyURL(text, at)
		if !ok || len(hits) >= maxHits {
			return hits
		}
		hits = append(hits, hit{rule: PlaintextKey, start: start, end: end, field: start, place: variable(text, start), message: "a password in a URL"})
		at = end
	}
}

// maxReferenceWork bounds the references in a file times its size in bytes: the
// search for them may look at the file once for each. Files of people stay far
// below; beyond it only a warning is lost.
const maxReferenceWork = 1 << 28

// malformed finds what was meant as a reference and would reach a provider as it
// stands. file is the path below the formation's folder: where a reference stands
// decides what it may look like.
func malformed(file string, text []byte) (hits []hit) {
	if len(text) > maxYAML || bytes.Count(text, []byte("${{"))*len(text) > maxReferenceWork || plainReferences(text) ||
		formation.IsYAMLName(file) && deepYAML(text) {
		return nil
	}
	lines := newYAMLLines(text)
	found := formation.ReferencesIn(file, text)
	for _, m := range found.Unreplaced() {
		start := lines.offset(m.Line, m.Column)
		hits = append(hits, hit{rule: MalformedReference, start: start, end: min(start+1, len(text)), field: start, place: variable(text, start), message: "no reference: " + m.Reason})
	}
	return hits
}

// plainReferences reports whether every ${{ in text is spelled exactly as the
// runtime wants it and stands in no key. Most files are like that, and need no
// second look.
func plainReferences(text []byte) bool {
	if bytes.Contains(text, []byte(`\x`)) || bytes.Contains(text, []byte(`\u`)) || bytes.Contains(text, []byte(`\U`)) {
		return false
	}

	for {
		_, rest, ok := bytes.Cut(text, []byte("${{"))
		if !ok {
			return true
		}
		text = rest
		rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " "), []byte("secrets."))
		if !ok {
			return false
		}
		name := 0
		for name < len(rest) && (is(rest[name], isUpper|isDigit) || rest[name] == '_') {
			name++
		}

		rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest[name:], " "), []byte("}}"))
		if !ok || name == 0 {
			return false
		}
		rest = bytes.TrimLeft(rest[:lineLength(rest)], "\"' ")
		if len(rest) > 0 && rest[0] == ':' {
			return false
		}
	}
}

// nearReferences finds what no tool reads as MUXI's reference, and a person meant as
// one: {{ secrets.X }} and ${ secrets.X } of other tools, a ${{ that nothing closes, a
// sign between the $ and its braces.
func nearReferences(text []byte) (hits []hit) {
	for at := 0; ; {
		next := bytes.Index(text[at:], []byte("secrets."))
		if next < 0 || len(hits) >= maxHits {
			return hits
		}
		at += next
		start, live, ok := opening(text, at)
		at += len("secrets.")
		message := "the runtime wants ${{ secrets.NAME }}"
		if live {
			message = "no }} closes it"
			ok = leftOpen(text[at:])
		}
		if !ok {
			continue
		}
		line := text[bytes.LastIndexByte(text[:start], '\n')+1 : start]
		if !opensComment(string(line)) && !bytes.HasSuffix(line, []byte("$")) {
			hits = append(hits, hit{rule: MalformedReference, start: start, end: at, field: start, place: variable(text, start), message: "no reference: " + message})
		}
	}
}

// opening returns where what looks like the beginning of a reference begins that ends
// before text[end], and whether it is spelled ${{, as the runtime wants it.
func opening(text []byte, end int) (start int, live, ok bool) {
	blank := func(i int) int {
		for i > 0 && (text[i-1] == ' ' || text[i-1] == '\t') {
			i--
		}
		return i
	}
	start = end
	at, braces := blank(end), 0
	for braces < 2 && at > 0 && text[at-1] == '{' {
		braces++
		start = at - 1
		at = blank(start)
	}
	if at > 0 && text[at-1] == '(' {
		at = blank(at - 1)
	}
	if braces > 0 && at > 0 && text[at-1] == '$' {
		start = at - 1
		return start, bytes.HasPrefix(text[start:], []byte("${{")), true
	}
	return start, false, bytes.HasPrefix(text[start:end], []byte("{{")) // { { is a map in a map
}

// leftOpen reports whether a name stands here that no }} follows. Where one does, what
// stands between is the formation's to judge.
func leftOpen(rest []byte) bool {
	end := span(rest, 0, isToken)
	if end == 0 {
		return false
	}
	rest, _, _ = bytes.Cut(rest[end:], []byte("${{"))
	line := bytes.TrimLeft(rest[:lineLength(rest)], " \t")
	if len(line) > 0 && strings.IndexByte("}\"'", line[0]) >= 0 {
		rest = line // the value ends here, whatever the next ones hold
	}
	return !bytes.Contains(rest, []byte("}}"))
}
