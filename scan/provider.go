package scan

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// minKey is the length in bytes of the shortest stretch of letters, digits, _ and
// - that every key has.
const minKey = 20

// providers finds keys in the published formats of providers, anywhere in a
// text: in code, comments, prose. A key begins where a word does.
func providers(text []byte) (hits []hit) {
	for at := 0; ; {
		start, end, ok := nextRun(text, at, minKey, isToken)
		if !ok || len(hits) >= maxHits {
			return azureSecrets(text, hits)
		}

		h, ok := joinedKey(text, at, start)
		if !ok {
			if start = wordStart(text, start, end); end-start >= minKey {
				h, ok = providerKey(text, start, end < len(text) && text[end] == '.' || formation.IsLeadlessLength(end-start))
			}
		}

		if !ok {
			h, ok = innerKey(text, start, end)
		}

		at = end
		if ok {
			hits = append(hits, h)
			if at = max(at, h.end); h.end < end && (text[h.end] == '-' || text[h.end] == '_') {
				at = h.end // another one may be tied to it
			}
		}
	}
}

// maxJoined is how far before a long run the key that it belongs to may begin, in
// bytes and in words.
const (
	maxJoined      = 128
	maxJoinedWords = 10
)

// joinedKey looks for a key that begins before the run at start, because it has a
// dot, a colon or the like early on: SG.abc, 123456:abc. floor is where the search
// has come to.
func joinedKey(text []byte, floor, start int) (hit, bool) {
	const joints = ".:~+/"
	if start == 0 || strings.IndexByte(joints, text[start-1]) < 0 {
		return hit{}, false
	}

	floor = max(floor, start-maxJoined)
	from, words := start, 0
	for from > floor && (is(text[from-1], isBase64) || strings.IndexByte(joints, text[from-1]) >= 0) {
		if from--; strings.IndexByte(joints, text[from]) >= 0 {
			if words++; words > maxJoinedWords {
				from++
				break
			}
		}
	}
	if from == floor && from > 0 && is(text[from-1], isToken) {
		from = span(text, from, isToken) // in the middle of a word
	}

	leadless := text[start-1] == '.' || text[start-1] == ':'
	for from < start {
		end := span(text, from, isToken)
		if word := wordStart(text, from, end); word < end {
			if h, ok := providerKey(text, word, leadless); ok {
				return h, true
			}
		}
		from = end + 1
	}
	return hit{}, false
}

// innerKey looks for a key that is tied to a name with - or _ (a branch fix-ghp_...),
// of the formats that nobody's words begin like.
func innerKey(text []byte, start, end int) (hit, bool) {
	for at := start + 1; at+minKey <= end; at++ {
		if before := text[at-1]; before != '-' && before != '_' {
			continue
		}
		for _, f := range formation.KeyFormatsAt(text[at:]) {
			if f.Weak || !f.Telling() {
				continue
			}
			stop, ok := f.Match(text, at)
			if ok && looksRandom(text, at, stop, &f) && (!f.Wordy() || isChance(text[at+len(f.Lead()):stop], f.Prefix)) {
				return tokenHit(text, at, stop, f.Name), true
			}
		}
	}
	return hit{}, false
}

// tokenHit is what is said of a provider's key.
func tokenHit(text []byte, start, end int, name string) hit {
	return hit{rule: PlaintextKey, start: start, end: end, field: start, place: variable(text, start), random: true, message: name}
}

// wordStart skips what belongs to the text around a key: the rest of an escape
// (\n, %20, \u003d, a terminal's colour), and signs of punctuation.
func wordStart(text []byte, start, end int) int {
	if shown := colourEnd(text, start); shown > start {
		start = min(shown, end)
	} else if start > 0 {
		switch text[start-1] {
		case '\\':
			if start > 1 && text[start-2] == '\x1b' {
				break // the end of a link or a title
			}
			if text[start] == 'u' && start+5 < end {
				start += 5
			} else if strings.IndexByte("nrtbf0", text[start]) >= 0 {
				start++
			}
		case '%':
			if start+2 < end && is(text[start], isHex) && is(text[start+1], isHex) {
				start += 2
			}
		}
	}

	for start < end && (text[start] == '-' || text[start] == '_') {
		start++
	}
	return start
}

// providerKey judges what begins at start. leadless says that it may be a key
// which nothing tells but its parts.
func providerKey(text []byte, start int, leadless bool) (hit, bool) {
	found := func(stop int, name string) (hit, bool) {
		return tokenHit(text, start, stop, name), true
	}

	if bytes.HasPrefix(text[start:], []byte("eyJ")) {
		if stop, ok := webToken(text, start, span(text, start, isToken)); ok {
			return found(stop, "a JSON web token")
		}
	}

	if end, f := matching(formation.KeyFormatsAt(text[start:]), text, start); f != nil {
		return found(end, f.Name)
	}
	if leadless {
		if end, f := matching(formation.LeadlessKeyFormats(), text, start); f != nil {
			return found(end, f.Name)
		}
	}
	return hit{}, false
}

// matching returns the first of formats that a key at start is of, and its end.
func matching(formats []formation.KeyFormat, text []byte, start int) (end int, f *formation.KeyFormat) {
	for i := range formats {
		f := &formats[i]
		if end, ok := f.Match(text, start); ok && looksRandom(text, start, end, f) && !signsURL(text[:start]) {
			return end, f
		}
	}
	return 0, nil
}

// signsURL reports whether what follows before says who signed a URL: an id that
// goes with a signature, no secret.
func signsURL(before []byte) bool {
	for _, name := range [...]string{"X-Amz-Credential=", "AWSAccessKeyId=", "X-Goog-Credential=", "GoogleAccessId=", "OSSAccessKeyId="} {
		if bytes.HasSuffix(before, []byte(name)) && len(before) > len(name) && strings.IndexByte("?&;", before[len(before)-len(name)-1]) >= 0 {
			return true
		}
	}
	return false
}

// webToken takes a JSON web token: header.payload.signature, the first two JSON.
func webToken(text []byte, start, end int) (int, bool) {
	if !bytes.Contains(decodeHead(text[start:end]), []byte(`"`)) || end >= len(text) || text[end] != '.' {
		return 0, false
	}
	payload := end + 1
	end = span(text, payload, isToken)
	if !bytes.HasPrefix(text[payload:end], []byte("eyJ")) || end >= len(text) || text[end] != '.' {
		return 0, false
	}

	if isPublicToken(text[:start], text[payload:end]) {
		return 0, false
	}
	signature := end + 1
	end = span(text, signature, isToken)
	return end, end-signature >= 20 && distinct(string(text[signature:end])) >= 10
}

// isPublicToken knows web tokens that open nothing: the one that every tutorial
// shows (subject 1234567890, John Doe), those of Supabase's demo and for the
// anonymous, which every page carries, and the signature in the URL of a picture
// at GitHub.
func isPublicToken(before, payload []byte) bool {
	if bytes.HasSuffix(before, []byte("?jwt=")) && bytes.Contains(before[max(0, len(before)-256):], []byte("githubusercontent.com/")) {
		return true
	}

	padded := strings.NewReplacer("-", "+", "_", "/").Replace(string(payload[:min(len(payload), 2048)]))
	claims, _ := base64.RawStdEncoding.DecodeString(padded[:len(padded)/4*4])
	for _, claim := range [...]string{`"sub":"1234567890"`, `"iss":"supabase-demo"`, `"role":"anon"`} {
		if bytes.Contains(claims, []byte(claim)) {
			return true
		}
	}
	return false
}

// looksRandom tells a key from its look-alikes: placeholders, documentation and,
// where the format is weak, words with hyphens (a style sheet's sk-folding-cube).
func looksRandom(text []byte, start, end int, f *formation.KeyFormat) bool {
	body := text[start+len(f.Lead()) : end]
	return distinct(string(body)) >= 6 && !formation.IsSample(string(text[start:end])) && (!f.Weak || isChance(body, f.Prefix))
}

// isChance reports whether what follows a weak prefix has long stretches of
// letters and digits mixed, or changes between them, as only a generator makes it.
func isChance(body []byte, prefix string) bool {
	if distinct(string(body)) < 8 || hasWord(body) {
		return false
	}

	var lower, upper, digits, stretch, longest, changes int
	var last byte
	for _, b := range body {
		kind := classes[b] & (isLower | isUpper | isDigit)
		switch kind {
		case isLower:
			lower++
		case isUpper:
			upper++
		case isDigit:
			digits++
		}

		if stretch++; kind == 0 {
			stretch = 0
		}
		longest = max(longest, stretch)
		if kind != last && kind != 0 && last != 0 {
			changes++
		}
		last = kind
	}

	slack := strings.HasPrefix(prefix, "x") // xoxb- and the like: nobody's words
	switch {
	case changes*5 >= len(body)*2 && digits > 0 && lower+upper > 0:
		return true
	case longest < 12 && !slack:
		return false
	case prefix == "BSA":
		return lower > 0 && upper > 0 && (digits > 0 || changes*3 >= len(body))
	case digits > 0:
		return lower+upper > 0
	}
	return lower > 0 && upper*3 >= lower && upper <= lower*4
}

// hasWord reports whether a part of a key is a word that people put into keys they
// made up.
func hasWord(body []byte) bool {
	for _, part := range bytes.FieldsFunc(body, func(r rune) bool { return r == '-' || r == '_' }) {
		switch strings.ToLower(string(part)) {
		case "secret", "token", "test", "fake", "mock", "key", "bot", "password", "invalid", "real", "not", "your", "user", "demo", "error", "valid", "old", "new":
			return true
		}
	}
	return false
}

// azureSecrets finds what Microsoft marks in the middle: a client secret of Entra
// ID (abc8Q~...), and a storage account's key behind its name.
func azureSecrets(text []byte, hits []hit) []hit {
	const before, least, most = 4, 31, 34
	for at := 0; ; {
		next := bytes.Index(text[at:], []byte("Q~"))
		if next < 0 || len(hits) >= maxHits {
			break
		}
		mark := at + next
		at = mark + len("Q~")

		start, end := mark-before, at
		for end < min(len(text), at+most+1) && formation.Alphabet('q').Has(text[end]) {
			end++
		}
		for end > at && text[end-1] == '.' {
			end--
		}
		if n := end - at; n < least || n > most || start < 0 || !is(text[mark-1], isDigit) || !beginsWord(text, start, end) ||
			bytes.ContainsFunc(text[start:mark], func(r rune) bool { return r > 'z' && r != '~' || !formation.Alphabet('q').Has(byte(r)) }) || distinct(string(text[at:end])) < 8 {
			continue
		}
		hits = append(hits, tokenHit(text, start, end, "an Entra ID client secret"))
	}

	const name, length = "AccountKey=", 86
	for at := 0; ; {
		next := bytes.Index(text[at:], []byte(name))
		if next < 0 || len(hits) >= maxHits {
			return hits
		}
		start := at + next + len(name)
		at = start
		end := span(text, start, isBase64)
		if end-start != length || !bytes.HasPrefix(text[end:], []byte("==")) || distinct(string(text[start:end])) < 12 || formation.IsSample(string(text[start:end])) {
			continue
		}
		hits = append(hits, tokenHit(text, start, end+2, "an Azure storage account's key"))
	}
}
