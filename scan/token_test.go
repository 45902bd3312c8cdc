package scan

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/scan/scantest"
)

const (
	alnum    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	tokenSet = alnum + "_-"
	hexSet   = "0123456789abcdef"
	upperSet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// made returns n characters of alphabet, the same for the same seed. Whatever
// looks like a key in these tests is made while they run, so that no scanner
// (ours included) takes this repository for a leak.
func made(seed uint64, n int, alphabet string) string {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func fernet(seed uint64) string {
	return base64.URLEncoding.EncodeToString([]byte(made(seed, 32, alnum+"\x80\xff\xfe\xfb")))
}

// urlFernet is a Fernet key with a - or _ in it.
func urlFernet() string {
	for seed := uint64(0); ; seed++ {
		if key := fernet(seed); strings.ContainsAny(key, "-_") {
			return key
		}
	}
}

// stdFernet is the same key in the other alphabet, which Python reads too.
func stdFernet() string { return strings.NewReplacer("-", "+", "_", "/").Replace(urlFernet()) }

// plainFernet is one without, which looks like a hash.
func plainFernet() string {
	for seed := uint64(0); ; seed++ {
		if key := fernet(seed); !strings.ContainsAny(key, "-_") {
			return key
		}
	}
}

func pem(kind string) string {
	return "-----BEGIN " + kind + "-----\n" + made(1, 64, alnum) + "\n" + made(2, 40, alnum) + "=\n-----END " + kind + "-----\n"
}

// keyOf makes one key in each provider's format.
func keyOf(provider string) string {
	switch provider {
	case "openai 24":
		return "sk-" + made(3, 21, alnum)
	case "openai project":
		return "sk-" + "proj-" + made(4, 74, tokenSet) + "T3Blbk" + "FJ" + made(5, 74, tokenSet)
	case "anthropic":
		return "sk-" + "ant-api03-" + made(6, 93, tokenSet) + "AA"
	case "openrouter":
		return "sk-" + "or-v1-" + made(7, 64, hexSet)
	case "deepseek":
		return "sk-" + made(8, 32, hexSet)
	case "google":
		return "AI" + "za" + made(9, 35, tokenSet)
	case "groq":
		return "gs" + "k_" + made(10, 52, alnum)
	case "xai":
		return "xa" + "i-" + made(11, 80, alnum)
	case "perplexity":
		return "pp" + "lx-" + made(12, 48, alnum)
	case "hugging face":
		return "h" + "f_" + made(13, 34, alnum)
	case "replicate":
		return "r" + "8_" + made(14, 37, alnum)
	case "pinecone":
		return "pc" + "sk_" + made(15, 5, alnum) + "_" + made(16, 60, alnum)
	case "langsmith":
		return "ls" + "v2_pt_" + made(17, 32, hexSet) + "_" + made(18, 10, hexSet)
	case "tavily":
		return "tv" + "ly-" + made(19, 32, alnum)
	case "tavily dev":
		return "tv" + "ly-dev-" + made(20, 32, alnum)
	case "brave":
		return "BS" + "A" + made(21, 28, tokenSet)
	case "fireworks":
		return "f" + "w_" + made(22, 24, alnum)
	case "elevenlabs":
		return "s" + "k_" + made(23, 48, hexSet)
	case "muxi":
		return "s" + "k_muxi_" + made(24, 32, alnum)
	case "muxi admin":
		return "fm" + "a_" + made(25, 64, hexSet)
	case "muxi client":
		return "fm" + "c_" + made(26, 64, hexSet)
	case "github":
		return "gh" + "p_" + made(27, 36, alnum)
	case "github oauth":
		return "gh" + "o_" + made(28, 36, alnum)
	case "github user":
		return "gh" + "u_" + made(29, 36, alnum)
	case "github server":
		return "gh" + "s_" + made(30, 36, alnum)
	case "github fine":
		return "github" + "_pat_" + made(31, 22, alnum) + "_" + made(32, 59, alnum)
	case "slack bot":
		return "xo" + "xb-" + made(33, 12, "0123456789") + "-" + made(34, 12, "0123456789") + "-" + made(35, 24, alnum)
	case "slack user":
		return "xo" + "xp-" + made(36, 11, "0123456789") + "-" + made(37, 11, "0123456789") + "-" + made(38, 32, hexSet)
	case "aws":
		return "AK" + "IA" + made(39, 16, upperSet)
	case "stripe":
		return "s" + "k_live_" + made(40, 24, alnum)
	case "jwt":
		enc := base64.RawURLEncoding.EncodeToString
		return enc([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc([]byte(`{"sub":"somebody","iat":1700000000}`)) + "." + made(41, 43, tokenSet)
	case "slack webhook":
		return "https://hooks.slack" + ".com/services/T" + made(42, 8, upperSet) + "/B" + made(43, 8, upperSet) + "/" + made(44, 24, alnum)
	}
	panic("no provider " + provider)
}

var providerNames = []string{
	"openai 24", "openai project", "anthropic", "openrouter", "deepseek", "google", "groq", "xai", "perplexity",
	"hugging face", "replicate", "pinecone", "langsmith", "tavily", "tavily dev", "brave", "fireworks", "elevenlabs",
	"muxi", "muxi admin", "muxi client", "github", "github oauth", "github user", "github server", "github fine",
	"slack bot", "slack user", "aws", "stripe", "jwt", "slack webhook",
}

// place returns the line and column (in characters) at which value first stands
// in text.
func place(text, value string) (line, column int) {
	at := strings.Index(text, value)
	if at < 0 {
		panic("the test's text does not hold the test's value")
	}
	begin := strings.LastIndexByte(text[:at], '\n') + 1
	return strings.Count(text[:at], "\n") + 1, utf8.RuneCountInString(text[begin:at]) + 1
}

// only returns the findings of one rule.
func only(found []Finding, rule Rule) (picked []Finding) {
	for _, f := range found {
		if f.Rule == rule {
			picked = append(picked, f)
		}
	}
	return picked
}

// wantOne checks that text, at path, has exactly one finding of rule, at the
// place of value, and that no finding holds a part of value.
func wantOne(t *testing.T, s *Scanner, path, text string, rule Rule, value string) Finding {
	t.Helper()
	found := s.File(path, []byte(text), Regular)
	noValue(t, found, value)
	picked := only(found, rule)
	if len(picked) != 1 {
		t.Fatalf("%s: %d findings of %s, want 1 (all: %s)", path, len(picked), rule, summary(found))
	}
	line, column := place(text, value)
	if picked[0].Line != line || picked[0].Column != column {
		t.Errorf("%s: %s at %d:%d, want %d:%d", path, rule, picked[0].Line, picked[0].Column, line, column)
	}
	return picked[0]
}

func summary(found []Finding) string {
	var b strings.Builder
	for _, f := range found {
		b.WriteString("\n  " + string(f.Rule) + " " + f.Message)
	}
	return b.String()
}

// noValue checks that no field of a finding holds six characters of value in a
// row. Fingerprints are left to chance only where they are hex like the value.
func noValue(t *testing.T, found []Finding, value string) {
	t.Helper()
	for _, f := range found {
		for _, field := range []string{string(f.Rule), f.Path, f.Commit, f.Secret, f.Message, f.Fingerprint} {
			for i := 0; i+6 <= len(value); i++ {
				if strings.Contains(field, value[i:i+6]) {
					t.Fatalf("a finding of %s holds a part of the value", f.Rule)
				}
			}
		}
	}
}

func wantNone(t *testing.T, s *Scanner, path, text string) {
	t.Helper()
	if found := s.File(path, []byte(text), Regular); len(found) != 0 {
		t.Errorf("%s: want no finding, got:%s", path, summary(found))
	}
}

// utf16le and utf16be encode ASCII.
func utf16le(s string) []byte { return scantest.Wide(s) }

func utf16be(s string) []byte {
	b := scantest.Wide(s)
	for i := 0; i < len(b); i += 2 {
		b[i], b[i+1] = b[i+1], b[i]
	}
	return b
}
