package tty

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// An answer is what one editor made of its share of the input.
type answer struct {
	outcome outcome
	line    string
	tooLong bool
}

// String names a value by length and hash only.
func (a answer) String() string {
	return fmt.Sprintf("{outcome %d, %s, tooLong %v}", a.outcome, digest(a.line), a.tooLong)
}

func digest(s string) string {
	return fmt.Sprintf("%d bytes %x", len(s), sha256.Sum256([]byte(s)))[:24]
}

// edit answers question after question from input, as a Terminal does.
func edit(input string, max int) []answer {
	var d decoder
	var answers []answer
	e := newEditor(max)
	for _, b := range []byte(input) {
		o := e.feed(&d, b)
		if o == suspended || o == editing {
			continue
		}
		answers = append(answers, answer{o, string(e.line), e.tooLong})
		e = newEditor(max)
	}
	return append(answers, answer{editing, string(e.line), e.tooLong})
}

const pasteBegin = "\x1b[200~"

func TestEditor(t *testing.T) {
	tests := []struct {
		name, input string
		want        string // line
	}{
		{"plain", "abc\r", "abc"},
		{"spaces and tabs", "  a\tb \t \r", "  a\tb \t "},
		{"other controls", "a\x00\x01\x0b\x1e\x1fb\r", "ab"},
		{"backspace", "ab\x7f\x08\x08c\r", "c"},
		{"backspace takes a rune", "aé世😀\x7f\x7f\r", "aé"},
		{"backspace on a broken rune", "a\xf0\x9f\x7f\x7fb\r", "ab"},
		{"invalid UTF-8", "a\xff\xc3\r", "a\xff\xc3"},
		{"clear", "abc\x15d\r", "d"},
		{"word", "one two  \x17x\r", "one x"},
		{"word wide space", "one\u3000two\x17x\r", "one\u3000x"},
		{"Ctrl-D inside", "a\x04b\r", "ab"},
		{"arrows", "a\x1b[D\x1b[1;5C\x1bOA\x1b[3~\x1b[[Ab\r", "ab"},
		{"escape, then text", "\x1babc\r", "abc"},
		{"late colour report", "\x1b]11;rgb:0/0/0\x1b\\a\x1b]10;?\ab\r", "ab"},
		{"enter inside a sequence", "ab\x1b[1\r", "ab"},
		{"enter inside a string", "ab\x1b]1\r", "ab"},
		{"paste", pasteBegin + "a b" + pasteEnd + "c\r", "a bc"},
		{"paste of lines", pasteBegin + "a\r\nb\n\n" + pasteEnd + "\r", "a\nb\n"},
		{"paste of CR", pasteBegin + "a\r\rb\r" + pasteEnd + "\r", "a\n\nb"},
		{"paste of controls", pasteBegin + "\x03a\x00\x1b[A\x7f" + pasteEnd + "\r", "\x03a\x00\x1b[A\x7f"},
		{"two pastes", pasteBegin + "a\n" + pasteEnd + pasteBegin + "b\n" + pasteEnd + "\r", "ab"},
		{"nearly the end of a paste", pasteBegin + "\x1b[201\x1b[20" + pasteEnd + "\r", "\x1b[201\x1b[20"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := edit(tt.input, 100)[0]
			if got.outcome != entered || got.line != tt.want || got.tooLong {
				t.Errorf("got %v, want %s", got, digest(tt.want))
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
			for _, a := range edit(tt.input, 100) {
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
			got := edit(tt.input, 8)
			if len(got) != 2 || got[0].outcome != entered || got[0].tooLong != tt.tooLong || got[0].line != tt.line {
				t.Errorf("got %v", got)
			}
		})
	}
}

func FuzzEditor(f *testing.F) {
	f.Add([]byte("a\x1b[Db\x7f\rx\r\ny\x04"))
	f.Add([]byte(pasteBegin + "a\r\nb\n" + pasteEnd + "\r世\x7f\x17\x15\x03"))
	f.Add([]byte("\x1b]11;rgb\x1b\\\x1bOA\x1b[[Ax\x1c"))
	f.Add([]byte("123456789012345678901234567890\x15\r"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 24
		pasted := bytes.Contains(data, []byte(pasteBegin))
		for _, a := range edit(string(data), limit) {
			if len(a.line) > limit {
				t.Fatalf("%d bytes, over the limit", len(a.line))
			}
			if !pasted && strings.ContainsFunc(a.line, func(r rune) bool { return r < 0x20 && r != '\t' || r == del }) {
				t.Fatal("a control character was typed")
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
		got := edit(input, len(data))
		if len(got) != 2 || got[0].outcome != entered || got[0].tooLong || got[0].line != want {
			t.Fatalf("got %v, want %s", got, digest(want))
		}
	})
}
