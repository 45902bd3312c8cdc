package formation

import "strings"

// IsPlaceholder reports whether value only shows where a secret goes: it is
// empty or blank, ends in "...", is made of x, * or dots, is an <angle
// bracket> note, a $VARIABLE, or one of the words people write there. A
// credential field or a template line with such a value leaks nothing.
func IsPlaceholder(value string) bool {
	v := strings.TrimSpace(value)
	if v == "" || strings.HasSuffix(v, "...") || strings.HasSuffix(v, "…") {
		return true
	}
	if strings.Trim(v, "xX") == "" || strings.Trim(v, "*") == "" || strings.Trim(v, ".-_") == "" {
		return true
	}
	if strings.HasPrefix(v, "<") && strings.HasSuffix(v, ">") {
		return true
	}
	if isVariable(v) {
		return true
	}
	words := strings.ToLower(strings.NewReplacer("-", "_", " ", "_").Replace(v))
	switch words {
	case "null", "none", "nil", "todo", "tbd", "fixme", "changeme", "change_me", "replaceme", "replace_me",
		"example", "dummy", "dummy_value", "placeholder", "redacted":
		return true
	}
	for _, prefix := range [...]string{"your_", "replace_", "changeme_", "change_me_", "insert_", "enter_", "dummy_", "example_", "placeholder_"} {
		if strings.HasPrefix(words, prefix) {
			return true
		}
	}
	// sk-xxxxxxxx, ghp_****: a public prefix and filling.
	if cut := strings.LastIndexAny(v, "-_"); cut > 0 && cut < 12 {
		rest := v[cut+1:]
		if len(rest) >= 3 && (strings.Trim(rest, "xX") == "" || strings.Trim(rest, "*") == "") {
			return true
		}
	}
	return false
}

// isVariable reports whether v is nothing but $NAME or ${NAME}: filled in by
// somebody else's environment. A default behind the name (${NAME:-x}) must be a
// placeholder itself.
func isVariable(v string) bool {
	if strings.HasPrefix(v, "${") && strings.HasSuffix(v, "}") {
		name := v[2 : len(v)-1]
		if cut := strings.IndexAny(name, ":-?+="); cut >= 0 {
			fallback := strings.TrimLeft(name[cut:], ":-?+=")
			if name[cut:] != fallback && !IsPlaceholder(fallback) {
				return false
			}
			name = name[:cut]
		}
		return name != "" && !strings.ContainsAny(name, "{}")
	}
	if !strings.HasPrefix(v, "$") || len(v) < 2 {
		return false
	}
	for i, c := range v[1:] {
		letter := c == '_' || c >= 'A' && c <= 'Z'
		if !letter && !(i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}
