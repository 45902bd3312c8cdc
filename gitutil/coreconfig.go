package gitutil

import (
	"os"
	"path/filepath"
	"strings"
)

// coreSettings reads core.bare and core.worktree of the repository's own
// config, the two settings that the layout depends on. Git, too, reads them
// from that file alone while it looks for the repository.
func coreSettings(layout Layout) (bare bool, worktree string) {
	linked := layout.GitDir != layout.CommonDir
	perWorktree := false
	apply := func(path string, own bool) {
		for _, e := range readConfigFile(path) {
			switch e.key {
			case "core.bare":
				// In a linked work tree the shared core.bare speaks of the main one.
				if own || !linked {
					bare = gitTrue(e.value) || e.bare
				}
			case "core.worktree":
				if own || !linked {
					worktree = e.value
				}
			case "extensions.worktreeconfig":
				perWorktree = gitTrue(e.value) || e.bare
			}
		}
	}
	apply(filepath.Join(layout.CommonDir, "config"), false)
	if perWorktree {
		apply(filepath.Join(layout.GitDir, "config.worktree"), true)
	}
	return bare, worktree
}

// configEntry is one line of a config file: section and name in lower case, the
// subsection as written. bare: the name stands without "=", which means true.
type configEntry struct {
	key   string
	value string
	bare  bool
}

// OwnConfig gives the last value of each key in a clone's own configuration file,
// without what it includes: section and name in lower case.
func OwnConfig(layout Layout) map[string]string {
	values := map[string]string{}
	for _, e := range readConfigFile(filepath.Join(layout.CommonDir, "config")) {
		values[e.key] = e.value
	}
	return values
}

// readConfigFile parses a file in git-config(1) syntax. What it cannot
// understand it skips; a missing file is an empty one. Includes are entries
// like any other.
func readConfigFile(path string) []configEntry {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return parseConfig(string(data))
}

func parseConfig(text string) []configEntry {
	var entries []configEntry
	section := ""
	text = strings.TrimPrefix(text, "\ufeff")
	for text != "" {
		text = strings.TrimLeft(text, " \t\r\n")
		if text == "" {
			break
		}
		switch text[0] {
		case '#', ';':
			_, text, _ = strings.Cut(text, "\n")
		case '[':
			section, text = parseSection(text[1:])
		default:
			n := 0
			for n < len(text) && isConfigNameByte(text[n]) {
				n++
			}
			if n == 0 {
				_, text, _ = strings.Cut(text, "\n")
				continue
			}
			e := configEntry{key: strings.ToLower(text[:n])}
			if section != "" { // git allows none
				e.key = section + "." + e.key
			}
			text = strings.TrimLeft(text[n:], " \t")
			if strings.HasPrefix(text, "=") {
				e.value, text = parseConfigValue(text[1:])
			} else {
				e.bare = true
				_, text, _ = strings.Cut(text, "\n")
			}
			entries = append(entries, e)
		}
	}
	return entries
}

// parseSection reads `name]` or `name "sub"]` and gives "name" or "name.sub".
func parseSection(text string) (section, rest string) {
	i := strings.IndexAny(text, "]\"\n")
	if i < 0 || text[i] == '\n' {
		_, rest, _ = strings.Cut(text, "\n")
		return "", rest
	}
	name := strings.ToLower(strings.TrimSpace(text[:i]))
	if text[i] == ']' {
		return name, text[i+1:]
	}
	var sub strings.Builder
	for i++; i < len(text) && text[i] != '"' && text[i] != '\n'; i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		sub.WriteByte(text[i])
	}
	if i >= len(text) || text[i] != '"' || !strings.HasPrefix(text[i+1:], "]") {
		_, rest, _ = strings.Cut(text[min(i, len(text)):], "\n")
		return "", rest
	}
	return name + "." + sub.String(), text[i+2:]
}

// parseConfigValue reads up to the end of the line: quotes, escapes, comments
// and continued lines as in git-config(1). White space counts between other
// characters, and at an end within quotes.
func parseConfigValue(text string) (value, rest string) {
	var b strings.Builder
	quoted, comment := false, false
	space := ""
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\r' && strings.HasPrefix(text[i:], "\r\n") {
			i++
			c = '\n'
		}
		switch {
		case c == '\n':
			return b.String(), text[i+1:]
		case comment:
			continue
		case !quoted && (c == ' ' || c == '\t' || c == '\r'):
			if b.Len() > 0 {
				space += string(c)
			}
			continue
		case !quoted && (c == '#' || c == ';'):
			comment = true
			continue
		}
		b.WriteString(space)
		space = ""
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\\':
			if i++; i == len(text) {
				break // the file ends as if with a continued line
			}
			if strings.HasPrefix(text[i:], "\r\n") {
				i++
			}
			switch text[i] {
			case '\n':
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case 'b':
				b.WriteByte('\b')
			default:
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

func isConfigNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-'
}

// gitTrue reads a boolean the way git does. A key without a value is true as
// well, which the caller knows and we cannot.
func gitTrue(value string) bool {
	switch strings.ToLower(value) {
	case "true", "yes", "on", "1":
		return true
	case "", "false", "no", "off", "0":
		return false
	}
	// Any other number but zero is true; git refuses anything else.
	digits := strings.Trim(value, "+-0123456789kKmMgG")
	return digits == "" && strings.Trim(value, "+-0") != ""
}
