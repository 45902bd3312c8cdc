package scan

import (
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

func TestTeamTokens(t *testing.T) {
	s := &Scanner{Formats: []formation.TokenFormat{{Prefix: "acme_", Min: 32}, {Prefix: "ACME.v1.", Min: 16}}}
	token := "acme_" + made(300, 32, alnum)
	for _, text := range []string{token, "K=" + token, `"x\n` + token + `"`, "see%20" + token + " there", "ACME.v1." + made(301, 16, alnum), "(" + token + ")", "x\n" + token + "-more"} {
		found := s.File("a.txt", []byte(text), Regular)
		if len(found) != 1 || found[0].Rule != PlaintextKey {
			t.Errorf("%d findings in a text of %d", len(found), len(text))
		}
		noValue(t, found, token[5:])
		if found := s.Message([]byte(text)); len(found) != 1 {
			t.Errorf("%d findings in a message", len(found))
		}
	}
	for _, text := range []string{token[:30], "x" + token, "un_" + token, "acme_" + strings.Repeat("x", 40), "acme_your_key_here_your_key_here_your_key", "acme_ " + made(302, 40, alnum)} {
		wantNone(t, s, "a.txt", text)
	}
	for _, f := range s.File("a.txt", []byte(strings.Repeat(token+"\n", 3)), Regular) {
		if f.Column != 1 {
			t.Error("the wrong place")
		}
	}
}

// One place is one finding, under the first rule that fits.
func TestOnePlace(t *testing.T) {
	key := keyOf("openai 24")
	s := &Scanner{Known: NewKnown([]NamedValue{{Name: "OPENAI_API_KEY", Value: []byte(key)}, {Name: "PEM", Value: []byte(pem("PRIVATE " + "KEY"))}}, []byte(urlFernet()))}
	for _, c := range []struct {
		path, text string
		want       Rule
	}{
		{"formation.afs", "llm:\n  api_keys:\n    openai: " + key + "\n", KnownSecret},
		{"formation.afs", "llm:\n  api_keys:\n    openai: \"Bearer " + key + "\"\n", KnownSecret},
		{"formation.afs", "llm:\n  api_key: " + urlFernet() + "\n", KeyMaterial},
		{"a.txt", key, KnownSecret},
		{"a.txt", urlFernet(), KeyMaterial},
		{"a.pem", pem("PRIVATE " + "KEY"), KnownSecret},
		{"secrets", "OPENAI_API_KEY=" + key + "\n", KnownSecret},
		{"a.md", "https://u:" + key + "@host/x", KnownSecret},
		{"formation.afs", "llm:\n  api_key: hunter2-hunter2\n", PlaintextKey},
	} {
		found := s.File(c.path, []byte(c.text), Regular)
		if len(found) != 1 || found[0].Rule != c.want {
			t.Errorf("%s, %s:%s", c.path, c.want, summary(found))
		}
	}
	text := "llm:\n  api_key: |  # muxi-secrets:allow\n    " + key + "\n"
	if found := s.File("formation.afs", []byte(text), Regular); len(found) != 1 || found[0].Silenced != ByComment {
		t.Errorf("a comment at the field:%s", summary(found))
	}
	two := "llm:\n  api_keys: {a: " + key + ", b: " + keyOf("github") + "}\n" // two places
	if found := s.File("formation.afs", []byte(two), Regular); len(found) != 2 {
		t.Errorf("two places:%s", summary(found))
	}
}
