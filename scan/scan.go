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
}

// Mode is what kind of file git says the content is of.
type Mode uint8

// The kinds of files that have content.
const (
	Regular Mode = iota
	Symlink      // the content is the path it points to
)

// File judges one file. name is its path from the top of the repository, with /.
// The findings come in the order of the text; no findings is nil.
func (s *Scanner) File(name string, content []byte, mode Mode) []Finding {
	if kind := keyFile(name, content); kind != "" {
		return findings(name, nil, []hit{{rule: KeyFile, message: kind}}, false)
	}
	text, isText := content, false
	if len(content) <= MaxText {
		text, isText = decode(content)
	}
	hits, more := s.bytes(name, text)
	base := path.Base(name)
	switch {
	case (base == formation.VaultFile || base == formation.WrappedKeyFile) && mode == Regular:
		hits = append(hits, vault(content)...)
	case !isText:
	case mode == Symlink:
		hits = append(hits, providers(text)...)
	case base == formation.TemplateFile && s.isTemplate(name, text):
		hits = append(hits, template(text)...)
	case s.isFormationYAML(name, text):
		hits = append(hits, structure(text)...)
		hits = append(hits, urls(text)...)
		hits = append(hits, providers(text)...)
		hits = append(hits, malformed(base, text)...)
	default:
		hits = append(hits, providers(text)...)
	}
	return findings(name, text, hits, more)
}

// Message judges a commit message. The findings have no path.
func (s *Scanner) Message(message []byte) []Finding {
	text, _ := decode(message)
	hits, more := s.bytes("", text)
	return findings("", text, append(hits, providers(text)...), more)
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
	h.secret = v.Name
	h.message = "the value of " + v.Name
	if v.Formation != "" && v.Formation != "." {
		h.message += " of " + v.Formation
	}
	h.message += m.form.String()
	return h
}

// vault judges the file that must be sealed.
func vault(content []byte) []hit {
	_, err := crypto.Detect(content)
	if err == nil {
		return nil
	}
	return []hit{{rule: VaultNotEncrypted, message: fmt.Sprintf("not a sealed file: %v", err)}}
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
	line, at := 1, 0
	for _, v := range formation.ParseTemplate(text).Values() {
		for ; line < v.Line; line++ {
			at += lineLength(text[at:]) + 1
		}
		start := at + bytes.IndexByte(text[at:], '=') + 1
		for start < len(text) && (text[start] == ' ' || text[start] == '\t') {
			start++
		}
		end := start + lineLength(text[start:])
		if start < end && text[start] == '#' {
			continue // NAME= # what it is for
		}
		hits = append(hits, hit{rule: TemplateValue, start: start, end: end, field: at, place: v.Name, secret: v.Name,
			message: "a value for " + v.Name + " in the template, which is committed as it is"})
	}
	values := hits
	keys := providers(text)
	slices.SortFunc(keys, func(a, b hit) int { return cmp.Compare(a.start, b.start) })
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

// isFormationYAML reports whether a file is YAML that the MUXI runtime loads as
// part of a formation.
func (s *Scanner) isFormationYAML(name string, text []byte) bool {
	base := path.Base(name)
	switch strings.ToLower(path.Ext(base)) {
	case ".afs":
		return true
	case ".yaml", ".yml":
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
