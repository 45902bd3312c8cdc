package scan

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// tokens finds what leaks in any text file: keys by their form, databases' URLs,
// and, where a text sets variables, the keys that only a variable's name tells.
func tokens(name string, text []byte) []hit {
	hits := slices.Concat(addresses(text), vendorKeys(name, text), providers(text))
	if isClientFile(name) {
		return append(hits, clientKeys(text)...)
	}
	return hits
}

// vendorKeys finds literals in variables that vendors document for their keys:
// in files that are made to set variables, and in export lines anywhere.
func vendorKeys(name string, text []byte) (hits []hit) {
	if setsVariables(name) {
		for at := 0; at < len(text) && len(hits) < maxHits; {
			end := at + lineLength(text[at:])
			hits = vendorLine(text, at, end, hits)
			at = end + 1
		}
		return hits
	}

	for _, word := range [...]string{"xport ", "ENV "} { // begun with the rarer letter
		for at := 0; len(hits) < maxHits; {
			next := bytes.Index(text[at:], []byte(word))
			if next < 0 {
				break
			}
			at += next
			start := at - len("export ") + len(word)
			if word[0] == 'E' {
				start = at
			}
			at += len(word)
			if start >= 0 && text[start]|0x20 == 'e' && beginsLine(text, start) {
				end := at + lineLength(text[at:])
				hits = vendorLine(text, at, end, hits)
				at = end
			}
		}
	}
	return hits
}

// setsVariables reports whether a file is made to set environment variables: .env
// and its kin, compose files, the files of MCP clients.
func setsVariables(name string) bool {
	base := strings.ToLower(path.Base(name))
	if base == ".env" || base == ".envrc" || strings.HasPrefix(base, ".env.") || strings.HasSuffix(base, ".env") {
		return true
	}
	if isClientFile(name) {
		return true
	}
	stem, yaml := strings.CutSuffix(base, ".yml")
	if !yaml {
		stem, yaml = strings.CutSuffix(base, ".yaml")
	}
	return yaml && (stem == "compose" || strings.HasPrefix(stem, "compose.") || strings.HasPrefix(stem, "docker-compose"))
}

// beginsLine reports whether nothing but blanks and a prompt stands before at.
func beginsLine(text []byte, at int) bool {
	for at > 0 && strings.IndexByte(" \t$`>", text[at-1]) >= 0 {
		at--
	}
	return at == 0 || text[at-1] == '\n'
}

// maxVendorLine is how much of one line is looked at, in bytes.
const maxVendorLine = 1 << 16

// vendorLine looks at the variables that text[at:end] sets, whatever the syntax:
// NAME=value, NAME: value, "NAME": "value".
func vendorLine(text []byte, at, end int, hits []hit) []hit {
	end = min(end, at+maxVendorLine)
	for at < end {
		for at < end && !is(text[at], isUpper) {
			at++
		}
		stop := min(span(text, at, isToken), end)
		name := text[at:stop]
		from, quote := assigned(text, stop, end)
		at = stop
		if from < 0 || bytes.IndexByte(name, '_') < 0 || len(name) > maxName {
			continue
		}

		vendor := formation.VendorVariable(string(name))
		if vendor == "" {
			continue
		}
		from = behindDefault(text, from, end)
		at = valueEnd(text, from, end, quote)
		if isVendorKey(string(name), string(text[from:at])) {
			hits = append(hits, hit{rule: PlaintextKey, start: from, end: at, field: stop - len(name), place: string(name), message: "a literal in " + string(name) + ", a key of " + vendor + "'s"})
		}
	}
	return hits
}

// assigned returns where the value begins that a name which ends at stop is set
// to, -1 for none, and the quote around it.
func assigned(text []byte, stop, end int) (from int, quote byte) {
	at := stop
	skip := func(signs string) {
		for at < end && strings.IndexByte(signs, text[at]) >= 0 {
			at++
		}
	}

	skip("\"'")
	skip(" \t")
	if at == end || text[at] != '=' && text[at] != ':' {
		return -1, 0
	}
	at++
	skip(" \t")
	if at < end && (text[at] == '"' || text[at] == '\'') {
		return at + 1, text[at]
	}
	return at, 0
}

// valueEnd is where the value at from ends: at its quote, or with its word.
func valueEnd(text []byte, from, end int, quote byte) int {
	for at := from; at < end; at++ {
		switch b := text[at]; {
		case b == '\\' && quote == '"':
			at++
		case quote != 0 && b == quote, quote == 0 && strings.IndexByte(" \t\r,;\"'`}]", b) >= 0:
			return at
		}
	}
	return end
}

// behindDefault steps into ${NAME:-value} and ${NAME-value}: what stands there counts
// where nothing is set.
func behindDefault(text []byte, from, end int) int {
	if !bytes.HasPrefix(text[from:end], []byte("${")) {
		return from
	}
	at := min(span(text, from+2, isToken), end)
	rest, colon := bytes.CutPrefix(text[at:end], []byte(":"))
	switch {
	case !bytes.HasPrefix(rest, []byte("-")):
		return from
	case colon:
		at++
	}
	return at + 1
}

// isVendorKey tells a key from what stands in its place: references, settings,
// placeholders, words.
func isVendorKey(name, value string) bool {
	const least = 12
	switch {
	case len(value) < least, strings.ContainsAny(value, "${}<>()"), distinct(value) < 6, isSetting(value), isPlaceholder(value), formation.IsSample(value), isPointer(value):
		return false
	case strings.HasPrefix(formation.TrimVariant(name), "AWS_SECRET"):
		return len(value) == 40 && span([]byte(value), 0, isBase64) == len(value) // others are those of stand-ins for S3
	}
	return strings.ContainsAny(value, "0123456789") || !strings.ContainsAny(value, "-_ .") && compose(value).kinds > 1
}

// isPointer reports whether a value says in which store of secrets the key is.
func isPointer(value string) bool {
	for _, store := range [...]string{"arn:aws", "vault:", "op://"} {
		if strings.HasPrefix(value, store) {
			return true
		}
	}
	return false
}
