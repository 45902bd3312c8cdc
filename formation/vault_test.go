package formation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
)

func mustDecode(t *testing.T, plaintext string) *Vault {
	t.Helper()
	v, err := DecodeVault([]byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// awkward are values that have broken some tool.
func awkward() []string {
	values := []string{
		"", " ", "a", "\"", "\\", "\\n", "\\\\\"", "/", "'", "$HOME", "${{ secrets.A }}", "a=b", "\n", "\r\n", "\t\b\f\v", "\x00", "\x1f", "\x7f",
		"é", "日本", "\U0001f511", "\u2028\u2029", "\ufeff", "\ufffd", "\uffff", "\U0010ffff", "<&>", "null", "1e400", "{\"a\": 1}", "line\nline\n",
		strings.Repeat("x\"\\\n\U0001f511", 64<<10/8), "\\ud800", "\\u0041",
	}
	for r := rune(0); r < 0x100; r++ {
		values = append(values, "a"+string(r)+"b")
	}
	return values
}

// The bytes are those of Python's json.dumps(indent=2, sort_keys=True), and
// what was written is read back.
func TestEncodeAgreesWithPython(t *testing.T) {
	python := cryptotest.Python(t)
	values := awkward()
	all := NewVault()
	vaults := []*Vault{NewVault(), all}
	for i, value := range values {
		one := NewVault()
		one.Set(fmt.Sprintf("N%d", i), value)
		vaults = append(vaults, one)
		all.Set(fmt.Sprintf("N%d", i), value)
		all.Set(value, "a name of any kind")
	}
	requests := make([]map[string]string, len(vaults))
	for i, v := range vaults {
		requests[i] = map[string]string{}
		for _, name := range v.Names() {
			requests[i][name], _, _ = v.Get(name)
		}
	}
	var want []string
	python.Run(t, "import json\nresponse = [json.dumps(v, indent=2, sort_keys=True) for v in request]", requests, &want)
	for i, v := range vaults {
		encoded := v.Encode()
		if string(encoded) != want[i] {
			t.Errorf("vault %d: other bytes than Python's", i)
		}
		again, err := DecodeVault(encoded)
		if err != nil || !slices.Equal(again.Names(), v.Names()) {
			t.Errorf("vault %d: not read back: %v", i, err)
			continue
		}
		for _, name := range v.Names() {
			a, _, _ := v.Get(name)
			if b, ok, err := again.Get(name); a != b || !ok || err != nil {
				t.Errorf("vault %d: %q is read back as something else", i, name)
			}
		}
	}
}

// What Python's json.loads makes of a plaintext is what DecodeVault makes of
// it, errors included.
func TestDecodeAgreesWithPython(t *testing.T) {
	python := cryptotest.Python(t)
	cases := []string{
		`{}`, ` { } `, `{"A": "x"}`, `{"A":"x","B":"y"}`, "{\r\n\t\"A\"\n: \"x\"\n}\n", `{"A": "x", "A": "y"}`, `{"A": "\u0041\/\b"}`,
		`{"A": "\ud83d\udd11"}`, `{"A": "\\ud800"}`, `{"A": "\u00e9é"}`, `{"\u0041": "x", "A": "y"}`, `{"A": "\u0000"}`,
		``, ` `, `{`, `}`, `{"A"}`, `{"A":}`, `{"A": "x",}`, `{,}`, `{"A" "x"}`, `{"A": "x" "B": "y"}`, `{"A": "x"} x`, `{"A": "x"}{}`, `{A: "x"}`,
		`{'A': 'x'}`, `{1: "x"}`, `{"A": "x]`, "{\"A\": \"a\nb\"}", "{\"A\": \"a\x1fb\"}", `{"A": "\x"}`, `{"A": "\u12"}`, `{"A": x}`, "\ufeff{}", "{}\x00",
		`{"A": "x"]`, "{\"A\": \"\x7f\"}",
	}
	type answer struct {
		Values map[string]string
		Class  string
	}
	var want []answer
	python.Run(t, `
import json
response = []
for s in request:
    try:
        response.append({'Values': json.loads(s), 'Class': ''})
    except Exception as e:
        response.append({'Values': {}, 'Class': type(e).__name__})
`, cases, &want)
	for i, text := range cases {
		v, err := DecodeVault([]byte(text))
		if (err != nil) != (want[i].Class != "") {
			t.Errorf("%q: %v, python %q", text, err, want[i].Class)
			continue
		}
		if err != nil {
			continue
		}
		if v.Len() != len(want[i].Values) {
			t.Errorf("%q: %d names, python %d", text, v.Len(), len(want[i].Values))
		}
		for name, value := range want[i].Values {
			if got, ok, err := v.Get(name); got != value || !ok || err != nil {
				t.Errorf("%q: %q differs, %v", text, name, err)
			}
		}
	}
}

func TestDecodeVaultErrors(t *testing.T) {
	for _, text := range [...]string{"", "null", "[]", `"A"`, "1", "{", `{"A": "hunter2"`, `{"A": "hunter2",}`, "{} hunter2", "\ufeff{}", "{\"A\": \"hunter2\xff\"}", "{\"hunter2\": hunter2}"} {
		_, err := DecodeVault([]byte(text))
		var content *ContentError
		if !errors.As(err, &content) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error repeats what was read", text)
		}
	}
}

// Values of other JSON types, as older tools wrote them, survive every write,
// byte for byte as Python would write them again.
func TestOtherValuesSurvive(t *testing.T) {
	python := cryptotest.Python(t)
	var plaintext string
	python.Run(t, `
import json
response = json.dumps({
    'BIG': 12345678901234567890123, 'BOOL': True, 'FLOAT': 1e-07, 'HALF': '\ud83d', 'HALF2': 'a\udd11b', 'LIST': [1, 'a', {'b': []}],
    'MAP': {'b': 1, 'c': {'d': None}}, 'NULL': None, 'NUMBER': 5432, 'PAIR': '\U0001f511', 'TEXT': 'x', 'TWO': '\ud83d\ud83d\udd11',
}, indent=2, sort_keys=True)
`, nil, &plaintext)
	v := mustDecode(t, plaintext)
	if string(v.Encode()) != plaintext {
		t.Error("decoding and encoding changed the bytes")
	}
	for _, name := range v.Names() {
		_, ok, err := v.Get(name)
		text := name == "TEXT" || name == "PAIR"
		if !ok || text != (err == nil) || !text && !errors.Is(err, ErrNotText) {
			t.Errorf("%s: there %t, %v", name, ok, err)
		}
	}
	v.Set("TEXT", "changed")
	v.Copy("MAP", "ZMAP")
	if !v.Same("MAP", "ZMAP") || v.Same("MAP", "LIST") || v.Same("MAP", "NONE") {
		t.Error("Same is wrong about a copy")
	}
	v.Delete("ZMAP")
	if string(v.Encode()) != strings.Replace(plaintext, `"TEXT": "x"`, `"TEXT": "changed"`, 1) {
		t.Error("writing one value changed others")
	}
	if !v.Set("NUMBER", "5432") {
		t.Error("a text in place of a number is a change")
	}
	if got, _, err := v.Get("NUMBER"); got != "5432" || err != nil {
		t.Errorf("a number, overwritten: %v", err)
	}
}

// Of a name that comes twice the last value counts, as in Python.
func TestDuplicateNames(t *testing.T) {
	v := mustDecode(t, `{"A": "1", "B": "2", "A": 3, "A": "4"}`)
	if got, _, err := v.Get("A"); got != "4" || err != nil || v.Len() != 2 {
		t.Errorf("%d names, the last value is not the one: %v", v.Len(), err)
	}
	if string(v.Encode()) != "{\n  \"A\": \"4\",\n  \"B\": \"2\"\n}" {
		t.Error("other bytes")
	}
}

func TestVault(t *testing.T) {
	v := NewVault()
	if string(v.Encode()) != "{}" {
		t.Error("an empty vault is not {}")
	}
	if !v.Set("A", "x") || v.Set("A", "x") || !v.Set("A", "y") || !v.Set("B", "") || v.Set("B", "") {
		t.Error("Set is wrong about what changed")
	}
	if !v.Has("A") || v.Has("a") || v.Len() != 2 {
		t.Error("Has or Len")
	}
	if name, ok := v.Find("a"); name != "A" || !ok {
		t.Errorf("Find(a) = %q, %t", name, ok)
	}
	if name, ok := v.Find("no-such"); name != "NO_SUCH" || ok {
		t.Errorf("Find(no-such) = %q, %t", name, ok)
	}
	v.Set("old-name", "z") // as an older tool stored it
	if name, ok := v.Find("old-name"); name != "old-name" || !ok {
		t.Errorf("Find(old-name) = %q, %t", name, ok)
	}
	if _, ok, err := v.Get("C"); ok || err != nil {
		t.Error("Get of what is not there")
	}
	if !v.Delete("A") || v.Delete("A") || v.Has("A") {
		t.Error("Delete")
	}
	v.Copy("none", "B")
	if value, _, _ := v.Get("B"); value != "" {
		t.Error("Copy of nothing changed something")
	}
}

// Changed agrees with comparing what would be written, after any changes.
func TestVaultChanged(t *testing.T) {
	const plaintext = `{"A": "1", "B": [2], "C": "3", "D": "1"}`
	rnd := rand.New(rand.NewPCG(9, 10))
	names, values := []string{"A", "B", "C", "D", "E"}, []string{"1", "3", "[2]", ""}
	same := 0
	for range 3000 {
		v := mustDecode(t, plaintext)
		before := v.Encode()
		for range 1 + rnd.IntN(5) {
			name := names[rnd.IntN(len(names))]
			switch rnd.IntN(3) {
			case 0:
				v.Set(name, values[rnd.IntN(len(values))])
			case 1:
				v.Delete(name)
			case 2:
				v.Copy(names[rnd.IntN(len(names))], name)
			}
			want := !bytes.Equal(v.Encode(), before)
			if v.Changed() != want {
				t.Fatalf("Changed is %t", v.Changed())
			}
			if !want {
				same++
			}
		}
	}
	if same == 0 {
		t.Error("no sequence ended where it began")
	}
}

// No verb prints a value.
func TestVaultNeverPrints(t *testing.T) {
	v := mustDecode(t, `{"A": "marker-value", "B": ["marker-value"]}`)
	for _, verb := range [...]string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		text := fmt.Sprintf(verb, v) + fmt.Sprintf(verb, &Opened{Formation: &Formation{}, Vault: v})
		if strings.Contains(text, "marker") || strings.Contains(text, "6d61726b6572") || strings.Contains(text, "109 97 114") {
			t.Errorf("%s prints a value", verb)
		}
	}
}

func FuzzDecodeVault(f *testing.F) {
	for _, seed := range [...]string{`{}`, `{"A": "x"}`, `{"A": 1, "A": "y"}`, `{"A": "\ud800", "\u0042": "\ud83d\udd11"}`, `{"A": [1, {"b": null}]}`, "\ufeff{}", `{"A": "x",}`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		v, err := DecodeVault(plaintext)
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal(plaintext, &want)
		if wantErr == nil && (want == nil || !utf8.Valid(plaintext)) {
			wantErr = errors.New("null, or no UTF-8")
		}
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("refused %t, encoding/json %t", err != nil, wantErr != nil)
		}
		if err != nil {
			return
		}
		if v.Len() != len(want) {
			t.Fatalf("%d names, encoding/json %d", v.Len(), len(want))
		}
		for name, raw := range want {
			value, ok, err := v.Get(name)
			var text string
			isText := json.Unmarshal(raw, &text) == nil && raw[0] == '"'
			switch {
			case !ok:
				t.Fatal("a name is missing")
			case err == nil && (!isText || text != value):
				t.Fatal("a value differs from encoding/json's")
			case err != nil && isText && !strings.ContainsRune(text, utf8.RuneError):
				t.Fatal("a text is said to be none")
			}
		}
		once := v.Encode()
		again, err := DecodeVault(once)
		if err != nil {
			t.Fatalf("what was encoded is refused: %v", err)
		}
		if !bytes.Equal(again.Encode(), once) {
			t.Fatal("encoding is not stable")
		}
	})
}

func FuzzEncodeVault(f *testing.F) {
	for _, seed := range awkward()[:32] {
		f.Add("NAME", seed)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return // refused before it comes here
		}
		v := NewVault()
		v.Set("B", "b")
		v.Set(name, value)
		encoded := v.Encode()
		again, err := DecodeVault(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok, err := again.Get(name); got != value || !ok || err != nil {
			t.Fatalf("not read back: there %t, %v", ok, err)
		}
		var want map[string]string
		if json.Unmarshal(encoded, &want) != nil || want[name] != value || len(want) != v.Len() {
			t.Fatal("encoding/json reads something else")
		}
		for _, c := range encoded {
			if c != '\n' && (c < ' ' || c > '~') {
				t.Fatalf("byte %#x is not ASCII text", c)
			}
		}
	})
}
