package commands

import (
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// A beginning of a fingerprint is no name: somebody could make a key that has it.
func TestNamedByFingerprint(t *testing.T) {
	key, err := crypto.GenerateKey(crypto.Fernet)
	if err != nil {
		t.Fatal(err)
	}
	whole := key.Fingerprint()
	for _, given := range []string{whole, strings.ToUpper(whole)} {
		if !isFingerprint(given) || !isNamed(given, key.Public()) {
			t.Errorf("%q does not name it", given)
		}
	}
	for _, given := range []string{"", whole[:10], whole[:31], whole + "0", strings.Repeat("g", 32)} {
		if isFingerprint(given) || isNamed(given, key.Public()) {
			t.Errorf("%q is taken for a fingerprint", given)
		}
	}
	if isNamed(whole[1:]+whole[:1], crypto.PublicKey{}) {
		t.Error("something else names it")
	}
}
