package scan

import (
	"bytes"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// structure finds literals in the fields of a formation's file that hold a
// credential. The field decides, not how the value looks.
func structure(text []byte) []hit {
	if !mayHoldCredential(text) {
		return nil
	}
	leaves, err := parseYAML(text)
	if err != nil {
		leaves = readBroken(text)
	}
	return judge(text, leaves)
}

// mayHoldCredential saves most files the parser.
func mayHoldCredential(text []byte) bool {
	for _, word := range [...]string{"key", "Key", "KEY", "oken", "OKEN", "ecret", "ECRET", "pass", "PASS", "PWD", "DSN", "PAT", "CRED",
		"auth", "AUTH", "env", "eader", "connection_string", "redential", "args", "command", "url", "URL", "endpoint", "CONNECTION_STRING", `\x`, `\u`, `\U`} {
		if bytes.Contains(text, []byte(word)) {
			return true
		}
	}
	return false
}

func judge(text []byte, leaves []leaf) (hits []hit) {
	types, names := map[int]string{}, map[int]string{}
	for _, l := range leaves {
		if l.at == nil {
			continue
		}
		switch l.at.name {
		case "type":
			types[l.parent] = l.value
		case "name", "key":
			names[l.parent] = l.value
		}
	}

	seen := map[int]bool{} // an anchored value is one leak, however often it is used
	var command commandLine
	for _, l := range leaves {
		if seen[l.start] || l.value == "" || l.at == nil {
			continue
		}

		found := l.inner(text)
		r := roleOf(l.at, types[l.parent], names[l.parent])
		switch {
		case r == argument:
			if at, ok := command.secretIn(&l); ok && len(found) == 0 {
				found = []hit{l.wordOf(text, at)}
			}
		case len(found) > 0 && r != credential:
		default:
			found = nil
			if h, ok := l.judge(text, r); ok {
				found = []hit{h}
			}
		}

		seen[l.start] = len(found) > 0
		hits = append(hits, found...)
	}

	return hits
}

// hit is the finding about what stands at byte at of a leaf's value.
func (l *leaf) hit(text []byte, at int) hit {
	start := l.place(text, at)
	return hit{rule: PlaintextKey, start: start, end: max(l.end, start+1), field: l.field, place: l.at.path(),
		message: literalIn + fieldName(l.at) + ", where a reference belongs"}
}

// judge says whether a leaf in a field of the given role leaks.
func (l *leaf) judge(text []byte, r role) (hit, bool) {
	value, skip := l.value, 0
	switch {
	case r == noCredential, l.plain && !l.number, inSchema(l.at):
		return hit{}, false
	case r == endpoint:
		at, ok := pathSecret(value)
		if !ok {
			return hit{}, false
		}
		return l.hit(text, at), true
	case r == assignment:
		name, v, ok := strings.Cut(value, "=")
		r = environmentRole(foldName(name))
		if !ok || r == noCredential {
			return hit{}, false
		}
		value, skip = v, len(name)+1
	case r == headerLine:
		name, v, ok := strings.Cut(value, ":")
		if !ok || !isSecretHeader(foldName(name)) {
			return hit{}, false
		}
		trimmed := strings.TrimLeft(v, " ")
		value, skip = trimmed, len(value)-len(trimmed)
	}

	if r == access && (isConnection(value) || isSetting(value)) {
		r = connection
	}
	switch {
	case r == environment && (l.number || isSetting(value)), r == localOrKey && value == "local":
		return hit{}, false
	case r == connection && !hasPassword(value):
		return hit{}, false
	}

	at, ok := 0, true
	if r != connection {
		at, ok = literal(value)
	}
	if !ok {
		return hit{}, false
	}

	return l.hit(text, skip+at), true
}

// place is the offset in text of byte at of the leaf's value.
func (l *leaf) place(text []byte, at int) int {
	if at == 0 {
		return l.start
	}
	rest, source := l.value[at:], text[l.start:max(l.start, min(l.end, len(text)))]
	rest = rest[:min(len(rest), 16)] // enough to find it, short enough not to meet a line break
	if cut := strings.IndexAny(rest, " \n$\"\\"); cut > 0 {
		rest = rest[:cut]
	}
	for _, from := range [...]int{min(at, len(source)), 0} { // escapes and indentation make it longer
		if next := bytes.Index(source[from:], []byte(rest)); next >= 0 {
			return l.start + from + next
		}
	}
	return l.start
}

// isSetting reports whether an environment variable's value is a boolean, a
// number or a path: DEBUG_TOKEN=true, TOKEN_KEY=/run/secrets/token.
func isSetting(value string) bool {
	switch strings.ToLower(value) {
	case "true", "false", "yes", "no", "on", "off":
		return true
	}
	number := value != "" && strings.Trim(value, "0123456789.-+_") == ""
	return number || isFilePath(value) || strings.Contains(value, "://") && !hasPassword(value) && !strings.Contains(value, "@")
}

// isFilePath allows capitals, but not the slash that base64 may begin with.
func isFilePath(value string) bool {
	if strings.ContainsAny(value, "+= \n") {
		return false
	}
	for _, start := range [...]string{"./", "../", "~/", "file:", `C:\`, "C:/"} {
		if strings.HasPrefix(value, start) {
			return true
		}
	}
	return strings.HasPrefix(value, "/") && (strings.Count(value, "/") > 1 || strings.Contains(value, ".") || len(value) < 20)
}

// isConnection reports whether a value is a URL, or made of name=value.
func isConnection(value string) bool {
	return strings.Contains(value, "://") || strings.Contains(strings.TrimRight(value, "="), "=")
}

// hasPassword reports whether a connection string carries one: in a URL, as
// user:password@, or as a field such as AccountKey=, beside which URLs may stand.
func hasPassword(value string) bool {
	if strings.Contains(value, "://") {
		if _, _, ok := leakyURL([]byte(value), 0); ok {
			return true
		}
	} else if user, rest, ok := strings.Cut(value, ":"); ok && !strings.ContainsAny(user, " ;=/@") {
		if password, _, ok := cutLast(rest, "@"); ok && !isURLPlaceholder(password) {
			return true
		}
	}

	for _, field := range strings.FieldsFunc(value, func(r rune) bool { return r == ';' || r == ' ' || r == '\n' }) {
		name, v, _ := strings.Cut(field, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "accountkey", "sharedaccesskey", "sharedaccesssignature", "password", "pwd":
			if !isURLPlaceholder(v) {
				return true
			}
		}
	}

	return false
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// literal returns where in a credential's value something stands that is neither
// a reference nor a placeholder, and whether there is anything.
func literal(value string) (at int, ok bool) {
	at = schemeLength(value)
	rest := value[at:]
	if !strings.Contains(rest, "${") && !strings.Contains(rest, "{{") {
		return at, !isPlaceholder(rest)
	}
	if formation.IsPlaceholder(rest) {
		return at, false // one ${VARIABLE} and nothing else
	}
	for i := at; i < len(value); {
		open, end := expression(value, i)
		if from, ok := significant(value, i, open); ok {
			return from, true
		}
		if from, ok := fallback(value, open, end); ok {
			return from, true
		}
		i = max(end, i+1)
	}
	return at, false
}

// schemeLength is the length of the word that says how a header's value is meant.
func schemeLength(value string) int {
	word, rest, ok := strings.Cut(value, " ")
	if !ok {
		return 0
	}
	switch strings.ToLower(word) {
	case "bearer", "basic", "token", "apikey", "api-key", "key", "bot", "digest":
		return len(value) - len(strings.TrimLeft(rest, " "))
	}
	return 0
}

// expression returns the bounds of the next ${{ }}, ${ } or {{ }} at or after
// from, or the end of the value twice.
func expression(value string, from int) (start, end int) {
	var unclosed [3]bool // what is not closed here is not closed further on either
	for i := from; i < len(value); i++ {
		for n, bracket := range [...][2]string{{"${{", "}}"}, {"${", "}"}, {"{{", "}}"}} {
			if unclosed[n] || !strings.HasPrefix(value[i:], bracket[0]) {
				continue
			}
			if stop := strings.Index(value[i:], bracket[1]); stop >= 0 {
				return i, i + stop + len(bracket[1])
			}
			unclosed[n] = true
		}
	}
	return len(value), len(value)
}

// significant looks in what stands beside a reference for a part of a key. Words,
// separators and public prefixes are none.
func significant(value string, from, to int) (at int, ok bool) {
	const separators = " \t\r\n=;:,\"'&?/@"
	for from < to {
		if strings.IndexByte(separators, value[from]) >= 0 {
			from++
			continue
		}

		end := from
		for end < to && strings.IndexByte(separators, value[end]) < 0 {
			end++
		}
		if isKeyPart(value[from:end]) {
			return from, true
		}
		from = end
	}
	return 0, false
}

func isKeyPart(word string) bool {
	word = strings.TrimRight(word, ".…") // sk-abc...${{ secrets.TAIL }}: dots in the middle are no placeholder
	body := word[publicPrefix(word):]
	if isPlaceholder(word) {
		return false
	}
	least := 6
	if len(body) < len(word) && !strings.HasSuffix(word, "-") && !strings.HasSuffix(word, "_") {
		least = 3 // behind a provider's prefix, that is more than the rest of it (sk-proj-)
	}
	if len(body) < least {
		return false
	}
	c := compose(body)
	return len(body) < len(word) || c.kinds > 1 && c.alternations > 0 || len(body) >= 24
}

// fallback looks at the quoted text behind || in a reference.
func fallback(value string, start, end int) (at int, ok bool) {
	_, rest, found := strings.Cut(value[start:end], "||")
	if !found {
		return 0, false
	}
	at = end - len(rest)
	open := strings.IndexAny(rest, `'"`)
	if open < 0 {
		return 0, false
	}
	stop := strings.IndexByte(rest[open+1:], rest[open])
	if stop < 0 {
		return 0, false
	}
	word := rest[open+1 : open+1+stop]
	return at + open + 1, len(word) >= 6 && !isPlaceholder(word)
}

// publicPrefix is the length of the provider's prefix that a key begins with, or
// is.
func publicPrefix(key string) int { return len(formation.PublicPrefix(key + " ")) }

// isPlaceholder extends formation's rule to what only shows behind a provider's
// prefix (sk-your-key-here) and to names of types.
func isPlaceholder(value string) bool {
	if formation.IsPlaceholder(value) {
		return true
	}
	switch value {
	case "string", "str", "true", "false":
		return true
	}
	if isCiphertext(value) {
		return true
	}
	n := publicPrefix(value)
	return n > 0 && (formation.IsPlaceholder(value[n:]) || formation.SaysSample(value))
}

// isCiphertext reports whether a value is sealed by another tool: sops, dotenvx,
// ansible-vault.
func isCiphertext(value string) bool {
	return strings.HasPrefix(value, "ENC[AES256_GCM") || strings.HasPrefix(value, "ENC[") && strings.HasSuffix(value, "]") || strings.HasPrefix(value, "encrypted:") || strings.HasPrefix(value, "$ANSIBLE_VAULT;")
}
