package history

import (
	"context"
	"path"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// Whereabouts finds the folder that a formation has in a commit. dir is the one
// that it has in HEAD, there are the folders with a vault in the commit; all from the
// top, with /. It follows the renames of HEAD back to where the two histories
// part, and those of the commit's own branch from there on. ok is false where the
// commit has no vault of that formation. Errors: what git says.
func Whereabouts(ctx context.Context, repo gitutil.Repository, keys *Keys, dir, commit string, there []string) (found string, ok bool, err error) {
	now, err := Read(ctx, repo, keys, "", nil)
	if err != nil {
		return "", false, err
	}
	then, err := Read(ctx, repo, keys, commit, nil)
	if err != nil {
		return "", false, err
	}

	before, err := now.apartFrom(then, dir)
	if err != nil {
		return "", false, err
	}
	for _, dir := range before {
		if slices.Contains(there, dir) {
			return dir, true, nil
		}
	}
	for _, dir := range there {
		parted, err := then.apartFrom(now, dir)
		if err != nil {
			return "", false, err
		}
		if slices.ContainsFunc(parted, func(dir string) bool { return slices.Contains(before, dir) }) {
			return dir, true, nil
		}
	}
	return "", false, nil
}

// apartFrom returns the folders that a formation may have had before the commits
// that this history has and the other one has not.
func (h *History) apartFrom(other *History, dir string) ([]string, error) {
	theirs := map[string]bool{}
	for _, e := range other.entries {
		theirs[e.Hash] = true
	}
	own := slices.DeleteFunc(slices.Clone(h.entries), func(e *gitutil.LogEntry) bool { return theirs[e.Hash] })

	t := &trail{paths: []string{path.Join(dir, formation.VaultFile)}}
	if appears(own, t.paths[0]) { // else nothing needs to be opened
		if err := h.walk(own, []*trail{t}, func(int, *VaultCommit) bool { return true }); err != nil {
			return nil, err
		}
	}
	var dirs []string
	for _, p := range t.paths {
		dirs = append(dirs, path.Dir(p))
	}
	return dirs, nil
}

// appears reports whether one of these commits brings a file in.
func appears(entries []*gitutil.LogEntry, file string) bool {
	return slices.ContainsFunc(entries, func(e *gitutil.LogEntry) bool {
		return slices.ContainsFunc(e.Changes, func(c gitutil.LogChange) bool { return c.Old == "" && c.Path == file })
	})
}
