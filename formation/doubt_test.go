package formation

import (
	"slices"
	"testing"
)

func TestDoubts(t *testing.T) {
	const anthropic = "sk-ant-api03-Vb3nTq8ZxK1wLr6MyH4cPj9dSf2gVb3nTq8ZxK1w"
	for _, test := range [...]struct {
		name, value string
		want        []Doubt
	}{
		{"OPENAI_API_KEY", "sk-proj-Vb3nTq8ZxK1wLr6MyH4cPj9dSf2g", nil},
		{"OPENAI_API_KEY", `"sk-proj-Vb3nTq8ZxK1wLr6MyH4cPj9dSf2g"`, []Doubt{InQuotes}},
		{"OPENAI_API_KEY", " 'x y'\n", []Doubt{InQuotes, InBlanks}},
		{"PASSWORD", `"`, nil},
		{"PASSWORD", "it's'", nil},
		{"PASSWORD", "two words", nil},
		{"PASSWORD", "yz\t", []Doubt{InBlanks}},
		{"TLS_KEY", "-----BEGIN\nEND-----\n", nil},
		{"OPENAI_API_KEY", "sk-...", []Doubt{IsNoValue}},
		{"OPENAI_API_KEY", "your-api-key", []Doubt{IsNoValue}},
		{"OPENAI_API_KEY", anthropic, []Doubt{OfAnotherName}},
		{"openai-key", "'" + anthropic + "'", []Doubt{InQuotes, OfAnotherName}},
		{"ANTHROPIC_API_KEY", anthropic, nil},
		{"CLAUDE_KEY", anthropic, nil},
		{"LLM_KEY", anthropic, nil},
		{"OPENAI_OR_ANTHROPIC_KEY", anthropic, nil},
		{"OPENAI_API_KEY", "sk-Vb3nTq8ZxK1wLr6MyH4cPj9dSf2g", nil}, // anybody's
		{"ANTHROPIC_API_KEY", "sk-Vb3nTq8ZxK1wLr6MyH4cPj9dSf2g", nil},
		{"ANTHROPIC_API_KEY", "sk-proj-Vb3nTq8ZxK1wLr6MyH4cPj9dSf2g", []Doubt{OfAnotherName}},
		{"OPENAI_API_KEY", "gsk_Vb3nTq8ZxK1wLr6MyH4cPj9dSf2gVb3nTq8ZxK1w", []Doubt{OfAnotherName}},
		{"GEMINI_API_KEY", "AIzaVb3nTq8ZxK1wLr6MyH4cPj9dSf2gVb3nTq8", nil},
		{"HF_TOKEN", "hf_Vb3nTq8ZxK1wLr6MyH4cPj9dSf2gVb3nTq", nil},
		{"GH_TOKEN", "ghp_Vb3nTq8ZxK1wLr6MyH4cPj9dSf2gVb3nTq8Z", nil},
		{"SLACK_TOKEN", "ghp_Vb3nTq8ZxK1wLr6MyH4cPj9dSf2gVb3nTq8Z", []Doubt{OfAnotherName}},
	} {
		if got := Doubts(test.name, test.value); !slices.Equal(got, test.want) {
			t.Errorf("%s, a value of %d bytes: got %v, want %v", test.name, len(test.value), got, test.want)
		}
	}
}
