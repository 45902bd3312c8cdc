package scan

import (
	"bytes"
	"strings"
	"testing"
)

var fuzzPaths = []string{
	"a.txt", "formation.afs", "agents/a.yaml", "mcp/b.yml", "secrets", "secrets.enc", ".key", "README.md", "x.key", "",
	"formations/f/formation.yaml", "a/b/c.AFS", "\xff\x1b[31m", "go.sum",
}

func FuzzFile(f *testing.F) {
	secret := "Zq9" + made(200, 21, alnum)
	for i, text := range []string{
		"llm:\n  api_keys:\n    openai: \"VALUE\"\n", "VALUE", "A=VALUE\n", "{auth: {type: env, X_KEY: VALUE}}", "a: &a VALUE\ntoken: *a\n",
		"<<<<<<<\n- id: VALUE\n  token: |\n    VALUE\n", "postgres://a:VALUE@h/x", "${{ secrets.VALUE }}", "\\u0041\\n%41VALUE", "env:\n - X_KEY=VALUE",
		"-----BEGIN PRIVATE " + "KEY-----\nVALUE", "\xff\xfeV\x00A\x00", "token: 'VALUE''VALUE'\n---\n? VALUE\n: token", "k: !!str &x >-\n\n   VALUE\n",
		"id: x\nargs: [\"--env=X_KEY=VALUE\", \"--config\", \"\\\"{\\\\\\\"apiKey\\\\\\\":\\\\\\\"VALUE\\\\\\\"}\\\"\"]\n",
	} {
		f.Add(uint8(i), []byte(text))
	}
	s := &Scanner{Known: NewKnown([]NamedValue{{Name: "A", Value: []byte(secret)}, {Name: "B", Value: []byte("hunter2-hunter2")}}, []byte(urlFernet()))}
	f.Fuzz(func(t *testing.T, where uint8, content []byte) {
		path := fuzzPaths[int(where)%len(fuzzPaths)]
		content = bytes.ReplaceAll(content, []byte("VALUE"), []byte(secret))
		found := s.File(path, content, Mode(where>>7))
		lines := bytes.Count(content, []byte("\n")) + 1
		for _, finding := range found {
			if finding.Line < 1 || finding.Column < 1 || finding.Fingerprint == "" || finding.Path != path {
				t.Fatalf("an odd finding: line %d, column %d", finding.Line, finding.Column)
			}
			if !bytes.ContainsRune(content, 0) && finding.Line > lines {
				t.Fatalf("line %d of %d", finding.Line, lines)
			}
			for i := 0; i+6 <= len(secret); i++ {
				if strings.Contains(finding.Message+finding.Secret+finding.Fingerprint, secret[i:i+6]) {
					t.Fatal("a finding holds a part of a value")
				}
			}
		}
		if bytes.Contains(content, []byte(secret)) && !strings.EqualFold(path, ".key") && !bytes.Contains(content, []byte(allowMark)) {
			if picked := only(found, KnownSecret); len(picked) == 0 && !bytes.Contains(content, []byte{0}) {
				t.Fatal("a known value is not found")
			}
		}
		s.Message(content)
	})
}

// FuzzYAML: the reader of broken YAML takes whatever the parser refuses, and offsets
// stay inside the text.
func FuzzYAML(f *testing.F) {
	for _, seed := range []string{"a: b", "a: {b: [c, *d]}", "- a: |\n   x\n  b: >\n   y\n", "\"a\\\"b\": 'c''d'", "a: \"b\n c\"\n", "? a\n: b\n", "a:\n- b: &x c\n- *x\n", "\r\n\u0085a: b\u2028c: d"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, _ := parseYAML(text)
		for _, leaves := range [][]leaf{parsed, readBroken(text)} {
			for _, l := range leaves {
				if l.start < 0 || l.end < l.start || l.end > len(text) || l.field < 0 || l.field > l.start {
					t.Fatalf("a leaf at %d-%d, field %d, of %d bytes", l.start, l.end, l.field, len(text))
				}
				_ = l.at.path()
			}
		}
	})
}
