package scan

import (
	"bytes"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// teamTokens finds tokens of the formats that a team names in its settings. There
// prefix and length decide; only what says of itself that it is a sample is none.
func teamTokens(text []byte, formats []formation.TokenFormat, hits []hit) []hit {
	for _, f := range formats {
		prefix := []byte(f.Prefix)
		for at := 0; len(hits) < maxHits; {
			next := bytes.Index(text[at:], prefix)
			if next < 0 {
				break
			}
			start := at + next
			body := start + len(prefix)
			end := span(text, body, isToken)
			at = max(end, start+1)
			switch {
			case !beginsWord(text, start, end):
				at = body
			case end-body >= f.Min && distinct(string(text[body:end])) >= 5 && !formation.IsSample(string(text[start:end])):
				hits = append(hits, hit{rule: PlaintextKey, start: start, end: end, field: start, place: variable(text, start), random: true,
					message: "a token of this team's, which begins with " + f.Prefix})
			}
		}
	}
	return hits
}

// beginsWord reports whether what stands before start is no part of the word
// text[start:end]: another sign, or an escape (\n, %20).
func beginsWord(text []byte, start, end int) bool {
	if start == 0 || !is(text[start-1], isToken) {
		return true
	}
	near := max(0, start-len(`\u0000`))
	return wordStart(text, near+spanBack(text[near:], start-near, isToken), end) == start
}
