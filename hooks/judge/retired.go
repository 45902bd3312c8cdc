package judge

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// takenBack finds a vault that is sealed with a key from before a rotation which
// rev's history has. No list has to speak of it: the key at hand tells. nil for none.
func (s *stepper) takenBack(ctx context.Context) (*scan.Finding, error) {
	top := s.repo.Layout().Top
	if s.keys == nil || top == "" || len(s.sharing.Vault) == 0 {
		return nil, nil
	}
	f := s.keys.Of(&formation.Formation{Dir: filepath.Join(top, filepath.FromSlash(s.sharing.Dir))})
	look := f.LookAt(&formation.Version{Survey: &formation.Survey{}, Sealed: s.sharing.Vault, HasVault: true})
	retired, ok := errors.AsType[*formation.RetiredKeyError](look.Problem.Key)
	if !ok {
		return nil, nil
	}
	since := retired.Retired
	if s.rev != "" {
		// It was told by HEAD's history, and rev may be of a branch beside.
		fork, ok, err := s.repo.MergeBase(ctx, since.Newest, s.rev)
		if err != nil || !ok || fork != since.Newest {
			return nil, err
		}
	}

	vault := s.path(formation.VaultFile)
	found := scan.NewFinding(scan.KeyOutOfStep, vault, "", 1, 1,
		"it is sealed with a key from before a rotation (commit %.10s)", since.Commit)
	drops, err := s.dropsFor(ctx, since.Newest)
	if err != nil {
		return nil, err
	}
	if drops {
		found = found.MendedBy("unlock --accept "+retired.Found.Key.Fingerprint(),
			"goes back to that key and keeps the values that are in no commit yet; 'rotate' then makes a new one")
		return &found, nil
	}
	found.Remedy = scan.Remedy{
		Restore: &scan.Restore{From: fmt.Sprintf("%.10s", since.Newest), Files: []string{vault}},
		Does:    "brings back the vault of this branch",
	}
	return &found, nil
}

// dropsFor is drops for the vault that a commit has.
func (s *stepper) dropsFor(ctx context.Context, commit string) (bool, error) {
	if s.lists == nil {
		if err := s.read(ctx); err != nil {
			return false, err
		}
	}
	ids, err := s.repo.FileIDs(ctx, gitutil.FilesAt([]string{commit}, s.path(formation.VaultFile)))
	if err != nil {
		return false, err
	}
	return s.drops(ctx, &goodVersion{vault: ids[0]})
}
