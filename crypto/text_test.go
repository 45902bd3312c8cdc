package crypto

import (
	"testing"
	"unicode/utf8"
)

func TestHandedOver(t *testing.T) {
	for content, want := range map[string]string{
		"":                                   "",
		"a\r\nb":                             "a\r\nb",
		"\xef\xbb\xbfa":                      "a",
		"\xff\xfea\x00\r\x00\n\x00":          "a\r\n",
		"\xfe\xff\x00a":                      "a",
		"\xff\xfe=\xd8\x11\xdd":              "\U0001f511",
		"\xff\xfe=\xd8":                      "\xff\xfe=\xd8", // half a pair
		"\xff\xfe=\xd8a\x00":                 "\xff\xfe=\xd8a\x00",
		"\xff\xfea":                          "\xff\xfea",
		"> a\n>\n> > b\n>>c\n":               "a\n\nb\nc\n",
		"\n > a\r\nb\n":                      "\na\r\nb\n",
		"a\n> b\n":                           "a\n> b\n", // it quotes something itself
		"\xff\xfe>\x00 \x00a\x00\n\x00b\x00": "a\nb",
	} {
		if got := string(HandedOver([]byte(content))); got != want {
			t.Errorf("%q: got %q, want %q", content, got, want)
		}
	}
}

func FuzzHandedOver(f *testing.F) {
	for _, seed := range [...]string{"> a\n", "\xff\xfea\x00", "\xfe\xff\x00", ">", ">>> >"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		got := HandedOver(content)
		if utf8.Valid(content) && len(got) > len(content) {
			t.Fatal("it grew")
		}
	})
}
