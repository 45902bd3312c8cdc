package commands

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/commands/doctor"
	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

type syncOptions struct{ prune, dryRun, check bool }

func (r *runner) syncCommand() *cli.Command {
	return &cli.Command{
		Name:      "sync",
		Usage:     "bring the template 'secrets' up to date",
		UsageText: "[--prune] [--dry-run | --check] [--all]",
		Description: `   git muxi-secrets sync
   git muxi-secrets sync --check      exits 1 when the template is stale

The template lists the names that the formation's files refer to and those
stored in secrets.enc. A person's comments and placeholders stay.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "prune", Usage: "also delete stored secrets that no file refers to, after a yes"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only say what would change"},
			&cli.BoolFlag{Name: "check", Usage: "change nothing; exit 1 when the template is stale"},
			allFlag(),
		},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			o := syncOptions{prune: c.Bool("prune"), dryRun: c.Bool("dry-run"), check: c.Bool("check")}
			if o.prune && o.check {
				return usage("--prune and --check exclude each other").hint("see what --prune would do with --dry-run")
			}
			formations, err := s.formations()
			if err != nil {
				return err
			}
			stale := false
			for _, f := range formations {
				s.current = f
				changed, err := s.sync(ctx, f, o)
				if err != nil {
					return err
				}
				stale = stale || changed
			}
			if o.check && stale {
				return exitCode(exitNo)
			}
			return nil
		}),
	}
}

// sync reports whether the template was, or with check or dryRun is, stale.
func (s *session) sync(ctx context.Context, f *formation.Formation, o syncOptions) (bool, error) {
	if o.dryRun || o.check {
		return s.syncPlan(f, o)
	}
	var prune []string
	if o.prune {
		var err error
		if prune, err = s.confirmPrune(ctx, f); err != nil {
			return false, err
		}
	}
	w, err := s.openToWrite(ctx, f, existing)
	var missing *formation.NoKeyError
	if errors.As(err, &missing) && !o.prune {
		return s.syncWithoutKey(ctx, f)
	}
	if err != nil {
		return false, err
	}
	defer w.close()
	if len(prune) > 0 {
		survey, err := f.Survey()
		if err != nil {
			return false, err
		}
		for _, name := range prune {
			// Looked at again under the lock: it may be in use by now.
			if len(survey.To(formation.Normalize(name))) == 0 && w.Vault.Delete(name) {
				w.done = append(w.done, fmt.Sprintf("Deleted %s from %s", name, s.name(f)))
			}
		}
	}
	if _, err := w.save(); err != nil {
		return false, err
	}
	return s.sayTemplate(f, w.plan), nil
}

// syncWithoutKey brings in the references; what only the vault explains stays,
// unless a key from another place opens it.
func (s *session) syncWithoutKey(ctx context.Context, f *formation.Formation) (bool, error) {
	if err := s.filesStayInside(f); err != nil {
		return false, err
	}
	_, content, _, err := f.ReadTemplate()
	if err != nil {
		return false, err
	}
	if typed := formation.ParseTemplate(content).Typed(); len(typed) > 0 {
		e := &Error{Code: exitNoKey}
		e.line("%s:%d holds a value for %s, and there is no key here to store it with; nothing was changed",
			s.show(f.Path(formation.TemplateFile)), typed[0].Line, typed[0].Name)
		return false, e.hint("with the key ('%[1]s unlock', '%[1]s key import FILE', or '%[1]s init' where there is none yet), '%[1]s extract' moves it into the vault", s.on(f.Dir))
	}
	s.ensureDrivers(ctx) // also where the template needs nothing
	plan, err := s.planWithoutKey(f)
	if err != nil {
		return false, err
	}
	if plan.State == formation.TemplateCurrent {
		return s.sayTemplate(f, plan), nil
	}
	lock, err := s.lock(ctx, f)
	if err != nil {
		return false, err
	}
	defer lock.Release()
	if plan, err = s.planWithoutKey(f); err != nil { // again, now that nobody else writes
		return false, err
	}
	batch := s.batch(f)
	defer batch.Discard()
	if _, err := plan.Apply(batch); err != nil {
		return false, err
	}
	if err := batch.Commit(); err != nil {
		return false, err
	}
	return s.sayTemplate(f, plan), nil
}

func (s *session) planWithoutKey(f *formation.Formation) (*formation.TemplatePlan, error) {
	vault, err := s.vaultIfAny(f)
	if err != nil {
		return nil, err
	}
	survey, err := f.Survey()
	if err != nil {
		return nil, err
	}
	return f.PlanTemplate(survey, vault, nil)
}

// vaultIfAny opens the vault where the key is at hand; nil where there is no
// .key. A key or vault that is there and does not work is an error.
func (s *session) vaultIfAny(f *formation.Formation) (*formation.Vault, error) {
	opened, err := s.open(f)
	var missing *formation.NoKeyError
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return opened.Vault, nil
}

func (s *session) syncPlan(f *formation.Formation, o syncOptions) (bool, error) {
	vault, err := s.vaultIfAny(f)
	if err != nil {
		return false, err
	}
	survey, err := f.Survey()
	if err != nil {
		return false, err
	}
	if o.prune && vault != nil {
		for _, name := range survey.Unused(vault) {
			fmt.Fprintf(s.Out, "%s: would delete %s, which no file refers to\n", sanitize(s.name(f)), sanitize(name))
			vault.Delete(name)
		}
	}
	plan, err := f.PlanTemplate(survey, vault, nil)
	if err != nil {
		return false, err
	}
	template := sanitize(s.show(f.Path(formation.TemplateFile)))
	if plan.State == formation.TemplateCurrent {
		s.say("%s is current", template)
		return false, nil
	}
	fmt.Fprintf(s.Out, "%s is %s\n", template, plan.State)
	for _, name := range plan.Added {
		fmt.Fprintf(s.Out, "  + %s\n", sanitize(name))
	}
	for _, name := range plan.Dropped {
		fmt.Fprintf(s.Out, "  - %s\n", sanitize(name))
	}
	if o.check {
		s.hint("bring it up to date with '%s sync'", s.again())
	}
	return true, nil
}

// sayTemplate says what became of the template, and whether it was stale.
func (s *session) sayTemplate(f *formation.Formation, plan *formation.TemplatePlan) bool {
	template := s.show(f.Path(formation.TemplateFile))
	switch {
	case plan.State == formation.TemplateCurrent:
		s.say("%s is current", template)
		return false
	case plan.Content == nil:
		s.say("Removed %s: there is no secret to list", template)
	default:
		s.say("Wrote %s", template+parenthesis(plan.Changes()))
	}
	return true
}

func parenthesis(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// confirmPrune asks before stored values are deleted, and returns which.
func (s *session) confirmPrune(ctx context.Context, f *formation.Formation) ([]string, error) {
	opened, err := f.OpenToWrite()
	if err != nil {
		return nil, err
	}
	survey, err := f.Survey()
	if err != nil {
		return nil, err
	}
	if e := s.filtered(f, survey); e != nil {
		return nil, e
	}
	if len(survey.Broken) > 0 {
		return nil, s.brokenYAML(f, survey)
	}
	names := survey.Unused(opened.Vault)
	if len(names) == 0 {
		return nil, nil
	}
	terminal, err := s.openTerminal("see what it would delete with --dry-run; delete by name with '%s delete NAME'", s.again())
	if err != nil {
		return nil, err
	}
	defer terminal.Close()
	terminal.Print(fmt.Sprintf("No file of %s refers to:", sanitize(s.name(f))))
	for _, name := range names {
		terminal.Print("  " + sanitize(name))
	}
	answer, err := terminal.Ask(ctx, fmt.Sprintf("Delete %s for good (yes/no)? ", plural(len(names), "secret")), tty.Options{})
	if err != nil {
		return nil, err
	}
	if strings.ToLower(strings.TrimSpace(answer)) != "yes" {
		s.say("Nothing was deleted")
		return nil, nil
	}
	return names, nil
}

// filtered refuses to call a secret unused, or all its references known, while a
// filter of git's stands between us and a file. nil: none does.
func (s *session) filtered(f *formation.Formation, survey *formation.Survey) *Error {
	for _, path := range slices.Sorted(maps.Keys(survey.Filtered)) {
		return refuse("what '%s' refers to is not known: %s", s.show(f.Path(path)), survey.Filtered[path]).
			hint("bring the file itself: '%s'", doctor.Unfilter(survey.Filtered[path]))
	}
	return nil
}

// brokenYAML refuses to call a secret unused while a file cannot be read.
func (s *session) brokenYAML(f *formation.Formation, survey *formation.Survey) *Error {
	for path, cause := range survey.Broken {
		return failed(cause, "'%s' is no valid YAML (%v), so what it refers to is not sure", s.show(f.Path(path)), cause).
			hint("mend that file first; nothing was changed")
	}
	return nil
}
