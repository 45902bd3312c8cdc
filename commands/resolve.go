package commands

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
)

type resolveOptions struct {
	name         string // "" merges again, and says what is left
	ours, theirs bool
	stdin        bool
}

func (r *runner) resolveCommand() *cli.Command {
	return &cli.Command{
		Name:      "resolve",
		Usage:     "settle a secret that both sides of a merge changed",
		UsageText: "[NAME] [--ours|--theirs|--stdin]",
		Description: `   git muxi-secrets resolve OPENAI_API_KEY --theirs

Ours and theirs are what git means by them. Once no name is left, secrets.enc and
the template are staged, and 'git commit' (or 'git rebase --continue') goes on.
Without NAME it merges again, by name, a vault that could not be merged: for want
of a key, or because git did it line by line; it asks for a passphrase where that
opens a side. --ours or --theirs without NAME settles every name that is left
this way; where a side is damaged, the other one is taken whole.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "ours", Usage: "keep what our side has"},
			&cli.BoolFlag{Name: "theirs", Usage: "take what their side has; it may mean that the secret goes"},
			&cli.BoolFlag{Name: "stdin", Usage: "read another value from standard input; one newline at its end is taken off"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			o := resolveOptions{ours: c.Bool("ours"), theirs: c.Bool("theirs"), stdin: c.Bool("stdin")}
			ways := 0
			for _, way := range []bool{o.ours, o.theirs, o.stdin} {
				if way {
					ways++
				}
			}
			if c.Args().Present() {
				name, err := oneName(c)
				if err != nil {
					return err
				}
				o.name = name
			}
			if ways > 1 || o.name != "" && ways == 0 || o.name == "" && o.stdin {
				return usage("'resolve' takes a NAME, and one of --ours, --theirs and --stdin").hint("see '%s -h'", c.Command.HelpName)
			}
			return s.resolve(ctx, o)
		}),
	}
}

func (s *session) resolve(ctx context.Context, o resolveOptions) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	repo, err := s.needRepository()
	if err != nil {
		return err
	}
	layout := repo.Layout()
	if layout.Top == "" {
		return refuse("there is no work tree here, and so no merge")
	}
	vaultPath := s.vaultPath(layout, f)
	value := ""
	if o.stdin {
		if value, err = s.addValue(ctx, addOptions{stdin: true}, o.name); err != nil {
			return err
		}
		if err := checkValue(value); err != nil {
			return err
		}
	}
	lock, err := s.lock(ctx, f)
	if err != nil {
		return err
	}
	defer lock.Release()
	state, conflict, err := s.mergeAt(ctx, repo, vaultPath)
	if err != nil {
		return err
	}
	m, err := s.merger(ctx)
	if err != nil {
		return err
	}
	asked := s.askForSides(ctx, m.Keys)
	if state == nil && conflict == nil {
		if state, err = s.movedHere(ctx, repo, m.Keys, vaultPath); err != nil {
			return err
		}
	}
	if state == nil && conflict == nil {
		if o.name == "" {
			if done, err := s.settleTemplate(ctx, repo, f, vaultPath); done || err != nil {
				return err
			}
		}
		return refuse("there is no conflict in %s", s.show(f.Path(formation.VaultFile))).
			hint("names are settled while a merge, rebase, cherry-pick or stash has left %s open", formation.VaultFile).
			hint("a conflict that 'git add' took away comes back with 'git checkout -m -- %s'", quote(s.show(f.Path(formation.VaultFile))))
	}
	if state == nil {
		state = hooks.NewMergeState(layout, vaultPath)
		state.Failed = true
		if err := s.stagesOf(ctx, repo, conflict, state); err != nil {
			return err
		}
		if head, ok, err := repo.Head(ctx); err == nil && ok {
			state.Head = head
		}
	}
	whole := o.name == "" && (o.ours || o.theirs)
	if whole && conflict == nil && !state.Failed && len(state.Open()) == 0 {
		s.say("nothing is left to settle in %s; nothing changed", s.name(f))
		return nil
	}
	if m.Stopped, err = repo.Operation(ctx); err != nil {
		return err
	}
	result, err := m.MergeSealed(ctx, vaultPath, state.BaseFile, state.OursFile, state.TheirsFile)
	taken := false
	if side := (*hooks.SideError)(nil); whole && errors.As(err, &side) {
		if result, err = s.takeWhole(ctx, m, state, vaultPath, o.theirs); err == nil {
			s.warn("%s: %s does not open, and the other side is taken whole", showPath(vaultPath), whoseSide(side.Side))
			state.Failed, taken = true, true
		}
	}
	if err != nil {
		e := s.explain(s.explainSide(err))
		if asked.err != nil {
			for _, line := range s.explain(asked.err).Lines {
				e.line("%s", line)
			}
		}
		return e
	}
	again := state.Failed
	if again {
		state.Failed, state.Left, state.Earlier = false, nil, nil // ours, of which nothing is merged yet
		state.Contested = nil
		for _, c := range result.Contested {
			state.Contested = append(state.Contested, hooks.Contested{Name: c.Name, Ours: c.Ours, Theirs: c.Theirs})
		}
	}
	name := ""
	if o.name != "" {
		if name, err = s.contestedName(state, o.name); err != nil {
			return err
		}
	}
	if name != "" && !again && len(state.Open()) == 0 && conflict == nil {
		s.say("%s is settled already; nothing changed", name)
		return nil
	}

	w := &writing{s: s, ctx: ctx, batch: s.Files.BatchIn(f.Dir), merge: state}
	defer w.batch.Discard()
	if w.Opened, err = s.openMerged(f, state, result); err != nil {
		return err
	}
	if taken {
		w.Vault, w.Sealed = result.Vault, false // sealed again in any case: nobody has these bytes
	}
	if err := s.keepAsked(w, asked, result); err != nil {
		return err
	}
	if err := s.mergeTemplateAgain(ctx, repo, w, path.Join(path.Dir(vaultPath), formation.TemplateFile)); err != nil {
		return err
	}
	switch {
	case whole:
		for _, one := range state.Open() {
			w.Vault.Take(one, result.Side(o.theirs))
			state.Settle(one)
		}
	case o.ours:
		w.Vault.Take(name, result.Side(false))
	case o.theirs:
		w.Vault.Take(name, result.Side(true))
	case o.stdin:
		w.Vault.Set(name, value)
	}
	if name != "" {
		state.Settle(name)
	}
	if _, err := w.save(); err != nil {
		return err
	}
	state.ForgetLost()
	s.noteSeen(ctx, m, vaultPath, result, w.Vault)
	if name != "" {
		s.say("Settled %s in %s", name, s.name(f))
	}
	s.hintElsewhere(layout, f, state, result)
	if left := state.Open(); len(left) > 0 {
		if name == "" {
			s.contested(vaultPath, state)
			return exitCode(exitNo)
		}
		s.hint("still to settle: %s", list(left))
		return nil
	}
	if err := s.stageMerged(ctx, repo, f, vaultPath); err != nil {
		return err
	}
	if err := s.leaveOldPlace(ctx, repo, state); err != nil {
		return err
	}
	s.say("Nothing is left to settle in %s: staged %s and %s", s.name(f), formation.VaultFile, formation.TemplateFile)
	return nil
}

// movedHere begins the merge of a vault that one side moved here, and that the
// other changed where it was; nil where nothing like that is going on.
func (s *session) movedHere(ctx context.Context, repo gitutil.Repository, keys *hooks.Keys, vaultPath string) (*hooks.MergeState, error) {
	moved, operation, err := hooks.MovedVaults(ctx, repo, keys)
	if err != nil {
		return nil, err
	}
	for _, v := range moved {
		if v.To != vaultPath {
			continue
		}
		head, _, err := repo.Head(ctx)
		if err != nil {
			return nil, err
		}
		s.say("One side moved %s to %s, and the other changed it: merging the two", v.From, v.To)
		return v.State(repo.Layout(), head, operation.Theirs), nil
	}
	return nil, nil
}

// leaveOldPlace takes away what git left of a moved vault where it was, and says
// what is left there to be done by hand.
func (s *session) leaveOldPlace(ctx context.Context, repo gitutil.Repository, state *hooks.MergeState) error {
	if state.From == "" {
		return nil
	}
	dir := path.Dir(state.From)
	for _, name := range []string{formation.VaultFile, formation.TemplateFile} {
		if err := repo.StageFile(ctx, path.Join(dir, name), nil, gitutil.ModeFile); err != nil {
			return err
		}
		os.Remove(filepath.Join(repo.Layout().Top, filepath.FromSlash(path.Join(dir, name)))) // what it held is in the merge
	}
	repo.Refresh(ctx)
	conflicts, err := repo.Unmerged(ctx)
	if err != nil {
		return err
	}
	var left []string
	for _, c := range conflicts {
		if path.Dir(c.Path) == dir {
			left = append(left, c.Path)
		}
	}
	if len(left) > 0 {
		s.warn("still in conflict at the old place: %s; take over by hand what counts, then 'git rm' it there", list(left))
	}
	return nil
}

// takeWhole is a merge that one side decides.
func (s *session) takeWhole(ctx context.Context, m *hooks.Merger, state *hooks.MergeState, vaultPath string, theirs bool) (*hooks.VaultResult, error) {
	side, name := state.OursFile, "ours"
	if theirs {
		side, name = state.TheirsFile, "theirs"
	}
	if side == nil {
		return nil, refuse("%s has no %s to take", whoseSide(name), formation.VaultFile).
			hint("'git rm %s' takes it away for good", quote(showPath(vaultPath)))
	}
	result, err := m.MergeSealed(ctx, vaultPath, side, side, side)
	if bad := (*hooks.SideError)(nil); errors.As(err, &bad) {
		bad.Side = name
	}
	return result, err
}

// asking is what came of asking a person to open a .key.age.
type asking struct {
	keys []*crypto.Key
	err  error // the last one
}

// askForSides has keys ask the person for what opens a .key.age: unlike a
// driver, 'resolve' is run by one.
func (s *session) askForSides(ctx context.Context, keys *hooks.Keys) *asking {
	asked := &asking{}
	var have *identities
	keys.Unwrap = func(wrapped []byte) ([]byte, error) {
		if have == nil {
			found, err := s.identities(ctx, nil)
			if err != nil {
				asked.err = err
				return nil, err
			}
			have = found
		}
		content, _, err := s.unwrap(ctx, wrapped, have)
		if err != nil {
			asked.err = err
			return nil, err
		}
		if key, err := crypto.ParseKey(content); err == nil {
			asked.keys = append(asked.keys, key)
		}
		return content, nil
	}
	return asked
}

// keepAsked keeps keys that a person was asked for, where a side needed them:
// nobody is to be asked again for the next name.
func (s *session) keepAsked(w *writing, asked *asking, result *hooks.VaultResult) error {
	for _, key := range asked.keys {
		for _, theirs := range []bool{false, true} {
			used := result.KeyOf(theirs)
			if used == nil || used.Fingerprint() != key.Fingerprint() {
				continue
			}
			side := "ours"
			if theirs {
				side = "theirs"
			}
			w.done = append(w.done, "Opened "+whoseSide(side)+" with the "+keyNow(key)+" of its "+formation.WrappedKeyFile)
			if err := s.keyring().Add(w.batch, key); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// hintElsewhere says how .key follows a vault that is sealed with another key.
func (s *session) hintElsewhere(layout gitutil.Layout, f *formation.Formation, state *hooks.MergeState, result *hooks.VaultResult) {
	if !result.Elsewhere {
		return
	}
	if old := path.Dir(state.From); state.From != "" {
		at := filepath.Join(layout.Top, filepath.FromSlash(old), formation.KeyFile)
		here, _ := fileExists(f.Path(formation.KeyFile))
		if there, err := fileExists(at); err == nil && there && !here {
			s.hint("its key is still at the old place: 'mv %s %s'", quote(s.show(at)), quote(s.show(f.Path(formation.KeyFile))))
			return
		}
	}
	how := "unlock"
	if there, err := fileExists(f.Path(formation.WrappedKeyFile)); err != nil || !there {
		how = "key import FILE"
	}
	s.hint("%s is sealed with the %s, which is not its .key here: '%s %s' gets it", s.show(f.Path(formation.VaultFile)), keyNow(result.Key), s.again(), how)
}

// mergeAt is what is known of a merge of a vault: the note, where it is still
// one, and the stages of the index.
func (s *session) mergeAt(ctx context.Context, repo gitutil.Repository, vaultPath string) (*hooks.MergeState, *gitutil.Conflict, error) {
	state, err := hooks.ReadMergeState(repo.Layout(), vaultPath)
	if err != nil {
		return nil, nil, err
	}
	conflicts, err := repo.Unmerged(ctx)
	if err != nil {
		return nil, nil, err
	}
	conflict := conflictAt(conflicts, vaultPath)
	if state == nil {
		return nil, conflict, nil
	}
	alive, err := state.Alive(ctx, repo)
	if err != nil {
		return nil, nil, err
	}
	if alive && conflict != nil {
		alive = state.Sides(conflict)
	}
	if !alive {
		state.Forget()
		state = nil
	}
	return state, conflict, nil
}
