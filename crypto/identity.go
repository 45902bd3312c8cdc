package crypto

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// maxIdentityFile bounds a file of identities.
const maxIdentityFile = 1 << 20

// Identity is a private key that a person has, or a file of them under one
// passphrase. Printing one, with any verb, shows its source only. It remembers
// what was unlocked and is for one goroutine at a time.
type Identity struct {
	// fmt follows no pointer below the first, as in Key.
	m *identity
}

type identity struct {
	source string
	key    privateKey
}

// privateKey is one of ready, pluginIdentity, lockedSSH and lockedFile.
type privateKey interface {
	rank() rank
	// unwrap returns age.ErrIncorrectIdentity, an *Error, a *PluginError, or
	// what a function of talk returned.
	unwrap(stanzas []*age.Stanza, talk *Talk, source string) ([]byte, error)
}

// rank is the order of trying: who bothers a person least comes first.
type rank int

const (
	asksNobody rank = iota
	mayAsk
	asksIfNamed
	asksAlways
)

// IdentityError says why a file, or a line of it, is no identity that can be
// used. Nothing of the file is in it.
type IdentityError struct {
	Source string
	Reason string // a lower-case phrase without a full stop
}

func (e *IdentityError) Error() string { return "'" + e.Source + "': " + e.Reason }

// ParseIdentities reads the content of one file:
//
//   - age identities (AGE-SECRET-KEY-1..., AGE-SECRET-KEY-PQ-1...,
//     AGE-PLUGIN-NAME-1...), one on a line, comments and blank lines allowed;
//   - an ssh-ed25519 or ssh-rsa private key, in OpenSSH's form or as PKCS#1 or
//     PKCS#8 in PEM, with a passphrase or without;
//   - a file of age identities under a passphrase (`age -p`), armored or not.
//
// pub is the content of the public key's file, FILE.pub, or nil. It is needed
// for a locked key in PEM alone, which does not say whose it is. source names
// the file in questions and errors.
//
// The error is an [*IdentityError]. The identities that are good are returned
// beside it. Nobody is asked and nothing is executed here.
func ParseIdentities(content, pub []byte, source string) ([]*Identity, error) {
	keys, reason := parseIdentities(content, pub)
	var ids []*Identity
	for _, key := range keys {
		ids = append(ids, &Identity{&identity{source, key}})
	}
	if reason != "" {
		return ids, &IdentityError{source, reason}
	}
	return ids, nil
}

func parseIdentities(content, pub []byte) ([]privateKey, string) {
	if len(content) > maxIdentityFile {
		return nil, "too large for a file of identities"
	}
	if IsBinary(content) || bytes.HasPrefix(trimBlanks(content), []byte(armor.Header)) {
		return parseLockedFile(content)
	}
	return parseOpenIdentities(content, pub)
}

// parseOpenIdentities reads what no passphrase of age's is around.
func parseOpenIdentities(content, pub []byte) ([]privateKey, string) {
	content = PlainText(content)
	if bytes.HasPrefix(content, []byte("-----BEGIN ")) || bytes.Contains(content, []byte("\n-----BEGIN ")) {
		key, reason := parseSSHKey(content, pub)
		if key == nil {
			return nil, reason
		}
		return []privateKey{key}, ""
	}
	return parseIdentityLines(content)
}

func parseIdentityLines(content []byte) (keys []privateKey, reason string) {
	number := 0
	for line := range strings.Lines(string(content)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, why := parseIdentityLine(line)
		switch {
		case key != nil:
			keys = append(keys, key)
		case reason == "":
			reason = fmt.Sprintf("line %d is %s", number, why)
		}
	}
	if len(keys) == 0 && reason == "" {
		reason = "no identity is in it"
	}
	return keys, reason
}

// parseIdentityLine drops all causes: they quote characters of the identity.
func parseIdentityLine(line string) (privateKey, string) {
	if strings.HasPrefix(line, "AGE-PLUGIN-") {
		if p := parsePluginIdentity(line); p != nil {
			return p, ""
		}
		return nil, "no age plugin's identity, a damaged one, or one whose plugin's name is not allowed"
	}
	if k := parseAgeIdentity(line); k != nil {
		return ready{k.identity}, ""
	}
	switch {
	case strings.HasPrefix(line, ageIdentityPrefix):
		return nil, "a damaged age identity"
	case strings.HasPrefix(line, "PuTTY-User-Key-File"):
		return nil, "a key in PuTTY's own form; one that 'puttygen -O private-openssh' wrote works"
	case strings.HasPrefix(line, "age1"), strings.HasPrefix(line, "ssh-"), strings.HasPrefix(line, "ecdsa-"), strings.HasPrefix(line, "sk-"),
		strings.HasPrefix(line, "---- BEGIN SSH2 PUBLIC KEY"):
		return nil, "a public key, the private one is expected"
	}
	return nil, "neither an age identity nor an SSH private key"
}

// Source returns what [ParseIdentities] was told.
func (i *Identity) Source() string { return i.m.source }

// String returns the source, never the key.
func (i Identity) String() string {
	if i.m == nil {
		return "no identity"
	}
	return i.m.source
}

// GoString is String, so that %#v shows no key either.
func (i Identity) GoString() string { return "crypto.Identity(" + i.String() + ")" }

// byRank leaves the order of equals, and the caller's slice, as they are.
func byRank(with []*Identity) []*Identity {
	return slices.SortedStableFunc(slices.Values(with), func(a, b *Identity) int {
		return cmp.Compare(a.m.key.rank(), b.m.key.rank())
	})
}

// identities is all of them as one. age would give up at the first stanza that
// is malformed, and forget which identity fitted.
type identities struct {
	with   []*Identity
	talk   *Talk
	fitted *Identity
	tried  attempt
}

func (g *identities) attempt() *attempt { return &g.tried }

func (g *identities) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if isScrypt(stanzas) {
		return nil, g.tried.fail(&Error{NoIdentity, "the file is sealed with a passphrase", nil})
	}
	none := tally{}
	for _, id := range g.with {
		fileKey, err := id.m.key.unwrap(stanzas, g.talk, id.m.source)
		if err == nil {
			g.fitted = id
			return fileKey, nil
		}
		if !none.add(err) {
			return nil, g.tried.fail(err)
		}
	}
	return nil, g.tried.fail(none.sum(len(g.with)))
}

// tally is why none fitted.
type tally struct {
	passphrase, person, other *Error
	plugins                   []error
}

// add is false for the error of a question, which ends the trying.
func (t *tally) add(err error) bool {
	if err == age.ErrIncorrectIdentity {
		return true
	}
	switch e := err.(type) {
	case *Error:
		switch e.Reason {
		case WrongPassphrase:
			t.passphrase = cmp.Or(t.passphrase, e)
		case NeedsPerson:
			t.person = cmp.Or(t.person, e)
		default:
			t.other = cmp.Or(t.other, e)
		}
	case *PluginError:
		t.plugins = append(t.plugins, e)
	default:
		return false
	}
	return true
}

// sum prefers what a person can change at once.
func (t *tally) sum(count int) *Error {
	detail := "none of the identities is a recipient"
	switch {
	case t.passphrase != nil:
		return t.passphrase
	case t.person != nil:
		return t.person
	case t.other != nil:
		return t.other
	case count == 0:
		detail = "there is none"
	case len(t.plugins) > 0:
		detail = t.plugins[0].Error()
	}
	return &Error{NoIdentity, detail, errors.Join(t.plugins...)}
}

// ready needs nobody.
type ready struct{ age.Identity }

func (r ready) rank() rank { return asksNobody }

func (r ready) unwrap(stanzas []*age.Stanza, _ *Talk, _ string) ([]byte, error) {
	fileKey, err := r.Identity.Unwrap(stanzas)
	switch {
	case err == nil:
		return fileKey, nil
	case errors.Is(err, age.ErrIncorrectIdentity):
		return nil, age.ErrIncorrectIdentity
	}
	return nil, damagedFile()
}

// lockedFile is a file of identities under a passphrase. It can't be known for
// whom they are, so it is asked for last, and once.
type lockedFile struct {
	content []byte
	inside  []privateKey
	failed  *Error
}

func parseLockedFile(content []byte) ([]privateKey, string) {
	stanzas, ok := readStanzas(content)
	switch {
	case !ok:
		return nil, "a damaged age file"
	case !isScrypt(stanzas):
		return nil, "an age file for recipients; a file of identities is sealed with a passphrase"
	}
	return []privateKey{&lockedFile{content: bytes.Clone(content)}}, ""
}

func (l *lockedFile) rank() rank { return asksAlways }

func (l *lockedFile) unwrap(stanzas []*age.Stanza, talk *Talk, source string) ([]byte, error) {
	if err := l.unlock(talk, source); err != nil {
		return nil, err
	}
	none := tally{}
	for _, key := range l.inside {
		fileKey, err := key.unwrap(stanzas, talk, source)
		if err == nil {
			return fileKey, nil
		}
		if !none.add(err) {
			return nil, err
		}
	}
	if e := none.sum(len(l.inside)); e.Reason != NoIdentity || len(none.plugins) > 0 {
		return nil, e
	}
	return nil, age.ErrIncorrectIdentity
}

func (l *lockedFile) unlock(talk *Talk, source string) error {
	if l.inside != nil {
		return nil
	}
	if l.failed != nil {
		return l.failed
	}
	passphrase, err := askPassphrase(talk, source)
	if err != nil {
		return err
	}
	content, err := UnwrapWithPassphrase(l.content, passphrase)
	if e, ok := errors.AsType[*Error](err); ok {
		l.failed = about(source, e)
		return l.failed
	}
	keys, reason := parseOpenIdentities(content, nil)
	if len(keys) == 0 {
		l.failed = about(source, &Error{MalformedKey, reason, nil})
		return l.failed
	}
	slices.SortStableFunc(keys, func(a, b privateKey) int { return cmp.Compare(a.rank(), b.rank()) })
	l.inside = keys
	return nil
}

// askPassphrase returns what talk returned, or that nobody is there.
func askPassphrase(talk *Talk, source string) ([]byte, error) {
	if talk == nil || talk.Passphrase == nil {
		return nil, &Error{NeedsPerson, "'" + source + "' has a passphrase", nil}
	}
	return talk.Passphrase(source)
}

// about names the identity's file where the error is not about the wrapped one.
func about(source string, e *Error) *Error {
	return &Error{e.Reason, "'" + source + "': " + e.Detail, nil}
}
