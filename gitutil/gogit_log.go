package gitutil

import (
	"container/heap"
	"context"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// commitWalk reads each commit once: most are asked for as a parent to compare
// with, too.
type commitWalk struct {
	r    *goGitRepo
	read map[plumbing.Hash]*commitData
}

func (r *goGitRepo) walk() *commitWalk {
	return &commitWalk{r, map[plumbing.Hash]*commitData{}}
}

func (w *commitWalk) commitAt(id plumbing.Hash) (*commitData, error) {
	if c := w.read[id]; c != nil {
		return c, nil
	}
	c, err := w.r.commitAt(id)
	if err == nil {
		w.read[id] = c
	}
	return c, err
}

// parentTrees are the trees of a commit's parents.
func (w *commitWalk) parentTrees(c *commitData) ([]plumbing.Hash, error) {
	var trees []plumbing.Hash
	for _, id := range c.parents {
		p, err := w.commitAt(id)
		if err != nil {
			return nil, err
		}
		trees = append(trees, p.tree)
	}
	return trees, nil
}

// dateOrder gives what is reachable from tips and not in without, in the order
// of `git rev-list --date-order`: the newest first, and no commit before one that
// descends from it. follow gives those of a commit's parents that lead on. cut
// says that one of them is where a shallow clone ends.
func (w *commitWalk) dateOrder(ctx context.Context, tips []plumbing.Hash, without map[plumbing.Hash]*commitData, follow func(*commitData) ([]plumbing.Hash, error)) (order []*commitData, cut bool, err error) {
	var listed []*commitData
	parents := map[plumbing.Hash][]plumbing.Hash{}
	children := map[plumbing.Hash]int{}
	queued := map[plumbing.Hash]bool{}
	queue := &commitQueue{}
	add := func(ids []plumbing.Hash) error {
		for _, id := range ids {
			if queued[id] || without[id] != nil {
				continue
			}
			queued[id] = true
			c, err := w.commitAt(id)
			if err != nil {
				return err
			}
			queue.put(c)
		}
		return nil
	}
	if err := add(tips); err != nil {
		return nil, false, err
	}
	for queue.Len() > 0 {
		if ctx.Err() != nil {
			return nil, false, context.Cause(ctx)
		}
		c := queue.take()
		listed = append(listed, c)
		cut = cut || w.r.shallow[c.id.String()]
		if parents[c.id], err = follow(c); err != nil {
			return nil, false, err
		}
		for _, p := range parents[c.id] {
			children[p]++
		}
		if err := add(parents[c.id]); err != nil {
			return nil, false, err
		}
	}

	for _, c := range listed {
		if children[c.id] == 0 {
			queue.put(c)
		}
	}
	for queue.Len() > 0 {
		c := queue.take()
		order = append(order, c)
		for _, p := range parents[c.id] {
			if children[p]--; children[p] == 0 && queued[p] {
				queue.put(w.read[p])
			}
		}
	}
	return order, cut, nil
}

// commitQueue gives the newest commit first, those of one second in the order
// in which they came.
type commitQueue struct {
	items []queuedCommit
	count int
}

type queuedCommit struct {
	c     *commitData
	order int
}

func (q *commitQueue) Len() int { return len(q.items) }
func (q *commitQueue) Less(i, j int) bool {
	a, b := q.items[i], q.items[j]
	if a.c.when != b.c.when {
		return a.c.when > b.c.when
	}
	return a.order < b.order
}
func (q *commitQueue) Swap(i, j int) { q.items[i], q.items[j] = q.items[j], q.items[i] }
func (q *commitQueue) Push(x any)    { q.items = append(q.items, x.(queuedCommit)) }
func (q *commitQueue) Pop() any {
	last := q.items[len(q.items)-1]
	q.items = q.items[:len(q.items)-1]
	return last
}

func (q *commitQueue) put(c *commitData) {
	heap.Push(q, queuedCommit{c, q.count})
	q.count++
}

func (q *commitQueue) take() *commitData { return heap.Pop(q).(queuedCommit).c }

// Log walks as git-log(1) does with pathspecs ("History Simplification",
// default mode): of a merge that equals a parent in the files in question only
// that parent is followed, the first such one.
func (r *goGitRepo) Log(ctx context.Context, rev string, names []string, visit func(*LogEntry) error) error {
	return r.log(ctx, rev, names, false, visit)
}

// LogAll walks as with --full-history.
func (r *goGitRepo) LogAll(ctx context.Context, rev string, names []string, visit func(*LogEntry) error) error {
	return r.log(ctx, rev, names, true, visit)
}

func (r *goGitRepo) log(ctx context.Context, rev string, names []string, full bool, visit func(*LogEntry) error) error {
	if rev == "" {
		rev = "HEAD"
	}
	tip, err := r.resolve(rev)
	if err != nil {
		return err
	}
	names = fileNames(names)
	if len(names) == 0 {
		return nil
	}

	w := r.walk()
	changes := map[plumbing.Hash][]LogChange{}
	order, cut, err := w.dateOrder(ctx, []plumbing.Hash{tip}, nil, func(c *commitData) (follow []plumbing.Hash, err error) {
		changes[c.id], follow, err = w.logChanges(c, names)
		if full {
			follow = c.parents
		}
		return follow, err
	})
	if err != nil {
		return err
	}
	for _, c := range order {
		entry := LogEntry{Changes: changes[c.id]}
		if !entry.finish() {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c.describe(&entry)
		if err := visit(&entry); err != nil {
			return err
		}
	}
	if cut {
		return &ShallowError{Question: "the history before the oldest commits"}
	}
	return nil
}

// describe fills in what the header says, which only commits that are shown need.
func (c *commitData) describe(e *LogEntry) {
	name, email, date := parseIdent(c.author)
	e.Hash = c.id.String()
	e.Author, e.Email, e.Date = toUTF8(name, c.encoding), toUTF8(email, c.encoding), date
	e.Subject = toUTF8(subjectOf(c.message), c.encoding)
	e.Parents = c.parentIDs()
}

// logChanges finds a commit's changes against each parent, and which of them
// lead on.
func (w *commitWalk) logChanges(c *commitData, names []string) (changes []LogChange, follow []plumbing.Hash, err error) {
	parents, err := w.parentTrees(c)
	if err != nil {
		return nil, nil, err
	}
	if len(parents) == 0 {
		parents = []plumbing.Hash{plumbing.ZeroHash}
	}
	same := func(_ string, at []treeEntry) bool { return at[0].same(at[1]) }
	for parent, tree := range parents {
		before := len(changes)
		if tree != c.tree {
			err = trees(w.r.trees).walk([]plumbing.Hash{tree, c.tree}, "", same, func(path string, at []treeEntry) error {
				if !slices.Contains(names, baseOf(path)) {
					return nil
				}
				change := LogChange{Path: path, Parent: parent, OldMode: at[0].mode, NewMode: at[1].mode}
				if at[0].name != nil {
					change.Old = at[0].id.String()
				}
				if at[1].name != nil {
					change.New = at[1].id.String()
				}
				changes = append(changes, change)
				return nil
			})
		}
		if err != nil {
			return nil, nil, err
		}
		if len(changes) == before {
			if len(c.parents) > 0 {
				return nil, c.parents[parent : parent+1], nil
			}
			return nil, nil, nil
		}
	}
	return changes, c.parents, nil
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
