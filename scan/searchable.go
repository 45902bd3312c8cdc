package scan

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Searchable reports whether a stored value is searched for. People keep
// settings beside their keys in a vault, and a search for `localhost` would
// find it everywhere. A value is left out when, without the white space around
// it, it is
//
//   - shorter than 8 characters, or made of fewer than 5 different ones;
//   - a placeholder;
//   - shorter than 15 characters, unless it mixes three of: small letters,
//     capitals, digits, other signs (a capital at the start of a word counts as
//     small, and space - _ . : / as no sign), or letters and digits alternate
//     in it at five places or more;
//   - digits with . - : or spaces and nothing else, shorter than 20 characters;
//   - one word of letters, shorter than 20 characters;
//   - a host name, an e-mail address, a file path in small letters, or a URL
//     that holds no password, no query and no part which would be searched for.
//
// Everything else is searched for: passwords such as hunter2-hunter2, keys,
// pass phrases.
func Searchable(value []byte) bool {
	v := strings.TrimSpace(string(value))
	if len(v) < minPattern || distinct(v) < 5 || formation.IsPlaceholder(v) {
		return false
	}
	c := compose(v)
	switch {
	case len(v) < 15 && c.kinds < 3 && c.alternations < 5:
		return false
	case c.onlyNumber && len(v) < 20:
		return false
	case c.onlyLetters && len(v) < 20:
		return false
	}
	return !isAddress(v)
}

// distinct counts the different bytes of s.
func distinct(s string) int {
	var seen [256]bool
	n := 0
	for i := 0; i < len(s); i++ {
		if !seen[s[i]] {
			seen[s[i]] = true
			n++
		}
	}
	return n
}

// composition is what a value is made of.
type composition struct {
	kinds        int // of small letters, capitals, digits, other signs
	alternations int // places where a letter and a digit touch
	onlyLetters  bool
	onlyNumber   bool // digits and the signs people put into numbers
}

func compose(v string) composition {
	var lower, upper, digit, other, letters int
	c := composition{}
	number := true
	for i := 0; i < len(v); i++ {
		b := v[i]
		first := i == 0 || !is(v[i-1], isAlnum)
		switch {
		case is(b, isLower), is(b, isUpper) && first:
			lower, letters = 1, letters+1
		case is(b, isUpper):
			upper, letters = 1, letters+1
		case is(b, isDigit):
			digit = 1
		case strings.IndexByte(" -_.:/", b) < 0:
			other = 1
		}

		number = number && (is(b, isDigit) || strings.IndexByte(" -.:+", b) >= 0)
		if i > 0 && (is(b, isLetter) && is(v[i-1], isDigit) || is(b, isDigit) && is(v[i-1], isLetter)) {
			c.alternations++
		}
	}

	c.kinds = lower + upper + digit + other
	c.onlyLetters = letters == len(v)
	c.onlyNumber = number
	return c
}

// isAddress reports whether v says where something is, and no more.
func isAddress(v string) bool {
	if strings.ContainsAny(v, " \t\r\n") {
		return false
	}
	if scheme, rest, ok := strings.Cut(v, "://"); ok && span([]byte(scheme), 0, isToken) > 0 {
		return isPlainURL(v, rest)
	}
	if local, host, ok := strings.Cut(v, "@"); ok {
		return isHost(host) && len(local) <= 32 && !strings.ContainsAny(local, ":/")
	}
	host, _, _ := strings.Cut(v, ":")
	return isHost(host) || isPath(v)
}

// isPlainURL reports whether a URL could stand in any document.
func isPlainURL(v, rest string) bool {
	if u, err := url.Parse(v); err != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	authority, path, _ := strings.Cut(rest, "/")
	if user, _, ok := strings.Cut(authority, "@"); ok {
		if _, password, ok := strings.Cut(user, ":"); !ok || !isURLPlaceholder(password) {
			return false
		}
	}

	for _, part := range strings.Split(path, "/") {
		if Searchable([]byte(part)) {
			return false
		}
	}
	return true
}

// isHost reports whether v is a host name of at least two labels.
func isHost(v string) bool {
	labels := strings.Split(v, ".")
	if len(labels) < 2 {
		return false
	}
	for _, label := range labels {
		if label == "" || len(label) > 40 {
			return false
		}
		for i := 0; i < len(label); i++ {
			if !is(label[i], isLower|isDigit) && label[i] != '-' {
				return false
			}
		}
	}

	last := labels[len(labels)-1]
	return len(last) >= 2 && len(last) <= 10 && is(last[0], isLower)
}

// isPath reports whether v is a file's path. Capitals rule it out: base64 may
// begin with a slash too.
func isPath(v string) bool {
	if !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "./") && !strings.HasPrefix(v, "../") && !strings.HasPrefix(v, "~/") {
		return false
	}
	return !bytes.ContainsFunc([]byte(v), func(r rune) bool {
		return r >= 'A' && r <= 'Z' || r == '+' || r == '='
	})
}
