package commands

import (
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

func TestNamedByFingerprint(t *testing.T) {
	key, err := crypto.GenerateKey(crypto.Fernet)
	if err != nil {
		t.Fatal(err)
	}
	whole := key.Fingerprint()
	for _, length := range []int{10, 16, 32} {
		if given := whole[:length]; !isFingerprint(given) || !isNamed(given, key.Public()) {
			t.Errorf("the first %d characters do not name it", length)
		}
	}
	for _, given := range []string{"", whole[:9], whole + "0", "not-hex-at-all"} {
		if isFingerprint(given) {
			t.Errorf("%q is taken for a fingerprint", given)
		}
	}
	if isNamed("", key.Public()) || isNamed(whole[1:20], key.Public()) {
		t.Error("something else names it")
	}
}
