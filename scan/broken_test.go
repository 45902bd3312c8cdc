package scan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// withLiterals are the example formations with a literal in place of each
// reference.
func withLiterals(t *testing.T) map[string]string {
	files := map[string]string{}
	for path, content := range exampleFormations(t) {
		if !strings.HasSuffix(path, ".afs") {
			continue
		}
		for n := 0; ; n++ {
			before, rest, ok := strings.Cut(content, "${{")
			_, after, closed := strings.Cut(rest, "}}")
			if !ok || !closed {
				break
			}
			content = before + fmt.Sprintf("hunter%d-hunter%d", n, n) + after
		}
		if strings.Contains(content, "hunter0") {
			files[path] = content
		}
	}
	return files
}

func sortedFingerprints(found []Finding) []string {
	return slices.Sorted(slices.Values(fingerprints(found)))
}

// A line that breaks a formation hides nothing, and makes no finding another
// one: wherever it stands, all others are what they were.
func TestABrokenLineHidesNothing(t *testing.T) {
	files := withLiterals(t)
	tried := 0
	for _, path := range slices.Sorted(maps.Keys(files)) {
		text := files[path]
		want := sortedFingerprints((&Scanner{}).File(path, []byte(text), Regular))
		if len(want) == 0 {
			t.Fatalf("%s: nothing to be found", path)
		}
		lines := strings.SplitAfter(text, "\n")
		for at, next := range lines {
			indent := next[:len(next)-len(strings.TrimLeft(next, " "))]
			for _, broken := range []string{
				"<<<<<<< HEAD\n", "=======\n", ">>>>>>> theirs\n", "\tbroken: [\n", "\t\n",
				indent + "half\n", indent + "half: \"\n", indent + "half: [\n", indent + "half: {a: \n", indent + "- half: [\n", indent + "@half\n",
			} {
				mended := strings.Join(lines[:at], "") + broken + strings.Join(lines[at:], "")
				if broken[0] == '\t' && indent != "" {
					continue // nobody knows how deep a tab is
				}
				if _, err := parseYAML([]byte(mended)); err == nil {
					continue // in a comment, say
				}
				tried++
				if got := sortedFingerprints((&Scanner{}).File(path, []byte(mended), Regular)); !slices.Equal(got, want) {
					t.Errorf("%s, line %d, %q: %d findings, want %d, or they differ", path, at+1, broken, len(got), len(want))
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d broken files", tried)
	}
}

// What stands in a file that no parser takes, and is to be found there.
func TestBrokenYAML(t *testing.T) {
	const value = "hunter2-hunter2"
	for name, text := range map[string]string{
		"a tab where two blanks were":          "auth:\n  type: env\n\tX_TOKEN: VALUE\n",
		"a blank too many":                     "auth:\n  type: env\n   X_TOKEN: VALUE\n",
		"a blank too few":                      "auth:\n   id: x\n  token: VALUE\n",
		"indented under a value":               "llm:\n  api_keys:\n   a: ${{ secrets.A }}\n    openai: VALUE\n",
		"behind a block":                       "about: |\n  long\n  text\nauth:\n  token: VALUE\n@\n",
		"behind a block, in an item":           "tools:\n  - about: |\n      long\n    token: VALUE\n@\n",
		"in a block":                           "auth:\n  token: |\n    VALUE\n  @\n",
		"a list of name and value":             "env:\n  - name: X_TOKEN\n    value: VALUE\n  - @\n",
		"an alias":                             "x: &k VALUE\ntoken: *k\n@\n",
		"an alias, and its anchor comes later": "token: *k\nx: &k VALUE\n@\n",
		"an anchor at the end":                 "@\ntoken: &k VALUE",
		"an anchor before a block":             "auth:\n  type: \"bearer\n  token: &k |\n    VALUE\n",
		"an anchor and a tag":                  "auth:\n  token: &k  !!str \"VALUE\n",
		"a quote lost":                         "auth:\n  type: \"bearer\n  token: \"VALUE\"\n",
		"its own quote lost":                   "auth:\n  token: \"VALUE\n",
		"a colon lost":                         "auth:\n  type bearer\n  token: VALUE\n",
		"in flow style, a bracket lost":        "{\"a\": {\"token\": \"VALUE\"}\n",
		"in flow style, a bracket too many":    "a: {token: \"VALUE\"}}\n",
		"in flow style, among others":          "a: {b: c, token: VALUE, d: [e}\n",
		"a list of assignments":                "env: [A=b, X_TOKEN=VALUE\n",
		"JSON cut off":                         "{\n  \"auth\": {\n    \"type\": \"bearer\",\n    \"token\": \"VALUE\",\n    \"x\": [\n",
		"both sides of a conflict":             "auth:\n<<<<<<< ours\n  token: VALUE\n=======\n  token: ${{ secrets.X }}\n>>>>>>> theirs\n",
		"carriage returns":                     "auth:\r\n  token: VALUE\r\n@\r\n",
	} {
		text = strings.ReplaceAll(text, "VALUE", value)
		t.Run(name, func(t *testing.T) {
			if _, err := parseYAML([]byte(text)); err == nil {
				t.Fatal("the parser takes it")
			}
			wantOne(t, &Scanner{}, "mcp/x.afs", text, PlaintextKey, value)
		})
	}

	for name, text := range map[string]string{
		"a key without its colon, and its list": "llm:\n  api_keys:\n    openai: ${{ secrets.A }}\n  models\n    - text: openai/gpt-4o\n",
		"a block sign and a quote":              "auth:\n  token: |\"\n",
		"a number":                              "auth:\n  type: env\n  MAX_KEY: 12\n@\n",
		"placeholders":                          "auth:\n  token: \"sk-...\n  password: <password>\n",
		"nothing":                               "auth:\n  token:\n  password: \"\n@\n",
	} {
		t.Run(name, func(t *testing.T) { wantNone(t, &Scanner{}, "mcp/x.afs", "id: x\n"+text) })
	}
}

// Each item of a list keeps its own place, which the fingerprint is made of.
func TestBrokenListKeepsPlaces(t *testing.T) {
	text := "mcp:\n  servers:\n"
	for _, id := range []string{"a", "b", "c"} {
		text += "  - id: " + id + "\n    auth:\n      type: bearer\n      token: literal-4711-" + id + "\n"
	}
	found := (&Scanner{IsFormation: func(string) bool { return true }}).File("agent/formation.afs", []byte(text+"  - id: [broken\n"), Regular)
	if len(found) != 3 {
		t.Fatal(summary(found))
	}
	for i, id := range []string{"a", "b", "c"} {
		if want := "mcp.servers[" + id + "].auth.token"; !strings.Contains(found[i].Message, want) || found[i].Line != 6+4*i {
			t.Errorf("line %d: %s, want %s", found[i].Line, found[i].Message, want)
		}
	}
}
