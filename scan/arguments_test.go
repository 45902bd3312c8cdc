package scan

import (
	"strings"
	"testing"
)

// The places of an MCP server's file in which a credential stands.
func TestServersCredentials(t *testing.T) {
	const v = "hunter2-hunter2"
	for name, text := range map[string]string{
		"option and value":         "args: [\"-y\", \"server\", \"--api-key\", \"VALUE\"]\n",
		"option and value, block":  "args:\n  - -y\n  - server\n  - --token\n  - VALUE\n",
		"option=value":             "args: [\"server\", \"--token=VALUE\"]\n",
		"option = quoted":          "args: [\"server\", \"--password='VALUE'\"]\n",
		"option value in one item": "args: [\"server\", \"--api-key VALUE\"]\n",
		"header, two items":        "args: [\"mcp-remote\", \"https://x.example.net/sse\", \"--header\", \"Authorization: Bearer VALUE\"]\n",
		"header without a blank":   "args: [\"mcp-remote\", \"--header\", \"Authorization:VALUE\"]\n",
		"header, one item":         "args: [\"mcp-remote\", \"--header=X-Api-Key: VALUE\"]\n",
		"header, one string":       "args: [\"mcp-remote\", '--header \"Authorization: Bearer VALUE\"']\n",
		"-H":                       "args: [\"-H\", \"X-Auth-Token: VALUE\"]\n",
		"docker -e":                "args: [\"run\", \"-i\", \"--rm\", \"-e\", \"GITHUB_TOKEN=VALUE\", \"ghcr.io/x/y\"]\n",
		"docker -e, one item":      "args: [\"run\", \"-e GITHUB_TOKEN=VALUE\"]\n",
		"--env=NAME=V":             "args: [\"run\", \"--env=GITHUB_TOKEN=VALUE\", \"ghcr.io/x/y\"]\n",
		"--env=NAME=V, a text":     "command: docker run --env=API_KEY=VALUE ghcr.io/x/y\n",
		"--env=NAME=V, quoted":     "command: docker run --env=\"API_KEY=VALUE\" ghcr.io/x/y\n",
		"option = JSON":            "args: [\"--config={\\\"level\\\": 1, \\\"apiKey\\\": \\\"VALUE\\\"}\"]\n",
		"option = JSON, single":    "args: ['--config={\"level\": \"{\", \"apiKey\":\"VALUE\"}', '{x}']\n",
		"JSON, a text":             "command: npx server --dir ${HOME} --config '{\"apiKey\":\"VALUE\"}' --log {x}\n",
		"JSON in JSON":             "args: [\"--config\", \"\\\"{\\\\\\\"apiKey\\\\\\\":\\\\\\\"VALUE\\\\\\\"}\\\"\"]\n",
		"JSON in JSON, a text":     "command: npx server --config \"{\\\"apiKey\\\":\\\"VALUE\\\"}\"\n",
		"JSON in a credential":     "args: [\"--credentials\", '{\"private_key\": \"VALUE\"}', some-directory-name]\n",
		"env NAME=V cmd":           "command: env GITHUB_TOKEN=VALUE npx server\n",
		"a whole command":          "command: npx -y server --api-key VALUE --verbose\n",
		"a whole command, quoted":  "command: \"npx server --api-key 'VALUE'\"\n",
		"sh -c":                    "args: [\"-c\", \"export X=1; server --token VALUE\"]\n",
		"command as a list":        "command: [npx, server, --api-key, VALUE]\n",
		"in the formation":         "mcp:\n  servers:\n    - id: a\n      args: [\"--api-key\", \"VALUE\"]\n",
		"an agent's server":        "mcp_servers:\n  - id: a\n    args:\n      - --secret\n      - VALUE\n",
		"headers, map":             "headers:\n  X-Api-Key: VALUE\n",
		"headers, apikey":          "headers: {apikey: VALUE}\n",
		"headers, X-Auth":          "headers: {X-Auth: VALUE}\n",
		"headers, name and value":  "headers:\n  - name: Authorization\n    value: Bearer VALUE\n",
		"headers, lines":           "headers:\n  - \"Authorization: Bearer VALUE\"\n",
		"URL parameter key":        "url: https://x.example.net/mcp?key=VALUE\n",
		"URL parameter ApiKey":     "url: https://x.example.net/mcp?tavilyApiKey=VALUE\n",
		"URL parameter sig":        "endpoint: https://x.example.net/mcp?a=b&sig=VALUE\n",
		"auth env, _2":             "auth:\n  type: env\n  BRAVE_API_KEY_2: VALUE\n",
		"auth env, _PROD":          "auth:\n  type: env\n  BRAVE_API_KEY_PROD: VALUE\n",
		"auth env, PASS":           "auth:\n  type: env\n  DB_PASS: VALUE\n",
		"auth env, PAT":            "auth:\n  type: env\n  GITHUB_PAT: VALUE\n",
		"auth env, AUTH":           "auth:\n  type: env\n  NPM_AUTH: VALUE\n",
		"auth env, CREDS":          "auth:\n  type: env\n  GDRIVE_CREDS: VALUE\n",
		"auth env, PASSPHRASE":     "auth:\n  type: env\n  KEY_PASSPHRASE: VALUE\n",
		"auth env, _TOKEN_":        "auth:\n  type: env\n  GITHUB_TOKEN_READ: VALUE\n",
		"env, JSON inside":         "env:\n  OPENAPI_MCP_HEADERS: '{\"Authorization\": \"Bearer VALUE\", \"Notion-Version\": \"2022-06-28\"}'\n",
		"env, JSON in a secret":    "env:\n  ACCOUNT_KEY: '{\"api_key\": \"VALUE\"}'\n",
		"header_value":             "auth:\n  type: header\n  header: X-Thing\n  header_value: VALUE\n",
		"parameters":               "parameters:\n  SLACK_TOKEN: VALUE\n",
		"connection.env":           "connection:\n  env:\n    API_TOKEN: VALUE\n",
		"connection.auth":          "connection:\n  auth:\n    password: VALUE\n",
	} {
		for _, path := range []string{"mcp/a.afs", "mcps/a.yaml"} {
			text := strings.ReplaceAll(text, "VALUE", v)
			t.Run(name, func(t *testing.T) {
				found := (&Scanner{}).File(path, []byte("id: x\n"+text), Regular)
				noValue(t, found, v)
				if len(found) != 1 || found[0].Rule != PlaintextKey || strings.Contains(found[0].Message, "*") {
					t.Errorf("want one finding, got%s", summary(found))
				}
				if line, column := place("id: x\n"+text, v); len(found) == 1 && !strings.HasPrefix(name, "URL") && (found[0].Line != line || found[0].Column != column) {
					t.Errorf("at %d:%d, want %d:%d", found[0].Line, found[0].Column, line, column)
				}
			})
		}
	}

	wantOne(t, &Scanner{}, "mcp/a.afs", "id: x\nendpoint: https://mcp.example.net/s/"+"a8Fj2Kd9Lq3Wz7Xc5Vb1Nm4P"+"/mcp\n", PlaintextKey, "a8Fj2Kd9Lq3Wz7Xc5Vb1Nm4P")
	// in a field for a person a page may have such a name
	wantNone(t, &Scanner{}, "mcp/a.afs", "id: x\nurl: https://mcp.example.net/sse\ndescription: https://docs.example.net/s/a8Fj2Kd9Lq3Wz7Xc5Vb1Nm4P/mcp\nhomepage: https://docs.example.net/s/a8Fj2Kd9Lq3Wz7Xc5Vb1Nm4P\n")
	inside := func(dir string) bool { return dir == "f" }
	wantOne(t, &Scanner{IsFormation: inside}, "f/mcp/a.json", "{\"id\": \"x\", \"args\": [\"--api-key\", \"hunter2-hunter2\"]}", PlaintextKey, v)
}

func TestServersSettingsAreQuiet(t *testing.T) {
	for _, quiet := range []string{
		"args: [\"-y\", \"@modelcontextprotocol/server-brave-search\", \"--token-limit\", \"5000\"]\n",
		"args: [\"server\", \"--api-key\", \"${{ secrets.KEY }}\", \"--verbose\"]\n",
		"args: [\"server\", \"--api-key=${{ secrets.KEY }}\"]\n",
		"args: [\"server\", \"--api-key\", \"${API_KEY}\"]\n",
		"args: [\"server\", \"--token\", \"<your token>\"]\n",
		"args: [\"server\", \"--auth\", \"bearer\", \"--key\", \"/etc/ssl/a.pem\", \"--token-file\", \"/run/token\"]\n",
		"args: [\"run\", \"-e\", \"GITHUB_TOKEN\", \"-e\", \"LOG_LEVEL=debugging-all\", \"ghcr.io/x/y\"]\n",
		"args: [\"run\", \"--env=GITHUB_TOKEN\", \"--env=LOG_LEVEL=debugging-all\", \"--env=TOKEN_FILE=hunter2-hunter2\", \"ghcr.io/x/y\"]\n",
		"args: [\"run\", \"--env=GITHUB_TOKEN=${{ secrets.T }}\", \"--env=S3_KEY=/run/secrets/key\", \"--env=API_KEY=<your key>\", \"--dir=/token\", some-directory-name]\n",
		"args: [\"--config={\\\"apiKey\\\": \\\"${{ secrets.T }}\\\", \\\"keyword\\\": \\\"hunter2-hunter2\\\"}\", \"--config\", \"\\\"{\\\\\\\"apiKey\\\\\\\":\\\\\\\"YOUR_API_KEY\\\\\\\"}\\\"\"]\n",
		"command: npx server --template {{apiKey}} --config {not json, apiKey\n",
		"description: 'calls it with {\"apiKey\": \"hunter2-hunter2\"} in the body'\nargs: []\n",
		"args: [\"mcp-remote\", \"--header\", \"Authorization: Bearer ${{ secrets.TOKEN }}\"]\n",
		"args: [\"mcp-remote\", \"--header\", \"Content-Type: application/json-and-more\"]\n",
		"args: [\"--api-key\", \"--verbose\", \"some-directory-name\"]\n",
		"command: npx -y server --password-stdin some-directory-name\n",
		"headers:\n  - name: Content-Type\n    value: application/json-and-more\n",
		"headers: {Accept: hunter2-hunter2}\n",
		"url: https://x.example.net/mcp?key=${{ secrets.KEY }}&page=1234567890\n",
		"url: https://api.example.net/v1/chat/completions-and-other-things/2024-10-21\n",
		"url: https://x.example.net/3f2a9c1e-77b0-4a51-9d3e-5c8f0b6a2d19/mcp\n",
		"env:\n  CONFIG: '{\"level\": \"debugging-all\", \"token_limit\": \"hunter2-hunter2\"}'\n",
		"env:\n  HEADERS: '{\"Authorization\": \"Bearer ${{ secrets.T }}\"}'\n",
		"env:\n  TOKEN_HEADER: X-Other-Header-Name\n  API_KEY_NAME: openai-key-name\n  WEBHOOK_URL: https://x.example.net/in\n  DB_CONNECTION_STRING: postgres://localhost/x\n",
		"parameters:\n  properties:\n    token: {type: string}\n",
	} {
		wantNone(t, &Scanner{}, "mcp/x.afs", "id: x\n"+quiet)
	}
}

// The message names the field as a person writes it.
func TestFieldNames(t *testing.T) {
	for text, want := range map[string]string{
		"llm:\n  api_keys:\n    openai: VALUE\n":                           "llm.api_keys.openai",
		"llm:\n  models:\n    - api_key: VALUE\n":                          "llm.models[].api_key",
		"mcp:\n  servers:\n    - id: github\n      env: {S3_KEY: VALUE}\n": "mcp.servers[github].env.S3_KEY",
		"env: {MY_SERVICE_TOKEN_2: VALUE}\n":                               "env.MY_SERVICE_TOKEN_2",
		"args: [\"--token\", VALUE]\n":                                     "args[]",
	} {
		found := (&Scanner{}).File("formation.afs", []byte(strings.ReplaceAll(text, "VALUE", "hunter2-hunter2")), Regular)
		if len(found) != 1 || !strings.Contains(found[0].Message, " "+want+",") {
			t.Errorf("want %s, got%s", want, summary(found))
		}
	}
}

// A stored value in the place of a name is not shown.
func TestFieldNamesThatAreValues(t *testing.T) {
	for _, found := range knownScanner().File("formation.afs", []byte("auth:\n  hunter2-hunter2:\n    token: some-other-value\n"), Regular) {
		noValue(t, []Finding{found}, "hunter2-hunter2")
	}
}
