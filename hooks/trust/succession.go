package trust

import (
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Succession is which keys vouched for which, by all the lists that are known. A
// list need not be signed for that: each rotation in it bears its own proof.
type Succession struct {
	next  map[crypto.PublicKey][]formation.Succession
	holds map[formation.Succession]bool // of those that were looked at
}

// NewSuccession takes the rotations out of lists.
func NewSuccession(lists ...List) *Succession {
	s := &Succession{map[crypto.PublicKey][]formation.Succession{}, map[formation.Succession]bool{}}
	for _, l := range lists {
		for _, one := range l.Chain {
			if !slices.Contains(s.next[one.Old], one) {
				s.next[one.Old] = append(s.next[one.Old], one)
			}
		}
	}
	return s
}

// successors returns the keys that one vouched for, each once.
func (s *Succession) successors(of crypto.PublicKey) (keys []crypto.PublicKey) {
	for _, one := range s.next[of] {
		holds, known := s.holds[one]
		if !known {
			holds = one.Holds()
			s.holds[one] = holds
		}
		if holds && !slices.Contains(keys, one.New) {
			keys = append(keys, one.New)
		}
	}
	return keys
}

// Path returns the keys that lead from one to another, both included; nil where
// none do. A key leads to itself.
func (s *Succession) Path(from, to crypto.PublicKey) []crypto.PublicKey {
	if from.IsZero() || to.IsZero() {
		return nil
	}

	before := map[crypto.PublicKey]crypto.PublicKey{from: {}}
	for reached := []crypto.PublicKey{from}; len(reached) > 0; reached = reached[1:] {
		if reached[0] == to {
			var path []crypto.PublicKey
			for at := to; !at.IsZero(); at = before[at] {
				path = append(path, at)
			}
			slices.Reverse(path)
			return path
		}
		for _, next := range s.successors(reached[0]) {
			if _, seen := before[next]; !seen {
				before[next] = reached[0]
				reached = append(reached, next)
			}
		}
	}
	return nil
}

// Leads reports whether one key vouched for another, or for one that did, and so
// on. A key leads to itself.
func (s *Succession) Leads(from, to crypto.PublicKey) bool { return s.Path(from, to) != nil }

// Origin returns a key that both come from, and whether there is one.
func (s *Succession) Origin(a, b crypto.PublicKey) (origin crypto.PublicKey, ok bool) {
	for key := range s.next {
		if s.Leads(key, a) && s.Leads(key, b) {
			return key, true
		}
	}
	return origin, false
}
