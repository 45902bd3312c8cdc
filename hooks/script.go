package hooks

import (
	"bytes"
	"slices"
	"strconv"
)

// The hooks that a clone gets: those that stop git, and those that only tell
// something. And those of a server.
var (
	names       = [...]string{"pre-commit", "pre-merge-commit", "commit-msg", "pre-push"}
	notes       = [...]string{"post-merge"}
	serverNames = [...]string{"pre-receive"}
)

// All are the hooks that are installed, the notes last.
func All(server bool) []string {
	if server {
		return serverNames[:]
	}
	return slices.Concat(names[:], notes[:])
}

func isNote(name string) bool { return slices.Contains(notes[:], name) }

// Names returns the hooks that stop git in a clone, or on a server.
func Names(server bool) []string {
	if server {
		return serverNames[:]
	}
	return names[:]
}

// idLine is the second line of every hook of ours, in every version: it is how
// one is told from a hook that a person or another tool wrote.
const idLine = "# git-muxi-secrets hook "

// scriptVersion counts up when the text of a hook changes.
const scriptVersion = "v2"

// newer reports whether a hook of ours is of a later version than this program's.
func newer(content []byte) bool {
	_, rest, _ := bytes.Cut(content, []byte(idLine+"v"))
	theirs, _, _ := bytes.Cut(rest, []byte(":"))
	n, err := strconv.Atoi(string(theirs))
	own, _ := strconv.Atoi(scriptVersion[1:])
	return err == nil && n > own
}

// keptSuffix is put behind the name of a hook that was there before ours. It
// runs first; uninstalling gives it its name back.
const keptSuffix = ".before-muxi-secrets"

// IsOurs reports whether a hook file is one of ours, of any version.
func IsOurs(content []byte) bool {
	lines := bytes.SplitN(content, []byte("\n"), 3)
	return len(lines) > 1 && bytes.HasPrefix(lines[1], []byte(idLine))
}

// readsInput tells the hooks that git feeds on standard input.
func readsInput(name string) bool { return name == "pre-push" || name == "pre-receive" }

// Script is the text of a hook. It runs the hook that was there before, then
// git-muxi-secrets: the one on PATH, else the one that installed it (a graphical
// client often has a shorter PATH). Without any it stops git: a check that is
// silently gone would be worse than none.
func Script(name, program string) string {
	head := "#!/bin/sh\n" + idLine + scriptVersion + ": " + name + `
# Made by 'git muxi-secrets hooks install'; 'git muxi-secrets hooks uninstall'
# takes it away and puts back what was here before. Edits are lost.
kept="${0%/*}/` + name + keptSuffix + `"
`
	if isNote(name) {
		return head + noteScript(name, program)
	}

	run := `    "$kept" "$@" || exit $?`
	check := `exec "$program" hook-run ` + name + ` "$@"`
	input := ""
	if readsInput(name) {
		// Both read all of what git says: it is kept, to the byte, in a variable.
		input = "input=$(cat; printf x)\ninput=${input%x}\n"
		run = `    printf '%s' "$input" | "$kept" "$@" || exit $?`
		check = `printf '%s' "$input" | "$program" hook-run ` + name + ` "$@"`
	}
	skip := ""
	if hint := SkipHint(name); hint != "" {
		skip = `        echo "git muxi-secrets: hint: skip the check this once: ` + hint + `"` + "\n"
	}
	return head + input + `if [ -x "$kept" ]; then
` + run + `
fi
` + findProgram(program, "\n") + `
if ! ` + programFound + `; then
    # For a shell, from whatever folder.
    name() {
        case $1 in /*|?:*) file=$1 ;; *) file=$PWD/$1 ;; esac
        printf %s "$file" | sed "s/'/'\\\\''/g"
    }
    {
        echo "git muxi-secrets: error: this repository's ` + name + ` hook needs git-muxi-secrets, which is not on PATH"
        echo "git muxi-secrets: hint: install it: go install github.com/muxi-ai/git-muxi-secrets@latest"
        if [ -e "$kept" ]; then
            echo "git muxi-secrets: hint: remove the hook, and put back the one before it: mv '$(name "$kept")' '$(name "$0")'"
        else
            echo "git muxi-secrets: hint: remove the hook: rm '$(name "$0")'"
        fi
` + skip + `    } >&2
    exit 1
fi
` + check + "\n"
}

// noteScript is the rest of a hook that only tells something. The one that was
// there before has the say, and where the program is gone nothing is said.
func noteScript(name, program string) string {
	return `answer=0
if [ -x "$kept" ]; then
    "$kept" "$@" || answer=$?
fi
` + findProgram(program, "\n") + `
if ! ` + programFound + `; then
    exit $answer
fi
"$program" hook-run ` + name + ` "$@"
exit $answer
`
}

// SkipHint says how to leave a hook out once; a server's cannot be.
func SkipHint(name string) string {
	switch name {
	case "pre-receive", "post-merge":
		return ""
	case "pre-push":
		return "git push --no-verify"
	case "pre-merge-commit":
		return "git merge --no-verify"
	}
	return "git commit --no-verify"
}

// command is the line that does a hook's work, for other hook managers.
func command(name string) string { return "git muxi-secrets hook-run " + name }
