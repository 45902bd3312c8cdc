package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

func (r *runner) setupCommand() *cli.Command {
	return &cli.Command{
		Name:      "setup",
		Usage:     "ask for every secret that is referred to and has no value",
		UsageText: "[--dry-run]",
		Description: `   git muxi-secrets setup

Values are stored together at the end: Ctrl-C leaves every file as it was,
Ctrl-D stops and keeps what was given. An optional secret
(${{ secrets.X || '' }}) may be left empty.`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "only list what would be asked for"}},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return s.setup(ctx, c.Bool("dry-run"))
		}),
	}
}

// question is one secret that setup asks for.
type question struct {
	name     string
	places   []string
	optional bool
}

func (s *session) setup(ctx context.Context, dryRun bool) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	opened, err := s.openOrFresh(f, crypto.Fernet)
	if err != nil {
		return err
	}
	survey, err := f.Survey()
	if err != nil {
		return err
	}
	questions := s.questions(f, survey, opened.Vault)
	if len(questions) == 0 {
		s.say("Every secret that %s refers to has a value", s.name(f))
		return nil
	}
	if dryRun {
		for _, q := range questions {
			fmt.Fprintf(s.Out, "%s (%s)%s\n", q.name, sanitize(q.places[0]), map[bool]string{true: ", optional"}[q.optional])
		}
		return nil
	}
	answers, err := s.ask(ctx, questions)
	if err != nil {
		return err
	}
	if len(answers) == 0 {
		s.say("No value was given; nothing changed")
		return nil
	}
	w, err := s.openToWrite(ctx, f, crypto.Fernet)
	if err != nil {
		return err
	}
	defer w.close()
	var kept, stored []string
	for _, q := range questions {
		value, ok := answers[q.name]
		switch {
		case !ok:
		case w.Vault.Has(q.name): // somebody stored it while we asked
			kept = append(kept, q.name)
		default:
			w.Vault.Set(q.name, value)
			stored = append(stored, q.name)
		}
	}
	if _, err := w.save(); err != nil {
		return err
	}
	s.say("Stored %s in %s", plural(len(stored), "secret"), s.name(f))
	s.offerHooks(ctx)
	for _, name := range stored {
		s.warnBackslash(name, answers[name])
	}
	for _, name := range kept {
		s.warn("%s got a value from somewhere else meanwhile; that one was kept", name)
	}
	if missing := absent(survey.Required(), w.Vault); len(missing) > 0 {
		s.hint("still without a value: %s", strings.Join(missing, ", "))
	}
	return nil
}

func (s *session) questions(f *formation.Formation, survey *formation.Survey, vault *formation.Vault) []question {
	required := map[string]bool{}
	for _, name := range survey.Required() {
		required[name] = true
	}
	var list []question
	for _, name := range absent(survey.Names(), vault) {
		list = append(list, question{name, s.places(f, survey.To(name)), !required[name]})
	}
	return list
}

// ask asks each question in turn. Ctrl-D ends the questions and keeps the
// answers so far.
func (s *session) ask(ctx context.Context, questions []question) (map[string]string, error) {
	terminal, err := s.openTerminal("give the values one by one with '%s add NAME --stdin', or all with '%s import FILE'", program, program)
	if err != nil {
		return nil, err
	}
	defer terminal.Close()
	answers := map[string]string{}
	for i, q := range questions {
		note := ""
		if q.optional {
			note = ", optional"
		}
		for {
			value, err := terminal.Ask(ctx, fmt.Sprintf("[%d/%d] %s (%s%s, hidden): ", i+1, len(questions), q.name, sanitize(q.places[0]), note), tty.Options{Hidden: true, Last: i == len(questions)-1})
			if errors.Is(err, tty.ErrEOF) {
				return answers, nil
			}
			if err != nil {
				return nil, err
			}
			if value == "" && q.optional {
				break
			}
			if problem := checkValue(value); problem != nil {
				terminal.Print("It needs a value: UTF-8 text, at least one character. Ctrl-D stops here and keeps the answers so far.")
				continue
			}
			answers[q.name] = value
			break
		}
	}
	return answers, nil
}
