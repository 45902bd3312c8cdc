package crypto

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
)

// Labels keep what is made of one key apart: no two kinds of message, and no two
// versions of one, begin with the same bytes. A NUL ends each, and none has
// another.
const (
	labelSeed          = "git-muxi-secrets signing key v1\x00"
	labelSuccession    = "git-muxi-secrets succession v1\x00"
	labelPeople        = "git-muxi-secrets people v1\x00"
	labelFingerprint   = "git-muxi-secrets key fingerprint v2\x00"
	labelFingerprintV1 = "git-muxi-secrets key fingerprint v1\x00"
)

// PublicKey is the public half of a key's signing half, an Ed25519 public key
// (RFC 8032). It names the key and verifies what the key signed; it opens and
// seals nothing. It may be compared with ==. The zero value names no key.
type PublicKey [ed25519.PublicKeySize]byte

// Signature is an Ed25519 signature (RFC 8032).
type Signature [ed25519.SignatureSize]byte

// Public returns the public half.
func (k *Key) Public() PublicKey { return k.m.signing().public }

// SignSuccession has the key vouch for the one that takes its place.
func (k *Key) SignSuccession(next PublicKey) Signature {
	return k.m.signing().sign(succession(k.Public(), next))
}

// SignPeople has the key vouch for the bytes of a list of people, which it signs
// as they are.
func (k *Key) SignPeople(list []byte) Signature {
	return k.m.signing().sign(people(k.Public(), list))
}

// VerifySuccession reports whether the key vouched for the next one.
func (p PublicKey) VerifySuccession(next PublicKey, s Signature) bool {
	return p.verify(succession(p, next), s)
}

// VerifyPeople reports whether the key vouched for these very bytes.
func (p PublicKey) VerifyPeople(list []byte, s Signature) bool {
	return p.verify(people(p, list), s)
}

func (p PublicKey) verify(message []byte, s Signature) bool {
	return !p.IsZero() && ed25519.Verify(p[:], message, s[:])
}

// succession and people are the messages there are. Public halves are of one
// length, and what has none comes last, so that each message reads in one way.
func succession(old, next PublicKey) []byte {
	return slices.Concat([]byte(labelSuccession), old[:], next[:])
}

func people(by PublicKey, list []byte) []byte {
	return slices.Concat([]byte(labelPeople), by[:], list)
}

// IsZero reports whether this names no key.
func (p PublicKey) IsZero() bool { return p == PublicKey{} }

// Fingerprint returns 32 hexadecimal characters, the first half of SHA-256 over a
// label and the public half; "" for the zero value.
func (p PublicKey) Fingerprint() string {
	if p.IsZero() {
		return ""
	}

	sum := sha256.Sum256(slices.Concat([]byte(labelFingerprint), p[:]))
	return hex.EncodeToString(sum[:16])
}

// base64.RawStdEncoding has one spelling for given bytes; its decoder takes more.
var spelling = base64.RawStdEncoding

// String returns the 43 characters of base64, without padding.
func (p PublicKey) String() string { return spelling.EncodeToString(p[:]) }

// String returns the 86 characters of base64, without padding.
func (s Signature) String() string { return spelling.EncodeToString(s[:]) }

// ParsePublicKey reads what [PublicKey.String] returns, and no other spelling of
// it. ok is false for anything else, the zero value included.
func ParsePublicKey(text string) (p PublicKey, ok bool) {
	return p, parseExactly(p[:], text) && !p.IsZero()
}

// ParseSignature reads what [Signature.String] returns, and no other spelling of
// it.
func ParseSignature(text string) (s Signature, ok bool) {
	return s, parseExactly(s[:], text)
}

func parseExactly(to []byte, text string) bool {
	raw, err := spelling.DecodeString(text)
	if err != nil || len(raw) != len(to) || spelling.EncodeToString(raw) != text {
		return false
	}

	copy(to, raw)
	return true
}

// signingHalf is what a key makes of itself to sign with.
type signingHalf struct {
	private ed25519.PrivateKey
	public  PublicKey
}

// newSigningHalf derives an Ed25519 key from the secret part of a key.
func newSigningHalf(format Format, secret []byte) signingHalf {
	seed, err := hkdf.Key(sha256.New, secret, nil, labelSeed+string(format), ed25519.SeedSize)
	if err != nil {
		panic(err) // a seed is not too long for HKDF
	}

	half := signingHalf{private: ed25519.NewKeyFromSeed(seed)}
	copy(half.public[:], half.private[ed25519.SeedSize:])
	return half
}

func (h *signingHalf) sign(message []byte) Signature {
	return Signature(ed25519.Sign(h.private, message))
}

// MarshalText returns what [PublicKey.String] does; nothing for the zero value.
func (p PublicKey) MarshalText() ([]byte, error) {
	if p.IsZero() {
		return nil, nil
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads what MarshalText returned.
func (p *PublicKey) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*p = PublicKey{}
		return nil
	}

	read, ok := ParsePublicKey(string(text))
	if !ok {
		return errPublicKey
	}
	*p = read
	return nil
}

var errPublicKey = errors.New("no public half of a key")
