package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A token is base64 of
//
//	0x80 | time, 8 bytes, big endian | IV, 16 bytes | ciphertext | HMAC, 32 bytes
//
// with the HMAC over everything before it. The first 16 bytes of the key sign,
// the last 16 encrypt.
const (
	fernetVersion  = 0x80
	fernetHeader   = 1 + 8 + aes.BlockSize
	fernetOverhead = fernetHeader + sha256.Size
)

type fernetKey [32]byte

func newFernetKey() *fernetKey {
	var k fernetKey
	rand.Read(k[:]) // never fails, see its documentation
	return &k
}

// text is the spelling for .key: 44 characters of URL-safe base64.
func (k *fernetKey) text() []byte {
	return base64.URLEncoding.AppendEncode(nil, k[:])
}

func (k *fernetKey) seal(plaintext []byte) []byte {
	var iv [aes.BlockSize]byte
	rand.Read(iv[:])
	return k.sealAt(plaintext, time.Now(), iv)
}

// sealAt is seal with time and IV given, as the spec's vectors need it.
func (k *fernetKey) sealAt(plaintext []byte, now time.Time, iv [aes.BlockSize]byte) []byte {
	pad := aes.BlockSize - len(plaintext)%aes.BlockSize
	payload := make([]byte, fernetHeader, fernetOverhead+len(plaintext)+pad)
	payload[0] = fernetVersion
	binary.BigEndian.PutUint64(payload[1:], uint64(now.Unix()))
	copy(payload[9:], iv[:])
	payload = append(payload, plaintext...)
	for range pad {
		payload = append(payload, byte(pad))
	}
	body := payload[fernetHeader:]
	cipher.NewCBCEncrypter(k.block(), iv[:]).CryptBlocks(body, body)
	payload = k.mac(payload).Sum(payload)
	return base64.URLEncoding.AppendEncode(nil, payload)
}

// open returns the plaintext of a token, or false wherever Python raises
// InvalidToken. The time is not looked at: a vault does not expire.
func (k *fernetKey) open(token []byte) ([]byte, bool) {
	payload, err := decodeBase64(token)
	if err != nil || !isFernetPayload(payload) {
		return nil, false
	}
	signed, sum := payload[:len(payload)-sha256.Size], payload[len(payload)-sha256.Size:]
	if !hmac.Equal(k.mac(signed).Sum(nil), sum) {
		return nil, false
	}
	body := signed[fernetHeader:]
	cipher.NewCBCDecrypter(k.block(), signed[9:fernetHeader]).CryptBlocks(body, body)
	return unpad(body)
}

func (k *fernetKey) block() cipher.Block {
	b, err := aes.NewCipher(k[16:])
	if err != nil {
		panic(err) // 16 bytes are always a key
	}
	return b
}

func (k *fernetKey) mac(signed []byte) interface{ Sum([]byte) []byte } {
	h := hmac.New(sha256.New, k[:16])
	h.Write(signed)
	return h
}

// isFernetPayload reports whether decoded bytes have a token's version and
// length. At least one block is there: the padding is never empty.
func isFernetPayload(p []byte) bool {
	return isFernetLength(len(p)) && p[0] == fernetVersion
}

func isFernetLength(n int) bool {
	n -= fernetOverhead
	return n >= aes.BlockSize && n%aes.BlockSize == 0
}

// unpad takes off PKCS#7. The HMAC has been checked by then, so how long it
// takes tells nobody anything.
func unpad(body []byte) ([]byte, bool) {
	pad := int(body[len(body)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, false
	}
	end := len(body) - pad
	for _, b := range body[end:] {
		if int(b) != pad {
			return nil, false
		}
	}
	return body[:end:end], true
}

// SealedAt returns when a Fernet token says that it was sealed, in UTC and to the
// second. No key is needed, and nothing vouches for it without one. ok is false for
// anything else; an age file holds no time.
func SealedAt(sealed []byte) (at time.Time, ok bool) {
	payload, err := decodeBase64(sealed)
	if err != nil || !isFernetPayload(payload) {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(payload[1:9])), 0).UTC(), true
}
