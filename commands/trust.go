package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
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

// fingerprintOf names a key in a message.
func fingerprintOf(key crypto.PublicKey) string {
	fingerprint := key.Fingerprint()
	return fingerprint[:min(16, len(fingerprint))]
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

// claimed names a commit and who it says has made it, where that is known.
func claimed(commit *gitutil.LogEntry) string {
	if commit.Author == "" {
		return fmt.Sprintf("commit %.10s", commit.Hash)
	}
	return fmt.Sprintf("commit %.10s, which says it is by %s", commit.Hash, commit.Author)
}

// explainKey says why a key, came, does not count, and what can be done.
func (s *session) explainKey(ctx context.Context, f *formation.Formation, st *vouching, v trust.Verdict, came *crypto.Key) *Error {
	e := &Error{Code: exitNoKey}
	key, name := fingerprintOf(v.Key), s.name(f)
	list := s.show(f.Path(formation.RecipientsFile))
	switch v.Standing {
	case trust.NotNamed:
		e.line("the key of %s here is %s, but %s names %s; nothing was changed", name, key, list, fingerprintOf(v.Named))
		if back := s.stepBack(f); back != "" {
			return e.hint("%s", s.afterStep(f, back))
		}
		e.hint("'%s unlock' gets the one that is named, if somebody vouched for it", s.callOn(f))
		return e
	case trust.Usurped:
		e.line("%s is signed by the key %s, for which nobody vouched who had that of %s (%s); nothing was changed", list, fingerprintOf(v.Named), name, key)
		if commit := st.folder.Brought(v.Named); commit != nil {
			e.line("it came with %s", claimed(commit))
		}
		return e.hint("'%s share wrap' takes the people whom yours vouched for, asks about others, and signs the list with yours again", s.callOn(f))
	case trust.NotSigned:
		e.line("%s was signed once, and is not any more: nobody vouches for the key %s; nothing was changed", list, key)
		e.hint("whoever has the key looks at the list and signs it: '%s share wrap'", s.callOn(f))
	case trust.Forked:
		e.line("the key of %s was rotated twice, apart: to %s and to %s; nothing was changed", name, key, fingerprintOf(v.RivalKey))
		if v.Rival.Ref != "" {
			e.line("%s has %s, in commit %.10s", v.Rival.Ref, fingerprintOf(v.RivalKey), v.Rival.Commit)
		}
	case trust.Retired:
		return s.explainReplaced(f, st, v)
	case trust.Swapped:
		e.line("%s was %s before, whose key was %s: that did not vouch for %s; nothing was changed", name, showPath(v.From), fingerprintOf(v.Ours), key)
	default:
		e.line("nobody who had the key of %s (%s) vouched for this one: %s; nothing was changed", name, fingerprintOf(v.Ours), key)
	}

	commit := st.folder.Brought(v.Key)
	if commit == nil {
		commit = st.folder.LastChange(ctx, formation.WrappedKeyFile)
	}
	if commit != nil {
		e.line("it came with %s", claimed(commit))
	}
	if own := s.aliasOf(f, came); own != nil {
		e.line("%s", saidAlias(own))
	}
	return e.hint("ask a colleague what '%s key fingerprint' prints there", s.again()).
		hint("only if that is the key: '%s unlock --accept %s' takes it, for this work tree", s.callOn(f), v.Key.Fingerprint())
}

// explainReplaced says of a key that came that it is one of the past.
func (s *session) explainReplaced(f *formation.Formation, st *vouching, v trust.Verdict) *Error {
	later := cmp.Or(v.Named, v.Ours)
	e := (&Error{Code: exitNoKey}).line("the key %s of %s was retired: %s came after it; nothing was changed", fingerprintOf(v.Key), s.name(f), fingerprintOf(later))
	if commit := st.folder.Rotated(v.Key); commit != nil {
		e.line("it was rotated on %s, in %s", commit.Date.Format(time.DateOnly), claimed(commit))
	}
	if back := s.stepBack(f); back != "" {
		e.hint("bring back what belongs together: '%s', then '%s unlock'", back, s.callOn(f))
	}
	return e.hint("only if you mean to go back to it: '%s unlock --accept %s' takes it, for this work tree", s.callOn(f), v.Key.Fingerprint())
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

func saidAlias(own *crypto.Key) string {
	return fmt.Sprintf("it is an alias of the one you have (%s): another age identity of the same recipient", fingerprintOf(own.Public()))
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

// newcomer is a person in the list whom nobody vouched for: name, whole public key,
// and where they came from.
func (st *vouching) newcomer(who formation.Person) string {
	text := nameOr(who.Name) + ": " + who.Recipient
	if commit := st.folder.Introduced(who); commit != nil {
		return text + ", who came in " + claimed(commit)
	}
	return text + ", in no commit yet"
}

func plural2(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func nameOr(name string) string {
	if name == "" {
		return "(no name)"
	}
	return name
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

// sayKey tells a person which key comes: the first one, or one that another
// vouched for.
func (s *session) sayKey(ctx context.Context, f *formation.Formation, st *vouching, v trust.Verdict) {
	switch v.Standing {
	case trust.FirstContact:
		commit := st.folder.LastChange(ctx, formation.WrappedKeyFile)
		if commit == nil {
			return
		}
		s.say("The first key of %s here is %s, from %s", s.name(f), v.Key.Fingerprint(), claimed(commit))
		s.hint("a colleague's '%s key fingerprint' prints the same", s.again())
	case trust.Earlier:
		// A branch from before a rotation, which may be from before a removal.
		if tip, later := st.After(v.Key); later != nil {
			s.warn("the key %s of %s was rotated since, to %s in %s: somebody who was removed may have it, so store nothing new before the two are merged", fingerprintOf(v.Key), s.name(f), fingerprintOf(*later), tip.Ref)
		}
	case trust.Successor:
		if commit := st.folder.Brought(v.Key); commit != nil {
			s.say("The key of %s was rotated from %s to %s in %s", s.name(f), fingerprintOf(v.Ours), fingerprintOf(v.Key), claimed(commit))
		} else {
			s.say("The key of %s was rotated from %s to %s", s.name(f), fingerprintOf(v.Ours), fingerprintOf(v.Key))
		}
	}
}

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

// explainMergeKey says why a merge is not sealed with the key that it would take.
func (s *session) explainMergeKey(ctx context.Context, unvouched *merge.KeyError, simulated bool) *Error {
	e := &Error{Code: exitNoKey, Err: unvouched}
	vault, key, on := showPath(unvouched.Path), fingerprintOf(unvouched.Key), s.onPath(unvouched.Path)
	switch unvouched.Standing {
	case trust.Forked:
		e.line("cannot merge %s: its key was rotated twice, apart: to %s and to %s", vault, fingerprintOf(unvouched.RivalKey), key)
		if unvouched.Rival.Ref != "" {
			e.line("%s has %s, in commit %.10s", unvouched.Rival.Ref, fingerprintOf(unvouched.RivalKey), unvouched.Rival.Commit)
		}
	case trust.Unvouched:
		e.line("cannot merge %s: a side is sealed with the key %s, and nobody vouched for it who had yours (%s)", vault, key, fingerprintOf(unvouched.Ours))
	default:
		e.line("cannot merge %s: .key is %s, which the list of people does not name", vault, key)
	}
	if unvouched.Brought != nil {
		e.line("it came with %s", claimed(unvouched.Brought))
	}
	switch {
	case simulated && unvouched.Standing == trust.Forked:
		return e.hint("agree with the others which of the two counts: a merge that is begun says how that is settled")
	case simulated:
		return e.hint("only if a colleague says that this is the key: '%s unlock --accept %s'", on, unvouched.Key.Fingerprint())
	case unvouched.Standing == trust.Forked:
		return e.hint("agree with the others which of the two counts, then '%s resolve --key ours', or '--key theirs'", on).
			hint("or go back with %s", s.goBack(ctx))
	}
	back := "go back with " + s.goBack(ctx)
	if own := unvouched.Own(); own != "" {
		back += fmt.Sprintf(", or keep yours: '%s resolve --%s'", on, own)
	}
	return e.hint("%s", back).
		hint("only if a colleague says that this is the key: '%[1]s unlock --accept %[2]s', then '%[1]s resolve'", on, unvouched.Key.Fingerprint())
}

// sayNewcomers says for whom a merge wraps no key.
func (s *session) sayNewcomers(m *merge.Merger, file string) {
	if len(m.Newcomers) == 0 {
		return
	}
	s.warn("nobody vouched for %s in %s: the list is merged without a signature", judge.People(m.Newcomers), showPath(file))
	s.hint("when the merge is done: '%s share wrap' shows them and asks", s.onPath(file))
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
