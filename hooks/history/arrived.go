package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
)

// maxCommittedKey bounds how much of a committed .key is looked at, in bytes.
const maxCommittedKey = 64 << 10

// committedKey is what a commit has under the path of a .key, whatever it is.
type committedKey struct {
	path, commit string
	data         []byte
}

// Arrived is the part of a formation.Finder. `git pull` lays a committed .key over
// an ignored one without a word. Git is asked only about a key that is neither the
// folder's pinned one nor its successor; a folder without a pin had none that could
// have been replaced.
func (k *Keys) Arrived(found *formation.FoundKey) (*formation.Arrival, error) {
	dir := filepath.Dir(found.Path)
	owner, err := k.owner(dir)
	if err != nil || owner.repo == nil {
		return nil, err
	}
	rel, ok := owner.inWorkTree(dir)
	if !ok {
		return nil, nil
	}

	pins, err := trust.PinsFor(owner.layout, rel, owner.Vanished)
	if err != nil || len(pins) == 0 || owner.vouchedFor(dir, pins, found.Key.Public()) {
		return nil, err
	}

	committed, err := owner.committed()
	if err != nil {
		return nil, err
	}
	for _, one := range committed {
		if one.is(found) {
			return &formation.Arrival{Commit: one.commit, Path: one.path, Pinned: pins[0].Key}, nil
		}
	}
	return nil, nil
}

// inWorkTree is a folder's path from the top of whichever work tree of the
// repository it lies in, with /.
func (k *Keys) inWorkTree(dir string) (string, bool) {
	for _, top := range append([]string{k.layout.Top}, k.worktrees()...) {
		if rel, ok := paths.Below(top, paths.Real(dir)); ok && top != "" {
			return rel, true
		}
	}
	return "", false
}

// vouchedFor reports whether a key is a pinned one, or the successor of one by the
// list beside it.
func (k *Keys) vouchedFor(dir string, pins []formation.Pin, key crypto.PublicKey) bool {
	isPin := func(pin formation.Pin) bool { return pin.Key == key }
	if slices.ContainsFunc(pins, isPin) {
		return true
	}

	content, err := (&formation.Formation{Dir: dir}).ReadList()
	if err != nil {
		return false
	}
	succession := trust.NewSuccession(trust.ReadList(content))
	return slices.ContainsFunc(pins, func(pin formation.Pin) bool { return succession.Leads(pin.Key, key) })
}

// readCommitted reads what any commit at hand has under the path of a .key, in any
// letter case. A shallow clone knows no more than it has.
func (k *Keys) readCommitted() (all []committedKey, err error) {
	err = k.repo.History(k.ctx, gitutil.Visitor{
		MaxBlob: maxCommittedKey,
		Want:    func(name string, _ gitutil.Mode) bool { return strings.EqualFold(path.Base(name), formation.KeyFile) },
		Blob: func(b *gitutil.Blob) error {
			all = append(all, committedKey{b.Path, b.Commit, bytes.Clone(b.Data)})
			return nil
		},
	})
	if shallow := (*gitutil.ShallowError)(nil); errors.As(err, &shallow) {
		err = nil
	}
	return all, err
}

// is reports whether a checkout of the committed file gives the found one: the
// same key, however its line ends; a link to the same place; or what a filter puts
// in the place of its pointer.
func (c committedKey) is(found *formation.FoundKey) bool {
	if key, err := crypto.ParseKey(c.data); err == nil {
		return key.Equal(found.Key)
	}
	if to, err := os.Readlink(found.Path); err == nil {
		return string(c.data) == to
	}
	sum := sha256.Sum256(found.Content)
	return bytes.Contains(c.data, []byte("sha256:"+hex.EncodeToString(sum[:]))) // git-lfs
}
