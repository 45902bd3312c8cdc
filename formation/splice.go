package formation

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
)

// Span is a stretch of a file's bytes.
type Span struct{ Start, End int }

// Piece is the part of a file that becomes a reference: bytes of one scalar, and
// the value that they stand for.
type Piece struct {
	Value   string
	Span    Span   // what is replaced
	Comment bool   // it is part of a comment, in which nobody fills it in
	before  string // what stands around the reference there: quotes, and what
	after   string // came into them with it
}

// Why bytes cannot become a reference.
var (
	errNotFilled = errors.New("the runtime fills in no reference there")
	errInKey     = errors.New("it stands in a key, where the runtime replaces nothing")
	errBound     = errors.New("its bytes are part of other YAML and cannot be swapped alone")
	errCovered   = errors.New("it stands beside another one in the same value; run the command again")
	errTooMuch   = errors.New("the file is too large to change piece by piece")
	errEncoded   = errors.New("the file is not written in UTF-8")
)

// maxSpliceWork bounds the spans in a file times its size in bytes: each of them
// has the file parsed.
const maxSpliceWork = 1 << 28

// Pieces finds for each span, which covers a literal in the file at path (below
// the formation's folder, with /), what a reference can be put in place of; or
// why none can: errors[i] is nil where pieces[i] is good.
//
// Nothing is believed of the spans but where they begin. Each change is tried out
// first: the file with a reference there must be the same YAML but for one string
// value, with the reference standing for what it lost. That finds the value, too,
// whatever quotes, escapes, folds or anchors it is written with.
func Pieces(path string, content []byte, spans []Span) (pieces []Piece, failed []error) {
	pieces, failed = make([]Piece, len(spans)), make([]error, len(spans))
	s, err := newSplicer(path, content)
	if len(spans)*len(content) > maxSpliceWork {
		err = errTooMuch
	}

	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return spans[order[i]].Start < spans[order[j]].Start })

	end := 0 // of the last piece
	for _, i := range order {
		switch {
		case err != nil:
			failed[i] = err
			continue
		case spans[i].End == 0:
			failed[i] = errEncoded
			continue
		}
		pieces[i], failed[i] = s.piece(spans[i])
		if failed[i] == nil && pieces[i].Span.Start < end {
			failed[i] = errCovered
		}
		if failed[i] == nil {
			end = pieces[i].Span.End
		}
	}
	return pieces, failed
}

// Splice returns content with a reference to names[i] in place of pieces[i]. Every
// byte outside of the pieces stays.
func Splice(content []byte, pieces []Piece, names []string) []byte {
	order := make([]int, len(pieces))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(i, j int) bool { return pieces[order[i]].Span.Start < pieces[order[j]].Span.Start })

	var out []byte
	at := 0
	for _, i := range order {
		p := pieces[i]
		out = append(append(out, content[at:p.Span.Start]...), p.with(reference(names[i]))...)
		at = p.Span.End
	}
	return append(out, content[at:]...)
}

// reference is how people write one.
func reference(name string) string { return "${{ secrets." + name + " }}" }

func (p Piece) with(reference string) string { return p.before + reference + p.after }

// splicer tries changes to one file.
type splicer struct {
	content  []byte
	from, to int // where the YAML is
	tree     []*yaml.Node
	text     bool   // no YAML: references are filled in everywhere
	mark     string // occurs nowhere in it
}

func newSplicer(path string, content []byte) (*splicer, error) {
	s := &splicer{content: content, to: len(content), mark: unusedMark(string(content))}
	if kindOf(path) != yamlFile {
		return s, s.plainText(path)
	}
	var err error
	s.tree, err = yamlTree(content)
	if err != nil {
		return nil, fmt.Errorf("the file is no valid YAML: %w", err)
	}
	return s, nil
}

// plainText finds the part of a file that is no YAML in which the runtime fills
// references in: a trigger's front matter, a skill's page.
func (s *splicer) plainText(path string) error {
	switch folder, rest, _ := strings.Cut(path, "/"); {
	case folder == "skills" && (rest == "SKILL.md" || strings.HasSuffix(rest, "/SKILL.md")):
		s.text = true
		return nil
	case folder == "triggers":
		var ok bool
		if s.from, s.to, ok = frontMatter(string(s.content)); !ok {
			return errNotFilled
		}
	default:
		return errNotFilled
	}
	var err error
	if s.tree, err = yamlTree(s.content[s.from:s.to]); err != nil {
		return fmt.Errorf("its front matter is no valid YAML: %w", err)
	}
	return nil
}

func yamlTree(content []byte) (tree []*yaml.Node, err error) {
	err = decodeYAML(content, func(decoder *yaml.Decoder) error {
		for {
			var document yaml.Node
			if err := decoder.Decode(&document); err != nil {
				return err
			}
			tree = append(tree, &document)
		}
	})
	return tree, err
}

// piece finds what to replace for the literal in span.
func (s *splicer) piece(span Span) (Piece, error) {
	span.End = min(span.End, len(s.content))
	if span.Start < span.End { // a line end belongs to the block around it
		span.End = span.Start + len(bytes.TrimRight(s.content[span.Start:span.End], "\r\n"))
	}
	if span.Start >= span.End {
		return Piece{}, errBound
	}
	if s.text {
		return Piece{Value: string(s.content[span.Start:span.End]), Span: span}, nil
	}
	if span.Start < s.from || span.End > s.to {
		return Piece{}, errNotFilled
	}

	// A plain word is scalar text wherever scalar text stands: it shows what the
	// span is part of.
	around, err := s.try(Piece{Span: span}, s.mark)
	if err != nil {
		return Piece{}, err
	}
	if shorter := s.literalAlone(span, around); shorter != span {
		if around, err = s.try(Piece{Span: shorter}, s.mark); err != nil {
			return Piece{}, err
		}
		span = shorter
	}

	for _, p := range s.forms(span, around) {
		if got, err := s.try(p, reference(s.mark)); err == nil {
			p.Value, p.Comment = got.value, got.comment
			return p, nil
		}
	}
	return Piece{}, errBound
}

// literalAlone takes off what stands behind a literal in the same string: another
// reference, the quote that closes it in JSON, the rest of a URL.
func (s *splicer) literalAlone(span Span, around replaced) Span {
	text := s.content[span.Start:span.End]
	if next := bytes.Index(text, []byte("${{")); next > 0 {
		text = text[:next]
	}
	if n := len(around.prefix); n > 0 && (around.prefix[n-1] == '"' || around.prefix[n-1] == '\'') {
		if next := bytes.IndexByte(text, around.prefix[n-1]); next > 0 {
			text = text[:next]
			if text[next-1] == '\\' {
				text = text[:next-1]
			}
		}
	}
	if strings.Contains(around.prefix, "://") { // a part of a URL's path or query
		if next := bytes.IndexAny(text, "/?#&"); next > 0 {
			text = text[:next]
		}
	}
	return Span{span.Start, span.Start + len(text)}
}

// forms are the ways to write a reference in place of span, the plainest first.
func (s *splicer) forms(span Span, around replaced) []Piece {
	all := []Piece{{Span: span}}
	if around.comment {
		return all
	}
	if around.prefix == "" && around.suffix == "" {
		return append(all, Piece{Span: span, before: `"`, after: `"`})
	}
	// In flow style { and } end a plain scalar: then all of it comes into quotes.
	from, to := span.Start-len(around.prefix), span.End+len(around.suffix)
	if from >= s.from && to <= s.to && string(s.content[from:span.Start]) == around.prefix && string(s.content[span.End:to]) == around.suffix {
		all = append(all, Piece{Span: Span{from, to}, before: `"` + inDoubleQuotes(around.prefix), after: inDoubleQuotes(around.suffix) + `"`})
	}
	return all
}

func inDoubleQuotes(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)
}

// replaced is what a change did to the one string that it changed.
type replaced struct {
	prefix, value, suffix string // value is what the text put in stands for
	comment               bool   // it changed a comment alone
}

// try puts text in place of a piece, and compares.
func (s *splicer) try(p Piece, text string) (replaced, error) {
	changed := make([]byte, 0, s.to-s.from+len(text))
	changed = append(changed, s.content[s.from:p.Span.Start]...)
	changed = append(changed, p.with(text)...)
	changed = append(changed, s.content[p.Span.End:s.to]...)
	tree, err := yamlTree(changed)
	if err != nil {
		return replaced{}, errBound
	}

	c := comparison{mark: text}
	if err := c.lists(s.tree, tree, false); err != nil {
		return replaced{}, err
	}
	if c.found {
		return c.at, nil
	}

	begin := bytes.LastIndexByte(s.content[:p.Span.Start], '\n') + 1
	if !inComment(string(s.content[begin:p.Span.Start])) {
		return replaced{}, errBound
	}
	return replaced{value: string(s.content[p.Span.Start:p.Span.End]), comment: true}, nil
}

// comparison walks two trees that may differ in one string, where the new one has
// the mark.
type comparison struct {
	mark  string
	found bool
	at    replaced
}

func (c *comparison) lists(before, after []*yaml.Node, keys bool) error {
	if len(before) != len(after) {
		return errBound
	}
	for i := range before {
		if err := c.nodes(before[i], after[i], keys); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) nodes(before, after *yaml.Node, key bool) error {
	if before.Kind != after.Kind || before.Anchor != after.Anchor {
		return errBound
	}
	switch before.Kind {
	case yaml.ScalarNode:
		return c.scalars(before, after, key)
	case yaml.MappingNode:
		if len(before.Content) != len(after.Content) || before.Tag != after.Tag {
			return errBound
		}
		for i := range before.Content {
			if err := c.nodes(before.Content[i], after.Content[i], key || i%2 == 0); err != nil {
				return err
			}
		}
		return nil
	}
	if before.Value != after.Value || before.Tag != after.Tag {
		return errBound // an alias of another name, another kind of list
	}
	return c.lists(before.Content, after.Content, key)
}

func (c *comparison) scalars(before, after *yaml.Node, key bool) error {
	at := strings.Index(after.Value, c.mark)
	if at < 0 {
		if before.Value != after.Value || before.ShortTag() != after.ShortTag() {
			return errBound
		}
		return nil
	}

	switch {
	case key:
		return errInKey
	case c.found, after.ShortTag() != "!!str", before.Style&yaml.TaggedStyle != 0 && before.ShortTag() != "!!str":
		return errBound
	}
	prefix, suffix := after.Value[:at], after.Value[at+len(c.mark):]
	rest, ok := strings.CutPrefix(before.Value, prefix)
	value, ok2 := strings.CutSuffix(rest, suffix)
	if !ok || !ok2 || value == "" {
		return errBound
	}
	c.found, c.at = true, replaced{prefix: prefix, value: value, suffix: suffix}
	return nil
}
