package scan

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestClasses(t *testing.T) {
	for b := range 256 {
		c := string([]byte{byte(b)})
		for class, members := range map[byte]string{
			isToken: tokenSet, isBase64: tokenSet + "+/", isDigit: "0123456789", isHex: "0123456789abcdefABCDEF",
			isUpper: alnum[:26], isLower: alnum[26:52],
		} {
			if is(byte(b), class) != strings.Contains(members, c) {
				t.Errorf("byte %#x, class %d", b, class)
			}
		}
	}
}

func TestNextRun(t *testing.T) {
	for seed := range uint64(2000) {
		text := []byte(made(seed, 60, "aaaaaaaa  "))
		for _, min := range []int{1, 3, 8} {
			var want, got []string
			for _, word := range bytes.Fields(text) {
				if len(word) >= min {
					want = append(want, string(word))
				}
			}
			for at := 0; ; {
				start, end, ok := nextRun(text, at, min, isToken)
				if !ok {
					break
				}
				got = append(got, string(text[start:end]))
				at = end
			}
			if strings.Join(want, " ") != strings.Join(got, " ") {
				t.Fatalf("seed %d, min %d", seed, min)
			}
		}
	}
}

// This package is full of what looks like keys, and has none. The passwords of
// databases in its tests are made up, and look it.
func TestOwnSourceIsQuiet(t *testing.T) {
	names, _ := filepath.Glob("*.go")
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := regexp.MustCompile(`\b[a-z]+(\+[a-z]+)?://[^ "]*(hunter2|S3|kR9|pa55|a8d7|Zx81|pa/ss)[^ "]*`).ReplaceAllString(string(content), "")
		wantNone(t, &Scanner{}, "scan/"+name, text)
	}
}
