package formation

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// stored is a lookup of a fixed set.
func stored(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func TestRender(t *testing.T) {
	values := stored(map[string]string{"A": "va", "NUMBER": "5432", "LINES": "one\ntwo\n", "QUOTES": `"'\ #: {`, "USER_CREDENTIALS_GIT_HUB": "vg", "EMPTY": ""})
	for _, test := range [...]struct{ about, path, before, after, missing, optional, verbatim string }{
		{about: "no reference", path: "x.afs", before: "a: 1 # c\n", after: "a: 1 # c\n"},
		{about: "styles", path: "x.afs", before: "a: \"${{ secrets.A }}\" # ${{ secrets.A }}\nb: '${{ secrets.A }}'\nc: ${{ secrets.A }}\n",
			after: "a: \"va\" # ${{ secrets.A }}\nb: 'va'\nc: \"va\"\n"},
		{about: "partial", path: "x.afs", before: "a: Bearer ${{secrets.A}}, ${{ secrets.A }}\n", after: "a: \"Bearer va, va\"\n"},
		{about: "a number stays a string", path: "x.afs", before: "a: ${{ secrets.NUMBER }}\n", after: "a: \"5432\"\n"},
		{about: "a tagged number, too", path: "x.afs", before: "a: !!int \"${{ secrets.NUMBER }}\"\n", after: "a: \"5432\"\n"},
		{about: "several lines", path: "x.afs", before: "a: '${{ secrets.LINES }}'\n", after: "a: \"one\\ntwo\\n\"\n"},
		{about: "awkward", path: "x.afs", before: "a: ${{ secrets.QUOTES }}\n", after: "a: \"\\\"'\\\\ #: {\"\n"},
		{about: "empty", path: "x.afs", before: "a: ${{ secrets.EMPTY }}\n", after: "a: \"\"\n"},
		{about: "user", path: "mcp/x.afs", before: "auth: {token: \"${{ user.credentials.git_hub }} dropped\"}\n", after: "auth: {token: \"vg\"}\n"},
		{about: "user, outside of auth", path: "x.afs", before: "a: ${{ user.credentials.git_hub }}\n", after: "a: ${{ user.credentials.git_hub }}\n", verbatim: "git_hub"},
		{about: "transformer", path: "transformers/x.yaml", before: "a: ${{ secrets.a }} ${{ secrets._a- }}\n", after: "a: \"va va\"\n"},
		{about: "trigger", path: "triggers/x.md", before: "---\nwebhook: ${{ secrets.a }}\nx: ${{ secrets.a }}\n---\n${{ secrets.A }}", after: "---\nwebhook: va\nx: ${{ secrets.a }}\n---\nva", verbatim: "a"},
		{about: "keys stay", path: "x.afs", before: "\"${{ secrets.A }}\": 1\n", after: "\"${{ secrets.A }}\": 1\n"},
		{about: "anchor", path: "x.afs", before: "a: &x ${{ secrets.A }}\nb: *x\n", after: "a: &x \"va\"\nb: *x\n"},
		{about: "documents", path: "x.afs", before: "a: ${{ secrets.A }}\n---\nb: ${{ secrets.A }}\n", after: "a: \"va\"\n---\nb: \"va\"\n"},
		{about: "missing", path: "x.afs", before: "a: ${{ secrets.M }} ${{ secrets.A }} ${{ secrets.M }}\n", after: "a: \"${{ secrets.M }} va ${{ secrets.M }}\"\n", missing: "M"},
		{about: "optional with a value", path: "x.afs", before: "a: ${{ secrets.A || 'x' }}\n", after: "a: \"va\"\n", optional: "A"},
		{about: "optional without", path: "x.afs", before: "a: \"${{ secrets.M || '' }}\"\nb: ${{ secrets.M || 'x' }}\n", after: "a: \"\"\nb: \"x\"\n", optional: "M"},
		{about: "optional, the second has one", path: "x.afs", before: "a: ${{ secrets.M || secrets.A }}\n", after: "a: \"va\"\n", optional: "M A"},
		{about: "lower case", path: "x.afs", before: "a: ${{ secrets.a }}\n", after: "a: ${{ secrets.a }}\n", verbatim: "a"},
		{about: "malformed", path: "x.afs", before: "a: ${{ secret.A }}\n", after: "a: ${{ secret.A }}\n"},
		{about: "text", path: "sops/x.md", before: "# ${{ secrets.A }}\r\n${{ secrets.M }}", after: "# va\r\n${{ secrets.M }}", missing: "M"},
	} {
		out, filling, err := Render(test.path, []byte(test.before), values)
		if err != nil {
			t.Errorf("%s: %v", test.about, err)
			continue
		}
		if string(out) != test.after {
			t.Errorf("%s: got\n%s", test.about, out)
		}
		for name, list := range map[string][2]string{
			"missing": {strings.Join(filling.Missing, " "), test.missing}, "optional": {strings.Join(filling.Optional, " "), test.optional},
			"verbatim": {strings.Join(filling.Verbatim, " "), test.verbatim},
		} {
			if list[0] != list[1] {
				t.Errorf("%s: %s %q, want %q", test.about, name, list[0], list[1])
			}
		}
	}
}

// What is put in is never read again as a reference.
func TestRenderOnce(t *testing.T) {
	out, _, err := Render("x.afs", []byte("a: ${{ secrets.A }}\n"), stored(map[string]string{"A": "${{ secrets.B }}", "B": "marker"}))
	if err != nil || string(out) != "a: \"${{ secrets.B }}\"\n" {
		t.Errorf("a value was searched for references, %v", err)
	}
}

func TestRenderBroken(t *testing.T) {
	for _, text := range [...]string{"a: [", "a: *hunter2", "a: &hunter2 [\nb: *hunter2", "a: !hunter2!x y", "\thunter2: a", "a: \"hunter2", "a: hunter2: b", "%hunter2\n---"} {
		_, _, err := Render("x.afs", []byte(text), stored(nil))
		if err == nil {
			continue // not all of these are refused
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error repeats the file", text)
		}
	}
	if _, _, err := Render("x.afs", []byte("a: ["), stored(nil)); err == nil {
		t.Error("no error")
	}
	if _, _, err := Render("x.afs", bytes.Repeat([]byte("#"), maxYAML+1), stored(nil)); err == nil {
		t.Error("no error for a huge file")
	}
}

// decodeAll decodes every document; ok is false where that fails.
func decodeAll(content []byte) (documents []any, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			documents, ok = nil, false
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document any
		err := decoder.Decode(&document)
		if err == io.EOF {
			return documents, true
		}
		if err != nil {
			return nil, false
		}
		documents = append(documents, document)
	}
}

// substitute fills every string of a decoded document, but no key.
func substitute(value any, fill func(string) string) any {
	switch v := value.(type) {
	case string:
		return fill(v)
	case []any:
		for i := range v {
			v[i] = substitute(v[i], fill)
		}
	case map[string]any:
		for k := range v {
			v[k] = substitute(v[k], fill)
		}
	case map[any]any:
		for k := range v {
			v[k] = substitute(v[k], fill)
		}
	}
	return value
}

// checkRender compares decoding what Render gives with filling in what decoding
// gives.
func checkRender(t *testing.T, content []byte, value string) {
	t.Helper()
	find := stored(map[string]string{"A": value, "USER_CREDENTIALS_A": value})
	want, ok := decodeAll(content)
	if !ok {
		return
	}
	// The encoder has faults of its own, with odd comments above all: only what
	// survives it untouched is compared.
	same, _, err := Render("x.afs", content, stored(nil))
	if err != nil {
		return
	}
	if again, ok := decodeAll(same); !ok || fmt.Sprint(again) != fmt.Sprint(want) && !bytes.Contains(content, []byte("||")) {
		return
	}
	out, _, err := Render("x.afs", content, find)
	if err != nil {
		t.Fatalf("with a value: %v", err)
	}
	got, ok := decodeAll(out)
	if !ok {
		t.Fatalf("from %q: what was rendered cannot be decoded", content)
	}
	filler := &filler{value: find, seen: map[string]bool{}}
	for i := range want {
		want[i] = substitute(want[i], func(text string) string { return filler.fill(text, live) })
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("from %q: what was rendered decodes to something else", content)
	}
}

func TestRenderAwkward(t *testing.T) {
	for _, file := range [...]string{
		"a: ${{ secrets.A }}\n", "a: '${{ secrets.A }}'\n", "a: \"x${{ secrets.A }}\"\n", "a: |\n  x\n  ${{ secrets.A }}\n", "a: >-\n  ${{ secrets.A }} x\n",
		"- {b: '${{ secrets.A }}', c: ['x ${{ secrets.A }}', 1]}\n", "a: &x '${{ secrets.A }}'\nb: *x\n", "'${{ secrets.A }}'\n",
	} {
		for _, value := range append(awkward(), "a\u0085b", "a\u2028b", "a\u2029 b", " \u0085 ", "a\ufeff", "---", "...", "? a", "- b", "~", "yes", "0x1f", "2001-01-01") {
			checkRender(t, []byte(file), value)
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, seed := range [...]string{
		"a: ${{ secrets.A }}\n", "a: '${{ secrets.A }}' # c\n--- \n- x${{ secrets.A || '' }}\n", "a: |\n  ${{ secrets.A }}\nb: >\n  x\n\n  ${{ user.credentials.a }}\n",
		"{a: \"\\x24{{ secrets.A }}\", ${{ secrets.A }}: 1}", "? ${{ secrets.A }}\n: [&x '${{ secrets.A }}', *x]\n",
	} {
		f.Add([]byte(seed), "value")
		f.Add([]byte(seed), "a\u0085 'b\n")
	}
	f.Fuzz(func(t *testing.T, content []byte, value string) {
		if utf8.ValidString(value) {
			checkRender(t, content, value)
		}
	})
}

// TestRenderNoDocument: a file of comments alone is no broken one.
func TestRenderNoDocument(t *testing.T) {
	for _, text := range []string{"", "# a comment\n", "\n"} {
		if out, _, err := Render("a.afs", []byte(text), nil); err != nil || len(out) != 0 {
			t.Errorf("%q: %q, %v", text, out, err)
		}
	}
}
