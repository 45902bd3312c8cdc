package merge

import (
	"cmp"
	"context"
	"path"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
)

// KeyError says that a merge is not sealed with the key that it would take: nobody
// vouched for it who held the one of this work tree, or it was rotated twice.
type KeyError struct {
	Path string // of the vault, from the top, with /
	trust.Verdict
	Sides   [3]crypto.PublicKey // that base, ours and theirs are sealed with
	Brought *gitutil.LogEntry   // the commit that first named the key; nil where none is known
}

func (e *KeyError) Error() string {
	return "the key " + e.Key.Fingerprint() + " of '" + e.Path + "' is not vouched for"
}

// Own is the side, "ours" or "theirs", that is sealed with another key, which may be
// this work tree's: in a rebase it is theirs to git. It is "" where neither is.
func (e *KeyError) Own() string {
	for i, side := range []string{"ours", "theirs"} {
		if key := e.Sides[i+1]; !key.IsZero() && key != e.Key {
			return side
		}
	}
	return ""
}

// evidence collects what the keys of a merge are judged by.
func (m *Merger) evidence(ctx context.Context, vaultPath string) (*trust.Folder, *trust.Evidence, error) {
	repo, err := m.Repo()
	if err != nil {
		return nil, nil, err
	}
	folder := &trust.Folder{Repo: repo, Dir: path.Dir(vaultPath), Vanished: m.Keys.Vanished, Kept: m.kept()}
	if own := m.Keys.Own(vaultPath); own != nil {
		folder.KeyFile = own.Content
	}
	if theirs := m.theirs(); theirs != "" {
		folder.Merging = []string{theirs}
	}
	e, err := folder.Gather(ctx)
	return folder, e, err
}

// kept are the keys that this clone had.
func (m *Merger) kept() (keys []*crypto.Key) {
	for _, found := range m.Keys.Kept() {
		keys = append(keys, found.Key)
	}
	return keys
}

// current is the folder's .key; nil where there is none to be used.
func (m *Merger) current(vaultPath string) *crypto.Key {
	if own := m.Keys.Own(vaultPath); own != nil {
		return own.Key
	}
	return nil
}

// mergedKey is the key that a merged vault is sealed with: that of this work tree,
// or the last one that it vouched for. sides are the keys that base, ours and
// theirs opened with; any may be nil. Errors: *KeyError; a *SideError where this
// work tree has no key.
func (m *Merger) mergedKey(ctx context.Context, vaultPath string, sides [3]*crypto.Key) (*crypto.Key, error) {
	current := m.current(vaultPath)
	if current != nil && allEqual(current, sides) {
		if pin, pinned, err := trust.PinsOf(m.Layout).Get(path.Dir(vaultPath)); err == nil && (!pinned || pin.Key == current.Public()) {
			return current, nil // whatever any list says
		}
	}

	folder, e, err := m.evidence(ctx, vaultPath)
	if err != nil {
		return nil, err
	}
	refused := func(v trust.Verdict) error {
		return &KeyError{vaultPath, v, [3]crypto.PublicKey{publicOf(sides[0]), publicOf(sides[1]), publicOf(sides[2])}, folder.Brought(v.Key)}
	}
	at := append([]*crypto.Key{current}, append(sides[:], folder.Kept...)...)
	ours := e.Pin.Key
	if !e.Pinned && current != nil {
		ours = current.Public()
	}
	if e.Pinned && current != nil && withPublic(at, ours) == nil {
		if v := e.Seal(current.Public()); !v.Believed() {
			return nil, refused(v)
		}
		ours = current.Public()
	}
	if ours.IsZero() {
		// The folder is being moved: it is known under another name.
		if ours, err = m.movedSide(vaultPath, sides); err != nil {
			return nil, err
		}
	}
	if ours.IsZero() {
		return nil, &SideError{"ours", vaultPath, &formation.NoKeyError{Dir: path.Dir(vaultPath), Vault: true}}
	}

	e.Had = func(key crypto.PublicKey) bool {
		one := withPublic(at, key)
		return one != nil && m.hadKey(ctx, vaultPath, one)
	}
	base, mine, theirs := publicOf(sides[0]), publicOf(sides[1]), publicOf(sides[2])
	v, _ := e.Merge(ours, base, mine, theirs)
	if v.Believed() && v.Key != ours && !mine.IsZero() && mine != base && base == theirs {
		// What is brought in changes values alone (a cherry-pick): its list, which
		// names the key, does not come along.
		v, _ = e.Merge(ours, mine)
	}
	if !v.Believed() {
		return nil, refused(v)
	}
	key := withPublic(at, v.Key)
	if key == nil {
		return nil, &SideError{"ours", vaultPath, &formation.NoKeyError{Dir: path.Dir(vaultPath), Vault: true}}
	}
	return key, nil
}

// movedSide returns the key of ours, where that is pinned for any folder, or lies
// as .key in a folder that this one was before; zero where it is neither. Base and
// theirs count only where there is no ours, whose values another formation's key
// could be brought in for.
func (m *Merger) movedSide(vaultPath string, sides [3]*crypto.Key) (key crypto.PublicKey, err error) {
	pins, err := trust.PinsOf(m.Layout).All()
	if err != nil {
		return key, err
	}
	left := m.Keys.LeftBehind(vaultPath)

	side := cmp.Or(sides[1], sides[0], sides[2])
	if side == nil {
		return key, nil
	}
	pinned := slices.ContainsFunc(pins, func(pin formation.Pin) bool { return pin.Key == side.Public() })
	if pinned || slices.ContainsFunc(left, side.Equal) {
		key = side.Public()
	}
	return key, nil
}

// Decide has this work tree's key be that of one side of a merge, where the key
// was rotated twice, apart: theirs, or ours.
func (m *Merger) Decide(fork *KeyError, theirs bool) error {
	key := fork.Sides[1]
	if theirs {
		key = fork.Sides[2]
	}
	over := fork.Key
	if key == over {
		over = fork.RivalKey
	}

	pins := trust.PinsOf(m.Layout)
	batch := m.Files.Batch(safefile.Place{Folders: []string{pins.Dir}})
	defer batch.Discard()
	pin := formation.Pin{Folder: path.Dir(fork.Path), Key: key, Over: over, Signed: true}
	if err := pins.Set(batch, pin); err != nil {
		return err
	}
	return batch.Commit()
}

func allEqual(key *crypto.Key, sides [3]*crypto.Key) bool {
	for _, side := range sides {
		if side != nil && !key.Equal(side) {
			return false
		}
	}
	return true
}

func publicOf(key *crypto.Key) (p crypto.PublicKey) {
	if key != nil {
		p = key.Public()
	}
	return p
}

func withPublic(keys []*crypto.Key, public crypto.PublicKey) *crypto.Key {
	for _, key := range keys {
		if key != nil && key.Public() == public {
			return key
		}
	}
	return nil
}

// shared is the sharing of a formation in a merge: what base, ours and theirs have.
type shared struct {
	lists, vaults [3][]byte
	people        *formation.People // merged
	result        *VaultResult      // of the vaults
	news          []formation.Person
}

// sharing merges the lists and vaults of the commits that git merges, and says who
// of the merged people nobody vouched for. ok is false where the commits are not
// known, or do not hold what git gave as name; nil: the file is not looked at.
func (m *Merger) sharing(ctx context.Context, dir, name string, want [3][]byte) (s *shared, ok bool, err error) {
	repo, err := m.Repo()
	if err != nil {
		return nil, false, err
	}
	their := m.theirs()
	if their == "" {
		return nil, false, nil
	}
	fork, found, err := repo.MergeBase(ctx, "HEAD", their)
	if err != nil || !found {
		return nil, false, nil
	}

	s = &shared{}
	for i, rev := range [3]string{fork, "HEAD", their} {
		// The commits are the right ones if they hold what git gave us.
		if string(gitutil.Show(ctx, repo, rev, path.Join(dir, name))) != string(want[i]) {
			return nil, false, nil
		}
		s.lists[i] = gitutil.Show(ctx, repo, rev, path.Join(dir, formation.RecipientsFile))
		s.vaults[i] = gitutil.Show(ctx, repo, rev, path.Join(dir, formation.VaultFile))
	}
	if s.people, err = mergePeople(s.lists); err != nil {
		return nil, false, nil
	}
	vaultPath := path.Join(dir, formation.VaultFile)
	if s.result, err = m.MergeSealed(ctx, vaultPath, s.vaults[0], s.vaults[1], s.vaults[2]); err != nil || s.result.Key == nil {
		return nil, false, nil
	}
	folder, e, err := m.evidence(ctx, vaultPath)
	if err != nil {
		return nil, false, err
	}
	lists := folder.Vouching(e)
	for _, list := range s.lists[1:] {
		lists = append(lists, trust.ReadList(list))
	}
	s.news = trust.VouchedBy(s.result.Key.Public(), trust.NewSuccession(lists...), lists...).Newcomers(s.people.All())
	return s, true, nil
}

// sign has the key of the merge vouch for the merged people, where somebody did
// for each of them.
func (s *shared) sign() bool {
	if len(s.news) > 0 {
		return false
	}
	var chains []formation.Chain
	for _, list := range s.lists {
		chains = append(chains, trust.ReadList(list).Chain)
	}
	s.people.Sign(s.result.Key, chains...)
	return true
}
