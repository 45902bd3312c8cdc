package gitutil

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-git/go-git/v5/plumbing"
)

// Log walks as git-log(1) does with pathspecs ("History Simplification",
// default mode): of a merge that equals a parent in the files in question only
// that parent is followed, the first such one.
func (r *goGitRepo) Log(ctx context.Context, rev string, names []string, visit func(*LogEntry) error) error {
	if rev == "" {
		rev = "HEAD"
	}
	tip, err := r.resolve(rev)
	if err != nil {
		return err
	}
	w := &logWalk{r: r, names: fileNames(names), read: map[plumbing.Hash]*commitData{}, commits: map[plumbing.Hash]*logCommit{}}
	if len(w.names) == 0 {
		return nil
	}
	order, err := w.walk(ctx, tip)
	if err != nil {
		return err
	}
	for _, c := range order {
		if len(c.entry.Changes) == 0 || !c.entry.finish() {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c.describe()
		if err := visit(&c.entry); err != nil {
			return err
		}
	}
	if w.reachedCut {
		return &ShallowError{Question: "the history before the oldest commits"}
	}
	return nil
}

type logWalk struct {
	r          *goGitRepo
	names      []string
	read       map[plumbing.Hash]*commitData
	commits    map[plumbing.Hash]*logCommit // those on the walk
	reachedCut bool
}

// logCommit is a commit on the walk. parents are those that are followed;
// entry's are all of them.
type logCommit struct {
	*commitData
	follow   []plumbing.Hash
	children int
	entry    LogEntry
}

// describe fills in what the header says, which only commits that are shown need.
func (c *logCommit) describe() {
	name, email, date := parseIdent(c.author)
	c.entry.Hash = c.id.String()
	c.entry.Author, c.entry.Email, c.entry.Date = toUTF8(name, c.encoding), toUTF8(email, c.encoding), date
	c.entry.Subject = toUTF8(subjectOf(c.message), c.encoding)
	for _, p := range c.parents {
		c.entry.Parents = append(c.entry.Parents, p.String())
	}
}

// walk gives the commits in the order of --date-order.
func (w *logWalk) walk(ctx context.Context, tip plumbing.Hash) ([]*logCommit, error) {
	queue := &commitQueue{}
	add := func(id plumbing.Hash) error {
		if w.commits[id] != nil {
			return nil
		}
		c, err := w.commitAt(id)
		if err == nil {
			w.commits[id] = &logCommit{commitData: c}
			queue.put(c)
		}
		return err
	}
	if err := add(tip); err != nil {
		return nil, err
	}
	for queue.Len() > 0 {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c := w.commits[queue.take().id]
		if err := w.compare(c); err != nil {
			return nil, err
		}
		for _, p := range c.follow {
			if err := add(p); err != nil {
				return nil, err
			}
			w.commits[p].children++
		}
	}
	order := make([]*logCommit, 0, len(w.commits))
	for queue.put(w.commits[tip].commitData); queue.Len() > 0; {
		c := w.commits[queue.take().id]
		order = append(order, c)
		for _, id := range c.follow {
			p := w.commits[id]
			if p.children--; p.children == 0 {
				queue.put(p.commitData)
			}
		}
	}
	return order, nil
}

// commitAt reads a commit once. Most are asked for twice: as a parent to compare
// with, and on the walk itself.
func (w *logWalk) commitAt(id plumbing.Hash) (*commitData, error) {
	if c := w.read[id]; c != nil {
		return c, nil
	}
	c, err := w.r.commitAt(id)
	if err == nil {
		w.read[id] = c
	}
	return c, err
}

// compare finds a commit's changes against each parent, and which of them lead on.
func (w *logWalk) compare(c *logCommit) error {
	if w.r.shallow[c.id.String()] {
		w.reachedCut = true
	}
	c.follow = c.parents
	trees := []plumbing.Hash{plumbing.ZeroHash}
	if len(c.parents) > 0 {
		trees = trees[:0]
	}
	for _, p := range c.parents {
		before, err := w.commitAt(p)
		if err != nil {
			return err
		}
		trees = append(trees, before.tree)
	}
	for i, tree := range trees {
		before := len(c.entry.Changes)
		if err := w.diff(tree, c.tree, "", i, &c.entry.Changes); err != nil {
			return err
		}
		if len(c.entry.Changes) == before {
			c.entry.Changes = nil
			if len(c.parents) > 0 {
				c.follow = c.parents[i : i+1]
			}
			return nil
		}
	}
	return nil
}

// diff compares two trees, of which either may be none (a zero hash), and opens
// only folders that differ. Both are in git's order, in which a folder's name
// ends in '/', so that a file and a folder of one name are two entries.
func (w *logWalk) diff(from, to plumbing.Hash, prefix string, parent int, changes *[]LogChange) error {
	if from == to {
		return nil
	}
	olds, err := w.tree(from)
	if err != nil {
		return err
	}
	news, err := w.tree(to)
	if err != nil {
		return err
	}
	for len(olds.data) > 0 || len(news.data) > 0 {
		var a, b rawEntry
		if a, err = olds.peek(); err != nil {
			return err
		}
		if b, err = news.peek(); err != nil {
			return err
		}
		switch order := compareEntries(a, b); {
		case order < 0:
			b = rawEntry{}
			olds.data = olds.data[a.size:]
		case order > 0:
			a = rawEntry{}
			news.data = news.data[b.size:]
		default:
			olds.data, news.data = olds.data[a.size:], news.data[b.size:]
		}
		if a.mode == b.mode && bytes.Equal(a.id, b.id) {
			continue
		}
		name := a.name
		if name == nil {
			name = b.name
		}
		if a.mode == modeTree || b.mode == modeTree {
			if err := w.diff(a.hash(), b.hash(), prefix+string(name)+"/", parent, changes); err != nil {
				return err
			}
			continue
		}
		if !slices.Contains(w.names, string(name)) {
			continue
		}
		change := LogChange{Path: prefix + string(name), Parent: parent, OldMode: a.mode, NewMode: b.mode}
		if a.id != nil {
			change.Old = a.hash().String()
		}
		if b.id != nil {
			change.New = b.hash().String()
		}
		*changes = append(*changes, change)
	}
	return nil
}

// rawTree reads a tree's bytes entry by entry, without a copy of each.
type rawTree struct {
	id   plumbing.Hash
	data []byte
}

type rawEntry struct {
	mode Mode
	name []byte // nil: there is no entry
	id   []byte
	size int
}

func (e rawEntry) hash() (id plumbing.Hash) {
	copy(id[:], e.id)
	return id
}

func (w *logWalk) tree(id plumbing.Hash) (*rawTree, error) {
	if id.IsZero() {
		return &rawTree{}, nil
	}
	data, err := w.r.object(plumbing.TreeObject, id)
	return &rawTree{id, data}, err
}

// peek reads the next entry. Modes are git's canonical ones, whatever an old or
// odd git wrote.
func (t *rawTree) peek() (rawEntry, error) {
	if len(t.data) == 0 {
		return rawEntry{}, nil
	}
	space := bytes.IndexByte(t.data, ' ')
	end := bytes.IndexByte(t.data, 0)
	if space < 0 || end <= space+1 || len(t.data) < end+21 {
		return rawEntry{}, fmt.Errorf("tree %s is damaged", t.id)
	}
	bits, err := strconv.ParseUint(string(t.data[:space]), 8, 32)
	if err != nil {
		return rawEntry{}, fmt.Errorf("tree %s is damaged", t.id)
	}
	mode := Mode(bits)
	switch mode & 0o170000 {
	case 0o100000:
		mode = ModeFile | mode&0o100>>6*0o111
	case 0o120000:
		mode = ModeLink
	case 0o040000:
		mode = modeTree
	default:
		mode = 0o160000
	}
	return rawEntry{mode, t.data[space+1 : end], t.data[end+1 : end+21], end + 21}, nil
}

// compareEntries compares in git's order (base_name_compare); no entry comes last.
func compareEntries(a, b rawEntry) int {
	if a.name == nil || b.name == nil {
		return cmp.Compare(b.size, a.size)
	}
	n := min(len(a.name), len(b.name))
	if c := bytes.Compare(a.name[:n], b.name[:n]); c != 0 {
		return c
	}
	return cmp.Compare(a.after(n), b.after(n))
}

// after is the byte behind the first n of a name.
func (e rawEntry) after(n int) int {
	switch {
	case n < len(e.name):
		return int(e.name[n])
	case e.mode == modeTree:
		return '/'
	}
	return 0
}

// Blobs reads object by object.
func (r *goGitRepo) Blobs(ctx context.Context, ids []string, visit func(id string, data []byte) error) error {
	v := Visitor{MaxBlob: maxBlobs, Blob: func(b *Blob) error { return wholeBlob(b, visit) }}
	var buf []byte
	for _, id := range ids {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if len(id) != 40 || !isHex(id) {
			return &MissingObjectError{ID: id}
		}
		if err := r.deliver(&v, &Blob{Mode: ModeFile, ID: id}, &buf); err != nil {
			return err
		}
	}
	return nil
}
