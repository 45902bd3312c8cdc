package scan

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func fingerprints(found []Finding) (prints []string) {
	for _, f := range found {
		prints = append(prints, f.Fingerprint)
	}
	return prints
}

func TestFingerprintsSurviveEdits(t *testing.T) {
	s := knownScanner()
	const field = "llm:\n  api_keys:\n    openai: hunter2-hunter2\n    groq: hunter2-hunter2\nmcp:\n  servers:\n    - id: one\n      auth: {type: bearer, token: hunter3-hunter3}\n"
	code := "KEY = \"" + keyOf("github") + "\"\nother = '" + keyOf("groq") + "'\n"
	for _, c := range []struct{ path, before, after string }{
		{"formation.afs", field, "# moved\n\n" + field + "\n# end\n"},
		{"formation.afs", field, "overlord:\n  soul: x\n" + field},
		{"formation.afs", field, strings.ReplaceAll(field, "    - id: one", "    - id: zero\n      command: npx\n    - id: one")},
		{"formation.afs", field, strings.ReplaceAll(field, "hunter2-hunter2", `"hunter2-hunter2"  # key`)},
		{"formation.afs", field, strings.ReplaceAll(field, "\n", "\r\n")},
		{"a.py", code, "import os\n\n" + code + "\n# end"},
		{"a.py", code, strings.ReplaceAll(code, "KEY", "    KEY")},
		{"a.md", "use hunter2-hunter2 here", "intro\n\nplease use hunter2-hunter2 over here"},
	} {
		before, after := s.File(c.path, []byte(c.before), Regular), s.File(c.path, []byte(c.after), Regular)
		if len(before) == 0 || !reflect.DeepEqual(fingerprints(before), fingerprints(after)) {
			t.Errorf("%s: fingerprints changed with an edit elsewhere:%s\n--%s", c.path, summary(before), summary(after))
		}
	}
}

func TestFingerprintsTellPlacesApart(t *testing.T) {
	s := knownScanner()
	seen := map[string]string{}
	for _, c := range []struct{ path, text string }{
		{"formation.afs", "llm:\n  api_keys:\n    openai: hunter2-hunter2\n    groq: hunter2-hunter2\n    xai: " + keyOf("xai") + "\n"},
		{"agents/formation.afs", "llm:\n  api_keys:\n    openai: hunter2-hunter2\n"},
		{"a.txt", "hunter2-hunter2 hunter2-hunter2\nhunter2-hunter2\n" + keyOf("github") + keyOf("aws") + "\n" + keyOf("groq") + " " + keyOf("groq")},
		{"b.txt", "hunter2-hunter2 k = hunter2-hunter2\n" + keyOf("groq")},
		{"c.afs", "mcp:\n  servers:\n  - auth: {token: one-literal}\n  - auth: {token: two-literal}\n"},
		{"", "hunter2-hunter2"},
	} {
		for _, f := range s.File(c.path, []byte(c.text), Regular) {
			here := fmt.Sprint(c.path, ":", f.Line, ":", f.Column, " ", f.Rule)
			if there, ok := seen[f.Fingerprint]; ok {
				t.Errorf("%s and %s share a fingerprint", there, here)
			}
			seen[f.Fingerprint] = here
		}
	}
	if len(seen) < 16 {
		t.Errorf("only %d findings", len(seen))
	}
	// Another key in an old place is another leak; a guessable value takes no
	// part in its fingerprint.
	key := func(value string) string {
		return fingerprints((&Scanner{}).File("a.afs", []byte("api_key: "+value), Regular))[0]
	}
	if key(keyOf("groq")) == key(keyOf("xai")) {
		t.Error("a new key would be silenced by an old baseline")
	}
	if key("hunter2") != key("hunter3") {
		t.Error("the fingerprint depends on a value that can be guessed")
	}
	if Fingerprint(MissingSecret, "formation.afs", "A") == Fingerprint(MissingSecret, "formation.afs", "B") {
		t.Error("state findings of two secrets share a fingerprint")
	}
}

func TestAllow(t *testing.T) {
	value := keyOf("github")
	for _, c := range []struct{ path, text string }{
		{"a.py", "k = '" + value + "'  # muxi-secrets:allow\n"},
		{"a.go", "k := \"" + value + "\" // test, muxi-secrets:allow\n"},
		{"a.c", "k = \"" + value + "\"; /* muxi-secrets:allow */\n"},
		{"a.md", value + " <!-- muxi-secrets:allow -->\n"},
		{"a.sql", "select '" + value + "' -- muxi-secrets:allow\n"},
		{"a.ini", "k=" + value + " ; muxi-secrets:allow\n"},
		{"a.js", "f(" + value + ",//muxi-secrets:allow\n"},
		{"formation.afs", "llm:\n  api_key: hunter2-hunter2 # muxi-secrets:allow\n"},
		{"formation.afs", "llm:\n  api_key: | # muxi-secrets:allow\n    hunter2-hunter2\n"},
		{"formation.afs", "llm:\n  api_key: # muxi-secrets:allow\n    hunter2-hunter2\n"},
		{"formation.afs", "llm:\n  api_key: \"hunter2\n    hunter2\" # muxi-secrets:allow\n"},
		{"formation.afs", "x: &a hunter2-hunter2 # muxi-secrets:allow\nllm:\n  api_key: *a\n"},
		{"secrets", "A=hunter2-hunter2 # muxi-secrets:allow\n"},
	} {
		found := knownScanner().File(c.path, []byte(c.text), Regular)
		if len(found) == 0 || slices.ContainsFunc(found, func(f Finding) bool { return f.Silenced != ByComment }) {
			t.Errorf("%s is not silenced:%s", c.path, summary(found))
		}
		bare := knownScanner().File(c.path, []byte(strings.ReplaceAll(c.text, "muxi-secrets:allow", "")), Regular)
		if len(bare) != len(found) || slices.ContainsFunc(bare, func(f Finding) bool { return f.Silenced != "" }) {
			t.Errorf("%s: the comment was not what silenced it", c.path)
		}
		if !slices.Equal(fingerprints(bare), fingerprints(found)) {
			t.Errorf("%s: a comment changes the fingerprint", c.path)
		}
	}
	for _, c := range []struct{ path, text string }{
		{"a.py", "# muxi-secrets:allow\nk = '" + value + "'\n"},
		{"a.py", "k = '" + value + "'\n# muxi-secrets:allow\n"},
		{"a.py", "k = '" + value + "muxi-secrets:allow'\n"},
		{"a.py", "k = '" + value + "' + 'muxi-secrets:allow'\n"},
		{"formation.afs", "llm:\n  api_key: hunter2-muxi-secrets:allow\n"},
		{"a.txt", "https://example.com/#muxi-secrets:allow " + value},
		{"secrets.enc", "{} # muxi-secrets:allow"},
	} {
		if found := (&Scanner{}).File(c.path, []byte(c.text), Regular); len(found) != 1 || found[0].Silenced != "" {
			t.Errorf("%s: %d findings, want 1", c.path, len(found))
		}
	}
}

func TestJSONOfAFinding(t *testing.T) {
	found := (&Scanner{}).File("a/.key", nil, Regular)
	text, err := json.Marshal(found)
	want := `[{"rule":"key-file","severity":"error","path":"a/.key","line":1,"column":1,"message":"a formation's key file must never be committed","fingerprint":"` + found[0].Fingerprint + `"}]`
	if err != nil || string(text) != want {
		t.Errorf("got %s", text)
	}
}

func TestRules(t *testing.T) {
	warnings := 0
	for _, rule := range Rules() {
		if rule.Severity() == Warning {
			warnings++
		}
	}
	if len(Rules()) != 22 || warnings != 7 || Rule("unheard-of").Severity() != Error {
		t.Errorf("%d rules, %d warnings", len(Rules()), warnings)
	}
}

func TestManyFindingsAreBounded(t *testing.T) {
	found := (&Scanner{}).File("a.txt", []byte(strings.Repeat(keyOf("github")+"\n", 5000)), Regular)
	if len(found) != maxFindings || !strings.HasSuffix(found[maxFindings-1].Message, "not listed") {
		t.Errorf("%d findings", len(found))
	}
	found = knownScanner().File("a.txt", []byte(strings.Repeat("hunter2-hunter2 ", 5000)), Regular)
	if len(found) != maxFindings || !strings.HasSuffix(found[maxFindings-1].Message, "not listed") {
		t.Errorf("%d findings of a known secret", len(found))
	}
	silenced := strings.Repeat(keyOf("github")+" # muxi-secrets:allow\n", maxHits+1)
	if found := (&Scanner{}).File("a.txt", []byte(silenced+keyOf("groq")), Regular); len(found) == 0 || found[0].Silenced != "" {
		t.Error("silenced lines hide one that is not")
	}
	silenced = strings.Repeat(keyOf("github")+" # muxi-secrets:allow\n", 2*maxFindings)
	found = (&Scanner{}).File("a.txt", []byte(silenced+keyOf("groq")), Regular)
	if len(found) != maxFindings+1 || found[maxFindings].Silenced != "" || strings.HasSuffix(found[maxFindings].Message, "listed") {
		t.Errorf("%d findings, of which one is not silenced", len(found))
	}
}

// A marker in every position: no field of any finding holds a part of it.
func TestFindingsHoldNoValue(t *testing.T) {
	marker := "zq7" + made(99, 21, alnum)
	s := &Scanner{Known: NewKnown([]NamedValue{{Formation: "f", Name: "MARKER", Value: []byte(marker)}}, []byte(urlFernet()))}
	texts := []string{
		marker, "api_key: " + marker, marker + ": x", "api_keys:\n  " + marker + ": literal-value", "api_keys: {" + marker + ": literal-value}",
		"mcp:\n  - id: " + marker + "\n    auth: {token: " + marker + "}", "env:\n  - " + marker + "_KEY=" + marker, "A=" + marker, marker + "=" + marker,
		"${{ secret." + marker + " }}", "a: \"${{ secrets." + marker + "- }}\"", "postgres://" + marker + ":" + marker + "@h/x", marker + " = \"sk-" + marker + "\"",
		"{\"" + marker + "\":", "\t" + marker + ": [", "-----BEGIN " + marker, "a: *" + marker, "&" + marker + " b: token", "!" + marker + " token: hunter2",
	}
	for _, path := range []string{"a.txt", "formation.afs", "secrets", "secrets.enc", "agents/x.yaml", "README.md"} {
		for _, text := range texts {
			noValue(t, s.File(path, []byte(text), Regular), marker)
			noValue(t, s.File(path, []byte(text), Symlink), marker)
		}
	}
}

// Of several detectors that see one text the first says what it is; what it does
// not know it has from the others.
func TestOneTextSeenByMany(t *testing.T) {
	seen := func(start, end int, place, message string, random bool) hit {
		return hit{rule: PlaintextKey, start: start, end: end, field: start, place: place, message: message, random: random}
	}
	for _, c := range []struct {
		name string
		hits []hit
		want []hit
	}{
		{"the first place stays", []hit{seen(3, 9, "a", "first", false), seen(3, 9, "b", "second", false)}, []hit{seen(3, 9, "a", "first", false)}},
		{"of none that knows a place the first speaks", []hit{seen(3, 9, "", "first", false), seen(3, 9, "", "second", false)}, []hit{seen(3, 9, "", "first", false)}},
		{"who knows the place speaks", []hit{seen(3, 9, "", "first", false), seen(3, 9, "b", "second", false)}, []hit{seen(3, 9, "b", "second", false)}},
		{"the longest end", []hit{seen(3, 9, "a", "first", false), seen(4, 12, "", "second", false), seen(11, 14, "", "third", false)}, []hit{seen(3, 14, "a", "first", false)}},
		{"side by side", []hit{seen(3, 9, "", "first", false), seen(9, 12, "b", "second", false)}, []hit{seen(3, 9, "", "first", false), seen(9, 12, "b", "second", false)}},
	} {
		if got := merge(slices.Clone(c.hits)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}

	random := merge([]hit{seen(3, 20, "a", "first", false), seen(5, 9, "", "second", true)})
	if len(random) != 1 || !random[0].random || random[0].from != 5 || random[0].to != 9 {
		t.Errorf("what is random within it: %+v", random)
	}
	random = merge([]hit{seen(3, 20, "a", "first", true), seen(5, 9, "", "second", true)})
	if len(random) != 1 || random[0].from != 3 || random[0].to != 20 {
		t.Errorf("random as a whole: %+v", random)
	}
}
