package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/hooks/scrub"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
)

// place is where a change of a formation writes: in its folder and in the git
// dirs, where its journal lies, too, until all of it is done.
func (s *session) place(f *formation.Formation) safefile.Place {
	place := safefile.Place{Folders: []string{f.Dir}, Journal: s.journalPath(f)}
	if layout, ok := s.where(); ok {
		place.Folders = append(place.Folders, layout.CommonDir, layout.GitDir)
	}
	return place
}

// batch begins a change of a formation.
func (s *session) batch(f *formation.Formation) *safefile.Batch { return s.Files.Batch(s.place(f)) }

// finish completes what a killed command began on f. Another process that is at
// it just now completes it itself. Where it cannot be completed, who only reads
// is told so, and goes on with what is there.
func (s *session) finish(f *formation.Formation) error {
	layout, _ := s.where()
	hooksToo := hooks.Unfinished(layout)
	if !s.unfinished(f) && !hooksToo && !scrub.Unfinished(layout) {
		return nil
	}
	lock, err := safefile.AcquireLock(context.Background(), s.lockPath(f), s.doing, 30*time.Millisecond)
	var locked *safefile.LockedError
	if errors.As(err, &locked) {
		return nil
	}
	if err == nil {
		defer lock.Release()
		err = s.replay(f)
	}
	if err == nil && hooksToo {
		err = s.finishHooks()
	}
	if err == nil && scrub.Unfinished(layout) { // now, or by the journal
		err = s.finishScrub()
	}
	if err != nil {
		s.warnOf(err)
	}
	return nil
}

// unfinished reports whether there is a journal of a change of f, alone or with
// others.
func (s *session) unfinished(f *formation.Formation) bool {
	journals := []string{s.journalPath(f)}
	if several, ok := s.placeOfSeveral(); ok {
		journals = append(journals, several.Journal)
	}
	return slices.ContainsFunc(journals, func(journal string) bool {
		there, err := paths.Exists(journal)
		return err == nil && there
	})
}

// finishHooks finishes an installation of the hooks.
func (s *session) finishHooks() error {
	repo, err := s.repository()
	if err != nil || repo == nil {
		return err
	}
	return s.installer(repo, false).Finish(context.Background())
}

// replay is finish for who holds the lock.
func (s *session) replay(f *formation.Formation) error {
	if several, ok := s.placeOfSeveral(); ok {
		if err := s.replayAt(several, "several formations"); err != nil {
			return err
		}
	}
	return s.replayAt(s.place(f), s.name(f))
}

// replayAt finishes the change of what is called name.
func (s *session) replayAt(place safefile.Place, name string) error {
	done, err := safefile.Replay(place, s.Files)
	if done {
		s.say("Finished a change of %s that had been interrupted", name)
	}
	var back *safefile.TakenBackError
	if errors.As(err, &back) {
		s.warn("a change of %s had been interrupted, and was taken back, since it cannot be finished: %s", name, s.explain(back.Err).Lines[0])
		return nil
	}
	var overrun *safefile.OverrunError
	if errors.As(err, &overrun) {
		s.warn("a change of %s had been interrupted, and its files were changed since: they are left as they are", name)
		if overrun.Kept != "" {
			s.hint("what it was to write, a new key included, is kept in %s", s.show(overrun.Kept))
		}
		return nil
	}
	return err
}

// warnOf tells about an error that does not keep a command from going on.
func (s *session) warnOf(err error) {
	e := s.explain(err)
	s.warn("%s", e.Lines[0])
	for _, hint := range e.Hints {
		s.hint("%s", hint)
	}
}

// keyChange is a formation whose key, or the people it is wrapped for, change.
// Everything goes into one batch that is finished even after a kill.
type keyChange struct {
	*writing
	people  *formation.People
	had     bool        // .age-recipients is there
	keyFile []byte      // the bytes that .key is to have
	also    []string    // other formations that had the same key
	retired *crypto.Key // the one that vouches for the new one; nil: no new one, or none that may
	st      *vouching   // what vouches for the people; nil: nothing was asked yet
	sealed  bool        // the key, and with it the vault, is another one
	listed  bool        // .age-recipients changes
}

// openKeyChange locks and opens a formation for a change of its key, or of the
// people who share it. anew says that the key will be another one.
func (s *session) openKeyChange(ctx context.Context, f *formation.Formation, anew, sharing bool) (*keyChange, error) {
	if _, err := f.OpenToWrite(); err != nil {
		return nil, err
	}
	if anew {
		if err := s.noUnsettledMerge(ctx, f); err != nil {
			return nil, err
		}
	}
	c := &keyChange{}
	w, err := s.lockToWrite(ctx, f, func(w *writing) error {
		w.sharing, w.wraps = sharing, true
		var err error
		if w.Opened, err = f.OpenToWrite(); err == nil {
			c.keyFile = w.Found.Content
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c.writing = w
	if c.people, c.had, err = f.ReadPeople(); err != nil {
		c.close()
		return nil, err
	}
	if c.had {
		c.folded = s.foldSeen(f, c.people)
	}
	if err := c.takeBack(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// takeBack brings the people back whom the formation's key vouched for, where a
// list lies over theirs whose key nobody vouched for: who is missing in that one
// was not removed.
func (c *keyChange) takeBack() error {
	if c.usurped == nil {
		return nil
	}

	c.st = c.usurped
	for _, person := range trust.Gone(c.people.All(), c.Key.Public(), c.st.folder.Vouching(c.st.Evidence)...) {
		recipient, err := crypto.ParseRecipient(person.Recipient)
		if err != nil {
			return err
		}
		c.people.Add(person.Name, recipient)
	}
	if key, overlaid := c.st.Overlaid(); overlaid {
		c.done = append(c.done, fmt.Sprintf("Dropped the signature of the key %s from %s: nobody who had yours vouched for it", fingerprintOf(key), c.s.show(c.Path(formation.RecipientsFile))))
	}
	return nil
}

// newKey has the formation go over to another key: the old one is retired, the
// vault sealed again. format may be another one than before.
func (c *keyChange) newKey(format crypto.Format) error {
	if other := c.s.sharesKeyFile(c.Formation); other != nil {
		key := c.Path(formation.KeyFile)
		mine, own, sh := c.s.argument(key), c.s.argument(key+".own"), c.s.shell()
		return refuse("'%s' is the key file of %s, too: a new key in it would not open that one's vault; nothing was changed", c.s.show(key), c.s.name(other)).
			hint("give this one a file of its own and try again: '%s'", sh.Then(sh.Copy(mine, own), sh.Move(own, mine)))
	}
	key, err := crypto.GenerateKey(format)
	if err != nil {
		return err
	}
	c.also = c.s.sameKey(c.Formation, c.Key)
	c.retired = c.Key
	return c.useKey(key, key.File())
}

// siblings are the formations of the work tree, looked for once.
func (s *session) siblings(layout gitutil.Layout) []*formation.Formation {
	if s.below == nil {
		s.below = s.formationsBelow(layout.Top)
	}
	return s.below
}

// sameKey returns the other formations of the repository that have the same key.
// With --all each of them gets its own in turn.
func (s *session) sameKey(f *formation.Formation, key *crypto.Key) []string {
	layout, ok := s.where()
	if !ok || layout.Top == "" || s.all {
		return nil
	}
	var names []string
	for _, one := range s.siblings(layout) {
		if other, err := one.ReadKey(); err == nil && !same(one.Dir, f.Dir) && other.Equal(key) {
			names = append(names, s.name(one))
		}
	}
	return names
}

// warnSameKey speaks of the formations that the old key still opens.
func (c *keyChange) warnSameKey() {
	for _, name := range c.also {
		c.s.warn("%s had the same key, which still opens it: '%s rotate' gives it a new one", name, c.s.on(c.s.at(name)))
	}
}

// sharesKeyFile returns another formation of the repository whose .key is the
// same file by a link, or nil.
func (s *session) sharesKeyFile(f *formation.Formation) *formation.Formation {
	layout, ok := s.where()
	if !ok || layout.Top == "" {
		return nil
	}
	if s.keyFiles == nil { // once, since --all asks for each
		s.keyFiles = map[string][]*formation.Formation{}
		for _, one := range s.siblings(layout) {
			if file, err := filepath.EvalSymlinks(one.Path(formation.KeyFile)); err == nil {
				s.keyFiles[file] = append(s.keyFiles[file], one)
			}
		}
	}
	file, err := filepath.EvalSymlinks(f.Path(formation.KeyFile))
	if err != nil {
		return nil
	}
	for _, one := range s.keyFiles[file] {
		if !same(one.Dir, f.Dir) {
			return one
		}
	}
	return nil
}

func (c *keyChange) useKey(key *crypto.Key, file []byte) error {
	// The new key is safe, as the old one is already, before anything is sealed
	// with it: it outlives a kill whose journal cannot be finished, and a linked
	// work tree, whose .key goes with it.
	if err := c.KeepKey(c.batch, key, file); err != nil {
		return err
	}
	c.Key, c.keyFile, c.sealed = key, file, true
	return nil
}

// put prepares people's files, the vault and the key, in this order, and
// commits.
func (c *keyChange) put(talk *crypto.Talk) error {
	if c.sealed {
		if err := c.Replaceable(); err != nil {
			return err
		}
	}
	if err := c.putPeople(talk); err != nil {
		return err
	}
	if c.sealed && c.Sealed {
		sealed, err := c.Key.Seal(c.Vault.Encode())
		if err != nil {
			return failed(err, "cannot seal '%s': %v", c.s.show(c.Path(formation.VaultFile)), err)
		}
		if err := c.batch.ReplacePrivate(c.Path(formation.VaultFile), sealed); err != nil {
			return err
		}
	}
	if c.sealed {
		if err := c.batch.ReplacePrivate(c.Path(formation.KeyFile), c.keyFile); err != nil {
			return err
		}
	}
	foot, _ := c.people.Foot()
	c.pin = &formation.Pin{Key: c.Key.Public(), Signed: foot != nil}
	if layout, ok := c.s.where(); ok && layout.Top != "" {
		was, _, err := trust.PinsOf(layout).Get(c.s.fromTop(layout, c.Dir))
		if err != nil {
			return err
		}
		c.pin.Over = was.Over // what was decided of the key that this one comes after
		if was.IsAccepted() { // it vouches for no more than it is itself
			c.pin.Accepted = []crypto.PublicKey{c.pin.Key}
		}
	}
	return c.commit()
}

// vouched asks, before anything changes, who of the people nobody vouched for.
func (c *keyChange) vouched() ([]formation.Person, error) {
	if c.st == nil {
		var err error
		if c.st, err = c.s.sharing(c.ctx, c.Formation); err != nil {
			return nil, err
		}
	}
	return c.st.newcomers(c.people, c.Key.Public()), nil
}

// refuseNewcomers stops where nobody vouched for somebody in the list.
func (c *keyChange) refuseNewcomers() error {
	news, err := c.vouched()
	if err != nil || len(news) == 0 {
		return err
	}
	return c.s.refuseNewcomers(c.ctx, c.Formation, c.st, news)
}

// sign has the key vouch for the people, and the one before it for the key.
func (c *keyChange) sign() {
	var known []formation.Chain
	if c.st != nil {
		known = c.st.chains()
	}
	if c.retired != nil && !c.retired.Equal(c.Key) {
		c.people.SignSuccessor(c.retired, c.Key, known...)
	} else {
		c.people.Sign(c.Key, known...)
	}
}

// putPeople prepares .age-recipients and .key.age.
func (c *keyChange) putPeople(talk *crypto.Talk) error {
	list, wrapped := c.Path(formation.RecipientsFile), c.Path(formation.WrappedKeyFile)
	if !c.had {
		there, err := paths.Exists(wrapped)
		switch {
		case err != nil:
			return err
		case there:
			return refuse("there is a %s and no %s: for whom the new key is to be wrapped is not known; nothing was changed", formation.WrappedKeyFile, formation.RecipientsFile).
				hint("bring the list back: '%s'", c.s.gitOn("git restore", list)).
				hint("or, if nobody of before is to unlock any more: '%s'", c.s.shell().Remove(c.s.argument(wrapped)))
		case len(c.people.All()) == 0:
			return nil // nobody shares it
		}
	}
	return c.wrap(list, wrapped, talk)
}

// wrap prepares the list and the key wrapped for everybody in it.
func (c *keyChange) wrap(list, wrapped string, talk *crypto.Talk) error {
	for _, path := range []string{list, wrapped} {
		if err := c.s.staysInside(path); err != nil {
			return err
		}
	}
	c.sign()
	content := c.people.Encode()
	if _, err := formation.ParsePeople(content); err != nil {
		return failed(err, "'%s' would not be readable any more: %v; nothing was changed", c.s.show(list), err)
	}
	if old, err := os.ReadFile(list); err != nil || string(old) != string(content) {
		c.listed = true
		if err := c.batch.Replace(list, content, 0o644); err != nil {
			return err
		}
	}
	recipients := c.people.Recipients()
	if len(recipients) == 0 {
		c.dropWrapped()
		return nil
	}
	sealed, err := crypto.Wrap(c.keyFile, recipients, talk)
	if err != nil {
		return c.s.explainWrap(err, len(recipients))
	}
	return c.batch.Replace(wrapped, sealed, 0o644)
}

// dropWrapped takes away the wrapped key, which would be one of before: nobody shares
// the one of now.
func (w *writing) dropWrapped() {
	if wrapped := w.Path(formation.WrappedKeyFile); paths.There(wrapped) {
		w.batch.Remove(wrapped)
		w.done = append(w.done, fmt.Sprintf("Removed %s: nobody is in %s", w.s.show(wrapped), formation.RecipientsFile))
	}
}

// filesStayInside refuses to write where git's links lead: the vault and the
// template come with a clone, and so may links in their place. A .key comes with
// no clone, and may be a link of its owner's, unless git tracks it.
func (s *session) filesStayInside(f *formation.Formation) error {
	for _, name := range [...]string{formation.VaultFile, formation.TemplateFile} {
		if err := s.staysInside(f.Path(name)); err != nil {
			return err
		}
	}
	key := f.Path(formation.KeyFile)
	if info, err := os.Lstat(key); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return nil
	}
	repo, err := s.repository()
	if err != nil || repo == nil || repo.Layout().Top == "" {
		return nil
	}
	if tracked, err := repo.Tracked(context.Background(), []string{key}); err == nil && tracked[0] {
		return s.staysInside(key)
	}
	return nil
}

// staysInside refuses a link that leads out of the work tree: it may have come
// with the clone, which does not choose the files that are written.
func (s *session) staysInside(path string) error {
	info, err := os.Lstat(path)
	layout, ok := s.where()
	if err != nil || info.Mode()&fs.ModeSymlink == 0 || !ok || layout.Top == "" {
		return nil
	}
	if layout.InWorkTree(path) {
		return nil
	}
	return failed(nil, "'%s' is a symbolic link that leads out of the repository; nothing was changed", s.show(path)).
		hint("put a file in its place, or remove it: '%s'", s.shell().Remove(s.argument(path)))
}

// explainWrap says why a key cannot be wrapped for its people.
func (s *session) explainWrap(err error, recipients int) error {
	var mixed *crypto.MixedRecipientsError
	if errors.As(err, &mixed) {
		return refuse("post-quantum and classic recipients cannot share one file: %s, %s", plural(mixed.PostQuantum, "post-quantum recipient"), plural(mixed.Classic, "classic one")).
			hint("age refuses that mix, since one classic recipient undoes what the others give").
			hint("have everybody use one kind: 'age-keygen -pq' makes a post-quantum key, 'age-keygen' a classic one").
			hint("nothing was changed")
	}
	return failed(err, "cannot wrap the key for %s: %v", plural(recipients, "recipient"), err).
		hint("a recipient of the form age1NAME1... needs the program age-plugin-NAME on PATH")
}

// keyNow is how a message names a key.
func keyNow(key *crypto.Key) string {
	return fmt.Sprintf("%s key %s", key.Format(), key.Fingerprint()[:16])
}

// list puts words in a row.
func list(words []string) string { return strings.Join(words, ", ") }
