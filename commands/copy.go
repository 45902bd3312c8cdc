package commands

import (
	"context"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

type copyOptions struct {
	name      string
	to        string
	overwrite bool
}

func (r *runner) copyCommand() *cli.Command {
	return &cli.Command{
		Name:      "copy",
		Aliases:   []string{"cp"},
		Usage:     "copy a secret's value into another formation, never shown",
		UsageText: "NAME --to DIR [--overwrite]",
		Description: `   git muxi-secrets -C formations/dev copy OPENAI_API_KEY --to formations/prod

One value for two environments is what 'check' warns about (shared-value): copy
where they are meant to be the same.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "the formation in `DIR`"},
			&cli.BoolFlag{Name: "overwrite", Usage: "replace another value that is there"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			name, err := oneName(c)
			if err != nil {
				return err
			}
			if c.String("to") == "" {
				return usage("--to DIR is missing: the formation to copy into").hint("see '%s -h'", c.Command.HelpName)
			}
			return s.copy(ctx, copyOptions{name, c.String("to"), c.Bool("overwrite")})
		}),
	}
}

func (s *session) copy(ctx context.Context, o copyOptions) error {
	from, err := s.formation()
	if err != nil {
		return err
	}
	// A session of its own: DIR may be in another repository.
	target := &session{Env: s.Env, doing: s.doing, quiet: s.quiet, dir: filepath.Clean(s.at(o.to))}
	defer target.close()
	to, err := target.formation()
	if err != nil {
		return err
	}
	source, err := from.Open()
	if err != nil {
		return err
	}
	name, ok := source.Vault.Find(o.name)
	if !ok {
		return s.notFound(name, source.Vault)
	}
	if same(from.Dir, to.Dir) {
		return refuse("%s is the formation to copy from", s.name(to)).hint("name another one with --to DIR")
	}
	w, err := target.openToWrite(ctx, to, source.Key.Format())
	if err != nil {
		return err
	}
	defer w.close()
	had := w.Vault.Has(name)
	before := w.Vault.Touched()
	w.Vault.Take(name, source.Vault)
	changed := len(w.Vault.Touched()) > len(before)
	if had && changed && !o.overwrite {
		return refuse("%s has another value in %s already; nothing was changed", name, s.name(to)).
			hint("replace it with --overwrite")
	}
	if _, err := w.save(); err != nil {
		return err
	}
	if !changed {
		s.say("%s has that value in %s already; nothing changed", name, s.name(to))
		return nil
	}
	s.say("Copied %s from %s to %s", name, s.name(from), s.name(to))
	target.offerHooks(ctx)
	if len(w.survey.To(formation.Normalize(name))) == 0 {
		s.hint("nothing in %s refers to it yet; write ${{ secrets.%s }} where the value belongs", s.name(to), formation.Normalize(name))
	}
	return nil
}

// same reports whether two paths lead to one folder.
func same(a, b string) bool {
	if a == b {
		return true
	}
	realA, errA := filepath.EvalSymlinks(a)
	realB, errB := filepath.EvalSymlinks(b)
	return errA == nil && errB == nil && realA == realB
}
