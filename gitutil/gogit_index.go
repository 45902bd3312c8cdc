package gitutil

import "context"

// indexed is what the index has for one path.
type indexed struct {
	IndexEntry
	unmerged    bool // the first of its stages
	intentToAdd bool
}

// index gives each path of the index once, in git's order.
func (r *goGitRepo) index(ctx context.Context) ([]indexed, error) {
	var entries []indexed
	err := r.eachIndexEntry(ctx, func() { entries = nil }, func(e *indexRecord) {
		if last := len(entries) - 1; last >= 0 && entries[last].Path == string(e.path) {
			return
		}
		entries = append(entries, indexed{e.entry(), e.stage != 0, e.intentToAdd})
	})
	return entries, err
}

func (r *goGitRepo) Staged(ctx context.Context, v Visitor) error {
	index, err := r.index(ctx)
	if err != nil {
		return err
	}
	base, err := r.stagedBase()
	if err != nil {
		return err
	}
	deleted := v.Deleted
	if deleted == nil {
		deleted = func(string) error { return nil }
	}

	var buf []byte
	for len(index) > 0 || len(base) > 0 {
		if len(index) == 0 || len(base) > 0 && base[0].Path < index[0].Path {
			gone := base[0]
			base = base[1:]
			if !gone.Mode.hasContent() {
				continue // a submodule
			}
			if err := deleted(gone.Path); err != nil {
				return err
			}
			continue
		}
		e := index[0]
		index = index[1:]
		var old IndexEntry
		if len(base) > 0 && base[0].Path == e.Path {
			old, base = base[0], base[1:]
		}
		switch {
		case e.unmerged:
		case e.intentToAdd:
			if old.Path != "" {
				err = deleted(e.Path)
			}
		case old != e.IndexEntry:
			err = r.deliver(&v, &Blob{Path: e.Path, Mode: e.Mode, ID: e.ID}, &buf)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stagedBase lists the files of HEAD.
func (r *goGitRepo) stagedBase() ([]IndexEntry, error) {
	head, ok, err := r.head()
	if err != nil || !ok {
		return nil, err
	}
	c, err := r.commitAt(head)
	if err != nil {
		return nil, err
	}
	var files []IndexEntry
	err = r.treeFiles(c.tree, "", "", func(path string, e treeEntry) error {
		files = append(files, IndexEntry{path, e.id.String(), e.mode})
		return nil
	})
	return files, err
}

func (r *goGitRepo) Contents(_ context.Context, entries []IndexEntry, v Visitor) error {
	var buf []byte
	for _, entry := range entries {
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
	return r.treeFiles(c.tree, "", path, func(path string, e treeEntry) error {
		return r.deliver(&v, &Blob{Path: path, Mode: e.mode, ID: e.id.String()}, &buf)
	})
}
