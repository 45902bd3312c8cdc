package formation

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// Keyring is the folder in a repository's git dir that holds a copy of every key
// that came to be a .key here: what was sealed with an earlier one still opens
// (older commits, branches that were not rotated yet), and no branch switch and no
// 'git clean' takes the only copy of the one in use.
type Keyring struct {
	Dir string // absolute; "": there is none
}

// Add has the batch keep a key (mode 0600, named by its fingerprint) in the
// keyring's folder (0700), which is made if need be. content are the bytes of the
// .key. A key that is there already, under that name or the one that earlier
// releases gave it, in whatever spelling, stays as it is. It fails with
// *safefile.Error.
func (k Keyring) Add(batch *safefile.Batch, key *crypto.Key, content []byte) error {
	if k.Dir == "" {
		return nil
	}
	if err := safefile.MakePrivate(k.Dir); err != nil {
		return &safefile.Error{Op: "make folder", Path: k.Dir, Err: err}
	}
	if info, err := os.Stat(k.Dir); err == nil && info.Mode().Perm()&0o077 != 0 && !safefile.OnWindows {
		os.Chmod(k.Dir, 0o700) // where that fails, the files in it are private still
	}

	for _, path := range k.Paths(key) {
		if kept, err := readKeyAt(path); err == nil && kept.Key.Equal(key) {
			return nil
		}
	}
	return batch.Put(k.Paths(key)[0], content, 0o600)
}

// Paths returns where the keyring may hold a key: the file that Add makes, then
// that of earlier releases.
func (k Keyring) Paths(key *crypto.Key) []string {
	return []string{filepath.Join(k.Dir, key.Fingerprint()), filepath.Join(k.Dir, key.FingerprintV1())}
}

// Keys returns the keys of the keyring, the one that was added last first. A
// file that is no key is passed over, and so is a folder that cannot be read:
// it is asked when the key at hand does not fit, and has then no more to say.
func (k Keyring) Keys() []*FoundKey {
	seen := map[string]bool{}
	return slices.DeleteFunc(k.files(), func(found *FoundKey) bool {
		key := string(found.Key.File())
		again := seen[key]
		seen[key] = true
		return again
	})
}

// files is Keys with every file that holds one: a key may be kept under the name
// that an earlier release gave it as well.
func (k Keyring) files() []*FoundKey {
	if k.Dir == "" {
		return nil
	}

	entries, err := os.ReadDir(k.Dir)
	if err != nil {
		return nil
	}

	var found []*FoundKey
	added := map[*FoundKey]time.Time{}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue // a temp file, or one of the system's
		}
		path := filepath.Join(k.Dir, entry.Name())
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		key, err := readKeyAt(path)
		if err != nil {
			continue
		}
		key.Place = Kept
		found, added[key] = append(found, key), info.ModTime()
	}

	slices.SortStableFunc(found, func(a, b *FoundKey) int {
		return cmp.Or(added[b].Compare(added[a]), cmp.Compare(a.Path, b.Path))
	})

	return found
}
