package crypto

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Frozen, and made by other code: see testdata/signing.
func TestSigningVectors(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", "signing", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Keys          []string
		Public        string
		Fingerprint   string
		FingerprintV1 string `json:"fingerprint_v1"`
		Next          string
		Succession    string
		People        []struct{ List, Signature string }
	}
	if err := json.Unmarshal(content, &vectors); err != nil || len(vectors) < 3 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}

	for _, v := range vectors {
		next, ok := ParsePublicKey(v.Next)
		if !ok {
			t.Fatalf("%s is not read", v.Next)
		}
		for _, file := range v.Keys {
			k := mustParse(t, file)
			for _, both := range [][2]string{
				{k.Public().String(), v.Public},
				{k.Fingerprint(), v.Fingerprint},
				{k.FingerprintV1(), v.FingerprintV1},
				{k.SignSuccession(next).String(), v.Succession},
			} {
				if both[0] != both[1] {
					t.Errorf("%s, got %s, want %s", k, both[0], both[1])
				}
			}
			for _, list := range v.People {
				if got := k.SignPeople([]byte(list.List)).String(); got != list.Signature {
					t.Errorf("%s, %q: got %s, want %s", k, list.List, got, list.Signature)
				}
			}
		}
	}
}

func TestSignaturesHoldForOneMessageAlone(t *testing.T) {
	a, b, other := mustGenerate(t, Fernet), mustGenerate(t, Age), mustGenerate(t, Fernet)
	list := []byte("# Ann\nage1x\n")
	succession, people := a.SignSuccession(b.Public()), a.SignPeople(list)

	for what, holds := range map[string]bool{
		"succession": a.Public().VerifySuccession(b.Public(), succession),
		"people":     a.Public().VerifyPeople(list, people),
	} {
		if !holds {
			t.Errorf("%s: the signature does not hold", what)
		}
	}
	for what, holds := range map[string]bool{
		"another successor":           a.Public().VerifySuccession(other.Public(), succession),
		"another predecessor":         other.Public().VerifySuccession(b.Public(), succession),
		"the other way round":         b.Public().VerifySuccession(a.Public(), succession),
		"other people":                a.Public().VerifyPeople(append([]byte("#\n"), list...), people),
		"no people":                   a.Public().VerifyPeople(nil, people),
		"another key's people":        b.Public().VerifyPeople(list, people),
		"one kind for the other":      a.Public().VerifyPeople(list, succession),
		"a list that is a succession": a.Public().VerifySuccession(b.Public(), a.SignPeople(b.pub())),
		"no key":                      PublicKey{}.VerifyPeople(list, people),
		"no signature":                a.Public().VerifyPeople(list, Signature{}),
	} {
		if holds {
			t.Errorf("%s: the signature holds", what)
		}
	}

	for i := range people {
		for bit := range 8 {
			flipped := people
			flipped[i] ^= 1 << bit
			if a.Public().VerifyPeople(list, flipped) {
				t.Errorf("byte %d, bit %d: the signature holds still", i, bit)
			}
		}
	}
}

func (k *Key) pub() []byte { p := k.Public(); return p[:] }

func TestParsePublicKey(t *testing.T) {
	k := mustGenerate(t, Fernet)
	text := k.Public().String()
	if got, ok := ParsePublicKey(text); !ok || got != k.Public() || len(text) != 43 {
		t.Errorf("%q is not read", text)
	}
	signature := k.SignPeople(nil)
	if got, ok := ParseSignature(signature.String()); !ok || got != signature || len(signature.String()) != 86 {
		t.Errorf("%q is not read", signature)
	}

	// The last character has bits that no byte needs.
	last := text[:42] + nextStandard(text[42])
	for _, spelled := range []string{
		"", text[:42], text + "=", text + "A", last, text[:20] + "\n" + text[20:], " " + text, text + " ", text[:20] + "-" + text[21:],
		strings.Repeat("A", 43), strings.Repeat("A", 44),
	} {
		if _, ok := ParsePublicKey(spelled); ok {
			t.Errorf("%q is read", spelled)
		}
	}
	if _, ok := ParseSignature(text); ok {
		t.Error("a public half is read as a signature")
	}
	if got := (PublicKey{}).Fingerprint(); got != "" {
		t.Errorf("no key has the fingerprint %s", got)
	}
}

// nextStandard returns a character that differs from c in its last bit.
func nextStandard(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func TestEqual(t *testing.T) {
	fernet, age := mustGenerate(t, Fernet), mustGenerate(t, Age)
	if !fernet.Equal(mustParse(t, string(fernet.File())+"\n")) || !age.Equal(mustParse(t, "# mine\n"+string(age.File()))) {
		t.Error("a key does not equal itself")
	}
	hex := mustParse(t, fmt.Sprintf("%x", fernet.m.fernet[:]))
	if !hex.Legacy() || !hex.Equal(fernet) || hex.Public() != fernet.Public() {
		t.Error("64 hexadecimal characters are another key")
	}
	for _, pair := range [][2]*Key{{fernet, age}, {age, fernet}, {fernet, mustGenerate(t, Fernet)}, {age, mustGenerate(t, Age)}, {fernet, nil}, {nil, age}} {
		if pair[0].Equal(pair[1]) {
			t.Errorf("%v equals %v", pair[0], pair[1])
		}
	}
	if !(*Key)(nil).Equal(nil) {
		t.Error("no key does not equal no key")
	}
}

// An identity has 31 others of the same recipient, which sign as other keys.
func TestAlias(t *testing.T) {
	// The bytes 0x20 to 0x3f, and the same with bits changed that clamping sets.
	one := mustParse(t, "AGE-SECRET-KEY-1YQSJYGEYY5NZW2PF9G4JCTFW9UCRZV3NXS6NVDEC8YARK0PA8CLSWXGG7Q")
	two := mustParse(t, "AGE-SECRET-KEY-1Y5SJYGEYY5NZW2PF9G4JCTFW9UCRZV3NXS6NVDEC8YARK0PA8MLSK73Y4E")
	if !one.Alias(two) || !two.Alias(one) {
		t.Fatal("two identities of one recipient are not told to be")
	}
	sealed := mustSeal(t, one, []byte("x"))
	if plaintext, err := two.Open(sealed); err != nil || string(plaintext) != "x" {
		t.Errorf("the other identity of a recipient does not open: %v", err)
	}
	if one.Equal(two) || one.Public() == two.Public() {
		t.Error("two identities are one key")
	}
	for _, other := range []*Key{one, nil, mustGenerate(t, Age), mustGenerate(t, Fernet)} {
		if one.Alias(other) {
			t.Errorf("%v is taken for an alias", other)
		}
	}
}
