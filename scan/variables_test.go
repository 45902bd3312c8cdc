package scan

import (
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// settings are the places in which a variable is set.
var settings = map[string]struct{ path, text string }{
	".env":           {".env", "A=b\nNAME=VALUE\n"},
	".env.local":     {"deploy/.env.local", "NAME=\"VALUE\" # for tests\n"},
	"prod.env":       {"prod.env", "export NAME='VALUE'\r\n"},
	"a spaced one":   {".env", "NAME = VALUE\n"},
	"compose map":    {"docker-compose.yml", "services:\n  a:\n    environment:\n      NAME: VALUE\n"},
	"compose list":   {"compose.prod.yaml", "services:\n  a:\n    environment:\n      - NAME=VALUE\n"},
	"compose flow":   {"compose.yml", "services: {a: {environment: {\"NAME\": \"VALUE\"}}}\n"},
	"compose plain":  {"compose.yml", "services: {a: {environment: {NAME: VALUE}}}\n"},
	"a default":      {"compose.yml", "services:\n  a:\n    environment:\n      NAME: ${NAME:-VALUE}\n"},
	"MCP client":     {".mcp.json", "{\"mcpServers\": {\"a\": {\"command\": \"npx\", \"env\": {\"NAME\": \"VALUE\"}}}}"},
	"Claude Desktop": {"claude_desktop_config.json", "{\"mcpServers\":{\"a\":{\"env\":{\"NAME\":\"VALUE\"}}}}"},
	"VS Code":        {".vscode/mcp.json", "{\n  \"NAME\": \"VALUE\",\n}\n"},
	"shell":          {"run.sh", "set -e\n  export NAME=VALUE\n"},
	"README":         {"README.md", "```\n$ export NAME=\"VALUE\"\n```\n"},
	"Dockerfile":     {"Dockerfile", "FROM x\nENV NAME=VALUE\n"},
	"a variant":      {".env", "NAME_2=VALUE\nX=1\n"},
}

func TestVendorVariables(t *testing.T) {
	keys := map[string]string{
		"MISTRAL_API_KEY": made(700, 32, alnum), "COHERE_API_KEY": made(701, 40, alnum), "AZURE_OPENAI_API_KEY": made(702, 32, hexSet),
		"AWS_SECRET_ACCESS_KEY": made(703, 40, alnum+"+/"), "EXA_API_KEY": "3f2a9c1e-77b0-4a51-9d3e-5c8f0b6a2d19", "SERPER_API_KEY": made(704, 40, hexSet),
		"DEEPGRAM_API_KEY": made(705, 40, hexSet), "ASSEMBLYAI_API_KEY": made(706, 32, hexSet), "WEAVIATE_API_KEY": made(707, 36, alnum),
	}
	for name, value := range keys {
		for where, c := range settings {
			text := strings.NewReplacer("NAME", name, "VALUE", value).Replace(c.text)
			t.Run(name+"/"+where, func(t *testing.T) {
				if f := wantOne(t, &Scanner{}, c.path, text, PlaintextKey, value); !strings.Contains(f.Message, name) {
					t.Errorf("the message does not name it: %s", f.Message)
				}
			})
		}
	}
}

func TestOtherVariablesAreQuiet(t *testing.T) {
	for _, value := range []string{
		"", "your-mistral-api-key", "your_key_here", "<mistral key>", "${MISTRAL_API_KEY}", "$MISTRAL_API_KEY", "xxxxxxxxxxxxxxxxxxxxxxxx", "changeme", "...",
		"${{ secrets.MISTRAL_API_KEY }}", "sk-...", "mistral-api-key-goes-here", "/run/secrets/mistral-key-1", "true", "1234567890123456", "{{ mistral_key_01 }}",
		"abcdefghijklmnopqrstuvwxyz123456", "$(cat /etc/mistral/key1)", "\\${env:MISTRAL_API_KEY}", "my secret mistral key", "#########################",
	} {
		for where, c := range settings {
			if strings.Contains(value, " ") && !strings.Contains(c.text, "\"VALUE\"") {
				continue
			}
			text := strings.NewReplacer("NAME", "MISTRAL_API_KEY", "VALUE", value).Replace(c.text)
			t.Run(where, func(t *testing.T) { wantNone(t, &Scanner{}, c.path, text) })
		}
	}

	key := made(710, 32, alnum)
	wantNone(t, &Scanner{}, "main.py", "MISTRAL_API_KEY = \""+key+"\"\n") // no file that sets variables
	wantNone(t, &Scanner{}, ".env", "COMMIT="+made(711, 40, hexSet)+"\nMY_OWN_NAME="+key+"\n")
	wantNone(t, &Scanner{}, "docker-compose.yml", "AWS_SECRET_ACCESS_KEY: minioadmin1234\n")
	wantNone(t, &Scanner{}, "environment.md", "MISTRAL_API_KEY="+key+"\n")
}

func TestTrimVariant(t *testing.T) {
	for name, want := range map[string]string{
		"OPENAI_API_KEY_2": "OPENAI_API_KEY", "GITHUB_TOKEN_PROD": "GITHUB_TOKEN", "GITHUB_TOKEN_PROD_2": "GITHUB_TOKEN", "A_V2": "A",
		"OPENAI_API_KEY": "OPENAI_API_KEY", "_2": "_2", "": "", "MAX_TOKENS": "MAX_TOKENS",
	} {
		if got := formation.TrimVariant(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestDatabaseURLs(t *testing.T) {
	for _, url := range []string{
		"postgresql://muxi:hunter2-hunter2@db.internal.net:5432/muxi", "postgres://app:S3cretPw9@10.0.0.7/app", "mysql://root:kR9x2mPq@db.example.net/x", "postgres://app:" + "LvvePAmS@db.internal.net/app",
		"mongodb+srv://app:pa55w0rd9x@cluster0.abcde.mongodb.net/db", "redis://:a8d7f6e5c4b3@cache.example.net:6379/0", "amqps://svc:Zx81-kwq@mq.example.net",
		"postgresql+asyncpg://muxi:hunter2-hunter2@localhost/muxi", "postgres://neondb_owner:" + "npg_" + made(720, 12, alnum) + "@ep-cool.eu-central-1.aws.neon.tech/neondb",
	} {
		for _, c := range []struct{ path, text string }{
			{"README.md", "Use VALUE here.\n"}, {"a.py", "engine = create_engine(\"VALUE\")\n"}, {".env", "DATABASE_URL=VALUE\n"},
			{"docker-compose.yml", "      - DATABASE_URL=VALUE\n"}, {"a.json", "{\"url\": \"VALUE\"}"}, {"main.go", "dsn := `VALUE`\n"},
		} {
			wantOne(t, &Scanner{}, c.path, strings.ReplaceAll(c.text, "VALUE", url), PlaintextKey, url)
		}
	}
	for _, quiet := range []string{
		"postgres://user:pass@db.example.net/x", "postgres://postgres:postgres@localhost:5432/x", "postgres://u:${PW}@db.example.net/x", "postgres://app:test@db.example.net/x", "postgres://app:demo1@db.example.net/x", "postgres://u:$PW@db/x",
		"postgres://admin:admin@db.example.net/x", "mysql://root:root@127.0.0.1/x", "postgres://test:test1234@localhost/x", "postgres://app:secret@postgres:5432/x",
		"postgres://{user}:{password}@{host}/x", "postgres://%s:%s@%s/x", "postgres://<user>:<password>@db.example.net/x", "postgresql://localhost/x",
		"redis://localhost:6379", "https://user:hunter2-hunter2@example.net/", "postgres://user:****@db.example.net/x", "postgres://user:password123@db.example.net/x",
		"mongodb://myuser:mypassword@mongo.example.net", "postgres://u:YOUR_PASSWORD@db.example.net/x", "postgres://u:[YOUR-PASSWORD]@db.example.net/x",
		"amqp://guest:guest@localhost:5672/", "mysql://\" + user + \":\" + pw + \"@db.example.net",
	} {
		wantNone(t, &Scanner{}, "README.md", "Use "+quiet+" here.\n")
	}
	// What people write where a password goes, whatever they number it with.
	for _, word := range []string{"pass", "pwd", "secret", "changeme", "example", "postgres", "mysql", "root", "admin", "guest", "test", "user", "hidden", "pw", "foo", "bar", "dev", "demo"} {
		for _, quiet := range []string{word, word + "2024", strings.ToUpper(word) + "1!"} {
			wantNone(t, &Scanner{}, "README.md", "Use postgres://app:"+quiet+"@db.example.net/x here.\n")
		}
	}
}

// The name of what a value is given to, in the ways that languages write it.
func TestVariable(t *testing.T) {
	for before, want := range map[string]string{
		"API_KEY=": "API_KEY", "export API_KEY='": "API_KEY", "  api-key: \"": "api-key", "\"apiKey\" := `": "apiKey", "<api.key>": "api.key",
		"cfg[\"API_KEY\"] = \"": "API_KEY", "let (api_key) = \"": "api_key", "api_key: Bearer ": "api_key", "KEY = f(\"": "",
		"a line\nKEY: ": "KEY", "KEY: x\n": "", "KEY ": "", "": "", "= ": "", "x" + strings.Repeat("y", 64) + "=": "", strings.Repeat("y", 64) + "=": strings.Repeat("y", 64),
	} {
		if got := variable([]byte(before+"VALUE"), len(before)); got != want {
			t.Errorf("%q: %q, want %q", before, got, want)
		}
	}
}
