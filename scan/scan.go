// Package scan finds leaks: bytes in, findings out. It knows no git, no files
// and no terminal; what it is given it judges by its path and its content.
//
// It promises three things. It looks at every byte: what makes other scanners
// blind (UTF-16, merges, attributes, binary files) is either undone here or none
// of its concern. Its findings hold no value and no part of one, so they may be
// printed, uploaded and committed. And it is bounded: no input makes it take
// more than linear time and memory, or panic.
package scan

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Scanner judges files. The zero value works; it then knows no stored values and
// tells the files of a formation by their names. It is safe for concurrent use.
type Scanner struct {
	// Known are the stored values and the repository's own keys; may be nil.
	Known *Known
	// IsFormation reports whether a folder (from the top of the repository,
	// with /, "." for the top) is a formation. If nil, a folder is taken for
	// one wherever a file in it looks like part of one.
	IsFormation func(dir string) bool
	// Formats are the tokens that a team has beside those that everybody knows.
	Formats []formation.TokenFormat
}

// Mode is what kind of file git says the content is of.
type Mode uint8

// The kinds of files that have content.
const (
	Regular Mode = iota
	Symlink      // the content is the path it points to
)

// File judges one file. name is its path from the top of the repository, with /.
// The findings come in the order of the text, silenced ones among them; no
// findings is nil.
func (s *Scanner) File(name string, content []byte, mode Mode) []Finding {
	found, _ := s.Open(name, content, mode)
	return found
}

// Open is File, and says what it did not search of packed content.
func (s *Scanner) Open(name string, content []byte, mode Mode) (found []Finding, unread []Unread) {
	shownAs := name
	if hits := s.named(name); len(hits) > 0 {
		shownAs = shown(name, hits)
		found = inName(name, shownAs, InName, hits)
	}
	nowhere(found)
	found = append(found, s.content(name, shownAs, content, mode)...)
	if mode != Regular {
		return found, nil
	}
	inside, unread := s.unpack(shownAs, content)
	return append(found, inside...), unread
}

// nowhere says of findings that what they speak of has no place in the file's bytes.
func nowhere(found []Finding) {
	for i := range found {
		found[i].start, found[i].end = 0, 0
	}
}

// content judges what is in a file. path is what is shown of its name.
func (s *Scanner) content(name, path string, content []byte, mode Mode) []Finding {
	all := readings(content)
	if kind := keyFile(name, all); kind != "" {
		return findings(path, []reading{{hits: []hit{keyFileHit(kind)}}})
	}

	alone, last := len(all) == 1, &all[len(all)-1]
	mustBeSealed := isSealed(baseOf(name)) && mode == Regular
	var unsealed []hit
	if mustBeSealed {
		unsealed = vault(content, last.skipped)
	}
	for i := range all {
		r := &all[i]
		rules := func(text []byte) []hit { return s.rules(name, text, mode, r.isText || alone) }
		if len(content) > MaxText || mustBeSealed && len(unsealed) == 0 { // what is sealed has a token's form by chance alone
			rules = nil
		}
		r.hits, r.more = s.text(name, r.text, rules)
	}

	last.hits = append(last.hits, unsealed...)
	return findings(path, all)
}

// text looks for what leaks in a text, as it stands there and in all that it spells.
// Without rules these are known values and key material alone.
func (s *Scanner) text(name string, text []byte, rules func(text []byte) []hit) (hits []hit, more bool) {
	hits, more = s.bytes(name, text)
	if rules != nil {
		hits = append(hits, s.nameless(rules(text))...)
		hits = teamTokens(text, s.Formats, hits)
	}
	hits, spelled := s.layers(text, rules != nil, hits)
	return hits, more || spelled
}

// nameless takes the field's name out of messages where it is a stored value itself:
// a file may have a secret where a name belongs.
func (s *Scanner) nameless(hits []hit) []hit {
	for i := range hits {
		if h := &hits[i]; strings.HasPrefix(h.message, literalIn) {
			if found, _ := s.Known.find([]byte(h.message)); len(found) > 0 {
				h.message = literalIn + "a field for credentials, where a reference belongs"
			}
		}
	}
	return hits
}

// literalIn begins the messages that name a field.
const literalIn = "a literal in "

// Message judges a commit message. The findings have no path.
func (s *Scanner) Message(message []byte) []Finding {
	all := readings(message)
	for i := range all {
		r := &all[i]
		r.hits, r.more = s.plain("", r.text)
	}
	return findings("", all)
}

func baseOf(name string) string { return path.Base(name) }

// isSealed reports whether a formation's file of this name is sealed.
func isSealed(base string) bool {
	return base == formation.VaultFile || base == formation.WrappedKeyFile
}

// rules looks for what a file of this name must not hold. What has lines and
// fields is judged by them unless another reading of it makes more sense.
func (s *Scanner) rules(name string, text []byte, mode Mode, lines bool) []hit {
	base := path.Base(name)
	switch {
	case mode == Symlink, !lines:
		return providers(text)
	case base == formation.TemplateFile && s.isTemplate(name, text):
		return template(text)
	case s.isFormationYAML(name, text):
		hits := fields(text)
		file, ok := s.inFormation(name)
		if !ok {
			file = base // of a formation all the same, by its looks
		}
		near := placesOf(hits, MalformedReference)
		for _, h := range malformed(file, text) {
			if near.overlapped(h) == nil {
				hits = append(hits, h)
			}
		}
		return hits
	}
	if file, ok := s.inFormation(name); ok && formation.MayRefer(file) {
		return append(tokens(name, text), malformed(file, text)...)
	}
	return tokens(name, text)
}

// fields looks for literals in the fields of a formation's YAML, and for tokens.
func fields(text []byte) []hit {
	return slices.Concat(structure(text), urls(text), addresses(text), providers(text), nearReferences(text))
}

// inFormation is a file's path below the innermost formation around it.
func (s *Scanner) inFormation(name string) (file string, ok bool) {
	if s.IsFormation == nil {
		return "", false
	}
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if s.IsFormation(dir) {
			return strings.TrimPrefix(name, dir+"/"), true
		}
		if dir == "." || dir == "/" {
			return "", false
		}
	}
}

// bytes looks for what is wanted in every file, text or not.
func (s *Scanner) bytes(name string, text []byte) (hits []hit, more bool) {
	matches, more := s.Known.find(text)
	for _, m := range matches {
		hits = append(hits, s.Known.hit(text, m))
	}
	return append(hits, material(name, text)...), more
}

// hit turns a match of a known value into what is said about it.
func (k *Known) hit(text []byte, m match) hit {
	h := hit{rule: KnownSecret, start: m.start, end: m.end, field: m.start, place: variable(text, m.start)}
	if k.isKey(m.value) {
		h.rule, h.random = KeyMaterial, true
		h.message = "this repository's own key" + m.form.String()
		return h
	}

	v := k.names[m.value]
	h.secret = v.name
	h.message = cmp.Or(v.part, "the value of ") + v.name
	if v.formation != "" && v.formation != "." {
		h.message += " of " + v.formation
	}
	h.message += m.form.String()
	return h
}

// vault judges the file that must be sealed, and nothing but sealed. The text of one
// that is not is judged like any other's as well. skipped is how many bytes of it precede those
// that hits count from.
func vault(content []byte, skipped int) []hit {
	if _, err := crypto.Detect(content); err != nil {
		return []hit{{rule: VaultNotEncrypted, message: fmt.Sprintf("not a sealed file: %v", err), broken: crypto.ReasonOf(err)}}
	}
	at := crypto.Beside(content)
	if at < 0 {
		return nil
	}
	at = max(at-skipped, 0)
	return []hit{{rule: VaultNotEncrypted, start: at, end: at, field: at, broken: BesideSeal, message: "more than a sealed file: what begins here is not encrypted"}}
}

// isTemplate reports whether a file called `secrets` is a formation's template.
// Where nobody knows, it has to look like one: NAME= lines alone.
func (s *Scanner) isTemplate(name string, text []byte) bool {
	if s.IsFormation != nil {
		return s.IsFormation(path.Dir(name))
	}
	named := false
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if end := span(line, 0, isToken); end == 0 || end == len(line) || line[end] != '=' {
			return false
		}
		named = true
	}
	return named
}

// template judges the lines of a template. A provider's key in such a line is
// left to it: the name says more.
func template(text []byte) (hits []hit) {
	keys := providers(text)
	slices.SortFunc(keys, func(a, b hit) int { return cmp.Compare(a.start, b.start) })
	keyed := placesOf(keys, PlaintextKey)
	line, at := 1, 0
	for _, v := range formation.ParseTemplate(text).Values() {
		for ; line < v.Line; line++ {
			at += lineLength(text[at:]) + 1
		}
		h, ok := templateValue(text, at, v)
		if ok && (v.Name != "" || keyed.overlapped(h) == nil) {
			hits = append(hits, h)
		}
	}

	values := hits
	for _, key := range keys {
		for len(values) > 0 && values[0].end <= key.start {
			values = values[1:]
		}

		if len(values) == 0 || key.start < values[0].start {
			hits = append(hits, key)
		}
	}

	return hits
}

// templateValue is the hit for a value whose line begins at an offset.
func templateValue(text []byte, at int, v formation.Value) (h hit, ok bool) {
	start := at
	if v.Name != "" {
		start += bytes.IndexByte(text[at:], '=') + 1
	}
	for start < len(text) && (text[start] == ' ' || text[start] == '\t') {
		start++
	}

	end := start + lineLength(text[start:])
	if start < end && text[start] == '#' {
		return h, false // NAME= # what it is for
	}
	for range v.Lines - 1 {
		end += 1 + lineLength(text[end+1:])
	}

	h = hit{rule: TemplateValue, start: start, end: end, field: at, place: v.Name, secret: v.Name}
	switch {
	case v.Name == "":
		h.message = "a line in the template, which is committed as it is, that is no NAME=, no comment and not blank: part of a value?"
	case v.Lines > 1:
		h.message = "a value of several lines for " + v.Name + " in the template, which is committed as it is"
	default:
		h.message = "a value for " + v.Name + " in the template, which is committed as it is"
	}
	if v.Name == "" || v.Lines > 1 {
		h.remedy = &Remedy{Command: "add " + cmp.Or(v.Name, "NAME") + " --from-file FILE", Does: "stores a value of several lines; then take them out"}
	}
	return h, true
}

// isFormationYAML reports whether a file is YAML that the MUXI runtime loads as
// part of a formation.
func (s *Scanner) isFormationYAML(name string, text []byte) bool {
	base := path.Base(name)
	switch strings.ToLower(path.Ext(base)) {
	case ".afs":
		return true
	case ".yaml", ".yml":
	case ".json": // which is YAML; the runtime loads servers from it
		file, ok := s.inFormation(name)
		return ok && (strings.HasPrefix(file, "mcp/") || strings.HasPrefix(file, "mcps/"))
	default:
		return false
	}

	if formation.IsFormationFile(strings.ToLower(base)) {
		return true
	}

	folders := strings.Split(path.Dir(name), "/")
	for i, folder := range folders {
		switch folder {
		case "agents", "mcp", "mcps", "a2a", "groups", "transformers", "knowledge":
		default:
			continue
		}

		if s.IsFormation != nil {
			if s.IsFormation(path.Join(append([]string{"."}, folders[:i]...)...)) {
				return true
			}
		} else if looksLikeMUXI(text) {
			return true
		}
	}

	return false
}

// looksLikeMUXI tells an agent's or a server's file from the YAML of other tools
// that have folders of the same names.
func looksLikeMUXI(text []byte) bool {
	field := func(name string) bool {
		return bytes.HasPrefix(text, []byte(name)) || bytes.Contains(text, []byte("\n"+name))
	}
	return (field("schema:") || field("id:") || field("auth:") || field("type:")) && !field("apiVersion:")
}
