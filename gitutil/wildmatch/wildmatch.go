// Package wildmatch matches paths against the patterns of gitignore(5) and
// gitattributes(5), to the letter: what `git check-ignore` says of a pattern and
// a path is what it says. Where the two pages are silent, that is git's own
// matcher, of which the corners are:
//
//   - Only a ** that fills the space between slashes crosses them. Before 2.52
//     git's own did so behind a pattern's plain beginning, too ("foo**/bar" matched
//     "foo/x/bar"): what is read here as not ignored is looked at once too often.
//   - A bracket that is never closed, a class that there is none of, and a
//     backslash at the end match nothing.
//   - Where case is ignored, a letter in a bracket or behind a backslash is still
//     taken as it is.
//
// Paths are relative to the top of the work tree, separated by '/', in bytes.
package wildmatch

import "strings"

// Pattern is one pattern.
type Pattern struct {
	// Negated says that it began with "!": what it matches is taken back in.
	Negated bool

	base     string // folder of the file it stands in, "" for the top
	anchored bool   // has a slash, so it matches from base on, and not the last name alone
	dirOnly  bool   // ended in a slash
	fold     bool   // core.ignoreCase
	never    bool   // can match nothing
	plain    string // what every match begins with
	rest     []token
}

// Line reads one line of a .gitignore that stands in the folder base ("" for the
// top). fold ignores case. ok is false where the line is blank, a comment, or
// nothing but marks, and so no pattern.
func Line(line, base string, fold bool) (p Pattern, ok bool) {
	line = trimSpaces(strings.TrimSuffix(line, "\r"))
	if strings.HasPrefix(line, "#") {
		return Pattern{}, false
	}
	line, negated := strings.CutPrefix(line, "!")
	if strings.Trim(line, "/") == "" {
		return Pattern{}, false
	}
	p = New(line, base, fold)
	p.Negated = negated
	return p, true
}

// trimSpaces takes off trailing spaces, but not one behind a backslash.
func trimSpaces(line string) string {
	end := 0
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' {
			i++
			end = min(i+1, len(line))
		} else if line[i] != ' ' {
			end = i + 1
		}
	}
	return line[:end]
}

// New makes a pattern of its bare text, as gitattributes(5) has it: '#', '!' and
// spaces mean themselves.
func New(text, base string, fold bool) Pattern {
	p := Pattern{base: base, fold: fold}
	text, p.dirOnly = strings.CutSuffix(text, "/")
	p.anchored = strings.Contains(text, "/")
	text = strings.TrimPrefix(text, "/")

	plain := strings.IndexAny(text, `*?[\`)
	if plain < 0 {
		plain = len(text)
	}
	p.plain = text[:plain]
	if fold {
		p.plain = lower(p.plain)
	}
	var ok bool
	p.rest, ok = compile(text, plain, p.anchored, fold)
	p.never = !ok
	return p
}

// Possible tells whether there is any path that the pattern matches.
func (p *Pattern) Possible() bool { return !p.never }

// Match tells whether the pattern matches a path itself; whether it matches a
// folder above is asked of that folder (see Excluded). All work is at most the
// product of the two lengths, whatever the pattern.
func (p *Pattern) Match(path string, isDir bool) bool {
	if p.never || p.dirOnly && !isDir {
		return false
	}
	if p.base != "" {
		below, ok := strings.CutPrefix(path, p.base+"/")
		if !ok {
			return false
		}
		path = below
	}
	if !p.anchored {
		path = path[strings.LastIndexByte(path, '/')+1:]
	}
	if p.fold {
		path = lower(path)
	}
	path, ok := strings.CutPrefix(path, p.plain)
	return ok && match(p.rest, path)
}

// Excluded judges a path as gitignore(5) does, from the verdicts on the path and
// on each folder above it: nothing comes back from a folder that is excluded, so
// folders are judged first.
func Excluded(path string, isDir bool, verdict func(path string, isDir bool) bool) bool {
	for i := range len(path) {
		if path[i] == '/' && verdict(path[:i], true) {
			return true
		}
	}
	return verdict(path, isDir)
}

// token is one element of a pattern: a byte, any of a set of bytes, or a number
// of them.
type token struct {
	kind kind
	c    byte
	set  *set
}

type kind byte

const (
	one     kind = iota // the byte c
	oneOf               // a byte of set
	star                // any number of bytes within a name
	deep                // any number of bytes
	folders             // nothing, or any number of bytes up to a slash
)

// set is a set of bytes.
type set [256]bool

// compile reads a pattern's text behind its plain beginning of that many bytes. ok
// is false where nothing can match. Without anchored the text is for a single name.
func compile(text string, plain int, anchored, fold bool) (tokens []token, ok bool) {
	for i := plain; i < len(text); {
		switch c := text[i]; c {
		case '*':
			start := i
			for i < len(text) && text[i] == '*' {
				i++
			}
			t := token{kind: star}
			whole := start == 0 || text[start-1] == '/'
			if anchored && whole && i-start > 1 {
				switch rest := text[i:]; {
				case strings.HasPrefix(rest, "/"):
					t.kind = folders
					i++
				case rest == "", strings.HasPrefix(rest, `\/`):
					t.kind = deep
				}
			}
			tokens = append(tokens, t)
		case '?':
			tokens = append(tokens, token{kind: oneOf, set: notSlash()})
			i++
		case '[':
			set, n := bracket(text[i:], fold)
			if n == 0 {
				return nil, false
			}
			tokens = append(tokens, token{kind: oneOf, set: set})
			i += n
		case '\\':
			if i+1 == len(text) {
				return nil, false
			}
			tokens = append(tokens, token{c: text[i+1]})
			i += 2
		default:
			if fold {
				c = lowerByte(c)
			}
			tokens = append(tokens, token{c: c})
			i++
		}
	}
	return tokens, true
}

// match tries again from the last * met, and where that cannot go further from
// the last ** met: to begin as early as can be costs neither of them a match.
func match(tokens []token, name string) bool {
	i, j := 0, 0
	lastStar, starAt := -1, 0
	lastDeep, deepAt := -1, 0
	for {
		if i == len(tokens) && j == len(name) {
			return true
		}
		if i < len(tokens) {
			switch t := &tokens[i]; t.kind {
			case star:
				lastStar, starAt = i, j
				i++
				continue
			case deep, folders:
				lastDeep, deepAt, lastStar = i, j, -1
				i++
				continue
			default:
				if j < len(name) && (t.kind == one && t.c == name[j] || t.kind == oneOf && t.set[name[j]]) {
					i++
					j++
					continue
				}
			}
		}

		switch {
		case lastStar >= 0 && starAt < len(name) && name[starAt] != '/':
			starAt++
			i, j = lastStar+1, starAt
		case lastDeep >= 0:
			step := 1
			if tokens[lastDeep].kind == folders {
				step = strings.IndexByte(name[deepAt:], '/') + 1
			}
			if step == 0 || deepAt+step > len(name) {
				return false
			}
			deepAt += step
			i, j, lastStar = lastDeep+1, deepAt, -1
		default:
			return false
		}
	}
}

func notSlash() *set {
	s := &set{}
	for c := range s {
		s[c] = c != '/'
	}
	return s
}

// bracket reads a bracket expression at the start of text: the bytes that it
// matches, and its length, 0 where it is none. With fold the bytes that are asked
// for are in lower case, those in the expression are as they are written.
func bracket(text string, fold bool) (*set, int) {
	s := &set{}
	i := 1
	negated := strings.HasPrefix(text[i:], "!") || strings.HasPrefix(text[i:], "^")
	if negated {
		i++
	}

	previous := -1 // what a '-' may make a range from
	for first := true; ; first = false {
		if i >= len(text) {
			return nil, 0
		}
		c := text[i]
		switch {
		case c == ']' && !first:
			for c := range s {
				s[c] = s[c] != negated && c != '/'
			}
			return s, i + 1
		case c == '-' && previous >= 0 && i+1 < len(text) && text[i+1] != ']':
			high, n := literal(text[i+1:])
			if n == 0 {
				return nil, 0
			}
			s.addRange(byte(previous), high, fold)
			previous = -1
			i += 1 + n
		case strings.HasPrefix(text[i:], "[:") && !plainBracket(text[i:]):
			name, _, closed := strings.Cut(text[i+2:], ":]")
			if !closed || !s.addClass(name, fold) {
				return nil, 0
			}
			previous = -1
			i += len(name) + 4
		default:
			low, n := literal(text[i:])
			if n == 0 {
				return nil, 0
			}
			s[low] = true
			previous = int(low)
			i += n
		}
	}
}

// plainBracket tells whether the next ']' is none that ends a class ("[:x:]"): the
// '[' before it means itself then.
func plainBracket(text string) bool {
	end := strings.IndexByte(text, ']')
	return end >= 0 && (end == len("[:") || text[end-1] != ':')
}

// literal reads one byte, which may stand behind a backslash.
func literal(text string) (c byte, n int) {
	if text[0] != '\\' {
		return text[0], 1
	}
	if len(text) == 1 {
		return 0, 0
	}
	return text[1], 2
}

func (s *set) addRange(low, high byte, fold bool) {
	for c := range s {
		b := byte(c)
		if fold && isLower(b) {
			upper := b - 'a' + 'A'
			s[c] = s[c] || low <= upper && upper <= high
		}
		s[c] = s[c] || low <= b && b <= high
	}
}

// addClass adds a class of ASCII characters; false: there is none of that name.
func (s *set) addClass(name string, fold bool) bool {
	in, ok := map[string]func(c byte) bool{
		"alnum":  func(c byte) bool { return isLower(c) || isUpper(c) || isDigit(c) },
		"alpha":  func(c byte) bool { return isLower(c) || isUpper(c) },
		"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
		"cntrl":  func(c byte) bool { return c < ' ' || c == 0x7f },
		"digit":  isDigit,
		"graph":  isGraph,
		"lower":  isLower,
		"print":  func(c byte) bool { return isGraph(c) || c == ' ' },
		"punct":  func(c byte) bool { return isGraph(c) && !isLower(c) && !isUpper(c) && !isDigit(c) },
		"space":  func(c byte) bool { return strings.IndexByte(" \t\r\n", c) >= 0 },
		"upper":  func(c byte) bool { return isUpper(c) || fold && isLower(c) },
		"xdigit": func(c byte) bool { return isDigit(c) || strings.IndexByte("abcdefABCDEF", c) >= 0 },
	}[name]
	if !ok {
		return false
	}
	for c := range s {
		s[c] = s[c] || in(byte(c))
	}
	return true
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isGraph(c byte) bool { return ' ' < c && c < 0x7f }

func lowerByte(c byte) byte {
	if isUpper(c) {
		return c - 'A' + 'a'
	}
	return c
}

// lower is in ASCII alone, as git's own.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lowerByte(c)
	}
	return string(b)
}
