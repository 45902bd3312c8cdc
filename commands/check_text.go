package commands

import (
	"errors"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
)

// judgeText judges what comes on standard input, by the values of the formation that
// was chosen, in a repository or not.
func (s *session) judgeText() (*judge.Report, error) {
	f, err := s.formation()
	if err != nil {
		var none *Error
		if !errors.As(err, &none) || s.dir != "" || len(s.bare()) > 0 || s.theirs != nil {
			return nil, err
		}
		f = nil // there is no vault here whose values could be in it
	}
	basis, err := s.basisOfText(f)
	if err != nil {
		return nil, err
	}
	report, err := basis.Text(s.input())
	if stopped := s.ctx.Err(); stopped != nil { // of something packed, an end too early is no error
		return nil, stopped
	}
	return report, err
}

func (s *session) basisOfText(f *formation.Formation) (*judge.Basis, error) {
	top := ""
	layout, ok := s.where()
	switch {
	case ok && layout.Top != "":
		top = layout.Top
	case f != nil:
		top = f.Dir
	}
	basis, err := judge.BasisOfOne(top, ok, f)
	if err != nil {
		return nil, err
	}
	switch {
	case f == nil:
		s.warn("there is no formation here: only tokens and key material are looked for")
		s.hint("name the one whose values may be in the text with -C DIR")
	case len(basis.Opened) == 0:
		s.warn("no key at hand opens the vault of %s: only tokens and key material are looked for", s.showFolder(f.Dir))
		s.hint("'%s unlock' gets the key", s.callOn(f))
	}
	return basis, nil
}
