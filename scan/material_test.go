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
	wantNone(t, &Scanner{}, "secrets.enc", sealedToken())
	// What is sealed may have a token's form by chance.
	token := "vcp_" + made(7, 24, alnum)
	chance := sealedToken()[:30] + "-" + token + "-" + sealedToken()[60:]
	wantNone(t, &Scanner{}, "secrets.enc", chance)
	wantOne(t, &Scanner{}, "a.txt", chance, PlaintextKey, token)
	if found := (&Scanner{}).File("secrets.enc", []byte(sealedToken()+"\n"+token+"\n"), Regular); len(found) != 2 {
		t.Errorf("a token behind what is sealed: %v", found)
	}
}

func sealedToken() string {
	token := append([]byte{0x80, 0, 0, 0, 0, 0x65, 0, 0, 0}, []byte(made(71, 16+16+32, alnum))...)
	return base64.URLEncoding.EncodeToString(token)
}

// A sealed file is nothing but sealed. What stands beside the seal, readers pass
// over and everybody can read: it is a finding itself, and is judged as text.
func TestTextBesideTheSeal(t *testing.T) {
	armored := armorBegin + "\n" + base64.StdEncoding.EncodeToString([]byte("age-encryption.org/v1\n-> X25519 abc\n")) + "\n-----END AGE ENCRYPTED FILE-----\n"
	key := keyOf("openai 24")
	s := knownScanner()
	for _, name := range []string{"secrets.enc", "formations/x/secrets.enc", "formations/x/.key.age"} {
		for _, sealed := range []string{sealedToken() + "\n", armored, "\ufeff" + sealedToken() + "\n"} {
			wantNone(t, s, name, sealed)
			found := s.File(name, []byte(sealed+"\n# hunter2-hunter2\nA="+key+"\n"), Regular)
			line := strings.Count(sealed, "\n") + 2
			if len(found) != 3 || found[0].Rule != VaultNotEncrypted || found[0].Line != line || found[0].Column != 1 {
				t.Errorf("%s: %s", name, summary(found))
			}
			if len(only(found, KnownSecret)) != 1 || len(only(found, PlaintextKey)) != 1 {
				t.Errorf("%s: the text is not judged: %s", name, summary(found))
			}
			noValue(t, found, key)
		}
	}
	// Words of base64's own letters, wrapped as some editor would.
	found := s.File("secrets.enc", []byte(sealedToken()[:80]+"\n"+key+"\n"+sealedToken()[80:]), Regular)
	if len(only(found, PlaintextKey)) != 1 {
		t.Errorf("a token in the token: %s", summary(found))
	}
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

// Where a reference stands decides what it may look like, and what the survey of
// a formation leaves out is left out here.
func TestMalformedReferencesByPlace(t *testing.T) {
	s := &Scanner{IsFormation: func(dir string) bool { return dir == "agent" }}
	const odd = "x: ${{ secrets.a-b }}\n"
	for _, name := range [...]string{"agent/formation.afs", "agent/agents/a.yaml", "agent/deep/other.yml", "agent/sops/a.md", "agent/triggers/a.md",
		"agent/skills/s/SKILL.md", "agent/skills/s/run.py", "agent/knowledge/a.txt", "agent/mcp/a.json", "elsewhere.afs"} {
		if f := wantOne(t, s, name, odd, MalformedReference, "${{"); f.Severity != Warning {
			t.Error("a malformed reference is a warning")
		}
	}
	for _, name := range [...]string{"agent/transformers/a.yaml", "agent/README.md", "agent/.github/workflows/ci.yml", "docs/a.md", "other/a.yaml", "sops/a.md"} {
		wantNone(t, s, name, odd)
	}
	wantNone(t, s, "agent/triggers/a.md", "---\nwebhook: ${{ secrets.a-b }}\n---\n")
	wantNone(t, s, "agent/formation.afs", "proactive:\n  channels:\n    x:\n      url: ${{ secrets.a-b }}\n")
	wantNone(t, s, "agent/mcp/a.afs", "auth:\n  token: ${{ user.credentials.github }}\n")
	wantOne(t, s, "agent/mcp/a.afs", "auth:\n  token: ${{ user.credentials.brave-search }}\n", MalformedReference, "${{")
	wantOne(t, s, "agent/formation.afs", "x: ${{ user.credentials.github }}\n", MalformedReference, "${{")
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
		{"openai: ${{ secrets.X }\n", "${{"}, {"openai: \"${{secrets.X}\"\nother: ${{ secrets.Y }}\n", "${{"}, {"openai: ${{ secrets.X", "${{"}, {"openai: \"${{ secrets.X\"\n", "${{"},
		{"openai: ${{ secrets.X }\nother: {a: {b: c}}\n", "${{"}, {"openai: ${{ secrets.X\nother: ${{ secrets.Y }}\n", "${{"}, {"openai: |\n  ${{ secrets.X\n  and }}\n", "|"},
		{"openai: \"${ { secrets.X } }\"\n", "${ {"}, {"openai: \"$ {{ secrets.X }}\"\n", "$ {{"}, {"openai: \"$({ secrets.X })\"\n", "$({"}, {"openai: \"$ { secrets.X }\"\n", "$ {"}, {"openai: \"${{{ secrets.X }}\"\n", "{{ "},
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
    e: "Bearer ${{ secrets.E }}"
    f: {g: ${{ secrets.G }}}
    h: |
      ${{ secrets.H
      }}
    i: { a: { secrets.X: 1 } }
    j: ${ x } ({ secrets.Y })
    k: "$${ secrets.X } ${{ secrets. } the secrets.X of ${{ x"
# ${{ secret.X }} and {{ secrets.X }}, ${{ secrets.X } and ${ { secrets.X } }
prompt: "${{ data.x }} ${{ context.y }} ${{ env.Z }} ${{ inputs.a }}"
`)
	wantNone(t, s, ".github/workflows/ci.yml", "env:\n  A: ${{ secrets.lower }}\n")
}

// The last line of an armored age file may have the shape of a Fernet key: a
// .key.age would otherwise stop every commit of some teams.
func TestArmorIsNoKey(t *testing.T) {
	full := "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+" + strings.Repeat("Ab3+", 8)
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

// What misses the shape of a key by one is none: its length, its alphabet, what
// stands before and behind it.
func TestNearMissesOfKeyMaterial(t *testing.T) {
	fernet := strings.TrimRight(urlFernet(), "=")
	bech32 := made(70, 58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L")
	const identity = "AGE-SECRET-" + "KEY-"
	const begin, end = "-----BEGIN RSA PRIVATE " + "KEY-----", "-----END RSA PRIVATE " + "KEY-----\n"
	body := made(71, 64, alnum)

	for about, text := range map[string]string{
		"a Fernet key":                        fernet + "=",
		"with a stop before it":               "." + fernet + "=",
		"in quotes":                           `'` + fernet + `='`,
		"a line each":                         "A=b=\n" + fernet + "=\nC=\n",
		"an age identity":                     identity + "1" + bech32,
		"the shortest":                        identity + bech32[:40],
		"of the sort after quanta":            identity + "PQ-1" + bech32,
		"a private key":                       begin + "\n" + body + "\n" + end,
		"its shortest first line":             begin + "\n" + body[:40],
		"the shortest whole one":              begin + "\n" + body[:16] + "\n" + end,
		"blanks before its end of line":       begin + "  \n" + body + "\n",
		"on one line":                         begin + body + end,
		"in a string, a string for each line": `"` + begin + `" "` + body + `"`,
	} {
		if found := (&Scanner{}).File("a.txt", []byte(text), Regular); len(found) != 1 || found[0].Rule != KeyMaterial {
			t.Errorf("%s: want one finding, got%s", about, summary(found))
		}
	}

	for _, last := range "AEIMQUYcgkosw048" { // the signs that 32 bytes may end in
		if found := (&Scanner{}).File("a.txt", []byte("k: "+fernet[:42]+string(last)+"=\n"), Regular); len(found) != 1 {
			t.Errorf("a key that ends in %c: %s", last, summary(found))
		}
	}
	for _, field := range []string{"sha", "hash", "digest", "checksum", "integrity", "md5sum", "etag", "h1", "thumbprint", "fingerprint"} {
		wantNone(t, &Scanner{}, "a.txt", field+" = "+fernet+"=\n")
	}
	wantNone(t, &Scanner{}, "a.txt", "one\n"+plainFernet()+"\ntwo\n") // neither called a key nor alone

	last := fernet[:42] + string(fernet[42]+1) // of no 32 bytes
	for about, text := range map[string]string{
		"one short":                        fernet[1:] + "=",
		"one long":                         "A" + fernet + "=",
		"tied to a word":                   "word-" + fernet + "=",
		"more bits than 32 bytes have":     last + "=",
		"without its end":                  fernet,
		"with another end":                 fernet + "%",
		"with the end of another length":   fernet + "==",
		"a part of a longer one":           fernet + "=A",
		"of both alphabets":                "+" + fernet[1:] + "=",
		"a name":                           strings.Repeat("Name-of_it-", 4)[:42] + "A=",
		"a name without digits":            strings.Repeat("small-words", 4)[:42] + "A=",
		"of few characters":                strings.Repeat("Ab1-Ab1_", 6)[:42] + "A=",
		"only the end":                     "=" + fernet,
		"half of an age identity":          identity + bech32[:39],
		"an age identity's other alphabet": identity + "1" + bech32[:20] + strings.ToLower(bech32[20:]),
		"a filled age identity":            identity + "1" + strings.Repeat("Q", 58),
		"an age identity of another kind":  "AGE-SECRET-KIN-1" + bech32,
		"a first line cut":                 begin + "\n" + body[:39],
		"a cut line, and its end":          begin + "\n" + body[:15] + "\n" + end,
		"a line of one character":          begin + "\n" + strings.Repeat("A", 64) + "\n" + end,
		"the name of a block":              strings.Trim(begin, "-") + "\n" + body + "\n" + end,
		"a block without its dashes":       strings.TrimRight(begin, "-") + "\n" + body + "\n",
		"an end alone":                     end + "\n" + body + "\n",
		"another block behind it":          begin + "\n-----BEGIN CERTIFICATE-----\n" + body + "\n",
		"words on its line":                begin + " is how " + body + " begins\n",
		"a certificate in base64":          base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE-----\n" + body + "\n")),
	} {
		if found := only((&Scanner{}).File("a.txt", []byte(text+"\n"), Regular), KeyMaterial); len(found) != 0 {
			t.Errorf("%s: want no finding, got%s", about, summary(found))
		}
	}
}
