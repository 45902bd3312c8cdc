package formation

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func anyRule(string) bool { return true }

func TestParseSettings(t *testing.T) {
	s, err := ParseSettings([]byte("# team\nallow:\n  - path: docs/**\n  - rule: key-file\n  - path: '*.md'\n    rule: plaintext-key\nmaxAge: 12w\n"), anyRule)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Allow, []Allow{{"docs/**", ""}, {"", "key-file"}, {"*.md", "plaintext-key"}}) || s.MaxAge != 12*7*24*time.Hour {
		t.Errorf("got %+v", s)
	}
	for _, empty := range [...]string{"", "# nothing\n", "---\n", "allow:\n", "allow: []\n"} {
		if s, err := ParseSettings([]byte(empty), anyRule); err != nil || len(s.Allow) > 0 || s.MaxAge != 0 {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

func TestParseSettingsErrors(t *testing.T) {
	only := func(rule string) bool { return rule == "key-file" }
	for text, want := range map[string]string{
		"keyPullCommand: rm -rf /\n":              "keyPullCommand",
		"x_command: y\n":                          "x_command",
		"allow:\n  - rule: key-flie\n":            "key-flie",
		"allow:\n  - {}\n":                        "entry 1",
		"allow:\n  - path: a\n  - {}\n":           "entry 2",
		"allow:\n  - path: '[a'\n":                "[a",
		"allow:\n  - pth: a\n":                    "pth",
		"allow:\n  - path: a\n    command: b\n":   "command",
		"maxage: 1d\n":                            "maxage",
		"maxAge: 1\n":                             "age",
		"maxAge: -1d\n":                           "age",
		"maxAge: soon\n":                          "age",
		"allow: everything\n":                     "",
		"[\n":                                     "",
		"a: 1\na: 2\n":                            "",
		"# long\n" + strings.Repeat("#", maxYAML): "long",
	} {
		_, err := ParseSettings([]byte(text), only)
		var bad *SettingsError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func TestParseAge(t *testing.T) {
	for text, days := range map[string]int{"1d": 1, "90d": 90, "12w": 84, "": 0, "d": 0, "0d": 0, "-1d": 0, "1": 0, "1m": 0, "1.5d": 0, "100000d": 0, "1 d": 0, "é": 0} {
		got, err := ParseAge(text)
		if got != time.Duration(days)*24*time.Hour || (err == nil) != (days > 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestAllows(t *testing.T) {
	for _, test := range [...]struct {
		path, file string
		want       bool
	}{
		{"README.md", "README.md", true}, {"README.md", "docs/README.md", true}, {"/README.md", "docs/README.md", false}, {"/README.md", "README.md", true},
		{"*.md", "a/b/c.md", true}, {"*.md", "a.mdx", false}, {"docs", "docs/a/b", true}, {"docs/", "docs/a", true}, {"docs", "x/docs/a", true}, {"docs", "docs2/a", false},
		{"docs/*.md", "docs/a.md", true}, {"docs/*.md", "docs/x/a.md", false}, {"docs/*.md", "x/docs/a.md", false},
		{"docs/**", "docs/x/a.md", true}, {"**/x/*", "a/b/x/c", true}, {"**/x/*", "x/c", true}, {"a/**/b", "a/b", true}, {"a/**/b", "a/x/y/b/c", true}, {"a/**/b", "a/x/y/c", false},
		{"**", "anything/at/all", true}, {"?.md", "a.md", true}, {"[ab].md", "c.md", false}, {"a\\*b", "a*b", true}, {"a\\*b", "axb", false}, {"/", "a", false},
	} {
		s := &Settings{Allow: []Allow{{Path: test.path}}}
		if got := s.Allows("any", test.file); got != test.want {
			t.Errorf("%q on %q: %t", test.path, test.file, got)
		}
	}
	s := &Settings{Allow: []Allow{{Path: "docs", Rule: "a"}, {Rule: "b"}}}
	if !s.Allows("a", "docs/x") || s.Allows("a", "x") || s.Allows("c", "docs/x") || !s.Allows("b", "x") {
		t.Error("path and rule must both match")
	}
	if (*Settings)(nil).Allows("a", "b") {
		t.Error("no settings allow something")
	}
}

// A pattern that could take exponential time does not.
func TestAllowsIsQuick(t *testing.T) {
	s := &Settings{Allow: []Allow{{Path: strings.Repeat("**/a/", 200) + "b"}}}
	start := time.Now()
	if s.Allows("any", strings.Repeat("a/", 2000)+"c") {
		t.Error("it matches")
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

func FuzzParseSettings(f *testing.F) {
	for _, seed := range [...]string{"", "allow:\n  - path: docs/**\n    rule: x\nmaxAge: 90d\n", "keyPushCommand: x", "allow: [{path: '['}]", "a: &a [*a]"} {
		f.Add([]byte(seed), "docs/a")
	}
	f.Fuzz(func(t *testing.T, content []byte, file string) {
		s, err := ParseSettings(content, anyRule)
		var bad *SettingsError
		if err != nil && !errors.As(err, &bad) {
			t.Fatal(err)
		}
		if err == nil {
			s.Allows("rule", file)
		}
	})
}
