package formation

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// Keyring is the folder in which keys that are no longer in use are kept, so
// that what was sealed with them still opens: older commits, and branches that
// were not rotated yet.
type Keyring struct {
	Dir string // absolute; "": there is none
}

// Add has the batch keep a key (mode 0600, named by its fingerprint, in its
// canonical spelling) in the keyring's folder (0700), which is made if need be.
// A key that is there already stays as it is. It fails with *FileError.
func (k Keyring) Add(batch *Batch, key *crypto.Key) error {
	if k.Dir == "" {
		return nil
	}
	if err := makePrivate(k.Dir); err != nil {
		return &FileError{"make folder", k.Dir, err}
	}
	if info, err := os.Stat(k.Dir); err == nil && info.Mode().Perm()&0o077 != 0 && !onWindows {
		os.Chmod(k.Dir, 0o700) // where that fails, the files in it are private still
	}
	path := filepath.Join(k.Dir, key.Fingerprint())
	if content, err := readRegular(path, maxKeyFile); err == nil && bytes.Equal(content, key.File()) {
		return nil
	}
	return batch.Replace(path, key.File(), 0o600)
}

// Keys returns the keys of the keyring, the one that was added last first. A
// file that is no key is passed over, and so is a folder that cannot be read:
// it is asked when the key at hand does not fit, and has then no more to say.
func (k Keyring) Keys() []*crypto.Key {
	if k.Dir == "" {
		return nil
	}
	entries, err := os.ReadDir(k.Dir)
	if err != nil {
		return nil
	}
	type retired struct {
		key *crypto.Key
		at  time.Time
	}
	var found []retired
	seen := map[string]bool{}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue // a temp file, or one of the system's
		}
		path := filepath.Join(k.Dir, entry.Name())
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		content, err := readRegular(path, maxKeyFile)
		if err != nil {
			continue
		}
		key, err := crypto.ParseKey(content)
		if err != nil || seen[key.Fingerprint()] {
			continue
		}
		seen[key.Fingerprint()] = true
		found = append(found, retired{key, info.ModTime()})
	}
	slices.SortStableFunc(found, func(a, b retired) int {
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.key.Fingerprint(), b.key.Fingerprint()))
	})
	keys := make([]*crypto.Key, 0, len(found))
	for _, r := range found {
		keys = append(keys, r.key)
	}
	return keys
}

// errNoKeys is what OpenSealed says when it was given none.
var errNoKeys = errors.New("no key to try")

// OpenSealed opens the bytes of a secrets.enc with the first of the keys that
// fits, and returns that key. Nil keys are passed over. Where none fits, the
// error is that of the first, a *crypto.Error; where one fits and what it opens
// is no vault, a *ContentError.
func OpenSealed(sealed []byte, keys ...*crypto.Key) (*Vault, *crypto.Key, error) {
	var first error
	for _, key := range keys {
		if key == nil {
			continue
		}
		plaintext, err := key.Open(sealed)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		vault, err := DecodeVault(plaintext)
		if err != nil {
			return nil, nil, err
		}
		return vault, key, nil
	}
	if first == nil {
		first = &crypto.Error{Reason: crypto.WrongKey, Detail: errNoKeys.Error(), Err: errNoKeys}
	}
	return nil, nil, first
}
