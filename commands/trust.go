package commands

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
	"github.com/muxi-ai/git-muxi-secrets/internal/trace"
)

// vouching is what is known of a formation's key and people: its list, the pin,
// and what git has.
type vouching struct {
	*trust.Evidence
	folder *trust.Folder
	pins   formation.Pins
}

// sharing asks git about a formation's keys and people.
func (s *session) sharing(ctx context.Context, f *formation.Formation) (*vouching, error) {
	list, err := f.ReadList()
	if err != nil {
		return nil, err
	}

	folder := &trust.Folder{File: list}
	st := &vouching{folder: folder}
	if layout, ok := s.where(); ok && layout.Top != "" {
		if folder.Repo, err = s.loggedOnce(); err != nil {
			return nil, err
		}
		folder.Dir = s.fromTop(layout, f.Dir)
		if found, err := f.ReadKeyFile(); err == nil {
			folder.KeyFile = found.Content
		}
		finder := s.keys()
		folder.Vanished = finder.Vanished
		for _, found := range finder.Kept() {
			folder.Kept = append(folder.Kept, found.Key)
		}
		for _, dir := range finder.Earlier(f.Dir) {
			if rel := s.fromTop(layout, dir); filepath.IsLocal(rel) {
				folder.Was = append(folder.Was, rel)
			}
		}
		folder.Retired = func(key *crypto.Key) bool {
			retired, err := finder.Retired(f.Dir, key)
			return err != nil || retired != nil
		}
		st.pins = trust.PinsOf(layout)
		operation, err := folder.Repo.Operation(ctx)
		if err != nil {
			return nil, err
		}
		if operation.Theirs != "" {
			folder.Merging = []string{operation.Theirs}
		}
	}
	st.Evidence, err = folder.Gather(ctx)
	return st, err
}

// pinOf is the note of the key that opens the formation's vault here. One that was
// accepted vouches for no more than it is itself.
func (st *vouching) pinOf(v trust.Verdict) *formation.Pin {
	named, signed := st.File.Names()
	pin := &formation.Pin{Key: v.Key, Signed: signed && named == v.Key || st.Pinned && st.Pin.Signed && st.Pin.Key == v.Key}
	if !v.Believed() || st.Pinned && st.Pin.IsAccepted() && (v.Standing == trust.Ours || v.Standing == trust.Successor) {
		pin.Accepted = []crypto.PublicKey{v.Key}
	}
	return pin
}

// judgeKey refuses to seal anything with a .key that nobody vouched for, and notes
// the one that is in use. Where the pin and the list agree, git is not asked.
func (w *writing) judgeKey(ctx context.Context) error {
	layout, ok := w.s.where()
	if !ok || layout.Top == "" || w.Key == nil {
		return nil
	}
	pins, dir := trust.PinsOf(layout), w.s.fromTop(layout, w.Dir)
	pin, pinned, err := pins.Get(dir)
	if err != nil {
		return err
	}
	if w.fresh {
		w.pin = &formation.Pin{Key: w.Key.Public(), Signed: w.signed}
		if pinned { // it was begun anew, and nothing leads to this one from the key before
			w.pin.Accepted = []crypto.PublicKey{w.Key.Public()}
		}
		return nil
	}
	content, err := w.ReadList()
	if err != nil {
		return err
	}
	list := trust.ReadList(content)
	named, signed := list.Names()
	if pinned && pin.Key == w.Key.Public() && (signed && named == pin.Key && pin.Signed && !wentBack(pin, list) || list.State <= trust.Unsigned && !pin.Signed) {
		return nil
	}

	st, err := w.s.sharing(ctx, w.Formation)
	if err != nil {
		return err
	}
	v := st.Seal(w.Key.Public())
	trace.Say(ctx, "trust: to seal '%s' with the key %s: %v", w.Dir, fingerprintOf(v.Key), v.Standing)
	if v.Standing == trust.Usurped && w.wraps {
		w.usurped = st
		return nil
	}
	if !v.Believed() {
		return w.s.explainKey(ctx, w.Formation, st, v, w.Key)
	}
	w.pin = st.pinOf(v)
	return nil
}

// wentBack reports whether this work tree had a key that may be a later one than the
// pinned, which was not accepted knowingly: the list does not know what led from it.
func wentBack(pin formation.Pin, list trust.List) bool {
	return !pin.IsAccepted() && slices.ContainsFunc(pin.Earlier, func(had crypto.PublicKey) bool { return !list.Chain.Leads(had, pin.Key) })
}

// acceptedElsewhere reports whether a key counts in another work tree only, since it
// was accepted there, and not in this one.
func (s *session) acceptedElsewhere(f *formation.Formation, key crypto.PublicKey) bool {
	layout, ok := s.where()
	if !ok || layout.Top == "" {
		return false
	}
	if accepted, err := trust.PinsOf(layout).Accepted(key); err != nil || !accepted {
		return false
	}
	st, err := s.sharing(s.ctx, f)
	return err == nil && !st.Unlock(key).Believed()
}

// aliasOf is the key of the formation that is at hand here, and that another identity
// of the same age recipient would stand in for; nil: none. Both open its vault.
func (s *session) aliasOf(f *formation.Formation, key *crypto.Key) *crypto.Key {
	var have []*formation.FoundKey
	if own, err := f.ReadKeyFile(); err == nil {
		have = append(have, own)
	}
	if s.inRepository() {
		have = append(have, s.keys().Kept()...)
	}
	for _, found := range have {
		if found.Key.Alias(key) {
			return found.Key
		}
	}
	return nil
}

// refuseAlias stops a key that the owner hands over where it is an alias of the one
// that signs here: it would sign as another, which nobody vouches for.
func (w *writing) refuseAlias(named crypto.PublicKey) error {
	own := w.s.aliasOf(w.Formation, w.Key)
	if own == nil || named == w.Key.Public() {
		return nil
	}
	was, err := w.ReadKeyFile()
	if err == nil && was.Key.Equal(w.Key) {
		return nil // it is in use, and nothing changes
	}
	e := (&Error{Code: exitNoKey}).line("the key of %s was not taken: %s is no key of its own; nothing was changed", w.s.name(w.Formation), fingerprintOf(w.Key.Public())).
		line("%s", saidAlias(own))
	if err != nil {
		return e.hint("'%s unlock' puts yours back", w.s.callOn(w.Formation))
	}
	return e.hint("yours opens the vault, and stays; whoever gave you this one has the key itself where '%s key fingerprint' prints %s", w.s.again(), fingerprintOf(own.Public()))
}

// newcomers are the people of a list whom nobody vouched for.
func (st *vouching) newcomers(people *formation.People, key crypto.PublicKey) []formation.Person {
	lists := st.folder.Vouching(st.Evidence)
	return trust.VouchedBy(key, trust.NewSuccession(lists...), lists...).Newcomers(people.All())
}

// gone are those whom the formation's key vouched for some time, and who are in its
// list no more.
func (st *vouching) gone(people *formation.People, key crypto.PublicKey) []formation.Person {
	return trust.Gone(people.All(), key, append(st.folder.Vouching(st.Evidence), st.folder.Past()...)...)
}

// chains are the rotations that any list at hand knows of.
func (st *vouching) chains() []formation.Chain {
	var chains []formation.Chain
	for _, list := range st.folder.Vouching(st.Evidence) {
		chains = append(chains, list.Chain)
	}
	return chains
}

// refuseNewcomers stops before a key is wrapped for somebody whom nobody vouched
// for.
func (s *session) refuseNewcomers(ctx context.Context, f *formation.Formation, st *vouching, news []formation.Person) error {
	list := s.show(f.Path(formation.RecipientsFile))
	e := refuse("nobody vouched for %s in %s; nothing was changed", plural2(len(news), "person", "people"), list)
	for _, person := range news {
		e.line("%s", st.newcomer(person))
	}
	if back := s.stepBack(f); back != "" {
		return e.hint("list and vault are not in step: '%s' brings back what belongs together", back)
	}
	return e.hint("on a terminal, '%s share wrap' shows them and asks", s.callOn(f)).
		hint("by name: '%s share add RECIPIENT' vouches for one, '%s share remove WHO' takes one out", s.callOn(f), s.callOn(f))
}

// askNewcomers shows people whom nobody vouched for, and asks whether the key is
// to be wrapped for them. Without a terminal it refuses.
func (s *session) askNewcomers(ctx context.Context, f *formation.Formation, st *vouching, news []formation.Person) error {
	terminal, err := s.openTerminal("")
	if err != nil {
		return s.refuseNewcomers(ctx, f, st, news)
	}
	defer terminal.Close()
	terminal.Print(fmt.Sprintf("Nobody vouched for these in %s:", sanitize(s.show(f.Path(formation.RecipientsFile)))))
	for _, person := range news {
		terminal.Print("  " + sanitize(st.newcomer(person)))
	}
	answer, err := terminal.Ask(ctx, fmt.Sprintf("Wrap the key of %s for them (yes/no)? ", sanitize(s.name(f))), tty.Options{})
	if err != nil {
		return err
	}
	if strings.ToLower(strings.TrimSpace(answer)) != "yes" {
		return refuse("the key was wrapped for nobody; nothing was changed").hint("'%s share remove WHO' takes somebody out", s.callOn(f))
	}
	return nil
}

// judgeUnlock says whether a key that came wrapped may be taken.
func (w *writing) judgeUnlock(ctx context.Context) error {
	s, f, key := w.s, w.Formation, w.Key
	layout, ok := s.where()
	if !ok || layout.Top == "" {
		return nil
	}
	st, err := s.sharing(ctx, f)
	if err != nil {
		return err
	}
	if !st.Pinned {
		st.adopt(f, key)
	}

	public := key.Public()
	accepted := isNamed(s.accept, public)
	v := st.Unlock(public)
	trace.Say(ctx, "trust: to unlock '%s' with the key %s: %v", f.Dir, fingerprintOf(v.Key), v.Standing)
	switch {
	case s.accept != "" && !accepted && !v.Believed(), s.expect != "" && !isNamed(s.expect, public):
		e := (&Error{Code: exitNoKey}).line("the key of %s is %s, not the one that was named; nothing was changed", s.name(f), public.Fingerprint())
		return e.hint("ask a colleague what '%s key fingerprint' prints there", s.again())
	case !v.Believed() && !accepted:
		return s.explainKey(ctx, f, st, v, key)
	}
	if !v.Believed() || v.From != "" {
		for _, pin := range st.Vanished {
			pin.Gone = true
			if err := st.pins.Set(w.batch, pin); err != nil {
				return err
			}
		}
	}
	s.sayKey(ctx, f, st, v)
	w.pin = st.pinOf(v)
	for _, pin := range st.Vanished {
		if pin.Folder == v.From {
			*w.pin = w.pin.After(pin)
		}
	}
	return nil
}

// adopt takes a .key without a pin, of a release that made none, for the pinned
// one where it opens what HEAD has: one that never opened anything has no standing.
func (st *vouching) adopt(f *formation.Formation, other *crypto.Key) {
	own, err := f.ReadKey()
	if err != nil || own.Equal(other) || st.folder.Repo == nil {
		return
	}
	found := false
	st.folder.Repo.Log(context.Background(), "", []string{formation.VaultFile}, func(entry *gitutil.LogEntry) error {
		var ids []string
		for _, change := range entry.Changes {
			if change.New != "" && change.Path == filepath.ToSlash(filepath.Join(st.folder.Dir, formation.VaultFile)) {
				ids = append(ids, change.New)
			}
		}
		return st.folder.Repo.Blobs(context.Background(), ids, func(_ string, sealed []byte) error {
			if _, err := own.Open(sealed); err == nil {
				found = true
				return errOpened
			}
			return nil
		})
	})
	if found {
		st.Pin, st.Pinned = formation.Pin{Folder: st.folder.Dir, Key: own.Public()}, true
	}
}

var errOpened = errors.New("opened")

// pinByHand notes a key that the owner of this clone hands over.
func (w *writing) pinByHand(context.Context) error {
	content, err := w.ReadList()
	if err != nil {
		return err
	}
	st := &vouching{Evidence: &trust.Evidence{File: trust.ReadList(content)}}
	named, _ := st.File.Names()
	if err := w.refuseAlias(named); err != nil {
		return err
	}
	w.pin = st.pinOf(trust.Verdict{Standing: trust.Ours, Key: w.Key.Public()})
	return nil
}

// peopleState says whether somebody vouches for a formation's list, as JSON has it:
// "none", "signed", "unsigned" or "unvouched", and by which key it is signed.
func (s *session) peopleState(f *formation.Formation) (state, by string, err error) {
	content, err := f.ReadList()
	if err != nil {
		return "", "", err
	}
	list := trust.ReadList(content)
	pin, pinned := formation.Pin{}, false
	if layout, ok := s.where(); ok && layout.Top != "" {
		if pin, pinned, err = trust.PinsOf(layout).Get(s.fromTop(layout, f.Dir)); err != nil {
			return "", "", err
		}
	}

	named, signed := list.Names()
	switch {
	case signed && pinned && named != pin.Key && !list.Chain.Leads(pin.Key, named):
		return "unvouched", named.Fingerprint(), nil
	case signed:
		return "signed", named.Fingerprint(), nil
	case list.State == trust.Broken || pinned && pin.Signed:
		return "unvouched", "", nil
	case list.State == trust.NoList:
		return "none", "", nil
	}
	return "unsigned", "", nil
}
