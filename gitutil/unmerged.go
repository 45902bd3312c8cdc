package gitutil

import "context"

// Conflict is a path of the index that a merge left unsettled. Stages are base,
// ours and theirs; where one of them does not have the file its ID is "".
type Conflict struct {
	Path   string
	Stages [3]IndexEntry
}

// conflicts collects stages, which come in the order of the index: those of one
// path stand together.
type conflicts struct{ list []Conflict }

func (c *conflicts) add(e IndexEntry, stage int) {
	if stage < 1 || stage > 3 {
		return
	}
	last := len(c.list) - 1
	if last < 0 || c.list[last].Path != e.Path {
		c.list = append(c.list, Conflict{Path: e.Path})
		last++
	}
	c.list[last].Stages[stage-1] = e
}

// Unmerged reads the index directly where ListIndex does.
func (g *gitRepo) Unmerged(ctx context.Context) ([]Conflict, error) {
	var found conflicts
	ok := g.readIndexFile(func() { found.list = nil }, func(e *indexRecord) {
		if e.stage != 0 {
			found.add(e.entry(), e.stage)
		}
	})
	if ok {
		return found.list, nil
	}
	found.list = nil
	err := g.listStages(ctx, func(path []byte, mode Mode, id string, stage int) {
		found.add(IndexEntry{string(path), id, mode}, stage)
	}, "--unmerged")
	return found.list, err
}

func (r *goGitRepo) Unmerged(context.Context) ([]Conflict, error) {
	idx, err := r.index()
	if err != nil {
		return nil, err
	}
	var found conflicts
	for _, e := range idx.Entries {
		found.add(IndexEntry{e.Name, e.Hash.String(), Mode(e.Mode)}, int(e.Stage))
	}
	return found.list, nil
}
