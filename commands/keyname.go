package commands

import (
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// How a person names a key: by the whole of its fingerprint. A beginning could be
// made by trying keys until one fits.

// isFingerprint reports whether a text may be a key's fingerprint.
func isFingerprint(text string) bool {
	return len(text) == 32 && strings.Trim(strings.ToLower(text), "0123456789abcdef") == ""
}

// isNamed reports whether a person who gave a fingerprint means a key.
func isNamed(given string, key crypto.PublicKey) bool {
	return strings.ToLower(given) == key.Fingerprint()
}
