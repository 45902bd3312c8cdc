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
		UsageText: "[--all] [--dry-run]",
		Description: `   git muxi-secrets setup

Enter leaves one for later. What is given is stored at once: Ctrl-C and Ctrl-D
stop, and lose nothing of it.`,
		Flags: []cli.Flag{
			allFlag(),
			&cli.BoolFlag{Name: "dry-run", Usage: "only list what would be asked for"},
		},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			return s.setup(ctx, c.Bool("dry-run"))
		}),
	}
}

// question is one secret that setup asks for.
type question struct {
	f        *formation.Formation
	name     string
	places   []string
	optional bool
}

func (s *session) setup(ctx context.Context, dryRun bool) error {
	var questions []question
	err := s.each(func(f *formation.Formation) error {
		some, err := s.questions(f)
		if err == nil && len(some) == 0 {
			s.say("Every secret that %s refers to has a value", s.name(f))
		}
		questions = append(questions, some...)
		return err
	})
	if len(questions) == 0 {
		return err
	}

	if dryRun {
		for _, q := range questions {
			fmt.Fprintln(s.Out, sanitize(s.ofAll(q)+q.name+" ("+q.places[0]+")"+q.note()))
		}
		return err
	}
	if stop := s.ask(ctx, questions); stop != nil {
		return stop
	}
	return err
}

// note says of a question that it need not be answered.
func (q question) note() string {
	if q.optional {
		return ", optional"
	}
	return ""
}

// ofAll names the formation of a question where those of several are asked.
func (s *session) ofAll(q question) string {
	if !s.all {
		return ""
	}
	return s.name(q.f) + ": "
}

// questions are the secrets of a formation that have no value.
func (s *session) questions(f *formation.Formation) ([]question, error) {
	opened, _, err := s.openOrFresh(f, crypto.Fernet)
	if err != nil {
		return nil, err
	}
	survey, err := f.Survey()
	if err != nil {
		return nil, err
	}

	required := map[string]bool{}
	for _, name := range survey.Required() {
		required[name] = true
	}
	var list []question
	for _, name := range absent(survey.Names(), opened.Vault) {
		list = append(list, question{f, name, s.places(f, survey.To(name)), !required[name]})
	}
	return list, nil
}

// ask asks each question in turn and stores each answer at once.
func (s *session) ask(ctx context.Context, questions []question) error {
	for _, q := range questions {
		s.current = q.f
		if err := s.mayAsk(q.f); err != nil {
			return err
		}
	}
	terminal, err := s.openTerminal("give the values one by one with '%s add NAME --stdin', or all with '%s import FILE'", s.again(), s.again())
	if err != nil {
		return err
	}
	defer terminal.Close()

	var left []string // that are needed
	stored := map[string]int{}
	for i, q := range questions {
		s.current = q.f
		prompt := fmt.Sprintf("[%d/%d] %s%s (%s%s, hidden): ", i+1, len(questions), sanitize(s.ofAll(q)), q.name, sanitize(q.places[0]), q.note())
		value, err := s.answer(ctx, terminal, prompt, i == len(questions)-1)
		if errors.Is(err, tty.ErrEOF) {
			for _, q := range questions[i:] {
				left = s.appendRequired(left, q)
			}
			break
		}
		if err != nil {
			return s.setupStopped(err, stored)
		}
		if value == "" {
			left = s.appendRequired(left, q)
			continue
		}

		did, err := s.storeMissing(ctx, q, value)
		if err != nil {
			return err
		}
		if did {
			stored[s.name(q.f)]++
		}
	}
	return s.saySetup(ctx, questions, stored, left)
}

// appendRequired adds what a question asks for to names, unless it is optional.
func (s *session) appendRequired(names []string, q question) []string {
	if q.optional {
		return names
	}
	return append(names, s.ofAll(q)+q.name)
}

// answer asks one question until the answer is a value, or nothing.
func (s *session) answer(ctx context.Context, terminal *tty.Terminal, prompt string, last bool) (string, error) {
	for {
		value, err := terminal.Ask(ctx, prompt, tty.Options{Hidden: true, Last: last})
		if err != nil || value == "" {
			return "", err
		}
		if problem := s.checkValue(value); problem != nil {
			terminal.Print("A value is UTF-8 text. Enter leaves this one for later, Ctrl-D all that are left.")
			continue
		}
		return value, nil
	}
}

// storeMissing stores the answer to a question, unless somebody did meanwhile.
func (s *session) storeMissing(ctx context.Context, q question, value string) (bool, error) {
	w, err := s.openToWrite(ctx, q.f, crypto.Fernet)
	if err != nil {
		return false, err
	}
	defer w.close()
	if w.Vault.Has(q.name) {
		s.warn("%s got a value from somewhere else meanwhile; that one was kept", q.name)
		return false, nil
	}
	w.Vault.Set(q.name, value)
	if _, err := w.save(); err != nil {
		return false, err
	}
	s.say("  %s: %s", q.name, s.seen(value))
	s.doubt(q.name, value)
	return true, nil
}

// setupStopped says what is stored where a person gave up.
func (s *session) setupStopped(err error, stored map[string]int) error {
	total := 0
	for _, n := range stored {
		total += n
	}
	e := s.explain(err)
	if total > 0 && e.Code == exitInterrupted {
		e = &Error{Code: exitInterrupted, Err: err}
		again := s.again() + " setup"
		if s.all {
			again = s.anywhere() + " setup --all"
		}
		return e.line("interrupted; %s stored before", have(total, "secret")).hint("'%s' asks for the rest", again)
	}
	return e
}

// have counts things that were done.
func have(n int, one string) string {
	if n == 1 {
		return "1 " + one + " was"
	}
	return plural(n, one) + " were"
}

func (s *session) saySetup(ctx context.Context, questions []question, stored map[string]int, left []string) error {
	if len(stored) == 0 {
		s.say("No value was given; nothing changed")
	}
	said := map[string]bool{}
	for _, q := range questions {
		where := s.name(q.f)
		if n := stored[where]; n > 0 && !said[where] {
			s.say("Stored %s in %s", plural(n, "secret"), where)
		}
		said[where] = true
	}
	if len(stored) > 0 {
		s.offerHooks(ctx)
	}
	if len(left) > 0 {
		s.hint("still without a value: %s", strings.Join(left, ", "))
	}
	return nil
}
