// Package hooks is what stands between a secret and a commit or a push: what
// each of git's hooks runs, and how hooks are installed, chained and removed. The
// verdicts are made in hooks/judge; what merges leave, in hooks/merge; what the
// commits did to vaults, in hooks/history.
package hooks

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Runner does what git's hooks have to do in one repository.
type Runner struct {
	Repo gitutil.Writer
	Keys *history.Keys
	// Reopen opens the repository once more, for a question beside another.
	Reopen   func() (gitutil.Repository, error)
	Files    safefile.Files
	Getenv   func(string) string
	Progress func(files, commits int)
}

// Outcome is what a hook found and did.
type Outcome struct {
	judge.Report
	// Warnings do not stop git.
	Warnings []scan.Finding
	// Locked are formations whose values were not looked for: no key opens them.
	Locked []string
	// Templates are the templates that were brought up to date for the commit.
	Templates []string
	// GitFiles are the .gitignore and .gitattributes that lines of ours were
	// brought into for the commit.
	GitFiles []string
	// Kept are refs that a push would take along, and that are nobody else's: what
	// 'scrub' took leaks out of.
	Kept []string
	// Unpushed says that every commit with a finding is one of HEAD's that no
	// remote-tracking branch has.
	Unpushed bool
}

// mayWrite reports whether a hook may write into the index and the work tree: not
// where a manager has put unstaged work aside. The pre-commit framework keeps it
// where nobody sees it, and says so to what it runs.
func (r *Runner) mayWrite(ctx context.Context) (bool, error) {
	if r.Getenv("PRE_COMMIT") != "" {
		return false, nil
	}
	aside, err := r.Repo.SetAside(ctx)
	return !aside, err
}

// PreCommit judges what is staged, and brings the templates of the formations
// that the commit touches up to date: the staged one from the index, the one in
// the work tree from the work tree. pre-merge-commit does the same.
func (r *Runner) PreCommit(ctx context.Context) (*Outcome, error) {
	j := r.judge(ctx)
	pending, err := j.Pending(ctx)
	if err != nil {
		return nil, err
	}
	basis, err := j.Basis()
	if err != nil {
		return nil, err
	}
	r.keepKeys(basis)
	parse := judge.Remembered()
	if err := pending.WithFormations(ctx, r.Keys, parse); err != nil {
		return nil, err
	}
	open, err := merge.Unsettled(ctx, r.Repo)
	if err != nil {
		return nil, err
	}
	out := &Outcome{Report: *pending.Report, Locked: basis.Locked, Warnings: r.sayOnce(pending.Dirs, pending.State)}
	out.Findings = append(out.Findings, open...)
	if Stops(out.Findings) {
		return out, nil // git stops: nothing is to be changed on the way
	}

	staged, lacking, err := r.gitFiles(ctx, pending.Lacking)
	out.GitFiles, out.Findings = staged, append(out.Findings, judge.GitFiles(lacking)...)
	if err != nil || Stops(out.Findings) {
		return out, err
	}
	out.Templates, err = r.templates(ctx, pending.Staged, parse)
	if errors.Is(err, errSetAside) {
		for _, f := range pending.Stale {
			f.Remedy.Does += " for the next commit: this one was left alone, since a hook manager may hold unstaged work back"
			out.Warnings = append(out.Warnings, f)
		}
		return out, nil
	}
	return out, err
}

// errSetAside says that nothing was written since a manager has work set aside.
var errSetAside = errors.New("unstaged work is set aside")

// keepKeys copies each .key that opens its vault to the git dir, where no branch
// switch takes it away: one that was laid there by hand has no copy yet. Where that
// cannot be done, nothing is lost that was there before.
func (r *Runner) keepKeys(basis *judge.Basis) {
	pins := trust.PinsOf(r.Repo.Layout())
	for _, o := range basis.Opened {
		if !o.Sealed || o.Found.Place != formation.InFolder && o.Found.Place != formation.InWorkTree {
			continue
		}
		r.Files.Do(func(batch *safefile.Batch) error { return o.KeepKey(batch, o.Key, o.Found.Content) })
		// The first key of a folder is the one that what arrives is judged by.
		pin := formation.Pin{Folder: judge.Label(r.Repo.Layout().Top, o.Dir), Key: o.Key.Public()}
		if _, pinned, err := pins.Get(pin.Folder); err == nil && !pinned {
			r.Files.Do(func(batch *safefile.Batch) error { return pins.Set(batch, pin) })
		}
	}
}

// Stops reports whether findings stop a commit or a push.
func Stops(found []scan.Finding) bool {
	return slices.ContainsFunc(found, func(f scan.Finding) bool { return f.Severity == scan.Error })
}

// CommitMessage judges the file that holds the message of the pending commit.
func (r *Runner) CommitMessage(ctx context.Context, file string) (*Outcome, error) {
	message, err := os.ReadFile(file)
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: file, Err: err}
	}
	j := r.judge(ctx)
	// What git will take out of the message only matters where there is
	// something in it: git need not be asked before most commits.
	report, err := j.Message(message, judge.Cleanup{})
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
func (r *Runner) cleanup(ctx context.Context) (judge.Cleanup, error) {
	if r.Getenv("GIT_EDITOR") == ":" {
		return judge.Cleanup{}, nil
	}
	c := judge.Cleanup{Scissors: true} // --verbose, or --cleanup=scissors
	mode, _, err := r.Repo.Config(ctx, "commit.cleanup")
	if err != nil {
		return c, err
	}
	switch mode {
	case "", "default", "strip":
	default:
		return c, nil
	}
	// Git since 2.45 goes by the one of these that its configuration has last, and
	// knew but the first before: a line is a comment where it is one by both.
	for _, key := range [...]string{"core.commentChar", "core.commentString"} {
		start, ok, err := r.Repo.Config(ctx, key)
		switch {
		case err != nil:
			return c, err
		case !ok && key == "core.commentChar":
			start = "#"
		case !ok:
			continue
		case start == "" || start == "auto":
			c.Comment = nil // git picks one that no line starts with: nothing is left out
			return c, nil
		}
		c.Comment = append(c.Comment, start)
	}
	return c, nil
}

// judge makes a Judge whose basis is prepared beside everything else, by a
// repository of its own: from the index, or where there is none from HEAD.
func (r *Runner) judge(ctx context.Context) *judge.Judge {
	return &judge.Judge{Repo: r.Repo, Progress: r.Progress, Basis: BasisBeside(r.Reopen, func(repo gitutil.Repository) (*judge.Basis, error) {
		if repo.Layout().Top == "" {
			return judge.BasisOf(ctx, repo, judge.Tree(repo, "HEAD"))
		}
		return judge.BasisOfIndex(ctx, repo)
	})}
}

// BasisBeside starts to work out a basis at once, with a repository of its own,
// and returns how to wait for it.
func BasisBeside(reopen func() (gitutil.Repository, error), work func(gitutil.Repository) (*judge.Basis, error)) func() (*judge.Basis, error) {
	once := sync.OnceValues(func() (*judge.Basis, error) {
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
