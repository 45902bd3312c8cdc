package gitutil

import "context"

// Conflict is a path of the index that a merge left unsettled. Stages are base,
// ours and theirs; where one of them does not have the file its ID is "".
type Conflict struct {
	Path   string
	Stages [3]IndexEntry
}

func (g *gitRepo) Unmerged(ctx context.Context) ([]Conflict, error) { return listUnmerged(ctx, g) }

func (r *goGitRepo) Unmerged(ctx context.Context) ([]Conflict, error) { return listUnmerged(ctx, r) }

// listUnmerged collects stages. Those of one path stand together in an index.
func listUnmerged(ctx context.Context, index indexReader) ([]Conflict, error) {
	var list []Conflict
	err := index.eachIndexEntry(ctx, func() { list = nil }, func(e *indexRecord) {
		if e.stage == 0 {
			return
		}
		last := len(list) - 1
		if last < 0 || list[last].Path != string(e.path) {
			list = append(list, Conflict{Path: string(e.path)})
			last++
		}
		list[last].Stages[e.stage-1] = e.entry()
	})
	return list, err
}
