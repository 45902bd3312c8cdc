package scan

import (
	"strings"
	"testing"
)

// How deep a file nests is what it opens and did not close, not how much it opens.
func TestDeepYAML(t *testing.T) {
	for text, want := range map[string]bool{
		strings.Repeat("a: {}\n", 2*maxDepth):                                           false,
		strings.Repeat("a: []\n", 2*maxDepth):                                           false,
		strings.Repeat("}\n", maxDepth) + strings.Repeat("{", maxDepth/2):               false,
		strings.Repeat("{", maxDepth+1):                                                 true,
		strings.Repeat("[", maxDepth+1):                                                 true,
		strings.Repeat("}\n", maxDepth) + strings.Repeat("[", maxDepth+1):               true,
		strings.Repeat("- ", 2*maxDepth) + "a\n":                                        true,
		strings.Repeat("- ", maxDepth/2) + "a\n" + strings.Repeat("b: c\n", 2*maxDepth): false,
	} {
		if deepYAML([]byte(text)) != want {
			t.Errorf("%.20q, of %d bytes: deep is %t", text, len(text), !want)
		}
	}
}
