package gitutil

import (
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
	if rng.ExceptRemote != "" || rng.Unpushed || rng.ExceptRefs {
		refs, err := r.refs()
		if err != nil {
			return err
		}
		for _, ref := range refs {
			name, under := ref.Name().String(), "refs/remotes/"
			if rng.ExceptRemote != "" {
				under += rng.ExceptRemote + "/"
			}
			if rng.ExceptRefs || strings.HasPrefix(name, under) {
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
	w := r.walk()
	order, cut, err := w.dateOrder(ctx, tips, without, func(c *commitData) ([]plumbing.Hash, error) { return c.parents, nil })
	if err != nil {
		return err
	}
	var buf []byte
	for _, c := range slices.Backward(order) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if v.Commit != nil {
			if err := v.Commit(&Commit{Hash: c.id.String(), Parents: c.parentIDs(), Message: c.message}); err != nil {
				return err
			}
		}
		trees, err := w.parentTrees(c)
		if err != nil {
			return err
		}
		err = r.newFiles(c.tree, trees, func(path string, e treeEntry) error {
			if !e.mode.hasContent() || !seen.add(path, e.id.String()) {
				return nil
			}
			return r.deliver(&v, &Blob{Path: path, Mode: e.mode, ID: e.id.String(), Commit: c.id.String()}, &buf)
		})
		if err != nil {
			return err
		}
	}
	if cut {
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
		if strings.HasPrefix(ref.Name().String(), OwnRefs) {
			continue
		}
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
				err = r.treeFiles(id, ref.Name+"/", "", func(path string, e treeEntry) error {
					return r.deliver(&v, &Blob{Path: path, Mode: e.mode, ID: e.id.String()}, &buf)
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
