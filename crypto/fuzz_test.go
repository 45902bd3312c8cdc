package crypto

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"filippo.io/age/armor"
)

// Every error of reading is an *Error with one of the reasons.
func checkReason(t *testing.T, err error, allowed ...Reason) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%T is no *Error", err)
	}
	for _, r := range allowed {
		if e.Reason == r && e.Detail != "" {
			return
		}
	}
	t.Fatalf("unexpected reason %q (%q)", e.Reason, e.Detail)
}

func FuzzOpen(f *testing.F) {
	k, err := ParseKey([]byte("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="))
	if err != nil {
		f.Fatal(err)
	}
	token := "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="
	for _, seed := range []string{"", `"`, token, token + "trailing", token[:40], token[:98], "\ufeff" + token, "{}", "A=b\n", "<<<<<<< HEAD\n" + token,
		"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n", "age-encryption.org/v1\n"} {
		f.Add([]byte(seed))
	}
	payload, _ := base64.URLEncoding.DecodeString(token)
	f.Fuzz(func(t *testing.T, sealed []byte) {
		before := bytes.Clone(sealed)
		plaintext, err := k.Open(sealed)
		if !bytes.Equal(sealed, before) {
			t.Fatal("the input was changed")
		}
		_, detectErr := Detect(sealed)
		if err != nil {
			checkReason(t, err, WrongKey, Truncated, NotSealed, MergeMarkers, Filtered, EmptyFile)
			if detectErr != nil {
				checkReason(t, detectErr, Truncated, NotSealed, MergeMarkers, Filtered, EmptyFile)
			}
			return
		}
		// Nothing but other spellings of the signed bytes opens.
		if again, err := decodeBase64(sealed); err != nil || !bytes.Equal(again, payload) || string(plaintext) != "hello" {
			t.Fatal("a forged token opened")
		}
	})
}

func FuzzBase64(f *testing.F) {
	for _, seed := range []string{"", "QQ==", "QQ=QQ", "QUI=Q", "QUJD\n", "Q", "QQ=\n=", "QR==", "-_+/", "=QQ=="} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := decodeBase64(in)
		slow, slowErr := decodeBase64Leniently(make([]byte, len(in)/4*3+3), in)
		if !bytes.Equal(got, slow) || (err == nil) != (slowErr == nil) {
			t.Fatalf("the fast path differs: %q %v, %q %v", got, err, slow, slowErr)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{"", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=", "\ufeffcw_0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4= x\r\n",
		"730ff4c7af3d46923e8ed451ee813c87f790b0a226bc96a92de49b5e9c05e1ee\n", "# x\nAGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n",
		"AGE-SECRET-KEY-PQ-1", "-----BEGIN OPENSSH PRIVATE KEY-----", "<<<<<<< x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		k, err := ParseKey(file)
		if err != nil {
			checkReason(t, err, EmptyKey, MalformedKey)
			return
		}
		again, err := ParseKey(k.File())
		if err != nil {
			t.Fatal(err)
		}
		if again.Fingerprint() != k.Fingerprint() || again.Legacy() || again.Format() != k.Format() {
			t.Fatal("the canonical spelling is another key")
		}
		sealed, err := k.Seal([]byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Open(sealed); err != nil || string(got) != "x" {
			t.Fatalf("the canonical spelling does not open: %v", err)
		}
	})
}

func FuzzSealOpen(f *testing.F) {
	var keys [2]*Key
	for i, format := range []Format{Fernet, Age} {
		k, err := GenerateKey(format)
		if err != nil {
			f.Fatal(err)
		}
		keys[i] = k
	}
	f.Add([]byte(""), 0, byte(0))
	f.Add([]byte("{\n  \"A\": \"b\"\n}"), 30, byte(1))
	f.Fuzz(func(t *testing.T, plaintext []byte, at int, mask byte) {
		for _, k := range keys {
			sealed, err := k.Seal(plaintext)
			if err != nil {
				t.Fatal(err)
			}
			if f, err := Detect(sealed); f != k.Format() || err != nil {
				t.Fatalf("detected as %q: %v", f, err)
			}
			if got, err := k.Open(sealed); err != nil || !bytes.Equal(got, plaintext) {
				t.Fatalf("round trip: %v", err)
			}
			// A changed byte never gives another plaintext, nor a reason that
			// a changed byte does not have.
			sealed[int(uint(at)%uint(len(sealed)))] ^= mask
			got, err := k.Open(sealed)
			if err != nil {
				checkReason(t, err, WrongKey)
			} else if !bytes.Equal(got, plaintext) {
				t.Fatal("a changed byte changed the plaintext")
			}
		}
	})
}

// FuzzBeside: what is nothing but sealed has no letter that is none of base64's,
// nor any word behind its end.
func FuzzBeside(f *testing.F) {
	token := mustSeal(f, mustGenerate(f, Fernet), []byte("x"))
	armored := mustSeal(f, mustGenerate(f, Age), []byte("x"))
	for _, more := range []string{"", "\n", "\nA=b", "=", "é"} {
		f.Add(append(bytes.Clone(token), more...))
		f.Add(append(bytes.Clone(armored), more...))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, err := Detect(content); err != nil || bytes.HasPrefix(content, []byte(ageIntro)) || Beside(content) >= 0 {
			return
		}
		rest := strings.TrimPrefix(string(content), "\ufeff")
		for _, line := range []string{armor.Header, armor.Footer} {
			rest = strings.Replace(rest, line, "", 1)
		}
		rest = strings.TrimRight(rest, " \t\r\n")
		if body := strings.TrimRight(rest, "="); len(rest)-len(body) > 2 || strings.ContainsFunc(body, func(r rune) bool {
			return r >= 0x80 || sextet(byte(r)) == noSextet && !isBlank(byte(r))
		}) {
			t.Fatal("there is more in it than what is sealed")
		}
	})
}
