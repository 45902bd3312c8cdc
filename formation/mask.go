package formation

import (
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// Mask returns what may be shown of a value: the public prefix by which its
// provider's keys are known, if it has one, and a mask of one fixed length.
func Mask(value string) string { return PublicPrefix(value) + "****" }

// PublicPrefix returns the prefix that every key of value's provider starts
// with, and that therefore tells nothing about this one; "" if none is known.
func PublicPrefix(value string) string {
	for _, f := range KeyFormatsAt([]byte(value)) {
		if p := f.Prefix; p != "" && len(value) > len(p) && strings.HasPrefix(value, p) {
			return p
		}
	}
	return ""
}

// KeyShape says what a text holds that has the shape of a key: "a private key", "a
// GitHub token"; "" for nothing. It is more generous than what searches files, which
// weighs how random a key looks: what it decides is what may be repeated, and what a
// name may be.
func KeyShape(text string) string {
	raw := []byte(text)
	for at := range raw {
		if _, what := keyAt(text, raw, at); what != "" {
			return what
		}
	}
	return ""
}

// WholeKey is KeyShape for a text that is a key as a whole, but for blanks and quotes.
func WholeKey(text string) string {
	text = crypto.Unquote(strings.TrimSpace(text))
	end, what := 0, ""
	if text != "" {
		end, what = keyAt(text, []byte(text), 0)
	}
	if end < len(text) {
		return ""
	}
	return what
}

// HideKeys returns a text with a mask in the place of each key in it.
func HideKeys(text string) string {
	var b strings.Builder
	raw, from := []byte(text), 0
	for at := 0; at < len(text); at++ {
		end, what := keyAt(text, raw, at)
		if what == "" {
			continue
		}
		b.WriteString(text[from:at] + Mask(text[at:end]))
		from, at = end, end-1
	}
	if from == 0 {
		return text
	}
	return b.String() + text[from:]
}

// keyAt looks for a key that begins at an offset of a text, which raw is as well:
// where it ends, and what it is.
func keyAt(text string, raw []byte, at int) (end int, what string) {
	if n := crypto.PrivateKeyPrefix(text[at:]); n > 0 {
		return at + n, "a private key"
	}
	if at > 0 && (Alphabet('a').Has(text[at-1]) || text[at-1] == '_') {
		return 0, "" // in the middle of a word
	}

	word := wordEnd(text, at)
	if n := word - at; n == 43 && strings.HasPrefix(text[word:], "=") {
		if _, err := crypto.ParseKey([]byte(text[at : word+1])); err == nil {
			return word + 1, "a Fernet key"
		}
	}
	if strings.HasPrefix(text[at:], "eyJ") && strings.HasPrefix(text[word:], ".eyJ") {
		if second := wordEnd(text, word+1); strings.HasPrefix(text[second:], ".") {
			return wordEnd(text, second+1), "a JSON web token"
		}
	}

	formats := KeyFormatsAt(raw[at:])
	for i := range formats {
		if end, ok := formats[i].Match(raw, at); ok {
			return wordEnd(text, end), formats[i].Name
		}
	}
	// One that was cut, or that has grown since the table was made.
	if prefix := PublicPrefix(text[at:word]); len(prefix) >= 3 && isMixed(text[at+len(prefix):word]) {
		return word, "a key"
	}
	return 0, ""
}

// wordEnd is where the letters, digits, - and _ that begin at an offset end.
func wordEnd(text string, at int) int {
	for at < len(text) && Alphabet('w').Has(text[at]) {
		at++
	}
	return at
}

// isMixed reports whether a word has what only a generator puts together.
func isMixed(word string) bool {
	has := func(set string) bool { return strings.ContainsAny(word, set) }
	return len(word) >= 12 && has("0123456789") && has("abcdefghijklmnopqrstuvwxyz") && has("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
}
