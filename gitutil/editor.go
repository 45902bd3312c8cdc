package gitutil

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
)

// NoEditorError says that no editor is chosen, and that the terminal is none that vi
// could work on.
type NoEditorError struct{}

func (*NoEditorError) Error() string { return "the terminal is dumb, and no editor is chosen" }

// Editor is the editor that git would start in dir, as a command line for a shell:
// git-var(1)'s GIT_EDITOR. Where there is no git, the same but for git's settings.
// environ is what git inherits; nil: the process's own. Errors: *NoEditorError,
// *GitError, the context's.
func Editor(ctx context.Context, dir string, getenv func(string) string, environ []string) (string, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return editorWithoutGit(getenv)
	}
	cmd := exec.CommandContext(ctx, git, "var", "GIT_EDITOR")
	cmd.Dir, cmd.Env = dir, environ
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return strings.TrimSuffix(string(out), "\n"), nil
	case strings.Contains(strings.ToLower(stderr.String()), "dumb"),
		exited && exit.ExitCode() == 1 && stderr.Len() == 0: // newer ones say it by the code alone
		return "", &NoEditorError{}
	}
	return "", runError(ctx, []string{"var", "GIT_EDITOR"}, stderr.String(), err)
}

func editorWithoutGit(getenv func(string) string) (string, error) {
	dumb := getenv("TERM") == "" || getenv("TERM") == "dumb"
	for _, name := range []string{"GIT_EDITOR", "VISUAL", "EDITOR"} {
		if editor := getenv(name); editor != "" && (name != "VISUAL" || !dumb) {
			return editor, nil
		}
	}
	if dumb {
		return "", &NoEditorError{}
	}
	return "vi", nil
}
