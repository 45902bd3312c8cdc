package scrub

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Make makes the commits again, and has them judged: no ref leads to them yet.
// Errors: *StuckError, what git says.
func (s *Scrubber) Make(ctx context.Context, p *Plan) error {
	if err := s.fault("make commits"); err != nil {
		return err
	}
	r := newRewriter(s.Repo)
	r.texts = p.texts
	for name, versions := range p.blobs {
		for id, to := range versions {
			by := ""
			if !to.gone {
				var err error
				if by, err = s.Repo.StoreObject(ctx, "blob", to.content); err != nil {
					return err
				}
			}
			r.swap(name, id, by)
		}
	}
	for _, id := range p.seen.commits {
		if err := r.commit(ctx, id); err != nil {
			return err
		}
	}
	p.Rewritten, p.New = len(r.commits), p.Old
	if again, ok := r.commits[p.Old]; ok {
		p.New = again
	}
	if err := s.judged(ctx, p); err != nil {
		return err
	}
	if err := s.moves(ctx, p, r); err != nil {
		return err
	}
	p.Signatures = r.signed
	return s.along(ctx, p, r)
}

// judged has the new commits judged as a push of them would be.
func (s *Scrubber) judged(ctx context.Context, p *Plan) error {
	span := p.span
	span.Include = []string{p.New}
	again, err := s.visit(ctx, p.basis, span)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(again.report.Findings, func(f scan.Finding) bool { return f.Severity != scan.Error })
	if len(left) > 0 {
		return &StuckError{left}
	}
	return nil
}

// Where the old tip stays.
const keptRefs = gitutil.OwnRefs + "scrubbed/"

// moves says which refs change.
func (s *Scrubber) moves(ctx context.Context, p *Plan, r *rewriter) error {
	looked := map[string]bool{}
	for _, id := range p.seen.commits {
		looked[id] = true
	}
	tags, err := s.Repo.Tags(ctx)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		commit, err := s.Repo.ResolveRev(ctx, tag.ID)
		if err != nil || !looked[commit] {
			continue // of a tree, or of what others have
		}
		to, err := r.tag(ctx, tag.ID, 0, func(name string, message []byte) []byte {
			text, changes := p.cleaner.message(commit, message)
			for _, change := range changes {
				change.Commit, change.Tag = commit, name
				p.Changes = append(p.Changes, change)
			}
			return text
		})
		if err != nil {
			return err
		}
		if to != tag.ID {
			p.Tags = append(p.Tags, tag.Name)
			p.refs = append(p.refs, gitutil.RefChange{Name: tag.Name, Old: tag.ID, New: to})
		}
	}
	if len(p.cleaner.stuck) > 0 {
		return &StuckError{p.cleaner.stuck}
	}
	if p.New == p.Old {
		return nil
	}

	p.Kept = keptRefs + strings.ReplaceAll(strings.TrimPrefix(p.Branch, "refs/heads/"), "/", "-") + "-" + p.Old[:10]
	p.refs = append(p.refs, gitutil.RefChange{Name: p.Branch, Old: p.Old, New: p.New})
	if kept, err := s.Repo.ResolveRev(ctx, p.Kept); err != nil {
		p.refs = append(p.refs, gitutil.RefChange{Name: p.Kept, New: p.Old})
	} else if kept != p.Old {
		return fmt.Errorf("'%s' is there already", p.Kept)
	}
	return nil
}

// along says what index and work tree need to follow, and who else has the old
// commits.
func (s *Scrubber) along(ctx context.Context, p *Plan, r *rewriter) (err error) {
	if p.New == p.Old {
		return nil
	}
	if p.tree, err = s.Repo.TreeChanges(ctx, p.Old, p.New); err != nil {
		return err
	}
	for _, change := range p.tree {
		if change.NewID == "" {
			p.Gone = append(p.Gone, change.Path)
		}
	}

	// A commit that descends from one that is made again is made again as well, so
	// that whoever has any of them has a first one.
	var first []string
	for _, id := range p.seen.commits {
		if _, again := r.commits[id]; !again {
			continue
		}
		parents, err := s.parents(ctx, id)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(parents, func(parent string) bool { return r.commits[parent] != "" }) {
			first = append(first, id)
		}
	}
	holders, err := s.Repo.Holders(ctx, first)
	p.Holders = slices.DeleteFunc(holders, func(ref string) bool { return ref == p.Branch || slices.Contains(p.Tags, ref) })
	return err
}

func (s *Scrubber) parents(ctx context.Context, id string) (parents []string, err error) {
	_, content, err := s.Repo.Object(ctx, id)
	if err != nil {
		return nil, err
	}
	header, _, _ := strings.Cut(string(content), "\n\n")
	for _, field := range headerFields([]byte(header)) {
		if parent, ok := strings.CutPrefix(field, "parent "); ok {
			parents = append(parents, parent)
		}
	}
	return parents, nil
}
