package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// editor is a program that a person edits files with.
type editor struct {
	line   string // for a shell
	name   string // of the program: vim, nano, code
	habits habits
}

// habits are what we know of an editor.
type habits struct {
	// quiet are arguments that have it leave no copy of a file elsewhere, and run
	// nothing that the file says.
	quiet []string
	// variable is one that does the same, with %s for the file's folder.
	variable string
	// terminal says that it needs one, unless its arguments say otherwise.
	terminal bool
	// wait is the argument without which it returns at once.
	wait string
	// keeps is what it keeps all the same, for a hint.
	keeps string
}

// vimQuiet is for Vim and Neovim, after the person's own settings: each by itself,
// since a small Vim does not know all of them.
const vimQuiet = "silent! set nobackup | silent! set nowritebackup | silent! set noundofile | silent! setlocal noundofile | silent! setlocal noswapfile"

var (
	vimHabits   = habits{quiet: []string{"-n", "-i", "NONE", "--cmd", "set nomodeline", "-c", vimQuiet}, terminal: true}
	emacsHabits = habits{quiet: []string{"--eval", "(setq make-backup-files nil auto-save-default nil create-lockfiles nil enable-local-variables nil undo-tree-auto-save-history nil)"}}
	codeHabits  = habits{wait: "--wait", keeps: `it keeps a history of files of its own: '"workbench.localHistory.exclude": {"**/git-muxi-secrets*/**": true}' in its settings leaves these out`}
)

// habitsOf are what we know of a program by its name.
func habitsOf(name string) habits {
	switch name {
	case "vim", "nvim", "gvim", "mvim", "vim.basic", "vim.tiny", "vim.nox", "vim.gtk3", "vim.athena":
		return vimHabits
	case "nvi":
		return habits{variable: "NEXINIT=set recdir=%[1]s directory=%[1]s", terminal: true}
	case "vi", "busybox":
		return habits{terminal: true}
	case "nano", "rnano":
		return habits{quiet: []string{"--ignorercfiles"}, terminal: true}
	case "emacs", "emacs-nox", "emacs-gtk", "emacs-lucid", "emacs-pgtk":
		return emacsHabits
	case "emacsclient":
		return habits{keeps: "the Emacs that runs decides about backups and auto-saves"}
	case "code", "code-insiders", "codium", "cursor", "windsurf":
		return codeHabits
	case "subl", "zed", "mate", "atom":
		return habits{wait: "--wait"}
	}
	return habits{}
}

// chosenEditor is the editor that git would start for a formation.
func (s *session) chosenEditor(ctx context.Context, dir string) (*editor, error) {
	line, err := gitutil.Editor(ctx, dir, s.Getenv, s.environ())
	if dumb := (*gitutil.NoEditorError)(nil); errors.As(err, &dumb) {
		return nil, usage("%v", err).hint("choose one: 'git config --global core.editor nano'")
	}
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(line) == "" {
		line = "vi" // a variable that is set to nothing
	}
	e := &editor{line: line, name: programName(firstWord(line))}
	if path, err := exec.LookPath(firstWord(line)); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil && slices.Contains([]string{"vi", "editor", "sensible-editor"}, e.name) {
			e.name = programName(real) // vi is Vim, as a rule
		}
	}
	e.habits = habitsOf(e.name)
	if e.habits.terminal && len(strings.Fields(line)) == 1 {
		terminal, err := s.openTerminal("edit in a terminal, or change secrets one by one: '%s add NAME --stdin'", s.again())
		if err != nil {
			return nil, err
		}
		terminal.Close()
	}
	return e, nil
}

// environ is what a program that we start inherits; nil: all of ours.
func (s *session) environ() []string {
	if s.Environ == nil {
		return nil
	}
	return s.Environ()
}

// firstWord is the program that a shell's command line starts; it may be in quotes.
func firstWord(line string) string {
	line = strings.TrimSpace(line)
	for {
		word, rest, more := strings.Cut(line, " ")
		if name, _, assigns := strings.Cut(word, "="); !assigns || !more || strings.ContainsAny(name, `/'"`) {
			break
		}
		line = strings.TrimSpace(rest) // NAME=VALUE in front
	}
	if line != "" && (line[0] == '"' || line[0] == '\'') {
		word, _, _ := strings.Cut(line[1:], line[:1])
		return word
	}
	word, _, _ := strings.Cut(line, " ")
	return word
}

// programName is the name of a program, without its folder.
func programName(path string) string {
	name := filepath.Base(filepath.FromSlash(path))
	return strings.TrimSuffix(strings.ToLower(name), ".exe")
}

// command starts the editor on a file: by itself where its line is plain words, by a
// shell as git does else.
func (e *editor) command(ctx context.Context, file string) *exec.Cmd {
	arguments := append(slices.Clone(e.habits.quiet), file)
	words := strings.Fields(e.line)
	if strings.ContainsAny(e.line, "|&;<>()$`\\\"'*?[#~=%") {
		if shell, err := exec.LookPath("sh"); err == nil {
			words = append([]string{shell, "-c", e.line + ` "$@"`, e.line}, arguments...)
			return exec.CommandContext(ctx, words[0], words[1:]...)
		}
	}
	words = append(words, arguments...)
	return exec.CommandContext(ctx, words[0], words[1:]...)
}

// edit has a person edit a file, and returns when they are done.
func (s *session) runEditor(ctx context.Context, e *editor, file string) error {
	if e.line == ":" {
		return nil // as git has it: no editor at all
	}
	cmd := e.command(ctx, file)
	cmd.Dir, cmd.Env = s.Dir, s.environ()
	if e.habits.variable != "" {
		folder := strings.ReplaceAll(filepath.Dir(file), " ", `\ `)
		cmd.Env = append(cmd.Environ(), fmt.Sprintf(e.habits.variable, folder))
	}
	// The streams themselves, since it asks whether they are terminals. Results are
	// none of what it says.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In, bare(s.Err), bare(s.Err)
	if out := s.terminalOut(); out != nil {
		cmd.Stdout = out
	}
	// It gives the terminal back as it was; what it would save goes with the folder.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 3 * time.Second

	s.sayWaiting(e)
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.String() == "signal: interrupt":
		return tty.ErrInterrupted // Ctrl-C, where it has no window of its own in the terminal
	case errors.As(err, &exit):
		return failed(err, "the editor '%s' ended with an error (%v); nothing was changed", e.name, exit).
			hint("choose another one: 'git config --global core.editor nano'")
	}
	return failed(err, "the editor '%s' cannot be started: %v", e.name, cause(err)).
		hint("choose another one: 'git config --global core.editor nano'")
}

// sayWaiting says that a window has opened somewhere, until something else is said.
func (s *session) sayWaiting(e *editor) {
	if p := s.progress(); p.line != nil && !e.habits.terminal {
		p.line.shown = true
		io.WriteString(p.line.to, "Waiting for the editor ... ")
	}
}

// cause is an error without the name of the program, which is said already.
func cause(err error) error {
	var start *exec.Error
	if errors.As(err, &start) {
		return start.Err
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
