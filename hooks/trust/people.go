package trust

import (
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Vouched are the people that a formation's key vouched for.
type Vouched map[formation.Person]bool

// VouchedBy collects the people of lists that a key signed, or a successor that it
// vouched for. What a retired key signed counts for nothing: whoever was removed
// has it.
func VouchedBy(key crypto.PublicKey, s *Succession, lists ...List) Vouched {
	vouched := Vouched{}
	for _, l := range lists {
		if l.State == Broken && l.above != nil {
			l = *l.above
		}
		if named, ok := l.Names(); ok && s.Leads(key, named) {
			for _, person := range l.People {
				vouched[person] = true
			}
		}
	}
	return vouched
}

// Newcomers returns those whom nobody vouched for, in the order given. A known key
// under another name is one: the name is what a person reads.
func (v Vouched) Newcomers(people []formation.Person) (news []formation.Person) {
	for _, person := range people {
		if !v[person] {
			news = append(news, person)
		}
	}
	return news
}

// Came returns who is in a list of people and was not, and Left who was and is
// not, by public key.
func Came(before, after []formation.Person) (came []formation.Person) {
	had := map[string]bool{}
	for _, person := range before {
		had[person.Recipient] = true
	}
	for _, person := range after {
		if !had[person.Recipient] {
			came = append(came, person)
		}
	}
	return came
}

// Gone returns who is in a list that a key signed, and not among these people any
// more: a removal would have made another key.
func Gone(people []formation.Person, key crypto.PublicKey, lists ...List) []formation.Person {
	var had []formation.Person
	for _, list := range lists {
		if named, ok := list.Names(); ok && named == key {
			had = append(had, Came(had, list.People)...)
		}
	}
	return Came(people, had)
}
