package commands

import (
	"context"
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

func (r *runner) getCommand() *cli.Command {
	return &cli.Command{
		Name:      "get",
		Aliases:   []string{"show"},
		Usage:     "print the value of one secret",
		UsageText: "NAME [--rev REV]",
		Description: `   git muxi-secrets get OPENAI_API_KEY | wl-copy
   git muxi-secrets get OPENAI_API_KEY --rev HEAD~3

Prints the value's exact bytes; a newline is added on a terminal only. With
--rev as that commit has it: any key that this clone has or keeps may open it.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "rev", Usage: "the value as it was in the commit `REV`"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			name, err := s.oneName(c)
			if err != nil {
				return err
			}
			if c.IsSet("rev") {
				return s.getPast(ctx, name, c.String("rev"))
			}
			return s.get(name)
		}),
	}
}

// oneName is the argument of a command that takes exactly one name.
func (s *session) oneName(c *cli.Context) (string, error) {
	switch c.NArg() {
	case 1:
		if _, err := s.nameArgument(c.Args().First()); err != nil {
			return "", err
		}
		return c.Args().First(), nil
	case 0:
		return "", usage("NAME is missing").hint("see '%s -h'", c.Command.HelpName)
	}
	return "", usage("'%s' takes one NAME (what was given is not repeated here)", c.Command.Name).hint("see '%s -h'", c.Command.HelpName)
}

func (s *session) get(spelled string) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	opened, err := s.open(f)
	if err != nil {
		return err
	}
	name, ok := opened.Vault.Find(spelled)
	if !ok {
		return s.notFound(name, opened.Vault)
	}
	return s.printValue(opened.Vault, name)
}

// getPast is get for the vault of a commit.
func (s *session) getPast(ctx context.Context, spelled, rev string) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	then, err := s.pastOf(ctx, f, rev)
	if err != nil {
		return err
	}
	name, err := s.findPast(then, spelled)
	if err != nil {
		return err
	}
	return s.printValue(then.vault, name)
}

// printValue prints the value of a name that is known to be stored.
func (s *session) printValue(vault *formation.Vault, name string) error {
	value, err := s.textOf(vault, name)
	if err != nil {
		return err
	}
	if s.OutIsTerminal {
		value += "\n"
	}
	_, err = io.WriteString(s.Out, value)
	return err
}

// textOf is the value of a name that is known to be stored; of a number or a
// list, which older tools could store, its JSON.
func (s *session) textOf(vault *formation.Vault, name string) (string, error) {
	value, err := vault.Text(name)
	if errors.Is(err, formation.ErrNotText) {
		return "", failed(err, "the value of %s is no text that can be given out: an older tool stored half a character", name).
			hint("give it a new value: '%s add %s'", s.again(), name)
	}
	return value, err
}

// notFound keeps the text that MUXI's guide has.
func (s *session) notFound(name string, vault *formation.Vault) *Error {
	e := refuse("Secret %s not found in %s", name, formation.VaultFile)
	if near := nearest(name, vault.Names()); near != "" {
		return e.hint("did you mean %s?", near)
	}
	if vault.Len() == 0 {
		return e.hint("nothing is stored yet: '%s add %s'", s.again(), name)
	}
	return e.hint("see what there is with '%s list', or store it with '%s add %s'", s.again(), s.again(), name)
}
