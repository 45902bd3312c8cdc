package commands

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// Which formation a command is about.

// formation finds the one formation a command is about: the folder given with
// -C or one it lies in; else the nearest upwards; else the only one of the
// repository; else, on a terminal, the one that is chosen there. A folder given by
// hand is never swapped for one elsewhere.
func (s *session) formation() (*formation.Formation, error) {
	f, several, err := s.search()
	if f == nil && len(several) > 0 && s.picked == nil && s.ErrIsTerminal && !s.byGit {
		var stop error
		if s.picked, stop = s.askWhich(several); stop != nil {
			return nil, stop
		}
	}
	switch {
	case f != nil:
		return s.chosen(f)
	case s.picked != nil && len(several) > 0:
		return s.chosen(s.picked)
	}
	return nil, err
}

// search finds the formation that nothing needs to be asked for; where there are
// several, those, and the error that lists them.
func (s *session) search() (f *formation.Formation, several []*formation.Formation, err error) {
	start := s.start()
	if s.dir != "" {
		if _, err := os.Stat(start); err != nil {
			return nil, nil, s.deleted(s.explain(&formation.NotFormationError{Dir: start, Err: err}))
		}
	}
	if err := s.ours(); err != nil {
		return nil, nil, err
	}
	if f := formation.Above(start); f != nil {
		return s.found(f), nil, nil
	}

	var found []*formation.Formation
	layout, inRepo := s.where()
	switch {
	case s.dir != "":
		found = s.formationsBelow(start)
	case inRepo && layout.Top != "":
		found = s.formationsBelow(layout.Top)
	}
	switch len(found) {
	case 0:
		e := usage("no formation here: '%s' has no formation.afs (or .yaml, .yml), nor has a folder above it", s.showFolder(start))
		if inRepo && s.dir == "" {
			e = usage("no formation in this repository: no folder has a formation.afs (or .yaml, .yml)")
		}
		return nil, nil, s.deleted(e).hint("go to a formation's folder, or name it with %s DIR; 'muxi new formation' makes one", s.flag())
	case 1:
		return found[0], nil, nil
	}

	e := usage("there are %d formations and none was chosen", len(found))
	for _, f := range found {
		e.line("%s", s.name(f))
	}
	return nil, found, e.hint("choose one with %s DIR, for example %s %s", s.flag(), s.flag(), s.argument(found[0].Dir))
}

// flag is how a person names the folder of a formation to this command.
func (s *session) flag() string {
	if s.to {
		return "--to"
	}
	return "-C"
}

// deleted adds how formations that git has and the work tree lacks come back.
func (s *session) deleted(e *Error) *Error {
	if !s.inRepository() {
		return e
	}
	call, gone := "git restore", "deleted here"
	if layout, _ := s.where(); paths.There(filepath.Join(layout.GitDir, "info", "sparse-checkout")) {
		call, gone = call+" --ignore-skip-worktree-bits", "not checked out here"
	}
	for _, lost := range s.keys().Deleted() {
		shown := s.showFolder(lost)
		if formation.IsFormationFile(filepath.Base(lost)) {
			shown = "'" + s.show(lost) + "'"
		}
		e.hint("git has %s, which is %s: '%s' brings it back", shown, gone, s.gitOn(call, lost))
	}
	return e
}

// printNumbered lists formations to choose from.
func (s *session) printNumbered(terminal *tty.Terminal, several []*formation.Formation) {
	for i, f := range several {
		terminal.Print(fmt.Sprintf("  %*d  %s", len(strconv.Itoa(len(several))), i+1, sanitize(s.name(f))))
	}
}

// askWhich asks which of several formations a command is about. It returns nil where
// no answer tells.
func (s *session) askWhich(several []*formation.Formation) (*formation.Formation, error) {
	terminal, err := s.Terminal()
	if err != nil {
		return nil, nil
	}
	defer terminal.Close()
	terminal.Print("Which formation?")
	s.printNumbered(terminal, several)
	for range 3 {
		answer, err := terminal.Ask(s.ctx, fmt.Sprintf("Number (1-%d): ", len(several)), tty.Options{})
		answer = strings.TrimSpace(answer)
		switch {
		case errors.Is(err, tty.ErrEOF), err == nil && answer == "":
			return nil, nil
		case err != nil:
			return nil, err
		}
		if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(several) {
			return several[n-1], nil
		}
		for _, f := range several {
			if same(s.at(answer), f.Dir) {
				return f, nil
			}
		}
	}
	return nil, nil
}
