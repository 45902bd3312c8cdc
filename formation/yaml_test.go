package formation

import (
	"strings"
	"testing"
)

// What the parser says about a broken file goes into messages: nothing of the
// file may be in it, since any piece of it may be a secret.
func TestYAMLErrorsRepeatNothing(t *testing.T) {
	const secret = "hunter2Hunter2"
	refused := 0
	for _, text := range [...]string{
		"a: *S", "a: &x 1\nb: *S\n", "a: *S'S", "a: *S\"S", "a: !S!x y", "a: !<S y", "%S x\n---\n", "%YAML S\n---", "%TAG S\n---", "a: &S &S b", "a: \"\\S\"", "a: \"\\xS\"",
		"a: S: b: c", "\tS: a", "a: [S", "{S", "a: \"S", "a: 'S", "S\n---S: [", "- S\nS: a", "a: |S\n b", "a: >9S\n", "? S\n? [", "@S", "`S", "a: @S", "a: %S", "a: S\n b: S\n", "\xffS", "a: \x01S",
	} {
		text = strings.ReplaceAll(text, "S", secret)
		for _, content := range [...]string{text, "x: ${{ secrets.A }}\n" + text} {
			err := scalars([]byte(content), func(scalar) {})
			if err == nil {
				continue
			}
			refused++
			if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(secret)) {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
	if refused < 30 {
		t.Errorf("only %d were refused", refused)
	}
}

func TestYAMLErrorStillHelps(t *testing.T) {
	for text, want := range map[string]string{
		"a: [\n":       "line 1: did not find expected node content",
		"a: b: c\n":    "mapping values are not allowed in this context",
		"a: 1\n\tb: 2": "line 2: found a tab character that violates indentation",
		"a: [1, 2\n":   "line 1: did not find expected ',' or ']'",
		"a: *gone\n":   "unknown anchor '...' referenced",
	} {
		err := scalars([]byte(text), func(scalar) {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
