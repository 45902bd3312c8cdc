package scan

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/scan/scantest"
)

func zipped(files ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, _ := z.Create(files[i])
		io.WriteString(w, files[i+1])
	}
	z.Close()
	return b.Bytes()
}

func gzipped(content string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, content)
	z.Close()
	return b.Bytes()
}

func tarred(files ...string) []byte {
	var b bytes.Buffer
	z := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		z.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644, Typeflag: tar.TypeReg})
		io.WriteString(z, files[i+1])
	}
	z.Close()
	return b.Bytes()
}

func TestArchives(t *testing.T) {
	s := knownScanner()
	env := "# settings\nPASSWORD=hunter2-hunter2\n"
	s2 := string(gzipped(env))
	for name, c := range map[string]struct {
		content []byte
		where   string
	}{
		"zip":              {zipped("a.txt", "x", "conf/.env", env), "conf/.env:2 inside of it"},
		"behind a program": {append([]byte("#!/usr/bin/env python3\n"), zipped("a.txt", "x", "conf/.env", env)...), "conf/.env:2 inside of it"},
		"a name":           {gzipped(string(tarred("hunter2-hunter2/a", "x", "hunter2-hunter2/b", "x"))), "in the name of a file inside of it"},
		"gzip":             {gzipped(env), "line 2 of what it unpacks to"},
		"tar":              {tarred("a", "x", "conf/.env", env), ""}, // its bytes are those of the file
		"tar.gz":           {gzipped(string(tarred("a", "x", "conf/.env", env))), "conf/.env:2 inside of it"},
		"a name in a tar":  {tarred("hunter2-hunter2/a", "x"), ""}, // and once alone
		"zip in tar.gz":    {gzipped(string(tarred("b.zip", string(zipped("c", env))))), "b.zip/c:2 inside of it"},
		"gz in zip":        {zipped("log.gz", s2), "log:2 inside of it"},
		"zip in zip":       {zipped("a.zip", string(zipped("b.zip", string(zipped("c", env))))), "a.zip/b.zip/c:2"},
		"gz in tar":        {tarred("x.gz", s2), "x:2 inside of it"},
		"gz, three":        {gzipped(string(gzipped(s2))), "line 2"},
		"base64 in a zip":  {zipped("c", "\n"+scantest.Spelled("hunter2-hunter2")["kubernetes"]), "c:5"},
	} {
		found, unread := s.Open("x/y.bin", c.content, Regular)
		if len(found) != 1 || found[0].Rule != KnownSecret || found[0].Secret != "PASSWORD" || !strings.Contains(found[0].Message, c.where) || unread != nil || found[0].Path != "x/y.bin" {
			t.Errorf("%s: %v%s", name, unread, summary(found))
			continue
		}
		noValue(t, found, "hunter2-hunter2")
		if c.where != "" && found[0].Line != 1 {
			t.Errorf("%s: line %d", name, found[0].Line)
		}
	}
	bundle := zipped("f/.key", urlFernet(), "f/formation.afs", "llm:\n  api_keys:\n    openai: a-literal-value\n", "f/secrets.enc", "x", "f/plain", "x", "f/a.txt", keyOf("github")+"\n"+keyOf("github"))
	found, unread := s.Open("bundle.zip", bundle, Regular)
	if fmt.Sprint(rulesOf(found)) != "[key-file plaintext-key plaintext-key plaintext-key]" || unread != nil {
		t.Errorf("a bundle: %v%s", unread, summary(found))
	}
	prints := map[string]bool{}
	for _, f := range found {
		prints[f.Fingerprint] = true
	}
	if len(prints) != len(found) {
		t.Error("two places share a fingerprint")
	}
}

func rulesOf(found []Finding) (rules []Rule) {
	for _, f := range found {
		rules = append(rules, f.Rule)
	}
	return rules
}

// What is not opened is named, with the reason.
func TestUnread(t *testing.T) {
	if testing.Short() {
		t.Skip("it packs what is too large to unpack, and -short is given")
	}
	s := knownScanner()
	deep := []byte("hunter2-hunter2")
	for range maxNested + 1 {
		deep = gzipped(string(deep))
	}
	locked := zipped("a", "hunter2-hunter2")
	locked[6] |= 1
	locked[bytes.Index(locked, []byte("PK\x01\x02"))+8] |= 1
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"bomb":      {gzipped(strings.Repeat("\x00", MaxUnpacked+1)), "unpacks to more than 64 MiB"},
		"zip bomb":  {zipped("a", strings.Repeat("a", MaxUnpacked/2), "b", strings.Repeat("b", MaxUnpacked)), "unpacks to more than 64 MiB"},
		"deep":      {deep, "3 archives deep"},
		"7z":        {[]byte("7z\xbc\xaf\x27\x1c..."), "packed with 7z"},
		"xz in zip": {zipped("a.xz", "\xfd7zXZ\x00..."), "packed with xz"},
		"locked":    {locked, "encrypted"},
		"cut":       {gzipped(strings.Repeat("a line\n", 999) + made(800, 999, alnum))[:200], "damaged"},
		"no zip":    {[]byte("PK\x03\x04 and nothing behind it"), "damaged"},
		"many":      {bytes.Repeat([]byte("PK\x03\x04PK\x01\x02"), maxMembers+1), "20000 files"},
	} {
		found, unread := s.Open("x.bin", c.content, Regular)
		if len(found) != 0 || len(unread) != 1 || !strings.Contains(unread[0].Reason, c.want) || !strings.HasPrefix(unread[0].Path, "x.bin") {
			t.Errorf("%s: %v%s", name, unread, summary(found))
		}
	}
	many := []string{}
	for i := range 50 {
		many = append(many, fmt.Sprint(i, ".7z"), "7z\xbc\xaf\x27\x1c")
	}
	if _, unread := s.Open("x.zip", zipped(many...), Regular); len(unread) != maxUnread+1 {
		t.Errorf("%d parts are named", len(unread))
	}
}

// An archive is never held unpacked: not one of 64 MiB, nor a million zeros deep.
func TestArchivesAreStreamed(t *testing.T) {
	s := knownScanner()
	big := gzipped(strings.Repeat("a line of a log, and another one\n", MaxUnpacked/40) + "hunter2-hunter2")
	deep := zipped("a.gz", string(gzipped(string(gzipped(strings.Repeat("\x00", MaxUnpacked/3))))))
	for name, content := range map[string][]byte{"big": big, "deep": deep} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		found, _ := s.Open("x", content, Regular)
		runtime.ReadMemStats(&after)
		if grown := (after.TotalAlloc - before.TotalAlloc) >> 20; grown > 32 || name == "big" && len(found) != 1 {
			t.Errorf("%s: %d MiB allocated, %d findings", name, grown, len(found))
		}
	}
}

func FuzzArchive(f *testing.F) {
	for _, content := range [][]byte{
		zipped("a", "hunter2-hunter2"), gzipped("hunter2-hunter2"), tarred("a", "hunter2-hunter2"), gzipped(string(tarred("a", "b"))), zipped("a.gz", string(gzipped("x"))),
		[]byte("BZh91AY&SY"), []byte("PK\x05\x06"),
	} {
		f.Add(content)
	}
	s := knownScanner()
	f.Fuzz(func(t *testing.T, content []byte) {
		found, unread := s.Open("a", content, Regular)
		if len(unread) > maxUnread+1 || len(found) > 3*maxFindings {
			t.Fatalf("%d findings, %d parts", len(found), len(unread))
		}
	})
}
