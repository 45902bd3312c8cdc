package formation

import (
	"strings"
	"unicode/utf8"
)

// term is one secret named in a ${{ }} expression.
type term struct {
	start, end int  // byte offsets of the name as spelled, in the text searched
	user       bool // user.credentials.NAME instead of secrets.NAME
	scoped     bool // the word before the name is spelled as the runtime wants it
	exact      bool // and the name as its live pattern wants it
	loose      bool // with a - or a . in the name, which some places alone understand
}

// expression is one ${{ }} that names secrets, well-formed or nearly so.
type expression struct {
	start, end int // byte offsets: from the $ to behind the }}
	terms      []term
	fallback   string // what the last || says, unquoted
	optional   bool   // there is a ||
	malformed  string // why nobody would replace it; terms is then empty
}

// maxExpression bounds how far the end of an expression is searched for.
const maxExpression = 4096

// expressions returns every ${{ }} in text that names secrets or was meant to.
// The runtime's pattern is `\$\{\{\s*secrets\.([A-Z0-9_]+)\s*\}\}` (live, in
// YAML strings); `${{ user.credentials.x }}` and the `||` of MUXI's Docker
// guide are understood beside it. Other scopes (data, context, env, ...) are
// nobody's secrets and are passed over.
func expressions(text string) []expression {
	found := looseExpressions(text)
	for i := range found {
		found[i] = found[i].strictly()
	}
	return found
}

// strictly is the expression where a name with a - or a . in it is none.
func (e expression) strictly() expression {
	for _, t := range e.terms {
		if t.loose {
			return expression{start: e.start, end: e.end, malformed: oddName}
		}
	}
	return e
}

const oddName = "its name has a character other than A-Z, 0-9 and _"

// looseExpressions are those of the pattern with `[a-zA-Z0-9_.-]` in its name as
// well: which counts depends on where the text stands. See [zone].
func looseExpressions(text string) []expression {
	var found []expression
	for at := 0; ; {
		next := strings.Index(text[at:], "${{")
		if next < 0 {
			return found
		}
		start := at + next
		e, ok := parseExpression(text, start)
		if !ok {
			at = start + 3
			continue
		}

		found = append(found, e)
		at = max(e.end, start+3)
	}
}

func parseExpression(text string, start int) (expression, bool) {
	e := expression{start: start}
	limit := text
	if len(limit) > start+maxExpression {
		limit = limit[:start+maxExpression]
	}

	at := skipSpace(limit, start+3)
	for {
		t, end, malformed, ok := parseTerm(limit, at)
		if !ok {
			return e, false
		}
		if malformed != "" {
			stop := closing(limit, at)
			if stop < 0 {
				return e, false
			}
			return expression{start: start, end: stop + 2, malformed: malformed}, true
		}

		e.terms = append(e.terms, t)
		at = skipSpace(limit, end)
		switch {
		case strings.HasPrefix(limit[at:], "}}"):
			e.end = at + 2
			return e, true
		case strings.HasPrefix(limit[at:], "||"):
			e.optional = true
			at = skipSpace(limit, at+2)
			if scope, _, _ := parseScope(limit, at); scope == "secrets" || scope == "user.credentials" {
				continue
			}
			fallback, end, ok := parseFallback(limit, at)
			if !ok {
				return e, false
			}
			e.fallback, e.end = fallback, end
			return e, true
		default:
			stop := closing(limit, at)
			if stop < 0 {
				return e, false
			}
			return expression{start: start, end: stop + 2, malformed: "it is not the name of a secret alone"}, true
		}
	}
}

// parseScope reads the word before a secret's name, folded to lower case.
func parseScope(text string, at int) (scope string, end int, exact bool) {
	for _, known := range [...]string{"secrets", "secret", "user.credentials", "user.credential"} {
		if len(text) < at+len(known) || !strings.EqualFold(text[at:at+len(known)], known) {
			continue
		}
		end = at + len(known)
		if end < len(text) && (isNameByte(text[end]) || text[end] == '-') {
			continue
		}
		return known, end, text[at:end] == known
	}
	return "", at, false
}

func parseTerm(text string, at int) (t term, end int, malformed string, ok bool) {
	scope, end, exact := parseScope(text, at)
	switch scope {
	case "":
		return t, at, "", false
	case "secret":
		return t, end, "it says 'secret.' where the runtime knows 'secrets.'", true
	case "user.credential":
		return t, end, "it says 'user.credential.' where the runtime knows 'user.credentials.'", true
	}

	if end >= len(text) || text[end] != '.' {
		return t, end, "no '.NAME' follows '" + scope + "'", true
	}

	t = term{start: end + 1, end: end + 1, user: scope == "user.credentials", scoped: exact, exact: exact}
	for t.end < len(text) && (isNameByte(text[t.end]) || text[t.end] == '-' || text[t.end] == '.' && !t.user) {
		c := text[t.end]
		if c == '-' || c == '.' {
			t.loose = !t.user
		}
		if !t.user && (t.loose || c >= 'a' && c <= 'z') {
			t.exact = false
		}
		t.end++
	}

	if t.end == t.start {
		return t, end, "no name follows '" + scope + ".'", true
	}
	if t.end < len(text) && !isNameEnd(text[t.end:]) {
		return t, end, oddName, true
	}
	return t, t.end, "", true
}

// isNameEnd reports whether a name may end before rest.
func isNameEnd(rest string) bool {
	return strings.HasPrefix(rest, "}}") || strings.HasPrefix(rest, "||") || skipSpace(rest, 0) > 0
}

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// parseFallback reads what stands behind ||, up to and with the }}. Quotes
// around it are taken off; a quote doubled inside them stands for one.
func parseFallback(text string, at int) (fallback string, end int, ok bool) {
	if at < len(text) && (text[at] == '\'' || text[at] == '"') {
		quote := text[at]
		var b strings.Builder
		for i := at + 1; i < len(text); i++ {
			if strings.HasPrefix(text[i:], "${{") {
				break
			}
			if text[i] != quote {
				b.WriteByte(text[i])
				continue
			}

			if i+1 < len(text) && text[i+1] == quote {
				b.WriteByte(quote)
				i++
				continue
			}

			if close := skipSpace(text, i+1); strings.HasPrefix(text[close:], "}}") {
				return b.String(), close + 2, true
			}
			break
		}
	}

	stop := closing(text, at)
	if stop < 0 {
		return "", 0, false
	}
	return strings.TrimFunc(text[at:stop], isPythonSpace), stop + 2, true
}

// closing returns the offset of the next }}, or -1 where there is none or where
// another ${{ opens first: an expression that was left open must not hide the
// reference behind it.
func closing(text string, at int) int {
	stop := strings.Index(text[at:], "}}")
	if stop < 0 || strings.Contains(text[at:at+stop], "${{") {
		return -1
	}
	return at + stop
}

func skipSpace(text string, at int) int {
	for at < len(text) {
		r, size := utf8.DecodeRuneInString(text[at:])
		if !isPythonSpace(r) {
			break
		}
		at += size
	}
	return at
}

// isPythonSpace is \s of a Python str pattern, which the runtime uses.
func isPythonSpace(r rune) bool {
	switch {
	case r >= 0x09 && r <= 0x0d, r >= 0x1c && r <= 0x20, r == 0x85, r == 0xa0, r == 0x1680,
		r >= 0x2000 && r <= 0x200a, r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f, r == 0x3000:
		return true
	}
	return false
}
