package trust

import (
	"bytes"
	"context"
	"errors"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// Folder is one formation of a repository, whose sharing is asked about. What git
// said is remembered.
type Folder struct {
	Repo gitutil.Repository // nil: there is none, and a list is all there is
	Dir  string             // from the top, with /
	// Was are the folders that it was before, by HEAD's history.
	Was []string
	// Vanished are the pins of folders that are there no more; nil: they are looked for.
	Vanished Pinned
	// File is the work tree's list; nil: there is none.
	File []byte
	// Merging are commits that are being brought in.
	Merging []string
	Kept    []*crypto.Key // keys that this clone had
	KeyFile []byte        // the bytes of the .key at hand; nil: there is none
	// Retired reports whether HEAD's history has the vault sealed with a later key;
	// nil: it is not known. The lists say so besides.
	Retired func(*crypto.Key) bool

	lists   map[string]List            // by blob
	history func() []*gitutil.LogEntry // HEAD's, newest first
	whole   func() []*gitutil.LogEntry // that, and what a merge took nothing of
	coming  func() []*gitutil.LogEntry // that of what is being brought in
}

// PinsOf is where a repository keeps its pins.
func PinsOf(layout gitutil.Layout) formation.Pins {
	if layout.GitDir == "" {
		return formation.Pins{}
	}

	in := func(gitDir string) string { return filepath.Join(gitDir, "muxi-secrets", "pins") }
	pins := formation.Pins{Dir: in(layout.GitDir)}
	others, _ := filepath.Glob(filepath.Join(layout.CommonDir, "worktrees", "*"))
	for _, gitDir := range append([]string{layout.CommonDir}, others...) {
		if dir := in(gitDir); dir != pins.Dir {
			pins.Others = append(pins.Others, dir)
		}
	}
	return pins
}

// mostVersions bounds how many lists are read.
const mostVersions = 20_000

// Gather collects what a key of the formation is judged by. Errors: what git
// says, *safefile.Error.
func (f *Folder) Gather(ctx context.Context) (*Evidence, error) {
	e := &Evidence{File: ReadList(f.File)}
	if f.Repo == nil {
		return e, nil
	}

	f.lists = map[string]List{"": {}}
	f.history = sync.OnceValue(func() []*gitutil.LogEntry { return f.versions(ctx, listLog(ctx, f.Repo, "")) })
	f.whole = sync.OnceValue(func() []*gitutil.LogEntry {
		return f.versions(ctx, readLog(ctx, f.Repo, gitutil.Repository.LogAll, ""))
	})
	f.coming = sync.OnceValue(func() (all []*gitutil.LogEntry) {
		for _, rev := range f.Merging {
			all = append(all, listLog(ctx, f.Repo, rev)...)
		}
		return f.versions(ctx, all)
	})
	if err := f.pins(e); err != nil {
		return nil, err
	}
	if err := f.tips(ctx, e); err != nil {
		return nil, err
	}
	if err := f.sides(ctx, e); err != nil {
		return nil, err
	}

	e.InHead = func(commit string) bool {
		base, ok, err := f.Repo.MergeBase(ctx, "HEAD", commit)
		return err == nil && ok && base == commit
	}
	e.WasSigned = func() bool {
		return f.anyVersion(f.whole(), func(l List) bool { return l.State >= Broken })
	}
	e.Kept = func(key crypto.PublicKey) bool { return f.kept(key) != nil }
	e.Replaced = func(key crypto.PublicKey) (crypto.PublicKey, bool) { return f.replaced(e, key) }
	e.Retired = func(key crypto.PublicKey) bool {
		one := f.kept(key)
		_, replaced := f.replaced(e, key)
		return replaced || one != nil && f.Retired != nil && f.Retired(one)
	}
	e.Elsewhere = func(key crypto.PublicKey) bool { return f.elsewhere(key) }
	e.Accepted = func(key crypto.PublicKey) bool {
		accepted, err := PinsOf(f.Repo.Layout()).Accepted(key)
		return accepted || err != nil
	}
	e.Arrived = func() bool { return f.arrived(ctx) }
	return e, nil
}

// elsewhere reports whether a key is pinned for another folder, or was. Where that
// cannot be read it is.
func (f *Folder) elsewhere(key crypto.PublicKey) bool {
	all, err := PinsOf(f.Repo.Layout()).All()
	return err != nil || slices.ContainsFunc(all, func(pin formation.Pin) bool {
		return pin.Folder != f.Dir && !slices.Contains(f.Was, pin.Folder) && pin.Had(key)
	})
}

// arrived reports whether git has the bytes of the .key: a pull lays a committed
// one over one that is ignored, and 'git rm --cached' or a reset leaves it there.
func (f *Folder) arrived(ctx context.Context) bool {
	if f.KeyFile == nil {
		return false
	}
	lf := bytes.ReplaceAll(f.KeyFile, []byte("\r\n"), []byte("\n")) // as git has it, where an attribute asks for CRLF
	for _, id := range append(gitutil.BlobIDs(f.KeyFile), gitutil.BlobIDs(lf)...) {
		if err := f.Repo.Blobs(ctx, []string{id}, func(string, []byte) error { return nil }); err == nil {
			return true
		}
	}
	return false
}

// pins takes the folder's pin and those of folders that are gone.
func (f *Folder) pins(e *Evidence) (err error) {
	layout := f.Repo.Layout()
	vanished := f.Vanished
	if vanished == nil {
		vanished = Vanished(layout)
	}
	pins, err := PinsFor(layout, f.Dir, vanished)
	switch {
	case err != nil:
		return err
	case len(pins) == 1 && pins[0].Folder == f.Dir:
		e.Pin, e.Pinned = pins[0], true
	default:
		e.Vanished = pins
	}
	return nil
}

// PinsFor returns what keys of a folder are judged by: its pin or, where it has
// none, those of folders that are there no more, since it may have been one of
// them. Errors: *safefile.Error.
func PinsFor(layout gitutil.Layout, dir string, vanished Pinned) ([]formation.Pin, error) {
	if pin, ok, err := PinsOf(layout).Get(dir); ok || err != nil {
		return []formation.Pin{pin}, err
	}
	return vanished()
}

// Pinned returns pins. Errors: *safefile.Error.
type Pinned func() ([]formation.Pin, error)

// Vanished looks, when first asked, for the pins of folders that are there no more.
// What it found stays: a command pins folders that are there.
func Vanished(layout gitutil.Layout) Pinned {
	return sync.OnceValues(func() ([]formation.Pin, error) {
		all, err := PinsOf(layout).All()
		return slices.DeleteFunc(all, func(pin formation.Pin) bool {
			_, gone := formation.At(filepath.Join(layout.Top, filepath.FromSlash(pin.Folder)))
			return gone == nil || pin.Gone
		}), err
	})
}

// tips reads the list of HEAD and those of the branches.
func (f *Folder) tips(ctx context.Context, e *Evidence) error {
	branches, err := f.Repo.Branches(ctx)
	if err != nil {
		return err
	}
	head, born, err := f.Repo.Head(ctx)
	if err != nil {
		return err
	}

	var commits []string
	for _, ref := range branches {
		commits = append(commits, ref.ID)
	}
	if born {
		commits = append(commits, head)
	}
	add := func(lists []List) {
		for i, ref := range branches {
			if len(lists[i].Chain) > 0 {
				e.Tips = append(e.Tips, Tip{ref.Name, ref.ID, lists[i]})
			}
		}
	}
	lists, err := f.listsIn(ctx, commits, f.files())
	if err != nil {
		return err
	}
	add(lists)
	if born {
		e.Head = lists[len(lists)-1]
	}

	// It may have been a folder that is gone, whatever the history shows of that: a
	// branch that has it still may know of another rotation.
	for _, pin := range e.Vanished {
		file := path.Join(pin.Folder, formation.RecipientsFile)
		if slices.Contains(f.files(), file) {
			continue
		}
		if lists, err = f.listsIn(ctx, commits, []string{file}); err != nil {
			return err
		}
		add(lists)
	}
	return nil
}

// listsIn reads the list of each commit: the first of the files that is there.
func (f *Folder) listsIn(ctx context.Context, commits, files []string) ([]List, error) {
	ids := make([]string, len(commits))
	for _, file := range files {
		found, err := f.Repo.FileIDs(ctx, gitutil.FilesAt(commits, file))
		if err != nil {
			return nil, err
		}
		for i, id := range found {
			if ids[i] == "" {
				ids[i] = id
			}
		}
		if !slices.Contains(ids, "") {
			break
		}
	}

	if err := f.read(ctx, ids); err != nil {
		return nil, err
	}
	lists := make([]List, len(ids))
	for i, id := range ids {
		lists[i] = f.lists[id]
	}
	return lists, nil
}

// files are the paths that the list may have.
func (f *Folder) files() []string {
	files := []string{path.Join(f.Dir, formation.RecipientsFile)}
	for _, dir := range f.Was {
		files = append(files, path.Join(dir, formation.RecipientsFile))
	}
	return files
}

// read reads blobs that were not read yet, each once.
func (f *Folder) read(ctx context.Context, ids []string) error {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		_, known := f.lists[id]
		return known
	})
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return f.Repo.Blobs(ctx, ids[:min(len(ids), mostVersions)], func(id string, data []byte) error {
		f.lists[id] = ReadList(bytes.Clone(data))
		return nil
	})
}

// sides reads the lists of a merge under way: stages of the index, and those of
// the commits that come in.
func (f *Folder) sides(ctx context.Context, e *Evidence) error {
	unmerged, err := f.Repo.Unmerged(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, conflict := range unmerged {
		if slices.Contains(f.files(), conflict.Path) {
			for _, stage := range conflict.Stages {
				ids = append(ids, stage.ID)
			}
		}
	}
	if err := f.read(ctx, ids); err != nil {
		return err
	}
	for _, id := range ids {
		e.Sides = append(e.Sides, f.lists[id])
	}

	coming, err := f.listsIn(ctx, f.Merging, f.files())
	e.Sides = append(e.Sides, coming...)
	return err
}

// listLog is what changed lists before a commit ("" for HEAD), as far as it goes:
// a shallow clone knows no more.
func listLog(ctx context.Context, repo gitutil.Repository, rev string) []*gitutil.LogEntry {
	return readLog(ctx, repo, gitutil.Repository.Log, rev)
}

func readLog(ctx context.Context, repo gitutil.Repository, log gitutil.LogFunc, rev string) (entries []*gitutil.LogEntry) {
	log(repo, ctx, rev, []string{formation.RecipientsFile}, func(entry *gitutil.LogEntry) error {
		entries = append(entries, entry)
		return nil
	})
	return entries
}

// versions picks what changed this list, and reads it.
func (f *Folder) versions(ctx context.Context, entries []*gitutil.LogEntry) (own []*gitutil.LogEntry) {
	var ids []string
	files := f.files()
	for _, entry := range entries {
		one := *entry
		one.Changes = nil
		for _, change := range entry.Changes {
			if slices.Contains(files, change.Path) {
				one.Changes = append(one.Changes, change)
				ids = append(ids, change.New, change.Old)
			}
		}
		if len(one.Changes) > 0 {
			own = append(own, &one)
		}
	}
	f.read(ctx, ids) // of what cannot be read nobody is taken for vouched for
	return own
}

// anyVersion asks about every version of the list in a history.
func (f *Folder) anyVersion(entries []*gitutil.LogEntry, is func(List) bool) bool {
	return slices.ContainsFunc(entries, func(entry *gitutil.LogEntry) bool {
		return slices.ContainsFunc(entry.Changes, func(c gitutil.LogChange) bool {
			return is(f.lists[c.New]) || is(f.lists[c.Old])
		})
	})
}

func (f *Folder) kept(key crypto.PublicKey) *crypto.Key {
	for _, one := range f.Kept {
		if one.Public() == key {
			return one
		}
	}
	return nil
}

// replaced returns a key that a list of HEAD's history is signed by, and that a key
// vouched for.
func (f *Folder) replaced(e *Evidence, key crypto.PublicKey) (later crypto.PublicKey, ok bool) {
	f.anyVersion(f.whole(), func(l List) bool {
		named, signed := l.Names()
		if signed && named != key && (e.chain().Leads(key, named) || l.Chain.Leads(key, named)) {
			later, ok = named, true
		}
		return ok
	})
	return later, ok
}

// Vouching returns the lists that vouch for people: the work tree's, those of a
// merge under way, and, on each parent line from HEAD and from what comes in, the
// nearest one that is signed by a key of the pinned one's succession.
func (f *Folder) Vouching(e *Evidence) []List {
	lists := append([]List{e.File}, e.Sides...)
	if f.Repo == nil {
		return lists
	}

	lists = append(lists, e.Head)
	if !e.own(e.Head) {
		lists = append(lists, f.nearest(f.history(), e.Head, e.own)...)
	}
	for _, side := range e.Sides {
		if !e.own(side) {
			lists = append(lists, f.nearest(f.coming(), side, e.own)...)
		}
	}
	return lists
}

// Past returns every version of the list in HEAD's history and in that of what comes
// in, the newest first.
func (f *Folder) Past() (lists []List) {
	if f.Repo == nil {
		return nil
	}
	for _, entry := range slices.Concat(f.coming(), f.whole()) {
		for _, change := range entry.Changes {
			lists = append(lists, f.lists[change.New], f.lists[change.Old])
		}
	}
	return lists
}

// nearest follows a version that does not count back, on each parent line, to the
// first that does.
func (f *Folder) nearest(history []*gitutil.LogEntry, list List, counts func(List) bool) (lists []List) {
	for i, entry := range history {
		made := false
		for _, change := range entry.Changes {
			if change.New == "" && list.State != NoList || !f.lists[change.New].Same(list) {
				continue
			}
			made = true
			before := f.lists[origin(entry, change)]
			if counts(before) {
				lists = append(lists, before)
			} else if !before.Same(list) {
				lists = append(lists, f.nearest(history[i+1:], before, counts)...)
			}
		}
		if made {
			return lists
		}
	}
	return lists
}

// origin is the blob that a file was made of: its own, or that of a folder which
// went when this one came.
func origin(entry *gitutil.LogEntry, change gitutil.LogChange) string {
	if change.Old == "" {
		for _, went := range entry.Changes {
			if went.Parent == change.Parent && went.New == "" {
				return went.Old
			}
		}
	}
	return change.Old
}

// Brought returns the commit of HEAD's history, or of that of what comes in, that
// first had the list name a key; nil where none did.
func (f *Folder) Brought(key crypto.PublicKey) *gitutil.LogEntry {
	var first *gitutil.LogEntry
	if f.Repo == nil {
		return nil
	}
	for _, entry := range append(f.coming(), f.history()...) {
		for _, change := range entry.Changes {
			if f.lists[change.New].Key == key && f.lists[change.Old].Key != key {
				first = entry
			}
		}
	}
	return first
}

// Rotated returns the first commit of HEAD's history that had a key signed the list
// and gave it another, which it vouched for; nil where none did.
func (f *Folder) Rotated(key crypto.PublicKey) *gitutil.LogEntry {
	var first *gitutil.LogEntry
	if f.Repo == nil {
		return nil
	}
	for _, entry := range f.whole() {
		for _, change := range entry.Changes {
			was, now := f.lists[origin(entry, change)], f.lists[change.New]
			if was.Key == key && now.Key != key && now.Chain.Leads(key, now.Key) {
				first = entry
			}
		}
	}
	return first
}

// Introduced returns the commit of HEAD's history, or of that of what comes in, that
// last put a person into the list who was in none of its parents'; nil where none
// did, as where the list was not committed yet.
func (f *Folder) Introduced(who formation.Person) *gitutil.LogEntry {
	if f.Repo == nil {
		return nil
	}
	has := func(blob string) bool { return slices.Contains(f.lists[blob].People, who) }
	for _, entry := range append(f.coming(), f.history()...) {
		// A parent that the commit does not differ from had the person as well.
		came := len(entry.Changes) >= max(1, len(entry.Parents))
		for _, change := range entry.Changes {
			came = came && has(change.New) && !has(origin(entry, change))
		}
		if came {
			return entry
		}
	}
	return nil
}

// LastChange returns the last commit of HEAD's history that changed a file of the
// folder; nil where none did, or where that is not known.
func (f *Folder) LastChange(ctx context.Context, name string) *gitutil.LogEntry {
	var last *gitutil.LogEntry
	if f.Repo == nil {
		return nil
	}
	f.Repo.Log(ctx, "", []string{name}, func(entry *gitutil.LogEntry) error {
		for _, change := range entry.Changes {
			if change.Path == path.Join(f.Dir, name) {
				last = entry
				return errFound
			}
		}
		return nil
	})
	return last
}

var errFound = errors.New("found")
