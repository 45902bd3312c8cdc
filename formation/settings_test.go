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
	var got []string
	for _, allow := range s.Allow {
		got = append(got, allow.Path+" "+allow.Rule)
	}
	if !slices.Equal(got, []string{"docs/** ", " key-file", "*.md plaintext-key"}) || s.MaxAge != 12*7*24*time.Hour {
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
		"keyPullCommand: rm -rf /\n":                           "keyPullCommand",
		"x_command: y\n":                                       "x_command",
		"allow:\n  - rule: key-flie\n":                         "key-flie",
		"allow:\n  - {}\n":                                     "entry 1",
		"allow:\n  - path: a\n  - {}\n":                        "entry 2",
		"allow:\n  - path: '[a'\n":                             "its 'path'",
		"allow:\n  - path: '#a'\n":                             "its 'path'",
		"allow:\n  - path: 'a\\'\n":                            "its 'path'",
		"allow:\n  - path: /\n":                                "its 'path'",
		"allow:\n  - path: \"a\\nb\"\n":                        "its 'path'",
		"allow:\n  - pth: a\n":                                 "pth",
		"allow:\n  - path: a\n    command: b\n":                "command",
		"allow:\n  - path: a\n    hunter2: b\n":                "there is no such setting",
		"allow:\n  - fingerprint: zz\n":                        "32 hex digits",
		"allow:\n  - fingerprint: ''\n":                        "entry 1",
		"formats:\n  - prefix: acme_\n":                        "min",
		"formats:\n  - prefix: a\n    min: 32\n":               "prefix",
		"formats:\n  - prefix: \"a c_\"\n    min: 32\n":        "prefix",
		"formats:\n  - prefix: acme_\n    min: 9\n    re: x\n": "there is no setting 're'",
		"maxage: 1d\n":                                         "maxage",
		"maxAge: 1\n":                                          "age",
		"maxAge: -1d\n":                                        "age",
		"maxAge: soon\n":                                       "age",
		"allow: everything\n":                                  "line 1: 'allow' is a list",
		"allow:\n- c.yml\n":                                    "line 2: 'allow' is a list, and each entry has a 'path'",
		"allow:\n- path: a\n- [b]\n":                           "line 3: 'allow' is a list",
		"allow:\n- path: [a]\n":                                "line 2: 'allow' is a list",
		"allow: {path: a}\n":                                   "line 1: 'allow' is a list",
		"formats: [acme_]\n":                                   "line 1: 'formats' is a list, and each entry has a 'prefix'",
		"formats:\n- prefix: acme_\n  min: many\n":             "line 3: 'formats' is a list",
		"maxAge: [90d]\n":                                      "line 1: 'maxAge' is a number of days or weeks",
		"- path: a\n":                                          "line 1: a setting is a name",
		"allow\n":                                              "line 1: a setting is a name",
		"[\n":                                                  "",
		"a: 1\na: 2\n":                                         "",
		"# long\n" + strings.Repeat("#", maxYAML):              "long",
	} {
		_, err := ParseSettings([]byte(text), only)
		var bad *SettingsError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %v", text, err)
		}
		if strings.Contains(err.Error(), "unmarshal") {
			t.Errorf("%.40q: %v", text, err)
		}
		if bad.Example != "" {
			if _, err := ParseSettings([]byte(bad.Example), only); err != nil {
				t.Errorf("%.40q: the example: %v", text, err)
			}
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

// settings are what a file with these lines under 'allow' says.
func settings(t *testing.T, allow ...string) *Settings {
	t.Helper()
	s, err := ParseSettings([]byte("allow:\n"+strings.Join(allow, "\n")), anyRule)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A path is a line of .gitignore to the letter; wildmatch's own tests ask git.
func TestAllows(t *testing.T) {
	for _, test := range [...]struct {
		path, file string
		want       bool
	}{
		{"README.md", "docs/README.md", true}, {"/README.md", "docs/README.md", false}, {"docs", "x/docs/a", true}, {"docs/", "docs/a", true}, {"docs/", "docs", false},
		{"docs/*.md", "docs/x/a.md", false}, {"docs/*", "docs/x/a.md", true}, {"a/**/b", "a/x/y/b/c", true}, {"**", "anything/at/all", true},
		{"docs/[!a].md", "docs/a.md", false}, {"docs/[!a].md", "docs/b.md", true}, {"docs/[^a].md", "docs/!.md", true}, {"[[:upper:]]*", "README", true},
		{"a\\*b", "a*b", true}, {"a\\*b", "axb", false}, {"\\!a", "!a", true}, {"a ", "a", true},
	} {
		s := settings(t, "- path: '"+test.path+"'")
		if got := s.Allows("any", test.file, ""); got != test.want {
			t.Errorf("%q on %q: %t", test.path, test.file, got)
		}
	}
	s := settings(t, "- {path: docs, rule: a}", "- rule: b")
	if !s.Allows("a", "docs/x", "") || s.Allows("a", "x", "") || s.Allows("c", "docs/x", "") || !s.Allows("b", "x", "") || !s.Allows("b", "", "") {
		t.Error("path and rule must both match")
	}
	s = settings(t, "- rule: a", "- path: docs/*", "- path: '!docs/src'", "- path: lib/", "- path: '!lib/x'")
	for file, want := range map[string]bool{"docs/x": true, "docs/src": false, "docs/src/x": false, "lib/x": true} {
		if s.Allows("b", file, "") != want {
			t.Errorf("%s: a later word, but for what lies in a folder, is the last one", file)
		}
	}
	s = settings(t, "- rule: a", "- path: '!docs/src/x'")
	if s.Allows("a", "docs/src/x", "") || !s.Allows("a", "src/x", "") {
		t.Error("a rule alone is taken back for a path")
	}
	if (*Settings)(nil).Allows("a", "b", "") {
		t.Error("no settings allow something")
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
			s.Allows("rule", file, "")
		}
	})
}

func TestAllowsFingerprint(t *testing.T) {
	one, other := strings.Repeat("0a", 16), strings.Repeat("1b", 16)
	s := settings(t, "  - fingerprint: "+strings.ToUpper(one), "  - {fingerprint: "+other+", path: docs/, rule: a}")
	for _, test := range []struct {
		rule, file, fingerprint string
		want                    bool
	}{{"a", "x", one, true}, {"b", "", one, true}, {"a", "docs/x", other, true}, {"b", "docs/x", other, false}, {"a", "x", other, false}, {"a", "docs/x", "", false}} {
		if got := s.Allows(test.rule, test.file, test.fingerprint); got != test.want {
			t.Errorf("%+v", test)
		}
	}
}

func TestTokenFormats(t *testing.T) {
	s, err := ParseSettings([]byte("formats:\n  - prefix: acme_\n    min: 32\n  - {prefix: zz-live-, min: 8}\n"), anyRule)
	if err != nil || !slices.Equal(s.Formats, []TokenFormat{{"acme_", 32}, {"zz-live-", 8}}) {
		t.Errorf("%+v, %v", s, err)
	}
}
