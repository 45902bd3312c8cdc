package scan

import (
	"bytes"
	"strings"
)

// provider is one format of keys: a public prefix and what follows it.
type provider struct {
	prefix   string
	name     string // for people
	body     byte   // class of the bytes that follow the prefix
	min, max int    // how many of them; max 0: no limit
	// bare says that the prefix does not end in a separator, so that it may occur
	// inside base64 by chance and both neighbours are looked at.
	bare bool
}

// providers' formats, sorted by their first byte; of those that share one, the
// longer prefix first. They are facts published by the providers. None of the
// prefixes is shorter than three bytes, no key shorter than minKey.
var formats = [...]provider{
	{prefix: "AIza", name: "a Google API key", body: isToken, min: 33, max: 40, bare: true},
	{prefix: "AKIA", name: "an AWS access key", body: isUpper | isDigit, min: 16, max: 16, bare: true},
	{prefix: "ASIA", name: "an AWS access key", body: isUpper | isDigit, min: 16, max: 16, bare: true},
	{prefix: "BSA", name: "a Brave Search key", body: isToken, min: 24, max: 33, bare: true},
	{prefix: "csk-", name: "a Cerebras key", body: isAlnum, min: 32},
	{prefix: "dop_v1_", name: "a DigitalOcean token", body: isHex, min: 64},
	{prefix: "eyJ", name: "a JSON web token", body: isToken, min: 17, bare: true},
	{prefix: "fma_", name: "a MUXI admin key", body: isHex, min: 64, max: 64},
	{prefix: "fmc_", name: "a MUXI client key", body: isHex, min: 64, max: 64},
	{prefix: "fw_", name: "a Fireworks key", body: isAlnum, min: 20, max: 64},
	{prefix: "ghp_", name: "a GitHub token", body: isAlnum, min: 36},
	{prefix: "gho_", name: "a GitHub token", body: isAlnum, min: 36},
	{prefix: "ghu_", name: "a GitHub token", body: isAlnum, min: 36},
	{prefix: "ghs_", name: "a GitHub token", body: isAlnum, min: 36},
	{prefix: "ghr_", name: "a GitHub token", body: isAlnum, min: 36},
	{prefix: "github_pat_", name: "a GitHub token", body: isToken, min: 40},
	{prefix: "glpat-", name: "a GitLab token", body: isToken, min: 20},
	{prefix: "gsk_", name: "a Groq key", body: isAlnum, min: 32},
	{prefix: "hf_", name: "a Hugging Face token", body: isAlnum, min: 30, max: 64},
	{prefix: "jina_", name: "a Jina key", body: isToken, min: 40},
	{prefix: "lin_api_", name: "a Linear key", body: isAlnum, min: 32},
	{prefix: "lsv2_", name: "a LangSmith key", body: isToken, min: 32},
	{prefix: "npm_", name: "an npm token", body: isAlnum, min: 36, max: 36},
	{prefix: "nvapi-", name: "an NVIDIA key", body: isToken, min: 40},
	{prefix: "pcsk_", name: "a Pinecone key", body: isToken, min: 30},
	{prefix: "pplx-", name: "a Perplexity key", body: isAlnum, min: 32},
	{prefix: "r8_", name: "a Replicate token", body: isAlnum, min: 30, max: 64},
	{prefix: "rk_live_", name: "a Stripe key", body: isAlnum, min: 20},
	{prefix: "sk-ant-", name: "an Anthropic key", body: isToken, min: 20},
	{prefix: "sk-or-", name: "an OpenRouter key", body: isToken, min: 20},
	{prefix: "sk-", name: "an OpenAI key, or another provider's of that form", body: isToken, min: 20},
	{prefix: "sk_live_", name: "a Stripe key", body: isAlnum, min: 20},
	{prefix: "sk_muxi_", name: "a MUXI key", body: isToken, min: 16},
	{prefix: "sk_", name: "an ElevenLabs key", body: isAlnum, min: 32},
	{prefix: "tgp_v1_", name: "a Together key", body: isToken, min: 32},
	{prefix: "tvly-", name: "a Tavily key", body: isToken, min: 20},
	{prefix: "xai-", name: "an xAI key", body: isAlnum, min: 40},
	{prefix: "xapp-", name: "a Slack token", body: isToken, min: 24},
	{prefix: "xoxa-", name: "a Slack token", body: isToken, min: 20},
	{prefix: "xoxb-", name: "a Slack token", body: isToken, min: 20},
	{prefix: "xoxe-", name: "a Slack token", body: isToken, min: 20},
	{prefix: "xoxe.", name: "a Slack token", body: isToken, min: 20},
	{prefix: "xoxo-", name: "a Slack token", body: isToken, min: 20},
	{prefix: "xoxp-", name: "a Slack token", body: isToken, min: 20},
	{prefix: "xoxr-", name: "a Slack token", body: isToken, min: 20},
	{prefix: "xoxs-", name: "a Slack token", body: isToken, min: 20},
}

// firstBytes are the bytes that a key of the table can begin with.
const firstBytes = "ABcdefghjlnprstx"

// minKey is the length in bytes of the shortest key, prefix included.
const minKey = 20

// providers finds keys in the published formats of providers, anywhere in a
// text: in code, comments, prose. A key begins where a word does.
func providers(text []byte) (hits []hit) {
	for at := 0; ; {
		start, end, ok := nextRun(text, at, minKey, isToken)
		if !ok || len(hits) >= maxHits {
			return webhooks(text, hits)
		}
		at = end
		start = wordStart(text, start, end)
		if h, ok := providerKey(text, start, end); ok {
			hits = append(hits, h)
			at = max(at, h.end)
		}
	}
}

// wordStart skips what belongs to the text around a key: the rest of an escape
// (\n, %20, \u003d), and signs of punctuation.
func wordStart(text []byte, start, end int) int {
	if start > 0 {
		switch text[start-1] {
		case '\\':
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

// providerKey judges the token text[start:end]. The key may end before end,
// where its alphabet does.
func providerKey(text []byte, start, end int) (hit, bool) {
	if end-start < minKey || strings.IndexByte(firstBytes, text[start]) < 0 {
		return hit{}, false
	}
	for i := range formats {
		p := &formats[i]
		if text[start] != p.prefix[0] || !bytes.HasPrefix(text[start:end], []byte(p.prefix)) {
			continue
		}
		if stop, ok := p.key(text, start); ok {
			return hit{rule: PlaintextKey, start: start, end: stop, field: start, place: variable(text, start), random: true, message: p.name}, true
		}
	}
	return hit{}, false
}

func (p *provider) key(text []byte, start int) (end int, ok bool) {
	body := start + len(p.prefix)
	end = span(text, body, p.body)
	if p.prefix == "eyJ" {
		return webToken(text, start, end)
	}
	if p.body == isToken {
		for end > body && (text[end-1] == '-' || text[end-1] == '_') && end-body > p.min {
			end-- // punctuation behind it; a cut key is still the same key
		}
	} else if end < len(text) && is(text[end], isToken) && text[end] != '-' {
		return 0, false // a longer word
	}
	if p.bare && (start > 0 && strings.IndexByte("+/", text[start-1]) >= 0 || end < len(text) && strings.IndexByte("+/=", text[end]) >= 0) {
		return 0, false // inside base64
	}
	if n := end - body; n < p.min || p.max > 0 && n > p.max {
		return 0, false
	}
	return end, looksRandom(text[start:end], text[body:end], p)
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
	// The token that every tutorial shows: subject 1234567890, John Doe.
	if bytes.HasPrefix(text[payload:], []byte("eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lI")) {
		return 0, false
	}
	signature := end + 1
	end = span(text, signature, isToken)
	return end, end-signature >= 20 && distinct(string(text[signature:end])) >= 10
}

// looksRandom tells a key from its look-alikes: words with hyphens (a style
// sheet's sk-folding-cube), placeholders, documentation. What it lets pass has
// long stretches of letters and digits mixed, as only a generator makes them.
func looksRandom(key, body []byte, p *provider) bool {
	if distinct(string(body)) < 8 || isSample(key) {
		return false
	}
	if p.body == isHex {
		return true
	}
	var lower, upper, digits, stretch, longest int
	for _, b := range body {
		switch {
		case is(b, isLower):
			lower++
		case is(b, isUpper):
			upper++
		case is(b, isDigit):
			digits++
		}
		if stretch++; !is(b, isAlnum) {
			stretch = 0
		}
		longest = max(longest, stretch)
	}
	if p.body == isToken && longest < 12 && !strings.HasPrefix(p.prefix, "x") {
		return false
	}
	if p.prefix == "BSA" && (lower == 0 || upper == 0 || digits == 0) {
		return false
	}
	if digits > 0 {
		return lower+upper > 0 || strings.HasPrefix(p.prefix, "x")
	}
	return lower > 0 && upper*3 >= lower && upper <= lower*4
}

// isSample reports whether a key says of itself that it is none.
func isSample(key []byte) bool {
	lower := bytes.ToLower(key)
	for _, word := range [...]string{"example", "placeholder", "xxxxx", "your-", "your_", "yourkey", "yourapi", "dummy", "redacted", "changeme", "replace_me", "replaceme"} {
		if bytes.Contains(lower, []byte(word)) {
			return true
		}
	}
	return false
}

// webhooks finds URLs that are secrets themselves: whoever has one may post.
func webhooks(text []byte, hits []hit) []hit {
	for _, host := range [...]string{"hooks.slack.com/services/", "discord.com/api/webhooks/"} {
		for at := 0; ; {
			next := bytes.Index(text[at:], []byte(host))
			if next < 0 || len(hits) >= maxHits {
				break
			}
			start := at + next
			at = start + len(host)
			end := at
			for end < len(text) && (is(text[end], isToken) || text[end] == '/') {
				end++
			}
			last := text[at+bytes.LastIndexByte(text[at:end], '/')+1 : end]
			if bytes.HasSuffix(text[:start], []byte("https://")) {
				start -= len("https://")
			}
			if len(last) >= 20 && len(last) < end-at && distinct(string(last)) >= 8 && !isSample(last) {
				hits = append(hits, hit{rule: PlaintextKey, start: start, end: end, field: start, place: variable(text, start), random: true, message: "a webhook URL, which is a password in itself"})
			}
			at = end
		}
	}
	return hits
}
