package scan

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

// leaksOf has a file for each rule that content decides, on its third line.
func leaksOf() map[string]string {
	const before = "# one\n# two\n"
	return map[string]string{
		"a.txt":            before + "password: hunter2-hunter2\n",
		"b.txt":            before + "key = " + keyOf("openai 24") + "\n",
		"c.txt":            before + "fernet = " + urlFernet() + "\n",
		"d.txt":            before + pem("PRIVATE "+"KEY"),
		"own.txt":          before + "x " + plainFernet() + "\n",
		"alone":            plainFernet(),
		"token.txt":        keyOf("openai 24"),
		"value.txt":        "hunter2-hunter2",
		"id_ed25519":       pem("OPENSSH PRIVATE " + "KEY"),
		".key":             plainFernet(),
		"formation.afs":    before + "llm: {api_keys: {openai: hunter3-hunter3}}\n",
		"secrets":          before + "OPENAI_API_KEY=hunter3-hunter3\n",
		"secrets.enc":      before + "OPENAI_API_KEY=hunter3-hunter3\n",
		"mcp/server.yaml":  before + "id: x\nauth: {type: bearer, token: hunter3-hunter3}\n",
		"several.txt":      before + "hunter2-hunter2 hunter2-hunter2 " + keyOf("groq") + "\nhunter2-hunter2\n",
		"allowed.txt":      before + "hunter2-hunter2 # muxi-secrets:allow\n",
		"nothing to speak": before + "hello\n",
	}
}

func markScanner() *Scanner {
	return &Scanner{Known: NewKnown([]NamedValue{{Formation: "f", Name: "PASSWORD", Value: []byte("hunter2-hunter2")}}, []byte(plainFernet()))}
}

var marks = []string{
	"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff", "\xff\xfe\x00\x00", "\x00\x00\xfe\xff", "\xf7\x64\x4c", "\xdd\x73\x66\x73", "\x0e\xfe\xff",
	"\xfb\xee\x28", "\x84\x31\x95\x33", "+/v8", "+/v9", "+/v+", "+/v/", "\xef\xbb\xbf\xef\xbb\xbf", "\xff\xfe\xef\xbb\xbf", "\xfe\xff\xff\xfe\x00\x00",
}

// A mark in front of a text says how to read it, and may lie: what stands behind
// it is found as if the mark were not there, with the same fingerprint.
func TestMarksHideNothing(t *testing.T) {
	s := markScanner()
	for name, text := range leaksOf() {
		if name == "secrets.enc" {
			continue // the mark is what is not sealed
		}
		want := s.File(name, []byte(text), Regular)
		for _, mark := range marks {
			if got := s.File(name, []byte(mark+text), Regular); !slices.EqualFunc(got, want, sameFinding) {
				t.Errorf("%s behind %q: %d findings, %d without:%s", name, mark, len(got), len(want), summary(got))
			}
			if got, want := s.Message([]byte(mark+text)), s.Message([]byte(text)); !slices.EqualFunc(got, want, sameFinding) {
				t.Errorf("%s behind %q, as a message: %d findings, %d without", name, mark, len(got), len(want))
			}
		}
	}
}

func utf32of(order binary.AppendByteOrder, text string) (b []byte) {
	for _, r := range text {
		b = order.AppendUint32(b, uint32(r))
	}
	return b
}

// sameFinding compares all but where in the bytes the value stands.
func sameFinding(a, b Finding) bool {
	a.start, a.end, b.start, b.end = 0, 0, 0, 0
	return a == b
}

// The same in the encoding that the mark names, and in UTF-16 that has none or a
// wrong one: one finding for each place, whichever way it was seen.
func TestEncodedTextIsRead(t *testing.T) {
	s := markScanner()
	for name, text := range leaksOf() {
		if name == "secrets.enc" {
			continue // what is sealed is never text: it is one finding, in any encoding
		}
		encoded := map[string][]byte{
			"UTF-16LE":          append([]byte("\xff\xfe"), utf16le(text)...),
			"UTF-16BE":          append([]byte("\xfe\xff"), utf16be(text)...),
			"UTF-32LE":          append([]byte("\xff\xfe\x00\x00"), utf32of(binary.LittleEndian, text)...),
			"UTF-32BE":          append([]byte("\x00\x00\xfe\xff"), utf32of(binary.BigEndian, text)...),
			"UTF-16LE, cut":     append([]byte("\xff\xfe"), utf16le(text + "x")[:2*len(text)+1]...),
			"UTF-16LE, twice":   append([]byte("\xff\xfe\xff\xfe"), utf16le(text)...),
			"UTF-16LE, no mark": utf16le(text),
			"UTF-16BE, no mark": utf16be(text),
			"LE marked as BE":   append([]byte("\xfe\xff"), utf16le(text)...),
			"BE marked as LE":   append([]byte("\xff\xfe"), utf16be(text)...),
			"LE marked as 32":   append([]byte("\xff\xfe\x00\x00"), utf16le(text)...),
			"LE marked as 8":    append([]byte("\xef\xbb\xbf"), utf16le(text)...),
		}
		want := s.File(name, []byte(text), Regular)
		for how, content := range encoded {
			if got := s.File(name, content, Regular); !slices.EqualFunc(got, want, sameFinding) {
				t.Errorf("%s in %s: %d findings, %d in UTF-8:%s", name, how, len(got), len(want), summary(got))
			}
		}
	}
}

// A text of two halves, one of them encoded, is read as both.
func TestHalfEncodedText(t *testing.T) {
	s := markScanner()
	token := "key = " + keyOf("openai 24") + "\n"
	for how, content := range map[string][]byte{
		"ASCII behind UTF-16": append(append([]byte("\xff\xfe"), utf16le("# some text\n")...), "hunter2-hunter2\n"+token...),
		"UTF-16 behind ASCII": append(append([]byte("\xff\xfe"), "# some text\n"+token...), utf16le("hunter2-hunter2\n")...),
		"behind a NUL":        []byte("\x00" + token + "hunter2-hunter2\n"),
		"behind binary":       []byte("\x7fELF\x02\x00\x00\x00\xff\xfe" + token + "hunter2-hunter2\n"),
	} {
		found := s.File("a.bin", content, Regular)
		if len(only(found, KnownSecret)) != 1 || len(only(found, PlaintextKey)) != 1 || len(found) != 2 {
			t.Errorf("%s:%s", how, summary(found))
		}
	}
}

// One place in the middle of Chinese, whose most frequent sign has a NUL on the
// side where ASCII has none.
func TestUTF16BetweenOtherSigns(t *testing.T) {
	s := markScanner()
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		var content []byte
		for _, u := range utf16Units("# \u4e00\u4e00 one, 😀 two and three\nkey = " + keyOf("openai 24") + "\n") {
			content = order.AppendUint16(content, u)
		}
		if found := only(s.File("a.txt", content, Regular), PlaintextKey); len(found) != 1 || found[0].Line != 2 || found[0].Column != 7 {
			t.Errorf("%v: %d findings", order, len(found))
		}
	}
}

func FuzzReadings(f *testing.F) {
	for i, mark := range marks {
		f.Add([]byte(mark), uint8(i), uint16(0))
	}
	f.Add([]byte("\xff\xfea\x00\xd8\x00\xdc"), uint8(1), uint16(3))
	s := markScanner()
	f.Fuzz(func(t *testing.T, content []byte, how uint8, at uint16) {
		value := []byte("\nhunter2-hunter2\n")
		switch how % 3 {
		case 1:
			value = utf16le(string(value))
		case 2:
			value = utf16be(string(value))
		}
		where := int(at) % (len(content) + 1)
		content = slices.Concat(content[:where], value, content[where:])
		for _, r := range readings(content) {
			if n := r.skipped + r.encoding.length(r.text); n > len(content) || n < len(content)-3 {
				t.Fatalf("%d bytes were read of %d", n, len(content))
			}
		}
		if bytes.Contains(content, []byte(allowMark)) {
			return
		}
		if found := only(s.File("a.txt", content, Regular), KnownSecret); len(found) == 0 {
			t.Fatal(fmt.Sprint("not found, in encoding ", how%3))
		}
	})
}
