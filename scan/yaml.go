package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// leaf is a scalar of a YAML file and where it hangs.
type leaf struct {
	at     *crumb
	value  string
	start  int  // offset of the value's first character, behind a quote or block sign
	end    int  // offset behind it, as far as known; > start unless the value is empty
	field  int  // offset of its key
	parent int  // which mapping it hangs in, to find its siblings
	plain  bool // no string: a number, a boolean, null
	number bool // a number
}

// crumb is one step of the way from the root to a leaf: a key, or an item of a
// list, which is called "[]", or "[github]" where its id or name says so.
type crumb struct {
	name string
	item bool
	up   *crumb
}

// path is the way from the root, joined by dots.
func (c *crumb) path() string {
	var names []string
	for ; c != nil; c = c.up {
		names = append(names, c.name[:min(len(c.name), maxName)])
	}
	slices.Reverse(names)
	return strings.Join(names, ".")
}

const (
	// maxYAML is the size in bytes above which a file is read in parts: the parser
	// keeps some hundred bytes for each scalar.
	maxYAML = 1 << 20
	// maxDepth is how deep YAML may nest before it is read in parts instead: the
	// parser and the walk recurse.
	maxDepth = 500
	// maxLeaves bounds the walk of a text that is not long, so that aliases of
	// aliases of aliases end. It counts a long value as several.
	maxLeaves  = 100_000
	longScalar = 64
)

// mostLeaves is that bound for any text: of YAML that was written, a value for each
// eight bytes.
func mostLeaves(text []byte) int { return max(maxLeaves, len(text)/8) }

var (
	errTooLarge = errors.New("too large to parse")
	errTooDeep  = errors.New("nested too deeply to parse")
	errTooMany  = errors.New("expands to too many values")
)

// parseYAML returns every scalar of every document in text. Aliases are followed
// and merged mappings taken in; the value then stands where its anchor is. It
// fails where text is no YAML or too much of it.
func parseYAML(text []byte) ([]leaf, error) {
	w := yamlWalk{text: text, most: mostLeaves(text)}
	if err := w.parse(text, 0, scope{}); err != nil {
		return nil, err
	}
	return w.leaves, nil
}

// deepYAML guesses from the bytes alone whether text nests too deeply. It may say
// so of a file that does not, never the reverse.
func deepYAML(text []byte) bool {
	depth := 0
	for line := range bytes.Lines(text) {
		indent := 0
		for indent < len(line) && strings.IndexByte(" -?\t", line[indent]) >= 0 {
			indent++
		}
		for _, b := range line[indent:] {
			switch b {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(depth-1, 0)
			}
			if depth > maxDepth {
				return true
			}
		}

		if indent > 2*maxDepth {
			return true
		}
	}

	return false
}

// scope is where a part of a YAML file hangs.
type scope struct {
	at     *crumb
	field  int // the offset of the key it is the value of
	parent int // the mapping that key is in
	self   int // the mapping that its own keys are in; 0: one that is not known yet
}

type yamlWalk struct {
	text     []byte
	base     int       // the offset of what is parsed
	lines    yamlLines // of what is parsed
	leaves   []leaf
	mappings int
	visited  int
	most     int // that may be visited
	depth    int
}

// parse adds every scalar of input, which stands at offset base of the text, or
// none where it fails.
func (w *yamlWalk) parse(input []byte, base int, s scope) (err error) {
	if len(input) > maxYAML {
		return errTooLarge
	}
	if deepYAML(input) {
		return errTooDeep
	}

	before := len(w.leaves)
	defer func() {
		// yaml.v3 reports some malformed input by panicking across its API.
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed YAML: %v", p)
		}
		if err != nil {
			w.leaves = w.leaves[:before]
		}
	}()

	w.base, w.lines = base, newYAMLLines(input)
	decoder := yaml.NewDecoder(bytes.NewReader(input))
	for {
		var document yaml.Node
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}

		if err := w.node(&document, s); err != nil {
			return err
		}
	}
}

// offset is where a node begins in the text.
func (w *yamlWalk) offset(n *yaml.Node) int {
	return min(w.base+w.lines.offset(n.Line, n.Column), len(w.text))
}

func (w *yamlWalk) node(n *yaml.Node, s scope) error {
	w.visited += 1 + len(n.Value)/longScalar
	w.depth++
	defer func() { w.depth-- }()
	switch {
	case w.visited > w.most:
		return errTooMany
	case w.depth > 2*maxDepth:
		return errTooDeep
	}

	switch n.Kind {
	case yaml.AliasNode:
		return w.node(n.Alias, scope{at: s.at, field: w.offset(n.Alias), parent: s.parent})
	case yaml.ScalarNode:
		w.scalar(n, s)
	case yaml.DocumentNode:
		for _, child := range n.Content {
			if err := w.node(child, s); err != nil {
				return err
			}
		}
	case yaml.SequenceNode:
		for _, child := range n.Content {
			item := &crumb{itemName(child), true, s.at}
			if err := w.node(child, scope{at: item, field: w.offset(child), parent: s.parent}); err != nil {
				return err
			}
		}
	case yaml.MappingNode:
		if s.self == 0 {
			w.mappings++
			s.self = w.mappings
		}

		return w.mapping(n, s.at, s.self)
	}

	return nil
}

func (w *yamlWalk) mapping(n *yaml.Node, at *crumb, self int) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := w.offset(key)
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		var err error
		if key.Tag == "!!merge" || key.Value == "<<" {
			err = w.merged(value, at, self)
		} else {
			err = w.node(value, scope{at: &crumb{key.Value, false, at}, field: field, parent: self})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// merged takes in what a << names: a mapping or a list of them, mostly aliases.
func (w *yamlWalk) merged(n *yaml.Node, at *crumb, self int) error {
	w.depth++
	defer func() { w.depth-- }()
	if w.visited++; w.visited > w.most {
		return errTooMany
	}
	if w.depth > 2*maxDepth {
		return errTooDeep
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.merged(n.Alias, at, self)
	case yaml.MappingNode:
		return w.mapping(n, at, self)
	case yaml.SequenceNode:
		for _, child := range n.Content {
			if err := w.merged(child, at, self); err != nil {
				return err
			}
		}
	}

	return nil
}

// itemName tells the items of a list apart by what names them, so that a finding
// keeps its place when an item is put in before it.
func itemName(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := n.Content[i].Value; (key == "id" || key == "name") && n.Content[i+1].Kind == yaml.ScalarNode {
				return "[" + n.Content[i+1].Value + "]"
			}
		}
	}
	return "[]"
}

func (w *yamlWalk) scalar(n *yaml.Node, s scope) {
	start := w.start(n)
	l := leaf{at: s.at, value: n.Value, start: start, end: w.end(n, start), field: min(s.field, start), parent: s.parent}
	switch n.ShortTag() {
	case "!!int", "!!float":
		l.plain, l.number = true, true
	case "!!bool", "!!null":
		l.plain = true
	}
	w.leaves = append(w.leaves, l)
}

// start is where a scalar's own text begins: behind its anchor, its tag, its
// opening quote, or on the line after a | or >.
func (w *yamlWalk) start(n *yaml.Node) int {
	at := w.offset(n)
	for at < len(w.text) && (w.text[at] == '&' && n.Anchor != "" || w.text[at] == '!') {
		for at < len(w.text) && !isBlank(w.text[at]) {
			at++
		}
		at = skipYAMLBlank(w.text, at)
	}

	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		if at < len(w.text) && (w.text[at] == '"' || w.text[at] == '\'') {
			at++
		}
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 && n.Value != "":
		at += lineLength(w.text[at:])
		for at < len(w.text) && isBlank(w.text[at]) {
			at++
		}
	}
	return min(at, len(w.text))
}

// skipYAMLBlank skips white space, line ends and comments.
func skipYAMLBlank(text []byte, at int) int {
	for at < len(text) {
		switch {
		case isBlank(text[at]):
			at++
		case text[at] == '#':
			at += lineLength(text[at:])
		default:
			return at
		}
	}
	return at
}

// end is where a scalar's text ends. yaml.v3 does not say; what is needed is a
// span that covers the value and nothing of its neighbours.
func (w *yamlWalk) end(n *yaml.Node, start int) int {
	rest := w.text[start:]
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return start + quoteEnd(rest, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		return start + quoteEnd(rest, '\'')
	}
	lines := strings.Split(strings.TrimSpace(n.Value), "\n")
	at := start
	for i, line := range lines {
		if i > 0 {
			at = skipYAMLBlank(w.text, at)
		}
		line = strings.TrimSpace(line)
		next := bytes.Index(w.text[at:min(len(w.text), at+len(line)+1)], []byte(line))
		if next < 0 {
			// Folded: the line of the value is several of the file.
			return max(min(len(w.text), at+lineLength(w.text[at:])), foldedEnd(w.text, at, line))
		}

		at += next + len(line)
	}

	return at
}

// foldedEnd follows the words of a folded line through text.
func foldedEnd(text []byte, at int, line string) int {
	for word := range strings.FieldsSeq(line) {
		at = skipBlank(text, at)
		if !bytes.HasPrefix(text[at:], []byte(word)) {
			break
		}
		at += len(word)
	}
	return at
}

func skipBlank(text []byte, at int) int {
	for at < len(text) && isBlank(text[at]) {
		at++
	}
	return at
}

// quoteEnd returns the offset of the quote that closes a string.
func quoteEnd(text []byte, quote byte) int {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] == quote && quote == '\'' && i+1 < len(text) && text[i+1] == quote:
			i++
		case text[i] == quote:
			return i
		}
	}
	return len(text)
}
