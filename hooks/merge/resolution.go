package merge

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// Resolution settles the merge of one vault, from what git and the note left of
// it to the point where git can go on: Begin finds the merge, Merge does it
// again, Settle decides a name, Conclude tells git. In between the caller writes
// Vault and the note.
type Resolution struct {
	State  *State
	Result *VaultResult // after Merge
	// Vault is the merge so far. OnDisk says that it is what the work tree has;
	// else it is sealed anew in any case.
	Vault  *formation.Vault
	OnDisk bool
	// Again are names that were settled and must be once more: the file in the
	// work tree is not what was left there, and the merge is done anew.
	Again []string
	// Taken is the side that does not open where the other one is taken whole;
	// "" for none.
	Taken string
	// Refused says that it would open, with a key that nobody vouched for.
	Refused bool

	merger   *Merger
	repo     gitutil.Writer
	conflict *gitutil.Conflict // the stages that are left; nil for none
	anew     bool              // this run does the merge itself, from the sides
}

// ErrNoMerge says that no merge has left a vault to be settled.
var ErrNoMerge = errors.New("no merge has left this vault to be settled")

// NotContestedError says that a merge does not contest a name.
type NotContestedError struct {
	Name string
	Open []string // the names that are left to be settled
}

func (e *NotContestedError) Error() string { return e.Name + " is not contested" }

// NoSideError says that a side that is to be taken whole has no vault.
type NoSideError struct{ Side string }

func (e *NoSideError) Error() string { return e.Side + " has no " + formation.VaultFile }

// At is what is known of a merge of a vault (its path from the top, with /): the
// note, where it is still one, and the stages of the index. Either may be nil.
func At(ctx context.Context, repo gitutil.Repository, vaultPath string) (*State, *gitutil.Conflict, error) {
	state, err := ReadState(repo.Layout(), vaultPath)
	if err != nil {
		return nil, nil, err
	}
	conflict, err := conflictAt(ctx, repo, vaultPath)
	if err != nil || state == nil {
		return nil, conflict, err
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

// Waits reports whether a merge of a vault waits to be settled, and names what is
// left of it, where that is known.
func Waits(ctx context.Context, repo gitutil.Repository, vaultPath string) (waits bool, open []string, err error) {
	state, conflict, err := At(ctx, repo, vaultPath)
	if err != nil {
		return false, nil, err
	}
	if state != nil {
		open = state.Open()
	}
	return conflict != nil || state != nil && (state.Failed || len(open) > 0), open, nil
}

// SidesAt reads the sides (base, ours, theirs) of a path that a merge has left in
// conflict: nil where it has not, and nil for a side without the file.
func SidesAt(ctx context.Context, repo gitutil.Repository, path string) (*[3][]byte, error) {
	conflict, err := conflictAt(ctx, repo, path)
	if err != nil || conflict == nil {
		return nil, err
	}
	sides, err := sidesOf(ctx, repo, conflict)
	return &sides, err
}

// conflictAt is the conflict of a path in the index; nil for none.
func conflictAt(ctx context.Context, repo gitutil.Repository, path string) (*gitutil.Conflict, error) {
	conflicts, err := repo.Unmerged(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(conflicts, func(c gitutil.Conflict) bool { return c.Path == path })
	if i < 0 {
		return nil, nil
	}
	return &conflicts[i], nil
}

// sidesOf reads the sides of a conflict.
func sidesOf(ctx context.Context, repo gitutil.Repository, conflict *gitutil.Conflict) (sides [3][]byte, err error) {
	for i, stage := range conflict.Stages {
		if stage.ID == "" {
			continue
		}
		if err := repo.Blobs(ctx, []string{stage.ID}, func(_ string, data []byte) error {
			sides[i] = append([]byte{}, data...)
			return nil
		}); err != nil {
			return sides, err
		}
	}
	return sides, nil
}

// Opens reports whether a key opens a side of a vault's merge that waits.
func Opens(ctx context.Context, repo gitutil.Repository, vaultPath string, key *crypto.Key) bool {
	state, conflict, err := At(ctx, repo, vaultPath)
	if err != nil || state == nil && conflict == nil {
		return false
	}
	var sides [3][]byte
	if state != nil {
		sides = [3][]byte{state.BaseFile, state.OursFile, state.TheirsFile}
	} else if sides, err = sidesOf(ctx, repo, conflict); err != nil {
		return false
	}
	return slices.ContainsFunc(sides[1:], func(side []byte) bool {
		_, _, err := formation.OpenSealed(side, key)
		return err == nil
	})
}

// Begin finds the merge of a vault: by its note, by the stages of the index, or
// by what the commits hold where one side moved the folder. Errors: ErrNoMerge,
// and what git says.
func (m *Merger) Begin(ctx context.Context, vaultPath string) (*Resolution, error) {
	repo, err := m.Repo()
	if err != nil {
		return nil, err
	}
	r := &Resolution{merger: m, repo: repo}
	if r.State, r.conflict, err = At(ctx, repo, vaultPath); err != nil {
		return nil, err
	}
	if m.Stopped, err = repo.Operation(ctx); err != nil {
		return nil, err
	}
	head, _, err := repo.Head(ctx)
	if err != nil {
		return nil, err
	}
	if r.State != nil {
		return r, r.again(ctx, vaultPath, head)
	}

	if r.conflict == nil {
		if r.State, err = m.moved(ctx, repo, vaultPath, head); err != nil || r.State != nil {
			return r, err
		}
		if r.State, err = m.marked(ctx, repo, vaultPath, head); err == nil && r.State == nil {
			err = ErrNoMerge
		}
		return r, err
	}
	sides, err := sidesOf(ctx, repo, r.conflict)
	if err != nil {
		return nil, err
	}
	r.State = NewState(m.Layout, vaultPath)
	r.State.Failed, r.State.Head = true, head
	r.State.BaseFile, r.State.OursFile, r.State.TheirsFile = sides[0], sides[1], sides[2]
	return r, nil
}

// again begins a merge once more whose vault in the work tree is not what it was
// left as: by the sides of the markers that lie there, where those are others.
func (r *Resolution) again(ctx context.Context, vaultPath, head string) error {
	if r.State.Failed || r.conflict != nil {
		return nil
	}
	content, err := safefile.Read(filepath.Join(r.merger.Layout.Top, filepath.FromSlash(vaultPath)), safefile.MaxSize)
	if err != nil || r.State.WasLeftAs(content) {
		return nil // whoever opens the vault says what is wrong with it
	}

	r.anew = true
	marked, err := r.merger.marked(ctx, r.repo, vaultPath, head)
	if err != nil || marked == nil {
		return err
	}
	if !bytes.Equal(marked.OursFile, r.State.OursFile) || !bytes.Equal(marked.TheirsFile, r.State.TheirsFile) {
		r.State = marked
	}
	return nil
}

// moved begins the merge of a vault that one side moved here, and that the other
// changed where it was; nil where nothing like that is going on.
func (m *Merger) moved(ctx context.Context, repo gitutil.Repository, vaultPath, head string) (*State, error) {
	found, operation, err := MovedVaults(ctx, repo, m.Keys)
	if err != nil {
		return nil, err
	}
	for _, v := range found {
		if v.To == vaultPath {
			return v.State(m.Layout, head, operation.Theirs), nil
		}
	}
	return nil, nil
}

// Settled reports whether nothing is left to be done: the last name was settled
// before.
func (r *Resolution) Settled() bool {
	return r.conflict == nil && !r.State.Failed && !r.anew && len(r.State.Open()) == 0
}

// Merge merges the sides. Where one does not open, and whole is "ours" or
// "theirs", that side is taken whole. Errors: *SideError, *NoSideError.
func (r *Resolution) Merge(ctx context.Context, whole string) error {
	s := r.State
	result, err := r.merger.MergeSealed(ctx, s.Path, s.BaseFile, s.OursFile, s.TheirsFile)
	if side := (*SideError)(nil); whole != "" && errors.As(err, &side) {
		if result, err = r.takeWhole(ctx, whole); err == nil {
			r.Taken = side.Side
		}
	}
	if unvouched := (*KeyError)(nil); whole != "" && errors.As(err, &unvouched) {
		taken, takeErr := r.takeWhole(ctx, whole)
		switch none := (*NoSideError)(nil); {
		case takeErr == nil:
			result, err, r.Taken, r.Refused = taken, nil, OtherSide(whole), true
		case errors.As(takeErr, &none):
			err = takeErr
		} // else it is no better than both together, and what is, the first error says
	}
	if err != nil {
		return err
	}
	r.Result = result

	if s.Failed || r.Taken != "" {
		r.anew = true
		s.Failed, s.Left, s.Earlier, s.Contested = false, nil, nil, nil // ours, of which nothing is merged yet
		s.contest(result)
	}
	return nil
}

// OtherSide is the one of "ours" and "theirs" that a side is not.
func OtherSide(side string) string {
	if side == "ours" {
		return "theirs"
	}
	return "ours"
}

// takeWhole is a merge that one side decides.
func (r *Resolution) takeWhole(ctx context.Context, side string) (*VaultResult, error) {
	sealed := r.State.OursFile
	if side == "theirs" {
		sealed = r.State.TheirsFile
	}
	if sealed == nil {
		return nil, &NoSideError{side}
	}
	result, err := r.merger.MergeSealed(ctx, r.State.Path, sealed, sealed, sealed)
	if bad := (*SideError)(nil); errors.As(err, &bad) {
		bad.Side = side
	}
	return result, err
}

// Open opens the vault of the work tree to settle names in. One that is not what
// the merge left is begun anew from the merge. Errors: *formation.VaultError,
// *safefile.Error.
func (r *Resolution) Open(f *formation.Formation) error {
	content, ok, err := f.ReadSealed()
	if err != nil {
		return err
	}
	r.Vault, r.OnDisk = r.Result.Vault, false
	if ok && r.State.WasLeftAs(content) {
		vault, _, err := formation.OpenSealed(content, r.Result.Key)
		switch {
		case err == nil && r.Taken == "": // else nobody has these bytes
			r.Vault, r.OnDisk = vault, true
			return nil
		case err != nil && crypto.ReasonOf(err) != crypto.WrongKey:
			return &formation.VaultError{Path: f.Path(formation.VaultFile), Err: err}
		}
	}

	for i, c := range r.State.Contested {
		if c.Settled {
			r.State.Contested[i].Settled = false
			r.Again = append(r.Again, c.Name)
		}
	}
	return nil
}

// Contested finds the contested name that a person's spelling means. Errors:
// *NotContestedError.
func (r *Resolution) Contested(spelled string) (string, error) {
	for _, name := range []string{spelled, formation.Normalize(spelled)} {
		if slices.ContainsFunc(r.State.Contested, func(c Contested) bool { return c.Name == name }) {
			return name, nil
		}
	}
	return "", &NotContestedError{formation.Normalize(spelled), r.State.Open()}
}

// Take settles a name by what a side has for it; that may be nothing.
func (r *Resolution) Take(name string, theirs bool) {
	r.Vault.Take(name, r.Result.Side(theirs))
	r.State.Settle(name)
}

// Set settles a name by another value.
func (r *Resolution) Set(name, value string) {
	r.Vault.Set(name, value)
	r.State.Settle(name)
}

// TemplateAgain is the template merged by name, where git merged it line by line: it
// is full of conflict markers, or one side's whole. ok is false where it is in no
// conflict.
func (m *Merger) TemplateAgain(ctx context.Context, vaultPath string) (merged []byte, ok bool, err error) {
	repo, err := m.Repo()
	if err != nil {
		return nil, false, err
	}
	sides, err := SidesAt(ctx, repo, path.Join(path.Dir(vaultPath), formation.TemplateFile))
	if err != nil {
		return nil, false, err
	}
	if sides == nil {
		content, err := os.ReadFile(filepath.Join(m.Layout.Top, filepath.FromSlash(path.Join(path.Dir(vaultPath), formation.TemplateFile))))
		base, ours, theirs, marked := gitutil.SplitMarkers(content)
		if err != nil || !marked {
			return nil, false, nil
		}
		sides = &[3][]byte{base, ours, theirs}
	}
	return formation.MergeTemplates(sides[0], sides[1], sides[2]), true, nil
}

// Conclude stages vault and template, once no name is left, and takes away what
// git left of a moved vault where it was. It returns the paths of what is still
// in conflict there, for a person to look at.
func (r *Resolution) Conclude(ctx context.Context, f *formation.Formation) (left []string, err error) {
	if err := r.merger.Stage(ctx, f, r.State.Path, formation.VaultFile, formation.TemplateFile); err != nil {
		return nil, err
	}
	if r.State.From == "" {
		return nil, nil
	}

	old := path.Dir(r.State.From)
	for _, name := range []string{formation.VaultFile, formation.TemplateFile} {
		if err := r.repo.StageFile(ctx, path.Join(old, name), nil, gitutil.ModeFile); err != nil {
			return nil, err
		}
		os.Remove(filepath.Join(r.merger.Layout.Top, filepath.FromSlash(path.Join(old, name)))) // what it held is in the merge
	}
	r.repo.Refresh(ctx)

	conflicts, err := r.repo.Unmerged(ctx)
	for _, c := range conflicts {
		if path.Dir(c.Path) == old {
			left = append(left, c.Path)
		}
	}
	return left, err
}

// Stage stages files of a formation as they are on disk; a template that git was
// told to ignore stays out.
func (m *Merger) Stage(ctx context.Context, f *formation.Formation, vaultPath string, names ...string) error {
	repo, err := m.Repo()
	if err != nil {
		return err
	}
	for _, name := range names {
		tracked, err := repo.Tracked(ctx, []string{f.Path(name)})
		if err != nil {
			return err
		}
		ignored, err := repo.Ignored(ctx, []string{f.Path(name)})
		if err != nil {
			return err
		}
		if !tracked[0] && ignored[0] && name == formation.TemplateFile {
			continue
		}

		content, err := os.ReadFile(f.Path(name))
		if errors.Is(err, os.ErrNotExist) {
			if !tracked[0] {
				continue
			}
			content = nil
		} else if err != nil {
			return &safefile.Error{Op: "read", Path: f.Path(name), Err: err}
		}
		if err := repo.StageFile(ctx, path.Join(path.Dir(vaultPath), name), content, gitutil.ModeFile); err != nil {
			return err
		}
	}
	repo.Refresh(ctx)
	return nil
}
