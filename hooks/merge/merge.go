// Package merge is what git's merge drivers do with a formation's files, what a
// merge leaves unsettled, and how that is settled afterwards.
package merge

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
)

// Merger does what git's merge drivers have to do (gitattributes(5), "Defining
// a custom merge driver").
type Merger struct {
	Layout gitutil.Layout
	// Repo opens the repository; a merge that git's files alone decide does not.
	Repo  func() (gitutil.Writer, error)
	Keys  *history.Keys
	Files safefile.Files
	// Environ is what git handed down: it names the commit being merged.
	Environ []string
	// Stopped is what git was at when it stopped; nothing in a driver, which runs
	// before that.
	Stopped gitutil.Operation
	// Exposed, after WrappedKey, are people whom one side removed, and who have
	// the key that the merge keeps: the other side wrapped it for them.
	Exposed []string
	// Simulated says that git only looks how a merge would end, as 'git merge-tree',
	// 'git log --remerge-diff' and 'git replay' do: nothing of it is kept, and there
	// will be nothing to settle.
	Simulated bool
	// Newcomers, after People or WrappedKey, are people whom nobody vouched for: the
	// merged list is not signed, and no key is wrapped for them.
	Newcomers []formation.Person
}

// Sides are the files that git gives a driver: base, ours (which takes the
// result) and theirs, the path they are of, and the length of conflict markers,
// by which an inner merge can be told.
type Sides struct {
	Base, Ours, Theirs string // absolute
	Path               string // from the top, with /
	MarkerSize         string
}

// inner says that the merge is one of two merge bases (a criss-cross history),
// whose result is only what the merge at hand is compared with. Git asks for
// longer conflict markers there than the 7 characters, or those that an attribute
// asks for, of any other (ll_merge in ll-merge.c).
func (m *Merger) inner(ctx context.Context, s Sides) bool {
	n, err := strconv.Atoi(s.MarkerSize)
	if err != nil || n <= 7 {
		return false
	}
	repo, err := m.Repo()
	if err != nil {
		return true
	}
	const attribute = "conflict-marker-size"
	set, err := repo.Attributes(ctx, []string{filepath.Join(m.Layout.Top, filepath.FromSlash(s.Path))}, []string{attribute})
	if err != nil || len(set) == 0 {
		return true
	}
	usual, err := strconv.Atoi(set[0][attribute])
	return err != nil || usual <= 0 || n > usual
}

// read returns the three versions. The base is nil for an empty file: git gives
// that where both sides added theirs. An empty side is one that somebody
// committed like this, and it is not "all removed".
func (s Sides) read() (base, ours, theirs []byte, err error) {
	for _, side := range []struct {
		path string
		to   *[]byte
	}{{s.Base, &base}, {s.Ours, &ours}, {s.Theirs, &theirs}} {
		content, err := os.ReadFile(side.path)
		if err != nil {
			return nil, nil, nil, &safefile.Error{Op: "read", Path: side.path, Err: err}
		}
		if len(content) > 0 || side.to != &base {
			*side.to = append([]byte{}, content...)
		}
	}
	return base, ours, theirs, nil
}

// SideError says that one side of a merge does not open.
type SideError struct {
	Side string // "base", "ours", "theirs"
	Path string // from the top
	Err  error
}

func (e *SideError) Error() string {
	return "cannot open " + e.Side + " of '" + e.Path + "': " + e.Err.Error()
}
func (e *SideError) Unwrap() error { return e.Err }

// Damaged reports whether no key would open the side: it is no sealed file, or
// what is in it is no vault.
func (e *SideError) Damaged() bool {
	if crypto.ReasonOf(e.Err).IsDamage() {
		return true
	}
	var content *formation.ContentError
	return errors.As(e.Err, &content)
}

// VaultResult is a merged vault.
type VaultResult struct {
	Vault     *formation.Vault // ours for contested names
	Contested []formation.Contest
	Key       *crypto.Key // that it is to be sealed with
	// Same is the sealed side that the result equals; nil for a new one.
	Same []byte
	// Elsewhere says that Key is not the formation's .key.
	Elsewhere bool

	base, ours, theirs *formation.Vault
	keys               [3]*crypto.Key // that each opened with
}

// Side returns a side as a vault; one without the file is empty.
func (r *VaultResult) Side(theirs bool) *formation.Vault {
	v := r.ours
	if theirs {
		v = r.theirs
	}
	if v == nil {
		v = formation.NewVault()
	}
	return v
}

// KeyOf returns the key that a side opened with; nil for one without the file.
func (r *VaultResult) KeyOf(theirs bool) *crypto.Key {
	if theirs {
		return r.keys[2]
	}
	return r.keys[1]
}

// MergeSealed merges three sealed versions of the vault at a path; nil for one
// that is not there. Errors: *SideError.
func (m *Merger) MergeSealed(ctx context.Context, vaultPath string, base, ours, theirs []byte) (*VaultResult, error) {
	r := &VaultResult{}
	keys := &r.keys
	for i, side := range []struct {
		name   string
		sealed []byte
		vault  **formation.Vault
	}{{"base", base, &r.base}, {"ours", ours, &r.ours}, {"theirs", theirs, &r.theirs}} {
		if side.sealed == nil || i == 0 && len(side.sealed) == 0 {
			continue
		}
		vault, key, err := m.Keys.Open(vaultPath, side.sealed, func() []byte { return m.wrappedKey(ctx, vaultPath, side.name, side.sealed) })
		if err != nil {
			return nil, &SideError{side.name, vaultPath, err}
		}
		*side.vault, keys[i] = vault, key
	}
	r.Vault, r.Contested = formation.MergeVaults(r.base, r.ours, r.theirs)
	var err error
	if r.Key, err = m.mergedKey(ctx, vaultPath, r.keys); err != nil {
		return nil, err
	}
	r.Elsewhere = !r.Key.Equal(m.current(vaultPath))
	for i, side := range []struct {
		sealed []byte
		vault  *formation.Vault
	}{{ours, r.ours}, {theirs, r.theirs}} {
		if side.sealed != nil && r.Key.Equal(keys[i+1]) && len(formation.DiffVaults(side.vault, r.Vault)) == 0 {
			r.Same = side.sealed
			break
		}
	}
	return r, nil
}

// mostVersions bounds the search for a key in the history.
const mostVersions = 20_000

// hadKey reports whether HEAD's history has the vault sealed with a key. Where
// folders were renamed it may have been any vault: no two have one key.
func (m *Merger) hadKey(ctx context.Context, vaultPath string, key *crypto.Key) bool {
	repo, err := m.Repo()
	if err != nil {
		return false
	}
	var near, far []string
	seen := map[string]bool{}
	repo.Log(ctx, "", []string{formation.VaultFile}, func(e *gitutil.LogEntry) error {
		for _, c := range e.Changes {
			for _, id := range []string{c.New, c.Old} {
				switch {
				case id == "" || seen[id]:
				case c.Path == vaultPath:
					near = append(near, id)
				default:
					far = append(far, id)
				}
				seen[id] = true
			}
		}
		return nil
	}) // as far as it goes: a shallow clone knows no more
	ids := append(near, far...)
	found := false
	repo.Blobs(ctx, ids[:min(len(ids), mostVersions)], func(_ string, data []byte) error {
		if _, err := key.Open(data); err == nil {
			found = true
			return errFound
		}
		return nil
	})
	return found
}

var errFound = errors.New("found")

// Vault merges the three versions of secrets.enc that git gives, into ours. The
// state is nil where nothing is left to settle. After an error ours is as it was,
// and the state notes that too, for 'resolve'.
func (m *Merger) Vault(ctx context.Context, s Sides) (*VaultResult, *State, error) {
	base, ours, theirs, err := s.read()
	if err != nil {
		return nil, nil, err
	}
	r, err := m.MergeSealed(ctx, s.Path, base, ours, theirs)
	if m.inner(ctx, s) {
		if err == nil {
			err = m.spoil(s, r)
		}
		return r, nil, err
	}
	state := NewState(m.Layout, s.Path)
	state.BaseFile, state.OursFile, state.TheirsFile = base, ours, theirs
	keep := m.begin(ctx, state, ours, r)
	failed := func(err error) (*VaultResult, *State, error) {
		state.Failed, state.Contested = true, nil
		state.LeftAs(ours)
		if keep {
			m.note(ctx, state) // where that fails, too, git's own conflict says it
		}
		return nil, state, err
	}
	if err != nil {
		return failed(err)
	}
	sealed := r.Same
	if sealed == nil || len(r.Contested) > 0 {
		// A contested one is sealed again in any case: that nobody settled it is
		// known by its bytes.
		if sealed, err = r.Key.Seal(r.Vault.Encode()); err != nil {
			return failed(err)
		}
	}
	state.contest(r)
	if len(r.Contested) == 0 {
		if err := m.publish(s, ours, sealed); err != nil {
			return failed(err)
		}
		if keep {
			m.keep(func() error { state.Forget(); return nil }) // of an earlier try
		}
		return r, nil, nil
	}
	// The note first: a vault that was left open and says so nowhere would lose
	// what theirs had.
	state.LeftAs(sealed)
	if keep {
		if err := m.note(ctx, state); err != nil {
			return failed(err)
		}
	}
	return r, state, m.publish(s, ours, sealed)
}

// begin looks at the note of an earlier merge of the vault. keep is false where
// that merge still waits to be settled: git begins no other beside it, but has
// the driver called to look ('git merge-tree', 'git log --remerge-diff'), and the
// note must stay. What went into a commit unsettled, by a rebase that was told to
// go on, is contested again.
func (m *Merger) begin(ctx context.Context, state *State, ours []byte, r *VaultResult) (keep bool) {
	old, err := readState(state.file)
	if err != nil || old == nil {
		return true
	}
	if old.sameSides(state) {
		state.Left, state.Earlier = old.Left, old.Earlier // may be what is in the index
		return true
	}
	repo, err := m.Repo()
	if err != nil {
		return true
	}
	if waits, err := old.waits(ctx, repo); err == nil && waits {
		return false
	}
	if r == nil || old.Failed || !old.WasLeftAs(ours) {
		return true
	}
	for _, c := range old.Contested {
		if !c.Settled && !r.contests(c.Name) && r.differ(c.Name) {
			r.Contested = append(r.Contested, formation.Contest{Name: c.Name, Ours: c.Ours, Theirs: c.Theirs})
		}
	}
	slices.SortFunc(r.Contested, func(a, b formation.Contest) int { return strings.Compare(a.Name, b.Name) })
	return true
}

func (r *VaultResult) contests(name string) bool {
	return slices.ContainsFunc(r.Contested, func(c formation.Contest) bool { return c.Name == name })
}

// differ reports whether the sides do not agree on a name.
func (r *VaultResult) differ(name string) bool {
	return slices.ContainsFunc(formation.DiffVaults(r.ours, r.theirs), func(c formation.Change) bool { return c.Name == name })
}

// spoil writes the result of an inner merge. A contested name must equal
// neither side there, or the outer merge would take the other in silence.
func (m *Merger) spoil(s Sides, r *VaultResult) error {
	for _, c := range r.Contested {
		r.Vault.Spoil(c.Name)
	}
	sealed, err := r.Key.Seal(r.Vault.Encode())
	if err != nil {
		return err
	}
	return m.publish(s, nil, sealed)
}

// keep has write leave in the git dir what outlives the driver, and reports whether
// it did: of a simulated merge nothing is kept.
func (m *Merger) keep(write func() error) (kept bool, err error) {
	if m.Simulated {
		return false, nil
	}
	return true, write()
}

// note writes the state.
func (m *Merger) note(ctx context.Context, state *State) error {
	_, err := m.keep(func() error {
		state.Theirs = m.theirs()
		if repo, err := m.Repo(); err == nil {
			state.Head, _, _ = repo.Head(ctx)
		}
		// The two are read apart, and the one that outlives the merge goes first.
		if err := state.keepLost(m.Layout, m.Files); err != nil {
			return err
		}
		return state.keep(m.Files)
	})
	return err
}

// KeepOwn copies a .key that a merge was done with to the git dir: a renamed folder
// leaves it behind. That it cannot be kept is no reason for a merge to fail.
func (m *Merger) KeepOwn(vaultPath string, r *VaultResult) {
	own := m.Keys.Own(vaultPath)
	if own == nil || !own.Key.Equal(r.KeyOf(false)) && !own.Key.Equal(r.KeyOf(true)) {
		return
	}
	m.keep(func() error {
		return m.Files.Do(func(batch *safefile.Batch) error { return m.Keys.Keyring().Add(batch, own.Key, own.Content) })
	})
}

// publish gives ours its new content, all of it or nothing.
func (m *Merger) publish(s Sides, old, content []byte) error {
	if old != nil && string(old) == string(content) {
		return nil
	}
	// Ours lies at the top, where nobody would look for what a kill leaves.
	home := filepath.Join(m.Layout.Top, filepath.FromSlash(path.Dir(s.Path)))
	batch := m.Files.Batch(safefile.Place{Folders: []string{home}})
	defer batch.Discard()
	if err := batch.Replace(s.Ours, content, 0o600); err != nil {
		return err
	}
	return batch.Commit()
}

// theirs is the commit that git brings in, where it says.
func (m *Merger) theirs() string {
	if m.Stopped.Theirs != "" {
		return m.Stopped.Theirs
	}
	return m.Layout.Incoming(m.Environ)
}

// wrappedKey is the .key.age that a side has beside its vault, as far as the
// commit of that side is known; nil where not. A cherry-pick does not tell its
// driver which commit it picks: there it is any that has the vault like this.
func (m *Merger) wrappedKey(ctx context.Context, vaultPath, side string, sealed []byte) []byte {
	repo, err := m.Repo()
	if err != nil {
		return nil
	}
	rev := "HEAD"
	if side != "ours" {
		if rev = m.theirs(); rev == "" {
			if rev = commitWith(ctx, repo, vaultPath, sealed); rev == "" {
				return nil
			}
			return gitutil.Show(ctx, repo, rev, path.Join(path.Dir(vaultPath), formation.WrappedKeyFile))
		}
	}
	switch one := m.Stopped.Kind; {
	case one == "revert" && side == "theirs", one != "" && one != "merge" && one != "revert" && side == "base":
		rev += "^"
	case side == "base" && one != "revert":
		base, ok, err := repo.MergeBase(ctx, "HEAD", rev)
		if err != nil || !ok {
			return nil
		}
		rev = base
	}
	return gitutil.Show(ctx, repo, rev, path.Join(path.Dir(vaultPath), formation.WrappedKeyFile))
}

// commitWith finds a commit of a branch that brought a file with this content; ""
// where there is none.
func commitWith(ctx context.Context, repo gitutil.Repository, file string, content []byte) (commit string) {
	ids := gitutil.BlobIDs(content)
	branches, err := repo.Branches(ctx)
	if err != nil {
		return ""
	}
	looked := map[string]bool{}
	for _, branch := range branches {
		if looked[branch.ID] {
			continue
		}
		looked[branch.ID] = true
		repo.Log(ctx, branch.ID, []string{path.Base(file)}, func(e *gitutil.LogEntry) error {
			for _, c := range e.Changes {
				if c.Path == file && slices.Contains(ids, c.New) {
					commit = e.Hash
					return errFound
				}
			}
			return nil
		})
		if commit != "" {
			return commit
		}
	}
	return ""
}

// Template merges the template, into ours; nil content has it deleted by git's
// own means only, so an empty file stands for that.
func (m *Merger) Template(s Sides) error {
	base, ours, theirs, err := s.read()
	if err != nil {
		return err
	}
	merged := formation.MergeTemplates(base, ours, theirs)
	return m.publish(s, ours, merged)
}

// People merges .age-recipients by entry, into ours.
func (m *Merger) People(ctx context.Context, s Sides) error {
	contents := [3][]byte{}
	var err error
	if contents[0], contents[1], contents[2], err = s.read(); err != nil {
		return err
	}
	if !m.inner(ctx, s) {
		merged, ok, err := m.sharing(ctx, path.Dir(s.Path), formation.RecipientsFile, contents)
		if err == nil && ok {
			m.Newcomers = merged.news
			merged.sign()
			return m.publish(s, contents[1], merged.people.Encode())
		}
	}
	// Nobody signs it: that is left to 'share wrap'.
	merged, err := mergePeople(contents)
	if err != nil {
		return err
	}
	return m.publish(s, contents[1], merged.Encode())
}

// gone names the people of a list who are not among those that stay.
func gone(list []byte, stay *formation.People) []string {
	had, err := formation.ParsePeople(list)
	if err != nil {
		return nil
	}
	var names []string
	for _, p := range had.All() {
		if len(stay.Find(p.Recipient)) > 0 {
			continue
		}
		if p.Name == "" {
			p.Name = p.Recipient
		}
		names = append(names, p.Name)
	}
	return names
}

func mergePeople(contents [3][]byte) (*formation.People, error) {
	var people [3]*formation.People
	for i, content := range contents {
		p, err := formation.ParsePeople(content)
		if err != nil {
			return nil, err
		}
		people[i] = p
	}
	return formation.MergePeople(people[0], people[1], people[2]), nil
}

// WrappedKey merges .key.age, into ours: the key that the merged vault is sealed
// with, wrapped for the merged list of people. ok is false where that is not to
// be known, since git does not say which commits it merges; ours is then as it
// was, and 'share wrap' does it afterwards.
func (m *Merger) WrappedKey(ctx context.Context, s Sides) (ok bool, err error) {
	base, ours, theirs, err := s.read()
	if err != nil {
		return false, err
	}
	if m.inner(ctx, s) {
		// It must equal neither side, or the outer merge would take one.
		return false, m.publish(s, nil, append(ours, "\nboth sides of an inner merge\n"...))
	}
	merged, ok, err := m.sharing(ctx, path.Dir(s.Path), formation.WrappedKeyFile, [3][]byte{base, ours, theirs})
	if err != nil || !ok || len(merged.people.Recipients()) == 0 {
		return false, err
	}
	if m.Newcomers = merged.news; len(m.Newcomers) > 0 {
		return false, nil
	}
	r, people := merged.result, merged.people
	for i, list := range merged.lists {
		if i > 0 && r.Key.Equal(r.keys[i]) {
			m.Exposed = append(m.Exposed, gone(list, people)...)
		}
	}
	content := r.Key.File()
	if own := m.Keys.Own(s.Path); own != nil && own.Key.Equal(r.Key) {
		content = own.Content
	}
	wrapped, err := crypto.Wrap(content, people.Recipients(), nil)
	if err != nil {
		return false, nil
	}
	return true, m.publish(s, ours, wrapped)
}
