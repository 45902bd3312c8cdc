package commands

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
)

// noUnsettledMerge refuses a new key for a vault that a merge has left open: the
// sides would not open with it any more, and what was settled would be lost.
func (s *session) noUnsettledMerge(ctx context.Context, f *formation.Formation) error {
	repo, err := s.repository()
	if err != nil || repo == nil || repo.Layout().Top == "" {
		return err
	}
	state, conflict, err := s.mergeAt(ctx, repo, s.vaultPath(repo.Layout(), f))
	if err != nil {
		return err
	}
	if conflict == nil && (state == nil || !state.Failed && len(state.Open()) == 0) {
		return nil
	}
	e := refuse("a merge of %s is not settled; nothing was changed", s.show(f.Path(formation.VaultFile)))
	if state != nil && len(state.Open()) > 0 {
		e.line("still to settle: %s", list(state.Open()))
	}
	return e.hint("'%s resolve' says what is left; conclude the merge first, or go back with 'git merge --abort'", s.again())
}

// stagesOf reads the sides of a vault from the index.
func (s *session) stagesOf(ctx context.Context, repo gitutil.Repository, conflict *gitutil.Conflict, state *hooks.MergeState) error {
	sides, err := sidesOf(ctx, repo, conflict)
	state.BaseFile, state.OursFile, state.TheirsFile = sides[0], sides[1], sides[2]
	return err
}

func conflictAt(conflicts []gitutil.Conflict, path string) *gitutil.Conflict {
	i := slices.IndexFunc(conflicts, func(c gitutil.Conflict) bool { return c.Path == path })
	if i < 0 {
		return nil
	}
	return &conflicts[i]
}

// sidesOf reads base, ours and theirs of a conflict; nil for one that has no file.
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

// opensSide reports whether a key opens a side of a merge that waits for it: the
// vault of the work tree is still the other side.
func (s *session) opensSide(ctx context.Context, f *formation.Formation, key *crypto.Key) bool {
	repo, err := s.repository()
	if err != nil || repo == nil || repo.Layout().Top == "" {
		return false
	}
	state, conflict, err := s.mergeAt(ctx, repo, s.vaultPath(repo.Layout(), f))
	if err != nil {
		return false
	}
	if state == nil && conflict != nil {
		state = &hooks.MergeState{}
		if err := s.stagesOf(ctx, repo, conflict, state); err != nil {
			return false
		}
	}
	if state == nil {
		return false
	}
	for _, side := range [][]byte{state.OursFile, state.TheirsFile} {
		if _, _, err := formation.OpenSealed(side, key); err == nil {
			return true
		}
	}
	return false
}

// mergeTemplateAgain merges a template by name that git merged line by line: it
// is full of conflict markers, or one side's whole.
func (s *session) mergeTemplateAgain(ctx context.Context, repo gitutil.Repository, w *writing, templatePath string) error {
	conflicts, err := repo.Unmerged(ctx)
	if err != nil {
		return err
	}
	conflict := conflictAt(conflicts, templatePath)
	if conflict == nil {
		return nil
	}
	sides, err := sidesOf(ctx, repo, conflict)
	if err != nil {
		return err
	}
	merged := formation.MergeTemplates(sides[0], sides[1], sides[2])
	w.editTemplate = func(t *formation.Template) { *t = *formation.ParseTemplate(merged) }
	return nil
}

// contestedName finds the contested name that a person's spelling means.
func (s *session) contestedName(state *hooks.MergeState, spelled string) (string, error) {
	for _, name := range []string{spelled, formation.Normalize(spelled)} {
		if slices.ContainsFunc(state.Contested, func(c hooks.Contested) bool { return c.Name == name }) {
			return name, nil
		}
	}
	e := refuse("%s is not contested", formation.Normalize(spelled))
	if left := state.Open(); len(left) > 0 {
		return "", e.hint("these are: %s", list(left))
	}
	return "", e.hint("no name is: 'git add' and 'git commit' conclude the merge")
}

// openMerged opens the vault of the work tree to settle names in. One that is
// not what the merge left is begun anew from the merge.
func (s *session) openMerged(f *formation.Formation, state *hooks.MergeState, result *hooks.VaultResult) (*formation.Opened, error) {
	content, ok, err := f.ReadSealed()
	if err != nil {
		return nil, err
	}
	o := &formation.Opened{Formation: f, Key: result.Key, Vault: result.Vault}
	if ok && state.WasLeftAs(content) {
		vault, _, err := formation.OpenSealed(content, result.Key)
		if err == nil {
			o.Vault, o.Sealed = vault, true
			return o, nil
		} else if crypto.ReasonOf(err) != crypto.WrongKey {
			return nil, &formation.VaultError{Path: f.Path(formation.VaultFile), Err: err}
		}
	}
	var again []string
	for i, c := range state.Contested {
		if c.Settled {
			state.Contested[i].Settled = false
			again = append(again, c.Name)
		}
	}
	if len(again) > 0 {
		s.warn("%s is not what was left to settle, and is merged again: settle these again, too: %s", s.show(f.Path(formation.VaultFile)), list(again))
	}
	return o, nil
}

// settleTemplate settles a template that alone is left with its sides: git stops
// where one side deleted it, before any driver could run.
func (s *session) settleTemplate(ctx context.Context, repo gitutil.Repository, f *formation.Formation, vaultPath string) (done bool, err error) {
	conflicts, err := repo.Unmerged(ctx)
	if err != nil || conflictAt(conflicts, path.Join(path.Dir(vaultPath), formation.TemplateFile)) == nil {
		return false, err
	}
	w := &writing{s: s, ctx: ctx, batch: s.Files.BatchIn(f.Dir)}
	defer w.batch.Discard()
	if w.Opened, err = f.Open(); err != nil {
		return false, err
	}
	if err := s.mergeTemplateAgain(ctx, repo, w, path.Join(path.Dir(vaultPath), formation.TemplateFile)); err != nil {
		return false, err
	}
	if _, err := w.save(); err != nil {
		return false, err
	}
	if err := s.stage(ctx, repo, f, vaultPath, formation.TemplateFile); err != nil {
		return false, err
	}
	s.say("Nothing is left to settle in %s: staged %s", s.name(f), formation.TemplateFile)
	return true, nil
}

// stageMerged stages the vault and the template of a merge that is settled.
func (s *session) stageMerged(ctx context.Context, repo gitutil.Repository, f *formation.Formation, vaultPath string) error {
	return s.stage(ctx, repo, f, vaultPath, formation.VaultFile, formation.TemplateFile)
}

// stage stages files of a formation as they are on disk; a template that git was
// told to ignore stays out.
func (s *session) stage(ctx context.Context, repo gitutil.Repository, f *formation.Formation, vaultPath string, names ...string) error {
	for _, name := range names {
		tracked, err := repo.Tracked(ctx, []string{f.Path(name)})
		if err != nil {
			return err
		}
		if ignored, err := repo.Ignored(ctx, []string{f.Path(name)}); err != nil {
			return err
		} else if !tracked[0] && ignored[0] && name == formation.TemplateFile {
			continue
		}
		content, err := os.ReadFile(f.Path(name))
		if errors.Is(err, fs.ErrNotExist) {
			if !tracked[0] {
				continue
			}
			content = nil
		} else if err != nil {
			return &formation.FileError{Op: "read", Path: f.Path(name), Err: err}
		}
		if err := repo.StageFile(ctx, path.Join(path.Dir(vaultPath), name), content, gitutil.ModeFile); err != nil {
			return err
		}
	}
	repo.Refresh(ctx)
	return nil
}
