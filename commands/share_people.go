package commands

import (
	"errors"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// newPerson is somebody a key is to be shared with.
type newPerson struct {
	name      string
	recipient *crypto.Recipient
}

// newPeople reads the arguments of 'share add'. An SSH key that was not quoted
// comes as several.
func (s *session) newPeople(args []string, name string) ([]newPerson, error) {
	if strings.HasPrefix(args[0], "ssh-") && len(args) > 1 && !strings.Contains(args[0], " ") {
		args = []string{strings.Join(args, " ")}
	}
	var people []newPerson
	for _, arg := range args {
		some, err := s.peopleIn(arg)
		if err != nil {
			return nil, err
		}
		people = append(people, some...)
	}
	if name = strings.Join(strings.Fields(sanitize(name)), " "); name != "" {
		if len(people) > 1 {
			return nil, usage("--name WHO is for one recipient, and %d were given", len(people)).
				hint("a file names them itself: '# NAME' above each key")
		}
		people[0].name = name
	}
	for i, p := range people {
		if p.name == "" {
			people[i].name = p.recipient.Comment()
		}
	}
	return people, nil
}

// peopleIn reads one argument: a recipient, else a file of them.
func (s *session) peopleIn(arg string) ([]newPerson, error) {
	recipient, err := crypto.ParseRecipient(arg)
	if err == nil {
		return []newPerson{{"", recipient}}, nil
	}
	var bad *crypto.RecipientError
	if errors.As(err, &bad) && (bad.Private || looksLikeRecipient(arg)) {
		return nil, s.explainRecipient(bad, "")
	}
	path := s.at(s.home(arg))
	content, fileErr := readSmall(path, maxIdentityFile)
	if fileErr != nil {
		cause := (&formation.FileError{Err: fileErr}).Cause()
		return nil, usage("what was given is neither a recipient nor a file that can be read (%s)", cause).
			hint("a recipient starts with 'age1', 'ssh-ed25519' or 'ssh-rsa'; FILE may be a .pub file")
	}
	list, err := formation.ParsePeople(content)
	if err != nil {
		var private *crypto.RecipientError
		if errors.As(err, &private) {
			return nil, s.explainRecipient(private, path)
		}
		return nil, usage("cannot take recipients from '%s': %v", s.show(path), err).
			hint("it holds public keys, a line each; '# NAME' above a line says whose it is")
	}
	var people []newPerson
	recipients := list.Recipients()
	for i, p := range list.All() {
		people = append(people, newPerson{p.Name, recipients[i]})
	}
	if len(people) == 0 {
		return nil, usage("'%s' holds no recipient", s.show(path))
	}
	return people, nil
}

func looksLikeRecipient(arg string) bool {
	for _, prefix := range []string{"age1", "ssh-", "ecdsa-", "sk-"} {
		if strings.HasPrefix(arg, prefix) {
			return true
		}
	}
	return false
}

func (s *session) explainRecipient(bad *crypto.RecipientError, path string) *Error {
	where := "what was given"
	if path != "" {
		where = "'" + s.show(path) + "'"
	}
	if bad.Private {
		e := usage("%s is a private key (it is not repeated here)", where).
			hint("give the public one: 'age-keygen -y FILE' prints an age key's, ssh keeps it in FILE.pub")
		if path == "" {
			e.hint("a private key that was typed as an argument stands in the shell's history: make a new one")
		}
		return e
	}
	return usage("%s cannot be shared with: %s", where, bad.Reason).
		hint("what works: age1... (age-keygen), ssh-ed25519 and ssh-rsa keys, age plugins")
}

// findPeople finds who an argument means: a name, a recipient, or a file of
// recipients.
func (s *session) findPeople(people *formation.People, arg string) ([]formation.Person, error) {
	if found := people.Find(arg); len(found) > 0 {
		return found, nil
	}
	if recipient, err := crypto.ParseRecipient(arg); err == nil {
		if found := people.Find(recipient.String()); len(found) > 0 {
			return found, nil
		}
	} else if content, err := readSmall(s.at(s.home(arg)), maxIdentityFile); err == nil {
		some, err := formation.ParsePeople(content)
		if err == nil {
			var found []formation.Person
			for _, p := range some.All() {
				found = append(found, people.Find(p.Recipient)...)
			}
			if len(found) > 0 {
				return found, nil
			}
		}
	}
	if bad, ok := errors.AsType[*crypto.RecipientError](errorOf(crypto.ParseRecipient(arg))); ok && bad.Private {
		return nil, s.explainRecipient(bad, "")
	}
	e := refuse("the key is not shared with '%s'", sanitize(shorten(arg)))
	for _, p := range people.All() {
		e.line("shared with %s", whoIs(p.Name, p.Recipient))
	}
	return nil, e.hint("'%s share list' names them", program)
}

func errorOf[T any](_ T, err error) error { return err }
