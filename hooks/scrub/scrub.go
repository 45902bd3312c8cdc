// Package scrub takes leaked values out of the commits that nobody has but this
// clone: it makes them again, and moves the branch. What is a leak is what the
// pre-push hook says.
package scrub

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Scrubber works on one repository.
type Scrubber struct {
	Repo gitutil.Writer
	// Basis is what pre-push judges a commit by.
	Basis    func(ctx context.Context, id string) (*judge.Basis, error)
	Progress func(files, commits int)
	// Fault, in tests, is called before each step that changes something; an error
	// that it returns is treated as the step's own.
	Fault func(step string) error
}

func (s *Scrubber) fault(step string) error {
	if s.Fault == nil {
		return nil
	}
	return s.Fault(step)
}

// PushedError says that a leak is in a commit that a remote-tracking branch has.
type PushedError struct{ Finding scan.Finding }

func (e *PushedError) Error() string { return "a commit that was pushed holds a leak" }

// StuckError says what could not be taken out.
type StuckError struct{ Findings []scan.Finding }

func (e *StuckError) Error() string {
	return fmt.Sprintf("%d leaks could not be taken out", len(e.Findings))
}

// Plan is what becomes of a branch.
type Plan struct {
	Branch  string   // its ref; HEAD for none
	Old     string   // its tip
	Commits int      // that were looked at
	Changes []Change // in the order in which the commits have them
	// Fresh are values that go into a vault first, by formation.
	Fresh map[string][]scan.NamedValue
	// Locked are formations whose values were not looked for: no key opens them.
	Locked []string

	// After Make.
	New        string
	Rewritten  int      // commits that were made again
	Signatures int      // that went
	Tags       []string // that move along
	Holders    []string // other refs and work trees that have the old commits
	Kept       string   // the ref that keeps the old tip
	Gone       []string // files of the old tip that stay on the disk alone

	span    gitutil.Range
	basis   *judge.Basis
	cleaner *cleaner
	seen    *seen
	blobs   map[string]map[string]*version // path -> id
	texts   map[string][]byte
	refs    []gitutil.RefChange
	tree    []gitutil.TreeChange
}

// version is what becomes of a version of a file.
type version struct {
	content []byte
	gone    bool
}

// seen is what a look at the commits showed.
type seen struct {
	commits []string                  // parents before children
	files   map[string][]gitutil.Blob // by path, without their content
	report  *judge.Report
}

// Plan finds what there is to take out of HEAD's commits that no remote-tracking
// branch has and, where base is not "", that base does not reach. It writes
// nothing. Errors: *PushedError; *StuckError beside the plan; what git says.
func (s *Scrubber) Plan(ctx context.Context, base string) (*Plan, error) {
	head, err := s.Repo.ResolveRev(ctx, "HEAD")
	if err != nil {
		return nil, err
	}
	p := &Plan{Old: head, span: gitutil.Range{Include: []string{head}, Unpushed: true}}
	if p.Branch, err = s.Repo.HeadBranch(ctx); err != nil {
		return nil, err
	}
	if p.Branch == "" {
		p.Branch = "HEAD"
	}
	if base != "" {
		p.span.Exclude = []string{base}
		if err := s.nonePushed(ctx, p); err != nil {
			return nil, err
		}
	}
	if err := s.ready(ctx, p); err != nil {
		return nil, err
	}

	// A value that gets into a vault is a known one from then on, wherever it stands.
	for range maxRounds {
		known := len(p.cleaner.fresh)
		if err := s.look(ctx, p); err != nil {
			return nil, err
		}
		if len(p.cleaner.fresh) == known {
			break
		}
		p.basis.Also(p.cleaner.fresh[known:])
	}
	if len(p.cleaner.stuck) > 0 {
		return p, &StuckError{p.cleaner.stuck}
	}
	p.Fresh = map[string][]scan.NamedValue{}
	for _, value := range p.cleaner.fresh {
		p.Fresh[value.Formation] = append(p.Fresh[value.Formation], value)
	}
	return p, nil
}

// nonePushed refuses a range with a leak that somebody else has already.
func (s *Scrubber) nonePushed(ctx context.Context, p *Plan) error {
	own := map[string]bool{}
	err := s.Repo.Commits(ctx, p.span, gitutil.Visitor{Commit: func(c *gitutil.Commit) error {
		own[c.Hash] = true
		return nil
	}})
	if err != nil {
		return err
	}
	basis, err := s.Basis(ctx, p.Old)
	if err != nil {
		return err
	}
	all := p.span
	all.Unpushed = false
	seen, err := s.visit(ctx, basis, all)
	if err != nil {
		return err
	}
	for _, f := range seen.report.Findings {
		if f.Severity == scan.Error && !own[f.Commit] {
			return &PushedError{f}
		}
	}
	return nil
}

// ready prepares the cleaner: it knows the vaults that HEAD has.
func (s *Scrubber) ready(ctx context.Context, p *Plan) (err error) {
	if p.basis, err = s.Basis(ctx, p.Old); err != nil {
		return err
	}
	p.Locked = p.basis.Locked
	dirs, err := judge.FormationsAt(ctx, judge.Tree(s.Repo, p.Old))
	if err != nil {
		return err
	}
	p.cleaner = newCleaner(p.basis, dirs)
	for _, opened := range p.basis.Opened {
		p.cleaner.knows(judge.Label(s.Repo.Layout().Top, opened.Dir), opened.Vault)
	}
	return s.Repo.TreeBlobs(ctx, p.Old, "", gitutil.Visitor{
		Want: func(name string, _ gitutil.Mode) bool { return path.Base(name) == formation.VaultFile },
		Blob: func(b *gitutil.Blob) error {
			_, err := crypto.Detect(b.Data)
			p.cleaner.open[b.Path] = err != nil
			return nil
		},
	})
}

// visit has the commits of a range judged, and notes what they hold.
func (s *Scrubber) visit(ctx context.Context, basis *judge.Basis, span gitutil.Range) (*seen, error) {
	noted := &seen{files: map[string][]gitutil.Blob{}}
	j := &judge.Judge{Repo: s.Repo, Progress: s.Progress, Basis: func() (*judge.Basis, error) { return basis, nil }}
	var err error
	noted.report, err = j.Visit(ctx, "commits that nobody has yet", func(v gitutil.Visitor) error {
		commit, blob := v.Commit, v.Blob
		v.Commit = func(c *gitutil.Commit) error {
			noted.commits = append(noted.commits, c.Hash)
			return commit(c)
		}
		v.Blob = func(b *gitutil.Blob) error {
			noted.files[b.Path] = append(noted.files[b.Path], gitutil.Blob{Path: b.Path, Mode: b.Mode, ID: b.ID, Commit: b.Commit})
			return blob(b)
		}
		return s.Repo.Commits(ctx, span, v)
	})
	return noted, err
}

// look cleans all that the commits bring in.
func (s *Scrubber) look(ctx context.Context, p *Plan) (err error) {
	if p.seen, err = s.visit(ctx, p.basis, p.span); err != nil {
		return err
	}
	p.Commits = len(p.seen.commits)
	p.Changes, p.blobs, p.texts, p.cleaner.stuck = nil, map[string]map[string]*version{}, map[string][]byte{}, nil
	for name := range p.seen.files {
		if formation.IsFormationFile(path.Base(name)) {
			p.cleaner.formations[path.Dir(name)] = true
		}
	}

	var names []string
	inMessage := false
	for _, f := range p.seen.report.Findings {
		switch {
		case f.Severity != scan.Error:
		case f.Path == "":
			inMessage = true
		case p.seen.files[f.Path] == nil:
			p.cleaner.stuck = append(p.cleaner.stuck, f) // a name that is a leak itself
		case !slices.Contains(names, f.Path):
			names = append(names, f.Path)
		}
	}
	for _, name := range names {
		if err := s.cleanFile(ctx, p, name); err != nil {
			return err
		}
	}
	if inMessage {
		if err := s.cleanMessages(ctx, p); err != nil {
			return err
		}
	}
	p.sort()
	return nil
}

// cleanFile cleans every version that the commits bring in of one file.
func (s *Scrubber) cleanFile(ctx context.Context, p *Plan, name string) error {
	p.blobs[name] = map[string]*version{}
	told := map[string]bool{}
	for _, b := range p.seen.files[name] {
		if p.blobs[name][b.ID] != nil {
			continue
		}
		kind, content, err := s.Repo.Object(ctx, b.ID)
		if err != nil {
			return err
		}
		if kind != "blob" {
			continue
		}
		clean, gone, changes := p.cleaner.file(b.Commit, name, b.Mode, content)
		if len(changes) == 0 {
			continue
		}
		p.blobs[name][b.ID] = &version{clean, gone}
		for _, change := range changes {
			change.Commit = b.Commit
			if !told[change.fingerprint] {
				told[change.fingerprint] = true
				p.Changes = append(p.Changes, change)
			}
		}
	}
	return nil
}

func (s *Scrubber) cleanMessages(ctx context.Context, p *Plan) error {
	for _, id := range p.seen.commits {
		_, content, err := s.Repo.Object(ctx, id)
		if err != nil {
			return err
		}
		_, message, _ := bytes.Cut(content, []byte("\n\n"))
		text, changes := p.cleaner.message(id, message)
		if len(changes) == 0 {
			continue
		}
		p.texts[id] = text
		for _, change := range changes {
			change.Commit = id
			p.Changes = append(p.Changes, change)
		}
	}
	return nil
}

// sort brings the changes into the order of the commits.
func (p *Plan) sort() {
	at := map[string]int{}
	for i, id := range p.seen.commits {
		at[id] = i
	}
	slices.SortStableFunc(p.Changes, func(a, b Change) int {
		return cmp.Or(at[a.Commit]-at[b.Commit], strings.Compare(a.Path, b.Path), a.Line-b.Line)
	})
}
