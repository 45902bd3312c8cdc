package commands

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// What is asked about a secret, and what is said to a value that was given.

// addAsking is the conversation of MUXI's guide: folder, name, value.
func (s *session) addAsking(ctx context.Context) error {
	terminal, err := s.openTerminal("without one, name the secret and pipe its value in: '%s add NAME --stdin'", s.again())
	if err != nil {
		return err
	}
	defer terminal.Close()

	f, err := s.askFolder(ctx, terminal)
	if err != nil {
		return err
	}
	if _, _, err := s.openOrFresh(f, crypto.Fernet); err != nil {
		return err
	}
	if err := s.mayAsk(f); err != nil {
		return err
	}
	name, err := s.askName(ctx, terminal)
	if err == nil && name == "" {
		_, err = s.nameArgument("")
	}
	if err != nil {
		return err
	}
	value, err := s.askValue(ctx, terminal, name)
	if err == nil {
		err = s.checkValue(value)
	}
	if err != nil {
		return err
	}
	return s.store(ctx, []*formation.Formation{f}, name, value, false)
}

// askFolder asks for the folder of a formation; one of several that are there may
// be given by its number.
func (s *session) askFolder(ctx context.Context, terminal *tty.Terminal) (*formation.Formation, error) {
	f, several, err := s.search()
	prompt := "Formation directory: "
	switch {
	case err == nil && f != nil:
		prompt = fmt.Sprintf("Formation directory [%s]: ", sanitize(s.showFolder(f.Dir)))
	case s.dir != "":
		return nil, err
	case len(several) > 0:
		terminal.Print("Formations here:")
		s.printNumbered(terminal, several)
	}

	dir, err := terminal.Ask(ctx, prompt, tty.Options{})
	if err != nil {
		return nil, err
	}
	dir = strings.TrimSpace(dir)
	if n, err := strconv.Atoi(dir); err == nil && n >= 1 && n <= len(several) {
		return s.chosen(several[n-1])
	}
	if f != nil && isYes(dir) && !paths.There(s.at(dir)) {
		dir = "" // a yes to the default
	}
	switch {
	case dir == "" && f == nil:
		return nil, usage("no folder was given").hint("name the formation's folder with -C DIR")
	case dir == "":
		return s.chosen(f)
	}

	if f, err = formation.At(s.at(dir)); err != nil {
		return nil, err
	}
	s.dir, s.layout, s.looked, s.theirs, s.finder = f.Dir, nil, false, nil, nil // its repository may be another one
	return s.found(f), nil
}

// askValue asks for the value of a secret, once.
func (s *session) askValue(ctx context.Context, terminal *tty.Terminal, name string) (string, error) {
	return terminal.Ask(ctx, fmt.Sprintf("Value of %s (hidden): ", name), tty.Options{Hidden: true, Last: true})
}

// askName asks for the name of a secret; "" is none. Where a key was pasted it asks
// again.
func (s *session) askName(ctx context.Context, terminal *tty.Terminal) (string, error) {
	for {
		spelled, err := terminal.Ask(ctx, "Key name (for example OPENAI_API_KEY): ", tty.Options{})
		if err != nil {
			return "", err
		}
		if formation.KeyShape(spelled) != "" {
			terminal.Print("That looks like a value. A name is seen by everybody: OPENAI_API_KEY is one.")
			continue
		}
		switch {
		case strings.TrimSpace(spelled) == "":
			return "", nil
		case isYes(spelled), isNo(spelled):
			terminal.Print("A name is asked for: OPENAI_API_KEY is one.")
			continue
		}
		return s.nameArgument(spelled)
	}
}

// isYes reports whether an answer is a yes.
func isYes(answer string) bool {
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "yes" || answer == "y"
}

// isNo reports whether an answer is a no.
func isNo(answer string) bool {
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "no" || answer == "n"
}

// seen is what may be shown of a value that was given: its mask and, to who watches,
// how many characters it has.
func (s *session) seen(value string) string {
	if !s.ErrIsTerminal {
		return formation.Mask(value)
	}
	return formation.Mask(value) + ", " + plural(utf8.RuneCountInString(value), "character")
}

// doubt speaks of a value whose form says that it is perhaps not what was meant, or
// that the runtime will not cope with.
func (s *session) doubt(name, value string) { s.sayDoubts(name, value, formation.Doubts(name, value)) }

func (s *session) sayDoubts(name, value string, doubts []formation.Doubt) {
	for _, doubt := range doubts {
		switch doubt {
		case formation.InQuotes:
			s.warn("the value of %s has quotes around it, which are stored as part of it", name)
		case formation.InBlanks:
			s.warn("the value of %s has blanks or a line end around it, which are stored as part of it", name)
		case formation.IsNoValue:
			s.warn("the value of %s looks like a placeholder", name)
		case formation.OfAnotherName:
			s.warn("the value of %s begins like %s", name, formation.OtherProvider(name, value))
		}
	}

	s.warnBackslash(name, value)
}

// warnBackslash speaks of a flaw of today's runtime: it uses the value as the
// replacement of a re.sub, where a backslash is special.
func (s *session) warnBackslash(name, value string) {
	if strings.Contains(value, `\`) {
		s.warn("the value of %s has a backslash, which today's MUXI runtime mangles or refuses when it fills it in", name)
	}
}
