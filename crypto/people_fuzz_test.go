package crypto

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// noQuote fails where the text of an error holds a piece of the input that its
// own words do not explain: what came in may be a private key.
func noQuote(t *testing.T, err error, in []byte) {
	t.Helper()
	text := err.Error()
	const run = 12
	for i := 0; i+run <= len(in); i++ {
		if part := string(in[i : i+run]); strings.Contains(text, part) && !strings.Contains(allReasons, part) {
			t.Fatal("the error quotes the input")
		}
	}
}

// allReasons are words that a fuzzed input may hold by itself.
const allReasons = `an SSH certificate; the plain ssh-ed25519 or ssh-rsa public key works; ssh-ed25519, ssh-rsa or an age key works, or a hardware key's age plugin
no ssh-ed25519 public key, or a damaged one no ssh-rsa public key, or a damaged one`

func FuzzParseRecipient(f *testing.F) {
	for _, seed := range []string{"", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "age1pq1qqqq", "age1tag1qqqq",
		plugin.EncodeRecipient("x", []byte("0")), bech32("age1../../x", []byte("0")), ed25519Line + " comment",
		"ssh-ed25519 " + sshBlob("ssh-ed25519", string(ed25519Point())) + " a\x1bb", "ssh-rsa " + sshBlob("ssh-rsa", "\x03", "\x7f"+strings.Repeat("\x01", 255)),
		"ecdsa-sha2-nistp256 AAAA", "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r, err := ParseRecipient(line)
		if err != nil {
			if _, ok := errors.AsType[*RecipientError](err); !ok || r != nil {
				t.Fatalf("%T is no *RecipientError", err)
			}
			noQuote(t, err, []byte(line))
			return
		}
		for _, s := range []string{r.String(), r.Comment(), r.Kind()} {
			if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
				t.Fatal("a control character is left")
			}
		}
		again, err := ParseRecipient(r.String())
		if err != nil || again.String() != r.String() || again.Kind() != r.Kind() {
			t.Fatalf("the canonical text reads otherwise: %v", err)
		}
		// Plugins are not run on what a fuzzer finds.
		if r.plugin == "" {
			if sealed, err := Wrap([]byte("k"), []*Recipient{r}, nil); err == nil && NeedsPassphrase(sealed) {
				t.Fatal("wrapped for a passphrase")
			}
		}
	})
}

func FuzzParseIdentities(f *testing.F) {
	for _, seed := range []string{"", "# x\nAGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n", plugin.EncodeIdentity("x", nil),
		bech32("AGE-PLUGIN-../../X-", []byte("0")), "\xff\xfeA\x00", "-----BEGIN AGE ENCRYPTED FILE-----\n", ageIntro, "PuTTY-User-Key-File-3: x"} {
		f.Add([]byte(seed), []byte(nil))
	}
	names, _ := filepath.Glob("testdata/ssh/*.pem")
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		pub, _ := os.ReadFile(strings.TrimSuffix(name, ".pem") + ".pub")
		f.Add(content, pub)
	}
	if len(names) == 0 {
		f.Fatal("no keys in testdata/ssh")
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	wrapped := mustWrap(f, "k", mustRecipient(f, id.Recipient().String()))
	f.Fuzz(func(t *testing.T, content, pub []byte) {
		ids, err := ParseIdentities(content, pub, "SOURCE")
		if err == nil && len(ids) == 0 {
			t.Fatal("neither an identity nor an error")
		}
		if err != nil {
			if _, ok := errors.AsType[*IdentityError](err); !ok {
				t.Fatalf("%T is no *IdentityError", err)
			}
			noQuote(t, err, content)
		}
		for _, i := range ids {
			if _, ok := i.m.key.(*pluginIdentity); ok {
				return
			}
			if i.Source() != "SOURCE" {
				t.Fatal("another source")
			}
			if key, ok := i.m.key.(*lockedSSH); ok {
				if _, err := unlockSSH(key.block, []byte("p")); err != nil {
					checkReason(t, err, WrongPassphrase, MalformedKey)
				}
			}
		}
		if _, _, err := Unwrap(wrapped, ids, nil); err != nil {
			checkReason(t, err, NoIdentity, NeedsPerson)
			noQuote(t, err, content)
		}
	})
}

func FuzzUnwrap(f *testing.F) {
	id, err := age.ParseX25519Identity("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX")
	if err != nil {
		f.Fatal(err)
	}
	var ids []*Identity
	var to []*Recipient
	for _, name := range []string{"ed25519", "ed25519-locked", "rsa"} {
		content, err := os.ReadFile("testdata/ssh/" + name + ".pem")
		if err != nil {
			f.Fatal(err)
		}
		pub, err := os.ReadFile("testdata/ssh/" + name + ".pub")
		if err != nil {
			f.Fatal(err)
		}
		ids = append(ids, mustIdentities(f, content, pub, name)...)
		to = append(to, mustRecipient(f, string(pub)))
	}
	ids = append(ids, mustIdentities(f, []byte(id.String()), nil, "age")...)
	to = append(to, mustRecipient(f, id.Recipient().String()))
	for _, r := range to {
		f.Add(mustWrap(f, "k", r))
		f.Add(binaryOf(f, mustWrap(f, "k", r)))
	}
	f.Add(binaryOf(f, sealWithPassphrase(f, "k", "p", 2)))
	f.Add(binaryOf(f, mustWrap(f, "k", to...)))
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		before := bytes.Clone(wrapped)
		got, which, err := Unwrap(wrapped, ids, nil)
		if !bytes.Equal(before, wrapped) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			checkReason(t, err, NoIdentity, NeedsPerson, TooLarge, WrongKey, Truncated, NotSealed, MergeMarkers, Filtered, EmptyFile)
			if got != nil || which != nil {
				t.Fatal("an error and content")
			}
		} else if string(got) != "k" || which == nil {
			t.Fatal("a forged file opened")
		}
		if NeedsPassphrase(wrapped) && strings.Contains(string(wrapped), " 2\n") {
			if _, err := UnwrapWithPassphrase(wrapped, []byte("p")); err != nil {
				checkReason(t, err, WrongPassphrase, NoIdentity, TooLarge, WrongKey, Truncated)
			}
		}
	})
}
