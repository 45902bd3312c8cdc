package formation

import (
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// Doubt is a reason to think that a value is not what was meant to be stored.
type Doubt uint8

// The doubts there are.
const (
	InQuotes      Doubt = iota // quotes around it, which become part of it
	InBlanks                   // blanks or a line end around it
	IsNoValue                  // a placeholder
	OfAnotherName              // a key of another provider than its name says
)

// Doubts looks at the form of a value that is to be stored under a name. Of a value
// of several lines the blanks around it are its own.
func Doubts(name, value string) []Doubt {
	var doubts []Doubt
	trimmed := strings.TrimSpace(value)
	if len(trimmed) > 2 && crypto.Unquote(trimmed) != trimmed {
		doubts = append(doubts, InQuotes)
	}
	if trimmed != value && !strings.Contains(trimmed, "\n") {
		doubts = append(doubts, InBlanks)
	}
	if IsPlaceholder(value) {
		doubts = append(doubts, IsNoValue)
	}
	if OtherProvider(name, value) != "" {
		doubts = append(doubts, OfAnotherName)
	}
	return doubts
}

// OtherProvider is what a value's public prefix says it is ("an Anthropic key"),
// where its name says another provider; else "".
func OtherProvider(name, value string) string {
	value = strings.TrimSpace(crypto.Unquote(strings.TrimSpace(value)))
	whose, what := providerOf(PublicPrefix(value))
	if whose == "" {
		return ""
	}

	other := false
	for _, word := range strings.Split(Normalize(name), "_") {
		switch provider := knownProvider(word); provider {
		case "":
		case whose:
			return ""
		default:
			other = true
		}
	}
	if !other {
		return ""
	}
	return what
}

// providerOf names the provider all of whose keys begin with prefix, and its keys;
// "" where several share it.
func providerOf(prefix string) (whose, what string) {
	if prefix == "" {
		return "", ""
	}
	for _, f := range KeyFormats() {
		if f.Prefix != prefix {
			continue
		}
		next := providerWord(f.Name)
		if whose != "" && next != whose || strings.Contains(f.Name, ",") {
			return "", ""
		}
		whose, what = next, f.Name
	}
	return whose, what
}

// providerWord is the word for a provider in what its keys are called: ANTHROPIC in
// "an Anthropic key"; "" where that names nobody.
func providerWord(called string) string {
	_, called, _ = strings.Cut(called, " ")
	word, _, _ := strings.Cut(called, " ")
	if word == "" || word == strings.ToLower(word) {
		return ""
	}
	return sameProvider(strings.ToUpper(strings.Trim(word, ",")))
}

// sameProvider gives a provider that goes by several words one of them.
func sameProvider(word string) string {
	switch word {
	case "GEMINI", "GCP":
		return "GOOGLE"
	case "AMAZON", "BEDROCK":
		return "AWS"
	case "HF", "HUGGINGFACE":
		return "HUGGING"
	case "GROK":
		return "XAI"
	case "GH":
		return "GITHUB"
	case "CLAUDE":
		return "ANTHROPIC"
	}
	return word
}

// knownProvider is the provider that a word of a secret's name stands for; "" for
// none.
func knownProvider(word string) string {
	word = sameProvider(word)
	for _, f := range KeyFormats() {
		if word != "" && providerWord(f.Name) == word {
			return word
		}
	}
	return ""
}
