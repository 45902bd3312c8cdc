package merge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Unsettled finds what merges left to be settled in the vaults of the pending
// commit, and forgets the merges that are over.
func Unsettled(ctx context.Context, repo gitutil.Repository) ([]scan.Finding, error) {
	return unsettled(ctx, repo, (*State).Forget)
}

// Open is Unsettled for who only looks.
func Open(ctx context.Context, repo gitutil.Repository) ([]scan.Finding, error) {
	return unsettled(ctx, repo, func(*State) {})
}

func unsettled(ctx context.Context, repo gitutil.Repository, forget func(*State)) ([]scan.Finding, error) {
	states, err := States(repo.Layout())
	if err != nil {
		return nil, err
	}
	var found []scan.Finding
	noted := map[string]bool{}
	for _, m := range states {
		alive, err := m.Alive(ctx, repo)
		if err != nil {
			return nil, err
		}
		if !alive {
			forget(m)
			continue
		}
		if !m.Failed && len(m.Open()) == 0 {
			// It was settled; but a merge that was gone back on and begun again may
			// have been settled otherwise.
			staged, err := m.staged(ctx, repo)
			if err != nil {
				return nil, err
			}
			if !m.left(staged) {
				continue
			}
		}
		noted[m.Path] = true
		if m.From != "" {
			noted[m.From] = true
		}
		found = append(found, m.findings()...)
	}
	moved, err := movedUnsettled(ctx, repo, noted)
	if err != nil {
		return nil, err
	}
	found = append(found, moved...)
	unnoted, err := takenWhole(ctx, repo, noted)
	return append(found, unnoted...), err
}

// takenWhole finds vaults that git itself says it could not merge, of which
// nothing is noted here (the driver was not found, or was killed; git knows of
// none), and that are staged as one side has them.
func takenWhole(ctx context.Context, repo gitutil.Repository, noted map[string]bool) ([]scan.Finding, error) {
	var found []scan.Finding
	for _, p := range repo.Layout().NotedConflicts() {
		if path.Base(p) != formation.VaultFile || noted[p] {
			continue
		}
		m := &State{Path: p}
		staged, err := m.staged(ctx, repo)
		if err != nil {
			return nil, err
		}
		operation, err := repo.Operation(ctx)
		if err != nil {
			return nil, err
		}
		for rev, side := range map[string]string{"HEAD": "ours", operation.Theirs: "theirs"} {
			if rev == "" || staged == "" {
				continue
			}
			if content := gitutil.Show(ctx, repo, rev, p); content != nil && slices.Contains(gitutil.BlobIDs(content), staged) {
				found = append(found, scan.NewFinding(scan.UnsettledMerge, p, "", 1, 1,
					"git could not merge this vault, and %s was taken whole: what the other side changed would be lost; 'git checkout -m -- :/%s' brings the conflict back", side, p).MendedBy("resolve", "merges it"))
				break
			}
		}
	}
	return found, nil
}

// findings says what of a merge is not settled.
func (m *State) findings() []scan.Finding {
	if m.Failed {
		return []scan.Finding{scan.NewFinding(scan.UnsettledMerge, m.Path, "", 1, 1,
			"this vault was not merged, since a side did not open: as it is, all that theirs changed would be lost").MendedBy("resolve", "merges it")}
	}
	var found []scan.Finding
	for _, name := range m.Open() {
		found = append(found, scan.NewFinding(scan.UnsettledMerge, m.Path, name, 1, 1,
			"both sides of the merge changed %s, and nobody said which counts", name).MendedBy("resolve", "lists what is left"))
	}
	return found
}

// unsettledIn finds merges that a rebase or a cherry-pick, which run no hook,
// put into a commit without anybody settling them.
func UnsettledIn(ctx context.Context, repo gitutil.Repository, rev string) ([]scan.Finding, error) {
	states, err := States(repo.Layout())
	if err != nil {
		return nil, err
	}
	var found []scan.Finding
	for _, m := range states {
		if m.Failed || len(m.Open()) == 0 {
			continue
		}
		err := repo.TreeBlobs(ctx, rev, m.Path, gitutil.Visitor{
			Blob: func(b *gitutil.Blob) error {
				if b.Path == m.Path && m.left(b.ID) {
					found = append(found, m.findings()...)
				}
				return nil
			},
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// lostFile is where it is kept that a merge did not open a side, also once
// another merge of the same vault took the note's place.
func (m *State) lostFile() string {
	sum := sha256.Sum256([]byte(m.Path + "\x00" + m.Head + "\x00" + m.Theirs))
	return filepath.Join(filepath.Dir(filepath.Dir(m.file)), "lost", hex.EncodeToString(sum[:8])+".json")
}

// keepLost keeps that theirs may get lost: a rebase that is told to go
// on runs no hook, and leaves ours in place of what was not merged.
func (m *State) keepLost(layout gitutil.Layout, files safefile.Files) error {
	if !layout.Rebasing() || !m.Failed || m.Theirs == "" || m.Head == "" {
		return nil // else the hook sees to it
	}
	kept := *m
	kept.file = m.lostFile()
	return kept.keep(files)
}

// ForgetLost forgets that theirs did not open: somebody has settled that.
func (m *State) ForgetLost() { os.Remove(m.lostFile()) }

// lostIn finds commits of a rebase that brought nothing of what theirs changed,
// since it did not open: a commit on top of the one that was merged into, with
// the message of theirs, and none of its values since.
func LostIn(ctx context.Context, repo gitutil.Repository, rev string) ([]scan.Finding, error) {
	files, _ := filepath.Glob(filepath.Join(repo.Layout().GitDir, "muxi-secrets", "lost", "*.json"))
	if len(files) == 0 {
		return nil, nil
	}
	var found []scan.Finding
	keys := history.NewKeys(ctx, repo, "")
	for _, file := range files {
		m, err := readState(file)
		if err != nil || m == nil {
			continue
		}
		if _, err := repo.ResolveRev(ctx, m.Head); err != nil {
			m.Forget() // pruned: nobody can push it any more
			continue
		}
		if m.isLost(ctx, repo, keys, rev) {
			found = append(found, scan.NewFinding(scan.UnsettledMerge, m.Path, "", 1, 1,
				"a rebase went on though this vault could not be merged: what %.10s changed in it is lost; with the key at hand, 'git cherry-pick %.10s' brings it back", m.Theirs, m.Theirs))
		}
	}
	return found, nil
}

func (m *State) isLost(ctx context.Context, repo gitutil.Repository, keys *history.Keys, rev string) bool {
	if fork, ok, err := repo.MergeBase(ctx, m.Theirs, rev); err != nil || ok && fork == m.Theirs {
		return false // merged since, or forgotten by git
	}
	if fork, ok, err := repo.MergeBase(ctx, m.Head, rev); err != nil || !ok || fork != m.Head {
		return false // went back to before
	}
	message := ""
	err := repo.Commits(ctx, gitutil.Range{Include: []string{m.Theirs}, Known: []string{m.Head}}, gitutil.Visitor{Commit: func(c *gitutil.Commit) error {
		if c.Hash == m.Theirs {
			message = strings.TrimSpace(c.Message)
		}
		return nil
	}})
	if err != nil {
		return false
	}
	went := false
	err = repo.Commits(ctx, gitutil.Range{Include: []string{rev}, Known: []string{m.Head}}, gitutil.Visitor{Commit: func(c *gitutil.Commit) error {
		went = went || slices.Contains(c.Parents, m.Head) && strings.TrimSpace(c.Message) == message
		return nil
	}})
	if err != nil || !went {
		return false
	}
	now := gitutil.Show(ctx, repo, rev, m.Path)
	if bytes.Equal(now, m.OursFile) {
		return !bytes.Equal(m.BaseFile, m.TheirsFile)
	}
	var vaults [4]*formation.Vault
	for i, sealed := range [4][]byte{m.BaseFile, m.OursFile, m.TheirsFile, now} {
		if len(sealed) == 0 {
			continue
		}
		if vaults[i], _, err = keys.Open(m.Path, sealed, nil); err != nil {
			return false // it is another one, and nobody can say which
		}
	}
	changed := formation.DiffVaults(vaults[0], vaults[2])
	since := formation.DiffVaults(vaults[1], vaults[3])
	apart := formation.DiffVaults(vaults[1], vaults[2])
	has := func(list []formation.Change, name string) bool {
		return slices.ContainsFunc(list, func(c formation.Change) bool { return c.Name == name })
	}
	lost := false
	for _, c := range changed {
		if has(apart, c.Name) {
			if has(since, c.Name) {
				return false // somebody brought it, or another value
			}
			lost = true
		}
	}
	return lost
}
