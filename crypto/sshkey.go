package crypto

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// The PEM types of private keys, as ssh-keygen writes them.
const (
	pemOpenSSH     = "OPENSSH PRIVATE KEY"
	pemPKCS1       = "RSA PRIVATE KEY"
	pemEC          = "EC PRIVATE KEY"
	pemDSA         = "DSA PRIVATE KEY"
	pemPKCS8       = "PRIVATE KEY"
	pemPKCS8Locked = "ENCRYPTED PRIVATE KEY"
)

const damagedSSHKey = "a damaged private key"

// parseSSHKey reads the first private key of a PEM file. Causes are dropped:
// nothing of a private key belongs in an error.
func parseSSHKey(content, pub []byte) (privateKey, string) {
	block, reason := firstPrivateKey(content)
	if block == nil {
		return nil, reason
	}
	legacyLock := strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
	switch block.Type {
	case pemOpenSSH:
		return parseOpenSSHKey(block)
	case pemEC:
		return nil, unsupportedSSH("ecdsa-sha2")
	case pemDSA:
		return nil, unsupportedSSH("ssh-dss")
	case pemPKCS8Locked:
		if _, reason := parsePBES2(block.Bytes); reason != "" {
			return nil, reason
		}
		return parseLockedPEM(block, pub)
	case pemPKCS1, pemPKCS8:
		if legacyLock {
			return parseLockedPEM(block, pub)
		}
		return parseReadySSH(block)
	}
	return nil, "a private key of an unknown form"
}

func firstPrivateKey(content []byte) (block *pem.Block, reason string) {
	reason = damagedSSHKey
	for {
		block, content = pem.Decode(content)
		switch {
		case block == nil:
			return nil, reason
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return block, ""
		}
		reason = "no private key, but something else in PEM form"
	}
}

func parseReadySSH(block *pem.Block) (privateKey, string) {
	raw, err := ssh.ParseRawPrivateKey(pem.EncodeToMemory(block))
	switch {
	case err == nil:
		return readySSH(raw)
	case block.Type == pemPKCS8 && isDSA(block.Bytes):
		return nil, unsupportedSSH("ssh-dss")
	}
	return nil, damagedSSHKey
}

// isDSA knows a PKCS#8 key that the standard library does not read.
func isDSA(der []byte) bool {
	var key struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	return unmarshal(der, &key) && key.Algorithm.Algorithm.String() == "1.2.840.10040.4.1"
}

func readySSH(raw any) (privateKey, string) {
	var id age.Identity
	var err error
	switch key := raw.(type) {
	case *ed25519.PrivateKey: // a pointer from OpenSSH's form, none from PKCS#8
		id, err = agessh.NewEd25519Identity(*key)
	case ed25519.PrivateKey:
		id, err = agessh.NewEd25519Identity(key)
	case *rsa.PrivateKey:
		if key.N.BitLen() < 2048 {
			return nil, "an RSA key of fewer than 2048 bits, which age does not support"
		}
		id, err = agessh.NewRSAIdentity(key)
	default:
		return nil, "a key of a type that age does not support; ssh-ed25519, ssh-rsa or an age key works"
	}
	if err != nil {
		return nil, damagedSSHKey
	}
	return ready{id}, ""
}

// openSSHFile is what stands in OpenSSH's form around the key itself,
// https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key.
type openSSHFile struct {
	Cipher  string
	KDF     string
	Options string
	Keys    uint32
	Public  []byte
	Private []byte
	Rest    []byte `ssh:"rest"`
}

func parseOpenSSHKey(block *pem.Block) (privateKey, string) {
	var file openSSHFile
	var public struct {
		Type string
		Rest []byte `ssh:"rest"`
	}
	body, ok := bytes.CutPrefix(block.Bytes, []byte("openssh-key-v1\x00"))
	if !ok || ssh.Unmarshal(body, &file) != nil || ssh.Unmarshal(file.Public, &public) != nil {
		return nil, damagedSSHKey
	}
	// Before any question: a passphrase would not help these.
	if reason := unsupportedSSH(public.Type); reason != "" {
		return nil, reason
	}
	if file.Cipher == "none" && file.KDF == "none" {
		return parseReadySSH(block)
	}
	if reason := unsupportedLock(&file); reason != "" {
		return nil, reason
	}
	key, err := ssh.ParsePublicKey(file.Public)
	if err != nil {
		return nil, damagedSSHKey
	}
	return newLockedSSH(key, block)
}

// unsupportedLock names what only `ssh-keygen -Z` and `-a` make.
func unsupportedLock(file *openSSHFile) string {
	const works = "; 'ssh-keygen -p -Z aes256-ctr -a 16' writes it in a way that works"
	var options struct {
		Salt   string
		Rounds uint32
	}
	switch {
	case file.Cipher != "aes256-ctr" && file.Cipher != "aes256-cbc":
		return "a key locked with an unusual cipher" + works
	case file.KDF != "bcrypt" || ssh.Unmarshal([]byte(file.Options), &options) != nil:
		return damagedSSHKey
	case options.Rounds > 1<<11: // the bound of golang.org/x/crypto/ssh
		return "a key locked with very many rounds" + works
	}
	return ""
}

// parseLockedPEM needs to be told whose key it is: outside of the lock stands
// nothing.
func parseLockedPEM(block *pem.Block, pub []byte) (privateKey, string) {
	const alone = "a locked key in an old form, and its .pub file "
	line, _, _ := strings.Cut(string(trimBlanks(pub)), "\n")
	if line == "" {
		return nil, alone + "is missing; 'ssh-keygen -p' writes it in OpenSSH's own form, which needs none"
	}
	public, _, reason := parseSSHPublic(strings.TrimSpace(line))
	switch {
	case public != nil:
		return newLockedSSH(public, block)
	case unsupportedSSH(strings.Fields(line)[0]) != "":
		return nil, reason
	}
	return nil, alone + "does not read"
}

// lockedSSH is asked for only where the wrapped file names its public key, and
// once.
type lockedSSH struct {
	public   ssh.PublicKey
	block    *pem.Block
	unlocked privateKey
	failed   *Error
}

func newLockedSSH(public ssh.PublicKey, block *pem.Block) (privateKey, string) {
	if _, reason := sshRecipient(public); reason != "" {
		return nil, reason
	}
	return &lockedSSH{public: public, block: block}, ""
}

func (l *lockedSSH) rank() rank { return asksIfNamed }

func (l *lockedSSH) unwrap(stanzas []*age.Stanza, talk *Talk, source string) ([]byte, error) {
	if l.unlocked == nil {
		if err := l.named(stanzas); err != nil {
			return nil, err
		}
		if err := l.unlock(talk, source); err != nil {
			return nil, err
		}
	}
	return l.unlocked.unwrap(stanzas, talk, source)
}

var errNamed = errors.New("the file names this key")

// named is nil where a stanza is for this key, as far as its short fingerprint
// says. agessh knows that; it asks for the passphrase then, and is given none.
func (l *lockedSSH) named(stanzas []*age.Stanza) error {
	asked := false
	id, err := agessh.NewEncryptedSSHIdentity(l.public, nil, func() ([]byte, error) {
		asked = true
		return nil, errNamed
	})
	if err != nil {
		return age.ErrIncorrectIdentity
	}
	_, err = id.Unwrap(stanzas)
	switch {
	case asked:
		return nil
	case errors.Is(err, age.ErrIncorrectIdentity):
		return age.ErrIncorrectIdentity
	}
	return damagedFile()
}

func (l *lockedSSH) unlock(talk *Talk, source string) error {
	if l.failed != nil {
		return l.failed
	}
	passphrase, err := askPassphrase(talk, source)
	if err != nil {
		return err
	}
	key, e := unlockSSH(l.block, passphrase)
	if e != nil {
		l.failed = about(source, e)
		return l.failed
	}
	l.unlocked = key
	return nil
}

func unlockSSH(block *pem.Block, passphrase []byte) (privateKey, *Error) {
	if len(passphrase) == 0 {
		return nil, &Error{WrongPassphrase, "an empty passphrase", nil}
	}
	var raw any
	var err error
	if block.Type == pemPKCS8Locked {
		raw, err = openPBES2(block.Bytes, passphrase)
	} else {
		raw, err = ssh.ParseRawPrivateKeyWithPassphrase(pem.EncodeToMemory(block), passphrase)
	}
	switch {
	case err == nil:
	// Outside of OpenSSH's form a wrong passphrase gives noise, which fails
	// anywhere.
	case block.Type != pemOpenSSH, errors.Is(err, x509.IncorrectPasswordError):
		return nil, &Error{WrongPassphrase, "it does not open the key", nil}
	default:
		return nil, &Error{MalformedKey, damagedSSHKey, nil}
	}
	key, reason := readySSH(raw)
	if key == nil {
		return nil, &Error{MalformedKey, reason, nil}
	}
	return key, nil
}
