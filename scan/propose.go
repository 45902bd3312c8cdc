package scan

import (
	"cmp"
	"path"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Proposal is the name under which people would store a literal whose value is
// value: that of the variable or field it stands in; where that says no more than
// "key", the provider's usual one; else the server's, with what the field is.
// file is where it stands, below the formation's folder. A known secret has its
// name already.
func (l Literal) Proposal(file, value string) string {
	if l.Secret != "" {
		return l.Secret
	}
	p := l.place(file)
	return cmp.Or(p.environment(), p.provider(), p.own(), usualURL(value), usualName(value, !p.known()), p.served(value), "SECRET")
}

// placement is a field as far as names are made of it.
type placement struct {
	key      string   // the field's own name
	parents  []string // above it, the nearest last, lists left out
	server   string   // what the item of a list or the file is called
	variable string
}

func (l Literal) place(file string) placement {
	p := placement{variable: l.Variable}
	var item, outer string // the nearest item of a list that has a name, and the one around it
	for _, step := range steps(l.Field) {
		if !strings.HasPrefix(step, "[") {
			p.parents = append(p.parents, step)
		} else if id := strings.Trim(step, "[]"); id != "" {
			item, outer = id, item
		}
	}
	if n := len(p.parents); n > 0 {
		p.key, p.parents = p.parents[n-1], p.parents[:n-1]
	}
	p.server = item
	if p.key == "value" && item != "" { // - name: GITHUB_TOKEN
		p.key, p.server = item, outer
	}
	if isCommand(foldName(p.key)) { // what goes before it says more than "args"
		p.parents, p.key = append(p.parents, p.key), strings.TrimLeft(cmp.Or(l.Variable, l.Option), "-/")
		p.variable = p.key
	}
	if folder, _, below := strings.Cut(file, "/"); p.server == "" && below && folder != "" {
		p.server = strings.TrimSuffix(path.Base(file), path.Ext(file))
	}
	return p
}

// Shown is the field as people may see it.
func (l Literal) Shown() string { return joinSteps(steps(l.Field)) }

// steps parts a way to a field at its dots, but for those in the name of an item,
// into what may be shown of it.
func steps(field string) []string {
	list := cutSteps(field)
	for i, step := range list {
		list[i] = shownStep(step, step[0] == '[')
	}
	return list
}

func cutSteps(field string) []string {
	var list []string
	for field != "" {
		end := strings.IndexByte(field, '.')
		if field[0] == '[' {
			if end = strings.Index(field, "]."); end >= 0 {
				end++
			}
		}
		if end < 0 {
			return append(list, field)
		}
		if end > 0 {
			list = append(list, field[:end])
		}
		field = field[end+1:]
	}
	return list
}

func (p placement) parent() string {
	if n := len(p.parents); n > 0 {
		return foldName(p.parents[n-1])
	}
	return ""
}

// known reports whether a field was found, rather than a token in some text.
func (p placement) known() bool {
	return p.key != "" && (p.key != p.variable || isCredentialName(foldName(p.key)))
}

// environment is the name of an environment variable, which stands in a map, or
// before a = in a list of arguments.
func (p placement) environment() string {
	for _, name := range [...]string{p.key, p.variable} {
		if isVariableName(name) {
			return formation.Normalize(name)
		}
	}
	if isEnvironment(p.parent()) && p.key != unshown {
		return formation.Normalize(foldName(p.key))
	}
	return ""
}

// isVariableName tells GITHUB_TOKEN from a field.
func isVariableName(name string) bool {
	return strings.Contains(name, "_") && strings.ToUpper(name) == name && formation.Normalize(name) == name
}

// provider is what MUXI's guide calls a key in llm.api_keys, and the server's own.
func (p placement) provider() string {
	switch {
	case p.parent() != "api_keys":
		return ""
	case len(p.parents) > 1 && p.parents[len(p.parents)-2] == "llm":
		return joinName(p.key, "API_KEY")
	}
	return joinName(p.key, "KEY") // server.api_keys.admin
}

// own is the field's name where it says whose it is: webhook_secret, bot_token.
func (p placement) own() string {
	key := foldName(p.key)
	if key == "key" && p.parent() == "encryption" {
		return "ENCRYPTION_KEY"
	}
	if !p.known() || kindOf(key) != "" || isGeneric(key) || isVague(key) {
		return ""
	}
	return formation.Normalize(key)
}

// served is what a server's or an agent's credential is called; in the formation's
// own file, what the section is.
func (p placement) served(value string) string {
	kind := cmp.Or(kindOf(foldName(cmp.Or(p.key, p.variable))), "KEY")
	switch whose := hostOf(value); {
	case p.server != "":
		return joinName(p.server, kind)
	case kind == "URL" && whose != "":
		return joinName(whose, kind)
	}
	var words []string
	for _, word := range p.parents {
		word = foldName(word)
		if word == "env" || word == "auth" || word == "headers" || isVague(word) || isGeneric(word) {
			continue
		}
		words = append(words, word)
	}
	return joinName(strings.Join(words[max(0, len(words)-2):], "_"), kind)
}

// joinName puts a kind behind a name, unless it ends in it.
func joinName(name, kind string) string {
	name = formation.Normalize(foldName(name))
	if name == "" || name == kind || strings.HasSuffix(name, "_"+kind) {
		return cmp.Or(name, kind)
	}
	return name + "_" + kind
}

// kindOf is what a secret is called by for a field that every service has.
func kindOf(key string) string {
	switch key {
	case "api_key", "apikey", "key", "x_api_key", "access_key", "account_key":
		return "API_KEY"
	case "token", "api_token", "access_token", "auth_token", "bearer_token", "authorization", "proxy_authorization",
		"header_value", "x_auth_token", "refresh_token", "x_auth":
		return "TOKEN"
	case "password", "passwd":
		return "PASSWORD"
	case "secret", "api_secret", "shared_secret":
		return "SECRET"
	case "secret_key", "private_key", "client_secret", "shared_key", "cookie":
		return strings.ToUpper(key)
	case "credentials", "credentials_json", "auth":
		return "CREDENTIALS"
	case "webhook", "webhook_url":
		return "WEBHOOK_URL"
	case "url", "endpoint", "connection_string", "uri", "dsn":
		return "URL"
	}
	return ""
}

// isGeneric lists words of the layout, which are no part of a name.
func isGeneric(key string) bool {
	switch key {
	case "args", "command", "value", "streams", "services", "servers", "mcp_servers", "mcp", "mcps", "models", "llm_models",
		"tools", "sources", "channels", "parameters", "connection", "inbound", "outbound":
		return true
	}
	return false
}

// isVague reports whether a field is called as running text is.
func isVague(key string) bool {
	switch key {
	case "", "description", "system_message", "persona", "soul", "prompt", "instructions", "name", "id", "title", "text", "role", "note", "notes", "comment":
		return true
	}
	return false
}

// usualURL is what the URL of a database or a webhook is stored as.
func usualURL(value string) string {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok {
		return ""
	}
	scheme, _, _ = strings.Cut(strings.ToLower(scheme), "+")
	switch scheme {
	case "postgres", "postgresql":
		return "POSTGRES_URL"
	case "mongodb", "mysql", "mariadb", "redis", "amqp", "clickhouse", "mssql":
		return strings.ToUpper(scheme) + "_URL"
	case "rediss":
		return "REDIS_URL"
	case "amqps":
		return "AMQP_URL"
	}
	host, _, _ := strings.Cut(strings.ToLower(rest), "/")
	switch {
	case strings.HasSuffix(host, "slack.com"):
		return "SLACK_WEBHOOK_URL"
	case strings.HasSuffix(host, "discord.com"), strings.HasSuffix(host, "discordapp.com"):
		return "DISCORD_WEBHOOK_URL"
	}
	return ""
}

// hostOf is whom a web address belongs to: acme for https://api.acme.com.
func hostOf(value string) string {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok || !strings.HasPrefix(scheme, "http") {
		return ""
	}
	host := rest[:strings.IndexAny(rest+"/", "/?#")]
	host = host[strings.LastIndexByte(host, '@')+1:]
	host, _, _ = strings.Cut(host, ":")
	labels := strings.Split(host, ".")
	if len(labels) < 2 || strings.Trim(host, "0123456789.") == "" {
		return ""
	}
	return labels[len(labels)-2]
}

// usualName is the provider's own name for a key of its format: a Groq key is
// GROQ_API_KEY. A format that others use as well says less than the field, unless
// that says nothing.
func usualName(value string, guess bool) string {
	if value == "" {
		return ""
	}
	h, ok := providerKey([]byte(value), 0, true)
	if !ok || h.end < len(value) {
		return ""
	}
	whose, _, shared := strings.Cut(h.message, ",")
	if shared && !guess {
		return ""
	}
	return nameOfFormat(whose)
}

// nameOfFormat makes a name of what a format is called: "a Hugging Face token".
func nameOfFormat(what string) string {
	switch what {
	case "a Hugging Face token":
		return "HF_TOKEN"
	case "a Replicate token":
		return "REPLICATE_API_TOKEN"
	case "a Slack token":
		return "SLACK_BOT_TOKEN"
	}
	_, what, _ = strings.Cut(what, " ")
	name := formation.Normalize(strings.ReplaceAll(what, "'s", ""))
	whose, ok := strings.CutSuffix(name, "_KEY")
	switch {
	case strings.HasSuffix(whose, "_ACCESS") && ok:
		return name + "_ID"
	case !ok, strings.HasSuffix(whose, "_API"), strings.HasPrefix(whose, "MUXI_"):
		return name
	}
	return whose + "_API_KEY"
}
