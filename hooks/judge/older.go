package judge

import (
	"context"
	"path"
	"slices"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Older finds the vaults of HEAD that were sealed before the ones which the work
// started from at fork: somebody put an old vault back. It is authentic, so nothing
// but its time shows that; an age file has none. No key is needed. Errors: what git
// says.
func Older(ctx context.Context, repo gitutil.Repository, fork string, dirs []string) ([]scan.Finding, error) {
	before, err := sealedTimes(ctx, repo, fork, dirs)
	if err != nil || len(before) == 0 {
		return nil, err
	}
	now, err := sealedTimes(ctx, repo, "HEAD", dirs)
	if err != nil {
		return nil, err
	}

	var found []scan.Finding
	for _, dir := range dirs {
		file := path.Join(dir, formation.VaultFile)
		was, is := before[file], now[file]
		if !is.IsZero() && is.Before(was) {
			found = append(found, scan.NewFinding(scan.OlderVault, file, "", 1, 1, "sealed at %s, before the one that was there (%s): an old vault was put back",
				is.Format(time.RFC3339), was.Format(time.RFC3339)))
		}
	}
	return found, nil
}

// sealedTimes says of the vaults in dirs when they were sealed, by their paths.
func sealedTimes(ctx context.Context, repo gitutil.Repository, rev string, dirs []string) (map[string]time.Time, error) {
	times := map[string]time.Time{}
	err := Tree(repo, rev)(ctx, "", gitutil.Visitor{
		Want: func(p string, mode gitutil.Mode) bool {
			return path.Base(p) == formation.VaultFile && mode != gitutil.ModeLink && slices.Contains(dirs, path.Dir(p))
		},
		Blob: func(b *gitutil.Blob) error {
			if at, ok := crypto.SealedAt(b.Data); ok {
				times[b.Path] = at
			}
			return b.Err
		},
	})
	return times, err
}
