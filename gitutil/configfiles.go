package gitutil

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// readLayers reads git's configuration without git, for the go-git backend:
// system, global, local, work tree, then GIT_CONFIG_COUNT. include.path is
// followed; conditional includes are not, and neither is GIT_CONFIG_PARAMETERS
// (only a running git sets it).
func readLayers(layout Layout, getenv func(string) string) *gitConfig {
	c := &gitConfig{values: map[string]configValue{}}
	add := func(path, scope string) { c.include(path, scope, getenv, 0) }
	if !gitTrue(getenv("GIT_CONFIG_NOSYSTEM")) {
		if path := getenv("GIT_CONFIG_SYSTEM"); path != "" {
			add(path, "system")
		} else if runtime.GOOS != "windows" {
			add("/etc/gitconfig", "system")
		}
	}
	if path := getenv("GIT_CONFIG_GLOBAL"); path != "" {
		add(path, "global")
	} else {
		add(configHome(getenv, "config"), "global")
		add(filepath.Join(homeDir(getenv), ".gitconfig"), "global")
	}
	add(filepath.Join(layout.CommonDir, "config"), "local")
	if v, ok := c.values["extensions.worktreeconfig"]; ok && (v.value == "" || gitTrue(v.value)) {
		add(filepath.Join(layout.GitDir, "config.worktree"), "worktree")
	}
	count, _ := strconv.Atoi(getenv("GIT_CONFIG_COUNT"))
	for i := range min(count, 1000) {
		n := strconv.Itoa(i)
		c.values[canonicalKey(getenv("GIT_CONFIG_KEY_"+n))] = configValue{getenv("GIT_CONFIG_VALUE_" + n), "command"}
	}
	return c
}

func (c *gitConfig) include(path, scope string, getenv func(string) string, depth int) {
	if depth > 10 { // git's own limit
		return
	}
	for _, e := range readConfigFile(path) {
		c.values[e.key] = configValue{e.value, scope}
		if e.key == "include.path" && e.value != "" {
			next := expandHome(e.value, getenv)
			if !filepath.IsAbs(next) {
				next = filepath.Join(filepath.Dir(path), next)
			}
			c.include(next, scope, getenv, depth+1)
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

// writeConfigKey sets one key of a config file under git's own lock, in place
// of all the values it had.
func writeConfigKey(path, key, value string) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return replaceLocked(path, setConfigKey(string(old), canonicalKey(key), value))
}

// setConfigKey takes out the lines of a key and adds it at the end, in a section
// of its own if need be. Sections may come more than once.
func setConfigKey(text, key, value string) []byte {
	var b strings.Builder
	kept := 0
	entries := parseConfig(text)
	for _, e := range entries {
		if e.key == key {
			b.WriteString(text[kept:e.start])
			kept = e.end
		}
	}
	b.WriteString(text[kept:])
	section, name := key[:strings.LastIndexByte(key, '.')], key[strings.LastIndexByte(key, '.')+1:]
	if out := b.String(); out != "" && !strings.HasSuffix(out, "\n") {
		b.WriteByte('\n')
	}
	// A header may stand for the entry already if its section comes last.
	if last := lastSection(b.String()); last != section {
		main, sub, ok := strings.Cut(section, ".")
		b.WriteString("[" + main)
		if ok {
			b.WriteString(" \"" + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(sub) + "\"")
		}
		b.WriteString("]\n")
	}
	b.WriteString("\t" + name + " = " + quoteConfigValue(value) + "\n")
	return []byte(b.String())
}

// lastSection is the section that a line at the end of the text belongs to.
func lastSection(text string) string {
	const probe = "gitutil-probe"
	entries := parseConfig(text + "\n" + probe + " = 1\n")
	if len(entries) == 0 {
		return ""
	}
	section, _ := strings.CutSuffix(entries[len(entries)-1].key, "."+probe)
	return section
}

func quoteConfigValue(value string) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\b", `\b`).Replace(value)
	if strings.ContainsAny(value, "#;\r") || strings.TrimSpace(value) != value {
		return `"` + quoted + `"`
	}
	return quoted
}

// replaceLocked writes a file the way git does: PATH.lock, which must not exist,
// then a rename.
func replaceLocked(path string, data []byte) (err error) {
	mode := os.FileMode(0o666)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	lock := path + ".lock"
	f, err := os.OpenFile(lock, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(lock)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(lock, path)
}
