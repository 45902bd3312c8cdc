package tty

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"unicode"
)

// An answer is what one editor made of its share of the input.
type answer struct {
	outcome outcome
	line    string
	tooLong bool
	drawn   string
}

// String names a value by length and hash only.
func (a answer) String() string {
	return fmt.Sprintf("{outcome %d, %s, tooLong %v, drawn %s}", a.outcome, digest(a.line), a.tooLong, digest(a.drawn))
}

func digest(s string) string {
	return fmt.Sprintf("%d bytes %x", len(s), sha256.Sum256([]byte(s)))[:24]
}

// edit answers question after question from input in chunks, as a Terminal does.
func edit(chunks [][]byte, newEd func() *editor) []answer {
	var d decoder
	var answers []answer
	e := newEd()
	settle := func(o outcome) {
		a := answer{outcome: o, line: string(e.line), tooLong: e.tooLong}
		if e.screen != nil {
			a.drawn = e.screen.out.String()
		}
		answers = append(answers, a)
	}
	for _, p := range chunks {
		for len(p) > 0 {
			n, o := e.feed(&d, p)
			p = p[n:]
			if o == suspended || o == editing {
				continue
			}
			settle(o)
			e = newEd()
		}
	}
	settle(editing)
	return answers
}

func hiddenEditor(max int) func() *editor { return func() *editor { return newEditor(max, nil) } }

func visibleEditor(max, cols int, vt bool) func() *editor {
	return func() *editor {
		return newEditor(max, &screen{prompt: "Name: ", cols: func() int { return cols }, vt: vt})
	}
}

const pasteBegin = "\x1b[200~"

func TestEditor(t *testing.T) {
	tests := []struct {
		name, input     string
		hidden, visible string // line
	}{
		{"plain", "abc\r", "abc", "abc"},
		{"spaces and tabs", "  a\tb \t \r", "  a\tb \t ", "  a\tb \t "},
		{"other controls", "a\x00\x01\x0b\x1e\x1fb\r", "ab", "ab"},
		{"backspace", "ab\x7f\x08\x08c\r", "c", "c"},
		{"backspace takes a rune", "aé世😀\x7f\x7f\r", "aé", "aé"},
		{"backspace on a broken rune", "a\xf0\x9f\x7f\x7fb\r", "ab", "ab"},
		{"invalid UTF-8", "a\xff\xc3\r", "a\xff\xc3", "a\xff\xc3"},
		{"clear", "abc\x15d\r", "d", "d"},
		{"word", "one two  \x17x\r", "one x", "one x"},
		{"word wide space", "one\u3000two\x17x\r", "one\u3000x", "one\u3000x"},
		{"Ctrl-D inside", "a\x04b\r", "ab", "ab"},
		{"arrows", "a\x1b[D\x1b[1;5C\x1bOA\x1b[3~\x1b[[Ab\r", "ab", "ab"},
		{"escape, then text", "\x1babc\r", "abc", "abc"},
		{"late colour report", "\x1b]11;rgb:0/0/0\x1b\\a\x1b]10;?\ab\r", "ab", "ab"},
		{"enter inside a sequence", "ab\x1b[1\r", "ab", "ab"},
		{"enter inside a string", "ab\x1b]1\r", "ab", "ab"},
		{"paste", pasteBegin + "a b" + pasteEnd + "c\r", "a bc", "a bc"},
		{"paste of lines", pasteBegin + "a\r\nb\n\n" + pasteEnd + "\r", "a\nb\n", "a"},
		{"paste of CR", pasteBegin + "a\r\rb\r" + pasteEnd + "\r", "a\n\nb", "a"},
		{"paste of controls", pasteBegin + "\x03a\x00\x1b[A\x7f" + pasteEnd + "\r", "\x03a\x00\x1b[A\x7f", "a[A"},
		{"two pastes", pasteBegin + "a\n" + pasteEnd + pasteBegin + "b\n" + pasteEnd + "\r", "ab", "a"},
		{"nearly the end of a paste", pasteBegin + "\x1b[201\x1b[20" + pasteEnd + "\r", "\x1b[201\x1b[20", "[201[20"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for kind, c := range map[string]struct {
				ed   func() *editor
				want string
			}{"hidden": {hiddenEditor(100), tt.hidden}, "visible": {visibleEditor(100, 80, true), tt.visible}} {
				got := edit([][]byte{[]byte(tt.input)}, c.ed)[0]
				if got.outcome != entered || got.line != c.want || got.tooLong {
					t.Errorf("%s: %v, want %s", kind, got, digest(c.want))
				}
			}
		})
	}
}

func TestEditorOutcomes(t *testing.T) {
	tests := []struct {
		name, input string
		want        []outcome
	}{
		{"interrupt", "a\x03", []outcome{interrupted, editing}},
		{"quit", "\x1c", []outcome{interrupted, editing}},
		{"interrupt inside a sequence", "\x1b[1;\x03\x1b]0;\x03", []outcome{interrupted, interrupted, editing}},
		{"end", "\x04", []outcome{ended, editing}},
		{"end after erasing", "a\x7f\x04", []outcome{ended, editing}},
		{"CRLF is one end", "a\r\nb\n\r", []outcome{entered, entered, entered, editing}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []outcome
			for _, a := range edit([][]byte{[]byte(tt.input)}, hiddenEditor(100)) {
				got = append(got, a.outcome)
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestEditorLimit(t *testing.T) {
	for _, tt := range []struct {
		name, input string
		tooLong     bool
		line        string
	}{
		{"at the limit", "12345678\r", false, "12345678"},
		{"one more", "123456789\r", true, "12345678"},
		{"not edited back", "123456789\x7f\x7f\r", true, "12345678"},
		{"cleared", "123456789\x15abc\r", false, "abc"},
		{"dropped newline does not count", pasteBegin + "12345678\n" + pasteEnd + "\r", false, "12345678"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := edit([][]byte{[]byte(tt.input)}, hiddenEditor(8))
			if len(got) != 2 || got[0].outcome != entered || got[0].tooLong != tt.tooLong || got[0].line != tt.line {
				t.Errorf("got %v", got)
			}
		})
	}
}

// A paste that spans questions stays a paste: the name, then the value's lines.
func TestPasteAcrossQuestions(t *testing.T) {
	var d decoder
	input := []byte(pasteBegin + "NAME\nline 1\nline 2\n" + pasteEnd + "\r")
	name, value := visibleEditor(100, 80, true)(), newEditor(100, nil)
	n, o := name.feed(&d, input)
	if o != entered || string(name.line) != "NAME" {
		t.Fatalf("first: outcome %d, %d bytes", o, len(name.line))
	}
	if _, o := value.feed(&d, input[n:]); o != entered || string(value.line) != "line 1\nline 2" {
		t.Errorf("second: outcome %d, %d bytes", o, len(value.line))
	}
}

// TestDrawing runs what is drawn through a small terminal and looks at what is left on it.
func TestDrawing(t *testing.T) {
	tests := []struct {
		name, input string
		cols        int
		want        string
	}{
		{"plain", "abc", 80, "Name: abc"},
		{"erase", "abc\x7f", 80, "Name: ab"},
		{"erase wide", "a世\x7fb", 80, "Name: ab"},
		{"erase emoji", "😀😀\x7f", 80, "Name: 😀"},
		{"erase tab", "a\tb\x7f\x7fc", 80, "Name: ac"},
		{"erase a mark", "e\u0301\x7fx", 80, "Name: ex"},
		{"erase word", "one two\x17", 80, "Name: one"},
		{"clear", "a世界b\x15c", 80, "Name: c"},
		{"hostile paste", pasteBegin + "a\x1b]0;x\ab\u009b1m\u202e" + pasteEnd, 80, "Name: a]0;xb\ufffd1m\ufffd"},
		{"wrapped", "abcdefgh\x7f\x7f\x7f\x7f", 10, "Name: abcd"},
		{"wrapped to the edge", "abcde\x7f", 10, "Name: abcd"},
		{"wide at the edge", "abc世\x7f", 10, "Name: abc"},
		{"wrapped twice", strings.Repeat("x", 30) + "\x15y", 10, "Name: y"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := edit([][]byte{[]byte(tt.input)}, visibleEditor(100, tt.cols, true))[0]
			if got := render(t, "Name: "+a.drawn, tt.cols); got != tt.want {
				t.Errorf("screen shows %q, want %q", got, tt.want)
			}
		})
	}
}

// render is a terminal that knows what screen uses, with the wrapping of a VT100: at the character
// after the last column. It returns the rows joined, without trailing blanks.
func render(t *testing.T, out string, cols int) string {
	t.Helper()
	rows := [][]rune{make([]rune, cols+1)}
	row, col := 0, 0
	for s := []rune(out); len(s) > 0; {
		switch {
		case s[0] == '\b':
			col = max(0, min(col, cols-1)-1)
			if col < 0 {
				t.Fatal("backspace over the edge")
			}
		case s[0] == '\r':
			col = 0
		case strings.HasPrefix(string(s), "\x1b[J"):
			clear(rows[row][col:])
			for _, r := range rows[row+1:] {
				clear(r)
			}
			s = s[2:]
		case s[0] == '\x1b':
			var n int
			if _, err := fmt.Sscanf(string(s), "\x1b[%dA", &n); err != nil || n > row {
				t.Fatalf("unknown sequence or off the screen: %q", string(s))
			}
			row -= n
			s = s[strings.IndexRune(string(s), 'A'):]
		case unicode.IsControl(s[0]):
			t.Fatalf("control character %U", s[0])
		default:
			_, w := glyph(s[0])
			if w == 0 {
				break
			}
			if col+w > cols {
				row, col = row+1, 0
				if row == len(rows) {
					rows = append(rows, make([]rune, cols+1))
				}
			}
			rows[row][col] = s[0]
			if w == 2 {
				rows[row][col+1] = 0
			}
			col += w
		}
		s = s[1:]
	}
	var b strings.Builder
	for _, r := range rows {
		for _, c := range r {
			if c != 0 {
				b.WriteRune(c)
			}
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func FuzzEditor(f *testing.F) {
	f.Add([]byte("a\x1b[Db\x7f\rx\r\ny\x04"), []byte{1, 2}, true)
	f.Add([]byte(pasteBegin+"a\r\nb\n"+pasteEnd+"\r世\x7f\x17\x15\x03"), []byte{7, 1, 1}, false)
	f.Add([]byte("\x1b]11;rgb\x1b\\\x1bOA\x1b[[Ax\x1c"), []byte{3}, false)
	f.Add([]byte("123456789012345678901234567890\x15\r"), []byte{}, true)
	f.Fuzz(func(t *testing.T, data, cuts []byte, hidden bool) {
		const limit = 24
		newEd := visibleEditor(limit, 10, false)
		if hidden {
			newEd = hiddenEditor(limit)
		}
		var chunks [][]byte
		rest := data
		for _, c := range cuts {
			n := min(int(c), len(rest))
			chunks, rest = append(chunks, rest[:n]), rest[n:]
		}
		whole, cut := edit([][]byte{data}, newEd), edit(append(chunks, rest), newEd)
		if fmt.Sprint(whole) != fmt.Sprint(cut) {
			t.Fatalf("depends on chunks: %v, %v", whole, cut)
		}
		for _, a := range whole {
			if len(a.line) > limit {
				t.Fatalf("%d bytes, over the limit", len(a.line))
			}
			if strings.ContainsFunc(a.drawn, func(r rune) bool { return unicode.IsControl(r) && r != '\b' }) {
				t.Fatal("a control character reached the screen")
			}
			if !hidden && strings.ContainsFunc(a.line, func(r rune) bool { return r < 0x20 && r != '\t' || r == del }) {
				t.Fatal("a control character in a visible answer")
			}
		}
	})
}

// FuzzPaste: whatever is pasted into a hidden prompt is the answer, but for the line ends.
func FuzzPaste(f *testing.F) {
	f.Add([]byte("one\r\ntwo\n"))
	f.Add([]byte("\x1b[201\x1b[20\x03\x04\r"))
	f.Add([]byte("-----BEGIN\n\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte(pasteEnd)) {
			t.Skip()
		}
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data))
		want = strings.TrimSuffix(want, "\n")
		input := pasteBegin + string(data) + pasteEnd + "\r"
		got := edit([][]byte{[]byte(input)}, hiddenEditor(len(data)))
		if len(got) != 2 || got[0].outcome != entered || got[0].tooLong || got[0].line != want {
			t.Fatalf("got %v, want %s", got, digest(want))
		}
	})
}
