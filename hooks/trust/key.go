package trust

import (
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Evidence is what a key is judged by.
type Evidence struct {
	// Pin is the key of this folder; where it has none, Pinned is false.
	Pin    formation.Pin
	Pinned bool
	// Vanished are the pins of folders that are not there any more: this one may
	// have been one of them.
	Vanished []formation.Pin

	Head, File List   // HEAD's list, and the work tree's
	Sides      []List // those of a merge under way: its stages, and what it brings in
	// Tips are the lists of local and remote-tracking branches.
	Tips []Tip
	// InHead reports whether HEAD contains a commit. A fork that it has been
	// settled; nil: it contains none of the tips.
	InHead func(commit string) bool
	// WasSigned reports whether an ancestor of HEAD had the list signed; nil: none.
	WasSigned func() bool
	// Kept reports whether this clone had the key itself; nil: none.
	Kept func(crypto.PublicKey) bool
	// Elsewhere reports whether this clone has, or had, the key for another
	// formation, whose people are others; nil: there is none.
	Elsewhere func(crypto.PublicKey) bool
	// Accepted reports whether a work tree of this clone accepted the key, though
	// nobody vouched for it; nil: none.
	Accepted func(crypto.PublicKey) bool
	// Had reports whether HEAD's history has the vault sealed with the key; nil: with
	// any. A key that this clone has, and its history has not, came later.
	Had func(crypto.PublicKey) bool
	// Retired reports whether HEAD's history has a later key; nil: of none.
	Retired func(crypto.PublicKey) bool
	// Replaced returns a later key that the one vouched for, where HEAD's history has
	// it, by the lists alone; nil: of none.
	Replaced func(crypto.PublicKey) (later crypto.PublicKey, ok bool)
	// Arrived reports whether the .key at hand came with a commit; nil: it did not.
	Arrived func() bool

	succession *Succession
}

// Tip is the list of a branch.
type Tip struct {
	Ref, Commit string
	List        List
}

// Standing is what a key is in a formation.
type Standing int

const (
	// FirstContact is the first key of a folder that never had one.
	FirstContact Standing = iota
	// Ours is the pinned key.
	Ours
	// Successor is a key that ours vouched for.
	Successor
	// Earlier is one that this clone had before and that is in use at HEAD, which
	// may be an older branch.
	Earlier

	// Unvouched is a key that nobody vouched for who held ours.
	Unvouched
	// NotNamed is one that the list does not name, which names another.
	NotNamed
	// Usurped is the pinned one, where the list is signed by a key that nobody who
	// held it vouched for.
	Usurped
	// NotSigned is one whose list is not signed, though it was once.
	NotSigned
	// Forked is a successor of ours beside another one.
	Forked
	// Retired is one that ours took the place of, or another in HEAD's own history.
	Retired
	// Swapped is one of a formation that appeared when another went.
	Swapped
)

func (s Standing) String() string {
	return [...]string{"first contact", "ours", "a successor", "an earlier one", "unvouched", "not named", "usurped", "not signed", "forked", "retired", "swapped"}[s]
}

// Verdict is what became of a key.
type Verdict struct {
	Standing Standing
	Key      crypto.PublicKey   // the one that was judged
	Ours     crypto.PublicKey   // that it was judged by; zero at first contact
	Path     []crypto.PublicKey // of a successor, from ours to it
	Named    crypto.PublicKey   // of one that is not named, usurped or replaced: which is, or took its place
	RivalKey crypto.PublicKey   // of a fork: the other key
	Rival    Tip                // and the branch that has it, where that is known
	From     string             // the folder that was pinned, where that is another
}

// Believed reports whether the key counts.
func (v Verdict) Believed() bool { return v.Standing < Unvouched }

func (e *Evidence) chain() *Succession {
	if e.succession == nil {
		lists := append([]List{e.Head, e.File}, e.Sides...)
		for _, tip := range e.Tips {
			lists = append(lists, tip.List)
		}
		e.succession = NewSuccession(lists...)
	}
	return e.succession
}

// Leads reports whether one key vouched for another, by all the lists at hand.
func (e *Evidence) Leads(from, to crypto.PublicKey) bool { return e.chain().Leads(from, to) }

// After returns a branch whose list is signed by a key that came after one, and
// that key; nil where none is.
func (e *Evidence) After(key crypto.PublicKey) (tip Tip, later *crypto.PublicKey) {
	for _, tip := range e.Tips {
		if named, ok := tip.List.Names(); ok && named != key && e.chain().Leads(key, named) {
			return tip, &named
		}
	}
	return tip, nil
}

// Once reports whether somebody vouched for the list some time: it must be signed
// from then on.
func (e *Evidence) Once() bool {
	return e.Pinned && e.Pin.Signed || e.Head.State >= Broken || e.File.State >= Broken || e.WasSigned != nil && e.WasSigned()
}

// Unlock judges the key that is wrapped beside the work tree's list: whether it
// may be taken for the formation's.
func (e *Evidence) Unlock(key crypto.PublicKey) Verdict {
	pin, v := e.pinFor(key)
	if v.Standing == Swapped {
		return v
	}

	switch {
	case pin.Key.IsZero():
		return e.inUse(e.named(v))
	case key == pin.Key:
		v.Standing = Ours
		return e.inUse(v)
	}
	if v.Path = e.chain().Path(pin.Key, key); v.Path != nil {
		v.Standing = Successor
		return e.alone(e.inUse(e.named(v)))
	}
	return e.wentBack(v, pin)
}

// pinFor returns the pin that a key is judged by: the folder's, or that of the
// folder that it was before.
func (e *Evidence) pinFor(key crypto.PublicKey) (formation.Pin, Verdict) {
	if e.Pinned {
		return e.Pin, Verdict{Key: key, Ours: e.Pin.Key}
	}
	for _, pin := range e.Vanished {
		if e.chain().Leads(pin.Key, key) {
			return pin, Verdict{Key: key, Ours: pin.Key, From: pin.Folder}
		}
	}
	if len(e.Vanished) > 0 {
		pin := e.Vanished[0]
		return pin, Verdict{Standing: Swapped, Key: key, Ours: pin.Key, From: pin.Folder}
	}
	return formation.Pin{}, Verdict{Key: key}
}

// named holds a key that is believed else against the list beside it.
func (e *Evidence) named(v Verdict) Verdict {
	switch named, ok := e.File.Names(); {
	case ok && named != v.Key:
		v.Standing, v.Named = NotNamed, named
	case !ok && e.Once() && !e.namedBySide(v.Key):
		v.Standing = NotSigned
	}
	return v
}

// inUse holds a key that is believed else against HEAD's own history: one that was
// replaced there opens no vault of it, but where its owner went back to it knowingly.
func (e *Evidence) inUse(v Verdict) Verdict {
	if !v.Believed() || e.Replaced == nil || e.Pinned && e.Pin.Key == v.Key && e.Pin.IsAccepted() {
		return v
	}
	if later, ok := e.Replaced(v.Key); ok {
		v.Standing, v.Named = Retired, later
	}
	return v
}

// namedBySide reports whether a list of the merge under way names a key: the one
// of the work tree is signed only when the merge is done.
func (e *Evidence) namedBySide(key crypto.PublicKey) bool {
	return slices.ContainsFunc(e.Sides, func(l List) bool {
		named, ok := l.Names()
		return ok && named == key
	})
}

// alone holds a successor against the others there are.
func (e *Evidence) alone(v Verdict) Verdict {
	if v.Standing != Successor {
		return v
	}
	for _, tip := range e.Tips {
		own := NewSuccession(tip.List)
		for _, key := range v.Path[:len(v.Path)-1] {
			for _, next := range own.successors(key) {
				if !slices.Contains(v.Path, next) && next != e.Pin.Over && (e.InHead == nil || !e.InHead(tip.Commit)) {
					v.Standing, v.Rival, v.RivalKey = Forked, tip, next
					return v
				}
			}
		}
	}
	return v
}

// wentBack judges a key that ours does not lead to.
func (e *Evidence) wentBack(v Verdict, pin formation.Pin) Verdict {
	older := e.chain().Leads(v.Key, v.Ours)
	named, ok := e.Head.Names()
	switch {
	case e.Retired != nil && e.Retired(v.Key), older && ok && named != v.Key && e.chain().Leads(v.Key, named):
		v.Standing = Retired
	case len(e.Sides) > 0 && e.decided(v.Ours, v.Key):
		v.Standing, v.RivalKey = Forked, v.Ours // until the merge is done, or given up
	case e.Kept != nil && e.Kept(v.Key) && !e.foreign(v.Key, pin):
		v.Standing = Earlier
		if named := e.named(v); named.Standing == NotNamed {
			return named
		}
	case older:
		v.Standing = Retired
	case e.related(v.Key, v.Ours):
		v.Standing, v.RivalKey = Forked, v.Ours
	default:
		v.Standing = Unvouched
	}
	return v
}

// foreign reports whether a key is another formation's, or was accepted at most,
// and never was this one's.
func (e *Evidence) foreign(key crypto.PublicKey, pin formation.Pin) bool {
	return !pin.Had(key) && (e.Elsewhere != nil && e.Elsewhere(key) || e.Accepted != nil && e.Accepted(key))
}

// related reports whether two keys come from one.
func (e *Evidence) related(a, b crypto.PublicKey) bool {
	_, ok := e.chain().Origin(a, b)
	return ok
}

// Seal judges the key in .key: whether anything may be sealed with it.
func (e *Evidence) Seal(key crypto.PublicKey) Verdict {
	v := Verdict{Standing: Ours, Key: key, Ours: e.Pin.Key}
	if !e.Pinned {
		v.Standing, v.Ours = FirstContact, crypto.PublicKey{}
	}
	for _, list := range []List{e.Head, e.File} {
		named, ok := list.Names()
		if ok && !e.chain().Leads(named, key) && !e.decided(key, named) {
			v.Standing, v.Named = NotNamed, named
			if e.Pinned && key == e.Pin.Key && !e.Leads(key, named) && (len(e.Sides) == 0 || !e.related(key, named)) {
				v.Standing = Usurped // but a fork that is being merged is decided first
			}
			return v
		}
	}
	if !e.Pinned || key == e.Pin.Key {
		return e.inUse(v)
	}

	if v.Path = e.chain().Path(e.Pin.Key, key); v.Path != nil {
		v.Standing = Successor
		return e.alone(e.inUse(v))
	}
	if !e.Once() && (e.Arrived == nil || !e.Arrived()) {
		return v // a team that never signed anything hands its keys round itself
	}
	return e.wentBack(v, e.Pin)
}

// Overlaid reports whether the work tree's list is signed by a key that has no part
// in the succession of the pinned one, and which.
func (e *Evidence) Overlaid() (key crypto.PublicKey, overlaid bool) {
	key, signed := e.File.Names()
	return key, signed && !e.own(e.File)
}

// own reports whether a list is signed by a key of the pinned one's succession;
// without a pin any is.
func (e *Evidence) own(l List) bool {
	key, signed := l.Names()
	return signed && (!e.Pinned || e.Leads(e.Pin.Key, key) || e.Leads(key, e.Pin.Key))
}

// decided reports whether it was decided here that a key counts, and not another
// that was rotated to apart from it.
func (e *Evidence) decided(key, over crypto.PublicKey) bool {
	return e.Pinned && key == e.Pin.Key && over == e.Pin.Over
}

// Merge picks the key that a merge is sealed with: ours, or its last successor
// among those that the sides, of which the first is the base, are sealed with. The
// verdict is that of the key which
// is picked, or of the side's that speaks against it; side is its number. Without
// a pin ours has to be given.
func (e *Evidence) Merge(ours crypto.PublicKey, sides ...crypto.PublicKey) (v Verdict, side int) {
	v = Verdict{Standing: Ours, Key: ours, Ours: ours}
	if ours.IsZero() {
		v.Standing = Unvouched
		return v, -1
	}

	side = -1
	for i, key := range sides {
		switch path := e.chain().Path(v.Key, key); {
		case key.IsZero(), e.chain().Leads(key, v.Key), e.decided(v.Key, key):
		case path != nil:
			next := e.alone(Verdict{Standing: Successor, Key: key, Ours: ours, Path: path})
			if !next.Believed() {
				return next, i
			}
			next.Path = e.chain().Path(ours, key)
			v, side = next, i
		default:
			next, ok := e.beside(v, key, v.Key == sides[0])
			if !ok {
				return next, i
			}
			if next.Key != v.Key {
				side = i
			}
			v = next
		}
	}
	return v, side
}

// beside judges a side whose key has no part in the succession from ours: it may
// be opened where this clone had its key. In a team that never signed anything it
// takes the place of ours, where that is the one both sides came from.
func (e *Evidence) beside(v Verdict, key crypto.PublicKey, isBase bool) (Verdict, bool) {
	if e.related(v.Key, key) {
		return Verdict{Standing: Forked, Key: key, Ours: v.Key, RivalKey: v.Key}, false
	}
	if e.Kept != nil && e.Kept(key) {
		if isBase && !e.foreign(key, e.Pin) && e.Had != nil && !e.Had(key) && !e.Once() {
			v.Key = key // handed round by a team that never signed anything
		}
		return v, true
	}
	return Verdict{Standing: Unvouched, Key: key, Ours: v.Key}, false
}
