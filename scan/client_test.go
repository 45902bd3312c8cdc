package scan

import (
	"strings"
	"testing"
)

// clientPlaces are where MCP clients hand a key to a server, without a variable.
var clientPlaces = map[string]string{
	"an option and its value": `{"mcpServers": {"a": {"command": "npx", "args": ["-y", "a-mcp", "--api-key", "VALUE"]}}}`,
	"an option with =":        `{"mcpServers": {"a": {"command": "npx", "args": ["--token=VALUE"]}}}`,
	"a container's variable":  `{"mcpServers": {"a": {"command": "docker", "args": ["run", "--env=GH_TOKEN=VALUE", "i"]}}}`,
	"an option's JSON":        `{"mcpServers": {"a": {"command": "npx", "args": ["--config={\"apiKey\":\"VALUE\"}"]}}}`,
	"JSON in JSON":            `{"mcpServers": {"a": {"command": "npx", "args": ["-y", "@smithery/cli@latest", "run", "x", "--config", "\"{\\\"apiKey\\\":\\\"VALUE\\\"}\""]}}}`,
	"a header's option":       `{"mcpServers": {"a": {"args": ["mcp-remote", "https://x.example.net", "--header", "Authorization: Bearer VALUE"]}}}`,
	"a command":               `{"servers": {"a": {"command": "npx a-mcp --api-key VALUE"}}}`,
	"a header":                `{"mcpServers": {"a": {"url": "https://x.example.net/mcp", "headers": {"X-Api-Key": "VALUE"}}}}`,
	"a bearer":                `{"servers": {"a": {"type": "http", "headers": {"Authorization": "Bearer VALUE"}}}}`,
	"a header of a list":      `{"servers": {"a": {"headers": [{"name": "Authorization", "value": "Bearer VALUE"}]}}}`,
	"a URL's parameter":       `{"mcpServers": {"a": {"url": "https://x.example.net/mcp?exaApiKey=VALUE"}}}`,
	"an argument's URL":       `{"mcpServers": {"a": {"args": ["mcp-remote", "https://x.example.net/mcp?api_key=VALUE"]}}}`,
	"a URL's path":            `{"mcpServers": {"a": {"serverUrl": "https://x.example.net/VALUE/sse"}}}`,
}

func TestClientKeys(t *testing.T) {
	key := "a7" + made(900, 34, "abcdefgh0123456789")
	for name, text := range clientPlaces {
		for _, file := range []string{".mcp.json", ".cursor/mcp.json", ".vscode/mcp.json", "claude_desktop_config.json", ".gemini/settings.json"} {
			found := (&Scanner{}).File(file, []byte(strings.ReplaceAll(text, "VALUE", key)), Regular)
			noValue(t, found, key)
			if len(found) != 1 || found[0].Rule != PlaintextKey || found[0].Line != 1 || !strings.HasSuffix(found[0].Message, ", which an MCP server gets") {
				t.Errorf("%s in %s: %s", name, file, summary(found))
			}
		}
		wantNone(t, &Scanner{}, "package.json", strings.ReplaceAll(text, "VALUE", key))
		for _, quiet := range []string{"${API_KEY}", "${input:key}", "YOUR_API_KEY", "<token>", "your-key-here-123", "$TOKEN", "xxxxxxxxxxxxxxxx", "${env:KEY}", "{{key}}"} {
			wantNone(t, &Scanner{}, ".mcp.json", strings.ReplaceAll(text, "VALUE", quiet))
		}
	}
	wantNone(t, &Scanner{}, ".mcp.json", `{"mcpServers": {"a": {"command": "npx", "args": ["-y", "@scope/server-filesystem@2026.1.14", "/home/me/projects", "--max-tokens", "4096", "--port", "8080"], "url": "https://x.example.net/mcp?profile=team-blue-2026"}}}`)
}
