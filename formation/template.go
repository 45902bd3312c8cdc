package formation

import (
	"bytes"
	"slices"
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
	text string // without the line's ending; of a value of several lines all of them
	at   int    // the line of the file, 1-based; 0 for one that is new
	keep bool   // it has a value that stands nowhere else: it stays as it is
}

// ParseTemplate reads a template as the runtime does: # and blank lines are
// skipped, a line splits at its first =. It accepts any bytes.
func ParseTemplate(content []byte) *Template {
	t := &Template{crlf: bytes.Contains(content, []byte("\r\n"))}
	lines := strings.Split(string(content), "\n")
	for i, line := range lines {
		// A BOM stands on top, or where files were joined.
		lines[i] = strings.TrimRight(strings.TrimLeft(line, "\ufeff"), "\r")
	}
	for i := 0; i < len(lines); i++ {
		name, value, named := cutTemplateLine(lines[i])
		from := i
		if named {
			i = blockEnd(lines, i, value)
		}
		t.lines = append(t.lines, templateLine{name: name, text: strings.Join(lines[from:i+1], "\n"), at: from + 1})
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
	if assigned {
		spelled = withoutExport(spelled)
	}
	name = Normalize(spelled)
	if !assigned && name != trimmed {
		return "", "", false // some text, perhaps a key that lost its name: no name
	}
	return name, strings.TrimSpace(value), name != ""
}

// isHint reports whether a template line's value is a person's placeholder:
// as it is, in quotes, or with a comment behind it (NAME="sk-..."  # from ...).
func isHint(value string) bool {
	if strings.Contains(value, "\n") {
		return false
	}
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
			t.lines[i].name, t.lines[i].text = to, to+"="+value
		}
	}
}

// Empty takes the value off a line, 1-based, whose name stays.
func (t *Template) Empty(line int) {
	i := t.lineAt(line)
	if i < 0 || t.lines[i].name == "" {
		return
	}
	name := t.lines[i].name
	t.lines[i].text = name + "="
}

// Value is a real value in a template, where only placeholders belong.
type Value struct {
	Name  string // "" for a text that has none
	Line  int    // 1-based
	Lines int    // how many it takes
}

// Values returns the lines that hold a value which is no placeholder, and those
// that are no NAME= at all. The value itself stays where it is.
func (t *Template) Values() []Value {
	var found []Value
	for _, line := range t.lines {
		name, value, ok := cutTemplateLine(line.text)
		if ok && !isHint(value) || isStray(line) {
			found = append(found, Value{name, line.at, strings.Count(line.text, "\n") + 1})
		}
	}
	return found
}

// Typed returns the real values in the template as a .env file has them: somebody
// took it for one. A line that cannot be read like that is left out, and so is a
// value of several lines.
func (t *Template) Typed() []Assignment {
	var typed []Assignment
	for _, v := range t.Values() {
		i := t.lineAt(v.Line)
		if v.Name == "" || !t.isWhole(i) {
			continue
		}
		text := strings.TrimSpace(t.lines[i].text)
		if one, err := ParseDotenv([]byte(text)); err == nil && len(one) == 1 {
			typed = append(typed, Assignment{Name: v.Name, Value: one[0].Value, Line: v.Line})
		}
	}
	return typed
}

// Untyped are the values that Typed leaves out.
func (t *Template) Untyped() []Value {
	typed := map[int]bool{}
	for _, a := range t.Typed() {
		typed[a.Line] = true
	}
	return slices.DeleteFunc(t.Values(), func(v Value) bool { return typed[v.Line] })
}

// keepTyped has lines with a real value stay as they are, but for those whose
// value is stored under their name.
func (t *Template) keepTyped(vault *Vault) {
	stored := map[int]bool{}
	for _, a := range t.Typed() {
		if vault == nil {
			break
		}
		name, _ := vault.Find(a.Name)
		value, ok, err := vault.Get(name)
		stored[a.Line] = ok && err == nil && value == a.Value
	}
	for _, v := range t.Values() {
		t.lines[t.lineAt(v.Line)].keep = !stored[v.Line]
	}
}

// With returns the template's bytes for exactly these names (in any order),
// or nil when there are none: an absent file is the empty template. Lines
// that are names and nothing else come out sorted, byte for byte as the MUXI
// runtime writes them. Where a person wrote comments, their lines stay in
// their order and new names are put in by the alphabet. A placeholder is kept, and
// so is a line that keepTyped marked; any other real value is dropped, and what
// git marks a conflict with goes.
func (t *Template) With(names []string) []byte {
	want := map[string]bool{}
	for _, name := range names {
		want[name] = true
	}

	if len(want) == 0 && !slices.ContainsFunc(t.lines, func(line templateLine) bool { return line.keep }) {
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

		if line.keep {
			delete(want, line.name)
			lines = append(lines, line)
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
		lines = append(lines, templateLine{name: line.name, text: line.name + "=" + value})
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
			lines = append(lines, templateLine{name: name, text: name + "="})
		}

		sort.SliceStable(lines, func(i, j int) bool { return lines[i].name < lines[j].name })
	}

	ending := "\n"
	if t.crlf {
		ending = "\r\n"
	}

	var b bytes.Buffer
	for _, line := range lines {
		b.WriteString(strings.ReplaceAll(line.text, "\n", ending))
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
	for at > 0 && at < len(lines) && isStray(lines[at]) {
		at++ // what may be the rest of a value stays below it
	}
	lines = append(lines, templateLine{})
	copy(lines[at+1:], lines[at:])
	lines[at] = templateLine{name: name, text: name + "="}
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
