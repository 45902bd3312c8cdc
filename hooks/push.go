package hooks

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// pushed is one ref of a push.
type pushed struct {
	ref   string // as the other side has it
	id    string // what it is to be; zeros where it is deleted
	known string // what it was; zeros where it is new
}

// PrePush judges the commits that the remote does not have. lines is what git
// gives the hook: "<local ref> <local id> <remote ref> <remote id>".
func (r *Runner) PrePush(ctx context.Context, remote string, lines io.Reader) (*Outcome, error) {
	return r.incoming(ctx, lines, func(f []string) (pushed, bool) {
		// A local ref is what was typed, and may have spaces (":/fix a bug").
		n := len(f)
		if n < 4 {
			return pushed{}, false
		}
		return pushed{ref: f[n-2], id: f[n-3], known: f[n-1]}, true
	}, gitutil.Range{ExceptRemote: remote})
}

// PreReceive judges the commits that a push brings to this server, while they
// are still in quarantine. lines is "<old id> <new id> <ref>".
func (r *Runner) PreReceive(ctx context.Context, lines io.Reader) (*Outcome, error) {
	return r.incoming(ctx, lines, func(f []string) (pushed, bool) {
		if len(f) != 3 {
			return pushed{}, false
		}
		return pushed{ref: f[2], id: f[1], known: f[0]}, true
	}, gitutil.Range{ExceptRefs: true})
}

// incoming judges each ref of a push by the settings that it brings along, as
// every commit in it was.
func (r *Runner) incoming(ctx context.Context, lines io.Reader, parse func([]string) (pushed, bool), except gitutil.Range) (*Outcome, error) {
	out := &Outcome{}
	made := map[string]*Basis{}
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
		basis, err := r.basisOfPush(ctx, push.id, made)
		if err != nil {
			return nil, err
		}
		j := &Judge{Repo: r.Repo, Progress: r.Progress, Basis: func() (*Basis, error) { return basis, nil }}
		span := except
		span.Include, span.Known = []string{push.id}, []string{push.known}
		report, err := j.run(func(v gitutil.Visitor) error {
			if strings.HasPrefix(push.ref, "refs/heads/") {
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
		if r.Repo.Layout().Top != "" && strings.HasPrefix(push.ref, "refs/heads/") {
			open, err := unsettledIn(ctx, r.Repo, push.id)
			if err != nil {
				return nil, err
			}
			out.Findings = append(out.Findings, open...)
			lost, err := lostIn(ctx, r.Repo, push.id)
			if err != nil {
				return nil, err
			}
			out.Findings = append(out.Findings, lost...)
		}
	}
	out.Findings = (&Basis{}).Settle(out.Findings) // two refs may bring one commit
	return out, scanner.Err()
}

// basisOfPush is the basis for what is pushed: the settings of its tip, and the
// values of every formation there or here. made keeps those made so far: most
// refs have the same.
func (r *Runner) basisOfPush(ctx context.Context, id string, made map[string]*Basis) (*Basis, error) {
	dirs, settings, err := version(ctx, Tree(r.Repo, id))
	if err != nil {
		return nil, err
	}
	top := r.Repo.Layout().Top
	if top != "" {
		here, _, err := versionOfIndex(ctx, r.Repo)
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
	basis, err := NewBasis(r.Repo.Layout(), dirs, settings)
	if err == nil {
		made[key] = basis
	}
	return basis, err
}
