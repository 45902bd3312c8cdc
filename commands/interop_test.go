//go:build unix

package commands_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// awkward are values that some tool on the way to the runtime would mangle, by
// the names that they are stored under.
func awkward() map[string]string {
	controls := make([]byte, 0, 0x21)
	for c := byte(0); c < 0x20; c++ {
		controls = append(controls, c)
	}
	values := []string{
		"plain", `"double"`, "'single'", `both " and '`, "''", `"`, "'", "$HOME ${HOME} $(id) `id`", "a=b==", "=", "#no comment", "a #b", "a# b",
		"line\nline\n", "\n", "\n\n", "a\r\nb\r\n", "lone \r in it", "\r", "ends in \r", "\ttab\t", " blanks around  ", " ", string(controls) + "\x7f",
		"\x1b[31mred\x1b[0m", `back\slash \n \t \\ \" \'`, `ends in \`, `\`, "${{ secrets.OTHER }}", "${{ x || '' }}", "emoji \U0001f511 \U0001f468\u200d\U0001f469\u200d\U0001f466",
		"caf\u00e9 cafe\u0301", "\u2028 and \u2029", "\u0085 next line", "\u00a0no-break\u00a0", "\ufeffa mark in front", "\ufffd", "\U0010ffff \uffff", "\u202eright to left",
		"- item", "key: value", "null", "true", "1e3", "0x1F", "2026-01-02", "~", "[a]", "{a: b}", "!tag", "&anchor", "*alias", "%TAG", "@at", "|", ">", "? ",
		"export A=1", `{"json": "in \u00e9 it"}`, "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n",
		strings.Repeat("0123456789abcdef", 4096), strings.Repeat("\u00e9\n", 1000),
	}
	named := map[string]string{}
	for i, value := range values {
		named[fmt.Sprintf("V%02d", i)] = value
	}
	return named
}

// sameSecrets compares without showing a value.
func sameSecrets(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name := range want {
		if value, ok := got[name]; !ok || value != want[name] {
			t.Errorf("%s differs: %d bytes (there: %v), want %d", name, len(got[name]), ok, len(want[name]))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d secrets, want %d", len(got), len(want))
	}
}

// TestTheRuntimeReadsWhatWeWrite: for each example formation Python decrypts
// to the bytes that were given.
func TestTheRuntimeReadsWhatWeWrite(t *testing.T) {
	sideBySide(t)
	python := cryptotest.Python(t)
	examples, err := os.ReadDir(filepath.Join("..", "testdata", "formations"))
	must(t, err)
	if len(examples) != 5 {
		t.Fatalf("%d examples, want 5", len(examples))
	}
	for _, example := range examples {
		t.Run(example.Name(), func(t *testing.T) {
			b := newSandbox(t, example.Name(), true)
			want := awkward()
			from := filepath.Join(t.TempDir(), "value")
			for i, name := range slices.Sorted(maps.Keys(want)) {
				if i%2 == 0 && !strings.HasSuffix(want[name], "\r") {
					b.do(want[name]+"\n", "add", name, "--stdin") // one line end, LF or CR LF, is taken off
				} else {
					must(t, os.WriteFile(from, []byte(want[name]), 0o600))
					b.do("", "add", name, "--from-file", from)
				}
			}
			got, class := python.ReadFormation(t, b.dir)
			if class != "" {
				t.Fatalf("the runtime cannot read it: %s", class)
			}
			sameSecrets(t, got, want)
		})
	}
}

// TestWeReadWhatTheRuntimeWrites: by get, by both forms of export, and by
// import of what was exported.
func TestWeReadWhatTheRuntimeWrites(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	want := awkward()
	cryptotest.Python(t).WriteFormation(t, b.dir, nil, want)
	for name, value := range want {
		if b.do("", "get", name).out != value {
			t.Errorf("get %s gives other bytes", name)
		}
	}
	exported := map[string]string{}
	must(t, json.Unmarshal([]byte(b.do("", "export", "--format", "json").out), &exported))
	sameSecrets(t, exported, want)

	other := newSandbox(t, simpleExample, false)
	other.do(b.do("", "export").out, "import", "-")
	got, _ := other.secrets()
	sameSecrets(t, got, want)

	// Through a file, and onto themselves: nothing changes.
	b.write(".gitignore", ".key\nvalues.env\n")
	b.do("", "export", "--output", "values.env")
	b.do("", "sync")
	b.do("", "hooks", "install") // as the first import would
	b.do("", "import", "values.env", "--overwrite")
	before := b.tree()
	b.do("", "import", "values.env", "--overwrite")
	for _, path := range differing(before, b.tree()) {
		if filepath.Base(path) != ".gitattributes" {
			t.Errorf("importing what was exported changed %s", path)
		}
	}
}

// TestOtherTypesSurvive: numbers, lists and the like, which older tools wrote,
// mean the same to Python after each command that writes.
func TestOtherTypesSurvive(t *testing.T) {
	sideBySide(t)
	python := cryptotest.Python(t)
	b := newSandbox(t, simpleExample, true)
	const types = `{"PORT": 5432, "BIG": 123456789012345678901234567890, "FLOAT": 1.0, "SMALL": 1e-300, "YES": true, "NOTHING": null,
 "LIST": [1, "two", {"three": [null]}], "NESTED": {"b": 1, "a": "\ud83d\udd11", "b2": {}}, "HALF": "\ud800 half", "lower-case name": "kept", "TWICE": "no", "TWICE": 2, "TEXT": "text"}`
	python.Run(t, `
import os, base64
from cryptography.fernet import Fernet
key = Fernet.generate_key()
open(os.path.join(request["dir"], ".key"), "wb").write(key)
open(os.path.join(request["dir"], "secrets.enc"), "wb").write(Fernet(key).encrypt(request["json"].encode()))
`, map[string]string{"dir": b.dir, "json": types}, nil)
	// check has Python compare, since Go cannot hold half a surrogate pair.
	check := func(after, change string) {
		t.Helper()
		var differ []string
		python.Run(t, `
import os, json
from cryptography.fernet import Fernet
read = lambda name: open(os.path.join(request["dir"], name), "rb").read()
want = json.loads(request["json"])
exec(request["change"])
got = json.loads(Fernet(read(".key")).decrypt(read("secrets.enc")).decode())
same = lambda a, b: type(a) == type(b) and json.dumps(a) == json.dumps(b)
response = sorted(n for n in set(want) | set(got) if n not in want or n not in got or not same(want[n], got[n]))
`, map[string]string{"dir": b.dir, "json": types, "change": change}, &differ)
		if len(differ) > 0 {
			t.Errorf("after %s other than it should be: %v", after, differ)
		}
	}
	check("nothing", "")
	change := "want['ADDED'] = 'x'"
	b.do("x", "add", "ADDED", "--stdin")
	check("add", change)
	change += "; del want['TEXT']"
	b.do("", "delete", "TEXT")
	check("delete", change)
	change += "; want['DOOR'] = want.pop('PORT'); want['WHOLE'] = want.pop('HALF')"
	b.do("", "rename", "PORT", "DOOR")
	b.do("", "rename", "HALF", "WHOLE")
	check("rename", change)
	change += "; want['IMPORTED'] = 'y'; want['NOTHING'] = 'given'"
	b.do("IMPORTED=y\nNOTHING=given\n", "import", "-", "--overwrite")
	check("import", change)
	change += "; want['LIST'] = 'now text'"
	b.do("now text", "add", "LIST", "--stdin")
	check("add over a list", change)
	b.do("", "sync")
	check("sync", change)
	b.do("", "list")
	// A number is given out as its JSON; half a character cannot be.
	if r := b.call(run{}, "get", "DOOR"); r.code != 0 || r.out == "" {
		t.Errorf("get of a number: exit %d\n%s", r.code, r.err)
	}
	for _, args := range [][]string{{"get", "WHOLE"}, {"export"}} {
		if r := b.call(run{}, args...); r.code != 3 || !strings.Contains(r.err, "hint: ") {
			t.Errorf("%s of what is no text: exit %d\n%s", args[0], r.code, r.err)
		}
	}
}

// TestRenderedYAML: Python's YAML finds the values in what render prints.
func TestRenderedYAML(t *testing.T) {
	sideBySide(t)
	python := cryptotest.Python(t)
	b := newSandbox(t, simpleExample, true)
	want := awkward()
	python.WriteFormation(t, b.dir, nil, want)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(want)) {
		fmt.Fprintf(&text, "%s: ${{ secrets.%s }}\n%s_QUOTED: \"a ${{secrets.%s}} z\"\n%s_LIST: ['${{ secrets.%s }}'] # comment\n", name, name, name, name, name, name)
	}
	b.write("awkward.afs", text.String())
	var got map[string]string
	python.Run(t, `
try:
    import yaml
except ImportError:
    yaml = None
if yaml is None:
    response = None
else:
    response = {}
    for name, value in yaml.safe_load(request).items():
        if isinstance(value, list):
            value = value[0]
        response[name] = value if isinstance(value, str) else "not a string"
`, b.do("", "render", "awkward.afs", "--reveal").out, &got)
	if got == nil {
		needs.Missing(t, "python3 has no yaml (Debian: python3-yaml)")
	}
	for name, value := range want {
		if got[name] != value || got[name+"_LIST"] != value {
			t.Errorf("%s does not come out of the YAML as it is stored", name)
		}
		if got[name+"_QUOTED"] != "a "+value+" z" {
			t.Errorf("%s does not come out within a string as it is stored", name)
		}
	}
}

// TestDotenvRules is contract and code side by side.
func TestDotenvRules(t *testing.T) {
	sideBySide(t)
	tests := []struct {
		name, file string
		want       map[string]string
		code       int
	}{
		{"plain", "A=1\nB=two words\n", map[string]string{"A": "1", "B": "two words"}, 0},
		{"export is stripped", "export A=1\n export\tB=2\nEXPORT=3\nexported=4\n", map[string]string{"A": "1", "B": "2", "EXPORT": "3", "EXPORTED": "4"}, 0},
		{"$ is never expanded", "A=$HOME\nB=\"${HOME}\"\nC='$HOME'\nD=$(id)\n", map[string]string{"A": "$HOME", "B": "${HOME}", "C": "$HOME", "D": "$(id)"}, 0},
		{"single quotes are literal", `A='\n\t\"\\ "x" #y '` + "\n", map[string]string{"A": `\n\t\"\\ "x" #y `}, 0},
		{"double quotes know four escapes", `A="a\nb\tc\"d\\e\r\$\x"` + "\n", map[string]string{"A": "a\nb\tc\"d\\e\\r\\$\\x"}, 0},
		{"comment behind an unquoted value", "A=a #b\nB=a#b\nC=a\t# b\nD=#x\nE='a' # b\nF=\"a\"#b\n", map[string]string{"A": "a", "B": "a#b", "C": "a", "E": "a", "F": "a"}, 0},
		{"template lines are skipped", "A=\nB=''\nC=\"\"\nD=   \nE=1\n", map[string]string{"E": "1"}, 0},
		{"CRLF", "A=1\r\nB='2'\r\nC=\"3\"\r\n\r\n# x\r\n", map[string]string{"A": "1", "B": "2", "C": "3"}, 0},
		{"BOM", "\ufeffA=1\n", map[string]string{"A": "1"}, 0},
		{"no newline at the end", "A=1\nB=2", map[string]string{"A": "1", "B": "2"}, 0},
		{"several lines", "A=\"one\ntwo\"\nB='three\nfour'\nC=5\n", map[string]string{"A": "one\ntwo", "B": "three\nfour", "C": "5"}, 0},
		{"blanks around", "  A = 1 \nB= '2' \n", map[string]string{"A": "1", "B": "2"}, 0},
		{"names are normalised", "openai-api-key=1\n", map[string]string{"OPENAI_API_KEY": "1"}, 0},
		{"the last one counts", "A=1\na=2\n", map[string]string{"A": "2"}, 0},
		{"= in the value", "A=b=c==\n", map[string]string{"A": "b=c=="}, 0},
		{"comments and blanks", "# A=1\n\n   # B=2\n", nil, 0},
		{"empty", "", nil, 0},
		{"no =", "A=1\nnonsense\n", nil, 3},
		{"no name", "=1\n", nil, 3},
		{"open quote", "A=1\nB=\"x\n", nil, 3},
		{"text behind a quote", "A='x' y\n", nil, 3},
		{"not UTF-8", "A=\xff\n", nil, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newSandbox(t, simpleExample, false)
			before := b.tree()
			r := b.call(run{stdin: tt.file}, "import", "-")
			if r.code != tt.code {
				t.Fatalf("exit %d, want %d\n%s", r.code, tt.code, r.err)
			}
			if tt.want == nil {
				if differ := differing(before, b.tree()); len(differ) > 0 {
					t.Errorf("nothing to import, and yet %v changed", differ)
				}
				return
			}
			got, _ := b.secrets()
			sameSecrets(t, got, tt.want)
		})
	}
}
