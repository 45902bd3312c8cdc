package gitutil

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/internal/trace"
)

// gitRepo is the backend that asks the git executable.
type gitRepo struct {
	layout Layout
	exe    string
	dir    string // where git runs: the top of the work tree, or the git dir
	env    []string
	getenv func(string) string

	mu     sync.Mutex
	config *gitConfig // read once, forgotten by SetConfig
	idle   *catFile   // what the last visit left, for the next
	closed bool
}

func newGitRepo(layout Layout, exe string, opt Options) (Repository, error) {
	g := &gitRepo{layout: layout, exe: exe, dir: layout.Top, getenv: opt.Getenv}
	if g.dir == "" {
		g.dir = layout.GitDir
	}
	g.env = childEnv(opt.Environ, layout)
	if layout.Top != "" && opt.Getenv("GIT_DIR") == "" {
		// With core.worktree nothing at the top need lead back to the repository.
		back, ok, err := gitDirAt(filepath.Join(layout.Top, ".git"), opt.Getenv)
		if err != nil || !ok || paths.Real(back) != layout.GitDir {
			g.env = append(g.env, "GIT_DIR="+layout.GitDir, "GIT_WORK_TREE="+layout.Top)
		}
	}
	return g, nil
}

func (g *gitRepo) Layout() Layout { return g.layout }

// childEnv is what git inherits. Everything stays that says which index, which
// objects and which settings the surrounding git command works with; what would
// change the form of the output, or the objects we are shown, goes.
func childEnv(environ []string, layout Layout) []string {
	env := make([]string, 0, len(environ)+8)
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "LC_ALL", "LANGUAGE", "GIT_OPTIONAL_LOCKS", "GIT_LITERAL_PATHSPECS", "GIT_NO_REPLACE_OBJECTS",
			"GIT_NO_LAZY_FETCH", "GIT_ALLOW_PROTOCOL", "GIT_TERMINAL_PROMPT", "GIT_GRAFT_FILE":
			continue // set below
		case "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS":
			continue // git refuses them beside literal ones
		case "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_ATTR_SOURCE", "GIT_REPLACE_REF_BASE":
			continue
		case "GIT_DIR":
			// Relative ones are meant from where we were started; git will run
			// from the top of the work tree.
			entry = "GIT_DIR=" + layout.GitDir
		case "GIT_COMMON_DIR":
			entry = "GIT_COMMON_DIR=" + layout.CommonDir
		case "GIT_WORK_TREE":
			if layout.Top != "" {
				entry = "GIT_WORK_TREE=" + layout.Top
			}
		}
		env = append(env, entry)
	}
	return append(env,
		"LC_ALL=C",
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_LITERAL_PATHSPECS=1",
		"GIT_TERMINAL_PROMPT=0",
		// What a push or a clone carries are the real objects, whatever
		// refs/replace or a graft shows in their place.
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_GRAFT_FILE="+os.DevNull,
		// A partial clone must not start to fetch under a check. Git honours the
		// first from 2.44; with older git the fetch starts and may use no protocol.
		"GIT_NO_LAZY_FETCH=1",
		"GIT_ALLOW_PROTOCOL=none",
	)
}

// command prepares a run of git. The settings on its command line keep the
// repository's own configuration from running a program through us.
func (g *gitRepo) command(ctx context.Context, args ...string) *exec.Cmd {
	fixed := []string{"--no-pager", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false",
		"-c", "advice.graftFileDeprecated=false"} // GIT_GRAFT_FILE is ours, see childEnv
	trace.Say(ctx, "git %s", brief(args))
	cmd := exec.CommandContext(ctx, g.exe, append(fixed, args...)...)
	cmd.Dir = g.dir
	cmd.Env = g.env
	return cmd
}

// brief is a command of git and its options, for the trace: paths may be named for
// anything.
func brief(args []string) string {
	for len(args) > 2 && args[0] == "-c" {
		args = args[2:]
	}
	words := args[:1:1]
	for _, arg := range args[1:] {
		if name, _, _ := strings.Cut(arg, "="); strings.HasPrefix(arg, "-") && arg != "--" {
			words = append(words, name)
		}
	}
	return strings.Join(words, " ")
}

// output runs git to its end and gives its stdout. Errors: *GitError,
// *DubiousOwnershipError, or the context's.
func (g *gitRepo) output(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	return g.outputIn(ctx, g.env, stdin, args...)
}

// outputIn is output with an environment of its own.
func (g *gitRepo) outputIn(ctx context.Context, env []string, stdin []byte, args ...string) ([]byte, error) {
	cmd := g.command(ctx, args...)
	cmd.Env = env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	if err := cmd.Run(); err != nil {
		return nil, runError(ctx, args, stderr.String(), err)
	}
	return stdout.Bytes(), nil
}

// runError turns the end of a git process into a typed error.
func runError(ctx context.Context, args []string, stderr string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for len(args) > 2 && args[0] == "-c" {
		args = args[2:]
	}
	e := &GitError{Args: args, Stderr: strings.TrimSpace(stderr), Code: -1}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		e.Code = exit.ExitCode()
	} else {
		e.Err = err
	}
	if rest, ok := cutAfter(e.Stderr, "detected dubious ownership in repository at '"); ok {
		dir, _, _ := strings.Cut(rest, "'\n")
		return &DubiousOwnershipError{Dir: strings.TrimSuffix(dir, "'"), Err: e}
	}
	// git before 2.35.3 says it this way.
	if rest, ok := cutAfter(e.Stderr, "unsafe repository ('"); ok {
		dir, _, _ := strings.Cut(rest, "' is owned by")
		return &DubiousOwnershipError{Dir: dir, Err: e}
	}
	for _, phrase := range []string{"could not fetch ", "unable to read tree ", "Could not read ", "missing blob object '"} {
		if rest, ok := cutAfter(e.Stderr, phrase); ok {
			rest = strings.TrimPrefix(rest, "(")
			if n := len(rest) - len(strings.TrimLeft(rest, "0123456789abcdef")); isObjectID(rest[:n]) {
				return &MissingObjectError{ID: rest[:n]}
			}
		}
	}
	return e
}

func cutAfter(s, sep string) (string, bool) {
	_, after, ok := strings.Cut(s, sep)
	return after, ok
}

// exitCode is git's exit status behind err, or -1.
func exitCode(err error) int {
	var e *GitError
	if errors.As(err, &e) {
		return e.Code
	}
	return -1
}
