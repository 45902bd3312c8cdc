package gitutil

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/wildmatch"
)

// attributeRules answers gitattributes(5) questions for the go-git backend.
type attributeRules struct {
	read   func(dir string) string // a folder's .gitattributes
	top    string                  // what their paths begin with
	fold   bool
	low    []attributeRule // system, then core.attributesFile
	high   []attributeRule // info/attributes
	dirs   map[string][]attributeRule
	macros map[string][]attribute
}

type attributeRule struct {
	wildmatch.Pattern
	attributes []attribute
	from       Origin
}

// Origin is the line that gives a file an attribute.
type Origin struct {
	File string // a full path; in a PatternFiles one from the top
	Line int    // 1-based
}

// attribute has a state in git's own words, or a value.
type attribute struct{ name, state string }

// given is an attribute's state, and the line that it has it from.
type given struct {
	state string
	from  Origin
}

func newAttributeRules(layout Layout, lowFiles []string, fold bool) *attributeRules {
	r := newAttributes(patternsOnDisk(layout.Top, ".gitattributes"), fold)
	r.top = layout.Top
	for _, file := range lowFiles {
		r.low = append(r.low, r.parse(readPatternFile(file), "", file, true)...)
	}
	r.rulesIn("") // macros of the top come before those of info
	info := filepath.Join(layout.CommonDir, "info", "attributes")
	r.high = r.parse(readPatternFile(info), "", info, true)
	return r
}

// newAttributes knows what is in the folders, and the macro that git comes with.
func newAttributes(read func(dir string) string, fold bool) *attributeRules {
	r := &attributeRules{read: read, fold: fold, dirs: map[string][]attributeRule{}}
	r.macros = map[string][]attribute{"binary": {{"diff", "unset"}, {"merge", "unset"}, {"text", "unset"}}}
	return r
}

// values gives the named attributes of a path from the top.
func (r *attributeRules) values(path string, names []string) map[string]string {
	found := r.all(path)
	values := make(map[string]string, len(names))
	for _, name := range names {
		values[name] = "unspecified"
		if a, ok := found[name]; ok {
			values[name] = a.state
		}
	}
	return values
}

// all gives every attribute of a path from the top.
func (r *attributeRules) all(path string) map[string]given {
	found := map[string]given{}
	r.collect(r.high, path, found)
	for dir, more := parentOf(path), true; more; dir, more = parentOf(dir), dir != "" {
		r.collect(r.rulesIn(dir), path, found)
	}
	r.collect(r.low, path, found)
	return found
}

// collect adds what is not decided yet, the last word first.
func (r *attributeRules) collect(rules []attributeRule, path string, found map[string]given) {
	for i := len(rules) - 1; i >= 0; i-- {
		if rules[i].Match(path, false) {
			r.fill(rules[i].attributes, rules[i].from, found)
		}
	}
}

func (r *attributeRules) fill(attributes []attribute, from Origin, found map[string]given) {
	for i := len(attributes) - 1; i >= 0; i-- {
		a := attributes[i]
		if _, ok := found[a.name]; ok {
			continue
		}
		found[a.name] = given{a.state, from}
		if a.state == "set" {
			r.fill(r.macros[a.name], from, found) // ends: each name is decided once
		}
	}
}

func (r *attributeRules) rulesIn(dir string) []attributeRule {
	rules, ok := r.dirs[dir]
	if !ok {
		rules = r.parse(r.read(dir), dir, filepath.Join(r.top, dir, ".gitattributes"), dir == "")
		r.dirs[dir] = rules
	}
	return rules
}

func (r *attributeRules) parse(text, base, file string, macros bool) []attributeRule {
	var rules []attributeRule
	from := Origin{File: file}
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		from.Line++
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
		rules = append(rules, attributeRule{wildmatch.New(pattern, base, r.fold), attributes, from})
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

// AttributeFrom returns the line that gives a file in the work tree an attribute;
// an empty one where none that is found does.
func AttributeFrom(ctx context.Context, repo Repository, file, name string) (Origin, error) {
	low, err := attributeFiles(ctx, repo)
	if err != nil {
		return Origin{}, err
	}
	layout := repo.Layout()
	r := newAttributeRules(layout, low, false)
	for _, rel := range layout.relative([]string{file}).rel {
		return r.all(rel)[name].from, nil
	}
	return Origin{}, nil
}

// attributeFiles are those for all of a person's repositories, the weakest first.
func attributeFiles(ctx context.Context, repo Repository) ([]string, error) {
	getenv := os.Getenv
	switch repo := repo.(type) {
	case *gitRepo:
		getenv = repo.getenv
	case *goGitRepo:
		getenv = repo.getenv
	}
	var low []string
	if !gitTrue(getenv("GIT_ATTR_NOSYSTEM")) {
		low = append(low, "/etc/gitattributes")
	}
	own, ok, err := repo.Config(ctx, "core.attributesFile")
	if err != nil {
		return nil, err
	}
	if ok {
		return append(low, expandHome(own, getenv)), nil
	}
	return append(low, configHome(getenv, "attributes")), nil
}
