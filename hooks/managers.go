package hooks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// ManagedError says that the hooks are somebody else's to write, and what to
// put there.
type ManagedError struct {
	Manager string // "husky", "lefthook", "pre-commit", or whose the folder is
	Snippet string
	manager *manager // whose files we can write; nil: none
}

func (e *ManagedError) Error() string { return "the hooks here belong to " + e.Manager }

// NowhereError says that git runs no hook: the folder that core.hooksPath names
// cannot be, since a file stands in the way.
type NowhereError struct {
	Dir   string
	Scope string // the configuration that names it; "" for none
}

func (e *NowhereError) Error() string {
	return fmt.Sprintf("git looks for hooks in '%s', which cannot be a folder", e.Dir)
}

// Unset is the git command that takes the setting away; "" where none does.
func (e *NowhereError) Unset() string {
	switch e.Scope {
	case "local":
		return "git config --unset core.hooksPath"
	case "worktree", "global", "system":
		return "git config --" + e.Scope + " --unset core.hooksPath"
	}
	return ""
}

// maxSettings bounds what is read of a manager's settings, in bytes.
const maxSettings = 1 << 20

// otherCalls reports whether somebody else's hook, which git runs, comes to call
// ours: by its own text, or by what its manager's settings say.
func (in *Installer) otherCalls(dir, name, hook string) call {
	own := callsOurs(hook, name, false)
	top := in.Repo.Layout().Top
	if own != callNone || in.Server || top == "" {
		return own
	}
	switch {
	case paths.Within(filepath.Join(top, ".husky", "_"), dir):
		return huskyCalls(top, name)
	case strings.Contains(hook, "lefthook"):
		return lefthookCalls(top, name)
	case strings.Contains(hook, preCommitMark):
		return preCommitCalls(top, name, hook)
	}
	return callNone
}

// configCalls reports whether git's configuration has it call ours at a hook.
func (in *Installer) configCalls(ctx context.Context, name string) (best call, err error) {
	commands, err := in.Repo.HookCommands(ctx, name)
	for _, command := range commands {
		best = max(best, callsOurs(command, name, false))
	}
	return best, err
}

// Foreign says why the hooks are not ours to write: *NowhereError where there
// can be none, *ManagedError where another tool, the project or everybody owns
// the folder that git runs them from. husky and lefthook own it from the moment
// that their settings are in the repository: their own install, which runs with
// the project's, would push our hooks aside in silence.
func (in *Installer) Foreign(dir gitutil.HooksDir) error {
	if !canBeFolder(dir.Path) {
		return &NowhereError{dir.Path, dir.Scope}
	}
	layout := in.Repo.Layout()
	top := layout.Top
	switch {
	case dir.Shared:
		return &ManagedError{fmt.Sprintf("every repository that shares the folder '%s'", dir.Path), filesSnippet(dir.Path, in.names()), nil}
	case in.Server || top == "":
		return nil
	case paths.Within(filepath.Join(top, ".husky"), dir.Path) || paths.There(filepath.Join(top, ".husky")):
		return in.managedBy(husky())
	case hasLefthook(top) || hookSays(dir.Path, "call_lefthook"):
		return in.managedBy(lefthook())
	case hookSays(dir.Path, preCommitMark) || in.Write && paths.There(filepath.Join(top, preCommitSettings)):
		return in.managedBy(preCommit())
	}

	// A folder of the work tree is the project's, for everybody: what we write
	// holds a path of this machine.
	real := paths.Real(dir.Path)
	folder, ok := paths.Below(top, real)
	if ok && !paths.Within(layout.GitDir, real) && !paths.Within(layout.CommonDir, real) {
		return &ManagedError{fmt.Sprintf("the project, which keeps them in '%s'", folder), filesSnippet(folder, in.names()), nil}
	}
	return nil
}

// managedBy is the error that says whose the hooks are, and how it comes to run ours.
func (in *Installer) managedBy(m *manager) error {
	return &ManagedError{m.name, m.snippet(in.names()), m}
}

// names are the hooks that are to be there.
func (in *Installer) names() []string {
	if in.NoNotes {
		return Names(in.Server)
	}
	return All(in.Server)
}

// canBeFolder reports whether a path is a folder, or can become one.
func canBeFolder(path string) bool {
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err == nil {
			return info.IsDir()
		}
		if filepath.Dir(path) == path {
			return false
		}
	}
}

// hookSays reports whether a hook in dir that we would replace has this text.
func hookSays(dir, text string) bool {
	for _, name := range All(false) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && !IsOurs(content) && strings.Contains(string(content), text) {
			return true
		}
	}
	return false
}

// filesSnippet is what belongs into the hooks of a folder.
func filesSnippet(folder string, names []string) string {
	text := fmt.Sprintf("add a line to the files in %s (one that you make begins with #!/bin/sh, and can be executed):\n", folder)
	for _, name := range names {
		text += fmt.Sprintf("\n    %s/%s:\n        %s \"$@\" || exit $?\n", folder, name, command(name))
	}
	return text
}
