package scan

// IsCredential reports whether a variable of this name with this value holds what
// check would call a credential: by the name, or by a format or a password in the
// value. A placeholder is none.
func IsCredential(name, value string) bool {
	if isPlaceholder(value) {
		return false
	}
	if isSecretVariable(foldName(name)) && !isSetting(value) {
		return true
	}
	text := []byte(value)
	if len(providers(text)) > 0 {
		return true
	}
	_, _, leaky := leakyURL(text, 0)
	return leaky
}
