package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Where lines can be put into somebody's YAML, by its bytes alone.

// yamlMapping is the mapping that a file of settings is, in block style; nil where
// the file has nothing but comments.
func yamlMapping(content []byte) (*yaml.Node, error) {
	var document yaml.Node
	if err := formation.DecodeYAML(content, &document); err != nil {
		return nil, fmt.Errorf("is no valid YAML: %w", err)
	}
	if document.Kind == 0 || document.Content[0].Tag == "!!null" && len(bytes.TrimSpace(content)) == 0 {
		return nil, nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode || root.Style != 0 || root.Anchor != "" {
		return nil, errors.New("is no mapping in block style")
	}
	return root, nil
}

// yamlEntry is the key and the value of an entry of a mapping; nil where there is none.
func yamlEntry(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

// yamlInside is where lines can come first in what an entry holds: on the line below
// its key. An error says why they can not.
func yamlInside(content []byte, key, value *yaml.Node) (insertion, error) {
	in := insertion{at: offsetOfLine(content, key.Line+1)}
	switch {
	case value.Kind == yaml.AliasNode:
		return in, errors.New("is an alias, and stands elsewhere")
	case value.Anchor != "":
		return in, errors.New("has an anchor, and stands elsewhere, too")
	case value.Kind == yaml.ScalarNode && value.Tag == "!!null" && value.Value == "":
		in.indent = strings.Repeat(" ", key.Column+1)
		return in, nil
	case value.Kind == yaml.ScalarNode:
		return in, errors.New("is a single value")
	case value.Style != 0 || len(value.Content) == 0:
		return in, errors.New("is in flow style")
	case value.Line <= key.Line:
		return in, errors.New("begins on the line of its name")
	}
	in.indent = strings.Repeat(" ", value.Column-1)
	return in, nil
}
