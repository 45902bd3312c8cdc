package commands

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

func (r *runner) renameCommand() *cli.Command {
	return &cli.Command{
		Name:      "rename",
		Aliases:   []string{"mv"},
		Usage:     "rename a secret and every reference to it",
		UsageText: "OLD NEW",
		Description: `   git muxi-secrets rename OPENAI_KEY OPENAI_API_KEY

In the formation's files only the bytes of the name change: comments, quoting
and layout stay.`,
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if c.NArg() != 2 {
				return usage("'rename' takes two names, OLD and NEW").hint("see '%s -h'", c.Command.HelpName)
			}
			if _, err := s.nameArgument(c.Args().Get(0)); err != nil {
				return err
			}
			to, err := s.nameArgument(c.Args().Get(1))
			if err != nil {
				return err
			}
			return s.rename(ctx, c.Args().Get(0), to)
		}),
	}
}

func (s *session) rename(ctx context.Context, spelled, to string) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	w, err := s.openToWrite(ctx, f, existing)
	if err != nil {
		return err
	}
	defer w.close()
	from, ok := w.Vault.Find(spelled)
	if !ok {
		return s.notFound(from, w.Vault)
	}
	if from == to {
		s.say("%s already has that name; nothing changed", to)
		return nil
	}
	if w.Vault.Has(to) {
		return refuse("%s already exists in %s", to, s.name(f)).
			hint("delete one of the two first, or choose another name")
	}
	survey, err := f.Survey()
	if err != nil {
		return err
	}
	if e := s.filtered(f, survey); e != nil {
		return e
	}
	edits, err := f.RenameEdits(formation.Normalize(from), to)
	var stuck *formation.Unrewritable
	if errors.As(err, &stuck) {
		return refuse("cannot rewrite the reference in %s: %s", s.places(f, []formation.Reference{stuck.Reference})[0], stuck.Reason).
			hint("change that line by hand, then run the command again")
	}
	if err != nil {
		return err
	}

	w.edits = edits
	w.Vault.Copy(from, to)
	w.Vault.Delete(from)
	w.moved = map[string]string{to: from}
	w.editTemplate = func(t *formation.Template) { t.Rename(formation.Normalize(from), to) }
	if _, err := w.save(); err != nil {
		return err
	}
	s.say("Renamed %s to %s in %s", from, to, s.name(f))
	for _, edit := range edits {
		s.say("  changed %s", s.show(edit.Path))
	}
	return nil
}
