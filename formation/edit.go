package formation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// EditFormat is how a vault is written for an editor.
type EditFormat string

// The formats of an [Editing].
const (
	EditDotenv EditFormat = "dotenv" // NAME=VALUE lines
	EditYAML   EditFormat = "yaml"   // one mapping
)

// Editing is a vault as a text for an editor: what a person is shown, and what
// their changes mean for the vault that is there when they are done.
type Editing struct {
	format EditFormat
	shown  map[string]string // what the text says, by stored name
	aside  []string          // stored names that the format or the text cannot show
}

// EditError says which line of an edited text cannot be taken, and why. It never
// repeats the line.
type EditError struct {
	Line   int // 1-based; 0: none in particular
	Reason string
	First  int // the line that has the same name; 0: none
}

func (e *EditError) Error() string {
	reason := e.Reason
	if e.First > 0 {
		reason += fmt.Sprintf(", in line %d", e.First)
	}
	if e.Line == 0 {
		return reason
	}
	return fmt.Sprintf("line %d: %s", e.Line, reason)
}

// Down is the error where so many lines stand above the text.
func (e *EditError) Down(lines int) *EditError {
	down := *e
	if e.Line > 0 {
		down.Line += lines
	}
	if e.First > 0 {
		down.First += lines
	}
	return &down
}

// StartEditing begins with a vault as it is.
func StartEditing(format EditFormat, vault *Vault) *Editing {
	e := &Editing{format: format, shown: map[string]string{}}
	for _, name := range vault.Names() {
		value, _, err := vault.Get(name)
		one, errRead := e.entries([]byte(e.entry(name, value)))
		if err != nil || errRead != nil || len(one) != 1 || one[0].Spelled != name || one[0].Value != value {
			e.aside = append(e.aside, name)
			continue
		}
		e.shown[name] = value
	}
	return e
}

// Aside are the stored names that are not shown, and stay as they are.
func (e *Editing) Aside() []string { return e.aside }

// Shown is the number of stored names that are.
func (e *Editing) Shown() int { return len(e.shown) }

// Text writes the vault: in the order of the template, with its comments, and with
// its placeholders as comments. notes has, for the names that want a value, what is
// said of them. intro is a comment on top.
func (e *Editing) Text(intro []string, template *Template, notes map[string]string) []byte {
	stored := map[string][]string{} // by the name that the template has
	names := slices.Collect(maps.Keys(notes))
	for _, name := range slices.Sorted(maps.Keys(e.shown)) {
		normal := Normalize(name)
		stored[normal] = append(stored[normal], name)
		names = append(names, normal)
	}

	var b strings.Builder
	for _, line := range intro {
		b.WriteString(asComment(line))
	}
	if len(names) > 0 {
		b.WriteByte('\n')
	}
	for _, line := range ParseTemplate(template.With(names)).lines {
		_, hint, _ := cutTemplateLine(line.text)
		switch {
		case line.name == "" && strings.TrimSpace(line.text) == "":
			b.WriteByte('\n')
			continue
		case line.name == "":
			b.WriteString(asComment(line.text))
			continue
		case hint != "":
			b.WriteString(asComment(line.text))
		}
		for _, name := range stored[line.name] {
			b.WriteString(e.entry(name, e.shown[name]))
		}
		if len(stored[line.name]) == 0 {
			if note := notes[line.name]; note != "" {
				b.WriteString(asComment(note))
			}
			b.WriteString(e.unset(line.name))
		}
	}
	return []byte(b.String())
}

// asComment is a line that means nothing, to a terminal neither.
func asComment(line string) string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "#") {
		line = strings.TrimSpace("# " + line)
	}
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, line) + "\n"
}

// entry writes one secret.
func (e *Editing) entry(name, value string) string {
	switch {
	case e.format == EditYAML:
		return yamlEntry(name, value)
	case value == "":
		return e.unset(name)
	case editable(value):
		return FormatDotenv(name, value)
	}
	return formatAnsi(name, value)
}

// unset writes the line of a secret that wants a value.
func (e *Editing) unset(name string) string {
	if e.format == EditYAML {
		return yamlScalar(name) + ":\n"
	}
	return name + "=\n"
}

// entries reads a text in the format.
func (e *Editing) entries(text []byte) ([]Assignment, error) {
	if e.format == EditYAML {
		return readYAMLEntries(text)
	}
	content, err := dotenvText(text)
	if err != nil {
		return nil, err
	}
	var list []Assignment
	p := dotenvParser{text: content, line: 1, ansi: true}
	for p.at < len(p.text) {
		a, _, err := p.next()
		if err != nil {
			return nil, err
		}
		if a.Name != "" {
			list = append(list, a)
		}
	}
	return list, nil
}

// Read reads the text as a person left it, each name as it is stored. Names that
// have no value yet, and still none, are left out. The error is an *EditError.
func (e *Editing) Read(text []byte) ([]Assignment, error) {
	list, err := e.entries(text)
	if dotenv, ok := errors.AsType[*DotenvError](err); ok {
		return nil, &EditError{Line: dotenv.Line, Reason: dotenv.Reason}
	}
	if err != nil {
		return nil, err
	}

	first := map[string]int{} // the line of each name
	var kept []Assignment
	for _, a := range list {
		if _, stored := e.shown[a.Spelled]; stored {
			a.Name = a.Spelled
		}
		was, stored := e.shown[a.Name]
		switch {
		case first[a.Name] > 0:
			return nil, &EditError{a.Line, a.Name + " is there already", first[a.Name]}
		case a.Value == "" && stored && was != "":
			return nil, &EditError{Line: a.Line, Reason: a.Name + " has no value any more; to delete it, take the line out"}
		}
		first[a.Name] = a.Line
		if a.Value != "" || stored {
			kept = append(kept, a)
		}
	}
	return kept, nil
}

// EditPlan is what a text changes in a vault, by name, each sorted.
type EditPlan struct {
	Set       map[string]string
	Added     []string
	Changed   []string
	Deleted   []string
	Conflicts []string // changed in the vault, too, since the text was written
	Merged    []string // changed in the vault alone, and left as they are
}

// Empty reports whether there is nothing to do.
func (p *EditPlan) Empty() bool {
	return len(p.Added)+len(p.Changed)+len(p.Deleted)+len(p.Conflicts) == 0
}

// Plan says what the text, as [Editing.Read] reads it, changes in the vault that is
// there now: three-way, by name.
func (e *Editing) Plan(list []Assignment, now *Vault) *EditPlan {
	mine := map[string]string{}
	for _, a := range list {
		mine[a.Name] = a.Value
	}
	all := map[string]bool{}
	for _, names := range [][]string{slices.Collect(maps.Keys(e.shown)), slices.Collect(maps.Keys(mine)), now.Names()} {
		for _, name := range names {
			all[name] = true
		}
	}

	p := &EditPlan{Set: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, had := e.shown[name]
		value, has := mine[name]
		theirs, there, err := now.Get(name)
		aside := slices.Contains(e.aside, name)

		edited := had != has || was != value
		meanwhile := !aside && (there != had || theirs != was || err != nil)
		agree := has == there && value == theirs && err == nil
		switch {
		case !edited && meanwhile:
			p.Merged = append(p.Merged, name)
		case !edited, agree:
		case meanwhile:
			p.Conflicts = append(p.Conflicts, name)
		case !has:
			p.Deleted = append(p.Deleted, name)
		default:
			p.Set[name] = value
			if there {
				p.Changed = append(p.Changed, name)
			} else {
				p.Added = append(p.Added, name)
			}
		}
	}
	return p
}

// Concede takes for the names in conflict what the vault has now as what the text was
// made from: leaving the editor once more decides. It returns the lines that show
// what that is.
func (e *Editing) Concede(names []string, now *Vault) []string {
	var lines []string
	for _, name := range names {
		value, there, err := now.Get(name)
		delete(e.shown, name)
		switch {
		case err != nil:
			e.aside = append(e.aside, name)
			lines = append(lines, name+" was changed meanwhile. Yours stands below.")
		case !there:
			lines = append(lines, name+" was deleted meanwhile. Yours stands below; take it out to agree.")
		default:
			e.shown[name] = value
			lines = append(lines, name+" was changed meanwhile, to this; yours, or that it is gone, stands below:")
			lines = append(lines, strings.Split(strings.TrimSuffix(e.entry(name, value), "\n"), "\n")...)
		}
	}
	return lines
}

// noticeMark begins each line of what stands on top of a text that is offered again.
const noticeMark = "#! "

// WithNotice puts lines on top of a text, in place of those that it had, and says by
// how much its lines move down.
func WithNotice(text []byte, lines []string) (noticed []byte, by int) {
	rest := string(text)
	for strings.HasPrefix(rest, strings.TrimSpace(noticeMark)) {
		_, rest, _ = strings.Cut(rest, "\n")
		by--
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimRight(noticeMark+line, " ") + "\n")
		by++
	}
	b.WriteString(rest)
	return []byte(b.String()), by
}
