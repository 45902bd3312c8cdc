package scan

import (
	"strings"
	"testing"
)

// credentialFields is the table of MUXI's fields: where they stand, as path to
// the value in a file, and a file it occurs in.
var credentialFields = []struct{ file, path string }{
	{"formation.afs", "llm.api_keys.openai"},
	{"formation.afs", "llm.api_keys.anything_else"},
	{"formation.yaml", "llm.models[].api_key"},
	{"formation.yml", "overlord.api_key"},
	{"formation.afs", "overlord.llm.api_key"},
	{"formation.afs", "overlord.llm.planner.api_key"},
	{"formation.afs", "overlord.model.api_key"},
	{"formation.afs", "server.api_keys.admin_key"},
	{"formation.afs", "server.api_keys.client_key"},
	{"formation.afs", "server.api_keys.admin"},
	{"formation.afs", "server.api_keys.client"},
	{"formation.afs", "memory.working.remote.api_key"},
	{"formation.afs", "memory.vector.api_key"},
	{"formation.afs", "user_credentials.encryption.key"},
	{"formation.afs", "encryption_key"},
	{"formation.afs", "logging.streams[].auth.token"},
	{"formation.afs", "logging.streams[].auth.password"},
	{"formation.afs", "logging.streams[].auth.key"},
	{"formation.afs", "logging.streams[].token"},
	{"formation.afs", "logging.conversation.streams[].auth.token"},
	{"formation.afs", "logging.conversation.streams[].token"},
	{"formation.afs", "async.webhook_secret"},
	{"formation.afs", "webhooks.secret"},
	{"formation.afs", "a2a.inbound.auth.token"},
	{"formation.afs", "a2a.inbound.auth.key"},
	{"formation.afs", "a2a.inbound.auth.secret"},
	{"formation.afs", "a2a.inbound.auth.password"},
	{"formation.afs", "a2a.inbound.shared_key"},
	{"formation.afs", "a2a.outbound.services[].auth.token"},
	{"formation.afs", "a2a.outbound.services[].auth.key"},
	{"formation.afs", "a2a.outbound.services[].auth.api_key"},
	{"formation.afs", "a2a.outbound.services[].auth.password"},
	{"formation.afs", "a2a.outbound.services[].auth.secret"},
	{"formation.afs", "a2a.outbound.services[].auth.client_secret"},
	{"formation.afs", "a2a.outbound.services[].auth.headers.X-Api-Key"},
	{"formation.afs", "a2a.outbound.registries[].auth"},
	{"formation.afs", "rce.token"},
	{"formation.afs", "coding.env.OPENAI_API_KEY"},
	{"formation.afs", "middleware.headers.Authorization"},
	{"formation.afs", "observability.export.api_key"},
	{"mcp/github.afs", "auth.token"},
	{"mcps/github.yaml", "auth.password"},
	{"mcp/github.afs", "auth.key"},
	{"mcp/github.afs", "auth.credentials"},
	{"mcp/github.afs", "env.GITHUB_TOKEN"},
	{"formation.afs", "mcp.servers[].auth.token"},
	{"formation.afs", "agents[].mcp_servers[].auth.token"},
	{"agents/a.afs", "llm_models[].api_key"},
	{"agents/a.afs", "model.api_key"},
	{"agents/a.afs", "tools[].token"},
	{"agents/a.afs", "mcp_servers[].auth.password"},
	{"agents/a.afs", "knowledge.sources[].auth.secret_key"},
	{"agents/a.afs", "knowledge.sources[].auth.access_key"},
	{"agents/a.afs", "knowledge.sources[].auth.account_key"},
	{"agents/a.afs", "knowledge.sources[].auth.credentials_json"},
	{"agents/a.afs", "knowledge.sources[].auth.password"},
	{"agents/a.afs", "knowledge.sources[].auth.token"},
	{"agents/a.afs", "knowledge.sources[].auth.headers.X-Auth-Token"},
	{"a2a/peer.afs", "auth.token"},
	{"a2a/peer.afs", "auth.headers.Cookie"},
	{"transformers/t.afs", "auth.password"},
	{"transformers/t.afs", "headers.Proxy-Authorization"},
}

// document writes path as block style YAML with value, which is spelled as YAML
// wants it, at its end. Text in characters of several bytes stands before it.
func document(path, value string) string {
	var b strings.Builder
	b.WriteString("schema: \"1.0.0\"\n# größer\nid: x\n")
	indent := 0
	parts := strings.Split(path, ".")
	for i, part := range parts {
		key, item := strings.CutSuffix(part, "[]")
		b.WriteString(strings.Repeat(" ", indent) + key + ":")
		if i == len(parts)-1 {
			if !strings.HasPrefix(value, "\n") {
				b.WriteByte(' ')
			}
			b.WriteString(strings.ReplaceAll(value, "\n", "\n"+strings.Repeat(" ", indent)) + "\n")
			break
		}
		b.WriteByte('\n')
		if item {
			b.WriteString(strings.Repeat(" ", indent+2) + "- type: bearer\n")
			indent += 2
		}
		indent += 2
	}
	return b.String() + "description: last\n"
}

// flow writes path as one flow collection.
func flow(path, value string) string {
	open, shut := "", ""
	for _, part := range strings.Split(path, ".") {
		key, item := strings.CutSuffix(part, "[]")
		if open != "" {
			if strings.HasSuffix(open, `"auth": `) {
				open += "{type: bearer, "
			} else {
				open += "{"
			}
			shut = "}" + shut
		}
		open += `"` + key + `": `
		if item {
			open += "["
			shut = "]" + shut
		}
	}
	return "id: x\n" + open + value + shut + "\n"
}

// spellings are the ways to write a value; %s is the value. Two of them break
// it with a line of their own, where what leaks still begins at the same place.
var spellings = map[string]func(path, value string) string{
	"plain":          func(p, v string) string { return document(p, v) },
	"double quoted":  func(p, v string) string { return document(p, `"`+v+`"`) },
	"single quoted":  func(p, v string) string { return document(p, "'"+v+"'") },
	"commented":      func(p, v string) string { return document(p, `"`+v+`"  # größe`) },
	"literal block":  func(p, v string) string { return document(p, "|\n  "+v) },
	"folded block":   func(p, v string) string { return document(p, ">-\n\n  "+v) },
	"on the next":    func(p, v string) string { return document(p, "\n  \""+v+"\"") },
	"plain next":     func(p, v string) string { return document(p, "\n  "+v) },
	"several lines":  func(p, v string) string { return document(p, "\""+v+"\n  and more\"") },
	"tagged":         func(p, v string) string { return document(p, "!!str \""+v+"\"") },
	"anchored":       func(p, v string) string { return document(p, "&k "+v) },
	"aliased":        func(p, v string) string { return "x-shared: &shared " + v + "\n" + document(p, "*shared") },
	"flow":           func(p, v string) string { return flow(p, v) },
	"flow quoted":    func(p, v string) string { return flow(p, `"`+v+`"`) },
	"carriage":       func(p, v string) string { return strings.ReplaceAll(document(p, v), "\n", "\r\n") },
	"second of two":  func(p, v string) string { return "id: first\n---\n" + document(p, v) },
	"after a marker": func(p, v string) string { return "<<<<<<< ours\n" + document(p, v) },
}

func TestCredentialFields(t *testing.T) {
	values := []string{"hunter2-hunter2", keyOf("openai 24"), keyOf("anthropic"), "test-admin-key-123"}
	for _, c := range credentialFields {
		for name, spell := range spellings {
			for i, value := range values {
				if strings.HasPrefix(name, "aliased") && i > 1 {
					continue
				}
				text := spell(c.path, value)
				t.Run(c.path+"/"+name, func(t *testing.T) {
					wantOne(t, &Scanner{}, "formations/demo/"+c.file, text, PlaintextKey, value)
				})
			}
		}
	}
}

// A reader of lines sees the same as the parser, so that one broken line does
// not hide the rest, and baselines survive it.
func TestBrokenYAMLGivesTheSameFindings(t *testing.T) {
	for _, c := range credentialFields {
		for name, spell := range spellings {
			if name == "after a marker" {
				continue
			}
			text := spell(c.path, "hunter2-hunter2")
			want := (&Scanner{}).File(c.file, []byte(text), Regular)
			got := (&Scanner{}).File(c.file, []byte(text+"\tbroken: [\n"), Regular)
			if _, err := parseYAML([]byte(text + "\tbroken: [\n")); err == nil {
				t.Fatal("the broken file is no broken file")
			}
			if len(want) != 1 || len(got) != 1 || want[0] != got[0] {
				t.Errorf("%s %s: %d and %d findings, or they differ: %s", c.path, name, len(want), len(got), summary(append(want, got...)))
			}
		}
	}
}

func TestNumbersAreCredentials(t *testing.T) {
	wantOne(t, &Scanner{}, "formation.afs", "llm:\n  api_keys:\n    openai: 1234567890\n", PlaintextKey, "1234567890")
}

func TestConnectionStrings(t *testing.T) {
	for _, path := range []string{"memory.persistent.connection_string", "database.connection_string", "memory.database.url", "sources[].auth.connection_string", "sources[].url"} {
		for _, value := range []string{
			"postgresql://muxi:hunter2-hunter2@db.internal:5432/muxi",
			"postgresql+asyncpg://muxi:hunter2@localhost/muxi",
			"mysql://root:S3cr%40t@10.0.0.1/x?ssl=true",
			"redis://:hunter2-hunter2@cache:6379/0",
			"mongodb+srv://app:pa/ss@cluster0.example.net/db",
		} {
			wantOne(t, &Scanner{}, "formation.afs", document(path, value), PlaintextKey, value)
			wantOne(t, &Scanner{}, "formation.afs", document(path, `"`+value+`"`), PlaintextKey, value)
		}
		for _, value := range []string{
			"sqlite:///data/memory.db", "postgresql://localhost:5432/muxi", "postgresql://muxi@localhost/muxi",
			"postgresql://user:pass@localhost/muxi", "postgresql://user:password@localhost/muxi", "postgres://postgres:${DB_PASSWORD}@db/x",
			`"postgresql://user:${{ secrets.DB_PASSWORD }}@db/muxi"`, `"${{ secrets.DATABASE_URL }}"`, "postgresql://user:<password>@host/db",
			"postgresql://user:****@host/db", "https://host:8080/@scope/package",
		} {
			wantNone(t, &Scanner{}, "formation.afs", document(path, value))
		}
	}
	signed := "BlobEndpoint=https://x.blob.core.windows.net/;SharedAccessSignature=sv=2020&sig=abcDEF123456%3D"
	for _, path := range []string{"memory.persistent.connection_string", "knowledge.sources[].auth.connection_string"} {
		for _, value := range []string{signed, "jdbc:sqlserver://db.example.net:1433;user=app;password=hunter2-hunter2", "Server=h;Password=hunter2-hunter2"} {
			wantOne(t, &Scanner{}, "agents/a.afs", document(path, value), PlaintextKey, value)
		}
		for _, value := range []string{"BlobEndpoint=https://x.blob.core.windows.net/;SharedAccessSignature=<signature>", "Server=h;Integrated Security=true",
			"BlobEndpoint=https://x.blob.core.windows.net/", "/run/secrets/connection", `"${{ secrets.AZURE }}"`, "your-connection-string"} {
			wantNone(t, &Scanner{}, "agents/a.afs", document(path, value))
		}
	}
	for _, opaque := range []string{"hunter2-hunter2", "aHVudGVyMi1odW50ZXIyLWh1bnRlcg=="} { // a source's, which has no other credential beside it
		wantOne(t, &Scanner{}, "agents/a.afs", document("knowledge.sources[].auth.connection_string", opaque), PlaintextKey, opaque)
		wantNone(t, &Scanner{}, "formation.afs", document("memory.persistent.connection_string", opaque))
	}
	azure := "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + made(50, 86, alnum) + "=="
	wantOne(t, &Scanner{}, "agents/a.afs", document("knowledge.sources[].auth.connection_string", azure), PlaintextKey, azure)
}

func TestEnvironmentOfServers(t *testing.T) {
	env := "auth:\n  type: env\n  BRAVE_API_KEY: hunter2-hunter2\n"
	wantOne(t, &Scanner{}, "mcp/x.afs", env, PlaintextKey, "hunter2-hunter2")
	wantOne(t, &Scanner{}, "mcp/x.afs", "env:\n  - GITHUB_TOKEN=hunter2-hunter2\n", PlaintextKey, "hunter2-hunter2")
	server := "Server=db.example.net;User Id=u;Password=hunter2-hunter2"
	for _, list := range []string{"env:\n  - DB_CONNECTION_STRING=" + server + "\n", "env: [\"DB_CONNECTION_STRING_PROD=" + server + "\"]\n", "environment:\n  - DB_CONNECTION_STRING=" + server + "\n\tbroken: [\n"} {
		wantOne(t, &Scanner{}, "mcp/x.afs", list, PlaintextKey, server)
	}
	wantOne(t, &Scanner{}, "mcp/x.afs", "env:\n  - name: GITHUB_TOKEN\n    value: hunter2-hunter2\n", PlaintextKey, "hunter2-hunter2")
	for _, quiet := range []string{
		"auth:\n  type: env\n  LOG_LEVEL: debugging-everything\n",
		"auth:\n  type: bearer\n  client_id: hunter2-hunter2\n  token_url: https://x/y\n",
		"env:\n  TOKEN_KEY: 12345\n  USE_TOKEN: \"true\"\n  SSH_KEY: /run/secrets/key\n  X_KEY: ./a.pem\n  HOME: hunter2-hunter2\n  MAX_TOKENS: hunter2-hunter2\n",
		"env:\n  - PORT=8080\n  - HOME=/root-is-here\n",
		"env:\n  - DB_CONNECTION_STRING=Server=h;User Id=u;Password=${DB_PASSWORD}\n  - X_CONNECTION_STRING=Server=h;Integrated Security=true\n  - CONNECTION_NAME=Password=hunter2-hunter2\n",
		"headers:\n  Content-Type: application/json\n  X-Request-Id: hunter2-hunter2\n",
	} {
		wantNone(t, &Scanner{}, "mcp/x.afs", "id: x\n"+quiet)
	}
}

func TestPartsOfALiteral(t *testing.T) {
	for value, at := range map[string]string{
		"Bearer hunter2-hunter2":                            "hunter2-hunter2",
		"Basic aHVudGVyMjpodW50ZXIy":                        "aHVudGVyMjpodW50ZXIy",
		"sk-" + "abcdef${{ secrets.TAIL }}":                 "sk-" + "abcdef",
		"${{ secrets.HEAD }}a1b2c3d4e5":                     "a1b2c3d4e5",
		"${{ secrets.X || 'hunter2-hunter2' }}":             "hunter2-hunter2",
		"session=${{ secrets.S }}; auth=hunter2a1b2c3hello": "hunter2a1b2c3hello",
	} {
		text := "middleware:\n  headers:\n    Authorization: \"" + value + "\"\n"
		wantOne(t, &Scanner{}, "formation.afs", text, PlaintextKey, at)
	}
	for _, value := range []string{
		"Bearer ${{ secrets.TOKEN }}", "${{ secrets.A }}${{ secrets.B }}", "Bearer ${SEARCH_API_KEY}", "$TOKEN",
		"session=${{ secrets.S }}; path=/", "${{ secrets.X || '' }}", "team-${{ secrets.X }}", "sk-proj-${{ secrets.TAIL }}", "{{ token }}",
		"sk-...", "sk-abc123...", "your-key-here", "<token>", "xxx", "changeme", "null", "DUMMY_VALUE", "example", "dummy", "***", "REPLACE_ME",
		"YOUR_API_KEY", "sk-your-key-here", "sk-xxxxxxxxxxxxxxxxxxxxxxxx", "", "true",
	} {
		for _, quote := range []string{`"`, "'"} {
			wantNone(t, &Scanner{}, "formation.afs", "middleware:\n  headers:\n    Authorization: "+quote+value+quote+"\n")
		}
	}
	wantNone(t, &Scanner{}, "formation.afs", "llm:\n  api_keys:\n    ollama: local\n    openai:\n    groq: null\n")
	wantOne(t, &Scanner{}, "formation.afs", "server:\n  api_keys:\n    admin_key: local\n", PlaintextKey, "local")
}

func TestNeverCredentials(t *testing.T) {
	wantNone(t, &Scanner{}, "formation.afs", `schema: "1.0.0"
author: "Somebody <somebody@example.com>"
llm:
  models:
    - text: "openai/gpt-4o"
      settings: {max_tokens: 4096, stream_tokens: 100, temperature: 0.5}
auth:
  type: oauth2
  header: X-Api-Key
  enabled: true
  accept_inline: true
  client_id: 0oa1b2c3d4e5f6g7h8i9
  token_url: https://login.example.com/oauth/token
  issuer: https://login.example.com
  audience: api://default
  jwks_url: https://login.example.com/keys
  scope: read write
  signature_header: X-Signature
  timestamp_header: X-Timestamp
  clock_skew_seconds: 300
  timestamp_tolerance: 300
user_credentials:
  mode: redirect
  redirect_message: please visit our site
  credential_ttl_minutes: 30
  encryption:
    salt: some-application-salt
logging:
  streams:
    - hash_only: true
      connection_ttl: 300
async:
  webhook_retries: 3
  webhook_timeout: 30
  webhook_url: https://api.example.com/hooks/incoming
agents:
  - id: secret-keeper
    name: The Token Master
    specialization:
      keywords: [token, password, secret, api_key]
mcp:
  servers:
    - args: ["-y", "@modelcontextprotocol/server-brave-search", "--token-limit", "5000"]
inbound:
  auth:
    type: env
    header: X-Acme-Signature-9f3a
    accept_inline: K3rt9XmPq2LwZ7vB4nY6cD8s
    client_id: K3rt9XmPq2LwZ7vB4nY6cD8s
    token_url: https://login.acme.net/K3rt9XmPq2
    issuer: https://login.acme.net/
    audience: K3rt9XmPq2LwZ7vB4nY6cD8s
    jwks_url: https://login.acme.net/jwks
    scope: K3rt9XmPq2LwZ7vB4nY6cD8s
    signature_header: X-Acme-Signature-9f3a
    timestamp_header: X-Acme-Timestamp-9f3a
    clock_skew_seconds: 123456789012
    timestamp_tolerance: 123456789012
tools:
  - parameters:
      type: object
      properties:
        token: {type: string, description: the token}
        password: {default: hunter2-hunter2, type: string}
      required: [token, password]
`)
}
