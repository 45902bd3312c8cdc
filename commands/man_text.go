package commands

import (
	"strings"
)

// manWidth is how wide a page is where there is no man(1) to set it.
const manWidth = 80

// unbroken stands for a space at which no line ends.
const unbroken = "\x1f"

// plainPage sets a man page as plain text. It knows the requests that our own
// pages use, and leaves out others.
func plainPage(roff []byte) string {
	p := &typesetter{indent: 7}
	for line := range strings.Lines(string(roff)) {
		line = strings.TrimSuffix(line, "\n")
		request, rest, _ := strings.Cut(line, " ")
		switch {
		case !strings.HasPrefix(line, "."):
			p.text(line)
		case request == ".SH":
			p.flush()
			p.begin(0)
			p.write(0, unroff(rest))
			p.head = true
			p.begin(7)
		case request == ".SS":
			p.flush()
			p.begin(3)
			p.write(3, unroff(rest))
			p.head = true
			p.begin(7)
		case request == ".PP":
			p.flush()
			p.begin(7)
		case request == ".TP":
			p.flush()
			p.begin(7)
			p.term = true
		case request == ".IP":
			p.flush()
			p.begin(11)
			p.mark = unroff(strings.Trim(strings.TrimRight(rest, "0123456789"), `" `))
		case request == ".EX":
			p.flush()
			p.begin(p.indent)
			p.exact = true
		case request == ".EE":
			p.exact = false
			p.gap = true
		}
	}

	p.flush()
	return p.out.String()
}

// typesetter fills lines.
type typesetter struct {
	out    strings.Builder
	words  []string
	indent int
	gap    bool   // a blank line comes before what is next
	head   bool   // a heading was last
	exact  bool   // between .EX and .EE
	term   bool   // the next line is a term of a list
	mark   string // in front of the next paragraph
}

// begin starts something new, indented.
func (p *typesetter) begin(indent int) {
	p.indent, p.gap = indent, p.out.Len() > 0 && !p.head
}

func (p *typesetter) write(indent int, line string) {
	if p.gap {
		p.out.WriteByte('\n')
	}
	p.gap, p.head = false, false
	line = strings.ReplaceAll(line, unbroken, " ")
	p.out.WriteString(strings.TrimRight(strings.Repeat(" ", indent)+line, " "))
	p.out.WriteByte('\n')
}

func (p *typesetter) text(line string) {
	switch {
	case p.exact:
		p.write(p.indent+4, unroff(line))
	case p.term:
		p.term = false
		p.write(p.indent, unroff(line))
		p.indent += 7
	default:
		p.words = append(p.words, strings.Fields(unroff(line))...)
	}
}

// flush writes the paragraph that has been collected.
func (p *typesetter) flush() {
	if len(p.words) == 0 {
		return
	}
	line, lead := "", p.mark
	for _, word := range p.words {
		if line != "" && p.indent+textWidth(line)+1+textWidth(word) > manWidth {
			p.paragraphLine(line, &lead)
			line = ""
		}

		if line != "" {
			line += " "
		}
		line += word
	}

	p.paragraphLine(line, &lead)
	p.words, p.mark = nil, ""
}

// paragraphLine writes one line, behind the mark where it is the first.
func (p *typesetter) paragraphLine(line string, mark *string) {
	if *mark == "" {
		p.write(p.indent, line)
		return
	}
	room := strings.Repeat(" ", max(1, 4-textWidth(*mark)))
	p.write(p.indent-4, *mark+room+line)
	*mark = ""
}

// unroff takes the escapes of roff out of a line.
func unroff(line string) string {
	return strings.NewReplacer(
		`\fB`, "", `\fI`, "", `\fP`, "", `\fR`, "", `\&`, "",
		`\-`, "-", `\(aq`, "'", `\(ga`, "`", `\(ha`, "^", `\(ti`, "~", `\(bu`, "*",
		`\[la]`, "<", `\[ra]`, ">", `\\`, `\`, `\~`, unbroken,
	).Replace(line)
}
