// Package hooks is what stands between a secret and a commit or a push: what
// each of git's hooks runs, and how hooks are installed, chained and removed. The
// verdicts are made in hooks/judge; what merges leave, in hooks/merge; what the
// commits did to vaults, in hooks/history.
package hooks

import (
	"context"
	"errors"
	"os"
	"path"
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
	var touched []string // paths
	report, err := j.Visit(ctx, "what is staged", func(v gitutil.Visitor) error {
		blob := v.Blob
		v.Blob = func(b *gitutil.Blob) error {
			touched = append(touched, b.Path)
			return blob(b)
		}
		v.Deleted = func(p string) error {
			touched = append(touched, p)
			return nil
		}
		return r.Repo.Staged(ctx, v)
	})
	if err != nil {
		return nil, err
	}
	if err := j.NoteRestage(report.Findings); err != nil {
		return nil, err
	}
	out := &Outcome{Report: *report}
	open, err := merge.Unsettled(ctx, r.Repo)
	if err != nil {
		return nil, err
	}
	out.Findings = append(out.Findings, open...)
	basis, err := j.Basis()
	if err != nil {
		return nil, err
	}
	r.keepKeys(basis)
	out.Add(basis, basis.Scanner.Ref(r.Repo.Layout().HeadRef()))
	filters, err := r.filters(ctx, basis.Dirs, touched)
	if err != nil {
		return nil, err
	}
	out.Add(basis, filters)
	out.Locked = basis.Locked
	var dirs []string
	for _, dir := range basis.Dirs {
		if slices.ContainsFunc(touched, func(p string) bool { return judge.Within(dir, p) != "" }) {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		return out, nil
	}
	return out, r.touched(ctx, j, basis, out, dirs, touched)
}

// touched judges the formations in dirs, which the pending commit touches by these
// paths, and brings what is theirs into it.
func (r *Runner) touched(ctx context.Context, j *judge.Judge, basis *judge.Basis, out *Outcome, dirs, paths []string) error {
	parse := judge.Remembered()
	staged, err := judge.SnapshotsWith(ctx, r.Repo, r.Keys, judge.Index(r.Repo), dirs, basis.Dirs, parse)
	var missing *gitutil.MissingObjectError
	if errors.As(err, &missing) {
		// A partial clone, and a formation that is partly outside of its sparse
		// checkout: what is committed was judged, what is not here cannot be.
		for _, dir := range dirs {
			out.Skipped = append(out.Skipped, judge.Skipped{Path: path.Join(dir, formation.TemplateFile), Reason: "left as it is: this partial clone lacks files of the formation"})
		}
		return nil
	}
	if err != nil {
		return err
	}
	state, err := j.State(ctx, staged)
	if err != nil {
		return err
	}
	var stale []scan.Finding
	for _, f := range state.Findings {
		switch f.Rule {
		case scan.TemplateStale:
			stale = append(stale, f) // mended below, if it may be
		case scan.KeyNotIgnored:
			out.Findings = append(out.Findings, f)
		default:
			out.Warnings = append(out.Warnings, f)
		}
	}
	out.Warnings = r.sayOnce(dirs, out.Warnings)
	vouched, err := j.Vouched(ctx, staged)
	if err != nil {
		return err
	}
	out.Add(basis, vouched)
	step, err := r.stepOf(ctx, dirs, paths)
	if err != nil {
		return err
	}
	out.Add(basis, step)
	if Stops(out.Findings) {
		return nil // git stops: nothing is to be changed on the way
	}
	if out.GitFiles, err = r.bringGitFiles(ctx, out, dirs, paths); err != nil || Stops(out.Findings) {
		return err
	}

	out.Templates, err = r.templates(ctx, staged, parse)
	if errors.Is(err, errSetAside) {
		for _, f := range stale {
			f.Remedy.Does += " for the next commit: this one was left alone, since a hook manager may hold unstaged work back"
			out.Warnings = append(out.Warnings, f)
		}
		return nil
	}
	return err
}

// stepOf finds the formations in dirs that the pending commit would leave out of
// step, where it touches a file that a rotation changes with others.
func (r *Runner) stepOf(ctx context.Context, dirs, paths []string) ([]scan.Finding, error) {
	if !slices.ContainsFunc(paths, judge.IsShared) {
		return nil, nil
	}
	shared, err := judge.SharedIn(ctx, judge.Index(r.Repo), dirs)
	if err != nil {
		return nil, err
	}
	return judge.OutOfStep(ctx, r.Repo, r.Keys, "", shared)
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
