package merge

import (
	"bytes"
	"context"
	"path"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// MovedVault is a vault that one side of a merge moved with its folder, and
// changed, while the other side changed it where it was. Two sealed files have
// nothing in common, so that git sees one that was deleted and a new one: it
// calls no driver, and what the other side changed is easily lost.
type MovedVault struct {
	From, To           string // of the vault, from the top, with /
	ByTheirs           bool   // who moved it
	Base, Ours, Theirs []byte // sealed
}

// moved is what the side has that moved it.
func (v *MovedVault) moved() []byte {
	if v.ByTheirs {
		return v.Theirs
	}
	return v.Ours
}

// State begins the note of its merge.
func (v *MovedVault) State(layout gitutil.Layout, head, theirs string) *State {
	m := NewState(layout, v.To)
	m.From, m.Head, m.Theirs, m.Failed = v.From, head, theirs, true
	m.BaseFile, m.OursFile, m.TheirsFile = v.Base, v.Ours, v.Theirs
	return m
}

// vaultsOf are the vaults of a commit and the folders that are formations there.
type vaultsOf struct {
	sealed map[string][]byte
	dirs   map[string]bool
}

func readVaults(ctx context.Context, repo gitutil.Repository, rev string) (*vaultsOf, error) {
	v := &vaultsOf{map[string][]byte{}, map[string]bool{}}
	err := repo.TreeBlobs(ctx, rev, "", gitutil.Visitor{
		Want: func(p string, _ gitutil.Mode) bool {
			if formation.IsFormationFile(path.Base(p)) {
				v.dirs[path.Dir(p)] = true
			}
			return path.Base(p) == formation.VaultFile
		},
		Blob: func(b *gitutil.Blob) error {
			if path.Base(b.Path) == formation.VaultFile {
				v.sealed[b.Path] = append([]byte{}, b.Data...)
			}
			return nil
		},
	})
	return v, err
}

// MovedVaults finds them in what git is in the middle of, by what the commits
// hold: 'git add' takes away what the index knew. Nothing going on costs nothing.
// Only what can be meant in one way is told: the old folder is no formation any
// more, and among the new vaults one alone has the names of the old one.
func MovedVaults(ctx context.Context, repo gitutil.Repository, keys *history.Keys) ([]MovedVault, gitutil.Operation, error) {
	operation, err := repo.Operation(ctx)
	if err != nil || operation.Theirs == "" {
		return nil, operation, err
	}
	base, theirs := operation.Theirs+"^", operation.Theirs
	switch operation.Kind {
	case "merge":
		fork, ok, err := repo.MergeBase(ctx, "HEAD", theirs)
		if err != nil || !ok {
			return nil, operation, err
		}
		base = fork
	case "revert":
		base, theirs = theirs, base
	}
	var trees [3]*vaultsOf
	for i, rev := range [3]string{base, "HEAD", theirs} {
		if trees[i], err = readVaults(ctx, repo, rev); err != nil {
			return nil, operation, nil // a first commit, or one that is not here: nothing can be told
		}
	}
	var found []MovedVault
	for from, was := range trees[0].sealed {
		for side, by := range map[int]*vaultsOf{1: trees[1], 2: trees[2]} {
			other := trees[3-side]
			changed, there := other.sealed[from]
			if _, still := by.sealed[from]; still || !there || by.dirs[path.Dir(from)] || bytes.Equal(changed, was) {
				continue
			}
			var to []string
			for p, sealed := range by.sealed {
				_, had := trees[0].sealed[p]
				if !had && by.dirs[path.Dir(p)] && mayBeMoved(keys, from, was, p, sealed) {
					to = append(to, p)
				}
			}
			if len(to) != 1 {
				continue
			}
			v := MovedVault{From: from, To: to[0], ByTheirs: side == 2, Base: was, Ours: changed, Theirs: by.sealed[to[0]]}
			if !v.ByTheirs {
				v.Ours, v.Theirs = v.Theirs, v.Ours
			}
			found = append(found, v)
		}
	}
	slices.SortFunc(found, func(a, b MovedVault) int { return bytes.Compare([]byte(a.From), []byte(b.From)) })
	return found, operation, nil
}

// mayBeMoved reports whether two vaults share their names; those that do not
// open may.
func mayBeMoved(keys *history.Keys, from string, was []byte, to string, is []byte) bool {
	before, _, err := keys.Open(from, was, nil)
	if err != nil {
		return true
	}
	after, _, err := keys.Open(to, is, nil)
	if err != nil {
		return true
	}
	return history.MostlyNamed(before.Names(), after.Names())
}

// movedUnsettled finds vaults that were moved by one side and are staged as that
// side has them, without what the other side changed.
func movedUnsettled(ctx context.Context, repo gitutil.Repository, noted map[string]bool) ([]scan.Finding, error) {
	keys := history.NewKeys(ctx, repo, "")
	moved, _, err := MovedVaults(ctx, repo, keys)
	if err != nil {
		return nil, err
	}
	var found []scan.Finding
	for _, v := range moved {
		if noted[v.To] {
			continue
		}
		noted[v.From] = true // it is said here, and better
		staged, err := (&State{Path: v.To}).staged(ctx, repo)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(gitutil.BlobIDs(v.moved()), staged) || v.same(keys) {
			continue
		}
		whose := "theirs"
		if v.ByTheirs {
			whose = "ours"
		}
		found = append(found, scan.NewFinding(scan.UnsettledMerge, v.To, "", 1, 1,
			"one side of the merge moved this vault here from %s, where %s changed it: that would be lost", v.From, whose).MendedBy("resolve", "merges the two"))
	}
	return found, nil
}

// same reports whether the other side only sealed again what it was.
func (v *MovedVault) same(keys *history.Keys) bool {
	other := v.Theirs
	if v.ByTheirs {
		other = v.Ours
	}
	before, _, err := keys.Open(v.From, v.Base, nil)
	if err != nil {
		return false
	}
	after, _, err := keys.Open(v.From, other, nil)
	return err == nil && len(formation.DiffVaults(before, after)) == 0
}
