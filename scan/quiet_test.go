package scan

import (
	"encoding/base64"
	"strings"
	"testing"
)

// What other people's repositories are full of, and no key.
func TestFalseAlarms(t *testing.T) {
	iv, sig := plainFernet(), urlFernet()
	sops := "ENC[AES256_GCM,data:" + made(900, 20, alnum) + ",iv:" + iv + ",tag:" + made(901, 22, alnum) + "==,type:str]"
	enc := base64.RawURLEncoding.EncodeToString
	jwt := func(claims string) string {
		return enc([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc([]byte(claims)) + "." + made(902, 43, tokenSet)
	}
	armor := "-----BEGIN AGE ENCRYPTED FILE-----\n        " + (armorBody + made(903, 64, alnum))[:64] + "\n        " + made(904, 64, alnum) + "\n        " + urlFernet() + "\n        -----END AGE ENCRYPTED FILE-----\n"
	block := "-----BEGIN RSA PRIVATE " + "KEY-----\n"

	for name, c := range map[string]struct{ path, text string }{
		"sops, secret.yaml":       {"secret.yaml", "password: " + sops + "\n"},
		"sops, key.yaml":          {"key.yaml", "api_key: " + sops + "\nsops:\n    age:\n        - enc: |\n            " + strings.ReplaceAll(armor, "        ", "            ")},
		"sops, a formation":       {"formation.afs", "llm:\n  api_keys:\n    openai: " + sops + "\n"},
		"sops, mac":               {"secrets.json", "{\"mac\": \"" + sops + "\"}"},
		"sops, .env":              {".env", "MISTRAL_API_KEY=" + sops + "\nexport COHERE_API_KEY=" + sops + "\n"},
		"sops, compose":           {"docker-compose.yml", "services:\n  a:\n    environment:\n      - MISTRAL_API_KEY=" + sops + "\n      - DEEPGRAM_API_KEY=" + sops + "\n"},
		"sops, a compose map":     {"docker-compose.yml", "services:\n  a:\n    environment:\n      MISTRAL_API_KEY: " + sops + "\n"},
		"where the key is":        {".env", "MISTRAL_API_KEY=vault:secret/data/app1#mistral\nCOHERE_API_KEY=arn:aws:secretsmanager:eu-west-1:123456789012:secret:c-Ab12\n"},
		"dotenvx":                 {".env", "MISTRAL_API_KEY=\"encrypted:" + made(905, 120, alnum) + "\"\n"},
		"a picture's signature":   {"a.md", "https://media.example.net/photo.jpg?s=612x612&w=0&k=20&c=" + sig + "\n"},
		"escaped":                 {"a.json", "\"https://media.example.net/photo.jpg?s=612x612\\u0026c=" + sig + "\""},
		"a presigned URL":         {"a.md", "https://b.s3.amazonaws.com/x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK" + "IA" + made(906, 16, upperSet) + "%2F20240101%2Fus-east-1&X-Amz-Signature=" + made(907, 64, hexSet)},
		"a presigned URL, older":  {"a.md", "https://b.s3.amazonaws.com/x?AWSAccessKeyId=AK" + "IA" + made(908, 16, upperSet) + "&Expires=1&Signature=" + made(909, 27, alnum)},
		"a picture at GitHub":     {"README.md", "https://private-user-images.githubusercontent.com/1/2-3.png?jwt=" + jwt(`{"iss":"github.com","exp":1}`)},
		"an elided block":         {"README.md", block + made(910, 64, alnum) + "\n...\n" + made(911, 40, alnum) + "=\n-----END RSA PRIVATE " + "KEY-----\n"},
		"an elided block, code":   {"values.yaml", "    # " + block + "    # " + made(912, 64, alnum) + "\n    # [...]\n    # -----END RSA PRIVATE " + "KEY-----\n"},
		"an elided block, JSON":   {"a.json", "{\"private_key\": \"" + strings.ReplaceAll(block, "\n", "\\n") + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC...\\n-----END RSA PRIVATE " + "KEY-----\\n\"}"},
		"Supabase's demo":         {"a.ts", jwt(`{"iss":"supabase-demo","role":"service_role"}`)},
		"Supabase's local key":    {"a.ts", "const key = '" + "sb_" + "secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz'"},
		"Supabase's anonymous":    {"a.ts", jwt(`{"iss":"supabase","ref":"abcdefgh","role":"anon"}`)},
		"a made-up Slack token":   {"a.ts", "xoxb-" + "secret-bot-token-12345 and xoxb-" + "extremely-secret-token-abcdef123456"},
		"a Slack token of digits": {"a.ts", "xoxp-" + "572370529330-573807301142-572331691188-####################"},
		"a made-up key":           {"a.ts", "sk-" + "mp-secret-token-abcdef123456"},
		"...Here":                 {"a.py", "hf_" + "YourHuggingFaceTokenHere1234567890"},
		"the alphabet":            {"a.py", "sk-" + "abcdefghijklmnopqrstuvwxyz123456 and ghp_" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"},
		"a made-up key of digits": {"a.py", "sk-" + "ant-api03-" + strings.Repeat("0", 95)},
		"####":                    {"formation.afs", "llm:\n  api_keys:\n    openai: \"####\"\n"},
	} {
		t.Run(name, func(t *testing.T) { wantNone(t, &Scanner{}, c.path, c.text) })
	}

	// Their neighbours are found.
	for name, c := range map[string]struct{ path, text string }{
		"a key in a URL":        {"a.md", "https://x.example.net/?fernet_key=" + sig + "\n"},
		"a whole block":         {"a.md", block + made(913, 64, alnum) + "\n" + made(914, 64, alnum) + "\n-----END RSA PRIVATE " + "KEY-----\n"},
		"a service role":        {"a.ts", jwt(`{"iss":"supabase","ref":"abcdefgh","role":"service_role"}`)},
		"an id without its URL": {"a.md", "AWSAccessKeyId=AK" + "IA" + made(908, 16, upperSet) + "\n"},
		"beside sops":           {"key.yaml", "a: " + sops + "\nkey: " + sig + "\n"},
	} {
		if found := (&Scanner{}).File(c.path, []byte(c.text), Regular); len(found) != 1 {
			t.Errorf("%s: want one finding, got%s", name, summary(found))
		}
	}
}

// MUXI's documentation shows a server's secret: it is called that.
func TestDocumentationOfMUXI(t *testing.T) {
	value := "sk_" + "9f2e8d7c6b5a4f3e2d1c0b9a8f7e6d5c"
	if f := wantOne(t, &Scanner{}, "docs/server.md", "secret: "+value+"\n", PlaintextKey, value); !strings.Contains(f.Message, "MUXI server's secret") {
		t.Errorf("called %s", f.Message)
	}
}

// In a credential's field the field decides: what only looks like filling is a key.
func TestFillingInFields(t *testing.T) {
	for text, value := range map[string]string{
		"llm:\n  api_keys:\n    anthropic: VALUE\n":   "sk-" + "ant-api03-abcdefghijABCDEFGHIJ0123456789abcdefghij",
		"auth:\n  type: env\n  GITHUB_TOKEN: VALUE\n": "ghp_" + "abcdEFGHijklMNOPqrstUVWXyz0123456789",
		"llm:\n  api_keys:\n    openai: VALUE\n":      "sk-" + "abcdefghijklmnopqrstuvwxyz",
	} {
		wantOne(t, &Scanner{}, "formation.afs", strings.ReplaceAll(text, "VALUE", value), PlaintextKey, value)
	}
	wantNone(t, &Scanner{}, "formation.afs", "llm:\n  api_keys:\n    openai: sk-your-key-here\n    groq: gsk_xxxxxxxxxxxxxxxxxxxxxxxx\n    google: AIza...\n")
}
