package crypto

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"filippo.io/age/tag"
)

const ed25519Line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHgv1fO9ucePBWTbhkmhJi6gtCkpk+uNd/Pkx8yc4y5P"

// sshBlob is the inside of an SSH public key: strings, each with its length.
func sshBlob(parts ...string) string {
	var b []byte
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func TestParseRecipient(t *testing.T) {
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	const x25519 = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	p256, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point := p256.PublicKey().Bytes() // 4, x, y; compressed: the parity of y, x
	hardware, err := tag.NewClassicRecipient(append([]byte{2 + point[64]&1}, point[1:33]...))
	if err != nil {
		t.Fatal(err)
	}
	yubikey := plugin.EncodeRecipient("yubikey", []byte("0123456789"))
	ssh := "ssh-ed25519 " + sshBlob("ssh-ed25519", string(ed25519Point()))
	for name, tc := range map[string]struct{ line, text, kind, comment string }{
		"age":              {x25519, x25519, "age", ""},
		"blanks":           {" \t" + x25519 + " \r\n", x25519, "age", ""},
		"post-quantum":     {hybrid.Recipient().String(), hybrid.Recipient().String(), "age-pq", ""},
		"hardware":         {hardware.String(), hardware.String(), "age-tag", ""},
		"plugin":           {yubikey, yubikey, "plugin yubikey", ""},
		"plugin with a 1":  {plugin.EncodeRecipient("a1b", nil), plugin.EncodeRecipient("a1b", nil), "plugin a1b", ""},
		"ssh":              {ssh, ssh, "ssh-ed25519", ""},
		"comment":          {ssh + " anna@laptop", ssh, "ssh-ed25519", "anna@laptop"},
		"tabs":             {strings.ReplaceAll(ssh, " ", " \t ") + "\tanna   b ", ssh, "ssh-ed25519", "anna b"},
		"unicode comment":  {ssh + " Žofie 東京 🔑", ssh, "ssh-ed25519", "Žofie 東京 🔑"},
		"hostile comment":  {ssh + " a\x1b[2Jb\x07\u202ec\u0085d\xff", ssh, "ssh-ed25519", "a[2Jbc d\ufffd"},
		"line in its name": {ssh + " a\u2028b", ssh, "ssh-ed25519", "a b"},
	} {
		r, err := ParseRecipient(tc.line)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.String() != tc.text || r.Kind() != tc.kind || r.Comment() != tc.comment {
			t.Errorf("%s: got %q %q %q", name, r, r.Kind(), r.Comment())
		}
		if again, err := ParseRecipient(r.String()); err != nil || again.String() != r.String() {
			t.Errorf("%s: the canonical text reads otherwise: %v", name, err)
		}
	}
}

// ed25519Point is the base point, compressed.
func ed25519Point() []byte {
	return append([]byte{0x58}, bytes.Repeat([]byte{0x66}, 31)...)
}

func TestParseRecipientErrors(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	fernet := string(mustGenerate(t, Fernet).File())
	public := id.Recipient().String()
	for name, tc := range map[string]struct {
		line, reason string
		private      bool
	}{
		"empty":               {" \n", "empty", false},
		"age identity":        {id.String(), "private key", true},
		"in lower case":       {strings.ToLower(id.String()), "private key", true},
		"after a comment":     {"# anna " + id.String(), "private key", true},
		"plugin identity":     {plugin.EncodeIdentity("x", []byte("0123")), "private key", true},
		"PEM":                 {"-----BEGIN OPENSSH PRIVATE KEY-----", "private key", true},
		"PEM, all of it":      {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAA\n", "private key", true},
		"line of a PEM":       {"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ", "private key", true},
		"a .key":              {fernet, "formation's key", true},
		"a .key in hex":       {strings.Repeat("ab", 32), "formation's key", true},
		"two":                 {public + "\n" + public, "more than one line", false},
		"text after":          {public + " anna", "text after", false},
		"typo":                {public[:20] + "b" + public[21:], "damaged", false},
		"cut":                 {public[:40], "damaged", false},
		"upper case":          {strings.ToUpper(public), "neither", false},
		"text":                {"anna", "neither", false},
		"github":              {"github:anna", "neither", false},
		"too long":            {"ssh-ed25519 " + strings.Repeat("A", maxRecipientLine), "too long", false},
		"ssh, no key":         {"ssh-ed25519", "damaged", false},
		"ssh, cut":            {ed25519Line[:50], "damaged", false},
		"ssh, other type":     {"ssh-ed25519 " + sshBlob("ssh-rsa", "\x03", "\x05"), "damaged", false},
		"ssh, no point":       {"ssh-ed25519 " + sshBlob("ssh-ed25519", "\x02"+strings.Repeat("\x00", 31)), "damaged", false},
		"ssh, options":        {"restrict,command=\"x\" " + ed25519Line, "options", false},
		"ssh, short RSA":      {"ssh-rsa " + sshBlob("ssh-rsa", "\x01\x00\x01", "\x7f"+strings.Repeat("\x01", 127)), "2048", false},
		"ecdsa":               {"ecdsa-sha2-nistp256 AAAA anna", "ssh-ed25519, ssh-rsa or an age key works", false},
		"sk-ed25519":          {"sk-ssh-ed25519@openssh.com " + sshBlob("sk-ssh-ed25519@openssh.com", string(ed25519Point()), "ssh:") + " anna", "age plugin", false},
		"sk-ecdsa":            {"sk-ecdsa-sha2-nistp256@openssh.com AAAA", "sk-ecdsa", false},
		"dsa":                 {"ssh-dss AAAA", "DSA", false},
		"certificate":         {"ssh-ed25519-cert-v01@openssh.com AAAA", "certificate", false},
		"plugin ../":          {bech32("age1../../x", []byte("0")), "name is not allowed", false},
		"plugin, absolute":    {bech32("age1/bin/sh", []byte("0")), "name is not allowed", false},
		"plugin, Windows":     {bech32(`age1c:\x`, []byte("0")), "name is not allowed", false},
		"plugin, NUL":         {bech32("age1x\x00y", []byte("0")), "zero byte", false},
		"plugin, upper case":  {bech32("age1X", []byte("0")), "name is not allowed", false},
		"plugin, all upper":   {bech32("AGE1X", []byte("0")), "neither", false},
		"plugin, dot":         {bech32("age1.x", []byte("0")), "name is not allowed", false},
		"plugin, dots":        {bech32("age1..", []byte("0")), "name is not allowed", false},
		"plugin, dash":        {bech32("age1-x", []byte("0")), "name is not allowed", false},
		"plugin, no name":     {bech32("age1", []byte("0")), "name is not allowed", false},
		"plugin, long":        {bech32("age1"+strings.Repeat("x", 65), []byte("0")), "name is not allowed", false},
		"plugin, unicode":     {"age1ﬁ1qqqq", "name is not allowed", false},
		"plugin, bad sum":     {plugin.EncodeRecipient("x", []byte("0123")) + "q", "damaged", false},
		"binary":              {"\x80\x81\x00\xff", "zero byte", false},
		"tag, damaged":        {"age1tag1qqqq", "damaged", false},
		"post-quantum, short": {"age1pq1qqqq", "damaged", false},
	} {
		r, err := ParseRecipient(tc.line)
		e, ok := errors.AsType[*RecipientError](err)
		if !ok || r != nil || e.Private != tc.private || !strings.Contains(e.Reason, tc.reason) {
			t.Errorf("%s: got %v, %v", name, r, err)
			continue
		}
		for _, secret := range []string{id.String()[20:30], fernet[4:14]} {
			if strings.Contains(strings.ToUpper(err.Error()), strings.ToUpper(secret)) {
				t.Errorf("%s: the error quotes the line", name)
			}
		}
	}
}

// ssh-keygen's own lines, of every type it makes.
func TestParseRecipientKeygen(t *testing.T) {
	for _, tc := range []struct {
		args   []string
		kind   string
		reason string
	}{
		{[]string{"-t", "ed25519", "-N", "", "-C", "anna's laptop"}, "ssh-ed25519", ""},
		{[]string{"-t", "rsa", "-b", "2048", "-N", "", "-C", ""}, "ssh-rsa", ""},
		{[]string{"-t", "rsa", "-b", "1024", "-N", "", "-C", ""}, "", "2048"},
		{[]string{"-t", "ecdsa", "-N", ""}, "", "ECDSA"},
	} {
		line := readFile(t, keygen(t, tc.args...)+".pub")
		r, err := ParseRecipient(string(line))
		if tc.reason != "" {
			if err == nil || !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("%v: %v", tc.args, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", tc.args, err)
			continue
		}
		if r.Kind() != tc.kind || r.Comment() != tc.args[len(tc.args)-1] {
			t.Errorf("%v: got %q %q", tc.args, r.Kind(), r.Comment())
		}
	}
}

// A name that leads elsewhere is refused before any program is looked for.
func TestHostilePluginNamesRunNothing(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell script")
	}
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b")
	ran := filepath.Join(top, "ran")
	script := []byte("#!/bin/sh\ntouch '" + ran + "'\n")
	for _, path := range []string{filepath.Join(dir, "age-plugin-.."), filepath.Join(top, "x"), filepath.Join(dir, "age-plugin-X"), filepath.Join(dir, "age-plugin--x"), filepath.Join(dir, "age-plugin-.x")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, script, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	_, other := person(t, "keys.txt")
	for _, name := range []string{"../../x", top + "/x", "..", "x\x00", "X", "-x", ".x"} {
		if r, err := ParseRecipient(bech32("age1"+name, []byte("0"))); err == nil {
			Wrap([]byte("k"), []*Recipient{r}, nil)
			t.Errorf("%q is a plugin's name", name)
		}
		if name == "X" {
			continue // identities are in upper case: it is x
		}
		ids, err := ParseIdentities([]byte(bech32("AGE-PLUGIN-"+strings.ToUpper(name)+"-", []byte("0"))), nil, "keys.txt")
		if err == nil || len(ids) > 0 {
			r, _ := person(t, "keys.txt")
			Unwrap(mustWrap(t, "k", r), append(ids, other), nil)
			t.Errorf("%q is a plugin's name in an identity", name)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a program was run")
	}
}

// What is masked of a private key is all of it, and no word about one.
func TestPrivateKeyPrefix(t *testing.T) {
	const age = "AGE-SECRET-KEY-1" + "A0Z9QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LAZ09QPZRY9X8GF2TVDW0S3"
	const plugin = "AGE-PLUGIN-YUBIKEY-1" + "A0Z9QPZRY9X8GF2"
	const openssh = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU+/w=="
	const pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"
	for text, want := range map[string]int{
		age: len(age), age + "'\n": len(age), age + "_x": len(age), strings.ToLower(age) + " b": len(age), age[:23]: 23, age[:22]: 0,
		plugin + ",": len(plugin), plugin[:24] + ".": 0, plugin: len(plugin),
		openssh + "\nmore": len(openssh), openssh + "'": len(openssh), openssh: len(openssh),
		pem: len(pem), pem + "\nrest": len(pem), pem[:40]: 40,
		"AGE-SECRET-KEY-1...": 0, "AGE-SECRET": 0, "": 0, " " + age: 0, "-----BEGIN CERTIFICATE-----\nPRIVATE": 0,
	} {
		if got := PrivateKeyPrefix(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
