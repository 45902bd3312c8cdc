package commands

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// choice is which names of a .env file are imported: it holds settings as well.
type choice struct {
	asked bool // there was somebody to ask
	why   map[string]string
	stays []string // names of values that only the file has
}

// choose asks which names to import, and returns their assignments: those that a
// file refers to, that are stored, or that look like credentials are proposed.
// Without a terminal, from standard input and with --all every name is taken.
func (s *session) choose(ctx context.Context, opened *formation.Opened, o importOptions, all []formation.Assignment) ([]formation.Assignment, *choice, error) {
	c := &choice{}
	if o.all || o.dryRun || o.file == "-" || len(all) == 0 {
		return all, c, nil
	}
	terminal, err := s.Terminal()
	if err != nil {
		return all, c, nil
	}
	defer terminal.Close()
	c.asked = true
	survey, err := opened.Survey()
	if err != nil {
		return nil, nil, err
	}

	chosen := c.propose(s, opened, survey, all)
	if len(chosen) == 0 {
		s.say("No name in %s is referred to or looks like a credential; --all takes every one", s.show(s.at(o.file)))
		return nil, c, nil
	}
	for _, a := range chosen {
		terminal.Print(sanitize("  " + a.Name + "  " + formation.Mask(a.Value) + "  " + c.why[a.Name]))
	}
	question := "Import " + these(chosen) + " ([yes]/no)? "
	if len(c.stays) > 0 {
		terminal.Print(sanitize("Not proposed: " + list(c.stays)))
		question = "Import " + these(chosen) + " ([yes]/no/all)? "
	}
	for {
		answer, err := terminal.Ask(ctx, question, tty.Options{})
		if errors.Is(err, tty.ErrEOF) {
			answer, err = "no", nil
		}
		if err != nil {
			return nil, nil, err
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "", "y", "yes":
			return chosen, c, nil
		case "a", "all":
			c.stays = nil
			return all, c, nil
		case "n", "no":
			c.stays = nil
			s.say("Nothing was imported")
			return nil, c, nil
		}
	}
}

// these is "this one", or how many.
func these(chosen []formation.Assignment) string {
	names := map[string]bool{}
	for _, a := range chosen {
		names[a.Name] = true
	}
	if len(names) == 1 {
		return "this secret"
	}
	return "these " + plural(len(names), "secret")
}

// propose parts the names of a file, and notes why.
func (c *choice) propose(s *session, opened *formation.Opened, survey *formation.Survey, all []formation.Assignment) (chosen []formation.Assignment) {
	c.why = map[string]string{}
	for _, a := range all {
		switch refs := survey.To(a.Name); {
		case formation.IsPlaceholder(a.Value) && !a.Dollar:
		case len(refs) > 0:
			c.why[a.Name] = s.places(opened.Formation, refs)[0]
		case opened.Vault.Has(a.Name):
			c.why[a.Name] = "stored"
		case scan.IsCredential(a.Spelled, a.Value):
			c.why[a.Name] = "looks like a credential"
		}
	}

	seen := map[string]bool{}
	for _, a := range all {
		switch {
		case c.why[a.Name] != "":
			chosen = append(chosen, a)
		case !seen[a.Name]:
			c.stays = append(c.stays, a.Name)
		}
		seen[a.Name] = true
	}
	return chosen
}

// sayLeft tells what becomes of the file that was imported.
func (s *session) sayLeft(ctx context.Context, o importOptions, c *choice) error {
	if o.file == "-" {
		return nil
	}
	file := s.at(o.file)
	if len(c.stays) > 0 {
		s.say("Only in %s: %s; the lines of what was imported can go", s.show(file), list(c.stays))
	} else {
		s.say("%s is as it was, and not needed any more", s.show(file))
	}
	return s.offerUntrack(ctx, file, c.asked)
}

// offerUntrack speaks of a file of values that git tracks. Where there is somebody
// to ask it is taken out of the index, and ignored from now on; it stays on disk.
func (s *session) offerUntrack(ctx context.Context, file string, ask bool) error {
	real := paths.Real(file)
	repo, err := gitutil.Open(filepath.Dir(real), gitutil.Options{Getenv: s.Getenv})
	if err != nil {
		return nil // no repository, or none of ours to speak of
	}
	defer repo.Close()
	tracked, err := repo.Tracked(ctx, []string{real})
	if err != nil {
		s.warn("whether git tracks '%s' is not known: %s", s.show(file), s.explain(err).Lines[0])
		s.hint("'%s' names it where it does", s.gitOn("git ls-files --", real))
		return nil // what was asked for is done
	}
	if !tracked[0] {
		return nil
	}

	git, err := gitutil.Writing(repo)
	if ask && err == nil {
		terminal, err := s.Terminal()
		if err != nil {
			return err
		}
		defer terminal.Close()
		answer, err := terminal.Ask(ctx, sanitize("Git tracks "+s.show(file)+". Take it out of git, keep the file, and have it ignored (yes/no)? "), tty.Options{})
		if err != nil && !errors.Is(err, tty.ErrEOF) {
			return err
		}
		if answer = strings.ToLower(strings.TrimSpace(answer)); answer == "yes" || answer == "y" {
			return s.untrack(ctx, git, file, real)
		}
	}
	s.warn("git tracks '%s': whoever has the repository reads what is in it", s.show(file))
	ignore := ""
	if ignored, err := repo.Ignored(ctx, []string{real}); err == nil && !ignored[0] {
		ignore = "' and '" + s.gitIgnore(real)
	}
	s.hint("take it out of git and keep the file: '%s%s'", s.gitOn("git rm --cached", real), ignore)
	return nil
}

// globbed spells a file's name as a pattern that means it (gitignore(5)).
var globbed = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, " ", `\ `)

// ignoreLine is the line of a .gitignore beside a file that means this file alone;
// behind the slash no '#' and no '!' is a mark.
func ignoreLine(file string) string { return "/" + globbed.Replace(filepath.Base(file)) }

// untrack is git rm --cached, and a line in the .gitignore beside the file.
func (s *session) untrack(ctx context.Context, git gitutil.Writer, file, real string) error {
	rel, ok := paths.Below(git.Layout().Top, real)
	if !ok {
		return nil
	}
	if err := git.StageFile(ctx, rel, nil, 0); err != nil {
		return err
	}
	s.say("Took %s out of git; the file stays. What was committed of it stays in the history: '%s check --history' names it", s.show(file), s.anywhere())
	if ignored, err := git.Ignored(ctx, []string{real}); err != nil || ignored[0] {
		return err
	}
	ignore := filepath.Join(filepath.Dir(real), ".gitignore")
	content, err := os.ReadFile(ignore)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return &safefile.Error{Op: "read", Path: ignore, Err: err}
	}
	if err := s.Files.Replace(ignore, appendLine(content, ignoreLine(real)), 0o644); err != nil {
		return err
	}
	s.say("Added '%s' to %s", filepath.Base(real), s.show(ignore))
	return nil
}
