package formation

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// spliceAt makes references of the literals between « and », and checks that the
// file, filled in, is the YAML that it was.
func spliceAt(t *testing.T, path, marked string) (content, after string, pieces []Piece, failed []error) {
	t.Helper()
	var spans []Span
	for rest := marked; ; {
		before, inside, ok := strings.Cut(rest, "«")
		content += before
		if !ok {
			break
		}
		literal, behind, ok := strings.Cut(inside, "»")
		if !ok {
			t.Fatal("« without »")
		}
		spans = append(spans, Span{len(content), len(content) + len(literal)})
		content += literal
		rest = behind
	}

	all, failed := Pieces(path, []byte(content), spans)
	var names []string
	values := map[string]string{}
	for i, p := range all {
		if failed[i] == nil {
			name := fmt.Sprintf("NAME_%d", i)
			pieces, names, values[name] = append(pieces, p), append(names, name), p.Value
		}
	}
	after = string(Splice([]byte(content), pieces, names))
	rendersAs(t, path, content, after, values)
	return content, after, pieces, failed
}

func rendersAs(t *testing.T, path, before, after string, values map[string]string) {
	t.Helper()
	if !IsYAMLName(path) {
		return
	}
	filled, _, err := Render(path, []byte(after), func(name string) (string, bool) { v, ok := values[name]; return v, ok })
	if err != nil {
		t.Fatalf("the file is broken: %v\n%s", err, after)
	}
	if want, got := documentsOf(t, before), documentsOf(t, string(filled)); !reflect.DeepEqual(got, want) {
		t.Errorf("filled in, it is other YAML:\n%s\nof\n%s", after, before)
	}
}

// documentsOf reads YAML as values. A number that a reference stood for comes back
// as text; an empty document and a file of none are the same.
func documentsOf(t *testing.T, text string) (all []any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var node yaml.Node
		if decoder.Decode(&node) != nil {
			if len(all) == 1 && all[0] == "" {
				return nil
			}
			return all
		}
		var one any
		textual(&node)
		if err := node.Decode(&one); err != nil {
			return append(all, "no value: a key twice")
		}
		all = append(all, one)
	}
}

func textual(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Style&yaml.TaggedStyle == 0 && n.ShortTag() != "!!merge" {
		n.Tag = "!!str"
	}
	for _, child := range n.Content {
		textual(child)
	}
}

func TestPieces(t *testing.T) {
	const ref = "${{ secrets.NAME_0 }}"
	for _, c := range []struct{ name, path, marked, after, value string }{
		{"plain", "a.afs", "k: «sk-1» # c\n", "k: " + ref + " # c\n", "sk-1"},
		{"double quoted", "a.afs", `k: "«sk-1»"`, `k: "` + ref + `"`, "sk-1"},
		{"single quoted", "a.afs", `k: '«it''s»'`, `k: '` + ref + `'`, "it's"},
		{"escapes", "a.afs", `k: "«a\tb\u0041\"»"`, `k: "` + ref + `"`, "a\tbA\""},
		{"a line that goes on", "a.afs", "k: \"«ab\\\n  cd»\"\n", "k: \"" + ref + "\"\n", "abcd"},
		{"plain over two lines", "a.afs", "k: «ab\n  cd»\n", "k: " + ref + "\n", "ab cd"},
		{"bearer", "a.afs", "h: Bearer «sk-1»\n", "h: Bearer " + ref + "\n", "sk-1"},
		{"flow", "a.afs", "{k: «sk-1», b: 2}\n", `{k: "` + ref + `", b: 2}` + "\n", "sk-1"},
		{"flow, bearer", "a.afs", "{k: Bearer «sk-1», b: 2}\n", `{k: "Bearer ` + ref + `", b: 2}` + "\n", "sk-1"},
		{"flow, quoted", "a.afs", "{k: 'Bearer «sk-1»'}\n", `{k: 'Bearer ` + ref + `'}` + "\n", "sk-1"},
		{"a number", "a.afs", "k: «4711»\n", "k: " + ref + "\n", "4711"},
		{"a boolean", "a.afs", "k: «true»\n", "k: " + ref + "\n", "true"},
		{"literal block", "a.afs", "k: |\n  «sk-1\n»b: 1\n", "k: |\n  " + ref + "\nb: 1\n", "sk-1"},
		{"literal block of lines", "a.afs", "k: |\n  «-----BEGIN\n   abc\n  -----END»\n", "k: |\n  " + ref + "\n", "-----BEGIN\n abc\n-----END"},
		{"folded block", "a.afs", "k: >-\n  «ab\n  cd»\n", "k: >-\n  " + ref + "\n", "ab cd"},
		{"kept line ends", "a.afs", "k: |+\n  «sk-1»\n\n\nb: 1\n", "k: |+\n  " + ref + "\n\n\nb: 1\n", "sk-1"},
		{"an anchor", "a.afs", "k: &a «sk-1»\nb: *a\n", "k: &a " + ref + "\nb: *a\n", "sk-1"},
		{"a tag", "a.afs", "k: !!str «123»\n", "k: !!str " + ref + "\n", "123"},
		{"JSON", "a.afs", `a: ['{"k": "«sk-1", "b": 2}»']`, `a: ['{"k": "` + ref + `", "b": 2}']`, "sk-1"},
		{"JSON in double quotes", "a.afs", `a: "{\"k\": \"«sk-1\", \"b\": 2}»"`, `a: "{\"k\": \"` + ref + `\", \"b\": 2}"`, "sk-1"},
		{"in a URL", "a.afs", "u: https://h/«abc/sse?x=1»\n", "u: https://h/" + ref + "/sse?x=1\n", "abc"},
		{"before a reference", "a.afs", "k: «sk-1${{ secrets.TAIL }}»\n", "k: " + ref + "${{ secrets.TAIL }}\n", "sk-1"},
		{"a comment", "a.afs", "k: 1 # «sk-1»\n", "k: 1 # " + ref + "\n", "sk-1"},
		{"CR LF", "a.afs", "k: «sk-1»\r\nb: 1\r\n", "k: " + ref + "\r\nb: 1\r\n", "sk-1"},
		{"a byte order mark", "a.afs", "\ufeffk: «sk-1»\n", "\ufeffk: " + ref + "\n", "sk-1"},
		{"the second document", "a.afs", "a: 1\n---\nk: «sk-1»\n", "a: 1\n---\nk: " + ref + "\n", "sk-1"},
		{"no line end", "a.afs", "k: «sk-1»", "k: " + ref, "sk-1"},
		{"front matter", "triggers/t.md", "---\nwebhook: «https://x»\n---\ntext\n", "---\nwebhook: " + ref + "\n---\ntext\n", "https://x"},
		{"front matter, CR LF and a byte order mark", "triggers/t.md", "\ufeff---\r\nwebhook: «https://x»\r\n---\r\ntext\r\n", "\ufeff---\r\nwebhook: " + ref + "\r\n---\r\ntext\r\n", "https://x"},
		{"front matter that ends in dots", "triggers/t.md", "---\nwebhook: «https://x»\n...\n: [ text\n---\n", "---\nwebhook: " + ref + "\n...\n: [ text\n---\n", "https://x"},
		{"a skill", "skills/s/SKILL.md", "Use «sk-1».\n", "Use " + ref + ".\n", "sk-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, after, pieces, failed := spliceAt(t, c.path, c.marked)
			if failed[0] != nil {
				t.Fatal(failed[0])
			}
			if after != c.after {
				t.Errorf("%q\nwant\n%q", after, c.after)
			}
			if pieces[0].Value != c.value {
				t.Errorf("value %q, want %q", pieces[0].Value, c.value)
			}
			if pieces[0].Comment != (c.name == "a comment") {
				t.Error("taken for a comment, or not")
			}
		})
	}
}

// TestPiecesRefused: what cannot be swapped is named, and nothing changes.
func TestPiecesRefused(t *testing.T) {
	for _, c := range []struct {
		name, path, marked string
		want               error
	}{
		{"a key", "a.afs", "«sk-1»: 1\n", errInKey},
		{"inside of a key", "a.afs", "? {«sk-1»: x}\n: 1\n", errInKey},
		{"an anchor's name", "a.afs", "a: &«sk1» x\nb: *sk1\n", errBound},
		{"a tag", "a.afs", "a: !«sk1» x\n", errBound},
		{"a number's tag", "a.afs", "a: !!int «12»\n", errBound},
		{"binary", "a.afs", "a: !!binary «aGk=»\n", errBound},
		{"across two values", "a.afs", "a: «b\nc: d»\n", errBound},
		{"a block's indentation", "a.afs", "a: |\n « secret-value»\n    more\n", errBound},
		{"nothing", "a.afs", "a: «»b\n", errBound},
		{"behind the front matter", "triggers/t.md", "---\na: 1\n---\n«sk-1»\n", errNotFilled},
		{"behind front matter that ends in dots", "triggers/t.md", "---\na: 1\n...\nb: «sk-1»\n---\n", errNotFilled},
		{"front matter left open", "triggers/t.md", "---\na: «sk-1»\n", errNotFilled},
		{"no front matter", "triggers/t.md", "«sk-1»\n", errNotFilled},
		{"text before the lines", "triggers/t.md", "text\n---\na: «sk-1»\n---\n", errNotFilled},
		{"knowledge", "knowledge/k.md", "«sk-1»\n", errNotFilled},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after, _, failed := spliceAt(t, c.path, c.marked)
			if failed[0] != c.want {
				t.Errorf("%v, want %v", failed[0], c.want)
			}
			if before != after {
				t.Errorf("changed: %q", after)
			}
		})
	}
	if _, failed := Pieces("a.afs", []byte("a: [\n"), []Span{{0, 1}}); failed[0] == nil {
		t.Error("broken YAML is changed")
	}
	if _, failed := Pieces("a.afs", []byte("a: b\n"), []Span{{}}); failed[0] != errEncoded {
		t.Error("a span of nothing is taken")
	}
}

func TestPiecesOverlap(t *testing.T) {
	content := []byte("{a: b x c}\n")
	_, failed := Pieces("a.afs", content, []Span{{4, 5}, {8, 9}})
	if failed[0] != nil || failed[1] != errCovered {
		t.Errorf("%v", failed)
	}
}

// TestPiecesGenerated writes random values in every style that YAML has, in nested
// places, and moves them all.
func TestPiecesGenerated(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	alphabet := []rune(`abcXYZ019-_ :#'"\{}[],&*!|>%@` + "`~ \tüß€😀\n")
	for range 400 {
		doc, values := &yaml.Node{Kind: yaml.MappingNode}, map[string]bool{}
		at := doc
		for i := range 1 + r.IntN(4) {
			value := "v" + string(rune('a'+i))
			for range r.IntN(20) {
				value += string(alphabet[r.IntN(len(alphabet))])
			}
			values[value] = true
			styles := []yaml.Style{0, yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle, yaml.LiteralStyle, yaml.FoldedStyle}
			leaf := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Style: styles[r.IntN(len(styles))], LineComment: "# c"}
			key := &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprintf("k%d", i)}
			next := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.Style(r.IntN(2)) * yaml.FlowStyle}
			at.Content = append(at.Content, key, leaf, &yaml.Node{Kind: yaml.ScalarNode, Value: "n"}, next)
			at = next
		}
		var b bytes.Buffer
		if yaml.NewEncoder(&b).Encode(doc) != nil {
			continue
		}
		content := b.Bytes()
		spans := spansOfScalars(content, values)
		pieces, failed := Pieces("a.afs", content, spans)
		var good []Piece
		var names []string
		filled := map[string]string{}
		for i := range pieces {
			if failed[i] == nil {
				name := fmt.Sprintf("N%d", i)
				good, names, filled[name] = append(good, pieces[i]), append(names, name), pieces[i].Value
			}
		}
		rendersAs(t, "a.afs", string(content), string(Splice(content, good, names)), filled)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// spansOfScalars guesses where the values are, as a scanner would.
func spansOfScalars(content []byte, values map[string]bool) (spans []Span) {
	for value := range values {
		line, _, _ := strings.Cut(value, "\n")
		if at := bytes.Index(content, []byte(line)); at >= 0 {
			spans = append(spans, Span{at, at + len(line)})
		}
	}
	return spans
}

// FuzzPieces: whatever the file and the span, a change leaves the same YAML.
func FuzzPieces(f *testing.F) {
	f.Add("k: sk-1 # c\n", 3, 7)
	f.Add("{k: Bearer sk-1, b: &a [x, y]}\n", 11, 15)
	f.Add("k: |\n  a\n  b\n", 7, 12)
	f.Add("? {a: b}\n: \"x\\\n  y\"\n", 12, 16)
	f.Add("a: &x 1\nb: {<<: *x}\n--- !t\n- 'it''s'\n", 36, 40)
	f.Add("! #0 1111", 5, 9)
	f.Fuzz(func(t *testing.T, text string, start, end int) {
		content := []byte(text)
		if start < 0 || end < start || end > len(content) || len(content) > 1<<12 || strings.Contains(text, "${{") {
			return
		}
		pieces, failed := Pieces("a.afs", content, []Span{{start, end}})
		if failed[0] != nil {
			return
		}
		p := pieces[0]
		after := Splice(content, pieces, []string{"NAME"})
		if !bytes.HasPrefix(after, content[:p.Span.Start]) || !bytes.HasSuffix(after, content[p.Span.End:]) {
			t.Fatal("bytes outside of the piece changed")
		}
		rendersAs(t, "a.afs", text, string(after), map[string]string{"NAME": p.Value})
	})
}
