package crypto

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
)

// What Python refuses is refused, what it opens is opened with the same bytes:
// for every one-byte flip, cut and doubling of a key file and a sealed file, and
// for a few thousand that were changed in several places.
func TestAgreesWithPython(t *testing.T) {
	python := cryptotest.Python(t)
	rnd := rand.New(rand.NewPCG(1, 2)) // the same cases each time, so a number names one
	var cases []cryptotest.Case
	for _, size := range []int{0, 16, 40} { // all three paddings
		var k fernetKey
		for i := range k {
			k[i] = byte(rnd.Uint32())
		}
		key, token := k.text(), k.sealAt(bytes.Repeat([]byte{'p'}, size), time.Unix(1e9, 0), [16]byte{})
		spelled := append([]byte("\ufeff\""), append(slices.Clone(key), "\"\r\n key"...)...)
		wrapped := slices.Concat(token[:30], []byte("\r\n"), token[30:60], []byte("\n"), token[60:], []byte("\n"))
		for _, mutant := range mutants(key) {
			cases = append(cases, cryptotest.Case{Key: mutant, Token: token})
		}
		for _, mutant := range mutants(token) {
			cases = append(cases, cryptotest.Case{Key: key, Token: mutant})
		}
		for range 2000 {
			cases = append(cases,
				cryptotest.Case{Key: mutate(rnd, key), Token: token},
				cryptotest.Case{Key: mutate(rnd, spelled), Token: token},
				cryptotest.Case{Key: key, Token: mutate(rnd, token)},
				cryptotest.Case{Key: key, Token: mutate(rnd, wrapped)})
		}
	}
	compare(t, python, cases)
}

// Short inputs over the characters that decide something, far from any token:
// the decoder itself.
func TestBase64AgreesWithPython(t *testing.T) {
	python := cryptotest.Python(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	inputs := make([][]byte, 20000)
	for i := range inputs {
		for range rnd.IntN(14) {
			inputs[i] = append(inputs[i], "AQz9+/-_====\n \xc3"[rnd.IntN(15)])
		}
	}
	var want []*[]byte
	python.Run(t, `
import base64, binascii
response = []
for s in request:
    try:
        decoded = base64.urlsafe_b64decode(base64.b64decode(s or ""))
        response.append(base64.b64encode(decoded).decode())
    except binascii.Error:
        response.append(None)
`, inputs, &want)
	for i, in := range inputs {
		got, err := decodeBase64(in)
		if (err == nil) != (want[i] != nil) || err == nil && !bytes.Equal(got, *want[i]) {
			if python.StopsAtPadding || !bytes.ContainsRune(in, '=') {
				t.Errorf("%q: we decode to %q, %v", in, got, err)
			}
		}
	}
}

// The runtime's own files: a vault that Python wrote is read, and Python reads
// what we seal.
func TestPythonReadsAndWrites(t *testing.T) {
	python := cryptotest.Python(t)
	var cases []cryptotest.Case
	var plaintexts [][]byte
	for size := range 64 {
		k := mustGenerate(t, Fernet)
		plaintext := bytes.Repeat([]byte{byte(size)}, size*size)
		plaintexts = append(plaintexts, plaintext)
		cases = append(cases, cryptotest.Case{Key: k.File(), Token: mustSeal(t, k, plaintext)})
	}
	for i, r := range python.OpenAll(t, cases) {
		if r.Class != "" || !bytes.Equal(r.Plaintext, plaintexts[i]) {
			t.Errorf("%d bytes: python says %q", len(plaintexts[i]), r.Class)
		}
	}

	var written []struct{ Key, Token, Plaintext []byte }
	python.Run(t, `
import base64
from cryptography.fernet import Fernet
response = []
for size in range(100):
    key, plaintext = Fernet.generate_key(), bytes(range(size))
    fields = {"Key": key, "Token": Fernet(key).encrypt(plaintext), "Plaintext": plaintext}
    response.append({k: base64.b64encode(v).decode() for k, v in fields.items()})
`, nil, &written)
	if len(written) != 100 {
		t.Fatalf("python wrote %d tokens", len(written))
	}
	for _, w := range written {
		got, err := mustParse(t, string(w.Key)).Open(w.Token)
		if err != nil || !bytes.Equal(got, w.Plaintext) {
			t.Errorf("%d bytes: %v", len(w.Plaintext), err)
		}
	}
}

func compare(t *testing.T, python *cryptotest.Oracle, cases []cryptotest.Case) {
	t.Helper()
	opened, refused, other := 0, 0, 0
	for i, want := range python.OpenAll(t, cases) {
		c := cases[i]
		var got []byte
		k, err := ParseKey(c.Key)
		if err == nil && k.Legacy() {
			t.Fatal("a mutant became 64 hexadecimal characters")
		}
		if err == nil {
			got, err = k.Open(c.Token)
		}
		if want.Class == "" {
			opened++
		} else {
			refused++
		}
		if (err == nil) == (want.Class == "") && bytes.Equal(got, want.Plaintext) {
			continue
		}
		if !python.StopsAtPadding && (bytes.ContainsRune(c.Key, '=') || bytes.ContainsRune(c.Token, '=')) {
			other++ // see decodeBase64
			continue
		}
		t.Errorf("case %d: python says %q, we say %v", i, want.Class, err)
	}
	if opened < 100 || refused < 100 {
		t.Errorf("%d opened and %d refused: the cases say too little", opened, refused)
	}
	t.Logf("python %s, cryptography %s: %d opened, %d refused, %d differ by the rule for padding",
		python.Version, python.Cryptography, opened, refused, other)
}

// mutants returns every one-byte flip (each bit, all bits, and some bytes that
// mean something), every cut and every doubling of b.
func mutants(b []byte) [][]byte {
	all := [][]byte{slices.Clone(b)}
	for i := range b {
		for _, mask := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255} {
			m := slices.Clone(b)
			m[i] ^= mask
			all = append(all, m)
		}
		for _, c := range []byte("=-+/_A\n \x00") {
			m := slices.Clone(b)
			m[i] = c
			all = append(all, m)
		}
		all = append(all,
			slices.Clone(b[:i]),
			slices.Clone(b[i:]),
			slices.Delete(slices.Clone(b), i, i+1),
			slices.Insert(slices.Clone(b), i, b[i]),
			slices.Insert(slices.Clone(b), i, '='),
			slices.Insert(slices.Clone(b), i, '\n'))
	}
	return all
}

// mutate changes, removes, doubles or inserts one to four bytes, most of them
// such that the decoder may still accept the result.
func mutate(rnd *rand.Rand, b []byte) []byte {
	b = slices.Clone(b)
	for range 1 + rnd.IntN(4) {
		i := rnd.IntN(len(b))
		if rnd.IntN(3) == 0 {
			i = max(0, len(b)-1-rnd.IntN(6))
		}
		switch rnd.IntN(6) {
		case 0:
			b[i] ^= 1 << rnd.IntN(8)
		case 1:
			b = slices.Delete(b, i, i+1)
		case 2:
			b = slices.Insert(b, i, b[i])
		default:
			b = slices.Insert(b, i, "=\n\r !\"\x00\xff"[rnd.IntN(8)])
		}
	}
	return b
}
