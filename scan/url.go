package scan

import (
	"bytes"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// isURLPlaceholder reports whether the password of a URL is one that examples
// use, or is filled in from elsewhere.
func isURLPlaceholder(password string) bool {
	if formation.IsPlaceholder(password) || strings.Contains(password, "${") || strings.Contains(password, "{{") {
		return true
	}
	switch strings.ToLower(password) {
	case "pass", "password", "passwd", "pwd", "secret", "xxxx", "token", "mypassword", "my_password", "my-password", "yourpassword":
		return true
	}
	return strings.HasPrefix(password, "[") || strings.HasPrefix(password, "{") || strings.HasPrefix(password, "%(")
}

// leakyURL finds the next URL in text at or after from that carries a secret:
// a password before the @, or a key in its query. It returns the URL's bounds.
func leakyURL(text []byte, from int) (start, end int, ok bool) {
	for {
		next := bytes.Index(text[from:], []byte("://"))
		if next < 0 {
			return 0, 0, false
		}
		slashes := from + next
		from = slashes + 3
		start = spanBack(text, slashes, isAlnum)
		if start > 0 && start < slashes && text[start-1] == '+' { // postgresql+asyncpg://
			start = spanBack(text, start-1, isAlnum)
		}
		if start == slashes {
			continue
		}
		end = urlEnd(text, from)
		if behind := text[from:end]; urlPassword(behind) != nil || hasSecretParameter(behind) {
			return start, end, true
		}
		from = end
	}
}

// urlEnd is where the URL whose authority starts at from ends. A reference
// inside it may hold spaces.
func urlEnd(text []byte, from int) int {
	for i := from; i < len(text); i++ {
		switch text[i] {
		case ' ', '\t', '\n', '\r', '"', '\'', '<', '>', '`':
			return i
		case '$':
			if bytes.HasPrefix(text[i:], []byte("${{")) {
				if stop := bytes.Index(text[i:min(len(text), i+256)], []byte("}}")); stop > 0 {
					i += stop + 1
				}
			}
		}
	}
	return len(text)
}

// urlPassword returns the password before the @ of a URL, nil where there is none
// or one that says nothing. authority is all that stands behind the //.
func urlPassword(authority []byte) []byte {
	if slash := bytes.IndexAny(authority, "/?#"); slash >= 0 && !slashInPassword(authority, slash) {
		authority = authority[:slash]
	}
	at := bytes.LastIndexByte(authority, '@')
	if at < 0 {
		return nil
	}
	_, password, _ := bytes.Cut(authority[:at], []byte(":"))
	if len(password) == 0 || isURLPlaceholder(string(password)) {
		return nil
	}
	return password
}

// urlPasswords returns the passwords in the URLs of a stored value, as they stand
// there and without their escapes: they stand by themselves where the service that
// takes them is set up.
func urlPasswords(value []byte) (found [][]byte) {
	for at := 0; ; {
		next := bytes.Index(value[at:], []byte("://"))
		if next < 0 {
			return found
		}
		at += next + len("://")
		password := urlPassword(value[at:urlEnd(value, at)])
		if password == nil {
			continue
		}
		found = append(found, password)
		if plain := unescaped(password, '%', unescapeURL); len(plain) < len(password) {
			found = append(found, plain)
		}
	}
}

// slashInPassword reports whether the / at slash belongs to a password in which
// it should have been escaped: what stands before it is no host with its port,
// and an @ follows.
func slashInPassword(authority []byte, slash int) bool {
	user, password, ok := bytes.Cut(authority[:slash], []byte(":"))
	if !ok || len(user) == 0 || bytes.IndexByte(password, '@') >= 0 {
		return false
	}
	return span(password, 0, isDigit) < len(password) && bytes.IndexByte(authority[slash:], '@') >= 0
}

// hasSecretParameter reports whether a URL has a parameter that is named like a
// credential.
func hasSecretParameter(url []byte) bool {
	_, query, _ := bytes.Cut(url, []byte("?"))
	for len(query) > 0 {
		n := paramLength(query)
		name, value, ok := bytes.Cut(query[:n], []byte("="))
		if ok && len(value) >= minPattern && isSecretParameter(foldName(string(name))) && !isURLPlaceholder(string(value)) && !formation.IsSample(string(value)) {
			return true
		}
		query = query[min(n+1, len(query)):]
	}
	return false
}

// isSecretParameter judges the parameter of a URL by its name (folded).
func isSecretParameter(name string) bool {
	return isCredentialName(name) || name == "key" || name == "sig" || strings.HasSuffix(name, "_api_key") || strings.HasSuffix(name, "apikey")
}

func paramLength(text []byte) int {
	if i := bytes.IndexAny(text, "&;#"); i >= 0 {
		return i
	}
	return len(text)
}
