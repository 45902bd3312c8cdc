package commands

import (
	"cmp"
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// baseline is a file of findings that a team has decided to live with. Beside
// the fingerprint it says rule and path, for people; no value is in it.
type baseline struct {
	Version  int             `json:"version"`
	Findings []baselineEntry `json:"findings"`
}

type baselineEntry struct {
	Fingerprint string `json:"fingerprint"`
	Rule        string `json:"rule"`
	Path        string `json:"path"`
}

// maxBaseline bounds a baseline, in bytes.
const maxBaseline = 256 << 20

// baselineOf returns the fingerprints that a baseline lists. A change is judged by
// the baseline of its base: one that it brings along leaves nothing out. A file
// that neither side has in git is nobody's change.
func (s *session) baselineOf(ctx context.Context, repo gitutil.Repository, o checkOptions) (map[string]bool, error) {
	if o.baseline == "" {
		return nil, nil
	}
	file := s.at(o.baseline)
	base, err := o.judgedBy()
	if err != nil {
		return nil, s.explainScope(err)
	}
	if base == "" {
		return readBaseline(file)
	}
	// A link to a file that the change brings is that file.
	for _, at := range [...]string{paths.Place(file), paths.Real(file)} {
		rel, inside := paths.Below(repo.Layout().Top, at)
		if repo.Layout().Top == "" || !inside {
			continue
		}
		content, there, err := fileIn(ctx, repo, base, rel)
		if err != nil {
			return nil, s.explainScope(err)
		}
		if there {
			return parseBaseline(content)
		}
		if _, brought, err := fileIn(ctx, repo, "HEAD", rel); err != nil {
			return nil, err
		} else if brought {
			s.warn("'%s' is not in %s: a change cannot bring the baseline that it is judged by, and nothing is left out", s.show(file), base)
			return nil, nil
		}
	}
	return readBaseline(file)
}

func readBaseline(file string) (map[string]bool, error) {
	content, err := safefile.Read(file, maxBaseline)
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: file, Err: err}
	}
	return parseBaseline(content)
}

// fileIn reads a file as a revision has it.
func fileIn(ctx context.Context, repo gitutil.Repository, rev, file string) (content []byte, there bool, err error) {
	folder := strings.TrimSuffix(path.Dir(file), ".")
	err = repo.TreeBlobs(ctx, rev, folder, gitutil.Visitor{
		MaxBlob: maxBaseline,
		Want:    func(p string, _ gitutil.Mode) bool { return p == file },
		Blob: func(b *gitutil.Blob) error {
			content, there = slices.Clone(b.Data), true
			return b.Err
		},
	})
	return content, there, err
}

func parseBaseline(content []byte) (map[string]bool, error) {
	var b baseline
	if err := json.Unmarshal(content, &b); err != nil || b.Version != 1 {
		return nil, usage("the baseline is no file that --write-baseline wrote").hint("write a new one with 'check --write-baseline FILE'")
	}
	set := map[string]bool{}
	for _, entry := range b.Findings {
		set[entry.Fingerprint] = true
	}
	return set, nil
}

func (s *session) writeBaseline(ctx context.Context, path string, found []scan.Finding) error {
	b := baseline{Version: 1, Findings: []baselineEntry{}}
	for _, f := range found {
		b.Findings = append(b.Findings, baselineEntry{f.Fingerprint, string(f.Rule), f.Path})
	}
	// Not the order in which git shows files, which staging one changes.
	slices.SortFunc(b.Findings, func(a, c baselineEntry) int {
		return cmp.Or(cmp.Compare(a.Path, c.Path), cmp.Compare(a.Rule, c.Rule), cmp.Compare(a.Fingerprint, c.Fingerprint))
	})
	content, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return s.writeOutput(ctx, path, append(content, '\n'))
}
