package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
)

// maxWrapped bounds a wrapped key, in bytes: some thousand recipients.
const maxWrapped = 16 << 20

func (r *runner) unlockCommand() *cli.Command {
	return &cli.Command{
		Name:      "unlock",
		Usage:     "get the key that the team shares, with your own age or SSH key",
		UsageText: "[--identity FILE]... [--accept FINGERPRINT] [--expect FINGERPRINT] [--all]",
		Description: `   git muxi-secrets unlock

It opens .key.age with what you have: ~/.config/age/keys.txt, ~/.ssh/id_*, the
file of 'git config muxi-secrets.identity', or only FILE. A passphrase is asked
for when that key is really among the recipients. .key is written 0600 once it
is known to open secrets.enc.`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "the `FILE` of an age or SSH private key; may be given more than once"},
			&cli.StringFlag{Name: "accept", Usage: "take the key with this `FINGERPRINT` though nobody vouched for it, in this work tree"},
			&cli.StringFlag{Name: "expect", Usage: "take no key but the one with this `FINGERPRINT`"},
			allFlag(),
		},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			s.accept, s.expect = c.String("accept"), c.String("expect")
			for _, given := range []string{s.accept, s.expect} {
				if given != "" && !isFingerprint(given) {
					return usage("a fingerprint has 32 characters, 0 to 9 and a to f, and all of them are needed").
						hint("'%s key fingerprint' prints it where the key is, and '%s unlock' that of a key which nobody vouched for", s.again(), s.again())
				}
			}
			return s.unlockAll(ctx, c.StringSlice("identity"))
		}),
	}
}

func (s *session) unlockAll(ctx context.Context, files []string) error {
	have, err := s.identities(files)
	if err != nil {
		return err
	}
	done := 0
	err = s.each(func(f *formation.Formation) error {
		put, err := s.putBack(ctx, f)
		if put || err != nil {
			done++
			return err
		}
		if there, err := paths.Exists(f.Path(formation.WrappedKeyFile)); err == nil && !there && s.all {
			return nil // not one that is shared
		}
		done++
		return s.unlock(ctx, f, have)
	})
	if err == nil && done == 0 {
		return refuse("no formation here has a %s", formation.WrappedKeyFile).
			hint("someone who has the key shares it with '%s share add'", s.again())
	}
	if err == nil {
		s.remindOfHooks(ctx)
	}
	return err
}

// putBack makes a key that is at hand elsewhere, and that opens the vault, the
// .key again; put is false where there is none. No identity is needed for it.
func (s *session) putBack(ctx context.Context, f *formation.Formation) (put bool, err error) {
	opened, err := f.Open()
	if tracked, ok := errors.AsType[*formation.TrackedKeyError](err); ok {
		return false, tracked // what came with the clone would be read, or written over, in its place
	}
	broken := inItsPlace(err)
	arrived, _ := errors.AsType[*formation.ArrivedKeyError](err)
	switch {
	case arrived != nil && isNamed(s.accept, arrived.Found.Key.Public()):
		opened, err = &formation.Opened{Formation: f, Key: arrived.Found.Key, Found: arrived.Found, Sealed: true}, nil
	case arrived != nil && s.accept != "":
		return false, nil // .key.age may have that one
	case arrived != nil || broken:
		opened, err = f.OpenElsewhere(err)
	}
	if errors.As(err, &arrived) { // or what else opens the vault is retired, as what arrived says
		return s.putPinnedBack(ctx, f, arrived)
	}
	if retired, ok := errors.AsType[*formation.RetiredKeyError](err); ok {
		if !isNamed(s.accept, retired.Found.Key.Public()) {
			return false, retired
		}
		opened, err = &formation.Opened{Formation: f, Key: retired.Found.Key, Found: retired.Found, Sealed: true}, nil
	}
	if err != nil || !opened.Sealed || opened.Found.Place == formation.InFolder && !broken && arrived == nil {
		return false, nil // there is nothing to put back, or .key.age is of more help
	}
	found := opened.Found
	if _, err := s.takeKey(ctx, f, found.Content, false); err != nil {
		return false, err
	}
	s.clearOut(found)
	s.say("Put the key of %s back: the %s that was %s", s.name(f), keyNow(found.Key), s.whereKept(found))
	return true, nil
}

// putPinnedBack makes the copy of a formation's key the .key again where a commit
// laid another one over it, and says whether it opens the vault: that one may have
// come with the same commit.
func (s *session) putPinnedBack(ctx context.Context, f *formation.Formation, arrived *formation.ArrivedKeyError) (put bool, err error) {
	own := slices.IndexFunc(f.Finder.Kept(), func(kept *formation.FoundKey) bool { return kept.Key.Public() == arrived.Pinned })
	if own < 0 {
		return false, arrived
	}
	kept := f.Finder.Kept()[own]

	lock, err := s.lock(ctx, f)
	if err != nil {
		return false, err
	}
	defer lock.Release()
	batch := s.batch(f)
	defer batch.Discard()
	w := &writing{s: s, ctx: ctx, batch: batch, Opened: &formation.Opened{Formation: f, Key: kept.Key}}
	if err := w.replaceKey(kept.Content, arrived); err != nil {
		return false, err
	}
	if err := batch.Commit(); err != nil {
		return false, err
	}

	s.say("Put the key of %s back: the %s that was %s", s.name(f), keyNow(kept.Key), s.whereKept(kept))
	sealed, there, err := f.ReadSealed()
	if err != nil || !there {
		return true, err
	}
	if _, err := kept.Key.Open(sealed); err == nil {
		return true, nil
	}
	vault := s.show(f.Path(formation.VaultFile))
	if _, err := arrived.Found.Key.Open(sealed); err != nil {
		s.warn("it does not open %s as that is now", vault)
		s.hint("somebody may have rotated it: '%s unlock'", s.callOn(f))
		return true, nil
	}
	s.warn("it does not open %s as that is now: that is sealed with the key of commit %.10s", vault, arrived.Commit)
	s.hint("'%s log' shows which commits changed it", s.callOn(f))
	repo, err := s.repository()
	if err != nil || repo == nil {
		return true, err
	}
	last, err := judge.LastOpenedBy(ctx, repo, f, kept.Key)
	if last != nil {
		s.hint("'%s' brings back what belongs to it", s.gitRestore(last))
	}
	return true, err
}

// clearOut takes a key away from where a rename of the folder left it, now that it
// is the .key of the new one: no .gitignore speaks of it there any more.
func (s *session) clearOut(found *formation.FoundKey) {
	layout, _ := s.where()
	dir := filepath.Dir(found.Path)
	if found.Place != formation.LeftBehind || !paths.Within(layout.Top, paths.Real(dir)) {
		return
	}
	if _, err := formation.At(dir); err == nil {
		return // a formation again, if another one
	}
	os.Remove(found.Path)
	os.Remove(dir) // if that was all that was left
}

func (s *session) unlock(ctx context.Context, f *formation.Formation, have *identities) error {
	opened, openErr := f.Open()
	opens := openErr == nil && opened.Sealed
	wrapped, err := safefile.Read(f.Path(formation.WrappedKeyFile), maxWrapped)
	if errors.Is(err, fs.ErrNotExist) {
		if opens {
			return s.takeAgain(ctx, f, opened.Found)
		}
		return s.notShared(f)
	}
	if err != nil {
		return &safefile.Error{Op: "read", Path: f.Path(formation.WrappedKeyFile), Err: err}
	}
	content, who, err := s.unwrap(ctx, wrapped, have)
	if crypto.ReasonOf(err) == crypto.MergeMarkers {
		if sides, _, stageErr := s.unmergedFile(ctx, f, formation.WrappedKeyFile); stageErr == nil && sides != nil {
			return s.unlockSide(ctx, f, sides, have)
		}
	}
	if reason := crypto.ReasonOf(err); opens && (reason == crypto.NoIdentity || reason == crypto.NeedsPerson) {
		return s.takeAgain(ctx, f, opened.Found)
	}
	if err != nil {
		return s.explainNamed(ctx, f, s.explainUnwrap(f, err, have))
	}
	took, err := s.takeKey(ctx, f, content, false)
	if err != nil {
		// A merge left .key.age as our side has it, and sealed with theirs.
		if sides, _, stageErr := s.unmergedFile(ctx, f, formation.WrappedKeyFile); stageErr == nil && sides != nil {
			return s.unlockSide(ctx, f, sides, have)
		}
		// A rotation that came in between has wrapped another key.
		if now, readErr := safefile.Read(f.Path(formation.WrappedKeyFile), maxWrapped); readErr == nil && !bytes.Equal(now, wrapped) && ctx.Err() == nil {
			return s.unlock(ctx, f, have)
		}
		return err
	}
	s.sayUnlocked(f, took, who.Source())
	return nil
}

// takeAgain is unlock where .key opens the vault already, and nothing else is to
// be had: what it lacks (its mode, git's part) is done.
func (s *session) takeAgain(ctx context.Context, f *formation.Formation, own *formation.FoundKey) error {
	took, err := s.takeKey(ctx, f, own.Content, false)
	if err == nil {
		s.sayUnlocked(f, took, own.Path)
	}
	return err
}

// unlockSide is unlock for a .key.age that a clone without the drivers merged
// line by line. The vault may be of either side: the key that opens it is taken.
func (s *session) unlockSide(ctx context.Context, f *formation.Formation, sides *[3][]byte, have *identities) error {
	because := s.notShared(f)
	tried := false
	for _, side := range [][]byte{sides[1], sides[2]} {
		if len(side) == 0 {
			continue // deleted there
		}
		content, who, err := s.unwrap(ctx, side, have)
		if err != nil {
			if !tried {
				because = s.explainUnwrap(f, err, have)
			}
			tried = true
			continue
		}
		took, err := s.takeKey(ctx, f, content, false)
		if err == nil {
			s.sayUnlocked(f, took, who.Source())
			return nil
		}
		because, tried = err, true // it opened, which says more than that the other did not
	}
	return because
}

func (s *session) sayUnlocked(f *formation.Formation, took taken, source string) {
	if took == keySame {
		s.say("%s is unlocked already", s.name(f))
		return
	}
	s.say("Unlocked %s with %s", s.name(f), s.showOwn(source))
}

func (s *session) notShared(f *formation.Formation) error {
	return (&Error{Code: exitNoKey}).line("there is no %s in %s: its key is not shared this way", formation.WrappedKeyFile, s.showFolder(f.Dir)).
		hint("someone who has the key can share it: '%s share add' with your public key ('age-keygen' makes one, ~/.ssh/id_ed25519.pub is one)", s.again()).
		hint("or gets it to you otherwise: '%s key import FILE' takes it in", s.again())
}

// explainUnwrap says why .key.age did not open.
func (s *session) explainUnwrap(f *formation.Formation, err error, have *identities) error {
	path := s.show(f.Path(formation.WrappedKeyFile))
	e := &Error{Code: exitNoKey, Err: err}
	switch crypto.ReasonOf(err) {
	case crypto.NoIdentity:
		if wrapped, err := safefile.Read(f.Path(formation.WrappedKeyFile), maxWrapped); err == nil && crypto.NeedsPassphrase(wrapped) {
			return e.line("'%s' is sealed with a passphrase, not for people", path).hint("take it in with '%s key import %s', which asks for the passphrase", s.again(), s.shell().Escape(path))
		}
		if len(have.list) == 0 {
			e.line("there is no age or SSH key here to open '%s' with", path)
		} else {
			e.line("none of your keys opens '%s'", path)
		}
		for _, identity := range sources(have.list) {
			e.line("tried %s", s.showOwn(identity))
		}
		for _, bad := range have.unusable {
			e.line("%s", s.explainIdentity(bad).Lines[0])
		}
		if len(have.list) == 0 {
			e.hint("if you have none, 'ssh-keygen -t ed25519' makes one")
		}
		return e.hint("name yours with --identity FILE, or once for all with 'git config --global %s FILE'", identityConfig).
			hint("or have someone who has the key share it with yours: '%s share add YOUR-PUBLIC-KEY'", s.again()).
			hint("or send it, sealed for yours: '%[1]s key export --to YOUR-PUBLIC-KEY' there, '%[1]s key import FILE' here", s.again())
	case crypto.WrongPassphrase:
		return e.line("that is not the passphrase of the key").hint("try again")
	case crypto.NeedsPerson:
		return e.line("'%s' opens only with a key that asks for something, and there is no terminal to ask on", path).
			hint("run it on a terminal, or name a key without a passphrase with --identity FILE")
	case crypto.Filtered:
		e.Code = exitFailed
		return s.filteredHints(e.line("cannot open '%s': %v", path, err), s.on(f.Dir), f.Path(formation.WrappedKeyFile))
	case crypto.MergeMarkers, crypto.Truncated, crypto.NotSealed, crypto.EmptyFile:
		e.Code = exitFailed
		return e.line("cannot open '%s': %v", path, err).
			hint("bring back the last good one: '%s'", s.gitOn("git restore", f.Path(formation.WrappedKeyFile))).
			hint("or have someone who has the key wrap it again: '%s share wrap'", s.again())
	}
	if own, ok := errors.AsType[*Error](err); ok {
		return own // an identity that cannot be read
	}
	if e := s.explain(err); e.Code == exitInterrupted || e.Code == exitUsage {
		return e
	}
	return e.line("cannot open '%s': %v", path, err).hint("bring back the last good one: '%s'", s.gitOn("git restore", f.Path(formation.WrappedKeyFile)))
}

// explainNamed adds to why .key.age did not open that HEAD's list names a key which
// would not be taken either: whoever asks for it should know whose that is.
func (s *session) explainNamed(ctx context.Context, f *formation.Formation, locked error) error {
	e := s.explain(locked)
	if reason := crypto.ReasonOf(e.Err); reason != crypto.NoIdentity && reason != crypto.NeedsPerson {
		return e
	}
	st, err := s.sharing(ctx, f)
	if err != nil {
		return e // what did not open is the matter here
	}
	named, signed := st.Head.Names()
	if !signed || !st.File.Same(st.Head) {
		return e
	}
	v := st.Unlock(named)
	if v.Believed() {
		return e
	}
	e.Lines = append(s.explainKey(ctx, f, st, v, nil).Lines, e.Lines...)
	ask := fmt.Sprintf("ask a colleague whether '%s key fingerprint' prints %s there", s.again(), named.Fingerprint())
	e.Hints = append([]string{ask + ": nothing else says that this key counts"}, e.Hints...)
	return e
}

// sources names the files of identities, each once.
func sources(list []*crypto.Identity) []string {
	var names []string
	for _, identity := range list {
		if n := len(names); n == 0 || names[n-1] != identity.Source() {
			names = append(names, identity.Source())
		}
	}
	return names
}

// taken is what became of a key that came from elsewhere.
type taken int

const (
	keyNew taken = iota
	keySame
	keyReplaced
)

// takeKey puts a key that came from elsewhere in place as .key, if it opens the
// vault. A key that is there is retired. content is written as it is. One that the
// owner hands over counts; one that came wrapped, with a branch, is judged.
func (s *session) takeKey(ctx context.Context, f *formation.Formation, content []byte, byHand bool) (taken, error) {
	key, err := crypto.ParseKey(content)
	if err != nil {
		code := exitNoKey
		if crypto.ReasonOf(err) == crypto.EmptyKey {
			code = exitUsage
		}
		return 0, (&Error{Code: code, Err: err}).line("what came is no key of a formation: %v", err).hint("nothing was changed")
	}
	lock, err := s.lock(ctx, f)
	if err != nil {
		return 0, err
	}
	defer lock.Release()

	// Under the lock: a rotation would change the key and the vault in between.
	was, wasErr := f.ReadKeyFile()
	if tracked, ok := errors.AsType[*formation.TrackedKeyError](wasErr); ok {
		return 0, tracked // nobody would read what is put there
	}
	if sealed, ok, err := f.ReadSealed(); err != nil {
		return 0, err
	} else if ok {
		if _, _, err := formation.OpenSealed(sealed, key); err != nil && !s.opensSide(ctx, f, key) {
			return 0, s.keyDoesNotFit(f, key, err)
		}
	}
	w := &writing{s: s, ctx: ctx, batch: s.batch(f), Opened: &formation.Opened{Formation: f, Key: key}}
	defer w.batch.Discard()
	if err := s.filesStayInside(f); err != nil {
		return 0, err
	}
	if err := w.tellGit(ctx); err != nil {
		return 0, err
	}
	judge := w.judgeUnlock
	if byHand {
		judge = w.pinByHand
	}
	if err := judge(ctx); err != nil {
		return 0, err
	}
	if err := f.KeepKey(w.batch, key, content); err != nil {
		return 0, err
	}
	var missing *formation.NoKeyError
	result := keyNew
	switch {
	case errors.As(wasErr, &missing):
	case wasErr == nil && was.Key.Equal(key) && bytes.Equal(was.Content, content) && !f.KeyReadableByOthers():
		return keySame, w.commit()
	case wasErr == nil:
		result = keyReplaced
		if was.Key.Equal(key) {
			result = keySame // another spelling of it
		} else if err := f.KeepKey(w.batch, was.Key, was.Content); err != nil {
			return 0, err
		}
	}
	if err := w.replaceKey(content, wasErr); err != nil {
		return 0, err
	}
	if result == keyReplaced {
		w.done = append(w.done, "Kept the key that was there, for older commits ("+keyNow(was.Key)+")")
	}
	return result, w.commit()
}

func (s *session) keyDoesNotFit(f *formation.Formation, key *crypto.Key, err error) error {
	e := &Error{Code: exitNoKey, Err: err}
	vault := s.show(f.Path(formation.VaultFile))
	if reason := crypto.ReasonOf(err); reason != crypto.WrongKey {
		e.Code = exitFailed
		e.Hints = s.explainVault(&formation.VaultError{Path: f.Path(formation.VaultFile), Err: err}).Hints
		return e.line("cannot tell whether the key fits: '%s' is damaged: %v", vault, err).hint("nothing was changed")
	}
	e.line("the %s does not open '%s'; nothing was changed", keyNow(key), vault).
		hint("the vault may be from another commit than the key: 'git pull', or ask for the key of this one")
	wrapped := paths.There(f.Path(formation.WrappedKeyFile))
	switch back := s.stepBack(f); {
	case back != "" && wrapped:
		return e.hint("%s does not belong to it: '%s' brings back what does", formation.WrappedKeyFile, back)
	case back != "":
		return e.hint("the vault is from before a rotation: '%s' brings back what was after it", back)
	case wrapped:
		e.hint("if %s is behind the vault, somebody who can open it wraps its key again, with 'share wrap'", formation.WrappedKeyFile)
	}
	return e
}

// opensSide reports whether a key opens a side of a merge that waits for it: the
// vault of the work tree is still the other side.
func (s *session) opensSide(ctx context.Context, f *formation.Formation, key *crypto.Key) bool {
	repo, err := s.repository()
	if err != nil || repo == nil || repo.Layout().Top == "" {
		return false
	}
	return merge.Opens(ctx, repo, s.vaultPath(repo.Layout(), f), key)
}
