package history

import (
	"bytes"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// sealing is one version of a formation's vault in HEAD's history.
type sealing struct {
	*gitutil.LogEntry
	path, blob string
	// key is which of the keys at hand opens it, counted from 0; -1 for none.
	key int
}

// Retired is the part of a formation.Finder: the first commit on top of one that
// had the vault sealed with a key that has it sealed with a key which came later.
// Which of two came later is told by the first commit of each, so that a commit
// that brings an old vault back retires nobody. A rotation that was thrown away,
// or is on another branch, is not in HEAD's history; one that was merged is, also
// where the merge kept the vault of the other side.
func (k *Keys) Retired(dir string, key *crypto.Key) (*formation.Retirement, error) {
	rel, ok := k.fromTop(dir)
	if !ok || k.repo == nil {
		return nil, nil
	}
	versions, err := k.sealings(rel, key)
	if err != nil {
		return nil, err
	}
	first := slices.IndexFunc(versions, func(v sealing) bool { return v.key == 0 })
	if first < 0 {
		return nil, nil // not committed here
	}

	later := slices.DeleteFunc(slices.Clone(versions[first+1:]), func(v sealing) bool {
		return v.key == 0 || slices.ContainsFunc(versions[:first], func(was sealing) bool {
			return was.blob == v.blob || v.key >= 0 && was.key == v.key
		})
	})
	var since *formation.Retirement
	for _, v := range later {
		fork, ok, err := k.repo.MergeBase(k.ctx, versions[first].Hash, v.Hash)
		if err != nil {
			return nil, err
		}
		if !ok || fork != versions[first].Hash {
			continue // of a branch beside
		}
		if since == nil {
			since = &formation.Retirement{Commit: v.Hash, Date: v.Date, Author: v.Author}
		}
		since.Newest = v.Hash
	}
	return since, nil
}

// sealings lists the sealed versions of a folder's vault in HEAD's history, the
// oldest first, with the key that opens each: this one, or one that is kept.
func (k *Keys) sealings(rel string, key *crypto.Key) ([]sealing, error) {
	paths := k.vaults(rel)
	var versions []sealing
	var ids []string
	for _, e := range k.logAll() {
		for _, c := range e.Changes {
			if c.New != "" && slices.Contains(paths, c.Path) {
				versions = append(versions, sealing{LogEntry: e, path: c.Path, blob: c.New})
				ids = append(ids, c.New)
			}
		}
	}
	slices.Reverse(versions)
	slices.Sort(ids)

	keys := append([]*crypto.Key{key}, keysOf(k.kept())...)
	opener := map[string]int{}
	err := k.repo.Blobs(k.ctx, slices.Compact(ids), func(id string, data []byte) error {
		if _, err := crypto.Detect(bytes.Clone(data)); err == nil {
			opener[id] = slices.IndexFunc(keys, func(key *crypto.Key) bool {
				_, err := key.Open(data)
				return err == nil
			})
		}
		return nil
	})
	ours := map[string]bool{paths[0]: true} // of several that a rename may mean, those that the key knows
	for i, v := range versions {
		n, sealed := opener[v.blob]
		if !sealed {
			n = -2 // markers, or an empty file
		}
		versions[i].key = n
		ours[v.path] = ours[v.path] || n == 0
	}
	return slices.DeleteFunc(versions, func(v sealing) bool { return v.key == -2 || !ours[v.path] }), err
}
