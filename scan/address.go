package scan

import (
	"bytes"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// addresses finds URLs that are secrets wherever they stand: of databases, with a
// password in them, and of webhooks, where whoever has one may post.
func addresses(text []byte) (hits []hit) {
	const nested = 4 // so many URLs inside of one are looked at
	looked, end := 0, 0
	for at := 0; ; {
		next := bytes.Index(text[at:], []byte("://"))
		if next < 0 || len(hits) >= maxHits {
			return hits
		}
		slashes := at + next
		at = slashes + len("://")
		start := spanBack(text, slashes, isAlnum)
		if start > 0 && start < slashes && text[start-1] == '+' { // postgresql+asyncpg://
			start = spanBack(text, start-1, isAlnum)
		}
		if start < slashes {
			start = wordStart(text, start, slashes)
		}
		scheme, _, _ := bytes.Cut(text[start:slashes], []byte("+"))

		if looked++; at > end {
			looked = 0
		} else if looked > nested {
			at = end
			continue
		}

		h := hit{rule: PlaintextKey, start: start, field: start}
		switch {
		case string(scheme) == "https" || string(scheme) == "http":
			if !mayBeWebhook(text[at:]) {
				continue
			}
			end = urlEnd(text, at)
			h.end = at + len(bytes.TrimRight(firstOf(text[at:end], '\\'), ".,;:!?)]}*"))
			if !isWebhook(text[at:h.end]) {
				continue
			}
			h.message, h.random = "a webhook URL, which is a password in itself", true
		case isDatabase(scheme):
			end = urlEnd(text, at)
			h.end = end
			if !isDatabasePassword(text[at:h.end]) {
				continue
			}
			h.message = "a password in a database's URL"
		default:
			continue
		}

		at = h.end
		h.place = variable(text, start)
		hits = append(hits, h)
	}
}

// firstOf is what stands before a sign, or all of text.
func firstOf(text []byte, sign byte) []byte {
	before, _, _ := bytes.Cut(text, []byte{sign})
	return before
}

// A webhookKind is how a service's webhook URLs look: the end of their host, what
// the path begins with, and where the secret is: in the parameter of that name, or
// else in the last part of the path.
type webhookKind struct{ host, path, parameter string }

// webhookKinds are the services that MUXI's transformers speak to, and others of
// the kind, from their own documentation.
var webhookKinds = [...]webhookKind{
	{"hooks.slack.com", "/services/", ""},
	{"hooks.slack.com", "/workflows/", ""},
	{"hooks.slack.com", "/triggers/", ""},
	{"discord.com", "/api/webhooks/", ""},
	{"discordapp.com", "/api/webhooks/", ""},
	{"api.telegram.org", "/bot", ""},
	{".webhook.office.com", "/webhookb2/", ""},
	{".logic.azure.com", "/workflows/", "sig"},
	{".powerplatform.com", "/powerautomate/", "sig"},
	{".logic.azure.com:443", "/workflows/", "sig"},
	{".powerplatform.com:443", "/powerautomate/", "sig"},
	{"hooks.zapier.com", "/hooks/catch/", ""},
	{".make.com", "/", ""},
	{"maker.ifttt.com", "/trigger/", ""},
	{"open.feishu.cn", "/open-apis/bot/", ""},
	{"open.larksuite.com", "/open-apis/bot/", ""},
	{"qyapi.weixin.qq.com", "/cgi-bin/webhook/", "key"},
	{"chat.googleapis.com", "/v1/spaces/", "token"},
	{"oapi.dingtalk.com", "/robot/send", "access_token"},
	{"", "/hooks/", ""}, // Mattermost, on any host
}

// mayBeWebhook saves most URLs a second look: authority begins behind the //.
func mayBeWebhook(authority []byte) bool {
	near := authority[:min(len(authority), 96)]
	if end := bytes.IndexAny(near, " \t\r\n\"'<>`"); end >= 0 {
		near = near[:end]
	}
	return len(near) > 24 && (bytes.Contains(near, []byte("hook")) || bytes.Contains(near, []byte("/bot")) || bytes.Contains(near, []byte("maker.ifttt.")) ||
		bytes.Contains(near, []byte("chat.googleapis.")) || bytes.Contains(near, []byte("dingtalk")) || bytes.Contains(near, []byte(".logic.azure.")) ||
		bytes.Contains(near, []byte(".powerplatform.")))
}

// isWebhook reports whether a URL is that of a webhook, with its secret. url is
// what stands behind the //.
func isWebhook(url []byte) bool {
	slash := bytes.IndexByte(url, '/')
	if slash < 0 {
		return false
	}
	host, rest := string(url[:slash]), string(url[slash:])
	for _, k := range webhookKinds {
		onHost := host == k.host || strings.HasSuffix(host, k.host) && (k.host == "" || k.host[0] == '.' || strings.HasSuffix(host, "."+k.host))
		if onHost && strings.HasPrefix(rest, k.path) && k.hasSecret(host, rest) {
			return true
		}
	}
	return false
}

func (k webhookKind) hasSecret(host, rest string) bool {
	path, query, _ := strings.Cut(rest, "?")
	secret, least := "", 20
	switch {
	case k.parameter != "":
		for _, p := range strings.Split(query, "&") {
			if v, ok := strings.CutPrefix(p, k.parameter+"="); ok {
				secret = v
			}
		}
	case k.path == "/bot":
		bot, _, _ := strings.Cut(path[len(k.path):], "/")
		id, token, ok := strings.Cut(bot, ":")
		if !ok || strings.Trim(id, "0123456789") != "" {
			return false
		}
		secret, least = token, 35
	default:
		path = strings.TrimRight(path, "/")
		secret = path[strings.LastIndexByte(path, '/')+1:]
	}

	switch k.host {
	case "hooks.zapier.com":
		least = 6
	case ".make.com":
		if !strings.HasPrefix(host, "hook.") {
			return false
		}
	case "":
		if len(secret) != 26 || span([]byte(secret), 0, isLower|isDigit) != 26 || !strings.ContainsAny(secret, "0123456789") {
			return false
		}
	}
	return len(secret) >= least && !strings.ContainsAny(secret, "${}<>") && (distinct(secret) >= 8 || least < 8 && distinct(secret) > 3) &&
		!formation.IsSample(secret) && !formation.IsPlaceholder(secret)
}

func isDatabase(scheme []byte) bool {
	switch strings.ToLower(string(scheme[:min(len(scheme), 16)])) {
	case "postgres", "postgresql", "pgsql", "mysql", "mysql2", "mariadb", "mongodb", "redis", "rediss", "valkey", "amqp", "amqps", "mssql", "sqlserver",
		"clickhouse", "clickhouses", "cockroachdb", "oracle", "couchbase", "couchbases", "couchdb", "neo4j", "neo4js", "bolt", "snowflake", "redshift",
		"cassandra", "scylla", "influxdb", "nats", "mqtt", "mqtts", "db2", "firebird", "elasticsearch", "opensearch", "timescaledb", "libsql", "memcached":
		return true
	}
	return false
}

// isDatabasePassword reports whether a URL has a password that opens something:
// none of those in documentation and on one's own machine. authority is all that
// stands behind the //.
func isDatabasePassword(authority []byte) bool {
	password := string(urlPassword(authority))
	if password == "" || strings.ContainsAny(password, "${}<>()|*\\^,;#") || strings.HasPrefix(password, "%") && !isEscape(password) ||
		strings.HasPrefix(password, ":") || formation.IsSample(password) || isPlaceholder(password) {
		return false
	}

	behind, rest, _ := bytes.Cut(authority, []byte(":"))
	user := strings.ToLower(string(behind))
	lower := strings.ToLower(password)
	switch {
	case lower == user, strings.TrimRight(lower, "0123456789!@") == "", strings.Trim(lower, "xp.") == "":
		return false
	}
	stem := strings.TrimRight(lower, "0123456789!")
	if isURLPlaceholder(stem) {
		return false
	}
	for _, word := range [...]string{"pass", "pwd", "secret", "changeme", "example", "postgres", "mysql", "root", "admin", "guest", "test", "user", "hidden", "pw", "foo", "bar", "dev", "demo"} {
		if stem == word {
			return false
		}
	}

	_, host, _ := bytes.Cut(rest, []byte("@"))
	if isOwnHost(string(host)) {
		return Searchable([]byte(password))
	}
	word := password == lower || password == strings.ToUpper(password) || password[1:] == lower[1:] // 'Sesame', but no LvvePAmS
	return !compose(password).onlyLetters || !word || len(password) >= 12
}

func isEscape(text string) bool {
	return len(text) > 2 && is(text[1], isHex) && is(text[2], isHex)
}

// isOwnHost reports whether a host is this machine, or a service beside it: a name
// without a dot.
func isOwnHost(host string) bool {
	host = host[strings.LastIndexByte(host, '@')+1:]
	if end := strings.IndexAny(host, ":/?#"); end >= 0 {
		host = host[:end]
	}
	return !strings.Contains(host, ".") || strings.HasPrefix(host, "127.") || host == "0.0.0.0" || host == "host.docker.internal"
}
