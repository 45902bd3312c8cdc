package scrub

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// note is what remains to be done once the values are stored: refs, index and work
// tree are git's, and no journal of files holds them. It is one of the files that
// are stored with the values, so that a run that was killed is finished by it.
type note struct {
	Branch   string
	Old, New string
	Refs     []gitutil.RefChange
	Tree     []gitutil.TreeChange
}

// NotePath is where a repository notes a run that is not finished.
func NotePath(layout gitutil.Layout) string {
	return filepath.Join(layout.GitDir, "muxi-secrets", "scrub")
}

// Unfinished reports whether such a note is there.
func Unfinished(layout gitutil.Layout) bool {
	_, err := os.Lstat(NotePath(layout))
	return layout.GitDir != "" && err == nil
}

// maxNote bounds the note in bytes.
const maxNote = 64 << 20

// reason is what the reflogs say.
const reason = "muxi-secrets scrub"

// AddNote puts the note of a plan into a batch.
func (p *Plan) AddNote(layout gitutil.Layout, batch *safefile.Batch) error {
	content, err := json.Marshal(note{p.Branch, p.Old, p.New, p.refs, p.tree})
	if err != nil {
		return err
	}
	if err := safefile.MakePrivate(filepath.Dir(NotePath(layout))); err != nil {
		return err
	}
	return batch.Put(NotePath(layout), content, 0o600)
}

// Apply moves the refs, and then brings index and work tree along. store, which
// runs while the refs are locked, puts the note in place, with whatever else
// belongs to it: from then on the change is finished, by the next command if not by
// this one. left are paths that somebody changed meanwhile.
func (s *Scrubber) Apply(ctx context.Context, p *Plan, store func() error) (left []string, err error) {
	err = s.Repo.ChangeRefs(ctx, reason, p.refs, func() error {
		if err := store(); err != nil {
			return err
		}
		return s.fault("move refs")
	})
	if err == nil {
		err = s.fault("follow")
	}
	if err != nil {
		return nil, err
	}
	if left, err = s.Repo.FollowTree(ctx, p.tree); err != nil {
		return nil, err
	}
	if err := s.fault("forget"); err != nil {
		return nil, err
	}
	return left, forget(s.Repo.Layout())
}

func forget(layout gitutil.Layout) error {
	err := os.Remove(NotePath(layout))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Interrupted is what became of a run that was killed.
type Interrupted struct {
	Branch   string
	Finished bool // else the branch was moved since, and it is forgotten
	Left     []string
}

// Finish finishes a run that was killed after its values were stored; nil where
// there is none. Errors: what git says, *safefile.Error.
func Finish(ctx context.Context, repo gitutil.Writer) (*Interrupted, error) {
	file := NotePath(repo.Layout())
	content, err := safefile.Read(file, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: file, Err: err}
	}
	var n note
	if err := json.Unmarshal(content, &n); err != nil || len(n.Refs) == 0 {
		return nil, &safefile.Error{Op: "read", Path: file, Err: errors.New("it is no note of a 'scrub'")}
	}

	u := &Interrupted{Branch: n.Branch}
	head, _, err := repo.Head(ctx)
	if err != nil {
		return nil, err
	}
	branch, err := repo.HeadBranch(ctx)
	if err != nil {
		return nil, err
	}
	here := branch == n.Branch || branch == "" && n.Branch == "HEAD"
	if here && head == n.Old {
		if err := repo.ChangeRefs(ctx, reason, n.Refs, func() error { return nil }); err != nil {
			return nil, err
		}
		head = n.New
	}
	if here && head == n.New {
		u.Finished = true
		if u.Left, err = repo.FollowTree(ctx, n.Tree); err != nil {
			return nil, err
		}
	}
	return u, forget(repo.Layout())
}
