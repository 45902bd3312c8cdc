package commands

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
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
	several := len(args) > 1 // or perhaps several people, in one file
	for _, arg := range args {
		some, err := s.peopleIn(arg)
		if err != nil {
			return nil, err
		}
		for _, p := range some {
			several = several || p.name != "" || !strings.HasPrefix(p.recipient.Kind(), "ssh-")
		}
		people = append(people, some...)
	}

	if name = strings.Join(strings.Fields(sanitize(name)), " "); name != "" {
		// SSH keys of one file that names nobody, as GitHub's USER.keys, are one person's.
		if len(people) > 1 && several {
			return nil, usage("--name WHO is for one recipient, and %d were given", len(people)).
				hint("a file names them itself: '# NAME' above each key")
		}
		for i := range people {
			people[i].name = name
		}
	}
	for i, p := range people {
		if p.name == "" {
			people[i].name = p.recipient.Comment()
		}
	}
	return people, nil
}

// hintUnshared says how a key that is new comes to the people of a formation: those of
// its own list, of one that is near, else of any in the repository. A list that cannot
// be read is no reason to fail what is done.
func (s *session) hintUnshared(all writings, near ...*formation.Formation) {
	for _, w := range all {
		if !w.fresh {
			continue
		}
		others := append([]*formation.Formation{w.Formation}, near...)
		if layout, ok := s.where(); ok && layout.Top != "" {
			others = append(others, s.siblings(layout)...)
		}
		for _, other := range others {
			if people, _, err := other.ReadPeople(); err == nil && len(people.All()) > 0 {
				list := other.Path(formation.RecipientsFile)
				s.hintShareWithAll(w.Formation, s.show(list), s.callOn(w.Formation)+" share add "+s.argument(list))
				break
			}
		}
	}
}

// hintShareWithAll says how a new key comes to everybody in a list, by a command. To
// name a person is to vouch for them, whoever put them there.
func (s *session) hintShareWithAll(f *formation.Formation, list, command string) {
	s.hint("the new key of %s is shared with nobody: if you know each of those in %s, '%s' shares it with them", s.name(f), list, command)
}

// peopleIn reads one argument: a recipient, else a file of them, or - for standard
// input. Keys in a file that cannot be used are left out, and said.
func (s *session) peopleIn(arg string) ([]newPerson, error) {
	recipient, err := crypto.ParseRecipient(arg)
	if err == nil {
		return []newPerson{{"", recipient}}, nil
	}
	var bad *crypto.RecipientError
	if errors.As(err, &bad) && (bad.Private || looksLikeRecipient(arg)) {
		return nil, s.explainRecipient(bad, "")
	}

	label, content := "standard input", []byte(nil)
	if arg == "-" {
		if content, err = s.readInput(); err != nil {
			return nil, err
		}
	} else {
		path := s.at(s.home(arg))
		label = s.show(path)
		if content, err = safefile.Read(path, maxIdentityFile); err != nil {
			return nil, usage("what was given is neither a recipient nor a file that can be read (%s)", safefile.Cause(err)).
				hint("a recipient starts with 'age1', 'ssh-ed25519' or 'ssh-rsa'; FILE may be a .pub file")
		}
	}

	usable, unusable := usableRecipients(content)
	list, err := formation.ParsePeople(usable)
	if err != nil {
		var private *crypto.RecipientError
		if errors.As(err, &private) && private.Private {
			return nil, s.explainRecipient(private, label)
		}
		return nil, usage("cannot take recipients from '%s': %v", label, err).
			hint("it holds public keys, a line each; '# NAME' above a line says whose it is")
	}

	var people []newPerson
	recipients := list.Recipients()
	for i, p := range list.All() {
		people = append(people, newPerson{p.Name, recipients[i]})
	}
	if len(people) == 0 {
		e := usage("'%s' holds no recipient that can be used", label)
		for _, key := range unusable {
			e.line("line %d is %s", key.line, key.reason)
		}
		return nil, e.hint("what works: age1... (age-keygen), ssh-ed25519 and ssh-rsa keys, age plugins")
	}
	for _, key := range unusable {
		s.warn("line %d of '%s' is left out: it is %s", key.line, label, key.reason)
	}
	return people, nil
}

// unusable is a line of a file of recipients that nothing can be wrapped for.
type unusable struct {
	line   int
	reason string
}

// usableRecipients takes off what a mail or a shell puts around the lines of a file
// that somebody sent, and empties those with keys that age cannot use, as 'age -R'
// passes them over. Lines that are damaged stay, and are refused by who reads it.
func usableRecipients(content []byte) (usable []byte, left []unusable) {
	number := 0
	whole := crypto.Unquote(string(bytes.TrimRight(crypto.HandedOver(content), " \t\r\n")))
	for line := range strings.Lines(whole) {
		number++
		text := crypto.Unquote(strings.TrimSpace(line))
		var bad *crypto.RecipientError
		if _, err := crypto.ParseRecipient(text); errors.As(err, &bad) && bad.Unsupported {
			left = append(left, unusable{number, bad.Reason})
			text = ""
		}
		usable = append(append(usable, text...), '\n')
	}
	return usable, left
}

func looksLikeRecipient(arg string) bool {
	for _, prefix := range []string{"age1", "ssh-", "ecdsa-", "sk-"} {
		if strings.HasPrefix(arg, prefix) {
			return true
		}
	}
	return false
}

// explainRecipient says why what was given, in the file called label where that is
// not "", is no recipient.
func (s *session) explainRecipient(bad *crypto.RecipientError, label string) *Error {
	where := "what was given"
	if label != "" {
		where = "'" + label + "'"
	}
	if bad.Private {
		e := usage("%s is a private key (it is not repeated here)", where).
			hint("give the public one: 'age-keygen -y FILE' prints an age key's, ssh keeps it in FILE.pub")
		if label == "" {
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
	} else if content, err := safefile.Read(s.at(s.home(arg)), maxIdentityFile); err == nil {
		usable, _ := usableRecipients(content)
		if some, err := formation.ParsePeople(usable); err == nil {
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
	return nil, e.hint("'%s share list' names them", s.again())
}

func errorOf[T any](_ T, err error) error { return err }

// whoIs names a person in a message.
func whoIs(name, recipient string) string {
	if name == "" {
		return shorten(recipient)
	}
	return name
}

// counted names each once, with how many keys it stands for.
func counted(names []string) []string {
	keys := map[string]int{}
	var once []string
	for _, who := range names {
		if keys[who]++; keys[who] == 1 {
			once = append(once, who)
		}
	}
	for i, who := range once {
		if keys[who] > 1 {
			once[i] = fmt.Sprintf("%s (%d keys)", who, keys[who])
		}
	}
	return once
}

// shorten cuts a long key for a message.
func shorten(recipient string) string {
	const most = 62
	if len(recipient) <= most {
		return recipient
	}
	return recipient[:most-3] + "..."
}
