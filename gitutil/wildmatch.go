package gitutil

import "strings"

// pathPattern is one pattern of gitignore(5) or gitattributes(5).
type pathPattern struct {
	base     string   // folder of the file it stands in, "" for the top
	segments []string // between slashes; a single one matches the last name of a path
	anchored bool     // has a slash, so it matches from base on
	dirOnly  bool     // ended in a slash
	fold     bool     // core.ignoreCase
}

func newPathPattern(text, base string, fold bool) pathPattern {
	p := pathPattern{base: base, fold: fold}
	if fold {
		text = asciiLower(text)
	}
	if trimmed, ok := strings.CutSuffix(text, "/"); ok {
		text, p.dirOnly = trimmed, true
	}
	p.anchored = strings.Contains(text, "/")
	p.segments = strings.Split(strings.TrimPrefix(text, "/"), "/")
	return p
}

// match takes a path from the top. All work is at most the product of the two
// lengths, whatever the pattern.
func (p *pathPattern) match(path string, isDir bool) bool {
	if p.dirOnly && !isDir {
		return false
	}
	if p.base != "" {
		rest, ok := strings.CutPrefix(path, p.base+"/")
		if !ok {
			return false
		}
		path = rest
	}
	if p.fold {
		path = asciiLower(path)
	}
	if !p.anchored {
		return matchName(p.segments[0], path[strings.LastIndexByte(path, '/')+1:])
	}
	return matchSegments(p.segments, strings.Split(path, "/"))
}

// matchSegments: a segment "**" stands for any number of names, at the end for
// at least one. Trying again from the last one met is enough, as for "*".
func matchSegments(pattern, names []string) bool {
	i, j, star, mark := 0, 0, -1, 0
	for j < len(names) {
		switch {
		case i < len(pattern) && pattern[i] == "**":
			if i == len(pattern)-1 {
				return true
			}
			star, mark = i, j
			i++
		case i < len(pattern) && matchName(pattern[i], names[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return i == len(pattern)
}

// matchName matches one name: '*', '?', bracket expressions and '\'.
func matchName(pattern, name string) bool {
	i, j, star, mark := 0, 0, -1, 0
	for j < len(name) {
		if i < len(pattern) && pattern[i] == '*' {
			star, mark = i, j
			i++
			continue
		}
		if i < len(pattern) {
			if n, ok := matchByte(pattern[i:], name[j]); ok {
				i += n
				j++
				continue
			}
		}
		if star < 0 {
			return false
		}
		mark++
		i, j = star+1, mark
	}
	return strings.Trim(pattern[i:], "*") == ""
}

// matchByte matches one byte with the first element of pattern, n bytes long.
func matchByte(pattern string, c byte) (n int, ok bool) {
	switch pattern[0] {
	case '?':
		return 1, true
	case '\\':
		if len(pattern) > 1 {
			return 2, pattern[1] == c
		}
		return 1, false // git: a trailing backslash never matches
	case '[':
		return matchBracket(pattern, c)
	}
	return 1, pattern[0] == c
}

func matchBracket(pattern string, c byte) (n int, ok bool) {
	i := 1
	negated := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if negated {
		i++
	}
	matched := false
	for first := true; ; first = false {
		if i >= len(pattern) {
			return 0, false // never closed: matches nothing
		}
		if pattern[i] == ']' && !first {
			return i + 1, matched != negated
		}
		if name, ok := strings.CutPrefix(pattern[i:], "[:"); ok {
			if class, _, ok := strings.Cut(name, ":]"); ok {
				matched = matched || inClass(class, c)
				i += len(class) + 4
				continue
			}
		}
		lo, width := bracketByte(pattern[i:])
		i += width
		hi := lo
		if strings.HasPrefix(pattern[i:], "-") && len(pattern) > i+1 && pattern[i+1] != ']' {
			hi, width = bracketByte(pattern[i+1:])
			i += 1 + width
		}
		matched = matched || lo <= c && c <= hi
	}
}

func bracketByte(pattern string) (c byte, width int) {
	if pattern[0] == '\\' && len(pattern) > 1 {
		return pattern[1], 2
	}
	return pattern[0], 1
}

func inClass(class string, c byte) bool {
	lower, upper, digit := 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9'
	graph := c > ' ' && c < 0x7f
	switch class {
	case "alnum":
		return lower || upper || digit
	case "alpha":
		return lower || upper
	case "blank":
		return c == ' ' || c == '\t'
	case "cntrl":
		return c < ' ' || c == 0x7f
	case "digit":
		return digit
	case "graph":
		return graph
	case "lower":
		return lower
	case "print":
		return graph || c == ' '
	case "punct":
		return graph && !lower && !upper && !digit
	case "space":
		return c == ' ' || '\t' <= c && c <= '\r'
	case "upper":
		return upper
	case "xdigit":
		return digit || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
	}
	return false
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
