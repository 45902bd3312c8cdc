package merge

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// marked begins the merge of a vault that git merged line by line, without the
// driver, and that somebody took for merged: its markers were staged, and mostly
// committed. Both sides are still in it. nil where there are no markers, or where
// they show no side any more.
func (m *Merger) marked(ctx context.Context, repo gitutil.Repository, vaultPath, head string) (*State, error) {
	content, err := safefile.Read(filepath.Join(m.Layout.Top, filepath.FromSlash(vaultPath)), safefile.MaxSize)
	if err != nil {
		return nil, nil // whoever opens the vault says so
	}
	base, ours, theirs, ok := gitutil.SplitMarkers(content)
	if !ok {
		return nil, nil
	}
	if base == nil {
		if base, err = m.baseOfMarked(ctx, repo, vaultPath, gitutil.BlobIDs(content)); err != nil {
			return nil, err
		}
	}
	state := NewState(m.Layout, vaultPath)
	state.Failed, state.Head, state.Marked = true, head, gitutil.BlobIDs(content)
	state.BaseFile, state.OursFile, state.TheirsFile = base, ours, theirs
	return state, nil
}

// baseOfMarked is what the vault was before the two sides that markers hold: by
// the merge that git is in the middle of, or the one whose commit brought the
// markers. nil where that is not to be found: names that differ are then contested.
func (m *Merger) baseOfMarked(ctx context.Context, repo gitutil.Repository, vaultPath string, ids []string) ([]byte, error) {
	one, other := "", ""
	if m.Stopped.Theirs != "" {
		one, other = "HEAD", m.Stopped.Theirs
	} else {
		err := repo.Log(ctx, "", []string{formation.VaultFile}, func(e *gitutil.LogEntry) error {
			for _, c := range e.Changes {
				if c.Path == vaultPath && slices.Contains(ids, c.New) && len(e.Parents) == 2 {
					one, other = e.Parents[0], e.Parents[1]
					return errFound
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errFound) {
			return nil, err
		}
	}
	if one == "" {
		return nil, nil
	}
	base, ok, err := repo.MergeBase(ctx, one, other)
	if err != nil || !ok {
		return nil, err
	}
	return gitutil.Show(ctx, repo, base, vaultPath), nil
}

// LastWhole is the newest commit of HEAD's history whose vault is a sealed file; ""
// where none is.
func (m *Merger) LastWhole(ctx context.Context, vaultPath string) (commit string, err error) {
	repo, err := m.Repo()
	if err != nil {
		return "", err
	}
	var commits, ids []string
	err = repo.Log(ctx, "", []string{formation.VaultFile}, func(e *gitutil.LogEntry) error {
		for _, c := range e.Changes {
			if c.Path == vaultPath && c.New != "" && len(ids) < mostVersions {
				commits, ids = append(commits, e.Hash), append(ids, c.New)
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	for i, id := range ids {
		err := repo.Blobs(ctx, []string{id}, func(_ string, data []byte) error {
			if _, err := crypto.Detect(data); err == nil {
				commit = commits[i]
			}
			return nil
		})
		if err != nil || commit != "" {
			return commit, err
		}
	}
	return "", nil
}
