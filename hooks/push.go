package hooks

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// pushed is one ref of a push.
type pushed struct {
	ref   string // as the other side has it
	local string // as it is here; "" where that is not known
	id    string // what it is to be; zeros where it is deleted
	known string // what it was; zeros where it is new
}

func (p pushed) isBranch() bool { return strings.HasPrefix(p.ref, "refs/heads/") }

// PrePush judges the commits that the remote does not have. lines is what git
// gives the hook: "<local ref> <local id> <remote ref> <remote id>".
func (r *Runner) PrePush(ctx context.Context, remote string, lines io.Reader) (*Outcome, error) {
	tip := func(p pushed) string { return p.id } // as each commit in it was judged
	out, err := r.incoming(ctx, lines, func(f []string) (pushed, bool) {
		// A local ref is what was typed, and may have spaces (":/fix a bug").
		n := len(f)
		if n < 4 {
			return pushed{}, false
		}
		return pushed{ref: f[n-2], local: f[0], id: f[n-3], known: f[n-1]}, true
	}, tip, gitutil.Range{ExceptRemote: remote})
	if err == nil && Stops(out.Findings) {
		out.Unpushed, err = r.unpushed(ctx, out.Findings)
	}
	return out, err
}

// unpushed reports whether all findings about a commit are about one of HEAD's that
// no remote-tracking branch has.
func (r *Runner) unpushed(ctx context.Context, found []scan.Finding) (bool, error) {
	own := map[string]bool{"": true}
	err := r.Repo.Commits(ctx, gitutil.Range{Unpushed: true}, gitutil.Visitor{Commit: func(c *gitutil.Commit) error {
		own[c.Hash] = true
		return nil
	}})
	if shallow := (*gitutil.ShallowError)(nil); errors.As(err, &shallow) {
		err = nil
	}
	return !slices.ContainsFunc(found, func(f scan.Finding) bool { return !own[f.Commit] }), err
}

// PreReceive judges the commits that a push brings to this server, while they
// are still in quarantine. lines is "<old id> <new id> <ref>". A push silences
// nothing of its own: the settings are those that are here.
func (r *Runner) PreReceive(ctx context.Context, lines io.Reader) (*Outcome, error) {
	here := func(p pushed) string {
		if strings.HasPrefix(p.ref, "refs/heads/") && strings.Trim(p.known, "0") != "" {
			return p.known
		}
		return "HEAD"
	}
	return r.incoming(ctx, lines, func(f []string) (pushed, bool) {
		if len(f) != 3 {
			return pushed{}, false
		}
		return pushed{ref: f[2], id: f[1], known: f[0]}, true
	}, here, gitutil.Range{ExceptRefs: true})
}

// incoming judges each ref of a push by the settings of the commit that judgedBy
// names for it.
func (r *Runner) incoming(ctx context.Context, lines io.Reader, parse func([]string) (pushed, bool), judgedBy func(pushed) string, except gitutil.Range) (*Outcome, error) {
	out := &Outcome{}
	made := map[string]*judge.Basis{}
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		push, ok := parse(strings.Fields(scanner.Text()))
		if !ok {
			return nil, fmt.Errorf("git gave the hook a line that is not of the form it should have")
		}
		if strings.Trim(push.id, "0") == "" {
			continue // a ref is deleted
		}
		if strings.HasPrefix(push.ref, gitutil.OwnRefs) || strings.HasPrefix(push.local, gitutil.OwnRefs) {
			out.Kept = append(out.Kept, cmp.Or(push.local, push.ref)) // whatever it holds
			continue
		}
		basis, err := r.basisOfPush(ctx, push.id, judgedBy(push), made)
		if err != nil {
			return nil, err
		}
		if r.Repo.Layout().Top != "" {
			r.keepKeys(basis)
			out.Locked = basis.Locked
		}
		j := &judge.Judge{Repo: r.Repo, Progress: r.Progress, Basis: func() (*judge.Basis, error) { return basis, nil }}
		span := except
		span.Include, span.Known = []string{push.id}, []string{push.known}
		touched := map[string]bool{}
		report, err := j.Visit(ctx, "commits of a push", func(v gitutil.Visitor) error {
			blob := v.Blob
			v.Blob = func(b *gitutil.Blob) error {
				touched[b.Path] = true
				return blob(b)
			}
			if push.isBranch() {
				return r.Repo.Commits(ctx, span, v) // can be nothing but commits
			}
			if err := r.Repo.Tagged(ctx, []gitutil.Ref{{Name: push.ref, ID: push.id}}, v); err != nil {
				return err
			}
			return r.Repo.Commits(ctx, span, v)
		})
		if err != nil {
			return nil, err
		}
		out.Files += report.Files
		out.Commits += report.Commits
		out.Skipped = append(out.Skipped, report.Skipped...)
		out.Findings = append(out.Findings, report.Findings...)
		out.Silenced = append(out.Silenced, report.Silenced...)
		out.Findings = append(out.Findings, basis.Scanner.Ref(push.ref)...)
		if !push.isBranch() {
			continue
		}
		if err := r.branch(ctx, j, basis, out, push, touched); err != nil {
			return nil, err
		}
	}
	// Two refs may bring one commit.
	out.Findings, out.Silenced = (&judge.Basis{}).Settle(append(out.Findings, out.Silenced...))
	return out, scanner.Err()
}

// sharingOf judges the lists of people that a branch comes to have by those which
// it has on the other side; a new one on a server by those of its HEAD, and in a clone
// by its own key alone, as where the other side's was not fetched. Commits that the
// other side knows are no excuse: they come into this branch only now.
func (r *Runner) sharingOf(ctx context.Context, j *judge.Judge, push pushed) (stopping []scan.Finding, err error) {
	base := push.known
	if strings.Trim(base, "0") == "" {
		base = "HEAD"
	}
	inClone := r.Repo.Layout().Top != ""
	if base, err = r.Repo.ResolveRev(ctx, base); err != nil && !inClone {
		return nil, nil // there is no commit yet
	}
	if err != nil || inClone && strings.Trim(push.known, "0") == "" {
		base = ""
	}

	fork := ""
	if base != "" {
		var met bool
		if fork, met, err = r.Repo.MergeBase(ctx, base, push.id); err != nil {
			return nil, err
		}
		if !met {
			fork = base
		}
	}
	found, err := j.Sharing(ctx, base, fork, push.id)
	for _, f := range found {
		if f.Severity == scan.Error {
			stopping = append(stopping, f)
		}
	}
	return stopping, err
}

// BasisFor is what pre-push judges a commit by.
func (r *Runner) BasisFor(ctx context.Context, id string) (*judge.Basis, error) {
	return r.basisOfPush(ctx, id, id, map[string]*judge.Basis{})
}

// basisOfPush is the basis for the commit id that is pushed: the settings of the
// commit by, and the values of every formation in either or here. made keeps those
// made so far: most refs have the same.
func (r *Runner) basisOfPush(ctx context.Context, id, by string, made map[string]*judge.Basis) (*judge.Basis, error) {
	dirs, settings, err := judge.VersionAt(ctx, judge.Tree(r.Repo, by))
	if err != nil {
		return nil, err
	}
	if by != id {
		brought, err := judge.FormationsAt(ctx, judge.Tree(r.Repo, id))
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, brought...)
	}
	top := r.Repo.Layout().Top
	if top != "" {
		here, _, err := judge.VersionOfIndex(ctx, r.Repo)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, here...)
	}
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	key := strings.Join(dirs, "\x00") + "\x00\x00" + string(settings)
	if basis, ok := made[key]; ok {
		return basis, nil
	}
	basis, err := judge.NewBasis(ctx, r.Repo, dirs, settings)
	if err == nil {
		made[key] = basis
	}
	return basis, err
}
