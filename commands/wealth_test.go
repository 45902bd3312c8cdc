//go:build unix

package commands_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// wealth is every value that can be had from what lies in a folder, by its name:
// each sealed file is tried with each key that a file is. What is typed into a
// template counts under its name, too.
type wealth map[string]map[string]bool

func wealthOf(t testing.TB, top string) wealth {
	t.Helper()
	var keys []*crypto.Key
	var sealed [][]byte
	have := wealth{}
	note := func(name, value string) {
		if value == "" {
			return
		}
		if have[name] == nil {
			have[name] = map[string]bool{}
		}
		have[name][value] = true
	}

	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || strings.Contains(path, "/.git/objects/") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil || len(content) > 1<<20 {
			return nil
		}
		switch key, err := crypto.ParseKey(content); {
		case err == nil:
			keys = append(keys, key)
		case entry.Name() == formation.TemplateFile:
			for line := range strings.Lines(string(content)) {
				if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
					note(name, value)
				}
			}
		default:
			if _, err := crypto.Detect(content); err == nil {
				sealed = append(sealed, content)
			}
		}
		return nil
	})
	must(t, err)
	for _, content := range sealed {
		for _, key := range keys {
			if vault, _, err := formation.OpenSealed(content, key); err == nil {
				for name, value := range plain(vault) {
					note(name, value)
				}
			}
		}
	}
	return have
}

// lacks are the names of which a value is missing that there was before.
func (w wealth) lacks(before wealth) (names []string) {
	for name, values := range before {
		for value := range values {
			if !w[name][value] {
				names = append(names, name)
				break
			}
		}
	}
	return slices.Sorted(slices.Values(names))
}

// loses reports the names of which no value is left, or of which one is gone though
// the command was not asked for another.
func loses(call string, before, after wealth) []string {
	words := " " + call + " "
	if strings.Contains(words, " delete ") || strings.Contains(words, " --prune ") {
		return nil // that is what they are for
	}
	gone := after.lacks(before)
	if strings.Contains(words, " add ") {
		gone = slices.DeleteFunc(gone, func(name string) bool { return len(after[name]) > 0 })
	}
	return gone
}
