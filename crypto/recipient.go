package crypto

import (
	"encoding/base64"
	"strings"
	"unicode"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/plugin"
	"filippo.io/age/tag"
	"golang.org/x/crypto/ssh"
)

// maxRecipientLine bounds one line: an RSA key of 16384 bits has some 2,800
// characters, and a comment follows it.
const maxRecipientLine = 64 << 10

// Recipient is a public key that a .key can be wrapped for. It does not change
// and may be shared between goroutines.
type Recipient struct {
	text    string
	comment string
	kind    string
	age     age.Recipient // nil for a plugin, which is made when there is somebody to ask
	plugin  string        // its name, or ""
	quantum bool          // known to withstand quantum computers
}

// RecipientError says why a line is no recipient. Nothing of the line is in it.
type RecipientError struct {
	Reason  string // a lower-case phrase without a full stop
	Private bool   // the text is a private key, which belongs in no list
	// Unsupported says that it is a public key, whole, of a kind that nothing can be
	// wrapped for.
	Unsupported bool
}

func (e *RecipientError) Error() string { return e.Reason }

// ParseRecipient reads one line:
//
//	age1...                     X25519
//	age1pq1...                  post-quantum
//	age1tag1..., age1tagpq1...  a hardware key; its plugin is needed to unwrap only
//	age1NAME1...                a plugin's, age-plugin-NAME is run by [Wrap]
//	ssh-ed25519 AAAA... comment
//	ssh-rsa AAAA... comment     of 2048 bits or more
//
// Blanks around it are ignored. The error is a [*RecipientError]. Nothing is
// executed here, and a plugin's name that could lead outside of PATH is refused.
func ParseRecipient(line string) (*Recipient, error) {
	if len(line) > maxRecipientLine {
		return nil, &RecipientError{Reason: "a line too long for a public key", Private: looksPrivate(line)}
	}
	line = strings.TrimSpace(line)
	r, reason := parseRecipient(line)
	if r != nil {
		return r, nil
	}
	if looksPrivate(line) {
		return nil, &RecipientError{Reason: "a private key, a public one is expected", Private: true}
	}
	if _, err := ParseKey([]byte(line)); err == nil {
		return nil, &RecipientError{Reason: "a formation's key, a person's public key is expected", Private: true}
	}
	kind, _ := cutBlank(line)
	return nil, &RecipientError{Reason: reason, Unsupported: unsupportedSSH(kind) != "" || reason == shortRSA}
}

func parseRecipient(line string) (*Recipient, string) {
	switch {
	case line == "":
		return nil, "an empty line, a public key is expected"
	case strings.ContainsAny(line, "\n\r\x00"):
		return nil, "more than one line, or a zero byte"
	case looksPrivate(line):
		return nil, ""
	case strings.HasPrefix(line, "age1"):
		return parseAgeRecipient(line)
	}
	return parseSSHRecipient(line)
}

// looksPrivate is generous: the answer decides only what is said, and a line is
// refused either way.
func looksPrivate(s string) bool {
	upper := strings.ToUpper(s)
	for _, mark := range [...]string{ageIdentityPrefix, agePluginPrefix, "PRIVATE KEY", "PUTTY-USER-KEY-FILE"} {
		if strings.Contains(upper, mark) {
			return true
		}
	}
	return strings.Contains(s, opensshLead)
}

// PrivateKeyPrefix returns how many bytes of a private key, or a cut one, a text
// begins with; 0 for none. Words that only speak of one, such as
// AGE-SECRET-KEY-1..., are none.
func PrivateKeyPrefix(text string) int {
	const begin, end = "-----BEGIN ", "PRIVATE KEY"
	if strings.HasPrefix(text, begin) {
		head := text[len(begin):min(len(text), len(begin)+48)]
		if !strings.Contains(head, end) {
			return 0
		}
		if at := strings.LastIndex(text, "-----END "); at > 0 {
			return at + len(strings.TrimRightFunc(text[at:], func(r rune) bool { return r != '-' }))
		}
		return len(text)
	}
	if strings.HasPrefix(text, opensshLead) {
		return strings.IndexFunc(text+" ", func(r rune) bool { return unicode.IsSpace(r) || r == '\'' })
	}

	for _, mark := range [...]struct {
		text  string
		least int
	}{{ageIdentityPrefix, 8}, {agePluginPrefix, 24}} {
		if len(text) < len(mark.text) || !strings.EqualFold(text[:len(mark.text)], mark.text) {
			continue
		}
		n := strings.IndexFunc(text+" ", func(r rune) bool {
			return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		})
		if n-len(mark.text) >= mark.least {
			return n
		}
	}
	return 0
}

const (
	agePluginPrefix = "AGE-PLUGIN-"
	opensshLead     = "b3BlbnNzaC1rZXktdjE" // what every OpenSSH key's block begins with, in base64
)

const damagedRecipient = "no age recipient, or a damaged one: a character is wrong or missing"

func parseAgeRecipient(text string) (*Recipient, string) {
	if strings.ContainsFunc(text, unicode.IsSpace) {
		return nil, "text after an age recipient, which stands alone on its line"
	}
	switch {
	case strings.HasPrefix(text, "age1pq1"):
		if r, err := age.ParseHybridRecipient(text); err == nil {
			return &Recipient{text: r.String(), kind: "age-pq", age: r, quantum: true}, ""
		}
	case strings.HasPrefix(text, "age1tag1"), strings.HasPrefix(text, "age1tagpq1"):
		if r, err := tag.ParseRecipient(text); err == nil {
			kind := "age-tag"
			if r.Hybrid() {
				kind = "age-tagpq"
			}
			return &Recipient{text: r.String(), kind: kind, age: r, quantum: r.Hybrid()}, ""
		}
	case strings.Count(text, "1") > 1:
		name, _, err := plugin.ParseRecipient(text)
		if err == nil && isPluginName(name) {
			return &Recipient{text: text, kind: "plugin " + name, plugin: name}, ""
		}
		if name = text[len("age1"):strings.LastIndexByte(text, '1')]; !isPluginName(name) {
			return nil, "an age recipient whose plugin's name is not allowed"
		}
	default:
		if r, err := age.ParseX25519Recipient(text); err == nil {
			return &Recipient{text: r.String(), kind: "age", age: r}, ""
		}
	}
	return nil, damagedRecipient
}

// isPluginName holds what may follow "age-plugin-" in the name of a program. No
// separator of any system is in it, and no dot or dash begins it.
func isPluginName(name string) bool {
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c == '+':
		case (c == '-' || c == '.') && i > 0:
		default:
			return false
		}
	}
	return name != "" && len(name) <= 64
}

func parseSSHRecipient(line string) (*Recipient, string) {
	public, comment, reason := parseSSHPublic(line)
	if public == nil {
		return nil, reason
	}
	r, reason := sshRecipient(public)
	if r == nil {
		return nil, reason
	}
	r.comment = Printable(comment)
	return r, ""
}

// parseSSHPublic reads a line of a .pub file whose type is supported.
func parseSSHPublic(line string) (public ssh.PublicKey, comment, reason string) {
	kind, rest := cutBlank(line)
	if reason := unsupportedSSH(kind); reason != "" {
		return nil, "", reason
	}
	if kind != ssh.KeyAlgoED25519 && kind != ssh.KeyAlgoRSA {
		for _, word := range strings.Fields(rest) {
			if word == ssh.KeyAlgoED25519 || word == ssh.KeyAlgoRSA {
				return nil, "", "options before an SSH key, it begins with its type"
			}
		}
		return nil, "", "neither an age recipient (age1...) nor an SSH public key (ssh-ed25519, ssh-rsa)"
	}
	blob, comment := cutBlank(rest)
	raw, err := base64.StdEncoding.DecodeString(blob)
	if err == nil {
		public, err = ssh.ParsePublicKey(raw)
	}
	// The type stands inside, too.
	if err != nil || public.Type() != kind {
		return nil, "", "no " + kind + " public key, or a damaged one"
	}
	return public, comment, ""
}

const shortRSA = "an RSA key of fewer than 2048 bits; one of 2048 or more, ssh-ed25519 or an age key works"

func sshRecipient(public ssh.PublicKey) (*Recipient, string) {
	kind := public.Type()
	if reason := unsupportedSSH(kind); reason != "" {
		return nil, reason
	}
	var to age.Recipient
	var err error
	damaged := "a damaged ssh-ed25519 public key"
	if kind == ssh.KeyAlgoRSA {
		damaged = shortRSA
		to, err = agessh.NewRSARecipient(public)
	} else {
		to, err = agessh.NewEd25519Recipient(public)
	}
	if err != nil {
		return nil, damaged
	}
	text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	return &Recipient{text: text, kind: kind, age: to}, ""
}

// unsupportedSSH says why keys of this type can't be used, or "" where nothing
// speaks against it.
func unsupportedSSH(kind string) string {
	const works = "; ssh-ed25519, ssh-rsa or an age key works"
	switch {
	case strings.Contains(kind, "-cert-v0"):
		return "an SSH certificate; the plain ssh-ed25519 or ssh-rsa public key works"
	case strings.HasPrefix(kind, "sk-ssh-"), strings.HasPrefix(kind, "sk-ecdsa-"):
		return "an SSH key on a security key (" + skName(kind) + "), which can sign but not decrypt" + works + ", or a hardware key's age plugin"
	case strings.HasPrefix(kind, "ecdsa-"):
		return "an ECDSA key, which age does not support" + works
	case kind == "ssh-dss":
		return "a DSA key, which age does not support" + works
	}
	return ""
}

// skName keeps bytes of strangers out of messages.
func skName(kind string) string {
	if strings.HasPrefix(kind, "sk-ecdsa-") {
		return "sk-ecdsa"
	}
	return "sk-ed25519"
}

// cutBlank splits off the first word.
func cutBlank(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimSpace(s[i:])
}

// Printable takes out what could move a terminal's cursor or turn its writing
// around, and puts one blank for each run of blanks.
func Printable(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	return strings.Join(strings.Fields(s), " ")
}

// String returns the canonical text, one line without a comment.
func (r *Recipient) String() string { return r.text }

// Comment returns an SSH key's comment on one line, without control characters;
// "" for other kinds.
func (r *Recipient) Comment() string { return r.comment }

// Kind returns "age", "age-pq", "age-tag", "age-tagpq", "ssh-ed25519",
// "ssh-rsa", or "plugin NAME".
func (r *Recipient) Kind() string { return r.kind }
