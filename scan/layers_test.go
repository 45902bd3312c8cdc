package scan

import (
	"encoding/base64"
	"html"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/scan/scantest"
)

// Stored values and tokens are found in every spelling, once, where they stand.
func TestLayers(t *testing.T) {
	for name, value := range map[string]string{
		"PASSWORD": "hunter2-hunter2", "TOKEN": keyOf("github"), "OPENAI": keyOf("openai 24"), "SYMBOLS": "p@ss/w0rd+\"quoted\"\\&<x>='y'", "MIXED": "aB3$xyzq-longer",
	} {
		known := &Scanner{Known: NewKnown([]NamedValue{{Name: name, Value: []byte(value)}})}
		for how, text := range scantest.Spelled(value) {
			if name == "SYMBOLS" && (how == "YAML, broken" || strings.HasPrefix(how, "colours") || how == "link") {
				continue // a value with backslashes would have to be escaped there as well
			}
			text = "first\n\nlast:\n" + text + "\nend\n"
			found := known.File("notes.txt", []byte(text), Regular)
			if len(found) != 1 || found[0].Rule != KnownSecret || found[0].Line < 3 || found[0].Secret != name {
				t.Errorf("%s as %s:%s", name, how, summary(found))
			}
			noValue(t, found, value)
			if name != "TOKEN" && name != "OPENAI" {
				continue
			}
			found = (&Scanner{}).File("notes.txt", []byte(text), Regular)
			if len(found) != 1 || found[0].Rule != PlaintextKey || found[0].Line < 3 {
				t.Errorf("the token %s as %s:%s", name, how, summary(found))
			}
			noValue(t, found, value)
			again := (&Scanner{}).File("notes.txt", []byte("# moved\n"+text), Regular)
			if len(found) == 1 && len(again) == 1 && (again[0].Fingerprint != found[0].Fingerprint || again[0].Line != found[0].Line+1) {
				t.Errorf("the token %s as %s: another fingerprint", name, how)
			}
			if found := (&Scanner{}).Message([]byte(text)); len(found) != 1 {
				t.Errorf("the token %s as %s in a message: %d findings", name, how, len(found))
			}
		}
	}
}

func TestEntities(t *testing.T) {
	value := "a<b>&'\"c d/e=f"
	for _, text := range []string{html.EscapeString(value), "a&lt;b&gt;&amp;&apos;&quot;c d&sol;e&equals;f", "a&#x3c;b&#0062;&AMP;&#39;&#34;c d/e=f"} {
		if got := string(unescaped([]byte(text), '&', unescapeEntity)); got != value {
			t.Errorf("%s: %s", text, got)
		}
	}
	for _, text := range []string{"&", "&;", "&#;", "&#x;", "&#xZ;", "&#12a;", "&copy;", "a && b;", "&#9999999999999;"} {
		if got := string(unescaped([]byte(text), '&', unescapeEntity)); got != text {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// Places in a layer are places in the file, to the character.
func TestBackslashes(t *testing.T) {
	for text, want := range map[string]string{
		`a\nb\tc\rd\be\ff\0g\eh`: "a\nb\tc\rd\be\ff\x00g\x1bh", `\"\\\/\'\d`: `"\/'d`,
		`\x41\x4a\x4B`: "AJK", `\x4`: "x4", `\x4g`: "x4g",
		`\u0041\u00e9\u00E9x`: "Aééx", `\u004`: "u004", `\u004g1`: "u004g1",
		`\ud83d\ude00x`: "😀x", `\uD83D\uDE00`: "😀", `\ud83dx`: "\ufffdx", `\ud83d\ude0`: "\ufffdude0", `\ud83d\nx`: "\ufffd\nx", `\ud83d`: "\ufffd", `\ud83d\u0041`: "\ufffdA",
		`\u{41}\u{e9}\u{1F600}\u{00004a}x`: "Aé😀Jx", `\u{}`: "u{}", `\u{41`: "u{41", `\u{0000041}`: "u{0000041}", `\u{4g}`: "u{4g}", `\u{`: "u{", `\u{110000}`: "\ufffd",
		`\U0001F600x`: "😀x", `\U0001F60`: "U0001F60",
		"a\\\n \t b": "ab", "a\\\r\n  b": "ab", "a\\\r b": "a\r b", "a\\\n\nb": "a\nb", "a\\\n": "a", `a\`: `a\`, `a\\`: `a\`,
	} {
		if got := string(unescaped([]byte(text), '\\', unescapeBackslash)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// A letter beyond ASCII is one \xNN in YAML, JavaScript and Python, and two in C, Go
// and shells; bytes that are no text stay bytes.
func TestHighEscapes(t *testing.T) {
	raw := "\xfc\xfe\x80\xc3-hunter2\xff"
	s := &Scanner{Known: NewKnown([]NamedValue{{Name: "A", Value: []byte("hunter2/Hünter2+x~k")}, {Name: "B", Value: []byte(raw)}, {Name: "C", Value: []byte("Ã¼Ã¼-hunter2")}})}
	for text, name := range map[string]string{
		`x: "hunter2/H\xfcnter2+x~k"`: "A", `x: "hunter2/H\xFCnter2\x2bx~k"`: "A", `x: "hunter2/H\u00fcnter2+x~k"`: "A",
		`x = "hunter2/H\xc3\xbcnter2+x~k"`: "A", `x = "\x68unter2/H\xc3\xbcnter2+x~k"`: "A",
		`x = "{\"a\": \"hunter2/H\\xfcnter2+x~k\"}"`: "A",
		`x = b"\xfc\xfe\x80\xc3-hunter2\xff"`:        "B", `x: "\xc3\xbc\xc3\xbc-hunter2"`: "C",
	} {
		found := s.File("a.txt", []byte("first\n"+text+" # \\xe9\n"), Regular)
		if len(found) != 1 || found[0].Rule != KnownSecret || found[0].Secret != name || found[0].Line != 2 {
			t.Errorf("%s: want %s:%s", text, name, summary(found))
		}
	}
	// What both ways of reading find is found once.
	found := s.File("a.txt", []byte(`x: "\xe9 \u0068unter2/H\u00fcnter2+x~k"`), Regular)
	if len(found) != 1 {
		t.Errorf("want one:%s", summary(found))
	}
}

func TestColours(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[1;31ma\x1b[0mb": "ab", "\x1b[ma": "a", "\x1b[@a": "a", "\x1b[?25~a": "a", "\x1b[0 qa": "a",
		"\x1b]8;;http://x\x1b\\a\x1b]8;;\x1b\\": "a", "\x1b]0;title\aa": "a", "\x1b(Ba": "a", "\x1b)0a": "a",
		"\x1b[" + strings.Repeat("1", 61) + "ma": "a",
		// None, or none that ends.
		"\x1b": "\x1b", "\x1bQa": "\x1bQa", "\x1b[1\nma": "\x1b[1\nma", "\x1b[1": "\x1b[1", "\x1b]title\na\a": "\x1b]title\na\a", "\x1b]title": "\x1b]title", "\x1b]a\x1bb": "\x1b]a\x1bb",
		"\x1b[" + strings.Repeat("1", 62) + "ma": "\x1b[" + strings.Repeat("1", 62) + "ma",
	} {
		if got := string(unescaped([]byte(text), '\x1b', unescapeColour)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestLayerPlaces(t *testing.T) {
	value := "hunter2-hunter2"
	s := &Scanner{Known: NewKnown([]NamedValue{{Name: "A", Value: []byte(value)}})}
	for _, c := range []struct{ text, at string }{
		{"x\n a %20 = " + scantest.Percent(value) + " %20", scantest.Percent(value)},
		{"x\n a \\n = " + scantest.UnicodeEscapes(value), scantest.UnicodeEscapes(value)},
		{"x\nB: " + base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(value)))), base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(value))))[:6]},
		{"x\ny\n" + scantest.Dump([]byte(value), 16, 1, "%08x  ", " ", ""), "68"},
	} {
		found := s.File("a", []byte(c.text), Regular)
		if line, column := place(c.text, c.at); len(found) != 1 || found[0].Line != line || found[0].Column != column {
			t.Errorf("want %d:%d:%s", line, column, summary(found))
		}
	}
}

func TestLayersOfLongLines(t *testing.T) {
	value := "hunter2-hunter2"
	s := &Scanner{Known: NewKnown([]NamedValue{{Name: "A", Value: []byte(value)}})}
	for _, filler := range []string{"a", "%41", `\u0041`, "&amp;", "QUJD", "61 "} {
		long := strings.Repeat(filler, (1<<20)/len(filler))
		text := long + " " + scantest.Percent(value) + " " + long + " " + base64.StdEncoding.EncodeToString([]byte(scantest.Percent(value))) + " " + long
		if found := s.File("a", []byte(text), Regular); len(found) != 2 {
			t.Errorf("beside many %s:%s", filler, summary(found))
		}
	}
}

func FuzzLayers(f *testing.F) {
	for _, text := range scantest.Spelled("hunter2-hunter2") {
		f.Add([]byte(text))
	}
	f.Add([]byte("1 KEY=" + strings.ReplaceAll(knownValues["LINES"], "\n", "\n22 ")))
	s := knownScanner()
	f.Fuzz(func(t *testing.T, text []byte) {
		hits, _ := s.layers(text, true, nil)
		for _, h := range hits {
			if h.start < 0 || h.end <= h.start || h.end > len(text) || h.from < 0 || h.to > len(text) {
				t.Fatalf("a hit at %d-%d of %d bytes", h.start, h.end, len(text))
			}
		}
	})
}

// A byte joins those before it where all are made alike and nothing lies between,
// and no escape that makes several.
func TestLayerParts(t *testing.T) {
	l := &layer{}
	l.addWhole([]byte("é"), 0, 6)
	l.add([]byte("A"), 12, 6) // behind six bytes that make nothing
	l.add([]byte("B"), 18, 6)
	l.add([]byte("C"), 30, 6)
	for at, want := range map[int][2]int{0: {0, 6}, 2: {12, 18}, 3: {18, 24}, 4: {30, 36}} {
		if start, end := l.below(at, at+1); [2]int{start, end} != want {
			t.Errorf("byte %d stands at %d to %d, want %v", at, start, end, want)
		}
	}
	if len(l.parts) != 3 {
		t.Errorf("%d parts, want 3", len(l.parts))
	}
}

// Each name that HTML has for a sign of ASCII means what a browser takes it for.
func TestEntityNames(t *testing.T) {
	names := strings.Fields(`amp AMP lt LT gt GT quot QUOT apos Tab NewLine excl num dollar percnt lpar rpar ast midast plus comma period
		sol colon semi equals quest commat lsqb lbrack bsol rsqb rbrack Hat lowbar UnderBar grave lcub lbrace verbar vert VerticalLine rcub rbrace`)
	for _, name := range names {
		entity := "&" + name + ";"
		got, n := unescapeEntity(nil, []byte(entity+"x"))
		if want := html.UnescapeString(entity); string(got) != want || n != len(entity) {
			t.Errorf("%s is %q after %d bytes, want %q", entity, got, n, want)
		}
	}
	if len(names) != len(entities) {
		t.Errorf("%d names, and %d are known", len(names), len(entities))
	}
	for _, text := range []string{"&LTE;x", "&none;", "&lt", "&;", "& lt;", "&#;", "&#x;"} {
		if got, n := unescapeEntity(nil, []byte(text)); n != 0 || len(got) > 0 {
			t.Errorf("%s is %q", text, got)
		}
	}
}
