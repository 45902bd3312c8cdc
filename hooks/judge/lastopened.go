package judge

import (
	"context"
	"fmt"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// LastOpenedBy is what brings back vault, list and wrapped key of a formation of the
// work tree from the newest commit whose vault a key opens; nil where none has one, or
// where that would lose a value that no commit has. Errors: what git says.
func LastOpenedBy(ctx context.Context, repo gitutil.Repository, f *formation.Formation, key *crypto.Key) (*scan.Restore, error) {
	sharing, err := SharedOnDisk(repo.Layout(), f)
	if err != nil {
		return nil, err
	}
	keys, _ := f.Finder.(*history.Keys)
	s := &stepper{repo: repo, keys: keys, sharing: sharing}
	if err := s.read(ctx); err != nil {
		return nil, err
	}
	var commits []string
	for _, e := range s.entries[:min(len(s.entries), mostSteps)] {
		commits = append(commits, e.Hash)
	}
	var asked []gitutil.FileAt
	for _, name := range sharingFiles {
		asked = append(asked, gitutil.FilesAt(commits, s.path(name))...)
	}
	ids, err := repo.FileIDs(ctx, asked)
	if err != nil {
		return nil, err
	}

	opens := map[string]bool{} // by blob
	for i, commit := range commits {
		vault := ids[i] // the first of sharingFiles
		if _, looked := opens[vault]; vault == "" || looked {
			continue
		}
		err := repo.Blobs(ctx, []string{vault}, func(id string, data []byte) error {
			_, err := key.Open(data)
			opens[id] = err == nil
			return nil
		})
		if err != nil {
			return nil, err
		}
		if !opens[vault] {
			continue
		}
		if drops, err := s.drops(ctx, &goodVersion{vault: vault}); err != nil || drops {
			return nil, err
		}
		restore := &scan.Restore{From: fmt.Sprintf("%.10s", commit)}
		for n, name := range sharingFiles {
			if ids[n*len(commits)+i] != "" {
				restore.Files = append(restore.Files, s.path(name))
			}
		}
		return restore, nil
	}
	return nil, nil
}
