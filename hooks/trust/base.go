package trust

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"sync"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// FolderChange is what a branch does to the sharing of one folder.
type FolderChange struct {
	Dir string // the folder in the branch, from the top, with /
	// Was is the folder that it is judged against, where that is another.
	Was string
	Change
}

// Changes compares the sharing of a repository's formations in a commit with what
// the tip of its base has, and the commit where the branch began. No key is asked
// for. Without a base, tip and before are "", and each formation is judged by what
// the branch itself had before. Errors: what git says.
func Changes(ctx context.Context, repo gitutil.Repository, tip, before, after string) ([]FolderChange, error) {
	b := &branch{repo: repo, revs: [3]string{tip, before, after}, ids: map[gitutil.FileAt]string{}}
	b.log = sync.OnceValue(func() []*gitutil.LogEntry { return listLog(ctx, repo, cmp.Or(tip, after)) })
	if err := b.readTrees(ctx); err != nil {
		return nil, err
	}

	var changes []FolderChange
	for _, dir := range b.shared(2) {
		known := slices.Contains(b.shared(0), dir) || slices.Contains(b.shared(1), dir)
		change, err := b.compare(ctx, dir, dir)
		if err == nil && !known && change.Judge().Fault == NoFault {
			change, err = b.moved(ctx, change)
		}
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// branch is the three commits that a branch is judged by: the base's tip, where
// the branch began, and the branch's own.
type branch struct {
	repo gitutil.Repository
	revs [3]string
	dirs [3][]string // the formations of each
	// lists are the folders with a list of each: one is judged also where the file
	// that makes a formation is missing, or the list could change under its absence.
	lists [3][]string
	gone  []string // formations of the base that the branch took away
	ids   map[gitutil.FileAt]string
	log   func() []*gitutil.LogEntry // what changed lists before the tip; without one, in the branch
}

// readTrees reads which formations there are, and the ids of their files.
func (b *branch) readTrees(ctx context.Context) error {
	var known []string
	for i, rev := range b.revs {
		if rev == "" {
			continue // to git that would be the index
		}
		known = append(known, rev)
		var err error
		if b.dirs[i], b.lists[i], err = foldersOf(ctx, b.repo, rev); err != nil {
			return err
		}
	}
	for _, dir := range b.dirs[0] {
		if slices.Contains(b.dirs[1], dir) && !slices.Contains(b.dirs[2], dir) {
			b.gone = append(b.gone, dir)
		}
	}

	var files []gitutil.FileAt
	all := slices.Concat(b.shared(0), b.shared(1), b.shared(2))
	slices.Sort(all)
	for _, dir := range slices.Compact(all) {
		for _, name := range []string{formation.RecipientsFile, formation.WrappedKeyFile, formation.VaultFile} {
			files = append(files, gitutil.FilesAt(known, path.Join(dir, name))...)
		}
	}
	ids, err := b.repo.FileIDs(ctx, files)
	for i, id := range ids {
		b.ids[files[i]] = id
	}
	return err
}

func (b *branch) id(rev int, dir, name string) string {
	return b.ids[gitutil.FileAt{Commit: b.revs[rev], Path: path.Join(dir, name)}]
}

// shared are the folders of a commit that are formations, or have a list.
func (b *branch) shared(rev int) []string {
	all := slices.Concat(b.dirs[rev], b.lists[rev])
	slices.Sort(all)
	return slices.Compact(all)
}

// foldersOf are the folders of a commit that are formations, and those that have a
// list.
func foldersOf(ctx context.Context, repo gitutil.Repository, rev string) (formations, lists []string, err error) {
	is, has := map[string]bool{}, map[string]bool{}
	err = repo.TreeBlobs(ctx, rev, "", gitutil.Visitor{
		Want: func(p string, _ gitutil.Mode) bool {
			switch base := path.Base(p); {
			case formation.IsFormationFile(base):
				is[path.Dir(p)] = true
			case base == formation.RecipientsFile:
				has[path.Dir(p)] = true
			}
			return false
		},
		Blob: func(*gitutil.Blob) error { return nil },
	})
	return slices.Sorted(maps.Keys(is)), slices.Sorted(maps.Keys(has)), err
}

// compare reads a folder in the branch, and the folder that it was in the base.
func (b *branch) compare(ctx context.Context, dir, was string) (FolderChange, error) {
	c := FolderChange{Dir: dir}
	if was != dir {
		c.Was = was
	}

	folder := &Folder{Repo: b.repo, Dir: was, lists: map[string]List{"": {}}}
	lists := []string{b.id(0, was, formation.RecipientsFile), b.id(1, was, formation.RecipientsFile), b.id(2, dir, formation.RecipientsFile)}
	if err := folder.read(ctx, lists); err != nil {
		return c, err
	}
	for i, v := range []*Version{&c.Tip, &c.Before, &c.After} {
		at := was
		if i == 2 {
			at = dir
		}
		*v = Version{slices.Contains(b.shared(i), at), folder.lists[lists[i]], b.id(i, at, formation.WrappedKeyFile)}
	}

	c.Root = c.Tip.List
	if b.revs[0] == "" {
		c.Root = c.After.List
	}
	if c.Root.State != Signed { // also where the base deleted the folder, which the branch has anew
		if signed := folder.nearest(folder.versions(ctx, b.log()), c.Root, List.signed); len(signed) > 0 {
			c.Root = signed[0]
		}
	}
	return c, nil
}

// moved judges a formation that is new in the branch where some of the base are
// gone in it: it is the one whose vault it has, or whose key leads to its own,
// else any that is missed.
func (b *branch) moved(ctx context.Context, fresh FolderChange) (FolderChange, error) {
	best, rank := fresh, 0
	for _, was := range b.gone {
		one, err := b.compare(ctx, fresh.Dir, was)
		if err != nil {
			return fresh, err
		}
		if r := b.likely(one); r > rank {
			best, rank = one, r
		}
	}
	return best, nil
}

// likely ranks how much a new folder may be the one that it is compared with.
func (b *branch) likely(c FolderChange) int {
	_, signed := c.Root.Names()
	vault := b.id(0, c.Was, formation.VaultFile)
	switch {
	case !signed:
		return 0 // nobody vouched for that one either
	case vault != "" && vault == b.id(2, c.Dir, formation.VaultFile):
		return 3
	case c.Judge().Fault == NoFault:
		return 2
	}
	return 1
}
