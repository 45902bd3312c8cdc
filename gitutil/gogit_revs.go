package gitutil

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

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
	if found := r.refsNamed(name); len(found) > 0 {
		return found[0], nil
	}
	return r.shortID(name)
}

// refsNamed gives what each ref that goes by a name points to, in the order in
// which git looks (gitrevisions(7)): the first one counts.
func (r *goGitRepo) refsNamed(name string) []plumbing.Hash {
	var found []plumbing.Hash
	for _, pattern := range []string{"%", "refs/%", "refs/tags/%", "refs/heads/%", "refs/remotes/%", "refs/remotes/%/HEAD"} {
		if pattern == "%" && strings.Contains(name, "/") && !strings.HasPrefix(name, "refs/") {
			continue
		}
		if id, err := r.ref(strings.Replace(pattern, "%", name, 1)); err == nil {
			found = append(found, id)
		}
	}
	return found
}

func (r *goGitRepo) Unambiguous(_ context.Context, rev string) error {
	if _, err := r.resolve(rev); err != nil {
		return nil
	}
	name := rev
	if i := strings.IndexAny(rev, "~^"); i >= 0 {
		name = rev[:i]
	}
	if name == "@" {
		return nil
	}
	refs := len(r.refsNamed(name))
	_, notID := r.shortID(name)
	if isID := notID == nil || len(name) == 40 && isHex(name); refs > 1 || refs == 1 && isID {
		return &AmbiguousError{Rev: rev}
	}
	return nil
}

// shortID finds the one commit or tag whose id starts like this.
func (r *goGitRepo) shortID(prefix string) (plumbing.Hash, error) {
	if len(prefix) < 4 || len(prefix) >= 40 || !isHex(prefix) {
		return plumbing.ZeroHash, plumbing.ErrReferenceNotFound
	}
	prefix = strings.ToLower(prefix)
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
