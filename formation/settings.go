package formation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// SettingsFile holds a team's settings, at the top of a repository. It comes
// with whatever is cloned, so nothing in it may ever name a command to run.
const SettingsFile = ".muxi-secrets.yaml"

// Settings are what a SettingsFile says. The zero value is what an absent one
// says.
type Settings struct {
	Allow  []Allow
	MaxAge time.Duration // 0: values do not become due
}

// Allow silences findings: those in paths that match Path, of the rule Rule;
// where both are set, both must match.
type Allow struct {
	Path string `yaml:"path"`
	Rule string `yaml:"rule"`
}

// SettingsError says what is wrong in a SettingsFile.
type SettingsError struct{ Reason string }

func (e *SettingsError) Error() string { return e.Reason }

// ParseSettings reads a SettingsFile. knownRule says which rules there are: a
// misspelt one would silence nothing, and nobody would notice.
func ParseSettings(content []byte, knownRule func(string) bool) (*Settings, error) {
	var raw struct {
		Allow  []Allow `yaml:"allow"`
		MaxAge string  `yaml:"maxAge"`
	}
	if len(content) > maxYAML {
		return nil, &SettingsError{"it is too long"}
	}
	if name := commandSetting(content); name != "" {
		return nil, &SettingsError{fmt.Sprintf("'%s' names a command, and a file that comes with a clone can never do that; it belongs in git config", name)}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&raw); err != nil && !errors.Is(err, io.EOF) {
		return nil, &SettingsError{settingsReason(err)}
	}
	s := &Settings{Allow: raw.Allow}
	for i, allow := range s.Allow {
		if allow.Path == "" && allow.Rule == "" {
			return nil, &SettingsError{fmt.Sprintf("entry %d of 'allow' has neither 'path' nor 'rule'", i+1)}
		}
		if allow.Rule != "" && !knownRule(allow.Rule) {
			return nil, &SettingsError{fmt.Sprintf("entry %d of 'allow': there is no rule '%s'", i+1, allow.Rule)}
		}
		if _, err := matchGlob(allow.Path, "x"); err != nil {
			return nil, &SettingsError{fmt.Sprintf("entry %d of 'allow': '%s' is no valid pattern", i+1, allow.Path)}
		}
	}
	if raw.MaxAge != "" {
		age, err := ParseAge(raw.MaxAge)
		if err != nil {
			return nil, &SettingsError{"maxAge: " + err.Error()}
		}
		s.MaxAge = age
	}
	return s, nil
}

// settingsReason says what the YAML package found, without the names of our types.
func settingsReason(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if _, detail, ok := strings.Cut(text, "unmarshal errors:"); ok {
		text = strings.TrimSpace(detail)
	}
	text, _, _ = strings.Cut(text, "\n")
	text, _, _ = strings.Cut(text, " in type ")
	text, _, _ = strings.Cut(text, " into ")
	return strings.Replace(text, " field ", " there is no setting ", 1)
}

// commandSetting returns the first top-level key that would name a command.
func commandSetting(content []byte) string {
	var keys map[string]yaml.Node
	if yaml.Unmarshal(content, &keys) != nil {
		return ""
	}
	for key := range keys {
		if strings.HasSuffix(strings.ToLower(key), "command") {
			return key
		}
	}
	return ""
}

// ParseAge reads a number of days or weeks: "90d", "12w".
func ParseAge(text string) (time.Duration, error) {
	day := 24 * time.Hour
	if text != "" {
		n, err := strconv.Atoi(text[:len(text)-1])
		if err == nil && n > 0 && n < 100_000 {
			switch text[len(text)-1] {
			case 'd':
				return time.Duration(n) * day, nil
			case 'w':
				return time.Duration(n) * 7 * day, nil
			}
		}
	}
	return 0, errors.New("an age is a number of days or weeks, such as 90d or 12w")
}

// Allows reports whether a finding of this rule in this file (from the top of
// the repository, with /) is silenced.
func (s *Settings) Allows(rule, file string) bool {
	if s == nil {
		return false
	}
	for _, allow := range s.Allow {
		if allow.Rule != "" && allow.Rule != rule {
			continue
		}
		if allow.Path == "" {
			return true
		}
		if ok, _ := matchGlob(allow.Path, file); ok {
			return true
		}
	}
	return false
}

// matchGlob matches a path against a pattern as .gitignore has it: without a /
// inside it is matched against the file's name and every folder's; else against
// the whole path, where ** stands for any number of folders. A pattern that
// matches a folder matches all in it.
func matchGlob(pattern, file string) (bool, error) {
	pattern = strings.TrimSuffix(pattern, "/")
	anywhere := !strings.Contains(pattern, "/")
	parts := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	if anywhere {
		parts = []string{"**", pattern}
	}
	for _, part := range parts {
		if _, err := path.Match(part, ""); err != nil {
			return false, err
		}
	}
	return matchParts(parts, strings.Split(file, "/")), nil
}

// matchParts reports whether pattern matches folders or a folder above.
func matchParts(pattern, folders []string) bool {
	// reach[i] says that the pattern so far matches the first i folders.
	reach := make([]bool, len(folders)+1)
	reach[0] = true
	for _, part := range pattern {
		next := make([]bool, len(folders)+1)
		for i, ok := range reach {
			if !ok {
				continue
			}
			if part == "**" {
				for j := i; j <= len(folders); j++ {
					next[j] = true
				}
				break
			}
			if i < len(folders) {
				if match, _ := path.Match(part, folders[i]); match {
					next[i+1] = true
				}
			}
		}
		reach = next
	}
	return slices.Contains(reach[1:], true)
}
