// Package trust decides which keys and people count in a formation: those that
// somebody who held its key vouched for, or that the owner of this clone accepted.
// Nothing that merely arrives counts.
//
// What arrives is lists (.age-recipients) and keys wrapped beside them (.key.age):
// by a merge, a pull, a checkout. What they are judged by is the pin, the public
// half of the key that last opened a vault in this folder of this work tree, and
// how keys vouched for each other. The decisions are made on values; only Gather
// asks git.
package trust

import (
	"bytes"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// List is one version of a .age-recipients, as far as trust goes.
type List struct {
	State State
	// Key is the one that a signed list is signed by; of another it is what the
	// foot claims, if there is one, and counts for nothing.
	Key    crypto.PublicKey
	Chain  formation.Chain
	People []formation.Person
	Err    error // why a foot is none, or the list is not read

	head  []byte // all but the exposures
	above *List  // of a broken one what stands above a signature that holds; nil: nothing
}

// State says whether somebody vouches for a list.
type State int

const (
	NoList   State = iota // there is no such file
	Unsigned              // it has no foot
	Broken                // changed since it was signed, or not to be read
	Signed
)

// ReadList reads a version; nil is a file that is not there.
func ReadList(content []byte) List {
	if content == nil {
		return List{}
	}

	people, err := formation.ParsePeople(content)
	if err != nil {
		foot, _ := formation.ParseFoot(content)
		return List{State: Broken, Err: err, head: content}.claims(foot)
	}
	l := List{State: Unsigned, People: people.All(), head: people.Head()}
	if part, ok := formation.SignedPart(content); ok && len(part) < len(content) {
		above := ReadList(part)
		l.above = &above
	}
	foot, err := people.Foot()
	switch {
	case err != nil:
		l.State, l.Err = Broken, err
	case foot == nil:
	case foot.Holds():
		l.State = Signed
	default:
		l.State = Broken
	}
	return l.claims(foot)
}

func (l List) claims(foot *formation.Foot) List {
	if foot != nil {
		l.Key, l.Chain = foot.Key, foot.Chain
	}
	return l
}

// Names returns the key that the list is signed by, and whether one is.
func (l List) Names() (crypto.PublicKey, bool) { return l.Key, l.State == Signed }

func (l List) signed() bool { return l.State == Signed }

// Same reports whether two versions say the same: exposures, which admit nobody,
// may differ.
func (l List) Same(o List) bool {
	return l.State == o.State && bytes.Equal(l.head, o.head)
}
