package commands

import (
	"context"
	"errors"
	"path"
	"path/filepath"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
	"github.com/muxi-ai/git-muxi-secrets/internal/trace"
	"github.com/urfave/cli/v2"
)

// What a merge driver says by its exit code (gitattributes(5)). To git both are a
// conflict: see hooks.Drivers.
const (
	driverConflict = 1
	driverFailed   = 129
)

// mergeCommands are the drivers that git calls, one for each kind of file.
func (r *runner) mergeCommands() []*cli.Command {
	driver := func(name, usage string, run func(*session, context.Context, merge.Sides) error) *cli.Command {
		return &cli.Command{
			Name:        name,
			Usage:       usage,
			UsageText:   "BASE OURS THEIRS MARKER-SIZE PATH",
			Description: "   git muxi-secrets " + name + " %O %A %B %L -- %P",
			Hidden:      true,
			OnUsageError: func(c *cli.Context, err error, sub bool) error {
				e := wrongUse(c, err)
				e.Code = driverFailed // to git another one is a conflict
				return e
			},
			Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
				if c.NArg() != 5 {
					s.explain(s.usageOfDriver(name)).print(s.Err)
					return exitCode(driverFailed)
				}
				a := c.Args()
				if layout, ok := s.where(); ok {
					s.current = &formation.Formation{Dir: filepath.Join(layout.Top, filepath.FromSlash(path.Dir(a.Get(4))))}
				}
				err := run(s, ctx, merge.Sides{Base: s.at(a.Get(0)), Ours: s.at(a.Get(1)), Theirs: s.at(a.Get(2)), MarkerSize: a.Get(3), Path: a.Get(4)})
				if _, said := err.(exitCode); err == nil || said {
					return err
				}
				s.explain(err).print(s.Err)
				return exitCode(driverFailed)
			}),
		}
	}
	return []*cli.Command{
		driver("merge-vault", "merge driver of git for secrets.enc", (*session).mergeVault),
		driver("merge-template", "merge driver of git for the template", (*session).mergeTemplate),
		driver("merge-people", "merge driver of git for .age-recipients and .key.age", (*session).mergePeople),
	}
}

func (s *session) usageOfDriver(name string) error {
	return usage("git calls '%s' with five arguments: %%O %%A %%B %%L -- %%P", name).
		hint("'%s sync' writes the drivers into git's configuration as they should be", s.again())
}

// merger is the work of the merge drivers in this repository.
func (s *session) merger() (*merge.Merger, error) {
	repo, err := s.needRepository() // which starts nothing yet
	if err != nil {
		return nil, err
	}
	var environ []string
	if s.Environ != nil {
		environ = s.Environ()
	}
	return &merge.Merger{Layout: repo.Layout(), Repo: s.needGit, Keys: s.keys(), Files: s.Files, Environ: environ}, nil
}

func (s *session) mergeVault(ctx context.Context, sides merge.Sides) error {
	m, err := s.merger()
	if err != nil {
		return err
	}
	m.Simulated = !m.Layout.IndexLocked(s.Getenv)
	result, state, err := m.Vault(ctx, sides)
	if unvouched, ok := errors.AsType[*merge.KeyError](err); ok {
		s.explainMergeKey(ctx, unvouched, m.Simulated).print(s.Err)
		return exitCode(driverConflict)
	}
	if err != nil {
		return s.explainSide(ctx, err, m.Simulated)
	}
	trace.Say(ctx, "merged '%s': %d secrets, %d contested, sealed with the %v", sides.Path, len(result.Vault.Names()), len(result.Contested), result.Key)
	m.KeepOwn(sides.Path, result)
	s.noteSeen(ctx, m, sides.Path, result, result.Vault)
	s.sayRetired(ctx, m, sides.Path, result, result.Vault)
	if result.Elsewhere && result.Same == nil {
		s.hint("%s is sealed with a key that is not its .key here: '%s unlock' gets it", showPath(sides.Path), s.again())
	}
	if state == nil {
		if len(result.Contested) > 0 { // of an inner merge: the outer one says it again
			return exitCode(driverConflict)
		}
		return nil
	}
	if m.Simulated {
		conflictIn(sides.Path, state).print(s.Err)
	} else {
		s.contested(sides.Path, state)
	}
	return exitCode(driverConflict)
}

// noteSeen keeps, and says, what people who were removed can read of a merged
// vault. That it cannot be kept is no reason for a merge to fail.
func (s *session) noteSeen(ctx context.Context, m *merge.Merger, vaultPath string, result *merge.VaultResult, merged *formation.Vault) {
	found, err := m.NoteSeen(ctx, vaultPath, result, merged)
	if err != nil {
		s.warn("cannot keep what removed people have seen: %s", s.explain(err).Lines[0])
	}
	said := false
	for i := 0; i < len(found); {
		var names []string
		who := found[i].Person
		for ; i < len(found) && found[i].Person == who; i++ {
			names = append(names, found[i].Secret)
		}
		s.warn("%s, who was removed, can read these of %s, which the other side sealed with the old key: %s", who, showPath(vaultPath), list(names))
		said = true
	}
	if said {
		s.hint("when the merge is done, have them replaced where they come from, then '%s add NAME'", s.onPath(vaultPath))
	}
}

// sayRetired names what a merge takes from a side that was sealed with a retired key.
func (s *session) sayRetired(ctx context.Context, m *merge.Merger, vaultPath string, result *merge.VaultResult, merged *formation.Vault) {
	if names, key := m.CameRetired(ctx, vaultPath, result, merged); len(names) > 0 {
		s.warn("these of %s came in sealed with the key %s, which was rotated since, and whoever has that can read them: %s", showPath(vaultPath), fingerprintOf(key), list(names))
	}
}

// foldSeen adds to the people of a formation what merges found that those who
// were removed have seen, and reports whether there was something.
func (s *session) foldSeen(f *formation.Formation, people *formation.People) bool {
	layout, ok := s.where()
	if !ok || layout.Top == "" {
		return false
	}
	seen := merge.Seen(layout, s.vaultPath(layout, f))
	for _, x := range seen {
		people.Expose(x.Person, []string{x.Secret})
	}
	return len(seen) > 0
}

// contested says which names wait to be settled, and how that is done.
func (s *session) contested(path string, state *merge.State) {
	conflictIn(path, state).hint("all else is merged; '%[1]s resolve' asks for each on a terminal, '%[1]s resolve NAME --ours' (or '--theirs', or '--stdin' for another value) settles one", s.again()).
		print(s.Err)
}

func conflictIn(path string, state *merge.State) *Error {
	e := refuse("conflict in %s: both sides changed %s", showPath(path), list(state.Open()))
	for _, c := range state.Contested {
		if !c.Settled {
			e.line("%s: %s by ours, %s by theirs", c.Name, c.Ours, c.Theirs)
		}
	}
	return e
}

// goBack says how a person gets out of what git has under way. A squash and a stash
// leave no note of themselves, nor does a merge that has not stopped yet: what takes
// each of them back is the same.
func (s *session) goBack(ctx context.Context) string {
	if repo, err := s.repository(); err == nil && repo != nil {
		if operation, err := repo.Operation(ctx); err == nil && operation.Kind != "" {
			return "'" + s.gitOn("git "+operation.Kind+" --abort") + "'"
		}
	}
	return "'" + s.gitOn("git reset --merge") + "'"
}

// explainSide says why a side of a merge does not open. A simulated merge leaves
// nothing to settle, and nothing to go back from.
func (s *session) explainSide(ctx context.Context, err error, simulated bool) error {
	if unvouched, ok := errors.AsType[*merge.KeyError](err); ok {
		return s.explainMergeKey(ctx, unvouched, simulated)
	}
	var side *merge.SideError
	if !errors.As(err, &side) {
		return err
	}
	if tracked := (*formation.TrackedKeyError)(nil); errors.As(err, &tracked) {
		return s.explainTracked(tracked)
	}
	if arrived, ok := errors.AsType[*formation.ArrivedKeyError](err); ok {
		return s.explainArrived(arrived)
	}
	e := &Error{Code: exitNoKey, Err: err}
	if missing := (*formation.NoKeyError)(nil); errors.As(side, &missing) {
		e.line("Could not find %s file in %s", formation.KeyFile, s.folderFromTop(path.Dir(side.Path)))
		e.line("so that %s cannot be merged", showPath(side.Path))
	} else {
		e.line("cannot merge %s: %s does not open: %v", showPath(side.Path), whoseSide(side.Side), sideCause(side))
	}
	switch {
	case side.Damaged() && simulated:
		e.Code = exitFailed
		return e.hint("that version is damaged: a merge that is begun stops there, and says how to take one side whole")
	case simulated:
		return e.hint("its key is not here: get it with '%[1]s unlock' or '%[1]s key import FILE'", s.again())
	case side.Damaged():
		e.Code = exitFailed
		switch side.Side {
		case "ours":
			e.hint("that version is damaged: '%s resolve --theirs' takes theirs whole", s.again())
		case "theirs":
			e.hint("that version is damaged: '%s resolve --ours' keeps ours whole", s.again())
		default:
			e.hint("that version is damaged: '%[1]s resolve --ours' or '%[1]s resolve --theirs' takes one side whole", s.again())
		}
		return e.hint("or go back: %s", s.goBack(ctx))
	}
	return e.hint("its key is not here: get it with '%s unlock' or '%s key import FILE', then '%s resolve' merges; it asks for a passphrase where one is needed", s.again(), s.again(), s.again()).
		hint("where nobody can open it any more, '%s resolve --%s' takes the other side whole; or go back: %s", s.again(), merge.OtherSide(side.Side), s.goBack(ctx))
}

// folderFromTop is showFolder for a folder by its path from the top, with /.
func (s *session) folderFromTop(dir string) string {
	layout, _ := s.where()
	return s.showFolder(filepath.Join(layout.Top, filepath.FromSlash(dir)))
}

// whoseSide names a side in a message.
func whoseSide(side string) string {
	switch side {
	case "ours":
		return "our side"
	case "theirs":
		return "their side"
	}
	return "what both sides came from"
}

func sideCause(side *merge.SideError) error {
	var vault *formation.VaultError
	if errors.As(side, &vault) {
		return vault.Err
	}
	return side.Err
}

func (s *session) mergeTemplate(ctx context.Context, sides merge.Sides) error {
	m, err := s.merger()
	if err != nil {
		return err
	}
	return m.Template(sides)
}

func (s *session) mergePeople(ctx context.Context, sides merge.Sides) error {
	m, err := s.merger()
	if err != nil {
		return err
	}
	if path.Base(sides.Path) != formation.WrappedKeyFile {
		err := m.People(ctx, sides)
		s.sayNewcomers(m, sides.Path)
		return err
	}
	ok, err := m.WrappedKey(ctx, sides)
	if len(m.Exposed) > 0 {
		s.warn("%s was removed on one side, and has the key of the other side, which the merge keeps", sanitize(list(m.Exposed)))
		s.hint("when the merge is done: '%s rotate' makes a new one", s.onPath(sides.Path))
	}
	if err != nil || ok {
		return err
	}
	refuse("conflict in %s: both sides wrapped the key", showPath(sides.Path)).
		hint("when the rest is merged: '%s share wrap' wraps it for everybody, and settles this", s.onPath(sides.Path)).
		print(s.Err)
	return exitCode(driverConflict)
}
