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
	if strings.Trim(v, "xX") == "" || strings.Trim(v, "*#") == "" || strings.Trim(v, ".-_") == "" {
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

// IsSample reports whether a text that has the form of a key says of itself that
// it is none: it has one of the words of documentation in it, or half of it is one
// character repeated, or in the order of the alphabet. No generator makes any of
// these in a lifetime.
func IsSample(key string) bool {
	return SaysSample(key) || isFilling(key) || strings.HasPrefix(key, "sb_secret_") && strings.HasSuffix(key, localSupabase)
}

// localSupabase ends the key that each local Supabase has, the same for everybody.
const localSupabase = "UgjKTVK-Uodkm0Hg_xSvEMPvz"

// SaysSample is IsSample by words alone: what counts in a field that holds a
// credential, where a person may have thought of the value.
func SaysSample(key string) bool {
	lower := strings.ToLower(key)
	for _, word := range [...]string{"example", "placeholder", "xxxxxx", "yourkey", "yourapi", "yoursecret", "yourtoken", "redacted",
		"changeme", "replace_me", "replaceme", "keyhere", "tokenhere", "secrethere", "key_here", "key-here", "token_here", "token-here", "goes_here", "goes-here"} {
		if strings.Contains(lower, word) {
			return true
		}
	}

	for word := range strings.FieldsFuncSeq(lower, func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		switch word {
		case "your", "dummy", "fake", "sample":
			return true
		}
	}
	return false
}

// isFilling reports whether half of a key are runs of one character, or of
// characters in the order of the alphabet.
func isFilling(key string) bool {
	const least = 6
	filling, same, rising := 0, 1, 1
	end := func(run int) {
		if run >= least {
			filling += run
		}
	}

	for i := 1; i < len(key); i++ {
		a, b := key[i-1], key[i]
		if a == b {
			same++
		} else {
			end(same)
			same = 1
		}
		if follows(a, b) {
			rising++
		} else {
			end(rising)
			rising = 1
		}
	}
	end(same)
	end(rising)
	return filling*2 >= len(key)
}

// follows reports whether b comes after a where people type letters and digits in
// their order.
func follows(a, b byte) bool {
	switch a {
	case '9':
		return b == '0' || b == 'a' || b == 'A'
	case '0':
		return b == '1' || b == 'a' || b == 'A'
	case 'z', 'Z':
		return b == '0' || b == '1'
	}
	return b == a+1
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
