// Package history is what the commits of a repository did to its vaults, and
// which of the keys at hand opens which version of them.
package history

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"path"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// History is what the commits of a repository did to its vaults. Of each version
// it keeps what tells values apart, never a value.
type History struct {
	// Shallow says that the clone does not hold all of it.
	Shallow bool
	// AtLeast, after Ages, has the names whose values came no later than where a
	// shallow clone ends, by folder, and when that was: they may be older.
	AtLeast map[string]map[string]time.Time

	ctx      context.Context
	repo     gitutil.Repository
	keys     *Keys
	seed     maphash.Seed
	entries  []*gitutil.LogEntry
	cut      map[string]bool // commits at which a shallow clone ends
	versions map[string]*Version
	wrapped  func() [][]byte
}

// VaultCommit is what one commit did to the vault of one formation.
type VaultCommit struct {
	*gitutil.LogEntry
	Dir       string             // the formation's folder in it, from the top, with /
	Changes   []formation.Change // sorted by name
	Rotated   bool               // sealed with another key than before
	From, To  *crypto.Key        // of a rotation
	Converted crypto.Format      // the format it has since; "" where it had it before
	MovedFrom string             // the folder it had before, where it has another since
	// Oldest says that a shallow clone ends here: what it seems to add may be older.
	Oldest bool
	// Err is why it cannot be said what was changed: a version does not open.
	Err error

	after *Version
}

// Read asks git once which commits reachable from rev ("" for HEAD) touch
// a vault; what is in them is read as Walk needs it. A repository without a
// commit has an empty history. ahead, where not nil, has versions opened while git
// still looks for more. Errors: *gitutil.RevisionError.
func Read(ctx context.Context, repo gitutil.Repository, keys *Keys, rev string, ahead *Ahead) (*History, error) {
	h := &History{ctx: ctx, repo: repo, keys: keys, seed: maphash.MakeSeed(), cut: repo.Layout().ShallowCommits(), versions: map[string]*Version{"": {}}}
	h.wrapped = sync.OnceValue(h.readWrapped)
	feed, wait := h.start(ahead)
	err := repo.Log(ctx, rev, []string{formation.VaultFile}, func(e *gitutil.LogEntry) error {
		h.entries = append(h.entries, e)
		feed(e)
		return nil
	})
	wait()
	var shallow *gitutil.ShallowError
	var unborn *gitutil.RevisionError
	switch {
	case errors.As(err, &shallow):
		h.Shallow = true
		return h, nil
	case errors.As(err, &unborn) && rev == "":
		if _, ok, headErr := repo.Head(ctx); headErr == nil && !ok {
			return h, nil
		}
	}
	return h, err
}

// Ahead is for a Walk that will need nearly all versions: those of the formations
// in Dirs are read by a repository of its own, opened once more.
type Ahead struct {
	Reopen func() (gitutil.Repository, error)
	Dirs   []string
}

// start reads ahead what feed is given, until wait. It is no place to fail: what
// it does not open is opened when it is needed.
func (h *History) start(ahead *Ahead) (feed func(*gitutil.LogEntry), wait func()) {
	if ahead == nil {
		return func(*gitutil.LogEntry) {}, func() {}
	}
	var trails []*trail
	for _, dir := range ahead.Dirs {
		trails = append(trails, &trail{paths: []string{path.Join(dir, formation.VaultFile)}})
	}
	entries := make(chan *gitutil.LogEntry, 4096)
	var done sync.WaitGroup
	done.Go(func() {
		repo, err := ahead.Reopen()
		if err == nil {
			defer repo.Close()
		}
		for e := range entries {
			batch := []*gitutil.LogEntry{e}
			for len(entries) > 0 && len(batch) < 512 {
				if more := <-entries; more != nil {
					batch = append(batch, more)
				}
			}
			if err == nil {
				ids, file := h.wanted(batch, trails)
				hard, failed := h.openEasy(repo, ids, file)
				if len(hard) > 0 {
					failed = errors.Join(failed, errHard)
				}
				err = failed
			}
		}
	})
	return func(e *gitutil.LogEntry) { entries <- e }, func() {
		close(entries)
		done.Wait()
	}
}

var errHard = errors.New("no key near at hand")

// readWrapped reads every .key.age there ever was, newest first. It is asked for
// only when nothing else opens a version.
func (h *History) readWrapped() [][]byte {
	var ids []string
	h.repo.Log(h.ctx, "", []string{formation.WrappedKeyFile}, func(e *gitutil.LogEntry) error {
		for _, c := range e.Changes {
			for _, id := range []string{c.New, c.Old} {
				if id != "" && !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
		return nil
	})
	var all [][]byte
	h.repo.Blobs(h.ctx, ids, func(_ string, data []byte) error {
		all = append(all, bytes.Clone(data))
		return nil
	}) // as far as it goes: this is for what would else not open at all
	return all
}

// trail follows one formation back through the history. paths are those its
// vault has had so far, the one it has now first; a branch may still be at an
// older one.
type trail struct {
	number int
	paths  []string
	done   bool
}

// firstBatch is how many commits are read at first, so that `log -n 1` does not
// read them all. Each batch is twice as large.
const firstBatch = 64

// Walk goes through the history of the formations in dirs (from the top, with
// /), newest first, and follows each when its folder is renamed. visit is told
// the number of the formation in dirs and what a commit did to it; it returns
// false when it needs no more of that formation. Commits that changed no name, no
// key and no folder are left out, and so are merges that only join what other
// commits did. Errors: what git says.
func (h *History) Walk(dirs []string, visit func(n int, c *VaultCommit) bool) error {
	var trails []*trail
	for i, dir := range dirs {
		trails = append(trails, &trail{number: i, paths: []string{path.Join(dir, formation.VaultFile)}})
	}
	return h.walk(h.entries, trails, visit)
}

// walk is Walk along trails, through these commits.
func (h *History) walk(entries []*gitutil.LogEntry, trails []*trail, visit func(n int, c *VaultCommit) bool) error {
	size := firstBatch
	for at := 0; at < len(entries); {
		end := min(at+size, len(entries))
		if err := h.load(entries[at:end], trails); err != nil {
			return err
		}
		moved := false
		for ; at < end && !moved; at++ {
			for _, t := range trails {
				if t.done {
					continue
				}
				c, followed := h.judge(entries[at], t)
				moved = moved || followed // what lies behind must be looked for under another path
				if c != nil && !visit(t.number, c) {
					t.done = true
				}
			}
		}
		if !slices.ContainsFunc(trails, func(t *trail) bool { return !t.done }) {
			return nil
		}
		size = min(2*size, 8192)
	}
	return nil
}

// load opens the versions that trails need of these commits.
func (h *History) load(entries []*gitutil.LogEntry, trails []*trail) error {
	ids, file := h.wanted(entries, trails)
	return h.open(ids, file)
}

// wanted lists the blobs of versions that trails need of these commits and that
// were not opened yet, and the path of each.
func (h *History) wanted(entries []*gitutil.LogEntry, trails []*trail) (ids []string, file map[string]string) {
	paths := map[string]bool{}
	for _, t := range trails {
		if !t.done {
			for _, p := range t.paths {
				paths[p] = true
			}
		}
	}
	file = map[string]string{}
	want := func(id, path string) {
		if _, ok := h.versions[id]; !ok && file[id] == "" {
			file[id] = path
			ids = append(ids, id)
		}
	}
	for _, e := range entries {
		appeared := false
		for _, c := range e.Changes {
			if paths[c.Path] {
				want(c.New, c.Path)
				want(c.Old, c.Path)
				appeared = appeared || c.Old == ""
			}
		}
		if appeared && len(e.Changes) > 1 {
			for _, c := range e.Changes {
				if c.New == "" {
					want(c.Old, c.Path) // the same vault, perhaps, in another folder
				}
			}
		}
	}
	return ids, file
}

// sealedBlob is a version that is not opened yet.
type sealedBlob struct {
	id     string
	sealed []byte
}

// open reads and opens blobs. Those that no key near at hand opens come last, one
// by one: for them git may be asked.
func (h *History) open(ids []string, file map[string]string) error {
	hard, err := h.openEasy(h.repo, ids, file)
	if err != nil {
		return err
	}
	for _, b := range hard {
		if h.ctx.Err() != nil {
			return context.Cause(h.ctx)
		}
		h.versions[b.id], _ = h.opened(b.sealed, func() ([]byte, *crypto.Key, error) {
			return h.keys.open(file[b.id], b.sealed, h.wrapped)
		})
	}
	return nil
}

// openEasy reads blobs and opens them on all cores; it returns those that no key
// near at hand opens.
func (h *History) openEasy(repo gitutil.Repository, ids []string, file map[string]string) (hard []sealedBlob, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	jobs := make(chan sealedBlob, 64)
	var mu sync.Mutex
	var done sync.WaitGroup
	for range max(1, runtime.GOMAXPROCS(0)) {
		done.Go(func() {
			for j := range jobs {
				v, ok := h.opened(j.sealed, func() ([]byte, *crypto.Key, error) { return h.keys.openNear(file[j.id], j.sealed) })
				mu.Lock()
				if ok {
					h.versions[j.id] = v
				} else {
					hard = append(hard, j)
				}
				mu.Unlock()
			}
		})
	}
	err = repo.Blobs(h.ctx, ids, func(id string, data []byte) error {
		jobs <- sealedBlob{id, bytes.Clone(data)}
		return nil
	})
	close(jobs)
	done.Wait()
	return hard, err
}

// opened makes a version of what a key opens; ok is false where none did.
func (h *History) opened(sealed []byte, open func() ([]byte, *crypto.Key, error)) (v *Version, ok bool) {
	plaintext, key, err := open()
	v = &Version{Key: key, Err: err}
	if err == nil {
		v.Sums, v.Err = formation.SumsOf(plaintext, h.seed)
	}
	if key != nil {
		v.Format = key.Format()
	} else {
		v.Format, _ = crypto.Detect(sealed)
	}
	return v, key != nil
}

// judge says what a commit did to the formation of a trail; nil is nothing.
// followed says that the trail leads on under another path.
func (h *History) judge(e *gitutil.LogEntry, t *trail) (c *VaultCommit, followed bool) {
	if !slices.ContainsFunc(e.Changes, func(change gitutil.LogChange) bool { return slices.Contains(t.paths, change.Path) }) {
		return nil, false
	}
	parents := max(len(e.Parents), 1)
	c = &VaultCommit{LogEntry: e, Oldest: h.cut[e.Hash]}
	var moves []move
	settled := false // equal to a parent in all that counts
	for parent := range parents {
		now := t.find(e.Changes, parent)
		if now == nil {
			settled = true // the very file of that parent
			continue
		}
		before, after := h.versions[now.Old], h.versions[now.New]
		var from *gitutil.LogChange
		if now.Old == "" {
			from = h.movedFrom(now, e)
		}
		if from != nil {
			before = h.versions[from.Old]
			moves = append(moves, move{from: from.Path, to: now.Path})
		}
		one := compare(before, after)
		one.Dir, one.after = path.Dir(now.Path), after
		if from != nil {
			one.MovedFrom = path.Dir(from.Path)
		}
		if one.empty() {
			settled = true
		}
		if parent == 0 {
			c.take(one)
		} else {
			c.both(one)
		}
	}
	for _, m := range moves {
		t.follow(m, parents > 1)
	}
	if settled || c.empty() {
		c = nil
	}
	return c, len(moves) > 0
}

type move struct{ from, to string }

// find picks the change, against one parent, of the file that a trail is at.
func (t *trail) find(changes []gitutil.LogChange, parent int) *gitutil.LogChange {
	var found *gitutil.LogChange
	for _, p := range t.paths {
		for i := range changes {
			if c := &changes[i]; c.Parent == parent && c.Path == p && (found == nil || found.New == "" && c.New != "") {
				found = c
			}
		}
	}
	return found
}

// movedFrom finds where a vault was before that appears in a commit; nil where it
// is new.
func (h *History) movedFrom(now *gitutil.LogChange, e *gitutil.LogEntry) *gitutil.LogChange {
	var changes []*gitutil.LogChange
	var gone []Gone
	appeared := 0
	for i := range e.Changes {
		c := &e.Changes[i]
		switch {
		case c.Parent != now.Parent:
		case c.Old == "":
			appeared++
		case c.New == "":
			changes = append(changes, c)
			gone = append(gone, Gone{h.versions[c.Old], c.Old == now.New})
		}
	}
	sameFile := func(i int) bool {
		return now.Parent < len(e.Parents) && h.sameFormation(e.Parents[now.Parent], path.Dir(changes[i].Path), e.Hash, path.Dir(now.Path))
	}
	if i := MovedFrom(h.versions[now.New], gone, appeared == 1, sameFile); i >= 0 {
		return changes[i]
	}
	return nil
}

// sameFormation reports whether two folders of two commits have the same
// formation file.
func (h *History) sameFormation(rev, dir, otherRev, otherDir string) bool {
	content := formationFileAt(h.ctx, h.repo, rev, dir)
	return content != nil && bytes.Equal(content, formationFileAt(h.ctx, h.repo, otherRev, otherDir))
}

// formationFileAt is the file that makes a folder of a commit a formation; nil
// where it is none.
func formationFileAt(ctx context.Context, repo gitutil.Repository, rev, dir string) []byte {
	var content []byte
	only := dir
	if dir == "." {
		only = ""
	}
	is := func(p string) bool { return path.Dir(p) == dir && formation.IsFormationFile(path.Base(p)) }
	repo.TreeBlobs(ctx, rev, only, gitutil.Visitor{
		Want: func(p string, _ gitutil.Mode) bool { return is(p) },
		Blob: func(b *gitutil.Blob) error {
			if content == nil && is(b.Path) {
				content = append([]byte{}, b.Data...)
			}
			return nil
		},
	})
	return content
}

// follow leads a trail on under the path from before a rename. In a merge one
// side had the new path already.
func (t *trail) follow(m move, merge bool) {
	t.paths = slices.DeleteFunc(t.paths, func(p string) bool { return p == m.from || p == m.to && !merge })
	if merge {
		t.paths = append(t.paths, m.from)
	} else {
		t.paths = slices.Insert(t.paths, 0, m.from)
	}
}

// compare says what leads from one version to another.
func compare(before, after *Version) *VaultCommit {
	c := &VaultCommit{}
	switch {
	case before == after: // the very bytes, which only went elsewhere
	case after.Err != nil:
		c.Err = after.Err
	case before.Err != nil:
		c.Err = before.Err
	default:
		c.Changes = formation.DiffSums(before.Sums, after.Sums)
	}
	if before.Key != nil && after.Key != nil && !before.Key.Equal(after.Key) {
		c.Rotated, c.From, c.To = true, before.Key, after.Key
	}
	if before.Format != "" && after.Format != "" && before.Format != after.Format {
		c.Converted = after.Format
	}
	return c
}

func (c *VaultCommit) empty() bool {
	return len(c.Changes) == 0 && !c.Rotated && c.Converted == "" && c.MovedFrom == "" && c.Err == nil
}

func (c *VaultCommit) take(o *VaultCommit) {
	c.Dir, c.Changes, c.Converted, c.MovedFrom, c.Err, c.after = o.Dir, o.Changes, o.Converted, o.MovedFrom, o.Err, o.after
	c.Rotated, c.From, c.To = o.Rotated, o.From, o.To
}

// both keeps what is so against another parent, too: a merge's own doing.
func (c *VaultCommit) both(o *VaultCommit) {
	if c.after == nil { // the parents before had no part in it
		c.Dir, c.after = o.Dir, o.after
	}
	if c.Err == nil && o.Err == nil {
		c.Changes = slices.DeleteFunc(slices.Clone(c.Changes), func(x formation.Change) bool {
			return !slices.ContainsFunc(o.Changes, func(y formation.Change) bool { return x.Name == y.Name })
		})
	} else if c.Err == nil {
		c.Changes, c.Err = nil, o.Err
	}
	c.Rotated = c.Rotated && o.Rotated
	if c.Converted != o.Converted {
		c.Converted = ""
	}
	if c.MovedFrom != o.MovedFrom {
		c.MovedFrom = ""
	}
}

// Ages says since when each name of the vaults has had its value: the author's
// date of the commit that brought it, or now where none did. current holds the
// vaults by their folder, from the top, with /; nil ones are passed over. A name
// is left out where no version says when: those before do not open, or are cut
// off (AtLeast).
func (h *History) Ages(current map[string]*formation.Vault, now time.Time) (map[string]map[string]time.Time, error) {
	var dirs []string
	for dir, vault := range current {
		if vault != nil {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	committed, err := h.atHead(dirs)
	if err != nil {
		return nil, err
	}

	all := make([]*dating, len(dirs))
	for i, dir := range dirs {
		all[i] = newDating(committed[dir], current[dir].Sums(h.seed), now)
	}
	err = h.Walk(dirs, func(n int, c *VaultCommit) bool {
		if c.after != nil && c.after.Err == nil {
			all[n].see(c)
		}
		return len(all[n].open) > 0
	})

	ages := map[string]map[string]time.Time{}
	h.AtLeast = map[string]map[string]time.Time{}
	for i, dir := range dirs {
		for name, date := range all[i].least {
			if _, still := all[i].open[name]; still {
				all[i].ages[name] = date
			}
		}
		ages[dir] = all[i].ages
		if len(all[i].cutOff) > 0 {
			h.AtLeast[dir] = all[i].cutOff
		}
	}
	return ages, err
}

// dating finds out since when the names of one vault have had their values.
type dating struct {
	open   map[string]uint64    // the value of each name that is still to be dated
	ages   map[string]time.Time // what has been dated
	least  map[string]time.Time // when a value was there for sure
	cutOff map[string]time.Time // the same, where the history ends
}

// newDating dates what is not in the vault of HEAD; nil is the empty one.
func newDating(head *Version, sums []formation.Sum, now time.Time) *dating {
	d := &dating{map[string]uint64{}, map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}}
	for _, sum := range sums {
		d.open[sum.Name] = sum.Value
	}

	if head == nil {
		head = &Version{}
	}
	if head.Err != nil {
		return d
	}
	for _, c := range formation.DiffSums(head.Sums, sums) {
		if _, ok := d.open[c.Name]; ok {
			d.ages[c.Name] = now
			delete(d.open, c.Name)
		}
	}
	return d
}

// see takes in a commit; those come from the newest on.
func (d *dating) see(c *VaultCommit) {
	brought := map[string]bool{}
	for _, change := range c.Changes {
		brought[change.Name] = true
	}

	for _, sum := range c.after.Sums {
		value, ok := d.open[sum.Name]
		switch {
		case !ok || value != sum.Value:
		case brought[sum.Name] && c.Oldest:
			d.cutOff[sum.Name] = c.Date
			delete(d.open, sum.Name)
		case brought[sum.Name]:
			d.ages[sum.Name] = c.Date
			delete(d.open, sum.Name)
		case c.Err != nil:
			d.least[sum.Name] = c.Date // it may be older
		}
	}
}

// atHead opens the vaults that HEAD has in these folders.
func (h *History) atHead(dirs []string) (map[string]*Version, error) {
	found := map[string]*Version{}
	if len(h.entries) == 0 || len(dirs) == 0 {
		return found, nil
	}
	only := ""
	if len(dirs) == 1 {
		only = path.Join(dirs[0], formation.VaultFile)
	}
	sealed := map[string][]byte{}
	err := h.repo.TreeBlobs(h.ctx, "HEAD", only, gitutil.Visitor{
		Want: func(p string, _ gitutil.Mode) bool {
			return path.Base(p) == formation.VaultFile && slices.Contains(dirs, path.Dir(p))
		},
		Blob: func(b *gitutil.Blob) error {
			sealed[b.Path] = bytes.Clone(b.Data)
			return nil
		},
	})
	for p, content := range sealed {
		found[path.Dir(p)], _ = h.opened(content, func() ([]byte, *crypto.Key, error) { return h.keys.open(p, content, h.wrapped) })
	}
	return found, err
}
