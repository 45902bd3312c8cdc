package scan

import (
	"path"
	"strings"
)

// isClientFile reports whether a file is one in which an MCP client is told its
// servers. name is its path.
func isClientFile(name string) bool {
	switch base := strings.ToLower(path.Base(name)); base {
	case ".mcp.json", "mcp.json", "mcp_config.json", "mcp-config.json", "mcp_settings.json", "cline_mcp_settings.json", "claude_desktop_config.json", ".claude.json", "opencode.json":
		return true
	case "settings.json": // of Gemini's and Claude's command lines
		folder := path.Base(path.Dir(name))
		return folder == ".gemini" || folder == ".claude"
	}
	return false
}

// clientKeys finds what an MCP client's file hands to servers beside variables:
// behind an option (--api-key V), in a header, and in a URL. The place decides, as
// in a formation's own files.
func clientKeys(text []byte) []hit {
	leaves, err := parseYAML(text)
	if err != nil {
		return nil // with comments in it: its lines were looked at
	}

	var handed []leaf
	for _, l := range leaves {
		key, parent, _, item := tail(l.at)
		switch {
		case isCommand(key), parent == "headers", key == "headers" && item:
			handed = append(handed, l)
		case key == "url", key == "server_url", key == "endpoint":
			handed = append(handed, l)
		}
	}

	kept := judge(text, handed)
	for _, l := range handed {
		if hasSecretParameter([]byte(l.value)) && strings.Contains(l.value, "://") {
			kept = append(kept, l.hit(text, 0))
		}
	}
	hits := kept[:0]
	for _, h := range kept {
		value := strings.TrimSpace(strings.Trim(string(text[h.start:min(h.end, len(text))]), `"',`))
		if strings.Contains(value, "://") || isVendorKey("", value) {
			h.message = strings.Replace(h.message, ", where a reference belongs", ", which an MCP server gets", 1)
			hits = append(hits, h)
		}
	}
	return hits
}
