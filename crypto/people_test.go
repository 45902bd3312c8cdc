package crypto

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// run returns what a program wrote on stdout.
func run(t testing.TB, in []byte, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(needs.Program(t, program), args...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, stderr.Bytes())
	}
	return out
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keygen runs ssh-keygen and returns the path of the private key.
func keygen(t testing.TB, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "id")
	run(t, nil, "ssh-keygen", append([]string{"-q", "-f", path}, args...)...)
	return path
}

// rsaKeys are the unlocked RSA keys that ssh-keygen has made for these tests, by
// their bits: making one takes it seconds.
var rsaKeys = struct {
	sync.Mutex
	made map[string][2][]byte // private and public
}{made: map[string][2][]byte{}}

// rsaKeygen is keygen for an RSA key in a form, under a passphrase if it is not
// "": ssh-keygen writes it so, of a key that it made once.
func rsaKeygen(t testing.TB, bits, form, passphrase, comment string) string {
	t.Helper()
	rsaKeys.Lock()
	defer rsaKeys.Unlock()
	key, ok := rsaKeys.made[bits]
	if !ok {
		path := keygen(t, "-t", "rsa", "-b", bits, "-N", "")
		key = [2][]byte{readFile(t, path), readFile(t, path+".pub")}
		rsaKeys.made[bits] = key
	}

	path := filepath.Join(t.TempDir(), "id")
	words := strings.SplitN(string(key[1]), " ", 3)
	for name, content := range map[string]string{path: string(key[0]), path + ".pub": words[0] + " " + words[1] + " " + comment + "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, nil, "ssh-keygen", "-q", "-c", "-f", path, "-P", "", "-C", comment)
	run(t, nil, "ssh-keygen", "-q", "-p", "-f", path, "-P", "", "-N", passphrase, "-m", form)
	return path
}

func mustRecipient(t testing.TB, line string) *Recipient {
	t.Helper()
	r, err := ParseRecipient(line)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustIdentities(t testing.TB, content, pub []byte, source string) []*Identity {
	t.Helper()
	ids, err := ParseIdentities(content, pub, source)
	if err != nil || len(ids) == 0 {
		t.Fatalf("%d identities, %v", len(ids), err)
	}
	return ids
}

func mustWrap(t testing.TB, content string, to ...*Recipient) []byte {
	t.Helper()
	sealed, err := Wrap([]byte(content), to, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// person is a new age key: its recipient and its identity.
func person(t testing.TB, source string) (*Recipient, *Identity) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return mustRecipient(t, id.Recipient().String()), mustIdentities(t, []byte(id.String()), nil, source)[0]
}

// asked is a Talk that knows one passphrase and counts the questions.
func asked(passphrase string) (talk *Talk, of *[]string) {
	of = new([]string)
	return &Talk{Passphrase: func(source string) ([]byte, error) {
		*of = append(*of, source)
		return []byte(passphrase), nil
	}}, of
}

// bech32 encodes with any prefix, also those that age refuses to write.
func bech32(prefix string, data []byte) string {
	const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	var values []byte
	bits, have := uint(0), 0
	for _, b := range data {
		bits, have = bits<<8|uint(b), have+8
		for have >= 5 {
			have -= 5
			values = append(values, byte(bits>>have)&31)
		}
	}
	if have > 0 {
		values = append(values, byte(bits<<(5-have))&31)
	}
	lower := bytes.ToLower([]byte(prefix))
	var check []byte
	for _, c := range lower {
		check = append(check, c>>5)
	}
	check = append(check, 0)
	for _, c := range lower {
		check = append(check, c&31)
	}
	check = append(append(check, values...), 0, 0, 0, 0, 0, 0)
	sum := uint32(1)
	for _, v := range check {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [...]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	sum ^= 1
	for i := range 6 {
		values = append(values, byte(sum>>(5*(5-i)))&31)
	}
	text := []byte(nil)
	for _, v := range values {
		text = append(text, charset[v])
	}
	if prefix != string(lower) {
		text = bytes.ToUpper(text)
	}
	return prefix + "1" + string(text)
}
