//go:build unix

package commands_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// reference is one as the examples write it, with the quotes around it.
var quotedReference = regexp.MustCompile(`"\$\{\{ secrets\.([A-Z0-9_]+) \}\}"`)

// TestExtractOfEveryExample puts values where the example formations have
// references, written in every way that YAML has, and extracts them: filled in,
// each file is the YAML that it was, and no byte outside of the values is another.
func TestExtractOfEveryExample(t *testing.T) {
	long(t)
	sideBySide(t)
	examples, err := os.ReadDir(filepath.Join("..", "testdata", "formations"))
	must(t, err)
	spellings := []func(value string) string{
		func(v string) string { return v },
		func(v string) string { return `"` + v + `"` },
		func(v string) string { return `'` + v + `'` },
		func(v string) string { return `"` + strings.Replace(v, "a", `\u0061`, 1) + `"` },
		func(v string) string { return "&anchor " + v },
		func(v string) string { return "!!str " + v + "  # a comment" },
		func(v string) string { return ">-\n        " + v },
		func(v string) string { return "|\n        " + v },
	}
	planted := 0
	for _, example := range examples {
		for i, spell := range spellings {
			b := newSandbox(t, example.Name(), true)
			before := map[string]string{}
			for path, file := range b.tree() {
				if filepath.Ext(path) != ".afs" {
					continue
				}
				content := quotedReference.ReplaceAllStringFunc(file.content, func(ref string) string {
					planted++
					name := quotedReference.FindStringSubmatch(ref)[1]
					return spell(fmt.Sprintf("a%c-planted-%s-%d", 'a'+rune(rand.IntN(26)), strings.ToLower(name), i))
				})
				rel, err := filepath.Rel("agent", path)
				must(t, err)
				b.write(rel, content)
				before[rel] = content
			}

			r := b.call(run{}, "extract", "--yes")
			if r.code != 0 {
				t.Fatalf("%s, spelling %d: exit %d\n%s", example.Name(), i, r.code, r.err)
			}
			for rel, old := range before {
				if strings.Contains(b.read(rel), "-planted-") && !strings.Contains(old, "webhook_url") {
					t.Errorf("%s, spelling %d: %s still has a value", example.Name(), i, rel)
				}
				filled := b.do("", "render", "--reveal", rel)
				if got, want := asYAML(t, filled.out), asYAML(t, old); !reflect.DeepEqual(got, want) {
					t.Errorf("%s, spelling %d: %s is other YAML", example.Name(), i, rel)
				}
				if outside(old) != outside(b.read(rel)) {
					t.Errorf("%s, spelling %d: %s changed around its values:\n%s", example.Name(), i, rel, b.read(rel))
				}
			}
		}
	}
	if planted < 50 {
		t.Errorf("only %d values were planted", planted)
	}
}

// outside is a file without its values, and without references.
func outside(text string) string {
	text = regexp.MustCompile(`\$\{\{ secrets\.[A-Z0-9_]+ \}\}`).ReplaceAllString(text, "*")
	return regexp.MustCompile(`(\\u0061|a)?[a-z]-planted-[a-z_]+-\d`).ReplaceAllString(text, "*")
}

func asYAML(t *testing.T, text string) any {
	t.Helper()
	var value any
	must(t, yaml.Unmarshal([]byte(text), &value))
	return value
}

// TestExtractSeesAChange: a file that changed between the question and the answer
// is not overwritten.
func TestExtractSeesAChange(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, agentExample, true)
	b.write("agents/a.afs", "token: hunter2-hunter2\n")
	c := b.onTerminal(t, stdinNull, "extract")
	c.waitFor("to skip]: ")
	b.write("agents/a.afs", "token: hunter2-hunter2\nmore: 1\n")
	c.typed("\r")
	c.waitFor("changed meanwhile; nothing was moved")
	c.exit(3, "hunter2")
	if got := b.read("agents/a.afs"); got != "token: hunter2-hunter2\nmore: 1\n" {
		t.Errorf("%q", got)
	}
}

// TestExtractKilledLosesNothing kills extract at each step of its writes: before any
// other command has run, each value is in the vault or in the file it came from.
func TestExtractKilledLosesNothing(t *testing.T) {
	long(t)
	sideBySide(t)
	b := newSandbox(t, agentExample, true)
	values := map[string]string{"A_TOKEN": "literal-token-4711", "TYPED_TOKEN": "typed-token-4711"}
	b.write("agents/a.afs", "token: "+values["A_TOKEN"]+"\n")
	b.write("secrets", "TYPED_TOKEN="+values["TYPED_TOKEN"]+"\n")
	before := b.tree()
	count := &nth{}
	if r := b.call(run{fault: count.fault}, "extract", "--yes"); r.code != 0 {
		t.Fatalf("exit %d\n%s", r.code, r.err)
	}
	for i, step := range count.seen {
		if thinned(i, len(count.seen)) {
			continue
		}
		b.restore(before)
		b.spawn(run{env: []string{fmt.Sprintf("TEST_FAULT=#%d=kill", i+1)}}, "extract", "--yes")
		stored, _ := b.secrets()
		files := b.read("agents/a.afs") + b.read("secrets")
		for name, value := range values {
			if stored[name] != value && !strings.Contains(files, value) {
				t.Errorf("killed at step %d (%s): %s is nowhere", i+1, step, name)
			}
		}
	}
}
