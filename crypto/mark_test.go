package crypto

import (
	"regexp"
	"testing"
)

func TestMark(t *testing.T) {
	fernet, age := mustParse(t, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), mustParse(t, "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX")
	seen := map[string]bool{}
	shape := regexp.MustCompile(`^[0-9a-f]{16}$`)
	for _, tc := range []struct {
		key         *Key
		name, value string
	}{
		{fernet, "A", "x"}, {age, "A", "x"}, {mustGenerate(t, Fernet), "A", "x"}, {mustGenerate(t, Age), "A", "x"},
		{fernet, "B", "x"}, {fernet, "A", "y"}, {fernet, "A", ""}, {fernet, "", "A"}, {fernet, "A\x00", "x"}, {fernet, "Ax", ""}, {fernet, "A", "xx"},
	} {
		mark := tc.key.Mark(tc.name, []byte(tc.value))
		if !shape.MatchString(mark) || seen[mark] {
			t.Errorf("%q %q: the mark %q is not new, or not 16 characters", tc.name, tc.value, mark)
		}
		seen[mark] = true
		if mark != tc.key.Mark(tc.name, []byte(tc.value)) {
			t.Error("two marks of one value")
		}
	}
	// Every spelling of one key gives the same.
	hex := mustParse(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	if hex.Mark("A", []byte("x")) != fernet.Mark("A", []byte("x")) {
		t.Error("the spelling of the key changes the mark")
	}
	// Frozen: two releases side by side show the same diff. The numbers are
	// those of hmac.new(hmac.new(key, label, sha256).digest(), b"A\0x", sha256).
	if got := fernet.Mark("A", []byte("x")); got != "c88d67a8ed64e9e3" {
		t.Errorf("the mark changed: %s", got)
	}
	if got := age.Mark("A", []byte("x")); got != "3c25276b051f67c9" {
		t.Errorf("an age key's mark changed: %s", got)
	}
}
