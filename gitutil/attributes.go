package gitutil

import (
	"os"
	"path/filepath"
	"strings"
)

// attributeRules answers gitattributes(5) questions for the go-git backend.
type attributeRules struct {
	top    string
	fold   bool
	low    []attributeRule // system, then core.attributesFile
	high   []attributeRule // info/attributes
	dirs   map[string][]attributeRule
	macros map[string][]attribute
}

type attributeRule struct {
	pathPattern
	attributes []attribute
}

// attribute has a state in git's own words, or a value.
type attribute struct{ name, state string }

func newAttributeRules(layout Layout, lowFiles []string, fold bool) *attributeRules {
	r := &attributeRules{top: layout.Top, fold: fold, dirs: map[string][]attributeRule{}}
	r.macros = map[string][]attribute{"binary": {{"diff", "unset"}, {"merge", "unset"}, {"text", "unset"}}}
	for _, file := range lowFiles {
		r.low = append(r.low, r.parse(readPatternFile(file), "", true)...)
	}
	r.rulesIn("") // macros of the top come before those of info
	r.high = r.parse(readPatternFile(filepath.Join(layout.CommonDir, "info", "attributes")), "", true)
	return r
}

// values gives the named attributes of a path from the top.
func (r *attributeRules) values(path string, names []string) map[string]string {
	found := map[string]string{}
	r.collect(r.high, path, found)
	for dir, more := parentOf(path), true; more; dir, more = parentOf(dir), dir != "" {
		r.collect(r.rulesIn(dir), path, found)
	}
	r.collect(r.low, path, found)
	values := make(map[string]string, len(names))
	for _, name := range names {
		values[name] = "unspecified"
		if state, ok := found[name]; ok {
			values[name] = state
		}
	}
	return values
}

// collect adds what is not decided yet, the last word first.
func (r *attributeRules) collect(rules []attributeRule, path string, found map[string]string) {
	for i := len(rules) - 1; i >= 0; i-- {
		if rules[i].match(path, false) {
			r.fill(rules[i].attributes, found)
		}
	}
}

func (r *attributeRules) fill(attributes []attribute, found map[string]string) {
	for i := len(attributes) - 1; i >= 0; i-- {
		a := attributes[i]
		if _, ok := found[a.name]; ok {
			continue
		}
		found[a.name] = a.state
		if a.state == "set" {
			r.fill(r.macros[a.name], found) // ends: each name is decided once
		}
	}
}

func (r *attributeRules) rulesIn(dir string) []attributeRule {
	rules, ok := r.dirs[dir]
	if !ok && r.top != "" {
		file := filepath.Join(r.top, filepath.FromSlash(dir), ".gitattributes")
		if info, err := os.Lstat(file); err == nil && info.Mode().IsRegular() {
			rules = r.parse(readPatternFile(file), dir, dir == "")
		}
		r.dirs[dir] = rules
	}
	return rules
}

func (r *attributeRules) parse(text, base string, macros bool) []attributeRule {
	var rules []attributeRule
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		line = strings.Trim(line, " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		pattern, rest := cutPattern(line)
		attributes := parseStates(rest)
		if name, ok := strings.CutPrefix(pattern, "[attr]"); ok {
			if macros && name != "" {
				r.macros[name] = attributes
			}
			continue
		}
		// Git refuses a negated pattern here, and none matches a folder.
		if strings.HasPrefix(pattern, "!") || strings.HasSuffix(pattern, "/") {
			continue
		}
		rules = append(rules, attributeRule{newPathPattern(pattern, base, r.fold), attributes})
	}
	return rules
}

// cutPattern takes the pattern off a line; one in quotes has C escapes.
func cutPattern(line string) (pattern, rest string) {
	if line[0] == '"' {
		var b strings.Builder
		for i := 1; i < len(line); i++ {
			switch c := line[i]; {
			case c == '"':
				return b.String(), line[i+1:]
			case c == '\\' && i+1 < len(line):
				i++
				b.WriteByte(unescapeC(line, &i))
			default:
				b.WriteByte(c)
			}
		}
	}
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		return line[:i], line[i:]
	}
	return line, ""
}

// unescapeC reads the escape at line[*i], leaving *i at its last byte.
func unescapeC(line string, i *int) byte {
	c := line[*i]
	if at := strings.IndexByte("abtnvfr", c); at >= 0 {
		return byte('\a' + at) // they follow each other in ASCII
	}
	if '0' <= c && c <= '3' && *i+2 < len(line) {
		n := 0
		for _, d := range []byte(line[*i : *i+3]) {
			n = n<<3 | int(d-'0')
		}
		*i += 2
		return byte(n)
	}
	return c
}

func parseStates(text string) []attribute {
	var attributes []attribute
	for _, word := range strings.Fields(text) {
		a := attribute{name: word, state: "set"}
		switch name, value, ok := strings.Cut(word, "="); {
		case word[0] == '-':
			a = attribute{word[1:], "unset"}
		case word[0] == '!':
			a = attribute{word[1:], "unspecified"}
		case ok:
			a = attribute{name, value}
		}
		if a.name != "" {
			attributes = append(attributes, a)
		}
	}
	return attributes
}
