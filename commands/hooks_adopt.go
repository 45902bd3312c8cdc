package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
)

// adoptHooks has another tool, which keeps the hooks here, run ours: by a change to
// its files that is shown, and made after a yes or with --write.
func (s *session) adoptHooks(ctx context.Context, in *hooks.Installer, managed *hooks.ManagedError) error {
	adoption, err := in.Adopt(ctx)
	if err != nil {
		return s.explainUnsafe(err)
	}
	if adoption == nil {
		s.printLines(managed.Snippet)
		return refuse("the hooks here belong to %s; nothing was changed there", managed.Manager).
			hint("add what stands above, and the checks run with the rest")
	}
	if len(adoption.Changes) == 0 {
		if state := s.hooksState(ctx); !in.Write && hooks.State(state).Lacks() {
			return refuse("%s is set up to run ours, but its own hooks are not all installed in this clone", adoption.Manager).
				hint("install them: '%s'", adoption.Then)
		}
		s.say("%s is set up to run ours already", adoption.Manager) // ends as the run did that made them
		s.hintThen(ctx, adoption)
		return nil
	}

	for _, change := range adoption.Changes {
		s.printLines(change.Diff(judge.Label(in.Repo.Layout().Top, change.Path)))
	}
	if !in.Write {
		yes, err := s.agrees(ctx, "Make this change (yes/no)? ")
		if errors.Is(err, tty.ErrNoTerminal) {
			return refuse("the hooks here belong to %s; nothing was changed there", managed.Manager).
				hint("make the change that stands above: '%s hooks install --write'", s.anywhere())
		}
		if err != nil {
			return err
		}
		if !yes {
			return refuse("nothing was changed in the files of %s", adoption.Manager)
		}
	}
	if err := in.Apply(ctx, adoption.Changes); err != nil {
		return err
	}

	for _, change := range adoption.Changes {
		s.say("Wrote %s", s.show(change.Path))
	}
	s.noteHooks()
	s.hint("commit it, and the checks run for everybody; '%s hooks uninstall' takes exactly it out again", s.anywhere())
	s.hintThen(ctx, adoption)
	return nil
}

// hintThen says what the manager itself has to do in this clone, where it has not.
func (s *session) hintThen(ctx context.Context, adoption *hooks.Adoption) {
	if state := s.hooksState(ctx); hooks.State(state).Lacks() {
		s.hint("then have %s install its hooks in this clone: '%s'", adoption.Manager, adoption.Then)
	}
}

// agrees asks on the terminal. Errors: tty.ErrNoTerminal where there is none.
func (s *session) agrees(ctx context.Context, question string) (bool, error) {
	terminal, err := s.Terminal()
	if err != nil {
		return false, err
	}
	defer terminal.Close()
	answer, err := terminal.Ask(ctx, question, tty.Options{})
	return isYes(answer), err
}

// explainUnsafe says why a manager's file is left alone, and shows what to write.
func (s *session) explainUnsafe(err error) error {
	var unsafe *hooks.UnsafeError
	if !errors.As(err, &unsafe) {
		return err
	}
	if unsafe.Snippet == "" {
		return refuse("'%s': %s", s.show(unsafe.Path), unsafe.Reason)
	}
	s.printLines(unsafe.Snippet)
	return refuse("'%s' is left alone: %s; nothing was changed in it", s.show(unsafe.Path), unsafe.Reason).
		hint("add what stands above by hand, and the checks run with the rest")
}

// printLines prints a text of several lines as a result.
func (s *session) printLines(text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintln(s.Out, sanitize(strings.TrimSuffix(line, "\n")))
	}
}
