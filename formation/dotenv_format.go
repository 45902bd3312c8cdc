package formation

import "strings"

// FormatDotenv writes NAME='VALUE' so that a shell which sources it and
// [ParseDotenv] read the very same value, and so that neither runs or expands
// anything in it. name must be one that a shell takes: see [ShellName].
//
// Where a value has no ' in it, single quotes alone do that. Elsewhere, quoted
// parts stand side by side, which a shell joins: 'it'"'"'s'. A line end as Windows
// writes it is parted, so that it is told from one that an editor put there.
func FormatDotenv(name, value string) string {
	if strings.Contains(value, "'") && !strings.ContainsAny(value, "\"\\$`!\r\n") {
		return name + `="` + value + "\"\n" // the same, as people write it
	}
	var b strings.Builder
	b.WriteString(name + "=")
	if value == "" {
		b.WriteString("''")
	}
	for value != "" {
		end := 0
		for end < len(value) && value[end] != '\'' && (end == 0 || value[end-1] != '\r' || value[end] != '\n') {
			end++
		}
		if end > 0 {
			b.WriteString("'" + value[:end] + "'")
			value = value[end:]
		}
		// Double quotes between single ones: two ' in a row are one to some shells.
		if n := len(value) - len(strings.TrimLeft(value, "'\n")); n > 0 {
			b.WriteString(`"` + value[:n] + `"`)
			value = value[n:]
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// ShellName returns the name under which a shell takes the secret called name, and
// which [Normalize] turns into the stored one again: with a _ in front of a digit,
// and of a variable that a shell itself obeys, so that sourcing a file of secrets
// changes nothing but secrets. It returns "" where there is no such name.
func ShellName(name string) string {
	normal := Normalize(name)
	switch {
	case normal == "":
		return ""
	case normal[0] >= '0' && normal[0] <= '9', obeyed(normal):
		return "_" + normal
	}
	return normal
}

// obeyed reports whether a shell or the loader runs something by a variable of
// this name, or refuses to have it set.
func obeyed(name string) bool {
	switch name {
	case "PATH", "FPATH", "MODULE_PATH", "BASH_LOADABLES_PATH", "IFS", "ENV", "BASH_ENV", "ZDOTDIR", "TMOUT", "NULLCMD", "READNULLCMD",
		"PS0", "PS1", "PS2", "PS3", "PS4", "PROMPT", "PROMPT2", "PROMPT3", "PROMPT4", "PROMPT_COMMAND", "RPROMPT", "RPS1", "RPS2", "SPROMPT",
		"SHELLOPTS", "BASHOPTS", "BASH_VERSINFO", "UID", "EUID", "GID", "EGID", "PPID", "USERNAME", "ARGC", "TTYIDLE":
		return true
	}
	return strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "DYLD_")
}
