package scan

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exampleFormations reads MUXI's published example formations.
func exampleFormations(t testing.TB) map[string]string {
	t.Helper()
	root := filepath.Join("..", "testdata", "formations")
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path)
		files[filepath.ToSlash(rel)] = string(content)
		return err
	})
	if err != nil || len(files) < 15 {
		t.Fatalf("cannot read the example formations: %v (%d files)", err, len(files))
	}
	return files
}

func TestKeyFiles(t *testing.T) {
	for _, path := range []string{".key", "formations/demo/.key", "a/.KEY", "a/.Key", ".key.bak", ".key.old", ".key~", ".key copy", ".key.1"} {
		for _, content := range []string{"", plainFernet(), urlFernet() + "\n", "anything # muxi-secrets:allow"} {
			found := (&Scanner{}).File(path, []byte(content), Regular)
			if len(found) != 1 || found[0].Rule != KeyFile {
				t.Errorf("%s: want one finding of key-file, got %s", path, summary(found))
			}
		}
	}
	if found := (&Scanner{}).File("home/id_ed25519", []byte(pem("OPENSSH "+"PRIVATE KEY")), Regular); len(found) != 1 || found[0].Rule != KeyFile {
		t.Errorf("id_ed25519: %s", summary(found))
	}
	if found := (&Scanner{}).File("a/.key.age", []byte("<<<<<<< HEAD\n"), Regular); len(found) != 1 || found[0].Rule != VaultNotEncrypted {
		t.Errorf("a .key.age with merge markers: %s", summary(found))
	}
	for _, path := range []string{".age-recipients", "monkey", "a.key", ".keys", ".key.pub", ".key.md", "id_rsa.pub", ".key/readme"} {
		wantNone(t, &Scanner{}, path, "nothing in here\n")
	}
	if found := (&Scanner{}).File("latest", []byte("formations/demo/.key"), Symlink); found != nil {
		t.Errorf("a link that names a key file holds no key: %s", summary(found))
	}
}

func TestKeyMaterial(t *testing.T) {
	age := "AGE-SECRET-KEY-" + "1" + made(70, 58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L")
	block := pem("PRIVATE " + "KEY")
	for _, c := range []struct{ path, text, value string }{
		{"backup.txt", urlFernet(), urlFernet()[:43]},
		{"backup.txt", plainFernet() + "\n", plainFernet()[:43]},
		{"notes.md", "größe: the key is " + urlFernet() + " ok", urlFernet()[:43]},
		{"a.py", "k = Fernet(b'" + urlFernet() + "')", urlFernet()[:43]},
		{"a.env", "A=1\nFERNET_KEY=" + plainFernet(), plainFernet()[:43]},
		{"a.yaml", "encryption_key: \"" + plainFernet() + "\"\n", plainFernet()[:43]},
		{"a.json", `{"secretKey": "` + stdFernet() + `"}`, stdFernet()[:43]},
		{"prod.key", "# key\n" + plainFernet() + "\n", plainFernet()[:43]},
		{"image.png", "\x89PNG\x00\x00" + urlFernet() + "\x00", urlFernet()[:43]},
		{"keys.txt", "# created: 2024\n# public key: age1abc\n" + age + "\n", age},
		{"bin", "\x00\x01" + age + "\x00", age},
		{"server.pem", block, "-----BEGIN"},
		{"a.go", "var k = `" + block + "`", "-----BEGIN"},
		{"a.json", `{"private_key": "` + strings.ReplaceAll(block, "\n", `\n`) + `"}`, "-----BEGIN"},
		{"a.bin", "\x00\x00" + block, "-----BEGIN"},
		{"a.asc", pem("PGP PRIVATE " + "KEY BLOCK"), "-----BEGIN"},
		{"id.txt", pem("OPENSSH PRIVATE " + "KEY"), "-----BEGIN"},
		{"secret.yaml", "data:\n  tls.key: " + base64.StdEncoding.EncodeToString([]byte(block)) + "\n", "LS0tLS1C"},
	} {
		wantOne(t, &Scanner{}, c.path, c.text, KeyMaterial, c.value)
	}
}

// The repository's own key is found however it is written.
func TestOwnKey(t *testing.T) {
	key := plainFernet()
	raw, _ := base64.URLEncoding.DecodeString(key)
	own := &Scanner{Known: NewKnown(nil, []byte(key+"\n"))}
	for _, value := range []string{
		key, strings.TrimRight(key, "="), hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), string(raw),
		base64.StdEncoding.EncodeToString([]byte("x" + key)), hex.EncodeToString([]byte(key)), strings.ReplaceAll(key, "=", "%3D"),
	} {
		found := only(own.File("a.txt", []byte("first\nx "+value+" y\n"), Regular), KeyMaterial)
		if len(found) != 1 || found[0].Line != 2 {
			t.Errorf("own key: %d findings in %d bytes", len(found), len(value))
		}
		noValue(t, found, key)
	}
	url := urlFernet()
	raw, _ = base64.URLEncoding.DecodeString(url)
	own = &Scanner{Known: NewKnown(nil, []byte(url))}
	if found := only(own.File("a.txt", []byte("x: "+base64.StdEncoding.EncodeToString(raw)), Regular), KeyMaterial); len(found) != 1 {
		t.Errorf("own key in the other alphabet: %d findings", len(found))
	}
	// With the key at hand or without it, it is the same finding.
	with := own.File("a.txt", []byte("key: "+url), Regular)
	without := (&Scanner{}).File("a.txt", []byte("key: "+url), Regular)
	if len(with) != 1 || len(without) != 1 || with[0].Fingerprint != without[0].Fingerprint {
		t.Error("the fingerprint depends on whether the key is at hand")
	}
}

func TestVault(t *testing.T) {
	for _, content := range []string{"", "{\"A\": \"hunter2-hunter2\"}", "A=hunter2-hunter2\n", "<<<<<<< ours\nabc\n=======\ndef\n>>>>>>> theirs\n", "\x00\x01\x02"} {
		found := (&Scanner{}).File("formations/x/secrets.enc", []byte(content), Regular)
		if len(found) != 1 || found[0].Rule != VaultNotEncrypted || found[0].Line != 1 || found[0].Column != 1 {
			t.Errorf("%d bytes: %s", len(content), summary(found))
		}
		noValue(t, found, "hunter2-hunter2")
	}
	token := append([]byte{0x80, 0, 0, 0, 0, 0x65, 0, 0, 0}, []byte(made(71, 16+16+32, alnum))...)
	wantNone(t, &Scanner{}, "secrets.enc", base64.URLEncoding.EncodeToString(token))
}

func TestTemplate(t *testing.T) {
	s := &Scanner{}
	for _, value := range []string{"hunter2-hunter2", keyOf("openai 24"), "12345678", "größer2-hunter2"} {
		f := wantOne(t, s, "formations/x/secrets", "# größe\nA=\nB_KEY=  "+value+"\nC=sk-...\n", TemplateValue, value)
		if f.Secret != "B_KEY" {
			t.Errorf("the finding names %q", f.Secret)
		}
		if found := s.File("secrets", []byte("B_KEY="+value), Regular); len(found) != 1 {
			t.Errorf("one leak is one finding: %s", summary(found))
		}
	}
	wantNone(t, s, "secrets", "# comment\n\nA=\nB=sk-...\nC=<token>\nD=your-key-here\nE=ghp_...\nF= # from the portal\nG=${G}\n")
	wantNone(t, s, "secrets", "#!/bin/sh\nx=hunter2-hunter2; echo $x\nexit 0\n")
	wantNone(t, &Scanner{IsFormation: func(string) bool { return false }}, "secrets", "A=hunter2-hunter2\n")
	comment := "# old: " + keyOf("github") + "\nA=\n"
	wantOne(t, s, "secrets", comment, PlaintextKey, keyOf("github"))
}

func TestMalformedReferences(t *testing.T) {
	s := &Scanner{}
	for _, c := range []struct{ text, at string }{
		{"llm:\n  api_keys:\n    openai: \"${{ secret.OPENAI_API_KEY }}\"\n", "${{"},
		{"llm:\n  api_keys:\n    openai: \"größe ${{ secrets.openai_api_key }}\"\n", "${{"},
		{"description: ok\n\"${{ secrets.X }}\": a\n", "${{"},
		{"llm:\n  api_keys:\n    openai: \"{{ secrets.X }}\"\n", "{{"},
		{"llm:\n  api_keys:\n    openai: ${ secrets.X }\n", "${"},
		{"llm:\n  api_keys:\n    openai: \"${{ secrets.A-B }}\"\n", "${{"},
	} {
		if f := wantOne(t, s, "formation.afs", c.text, MalformedReference, c.at); f.Severity != Warning {
			t.Error("a malformed reference is a warning")
		}
	}
	wantNone(t, s, "formation.afs", `llm:
  api_keys:
    a: "${{ secrets.OPENAI_API_KEY }}"
    b: "${{secrets.B}}"
    c: "${{ secrets.C || '' }}"
    d: "${{ user.credentials.github }}"
    e: "Bearer ${{ secrets.E }}"
# ${{ secret.X }} and {{ secrets.X }}
prompt: "${{ data.x }} ${{ context.y }} ${{ env.Z }} ${{ inputs.a }}"
`)
	wantNone(t, s, ".github/workflows/ci.yml", "env:\n  A: ${{ secrets.lower }}\n")
}

// The last line of an armored age file may have the shape of a Fernet key: a
// .key.age would otherwise stop every commit of some teams.
func TestArmorIsNoKey(t *testing.T) {
	full := "YWdlLWVuY3J5cHRpb24ub3Jn" + strings.Repeat("Ab3+", 10)
	last := "kPq3ZxT0uYd-8sVb2NfHcR7wJm5GaLe1iOoQ9tXyKzU"
	armored := armorBegin + "\n" + full + "\n" + full + "\n" + strings.ReplaceAll(last, "-", "/") + "=\n-----END AGE ENCRYPTED FILE-----\n"
	scanner := &Scanner{}
	for _, name := range []string{".key.age", "agent/.key.age", "key.age", "bob.key"} {
		if found := scanner.File(name, []byte(armored), Regular); len(found) != 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
	for about, text := range map[string]string{
		"a key behind the block":    armored + "key = " + last + "=\n",
		"a key where no body is":    armorBegin + "\n\nkey = " + last + "=\n",
		"a key in a short line":     armorBegin + "\n" + full + "\nkey: " + last + "=\n",
		"another file of that sort": armorBegin + "\n" + strings.Repeat("Ab3+", 16) + "\nfernet_key=" + last + "=\n",
	} {
		if found := scanner.File("x.txt", []byte(text), Regular); len(found) != 1 {
			t.Errorf("%s: %v", about, found)
		}
	}
}
