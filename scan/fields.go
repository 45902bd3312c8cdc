package scan

import (
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// role is what a field of a formation's files is for.
type role uint8

const (
	noCredential role = iota
	credential        // a literal in it is a key
	localOrKey        // the same, but `local` stands for a provider without one
	connection        // only what carries a password
	access            // the same, and what is no connection string but a literal
	environment       // a credential unless its value is a number, a boolean or a path
	assignment        // NAME=value, judged as environment
	headerLine        // Name: value, judged by the name
	argument          // a part of a command line
	endpoint          // a URL whose path may hold a secret
)

// roleOf judges the field at a place. authType is the `type` beside it, name the
// `name` beside it. The table is that of MUXI's documentation, loosened in one
// way: a field called api_key or password is one wherever it stands, so that a
// field which a later version of MUXI adds is seen as well.
func roleOf(at *crumb, authType, name string) role {
	key, parent, grand, item := tail(at)
	switch {
	case key == "":
		return noCredential
	case parent == "auth" && neverInAuth(key):
		return noCredential
	case parent == "api_keys", key == "api_keys" && item:
		if parent == "api_keys" && grand == "llm" {
			return localOrKey
		}
		return credential
	case isCommand(key):
		return argument
	case isEnvironment(key) && item:
		return assignment
	case isEnvironment(parent):
		if key == "value" && name != "" {
			key = foldName(name)
		}
		return environmentRole(key)
	case (key == "headers" || key == "header") && item:
		return headerLine
	case parent == "headers" || parent == "header":
		if key == "value" && name != "" {
			key = foldName(name)
		}
		return when(isSecretHeader(key), credential)
	case parent == "parameters" && isSecretVariable(key):
		return environment
	case key == "connection_string" && parent == "auth":
		return access
	case key == "connection_string":
		return connection
	case parent == "auth" && key == "header_value":
		return credential
	case parent == "auth" && (key == "key" || key == "credentials"), parent == "encryption" && key == "key":
		return credential
	case isCredentialName(key):
		return credential
	case parent == "auth" && strings.EqualFold(authType, "env"):
		return environmentRole(key)
	case key == "auth" && parent == "registries":
		return credential
	case key == "url" || key == "endpoint" || key == "server_url" || key == "webhook" || key == "webhook_url":
		return endpoint
	}

	return noCredential
}

func when(is bool, r role) role {
	if is {
		return r
	}
	return noCredential
}

// maxName is the length in bytes above which a key is no field of MUXI's.
const maxName = 128

// tail returns the last three keys of a path, folded, lists left out; item says
// that the path ends in a list.
func tail(at *crumb) (key, parent, grand string, item bool) {
	var keys [3]string
	n := 0
	for ; at != nil && n < len(keys); at = at.up {
		if at.item {
			item = item || n == 0
			continue
		}
		if len(at.name) <= maxName {
			keys[n] = foldName(at.name)
		}
		n++
	}
	return keys[0], keys[1], keys[2], item
}

// inSchema reports whether a field is part of a JSON schema, which only speaks
// about fields.
func inSchema(at *crumb) bool {
	for ; at != nil; at = at.up {
		if at.name == "properties" {
			return true
		}
	}
	return false
}

// isCredentialName reports whether a field (folded) is called as only credentials
// are. Plurals such as max_tokens are none.
func isCredentialName(key string) bool {
	switch key {
	case "api_key", "apikey", "api_secret", "api_token", "token", "password", "passwd", "secret",
		"client_secret", "shared_key", "shared_secret", "secret_key", "access_key", "secret_access_key",
		"account_key", "credentials_json", "encryption_key", "webhook_secret", "signing_secret",
		"private_key", "access_token", "auth_token", "bearer_token", "bot_token", "refresh_token",
		"admin_key", "client_key":
		return true
	}
	return false
}

// neverInAuth lists the settings beside the credentials of an auth section.
func neverInAuth(key string) bool {
	switch key {
	case "type", "header", "enabled", "accept_inline", "client_id", "token_url", "issuer", "audience",
		"jwks_url", "scope", "signature_header", "timestamp_header", "clock_skew_seconds", "timestamp_tolerance":
		return true
	}
	return false
}

func isEnvironment(key string) bool {
	return key == "env" || key == "environment"
}

// environmentRole judges an environment variable by its name (folded).
func environmentRole(name string) role {
	if whole := formation.TrimVariant(name); strings.HasSuffix(whole, "connection_string") || strings.HasSuffix(whole, "webhook_url") {
		return connection
	}
	return when(isSecretVariable(name), environment)
}

// isSecretVariable reports whether an environment variable is called (folded) as
// those that hold a secret are.
func isSecretVariable(name string) bool {
	name = formation.TrimVariant(name)
	for _, end := range [...]string{"key", "token", "secret", "password", "passwd", "passphrase", "credentials", "dsn"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}

	last := name[strings.LastIndexByte(name, '_')+1:]
	switch last {
	case "pass", "pwd", "pat", "auth", "creds":
		return true
	case "name", "header", "type", "prefix", "file", "path", "dir", "ttl", "limit", "count":
		return false // TOKEN_HEADER is about one
	}
	return strings.HasSuffix(name, "pwd") || strings.Contains(name, "_token_") || strings.Contains(name, "_key_")
}

// isSecretHeader judges an HTTP header by its name (folded).
func isSecretHeader(name string) bool {
	switch name {
	case "authorization", "proxy_authorization", "cookie", "apikey", "api_key", "x_auth", "x_apikey":
		return true
	}
	return strings.HasSuffix(name, "_key") || strings.HasSuffix(name, "_token") || strings.HasSuffix(name, "_secret")
}

// fieldName is a place as a person writes it: the last steps of the way there.
func fieldName(at *crumb) string {
	const most = 4
	var way []string
	for n := 0; at != nil && n < most; at = at.up {
		way = append(way, shownStep(at.name, at.item))
		if !at.item {
			n++
		}
	}
	slices.Reverse(way)
	return joinSteps(way)
}

// shownStep is a step of the way to a field as it may be shown: an item of a list
// is [github], or [] where its name is none.
func shownStep(step string, item bool) string {
	switch {
	case item && isPlainName(strings.Trim(step, "[]")), !item && isPlainName(step):
		return step
	case item:
		return "[]"
	}
	return unshown
}

// unshown stands for a field's name that may be a value: a file may have a key
// where a name belongs.
const unshown = "NAME"

// joinSteps writes steps as one field: mcp.servers[github].auth.token.
func joinSteps(steps []string) string {
	var b strings.Builder
	for _, step := range steps {
		if b.Len() > 0 && step[0] != '[' {
			b.WriteByte('.')
		}
		b.WriteString(step)
	}
	return b.String()
}

// isPlainName reports whether a name is made of words and small numbers, as no
// secret is.
func isPlainName(name string) bool {
	if name == "" || len(name) > 48 || publicPrefix(name) > 0 {
		return false
	}
	digits, signs := 0, 0
	for i := range len(name) {
		switch {
		case is(name[i], isDigit):
			digits++
		case !is(name[i], isToken) && name[i] != '.':
			signs++
		}
	}
	return signs == 0 && digits <= 4 && compose(name).alternations <= 3
}
