package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/docs"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// shells are those that have a completion script.
func shells() []string { return []string{"bash", "zsh", "fish"} }

func (r *runner) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "have a shell complete command lines",
		UsageText: "[" + strings.Join(shells(), "|") + "] [--install]",
		Description: `   git muxi-secrets completion --install       for your own shell
   git muxi-secrets completion zsh --install
   git muxi-secrets completion bash > FILE     to put it elsewhere

A new shell then knows commands, flags, secret names (no key is needed),
formations, people and revisions. What is written is said; running it again
changes nothing.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "install", Usage: "put it where the shell looks; without a shell, for the one that SHELL names"},
		},
		Action: r.action(func(_ context.Context, s *session, c *cli.Context) error {
			if c.NArg() > 1 || c.NArg() == 0 && !c.Bool("install") {
				return usage("'completion' is followed by %s, or --install", orList(shells())).hint("see '%s -h'", c.Command.HelpName)
			}
			shell := c.Args().First()
			if c.NArg() == 0 {
				shell = filepath.Base(filepath.ToSlash(s.Getenv("SHELL")))
				if _, ok := docs.Completion(shell); !ok {
					return usage("SHELL does not name %s, and for no other shell there is a completion", orList(shells())).
						hint("say which one: '%s completion bash --install'", program)
				}
			}
			script, ok := docs.Completion(shell)
			if !ok {
				e := usage("there is no completion for that shell, only for %s", orList(shells()))
				if near := nearest(shell, shells()); near != "" {
					e.hint("did you mean '%s %s'?", c.Command.HelpName, near)
				}
				return e.hint("see '%s -h'", c.Command.HelpName)
			}
			if c.Bool("install") {
				return s.installCompletion(shell, script)
			}
			_, err := s.Out.Write(script)
			return err
		}),
	}
}

// completionPlace is where a shell finds a completion.
type completionPlace struct {
	file string
	// start is the shell's start file, which has to have the line; "" where the shell
	// finds the file by itself.
	start, line string
	needs       string // what is said of what else it takes
}

// completionPlace is the place for one of our shells; ok is false without a home.
func (s *session) completionPlace(shell string) (place completionPlace, ok bool) {
	home := s.homeDir()
	if home == "" {
		return place, false
	}
	in := func(variable string, otherwise ...string) string {
		if dir := s.Getenv(variable); filepath.IsAbs(dir) {
			return dir
		}
		return filepath.Join(append([]string{home}, otherwise...)...)
	}
	switch shell {
	case "bash":
		dir := s.Getenv("BASH_COMPLETION_USER_DIR")
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(in("XDG_DATA_HOME", ".local", "share"), "bash-completion")
		}
		place.file = filepath.Join(dir, "completions", "git-muxi-secrets")
		place.needs = "a new bash knows it, where the package bash-completion is installed; elsewhere ~/.bashrc reads it: 'source " + paths.Escape(place.file) + "'"
	case "zsh":
		dir := in("ZDOTDIR")
		folder := filepath.Join(dir, ".zfunc")
		place.file, place.start = filepath.Join(folder, "_git-muxi-secrets"), filepath.Join(dir, ".zshrc")
		place.line = "fpath+=(" + paths.Escape(folder) + ") && source " + paths.Escape(place.file)
		place.needs = "a new zsh knows it, where compinit stands above that line"
	case "fish":
		place.file = filepath.Join(in("XDG_CONFIG_HOME", ".config"), "fish", "conf.d", "git-muxi-secrets.fish")
		place.needs = "a new fish knows it"
	}
	return place, true
}

// completionMark is in every completion of ours.
const completionMark = "completion of git-muxi-secrets"

func (s *session) installCompletion(shell string, script []byte) error {
	place, ok := s.completionPlace(shell)
	if !ok {
		return failed(nil, "there is no home folder to install it in").hint("put it where %s looks: '%s completion %s'", shell, program, shell)
	}
	there, err := safefile.Read(place.file, maxPage)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return &safefile.Error{Op: "read", Path: place.file, Err: err}
	case err == nil && !bytes.Contains(there, []byte(completionMark)):
		return refuse("'%s' is not of this program; nothing was changed", s.showInstalled(place.file)).hint("move it away, and run the command again")
	}

	var said []string
	if !bytes.Equal(there, script) {
		if err := safefile.MakeFolder(filepath.Dir(place.file), 0o755); err != nil {
			return &safefile.Error{Op: "create", Path: filepath.Dir(place.file), Err: err}
		}
		if err := s.Files.Put(place.file, script, 0o644); err != nil {
			return err
		}
		said = append(said, "Wrote "+s.showInstalled(place.file))
	}
	if place.start != "" {
		added, err := s.haveLine(place.start, place.line)
		if err != nil {
			return err
		}
		if added {
			said = append(said, fmt.Sprintf("Added a line to %s: %s", s.showInstalled(place.start), place.line))
		}
	}
	for _, line := range said {
		s.say("%s", line)
	}
	if len(said) == 0 {
		s.say("The completion for %s is in place already; nothing was changed", shell)
		return nil
	}
	s.hint("%s", place.needs)
	return nil
}

// haveLine puts a line at the end of a file that does not have it.
func (s *session) haveLine(file, line string) (added bool, err error) {
	content, err := safefile.Read(file, maxPage)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, &safefile.Error{Op: "read", Path: file, Err: err}
	}
	if slices.Contains(strings.Split(string(content), "\n"), line) {
		return false, nil
	}
	return true, s.Files.Replace(file, appendLine(content, line), 0o644)
}

// orList is "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
