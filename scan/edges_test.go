package scan

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/scan/scantest"
)

// What is decoded is decoded in pieces. A value that stands over the edge of one is
// found all the same, in every encoding: here values stand one right behind the
// other, so that each edge goes through one.
func TestValuesOverTheEdgesOfPieces(t *testing.T) {
	const value = "Zq9xT7mWr2Yn5Hc8sJd4Gp6a-Zq9xT7mWr2Yn5Hc8sJd4Gp6b-Zq9xT7mWr2Yn5Hc8sJd4Gp6c-Zq9xT7mWr2Yn5Hc8sJd4Gp6d-Zq9xT7mWr2Yn5Hc8s"
	s := &Scanner{Known: NewKnown([]NamedValue{{Formation: "a", Name: "LONG", Value: []byte(value)}})}
	const many = 2 * maxPiece / (len(value) + 1)
	plain := strings.Repeat(value+" ", many)
	b64 := base64.StdEncoding.EncodeToString([]byte(plain))
	for name, text := range map[string]string{
		"base64":             b64,
		"base64, wrapped":    scantest.Wrap(b64, 76, "\n"),
		"base64, indented":   scantest.Wrap(b64, 44, "\n    "),
		"base64 twice":       base64.StdEncoding.EncodeToString([]byte(b64)),
		"hex":                hex.EncodeToString([]byte(plain)),
		"hex, wrapped":       scantest.Wrap(hex.EncodeToString([]byte(plain)), 60, "\n"),
		"xxd":                scantest.Dump([]byte(plain), 16, 2, "%08x: ", " ", "  "+"%s"),
		"hexdump -C":         scantest.Dump([]byte(plain), 16, 1, "%08x  ", " ", "  |%s|"),
		"colons":             scantest.Wrap(hex.EncodeToString([]byte(plain)), 2, ":"),
		"C":                  "{ " + scantest.Dump([]byte(plain), 12, 1, "  0x", ", 0x", ",") + "};",
		"backslash u":        scantest.UnicodeEscapes(plain),
		"backslash u, lines": scantest.Wrap(scantest.UnicodeEscapes(plain), 6*1000, "\\\n"),
		"percent":            scantest.Percent(plain),
		"colours":            strings.Repeat(value[:60]+"\x1b[31m"+value[60:]+" ", many),
		"UTF-16 in base64":   base64.StdEncoding.EncodeToString(scantest.Wide(plain)),
	} {
		hits, more := s.layers([]byte(text), false, nil)
		found := make([]bool, many)
		for _, h := range hits {
			found[min((h.start+h.end)/2*many/len(text), many-1)] = true
		}
		missed := 0
		for _, ok := range found {
			if !ok {
				missed++
			}
		}
		if missed > 0 || more {
			t.Errorf("%s: %d of %d values are missed, more: %v", name, missed, many, more)
		}
	}
}

// Windows that a text is read in are much longer; these are as short as they may be.
// At the edge of each stands a value in another spelling: its beginning, its middle,
// its end.
func TestValuesOverTheEdgesOfWindows(t *testing.T) {
	const held = lookBehind + 2*lookAhead
	s := knownScanner()
	spelled := scantest.Spelled("hunter2-hunter2")
	for phase := range 3 {
		var text []byte
		edge := held - lookAhead
		for _, name := range slices.Sorted(maps.Keys(spelled)) {
			value := "\n" + spelled[name] + "\n"
			at := edge - phase*(len(value)-1)/2
			for len(text) < at-80 {
				text = append(text, "a line of a log, and what it says\n"...)
			}
			text = append(text, strings.Repeat(".", at-len(text))+value...)
			edge += held - lookAhead - lookBehind
		}
		want := s.Message(text)
		room := make([]byte, 0, held)
		st := &stream{held: &room, seen: map[string]int{}, judge: func(text []byte, _ bool) ([]hit, bool) { return s.plain("", text) }}
		st.Write(text[:len(text)/2])
		st.Write(text[len(text)/2:])
		st.Close()
		if len(want) < len(spelled) || fmt.Sprint(st.found) != fmt.Sprint(want) {
			t.Errorf("phase %d: %d findings, as a whole %d: %s", phase, len(st.found), len(want), firstOther(st.found, want))
		}
	}
}

// A file that is judged as it is read has the findings that it has as a whole.
func TestLargeFilesAreFilesLikeOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads files of megabytes, and -short is given")
	}
	s := knownScanner()
	s.IsFormation = func(dir string) bool { return dir == "agent" }
	random := make([]byte, MaxHeld)
	rand.NewChaCha8([32]byte{1}).Read(random)
	lines := []byte(strings.Repeat("a line of a log, and what it says\n", MaxHeld/30))
	leaks := []byte("é hunter2-hunter2 " + keyOf("github") + "\nexport MISTRAL_API_KEY=" + made(7, 32, alnum) + "\n")
	text := slices.Concat(leaks, lines, leaks)
	var packed, zipped bytes.Buffer
	gz := gzip.NewWriter(&packed)
	gz.Write(slices.Concat(random, text))
	gz.Close()
	z := zip.NewWriter(&zipped)
	for _, name := range []string{"a.bin", "b.txt", "c.bin"} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(map[string][]byte{"a.bin": random, "b.txt": text, "c.bin": random}[name])
	}
	z.Close()
	fields := "llm:\n  api_keys:\n    openai: not-a-reference\n" + strings.Repeat("agents:\n  - id: one\n    auth: {type: bearer, token: }\n", MaxHeld/50) +
		"mcp:\n  auth:\n    type: bearer\n    token: hunter3-hunter3\n"
	server := "    - id: one\n      auth:\n        type: bearer\n        token: "
	long := "mcp:\n  servers:\n" + strings.Repeat(server+"\n", MaxHeld/20) + server + "hunter3-hunter3\n" // with no second key to part it at
	for _, c := range []struct {
		name    string
		content []byte
		mode    Mode
		leaks   int
	}{
		{"a.txt", text, Regular, 6},
		{"target", text, Symlink, 4},
		{"a.bin", slices.Concat(random, text), Regular, 6},
		{"wide.txt", append([]byte("\xff\xfe"), utf16le(string(text))...), Regular, 6},
		{"a.gz", packed.Bytes(), Regular, 6},
		{"a.zip", zipped.Bytes(), Regular, 6},
		{"program", slices.Concat([]byte("#!/bin/sh\n"), zipped.Bytes()), Regular, 6},
		{"a.zip", zipped.Bytes()[:zipped.Len()-100], Regular, 0},
		{"other.zst", append([]byte("\x28\xb5\x2f\xfd"), random...), Regular, 0},
		{"agent/formation.afs", []byte(fields), Regular, 2},
		{"agent/formation.afs", []byte(long), Regular, 1},
		{"agent/secrets", text, Regular, 4},
		{"agent/secrets.enc", text, Regular, 7},
		{"x/.key", text, Regular, 1},
		{"hunter2-hunter2.txt", lines, Regular, 1},
	} {
		want, wantUnread := s.Open(c.name, c.content, c.mode)
		reopened := 0
		got, unread, err := s.OpenLarge(Large{Name: c.name, Size: int64(len(c.content)), Mode: c.mode, Limit: 256 << 20,
			Head: c.content[:MaxHeld], Rest: bytes.NewReader(c.content[MaxHeld:]),
			Reopen: func() (io.ReadCloser, error) {
				reopened++
				return io.NopCloser(bytes.NewReader(c.content)), nil
			}})
		nowhere(got)
		nowhere(want)
		if err != nil || len(want) < c.leaks || fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(unread) != fmt.Sprint(wantUnread) {
			t.Errorf("%s: %v, %d findings, %v; as a whole %d, %v: %s", c.name, err, len(got), unread, len(want), wantUnread, firstOther(got, want))
		}
		if reopened > 2 {
			t.Errorf("%s is read %d times more", c.name, reopened)
		}
	}
}

// firstOther is the first finding that is not the same.
func firstOther(got, want []Finding) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%+v, want %+v", got[i], want[i])
		}
	}
	return "one has more"
}

// A value in 16 bits a character, in base64 (as PowerShell's -EncodedCommand has it),
// whatever stands before it and whichever letters it has.
func TestWideInBase64(t *testing.T) {
	for _, value := range []string{"hunter2-hunter2", "größe-K3rt9XmPq2", "пароль-секрет", "日本語パスワード"} {
		s := &Scanner{Known: NewKnown([]NamedValue{{Name: "X", Value: []byte(value)}})}
		for order, wide := range map[string]func(string) []byte{"little": utf16le, "big": utf16be} {
			if found := s.File("a.txt", wide("\ufeffa "+value+"\n"), Regular); len(found) != 1 || found[0].Column != 3 {
				t.Errorf("%s, %s endian: %s", value, order, summary(found))
			}
			for _, before := range []string{"", "x", "xy", string(wide("echo ")), "x" + string(wide("echo "))} {
				for _, encoded := range []string{base64.StdEncoding.EncodeToString([]byte(before + string(wide(value)))), base64.RawURLEncoding.EncodeToString([]byte(before + string(wide(value+" | x"))))} {
					if found := s.File("a.ps1", []byte("powershell -enc "+encoded+"\n"), Regular); len(found) != 1 || found[0].Rule != KnownSecret {
						t.Errorf("%s, %s endian, behind %q: %s", value, order, before, summary(found))
					}
				}
			}
		}
	}
}
