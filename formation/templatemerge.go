package formation

import (
	"maps"
	"slices"
	"strings"
)

// MergeTemplates merges two templates by name, against the one that both came
// from; nil is an absent file. A name that a side added stays; one that a side
// removed goes, unless the other gave it another placeholder. All of ours stays
// where it is but the names that go; a placeholder of theirs comes in where ours
// has none or left the base's. Comments are united: those that are new on theirs
// come in, with the name right below them or by themselves, and none of ours
// goes. Nothing else of theirs comes in, no real value above all. The result is
// as Template.With writes it, nil when no names are left.
//
// What one side only took away from a line, a comment or a placeholder, is not
// followed: the runtime and the muxi CLI write the template without them, and
// no person meant that.
func MergeTemplates(base, ours, theirs []byte) []byte {
	m := templateMerge{base: parseOnce(base), ours: parseOnce(ours), theirs: parseOnce(theirs)}
	m.hints = m.theirs.hints()
	names := m.names()
	if len(m.ours.lines) == 0 {
		// A text that is no comment may be a key that lost its name.
		m.theirs.lines = slices.DeleteFunc(m.theirs.lines, func(line templateLine) bool {
			return line.name == "" && !isComment(line) && !isBlank(line)
		})
		return m.theirs.With(names)
	}

	m.start(names)
	m.addNames(names)
	m.addCommentsOfNames()
	m.addFreeComments()
	return (&Template{lines: m.lines, crlf: m.ours.crlf}).With(names)
}

// parseOnce reads a template; of a name said twice the first line counts, as in
// With.
func parseOnce(content []byte) *Template {
	t := ParseTemplate(content)
	seen := map[string]bool{}
	t.lines = withoutBlankEnd(slices.DeleteFunc(t.lines, func(line templateLine) bool {
		again := line.name != "" && seen[line.name]
		seen[line.name] = true
		return again
	}))
	return t
}

type templateMerge struct {
	base, ours, theirs *Template
	hints              map[string]string // of theirs
	lines              []templateLine    // ours, as it becomes the result
}

// hints returns each name's placeholder, "" where there is none or a real value,
// of a template that says each name once.
func (t *Template) hints() map[string]string {
	hints := map[string]string{}
	for _, line := range t.lines {
		if line.name == "" {
			continue
		}
		_, value, _ := cutTemplateLine(line.text)
		if !isHint(value) {
			value = ""
		}
		hints[line.name] = value
	}
	return hints
}

// names merges the names, and gives ours the placeholders that only theirs has.
func (m *templateMerge) names() []string {
	base, ours, theirs := m.base.hints(), m.ours.hints(), m.hints
	keep := func(name, hint string) bool {
		was, had := base[name]
		return !had || hint != "" && hint != was
	}

	set := map[string]bool{}
	for name, hint := range ours {
		_, both := theirs[name]
		set[name] = both || keep(name, hint)
	}

	for name, hint := range theirs {
		if mine, both := ours[name]; !both {
			set[name] = keep(name, hint)
		} else if hint != "" && hint != base[name] && (mine == "" || mine == base[name]) {
			i := slices.IndexFunc(m.ours.lines, func(line templateLine) bool { return line.name == name })
			m.ours.lines[i].text = name + "=" + hint
		}
	}

	maps.DeleteFunc(set, func(_ string, kept bool) bool { return !kept })
	return slices.Sorted(maps.Keys(set))
}

// start makes the result what With makes of ours before any name is added.
func (m *templateMerge) start(names []string) {
	stay := map[string]bool{"": true}
	for _, name := range names {
		stay[name] = true
	}
	for _, line := range m.ours.lines {
		if stay[line.name] {
			m.lines = append(m.lines, line)
		}
	}
	m.lines = withoutBlankEnd(m.lines)
	if !slices.ContainsFunc(m.lines, func(line templateLine) bool { return line.name == "" }) {
		slices.SortStableFunc(m.lines, func(a, b templateLine) int { return strings.Compare(a.name, b.name) })
	}
}

// addNames puts in the names that only theirs has, by the alphabet: first those
// that bring no comment, so that none of them comes between another one and
// its comment.
func (m *templateMerge) addNames(names []string) {
	have, in := namesIn(m.lines), namesIn(m.theirs.lines)
	for _, commented := range [...]bool{false, true} {
		for _, name := range names {
			if have[name] || !in[name] {
				continue
			}
			i := indexOfName(m.theirs.lines, name)
			var come []templateLine
			above := commentAbove(m.theirs.lines, i)
			for _, line := range above {
				if m.isNew(name, line) || indexOfName(m.base.lines, name) >= 0 && !hasComment(m.ours.lines, line) {
					come = append(come, line)
				}
			}

			if commented != (len(come) > 0) {
				continue
			}
			have[name] = true
			line := templateLine{name: name, text: name + "=" + m.hints[name]}
			if len(come) == 0 {
				m.lines = insertName(m.lines, name)
				m.lines[indexOfName(m.lines, name)] = line
				continue
			}

			top := i - len(above)
			spaced := top > 0 && isBlank(m.theirs.lines[top-1]) || top == 0 && i+1 < len(m.theirs.lines) && isBlank(m.theirs.lines[i+1])
			m.insertBlock(append(come, line), spaced)
		}
	}
}

// insertBlock puts a name with its comment where insertName would put the name;
// but never between another name and a comment right above it, even at the top.
func (m *templateMerge) insertBlock(block []templateLine, spaced bool) {
	name := block[len(block)-1].name
	at := slices.IndexFunc(insertName(slices.Clone(m.lines), name), func(line templateLine) bool { return line.name == name })
	if at > 0 && at < len(m.lines) && m.lines[at].name != "" && isComment(m.lines[at-1]) {
		at++ // behind the first name, whose comment opens the file
	}
	if spaced && at < len(m.lines) && !isBlank(m.lines[at]) {
		block = append(block, templateLine{})
	}
	if spaced && at > 0 && !isBlank(m.lines[at-1]) {
		block = append([]templateLine{{}}, block...)
	}
	m.lines = slices.Insert(m.lines, at, block...)
}

// addCommentsOfNames puts the comments that theirs added above a name below
// those that ours has above it.
func (m *templateMerge) addCommentsOfNames() {
	for i, line := range m.theirs.lines {
		above := commentAbove(m.theirs.lines, i)
		if line.name == "" || len(above) == 0 {
			continue
		}
		at := indexOfName(m.lines, line.name)
		if at < 0 {
			continue // a name that goes
		}
		mine := commentAbove(m.lines, at)
		for _, comment := range above {
			if m.isNew(line.name, comment) && !hasComment(mine, comment) {
				m.lines = slices.Insert(m.lines, at, comment)
				at++
			}
		}
	}
}

// addFreeComments puts in the comments of theirs that stand above no name and
// that neither the base nor ours has: below the comment that opens the file,
// or behind the name they follow.
func (m *templateMerge) addFreeComments() {
	before := "" // the last name that is in the result
	behind, end := "", -1
	lines, have := m.theirs.lines, namesIn(m.lines)
	for i := 0; i < len(lines); i++ {
		if have[lines[i].name] {
			before = lines[i].name
		}
		if !isComment(lines[i]) {
			continue
		}
		first := i
		for i+1 < len(lines) && isComment(lines[i+1]) {
			i++
		}

		if i+1 < len(lines) && lines[i+1].name != "" {
			continue // speaks of a name
		}
		var run []templateLine
		for _, line := range lines[first : i+1] {
			if !hasComment(m.base.lines, line) && !hasComment(m.lines, line) {
				run = append(run, line)
			}
		}

		if len(run) == 0 {
			continue
		}
		if end < 0 || behind != before {
			end = m.placeBehind(before)
		}
		behind = before
		end = m.insertFree(run, end, before != "" && first > 0 && isBlank(lines[first-1]))
	}
}

// placeBehind returns where a comment goes that follows a name; "" is the top.
func (m *templateMerge) placeBehind(name string) int {
	if name != "" {
		return indexOfName(m.lines, name) + 1
	}
	at := 0
	for at < len(m.lines) && isComment(m.lines[at]) {
		at++
	}
	if at < len(m.lines) && m.lines[at].name != "" {
		return 0 // that comment speaks of a name
	}
	return at
}

// insertFree puts in comments and the blank lines that keep them from speaking
// of a name, and returns where they end.
func (m *templateMerge) insertFree(run []templateLine, at int, spaced bool) int {
	if spaced && at > 0 && !isBlank(m.lines[at-1]) {
		run = append([]templateLine{{}}, run...)
	}
	end := at + len(run)
	if at < len(m.lines) && !isBlank(m.lines[at]) {
		run = append(run, templateLine{})
	}
	m.lines = slices.Insert(m.lines, at, run...)
	return end
}

// isNew reports whether a comment that theirs has above a name was written
// there since the base, not only moved. It does not look at ours, so that the
// answer stays the same when the result is merged again.
func (m *templateMerge) isNew(name string, comment templateLine) bool {
	if i := indexOfName(m.base.lines, name); i >= 0 && hasComment(commentAbove(m.base.lines, i), comment) {
		return false
	}
	return countComment(m.theirs.lines, comment) > countComment(m.base.lines, comment)
}

// namesIn are the names that lines are of.
func namesIn(lines []templateLine) map[string]bool {
	set := map[string]bool{}
	for _, line := range lines {
		if line.name != "" {
			set[line.name] = true
		}
	}
	return set
}

func indexOfName(lines []templateLine, name string) int {
	return slices.IndexFunc(lines, func(line templateLine) bool { return line.name == name })
}

// commentAbove returns the comment lines right above lines[i].
func commentAbove(lines []templateLine, i int) []templateLine {
	at := i
	for at > 0 && isComment(lines[at-1]) {
		at--
	}
	return lines[at:i]
}

func hasComment(lines []templateLine, comment templateLine) bool {
	return countComment(lines, comment) > 0
}

// countComment counts the lines that are this comment, blanks around it aside.
func countComment(lines []templateLine, comment templateLine) (n int) {
	for _, line := range lines {
		if isComment(line) && strings.TrimSpace(line.text) == strings.TrimSpace(comment.text) {
			n++
		}
	}
	return n
}

func isComment(line templateLine) bool {
	return strings.HasPrefix(strings.TrimSpace(line.text), "#")
}

func isBlank(line templateLine) bool { return strings.TrimSpace(line.text) == "" }
