package formation

import (
	"errors"
	"os"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// What cannot be seen has a problem of its own kind, and hides nothing else.
func TestLook(t *testing.T) {
	key := newKey(t, crypto.Fernet)
	sealed, err := key.Seal([]byte(oneSecret))
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string]string{"formation.afs": "a: ${{ secrets.A }}\n", KeyFile: string(key.File()), VaultFile: string(sealed), TemplateFile: "A=\n"}
	for _, test := range []struct {
		about string
		give  map[string]string // "-": the file is not there
		key   any               // the type of the problem; nil for none
		vault any
		fresh bool
		opens bool
		state TemplateState
	}{
		{"whole", nil, nil, nil, false, true, TemplateCurrent},
		{"no key", map[string]string{KeyFile: "-"}, &NoKeyError{}, nil, false, false, TemplateCurrent},
		{"nothing yet", map[string]string{KeyFile: "-", VaultFile: "-"}, &NoKeyError{}, nil, true, true, TemplateCurrent},
		{"no vault", map[string]string{VaultFile: "-"}, nil, nil, false, true, TemplateCurrent},
		{"malformed key", map[string]string{KeyFile: "none"}, &KeyError{}, nil, false, false, TemplateCurrent},
		{"wrong key", map[string]string{KeyFile: string(newKey(t, crypto.Fernet).File())}, &VaultError{}, nil, false, false, TemplateCurrent},
		{"damaged vault", map[string]string{VaultFile: "<<<<<<< ours\n"}, nil, &VaultError{}, false, false, TemplateCurrent},
		{"stale template", map[string]string{TemplateFile: "A=\nB=\n"}, nil, nil, false, true, TemplateStale},
		{"damaged list of people", map[string]string{RecipientsFile: "nobody\n"}, nil, nil, false, true, TemplateCurrent},
	} {
		files := map[string]string{}
		for name, content := range whole {
			files[name] = content
		}
		for name, content := range test.give {
			files[name] = content
			if content == "-" {
				delete(files, name)
			}
		}
		f, err := At(makeFiles(t, files))
		if err != nil {
			t.Fatal(err)
		}
		l := f.Look(ReferencesIn)
		if !sameKind(l.Problem.Key, test.key) || !sameKind(l.Problem.Vault, test.vault) {
			t.Errorf("%s: key %v, vault %v", test.about, l.Problem.Key, l.Problem.Vault)
		}
		if l.Fresh != test.fresh || (l.Vault() != nil) != test.opens || l.State() != test.state {
			t.Errorf("%s: fresh %v, opens %v, template %s", test.about, l.Fresh, l.Vault() != nil, l.State())
		}
		if _, damaged := test.give[RecipientsFile]; (l.Problem.People != nil) != damaged {
			t.Errorf("%s: people: %v", test.about, l.Problem.People)
		}
		if len(l.Survey.To("A")) != 1 {
			t.Errorf("%s: the references are not seen", test.about)
		}
	}
	gone := &Formation{Dir: t.TempDir(), File: "formation.afs"}
	if err := os.Remove(gone.Dir); err != nil {
		t.Fatal(err)
	}
	if l := gone.Look(ReferencesIn); l.Problem.Survey == nil || l.Survey != nil || l.State() != TemplateMissing {
		t.Errorf("a folder that is gone: %v", l.Problem.Survey)
	}
}

func sameKind(err error, want any) bool {
	switch want.(type) {
	case nil:
		return err == nil
	case *NoKeyError:
		return errors.As(err, new(*NoKeyError))
	case *KeyError:
		return errors.As(err, new(*KeyError))
	}
	return errors.As(err, new(*VaultError))
}
