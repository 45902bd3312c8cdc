package formation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxYAML is the size in bytes above which a YAML file is looked at line by
// line instead of being parsed: no formation is that long, and the parser
// keeps several hundred bytes a node.
const maxYAML = 4 << 20

// scalar is one scalar of a YAML file.
type scalar struct {
	value        string
	line, column int // 1-based, in characters: where its text or opening quote starts
	key          bool
}

// scalars calls yield for every string of every document in content. Anchored
// values come once, where they stand; aliases are not followed, so a small
// file stays small work. It fails where content is no YAML.
func scalars(content []byte, yield func(scalar)) (err error) {
	if len(content) > maxYAML {
		return fmt.Errorf("longer than %d MiB", maxYAML>>20)
	}
	defer func() {
		// yaml.v3 reports some malformed input by panicking across its API.
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed YAML: %v", p)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		if err := decoder.Decode(&document); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
		}
		walkScalars(&document, false, yield)
	}
}

func walkScalars(node *yaml.Node, key bool, yield func(scalar)) {
	switch node.Kind {
	case yaml.ScalarNode:
		yield(scalar{node.Value, node.Line, node.Column, key})
	case yaml.MappingNode:
		for i, child := range node.Content {
			walkScalars(child, key || i%2 == 0, yield)
		}
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, child := range node.Content {
			walkScalars(child, key, yield)
		}
	}
}
