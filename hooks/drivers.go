package hooks

import (
	"context"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// Setting is one line of git's configuration.
type Setting struct{ Key, Value string }

// driver is the shell command of a driver, to which git adds what it is about.
// Where the program is not found, otherwise is done.
func driver(program, call, otherwise string) string {
	return "muxi() { " + findProgram(program, "; ") + "; if " + programFound + `; then "$program" "$@"; else ` + otherwise + "; fi; }; muxi " + call
}

// Without the program a diff shows the bytes as they are, and a merge is left to
// whoever has it: no command of git's fails for that.
const (
	showAsItIs = `shift 2; cat -- "$@"`
	noMerge    = `echo "git muxi-secrets: error: git-muxi-secrets, which merges this file, is not on PATH" >&2; false`
)

// A driver that failed, or was killed, has left its file as it was. From 2.42 on git
// gives the whole merge up for that (a code above 128), and nothing is left for
// 'resolve' to settle. A conflict is what it is to every git.
const failedIsConflict = " || exit 1"

// Drivers are the settings behind those attributes, with the path of this program.
// They are in no repository that is cloned: git takes commands from its
// configuration alone.
//
// cachetextconv is not among them, and must never be: git would keep what it
// shows of a vault in refs/notes.
func Drivers(program string) []Setting {
	merge := func(call string) string {
		// Git expands what begins with % (gitattributes(5)).
		return driver(strings.ReplaceAll(program, "%", "%%"), call+" %O %A %B %L -- %P"+failedIsConflict, noMerge)
	}
	return []Setting{
		{"diff.muxi-secrets.textconv", driver(program, "textconv --", showAsItIs)},
		{"merge.muxi-secrets.name", "secrets by name"},
		{"merge.muxi-secrets.driver", merge("merge-vault")},
		{"merge.muxi-secrets-template.name", "names of secrets"},
		{"merge.muxi-secrets-template.driver", merge("merge-template")},
		{"merge.muxi-secrets-people.name", "people who share a key"},
		{"merge.muxi-secrets-people.driver", merge("merge-people")},
	}
}

// LookAtDrivers tells how the drivers stand in git's configuration: Outdated where
// one is of another version, or of a program that went away. A clone that had them
// written by this program is recognised without asking git.
func LookAtDrivers(ctx context.Context, layout gitutil.Layout, repo func() (gitutil.Repository, error)) (State, error) {
	own := gitutil.OwnConfig(layout)
	state, err := driversState(func(key string) (string, error) { return own[key], nil })
	if state == Installed || err != nil {
		return state, err
	}
	r, err := repo()
	if err != nil || r == nil {
		return state, err
	}
	return driversState(func(key string) (string, error) {
		value, _, err := r.Config(ctx, key)
		return value, err
	})
}

func driversState(config func(key string) (string, error)) (State, error) {
	state := Installed
	for i, setting := range Drivers("") {
		if strings.HasSuffix(setting.Key, ".name") {
			continue
		}
		have, err := config(setting.Key)
		if err != nil {
			return "", err
		}
		if have == "" {
			return Missing, nil
		}
		program, ok := programIn(have, "; if ")
		if program = strings.ReplaceAll(program, "%%", "%"); !ok || have != Drivers(program)[i].Value || !paths.There(program) {
			state = Outdated
		}
	}
	return state, nil
}

// SetDrivers writes the drivers to the clone's own configuration.
func SetDrivers(ctx context.Context, repo gitutil.Writer, program string) error {
	for _, set := range Drivers(program) {
		if err := repo.SetConfig(ctx, set.Key, set.Value); err != nil {
			return err
		}
	}
	return nil
}
