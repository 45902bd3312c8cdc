package gitutil

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"
)

// indexPath is the index of the pending commit. Git takes a relative
// GIT_INDEX_FILE from the top of the work tree, where it runs hooks.
func (r *goGitRepo) indexPath() string {
	path := r.getenv("GIT_INDEX_FILE")
	if path == "" {
		return filepath.Join(r.layout.GitDir, "index")
	}
	base := r.layout.Top
	if base == "" {
		base = r.layout.GitDir
	}
	return absFrom(base, path)
}

func (r *goGitRepo) index() (*index.Index, error) { return readIndex(r.indexPath()) }

// readIndex decodes an index; a missing one is empty. Entries come in git's
// order: by path, then by stage.
func readIndex(path string) (*index.Index, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &index.Index{Version: 2}, nil
	}
	if err != nil {
		return nil, err
	}
	idx := &index.Index{}
	if err := index.NewDecoder(bytes.NewReader(data)).Decode(idx); err != nil {
		return nil, &UnsupportedError{Feature: "an index with a form of its own (split, sparse or newer)", Err: err}
	}
	sort.SliceStable(idx.Entries, func(i, j int) bool { return idx.Entries[i].Name < idx.Entries[j].Name })
	return idx, nil
}

// findEntry finds any stage of a path.
func findEntry(idx *index.Index, path string) (*index.Entry, bool) {
	i := sort.Search(len(idx.Entries), func(i int) bool { return idx.Entries[i].Name >= path })
	if i < len(idx.Entries) && idx.Entries[i].Name == path {
		return idx.Entries[i], true
	}
	return nil, false
}

func (r *goGitRepo) Staged(_ context.Context, opt StagedOptions, v Visitor) error {
	idx, err := r.index()
	if err != nil {
		return err
	}
	base, err := r.stagedBase(opt)
	if err != nil {
		return err
	}
	var buf []byte
	i := 0
	for i < len(idx.Entries) || len(base) > 0 {
		if i == len(idx.Entries) || (len(base) > 0 && base[0].path < idx.Entries[i].Name) {
			if err := reportDeleted(&v, base[0].path); err != nil {
				return err
			}
			base = base[1:]
			continue
		}
		e := idx.Entries[i]
		for i++; i < len(idx.Entries) && idx.Entries[i].Name == e.Name; {
			i++
		}
		var old *treeFile
		if len(base) > 0 && base[0].path == e.Name {
			old, base = &base[0], base[1:]
		}
		mode := Mode(e.Mode)
		switch {
		case e.Stage != 0:
		case e.IntentToAdd:
			if old != nil {
				err = reportDeleted(&v, e.Name)
			}
		case old == nil || old.id != e.Hash || old.mode != mode:
			err = r.deliver(&v, &Blob{Path: e.Name, Mode: mode, ID: e.Hash.String()}, &buf)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func reportDeleted(v *Visitor, path string) error {
	if v.Deleted == nil {
		return nil
	}
	return v.Deleted(path)
}

// stagedBase lists the files of the commit that the index is compared with.
func (r *goGitRepo) stagedBase(opt StagedOptions) ([]treeFile, error) {
	head, ok, err := r.head()
	if err != nil || !ok {
		return nil, err
	}
	c, err := r.commitAt(head)
	if err != nil {
		return nil, err
	}
	if opt.Amend {
		if len(c.parents) == 0 {
			return nil, nil
		}
		if c, err = r.commitAt(c.parents[0]); err != nil {
			return nil, err
		}
	}
	var files []treeFile
	err = r.walkChanges(c.tree, nil, "", func(f treeFile) error {
		files = append(files, f)
		return nil
	})
	return files, err
}

func (r *goGitRepo) ListIndex(_ context.Context, want func(path []byte, mode Mode) bool) ([]IndexEntry, error) {
	idx, err := r.index()
	if err != nil {
		return nil, err
	}
	var entries []IndexEntry
	for _, e := range idx.Entries {
		if e.Stage == 0 && !e.IntentToAdd && Mode(e.Mode).hasContent() && want([]byte(e.Name), Mode(e.Mode)) {
			entries = append(entries, IndexEntry{e.Name, e.Hash.String(), Mode(e.Mode)})
		}
	}
	return entries, nil
}

func (r *goGitRepo) IndexBlobs(ctx context.Context, path string, v Visitor) error {
	return indexBlobs(ctx, r, path, v)
}

func (r *goGitRepo) Contents(_ context.Context, entries []IndexEntry, v Visitor) error {
	var buf []byte
	for _, entry := range entries {
		if !v.wants(entry.Path, entry.Mode) {
			continue
		}
		if err := r.deliver(&v, &Blob{Path: entry.Path, Mode: entry.Mode, ID: entry.ID}, &buf); err != nil {
			return err
		}
	}
	return nil
}

func (r *goGitRepo) TreeBlobs(_ context.Context, rev, path string, v Visitor) error {
	id, err := r.resolve(rev)
	if err != nil {
		return err
	}
	c, err := r.commitAt(id)
	if err != nil {
		return err
	}
	var buf []byte
	return r.walkChanges(c.tree, nil, "", func(f treeFile) error {
		if !below(f.path, path) {
			return nil
		}
		return r.deliver(&v, &Blob{Path: f.path, Mode: f.mode, ID: f.id.String()}, &buf)
	})
}

// below tells whether path is dir or lies in it; "" is the top.
func below(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (dir == "" || rest == "" || rest[0] == '/')
}

func (r *goGitRepo) StageFile(_ context.Context, path string, content []byte, mode Mode) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry := index.Entry{Name: path, Mode: filemode.FileMode(mode)}
	if content != nil {
		o := r.store.NewEncodedObject()
		o.SetType(plumbing.BlobObject)
		w, err := o.Writer()
		if err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		if entry.Hash, err = r.store.SetEncodedObject(o); err != nil {
			return err
		}
	}
	before, err := replaceEntry(r.indexPath(), entry, nil)
	if err != nil {
		return err
	}
	staying, ok := stayingIndex(r.layout, r.getenv)
	if !ok {
		return nil
	}
	_, err = replaceEntry(staying, entry, &before)
	return err
}

// Refresh does nothing: where this backend is used there is no git to look.
func (r *goGitRepo) Refresh(context.Context) {}

// replaceEntry puts an entry (none, where it has no id) in place of all stages of
// its path and gives back the ones that were there. With only, it does so only
// where they are the same.
func replaceEntry(path string, entry index.Entry, only *string) (before string, err error) {
	idx, err := readIndex(path)
	if err != nil {
		return "", err
	}
	entries := idx.Entries[:0:0]
	for _, e := range idx.Entries {
		if e.Name == entry.Name {
			entry.SkipWorktree = entry.SkipWorktree || e.SkipWorktree
			before += e.Hash.String() + " " + e.Mode.String() + " " + string(rune('0'+e.Stage)) + "\n"
			continue
		}
		entries = append(entries, e)
	}
	if only != nil && *only != before {
		return before, nil
	}
	if !entry.Hash.IsZero() {
		entries = append(entries, &entry)
	}
	// The encoder sorts by name alone, and leaves what is in order as it is: the
	// stages of other paths must not change places.
	slices.SortStableFunc(entries, func(a, b *index.Entry) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Stage, b.Stage))
	})
	idx.Entries = entries
	for _, e := range idx.Entries {
		if (e.IntentToAdd || e.SkipWorktree) && idx.Version < 3 {
			idx.Version = 3
		}
	}
	var out bytes.Buffer
	if err := index.NewEncoder(&out).Encode(idx); err != nil {
		return before, &UnsupportedError{Feature: "an index format of its own", Err: err}
	}
	return before, replaceLocked(path, out.Bytes())
}
