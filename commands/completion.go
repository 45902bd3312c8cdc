package commands

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/docs"
)

// shells are those that have a completion script.
func shells() []string { return []string{"bash", "zsh", "fish"} }

func (r *runner) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print what completes command lines in a shell",
		UsageText: strings.Join(shells(), "|"),
		Description: `   bash: git muxi-secrets completion bash > ~/.local/share/bash-completion/completions/git-muxi-secrets
   zsh:  git muxi-secrets completion zsh > "${fpath[1]}/_git-muxi-secrets"
   fish: git muxi-secrets completion fish > ~/.config/fish/conf.d/git-muxi-secrets.fish

Make the folder first where it is not there; a new shell then knows commands,
flags, secret names (no key is needed), formations, people and revisions.`,
		Action: r.action(func(_ context.Context, s *session, c *cli.Context) error {
			if c.NArg() != 1 {
				return usage("'completion' is followed by %s", orList(shells())).hint("see '%s -h'", c.Command.HelpName)
			}
			script, ok := docs.Completion(c.Args().First())
			if !ok {
				e := usage("there is no completion for that shell, only for %s", orList(shells()))
				if near := nearest(c.Args().First(), shells()); near != "" {
					e.hint("did you mean '%s %s'?", c.Command.HelpName, near)
				}
				return e.hint("see '%s -h'", c.Command.HelpName)
			}
			_, err := s.Out.Write(script)
			return err
		}),
	}
}

// orList is "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
