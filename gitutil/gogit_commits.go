package gitutil

import (
	"container/heap"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

func (r *goGitRepo) Head(context.Context) (string, bool, error) {
	id, ok, err := r.head()
	if err != nil || !ok {
		return "", false, err
	}
	return id.String(), true, nil
}

func (r *goGitRepo) head() (plumbing.Hash, bool, error) {
	id, err := r.ref("HEAD")
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return plumbing.ZeroHash, false, nil
	}
	return id, err == nil, err
}

func (r *goGitRepo) ref(name string) (plumbing.Hash, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range 6 { // git's own limit on symbolic refs
		ref, err := r.store.Reference(plumbing.ReferenceName(name))
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if ref.Type() == plumbing.HashReference {
			return ref.Hash(), nil
		}
		name = ref.Target().String()
	}
	return plumbing.ZeroHash, plumbing.ErrReferenceNotFound
}

// ancestors collects commits and all before them, apart from those in without.
func (r *goGitRepo) ancestors(from []plumbing.Hash, without map[plumbing.Hash]*commitData) (map[plumbing.Hash]*commitData, error) {
	found := map[plumbing.Hash]*commitData{}
	for todo := slices.Clone(from); len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if found[id] != nil || without[id] != nil {
			continue
		}
		c, err := r.commitAt(id)
		if err != nil {
			return nil, err
		}
		found[id] = c
		todo = append(todo, c.parents...)
	}
	return found, nil
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

// ordered gives what is reachable from tips and not in without, in the order of
// `git rev-list --reverse --date-order`.
func (r *goGitRepo) ordered(tips []plumbing.Hash, without map[plumbing.Hash]*commitData) ([]*commitData, error) {
	var listed []*commitData
	children := map[plumbing.Hash]int{}
	byID := map[plumbing.Hash]*commitData{}
	queue := &commitQueue{}
	add := func(id plumbing.Hash) error {
		if byID[id] != nil || without[id] != nil {
			return nil
		}
		c, err := r.commitAt(id)
		if err == nil {
			byID[id] = c
			queue.put(c)
		}
		return err
	}
	for _, id := range tips {
		if err := add(id); err != nil {
			return nil, err
		}
	}
	for queue.Len() > 0 {
		c := queue.take()
		listed = append(listed, c)
		for _, p := range c.parents {
			children[p]++
			if err := add(p); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range listed {
		if children[c.id] == 0 {
			queue.put(c)
		}
	}
	order := make([]*commitData, 0, len(listed))
	for queue.Len() > 0 {
		c := queue.take()
		order = append(order, c)
		for _, p := range c.parents {
			if children[p]--; children[p] == 0 && byID[p] != nil {
				queue.put(byID[p])
			}
		}
	}
	slices.Reverse(order)
	return order, nil
}

func (r *goGitRepo) Commits(ctx context.Context, rng Range, v Visitor) error {
	var tips, exclude []plumbing.Hash
	for _, rev := range rng.include() {
		id, err := r.resolve(rev)
		if err != nil {
			return err
		}
		tips = append(tips, id)
	}
	for _, rev := range rng.Exclude {
		id, err := r.resolve(rev)
		if err != nil {
			return err
		}
		exclude = append(exclude, id)
	}
	for _, known := range rng.Known {
		if id, err := r.peel(plumbing.NewHash(known)); err == nil {
			exclude = append(exclude, id)
		}
	}
	if rng.ExceptRemote != "" || rng.ExceptRefs {
		refs, err := r.refs()
		if err != nil {
			return err
		}
		for _, ref := range refs {
			if rng.ExceptRefs || strings.HasPrefix(ref.Name().String(), "refs/remotes/"+rng.ExceptRemote+"/") {
				if id, err := r.peel(ref.Hash()); err == nil {
					exclude = append(exclude, id)
				}
			}
		}
		if rng.ExceptRefs {
			exclude = append(exclude, r.heads()...)
		}
	}
	without, err := r.ancestors(exclude, nil)
	if err != nil {
		return err
	}
	return r.visitCommits(ctx, tips, without, newSeenBlobs(), v, "the commits before the end of the range")
}

// heads are what HEAD of this and of every other work tree points to.
func (r *goGitRepo) heads() []plumbing.Hash {
	var ids []plumbing.Hash
	if id, ok, err := r.head(); ok && err == nil {
		ids = append(ids, id)
	}
	files, _ := filepath.Glob(filepath.Join(r.layout.CommonDir, "worktrees", "*", "HEAD"))
	for _, file := range append([]string{filepath.Join(r.layout.CommonDir, "HEAD")}, files...) {
		data, err := os.ReadFile(file)
		text := strings.TrimSpace(string(data))
		if err != nil || len(text) != 40 || !isHex(text) {
			continue // on a branch, which is a ref
		}
		ids = append(ids, plumbing.NewHash(text))
	}
	return ids
}

func (r *goGitRepo) visitCommits(ctx context.Context, tips []plumbing.Hash, without map[plumbing.Hash]*commitData, seen *seenBlobs, v Visitor, question string) error {
	order, err := r.ordered(tips, without)
	if err != nil {
		return err
	}
	known := make(map[plumbing.Hash]plumbing.Hash, len(order))
	var buf []byte
	reachedCut := false
	for _, c := range order {
		known[c.id] = c.tree
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		reachedCut = reachedCut || r.shallow[c.id.String()]
		if v.Commit != nil {
			commit := &Commit{Hash: c.id.String(), Message: c.message}
			for _, p := range c.parents {
				commit.Parents = append(commit.Parents, p.String())
			}
			if err := v.Commit(commit); err != nil {
				return err
			}
		}
		var trees []plumbing.Hash
		for _, p := range c.parents {
			tree, ok := known[p]
			if !ok { // outside of the range
				parent, err := r.commitAt(p)
				if err != nil {
					return err
				}
				tree = parent.tree
			}
			trees = append(trees, tree)
		}
		err := r.walkChanges(c.tree, trees, "", func(f treeFile) error {
			if !f.mode.hasContent() || !seen.add(f.path, f.id.String()) {
				return nil
			}
			return r.deliver(&v, &Blob{Path: f.path, Mode: f.mode, ID: f.id.String(), Commit: c.id.String()}, &buf)
		})
		if err != nil {
			return err
		}
	}
	if reachedCut {
		return &ShallowError{Question: question}
	}
	return nil
}

func (r *goGitRepo) History(ctx context.Context, v Visitor) error {
	refs, err := r.refs()
	if err != nil {
		return err
	}
	var tips []plumbing.Hash
	var others []Ref
	for _, ref := range refs {
		kind, id, err := r.peelAny(ref.Hash())
		if err != nil {
			return err
		}
		if kind == plumbing.CommitObject {
			tips = append(tips, id)
		}
		if id != ref.Hash() || kind != plumbing.CommitObject {
			others = append(others, Ref{Name: ref.Name().String(), ID: ref.Hash().String()})
		}
	}
	seen := newSeenBlobs()
	err = r.visitCommits(ctx, append(tips, r.heads()...), nil, seen, v, "the history before the oldest commits")
	var shallow *ShallowError
	if err != nil && !errors.As(err, &shallow) {
		return err
	}
	if terr := r.tagged(others, seen, v); terr != nil {
		return terr
	}
	return err
}

func (r *goGitRepo) Tagged(_ context.Context, refs []Ref, v Visitor) error {
	return r.tagged(refs, newSeenBlobs(), v)
}

func (r *goGitRepo) tagged(refs []Ref, seen *seenBlobs, v Visitor) error {
	var buf []byte
	for len(refs) > 0 {
		var targets, tags []Ref
		for _, ref := range refs {
			id := plumbing.NewHash(ref.ID)
			r.mu.Lock()
			o, err := r.store.EncodedObject(plumbing.AnyObject, id)
			r.mu.Unlock()
			if errors.Is(err, plumbing.ErrObjectNotFound) {
				continue
			}
			if err != nil {
				return objectError(err, ref.ID, "")
			}
			switch o.Type() {
			case plumbing.TagObject:
				tags = append(tags, ref)
			case plumbing.BlobObject:
				if seen.add(ref.Name, ref.ID) {
					err = r.deliver(&v, &Blob{Path: ref.Name, Mode: ModeFile, ID: ref.ID}, &buf)
				}
			case plumbing.TreeObject:
				err = r.walkChanges(id, nil, ref.Name+"/", func(f treeFile) error {
					return r.deliver(&v, &Blob{Path: f.path, Mode: f.mode, ID: f.id.String()}, &buf)
				})
			}
			if err != nil {
				return err
			}
		}
		for _, tag := range tags {
			data, err := r.object(plumbing.TagObject, plumbing.NewHash(tag.ID))
			if err != nil {
				return err
			}
			target, message := parseTag(string(data))
			if v.Commit != nil {
				if err := v.Commit(&Commit{Hash: tag.ID, Message: message, Tag: tag.Name}); err != nil {
					return err
				}
			}
			if isObjectID(target) {
				targets = append(targets, Ref{Name: tag.Name, ID: target})
			}
		}
		refs = targets
	}
	return nil
}
