package scan

import (
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

func TestProposal(t *testing.T) {
	key := "K3rt9XmPq2LwZ7vB4nY6cD8sK3rt9XmPq2LwZ7vB" // no provider's
	for _, c := range []struct{ file, text, want string }{
		{"formation.afs", "llm:\n  api_keys:\n    openai: " + key, "OPENAI_API_KEY"},
		{"formation.afs", "llm:\n  api_keys:\n    azure-openai: " + key, "AZURE_OPENAI_API_KEY"},
		{"formation.afs", "server: {api_keys: {admin_key: " + key + "}}", "ADMIN_KEY"},
		{"formation.afs", "server: {api_keys: {client: " + key + "}}", "CLIENT_KEY"},
		{"formation.afs", "llm:\n  models:\n    - text: x\n      api_key: sk-ant-api03-" + key, "ANTHROPIC_API_KEY"},
		{"formation.afs", "overlord: {llm: {api_key: " + key + "}}", "OVERLORD_LLM_API_KEY"},
		{"formation.afs", "memory: {working: {remote: {api_key: " + key + "}}}", "WORKING_REMOTE_API_KEY"},
		{"formation.afs", "memory: {persistent: {connection_string: 'postgresql://a:" + key + "@h/d'}}", "POSTGRES_URL"},
		{"formation.afs", "mcp: {servers: [{env: {BROKER: 'amqps://a:" + key + "@h/d'}}]}", "AMQP_URL"},
		{"formation.afs", "memory: {persistent: {connection_string: 'AccountName=a;AccountKey=" + key + "'}}", "MEMORY_PERSISTENT_URL"},
		{"formation.afs", "user_credentials: {encryption: {key: " + key + "}}", "ENCRYPTION_KEY"},
		{"formation.afs", "async: {webhook_secret: " + key + "}", "WEBHOOK_SECRET"},
		{"formation.afs", "webhooks: {secret: " + key + "}", "WEBHOOKS_SECRET"},
		{"formation.afs", "rce: {token: " + key + "}", "RCE_TOKEN"},
		{"formation.afs", "mcp: {servers: [{id: brave-search, auth: {type: bearer, token: " + key + "}}]}", "BRAVE_SEARCH_TOKEN"},
		{"formation.afs", "coding: {env: {DB_PASSWORD: " + key + "}}", "DB_PASSWORD"},
		{"mcp/github.afs", "auth: {type: env, GITHUB_TOKEN: " + key + "}", "GITHUB_TOKEN"},
		{"mcp/github.afs", "auth: {type: bearer, token: " + key + "}", "GITHUB_TOKEN"},
		{"mcp/deepseek.afs", "auth: {type: bearer, token: sk-" + key + "}", "DEEPSEEK_TOKEN"},
		{"mcp/x.afs", "auth: {type: bearer, token: gsk_" + key + "}", "GROQ_API_KEY"},
		{"mcp/x.afs", "env:\n  - name: API_TOKEN\n    value: " + key, "API_TOKEN"},
		{"mcp/x.afs", "env:\n  - STRIPE_KEY=" + key, "STRIPE_KEY"},
		{"mcp/x.afs", "headers: {X-Api-Key: " + key + "}", "X_API_KEY"},
		{"mcp/x.afs", "headers: {X-Auth-Token: " + key + "}", "X_TOKEN"},
		{"mcp/x.afs", "auth: {type: oauth, refresh_token: " + key + "}", "X_TOKEN"},
		{"mcp/x.afs", "auth: {type: oauth, client_secret: " + key + "}", "X_CLIENT_SECRET"},
		{"mcp/x.afs", "auth: {type: oauth, access_token: " + key + "}", "X_TOKEN"},
		{"mcp/x.afs", "headers: {Proxy-Authorization: Basic " + key + "}", "X_TOKEN"},
		{"mcp/search.afs", "headers: {Authorization: Bearer " + key + "}", "SEARCH_TOKEN"},
		{"mcp/x.afs", "args: ['--api-key', " + key + "]", "X_API_KEY"},
		{"mcp/x.afs", "args:\n  - --token\n  - " + key, "X_TOKEN"},
		{"mcp/x.afs", "args: [--password=" + key + "]", "X_PASSWORD"},
		{"mcp/x.afs", "args: [--header, 'Authorization: Bearer " + key + "']", "X_TOKEN"},
		{"mcp/x.afs", "args: [-e, DB_PASSWORD=" + key + "]", "DB_PASSWORD"},
		{"mcp/x.afs", "command: env DB_TOKEN=" + key + " npx x", "DB_TOKEN"},
		{"mcp/x.afs", "endpoint: https://u:" + key + "@mcp.acme.com/sse", "X_URL"},
		{"formation.afs", "x: {url: https://u:" + key + "@mcp.acme.com:80/sse}", "ACME_URL"},
		{"a2a/x.afs", "url: https://hooks.slack" + ".com/services/T0AB12CD3/B0AB12CD3/a8Fj2Kd9Lq3Wz7Xc5Vb1Nm4P", "SLACK_WEBHOOK_URL"},
		{"formation.afs", "# sk-proj-" + key + "\nid: x", "OPENAI_API_KEY"},
		{"formation.afs", "map: {sk-proj-" + key + ": {token: " + key + "}}", "MAP_TOKEN"},
	} {
		s := Scanner{IsFormation: func(dir string) bool { return dir == "." }}
		found := s.Literals(c.file, []byte(c.text+"\n"))
		if len(found) == 0 {
			t.Errorf("nothing in %q", c.text)
			continue
		}
		l := found[len(found)-1]
		value := c.text[l.Start:min(l.End, len(c.text))]
		if got := l.Proposal(c.file, value); got != c.want || formation.Normalize(got) != got {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
}

// TestProposalOfEachFormat: what each format is called makes a name.
func TestProposalOfEachFormat(t *testing.T) {
	for _, f := range formation.KeyFormats() {
		whose, _, _ := strings.Cut(f.Name, ",")
		if got := nameOfFormat(whose); formation.Normalize(got) != got || !strings.Contains(got, "_") {
			t.Errorf("%s: %q", f.Name, got)
		}
	}
	if got := nameOfFormat("an AWS access key"); got != "AWS_ACCESS_KEY_ID" {
		t.Error(got)
	}
}

// TestShownHidesValues: a key of a map may be one by mistake.
func TestShownHidesValues(t *testing.T) {
	value := "sk-" + "proj-K3rt9XmPq2LwZ7vB4nY6cD8sK3rt9XmPq2LwZ7vB"
	for field, want := range map[string]string{
		"llm.api_keys.openai":          "llm.api_keys.openai",
		"mcp.servers.[a.b].token":      "mcp.servers[a.b].token",
		"mcp.servers.[my-id].token":    "mcp.servers[my-id].token",
		"env.[]":                       "env[]",
		"map." + value + ".token":      "map.NAME.token",
		"a sentence with blanks.token": "NAME.token",
		"":                             "",
	} {
		if got := (Literal{Field: field}).Shown(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestLiterals(t *testing.T) {
	known := NewKnown([]NamedValue{{Formation: "", Name: "MINE", Value: []byte("stored-value-4711")}})
	s := Scanner{Known: known, IsFormation: func(dir string) bool { return dir == "." }}
	text := "\ufefftoken: 'Bearer abc-def-4711' # c\nnote: stored-value-4711\nurl: postgres://u:hunter2pass@h/d\nok: {token: x-y-z-4711} # muxi-secrets:allow\nb64: c3RvcmVkLXZhbHVlLTQ3MTE=\n"
	var got []string
	for _, l := range s.Literals("agents/a.afs", []byte(text)) {
		got = append(got, text[l.Start:l.End]+" "+l.Secret+" "+string(l.Silenced))
		if !l.Filled {
			t.Error("not filled in")
		}
	}
	want := []string{"abc-def-4711  ", "stored-value-4711 MINE ", "postgres://u:hunter2pass@h/d  ", "x-y-z-4711  comment"}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
	wide := s.Literals("agents/a.afs", []byte("\xff\xfet\x00o\x00k\x00e\x00n\x00:\x00 \x00a\x00b\x00c\x00d\x00e\x00f\x00g\x001\x00\n\x00"))
	if len(wide) != 1 || wide[0].End != 0 {
		t.Errorf("UTF-16: %v", wide)
	}
}
