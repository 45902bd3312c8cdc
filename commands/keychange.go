package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// keyring holds the keys that this repository's formations had before.
func (s *session) keyring() formation.Keyring {
	if layout, ok := s.where(); ok {
		return formation.Keyring{Dir: filepath.Join(layout.CommonDir, "muxi-secrets", "keys")}
	}
	return formation.Keyring{}
}

// journalPath is where a change of several files that belong together is noted
// until it is done.
func (s *session) journalPath(f *formation.Formation) string { return s.statePath(f, "journal") }

// finish completes what a killed command began on f. Another process that is at
// it just now completes it itself.
func (s *session) finish(f *formation.Formation) error {
	journal := s.journalPath(f)
	if there, err := fileExists(journal); err != nil || !there {
		return nil
	}
	lock, err := formation.AcquireLock(context.Background(), s.lockPath(f), s.doing, 30*time.Millisecond)
	var locked *formation.LockedError
	if errors.As(err, &locked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	return s.replay(f)
}

// replay is finish for who holds the lock.
func (s *session) replay(f *formation.Formation) error {
	done, err := formation.Replay(s.journalPath(f), s.Files)
	if done {
		s.say("Finished a change of %s that had been interrupted", s.name(f))
	}
	var overrun *formation.OverrunError
	if errors.As(err, &overrun) {
		s.warn("a change of %s had been interrupted, and its files were changed since: they are left as they are", s.name(f))
		if overrun.Kept != "" {
			s.hint("what it was to write, a new key included, is kept in %s", s.show(overrun.Kept))
		}
		return nil
	}
	return err
}

// keyChange is a formation whose key, or the people it is wrapped for, change.
// Everything goes into one batch that is finished even after a kill.
type keyChange struct {
	*writing
	people  *formation.People
	had     bool     // .age-recipients is there
	keyFile []byte   // the bytes that .key is to have
	also    []string // other formations that had the same key
	sealed  bool     // the key, and with it the vault, is another one
	listed  bool     // .age-recipients changes
}

// openKeyChange locks and opens a formation for a change of its key. retired
// says that a vault which only a retired key opens is welcome, too.
func (s *session) openKeyChange(ctx context.Context, f *formation.Formation, retired, sharing bool) (*keyChange, error) {
	if _, err := f.ReadKey(); err != nil {
		return nil, err
	}
	if retired { // of those that make a new key
		if err := s.noUnsettledMerge(ctx, f); err != nil {
			return nil, err
		}
	}
	c := &keyChange{}
	w, err := s.lockToWrite(ctx, f, func(w *writing) error {
		w.sharing = sharing
		content, key, err := f.ReadKeyFile()
		if err != nil {
			return err
		}
		c.keyFile = content
		w.Opened, err = f.Open()
		if retired && crypto.ReasonOf(err) == crypto.WrongKey {
			w.Opened, err = s.openRetired(f, key, err)
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
	return c, nil
}

// openRetired opens with a retired key what the current one does not open.
func (s *session) openRetired(f *formation.Formation, current *crypto.Key, because error) (*formation.Opened, error) {
	sealed, ok, err := f.ReadSealed()
	if err != nil || !ok {
		return nil, because
	}
	ring := s.keyring().Keys()
	if len(ring) == 0 {
		return nil, because
	}
	vault, _, err := formation.OpenSealed(sealed, ring...)
	if err != nil {
		return nil, because
	}
	return &formation.Opened{Formation: f, Key: current, Vault: vault, Sealed: true}, nil
}

// newKey has the formation go over to another key: the old one is retired, the
// vault sealed again. format may be another one than before.
func (c *keyChange) newKey(format crypto.Format) error {
	if other := c.s.sharesKeyFile(c.Formation); other != nil {
		return refuse("'%s' is the key file of %s, too: a new key in it would not open that one's vault; nothing was changed", c.s.show(c.Path(formation.KeyFile)), c.s.name(other)).
			hint("give this one a file of its own and try again: 'cp %[1]s %[1]s.own && mv %[1]s.own %[1]s'", quote(c.s.show(c.Path(formation.KeyFile))))
	}
	key, err := crypto.GenerateKey(format)
	if err != nil {
		return err
	}
	c.also = c.s.sameKey(c.Formation, c.Key)
	return c.useKey(key, key.File())
}

// siblings are the formations of the work tree, looked for once.
func (s *session) siblings(layout gitutil.Layout) []*formation.Formation {
	if s.below == nil {
		s.below = formation.Below(layout.Top)
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
		if other, err := one.ReadKey(); err == nil && !same(one.Dir, f.Dir) && other.Fingerprint() == key.Fingerprint() {
			names = append(names, s.name(one))
		}
	}
	return names
}

// warnSameKey speaks of the formations that the old key still opens.
func (c *keyChange) warnSameKey() {
	for _, name := range c.also {
		c.s.warn("%s had the same key, which still opens it: '%s -C %s rotate' gives it a new one", name, program, quote(name))
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
	// Both keys are safe before anything is sealed with the new one: it outlives
	// a kill whose journal cannot be finished, and a linked work tree, whose .key
	// goes with it.
	for _, safe := range []*crypto.Key{key, c.Key} {
		if err := c.s.keyring().Add(c.batch, safe); err != nil {
			return err
		}
	}
	c.Key, c.keyFile, c.sealed = key, file, true
	return nil
}

// put prepares people's files, the vault and the key, in this order, and
// commits.
func (c *keyChange) put(talk *crypto.Talk) error {
	if err := c.putPeople(talk); err != nil {
		return err
	}
	if c.sealed && c.Sealed {
		sealed, err := c.Key.Seal(c.Vault.Encode())
		if err != nil {
			return failed(err, "cannot seal '%s': %v", c.s.show(c.Path(formation.VaultFile)), err)
		}
		if err := c.batch.Replace(c.Path(formation.VaultFile), sealed, 0o600); err != nil {
			return err
		}
	}
	if c.sealed {
		if err := c.batch.Replace(c.Path(formation.KeyFile), c.keyFile, 0o600); err != nil {
			return err
		}
	}
	c.batch.Journal(c.s.journalPath(c.Formation))
	return c.commit()
}

// putPeople prepares .age-recipients and .key.age.
func (c *keyChange) putPeople(talk *crypto.Talk) error {
	list, wrapped := c.Path(formation.RecipientsFile), c.Path(formation.WrappedKeyFile)
	if !c.had {
		there, err := fileExists(wrapped)
		switch {
		case err != nil:
			return err
		case there:
			return refuse("there is a %s and no %s: for whom the new key is to be wrapped is not known; nothing was changed", formation.WrappedKeyFile, formation.RecipientsFile).
				hint("bring the list back: 'git restore %s'", quote(c.s.show(list))).
				hint("or, if nobody of before is to unlock any more: 'rm %s'", quote(c.s.show(wrapped)))
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
	content := c.people.Encode()
	if _, err := formation.ParsePeople(content); err != nil {
		return failed(err, "'%s' would not be readable any more: %v; nothing was changed", c.s.show(list), err)
	}
	if old, err := os.ReadFile(list); err != nil || string(old) != string(content) {
		c.listed = true
		if err := c.batch.Replace(list, content, formation.ModeOf(list, 0o644)); err != nil {
			return err
		}
	}
	recipients := c.people.Recipients()
	if len(recipients) == 0 {
		if there, err := fileExists(wrapped); err == nil && there {
			c.batch.Remove(wrapped)
			c.done = append(c.done, fmt.Sprintf("Removed %s: nobody is in %s", c.s.show(wrapped), formation.RecipientsFile))
		}
		return nil
	}
	sealed, err := crypto.Wrap(c.keyFile, recipients, talk)
	if err != nil {
		return c.s.explainWrap(err, len(recipients))
	}
	return c.batch.Replace(wrapped, sealed, formation.ModeOf(wrapped, 0o644))
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
	to, err := filepath.EvalSymlinks(path)
	if err == nil {
		rel, err := filepath.Rel(realDir(layout.Top), to)
		if first, _, _ := strings.Cut(filepath.ToSlash(rel), "/"); err == nil && filepath.IsLocal(rel) && first != ".git" {
			return nil
		}
	}
	return failed(err, "'%s' is a symbolic link that leads out of the repository; nothing was changed", s.show(path)).
		hint("put a file in its place, or remove it: 'rm %s'", quote(s.show(path)))
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
