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
// a password before the @, or a key in its query. It returns the URL's bounds
// and those of the secret in it.
func leakyURL(text []byte, from int) (start, end, secret, secretEnd int, ok bool) {
	for {
		next := bytes.Index(text[from:], []byte("://"))
		if next < 0 {
			return 0, 0, 0, 0, false
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
		if secret, secretEnd, ok = urlPassword(text, from, end); ok {
			return start, end, secret, secretEnd, true
		}
		if secret, secretEnd, ok = urlQuery(text, from, end); ok {
			return start, end, secret, secretEnd, true
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

func urlPassword(text []byte, from, end int) (start, stop int, ok bool) {
	authority := text[from:end]
	if slash := bytes.IndexAny(authority, "/?#"); slash >= 0 && !slashInPassword(authority, slash) {
		authority = authority[:slash]
	}
	at := bytes.LastIndexByte(authority, '@')
	if at < 0 {
		return 0, 0, false
	}
	colon := bytes.IndexByte(authority[:at], ':')
	if colon < 0 || colon+1 == at {
		return 0, 0, false
	}
	if isURLPlaceholder(string(authority[colon+1 : at])) {
		return 0, 0, false
	}
	return from + colon + 1, from + at, true
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

// urlQuery looks for a parameter that is named like a credential.
func urlQuery(text []byte, from, end int) (start, stop int, ok bool) {
	mark := bytes.IndexByte(text[from:end], '?')
	if mark < 0 {
		return 0, 0, false
	}
	for at := from + mark + 1; at < end; {
		stop = at + paramLength(text[at:end])
		if name, value, ok := bytes.Cut(text[at:stop], []byte("=")); ok && len(value) >= minPattern {
			if isCredentialName(foldName(string(name))) && !isURLPlaceholder(string(value)) {
				return stop - len(value), stop, true
			}
		}
		at = stop + 1
	}
	return 0, 0, false
}

func paramLength(text []byte) int {
	if i := bytes.IndexAny(text, "&;#"); i >= 0 {
		return i
	}
	return len(text)
}
