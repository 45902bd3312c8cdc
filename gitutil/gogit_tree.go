package gitutil

import (
	"bytes"
	"fmt"
	"sort"
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

// treeFile is an entry of a tree; in walks, path is from the top.
type treeFile struct {
	path string
	mode Mode
	id   plumbing.Hash
}

const modeTree Mode = 0o40000

// treeAt reads the entries of one folder, in git's order.
func (r *goGitRepo) treeAt(id plumbing.Hash) ([]treeFile, error) {
	data, err := r.object(plumbing.TreeObject, id)
	if err != nil {
		return nil, err
	}
	var files []treeFile
	for len(data) > 0 {
		space := bytes.IndexByte(data, ' ')
		end := bytes.IndexByte(data, 0)
		if space < 0 || end < space || len(data) < end+21 {
			return nil, fmt.Errorf("tree %s is damaged", id)
		}
		mode, err := strconv.ParseUint(string(data[:space]), 8, 32)
		if err != nil {
			return nil, fmt.Errorf("tree %s is damaged", id)
		}
		f := treeFile{path: string(data[space+1 : end]), mode: Mode(mode)}
		copy(f.id[:], data[end+1:end+21])
		files = append(files, f)
		data = data[end+21:]
	}
	return files, nil
}

// walkChanges visits the files of a tree that are in none of the parents' trees
// under the same path: with one parent an ordinary diff, with none all files,
// with several a merge's own content. Equal folders are not opened.
func (r *goGitRepo) walkChanges(tree plumbing.Hash, parents []plumbing.Hash, prefix string, fn func(treeFile) error) error {
	for _, p := range parents {
		if p == tree {
			return nil
		}
	}
	files, err := r.treeAt(tree)
	if err != nil {
		return err
	}
	olds := make([]map[string]treeFile, len(parents))
	for i, p := range parents {
		if p.IsZero() {
			continue
		}
		entries, err := r.treeAt(p)
		if err != nil {
			return err
		}
		olds[i] = make(map[string]treeFile, len(entries))
		for _, e := range entries {
			olds[i][e.path] = e
		}
	}
	for _, f := range files {
		below := make([]plumbing.Hash, len(parents))
		same := false
		for i := range olds {
			old, ok := olds[i][f.path]
			same = same || ok && old.id == f.id && old.mode == f.mode
			if ok && old.mode == modeTree {
				below[i] = old.id
			}
		}
		if same {
			continue
		}
		name := f.path
		f.path = prefix + name
		if f.mode == modeTree {
			err = r.walkChanges(f.id, below, f.path+"/", fn)
		} else {
			err = fn(f)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	sort.SliceStable(refs, func(i, j int) bool { return refs[i].Name() < refs[j].Name() })
	return refs, err
}
