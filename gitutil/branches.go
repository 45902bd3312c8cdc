package gitutil

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// isBranch tells the refs that a fetch, a pull or a commit moves.
func isBranch(ref string) bool {
	return strings.HasPrefix(ref, "refs/heads/") || strings.HasPrefix(ref, "refs/remotes/")
}

func (g *gitRepo) Branches(ctx context.Context) ([]Ref, error) {
	out, err := g.output(ctx, nil, "for-each-ref", "--format=%(objectname) %(refname) %(symref)", "refs/heads/", "refs/remotes/")
	if err != nil {
		return nil, err
	}

	var refs []Ref
	for line := range strings.Lines(string(out)) {
		if columns := strings.Fields(line); len(columns) == 2 { // else another name for a branch
			refs = append(refs, Ref{Name: columns[1], ID: columns[0]})
		}
	}
	return refs, nil
}

func (r *goGitRepo) Branches(context.Context) ([]Ref, error) {
	all, err := r.refs()
	if err != nil {
		return nil, err
	}

	var refs []Ref
	for _, ref := range all {
		if isBranch(ref.Name().String()) {
			refs = append(refs, Ref{Name: ref.Name().String(), ID: ref.Hash().String()})
		}
	}
	return slices.Compact(refs), nil // a symbolic one is there as what it leads to
}

// FileAt is a file in a commit.
type FileAt struct {
	Commit string // a full id, or another revision
	Path   string // from the top, with /
}

// FilesAt is one file in several commits.
func FilesAt(commits []string, path string) []FileAt {
	var files []FileAt
	for _, commit := range commits {
		files = append(files, FileAt{commit, path})
	}
	return files
}

func (g *gitRepo) FileIDs(ctx context.Context, files []FileAt) ([]string, error) {
	ids := make([]string, len(files))
	var questions bytes.Buffer
	var asked []int
	for i, file := range files {
		if strings.Contains(file.Path, "\n") {
			if err := g.fileIDByTree(ctx, file, &ids[i]); err != nil {
				return nil, err
			}
			continue
		}
		questions.WriteString(file.Commit + ":" + file.Path + "\n")
		asked = append(asked, i)
	}
	if len(asked) == 0 {
		return ids, nil
	}

	out, err := g.output(ctx, questions.Bytes(), "cat-file", "--batch-check=%(objecttype) %(objectname)")
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if id, ok := strings.CutPrefix(line, "blob "); ok && i < len(asked) && isObjectID(id) {
			ids[asked[i]] = id
		}
	}
	return ids, nil
}

// fileIDByTree is for a name that cat-file would take for two questions.
func (g *gitRepo) fileIDByTree(ctx context.Context, file FileAt, id *string) error {
	if kinds, err := g.kinds(ctx, []Ref{{ID: file.Commit}}); err != nil || kinds[0] != "commit" {
		return err
	}
	return g.TreeBlobs(ctx, file.Commit, file.Path, Visitor{
		Want: func(p string, _ Mode) bool { return p == file.Path },
		Blob: func(b *Blob) error {
			*id = b.ID
			return nil
		},
	})
}

func (r *goGitRepo) FileIDs(ctx context.Context, files []FileAt) ([]string, error) {
	ids := make([]string, len(files))
	for i, file := range files {
		commit := file.Commit
		if !isObjectID(commit) {
			commit, _ = r.ResolveRev(ctx, commit)
		}
		c, err := r.commitAt(plumbing.NewHash(commit))
		if err != nil {
			continue
		}
		err = r.treeFiles(c.tree, "", file.Path, func(p string, e treeEntry) error {
			if p == file.Path && e.mode.hasContent() {
				ids[i] = e.id.String()
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}
