package formation

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// yamlEntry writes a secret as a line of a YAML mapping, or as a block of lines
// where its value has several.
func yamlEntry(name, value string) string {
	key := yamlScalar(name) + ":"
	if value == "" {
		return key + "\n"
	}
	if strings.Contains(strings.TrimRight(value, "\n"), "\n") && editable(value) {
		block := key + " " + yamlBlock(value)
		if one, err := readYAMLEntries([]byte(block)); err == nil && len(one) == 1 && one[0].Value == value {
			return block
		}
	}
	return key + " " + yamlQuoted(value) + "\n"
}

// yamlBlock is a literal block, with the sign that says what its end is.
func yamlBlock(value string) string {
	text := strings.TrimSuffix(value, "\n")
	sign := "|-"
	switch {
	case strings.HasSuffix(text, "\n"):
		sign = "|+"
	case text != value:
		sign = "|"
	}
	if strings.HasPrefix(value, " ") || strings.HasPrefix(value, "\n") {
		sign = "|2" + sign[1:]
	}
	var b strings.Builder
	b.WriteString(sign + "\n")
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			b.WriteString("  " + line)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// yamlScalar is a name as YAML has it: in quotes, where it is no plain word.
func yamlScalar(name string) string {
	if name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return yamlQuoted(name)
	}
	return name
}

// yamlQuoted is a double-quoted scalar in which every character can be seen.
func yamlQuoted(value string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range value {
		writeVisible(&b, r, '"')
	}
	b.WriteByte('"')
	return b.String()
}

// readYAMLEntries reads a mapping of names and values. Numbers and the like are the
// text that they are. The error is an *EditError.
func readYAMLEntries(text []byte) ([]Assignment, error) {
	var list []Assignment
	var own error
	err := decodeYAML(text, func(decoder *yaml.Decoder) error {
		var document, more yaml.Node
		if err := decoder.Decode(&document); err != nil {
			return err
		}
		if list, own = yamlAssignments(&document); own != nil {
			return nil
		}
		err := decoder.Decode(&more)
		if err == nil {
			own = &EditError{Line: more.Line, Reason: "a second document begins there"}
		}
		return err
	})
	switch {
	case own != nil:
		return nil, own
	case err != nil:
		return nil, &EditError{Line: lineIn(err), Reason: "it is no YAML: " + withoutLine(err)}
	}
	return list, nil
}

func yamlAssignments(document *yaml.Node) ([]Assignment, error) {
	if len(document.Content) == 0 {
		return nil, nil
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, &EditError{Line: root.Line, Reason: "it is no list of NAME: VALUE lines"}
	}
	var list []Assignment
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		a := Assignment{Spelled: key.Value, Name: Normalize(key.Value), Line: key.Line}
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			return nil, &EditError{Line: key.Line, Reason: "what stands before its ':' is no name"}
		case a.Name == "":
			return nil, &EditError{Line: key.Line, Reason: "its name has no letter or digit"}
		case value.Kind == yaml.AliasNode:
			return nil, &EditError{Line: value.Line, Reason: "it is a reference to another value: write the value in quotes"}
		case value.Kind != yaml.ScalarNode:
			return nil, &EditError{Line: value.Line, Reason: fmt.Sprintf("the value of %s is no text: write it in quotes", a.Name)}
		case value.Tag != "!!null":
			a.Value = value.Value
		}
		list = append(list, a)
	}
	return list, nil
}

var yamlLine = regexp.MustCompile(`line (\d+): ?`)

// lineIn is the line that a YAML error speaks of, or 0.
func lineIn(err error) int {
	if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
		n, _ := strconv.Atoi(found[1])
		return n
	}
	return 0
}

func withoutLine(err error) string { return yamlLine.ReplaceAllString(err.Error(), "") }
