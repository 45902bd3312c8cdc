package scan

import (
	"strings"
	"testing"
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
		"sk-estimator-doc-link-fitted", "sk-toggleable__label-arrow:before", "sk-text-repr-fallback{display:none}",
		"gsk_render_node_get_bounds1", "hf_hub_download_from_repository2", "fw_rule_add_destination_port4",
		"sk-...", "sk-abc123...", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "sk-your-openai-key-goes-here-123", "AKIA" + "IOSFODNN7EXAMPLE",
		"sk-ant-api03-...", "xoxb-your-token-here-please", "sk-aaaaaaaaaaaaaaaaaaaaaaaa",
		"h1:" + made(60, 43, alnum) + "=", "sha512-" + made(61, 86, alnum) + "==", "sha256-" + made(62, 43, alnum) + "=",
		"550e8400-e29b-41d4-a716-446655440000", "commit " + made(63, 40, hexSet), made(64, 64, hexSet),
		"data:image/png;base64," + made(65, 4000, alnum+"+/"),
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
		"-----BEGIN CERTIFICATE-----\n" + made(66, 64, alnum) + "\n-----END CERTIFICATE-----",
		"-----BEGIN PUBLIC KEY-----\n" + made(67, 64, alnum) + "\n-----END PUBLIC KEY-----",
		"-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", "AGE-SECRET-KEY-1...", "a -----BEGIN RSA PRIVATE KEY----- line",
		"https://hooks.slack" + ".com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "https://hooks.slack.com/services/...",
		"postgres://user:hunter2-hunter2@localhost/db in a README is an example",
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
