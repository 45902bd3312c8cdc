package formation

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// parseJSON reads an object of names and values. A number or a boolean is taken as
// its text, null is no value; the error is one of [ParseDotenv]'s.
func parseJSON(text string) ([]Assignment, error) {
	r := jsonReader{text: text, from: json.NewDecoder(strings.NewReader(text)), line: 1}
	if _, err := r.from.Token(); err != nil {
		return nil, r.damaged(err)
	}

	var list []Assignment
	for r.from.More() {
		a, err := r.next()
		if err != nil {
			return nil, err
		}
		if a.Value != "" && !isNote(a) {
			list = append(list, a)
		}
	}

	if _, err := r.from.Token(); err != nil {
		return nil, r.damaged(err)
	}
	if _, err := r.from.Token(); !errors.Is(err, io.EOF) {
		return nil, &DotenvError{r.here(), "something follows the JSON object"}
	}
	return list, nil
}

type jsonReader struct {
	text string
	from *json.Decoder
	// line is that of the byte at.
	line, at int
}

// next reads a name and its value.
func (r *jsonReader) next() (Assignment, error) {
	token, err := r.from.Token()
	if err != nil {
		return Assignment{}, r.damaged(err)
	}
	spelled, _ := token.(string)
	a := Assignment{Spelled: spelled, Name: Normalize(spelled), Line: r.here()}

	if KeyShape(spelled) != "" {
		return a, &DotenvError{a.Line, "a name in it looks like a key"}
	}

	var raw json.RawMessage
	if err := r.from.Decode(&raw); err != nil {
		return a, r.damaged(err)
	}
	switch raw[0] {
	case '{', '[':
		if a.Spelled == "sops" {
			return a, &SealedDotenvError{Line: a.Line, Tool: "sops", Format: "json"}
		}
		if strings.TrimSpace(string(raw[1:len(raw)-1])) == "" {
			return a, nil // an empty one, as sops gives the DEFAULT of an INI file
		}
		nested := &NestedError{Line: a.Line, List: raw[0] == '['}
		if isName(spelled) {
			nested.Name = spelled
		}
		return a, nested
	case 'n': // null
		return a, nil
	case '"':
		var e entry
		if err := e.UnmarshalJSON(raw); err != nil || e.raw != nil {
			return a, &DotenvError{a.Line, "its value is no text that UTF-8 can hold"}
		}
		a.Value = e.value
	default:
		a.Value = string(raw)
	}

	if tool := sealedBy(a); tool != "" {
		return a, &SealedDotenvError{Line: a.Line, Tool: tool, Format: "json"}
	}
	if a.Name == "" && a.Value != "" {
		return a, &DotenvError{a.Line, "its name has no letter or digit"}
	}
	return a, nil
}

// here is the line that reading has come to.
func (r *jsonReader) here() int {
	to := min(int(r.from.InputOffset()), len(r.text))
	r.line += strings.Count(r.text[r.at:to], "\n")
	r.at = to
	return r.line
}

// damaged says where the JSON ends to be any; what stands there is not repeated.
func (r *jsonReader) damaged(err error) error {
	line := r.here()
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		to := min(int(syntax.Offset), len(r.text))
		line = strings.Count(r.text[:to], "\n") + 1
	}
	return &DotenvError{line, "its JSON is damaged"}
}
