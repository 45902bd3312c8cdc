package gitutil

import (
	"container/heap"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

func (r *goGitRepo) ResolveRev(_ context.Context, rev string) (string, error) {
	id, err := r.resolve(rev)
	if err != nil {
		return "", err
	}
	return id.String(), nil
}

// resolve knows names of refs, full and short ids, and ~N, ^N, ^{commit}, ^0 and
// @ on them. The rest of gitrevisions(7) needs git.
func (r *goGitRepo) resolve(rev string) (plumbing.Hash, error) {
	unknown := &RevisionError{Rev: rev}
	if err := checkRev(rev); err != nil {
		return plumbing.ZeroHash, err
	}
	name, steps := rev, ""
	if i := strings.IndexAny(rev, "~^"); i >= 0 {
		name, steps = rev[:i], rev[i:]
	}
	id, err := r.resolveName(name)
	if err == nil {
		id, err = r.peel(id)
	}
	for err == nil && steps != "" {
		op := steps[0]
		steps = steps[1:]
		if rest, ok := strings.CutPrefix(steps, "{commit}"); op == '^' && ok {
			steps = rest
			continue
		}
		digits := len(steps) - len(strings.TrimLeft(steps, "0123456789"))
		n := 1
		if digits > 0 {
			if n, err = strconv.Atoi(steps[:digits]); err != nil {
				return id, unknown
			}
		}
		steps = steps[digits:]
		if steps != "" && steps[0] != '~' && steps[0] != '^' {
			return id, unknown
		}
		times, parent := 1, n-1
		if op == '~' {
			times, parent = n, 0
		} else if n == 0 {
			times = 0
		}
		for ; times > 0 && err == nil; times-- {
			var c *commitData
			if c, err = r.commitAt(id); err == nil {
				if parent >= len(c.parents) {
					return id, unknown
				}
				id = c.parents[parent]
			}
		}
	}
	if err != nil {
		return id, unknown
	}
	return id, nil
}

func (r *goGitRepo) resolveName(name string) (plumbing.Hash, error) {
	if name == "@" {
		name = "HEAD"
	}
	if len(name) == 40 && isHex(name) {
		return plumbing.NewHash(name), nil
	}
	// gitrevisions(7): the first that exists.
	for _, pattern := range []string{"", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"} {
		if pattern == "" && strings.Contains(name, "/") && !strings.HasPrefix(name, "refs/") {
			continue
		}
		if id, err := r.ref(pattern + name); err == nil {
			return id, nil
		}
	}
	if id, err := r.ref("refs/remotes/" + name + "/HEAD"); err == nil {
		return id, nil
	}
	if len(name) >= 4 && len(name) < 40 && isHex(name) {
		return r.shortID(strings.ToLower(name))
	}
	return plumbing.ZeroHash, plumbing.ErrReferenceNotFound
}

// shortID finds the one commit or tag whose id starts like this.
func (r *goGitRepo) shortID(prefix string) (plumbing.Hash, error) {
	r.mu.Lock()
	even := plumbing.NewHash(prefix[:len(prefix)&^1] + strings.Repeat("0", 40-len(prefix)&^1))
	ids, err := r.store.HashesWithPrefix(even[:len(prefix)/2])
	r.mu.Unlock()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	var found []plumbing.Hash
	for _, id := range ids {
		if strings.HasPrefix(id.String(), prefix) && !slices.Contains(found, id) {
			if _, err := r.peel(id); err == nil {
				found = append(found, id)
			}
		}
	}
	if len(found) != 1 {
		return plumbing.ZeroHash, plumbing.ErrReferenceNotFound
	}
	return found[0], nil
}

// peel follows annotated tags to a commit.
func (r *goGitRepo) peel(id plumbing.Hash) (plumbing.Hash, error) {
	kind, id, err := r.peelAny(id)
	if err == nil && kind != plumbing.CommitObject {
		err = plumbing.ErrObjectNotFound
	}
	return id, err
}

func (r *goGitRepo) peelAny(id plumbing.Hash) (plumbing.ObjectType, plumbing.Hash, error) {
	for {
		r.mu.Lock()
		o, err := r.store.EncodedObject(plumbing.AnyObject, id)
		r.mu.Unlock()
		if err != nil {
			return 0, id, objectError(err, id.String(), "")
		}
		if o.Type() != plumbing.TagObject {
			return o.Type(), id, nil
		}
		data, err := r.object(plumbing.TagObject, id)
		if err != nil {
			return 0, id, err
		}
		target, ok := strings.CutPrefix(string(data), "object ")
		if !ok || len(target) < 40 {
			return 0, id, plumbing.ErrObjectNotFound
		}
		id = plumbing.NewHash(target[:40])
	}
}

func (r *goGitRepo) MergeBase(_ context.Context, a, b string) (string, bool, error) {
	ida, err := r.resolve(a)
	if err != nil {
		return "", false, err
	}
	idb, err := r.resolve(b)
	if err != nil {
		return "", false, err
	}
	ofA, err := r.ancestors([]plumbing.Hash{ida}, nil)
	if err != nil {
		return "", false, err
	}
	// The best one is a common ancestor that no other one descends from: walk
	// b's side, newest first, not beyond what a reaches.
	var common []plumbing.Hash
	ofB, err := r.ancestors([]plumbing.Hash{idb}, ofA)
	if err != nil {
		return "", false, err
	}
	if ofA[idb] != nil {
		return idb.String(), true, nil
	}
	for _, c := range ofB {
		for _, p := range c.parents {
			if ofA[p] != nil && !slices.Contains(common, p) {
				common = append(common, p)
			}
		}
	}
	var best *commitData
	for _, id := range common {
		reached := false
		for _, other := range common {
			if other != id && !reached {
				below, err := r.ancestors(ofA[other].parents, nil)
				if err != nil {
					return "", false, err
				}
				reached = below[id] != nil
			}
		}
		c := ofA[id]
		if !reached && (best == nil || c.when > best.when || c.when == best.when && c.id.String() < best.id.String()) {
			best = c
		}
	}
	if best == nil {
		return "", false, nil
	}
	return best.id.String(), true, nil
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
	var buf []byte
	reachedCut := false
	for _, c := range order {
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
			parent, err := r.commitAt(p)
			if err != nil {
				return err
			}
			trees = append(trees, parent.tree)
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
	var others []*plumbing.Reference
	kinds := map[*plumbing.Reference]plumbing.ObjectType{}
	for _, ref := range refs {
		kind, id, err := r.peelAny(ref.Hash())
		if err != nil {
			return err
		}
		if kind == plumbing.CommitObject {
			tips = append(tips, id)
			continue
		}
		other := plumbing.NewHashReference(ref.Name(), id)
		kinds[other] = kind
		others = append(others, other)
	}
	seen := newSeenBlobs()
	err = r.visitCommits(ctx, append(tips, r.heads()...), nil, seen, v, "the history before the oldest commits")
	var shallow *ShallowError
	if err != nil && !errors.As(err, &shallow) {
		return err
	}
	var buf []byte
	for _, ref := range others {
		name := ref.Name().String()
		var oerr error
		if kinds[ref] == plumbing.BlobObject {
			if seen.add(name, ref.Hash().String()) {
				oerr = r.deliver(&v, &Blob{Path: name, Mode: ModeFile, ID: ref.Hash().String()}, &buf)
			}
		} else {
			oerr = r.walkChanges(ref.Hash(), nil, name+"/", func(f treeFile) error {
				return r.deliver(&v, &Blob{Path: f.path, Mode: f.mode, ID: f.id.String()}, &buf)
			})
		}
		if oerr != nil {
			return oerr
		}
	}
	return err
}
