package commands

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

func (r *runner) restoreCommand() *cli.Command {
	return &cli.Command{
		Name:      "restore",
		Usage:     "give secrets the value they had in a commit",
		UsageText: "NAME... --rev REV",
		Description: `   git muxi-secrets restore OPENAI_API_KEY --rev HEAD~3

Deleted secrets come back, too. Of several names all are restored, or none. The
value is never shown, and sealed with the key of now.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "rev", Usage: "the values of the commit `REV`"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			switch {
			case c.NArg() == 0:
				return usage("NAME is missing").hint("see '%s -h'", c.Command.HelpName)
			case c.String("rev") == "":
				return usage("--rev REV is missing: which commit has the value?").hint("see which commits changed it: '%s log NAME'", s.again())
			}
			for _, spelled := range c.Args().Slice() {
				if _, err := s.nameArgument(spelled); err != nil {
					return err
				}
			}
			return s.restore(ctx, c.Args().Slice(), c.String("rev"))
		}),
	}
}

func (s *session) restore(ctx context.Context, spelled []string, rev string) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	then, err := s.pastOf(ctx, f, rev)
	if err != nil {
		return err
	}
	names, err := s.findAllPast(then, spelled)
	if err != nil {
		return err
	}
	w, err := s.openToWrite(ctx, f, existing)
	if err != nil {
		return err
	}
	defer w.close()

	had := map[string]bool{}
	for _, name := range names {
		had[name] = w.Vault.Has(name)
		w.Vault.Take(name, then.vault)
	}
	if err := w.noteSeen(then); err != nil {
		return err
	}
	touched := w.Vault.Touched()
	if _, err := w.save(); err != nil {
		return err
	}
	s.sayRestored(w, then, names, touched, had)
	return nil
}

// findAllPast is findPast for several names; of those that are missing all are named.
func (s *session) findAllPast(then *past, spelled []string) (names []string, err error) {
	var missing *Error
	for _, one := range spelled {
		name, err := s.findPast(then, one)
		own := (*Error)(nil)
		switch {
		case errors.As(err, &own) && missing == nil:
			missing = own
		case errors.As(err, &own):
			missing.line("%s", own.Lines[0])
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	if missing != nil {
		if len(spelled) > 1 {
			missing.hint("nothing was changed: of several names all are restored, or none")
		}
		return nil, missing
	}
	return names, nil
}

// noteSeen notes who has seen what comes back.
func (w *writing) noteSeen(then *past) error {
	people, there, err := w.ReadPeople()
	if err != nil || !there {
		return err
	}
	w.seen = map[string][]string{}
	for _, name := range w.Vault.Touched() {
		w.seen[name] = then.seenBy(people, name)
	}
	return nil
}

func (s *session) sayRestored(w *writing, then *past, names, touched []string, had map[string]bool) {
	for _, name := range names {
		switch {
		case !slices.Contains(touched, name):
			s.say("%s has that value in %s already; nothing changed", name, s.name(w.Formation))
			continue
		case had[name]:
			s.say("Restored %s in %s as it was in %s", name, s.name(w.Formation), then.called())
		default:
			s.say("Restored %s, which was gone, in %s as it was in %s", name, s.name(w.Formation), then.called())
		}
		if who := w.seen[name]; len(who) > 0 {
			s.warn("%s has seen this value of %s and left since: it should be a new one ('%s add %s')", strings.Join(who, ", "), name, s.again(), name)
		}
		if len(w.survey.To(formation.Normalize(name))) == 0 {
			s.hint("nothing refers to %[1]s yet; write ${{ secrets.%[1]s }} where the value belongs", formation.Normalize(name))
		}
	}
}
