//go:build unix

package commands_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"filippo.io/age"
)

// utf16Text is a text as PowerShell's > writes it.
func utf16Text(text string, order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// eachLine puts something before and behind every line.
func eachLine(text, before, behind string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(before + strings.TrimSuffix(line, "\n") + behind + "\n")
	}
	return b.String()
}

// handedOver are the forms in which files reach people.
var handedOver = map[string]func(string) string{
	"as it is":        func(text string) string { return text },
	"CRLF":            func(text string) string { return eachLine(text, "", "\r") },
	"no line end":     func(text string) string { return strings.TrimSuffix(text, "\n") },
	"byte order mark": func(text string) string { return "\ufeff" + text },
	"PowerShell":      func(text string) string { return utf16Text(eachLine(text, "", "\r"), binary.LittleEndian) },
	"UTF-16, big end": func(text string) string { return utf16Text(text, binary.BigEndian) },
	"mail":            func(text string) string { return eachLine(text, "> ", "  ") },
	"mail of a mail":  func(text string) string { return eachLine(text, "> > ", " \r") },
	"mail by Windows": func(text string) string { return utf16Text(eachLine(text, "> ", "\r"), binary.LittleEndian) },
	"trailing blanks": func(text string) string { return eachLine(text, "", " \t") },
	"blank lines":     func(text string) string { return "\n\n" + text + "\n\n" },
	"in quotes":       func(text string) string { return "\"" + strings.TrimSuffix(text, "\n") + "\"  \n" },
	"single quotes":   func(text string) string { return "'" + strings.TrimSuffix(text, "\n") + "'\r\n" },
}

// An age file in binary may end in what is a blank in a text.
func TestSealedKeyInBinary(t *testing.T) {
	isolateProcess(t)
	b := newSandbox(t, simpleExample, true)
	b.do("value", "add", "OPENAI_API_KEY", "--stdin")
	recipient, err := age.ParseX25519Recipient(ownIdentity(t))
	must(t, err)
	key := b.read(".key")
	var sealed bytes.Buffer
	for len(bytes.TrimSpace(sealed.Bytes())) == sealed.Len() {
		sealed.Reset()
		w, err := age.Encrypt(&sealed, recipient)
		must(t, err)
		_, err = w.Write([]byte(key))
		must(t, err)
		must(t, w.Close())
	}
	b.loseKey()
	b.do(sealed.String(), "key", "import", "-")
	if b.read(".key") != key {
		t.Error("another key")
	}
}

func TestHandedOverForms(t *testing.T) {
	isolateProcess(t)
	b := newSandbox(t, simpleExample, true)
	b.do("value", "add", "OPENAI_API_KEY", "--stdin")
	recipient := ownIdentity(t) // in the usual place
	blob := b.do("", "key", "export", "--to", recipient).out
	key := b.read(".key")
	whole := b.tree()

	for form, put := range handedOver {
		t.Run(form, func(t *testing.T) {
			b.TB = t
			for what, text := range map[string]string{"the key": key + "\n", "a sealed key": blob} {
				b.loseKey()
				b.do(put(text), "key", "import", "-")
				if b.read(".key") != key {
					t.Errorf("%s: another key", what)
				}
				b.restore(whole)
			}

			b.do(put("# Own\n"+recipient+"\n"), "share", "add", "-")
			if list := b.do("", "share", "list").out; !strings.Contains(list, recipient) {
				t.Error("not shared with who stood in the file")
			}
			b.restore(whole)

			b.do(put("NEW_ONE=a b\n"), "import", "-")
			b.hasExactly(map[string]string{"OPENAI_API_KEY": "value", "NEW_ONE": "a b"})
			b.restore(whole)
		})
	}

	t.Run("one line", func(t *testing.T) {
		b.TB = t
		for _, between := range []string{" ", `\n`, "\\r\\n"} {
			b.loseKey()
			b.do(strings.ReplaceAll(blob, "\n", between), "key", "import", "-")
			b.restore(whole)
		}
	})
}

// TestKeyImportFromRedirection: a file that the shell redirects is read without
// being asked for, /dev/null is none.
func TestKeyImportFromRedirection(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	b.do("value", "add", "OPENAI_API_KEY", "--stdin")
	key := b.read(".key")
	b.write("../key.txt", key)
	in, err := os.Open(filepath.Join(b.top, "key.txt"))
	must(t, err)
	defer in.Close()
	b.loseKey()
	if r := b.spawn(run{input: in}, "key", "import"); r.code != 0 || b.read(".key") != key {
		t.Errorf("a redirected file: exit %d", r.code)
	}

	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	if r := b.spawn(run{input: null}, "key", "import"); r.code != 2 || !strings.Contains(r.err, "no terminal to ask on") {
		t.Errorf("the null device: exit %d", r.code)
	}
}

// TestMalformedInputIsNotRepeated: whatever reads a file that is not what it should
// be names the place, and repeats nothing of it.
func TestMalformedInputIsNotRepeated(t *testing.T) {
	isolateProcess(t)
	b := newSandbox(t, agentExample, true)
	b.do("value", "add", "OPENAI_API_KEY", "--stdin")
	b.do("", "share", "add", ownIdentity(t), "--name", "Own")
	whole := b.tree()
	m := strayMarker
	pieces := watched(strings.Repeat("-", 16))

	reads := []struct {
		what    string
		path    string // "": standard input
		content []string
		args    [][]string
	}{
		{".env", "", []string{
			m, "A=b\n" + m + "\n", m + "==\n", "key: " + m + "=\n", "\"" + m + "\": \"" + m + "=\"\n", "A='" + m, "A=`" + m, "A='b'" + m, "=" + m, "a b" + m + "=c\n",
			"\"" + m + "\"", "\xff" + m, "{\"" + m, "{\"A\": \"" + m, "{\"A\": {\"" + m + "\": 1}}", "{\"A\": [\"" + m + "\"]}", "{\"A\": " + m + "}", "{} " + m, "[" + m + "=]",
			"A=encrypted:" + m, "A=ENC[" + m + "]", "- " + m + "=\n", "> " + m,
		}, [][]string{{"import", "-"}, {"import", "-", "--dry-run"}}},
		{"key", "", []string{
			m, "AGE-SECRET-KEY-1" + strings.ToUpper(m), "\"" + m + "\"", "{\"key\": \"" + m + "\"}", "-----BEGIN AGE ENCRYPTED FILE-----\n" + m + "\n-----END AGE ENCRYPTED FILE-----\n",
			"-----BEGIN AGE ENCRYPTED FILE-----\n" + m, "age-encryption.org/v1\n-> X25519 " + m + "\n--- " + m + "\n", "-----BEGIN " + m + "-----\n", "gAAAAA" + m, "\xff\xfe" + m,
		}, [][]string{{"key", "import", "-"}}},
		{"recipients", "", []string{
			m, "ssh-ed25519 " + m, "ssh-rsa AAAA" + m + " x", "age1" + m, "age1" + m + "1" + m, "ecdsa-sha2-nistp256 " + m, "sk-" + m, "ssh-" + m, "AGE-SECRET-KEY-1" + m,
			"-----BEGIN OPENSSH PRIVATE KEY-----\n" + m + "\n", "# a\n" + m, "command=\"" + m + "\" ssh-ed25519 AAAA", "\xff" + m, "ssh-ed25519-cert-v01@openssh.com " + m,
		}, [][]string{{"share", "add", "-"}, {"key", "export", "--to", "-"}}},
		{"identities", "id.txt", []string{
			m, "AGE-SECRET-KEY-1" + strings.ToUpper(m), "-----BEGIN OPENSSH PRIVATE KEY-----\n" + m + "\n-----END OPENSSH PRIVATE KEY-----\n", "AGE-PLUGIN-" + strings.ToUpper(m) + "-1QQ",
			"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: " + m + "\n\n" + m + "\n-----END RSA PRIVATE KEY-----\n", "-----BEGIN " + m + " PRIVATE KEY-----\n" + m,
			"age-encryption.org/v1\n-> scrypt " + m + "\n", "-----BEGIN AGE ENCRYPTED FILE-----\n" + m + "\n-----END AGE ENCRYPTED FILE-----\n",
		}, [][]string{{"unlock", "--identity", "id.txt"}, {"key", "import", "secrets.enc", "--identity", "id.txt"}}},
		{"people", ".age-recipients", []string{
			m, "# x\n" + m + "\n", "ssh-ed25519 " + m, "age1" + m, "AGE-SECRET-KEY-1" + m, "<<<<<<< " + m + "\n", "\xff" + m, "\x1b" + m,
		}, [][]string{{"share", "list"}, {"share", "wrap"}, {"share", "add", markerRecipient}, {"status"}, {"doctor"}, {"check"}, {"rotate"}, {"unlock"}, {"add", "X", "--generate"}}},
		{"template", "secrets", []string{
			m, "=" + m, "OPENAI_API_KEY='" + m, "a b " + m, "\xff" + m, "{\"" + m + "\": \"" + m + "\"}", "OPENAI_API_KEY: " + m, "<<<<<<< " + m + "\n",
		}, [][]string{{"sync", "--dry-run"}, {"status"}, {"doctor"}, {"check"}, {"add", "X", "--generate"}}},
		{"settings", "../.muxi-secrets.yaml", []string{
			m, "allow: " + m, "allow: [" + m, "allow:\n  - rule: " + m, "allow:\n  - path: \"[" + m + "\"", m + ": x", "allow:\n  - " + m + ": x", "maxAge: " + m, "a: *" + m, "- " + m,
			"allow: {" + m, "\"" + m, m + "Command: x", "maxAge: [" + m + "]", "\xff" + m, "allow:\n  - path: x\n    fingerprint: " + m, "formats:\n  - prefix: " + m, "formats: " + m,
		}, [][]string{{"check"}, {"status"}, {"doctor"}, {"hooks", "status"}, {"log"}}},
		{"formation", "formation.afs", []string{
			m, "a: *" + m, "a: [" + m, "a: " + m + ": b", "\"" + m, "a: !!" + m + " x\nb: [", "%" + m + "\n---\n", "a: &" + m + "\n- b\n c", "\t" + m, "a: |" + m, "? " + m + "\n: - x\n y", "a: {" + m + "\nb: c", "\xff" + m, "a: \"\\" + m + "\"",
		}, [][]string{{"status"}, {"doctor"}, {"check"}, {"sync"}, {"render"}, {"setup", "--dry-run"}, {"list"}, {"delete", "OPENAI_API_KEY"}, {"rename", "OPENAI_API_KEY", "X"}}},
		{"compose file", "../compose.yaml", []string{
			m, "services: *" + m, "services: [" + m, "services:\n  a:\n    volumes: " + m, "services:\n  a: " + m, "services:\n  a:\n    build: [" + m + "]\n    environment: " + m, "\"" + m,
		}, [][]string{{"doctor"}}},
		{"baseline", "../baseline.json", []string{m, "{\"" + m, "{\"findings\": \"" + m + "\"}", "{\"findings\": [\"" + m + "\"]}", "[" + m}, [][]string{{"check", "--baseline", "../baseline.json"}}},
		{"lefthook's file", "../lefthook.yml", []string{m, "a: *" + m, "pre-commit: " + m, "pre-commit: [" + m, "\"" + m}, [][]string{{"hooks", "status"}, {"hooks", "install"}, {"doctor"}}},
		{"pre-commit's file", "../.pre-commit-config.yaml", []string{m, "a: *" + m, "repos: " + m, "repos: [" + m, "\"" + m}, [][]string{{"hooks", "status"}, {"hooks", "install"}, {"doctor"}}},
	}
	for _, read := range sample(reads) {
		t.Run(read.what, func(t *testing.T) {
			t.Parallel()
			b := b.copied(t)
			b.restore(whole)
			for i, content := range read.content {
				for _, args := range read.args {
					stdin := content
					if read.path != "" {
						b.write(read.path, content)
						stdin = ""
					}
					r := b.call(run{stdin: stdin}, args...)
					out := r.out
					if slices.Contains(args, "render") {
						out = "" // the file's own text
					}
					if reveals(r.err+out, pieces) {
						t.Errorf("%s, %d: what could not be read is repeated", strings.Join(args, " "), i)
						if os.Getenv("SHOW") != "" {
							t.Log(r.err, out)
						}
					}
					b.restore(whole)
				}
			}
		})
	}
}
