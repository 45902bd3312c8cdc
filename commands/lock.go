package commands

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

func (r *runner) lockCommand() *cli.Command {
	return &cli.Command{
		Name:      "lock",
		Usage:     "take the key, and every copy of it, out of this clone",
		UsageText: "[--all] [--force]",
		Description: `   git muxi-secrets lock

.key goes from this and from linked work trees, and so do the copies of it and of
earlier keys that the git dir keeps. 'git muxi-secrets unlock' brings it back: so
it is refused unless one of your own keys opens .key.age and finds that key in it.`,
		Flags: []cli.Flag{
			allFlag(),
			&cli.BoolFlag{Name: "force", Usage: "also where nothing here could bring the key back"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return s.lockAll(ctx, c.Bool("force"))
		}),
	}
}

// lockAll asks all formations before it takes a key from one.
func (s *session) lockAll(ctx context.Context, force bool) error {
	formations, err := s.formations()
	if err != nil {
		return err
	}
	have, err := s.identities(nil)
	if err != nil {
		return err
	}
	back := make([]*crypto.Key, len(formations)) // what unlock would bring back; nil: nothing
	for i, f := range formations {
		s.current = f
		files, err := s.copies(f)
		if err != nil {
			return err
		}
		if len(files) == 0 || force {
			continue
		}
		if back[i], err = s.keyForMe(ctx, f, have); err != nil {
			return err
		}
		if err := s.bringsBack(f, back[i]); err != nil {
			return err
		}
	}
	for i, f := range formations {
		s.current = f
		if err := s.lockOne(ctx, f, back[i]); err != nil {
			return err
		}
	}
	return nil
}

// keyForMe is the key that .key.age holds for this person. Whatever keeps it back
// is a refusal: without it, nothing could bring the key back.
func (s *session) keyForMe(ctx context.Context, f *formation.Formation, have *identities) (*crypto.Key, error) {
	refused := func(err error, lines ...string) error {
		e := &Error{Code: exitNo, Lines: append([]string{"the key of " + s.name(f) + " stays: nothing here could bring it back"}, lines...), Err: err}
		return e.hint("share it with your own age or SSH key first: '%s share add YOUR-PUBLIC-KEY'", s.again()).
			hint("if you have it elsewhere, '%s lock --force' takes it out all the same", s.again())
	}
	wrapped, err := safefile.Read(f.Path(formation.WrappedKeyFile), maxWrapped)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refused(err, "there is no "+formation.WrappedKeyFile+": it is not shared")
	}
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: f.Path(formation.WrappedKeyFile), Err: err}
	}
	content, _, err := s.unwrap(ctx, wrapped, have)
	if err != nil {
		e := s.explain(s.explainUnwrap(f, err, have))
		if e.Code == exitInterrupted {
			return nil, e
		}
		return nil, refused(err, e.Lines...)
	}
	key, err := crypto.ParseKey(content)
	if err != nil {
		return nil, refused(err, formation.WrappedKeyFile+" holds no key")
	}
	return key, nil
}

// bringsBack refuses where the key that unlock would bring back is not the one in
// use: that of .key, and the one that opens the vault.
func (s *session) bringsBack(f *formation.Formation, key *crypto.Key) error {
	other := func(what string) error {
		return refuse("the key of %s stays: %s holds another one than %s", s.name(f), formation.WrappedKeyFile, what).
			hint("bring both together first: '%s unlock' takes the key in it, '%s share wrap' wraps the one that is here", s.again(), s.again()).
			hint("if you have the key elsewhere, '%s lock --force' takes it out all the same", s.again())
	}
	found, err := f.ReadKeyFile()
	if missing := (*formation.NoKeyError)(nil); err != nil && !errors.As(err, &missing) {
		return err
	}
	if err == nil && !found.Key.Equal(key) {
		return other(formation.KeyFile)
	}
	sealed, there, err := f.ReadSealed()
	if err != nil || !there {
		return err
	}
	if _, _, err := formation.OpenSealed(sealed, key); err != nil {
		return other("the one that opens " + formation.VaultFile)
	}
	return nil
}

// lockOne takes a formation's keys out of the clone. back is the key that unlock
// brings back, or nil.
//
// Its own .key goes last: killed before that, the command can be run again and
// finds the clone as it was, but for copies.
func (s *session) lockOne(ctx context.Context, f *formation.Formation, back *crypto.Key) error {
	lock, err := s.lock(ctx, f)
	if err != nil {
		return err
	}
	defer lock.Release()
	files, err := s.copies(f)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		s.say("%s is locked already", s.name(f))
		return nil
	}
	if back != nil { // a rotation may have come in between
		if err := s.bringsBack(f, back); err != nil {
			return err
		}
	}

	leads, _ := os.Readlink(f.Path(formation.KeyFile))
	for _, dir := range dirsOf(files) {
		files = append(safefile.Leftovers(dir), files...) // what a killed command left may be a key
	}
	for _, file := range files {
		if err := s.takeOut(file); err != nil {
			return err
		}
	}
	s.say("Locked %s: its key is gone from this clone (%s)", s.name(f), plural(len(files), "file"))
	if leads != "" {
		s.say("%s was a link: '%s' is there still", s.show(f.Path(formation.KeyFile)), leads)
	}
	if back != nil {
		s.hint("'%s unlock' brings it back", s.again())
	} else {
		s.warn("nothing here brings the key of %s back", s.name(f))
	}
	return nil
}

func dirsOf(files []string) []string {
	var dirs []string
	seen := map[string]bool{}
	for _, file := range files {
		if dir := filepath.Dir(file); !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// takeOut removes a file that holds a key.
func (s *session) takeOut(file string) error {
	batch := s.Files.Batch(safefile.Place{})
	defer batch.Discard()
	batch.Remove(file)
	return batch.Commit()
}

// copies are the files of this clone that hold a key of the formation, and the
// notes of a change that could not be finished, which may hold one. Kept keys that
// another formation has or had stay, with --all none does.
func (s *session) copies(f *formation.Formation) ([]string, error) {
	var others []*formation.Formation
	if layout, ok := s.where(); ok && layout.Top != "" && !s.all {
		others = s.siblings(layout)
	}
	found, err := f.ReadKeyFile()
	if err == nil {
		if names := s.sameKey(f, found.Key); len(names) > 0 {
			return nil, refuse("the key of %s is that of %s, too", s.name(f), list(names)).hint("'%s lock --all' takes them out together", s.anywhere())
		}
	}
	files, err := f.Copies(func(kept *formation.FoundKey) (bool, error) {
		mine, err := s.hasOrHad(f, kept.Key)
		if err != nil || mine {
			return mine, err
		}
		for _, one := range others {
			theirs, err := s.hasOrHad(one, kept.Key)
			if err != nil || theirs {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	left, err := filepath.Glob(s.journalPath(f) + ".overrun-*")
	if several, ok := s.placeOfSeveral(); ok && err == nil {
		var more []string
		more, err = filepath.Glob(several.Journal + ".overrun-*")
		left = append(left, more...)
	}
	return append(left, files...), err
}

// hasOrHad reports whether a key is that of a formation, or was by HEAD's history.
func (s *session) hasOrHad(f *formation.Formation, key *crypto.Key) (bool, error) {
	if own, err := f.ReadKey(); err == nil && own.Equal(key) {
		return true, nil
	}
	if sealed, there, err := f.ReadSealed(); err == nil && there {
		if _, _, err := formation.OpenSealed(sealed, key); err == nil {
			return true, nil
		}
	}
	if f.Finder == nil {
		return false, nil
	}
	retired, err := f.Finder.Retired(f.Dir, key)
	return retired != nil, err
}
