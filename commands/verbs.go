package commands

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// unknownCommand does not repeat a word that may be a value gone astray.
func unknownCommand(known []*cli.Command, prefix, word string) error {
	see := "see '%s -h'"
	if !plainWord(word) {
		return usage("unknown command (not repeated here, since it may hold a value)").hint(see, prefix)
	}
	if prefix == program && (word == "run" || word == "exec") {
		return noRun(word)
	}
	e := usage("unknown command '%s'", word)
	if near := meant(known, prefix, word); near != "" {
		return e.hint("did you mean '%s %s'?", prefix, near)
	}
	return e.hint(see, prefix)
}

// noRun says why there is no command that other tools have, and what to do instead.
func noRun(word string) error {
	return usage("there is no '%s': it would put values into a process's environment, which crash reports and children get to see, and MUXI's runtime opens secrets.enc by itself", word).
		hint("start the formation as always: its .key beside secrets.enc is all that the runtime needs").
		hint("another program can read one value from a pipe: '%s get NAME | PROGRAM'", program)
}

// meanings are the words by which people of other tools call a command.
var meanings = [...]struct{ command, words string }{
	{"add", "new create put insert store update change save write value secret upsert"},
	{"get", "view cat reveal print read fetch reveal-secret value-of"},
	{"list", "names secrets all"},
	{"delete", "del unset destroy erase drop"},
	{"rename", "move"},
	{"restore", "rollback undo revert recover"},
	{"edit", "vi vim nano modify"},
	{"export", "decrypt dump download print-env printenv dotenv env"},
	{"import", "encrypt load upload ingest"},
	{"extract", "migrate move-out"},
	{"scrub", "clean purge rewrite filter-repo"},
	{"check", "lint audit detect verify validate protect test"},
	{"status", "info state"},
	{"doctor", "fix diagnose debug"},
	{"log", "history blame"},
	{"sync", "template regenerate"},
	{"render", "interpolate fill show-config"},
	{"setup", "fill-in configure ask"},
	{"init", "keygen start setup-repo"},
	{"rotate", "rekey re-key reencrypt renew"},
	{"unlock", "open login auth"},
	{"lock", "close logout"},
	{"resolve", "merge mergetool settle"},
	{"copy", "duplicate clone"},
	{"share add", "grant invite allow add-recipient adduser add-user add-gpg-user addrecipient trust"},
	{"share remove", "revoke kick deny remove-recipient removeuser rmuser"},
	{"share list", "people recipients users who"},
	{"share wrap", "updatekeys wrap rewrap"},
	{"key pull", "pull"},
	{"key push", "push"},
	{"hooks install", "install enable"},
	{"hooks uninstall", "uninstall disable"},
	{"add", "add grant"}, // within share
	{"remove", "rm del delete revoke kick"},
	{"list", "ls show"},
	{"export", "show"},
	{"import", "add set receive"},
}

// meant is the command, of those that are known, which a word most likely means: by
// what other tools call it, else by its letters. "" for none. A slip in another
// tool's word leads to what that word means.
func meant(known []*cli.Command, prefix, word string) string {
	var names, words []string
	means := map[string]string{} // by word
	for _, c := range known {
		if c.Hidden {
			continue
		}
		names = append(names, c.Name)
		for _, alias := range c.Aliases {
			words, means[alias] = append(words, alias), c.Name
		}
	}
	for _, m := range meanings {
		first, _, _ := strings.Cut(m.command, " ")
		if command := commandNamed(known, first); command == nil || command.Hidden {
			continue
		}
		for w := range strings.FieldsSeq(m.words) {
			if means[w] == "" {
				words, means[w] = append(words, w), m.command
			}
		}
	}

	near := nearest(word, names)
	if near != "" && distance(word, near) == 1 {
		return near // a slip of one letter is no word of another tool
	}
	if means[word] != "" {
		return means[word]
	}
	if other := nearest(word, words); len(word) > 3 && other != "" && distance(word, other) == 1 {
		return means[other]
	}
	return near
}

// nearest returns the candidate a mistyped word most likely meant, or "".
func nearest(word string, candidates []string) string {
	best, bestAt := "", 3
	for _, candidate := range candidates {
		if d := distance(word, candidate); d < bestAt && d < len(candidate) {
			best, bestAt = candidate, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes, with two neighbours that changed
// places as one slip.
func distance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, next[j]+1, row[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
