package hooks

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// branch judges the formations of a branch as it is to be on the other side. touched
// are the paths that its new commits bring.
func (r *Runner) branch(ctx context.Context, j *judge.Judge, basis *judge.Basis, out *Outcome, push pushed, touched map[string]bool) error {
	dirs, err := judge.FormationsAt(ctx, judge.Tree(r.Repo, push.id))
	if err != nil {
		return err
	}
	inClone := r.Repo.Layout().Top != ""
	if inClone {
		for _, left := range []func() ([]scan.Finding, error){
			func() ([]scan.Finding, error) { return merge.UnsettledIn(ctx, r.Repo, push.id) },
			func() ([]scan.Finding, error) { return merge.LostIn(ctx, r.Repo, push.id) },
		} {
			found, err := left()
			if err != nil {
				return err
			}
			out.Findings = append(out.Findings, found...)
		}
	}
	for _, part := range []func(context.Context, pushed, []string) ([]scan.Finding, error){r.gitFilesOf, r.outOfStep} {
		found, err := part(ctx, push, dirs)
		if err != nil {
			return err
		}
		out.Add(basis, found)
	}
	vouched, err := r.sharingOf(ctx, j, push)
	if err != nil {
		return err
	}
	out.Findings = append(out.Findings, vouched...)
	if inClone && !Stops(out.Findings) {
		return r.warnOf(ctx, j, out, push, dirs, touched)
	}
	return nil
}

// warnOf says what is not as it should be with the formations that the new commits
// touch. None of it stops a push.
func (r *Runner) warnOf(ctx context.Context, j *judge.Judge, out *Outcome, push pushed, all []string, touched map[string]bool) error {
	var dirs []string
	for _, dir := range all {
		for file := range touched {
			if judge.Within(dir, file) != "" {
				dirs = append(dirs, dir)
				break
			}
		}
	}
	if len(dirs) == 0 {
		return nil
	}
	snapshots, err := judge.Snapshots(ctx, r.Repo, r.Keys, judge.Tree(r.Repo, push.id), dirs, all)
	if missing := (*gitutil.MissingObjectError)(nil); errors.As(err, &missing) {
		return nil // a partial clone, which does not have all of the formation
	}
	if err != nil {
		return err
	}
	state, err := j.State(ctx, snapshots)
	if err != nil {
		return err
	}
	for _, f := range r.sayOnce(dirs, state.Findings) {
		if !slices.ContainsFunc(out.Warnings, func(had scan.Finding) bool { return had.Fingerprint == f.Fingerprint }) {
			out.Warnings = append(out.Warnings, f)
		}
	}
	return nil
}

// gitFilesOf finds what the formations of a branch lack of .gitignore and
// .gitattributes, but for what the branch lacks on the other side as well.
func (r *Runner) gitFilesOf(ctx context.Context, push pushed, dirs []string) ([]scan.Finding, error) {
	found, err := r.gitFilesAt(ctx, push.id, dirs)
	if err != nil || len(found) == 0 || strings.Trim(push.known, "0") == "" {
		return found, err
	}
	were, err := judge.FormationsAt(ctx, judge.Tree(r.Repo, push.known))
	if err != nil {
		return found, nil // it was not fetched, and git refuses the push
	}
	before, err := r.gitFilesAt(ctx, push.known, were)
	return slices.DeleteFunc(found, func(f scan.Finding) bool {
		return slices.ContainsFunc(before, func(had scan.Finding) bool { return had.Path == f.Path && had.Message == f.Message })
	}), err
}

func (r *Runner) gitFilesAt(ctx context.Context, rev string, dirs []string) ([]scan.Finding, error) {
	if len(dirs) == 0 {
		return nil, nil
	}
	lacking, filters, err := judge.LackingIn(ctx, judge.Tree(r.Repo, rev), dirs)
	return append(judge.GitFiles(lacking), judge.Filters(filters)...), err
}

// outOfStep finds the formations of a branch whose list or wrapped key speaks of
// another key than the one that seals their vault.
func (r *Runner) outOfStep(ctx context.Context, push pushed, dirs []string) ([]scan.Finding, error) {
	if len(dirs) == 0 {
		return nil, nil
	}
	shared, err := judge.SharedIn(ctx, judge.Tree(r.Repo, push.id), dirs)
	if err != nil || len(shared) == 0 {
		return nil, err
	}
	keys := r.Keys
	if r.Repo.Layout().Top == "" {
		keys = nil
	}
	return judge.OutOfStep(ctx, r.Repo, keys, push.id, shared)
}
