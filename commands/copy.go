package commands

import (
	"context"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

type copyOptions struct {
	name      string
	to        []string
	overwrite bool
}

func (r *runner) copyCommand() *cli.Command {
	return &cli.Command{
		Name:      "copy",
		Aliases:   []string{"cp"},
		Usage:     "copy a secret's value into another formation, never shown",
		UsageText: "NAME --to DIR... [--overwrite]",
		Description: `   git muxi-secrets -C formations/dev copy OPENAI_API_KEY --to formations/prod

One value for two environments is what 'check' warns about (shared-value): copy
where they are meant to be the same.`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "to", Usage: "the formation in `DIR`; may be given more than once: all of them, or none"},
			&cli.BoolFlag{Name: "overwrite", Usage: "replace another value that is there"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			name, err := s.oneName(c)
			if err != nil {
				return err
			}
			to := c.StringSlice("to")
			if len(to) == 0 || slices.Contains(to, "") {
				return usage("--to DIR is missing: the formation to copy into").hint("see '%s -h'", c.Command.HelpName)
			}
			return s.copy(ctx, copyOptions{name, to, c.Bool("overwrite")})
		}),
	}
}

func (s *session) copy(ctx context.Context, o copyOptions) error {
	from, err := s.formation()
	if err != nil {
		return err
	}
	// A session of its own: DIR may be in another repository.
	target := &session{Env: s.Env, ctx: s.ctx, doing: s.doing, quiet: s.quiet}
	defer target.close()
	formations, err := target.named(o.to)
	if err != nil {
		return err
	}
	source, err := s.open(from)
	if err != nil {
		return err
	}
	name, ok := source.Vault.Find(o.name)
	if !ok {
		return s.notFound(name, source.Vault)
	}
	for _, to := range formations {
		if same(from.Dir, to.Dir) {
			return refuse("%s is the formation to copy from", s.name(to)).hint("name another one with --to DIR")
		}
	}

	all, err := target.openAllToWrite(ctx, formations, source.Key.Format())
	if err != nil {
		return err
	}
	defer all.close()
	var taken []string
	for _, w := range all {
		had, before := w.Vault.Has(name), len(w.Vault.Touched())
		w.Vault.Take(name, source.Vault)
		if had && len(w.Vault.Touched()) > before && !o.overwrite {
			taken = append(taken, s.name(w.Formation))
		}
	}
	if len(taken) > 0 {
		return refuse("%s has another value in %s already; nothing was changed", name, list(taken)).
			hint("replace it with --overwrite")
	}

	changed, err := all.save()
	if err != nil {
		return err
	}
	for i, w := range all {
		s.sayCopied(name, from, w, changed[i])
	}
	target.offerHooks(ctx)
	s.hintUnshared(all, from)
	return nil
}

func (s *session) sayCopied(name string, from *formation.Formation, w *writing, changed bool) {
	to := s.name(w.Formation)
	if !changed {
		s.say("%s has that value in %s already; nothing changed", name, to)
		return
	}
	s.say("Copied %s from %s to %s", name, s.name(from), to)
	if len(w.survey.To(formation.Normalize(name))) == 0 {
		s.hint("nothing in %s refers to it yet; write ${{ secrets.%s }} where the value belongs", to, formation.Normalize(name))
	}
}

// same reports whether two paths lead to one folder.
func same(a, b string) bool {
	return paths.Real(a) == paths.Real(b)
}
