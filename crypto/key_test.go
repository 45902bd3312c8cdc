package crypto

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestParseKeySpellings(t *testing.T) {
	// Both characters that the two alphabets spell differently are in it.
	raw := strings.Repeat("\xfb\xff\xbf01234567", 3)[:32]
	canonical := base64.URLEncoding.EncodeToString([]byte(raw))
	want := mustParse(t, canonical).Fingerprint()
	for name, tc := range map[string]struct {
		file   string
		legacy bool
	}{
		"canonical":         {canonical, false},
		"newline":           {canonical + "\n", false},
		"CRLF":              {canonical + "\r\n", false},
		"leading space":     {"  " + canonical, false},
		"BOM":               {"\ufeff" + canonical, false},
		"quotes":            {`"` + canonical + `"`, false},
		"text after":        {canonical + " the key of staging", false},
		"standard alphabet": {base64.StdEncoding.EncodeToString([]byte(raw)), false},
		"trailing bits":     {canonical[:42] + nextChar(canonical[42]) + "=", false},
		"hex":               {hex.EncodeToString([]byte(raw)), true},
		"hex, upper case":   {strings.ToUpper(hex.EncodeToString([]byte(raw))), true},
		"hex, newline":      {hex.EncodeToString([]byte(raw)) + "\r\n", true},
	} {
		k, err := ParseKey([]byte(tc.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if k.Format() != Fernet || k.Legacy() != tc.legacy || k.Fingerprint() != want || string(k.File()) != canonical {
			t.Errorf("%s: read as another key", name)
		}
	}
}

// nextChar returns a character that differs from c in its last bit, which the
// last character of a Fernet key does not use.
func nextChar(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func TestParseKeyErrors(t *testing.T) {
	fernet := string(mustGenerate(t, Fernet).File())
	age := string(mustGenerate(t, Age).File())
	other := string(mustGenerate(t, Age).File())
	sealed := string(mustSeal(t, mustGenerate(t, Fernet), []byte("x")))
	armored := string(mustSeal(t, mustGenerate(t, Age), []byte("x")))
	for name, tc := range map[string]struct {
		file   string
		reason Reason
		detail string
	}{
		"no bytes":         {"", EmptyKey, "no bytes"},
		"newline":          {"\n", EmptyKey, "blanks"},
		"BOM":              {"\ufeff\r\n", EmptyKey, "blanks"},
		"zero bytes":       {"\x00\x00\x00", EmptyKey, "blanks"},
		"no padding":       {fernet[:43], MalformedKey, "44 characters"},
		"short":            {fernet[:40], MalformedKey, "30 bytes"},
		"doubled":          {strings.TrimSuffix(fernet, "=") + fernet, MalformedKey, "44 characters"},
		"comment before":   {"# key\n" + fernet, MalformedKey, ""},
		"hex, space":       {" " + strings.Repeat("ab", 32), MalformedKey, "48 bytes"},
		"hex, 63":          {strings.Repeat("ab", 32)[1:], MalformedKey, ""},
		"text":             {"not a key, sorry", MalformedKey, ""},
		"merge markers":    {"<<<<<<< HEAD\n" + fernet + "\n=======\n", MalformedKey, "line 1"},
		"token":            {sealed, MalformedKey, "token"},
		"age file":         {armored, MalformedKey, "sealed age file"},
		"age recipient":    {"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", MalformedKey, "recipient"},
		"PEM":              {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n", MalformedKey, "PEM"},
		"age cut":          {age[:len(age)-1], MalformedKey, "line 1"},
		"age flipped":      {age[:30] + "b" + age[31:], MalformedKey, "line 1"},
		"age lower case":   {"# x\n" + strings.ToLower(age), MalformedKey, ""},
		"age in a comment": {"# " + age, MalformedKey, "commented out"},
		"two identities":   {age + "\n" + other, MalformedKey, "line 2"},
		"text after age":   {age + "\nstaging", MalformedKey, "line 2"},
	} {
		_, err := ParseKey([]byte(tc.file))
		if ReasonOf(err) != tc.reason || !strings.Contains(fmt.Sprint(err), tc.detail) {
			t.Errorf("%s: %v, want %q with %q", name, err, tc.reason, tc.detail)
		}
		for _, secret := range []string{fernet[4:12], age[20:28], sealed[20:28]} {
			if strings.Contains(fmt.Sprint(err), secret) {
				t.Errorf("%s: the error quotes the file", name)
			}
		}
	}
}

func TestFingerprint(t *testing.T) {
	for _, tc := range []struct{ file, want, v1 string }{
		// Frozen: retired keys are kept under these names, or under those of v1.
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "72a0e1114ec42fe82009b1d25304c1e8", "2a3c369b43b1eaadc0637eea5c1b9141"},
		{"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", "fe312337200aed3c3e37fb26b3951ef5", "a384936ea02132e3011df308c787ceeb"},
	} {
		k := mustParse(t, tc.file)
		if got, v1 := k.Fingerprint(), k.FingerprintV1(); got != tc.want || v1 != tc.v1 {
			t.Errorf("got %s and %s, want %s and %s", got, v1, tc.want, tc.v1)
		}
	}
	seen := map[string]bool{}
	for range 20 {
		for _, f := range []Format{Fernet, Age} {
			fp := mustGenerate(t, f).Fingerprint()
			if len(fp) != 32 || seen[fp] {
				t.Fatalf("fingerprint %q is not new, or not 32 characters", fp)
			}
			seen[fp] = true
		}
	}
}

func TestKeyFileRoundTrip(t *testing.T) {
	for _, f := range []Format{Fernet, Age} {
		k := mustGenerate(t, f)
		again := mustParse(t, string(k.File()))
		if again.Format() != f || again.Fingerprint() != k.Fingerprint() || again.Legacy() {
			t.Errorf("%s: another key", f)
		}
		if strings.ContainsAny(string(k.File()), "\r\n") {
			t.Errorf("%s: more than one line", f)
		}
	}
	if _, err := GenerateKey("rot13"); err == nil {
		t.Error("a key of an unknown format")
	}
}

// No verb of fmt and no encoder shows a key, not even from inside another value.
func TestKeyIsNeverPrinted(t *testing.T) {
	for _, f := range []Format{Fernet, Age} {
		k := mustGenerate(t, f)
		type holder struct{ key *Key }
		values := []any{k, *k, holder{k}, &holder{k}, struct{ Key Key }{*k}, []*Key{k}, map[string]Key{"k": *k}}
		out := ""
		for _, verb := range "vsdxXqgtbcUpT" {
			for _, flag := range []string{"", "+", "#", "#0"} {
				for _, v := range values {
					out += fmt.Sprintf("%"+flag+string(verb)+"\n", v)
				}
			}
		}
		for _, v := range values {
			j, _ := json.Marshal(v)
			out += string(j) + "\n"
		}
		var hides []string
		if f == Fernet {
			raw := k.m.fernet[:]
			hides = []string{string(k.File())[:16], hex.EncodeToString(raw)[:16], string(raw[:8]), strings.Trim(fmt.Sprint(raw[:6]), "[]")}
		} else {
			hides = []string{string(k.File())[20:36], hex.EncodeToString(k.File())[40:60]}
		}
		for _, h := range hides {
			if strings.Contains(strings.ToLower(out), strings.ToLower(h)) {
				t.Errorf("%s: a verb shows the key", f)
			}
		}
		if !strings.Contains(fmt.Sprint(k), k.Fingerprint()) {
			t.Errorf("%s: %%v does not show the fingerprint", f)
		}
	}
	if got := fmt.Sprint(Key{}); got != "no key" {
		t.Errorf("zero key prints %q", got)
	}
}
