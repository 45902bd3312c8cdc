package formation

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/wildmatch"
)

// SettingsFile holds a team's settings, at the top of a repository. It comes
// with whatever is cloned, so nothing in it may ever name a command to run.
const SettingsFile = ".muxi-secrets.yaml"

// MaxSettings bounds a SettingsFile, in bytes.
const MaxSettings = 1 << 20

// Settings are what a SettingsFile says. The zero value is what an absent one
// says.
type Settings struct {
	Allow   []Allow
	Formats []TokenFormat
	MaxAge  time.Duration // 0: values do not become due
}

// Allow silences findings: those in files that Path excludes, of the rule Rule,
// with this Fingerprint; what is set must all match. Path is a line of a
// .gitignore at the top of the repository (gitignore(5)).
type Allow struct {
	Path        string `yaml:"path"`
	Rule        string `yaml:"rule"`
	Fingerprint string `yaml:"fingerprint"` // 32 hex digits

	pattern *wildmatch.Pattern // of Path; nil for none
}

// TokenFormat is how a team's own tokens look: what they begin with, and how many
// characters (letters, digits, _ and -) follow it at least.
type TokenFormat struct {
	Prefix string `yaml:"prefix"`
	Min    int    `yaml:"min"`
}

// What a TokenFormat must have: below that, words of everyday text would be
// taken for tokens.
const (
	minTokenPrefix = 3
	minTokenBody   = 8
	maxToken       = 4096
)

// check says what is wrong with a format; "" for nothing.
func (f TokenFormat) check() string {
	for i := 0; i < len(f.Prefix); i++ {
		if c := f.Prefix[i]; c <= ' ' || c > '~' {
			return "'prefix' may have letters, digits and signs of ASCII"
		}
	}
	switch {
	case len(f.Prefix) < minTokenPrefix || len(f.Prefix) > maxToken:
		return fmt.Sprintf("'prefix' needs %d characters at least", minTokenPrefix)
	case f.Min < minTokenBody || f.Min > maxToken:
		return fmt.Sprintf("'min', the number of characters behind the prefix, is between %d and %d", minTokenBody, maxToken)
	}
	return ""
}

// SettingsError says what is wrong in a SettingsFile, and how it is written where
// another shape than that was found: Example is YAML, "" for none.
type SettingsError struct{ Reason, Example string }

func (e *SettingsError) Error() string { return e.Reason }

// ParseSettings reads a SettingsFile. knownRule says which rules there are: a
// misspelt one would silence nothing, and nobody would notice.
func ParseSettings(content []byte, knownRule func(string) bool) (*Settings, error) {
	var raw struct {
		Allow   []Allow       `yaml:"allow"`
		Formats []TokenFormat `yaml:"formats"`
		MaxAge  string        `yaml:"maxAge"`
	}

	if len(content) > MaxSettings {
		return nil, &SettingsError{Reason: "it is too long"}
	}
	if name := commandSetting(content); name != "" {
		return nil, &SettingsError{Reason: fmt.Sprintf("the %s names a command, and a file that comes with a clone can never do that; it belongs in git config", named("setting", name))}
	}

	err := decodeYAML(content, func(decoder *yaml.Decoder) error {
		decoder.KnownFields(true)
		return decoder.Decode(&raw)
	})

	if err != nil {
		return nil, wrongShape(content, settingsReason(err))
	}

	s := &Settings{Allow: raw.Allow, Formats: raw.Formats}
	for i := range s.Allow {
		if reason := s.Allow[i].prepare(knownRule); reason != "" {
			return nil, &SettingsError{fmt.Sprintf("entry %d of 'allow'%s", i+1, reason), exampleAllow}
		}
	}

	for i, format := range s.Formats {
		if reason := format.check(); reason != "" {
			return nil, &SettingsError{fmt.Sprintf("entry %d of 'formats': %s", i+1, reason), exampleFormats}
		}
	}

	if raw.MaxAge != "" {
		age, err := ParseAge(raw.MaxAge)
		if err != nil {
			return nil, &SettingsError{"maxAge: " + err.Error(), exampleMaxAge}
		}
		s.MaxAge = age
	}

	return s, nil
}

// prepare checks an entry and gets it ready to match; it returns what is wrong
// with it, "" for nothing.
func (a *Allow) prepare(knownRule func(string) bool) string {
	switch {
	case a.Path == "" && a.Rule == "" && a.Fingerprint == "":
		return " has neither 'path' nor 'rule' nor 'fingerprint'"
	case a.Rule != "" && !knownRule(a.Rule):
		return ": there is no " + named("rule", a.Rule)
	}

	if a.Fingerprint != "" {
		a.Fingerprint = strings.ToLower(a.Fingerprint)
		if raw, err := hex.DecodeString(a.Fingerprint); err != nil || len(raw) != 16 {
			return ": a fingerprint is the 32 hex digits that 'check --json' prints"
		}
	}

	if a.Path == "" {
		return ""
	}
	pattern, ok := wildmatch.Line(a.Path, "", false)
	if !ok || !pattern.Possible() || strings.Contains(a.Path, "\n") {
		return ": its 'path' is no pattern of .gitignore that matches anything"
	}
	a.pattern = &pattern
	return ""
}

const (
	exampleAllow   = "allow:\n- path: c.yml\n"
	exampleFormats = "formats:\n- prefix: acme_\n  min: 20\n"
	exampleMaxAge  = "maxAge: 90d\n"
)

// wrongShape says of what the YAML package could not read as settings which of them
// is written otherwise.
func wrongShape(content []byte, reason string) *SettingsError {
	at, detail, _ := strings.Cut(reason, ": ")
	if !strings.HasPrefix(detail, "cannot unmarshal") {
		return &SettingsError{reason, exampleAllow + exampleFormats + exampleMaxAge}
	}
	var written map[string]yaml.Node
	if DecodeYAML(content, &written) == nil {
		for _, setting := range [...]struct {
			name, is, example string
			into              any
		}{
			{"allow", "a list, and each entry has a 'path', a 'rule' or a 'fingerprint'", exampleAllow, new([]Allow)},
			{"formats", "a list, and each entry has a 'prefix' and a 'min'", exampleFormats, new([]TokenFormat)},
			{"maxAge", "a number of days or weeks", exampleMaxAge, new(string)},
		} {
			if node, there := written[setting.name]; there && node.Decode(setting.into) != nil {
				return &SettingsError{fmt.Sprintf("%s: '%s' is %s", at, setting.name, setting.is), setting.example}
			}
		}
	}
	return &SettingsError{at + ": a setting is a name with what it is set to", exampleAllow + exampleFormats + exampleMaxAge}
}

// settingsReason says what the YAML package found, without the names of our types.
func settingsReason(err error) string {
	text := err.Error()
	if _, detail, ok := strings.Cut(text, "unmarshal errors:"); ok {
		text = strings.TrimSpace(detail)
	}
	text, _, _ = strings.Cut(text, "\n")
	text, _, _ = strings.Cut(text, " in type ")
	text, _, _ = strings.Cut(text, " into ")
	if at, field, ok := strings.Cut(text, " field "); ok {
		return at + " there is no " + named("setting", strings.TrimSuffix(field, " not found"))
	}
	return text
}

// named is the kind of thing that a word should name, with the word where it is
// one: anything else may be a value that went astray.
func named(kind, word string) string {
	letter := func(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' || r == '-' || r == '_' }
	if word == "" || len(word) > 24 || strings.TrimFunc(word, letter) != "" {
		return "such " + kind
	}
	return kind + " '" + word + "'"
}

// commandSetting returns the first top-level key that would name a command.
func commandSetting(content []byte) string {
	var keys map[string]yaml.Node
	if DecodeYAML(content, &keys) != nil {
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

// Allows reports whether a finding of this rule and fingerprint in this file (from
// the top of the repository, with /) is silenced. The entries are read like the lines of a
// .gitignore: the last one that speaks of the file, or of a folder around it,
// decides.
func (s *Settings) Allows(rule, file, fingerprint string) bool {
	if s == nil {
		return false
	}
	return wildmatch.Excluded(file, false, func(path string, isDir bool) bool {
		for _, allow := range slices.Backward(s.Allow) {
			switch {
			case allow.Rule != "" && allow.Rule != rule, allow.Fingerprint != "" && allow.Fingerprint != fingerprint:
			case allow.pattern == nil && !isDir:
				return true
			case allow.pattern != nil && allow.pattern.Match(path, isDir):
				return !allow.pattern.Negated
			}
		}
		return false
	})
}
