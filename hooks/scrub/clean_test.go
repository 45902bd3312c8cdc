package scrub

import (
	"bytes"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

const stored = "hunter2-hunter2"

// token is a key that a provider makes, in pieces, so that this file holds none.
var token = "sk-" + "ant-api03-" + "Qm7Zt2Rk9Wd4Xv6Ns1Lp8Jf3Gh5Bc0Ya2Te4UiKo"

func newTestCleaner(t testing.TB) *cleaner {
	t.Helper()
	vault := formation.NewVault()
	vault.Set("PASSWORD", stored)
	dirs := map[string]bool{"f": true}
	basis := &judge.Basis{Scanner: &scan.Scanner{
		IsFormation: func(dir string) bool { return dirs[dir] },
		Known:       scan.NewKnown([]scan.NamedValue{{Formation: "f", Name: "PASSWORD", Value: []byte(stored)}}),
	}}
	c := newCleaner(basis, []string{"f"})
	c.knows("f", vault)
	return c
}

func wide(text string) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteByte(byte(r))
		b.WriteByte(0)
	}
	return b.String()
}

// What takes the place of a leak: a reference in a formation's file, the mask
// elsewhere, in a way that leaves the file what it was.
func TestCleanFiles(t *testing.T) {
	block := "-----BEGIN RSA " + "PRIVATE KEY-----\n" + strings.Repeat("MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF0tB1xYrq9d2mV7kLw8QhT4uPz6e\n", 3) + "-----END RSA PRIVATE KEY-----\n"
	for name, tt := range map[string]struct{ path, content, want string }{
		"a text":            {"notes.txt", "it is " + stored + ".\n", "it is ***.\n"},
		"several":           {"notes.txt", stored + " " + token + " " + stored + "\n", "*** *** ***\n"},
		"nothing":           {"notes.txt", "hello\n", "hello\n"},
		"allowed":           {"notes.txt", stored + " # muxi-secrets:allow\n" + stored + "\n", stored + " # muxi-secrets:allow\n***\n"},
		"a private key":     {"x.pem", "before\n" + block + "after\n", "before\n***\nafter\n"},
		"16 bits":           {"notes.txt", "\xff\xfe" + wide("it is "+stored+"!"), "\xff\xfe" + wide("it is "+strings.Repeat("*", len(stored))+"!")},
		"no text":           {"a.db", "x\x00y" + stored + "z", "x\x00y" + strings.Repeat("*", len(stored)) + "z"},
		"json":              {"a.json", `{"key": "` + token + `", "n": 1}`, `{"key": "***", "n": 1}`},
		"yaml":              {"compose.yml", "a:\n  key: " + token + "\n", "a:\n  key: \"***\"\n"},
		"yaml, quoted":      {"compose.yml", "a:\n  key: '" + token + "'\n", "a:\n  key: '***'\n"},
		"no yaml":           {"broken.yml", "a: [\n  key: " + token + "\n", "a: [\n  key: ***\n"},
		"stored":            {"f/formation.afs", "auth:\n  password: " + stored + " # mine\n", "auth:\n  password: ${{ secrets.PASSWORD }} # mine\n"},
		"in flow style":     {"f/formation.afs", "auth: {password: " + stored + "}\n", "auth: {password: \"${{ secrets.PASSWORD }}\"}\n"},
		"with a scheme":     {"f/mcp/s.afs", "id: s\nheaders:\n  Authorization: Bearer " + token + "\n", "id: s\nheaders:\n  Authorization: Bearer ${{ secrets.ANTHROPIC_API_KEY }}\n"},
		"in a comment":      {"f/formation.afs", "a: b # " + stored + "\n", "a: b # ${{ secrets.PASSWORD }}\n"},
		"in a key":          {"f/formation.afs", stored + ": b\n", "\"***\": b\n"},
		"the template":      {"f/secrets", "# ours\r\nPASSWORD=" + stored + "\r\nOTHER=\r\n", "# ours\r\nPASSWORD=\r\nOTHER=\r\n"},
		"beside":            {"f/readme.md", stored + "\n", "***\n"},
		"of no formation":   {"g/formation.afs", "auth:\n  password: " + stored + "\n", "auth:\n  password: \"***\"\n"},
		"joined to another": {"f/formation.afs", "api_key: " + token[:20] + "${{ secrets.TAIL }}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCleaner(t)
			got, gone, _ := c.file("1", tt.path, gitutil.ModeFile, []byte(tt.content))
			if len(c.stuck) > 0 || gone {
				t.Errorf("gone %t, %d findings stay", gone, len(c.stuck))
			}
			if tt.want != "" && string(got) != tt.want {
				t.Errorf("%q", got)
			}
			if left := c.leaks(tt.path, got, gitutil.ModeFile); len(left) > 0 {
				t.Errorf("%d findings are left", len(left))
			}
		})
	}
}

// A value without a name gets one, the same wherever it stands.
func TestFreshNames(t *testing.T) {
	c := newTestCleaner(t)
	first, _, _ := c.file("1", "f/formation.afs", gitutil.ModeFile, []byte("llm:\n  api_keys:\n    anthropic: "+token+"\n"))
	second, _, _ := c.file("2", "f/agents/a.afs", gitutil.ModeFile, []byte("id: a\napi_key: "+token+"\n"))
	if !bytes.Contains(first, []byte("${{ secrets.ANTHROPIC_API_KEY }}")) || !bytes.Contains(second, []byte("${{ secrets.ANTHROPIC_API_KEY }}")) {
		t.Errorf("%q\n%q", first, second)
	}
	if len(c.fresh) != 1 || c.fresh[0].Formation != "f" || string(c.fresh[0].Value) != token {
		t.Errorf("%d are to be stored", len(c.fresh))
	}
}

// What cannot be taken out stays as it is, and is named.
func TestStuck(t *testing.T) {
	c := newTestCleaner(t)
	c.open["f/secrets.enc"] = true
	content := []byte("{\"A\": \"b\"}\n")
	got, gone, _ := c.file("1", "f/secrets.enc", gitutil.ModeFile, content)
	if gone || !bytes.Equal(got, content) || len(c.stuck) != 1 || c.stuck[0].Rule != scan.VaultNotEncrypted || c.stuck[0].Commit != "1" {
		t.Errorf("gone %t, %+v", gone, c.stuck)
	}
	c.open["f/secrets.enc"] = false // HEAD has a sealed one
	if _, gone, changes := c.file("1", "f/secrets.enc", gitutil.ModeFile, content); !gone || len(changes) != 1 || !changes[0].Gone {
		t.Errorf("an unsealed vault of the past stays: %+v", changes)
	}
	if _, gone, _ := c.file("1", "old/.key", gitutil.ModeFile, content); !gone {
		t.Error("a key file stays")
	}
}

// A message is cleaned as far as git takes it to go.
func TestCleanMessage(t *testing.T) {
	c := newTestCleaner(t)
	got, changes := c.message("1", []byte("Fix\n\nit was "+stored+"\n\x00"+stored))
	if want := "Fix\n\nit was ***\n\x00" + stored; string(got) != want || len(changes) != 1 || changes[0].Line != 3 {
		t.Errorf("%q, %+v", got, changes)
	}
}

// FuzzClean: whatever a file is, it ends clean or is named as stuck, and what is no
// leak stays.
func FuzzClean(f *testing.F) {
	f.Add("f/formation.afs", []byte("auth: {password: "+stored+"}\n"))
	f.Add("f/secrets", []byte("A="+stored+"\n"))
	f.Add("notes.txt", []byte("\xff\xfe"+wide(stored)))
	f.Add("a.yml", []byte("a: "+token))
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		if len(content) > 1<<12 || name == "" || strings.ContainsAny(name, "\x00\n") {
			return
		}
		c := newTestCleaner(t)
		before := c.leaks(name, content, gitutil.ModeFile)
		got, gone, _ := c.file("1", name, gitutil.ModeFile, content)
		if len(before) == 0 && !bytes.Equal(got, content) {
			t.Errorf("nothing was there, and it changed")
		}
		if !gone && len(c.stuck) == 0 && len(c.leaks(name, got, gitutil.ModeFile)) > 0 {
			t.Errorf("a leak is left")
		}
	})
}
