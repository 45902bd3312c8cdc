package scan

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/formationtest"
)

// surroundings are places in which a key is pasted; VALUE is the key.
var surroundings = map[string]struct{ path, text string }{
	"prose":          {"README.md", "# Setup\n\nUse VALUE to log in.\n"},
	"prose, dash":    {"docs/a.md", "größe - VALUE\n"},
	"sentence end":   {"notes.txt", "the key is VALUE."},
	"code":           {"main.py", "import os\nkey = \"VALUE\"\n"},
	"code comment":   {"main.go", "package main\n\n// VALUE\n"},
	"env file":       {"deploy/.env", "A=b\nexport KEY=VALUE\n"},
	"json":           {"a.json", "{\"a\": {\"key\": \"VALUE\"}}"},
	"notebook":       {"a.ipynb", "{\"source\": [\"import x\\n\",\"k='VALUE'\\n\"]}"},
	"escaped line":   {"a.json", "{\"source\": \"import x\\nVALUE\\n\"}"},
	"command line":   {"run.sh", "curl -H 'Authorization: Bearer VALUE' x\n"},
	"option":         {"run.sh", "tool --key=VALUE --other\n"},
	"url":            {"a.txt", "https://x-access-token:VALUE@example.com/a.git\n"},
	"url query":      {"a.txt", "https://example.com/?key%3DVALUE&x=1\n"},
	"yaml comment":   {"formation.afs", "schema: \"1.0.0\"\n# old: VALUE\n"},
	"other field":    {"formation.afs", "schema: \"1.0.0\"\ndescription: \"uses VALUE inside\"\n"},
	"compose":        {"docker-compose.yml", "services:\n  a:\n    environment:\n      - KEY=VALUE\n"},
	"xml":            {"a.xml", "<key>VALUE</key>\n"},
	"windows":        {"a.txt", "a\r\nVALUE\r\nb\r\n"},
	"markdown":       {"a.md", "`VALUE`\n"},
	"alone":          {"a.txt", "VALUE"},
	"after the BOM":  {"a.txt", "\ufeffVALUE"},
	"many on a line": {"a.txt", "größe, größe: VALUE, and so on"},
}

func TestProviderFormats(t *testing.T) {
	for _, provider := range providerNames {
		value := keyOf(provider)
		for name, c := range surroundings {
			if provider == "slack webhook" && strings.HasPrefix(name, "url") {
				continue
			}
			t.Run(provider+"/"+name, func(t *testing.T) {
				text := strings.ReplaceAll(c.text, "VALUE", value)
				if name == "after the BOM" {
					found := (&Scanner{}).File(c.path, []byte(text), Regular)
					if len(found) != 1 || found[0].Line != 1 || found[0].Column != 1 {
						t.Errorf("not found at 1:1: %s", summary(found))
					}
					return
				}
				wantOne(t, &Scanner{}, c.path, text, PlaintextKey, value)
			})
		}
	}
}

// Whatever a generator makes has to be found. One in some thousands has so few
// digits or capitals that it cannot be told from words; in a credential field the
// field finds it all the same.
func TestRandomKeysAreFound(t *testing.T) {
	missed := 0
	const keys = 20_000
	for i := uint64(0); i < keys; i++ {
		if found := providers([]byte("sk-" + made(1000+i, 21, alnum))); len(found) != 1 {
			missed++
		}
	}
	t.Logf("missed %d of %d", missed, keys)
	if missed > keys/1000 {
		t.Errorf("missed %d of %d keys", missed, keys)
	}
}

func TestUTF16(t *testing.T) {
	value := keyOf("openai 24")
	text := "größe\r\nkey = " + value + "\r\n"
	for name, content := range map[string][]byte{
		"LE with BOM": append([]byte("\xff\xfe"), utf16le(strings.ReplaceAll(text, "ö", "o"))...),
		"BE with BOM": append([]byte("\xfe\xff"), utf16be(strings.ReplaceAll(text, "ö", "o"))...),
		"LE plain":    utf16le(strings.ReplaceAll(text, "ö", "o")),
		"BE plain":    utf16be(strings.ReplaceAll(text, "ö", "o")),
	} {
		found := (&Scanner{}).File("a.txt", content, Regular)
		if len(found) != 1 || found[0].Line != 2 || found[0].Column != 7 {
			t.Errorf("%s: want one finding at 2:7, got %+v", name, found)
		}
	}
}

func TestLookAlikesAreQuiet(t *testing.T) {
	for _, quiet := range []string{
		"task_timeout_for_everything_in_here: 10", "risk-management-and-other-words1", ".sk-folding-cube .sk-cube1:before",
		"sk-estimator-doc-link-fitted", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "ssh.com,sk-ssh-ed25519-cert-v01@openssh.com", "sk-toggleable__label-arrow:before", "sk-text-repr-fallback{display:none}",
		"gsk_render_node_get_bounds1", "hf_hub_download_from_repository2", "fw_rule_add_destination_port4",
		"sk-...", "sk-abc123...", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "sk-your-openai-key-goes-here-123", "AKIA" + "IOSFODNN7EXAMPLE",
		"sk-ant-api03-...", "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789", "xoxb-your-token-here-please", "sk-aaaaaaaaaaaaaaaaaaaaaaaa",
		"h1:" + made(60, 43, alnum) + "=", "sha512-" + made(61, 86, alnum) + "==", "sha256-" + made(62, 43, alnum) + "=",
		"550e8400-e29b-41d4-a716-446655440000", "commit " + made(63, 40, hexSet), made(64, 64, hexSet),
		"data:image/png;base64," + made(65, 4000, alnum+"+/"),
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
		"-----BEGIN CERTIFICATE-----\n" + made(66, 64, alnum) + "\n-----END CERTIFICATE-----",
		"-----BEGIN PUBLIC KEY-----\n" + made(67, 64, alnum) + "\n-----END PUBLIC KEY-----",
		"-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", "AGE-SECRET-KEY-1...", "a -----BEGIN RSA PRIVATE KEY----- line",
		"https://hooks.slack" + ".com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "https://hooks.slack.com/services/...",
		"postgres://user:password@localhost/db in a README is an example",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + made(68, 43, alnum) + " me@host", "age1" + made(69, 58, "qpzry9x8gf2tvdw0s3jn54khce6mua7l"),
	} {
		for _, path := range []string{"README.md", "go.sum", "package-lock.json", "a.min.js", "main.go"} {
			wantNone(t, &Scanner{}, path, "first\n"+quiet+"\nlast\n")
		}
	}
	wantNone(t, &Scanner{}, "go.sum", "github.com/x/keyring v1.0.0 h1:"+plainFernet()+"\n")
	wantNone(t, &Scanner{}, "package-lock.json", `"integrity": "sha256-`+plainFernet()+`",`)
	wantNone(t, &Scanner{}, "wg.conf", "PublicKey = "+plainFernet()+"\n")
	wantNone(t, &Scanner{}, "k8s/agents/deploy.yaml", "apiVersion: v1\nkind: Secret\ndata:\n  password: aHVudGVyMg==\n")
}

func TestExampleFormationsAreQuiet(t *testing.T) {
	for path, content := range exampleFormations(t) {
		wantNone(t, &Scanner{}, path, content)
	}
}

// The table of formats: whatever a provider makes is found, by its name, and the
// mask shows no more than the prefix. What is cut, longer, of other characters or
// a part of a word is none.
func TestKeyFormats(t *testing.T) {
	t.Parallel()
	for _, f := range formation.KeyFormats() {
		if f.Source == "" || f.Name == "" {
			t.Errorf("%s %s: no source or no name", f.Prefix, f.Form)
		}

		seed := fnv.New64a() // of the form itself: a new one above it changes nothing
		seed.Write([]byte(f.Prefix + " " + string(f.Form)))
		r := rand.New(rand.NewPCG(seed.Sum64(), 1))
		missed := 0
		for range 2000 {
			key := formationtest.ProviderKey(r, f)
			if found := providers([]byte("x " + key + "\n")); len(found) != 1 || found[0].start != 2 || found[0].end != 2+len(key) {
				missed++
			}
			if mask := formation.Mask(key); f.Prefix != "" && !strings.HasPrefix(f.Prefix+"****", strings.TrimSuffix(mask, "****")) && !strings.HasPrefix(mask, f.Prefix) {
				t.Fatalf("%s is masked by another prefix", f.Prefix)
			}
		}
		allowed := 0
		if f.Weak {
			allowed = 20
		} else if last := string(f.Form)[strings.LastIndexByte(string(f.Form), ' ')+1]; last == 'b' || last == 'e' {
			allowed = 160 // the search is for letters and digits: one may have a + or / at every turn
		}
		if missed > allowed {
			t.Errorf("%s %s: %d of 2000 keys missed", f.Prefix, f.Form, missed)
		}
	}
}

// A key is found in a path as it is in a sentence.
func TestKeysInPaths(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 1))
	for _, f := range formation.KeyFormats() {
		if f.Weak {
			continue
		}
		for _, around := range []string{"x %s/secret\n", "see https://x.example/z/%s/w\n", "see https://x.example/z/%s\n"} {
			missed := 0
			for range 40 {
				key := formationtest.ProviderKey(r, f)
				if found := providers([]byte(fmt.Sprintf(around, key))); len(found) != 1 {
					missed++
				}
			}
			if missed > 8 { // base64 may have a / of its own
				t.Errorf("%s %s, in %q: %d of 40 keys missed", f.Prefix, f.Form, around, missed)
			}
		}
	}
}

func TestNearMissesOfKeyFormats(t *testing.T) {
	t.Parallel()
	for i, f := range formation.KeyFormats() {
		r := rand.New(rand.NewPCG(uint64(i), 2))
		key := formationtest.ProviderKey(r, f)
		for what, text := range map[string]string{
			"one short":        "x " + key[:len(key)-1] + "\n",
			"one long":         "x " + key + "7\n",
			"a wrong sign":     "x " + key[:len(f.Lead())+4] + "!" + key[len(f.Lead())+5:] + "\n",
			"in a longer word": "x Z" + key + "\n",
			"another prefix":   "x " + f.Lead()[:len(f.Lead())/2] + "!" + key[min(len(key), len(f.Lead())/2+1):] + "\n",
		} {
			if what == "another prefix" && f.Lead() == "" || what == "one long" && strings.HasSuffix(string(f.Form), "+") || what == "in a longer word" && strings.Contains(f.Prefix, ".xox") {
				continue // it has no end, or another kind's token in it
			}
			for _, h := range providers([]byte(text)) {
				// A longer key may be one of a wider format with the same prefix.
				if h.message == f.Name && !widened(f, what) {
					t.Errorf("%s %s: %s is taken for %s", f.Prefix, f.Form, what, h.message)
				}
			}
		}
	}
}

// A web token is a header and a payload in JSON, and a signature: what has less is
// none.
func TestNearMissesOfWebTokens(t *testing.T) {
	parts := strings.Split(keyOf("jwt"), ".")
	header, payload, signature := parts[0], parts[1], parts[2]
	for _, text := range []string{
		header + "." + payload + "." + signature[:20], header + "." + payload + "." + signature + ".", "." + header + "." + payload + "." + signature,
	} {
		if found := providers([]byte(text)); len(found) != 1 || found[0].message != "a JSON web token" {
			t.Errorf("want one, got %v", found)
		}
	}
	for about, text := range map[string]string{
		"a short signature":     header + "." + payload + "." + signature[:19],
		"no signature":          header + "." + payload,
		"an empty signature":    header + "." + payload + "..",
		"a filled signature":    header + "." + payload + "." + strings.Repeat("abcABC123", 5),
		"another sign between":  header + "." + payload + ":" + signature,
		"another sign, earlier": header + ":" + payload + "." + signature,
		"no payload":            header + "." + signature,
		"a payload of no JSON":  header + ".x" + payload + "." + signature,
		"a header of no JSON":   "x" + header + "." + payload + "." + signature,
		"a header that is text": "eyJ" + strings.Repeat("_", 20) + "." + signature + "." + signature,
	} {
		for _, h := range providers([]byte(text + "\n")) {
			t.Errorf("%s: taken for %s", about, h.message)
		}
	}
}

// widened reports whether a key that misses the form by one may be one of another
// form that has the same prefix and name, or of one that allows several lengths.
func widened(f formation.KeyFormat, what string) bool {
	if what != "one short" && what != "one long" {
		return false
	}
	last := string(f.Form)[strings.LastIndexByte(string(f.Form), ' ')+1:]
	if strings.ContainsAny(last, "-+") {
		return true
	}
	for _, other := range formation.KeyFormats() {
		if other.Lead() == f.Lead() && other.Form != f.Form {
			return true
		}
	}
	return false
}

// What is called by two names: the length decides whose key it is.
func TestWhoseKey(t *testing.T) {
	for form, want := range map[string]string{
		"sk_" + made(1, 48, hexSet): "an ElevenLabs key",
		"sk_" + made(2, 32, hexSet): "a MUXI server's secret",
		"sk_" + made(3, 64, hexSet): "a MUXI server's secret",
		"sk-" + made(4, 32, hexSet): "a DeepSeek key, or another provider's of that form",
	} {
		if found := providers([]byte(form)); len(found) != 1 || found[0].message != want {
			t.Errorf("not %s: %v", want, found)
		}
	}
}

func TestAzureSecrets(t *testing.T) {
	secret := made(5, 3, alnum) + "8Q~" + made(6, 34, alnum+"._-")[:33] + "a"
	account := made(7, 86, alnum+"+/") + "=="
	wantOne(t, &Scanner{}, "a.py", "secret = '"+secret+"'\n", PlaintextKey, secret)
	wantOne(t, &Scanner{}, "a.txt", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey="+account+";EndpointSuffix=core.windows.net\n", PlaintextKey, account)
	for _, quiet := range []string{
		"x" + secret, secret[:len(secret)-4], secret + "abcd", "AccountKey=" + account[:80] + "==", "AccountKey=<your-key>", strings.Replace(secret, "8Q~", "xQ~", 1),
	} {
		wantNone(t, &Scanner{}, "a.txt", quiet+"\n")
	}
}

// Other random text holds no key: hashes, identifiers, base64, words.
func TestOtherRandomTextIsQuiet(t *testing.T) {
	t.Parallel()
	words := strings.Fields("task risk desk disk mask get set token key user data file name list node text item view sk ghp hf fw npm xai pplx pa app re secret key pat")
	phrase := func(seed uint64, sep string, camel bool) string {
		var all []string
		for n := range uint64(8) {
			word := words[(seed*31+n*n*17+seed>>n)%uint64(len(words))]
			if camel {
				word = strings.ToUpper(word[:1]) + word[1:]
			}
			all = append(all, word)
		}
		return strings.Join(all, sep)
	}
	kinds := []func(seed uint64) string{
		func(seed uint64) string { return made(seed, 32, hexSet) },
		func(seed uint64) string { return made(seed, 40, hexSet) },
		func(seed uint64) string { return made(seed, 64, hexSet) },
		func(seed uint64) string { return made(seed, 43, alnum+"+/") + "=" },
		func(seed uint64) string { return made(seed, 26, upperSet) },
		func(seed uint64) string { return made(seed, 44, tokenSet) },
		func(seed uint64) string {
			id := made(seed, 36, hexSet)
			return id[:8] + "-" + id[9:13] + "-" + id[14:18] + "-" + id[19:23] + "-" + id[24:]
		},
		func(seed uint64) string { return phrase(seed, "_-"[seed%2:seed%2+1], false) },
		func(seed uint64) string { return phrase(seed, "", true) },
		func(seed uint64) string { return base64.StdEncoding.EncodeToString([]byte(phrase(seed, " ", false))) },
		func(seed uint64) string {
			return "github.com/" + phrase(seed, "-", false) + " v1.2.3 h1:" + made(seed, 43, alnum+"+/") + "="
		},
		func(seed uint64) string {
			return "function(e){return " + made(seed, 1, alnum[26:52]) + "." + phrase(seed, "", true) + ".call(this,e)}"
		},
	}

	var text strings.Builder
	for n := range uint64(100_000) {
		text.WriteString(kinds[n%uint64(len(kinds))](n) + "\n")
	}
	for _, h := range providers([]byte(text.String())) {
		line := text.String()[h.start:]
		t.Errorf("%s in %q", h.message, line[:strings.IndexByte(line, '\n')])
	}
}
