package formation

import (
	"bytes"
	"sort"
	"strings"
)

// Template is the file `secrets`: NAME= lines that tell people which secrets a
// formation needs, with the comments and placeholders they added.
type Template struct {
	lines []templateLine
	crlf  bool
}

// templateLine is one line: a name with its placeholder, or anything else.
type templateLine struct {
	name string // normalised; "" for a comment or a blank line
	text string // without the line's ending
}

// ParseTemplate reads a template as the runtime does: # and blank lines are
// skipped, a line splits at its first =. It accepts any bytes.
func ParseTemplate(content []byte) *Template {
	t := &Template{crlf: bytes.Contains(content, []byte("\r\n"))}
	for _, line := range strings.Split(string(content), "\n") {
		// A BOM stands on top, or where files were joined.
		line = strings.TrimRight(strings.TrimLeft(line, "\ufeff"), "\r")
		name, _, _ := cutTemplateLine(line)
		t.lines = append(t.lines, templateLine{name, line})
	}
	t.lines = withoutBlankEnd(t.lines)
	return t
}

// withoutBlankEnd drops the blank lines at the end.
func withoutBlankEnd(lines []templateLine) []templateLine {
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1].text) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// cutTemplateLine splits NAME=VALUE; a comment, a blank line, a line whose name
// has no letter or digit and a line that is neither an assignment nor a name
// have no name.
func cutTemplateLine(line string) (name, value string, ok bool) {
	trimmed := strings.TrimSpace(line)
	if trimmed == "" || trimmed[0] == '#' {
		return "", "", false
	}
	spelled, value, assigned := strings.Cut(trimmed, "=")
	name = Normalize(spelled)
	if !assigned && name != trimmed {
		return "", "", false // some text, perhaps a key that lost its name: no name
	}
	return name, strings.TrimSpace(value), name != ""
}

// isHint reports whether a template line's value is a person's placeholder:
// as it is, in quotes, or with a comment behind it (NAME="sk-..."  # from ...).
func isHint(value string) bool {
	if comment := strings.Index(" "+value, " # "); comment >= 0 {
		value = strings.TrimSpace((" " + value)[:comment])
	}
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	return IsPlaceholder(value)
}

// Names returns the names in the template, sorted, each once.
func (t *Template) Names() []string {
	set := map[string]bool{}
	var names []string
	for _, line := range t.lines {
		if line.name != "" && !set[line.name] {
			set[line.name] = true
			names = append(names, line.name)
		}
	}
	sort.Strings(names)
	return names
}

// Rename gives a line the new name of its secret, in its place and with its
// placeholder, unless the new name is there already.
func (t *Template) Rename(from, to string) {
	for _, line := range t.lines {
		if line.name == to {
			return
		}
	}
	for i, line := range t.lines {
		if line.name == from {
			_, value, _ := cutTemplateLine(line.text)
			t.lines[i] = templateLine{to, to + "=" + value}
		}
	}
}

// Value is a real value in a template, where only placeholders belong.
type Value struct {
	Name string
	Line int // 1-based
}

// Values returns the lines that hold a value which is no placeholder. The
// value itself stays where it is.
func (t *Template) Values() []Value {
	var found []Value
	for i, line := range t.lines {
		if name, value, ok := cutTemplateLine(line.text); ok && !isHint(value) {
			found = append(found, Value{name, i + 1})
		}
	}
	return found
}

// With returns the template's bytes for exactly these names (in any order),
// or nil when there are none: an absent file is the empty template. Lines
// that are names and nothing else come out sorted, byte for byte as the MUXI
// runtime writes them. Where a person wrote comments, their lines stay in
// their order and new names are put in by the alphabet. A real value is
// dropped, a placeholder kept; what git marks a conflict with goes.
func (t *Template) With(names []string) []byte {
	want := map[string]bool{}
	for _, name := range names {
		want[name] = true
	}
	if len(want) == 0 {
		return nil
	}
	var lines []templateLine
	for _, line := range t.lines {
		if line.name == "" {
			if !isMergeMarker(line.text) {
				lines = append(lines, line)
			}
			continue
		}
		if !want[line.name] {
			continue
		}
		delete(want, line.name) // said twice: the first line stays
		_, value, _ := cutTemplateLine(line.text)
		if !isHint(value) {
			value = ""
		}
		lines = append(lines, templateLine{line.name, line.name + "=" + value})
	}
	lines = withoutBlankEnd(lines)
	commented := false
	for _, line := range lines {
		commented = commented || line.name == ""
	}
	added := make([]string, 0, len(want))
	for name := range want {
		added = append(added, name)
	}
	sort.Strings(added)
	if commented {
		for _, name := range added {
			lines = insertName(lines, name)
		}
	} else {
		for _, name := range added {
			lines = append(lines, templateLine{name, name + "="})
		}
		sort.SliceStable(lines, func(i, j int) bool { return lines[i].name < lines[j].name })
	}
	ending := "\n"
	if t.crlf {
		ending = "\r\n"
	}
	var b bytes.Buffer
	for _, line := range lines {
		b.WriteString(line.text)
		b.WriteString(ending)
	}
	return b.Bytes()
}

// insertName puts a new name behind the last name before it in the alphabet,
// so that no comment is torn from the name below it; before the first name
// and its comment where there is none.
func insertName(lines []templateLine, name string) []templateLine {
	after, first := -1, -1
	for i, line := range lines {
		if line.name == "" {
			continue
		}
		if first < 0 {
			first = i
		}
		if line.name < name && (after < 0 || lines[after].name < line.name) {
			after = i
		}
	}
	at := len(lines)
	switch {
	case after >= 0:
		at = after + 1
	case first >= 0:
		at = aboveComment(lines, first)
	}
	lines = append(lines, templateLine{})
	copy(lines[at+1:], lines[at:])
	lines[at] = templateLine{name, name + "="}
	return lines
}

// aboveComment returns where the comment right above lines[i] starts; a
// comment that opens the file speaks of the whole file and stays on top.
func aboveComment(lines []templateLine, i int) int {
	at := i
	for at > 0 && lines[at-1].name == "" && strings.TrimSpace(lines[at-1].text) != "" {
		at--
	}
	if at == 0 {
		return i
	}
	return at
}
