package scan

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

// keyFile says which key file name is, or "" if it is none. Where the name alone
// could mean something public, the content decides.
func keyFile(name string, content []reading) string {
	base := strings.ToLower(path.Base(name))
	if base == ".key" {
		return "a formation's key file must never be committed"
	}
	if rest, ok := strings.CutPrefix(base, ".key"); ok && isCopy(rest) {
		return "a copy of a formation's key file must never be committed"
	}
	switch base {
	case "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk":
		if slices.ContainsFunc(content, func(r reading) bool { return bytes.Contains(r.text, []byte("PRIVATE KEY")) }) {
			return sshMessage
		}
	}
	return ""
}

// sshMessage is what is said of a file with a private SSH key.
const sshMessage = "a private SSH key must never be committed"

// keyFileHit is the hit for what keyFile says of a file.
func keyFileHit(kind string) hit {
	return hit{rule: KeyFile, message: kind, foreign: kind == sshMessage}
}

// isCopy reports whether what follows .key is what people and editors put
// behind the name of a copy.
func isCopy(rest string) bool {
	switch strings.TrimLeft(rest, ".-_ ~") {
	case "":
		return rest != "" && strings.TrimLeft(rest, "~") == ""
	case "bak", "backup", "old", "orig", "copy", "save", "saved", "swp", "tmp", "1", "2", "txt", "prev", "new":
		return true
	}
	return false
}

// material finds keys under any name: Fernet keys, age identities, private key
// blocks. text may be binary.
func material(name string, text []byte) []hit {
	hits := fernetKeys(name, text)
	hits = ageIdentities(text, hits)
	return privateKeys(text, hits)
}

// fernetLength is 32 bytes in base64, without the one = behind them.
const fernetLength = 43

// fernetKeys finds what may be a Fernet key: 43 characters of base64 and a =.
// A SHA-256 hash in base64 has the same shape. One with - or _ in it is taken for
// a key, since hashes are written with + and /; any other only where a field or
// a file that is named like a key holds it, or where it is all that a file holds.
func fernetKeys(name string, text []byte) (hits []hit) {
	for at := 0; ; {
		next := bytes.IndexByte(text[at:], '=')
		if next < 0 || len(hits) >= maxHits {
			return hits
		}
		end := at + next
		at = end + 1
		start := end - fernetLength
		if start < 0 || !is(text[end-1], isBase64) || !is(text[start], isBase64) || end+1 < len(text) && (text[end+1] == '=' || is(text[end+1], isBase64)) {
			continue
		}
		if from := spanBack(text, end, isBase64); from != start && colourEnd(text, from) != start || strings.IndexByte("AEIMQUYcgkosw048", text[end-1]) < 0 {
			continue // the last character of 32 bytes has its two lowest bits clear
		}
		if h, ok := fernetKey(name, text, start, end); ok {
			hits = append(hits, h)
		}
	}
}

func fernetKey(name string, text []byte, start, end int) (hit, bool) {
	key := text[start:end]
	url, std := bytes.ContainsAny(key, "-_"), bytes.ContainsAny(key, "+/")
	if url && std || !mixed(key) {
		return hit{}, false
	}
	if inArmor(text, start) || inCiphertext(text, start) || inURL(text, start) {
		return hit{}, false
	}
	field := variable(text, start)
	if isHashName(field) || !url && !isKeyName(field) && !isKeyName(stem(name)) && (!aloneIn(name, text, start, end) || encodesText(key)) {
		return hit{}, false
	}
	return hit{rule: KeyMaterial, start: start, end: end, field: start, place: field, random: true, message: fernetMessage}, true
}

// The armor of an age file, and how its body begins: the base64 of
// "age-encryption.org/v1".
const (
	armorBegin = "-----BEGIN AGE ENCRYPTED FILE-----"
	armorBody  = "YWdlLWVuY3J5cHRpb24ub3Jn"
)

// inArmor reports whether what starts there is a line of an armored age file,
// whose last line may well have the shape of a key.
func inArmor(text []byte, start int) bool {
	begin := bytes.LastIndex(text[:start], []byte(armorBegin))
	if begin < 0 {
		return false
	}
	before := bytes.TrimLeft(text[begin+len(armorBegin):start], " \t\r\n")
	if !bytes.HasPrefix(before, []byte(armorBody)) {
		return false
	}
	line := []byte(nil)
	for line = range bytes.Lines(before) {
		full := bytes.TrimLeft(bytes.TrimRight(line, "\r\n"), " ") // sops indents it
		if len(full) != 64 && len(full) > 0 {                      // but the last, all lines are full
			return false
		}
	}
	return len(bytes.Trim(line, " ")) == 0 || line[len(line)-1] == '\n'
}

// inCiphertext reports whether what starts there is a part of a value that sops
// encrypted: ENC[AES256_GCM,data:...,iv:...,tag:...,type:str].
func inCiphertext(text []byte, start int) bool {
	return bytes.HasSuffix(text[:start], []byte(",iv:")) || bytes.HasSuffix(text[:start], []byte("ENC[AES256_GCM,data:"))
}

// inURL reports whether what starts there is the value of a URL's parameter that is
// not called like a key: a signature, a checksum.
func inURL(text []byte, start int) bool {
	at := start - 1
	if at < 1 || text[at] != '=' {
		return false
	}
	from := spanBack(text, at, isToken)
	if from == 0 {
		return false
	}
	name, escaped := bytes.CutPrefix(text[from:at], []byte("u0026")) // an & in JSON
	return (strings.IndexByte("&?;", text[from-1]) >= 0 || escaped && text[from-1] == '\\') && !isKeyName(string(name))
}

// mixed tells random base64 from a long name with capitals.
func mixed(key []byte) bool {
	var upper, lower, digit int
	for _, b := range key {
		switch {
		case is(b, isUpper):
			upper++
		case is(b, isLower):
			lower++
		case is(b, isDigit):
			digit++
		}
	}
	return upper > 2 && lower > 2 && (digit > 0 || upper > 10) && distinct(string(key)) >= 12
}

// fernetMessage is what is said of a Fernet key.
const fernetMessage = "a Fernet key"

// encodesText reports whether what may be 32 random bytes is text in base64.
func encodesText(key []byte) bool {
	raw := fernetBytes(key)
	return raw != nil && !bytes.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r > '~' })
}

// aloneIn reports whether a file holds nothing else and is not one for hashes.
func aloneIn(name string, text []byte, start, end int) bool {
	rest := len(bytes.Trim(text[:start], " \t\r\n\"'")) + len(bytes.Trim(text[end+1:], " \t\r\n\"'"))
	return name != "" && rest == 0 && !isHashName(path.Base(name))
}

// stem is a file's name without its ending, and .key files' ending as the name.
func stem(name string) string {
	base := path.Base(name)
	if strings.EqualFold(path.Ext(base), ".key") {
		return "key"
	}
	return strings.TrimSuffix(base, path.Ext(base))
}

// isKeyName reports whether a field or file of this name holds a key that nobody
// may see. Many things called key are none: a cache's, a table's, a public one.
func isKeyName(name string) bool {
	n := foldName(name)
	if strings.Contains(n, "fernet") || strings.HasSuffix(n, "secret") || strings.HasSuffix(n, "muxi_key") {
		return true
	}
	rest, ok := strings.CutSuffix(strings.TrimSuffix(n, "_base64"), "key")
	if !ok {
		return false
	}
	for _, harmless := range [...]string{"public", "pub", "cache", "primary", "foreign", "partition", "sort", "hash", "map", "index", "row", "idempotency", "site", "peer", "host"} {
		if strings.HasSuffix(strings.TrimRight(rest, "_"), harmless) {
			return false
		}
	}
	return true
}

func isHashName(name string) bool {
	n := strings.ToLower(name)
	for _, word := range [...]string{"sha", "hash", "digest", "checksum", "integrity", "sum", "etag", "h1", "thumbprint", "fingerprint"} {
		if strings.Contains(n, word) {
			return true
		}
	}
	return false
}

const ageIdentity = "AGE-SECRET-KEY-"

func ageIdentities(text []byte, hits []hit) []hit {
	for at := 0; ; {
		next := bytes.Index(text[at:], []byte(ageIdentity))
		if next < 0 || len(hits) >= maxHits {
			return hits
		}
		start := at + next
		body := start + len(ageIdentity)
		at = span(text, body, isToken)
		if at-body >= 40 && distinct(string(text[body:at])) >= 12 && spanBack(text, at, isUpper|isDigit) <= body+len("PQ-1") {
			hits = append(hits, hit{rule: KeyMaterial, start: start, end: at, field: start, place: variable(text, start), random: true, message: "an age identity"})
		}
	}
}

// minKeyBody is how many characters of base64 in a row make a private key block
// real: documentation shows its first line with dots behind it.
const minKeyBody = 40

// minWholeBody is the same where the block's last line is there as well.
const minWholeBody = 16

// privateKeys finds PEM and OpenPGP blocks of private keys, also where their
// line ends are escaped, and PEM that was put into base64 once more.
func privateKeys(text []byte, hits []hit) []hit {
	for at := 0; ; {
		next := bytes.Index(text[at:], []byte("PRIVATE KEY"))
		if next < 0 || len(hits) >= maxHits {
			break
		}
		word := at + next
		at = word + len("PRIVATE KEY")
		rest := bytes.TrimPrefix(text[at:], []byte(" BLOCK"))
		start := max(0, word-40)
		begin := bytes.LastIndex(text[start:word], []byte("-----BEGIN "))
		if begin < 0 || !bytes.HasPrefix(rest, []byte("-----")) {
			continue
		}
		start += begin
		from, to, ok := keyBody(text, len(text)-len(rest)+5)
		if ok && isElided(text[to:blockEnd(text, to)]) {
			at = blockEnd(text, to)
			continue
		}
		if ok {
			at = blockEnd(text, to)
			hits = append(hits, hit{rule: KeyMaterial, start: start, end: at, field: start, place: variable(text, start), random: true, from: from, to: to, message: "a private key block", foreign: true})
		}
	}

	const begin = "LS0tLS1CRUdJTi" // base64 of -----BEGIN
	for at := 0; ; {
		next := bytes.Index(text[at:], []byte(begin))
		if next < 0 || len(hits) >= maxHits {
			return hits
		}
		start := at + next
		at = span(text, start, isBase64)
		if head := decodeHead(text[start:at]); bytes.Contains(head, []byte("PRIVATE KEY-----")) {
			hits = append(hits, hit{rule: KeyMaterial, start: start, end: at, field: start, place: variable(text, start), random: at-start > 100, message: "a private key block, in base64", foreign: true})
		}
	}
}

// keyBody finds the first long line of base64 behind a block's BEGIN line, which
// ends at from, and before the next such line. It begins on a line of its own,
// in a string of its own, or right there.
func keyBody(text []byte, from int) (start, end int, ok bool) {
	near := text[:min(len(text), from+512)]
	least := minKeyBody
	if stop := bytes.Index(near[from:], []byte("-----")); stop >= 0 {
		if bytes.HasPrefix(near[from+stop:], []byte("-----END ")) {
			least = minWholeBody
		}
		near = near[:from+stop]
	}

	start, end, ok = nextRun(near, from, least, isBase64)
	if !ok || !mixed(near[start:end]) {
		return 0, 0, false
	}
	between := bytes.TrimLeft(near[from:start], " ")
	return start, end, len(between) == 0 || strings.IndexByte("\r\n\\\"'`", between[0]) >= 0
}

// isElided reports whether a line of a block stands for others: documentation shows
// the first and the last one, and dots between.
func isElided(block []byte) bool {
	for line := range bytes.Lines(bytes.ReplaceAll(block, []byte(`\n`), []byte("\n"))) {
		line = bytes.Trim(line, " \t\r\n\"'`#>|*/,+\\")
		if dots := bytes.Trim(line, ".[]<>()-"); bytes.Contains(line, []byte("..")) && len(dots) == 0 || string(line) == "…" {
			return true
		}
	}
	return false
}

// blockEnd is where the lines of a block whose first ends at from stop: what
// looks like a key inside is a part of it.
func blockEnd(text []byte, from int) int {
	near := text[from:min(len(text), from+1<<15)]
	if stop := bytes.Index(near, []byte("-----END")); stop >= 0 {
		return from + stop
	}
	return from
}
