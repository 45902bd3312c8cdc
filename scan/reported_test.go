package scan

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// What a reviewer found missing.
func TestReported(t *testing.T) {
	const formationFile = "f/agents/a.afs"
	block := func(body string) string {
		return "-----BEGIN PRIVATE " + "KEY-----\n" + body + "\n-----END PRIVATE " + "KEY-----\n"
	}
	for _, tt := range []struct {
		name, path, text string
		want             Rule
	}{
		{"a literal joined to a reference, dots between", formationFile, "llm_models:\n  - api_key: sk-abc...${{ secrets.TAIL }}\n", PlaintextKey},
		{"a short literal joined to a reference", formationFile, "llm_models:\n  - api_key: \"sk-abc${{ secrets.TAIL }}\"\n", PlaintextKey},
		{"a prefix joined to a reference", formationFile, "llm_models:\n  - api_key: \"sk-${{ secrets.TAIL }}\"\n", ""},
		{"a short private key block", "deploy.pem", block("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"), KeyMaterial},
		{"a private key block of dots", "README.md", block("..."), ""},
		{"a private key block of x", "README.md", block("xxxxxxxxxxxxxxxxxxxxxxxx"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := new(Scanner).File(tt.path, []byte(tt.text), Regular)
			if tt.want == "" {
				if len(found) > 0 {
					t.Errorf("found %s", found[0].Rule)
				}
				return
			}
			if len(found) != 1 || found[0].Rule != tt.want {
				t.Errorf("%d findings, want one %s", len(found), tt.want)
			}
		})
	}
}

// A colour, or another order to a terminal, is no part of the word behind it.
func TestColouredAsAWhole(t *testing.T) {
	tokens := []string{keyOf("aws"), keyOf("github"), keyOf("anthropic"), keyOf("openai 24"), keyOf("jwt"), keyOf("stripe"), made(5, 3, alnum) + "8Q~" + made(6, 33, alnum) + "a", urlFernet()}
	for _, colour := range []string{"\x1b[31m", "\x1b[1;32m", "\x1b[38;2;255;100;0m", "\x1b[0K", "\x1b[m", "\x1b(B", "\x1b]8;;https://example.com\x1b\\", "^[[31m", "[31m", `\033[31m`, `\x1b[1m`, "\x1b[0m\x1b[31m"} {
		for i, token := range tokens {
			text := "tok " + colour + token + "\x1b[0m\n"
			if found := new(Scanner).File("build.log", []byte(text), Regular); len(found) != 1 || found[0].Line != 1 {
				t.Errorf("token %d behind %q:%s", i, colour, summary(found))
			}
			if found := new(Scanner).Message([]byte(text)); len(found) != 1 {
				t.Errorf("token %d behind %q in a message:%s", i, colour, summary(found))
			}
		}
	}
	wantNone(t, &Scanner{}, "a.txt", "a[31x"+keyOf("aws")+"] f(3m"+keyOf("aws")+")\n")
}

// A key that is tied to a name is one all the same: in the names of branches, tags
// and files as well as in text.
func TestTiedToAName(t *testing.T) {
	for _, provider := range []string{"github", "aws", "anthropic", "github fine", "stripe", "slack bot"} {
		token := keyOf(provider)
		for _, before := range []string{"t-", "fix_", "feature/a-", "a.b_c-", "x=y-", "feature/", "Docs/"} {
			name := before + token
			if found := new(Scanner).File("a.txt", []byte(name+"\n"), Regular); len(found) != 1 {
				t.Errorf("%s behind %s:%s", provider, before, summary(found))
			}
			if shown := new(Scanner).Shown(name + ".txt"); shown != before+"****.txt" {
				t.Errorf("%s behind %s is shown in a file's name", provider, before)
			}
		}
	}
	two := "a-" + keyOf("github") + "-" + keyOf("aws")
	if found := new(Scanner).File("a.txt", []byte(two), Regular); len(found) != 2 {
		t.Errorf("two in one name:%s", summary(found))
	}
	for _, quiet := range []string{
		"task_timeout_for_everything_in_here", "cache-key_" + made(63, 64, hexSet), "my-sk-ant-colony-optimization-and-other-words",
		"disk_" + made(64, 32, hexSet), "web-app-" + made(65, 24, alnum), "risk-sk_" + made(66, 32, hexSet), made(67, 30, alnum+"+") + "/" + keyOf("aws"),
	} {
		wantNone(t, &Scanner{}, "a.txt", quiet+"\n")
	}
}

// What is packed in a pipe is unpacked, or named.
func TestPackedStream(t *testing.T) {
	s := knownScanner()
	for name, content := range map[string][]byte{
		"gzip": gzipped("hunter2-hunter2"), "tar": tarred("a", "hunter2-hunter2"), "tar.gz": gzipped(string(tarred("a", "hunter2-hunter2"))), "zip": zipped("a", "hunter2-hunter2"),
	} {
		found, unread, size, err := s.Stream(bytes.NewReader(content))
		if err != nil || len(unread) > 0 || size == 0 || len(found) != 1 || found[0].Where != InText || found[0].Path != "" {
			t.Errorf("%s: %v, %v%s", name, err, unread, summary(found))
		}
	}
	if _, unread, _, _ := s.Stream(strings.NewReader("7z\xbc\xaf\x27\x1c...")); len(unread) != 1 || unread[0].Path != "standard input" {
		t.Errorf("not named: %v", unread)
	}
}

// A token behind what is escaped twice is found; it is written as it is.
func TestBehindTwoEscapes(t *testing.T) {
	for _, before := range []string{"u=a%2520", "t%253D", "t%25253D"} {
		text := before + keyOf("github") + "\n"
		if found := new(Scanner).File("a.txt", []byte(text), Regular); len(found) != 1 {
			t.Errorf("behind %s:%s", before, summary(found))
		}
	}
}

// Base64 of text is no Fernet key for its length, and a stored value in it is said once.
func TestTextIsNoFernetKey(t *testing.T) {
	text := base64.StdEncoding.EncodeToString([]byte(made(70, 32, alnum)))
	wantNone(t, &Scanner{}, "a.txt", text+"\n")
	value := made(71, 23, alnum)
	s := &Scanner{Known: NewKnown([]NamedValue{{Name: "A", Value: []byte(value)}})}
	twice := base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(value))))
	for _, line := range []string{"", "fernet_key: "} {
		found := s.File("a.yaml", []byte(line+twice+"\n"), Regular)
		if len(found) != 1 || found[0].Rule != KnownSecret {
			t.Errorf("behind %q:%s", line, summary(found))
		}
	}
	if found := new(Scanner).File("a.yaml", []byte("fernet_key: "+text+"\n"), Regular); len(found) != 1 {
		t.Errorf("in a key's field:%s", summary(found))
	}
}
