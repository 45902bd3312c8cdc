package crypto

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"sync"
)

// Key is a parsed .key. Printing one, with any verb, shows its fingerprint or
// an address, never the key. It does not change and may be shared between
// goroutines.
type Key struct {
	// fmt follows no pointer below the first, so %d and its like end here.
	m *material
}

// material is the secret part: exactly one of fernet and age is set.
type material struct {
	fernet *fernetKey
	age    *ageKey
	legacy bool

	derive sync.Once
	half   signingHalf // made when it is first asked for
}

// secret returns what nobody else knows: the 32 bytes of a Fernet key, in
// whatever spelling it came, or the canonical text of an age identity. All that
// is derived from a key is derived from this.
//
// It is never an identity's scalar, whose public half is the recipient that may
// stand in a file for all to see.
func (m *material) secret() []byte {
	if m.age != nil {
		return []byte(m.age.text)
	}
	return m.fernet[:]
}

func (m *material) format() Format {
	if m.age != nil {
		return Age
	}
	return Fernet
}

func (m *material) signing() *signingHalf {
	m.derive.Do(func() { m.half = newSigningHalf(m.format(), m.secret()) })
	return &m.half
}

// GenerateKey returns a new random key: for [Age] an X25519 identity.
func GenerateKey(f Format) (*Key, error) {
	switch f {
	case Fernet:
		return &Key{&material{fernet: newFernetKey()}}, nil
	case Age:
		k, err := newAgeKey()
		if err != nil {
			return nil, err
		}
		return &Key{&material{age: k}}, nil
	}
	return nil, fmt.Errorf("unknown key format %q", string(f))
}

// ParseKey reads the bytes of a key file. Accepted are
//
//   - a Fernet key in every spelling that Python's cryptography accepts: blanks,
//     quotes or a byte order mark around it, CRLF, either base64 alphabet, text
//     after the padding;
//   - 64 hexadecimal characters and line ends after them, see [Key.Legacy];
//   - an age identity file with one native identity in it
//     (AGE-SECRET-KEY-1..., AGE-SECRET-KEY-PQ-1...), comments allowed.
//
// The error is an [*Error] with the reason [EmptyKey] or [MalformedKey].
func ParseKey(file []byte) (*Key, error) {
	if len(trimBlanks(file)) == 0 {
		return nil, &Error{EmptyKey, blankDetail(file), nil}
	}
	raw, err := decodeBase64(file)
	if err == nil && len(raw) == len(fernetKey{}) {
		return &Key{&material{fernet: (*fernetKey)(raw)}}, nil
	}
	if k := parseHexKey(file); k != nil {
		return &Key{&material{fernet: k, legacy: true}}, nil
	}
	if k, ok, err := parseAgeKey(file); err != nil {
		return nil, err
	} else if ok {
		return &Key{&material{age: k}}, nil
	}
	return nil, &Error{MalformedKey, malformedKeyDetail(file, raw, err), nil}
}

// parseHexKey reads the spelling that an older `muxi new` wrote.
func parseHexKey(file []byte) *fernetKey {
	digits := bytes.TrimRight(file, "\r\n")
	if len(digits) != hex.EncodedLen(len(fernetKey{})) {
		return nil
	}
	var k fernetKey
	if _, err := hex.Decode(k[:], digits); err != nil {
		return nil
	}
	return &k
}

// Format returns how this key seals.
func (k *Key) Format() Format { return k.m.format() }

// Equal reports whether two keys are one, in whatever spelling; either may be
// nil, which equals nil alone.
func (k *Key) Equal(other *Key) bool {
	if k == nil || other == nil {
		return k == other
	}
	return k.Format() == other.Format() && subtle.ConstantTimeCompare(k.m.secret(), other.m.secret()) == 1
}

// Alias reports whether two age identities are different ones of one recipient:
// of the 256 bits in its text X25519 does not look at five ("clamping", RFC 7748,
// section 5). They open the same files, and sign as two keys.
func (k *Key) Alias(other *Key) bool {
	if k == nil || other == nil || k.Format() != Age || other.Format() != Age || k.Equal(other) {
		return false
	}
	return k.m.age.recipientText() == other.m.age.recipientText()
}

// File returns the canonical bytes for .key, without a newline at the end: the
// 44 characters of a Fernet key, or the one line of an age identity (which
// `age -d -i .key` reads as it is). A new slice each time.
func (k *Key) File() []byte {
	if k.m.age != nil {
		return []byte(k.m.age.text)
	}
	return k.m.fernet.text()
}

// Legacy reports whether the key was read from 64 hexadecimal characters. An
// older `muxi new` wrote them and the `muxi` CLI reads them, but the MUXI
// runtime does not. Writing [Key.File] in their place repairs that.
func (k *Key) Legacy() bool { return k.m.legacy }

// Fingerprint returns 32 hexadecimal characters that name the key: the same for
// every spelling of one key, and of no help in finding it. It is that of the
// public half.
func (k *Key) Fingerprint() string { return k.Public().Fingerprint() }

// FingerprintV1 returns what earlier releases named the key by: the first half of
// SHA-256 over a label, the format, and the raw key (for age its canonical line).
func (k *Key) FingerprintV1() string {
	h := sha256.New()
	h.Write([]byte(labelFingerprintV1 + string(k.Format()) + "\x00"))
	h.Write(k.m.secret())
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// String returns the format and the fingerprint, never the key.
func (k Key) String() string {
	if k.m == nil {
		return "no key"
	}
	return string(k.Format()) + " key " + k.Fingerprint()
}

// GoString is String, so that %#v shows no key either.
func (k Key) GoString() string { return "crypto.Key(" + k.String() + ")" }

// Seal returns plaintext sealed: a Fernet token on one line without a newline,
// or an armored age file. Two calls never return the same bytes.
func (k *Key) Seal(plaintext []byte) ([]byte, error) {
	if k.m.age != nil {
		return k.m.age.seal(plaintext)
	}
	return k.m.fernet.seal(plaintext), nil
}

// Open returns the plaintext of sealed bytes, whose format is found from the
// bytes. Fernet tokens open wherever Python's cryptography opens them, at any
// age; age files may be armored or binary.
//
// The error is an [*Error]. A key of the other format is a [WrongKey] that says
// so; so is any changed byte, because that cannot be told from a wrong key.
func (k *Key) Open(sealed []byte) ([]byte, error) {
	// Before any question about the file's looks: Python asks none.
	if k.m.fernet != nil {
		if plaintext, ok := k.m.fernet.open(sealed); ok {
			return plaintext, nil
		}
	}
	format, err := inspect(sealed)
	switch {
	case err != nil:
		return nil, err
	case format != k.Format():
		return nil, &Error{WrongKey, fmt.Sprintf("wrong key: the file is sealed with %s, the key is for %s", format, k.Format()), nil}
	case format == Fernet:
		return nil, wrongKey(nil)
	}
	plaintext, err := k.m.age.open(sealed)
	if err != nil {
		return nil, err
	}
	return plaintext, nil
}
