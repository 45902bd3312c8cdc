package crypto

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

func TestAgeIdentityFiles(t *testing.T) {
	line := string(mustGenerate(t, Age).File())
	want := mustParse(t, line).Fingerprint()
	for name, file := range map[string]string{
		"bare":      line,
		"newline":   line + "\n",
		"keygen":    "# created: 2024-01-01T00:00:00Z\n# public key: age1xyz\n" + line + "\n",
		"CRLF":      "# x\r\n\r\n" + line + "\r\n",
		"BOM":       "\ufeff" + line,
		"indented":  "  " + line + "  ",
		"same, two": line + "\n" + line + "\n",
	} {
		k, err := ParseKey([]byte(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if k.Format() != Age || k.Fingerprint() != want || string(k.File()) != line || k.Legacy() {
			t.Errorf("%s: read as another key", name)
		}
	}
}

func TestAgePostQuantumIdentity(t *testing.T) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	k := mustParse(t, "# pq\n"+id.String()+"\n")
	if string(k.File()) != id.String() || k.Format() != Age {
		t.Fatal("read as another key")
	}
	got, err := k.Open(mustSeal(t, k, []byte("x")))
	if err != nil || string(got) != "x" {
		t.Errorf("round trip: %v", err)
	}
}

func TestAgeSpellings(t *testing.T) {
	k := mustGenerate(t, Age)
	armored := mustSeal(t, k, []byte("x"))
	binary, err := io.ReadAll(armor.NewReader(bytes.NewReader(armored)))
	if err != nil {
		t.Fatal(err)
	}
	for name, sealed := range map[string][]byte{
		"armored": armored,
		"binary":  binary,
		"CRLF":    bytes.ReplaceAll(armored, []byte("\n"), []byte("\r\n")),
		"BOM":     append([]byte("\ufeff"), armored...),
		"blanks":  append(append([]byte(" \n\n"), armored...), "\n\n"...),
		"no end":  bytes.TrimSuffix(armored, []byte("\n")),
	} {
		got, err := k.Open(sealed)
		if err != nil || string(got) != "x" {
			t.Errorf("%s: %v", name, err)
		}
		if f, err := Detect(sealed); f != Age || err != nil {
			t.Errorf("%s: Detect: %q, %v", name, f, err)
		}
	}
}

// Ours opens with the age tool and .key as it is, and the tool's opens with ours.
func TestAgeTool(t *testing.T) {
	tool := needs.Program(t, "age")
	k := mustGenerate(t, Age)
	keyFile := filepath.Join(t.TempDir(), ".key")
	if err := os.WriteFile(keyFile, k.File(), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(in []byte, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(tool, args...)
		cmd.Stdin = bytes.NewReader(in)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("age %s: %v", args[0], err)
		}
		return out
	}
	plaintext := []byte(strings.Repeat("0123456789", 20000)) // more than one chunk
	if got := run(mustSeal(t, k, plaintext), "-d", "-i", keyFile); !bytes.Equal(got, plaintext) {
		t.Error("the tool reads other bytes from ours")
	}
	got, err := k.Open(run(plaintext, "-e", "-a", "-i", keyFile))
	if err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("ours reads other bytes from the tool's: %v", err)
	}
}
