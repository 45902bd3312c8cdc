package commands

import (
	"fmt"
	"slices"
	"strings"
)

// tableWidth is what a table fits in, in columns, where no terminal says how
// wide it is.
const tableWidth = 80

// printTable shows all formations as one picture, environments against names:
// what each of them has and lacks.
func (s *session) printTable(all []*standing) {
	titles := shortTitles(all)
	names := []string{}
	for _, st := range all {
		names = append(names, st.Secrets...)
		names = append(names, st.References...)
	}

	slices.Sort(names)
	names = slices.Compact(names)
	rows := [][]string{append([]string{"NAME"}, titles...)}
	for _, name := range names {
		row := []string{name}
		for _, st := range all {
			row = append(row, st.cell(name))
		}

		rows = append(rows, row)
	}

	for _, line := range []struct {
		title string
		of    func(*standing) string
	}{
		{"(key)", func(st *standing) string {
			if st.Fresh {
				return "none yet"
			}
			return st.Key
		}},
		{"(template)", func(st *standing) string { return st.Template }},
		{"(shared with)", func(st *standing) string { return fmt.Sprint(len(st.Recipients)) }},
	} {
		row := []string{line.title}
		for _, st := range all {
			row = append(row, line.of(st))
		}

		rows = append(rows, row)
	}

	width := tableWidth
	if s.OutIsTerminal {
		width = s.columns()
		fitNames(rows, width)
	}

	for i, block := range columnBlocks(rows, width) {
		if i > 0 {
			fmt.Fprintln(s.Out)
		}
		s.printColumns(block)
	}

	for _, st := range all {
		for _, problem := range st.Problems {
			fmt.Fprintf(s.Out, "%s: %s\n", paint(s.Out, red, sanitize(st.Path)), sanitize(problem))
		}
	}

	fmt.Fprintf(s.Out, "hooks %s, drivers %s\n", all[0].Hooks, all[0].Drivers)
}

// cell says in a word how a secret stands in one formation.
func (st *standing) cell(name string) string {
	stored, referred := slices.Contains(st.Secrets, name), slices.Contains(st.References, name)
	switch {
	case stored && slices.Contains(st.Exposed, name):
		return "exposed"
	case stored && !referred:
		return "unused"
	case stored:
		return "yes"
	case !referred:
		return "-"
	case st.Opened == nil:
		return "?"
	case slices.Contains(st.Missing, name):
		return "missing"
	}
	return "optional"
}

// shortTitles are the formations' paths without what all of them begin with.
func shortTitles(all []*standing) []string {
	var titles []string
	for _, st := range all {
		titles = append(titles, st.Path)
	}
	for len(titles) > 1 {
		head, _, ok := strings.Cut(titles[0], "/")
		for _, title := range titles {
			ok = ok && strings.HasPrefix(title, head+"/") && len(title) > len(head)+1
		}
		if !ok || head == "." || head == ".." {
			break
		}
		for i := range titles {
			titles[i] = titles[i][len(head)+1:]
		}
	}
	return titles
}

// fitNames cuts the long names of secrets and of formations where a table is wider
// than the terminal. Only there: what reads a pipe wants the whole name.
func fitNames(rows [][]string, width int) {
	for i := range rows {
		for j := range rows[i] {
			rows[i][j] = sanitize(rows[i][j])
		}
	}

	all := columnWidth(rows, 0)
	for column := 1; column < len(rows[0]); column++ {
		all += 2 + columnWidth(rows, column)
	}
	if all <= width {
		return
	}

	// The other half is for what is said of them.
	for i := range rows {
		rows[i][0] = cut(rows[i][0], max(width/2, 1))
	}
	room := max(width-2-columnWidth(rows, 0), 1)
	for column := 1; column < len(rows[0]); column++ {
		rows[0][column] = cut(rows[0][column], room)
	}
}

// columnBlocks cuts a table that is too wide into several, each with the first
// column.
func columnBlocks(rows [][]string, tableWidth int) [][][]string {
	var blocks [][][]string
	first := columnWidth(rows, 0)
	for at := 1; at < len(rows[0]); {
		end, width := at, first
		for end < len(rows[0]) {
			width += 2 + columnWidth(rows, end)
			if width > tableWidth && end > at {
				break
			}
			end++
		}

		var block [][]string
		for _, row := range rows {
			block = append(block, append([]string{row[0]}, row[at:end]...))
		}
		blocks = append(blocks, block)
		at = end
	}
	return blocks
}

func columnWidth(rows [][]string, column int) int {
	width := 0
	for _, row := range rows {
		width = max(width, cellWidth(row[column]))
	}
	return width
}

func cellWidth(text string) int { return textWidth(sanitize(text)) }

// printColumns prints a table whose first row and column are titles.
func (s *session) printColumns(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for column := range widths {
		widths[column] = columnWidth(rows, column)
	}
	for i, row := range rows {
		var line strings.Builder
		blanks := 0
		for column, text := range row {
			as := style("")
			switch {
			case i == 0:
				as = strong
			case column > 0:
				as = cellStyle(text)
			}
			if text = sanitize(text); text != "" {
				line.WriteString(strings.Repeat(" ", blanks) + paint(s.Out, as, text))
				blanks = 0
			}

			blanks += widths[column] - cellWidth(text) + 2
		}

		fmt.Fprintln(s.Out, line.String())
	}
}

// cellStyle has what is wrong stand out, and what does not matter stand back.
func cellStyle(text string) style {
	switch text {
	case "missing", "wrong", "malformed":
		return red
	case "exposed", "unused", "stale", "?":
		return yellow
	case "yes", "ok", "current":
		return green
	case "-":
		return dim
	}
	return ""
}
