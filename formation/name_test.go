package formation

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
)

func TestNormalize(t *testing.T) {
	for _, test := range [...]struct{ name, want string }{
		// from MUXI's own documentation
		{"openai-api-key", "OPENAI_API_KEY"},
		{"MySecret123", "MYSECRET123"},
		{"test--double", "TEST_DOUBLE"},
		{"_leading_", "LEADING"},
		{"GitHubToken", "GITHUBTOKEN"},

		{"OPENAI_API_KEY", "OPENAI_API_KEY"},
		{"", ""},
		{"_", ""},
		{" \t-_. ", ""},
		{"a__b", "A_B"},
		{"a-_-b", "A_B"},
		{"1", "1"},
		{"straße", "STRASSE"},
		{"ﬁle", "FILE"},
		{"eﬃcient", "EFFICIENT"},
		{"ŉ", "N"},
		{"aŉb", "A_NB"},
		{"aǰb", "AJ_B"},
		{"é", ""},
		{"clé-api", "CL_API"},
		{"日本", ""},
		{"a日本b", "A_B"},
		{"\u212a", ""}, // the Kelvin sign is a capital already
		{"a\x00b", "A_B"},
		{"a\xffb", "A_B"}, // no UTF-8
		{"a=b", "A_B"},
	} {
		if got := Normalize(test.name); got != test.want {
			t.Errorf("Normalize(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}

// pythonNormalize is what MUXI does with a name, in MUXI's language.
const pythonNormalize = `
import re
def normalize(s):
    return re.sub(r'_+', '_', re.sub(r'[^A-Z0-9_]', '_', s.upper())).strip('_')
`

// Every code point, alone and between letters, and a few thousand mixtures of
// those that turn into something else.
func TestNormalizeAgreesWithPython(t *testing.T) {
	if testing.Short() {
		t.Skip("it asks Python for every character there is, and -short is given")
	}
	python := cryptotest.Python(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	var special []rune
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if Normalize(string(r)) != "" || r == '_' || r == '-' {
			special = append(special, r)
		}
	}
	special = append(special, 'é', 'Ω', '日', '\u0130', '\u0345', '\u212a', '\u1e9e', '\U0001f511')
	mixed := make([]string, 20_000)
	for i := range mixed {
		var name []rune
		for range rnd.IntN(12) {
			name = append(name, special[rnd.IntN(len(special))])
		}
		mixed[i] = string(name)
	}
	var answer struct {
		Alone   []string // names that are not "", as "hex point NAME"
		Between []string // names that are not A_B
		Mixed   []string
	}
	python.Run(t, pythonNormalize+`
response = {'Alone': [], 'Between': [], 'Mixed': [normalize(s) for s in request]}
for point in range(0x110000):
    if 0xd800 <= point < 0xe000:
        continue
    if name := normalize(chr(point)):
        response['Alone'] += [f'{point:x}', name]
    if (name := normalize('a' + chr(point) + 'b')) != 'A_B':
        response['Between'] += [f'{point:x}', name]
`, mixed, &answer)
	pairs := func(list []string) map[string]string {
		set := map[string]string{}
		for i := 0; i+1 < len(list); i += 2 {
			set[list[i]] = list[i+1]
		}
		return set
	}
	alone, between := pairs(answer.Alone), pairs(answer.Between)
	if len(alone) < 26+26+10 || len(between) < len(alone) || len(answer.Mixed) != len(mixed) {
		t.Fatalf("python gave %d, %d and %d names", len(alone), len(between), len(answer.Mixed))
	}
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if r >= 0xd800 && r < 0xe000 {
			continue
		}
		point := strconv.FormatInt(int64(r), 16)
		if got := Normalize(string(r)); got != alone[point] {
			t.Errorf("U+%s alone: %q, python %q", point, got, alone[point])
		}
		want, ok := between[point]
		if !ok {
			want = "A_B"
		}
		if got := Normalize("a" + string(r) + "b"); got != want {
			t.Errorf("U+%s between letters: %q, python %q", point, got, want)
		}
	}
	for i, name := range mixed {
		if got := Normalize(name); got != answer.Mixed[i] {
			t.Errorf("%+q: %q, python %q", name, got, answer.Mixed[i])
		}
	}
}

// What is stored is what is looked up: a normalised name stays as it is.
func FuzzNormalize(f *testing.F) {
	for _, seed := range [...]string{"", "a-b", "straße", "ŉ", "_x_", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		once := Normalize(name)
		if Normalize(once) != once {
			t.Fatalf("%+q: not stable", name)
		}
		for i := range len(once) {
			c := once[i]
			if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
				t.Fatalf("%+q: byte %#x in the name", name, c)
			}
			if c == '_' && (i == 0 || i == len(once)-1 || once[i-1] == '_') {
				t.Fatalf("%+q: a _ too many", name)
			}
		}
	})
}
