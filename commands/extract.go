package commands

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

type extractOptions struct {
	files       []string // absolute; none: all of the formation's
	dryRun, yes bool
}

func (r *runner) extractCommand() *cli.Command {
	return &cli.Command{
		Name:      "extract",
		Usage:     "move literals out of the formation's files into the vault",
		UsageText: "[FILE...] [--all] [--dry-run] [--yes]",
		Description: `   git muxi-secrets extract

Shows each literal that stands where a credential belongs, masked, with a name
for it: Enter takes the name, another one may be typed, - leaves it. The values
are stored, and a reference takes the place of each; every other byte of the
files stays. Values in the template are moved as well.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "in every formation of the repository"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only say what would be moved, and under which name"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "take every name as it is proposed, and ask nothing"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			o := extractOptions{dryRun: c.Bool("dry-run"), yes: c.Bool("yes")}
			for _, file := range c.Args().Slice() {
				o.files = append(o.files, s.at(file))
			}
			return s.extractAll(ctx, o)
		}),
	}
}

// extractAll runs extract on each formation that it is about.
func (s *session) extractAll(ctx context.Context, o extractOptions) error {
	all, err := s.extractFrom(o)
	if err != nil {
		return err
	}
	var left []string
	for _, f := range all {
		s.current = f
		stays, err := s.extract(ctx, f, o)
		if err != nil {
			return err
		}
		left = append(left, stays...)
	}
	if len(left) == 0 || o.dryRun {
		return nil
	}
	e := refuse("%s could not be moved:", plural(len(left), "literal"))
	for _, line := range left {
		e.line("%s", line)
	}
	return e.hint("store each value with '%s add NAME', and change those lines by hand", s.again())
}

// extractFrom is which formations extract is about: those of the files that were
// named, else as always.
func (s *session) extractFrom(o extractOptions) ([]*formation.Formation, error) {
	if len(o.files) == 0 || s.dir != "" || s.all {
		return s.formations()
	}
	var found []*formation.Formation
	for _, file := range o.files {
		if !paths.There(file) {
			return nil, noSuchFile()
		}
		f := formation.Above(folderOf(file))
		if f == nil {
			return nil, usage("'%s' belongs to no formation: no folder above it has a formation.afs (or .yaml, .yml)", s.show(file)).
				hint("name a file of a formation, or no file for all of them")
		}
		if !slices.ContainsFunc(found, func(other *formation.Formation) bool { return same(other.Dir, f.Dir) }) {
			found = append(found, s.found(f))
		}
	}
	if err := s.ours(); err != nil {
		return nil, err
	}
	for _, f := range found {
		if err := s.sweep(f); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// noSuchFile does not repeat an argument that may be a value gone astray.
func noSuchFile() *Error {
	return usage("there is no such file (not repeated here, since it may hold a value)").
		hint("name a file of a formation, or no file for all of them")
}

// extract does it for one formation, and returns what it could not move.
func (s *session) extract(ctx context.Context, f *formation.Formation, o extractOptions) (left []string, err error) {
	opened, fresh, err := s.openOrFresh(f, crypto.Fernet)
	if isNoKey(err) && o.dryRun {
		s.warn("the key of %s is not here: a value that is stored already may have another name there, and a name another value", s.name(f))
		opened, err = &formation.Opened{Formation: f, Vault: formation.NewVault()}, nil
	}
	if err != nil {
		return nil, err
	}
	plan, err := s.planExtract(ctx, opened, o.files)
	if err != nil {
		return nil, err
	}
	left = plan.left
	if len(plan.moves) == 0 {
		if len(left) == 0 {
			if err := s.sayNone(ctx, f); err != nil {
				return nil, err
			}
		}
		if !fresh && !o.dryRun {
			s.ensureDrivers(ctx) // where a run that was killed had not come to them
			s.offerHooks(ctx)
		}
		return left, nil
	}

	switch {
	case o.dryRun:
		plan.show(s, f, func(line string) { fmt.Fprintln(s.Out, sanitize(line)) })
		for _, line := range left {
			fmt.Fprintln(s.Out, sanitize("stays: "+line))
		}
		return nil, nil
	case o.yes:
		plan.show(s, f, func(line string) { s.say("%s", line) })
	default:
		if err := s.askMoves(ctx, f, plan); err != nil {
			return nil, err
		}
	}
	if !slices.ContainsFunc(plan.moves, func(m *move) bool { return m.name != "" }) {
		s.say("Nothing was moved in %s", s.name(f))
		return left, nil
	}
	return left, s.writeMoves(ctx, f, plan)
}

// sayNone says that there is nothing to move, and where only git has it still.
func (s *session) sayNone(ctx context.Context, f *formation.Formation) error {
	s.say("There is no literal in %s that belongs into the vault", s.name(f))
	files, err := s.stillStaged(ctx, f)
	if err != nil || len(files) == 0 {
		return err
	}
	files = s.belowTop(files)
	var shown []string
	for _, file := range files {
		shown = append(shown, s.show(file))
	}
	s.warn("what is staged of %s still has one: '%s' stages the file as it is now", list(shown), s.gitOn("git add", files...))
	return nil
}

// show tells each value's places and name.
func (p *extractPlan) show(s *session, f *formation.Formation, tell func(string)) {
	for _, m := range p.moves {
		for _, line := range s.moveLines(f, m) {
			tell(line)
		}
	}
}

// moveLines show where a value stands and what it will be called.
func (s *session) moveLines(f *formation.Formation, m *move) []string {
	var lines []string
	for _, p := range m.places {
		field := p.literal.Shown()
		if field != "" {
			field += "  "
		}
		lines = append(lines, fmt.Sprintf("%s:%d  %s%s  ->  %s", s.show(f.Path(p.file.path)), p.literal.Line, field, formation.Mask(m.value), m.name))
	}
	return lines
}

// writeMoves stores the values and puts the references in, as one batch: the vault
// first, so that a value is always in one of the two.
func (s *session) writeMoves(ctx context.Context, f *formation.Formation, plan *extractPlan) error {
	w, err := s.openToWrite(ctx, f, crypto.Fernet)
	if err != nil {
		return err
	}
	defer w.close()
	if err := plan.unchanged(w); err != nil {
		return err
	}

	moved := 0
	for _, m := range plan.moves {
		if m.name == "" {
			continue
		}
		moved++
		if !m.stored {
			w.Vault.Set(m.name, m.value)
		}
	}
	w.edits = plan.edits()
	w.answered, w.editTemplate = plan.template()
	w.done = append(w.done, fmt.Sprintf("Moved %s into %s", plural(moved, "value"), s.show(f.Path(formation.VaultFile))))
	for _, edit := range w.edits {
		w.leaves = append(w.leaves, edit.Path)
		w.done = append(w.done, "  changed "+s.show(edit.Path))
	}
	if _, err := w.save(); err != nil {
		return err
	}
	s.offerHooks(ctx)
	for _, m := range plan.moves {
		if m.name != "" {
			s.warnBackslash(m.name, m.value)
		}
	}
	return nil
}
