package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// What is written into another manager's file stands between two comments, by which
// it is found again and taken out, to the byte. The first says what else was done.
const (
	beginMark   = "# >>> git muxi-secrets hooks"
	markNewFile = ", new file"
	markNoEnd   = ", no line end before"
	endBegin    = " >>>"
	endMark     = "# <<< git muxi-secrets hooks <<<"
)

// errMarks says that the comments around what we wrote are not as we wrote them.
var errMarks = errors.New("the comments around what was written there are not as they were")

// insertion is lines for one place of a file.
type insertion struct {
	at     int // the offset of the line that they come before, or the end
	indent string
	lines  []string
}

// insert puts lines of ours into a file, each group between its marks. The
// insertions are sorted by their place. note is what the first mark says.
func insert(content []byte, insertions []insertion, note string) []byte {
	eol := "\n"
	if i := bytes.IndexByte(content, '\n'); i > 0 && content[i-1] == '\r' {
		eol = "\r\n"
	}
	var out bytes.Buffer
	from := 0
	for _, in := range insertions {
		out.Write(content[from:in.at])
		from = in.at
		said := note
		if out.Len() > 0 && out.Bytes()[out.Len()-1] != '\n' {
			out.WriteString(eol)
			said += markNoEnd
		}
		out.WriteString(in.indent + beginMark + said + endBegin + eol)
		for _, line := range in.lines {
			out.WriteString(in.indent + line + eol)
		}
		out.WriteString(in.indent + endMark + eol)
	}
	out.Write(content[from:])
	return out.Bytes()
}

// takeOut is the reverse of insert. found is false where nothing of ours is there;
// made says that the whole file is. Errors: errMarks.
func takeOut(content []byte) (rest []byte, found, made bool, err error) {
	inside, glued := false, "" // the line end that is not the file's own
	for line := range bytes.Lines(content) {
		text := strings.TrimSpace(string(line))
		switch {
		case strings.HasPrefix(text, beginMark):
			if inside {
				return nil, true, false, errMarks
			}
			inside, found = true, true
			made = made || strings.Contains(text, markNewFile)
			if strings.Contains(text, markNoEnd) {
				glued = string(line[len(strings.TrimRight(string(line), "\r\n")):])
			}
		case text == endMark:
			if !inside {
				return nil, true, false, errMarks
			}
			inside = false
		case !inside:
			rest = append(rest, line...)
			glued = "" // something was put behind it since
		}
	}
	if inside {
		return nil, true, false, errMarks
	}
	return bytes.TrimSuffix(rest, []byte(glued)), found, made, nil
}

// Diff shows a change that only puts lines in, as diff -u does. Of what is there it
// has the names right above alone: any other line may hold what is nobody's to see.
func (c *Change) Diff(name string) string {
	before, after := splitLines(c.Before), splitLines(c.After)
	var b strings.Builder
	from := "a/" + name
	if c.Before == nil {
		from = "/dev/null"
	}
	fmt.Fprintf(&b, "--- %s\n+++ b/%s\n", from, name)

	at := 0 // in before
	for i := 0; i < len(after); {
		if at < len(before) && strings.TrimRight(before[at], "\r\n") == strings.TrimRight(after[i], "\r\n") {
			at++
			i++
			continue
		}
		above := 0
		for above < min(at, contextLines) && bareName.MatchString(after[i-above-1]) {
			above++
		}
		end := i
		for end < len(after) && !strings.HasPrefix(strings.TrimSpace(after[end]), endMark) {
			end++
		}
		end = min(end+1, len(after))
		fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@\n", at-above+min(1, above), above, i-above+1, above+end-i)
		for j := i - above; j < end; j++ {
			sign := "+"
			if j < i {
				sign = " "
			}
			b.WriteString(sign + strings.TrimRight(after[j], "\r\n") + "\n")
		}
		i = end
	}
	return b.String()
}

const contextLines = 3

// bareName is a line with nothing but a name.
var bareName = regexp.MustCompile(`^ *[a-z-]+:\s*$`)

func splitLines(content []byte) []string {
	var lines []string
	for line := range bytes.Lines(content) {
		lines = append(lines, string(line))
	}
	return lines
}
