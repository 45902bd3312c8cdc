package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"hash"
)

// A locked PKCS#8 key, as `ssh-keygen -m PKCS8` and openssl write it, is PBES2
// with PBKDF2 and a block cipher in CBC mode, RFC 8018. The standard library
// reads PKCS#8 only where it is not locked.

// maxPBKDF2Rounds is some seconds of work; ssh-keygen writes 2048.
const maxPBKDF2Rounds = 10_000_000

type pbes2 struct {
	newHash    func() hash.Hash
	salt       []byte
	rounds     int
	keyLength  int
	blockSize  int
	newCipher  func(key []byte) (cipher.Block, error)
	iv         []byte
	ciphertext []byte
}

// parsePBES2 returns a reason where this is no such key, or not one with
// algorithms that are in use.
func parsePBES2(der []byte) (*pbes2, string) {
	var outer struct {
		Algorithm  pkix.AlgorithmIdentifier
		Ciphertext []byte
	}
	var params struct{ KDF, Cipher pkix.AlgorithmIdentifier }
	var kdf struct {
		Salt      []byte
		Rounds    int
		KeyLength int                      `asn1:"optional"`
		PRF       pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	const unusual = "a key locked in an unusual way; 'ssh-keygen -p' writes it in one that works"
	if !unmarshal(der, &outer) {
		return nil, damagedSSHKey
	}
	if outer.Algorithm.Algorithm.String() != "1.2.840.113549.1.5.13" {
		return nil, unusual
	}
	if !unmarshal(outer.Algorithm.Parameters.FullBytes, &params) {
		return nil, damagedSSHKey
	}
	if params.KDF.Algorithm.String() != "1.2.840.113549.1.5.12" {
		return nil, unusual
	}
	p := &pbes2{ciphertext: outer.Ciphertext}
	if !unmarshal(params.KDF.Parameters.FullBytes, &kdf) || !unmarshal(params.Cipher.Parameters.FullBytes, &p.iv) {
		return nil, damagedSSHKey
	}
	p.salt, p.rounds = kdf.Salt, kdf.Rounds
	if !p.setHash(kdf.PRF.Algorithm) || !p.setCipher(params.Cipher.Algorithm) || p.rounds > maxPBKDF2Rounds {
		return nil, unusual
	}
	if p.rounds < 1 || len(p.iv) != p.blockSize || len(p.ciphertext) == 0 || len(p.ciphertext)%p.blockSize != 0 {
		return nil, damagedSSHKey
	}
	return p, ""
}

func unmarshal(der []byte, into any) bool {
	rest, err := asn1.Unmarshal(der, into)
	return err == nil && len(rest) == 0
}

func (p *pbes2) setHash(id asn1.ObjectIdentifier) bool {
	switch id.String() {
	case "", "1.2.840.113549.2.7": // absent means SHA-1
		p.newHash = sha1.New
	case "1.2.840.113549.2.9":
		p.newHash = sha256.New
	case "1.2.840.113549.2.10":
		p.newHash = sha512.New384
	case "1.2.840.113549.2.11":
		p.newHash = sha512.New
	}
	return p.newHash != nil
}

func (p *pbes2) setCipher(id asn1.ObjectIdentifier) bool {
	p.newCipher, p.blockSize = aes.NewCipher, aes.BlockSize
	switch id.String() {
	case "2.16.840.1.101.3.4.1.2":
		p.keyLength = 16
	case "2.16.840.1.101.3.4.1.22":
		p.keyLength = 24
	case "2.16.840.1.101.3.4.1.42":
		p.keyLength = 32
	case "1.2.840.113549.3.7":
		p.keyLength = 24
		p.newCipher, p.blockSize = des.NewTripleDESCipher, des.BlockSize
	}
	return p.keyLength != 0
}

// openPBES2 returns the private key inside. Any error means most likely a wrong
// passphrase: nothing here is authenticated.
func openPBES2(der, passphrase []byte) (any, error) {
	p, reason := parsePBES2(der)
	if p == nil {
		return nil, &Error{MalformedKey, reason, nil}
	}
	key, err := pbkdf2.Key(p.newHash, string(passphrase), p.salt, p.rounds, p.keyLength)
	if err != nil {
		return nil, err
	}
	block, err := p.newCipher(key)
	if err != nil {
		return nil, err
	}
	body := make([]byte, len(p.ciphertext))
	cipher.NewCBCDecrypter(block, p.iv).CryptBlocks(body, p.ciphertext)
	// PKCS#7. How long each step takes tells nobody anything: the key is one's own.
	pad := int(body[len(body)-1])
	if pad < 1 || pad > p.blockSize {
		return nil, x509.IncorrectPasswordError
	}
	return x509.ParsePKCS8PrivateKey(body[:len(body)-pad])
}
