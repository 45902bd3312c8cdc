package commands

import (
	"io"
	"strings"
)

// style is how a word stands out on a terminal: the parameter of SGR (ECMA-48,
// 8.3.117). Six of them need no library.
type style string

const (
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
	strong style = "1"
	dim    style = "2"
)

// paint makes text stand out where w is a terminal on which colour is wanted;
// elsewhere it is text as it is. It comes after padding and sanitize: a style
// has no width, and its escape must stay one.
func paint(w io.Writer, as style, text string) string {
	if to, ok := w.(*stickyWriter); !ok || !to.colours || text == "" || as == "" {
		return text
	}
	return "\x1b[" + string(as) + "m" + text + "\x1b[m"
}

// bare is the stream itself, for another program: a terminal stays one for it.
func bare(w io.Writer) io.Writer {
	if to, ok := w.(*stickyWriter); ok {
		return to.Writer
	}
	return w
}

// watch puts writers of ours before the two streams. The command line is looked at
// before it is parsed, since what is wrong with it is said in colour, too.
func (e *Env) watch(args []string) (out *stickyWriter) {
	colours := !e.plainTerminal() && e.Getenv("NO_COLOR") == "" && !saysNoColor(args) // no-color.org
	live := &liveLine{}
	if e.ErrIsTerminal && !e.plainTerminal() {
		live.to = e.Err
	}
	width := func(terminal bool) int {
		if terminal && e.Columns != nil {
			return e.Columns() // 0 where that is not known: nothing is folded then
		}
		return 0
	}
	out = &stickyWriter{Writer: e.Out, colours: colours && e.OutIsTerminal, live: live, width: width(e.OutIsTerminal)}
	e.Out = out
	e.Err = &stickyWriter{Writer: e.Err, colours: colours && e.ErrIsTerminal, live: live, width: width(e.ErrIsTerminal)}
	return out
}

// plainTerminal reports whether the terminal shows escape sequences instead of
// doing what they say.
func (e *Env) plainTerminal() bool { return e.PlainTerminal || e.Getenv("TERM") == "dumb" }

func saysNoColor(args []string) bool {
	for _, arg := range args {
		if arg == "--" {
			return false
		}
		if arg == "--no-color" || arg == "-no-color" || arg == "--no-color=true" {
			return true
		}
	}
	return false
}

// severityStyle is for "error", "warning" and what else a line begins with.
func severityStyle(word string) style {
	switch strings.TrimRight(word, ":") {
	case "error", "fail":
		return red
	case "warning", "warn":
		return yellow
	case "hint":
		return cyan
	case "ok":
		return green
	}
	return ""
}
