package formation

import (
	"errors"
	"path/filepath"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// Look is a formation as far as it can be seen, in the work tree or in a version that
// git has. What cannot be is nil, and has its problem.
type Look struct {
	*Formation
	// Opened is the vault, by whatever key at hand opens it; an empty one where
	// nothing was set up yet.
	Opened *Opened
	Fresh  bool          // neither .key nor secrets.enc yet
	Format crypto.Format // of secrets.enc, else of .key; "" for neither
	Key    *crypto.Key   // that opens the vault, else .key; nil: none
	Survey *Survey
	// Template is the template as it should be.
	Template *TemplatePlan
	People   *People
	Problem  Problems
}

// Problems say why a part of a formation cannot be seen, or is not as it should be.
type Problems struct {
	// Key is why the .key does not open the vault: *NoKeyError, *KeyError,
	// *TrackedKeyError, *ArrivedKeyError, *RetiredKeyError, *VaultError for a wrong one, or
	// *safefile.Error; *ElsewhereError where another key does.
	Key error
	// Vault is what no key mends: *VaultError or *safefile.Error.
	Vault                    error
	Survey, Template, People error
}

// Look looks at everything that the folder shows. parse is ReferencesIn, or
// something that remembers.
func (f *Formation) Look(parse func(path string, content []byte) References) *Look {
	l := &Look{Formation: f}
	l.open()
	if l.Survey, l.Problem.Survey = f.SurveyWith(parse); l.Survey != nil {
		l.Template, l.Problem.Template = f.PlanTemplate(l.Survey, l.stored(), nil)
	}
	l.People, _, l.Problem.People = f.ReadPeople()
	return l
}

// Version is what the index or a commit has of a formation.
type Version struct {
	Survey   *Survey
	Sealed   []byte // secrets.enc
	Template []byte
	// Whether the files are there.
	HasVault, HasTemplate bool
}

// LookAt is Look for a version, with the keys of the work tree.
func (f *Formation) LookAt(v *Version) *Look {
	l := &Look{Formation: f, Survey: v.Survey}
	opened, err := f.openVersion(v.Sealed, v.HasVault)
	l.take(v.Sealed, v.HasVault, opened, err)
	l.Template = PlanTemplate(v.Template, v.HasTemplate, v.Survey, l.stored(), nil)
	return l
}

func (l *Look) open() {
	sealed, there, err := l.ReadSealed()
	opened, openErr := l.OpenToWrite()
	l.take(sealed, err == nil && there, opened, openErr)
}

// take takes in what came of opening the vault.
func (l *Look) take(sealed []byte, there bool, opened *Opened, err error) {
	if there {
		l.Format, _ = crypto.Detect(sealed)
	}
	missing, _ := errors.AsType[*NoKeyError](err)
	elsewhere, _ := errors.AsType[*ElsewhereError](err)
	switch {
	case err == nil:
		l.Opened = opened
	case elsewhere != nil:
		l.Opened = elsewhere.Opened
	case missing != nil && !missing.Vault && missing.Link == "":
		l.Fresh, l.Opened = true, &Opened{Formation: l.Formation, Vault: NewVault()}
	}
	if ofKey(err) {
		l.Problem.Key = err
	} else {
		l.Problem.Vault = err
	}

	if l.Opened != nil && l.Opened.Key != nil {
		l.Key = l.Opened.Key
	} else if key, err := l.ReadKey(); err == nil {
		l.Key = key
	}
	if l.Format == "" && l.Key != nil {
		l.Format = l.Key.Format()
	}
}

// ofKey reports whether an error of opening a formation is of its key.
func ofKey(err error) bool {
	switch e := err.(type) {
	case *NoKeyError, *KeyError, *TrackedKeyError, *ArrivedKeyError, *RetiredKeyError, *ElsewhereError:
		return true
	case *VaultError:
		return crypto.ReasonOf(e) == crypto.WrongKey
	case *safefile.Error:
		return filepath.Base(e.Path) == KeyFile
	}
	return false
}

// Locked is why the vault does not open with .key; nil where it does.
func (l *Look) Locked() error {
	if l.Problem.Key != nil {
		return l.Problem.Key
	}
	return l.Problem.Vault
}

// Vault is what is stored; nil where that is not known.
func (l *Look) Vault() *Vault {
	if l.Opened == nil {
		return nil
	}
	return l.Opened.Vault
}

// stored is what explains a name of the template; nil where it is not known, or where
// nothing was set up yet, and the template is what its author made of it.
func (l *Look) stored() *Vault {
	if l.Fresh {
		return nil
	}
	return l.Vault()
}

// State is what the template is against what it should be; one that cannot be told
// counts as missing.
func (l *Look) State() TemplateState {
	if l.Template == nil {
		return TemplateMissing
	}
	return l.Template.State
}
