package gitutil

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// commitData is what a walk needs of a commit.
type commitData struct {
	id       plumbing.Hash
	tree     plumbing.Hash
	parents  []plumbing.Hash
	when     int64 // committer date, seconds
	author   string
	encoding string // of author and message; "" for UTF-8
	message  string
}

// commitAt reads a commit, with no parents where a shallow clone ends.
func (r *goGitRepo) commitAt(id plumbing.Hash) (*commitData, error) {
	data, err := r.object(plumbing.CommitObject, id)
	if err != nil {
		return nil, err
	}
	c := &commitData{id: id}
	text := string(data)
	c.message = messageOf(text)
	header, _, _ := strings.Cut(text, "\n\n")
	for line := range strings.SplitSeq(header, "\n") {
		name, value, _ := strings.Cut(line, " ")
		switch name {
		case "tree":
			c.tree = plumbing.NewHash(value)
		case "parent":
			c.parents = append(c.parents, plumbing.NewHash(value))
		case "author":
			c.author = value
		case "encoding":
			c.encoding = value
		case "committer":
			if i := strings.LastIndex(value, "> "); i >= 0 {
				seconds, _, _ := strings.Cut(value[i+2:], " ")
				c.when, _ = strconv.ParseInt(seconds, 10, 64)
			}
		}
	}
	if r.shallow[id.String()] {
		c.parents = nil
	}
	return c, nil
}

func (c *commitData) parentIDs() []string {
	var ids []string
	for _, p := range c.parents {
		ids = append(ids, p.String())
	}
	return ids
}

const (
	modeTree      Mode = 0o40000
	modeSubmodule Mode = 0o160000
)

// treeEntry is an entry of a tree; without a name it is none.
type treeEntry struct {
	mode Mode
	name []byte
	id   plumbing.Hash
}

func (e treeEntry) same(other treeEntry) bool { return e.mode == other.mode && e.id == other.id }

// compare compares in git's order, in which a folder's name ends in '/'
// (base_name_compare), so that a file and a folder of one name are two entries.
// No entry comes last.
func (e treeEntry) compare(other treeEntry) int {
	if e.name == nil || other.name == nil {
		return cmp.Compare(len(other.name), len(e.name))
	}
	n := min(len(e.name), len(other.name))
	if c := bytes.Compare(e.name[:n], other.name[:n]); c != 0 {
		return c
	}
	return cmp.Compare(e.after(n), other.after(n))
}

// after is the byte behind the first n of a name.
func (e treeEntry) after(n int) int {
	switch {
	case n < len(e.name):
		return int(e.name[n])
	case e.mode == modeTree:
		return '/'
	}
	return 0
}

// treeReader reads a tree's bytes entry by entry, without a copy of each name.
type treeReader struct {
	id   plumbing.Hash
	rest []byte
	next treeEntry
}

// trees reads a tree object's content.
type trees func(id plumbing.Hash) ([]byte, error)

func (r *goGitRepo) trees(id plumbing.Hash) ([]byte, error) {
	return r.object(plumbing.TreeObject, id)
}

// open opens a tree; a zero hash is one without entries.
func (content trees) open(id plumbing.Hash) (*treeReader, error) {
	t := &treeReader{id: id}
	if id.IsZero() {
		return t, nil
	}
	var err error
	if t.rest, err = content(id); err != nil {
		return nil, err
	}
	return t, t.advance()
}

// advance reads the next entry. Modes are git's canonical ones, whatever an old
// or odd git wrote.
func (t *treeReader) advance() error {
	t.next = treeEntry{}
	if len(t.rest) == 0 {
		return nil
	}
	space, end := bytes.IndexByte(t.rest, ' '), bytes.IndexByte(t.rest, 0)
	if space < 0 || end <= space+1 || len(t.rest) < end+21 {
		return fmt.Errorf("tree %s is damaged", t.id)
	}
	mode, err := parseMode(t.rest[:space])
	if err != nil {
		return fmt.Errorf("tree %s is damaged", t.id)
	}
	switch mode & 0o170000 {
	case 0o100000:
		mode = ModeFile | mode&0o100>>6*0o111
	case 0o120000:
		mode = ModeLink
	case 0o040000:
		mode = modeTree
	default:
		mode = modeSubmodule
	}
	t.next.mode, t.next.name = mode, t.rest[space+1:end]
	copy(t.next.id[:], t.rest[end+1:])
	t.rest = t.rest[end+21:]
	return nil
}

// walk walks trees side by side, in git's order. For each name it has every
// tree's entry, where the tree has one: pass says which are of no interest, and
// the others are opened (folders) or handed to file. prefix stands before each
// path; at is valid until the callback returns.
func (content trees) walk(ids []plumbing.Hash, prefix string, pass func(prefix string, at []treeEntry) bool, file func(path string, at []treeEntry) error) error {
	readers := make([]*treeReader, len(ids))
	for i, id := range ids {
		var err error
		if readers[i], err = content.open(id); err != nil {
			return err
		}
	}
	at := make([]treeEntry, len(ids))
	for {
		first := readers[0].next
		for _, t := range readers[1:] {
			if t.next.compare(first) < 0 {
				first = t.next
			}
		}
		if first.name == nil {
			return nil
		}
		for i, t := range readers {
			at[i] = treeEntry{}
			if t.next.compare(first) == 0 {
				at[i] = t.next
				if err := t.advance(); err != nil {
					return err
				}
			}
		}

		if pass(prefix, at) {
			continue
		}
		path := prefix + string(first.name)
		var err error
		if first.mode == modeTree {
			below := make([]plumbing.Hash, len(at))
			for i := range at {
				below[i] = at[i].id
			}
			err = content.walk(below, path+"/", pass, file)
		} else {
			err = file(path, at)
		}
		if err != nil {
			return err
		}
	}
}

// treeFiles visits the files of a tree at or below a path ("" for all).
func (r *goGitRepo) treeFiles(tree plumbing.Hash, prefix, path string, file func(path string, e treeEntry) error) error {
	elsewhere := func(prefix string, at []treeEntry) bool {
		if path == "" {
			return false
		}
		name := prefix + string(at[0].name)
		return !below(name, path) && !(at[0].mode == modeTree && below(path, name))
	}
	return trees(r.trees).walk([]plumbing.Hash{tree}, prefix, elsewhere, func(path string, at []treeEntry) error { return file(path, at[0]) })
}

// newFiles visits the files of a tree that are in none of its parents' under the
// same path: with one parent an ordinary diff, with none all files, with several
// a merge's own content.
func (r *goGitRepo) newFiles(tree plumbing.Hash, parents []plumbing.Hash, file func(path string, e treeEntry) error) error {
	if slices.Contains(parents, tree) {
		return nil
	}
	old := func(_ string, at []treeEntry) bool {
		return at[0].name == nil || slices.ContainsFunc(at[1:], at[0].same)
	}
	return trees(r.trees).walk(append([]plumbing.Hash{tree}, parents...), "", old, func(path string, at []treeEntry) error { return file(path, at[0]) })
}

// refs lists every ref with what it points to, sorted by name. Symbolic refs
// are followed, those that lead nowhere are left out, as git does.
func (r *goGitRepo) refs() ([]*plumbing.Reference, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	iter, err := r.store.IterReferences()
	if err != nil {
		return nil, err
	}
	defer iter.Close()
	var refs []*plumbing.Reference
	err = iter.ForEach(func(ref *plumbing.Reference) error {
		if !strings.HasPrefix(ref.Name().String(), "refs/") {
			return nil
		}
		for hops := 0; ref.Type() == plumbing.SymbolicReference && hops < 5; hops++ {
			target, err := r.store.Reference(ref.Target())
			if err != nil {
				return nil
			}
			ref = target
		}
		if ref.Type() == plumbing.HashReference {
			refs = append(refs, ref)
		}
		return nil
	})
	slices.SortStableFunc(refs, func(a, b *plumbing.Reference) int { return cmp.Compare(a.Name(), b.Name()) })
	return refs, err
}
