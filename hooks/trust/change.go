package trust

import (
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Version is what a commit has of one formation's sharing.
type Version struct {
	There   bool // there is a formation
	List    List
	Wrapped string // the blob of the .key.age; "": none
}

// Change is what a branch does to a formation's sharing. No key is needed to judge
// it: the root is what the tip of the base says, never where the branch began.
type Change struct {
	Tip    Version // of the base
	Root   List    // the tip's; where that was changed since it was signed, or deleted, the last one that was
	Before Version // of the merge base
	After  Version
}

// Fault says why a change is not vouched for.
type Fault int

const (
	NoFault Fault = iota
	// KeyUnvouched: the list is signed by a key that the tip's did not vouch for.
	KeyUnvouched
	// KeyBehind: it speaks of a key that the base has retired since.
	KeyBehind
	// PeopleUnvouched: it is not signed, or gone, and the base's is.
	PeopleUnvouched
)

// ChangeVerdict is what a reviewer is told.
type ChangeVerdict struct {
	Fault Fault
	// FirstSigned says that the list is signed for the first time, by this key.
	FirstSigned bool
	By          crypto.PublicKey
	Came, Left  []formation.Person
}

// Judge judges a change.
func (c Change) Judge() ChangeVerdict {
	before := c.Before
	if !before.There {
		before = c.Tip
	}
	v := ChangeVerdict{
		Came: Came(before.List.People, c.After.List.People),
		Left: Came(c.After.List.People, before.List.People),
	}

	root, signed := c.Root.Names()
	switch {
	case !c.Touched():
	case !signed:
		v.FirstSigned, v.By = c.After.List.State == Signed && before.List.State != Signed, c.After.List.Key
	case c.After.List.State != Signed:
		v.Fault = PeopleUnvouched
	default:
		key := c.After.List.Key
		s := NewSuccession(c.Root, c.Tip.List, c.After.List)
		switch {
		case s.Leads(root, key):
		case s.Leads(key, root):
			v.Fault = KeyBehind
		default:
			v.Fault = KeyUnvouched
		}
	}
	return v
}

// DecidedBy reports whether a work tree's pin settles the list's key against the
// root's, where both come from one: it was decided there which of them counts.
func (c Change) DecidedBy(pin formation.Pin) bool {
	root, signed := c.Root.Names()
	if !signed || c.After.List.Key != pin.Key {
		return false
	}
	_, related := NewSuccession(c.Root, c.Tip.List, c.After.List).Origin(root, pin.Key)
	return pin.Over == root || related && pin.IsAccepted()
}

// Touched says that the branch has the formation, and did not leave list and wrapped
// key as they were.
func (c Change) Touched() bool {
	left := c.Before.There && c.After.List.Same(c.Before.List) && c.After.Wrapped == c.Before.Wrapped
	return c.After.There && !left
}
