package commands

import (
	"bytes"
	"context"
	"errors"
	"os"

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
			if _, err := nameArgument(c.Args().Get(0)); err != nil {
				return err
			}
			to, err := nameArgument(c.Args().Get(1))
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
	journal := s.statePath(f, "rename")
	begun := []byte(from + "\n" + to + "\n")
	if w.Vault.Has(to) {
		// Both names are there after a rename that was killed half-way, too.
		note, err := os.ReadFile(journal)
		if err != nil || !bytes.Equal(note, begun) || !w.Vault.Same(from, to) {
			return refuse("%s already exists in %s", to, s.name(f)).
				hint("delete one of the two first, or choose another name")
		}
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

	for _, edit := range edits {
		if err := s.staysInside(edit.Path); err != nil {
			return err
		}
	}

	// A template that cannot be read stops it here, not half-way.
	if _, _, _, err := f.ReadTemplate(); err != nil {
		return err
	}

	// Several files change, and a crash may come between any two. So the value
	// is stored under both names first, and the old name goes last: whichever
	// files were reached, every reference has its value, and running the
	// command again finishes it.
	if len(edits) > 0 {
		if err := w.batch.Replace(journal, begun, 0o600); err != nil {
			return err
		}
		w.Vault.Copy(from, to)
		if _, err := w.Save(w.batch); err != nil {
			return err
		}
		for _, edit := range edits {
			if err := w.batch.Replace(edit.Path, edit.Content, formation.ModeOf(edit.Path, 0o644)); err != nil {
				return err
			}
		}
		if err := w.commit(); err != nil {
			return err
		}
		opened, err := f.Open()
		if err != nil {
			return err
		}
		w.Opened, w.done, w.batch = opened, nil, s.Files.BatchIn(f.Dir)
	}
	w.Vault.Copy(from, to)
	w.Vault.Delete(from)
	w.moved = map[string]string{to: from}
	w.editTemplate = func(t *formation.Template) { t.Rename(formation.Normalize(from), to) }
	if _, err := w.save(); err != nil {
		return err
	}
	os.Remove(journal)
	s.say("Renamed %s to %s in %s", from, to, s.name(f))
	for _, edit := range edits {
		s.say("  changed %s", s.show(edit.Path))
	}
	return nil
}
