package formation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// Filling is what Render replaced, by name; each name once, in file order.
type Filling struct {
	Missing  []string // required and without a value: the text stays
	Optional []string // optional ones, which today's runtime leaves as text
	Verbatim []string // spelled as the runtime does not replace: the text stays
}

// Render returns content (the file at path, below the formation's folder with /,
// which says how it is searched) with its references filled in as the runtime does, and an optional one
// without a value as its || says. value gives what stands for a name.
func Render(path string, content []byte, value func(name string) (string, bool)) ([]byte, *Filling, error) {
	f := &filler{path: path, value: value, seen: map[string]bool{}}
	base := path[strings.LastIndexByte(path, '/')+1:]
	if !IsYAMLName(base) {
		text := string(content)
		from, to := webhookOf(path, text)
		return []byte(f.fill(text[:from], live) + f.fill(text[from:to], normalised) + f.fill(text[to:], live)), &f.filling, nil
	}
	out, err := f.yaml(content)
	return out, &f.filling, err
}

type filler struct {
	path    string
	value   func(name string) (string, bool)
	filling Filling
	seen    map[string]bool // "kind NAME" already noted
}

func (f *filler) note(list *[]string, kind, name string) {
	if !f.seen[kind+name] {
		f.seen[kind+name] = true
		*list = append(*list, name)
	}
}

// yaml fills string values and writes the documents again through the encoder:
// this is a view of the file, not the file.
func (f *filler) yaml(content []byte) (out []byte, err error) {
	if len(content) > maxYAML {
		return nil, fmt.Errorf("it is longer than %d MiB", maxYAML>>20)
	}

	defer func() {
		if p := recover(); p != nil {
			out, err = nil, errMalformed
		}
	}()
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	some := false // documents
	for {
		var document yaml.Node
		if err := decoder.Decode(&document); err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return nil, yamlError(err)
		}

		some = true
		f.node(&document, nil)
		if err := encoder.Encode(&document); err != nil {
			return nil, err
		}
	}

	if !some {
		return nil, nil // nothing, or comments alone
	}
	if err := encoder.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (f *filler) node(node *yaml.Node, keys []string) {
	switch node.Kind {
	case yaml.ScalarNode:
		filled := f.fill(node.Value, zoneOf(f.path, keys))
		if filled == node.Value {
			return
		}
		node.Value = filled
		node.Tag = "!!str" // a number put in for a reference is still a string to the runtime
		if node.Style != yaml.SingleQuotedStyle || strings.ContainsAny(filled, "\n\r") {
			node.Style = yaml.DoubleQuotedStyle
		}
	case yaml.MappingNode:
		for i := 1; i < len(node.Content); i += 2 {
			f.node(node.Content[i], append(keys, node.Content[i-1].Value))
		}
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, child := range node.Content {
			f.node(child, keys)
		}
	}
}

// fill replaces the expressions in one text.
func (f *filler) fill(text string, z zone) string {
	if !strings.Contains(text, "${{") {
		return text
	}
	var b strings.Builder
	at := 0
	for _, e := range looseExpressions(text) {
		if z != normalised {
			e = e.strictly()
		}
		filled, ok := f.expression(text, e, z)
		if !ok {
			continue
		}
		b.WriteString(text[at:e.start])
		b.WriteString(filled)
		at = e.end
		if e.terms[0].user && !e.optional {
			return b.String() // the runtime drops what is behind it
		}
	}

	b.WriteString(text[at:])
	return b.String()
}

func (f *filler) expression(text string, e expression, z zone) (string, bool) {
	for _, t := range e.terms {
		spelled := text[t.start:t.end]
		name := secretName(spelled, t.user)
		if name == "" {
			return "", false
		}
		if z.unreplaced(t, spelled, name, e.start == 0) != "" {
			f.note(&f.filling.Verbatim, "verbatim ", spelled)
			return "", false
		}

		if e.optional {
			f.note(&f.filling.Optional, "optional ", name)
		}
		if value, ok := f.value(name); ok {
			return value, true
		}
		if !e.optional {
			f.note(&f.filling.Missing, "missing ", name)
		}
	}
	return e.fallback, e.optional
}
