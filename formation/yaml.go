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
	path         []string // the keys above it, without the places in lists; for the call alone
}

// scalars calls yield for every string of every document in content. Anchored
// values come once, where they stand; aliases are not followed, so a small
// file stays small work. It fails where content is no YAML.
func scalars(content []byte, yield func(scalar)) error {
	return decodeYAML(content, func(decoder *yaml.Decoder) error {
		for {
			var document yaml.Node
			if err := decoder.Decode(&document); err != nil {
				return err
			}
			walkScalars(&document, nil, false, yield)
		}
	})
}

// DecodeYAML reads the first document of content into a value, as yaml.Unmarshal
// does; without a document the value stays as it is. It fails where content is no
// YAML, with an error that quotes none of it.
func DecodeYAML(content []byte, into any) error {
	return decodeYAML(content, func(decoder *yaml.Decoder) error { return decoder.Decode(into) })
}

// decodeYAML has read take the documents from content until there is no more.
func decodeYAML(content []byte, read func(*yaml.Decoder) error) (err error) {
	if len(content) > maxYAML {
		return fmt.Errorf("longer than %d MiB", maxYAML>>20)
	}
	defer func() {
		// yaml.v3 reports some malformed input by panicking across its API.
		if p := recover(); p != nil {
			err = errMalformed
		}
	}()

	err = read(yaml.NewDecoder(bytes.NewReader(content)))
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return yamlError(err)
}

var errMalformed = errors.New("malformed YAML")

// yamlError is what yaml.v3 says about content, without the pieces of content
// that it quotes: an unquoted value that starts with * is an anchor to it, and
// would be in the message. The punctuation that it expects somewhere stays.
func yamlError(err error) error {
	var b strings.Builder
	rest := strings.TrimPrefix(err.Error(), "yaml: ")
	for {
		open := strings.IndexAny(rest, "'`\"")
		if open < 0 {
			break
		}
		quote := rest[open : open+1]
		quoted := rest[open+1:]
		end := strings.LastIndex(quoted, quote)
		if near := strings.Index(quoted, quote); near >= 0 && near <= 2 {
			end = near
		}
		b.WriteString(rest[:open+1])
		if end < 0 {
			return errMalformed
		}
		if end <= 2 {
			b.WriteString(quoted[:end])
		} else {
			b.WriteString("...")
		}
		b.WriteString(quote)
		rest = quoted[end+1:]
	}
	b.WriteString(rest)
	return errors.New(b.String())
}

func walkScalars(node *yaml.Node, path []string, key bool, yield func(scalar)) {
	switch node.Kind {
	case yaml.ScalarNode:
		yield(scalar{node.Value, node.Line, node.Column, key, path})
	case yaml.MappingNode:
		for i, child := range node.Content {
			if i%2 == 0 {
				walkScalars(child, path, true, yield)
			} else {
				walkScalars(child, append(path, node.Content[i-1].Value), key, yield)
			}
		}
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, child := range node.Content {
			walkScalars(child, path, key, yield)
		}
	}
}
