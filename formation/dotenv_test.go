package formation

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
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
		{"quoted parts that touch", "A='it'\"'\"'s' # x\nB='a'\"\\n\"'b'\nC=''''\n", "A@1=it's|B@2=a\nb"},
		{"several lines", "A=\"one\ntwo\"\nB='three\n\n# four'\nC=5\n", "A@1=one\ntwo|B@3=three\n\n# four|C@6=5"},
		{"CRLF", "A=b\r\nB='c'\r\nC=\"d\r\ne\" # f\r\n\r\nD=\r\n", "A@1=b|B@2=c|C@3=d\ne"},
		{"BOM", "\ufeffA=b\n", "A@1=b"},
		{"twice", "A=b\nA=c\n", "A@1=b|A@2=c"},
		{"backticks", "A=`a \"b\" 'c'`\nB=`abc #def` # x\nC=`one\ntwo`\nD=`\\n`\nE=x`y`\n", "A@1=a \"b\" 'c'|B@2=abc #def|C@3=one\ntwo|D@5=\\n|E@6=x`y`"},
		{"whole lines in quotes", "\"A=b\"\n'C=\"d\"'\n", "A@1=b|C@2=d"},
		{"quoted by a mail", "> A=b\t \r\n>\n> > C=\"d\n> e\"  \n", "A@1=b|C@3=d\ne"},
		{"what dotenvx leaves in a file", "DOTENV_PUBLIC_KEY=\"02ab\"\nDOTENV_PUBLIC_KEY_CI=02ab\nA=b\n", "A@3=b"},
		{"JSON", " {\"A\": \"b\\nc\", \"my-key\":\n\"\\ud83d\\udd11\", \"D\": \"\", \"E\": null, \"F\": 1.50, \"G\": true}\n", "A@1=b\nc|MY_KEY@1=\U0001f511|F@2=1.50|G@2=true"},
		{"JSON of nothing", "\ufeff{}", ""},
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
		{"A='x'\"y\"hunter2\n", 1},
		{"A='x'\"y\nhunter2", 1},
		{"A=b\nB=hunter2\xff\n", 2},
		{"A=`hunter2\n", 1},
		{"A=b\nkey: hunter2=\n", 2},
		{"A=b\n  \"HUNTER\": \"hunter2==\",\n", 2},
		{"https://hunter2/?a=b\n", 1},
		{"hunter2==\n", 1},
		{"\"hunter2\"\n", 1},
		{"\xff\xfeA\x00=\x00h", 1},
		{"\xff\xfeA\x00=\x00\x00\xd8b\x00", 1},
		{"{\"A\": \"hunter2", 1},
		{"{\"A\":\n\"b\" hunter2}", 2},
		{"{\"A\": \"hunter2\\ud800\"}", 1},
		{"{\"-\": \"hunter2\"}", 1},
		{"{\"A\": \"b\"}\n{\"C\": \"hunter2\"}", 2},
		{"{\"A\": \"b\"}\nhunter2", 2},
		{"{hunter2: b}", 1},
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

// An entry of JSON with parts is named where its name can be no value; an empty one
// is none.
func TestParseDotenvNested(t *testing.T) {
	for _, test := range [...]struct {
		file string
		want NestedError
	}{
		{"{\n\"A\": {\"B\": \"hunter2\"}}", NestedError{Line: 2, Name: "A"}},
		{"{\"E\": { }, \"L\": [\n],\n\"a.b-c\": [\"hunter2\"]}", NestedError{Line: 3, Name: "a.b-c", List: true}},
		{"{\"hunter2 x\": [1]}", NestedError{Line: 1, List: true}},
		{"{\"--\": [1]}", NestedError{Line: 1, List: true}},
	} {
		list, err := ParseDotenv([]byte(test.file))
		var nested *NestedError
		if !errors.As(err, &nested) || *nested != test.want || list != nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", test.file, err)
		}
	}
}

func TestParseDotenvSealed(t *testing.T) {
	for _, test := range [...]struct {
		file string
		want SealedDotenvError
	}{
		{"DOTENV_PUBLIC_KEY=\"02ab\"\nA=\"encrypted:BNr24F\"\n", SealedDotenvError{Line: 2, Tool: "dotenvx", Format: "dotenv"}},
		{"A=b\nB=encrypted:BNr24F\n", SealedDotenvError{Line: 2, Tool: "dotenvx", Format: "dotenv"}},
		{"A=ENC[AES256_GCM,data:abc=,iv:abc=,tag:abc==,type:str]\n", SealedDotenvError{Line: 1, Tool: "sops", Format: "dotenv"}},
		{"A=b\nsops_version=3.9.0\n", SealedDotenvError{Line: 2, Tool: "sops", Format: "dotenv"}},
		{"{\"A\": \"ENC[AES256_GCM,data:x]\",\n\"sops\": {}}", SealedDotenvError{Line: 1, Tool: "sops", Format: "json"}},
		{"A: b\nc: ENC[AES256_GCM,data:x]\nsops:\n  mac: x\n", SealedDotenvError{Line: 2, Tool: "sops", Format: "yaml"}},
		{"a=b\r\n[d]\r\nc=ENC[AES256_GCM,data:x]\r\n[sops]\r\n", SealedDotenvError{Line: 3, Tool: "sops", Format: "ini", Section: "d"}},
		{"c=ENC[AES256_GCM,data:x]\n[sops]\n", SealedDotenvError{Line: 1, Tool: "sops", Format: "ini", Section: "DEFAULT"}},
		{"[hunter2 x]\nc=ENC[AES256_GCM,data:x]\n[sops]\n", SealedDotenvError{Line: 2, Tool: "sops", Format: "ini", Section: "SECTION"}},
		{"{\"A\": \"b\",\n\"sops\": {}}", SealedDotenvError{Line: 2, Tool: "sops", Format: "json"}},
	} {
		list, err := ParseDotenv([]byte(test.file))
		var sealed *SealedDotenvError
		if !errors.As(err, &sealed) || *sealed != test.want || list != nil {
			t.Errorf("%q: %v", test.file, err)
		}
	}
}

func TestDotenvDollar(t *testing.T) {
	for value, want := range map[string]bool{
		"${A}": true, "x$A": true, "$_": true, "$(ls)": true, `a\$5`: true, `"${A}"`: true, `"\$5"`: true, "`$A`": true, `'x'"$A"`: true,
		"'${A}'": false, "a$5": false, "a$": false, "$$": false, `"5$"`: false, `'x'"y"`: false,
	} {
		list, err := ParseDotenv([]byte("A=" + value + "\n"))
		if err != nil || len(list) != 1 || list[0].Dollar != want {
			t.Errorf("%s: not %t (%v)", value, want, err)
		}
	}
}

func TestFormatDotenv(t *testing.T) {
	for value, want := range map[string]string{
		"sk-abc_1.2/3:4@5%6+7,8=": "A='sk-abc_1.2/3:4@5%6+7,8='\n",
		"":                        "A=''\n",
		"a b":                     "A='a b'\n",
		"$HOME":                   "A='$HOME'\n",
		"#":                       "A='#'\n",
		"a\\nb":                   "A='a\\nb'\n",
		"\"":                      "A='\"'\n",
		"a\rb":                    "A='a\rb'\n",
		"a\nb":                    "A='a\nb'\n",
		"it's":                    "A=\"it's\"\n",
		"it's $5":                 "A='it'\"'\"'s $5'\n",
		"'":                       "A=\"'\"\n",
		"!'":                      "A='!'\"'\"\n",
		"a\r\nb":                  "A='a\r'\"\n\"'b'\n",
		"'\n\n'x`":                "A=\"'\n\n'\"'x`'\n",
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
	for _, seed := range [...]string{"", "a", "it's \"$x\"\n", "\r\n", "a\rb'", "\\", "\\'", "\ufeff", " #", "'\r", "\r\r\n\n'", "'\r\n'", "\"'\"\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if utf8.ValidString(value) {
			checkDotenvRoundTrip(t, value)
		}
	})
}

func FuzzParseDotenv(f *testing.F) {
	for _, seed := range [...]string{"A=b\n", "export A='b\nc' # d\r\n", "\ufeffA=\"\\n\\x\"", "\xff\xfeA\x00=\x00b\x00", "\xfe\xff\x00A", "A=\"", "=", "\xff", "A=`b`", "> A=b\n", "'A=b'", "{\"A\": \"b\", \"C\": 1}", "A=ENC[", "a: ENC[AES256_GCM,data:\nsops:", "[a]\nENC[AES256_GCM,data:\n[sops]\r\n", "{\"A\": [1]}", "{\"\":"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		list, err := ParseDotenv(file)
		if err != nil {
			var bad *DotenvError
			var nested *NestedError
			var sealed *SealedDotenvError
			if errors.As(err, &sealed) {
				bad = &DotenvError{Line: sealed.Line}
			} else if errors.As(err, &nested) {
				bad = &DotenvError{Line: nested.Line}
			} else if !errors.As(err, &bad) {
				t.Fatalf("%v", err)
			}
			if bad.Line < 1 || bad.Line > bytes.Count(crypto.PlainText(file), []byte("\n"))+1 {
				t.Fatalf("%v", err)
			}
			return
		}
		var again bytes.Buffer
		line := 0
		for _, a := range list {
			if a.Value == "" || a.Name == "" || a.Name != Normalize(a.Spelled) || a.Line < line || !utf8.ValidString(a.Value) {
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

// nasty are values that a shell would run, expand or stumble over if it could.
func nasty() []string {
	return append(awkward(),
		"$(touch canary)", "`touch canary`", "';touch canary;'", "'$(touch canary)'", "\";touch canary;\"", "\\';touch canary;\\'", "'\"'`touch canary`'\"'",
		"$((1+1))", "${HOME}", "~", "~root", "=ls", "*", "!!", "it's !1", "x; touch canary", "x\ntouch canary\n", "'\ntouch canary\n'", "'\r\n$(touch canary)\r\n'",
		"$'\\x41'", "$\"a\"", "a#b", "# a", "\\", "\\\n", "'\\''", "''", "\r\n\r\n", "a\r", "<(touch canary)", "&& touch canary", "%s%n", "{a,b}", "[[ a ]]")
}

// A shell that sources the file has every value to the byte, and ran nothing.
func TestShellsSourceDotenv(t *testing.T) {
	var file, script strings.Builder
	script.WriteString(". ./env || exit 9\n")
	values := map[string]string{}
	for i, value := range nasty() {
		if strings.Contains(value, "\x00") {
			continue // no shell can hold it
		}
		name := ShellName(fmt.Sprintf("%d_name", i))
		values[name] = value
		file.WriteString(FormatDotenv(name, value))
		script.WriteString("printf %s \"$" + name + "\" >" + name + "\n")
	}
	for _, shell := range []string{"sh", "dash", "bash", "zsh", "ksh", "busybox"} {
		program, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("no %s here", shell)
			continue
		}
		t.Run(shell, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range map[string]string{"env": file.String(), "script": script.String()} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			args := []string{"script"}
			if shell == "busybox" {
				args = []string{"sh", "script"}
			}
			cmd := exec.Command(program, args...)
			cmd.Dir = dir
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			for name, value := range values {
				if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != value {
					t.Errorf("%s of %d bytes is another one in the shell", name, len(value))
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "canary")); err == nil {
				t.Error("a value was run")
			}
		})
	}
}

func TestShellName(t *testing.T) {
	for name, want := range map[string]string{
		"OPENAI_API_KEY": "OPENAI_API_KEY", "a-b": "A_B", "2FA": "_2FA", "PATH": "_PATH", "prompt_command": "_PROMPT_COMMAND", "LD_PRELOAD": "_LD_PRELOAD",
		"": "", "::": "", "x=y;touch z": "X_Y_TOUCH_Z", "PATHS": "PATHS", "$(ls)": "LS",
	} {
		if got := ShellName(name); got != want || Normalize(got) != Normalize(name) {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}
