package formation

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func TestParseDotenv(t *testing.T) {
	for _, test := range [...]struct{ about, file, want string }{ // want: NAME@line=value, joined by |
		{"empty", "", ""},
		{"plain", "A=b\n", "A@1=b"},
		{"no newline at the end", "A=b", "A@1=b"},
		{"blanks", "  A =  b c  \n", "A@1=b c"},
		{"export", "export A=b\nexport\tC=d\nexportE=f\nexport-g=h\n", "A@1=b|C@2=d|EXPORTE@3=f|EXPORT_G@4=h"},
		{"name normalised", "my-key=b\nß=c\n", "MY_KEY@1=b|SS@2=c"},
		{"splits at the first =", "A=b=c==\n", "A@1=b=c=="},
		{"$ is kept", "A=$HOME\nB=\"${HOME}\"\nC='$(ls)'\n", "A@1=$HOME|B@2=${HOME}|C@3=$(ls)"},
		{"comments", "# A=b\n\n  # c\nA=b # c\nB=b#c\nC=b\t#c\nD='x # y' # z\nE=\"x # y\"#z\n", "A@4=b|B@5=b#c|C@6=b|D@7=x # y|E@8=x # y"},
		{"template lines", "A=\nB= # later\nC=''\nD=\"\"\nE=#\nF=x\n", "F@6=x"},
		{"single quotes are literal", `A='a\nb"c\'` + "\n", `A@1=a\nb"c\`},
		{"double quotes", `A="a\nb\tc\"d\\e\$f\rg"` + "\n", "A@1=a\nb\tc\"d\\e\\$f\\rg"},
		{"blanks in quotes", "A=' x '\nB=\"\t\"\n", "A@1= x |B@2=\t"},
		{"a quote inside is no quote", "A=it's\nB=x\"y\"\n", "A@1=it's|B@2=x\"y\""},
		{"several lines", "A=\"one\ntwo\"\nB='three\n\n# four'\nC=5\n", "A@1=one\ntwo|B@3=three\n\n# four|C@6=5"},
		{"CRLF", "A=b\r\nB='c'\r\nC=\"d\r\ne\" # f\r\n\r\nD=\r\n", "A@1=b|B@2=c|C@3=d\ne"},
		{"BOM", "\ufeffA=b\n", "A@1=b"},
		{"twice", "A=b\nA=c\n", "A@1=b|A@2=c"},
		{"unicode", "A=日本 \U0001f511\n", "A@1=日本 \U0001f511"},
	} {
		list, err := ParseDotenv([]byte(test.file))
		if err != nil {
			t.Errorf("%s: %v", test.about, err)
			continue
		}
		if got := describeDotenv(list); got != test.want {
			t.Errorf("%s: got %q, want %q", test.about, got, test.want)
		}
	}
}

func describeDotenv(list []Assignment) string {
	var parts []string
	for _, a := range list {
		parts = append(parts, fmt.Sprintf("%s@%d=%s", a.Name, a.Line, a.Value))
	}
	return strings.Join(parts, "|")
}

func TestParseDotenvUTF16(t *testing.T) {
	for name, order := range map[string]func(u uint16) []byte{
		"little": func(u uint16) []byte { return []byte{byte(u), byte(u >> 8)} },
		"big":    func(u uint16) []byte { return []byte{byte(u >> 8), byte(u)} },
	} {
		var file []byte
		for _, unit := range utf16.Encode([]rune("\ufeffA=b\r\nC='\U0001f511'\r\n")) {
			file = append(file, order(unit)...)
		}
		list, err := ParseDotenv(file)
		if got := describeDotenv(list); err != nil || got != "A@1=b|C@2=\U0001f511" {
			t.Errorf("%s-endian: %q, %v", name, got, err)
		}
	}
}

func TestParseDotenvErrors(t *testing.T) {
	for _, test := range [...]struct {
		file string
		line int
	}{
		{"A=b\nhunter2\n", 2},
		{"A=b\n\n=hunter2\n", 3},
		{"-=hunter2\n", 1},
		{"A='hunter2\nB=c\n", 1},
		{"A=\"hunter2\\\"\n", 1},
		{"A=b\nC=\"x\ny\" hunter2\n", 3},
		{"A='x'hunter2\n", 1},
		{"A=b\nB=hunter2\xff\n", 2},
	} {
		list, err := ParseDotenv([]byte(test.file))
		var bad *DotenvError
		if !errors.As(err, &bad) || bad.Line != test.line || list != nil {
			t.Errorf("%q: %d assignments, %v", test.file, len(list), err)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error repeats the line", test.file)
		}
	}
}

func TestFormatDotenv(t *testing.T) {
	for value, want := range map[string]string{
		"sk-abc_1.2/3:4@5%6+7,8=": "A=sk-abc_1.2/3:4@5%6+7,8=\n",
		"":                        "A=''\n",
		"a b":                     "A='a b'\n",
		"$HOME":                   "A='$HOME'\n",
		"#":                       "A='#'\n",
		"a\\nb":                   "A='a\\nb'\n",
		"\"":                      "A='\"'\n",
		"a\rb":                    "A=\"a\rb\"\n",
		"it's":                    "A=\"it's\"\n",
		"a\nb":                    "A=\"a\\nb\"\n",
		"'\\\"\t\n":               "A=\"'\\\\\\\"\\t\\n\"\n",
	} {
		if got := FormatDotenv("A", value); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func checkDotenvRoundTrip(t *testing.T, value string) {
	t.Helper()
	file := "FIRST=1\n" + FormatDotenv("NAME", value) + "LAST='2'\n"
	list, err := ParseDotenv([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	want := 3
	if value == "" {
		want = 2 // an empty value is none
	}
	if len(list) != want || list[0].Value != "1" || list[want-1].Value != "2" {
		t.Fatalf("%d assignments, or the ones around it changed", len(list))
	}
	if value != "" && (list[1].Name != "NAME" || list[1].Value != value) {
		t.Fatal("the value is read back as another one")
	}
}

func TestDotenvRoundTrip(t *testing.T) {
	for _, value := range awkward() {
		checkDotenvRoundTrip(t, value)
	}
}

func FuzzDotenvRoundTrip(f *testing.F) {
	for _, seed := range [...]string{"", "a", "it's \"$x\"\n", "\r\n", "a\rb'", "\\", "\\'", "\ufeff", " #", "'\r"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if utf8.ValidString(value) {
			checkDotenvRoundTrip(t, value)
		}
	})
}

func FuzzParseDotenv(f *testing.F) {
	for _, seed := range [...]string{"A=b\n", "export A='b\nc' # d\r\n", "\ufeffA=\"\\n\\x\"", "\xff\xfeA\x00=\x00b\x00", "\xfe\xff\x00A", "A=\"", "=", "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		list, err := ParseDotenv(file)
		if err != nil {
			var bad *DotenvError
			if !errors.As(err, &bad) || bad.Line < 1 || bad.Line > bytes.Count(file, []byte("\n"))+1 {
				t.Fatalf("%v", err)
			}
			return
		}
		var again bytes.Buffer
		line := 0
		for _, a := range list {
			if a.Value == "" || a.Name == "" || a.Name != Normalize(a.Spelled) || a.Line <= line || !utf8.ValidString(a.Value) {
				t.Fatalf("line %d: empty, no UTF-8 or out of order", a.Line)
			}
			line = a.Line
			again.WriteString(FormatDotenv(a.Name, a.Value))
		}
		second, err := ParseDotenv(again.Bytes())
		if err != nil || len(second) != len(list) {
			t.Fatalf("written again: %d of %d assignments, %v", len(second), len(list), err)
		}
		for i := range list {
			if second[i].Name != list[i].Name || second[i].Value != list[i].Value {
				t.Fatalf("written again, assignment %d differs", i)
			}
		}
	})
}
