package crypto

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// Mark returns 16 hexadecimal characters that tell two values of one name apart,
// and tell nothing to whoever lacks the key: not the value, not its length, not
// whether another name or another formation has the same one.
//
// They are the first 8 bytes of HMAC-SHA256 over name, a zero byte, and value.
// Its key is HMAC-SHA256 over a label of our own, under this key (for age its
// canonical line).
func (k *Key) Mark(name string, value []byte) string {
	h := hmac.New(sha256.New, k.markKey())
	h.Write([]byte(name))
	h.Write([]byte{0})
	h.Write(value)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (k *Key) markKey() []byte {
	h := hmac.New(sha256.New, k.m.secret())
	h.Write([]byte("git-muxi-secrets diff mark v1"))
	return h.Sum(nil)
}
