package formation

import "strings"

// A value of several lines has no place in a template. Where somebody pasted one,
// its lines stay together: half of a key that moved is half of a key that leaks.

// blockEnd is the last line of the value that lines[from] begins: from itself where
// it is of one line, or where nothing below closes what it opens.
func blockEnd(lines []string, from int, value string) int {
	switch {
	case value == "":
		return from
	case isQuote(value[0]):
		if strings.Contains(value[1:], value[:1]) {
			return from
		}
		return closedAt(lines, from, func(line string) (closed, over bool) {
			at := strings.Index(line, value[:1])
			rest := ""
			if at >= 0 {
				rest = strings.TrimSpace(line[at+1:])
			}
			return at >= 0 && (rest == "" || rest[0] == '#'), at >= 0
		})
	case value[0] == '{' || value[0] == '[':
		depth := openBrackets(value)
		if depth <= 0 {
			return from
		}
		return closedAt(lines, from, func(line string) (closed, over bool) {
			depth += openBrackets(line)
			return depth <= 0, depth <= 0
		})
	case strings.Contains(value, "-----BEGIN ") && !strings.Contains(value, "-----END "):
		return closedAt(lines, from, func(line string) (closed, over bool) {
			end := strings.Contains(line, "-----END ")
			return end, end
		})
	}
	return from
}

// closedAt is the first line below from that closes; from where one says that it is
// over before that, or none does.
func closedAt(lines []string, from int, look func(line string) (closed, over bool)) int {
	for i := from + 1; i < len(lines); i++ {
		closed, over := look(lines[i])
		if closed {
			return i
		}
		if over {
			break
		}
	}
	return from
}

// openBrackets is how many more brackets a line of JSON opens than it closes.
func openBrackets(line string) (depth int) {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return depth
}

// isStray reports whether a line of a template is neither a name, a comment nor
// blank: perhaps a part of a value, or a key that lost its name.
func isStray(line templateLine) bool {
	return line.name == "" && !isBlank(line) && !isComment(line) && !isMergeMarker(line.text)
}

// isWhole reports whether line i has all of its value: no text follows that may be
// the rest of it.
func (t *Template) isWhole(i int) bool {
	return !strings.Contains(t.lines[i].text, "\n") && (i+1 == len(t.lines) || !isStray(t.lines[i+1]))
}

// lineAt is the index of the line that stands in a line of the file, 1-based; -1
// where none begins there.
func (t *Template) lineAt(number int) int {
	for i, line := range t.lines {
		if line.at == number {
			return i
		}
	}
	return -1
}
