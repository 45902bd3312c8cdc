package commands

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// maxWrapped bounds a wrapped key, in bytes: some thousand recipients.
const maxWrapped = 16 << 20

func (r *runner) unlockCommand() *cli.Command {
	return &cli.Command{
		Name:      "unlock",
		Usage:     "get the key that the team shares, with your own age or SSH key",
		UsageText: "[--identity FILE]... [--all]",
		Description: `   git muxi-secrets unlock

It opens .key.age with what you have: ~/.config/age/keys.txt, ~/.ssh/id_*, the
file of 'git config muxi-secrets.identity', or only FILE. A passphrase is asked
for when that key is really among the recipients. .key is written 0600 once it
is known to open secrets.enc.`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "the `FILE` of an age or SSH private key; may be given more than once"},
			allFlag(),
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return s.unlockAll(ctx, c.StringSlice("identity"))
		}),
	}
}

func (s *session) unlockAll(ctx context.Context, files []string) error {
	have, err := s.identities(ctx, files)
	if err != nil {
		return err
	}
	shared := 0
	err = s.each(func(f *formation.Formation) error {
		if there, err := fileExists(f.Path(formation.WrappedKeyFile)); err == nil && !there && s.all {
			return nil // not one that is shared
		}
		shared++
		return s.unlock(ctx, f, have)
	})
	if err == nil && shared == 0 {
		return refuse("no formation here has a %s", formation.WrappedKeyFile).
			hint("someone who has the key shares it with '%s share add'", program)
	}
	return err
}

func (s *session) unlock(ctx context.Context, f *formation.Formation, have *identities) error {
	wrapped, err := readSmall(f.Path(formation.WrappedKeyFile), maxWrapped)
	if errors.Is(err, fs.ErrNotExist) {
		return s.notShared(f)
	}
	if err != nil {
		return &formation.FileError{Op: "read", Path: f.Path(formation.WrappedKeyFile), Err: err}
	}
	content, who, err := s.unwrap(ctx, wrapped, have)
	if crypto.ReasonOf(err) == crypto.MergeMarkers {
		if sides, _, stageErr := s.unmergedFile(ctx, f, formation.WrappedKeyFile); stageErr == nil && sides != nil {
			return s.unlockSide(ctx, f, sides, have)
		}
	}
	if err != nil {
		return s.explainUnwrap(f, err, have)
	}
	took, err := s.takeKey(ctx, f, content)
	if err != nil {
		// A rotation that came in between has wrapped another key.
		if now, readErr := readSmall(f.Path(formation.WrappedKeyFile), maxWrapped); readErr == nil && !bytes.Equal(now, wrapped) && ctx.Err() == nil {
			return s.unlock(ctx, f, have)
		}
		return err
	}
	s.sayUnlocked(f, took, who)
	return nil
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
		took, err := s.takeKey(ctx, f, content)
		if err == nil {
			s.sayUnlocked(f, took, who)
			return nil
		}
		because, tried = err, true // it opened, which says more than that the other did not
	}
	return because
}

func (s *session) sayUnlocked(f *formation.Formation, took taken, who *crypto.Identity) {
	if took == keySame {
		s.say("%s is unlocked already", s.name(f))
		return
	}
	s.say("Unlocked %s with %s", s.name(f), s.showOwn(who.Source()))
	if layout, ok := s.where(); ok && !s.all {
		if there, err := fileExists(hooksOffered(layout)); err == nil && !there {
			s.hint("this clone has no hooks yet that stop a leak: '%s hooks install'", program)
		}
	}
}

func (s *session) notShared(f *formation.Formation) error {
	return (&Error{Code: exitNoKey}).line("there is no %s in %s: its key is not shared this way", formation.WrappedKeyFile, s.showFolder(f.Dir)).
		hint("someone who has the key can share it: '%s share add' with your public key ('age-keygen' makes one, ~/.ssh/id_ed25519.pub is one)", program).
		hint("or gets it to you otherwise: '%s key import FILE' takes it in", program)
}

// explainUnwrap says why .key.age did not open.
func (s *session) explainUnwrap(f *formation.Formation, err error, have *identities) error {
	path := s.show(f.Path(formation.WrappedKeyFile))
	e := &Error{Code: exitNoKey, Err: err}
	switch crypto.ReasonOf(err) {
	case crypto.NoIdentity:
		if wrapped, err := readSmall(f.Path(formation.WrappedKeyFile), maxWrapped); err == nil && crypto.NeedsPassphrase(wrapped) {
			return e.line("'%s' is sealed with a passphrase, not for people", path).hint("take it in with '%s key import %s', which asks for the passphrase", program, quote(path))
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
		return e.hint("name yours with --identity FILE, or once for all with 'git config --global %s FILE'", identityConfig).
			hint("or have someone who has the key share it with yours: '%s share add YOUR-PUBLIC-KEY'", program)
	case crypto.WrongPassphrase:
		return e.line("that is not the passphrase of the key").hint("try again")
	case crypto.NeedsPerson:
		return e.line("'%s' opens only with a key that asks for something, and there is no terminal to ask on", path).
			hint("run it on a terminal, or name a key without a passphrase with --identity FILE")
	case crypto.MergeMarkers, crypto.Truncated, crypto.NotSealed, crypto.EmptyFile:
		e.Code = exitFailed
		return e.line("cannot open '%s': %v", path, err).
			hint("bring back the last good one: 'git restore %s'", quote(path)).
			hint("or have someone who has the key wrap it again: '%s share wrap'", program)
	}
	if own, ok := errors.AsType[*Error](err); ok {
		return own // an identity that cannot be read
	}
	if e := s.explain(err); e.Code == exitInterrupted || e.Code == exitUsage {
		return e
	}
	return e.line("cannot open '%s': %v", path, err).hint("bring back the last good one: 'git restore %s'", quote(path))
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
// vault. A key that is there is retired. content is written as it is.
func (s *session) takeKey(ctx context.Context, f *formation.Formation, content []byte) (taken, error) {
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
	// Under the lock: a rotation would change the vault in between.
	if sealed, ok, err := f.ReadSealed(); err != nil {
		return 0, err
	} else if ok {
		if _, _, err := formation.OpenSealed(sealed, key); err != nil && !s.opensSide(ctx, f, key) {
			return 0, s.keyDoesNotFit(f, key, err)
		}
	}
	w := &writing{s: s, ctx: ctx, batch: s.Files.BatchIn(f.Dir), Opened: &formation.Opened{Formation: f, Key: key}}
	defer w.batch.Discard()
	if err := s.filesStayInside(f); err != nil {
		return 0, err
	}
	if err := w.tellGit(ctx); err != nil {
		return 0, err
	}
	was, oldKey, err := f.ReadKeyFile()
	var missing *formation.NoKeyError
	result := keyNew
	switch {
	case errors.As(err, &missing):
	case err == nil && oldKey.Fingerprint() == key.Fingerprint() && string(was) == string(content) && !f.KeyReadableByOthers():
		return keySame, w.commit()
	case err == nil:
		result = keyReplaced
		if oldKey.Fingerprint() == key.Fingerprint() {
			result = keySame // another spelling of it
		} else if err := s.keyring().Add(w.batch, oldKey); err != nil {
			return 0, err
		}
	}
	// A .key that cannot be read, or is no key, goes: this one opens the vault.
	// But a link may have come with the clone, and lead to any file.
	if info, linkErr := os.Lstat(f.Path(formation.KeyFile)); err != nil && linkErr == nil && info.Mode()&fs.ModeSymlink != 0 {
		return 0, failed(err, "'%s' is a symbolic link, and what it leads to holds no key; nothing was changed", s.show(f.Path(formation.KeyFile))).
			hint("if that file is of no use, remove the link: 'rm %s'", quote(s.show(f.Path(formation.KeyFile))))
	}
	if err := w.batch.Replace(f.Path(formation.KeyFile), content, 0o600); err != nil {
		return 0, err
	}
	w.batch.Journal(s.journalPath(f))
	if result == keyReplaced {
		w.done = append(w.done, "Kept the key that was there, for older commits ("+keyNow(oldKey)+")")
	}
	return result, w.commit()
}

func (s *session) keyDoesNotFit(f *formation.Formation, key *crypto.Key, err error) error {
	e := &Error{Code: exitNoKey, Err: err}
	vault := s.show(f.Path(formation.VaultFile))
	if reason := crypto.ReasonOf(err); reason != crypto.WrongKey {
		e.Code = exitFailed
		return e.line("cannot tell whether the key fits: '%s' is damaged: %v", vault, err).hint("bring back the last good one: 'git restore %s'", quote(vault)).hint("nothing was changed")
	}
	e.line("the %s does not open '%s'; nothing was changed", keyNow(key), vault).
		hint("the vault may be from another commit than the key: 'git pull', or ask for the key of this one")
	if shared, err := fileExists(f.Path(formation.WrappedKeyFile)); err == nil && shared {
		e.hint("if %s is behind the vault, somebody who can open it wraps its key again, with 'share wrap'", formation.WrappedKeyFile)
	}
	return e
}
