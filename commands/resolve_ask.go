package commands

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
)

// undecided says that 'resolve' merged what there is, and a person is there who can
// decide the names that are left.
type undecided struct{ resolution *merge.Resolution }

func (*undecided) Error() string { return "names are left to be settled" }

// resolveAsking settles a merge name by name. Nobody waits for the answers: each is
// a 'resolve' of its own.
func (s *session) resolveAsking(ctx context.Context, o resolveOptions) error {
	o.ask = s.ErrIsTerminal
	err := s.resolve(ctx, o)
	left := (*undecided)(nil)
	if !errors.As(err, &left) {
		return err
	}
	terminal, err := s.Terminal()
	if err != nil {
		return s.resolve(ctx, resolveOptions{})
	}
	defer terminal.Close()

	r := left.resolution
	open := r.State.Open()
	changes := s.sideChanges(ctx, r)
	skipped := false
	for i, name := range open {
		terminal.Print(fmt.Sprintf("[%d/%d] %s", i+1, len(open), sanitize(name)))
		for n, side := range [...]string{"ours", "theirs"} {
			terminal.Print("  " + sanitize(sideOf(side, r.Result.Side(n == 1), name, changes[n][name])))
		}
		answer, err := s.askSide(ctx, terminal, name)
		if errors.Is(err, tty.ErrEOF) {
			skipped = true
			break
		}
		if err != nil {
			return err
		}
		if answer == nil {
			skipped = true
			continue
		}
		if err := s.resolve(ctx, *answer); err != nil {
			return err
		}
	}
	if skipped {
		return s.resolve(ctx, resolveOptions{}) // says what is left
	}
	return nil
}

// askSide asks how to settle a name; nil leaves it for later.
func (s *session) askSide(ctx context.Context, terminal *tty.Terminal, name string) (*resolveOptions, error) {
	for {
		answer, err := terminal.Ask(ctx, "Take (o)urs, (t)heirs or another (v)alue; Enter leaves it for later: ", tty.Options{})
		if err != nil {
			return nil, err
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "":
			return nil, nil
		case "o", "ours":
			return &resolveOptions{name: name, ours: true, ask: true}, nil
		case "t", "theirs":
			return &resolveOptions{name: name, theirs: true, ask: true}, nil
		case "v", "value":
			value, err := terminal.Ask(ctx, fmt.Sprintf("Value of %s (hidden): ", sanitize(name)), tty.Options{Hidden: true, Last: true})
			if err != nil {
				return nil, err
			}
			if problem := s.checkValue(value); problem != nil {
				terminal.Print("A value is UTF-8 text, at least one character.")
				continue
			}
			return &resolveOptions{name: name, stdin: true, value: value, ask: true}, nil
		}
	}
}

// sideOf tells what a side has for a name, masked, and who changed it when.
func sideOf(side string, vault *formation.Vault, name string, by *history.VaultCommit) string {
	what := "deleted"
	if value, there, err := vault.Get(name); there && err == nil {
		what = formation.Mask(value)
	} else if there {
		what = formation.Mask("")
	}
	line := fmt.Sprintf("%-6s  %s", side, what)
	if by == nil {
		return line
	}
	line += ", by " + by.Author
	if !by.Date.IsZero() {
		line += " on " + by.Date.Format(time.DateOnly)
	}
	return line + fmt.Sprintf(" (commit %.10s)", by.Hash)
}

// sideChanges finds the commits that gave the sides what they have for the names that
// are left. Where that cannot be told, nothing is said of it.
func (s *session) sideChanges(ctx context.Context, r *merge.Resolution) (changes [2]map[string]*history.VaultCommit) {
	repo, err := s.repository()
	if err != nil {
		return changes
	}
	open := map[string]bool{}
	for _, name := range r.State.Open() {
		open[name] = true
	}
	for n, rev := range [...]string{r.State.Head, r.State.Theirs} {
		changes[n] = map[string]*history.VaultCommit{}
		if rev == "" {
			continue
		}
		past, err := history.Read(ctx, repo, s.keys(), rev, nil)
		if err != nil {
			continue
		}
		for _, file := range [...]string{r.State.Path, r.State.From} {
			if file == "" || len(changes[n]) > 0 {
				continue
			}
			_ = past.Walk([]string{path.Dir(file)}, func(_ int, c *history.VaultCommit) bool {
				for _, change := range c.Changes {
					if open[change.Name] && changes[n][change.Name] == nil {
						changes[n][change.Name] = c
					}
				}
				return len(changes[n]) < len(open)
			})
		}
	}
	return changes
}
