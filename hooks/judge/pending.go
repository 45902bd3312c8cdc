package judge

import (
	"context"
	"errors"
	"path"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Pending is the pending commit, judged: for the hook before a commit, and for
// 'check --staged', so that neither stops at what the other lets pass. What stops it
// is in the report, but for what a hook may bring along.
type Pending struct {
	*Report
	Paths []string // that it brings, changes or deletes, from the top

	// After WithFormations:
	Dirs    []string       // the formations that it touches; none where this clone lacks files of them
	Staged  []*Snapshot    // these, as the index has them
	Lacking []Lacking      // what they lack in .gitignore and .gitattributes
	Stale   []scan.Finding // their templates that are not as they would be written
	State   []scan.Finding // what else is said of them, and stops nothing

	judge *Judge
}

// Pending judges the files of the pending commit.
func (j *Judge) Pending(ctx context.Context) (*Pending, error) {
	p := &Pending{judge: j}
	var err error
	p.Report, err = j.Visit(ctx, "what is staged", func(v gitutil.Visitor) error {
		blob := v.Blob
		v.Blob = func(b *gitutil.Blob) error {
			p.Paths = append(p.Paths, b.Path)
			return blob(b)
		}
		v.Deleted = func(path string) error {
			p.Paths = append(p.Paths, path)
			return nil
		}
		return j.Repo.Staged(ctx, v)
	})
	if err != nil {
		return p, err
	}
	return p, j.NoteRestage(p.Findings)
}

// Staged is Pending for who wants to know of the files alone.
func (j *Judge) Staged(ctx context.Context) (*Report, error) {
	p, err := j.Pending(ctx)
	return p.Report, err
}

// WithFormations judges the branch's name, and the formations that the pending commit
// touches.
func (p *Pending) WithFormations(ctx context.Context, keys *history.Keys, parse ParseReferences) error {
	j := p.judge
	basis, err := j.Basis()
	if err != nil {
		return err
	}
	p.Add(basis, basis.Scanner.Ref(j.Repo.Layout().HeadRef()))
	for _, dir := range basis.Dirs {
		if slices.ContainsFunc(p.Paths, func(file string) bool { return Within(dir, file) != "" }) {
			p.Dirs = append(p.Dirs, dir)
		}
	}
	if err := p.gitFiles(ctx, basis); err != nil {
		return err
	}
	step, err := p.outOfStep(ctx, keys, basis.Dirs)
	p.Add(basis, step)
	if err != nil || len(p.Dirs) == 0 {
		return err
	}

	p.Staged, err = SnapshotsWith(ctx, j.Repo, keys, Index(j.Repo), p.Dirs, basis.Dirs, parse)
	if _, missing := errors.AsType[*gitutil.MissingObjectError](err); missing {
		// A partial clone, and a formation that is partly outside of its sparse
		// checkout: what is committed was judged, what is not here cannot be.
		for _, dir := range p.Dirs {
			p.Skipped = append(p.Skipped, Skipped{Path: path.Join(dir, formation.TemplateFile), Reason: "left as it is: this partial clone lacks files of the formation"})
		}
		p.Dirs, p.Lacking = nil, nil
		return nil
	}
	if err != nil {
		return err
	}
	state, err := j.State(ctx, p.Staged)
	if err != nil {
		return err
	}
	for _, f := range state.Findings {
		switch f.Rule {
		case scan.TemplateStale:
			p.Stale = append(p.Stale, f)
		case scan.KeyNotIgnored:
			p.Findings = append(p.Findings, f)
		default:
			p.State = append(p.State, f)
		}
	}
	vouched, err := j.Vouched(ctx, p.Staged)
	if err != nil {
		return err
	}
	p.Add(basis, vouched)
	return nil
}

// gitFiles finds what the formations that the commit touches lack of .gitignore and
// .gitattributes, and attributes that have git store something else than the files of
// any: those of the commit, and those of the work tree, by which git just took them in.
func (p *Pending) gitFiles(ctx context.Context, basis *Basis) error {
	may := func(file string) bool {
		base := path.Base(file)
		return base == formation.VaultFile || base == formation.RecipientsFile || gitutil.IsPatternFile(file)
	}
	if !slices.ContainsFunc(p.Paths, may) {
		return nil
	}
	lacking, filters, err := LackingIn(ctx, Index(p.judge.Repo), basis.Dirs)
	if err != nil {
		return err
	}
	for _, l := range lacking {
		if slices.Contains(p.Dirs, path.Dir(l.Path)) {
			p.Lacking = append(p.Lacking, l)
		}
	}
	onDisk, err := FiltersOnDisk(ctx, p.judge.Repo, basis.Dirs)
	p.Add(basis, Filters(append(filters, onDisk...)))
	return err
}

// outOfStep finds the formations that the commit would leave out of step: those that
// it touches, where it does so in a file that a rotation changes with others, and all
// where it merges, since one that keeps the files of a side touches none.
func (p *Pending) outOfStep(ctx context.Context, keys *history.Keys, all []string) ([]scan.Finding, error) {
	dirs := p.Dirs
	operation, err := p.judge.Repo.Operation(ctx)
	switch {
	case err != nil:
		return nil, err
	case operation.Kind == "merge":
		dirs = all
	case !slices.ContainsFunc(p.Paths, IsShared):
		return nil, nil
	}

	shared, err := SharedIn(ctx, Index(p.judge.Repo), dirs)
	if _, missing := errors.AsType[*gitutil.MissingObjectError](err); missing {
		return nil, nil // a partial clone: what is not here cannot be judged
	}
	if err != nil {
		return nil, err
	}
	return OutOfStep(ctx, p.judge.Repo, keys, "", shared)
}
