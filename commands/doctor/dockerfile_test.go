package doctor

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseDockerfile(t *testing.T) {
	const text = "# syntax=docker/dockerfile:1\nFROM a AS one\nUSER nobody\ncopy x y /z/\r\nFROM b\n" +
		"COPY --chown=1:1 --link . \\\n  # between\n  /app\nADD [\"a b\", \"/c\"]\nCOPY --from=one . /x\nCOPY <<EOF /file\n" +
		"ADD https://example.com/a git@github.com:a/b.git /d\nRUN cp . /x\nUSER 1000:1000\nCOPY alone\n"
	want := &dockerfile{
		copies: []dockerCopy{{"x", 4}, {"y", 4}, {".", 6}, {"a b", 9}},
		user:   "1000:1000", line: 14,
	}
	if got := parseDockerfile([]byte(text)); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDockerCopyTakes(t *testing.T) {
	for _, tt := range []struct {
		source, file string
		want         bool
	}{
		{".", "a/.key", true}, {"./", "a/.key", true}, {"/", ".key", true}, {"a", "a/.key", true}, {"./a/", "a/.key", true},
		{"a/*", "a/.key", true}, {"*", "a/.key", true}, {"a/*.afs", "a/.key", false}, {"b", "a/.key", false}, {"a/.key", "a/.key", true},
		{"a/b", "a/.key", false}, {"${DIR}", "a/.key", false}, {"formations/agent", "formations/other/.key", false}, {"[", "a/.key", false},
	} {
		if got := (dockerCopy{source: tt.source}).takes(tt.file); got != tt.want {
			t.Errorf("COPY %s takes %s: %v", tt.source, tt.file, got)
		}
	}
}

// TestDockerIgnores has the answers of docker's own documentation and matcher.
func TestDockerIgnores(t *testing.T) {
	for _, tt := range []struct {
		text, file string
		want       bool
	}{
		{"", ".key", false}, {".key", ".key", true}, {".key", "a/.key", false}, {"/.key\n", ".key", true}, {"**/.key", ".key", true},
		{"**/.key", "a/b/.key", true}, {"*/.key", "a/.key", true}, {"*/.key", "a/b/.key", false}, {"a", "a/.key", true}, {"a/", "a/b/.key", true},
		{"**", "a/.key", true}, {"*", "a/.key", true}, {"*\n!a", "a/.key", false}, {"**/.key\n!a/.key", "a/.key", false}, {"!a/.key\n**/.key", "a/.key", true},
		{"# .key", ".key", false}, {" .key \r\n", ".key", true}, {"./.key", ".key", true}, {"a/../.key", ".key", true}, {"**/*.key", ".key", true}, {"\ufeff.key", ".key", true},
		{"a/**", "a/.key", true}, {"a/**/.key", "a/.key", true}, {"[", ".key", false}, {"!", ".key", false},
	} {
		if got := parseDockerIgnore([]byte(tt.text)).ignores(tt.file); got != tt.want {
			t.Errorf("%q ignores %s: %v", tt.text, tt.file, got)
		}
	}
}

func FuzzDocker(f *testing.F) {
	f.Add("FROM a\nCOPY --x=y [\"a\", \"b\"] \\\n<<E\nE\nADD a b", "**/a\n!b/*\n", "a/b/.key")
	f.Fuzz(func(t *testing.T, file, ignore, key string) {
		d := parseDockerfile([]byte(file))
		for _, c := range d.copies {
			c.takes(key)
			if strings.Contains(c.source, "\n") || c.line < 1 {
				t.Errorf("%+v", c)
			}
		}
		parseDockerIgnore([]byte(ignore)).ignores(key)
	})
}
