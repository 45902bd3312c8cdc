package formation

import (
	"regexp"
	"testing"
)

// Each alphabet is the set that its letter stands for.
func TestAlphabets(t *testing.T) {
	for letter, set := range map[Alphabet]string{
		'a': "[A-Za-z0-9]", 'l': "[a-z0-9]", 'u': "[A-Z0-9]", 'd': "[0-9]", 'h': "[0-9a-f]", 'x': "[0-9A-Fa-f]",
		'i': "[-0-9a-f]", 'w': "[-A-Za-z0-9_]", 'k': "[-A-Za-z0-9_.]", 'q': "[-A-Za-z0-9_.~]",
		'b': "[A-Za-z0-9+/]", 'e': "[A-Za-z0-9+/_-]", 'm': "[MNO]", '?': "[^\\x00-\\x{10ffff}]",
	} {
		in := regexp.MustCompile("^" + set + "$")
		for b := range 128 {
			if got, want := letter.Has(byte(b)), in.Match([]byte{byte(b)}); got != want {
				t.Errorf("%c has %q: %t", letter, rune(b), got)
			}
		}
		for b := 128; b < 256; b++ {
			if letter.Has(byte(b)) {
				t.Errorf("%c has byte %#x", letter, b)
			}
		}
	}
}
