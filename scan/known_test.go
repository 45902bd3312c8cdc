package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestSearchable(t *testing.T) {
	for _, value := range []string{
		"hunter2-hunter2", keyOf("openai 24"), made(80, 24, alnum), made(81, 32, hexSet), "correct horse battery staple", "correct-horse-battery-staple",
		"correcthorsebatterystaple", "Tr0ub4dor&3", "aB3$xyzq", plainFernet(), "550e8400-e29b-41d4-a716-446655440000", "пароль-пароль-123",
		"postgresql://muxi:hunter2-hunter2@db/muxi", keyOf("slack webhook"), "x7f9q2k8m1p4", "  hunter2-hunter2\n", pem("PRIVATE " + "KEY"),
		"/" + made(82, 39, alnum), "12345678901234567890",
	} {
		if !Searchable([]byte(value)) {
			t.Errorf("a value of %d characters is not searched for", len(value))
		}
	}
	for _, value := range []string{
		"", " ", "\n\t", "localhost", "true", "5432", "production", "us-east-1", "12345678", "postgres", "https://example.com", "https://api.openai.com/v1/chat",
		"postgresql://localhost:5432/muxi", "postgresql://user:pass@localhost/muxi", "db.internal.example.com", "mydb.c9akciq32.us-east-1.rds.amazonaws.com",
		"noreply@example.com", "/var/lib/app/data.db", "sk-...", "changeme", "gpt-4o-mini", "aaaaaaaaaaaaaaaa", "abababababababab", "2024-01-15", "192.168.178.100",
		"authentication", "Europe/Berlin", "db.example.com:5432", "us-central1-a", "https://example.com/docs/index.html", "1.2.3-rc.1",
		"2024-11-28 13:45:07", "1234567890123456789", // of 19 signs; 20 digits are searched for
	} {
		if Searchable([]byte(value)) {
			t.Errorf("%q is searched for", value)
		}
	}
}

// known values, awkward in every way a spelling can be.
var knownValues = map[string]string{
	"PASSWORD": "hunter2-hunter2",
	"TOKEN":    "k7" + made(90, 22, alnum),
	"SYMBOLS":  "p@ss/w0rd+\"quoted\"\\&<x>='y'",
	"PHRASE":   "correct horse battery staple",
	"UNICODE":  "пароль-größe-😀-12",
	"LINES":    "first line of it 123\nsecond, a longer line 456\nthird",
	"SHORT":    "aB3$xyzq",
}

func knownScanner() *Scanner {
	var values []NamedValue
	for name, value := range knownValues {
		values = append(values, NamedValue{Formation: "formations/demo", Name: name, Value: []byte(value)})
	}
	return &Scanner{Known: NewKnown(values)}
}

// asciiJSON is how Python's json.dumps writes a string, in either case.
func asciiJSON(s string, upper bool) string {
	var b strings.Builder
	for _, u := range utf16Units(s) {
		switch {
		case u == '"' || u == '\\':
			b.WriteString(`\` + string(rune(u)))
		case u == '\n':
			b.WriteString(`\n`)
		case u >= 0x20 && u < 0x7f:
			b.WriteByte(byte(u))
		default:
			digits := hex.EncodeToString([]byte{byte(u >> 8), byte(u)})
			if upper {
				digits = strings.ToUpper(digits)
			}
			b.WriteString(`\u` + digits)
		}
	}
	return b.String()
}

func utf16Units(s string) (units []uint16) {
	for _, r := range s {
		if r > 0xffff {
			r -= 0x10000
			units = append(units, uint16(0xd800+r>>10), uint16(0xdc00+r&0x3ff))
			continue
		}
		units = append(units, uint16(r))
	}
	return units
}

func TestKnownSecretsInEverySpelling(t *testing.T) {
	s := knownScanner()
	for name, value := range knownValues {
		goJSON, _ := json.Marshal(value)
		allEscaped := ""
		for _, u := range utf16Units(value) {
			allEscaped += `\u` + hex.EncodeToString([]byte{byte(u >> 8), byte(u)})
		}
		spellings := map[string]string{
			"raw":              value,
			"hex":              hex.EncodeToString([]byte(value)),
			"HEX":              strings.ToUpper(hex.EncodeToString([]byte(value))),
			"url query":        url.QueryEscape(value),
			"url path":         url.PathEscape(value),
			"url lower":        lowerEscapes(url.QueryEscape(value)),
			"json, go":         strings.Trim(string(goJSON), `"`),
			"json, python":     asciiJSON(value, false),
			"json, upper":      asciiJSON(value, true),
			"json, slashes":    strings.ReplaceAll(asciiJSON(value, false), "/", `\/`),
			"json, all":        allEscaped,
			"yaml single":      strings.ReplaceAll(value, "'", "''"),
			"windows lines":    strings.ReplaceAll(value, "\n", "\r\n"),
			"indented":         strings.ReplaceAll(value, "\n", "\n      "),
			"tabs":             strings.ReplaceAll(value, "\n", "\n\t\t"),
			"base64 in json":   strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(value)), "/", `\/`),
			"base64 in url":    url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(value))),
			"wrapped base64":   wrap(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("padding. ", 10)+value+" and so on, and so on, and so on")), 64, "\n  "),
			"wrapped base64/2": wrap(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("padding. ", 9)+"xx"+value+" and so on, and so on, and so on")), 76, "\r\n"),
		}
		for offset := range 6 {
			around := strings.Repeat("x", offset) + value + strings.Repeat("y", offset)
			spellings["base64 std "+string(rune('0'+offset))] = base64.StdEncoding.EncodeToString([]byte(around))
			spellings["base64 url "+string(rune('0'+offset))] = base64.RawURLEncoding.EncodeToString([]byte(around))
		}
		for how, spelled := range spellings {
			for _, path := range []string{"README.md", "a.py", "a.ipynb", "k8s/secret.yaml", "formation.afs", "formations/x/secrets.enc"} {
				found := only(s.File(path, []byte("größe\n  - \""+spelled+"\"\nlast\n"), Regular), KnownSecret)
				if len(found) != 1 || found[0].Secret != name || found[0].Line < 2 || found[0].Path != path {
					t.Errorf("%s, %s, in %s: %d findings", name, how, path, len(found))
				}
				noValue(t, found, value)
				noValue(t, found, spelled)
			}
		}
		text := "größe: x\n\n  größe: \"" + value + "\" "
		found := only(s.File("a.md", []byte(text), Regular), KnownSecret)
		if line, column := place(text, value); len(found) != 1 || found[0].Line != line || found[0].Column != column {
			t.Errorf("%s: the wrong place", name)
		}
		message := only(s.Message([]byte("Fix login\n\nuse "+value+" here\n")), KnownSecret)
		if len(message) != 1 || message[0].Path != "" || message[0].Line != 3 {
			t.Errorf("%s: not found in a commit message", name)
		}
		binary := append([]byte("\x7fELF\x00\x00\x01"), utf16le("x")...)
		if found := only(s.File("a.bin", append(binary, value...), Regular), KnownSecret); len(found) != 1 {
			t.Errorf("%s: not found in a binary", name)
		}
		if name == "PASSWORD" || name == "TOKEN" {
			if found := only(s.File("a.bin", append([]byte("A=B\r\n\x01"), utf16le(value)...), Regular), KnownSecret); len(found) != 1 {
				t.Errorf("%s: UTF-16 appended to another text is not found", name)
			}
		}
	}
}

func lowerEscapes(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == '%' {
			copy(b[i:i+3], bytes.ToLower(b[i:i+3]))
		}
	}
	return string(b)
}

func wrap(s string, width int, with string) string {
	var lines []string
	for len(s) > width {
		lines, s = append(lines, s[:width]), s[width:]
	}
	return strings.Join(append(lines, s), with)
}

func TestKnownSecretsAreNotFoundInPart(t *testing.T) {
	s := knownScanner()
	for _, value := range knownValues {
		for _, part := range []string{value[1:], value[:len(value)-1], strings.ToUpper(value) + "x", value[:4] + "." + value[5:]} {
			if found := only(s.File("a.txt", []byte("x "+part+" y"), Regular), KnownSecret); len(found) != 0 {
				t.Errorf("a part of a value is taken for it")
			}
		}
	}
	wantNone(t, s, "a.txt", strings.Repeat("The quick brown fox jumps over the lazy dog. %41%42 \\n\n", 100))
}

// A file may begin in the middle of a value of several lines.
func TestKnownSecretsAtTheEdge(t *testing.T) {
	value := "first-line-4711\nsecond-line-4711-which-is-longer"
	s := &Scanner{Known: NewKnown([]NamedValue{{Formation: "f", Name: "A", Value: []byte(value)}})}
	for text, want := range map[string]int{value: 1, value[1:]: 0, value[16:]: 0, "\n" + value[16:]: 0, "\t" + value: 1, value[:len(value)-1]: 0} {
		if found := only(s.File("a.txt", []byte(text), Regular), KnownSecret); len(found) != want {
			t.Errorf("%d findings, want %d", len(found), want)
		}
	}
}

// A log or a diff has something of its own in front of each line of a value.
func TestKnownSecretsBehindPrefixes(t *testing.T) {
	for what, c := range map[string]struct {
		prefixes []string // one for each line, the last one for all that follow
		want     int
	}{
		"none":                 {[]string{""}, 1},
		"indentation":          {[]string{"key: ", "  ", "\t", "    "}, 1},
		"a time":               {[]string{"2024-05-01T10:11:12Z "}, 1},
		"times":                {[]string{"2024-05-01T10:11:12.9Z ", "2024-05-01T10:11:12.91Z ", "2024-05-01T10:11:13.002Z "}, 1},
		"a container":          {[]string{"app-1  | "}, 1},
		"containers' ids":      {[]string{"[a81f] ", "[77b0] ", "[0c8f] "}, 1},
		"a padded container":   {[]string{"   app | "}, 1},
		"a name, padded":       {[]string{"   app | KEY=", "   app | "}, 1},
		"a diff":               {[]string{"+"}, 1},
		"a quote":              {[]string{"> "}, 1},
		"a comment, indented":  {[]string{"# ", "#   ", "#  ", "# "}, 1},
		"a name before":        {[]string{"app-1  | KEY=", "app-1  | "}, 1},
		"a name before, times": {[]string{"10:11:09 KEY=\"", "10:11:10 ", "10:11:11 "}, 1},
		"numbered lines":       {[]string{"9: ", "10: ", "11: "}, 1},
		"several logs":         {[]string{"app-1  | ", "worker-1  | "}, 0},
		"a log, then none":     {[]string{"app-1  | ", ""}, 1},
		"none, then a log":     {[]string{"", "app-1  | "}, 0},
		"words":                {[]string{"and then ", "there was "}, 0},
		"one other":            {[]string{"app-1  | ", "app-1  | ", "and then it was "}, 0},
		"more than a prefix":   {[]string{strings.Repeat("x", 300)}, 0},
	} {
		for name, value := range map[string]string{
			"first": "a first line of it 123\nx 456\nthird\nx", "middle": "first 123\n\nsecond, a longer line 456\nthird", "last": "first 123\n  second\n\nthird, a longer line 456", "two": "first 123\nsecond, a longer line 456",
		} {
			if what == "one other" && name == "two" {
				continue
			}
			s := &Scanner{Known: NewKnown([]NamedValue{{Formation: "f", Name: "A", Value: []byte(value)}})}
			text := ""
			for i, line := range strings.Split("x\n"+value+"\nx", "\n") {
				if i > 0 {
					text += c.prefixes[min(i-1, len(c.prefixes)-1)]
				}
				text += line + "\n"
			}
			for ends, text := range map[string]string{"lines": text, "trimmed": strings.ReplaceAll(text, " \n", "\n"), "windows": strings.ReplaceAll(text, "\n", "\r\n")} {
				found := only(s.File("a.log", []byte(text), Regular), KnownSecret)
				if len(found) != c.want || c.want > 0 && found[0].Line != 2 {
					t.Errorf("%s, %s, %s: want %d,%s", what, name, ends, c.want, summary(found))
				}
			}
		}
	}
	value := "first 123\nsecond, a longer line 456\nthird"
	s := &Scanner{Known: NewKnown([]NamedValue{{Formation: "f", Name: "A", Value: []byte(value)}})}
	if found := only(s.File("a.log", []byte("INFO  first 123\nERROR second, a longer line 456\nINFO  third\n"), Regular), KnownSecret); len(found) != 1 {
		t.Errorf("behind levels:%s", summary(found))
	}
	for _, text := range []string{"+first 123\n+other\n+second, a longer line 456\n+third\n", "+first 123\n+second, a longer line 456 and more\n+third\n", "+second, a longer line 456\n+third\n", "+first 123\n+second, a longer line 456\n+thir"} {
		wantNone(t, s, "a.log", text)
	}
}

func TestNilKnown(t *testing.T) {
	for _, k := range []*Known{nil, NewKnown(nil), NewKnown([]NamedValue{{Name: "A", Value: []byte("localhost")}})} {
		if found, _ := k.find([]byte("localhost hunter2-hunter2")); found != nil {
			t.Error("nothing known, something found")
		}
	}
}

// Ten thousand keys of one provider begin alike; that must not slow the search
// down or hide one behind another.
func TestManyValues(t *testing.T) {
	var values []NamedValue
	for i := range 10_000 {
		values = append(values, NamedValue{Name: "N" + made(uint64(i), 6, upperSet), Value: []byte("sk-" + "proj-" + made(uint64(i)+5000, 40, alnum))})
	}
	k := NewKnown(values)
	var text bytes.Buffer
	for i := 0; i < len(values); i += 997 {
		text.WriteString("sk-" + "proj- ")
		text.Write(values[i].Value)
		text.WriteString("\n")
	}
	found, more := k.find(text.Bytes())
	if want := (len(values) + 996) / 997; len(found) != want || more {
		t.Errorf("found %d of %d", len(found), want)
	}
}

// naive finds the same as Known.find among raw values, slowly.
func naive(text []byte, values [][]byte) (found [][2]int) {
	for at := 0; at < len(text); at++ {
		longest := 0
		for _, v := range values {
			if bytes.HasPrefix(text[at:], v) {
				longest = max(longest, len(v))
			}
		}
		if longest > 0 {
			found = append(found, [2]int{at, at + longest})
			at += longest - 1
		}
	}
	return found
}

func FuzzKnownEqualsNaive(f *testing.F) {
	f.Add([]byte("xx hunter2-hunter2 yy"), "hunter2-hunter2", "hunter2-hunter2-prod", uint8(3))
	f.Add([]byte("abcabcabcabcabcabcabcabc"), "abcabcabcabc1", "bcabcabcabca2", uint8(0))
	f.Fuzz(func(t *testing.T, text []byte, one, two string, where uint8) {
		var values [][]byte
		var patterns []pattern
		for i, v := range []string{one, two, one + two, two + one} {
			if len(v) >= minPattern && !slices.ContainsFunc(values, func(b []byte) bool { return string(b) == v }) {
				values = append(values, []byte(v))
				patterns = append(patterns, pattern{text: []byte(v), value: int32(i)})
			}
		}
		if len(patterns) == 0 {
			return
		}
		text = slices.Concat(text[:int(where)%(len(text)+1)], []byte(one+two+one), text)
		found, _ := newMatcher(patterns).find(text, nil)
		var got [][2]int
		for _, m := range settle(found) {
			got = append(got, [2]int{m.start, m.end})
		}
		if want := naive(text, values); len(found) < maxMatches && !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
