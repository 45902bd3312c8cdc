package scan

import (
	"fmt"
	"strings"
	"testing"
)

// What other scanners were seen to miss in a formation's files, each by the rule
// that has to find it.
func TestWhatPeersMiss(t *testing.T) {
	own := knownScanner()
	none := &Scanner{}
	for _, c := range []struct {
		what, path, text, value string
		rule                    Rule
	}{
		{"an OpenAI key of 24 characters", "formation.afs", "llm:\n  api_keys:\n    openai: \"VALUE\"\n", keyOf("openai 24"), PlaintextKey},
		{"a password of words", "mcp/db.afs", "auth:\n  type: basic\n  password: VALUE\n", "hunter2-hunter2", PlaintextKey},
		{"a database's URL", "formation.afs", "memory:\n  persistent:\n    connection_string: VALUE\n", "postgresql://muxi:hunter2-hunter2@db/muxi", PlaintextKey},
		{"a Mistral key", "formation.afs", "llm:\n  api_keys:\n    mistral: VALUE\n", made(300, 32, alnum), PlaintextKey},
		{"an Azure OpenAI key", "formation.afs", "llm:\n  api_keys:\n    azure: VALUE\n", made(301, 32, hexSet), PlaintextKey},
		{"a Together key", "formation.afs", "llm:\n  api_keys:\n    together: VALUE\n", made(302, 64, hexSet), PlaintextKey},
		{"a Groq key in prose", "README.md", "VALUE", keyOf("groq"), PlaintextKey},
		{"an xAI key in code", "a.py", "key = 'VALUE'", keyOf("xai"), PlaintextKey},
		{"a Replicate key", "a.py", "key = 'VALUE'", keyOf("replicate"), PlaintextKey},
		{"a Pinecone key", "a.py", "key = 'VALUE'", keyOf("pinecone"), PlaintextKey},
		{"a LangSmith key", "a.py", "key = 'VALUE'", keyOf("langsmith"), PlaintextKey},
		{"a Tavily key", "a.py", "key = 'VALUE'", keyOf("tavily"), PlaintextKey},
		{"a Brave key", "mcp/brave.afs", "auth:\n  type: env\n  BRAVE_API_KEY: VALUE\n", keyOf("brave"), PlaintextKey},
		{"a DeepSeek key", "a.py", "key = 'VALUE'", keyOf("deepseek"), PlaintextKey},
		{"an OpenRouter key", "a.py", "key = 'VALUE'", keyOf("openrouter"), PlaintextKey},
		{"an ElevenLabs key", "a.py", "key = 'VALUE'", keyOf("elevenlabs"), PlaintextKey},
		{"a Fireworks key", "a.py", "key = 'VALUE'", keyOf("fireworks"), PlaintextKey},
		{"a renamed .key", "docs/notes.txt", "VALUE", plainFernet()[:43], KeyMaterial},
	} {
		text := strings.ReplaceAll(c.text, "VALUE", c.value)
		if c.rule == KeyMaterial {
			text += "="
		}
		t.Run(c.what, func(t *testing.T) { wantOne(t, none, c.path, text, c.rule, c.value) })
	}
	if found := only(own.File("a.txt", append([]byte("\xff\xfe"), utf16le("a hunter2-hunter2 b")...), Regular), KnownSecret); len(found) != 1 || found[0].Column != 3 {
		t.Error("a known secret in UTF-16 is not found")
	}
}

// Each reference of the example formations, replaced by a literal.
func TestExamplesWithLiterals(t *testing.T) {
	replaced := 0
	for path, content := range exampleFormations(t) {
		for at := 0; ; {
			next := strings.Index(content[at:], "${{ secrets.")
			if next < 0 {
				break
			}
			start := at + next
			end := start + strings.Index(content[start:], "}}") + 2
			at = end
			if strings.HasSuffix(content[:start], "webhook_url: \"") {
				continue // no credential by itself; a URL that is one is found anywhere
			}
			for i, value := range []string{"hunter2-hunter2", keyOf("openai 24"), keyOf("github"), "a" + made(303, 31, hexSet)} {
				text := content[:start] + value + content[end:]
				t.Run(fmt.Sprint(path, start, i), func(t *testing.T) { wantOne(t, &Scanner{}, path, text, PlaintextKey, value) })
				replaced++
			}
		}
	}
	if replaced < 20 {
		t.Errorf("only %d references replaced", replaced)
	}
}

// Where folders are known to be formations, only their files are judged by field.
func TestFoldersOfFormations(t *testing.T) {
	s := &Scanner{IsFormation: func(dir string) bool { return dir == "formations/demo" || dir == "." }}
	text := "id: x\nauth:\n  token: hunter2-hunter2\n"
	for path, want := range map[string]int{
		"formations/demo/mcp/a.yaml": 1, "formations/demo/agents/deep/a.yml": 1, "mcp/a.yaml": 1, "formations/demo/any.afs": 1, "elsewhere/any.afs": 1,
		"other/mcp/a.yaml": 0, "formations/demo/notes/a.yaml": 0, "formations/demo/mcp/a.txt": 0, ".github/workflows/a.yaml": 0,
	} {
		if found := s.File(path, []byte(text), Regular); len(found) != want {
			t.Errorf("%s: %d findings, want %d", path, len(found), want)
		}
	}
}
