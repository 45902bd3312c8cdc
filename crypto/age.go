package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const (
	ageIntro          = "age-encryption.org/v1\n"
	ageIdentityPrefix = "AGE-SECRET-KEY-"
)

// ageKey is a native age identity: X25519, or the post-quantum hybrid.
type ageKey struct {
	identity  age.Identity
	recipient age.Recipient
	text      string // the one line, AGE-SECRET-KEY-...
}

// recipientText is the public key, age1...
func (k *ageKey) recipientText() string { return fmt.Sprint(k.recipient) }

func newAgeKey() (*ageKey, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("generating an age identity: %w", err)
	}
	return &ageKey{id, id.Recipient(), id.String()}, nil
}

// parseAgeKey reads an age identity file with one identity in it. Comments,
// blank lines, CRLF and a byte order mark are allowed. ok is false when no line
// is meant to be an identity.
func parseAgeKey(file []byte) (key *ageKey, ok bool, err *Error) {
	if !bytes.Contains(file, []byte(ageIdentityPrefix)) {
		return nil, false, nil
	}
	number := 0
	for line := range strings.Lines(string(trimBOM(file))) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		// The cause stays behind: it quotes characters of the identity.
		next := parseAgeIdentity(line)
		if next == nil {
			return nil, true, &Error{MalformedKey, fmt.Sprintf("line %d is no age identity, or a damaged one", number), nil}
		}
		if key != nil && key.text != next.text {
			return nil, true, &Error{MalformedKey, fmt.Sprintf("a second age identity at line %d, one is expected", number), nil}
		}
		key = next
	}
	if key == nil {
		return nil, true, &Error{MalformedKey, "the age identity is commented out", nil}
	}
	return key, true, nil
}

func parseAgeIdentity(line string) *ageKey {
	if id, err := age.ParseX25519Identity(line); err == nil {
		return &ageKey{id, id.Recipient(), id.String()}
	}
	if id, err := age.ParseHybridIdentity(line); err == nil {
		return &ageKey{id, id.Recipient(), id.String()}
	}
	return nil
}

func (k *ageKey) seal(plaintext []byte) ([]byte, error) {
	var out bytes.Buffer
	a := armor.NewWriter(&out)
	w, err := age.Encrypt(a, k.recipient)
	if err != nil {
		return nil, fmt.Errorf("sealing with age: %w", err)
	}
	if _, err := w.Write(plaintext); err != nil {
		return nil, fmt.Errorf("sealing with age: %w", err)
	}
	if err := errors.Join(w.Close(), a.Close()); err != nil {
		return nil, fmt.Errorf("sealing with age: %w", err)
	}
	return out.Bytes(), nil
}

// open opens an age file, armored or not, that [inspect] took for one.
func (k *ageKey) open(sealed []byte) ([]byte, *Error) {
	var src io.Reader = bytes.NewReader(sealed)
	armored := !IsBinary(sealed)
	if armored {
		src = armor.NewReader(bytes.NewReader(trimBOM(sealed)))
	}
	var plaintext []byte
	r, err := age.Decrypt(src, k.identity)
	if err == nil {
		plaintext, err = io.ReadAll(r)
	}
	switch {
	case err == nil:
		return plaintext, nil
	// In an armored file a missing end shows at the END line, before we come
	// here: an early end that is met now was made by a changed byte.
	case !armored && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
		return nil, &Error{Truncated, "the end of the age file is missing", nil}
	}
	// Other causes are dropped: age quotes lines of the file in them.
	if cause, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, wrongKey(cause)
	}
	return nil, wrongKey(nil)
}
