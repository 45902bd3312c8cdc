package crypto

import (
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

const sshPassphrase = "correct horse ümlaut"

// Every form of a key that ssh-keygen makes, with its program opening what is
// wrapped here and the reverse.
func TestSSHKeys(t *testing.T) {
	needs.Program(t, "ssh-keygen")
	comments := []string{"", "anna@laptop", "Anna's key, 東京 ", "two\nlines"}
	for i, tc := range []struct{ kind, bits, form string }{
		{"ed25519", "256", "RFC4716"}, {"ed25519", "256", "PEM"}, {"ed25519", "256", "PKCS8"},
		{"rsa", "2048", "RFC4716"}, {"rsa", "2048", "PEM"}, {"rsa", "2048", "PKCS8"},
		{"rsa", "3072", "RFC4716"}, {"rsa", "4096", "PEM"},
	} {
		if testing.Short() && i != 0 && i != 3 {
			continue // of each kind the first form
		}
		for _, passphrase := range []string{"", sshPassphrase} {
			name := tc.kind + tc.bits + " " + tc.form
			if passphrase != "" {
				name += " locked"
			}
			t.Run(name, func(t *testing.T) {
				comment, path := comments[i%len(comments)], ""
				if tc.kind == "rsa" {
					path = rsaKeygen(t, tc.bits, tc.form, passphrase, comment)
				} else {
					path = keygen(t, "-t", tc.kind, "-m", tc.form, "-N", passphrase, "-C", comment)
				}
				content, pub := readFile(t, path), readFile(t, path+".pub")
				to := mustRecipient(t, strings.SplitAfter(string(pub), "\n")[0])
				ids := mustIdentities(t, content, pub, path)
				wrapped := mustWrap(t, "the key", to)

				talk, questions := asked(passphrase)
				got, which, err := Unwrap(wrapped, ids, talk)
				if err != nil || string(got) != "the key" || which != ids[0] {
					t.Fatalf("unwrapping: %v", err)
				}
				want := 0
				if passphrase != "" {
					want = 1
				}
				// Asked at most once, whatever is opened afterwards.
				if _, _, err := Unwrap(wrapped, ids, nil); err != nil {
					t.Errorf("again: %v", err)
				}
				if len(*questions) != want || want == 1 && (*questions)[0] != path {
					t.Errorf("asked %d times", len(*questions))
				}

				if passphrase == "" {
					if got := run(t, wrapped, "age", "-d", "-i", path); string(got) != "the key" {
						t.Error("age reads other bytes")
					}
				}
				theirs := run(t, []byte("theirs"), "age", "-R", writeFile(t, []byte(to.String()+"\n")))
				if got, _, err := Unwrap(theirs, ids, talk); err != nil || string(got) != "theirs" {
					t.Errorf("age's file: %v", err)
				}
			})
		}
	}
}

func TestLockedKeys(t *testing.T) {
	other, _ := person(t, "")
	for _, form := range []string{"RFC4716", "PEM", "PKCS8"} {
		t.Run(form, func(t *testing.T) {
			path := rsaKeygen(t, "2048", form, sshPassphrase, "x")
			content, pub := readFile(t, path), readFile(t, path+".pub")
			parse := func() []*Identity { return mustIdentities(t, content, pub, path) }
			named := mustWrap(t, "k", other, mustRecipient(t, string(pub)))

			talk, questions := asked(sshPassphrase)
			if _, _, err := Unwrap(mustWrap(t, "k", other), parse(), talk); ReasonOf(err) != NoIdentity || len(*questions) > 0 {
				t.Errorf("a file that does not name it: asked %d times, %v", len(*questions), err)
			}
			if _, _, err := Unwrap(named, parse(), nil); ReasonOf(err) != NeedsPerson {
				t.Errorf("nobody there: %v", err)
			}
			if _, _, err := Unwrap(named, parse(), &Talk{}); ReasonOf(err) != NeedsPerson {
				t.Errorf("nobody there: %v", err)
			}
			for _, wrong := range []string{"", "wrong", sshPassphrase + " "} {
				ids := parse()
				talk, questions := asked(wrong)
				for range 2 {
					_, _, err := Unwrap(named, ids, talk)
					if ReasonOf(err) != WrongPassphrase || !strings.Contains(err.Error(), path) {
						t.Errorf("wrong passphrase: %v", err)
					}
				}
				if len(*questions) != 1 {
					t.Errorf("asked %d times", len(*questions))
				}
			}
			stop := errors.New("interrupted")
			_, _, err := Unwrap(named, parse(), &Talk{Passphrase: func(string) ([]byte, error) { return nil, stop }})
			if !errors.Is(err, stop) {
				t.Errorf("interrupted: %v", err)
			}
			// The key of somebody who needs not be asked comes first.
			free, id := person(t, "keys.txt")
			both := mustWrap(t, "k", mustRecipient(t, string(pub)), free)
			talk, questions = asked(sshPassphrase)
			if _, which, err := Unwrap(both, append(parse(), id), talk); err != nil || which != id || len(*questions) > 0 {
				t.Errorf("asked %d times, %v", len(*questions), err)
			}
			if form == "RFC4716" {
				mustIdentities(t, content, nil, path)
				return
			}
			for _, pub := range []string{"", "\n", "garbage", "ssh-rsa AAAA"} {
				ids, err := ParseIdentities(content, []byte(pub), path)
				if e, ok := errors.AsType[*IdentityError](err); !ok || len(ids) > 0 || !strings.Contains(e.Reason, ".pub") {
					t.Errorf("%q as .pub: %v", pub, err)
				}
			}
			// Another's .pub: no harm, and no opening.
			ids := mustIdentities(t, content, []byte(ed25519Of(t)), path)
			if _, _, err := Unwrap(named, ids, talk); ReasonOf(err) != NoIdentity {
				t.Errorf("another's .pub: %v", err)
			}
		})
	}
}

func ed25519Of(t *testing.T) string {
	t.Helper()
	return "ssh-ed25519 " + sshBlob("ssh-ed25519", string(ed25519Point()))
}

// Ciphers and rounds that ssh-keygen offers beside its defaults.
func TestUnusualLocks(t *testing.T) {
	for _, tc := range []struct {
		args   []string
		reason string
	}{
		{[]string{"-Z", "aes256-cbc", "-a", "24"}, ""},
		{[]string{"-Z", "aes128-ctr"}, "aes256-ctr"},
		{[]string{"-Z", "chacha20-poly1305@openssh.com"}, "aes256-ctr"},
		{[]string{"-Z", "aes256-gcm@openssh.com"}, "aes256-ctr"},
	} {
		path := keygen(t, append([]string{"-t", "ed25519", "-N", sshPassphrase}, tc.args...)...)
		ids, err := ParseIdentities(readFile(t, path), nil, path)
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
		talk, _ := asked(sshPassphrase)
		if _, _, err := Unwrap(mustWrap(t, "k", mustRecipient(t, string(readFile(t, path+".pub")))), ids, talk); err != nil {
			t.Errorf("%v: %v", tc.args, err)
		}
	}
}

func TestUnsupportedSSHKeys(t *testing.T) {
	for _, kind := range []string{"ecdsa", "dsa"} {
		for _, form := range []string{"RFC4716", "PEM", "PKCS8"} {
			for _, passphrase := range []string{"", sshPassphrase} {
				if kind == "dsa" && form == "PEM" && passphrase == "" {
					continue // slow to make, and as the locked one
				}
				path := keygenIfAble(t, kind, form, passphrase)
				if path == "" {
					continue
				}
				ids, err := ParseIdentities(readFile(t, path), readFile(t, path+".pub"), path)
				e, ok := errors.AsType[*IdentityError](err)
				if !ok || len(ids) > 0 || e.Source != path || !strings.Contains(e.Reason, "ssh-ed25519, ssh-rsa or an age key works") {
					t.Errorf("%s %s, passphrase %v: %v", kind, form, passphrase != "", err)
				}
			}
		}
	}
	// A security key is needed to make a real one; the type stands outside.
	for _, cipher := range []string{"none", "aes256-ctr"} {
		if err := parseSK(t, cipher); err == nil || !strings.Contains(err.Error(), "age plugin") {
			t.Errorf("sk, %s: %v", cipher, err)
		}
	}
	path := keygen(t, "-t", "rsa", "-b", "1024", "-N", "")
	if _, err := ParseIdentities(readFile(t, path), nil, path); err == nil || !strings.Contains(err.Error(), "2048") {
		t.Errorf("short RSA: %v", err)
	}
}

// keygenIfAble returns "" where this ssh-keygen makes no such keys any more.
func keygenIfAble(t *testing.T, kind, form, passphrase string) string {
	t.Helper()
	if kind == "dsa" {
		probe := t.TempDir() + "/probe"
		if exec.Command(needs.Program(t, "ssh-keygen"), "-q", "-t", kind, "-N", "", "-f", probe).Run() != nil {
			return ""
		}
	}
	return keygen(t, "-t", kind, "-m", form, "-N", passphrase)
}

func parseSK(t *testing.T, cipher string) error {
	t.Helper()
	kind := "sk-ssh-ed25519@openssh.com"
	kdf := "none"
	if cipher != "none" {
		kdf = "bcrypt"
	}
	public := decodeBlob(t, sshBlob(kind, string(ed25519Point()), "ssh:"))
	body := "openssh-key-v1\x00" + decodeBlob(t, sshBlob(cipher, kdf, "")) + "\x00\x00\x00\x01" + decodeBlob(t, sshBlob(public, strings.Repeat("\x00", 64)))
	_, err := ParseIdentities([]byte(asOpenSSH(body)), nil, "id_sk")
	return err
}

func asOpenSSH(body string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte(body)}))
}

func TestParseIdentities(t *testing.T) {
	one, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	yubikey := plugin.EncodeIdentity("yubikey", []byte("0123"))
	ssh := ""
	if _, err := exec.LookPath("ssh-keygen"); err == nil {
		ssh = string(readFile(t, keygen(t, "-t", "ed25519", "-N", "")))
	}
	toOne := string(mustWrap(t, one.String(), mustRecipient(t, one.Recipient().String())))
	for name, tc := range map[string]struct {
		content string
		count   int
		reason  string
	}{
		"one":             {one.String(), 1, ""},
		"age-keygen":      {"# created: now\n# public key: age1x\n" + one.String() + "\n", 1, ""},
		"three, CRLF":     {"\ufeff" + one.String() + "\r\n\r\n" + hybrid.String() + "\r\n  " + yubikey + "\r\n", 3, ""},
		"UTF-16":          {"\xff\xfe" + strings.ReplaceAll("# x\r\n"+one.String()+"\r\n", "", "\x00")[1:], 1, ""},
		"ssh":             {ssh, 1, ""},
		"ssh, CRLF":       {strings.ReplaceAll("\n"+ssh, "\n", "\r\n"), 1, ""},
		"ssh, text first": {"Bag Attributes\n" + ssh, 1, ""},
		"ssh, cut":        {ssh[:len(ssh)/2], 0, "damaged"},
		"ssh, other":      {strings.Replace(ssh, "A", "B", 1), 0, "damaged"},
		"OpenSSH, empty":  {asOpenSSH(""), 0, "damaged"},
		"OpenSSH, inside": {asOpenSSH("openssh-key-v1\x00\x00\x00\x00\x04no"), 0, "damaged"},
		"good and bad":    {one.String() + "\nAGE-SECRET-KEY-1XYZ\n" + hybrid.String() + "\nx\n", 2, "line 2 is a damaged age identity"},
		"empty":           {"", 0, "no identity"},
		"comments":        {"# " + one.String() + "\n", 0, "no identity"},
		"garbage":         {"\x80\x81\xff", 0, "line 1"},
		"recipient":       {one.Recipient().String(), 0, "a public key"},
		"ssh public":      {ed25519Line, 0, "a public key"},
		"PEM public":      {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 0, "something else in PEM"},
		"PuTTY":           {"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", 0, "puttygen"},
		"plugin, hostile": {bech32("AGE-PLUGIN-../../X-", []byte("0")), 0, "not allowed"},
		"too large":       {strings.Repeat("#", maxIdentityFile+1), 0, "too large"},
		"sealed to one":   {toOne, 0, "age file for recipients"},
		"sealed, cut":     {toOne[:len(toOne)/2], 0, "damaged age file"},
	} {
		if strings.HasPrefix(name, "ssh") && ssh == "" && name != "ssh public" {
			continue
		}
		ids, err := ParseIdentities([]byte(tc.content), nil, "keys.txt")
		if len(ids) != tc.count || (tc.reason == "") != (err == nil) {
			t.Errorf("%s: %d identities, %v", name, len(ids), err)
			continue
		}
		if err != nil {
			e, ok := errors.AsType[*IdentityError](err)
			if !ok || e.Source != "keys.txt" || !strings.Contains(e.Reason, tc.reason) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A file that `age -p` sealed is asked for last, and once.
func TestLockedIdentityFile(t *testing.T) {
	one, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	two, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	sealed := sealWithPassphrase(t, "# mine\n"+one.String()+"\n"+two.String()+"\n", "open sesame", 4)
	wrapped := mustWrap(t, "k", mustRecipient(t, two.Recipient().String()))
	free, id := person(t, "free.txt")

	ids := mustIdentities(t, sealed, nil, "keys.age")
	talk, questions := asked("open sesame")
	// Somebody who needs not be asked is tried first.
	if _, which, err := Unwrap(mustWrap(t, "k", free), append(ids, id), talk); err != nil || which != id || len(*questions) > 0 {
		t.Errorf("asked %d times, %v", len(*questions), err)
	}
	for range 2 {
		got, which, err := Unwrap(wrapped, ids, talk)
		if err != nil || string(got) != "k" || which != ids[0] {
			t.Fatal(err)
		}
		if _, _, err := Unwrap(mustWrap(t, "k", free), ids, talk); ReasonOf(err) != NoIdentity {
			t.Errorf("not for it: %v", err)
		}
	}
	if len(*questions) != 1 || (*questions)[0] != "keys.age" {
		t.Errorf("asked for %q", *questions)
	}
	if _, _, err := Unwrap(wrapped, mustIdentities(t, sealed, nil, "keys.age"), nil); ReasonOf(err) != NeedsPerson {
		t.Errorf("nobody there: %v", err)
	}
	ids = mustIdentities(t, sealed, nil, "keys.age")
	talk, questions = asked("wrong")
	for range 2 {
		if _, _, err := Unwrap(wrapped, ids, talk); ReasonOf(err) != WrongPassphrase || !strings.Contains(err.Error(), "keys.age") {
			t.Errorf("wrong passphrase: %v", err)
		}
	}
	if len(*questions) != 1 {
		t.Errorf("asked %d times", len(*questions))
	}
	talk, _ = asked("open sesame")
	nothing := mustIdentities(t, sealWithPassphrase(t, "text", "open sesame", 4), nil, "keys.age")
	if _, _, err := Unwrap(wrapped, nothing, talk); ReasonOf(err) != MalformedKey {
		t.Errorf("nothing inside: %v", err)
	}
}

// No verb of fmt and no encoder shows what an identity holds.
func TestIdentityIsNeverPrinted(t *testing.T) {
	one, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	yubikey := plugin.EncodeIdentity("yubikey", []byte("0123456789abcdef"))
	ids := mustIdentities(t, []byte(one.String()+"\n"+yubikey), nil, "keys.txt")
	out := ""
	for _, i := range ids {
		type holder struct{ identity *Identity }
		for _, v := range []any{i, *i, holder{i}, &holder{i}, struct{ I Identity }{*i}, []*Identity{i}, map[string]Identity{"i": *i}} {
			for _, verb := range "vsdxXqgtbcUpT" {
				for _, flag := range []string{"", "+", "#"} {
					out += fmt.Sprintf("%"+flag+string(verb)+"\n", v)
				}
			}
			j, _ := json.Marshal(v)
			out += string(j) + "\n"
		}
	}
	lower := strings.ToLower(out)
	for _, secret := range []string{one.String()[20:36], hex.EncodeToString([]byte(one.String()))[40:60], yubikey[20:36], hex.EncodeToString([]byte(yubikey))[40:60]} {
		if strings.Contains(lower, strings.ToLower(secret)) {
			t.Error("a verb shows the identity")
		}
	}
	if fmt.Sprint(ids[0]) != "keys.txt" || fmt.Sprint(Identity{}) != "no identity" {
		t.Error("the source is not shown")
	}
}

func TestPBES2Spellings(t *testing.T) {
	needs.Program(t, "openssl")
	path := keygen(t, "-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "")
	pub := readFile(t, path+".pub")
	wrapped := mustWrap(t, "k", mustRecipient(t, string(pub)))
	for _, tc := range []struct {
		args   []string
		reason string
	}{
		{[]string{"-v2", "aes-256-cbc"}, ""},
		{[]string{"-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512"}, ""},
		{[]string{"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"}, ""},
		{[]string{"-v2", "des3", "-iter", "5000"}, ""},
		{[]string{"-scrypt"}, "unusual"},
	} {
		locked := run(t, nil, "openssl", append([]string{"pkcs8", "-topk8", "-in", path, "-passout", "pass:sesame"}, tc.args...)...)
		ids, err := ParseIdentities(locked, pub, "id")
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
		talk, _ := asked("sesame")
		if _, _, err := Unwrap(wrapped, ids, talk); err != nil {
			t.Errorf("%v: %v", tc.args, err)
		}
	}
}
