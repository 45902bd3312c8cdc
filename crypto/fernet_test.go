package crypto

import (
	"bytes"
	"crypto/aes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type vector struct {
	Desc   string
	Token  string
	Now    time.Time
	IV     []int
	Src    string
	Secret string
}

func vectors(t *testing.T, name string) []vector {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", "fernet", name))
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(file, &vs); err != nil {
		t.Fatal(err)
	}
	if len(vs) == 0 {
		t.Fatal("no vectors")
	}
	return vs
}

func mustParse(t testing.TB, file string) *Key {
	t.Helper()
	k, err := ParseKey([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustGenerate(t testing.TB, f Format) *Key {
	t.Helper()
	k, err := GenerateKey(f)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustSeal(t testing.TB, k *Key, plaintext []byte) []byte {
	t.Helper()
	sealed, err := k.Seal(plaintext)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestFernetGenerate(t *testing.T) {
	for _, v := range vectors(t, "generate.json") {
		var iv [aes.BlockSize]byte
		for i := range iv {
			iv[i] = byte(v.IV[i])
		}
		got := mustParse(t, v.Secret).m.fernet.sealAt([]byte(v.Src), v.Now, iv)
		if string(got) != v.Token {
			t.Errorf("got %s, want %s", got, v.Token)
		}
	}
}

func TestFernetVerify(t *testing.T) {
	for _, v := range vectors(t, "verify.json") {
		got, err := mustParse(t, v.Secret).Open([]byte(v.Token))
		if err != nil || string(got) != v.Src {
			t.Errorf("got %q, %v, want %q", got, err, v.Src)
		}
	}
}

func TestFernetInvalid(t *testing.T) {
	want := map[string]struct {
		reason    Reason
		plaintext string
	}{
		"incorrect mac":  {reason: WrongKey},
		"too short":      {reason: Truncated},
		"invalid base64": {reason: NotSealed},
		"payload size not multiple of block size": {reason: Truncated},
		"payload padding error":                   {reason: WrongKey},
		"incorrect IV (causes padding error)":     {reason: WrongKey},
		"invalid non-urlsafe characters in b64":   {reason: Truncated},
		// testdata/fernet/README.md says why these open.
		"far-future TS (unacceptable clock skew)": {},
		"expired TTL":                           {},
		"trailing characters after b64 padding": {plaintext: "hello"},
		"invalid characters in b64":             {plaintext: "hello"},
	}
	for _, v := range vectors(t, "invalid.json") {
		w, ok := want[v.Desc]
		if !ok {
			t.Errorf("no expectation for %q", v.Desc)
		}
		got, err := mustParse(t, v.Secret).Open([]byte(v.Token))
		if ReasonOf(err) != w.reason || (err != nil) != (w.reason != "") || string(got) != w.plaintext {
			t.Errorf("%s: got %q, %v, want reason %q", v.Desc, got, err, w.reason)
		}
	}
}

func TestSealIsStrict(t *testing.T) {
	k := mustGenerate(t, Fernet)
	for _, size := range []int{0, 1, 15, 16, 17, 47, 48, 1000} {
		sealed := mustSeal(t, k, make([]byte, size))
		payload, err := base64.URLEncoding.Strict().DecodeString(string(sealed))
		if err != nil || bytes.ContainsAny(sealed, "\r\n") {
			t.Fatalf("size %d: not one line of strict base64: %v", size, err)
		}
		if len(payload) != 1+8+16+(size/16+1)*16+32 {
			t.Errorf("size %d: payload has %d bytes", size, len(payload))
		}
		if again := mustSeal(t, k, make([]byte, size)); bytes.Equal(sealed[12:], again[12:]) {
			t.Errorf("size %d: the IV repeats", size)
		}
	}
}

func TestOpenSpellings(t *testing.T) {
	k := mustGenerate(t, Fernet)
	want := "\x00\xff{\"A\": \"b\"}" // of a length that makes the token end in ==
	token := string(mustSeal(t, k, []byte(want)))
	wrapped := ""
	for i := 0; i < len(token); i += 20 {
		wrapped += token[i:min(i+20, len(token))] + "\r\n"
	}
	utf16 := "\xff\xfe"
	for _, c := range token + "\r\n" {
		utf16 += string(c) + "\x00"
	}
	for name, spelling := range map[string]string{
		"newline":       token + "\n",
		"CRLF":          token + "\r\n",
		"leading blank": " \n" + token,
		"BOM":           "\ufeff" + token,
		"quotes":        `"` + token + `"`,
		"wrapped":       wrapped,
		"UTF-16":        utf16,
		"standard":      strings.NewReplacer("-", "+", "_", "/").Replace(token),
		"more padding":  token + "==",
		"text after":    token + "\nmore text",
	} {
		got, err := k.Open([]byte(spelling))
		if err != nil || string(got) != want {
			t.Errorf("%s: %v", name, err)
		}
		if f, err := Detect([]byte(spelling)); f != Fernet || err != nil {
			t.Errorf("%s: Detect: %q, %v", name, f, err)
		}
	}
}

func TestOpenAnyTime(t *testing.T) {
	k := mustGenerate(t, Fernet)
	for _, now := range []time.Time{time.Unix(0, 0), time.Unix(-1, 0), time.Now().AddDate(500, 0, 0)} {
		got, err := k.Open(k.m.fernet.sealAt([]byte("x"), now, [16]byte{}))
		if err != nil || string(got) != "x" {
			t.Errorf("%v: %v", now, err)
		}
	}
}

// A token that its key signed and that is no good all the same is refused, not
// a panic.
func TestOpenSignedNonsense(t *testing.T) {
	k := newFernetKey()
	for size := range 100 {
		payload := make([]byte, size)
		if size > 0 {
			payload[0] = fernetVersion
		}
		token := base64.URLEncoding.EncodeToString(k.mac(payload).Sum(payload))
		if _, ok := k.open([]byte(token)); ok {
			t.Errorf("a payload of %d zero bytes opened", size)
		}
	}
}
