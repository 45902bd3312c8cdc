package formation

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// Reference is one place in a formation's files that stands for a secret.
type Reference struct {
	Name     string // the name in the vault, normalised
	Spelled  string // the name as the file has it
	Path     string // from the formation's folder, with /
	Line     int    // 1-based, of the ${{
	Column   int    // 1-based, in characters
	Optional bool   // ${{ secrets.X || '' }}: may have no value
	User     bool   // ${{ user.credentials.x }}
	// Unreplaced is why the runtime leaves it as the text it is, whatever is stored;
	// "" where it does not, and for an optional one.
	Unreplaced string
	// Soft says that the runtime only warns where there is no value.
	Soft bool
	// start and end are the byte offsets of Spelled in the file; 0, 0 where
	// the YAML spells it with escapes, so that no bytes can be swapped.
	start, end int
}

// Live reports whether the runtime replaces it.
func (r *Reference) Live() bool { return r.Unreplaced == "" && !r.Optional }

// Malformed is text that was meant as a reference and that nobody replaces.
type Malformed struct {
	Path         string
	Line, Column int
	Reason       string
}

// References is what one file refers to.
type References struct {
	References []Reference
	Malformed  []Malformed
	// Broken is why the file could not be parsed as YAML; its references were
	// then looked for line by line.
	Broken error
	// Filtered is what a filter of git's made of the file, so that nothing is known of
	// what it refers to; "" where the file itself was read.
	Filtered string

	id       string    // what an agent's file calls it
	manifest *manifest // of the formation's own file
}

// userCredentials is the prefix of the secrets that ${{ user.credentials.x }}
// stands for.
const userCredentials = "USER_CREDENTIALS_"

// secretName is the vault's name for a spelled one.
func secretName(spelled string, user bool) string {
	if user {
		return Normalize(userCredentials + spelled)
	}
	return Normalize(spelled)
}

// fileKind says how a file of a formation is searched for references.
type fileKind int

const (
	noReferences fileKind = iota
	yamlFile              // string values only: never keys, never comments
	textFile              // everywhere
)

// kindOf judges a path below the formation's folder, with /. The places are
// those of MUXI's documentation and of its runtime's in-use check.
func kindOf(path string) fileKind {
	folders := strings.Split(path, "/")
	base := folders[len(folders)-1]
	folders = folders[:len(folders)-1]
	for _, folder := range folders {
		if SkipFolder(folder) {
			return noReferences
		}
	}

	if IsYAMLName(base) {
		return yamlFile
	}
	if len(folders) == 0 {
		return noReferences
	}
	switch folders[0] {
	case "agents", "mcp", "mcps", "a2a", "groups":
		if strings.HasSuffix(base, ".json") {
			return yamlFile // the same to the parser
		}
	case "sops", "triggers":
		if strings.HasSuffix(base, ".md") {
			return textFile
		}
	case "skills", "knowledge":
		return textFile
	}
	return noReferences
}

// IsYAMLName reports whether a file of this name is YAML that the MUXI runtime
// may load.
func IsYAMLName(base string) bool {
	for _, ending := range [...]string{".afs", ".yaml", ".yml"} {
		if strings.HasSuffix(base, ending) {
			return true
		}
	}
	return false
}

// MayRefer reports whether the file at path (below a formation's folder, with
// /) is one in which references are looked for.
func MayRefer(path string) bool { return kindOf(path) != noReferences }

// ReferencesIn finds what the file at path (below the formation's folder, with
// /) refers to. It works on bytes alone, so that a staged or committed version
// can be judged as well as the one on disk.
func ReferencesIn(path string, content []byte) References {
	var found References
	kind := kindOf(path)
	if kind != noReferences && !strings.HasPrefix(path, "knowledge/") { // there anything may lie, and hardly a reference
		if found.Filtered = crypto.FilteredBy(content); found.Filtered != "" {
			return found
		}
	}

	switch kind {
	case yamlFile:
		found = referencesInYAML(path, content)
	case textFile:
		if !IsBinary(content) {
			found = referencesInText(path, content)
		}
	}
	if IsFormationFile(path) {
		found.manifest = manifestOf(path, content)
	}

	warned := soft(path)
	for i := range found.References {
		r := &found.References[i]
		r.Path = path
		// A value would not change what is left as text.
		r.Soft = warned || r.User && r.Unreplaced != ""
	}
	for i := range found.Malformed {
		found.Malformed[i].Path = path
		if strings.HasPrefix(path, "skills/") && strings.HasSuffix(path, "/SKILL.md") {
			found.Malformed[i].Reason += "; the MUXI runtime then leaves every other reference of this file as it is, too"
		}
	}
	return found
}

// IsBinary judges as git does: by a NUL among the first 8,000 bytes.
func IsBinary(content []byte) bool {
	return bytes.IndexByte(content[:min(len(content), 8000)], 0) >= 0
}

func referencesInText(path string, content []byte) References {
	var found References
	text := string(content)
	where := newPositions(text)
	from, to := webhookOf(path, text)
	for _, e := range looseExpressions(text) {
		z := live
		if e.start >= from && e.start < to {
			z = normalised
		}
		found.fromText(text, e, z, where)
	}
	return found
}

// fromText takes one expression whose bytes are known.
func (r *References) fromText(text string, e expression, z zone, where *positions) {
	line, column := where.of(e.start)
	if z == live || z == mcpAuth {
		e = e.strictly()
	}
	if e.malformed != "" {
		r.Malformed = append(r.Malformed, Malformed{Line: line, Column: column, Reason: e.malformed})
		return
	}
	for _, t := range e.terms {
		spelled := text[t.start:t.end]
		ref := Reference{Spelled: spelled, Line: line, Column: column, Optional: e.optional, User: t.user, start: t.start, end: t.end}
		r.add(ref, z, t, false)
	}
}

// add takes a reference; one whose name normalises to nothing is malformed. first
// says that its value begins with it.
func (r *References) add(ref Reference, z zone, t term, first bool) {
	ref.Name = secretName(ref.Spelled, ref.User)
	if ref.Name == "" {
		r.Malformed = append(r.Malformed, Malformed{Line: ref.Line, Column: ref.Column, Reason: "its name has no letter or digit"})
		return
	}
	if !ref.Optional {
		ref.Unreplaced = z.unreplaced(t, ref.Spelled, ref.Name, first)
	}
	r.References = append(r.References, ref)
}

// referencesInYAML finds the references in string values. Which of the
// expressions in the bytes are such values, and not comments, keys or the
// inside of something else, only a YAML parser can tell; so each name is
// swapped for a mark of its own, the file is parsed once, and the marks that
// come back inside values are the references, with their exact bytes known.
func referencesInYAML(path string, content []byte) References {
	if !bytes.Contains(content, []byte("${{")) && !mayHideExpression(content) {
		return References{}
	}

	text := string(content)
	raw := looseExpressions(text)
	m := marking{text: text, prefix: unusedMark(text), where: newPositions(text)}
	var marked strings.Builder
	at := 0
	for _, e := range raw {
		for _, t := range e.terms {
			marked.WriteString(text[at:t.start])
			fmt.Fprintf(&marked, "%s%dX", m.prefix, len(m.candidates))
			at = t.end
			m.candidates = append(m.candidates, candidate{e: e, t: t})
		}
	}

	marked.WriteString(text[at:])

	var found References
	err := scalars([]byte(marked.String()), func(s scalar) {
		if len(s.path) == 1 && s.path[0] == "id" && found.id == "" {
			found.id = s.value
		}
		if !strings.Contains(s.value, "${{") {
			return
		}
		if s.key {
			s.path = nil
		}
		z := zoneOf(path, s.path)
		for _, e := range looseExpressions(s.value) {
			found.fromValue(s, e, z, &m)
		}
	})

	if err != nil {
		found = referencesByLine(path, text, raw, m.where)
		found.Broken = err
	}

	sort.SliceStable(found.References, func(i, j int) bool {
		a, b := found.References[i], found.References[j]
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})

	return found
}

// marking is a YAML file whose candidates were swapped for marks.
type marking struct {
	text       string
	prefix     string // of every mark
	candidates []candidate
	where      *positions
	searched   int // offset in text behind the last malformed one found there
}

// candidate is a name in the bytes of a YAML file that may be a reference.
type candidate struct {
	e     expression
	t     term
	taken bool // its mark came back
}

// fromValue takes one expression e out of the parsed scalar s.
func (r *References) fromValue(s scalar, e expression, z zone, m *marking) {
	line, column := s.line, s.column
	if z == live || z == mcpAuth {
		if c := m.loose(s.value, e); c != nil {
			line, column = m.where.of(c.e.start)
			r.Malformed = append(r.Malformed, Malformed{Line: line, Column: column, Reason: oddName})
			return
		}
		e = e.strictly()
	}
	if e.malformed != "" {
		// Only its text can tell where it stands in the file: not above its
		// scalar, and behind the one before it.
		from := m.searched
		if s.line <= len(m.where.lines) {
			from = max(from, m.where.lines[s.line-1])
		}
		if at := strings.Index(m.text[from:], s.value[e.start:e.end]); at >= 0 {
			line, column = m.where.of(from + at)
			m.searched = from + at + e.end - e.start
		}

		r.Malformed = append(r.Malformed, Malformed{Line: line, Column: column, Reason: e.malformed})
		return
	}

	for _, t := range e.terms {
		spelled := s.value[t.start:t.end]
		ref := Reference{Spelled: spelled, Line: line, Column: column, Optional: e.optional, User: t.user}

		// A mark that comes back twice was spelled with escapes by somebody: no
		// bytes may be claimed twice.
		if i, ok := markIndex(spelled, m.prefix, len(m.candidates)); ok && !m.candidates[i].taken {
			m.candidates[i].taken = true
			c := m.candidates[i]
			t = c.t
			ref.start, ref.end = c.t.start, c.t.end
			ref.Spelled = m.text[ref.start:ref.end]
			ref.Line, ref.Column = m.where.of(c.e.start)
		}

		if s.key {
			r.Malformed = append(r.Malformed, Malformed{Line: ref.Line, Column: ref.Column, Reason: "it stands in a key, where the runtime replaces nothing"})
			continue
		}
		r.add(ref, z, t, e.start == 0)
	}
}

// loose is the candidate in a value's expression whose name has a - or a . in it;
// nil where there is none.
func (m *marking) loose(value string, e expression) *candidate {
	for _, t := range e.terms {
		if i, ok := markIndex(value[t.start:t.end], m.prefix, len(m.candidates)); ok && m.candidates[i].t.loose {
			return &m.candidates[i]
		}
	}
	return nil
}

// mayHideExpression reports whether a double-quoted string might spell ${{
// with escapes or an escaped line end inside it, which only the parser undoes.
func mayHideExpression(content []byte) bool {
	if bytes.IndexByte(content, '\\') < 0 {
		return false
	}
	for _, hidden := range [...]string{`$\`, `${\`, `\x24`, `\u0024`, `\U00000024`} {
		if bytes.Contains(content, []byte(hidden)) {
			return true
		}
	}
	return false
}

// unusedMark returns a run of capitals that does not occur in text.
func unusedMark(text string) string {
	mark := "MUXIREF"
	for strings.Contains(text, mark) {
		mark += "Q"
	}
	return mark
}

// markIndex undoes the mark made of prefix, a number below n, and X.
func markIndex(spelled, prefix string, n int) (int, bool) {
	digits, ok := strings.CutPrefix(spelled, prefix)
	if !ok {
		return 0, false
	}
	digits, ok = strings.CutSuffix(digits, "X")
	if !ok || digits == "" {
		return 0, false
	}
	index := 0
	for _, c := range digits {
		if c < '0' || c > '9' || index > n {
			return 0, false
		}
		index = index*10 + int(c-'0')
	}
	return index, index < n
}

// referencesByLine is the look that a file which is no YAML still gets: every
// expression that no # hides. Seeing too many keeps a secret that is in use
// from being deleted.
func referencesByLine(path, text string, raw []expression, where *positions) References {
	var found References
	z := unknown
	if zoneOf(path, nil) == normalised {
		z = normalised
	} else if folder, _, below := strings.Cut(path, "/"); below && folder != "mcp" && folder != "mcps" && folder != "agents" {
		z = live
	}
	for _, e := range raw {
		begin := strings.LastIndexByte(text[:e.start], '\n') + 1
		if !inComment(text[begin:e.start]) {
			found.fromText(text, e, z, where)
		}
	}
	return found
}

// inComment reports whether the text that follows before on its line is in a
// YAML comment: a # at the start or behind white space, outside quotes.
func inComment(before string) bool {
	var quote byte
	for i := 0; i < len(before); i++ {
		c := before[i]
		switch {
		case quote != 0:
			switch {
			case c == '\\' && quote == '"', c == '\'' && quote == c && strings.HasPrefix(before[i+1:], "'"):
				i++ // an escape; '' is a quote in single ones
			case c == quote:
				quote = 0
			}
		case c == '"' || c == '\'':
			if i == 0 || strings.IndexByte(" \t[{,:-", before[i-1]) >= 0 {
				quote = c
			}
		case c == '#' && (i == 0 || before[i-1] == ' ' || before[i-1] == '\t'):
			return true
		}
	}
	return false
}

// positions turns byte offsets of a text, asked for in any order, into lines
// and columns.
type positions struct {
	text  string
	lines []int // offsets of line starts
}

func newPositions(text string) *positions {
	p := &positions{text: text, lines: []int{0}}
	if strings.HasPrefix(text, "\ufeff") {
		p.lines[0] = len("\ufeff") // no editor counts the BOM as a column
	}
	for at := 0; ; {
		next := strings.IndexByte(text[at:], '\n')
		if next < 0 {
			return p
		}
		at += next + 1
		p.lines = append(p.lines, at)
	}
}

func (p *positions) of(offset int) (line, column int) {
	line = sort.SearchInts(p.lines, offset+1)
	start := p.lines[line-1]
	return line, utf8.RuneCountInString(p.text[start:offset]) + 1
}
