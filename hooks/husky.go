package hooks

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// shebang is the first line of a hook that we make.
const shebang = "#!/bin/sh\n"

func husky() *manager {
	return &manager{"husky", "npx husky", func(names []string) string {
		return filesSnippet(".husky", names) + "\nthen run, in each work tree: npx husky\n"
	}, planHusky}
}

// huskyCalls tells what the file that husky has for a hook, and runs by 'sh -e',
// does with ours.
func huskyCalls(top, name string) call {
	content, err := safefile.Read(filepath.Join(top, ".husky", name), maxSettings)
	if err != nil {
		return callNone
	}
	return callsOurs(string(content), name, true)
}

// planHusky has the files of .husky call ours first: whatever follows may end the
// script, or change what is staged with work set aside. A file that is made runs as
// git's own hook, too, which husky 8 has them be.
func planHusky(top string, names []string) ([]*Change, error) {
	var changes []*Change
	for _, name := range names {
		if huskyCalls(top, name) == callHeard {
			continue
		}
		path := filepath.Join(top, ".husky", name)
		content, err := readPlain(path)
		if errors.Is(err, fs.ErrNotExist) {
			made := insert([]byte(shebang), []insertion{{at: len(shebang), lines: huskyLines(name, false)}}, markNewFile)
			changes = append(changes, &Change{Path: path, After: made, mode: 0o755})
			continue
		}
		unsafe := func(reason string) error { return &UnsafeError{path, reason, filesSnippet(".husky", names)} }
		if err != nil {
			return nil, unsafe(err.Error())
		}
		if bytes.Contains(content, []byte("\r\n")) {
			return nil, unsafe("has line ends of Windows, which the shell takes for text")
		}
		at := huskyPlace(content)
		after := insert(content, []insertion{{at: at, lines: huskyLines(name, len(bytes.TrimSpace(content[at:])) > 0)}}, "")
		if callsOurs(string(after), name, true) != callHeard {
			return nil, unsafe("would not run it")
		}
		changes = append(changes, &Change{Path: path, Before: content, After: after, mode: 0o755})
	}
	return changes, nil
}

// huskyLines call a hook of ours. What git says on standard input is given to what
// follows, too.
func huskyLines(name string, more bool) []string {
	if !readsInput(name) || !more {
		return []string{command(name) + ` "$@" || exit $?`}
	}
	return []string{
		`refs=$(cat)`,
		`printf '%s' "$refs" | ` + command(name) + ` "$@" || exit $?`,
		`[ -z "$refs" ] || exec <<REFS`,
		`$refs`,
		`REFS`,
	}
}

// huskyPlace is where they belong: behind the first line, and behind the one by
// which husky 8 runs the script again.
func huskyPlace(content []byte) int {
	at := 0
	for i, line := range splitLines(content) {
		text := strings.TrimSpace(line)
		first := i == 0 && strings.HasPrefix(text, "#!")
		if first || strings.HasSuffix(strings.Trim(text, `"'`), "/husky.sh") && (strings.HasPrefix(text, ". ") || strings.HasPrefix(text, "source ")) {
			at = offsetOfLine(content, i+2)
		}
	}
	return at
}
