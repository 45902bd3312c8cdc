package hooks

import (
	"context"
	"errors"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Pulled is what a merge, or a pull, brought into this branch.
type Pulled struct {
	From, To string         // the commits that HEAD was and is
	Findings []scan.Finding // errors
	Rotated  []Rotated
}

// Rotated is a formation whose .key here opens its vault no more.
type Rotated struct {
	Dir     string // from the top, with /
	Commit  string // the first that the key does not open
	Author  string
	Wrapped bool // the new key is in a .key.age
}

// PostMerge looks at what a merge brought, when it is done: the commits between
// ORIG_HEAD, which git leaves where HEAD was, and HEAD. nil is nothing to look at.
func (r *Runner) PostMerge(ctx context.Context) (*Pulled, error) {
	from, err := r.Repo.ResolveRev(ctx, "ORIG_HEAD")
	if err != nil {
		return nil, nil // the first commits of a branch
	}
	to, err := r.Repo.ResolveRev(ctx, "HEAD")
	if err != nil || from == to {
		return nil, err
	}

	j := &judge.Judge{Repo: r.Repo, Progress: r.Progress, Basis: BasisBeside(r.Reopen, func(repo gitutil.Repository) (*judge.Basis, error) {
		basis, err := judge.BasisOfChange(ctx, repo, from)
		if err != nil {
			return nil, err
		}
		return basis, basis.Everywhere(ctx, repo) // as 'check --range' has it
	})}
	locked := &lockedOut{keys: map[string]*crypto.Key{}, first: map[string]string{}, r: r}
	report, err := j.Visit(ctx, "what a pull brought", func(v gitutil.Visitor) error {
		blob := v.Blob
		v.Blob = func(b *gitutil.Blob) error {
			locked.look(b)
			return blob(b)
		}
		return r.Repo.Commits(ctx, gitutil.Range{Include: []string{to}, Exclude: []string{from}}, v)
	})
	if err != nil {
		return nil, err
	}
	out := &Pulled{From: from, To: to}
	for _, f := range report.Findings {
		if f.Severity == scan.Error {
			out.Findings = append(out.Findings, f)
		}
	}
	out.Rotated, err = locked.out(ctx)
	return out, err
}

// lockedOut watches for versions of vaults that the .key beside them does not open.
type lockedOut struct {
	r     *Runner
	keys  map[string]*crypto.Key // by folder; nil: none here, or not one to be read
	first map[string]string      // the commit of the first such version since the key last fitted
}

func (l *lockedOut) at(dir string) *formation.Formation {
	return l.r.Keys.Of(&formation.Formation{Dir: filepath.Join(l.r.Repo.Layout().Top, filepath.FromSlash(dir))})
}

func (l *lockedOut) look(b *gitutil.Blob) {
	if path.Base(b.Path) != formation.VaultFile || b.Truncated() {
		return
	}
	dir := path.Dir(b.Path)
	key, known := l.keys[dir]
	if !known {
		if f := l.at(dir); paths.There(f.Path(formation.KeyFile)) {
			key, _ = f.ReadKey()
		}
		l.keys[dir] = key
	}
	if key == nil {
		return
	}
	_, err := key.Open(b.Data)
	switch {
	case err == nil:
		delete(l.first, dir)
	case crypto.ReasonOf(err) == crypto.WrongKey && l.first[dir] == "":
		l.first[dir] = b.Commit
	}
}

// errFound ends a walk.
var errFound = errors.New("found")

// out are the formations that are locked now, with who did it.
func (l *lockedOut) out(ctx context.Context) ([]Rotated, error) {
	var found []Rotated
	for dir, commit := range l.first {
		f := l.at(dir)
		sealed, there, err := f.ReadSealed()
		if err != nil || !there {
			continue
		}
		if _, err := l.keys[dir].Open(sealed); crypto.ReasonOf(err) != crypto.WrongKey {
			continue
		}
		one := Rotated{Dir: dir, Commit: commit, Wrapped: paths.There(f.Path(formation.WrappedKeyFile))}
		err = l.r.Repo.Log(ctx, "", []string{formation.VaultFile}, func(entry *gitutil.LogEntry) error {
			if entry.Hash != commit {
				return nil
			}
			one.Author = entry.Author
			return errFound
		})
		var shallow *gitutil.ShallowError
		if err != nil && !errors.Is(err, errFound) && !errors.As(err, &shallow) {
			return nil, err
		}
		found = append(found, one)
	}
	slices.SortFunc(found, func(a, b Rotated) int { return strings.Compare(a.Dir, b.Dir) })
	return found, nil
}
