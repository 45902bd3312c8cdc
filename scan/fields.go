package scan

import "strings"

// role is what a field of a formation's files is for.
type role uint8

const (
	noCredential role = iota
	credential        // a literal in it is a key
	localOrKey        // the same, but `local` stands for a provider without one
	connection        // only what carries a password
	environment       // a credential unless its value is a number, a boolean or a path
	assignment        // NAME=value, judged as environment
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
	case isEnvironment(key) && item:
		return assignment
	case isEnvironment(parent):
		if key == "value" && name != "" {
			key = foldName(name)
		}
		return when(isSecretVariable(key), environment)
	case parent == "headers" || parent == "header":
		return when(isSecretHeader(key), credential)
	case key == "connection_string":
		return connection
	case parent == "auth" && (key == "key" || key == "credentials"), parent == "encryption" && key == "key":
		return credential
	case isCredentialName(key):
		return credential
	case parent == "auth" && strings.EqualFold(authType, "env"):
		return when(isSecretVariable(key), environment)
	case key == "auth" && parent == "registries":
		return credential
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

// isSecretVariable judges an environment variable by its name (folded).
func isSecretVariable(name string) bool {
	for _, end := range [...]string{"key", "token", "secret", "password", "passwd", "pwd", "credentials", "dsn"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// isSecretHeader judges an HTTP header by its name (folded).
func isSecretHeader(name string) bool {
	switch name {
	case "authorization", "proxy_authorization", "cookie":
		return true
	}
	return strings.HasSuffix(name, "_key") || strings.HasSuffix(name, "_token") || strings.HasSuffix(name, "_secret")
}

// fieldName is a place as a message shows it: the last four steps. Only words of
// MUXI's own schema are spelled out: a file may have a key where a name belongs.
func fieldName(at *crumb) string {
	name := ""
	for n := 0; at != nil && n < 4; at = at.up {
		step := "*"
		switch {
		case at.item:
			name = "[]" + name
			continue
		case isSchemaWord(at.name):
			step = at.name
		}
		if name != "" && name[0] != '[' {
			name = "." + name
		} else if len(name) > 2 && name[2] != '.' {
			name = "[]." + name[2:]
		}
		name = step + name
		n++
	}
	return name
}

func isSchemaWord(key string) bool {
	if isCredentialName(key) || isEnvironment(key) {
		return true
	}
	switch key {
	case "llm", "api_keys", "models", "llm_models", "overlord", "model", "server", "admin", "client", "memory",
		"working", "remote", "vector", "persistent", "database", "connection_string", "url", "user_credentials",
		"encryption", "key", "logging", "streams", "conversation", "system", "auth", "async", "webhooks", "webhook", "a2a",
		"inbound", "outbound", "services", "headers", "Authorization", "Cookie", "registries", "rce", "coding",
		"middleware", "observability", "export", "mcp", "servers", "mcp_servers", "agents", "credentials",
		"tools", "knowledge", "sources", "openai", "anthropic", "google", "transformers":
		return true
	}
	return false
}
