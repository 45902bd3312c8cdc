package formation

import (
	"fmt"
	"slices"
	"strings"
)

// zone is what the runtime makes of a reference at a place: it has more than one
// pattern, and each part of it uses its own.
type zone uint8

const (
	// live: `[A-Z0-9_]+`, case-sensitive, looked up as it is spelled.
	live zone = iota
	// normalised: `[a-zA-Z0-9_.-]+`, looked up normalised: in transformers, in the
	// webhook of a trigger and in the URL of a channel.
	normalised
	// mcpAuth is live, and has user.credentials replaced: in the auth of an MCP server.
	mcpAuth
	// unknown is a place in a file that is no YAML: what works anywhere counts.
	unknown
)

// zoneOf is the zone of a YAML value. path is its file's, below the formation's
// folder, with /; keys are those above the value.
func zoneOf(path string, keys []string) zone {
	folder, _, below := strings.Cut(path, "/")
	switch {
	case below && folder == "transformers":
		return normalised
	case !below && len(keys) > 2 && keys[0] == "proactive" && keys[1] == "channels" && keys[len(keys)-1] == "url":
		return normalised
	}

	auth := slices.Index(keys, "auth")
	if auth < 0 {
		return live
	}
	isMCP := func(name string) bool { return name == "mcp" || name == "mcps" || name == "mcp_servers" }
	if below && isMCP(folder) || slices.ContainsFunc(keys[:auth], isMCP) {
		return mcpAuth
	}
	return live
}

// webhookOf is where in a trigger's text the value of `webhook:` in its front
// matter stands, as byte offsets; 0, 0 where it has none.
func webhookOf(path, text string) (from, to int) {
	if !strings.HasPrefix(path, "triggers/") {
		return 0, 0
	}
	at, end, _ := frontMatter(text)
	for line := range strings.Lines(text[at:end]) {
		begin := at
		at += len(line)
		switch {
		case strings.HasPrefix(line, "webhook:"):
			from, to = begin, at
		case from > 0 && to == begin && (strings.TrimSpace(line) == "" || strings.ContainsAny(line[:1], " \t#-")):
			to = at // belongs to it still
		}
	}
	return from, to
}

// frontMatter is where the YAML on top of a text is, as byte offsets: between a
// first line of --- and the next one of --- or ..., behind a byte order mark, too.
// One that is left open is none.
func frontMatter(text string) (from, to int, ok bool) {
	at := 0
	for line := range strings.Lines(text) {
		bare := strings.TrimRight(line, " \t\r\n")
		switch {
		case at == 0 && strings.TrimPrefix(bare, "\ufeff") != "---":
			return 0, 0, false
		case at == 0:
			from = len(line)
		case bare == "---" || bare == "...":
			return from, at, true
		}
		at += len(line)
	}
	return 0, 0, false
}

// unreplaced is why the runtime leaves a term in the zone as the text it is; ""
// where it does not, and for an optional one, which is a matter of its own. first
// says that the value begins with its expression.
func (z zone) unreplaced(t term, spelled, name string, first bool) string {
	if t.user {
		upper := userCredentials + strings.ToUpper(spelled)
		switch {
		case z == unknown:
		case z != mcpAuth:
			return "the MUXI runtime replaces user.credentials in the auth of an MCP server alone"
		case !first:
			return "the MUXI runtime replaces user.credentials only where the value begins with it"
		case upper != name:
			return fmt.Sprintf("the MUXI runtime only upper-cases the name of user.credentials and finds no %s; write user.credentials.%s", upper, strings.ToLower(strings.TrimPrefix(name, userCredentials)))
		}
		return ""
	}

	asSpelled := z != normalised && !(z == unknown && t.loose)
	if !t.scoped || asSpelled && (!t.exact || name != spelled) {
		return fmt.Sprintf("the MUXI runtime looks names up as they are spelled; write ${{ secrets.%s }}", name)
	}
	return ""
}

// soft reports whether the runtime only warns where what a file refers to has no
// value: it does in the pages that a skill refers to. Agents that nobody declared
// are the survey's to tell.
func soft(path string) bool {
	folders := strings.Split(path, "/")
	return folders[0] == "skills" && slices.Contains(folders[1:len(folders)-1], "references")
}

// manifest is what a formation's file says about how it is loaded.
type manifest struct {
	file   string
	agents map[string]bool // by id, and by file without its ending; nil: it does not say
	// unkeyed says that users' credentials are kept, and no key for them is given.
	unkeyed bool
}

// manifestOf reads a formation's file. One that says nothing of agents, or that
// cannot be read, leaves all of them loaded.
func manifestOf(file string, content []byte) *manifest {
	m := &manifest{file: file}
	var said struct {
		Agents      []any          `yaml:"agents"`
		Credentials map[string]any `yaml:"user_credentials"`
	}
	if text := string(content); !strings.Contains(text, "agents") && !strings.Contains(text, "user_credentials") || DecodeYAML(content, &said) != nil {
		return m
	}
	if said.Credentials != nil {
		encryption, _ := said.Credentials["encryption"].(map[string]any)
		key := encryption["key"]
		m.unkeyed = key == nil || key == ""
	}
	if said.Agents == nil {
		return m
	}
	m.agents = map[string]bool{}
	for _, entry := range said.Agents {
		switch entry := entry.(type) {
		case string:
			m.agents[agentName(entry)] = true
		case map[string]any:
			for _, field := range [...]string{"id", "name", "file", "path"} {
				if text, ok := entry[field].(string); ok {
					m.agents[agentName(text)] = true
				}
			}
		}
	}
	return m
}

// agentName is a file's name, or an id, without folders and ending.
func agentName(path string) string {
	base := path[strings.LastIndexByte(path, '/')+1:]
	for _, ending := range [...]string{".afs", ".yaml", ".yml", ".json"} {
		base = strings.TrimSuffix(base, ending)
	}
	return base
}

// loads reports whether the agent in a file is loaded; id is what the file calls
// it, "" where it does not say.
func (m *manifest) loads(path, id string) bool {
	return m == nil || m.agents == nil || m.agents[agentName(path)] || id != "" && m.agents[id]
}
