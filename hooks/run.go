package hooks

import (
	"context"
	"errors"
	"os"
	"path"
	"slices"
	"sync"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Runner does what git's hooks have to do in one repository.
type Runner struct {
	Repo gitutil.Repository
	// Reopen opens the repository once more, for a question beside another.
	Reopen   func() (gitutil.Repository, error)
	Files    formation.Files
	Getenv   func(string) string
	Progress func(files, commits int)
}

// Outcome is what a hook found and did.
type Outcome struct {
	Report
	// Warnings do not stop git.
	Warnings []scan.Finding
	// Templates are the templates that were brought up to date for the commit.
	Templates []string
}

// PreCommit judges what is staged, and brings the templates of the formations
// that the commit touches up to date: the staged one from the index, the one in
// the work tree from the work tree. pre-merge-commit does the same.
func (r *Runner) PreCommit(ctx context.Context) (*Outcome, error) {
	j := r.judge(ctx)
	var touched []string // paths
	report, err := j.run(func(v gitutil.Visitor) error {
		blob := v.Blob
		v.Blob = func(b *gitutil.Blob) error {
			touched = append(touched, b.Path)
			return blob(b)
		}
		v.Deleted = func(p string) error {
			touched = append(touched, p)
			return nil
		}
		return r.Repo.Staged(ctx, gitutil.StagedOptions{}, v)
	})
	if err != nil {
		return nil, err
	}
	out := &Outcome{Report: *report}
	open, err := unsettled(ctx, r.Repo)
	if err != nil {
		return nil, err
	}
	out.Findings = append(out.Findings, open...)
	basis, err := j.Basis()
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, dir := range basis.Dirs {
		if slices.ContainsFunc(touched, func(p string) bool { return within(dir, p) != "" }) {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		return out, nil
	}
	parse := remembered()
	staged, err := snapshots(ctx, r.Repo, Index(r.Repo), dirs, basis.Dirs, parse)
	var missing *gitutil.MissingObjectError
	if errors.As(err, &missing) {
		// A partial clone, and a formation that is partly outside of its sparse
		// checkout: what is committed was judged, what is not here cannot be.
		for _, dir := range dirs {
			out.Skipped = append(out.Skipped, Skipped{path.Join(dir, formation.TemplateFile), "left as it is: this partial clone lacks files of the formation"})
		}
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	state, err := j.State(ctx, staged)
	if err != nil {
		return nil, err
	}
	for _, f := range state {
		switch f.Rule {
		case scan.TemplateStale: // mended below
		case scan.KeyNotIgnored:
			out.Findings = append(out.Findings, f)
		default:
			out.Warnings = append(out.Warnings, f)
		}
	}
	if Stops(out.Findings) {
		return out, nil // git stops: nothing is to be changed on the way
	}
	out.Templates, err = r.templates(ctx, staged, parse)
	return out, err
}

// Stops reports whether findings stop a commit or a push.
func Stops(found []scan.Finding) bool {
	return slices.ContainsFunc(found, func(f scan.Finding) bool { return f.Severity == scan.Error })
}

// CommitMessage judges the file that holds the message of the pending commit.
func (r *Runner) CommitMessage(ctx context.Context, file string) (*Outcome, error) {
	message, err := os.ReadFile(file)
	if err != nil {
		return nil, &formation.FileError{Op: "read", Path: file, Err: err}
	}
	j := r.judge(ctx)
	// What git will take out of the message only matters where there is
	// something in it: git need not be asked before most commits.
	report, err := j.Message(message, Cleanup{})
	if err != nil || len(report.Findings) == 0 {
		return &Outcome{}, err
	}
	cleanup, err := r.cleanup(ctx)
	if err != nil {
		return nil, err
	}
	report, err = j.Message(message, cleanup)
	if err != nil {
		return nil, err
	}
	return &Outcome{Report: *report}, nil
}

// cleanup is what git will do to a message, as far as a hook can know: git tells
// it only whether there was an editor, by an editor that is none (GIT_EDITOR=:).
// A message given with -m or -F keeps lines that look like comments.
func (r *Runner) cleanup(ctx context.Context) (Cleanup, error) {
	if r.Getenv("GIT_EDITOR") == ":" {
		return Cleanup{}, nil
	}
	c := Cleanup{Scissors: true} // --verbose, or --cleanup=scissors
	mode, _, err := r.Repo.Config(ctx, "commit.cleanup")
	if err != nil {
		return c, err
	}
	switch mode {
	case "", "default", "strip":
	default:
		return c, nil
	}
	for _, key := range [...]string{"core.commentChar", "core.commentString"} {
		value, ok, err := r.Repo.Config(ctx, key)
		if err != nil {
			return c, err
		}
		if ok {
			c.Comment = value
		}
	}
	switch c.Comment {
	case "":
		c.Comment = "#"
	case "auto":
		c.Comment = "" // git picks one that no line starts with: nothing is left out
	}
	return c, nil
}

// judge makes a Judge whose basis is prepared beside everything else, by a
// repository of its own: from the index, or where there is none from HEAD.
func (r *Runner) judge(ctx context.Context) *Judge {
	return &Judge{Repo: r.Repo, Progress: r.Progress, Basis: BasisBeside(r.Reopen, func(repo gitutil.Repository) (*Basis, error) {
		if repo.Layout().Top == "" {
			return BasisOf(ctx, repo, Tree(repo, "HEAD"))
		}
		return BasisOfIndex(ctx, repo)
	})}
}

// BasisBeside starts to work out a basis at once, with a repository of its own,
// and returns how to wait for it.
func BasisBeside(reopen func() (gitutil.Repository, error), work func(gitutil.Repository) (*Basis, error)) func() (*Basis, error) {
	once := sync.OnceValues(func() (*Basis, error) {
		repo, err := reopen()
		if err != nil {
			return nil, err
		}
		defer repo.Close()
		return work(repo)
	})
	go once()
	return once
}
