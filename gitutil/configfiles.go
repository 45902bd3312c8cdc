package gitutil

import (
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// layers reads git's configuration without git, entry by entry.
type layers struct {
	getenv  func(string) string
	entries []scopedEntry
}

type scopedEntry struct {
	configEntry
	scope string // as git config --show-scope says it
}

// readLayers reads what git reads: system, global, local, work tree, then the
// environment. include.path is followed; conditional includes are not.
func readLayers(layout Layout, getenv func(string) string) *gitConfig {
	l := &layers{getenv: getenv}
	l.person()
	l.file(filepath.Join(layout.CommonDir, "config"), "local", 0)
	if c := l.config(); c.truth("extensions.worktreeconfig") {
		l.file(filepath.Join(layout.GitDir, "config.worktree"), "worktree", 0)
	}
	l.command()
	return l.config()
}

// protectedEntries are the settings that no repository can be the source of
// (git-config(1), "protected configuration"): those of the machine, of the person,
// and of the command that is run.
func protectedEntries(getenv func(string) string) []scopedEntry {
	l := &layers{getenv: getenv}
	l.person()
	l.command()
	return l.entries
}

// config is what counts of each key: its last value.
func (l *layers) config() *gitConfig {
	c := newGitConfig()
	for _, e := range l.entries {
		c.add(e.key, e.value, e.scope)
	}
	return c
}

// person reads the files of the machine and of the person.
func (l *layers) person() {
	if !gitTrue(l.getenv("GIT_CONFIG_NOSYSTEM")) {
		if path := l.getenv("GIT_CONFIG_SYSTEM"); path != "" {
			l.file(path, "system", 0)
		} else if runtime.GOOS != "windows" {
			l.file("/etc/gitconfig", "system", 0)
		}
	}
	if path := l.getenv("GIT_CONFIG_GLOBAL"); path != "" {
		l.file(path, "global", 0)
	} else {
		l.file(configHome(l.getenv, "config"), "global", 0)
		l.file(filepath.Join(homeDir(l.getenv), ".gitconfig"), "global", 0)
	}
}

// command reads what git -c hands down and GIT_CONFIG_COUNT says.
func (l *layers) command() {
	add := func(key, value string, bare bool) {
		l.entries = append(l.entries, scopedEntry{configEntry{key: canonicalKey(key), value: value, bare: bare}, "command"})
	}
	count, _ := strconv.Atoi(l.getenv("GIT_CONFIG_COUNT"))
	for i := range min(count, 1000) {
		n := strconv.Itoa(i)
		add(l.getenv("GIT_CONFIG_KEY_"+n), l.getenv("GIT_CONFIG_VALUE_"+n), false)
	}
	for text := strings.TrimLeft(l.getenv("GIT_CONFIG_PARAMETERS"), " "); text != ""; text = strings.TrimLeft(text, " ") {
		key, rest, ok := cutQuoted(text)
		if !ok {
			return
		}
		value, assigned := "", false
		if behind, is := strings.CutPrefix(rest, "="); is { // since git 2.31
			if value, rest, assigned = cutQuoted(behind); !assigned {
				value, rest, assigned = "", behind, false
			}
		} else {
			key, value, assigned = strings.Cut(key, "=")
		}
		add(key, value, !assigned)
		text = rest
	}
}

// cutQuoted takes a word in single quotes off a text, as git quotes for a shell
// (quote.c): what cannot stand in them stands between, behind a backslash.
func cutQuoted(text string) (word, rest string, ok bool) {
	var b strings.Builder
	for strings.HasPrefix(text, "'") {
		inside, behind, closed := strings.Cut(text[1:], "'")
		if !closed {
			return "", "", false
		}
		b.WriteString(inside)
		if len(behind) < 3 || behind[0] != '\\' || behind[2] != '\'' {
			return b.String(), behind, true
		}
		b.WriteByte(behind[1])
		text = behind[2:]
	}
	return "", "", false
}

func (l *layers) file(path, scope string, depth int) {
	if depth > 10 { // git's own limit
		return
	}
	for _, e := range readConfigFile(path) {
		l.entries = append(l.entries, scopedEntry{e, scope})
		if e.key == "include.path" && e.value != "" {
			next := expandHome(e.value, l.getenv)
			if !filepath.IsAbs(next) {
				next = filepath.Join(filepath.Dir(path), next)
			}
			l.file(next, scope, depth+1)
		}
	}
}

// truth reads a boolean setting; a key without "=" is true.
func (c *gitConfig) truth(key string) bool {
	v, ok := c.values[key]
	return ok && (v.value == "" || gitTrue(v.value))
}

func homeDir(getenv func(string) string) string {
	if home := getenv("HOME"); home != "" || runtime.GOOS != "windows" {
		return home
	}
	return getenv("USERPROFILE")
}

// configHome is a file in the user's own git folder (XDG base directories).
func configHome(getenv func(string) string, name string) string {
	base := getenv("XDG_CONFIG_HOME")
	if base == "" {
		base = filepath.Join(homeDir(getenv), ".config")
	}
	return filepath.Join(base, "git", name)
}

// expandHome replaces "~/". Git knows "~user/" as well, which needs the user
// database and is left as it is.
func expandHome(path string, getenv func(string) string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(homeDir(getenv), rest)
	}
	return filepath.FromSlash(path)
}
