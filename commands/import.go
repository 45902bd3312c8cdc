package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

type importOptions struct {
	file              string // "-" is standard input
	overwrite, dryRun bool
	all               bool // every name, without asking
}

func (r *runner) importCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "take the values of a .env or JSON file in",
		UsageText: "FILE|- [--all] [--overwrite] [--dry-run]",
		Description: `   git muxi-secrets import .env

Names are normalised (openai-api-key becomes OPENAI_API_KEY); $ is never
expanded; lines without a value are skipped. JSON, as 'export' writes it, is
taken as well. A secret that already has a value keeps it unless --overwrite is
given. On a terminal the names that a file refers to or that look like
credentials are proposed: DEBUG and PORT stay. The file itself is left alone.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "overwrite", Usage: "give secrets that already have a value the new one"},
			&cli.BoolFlag{Name: "all", Usage: "take every name, without asking"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only say what would change, by name"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if c.NArg() != 1 {
				return usage("'import' takes one FILE, or - for standard input").hint("see '%s -h'", c.Command.HelpName)
			}
			return s.importFile(ctx, importOptions{c.Args().First(), c.Bool("overwrite"), c.Bool("dry-run"), c.Bool("all")})
		}),
	}
}

// importPlan is what an import does, by name.
type importPlan struct {
	set                                 map[string]string
	added, changed, kept, same, hinting []string
}

func (s *session) importFile(ctx context.Context, o importOptions) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	opened, _, err := s.openOrFresh(f, crypto.Fernet)
	if err != nil {
		return err
	}
	assignments, err := s.readDotenv(o.file)
	if err != nil {
		return err
	}
	if o.dryRun {
		s.sayDialect(assignments)
		s.sayImport(f, planImport(assignments, opened.Vault, o.overwrite), true)
		return nil
	}
	if len(assignments) == 0 {
		s.say("There is no value to import; nothing changed")
		return nil
	}
	chosen, left, err := s.choose(ctx, opened, o, assignments)
	if err != nil || len(chosen) == 0 {
		return err
	}
	s.sayDialect(chosen)
	kept, err := s.importChosen(ctx, f, chosen, o.overwrite)
	if err != nil {
		return err
	}
	left.stays = append(left.stays, kept...)
	return s.sayLeft(ctx, o, left)
}

// importChosen stores what was chosen. kept are the names that have another value
// than the file's, and keep it.
func (s *session) importChosen(ctx context.Context, f *formation.Formation, assignments []formation.Assignment, overwrite bool) (kept []string, err error) {
	w, err := s.openToWrite(ctx, f, crypto.Fernet)
	if err != nil {
		return nil, err
	}
	defer w.close()
	plan := planImport(assignments, w.Vault, overwrite)
	for name, value := range plan.set {
		w.Vault.Set(name, value)
	}
	if _, err := w.save(); err != nil {
		return nil, err
	}
	s.sayImport(f, plan, false)
	s.offerHooks(ctx)
	for _, name := range append(plan.added, plan.changed...) {
		doubts := formation.Doubts(name, plan.set[name])
		s.sayDoubts(name, plan.set[name], slices.DeleteFunc(doubts, func(d formation.Doubt) bool { return d == formation.IsNoValue })) // that is said
	}
	return plan.kept, nil
}

func (s *session) readDotenv(file string) ([]formation.Assignment, error) {
	var content []byte
	var err error
	label := "standard input"
	if file == "-" {
		if content, err = s.readInput(); err != nil {
			return nil, err
		}
		if len(content) == 0 {
			s.warn("nothing came on %s", label)
			s.hint("the command before the '|' may have failed: run it alone")
		}
	} else {
		path := s.at(file)
		label = s.show(path)
		if content, err = s.readAwaited(path); err != nil {
			return nil, err
		}
	}
	if len(content) > maxValue {
		return nil, usage("'%s' is longer than %d MiB: that is no .env file", label, maxValue>>20)
	}
	assignments, err := formation.ParseDotenv(content)
	named := "FILE"
	if file != "-" {
		named = s.argument(s.at(file))
	}
	if sealed, ok := errors.AsType[*formation.SealedDotenvError](err); ok {
		return nil, s.explainSealedDotenv(sealed, named)
	}
	if nested, ok := errors.AsType[*formation.NestedError](err); ok {
		return nil, s.explainNested(nested, label, named, file == "-")
	}
	var bad *formation.DotenvError
	if errors.As(err, &bad) {
		return nil, failed(err, "cannot read '%s': %v; nothing was imported", label, bad).
			hint("every line is NAME=VALUE, a # comment or blank, with quotes around a value of several lines; or the file is one JSON object of names and texts")
	}
	return assignments, err
}

// explainSealedDotenv names the command that decrypts another tool's file.
func (s *session) explainSealedDotenv(sealed *formation.SealedDotenvError, file string) error {
	decrypt := "dotenvx decrypt --stdout -f "
	if sealed.Tool == "sops" {
		output := "json"
		switch sealed.Format {
		case "dotenv":
			output = "dotenv"
		case "ini": // its JSON has an object for each section
			output += " " + s.extractPart(sealed.Section)
		}
		decrypt = fmt.Sprintf("sops decrypt --input-type %s --output-type %s ", sealed.Format, output)
	}
	return usage("line %d is encrypted with %s, and what is encrypted is no value; nothing was imported", sealed.Line, sealed.Tool).
		hint("decrypt it on the way in: '%s | %s import -'", decrypt+file, s.again())
}

// extractPart is what has sops give one entry alone.
func (s *session) extractPart(name string) string {
	return "--extract " + s.shell().Escape(`["`+name+`"]`)
}

// explainNested names the commands that take what is a text out of JSON with parts
// in parts: label and file are how it is called, and piped whether it came from
// another command. That is mostly sops, whose file has such parts as they are.
func (s *session) explainNested(nested *formation.NestedError, label, file string, piped bool) error {
	e := failed(nested, "cannot read '%s': %v; nothing was imported", label, nested)
	scalars := "jq " + s.shell().Escape("map_values(scalars)")
	if !piped {
		return e.hint("the texts beside it: '%s %s | %s import -'", scalars, file, s.again())
	}
	if nested.Name != "" && !nested.List {
		e.hint("from sops, its own names and texts: 'sops decrypt --output-type json %s %s | %s import -'", s.extractPart(nested.Name), file, s.again())
	}
	return e.hint("from sops, the texts beside it: 'sops decrypt --output-type json %s | %s | %s import -'", file, scalars, s.again())
}

// sayDialect speaks of what other readers of the file may read otherwise: lines of
// which only the last counts, and variables that they fill in.
func (s *session) sayDialect(assignments []formation.Assignment) {
	lines := map[string][]string{}
	var dollars []string
	for _, a := range assignments {
		lines[a.Name] = append(lines[a.Name], strconv.Itoa(a.Line))
		if a.Dollar && !slices.Contains(dollars, a.Name) {
			dollars = append(dollars, a.Name)
		}
	}

	for _, a := range assignments {
		if at := lines[a.Name]; len(at) > 1 {
			s.warn("lines %s give one name, %s: the last one counts", list(at), a.Name)
			delete(lines, a.Name)
		}
	}
	if len(dollars) > 0 {
		s.warn("the $ in %s is kept as it stands; other readers of .env files may fill a variable in there, or drop the backslash", list(dollars))
	}
}

// planImport decides name by name; of a name that comes twice the last value
// counts.
func planImport(assignments []formation.Assignment, vault *formation.Vault, overwrite bool) importPlan {
	last := map[string]formation.Assignment{}
	var order []string
	for _, a := range assignments {
		if _, twice := last[a.Name]; !twice {
			order = append(order, a.Name)
		}
		last[a.Name] = a
	}
	plan := importPlan{set: map[string]string{}}
	for _, name := range order {
		value := last[name].Value
		have, had, err := vault.Get(name)
		switch {
		case had && err == nil && have == value:
			plan.same = append(plan.same, name)
			continue
		case had && !overwrite:
			plan.kept = append(plan.kept, name)
			continue
		case had:
			plan.changed = append(plan.changed, name)
		default:
			plan.added = append(plan.added, name)
		}
		plan.set[name] = value
		if formation.IsPlaceholder(value) && !last[name].Dollar {
			plan.hinting = append(plan.hinting, name)
		}
	}
	return plan
}

func (s *session) sayImport(f *formation.Formation, plan importPlan, dryRun bool) {
	would := ""
	tell := func(line string) { s.say("%s", line) }
	if dryRun {
		would = "would be "
		tell = func(line string) { fmt.Fprintln(s.Out, sanitize(line)) }
	}
	for _, part := range []struct {
		names []string
		what  string
	}{
		{plan.added, would + "added"},
		{plan.changed, would + "changed"},
		{plan.same, "unchanged"},
		{plan.kept, "kept as it was (--overwrite replaces it)"},
	} {
		for _, name := range part.names {
			tell(fmt.Sprintf("  %s: %s", name, part.what))
		}
	}
	for _, name := range plan.hinting {
		s.warn("the value of %s looks like a placeholder", name)
	}
	if !dryRun {
		s.say("Imported %s into %s", plural(len(plan.set), "secret"), s.name(f))
	}
}
