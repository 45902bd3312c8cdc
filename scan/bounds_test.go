package scan

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

// hostile are files that took other scanners down, each somewhat more than a megabyte.
func hostile() map[string][]byte {
	const size = maxYAML + 1<<18 // read by lines; parsed where it is cut below
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 12; i++ {
		prev, this := string(rune('a'+i-1)), string(rune('a'+i))
		bomb += this + "0: &" + this + "0 [" + strings.TrimSuffix(strings.Repeat("*"+prev+"0,", 9), ",") + "]\n"
	}
	repeat := func(s string) []byte { return []byte(strings.Repeat(s, size/len(s))) }
	text := map[string][]byte{
		"alias bomb":         []byte(bomb + "llm: {api_keys: *l0}\nauth: {token: hunter2-hunter2}\n"),
		"big aliases":        []byte("a: &a \"" + strings.Repeat("key ", 100_000) + "\"\nb: [" + strings.Repeat("*a,", 50_000) + "]\n"),
		"merge bomb":         []byte("a: &a {token: x1}\n" + strings.Repeat("b: &a {<<: [*a,*a,*a,*a]}\n", 2000)),
		"self alias":         []byte("a: &a [*a, {token: *a}]\n"),
		"deep flow":          repeat("["),
		"deep maps":          repeat("{a: "),
		"deep dashes":        repeat("- "),
		"deep indent":        deepIndent(10_000),
		"question marks":     repeat("? "),
		"open quotes":        repeat("key: \"\n"),
		"open flow":          repeat("token: {a: [\n"),
		"one long line":      repeat("token: x "),
		"long line of keys":  repeat("sk-"),
		"sharp names":        repeat("sk-a1B2"),
		"equal signs":        repeat("="),
		"percent":            repeat("%41"),
		"backslash":          repeat(`\u0041`),
		"high escapes":       repeat(`\\\xfc`),
		"base64":             repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo\n"),
		"one base64":         repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVow"),
		"base64 of NULs":     repeat("AAAA"),
		"base64 twice":       repeat("UVVKRFJFVkdSMGhKU2t0TVRVNVBVRkZTVTFSVlZsZFlXVm93"),
		"hex":                repeat("6162636465666768696a6b6c6d6e6f70"),
		"listed":             repeat("61 62 63 64, 0x65:"),
		"dump":               repeat("00000000: 6162 6364 6566 6768 696a 6b6c 6d6e 6f70  abcdefghijklmnop\n"),
		"short words":        repeat("QUJD\n"),
		"words in the end":   repeat("a QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo\n"),
		"entities":           repeat("&#x41;&amp;"),
		"open entities":      repeat("&&#&#x"),
		"colours":            repeat("\x1b[31mx"),
		"open links":         repeat("\x1b]"),
		"all escapes":        repeat(`%41\u0041&#65;`),
		"continued":          repeat("\\\n"),
		"escaped escapes":    repeat(`\\\\`),
		"percents":           repeat("%25"),
		"begin":              repeat("-----BEGIN PRIVATE KEY-----"),
		"age":                repeat("AGE-SECRET-KEY-1"),
		"urls":               repeat("a://b:c@"),
		"open urls":          repeat("a://b:${{"),
		"references":         repeat("${{ secret.x "),
		"short references":   repeat("${{secrets.x}}"),
		"malformed":          repeat("a: ${{ secret.X }}\n"),
		"open references":    repeat("api_key: ${{ "),
		"comments":           repeat("# token\n"),
		"invalid":            repeat("token: \xff\xfe\n"),
		"dots":               repeat("eyJhbGciOiJIUzI1NiJ9."),
		"carriage":           repeat("token: a\r"),
		"allowed":            repeat("sk-" + made(100, 24, alnum) + " # muxi-secrets:allow "),
		"known":              repeat("hunter2-hunter"),
		"hooks":              repeat("hooks.slack.com/services/"),
		"long key":           []byte(strings.Repeat("k", 1<<19) + ": {" + strings.Repeat("token: hunter2-hunter2, ", 1<<14) + "}\n"),
		"flow of a megabyte": []byte("x: {" + strings.Repeat("key: hunter2, ", 70_000) + "}\n"),
		"anchors":            repeat("- &a token: &b x\n"),
	}
	for name, t := range text {
		if len(t) > maxYAML {
			text[name+", parsed"] = t[:maxYAML]
		}
	}
	return text
}

func deepIndent(depth int) []byte {
	var b bytes.Buffer
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.Bytes()
}

func TestHostileFilesAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads megabytes of the worst there is, and -short is given")
	}
	s := knownScanner()
	for name, content := range hostile() {
		for _, path := range []string{"formation.afs", "secrets", "a.txt"} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			found := s.File(path, content, Regular)
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 384<<20 {
				t.Errorf("%s as %s: %d MiB allocated", name, path, grown>>20)
			}
			if len(found) > maxFindings {
				t.Errorf("%s as %s: %d findings", name, path, len(found))
			}
		}
	}
}

// BenchmarkHostile is where the time that such a file takes is seen.
func BenchmarkHostile(b *testing.B) {
	s := knownScanner()
	for name, content := range hostile() {
		for _, path := range []string{"formation.afs", "secrets", "a.txt"} {
			b.Run(name+"/"+path, func(b *testing.B) {
				b.SetBytes(int64(len(content)))
				for b.Loop() {
					s.File(path, content, Regular)
				}
			})
		}
	}
}

func TestLargeFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a hundred megabytes")
	}
	s := knownScanner()
	content := bytes.Repeat([]byte("x"), 100<<20) // one line
	copy(content[90<<20:], " hunter2-hunter2 ")
	copy(content[95<<20:], " "+keyOf("github")+" ")
	found := s.File("a.txt", content, Regular)
	if len(found) != 1 || found[0].Rule != KnownSecret || found[0].Column != 90<<20+2 {
		t.Errorf("want the known secret alone, got:%s", summary(found))
	}
	if found := s.File("a.txt", content[40<<20:], Regular); len(found) != 2 {
		t.Errorf("below the limit: %d findings, want 2", len(found))
	}
}

// An alias bomb hides nothing: what the parser gives up on is read in parts.
func TestHostileFilesHideNothing(t *testing.T) {
	for _, name := range []string{"alias bomb", "deep flow", "big aliases", "self alias"} {
		text := append(bytes.Clone(hostile()[name]), "\n\nauth:\n  type: bearer\n  token: hunter3-hunter3\n"...)
		found := only((&Scanner{}).File("formation.afs", text, Regular), PlaintextKey)
		last := bytes.Count(text, []byte("\n"))
		if len(found) == 0 || found[len(found)-1].Line != last {
			t.Errorf("%s hides the field after it:%s", name, summary(found))
		}
	}
}
