package commands

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

func (r *runner) deleteCommand() *cli.Command {
	return &cli.Command{
		Name:      "delete",
		Aliases:   []string{"remove", "rm"},
		Usage:     "delete a secret that no file refers to",
		UsageText: "NAME [--force]",
		Description: `   git muxi-secrets delete OLD_API_KEY

Refuses while a file of the formation still refers to it, naming file and line.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "force", Usage: "delete it although a file refers to it"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			name, err := s.oneName(c)
			if err != nil {
				return err
			}
			return s.delete(ctx, name, c.Bool("force"))
		}),
	}
}

func (s *session) delete(ctx context.Context, spelled string, force bool) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	w, err := s.openToWrite(ctx, f, existing)
	if err != nil {
		return err
	}
	defer w.close()
	name, ok := w.Vault.Find(spelled)
	if !ok {
		return s.notFound(name, w.Vault)
	}
	survey, err := f.Survey()
	if err != nil {
		return err
	}
	if e := s.filtered(f, survey); e != nil && !force {
		return e.hint("or delete it all the same with --force")
	}
	refs := survey.To(formation.Normalize(name))
	if len(refs) > 0 && !force {
		e := refuse("%s is in use", name)
		for _, place := range s.places(f, refs) {
			e.line("%s", place)
		}
		return e.hint("take the reference out first, or delete it all the same with --force")
	}
	w.Vault.Delete(name)
	if _, err := w.save(); err != nil {
		return err
	}
	s.say("Deleted %s from %s", name, s.name(f))
	if len(refs) > 0 {
		s.warn("%s is still referred to in %s", name, s.places(f, refs)[0])
	}
	return nil
}

// places lists references as file:line, in the user's terms.
func (s *session) places(f *formation.Formation, refs []formation.Reference) []string {
	var list []string
	for _, ref := range refs {
		place := fmt.Sprintf("%s:%d", s.show(f.Path(ref.Path)), ref.Line)
		if len(list) == 0 || list[len(list)-1] != place {
			list = append(list, place)
		}
	}
	return list
}
