package scan

import "testing"

// FuzzLiterals: what is said of a file's bytes is within them, in order, and names
// are names.
func FuzzLiterals(f *testing.F) {
	f.Add("llm: {api_keys: {openai: sk-abc-4711}}\n")
	f.Add("\xff\xfet\x00o\x00k\x00e\x00n\x00:\x00a\x00b\x00")
	f.Add("args: [--api-key, \"x\\u0041y-4711\"]\nurl: https://u:p4ssw0rd@h/?a=b\n")
	f.Add("env:\n  - name: A_KEY\n    value: |\n      stored-value-4711\n")
	known := NewKnown([]NamedValue{{Name: "MINE", Value: []byte("stored-value-4711")}})
	s := Scanner{Known: known, IsFormation: func(dir string) bool { return dir == "." }}
	f.Fuzz(func(t *testing.T, text string) {
		end := 0
		for _, l := range s.Literals("agents/a.yaml", []byte(text)) {
			if l.End != 0 && (l.Start < end || l.End <= l.Start || l.End > len(text)) {
				t.Fatalf("%d-%d of %d, behind %d", l.Start, l.End, len(text), end)
			}
			end = max(end, l.End)
			if l.Proposal("agents/a.yaml", text[l.Start:l.End]) == "" || l.Line < 1 {
				t.Fatal("no name, or no line")
			}
			l.Shown()
		}
	})
}
