// Package judge turns findings into a verdict on a commit, a range or a push: it
// feeds what git has to package scan, and looks at the state of each formation.
package judge

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/internal/trace"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Report is what a check looked at and found.
type Report struct {
	Files   int
	Commits int
	Skipped []Skipped
	// Findings in the order in which git showed their files; within a file in
	// the order of its text.
	Findings []scan.Finding
	// Silenced are those that something keeps from counting.
	Silenced []scan.Finding
}

// Skipped is a file that was not looked at in full.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// maxRead is how much of one file is read, in bytes. What lies behind is not
// searched; the file is named in Skipped.
const maxRead = 256 << 20

// Basis is what a judgment rests on.
type Basis struct {
	Dirs     []string // the folders that are formations, from the top, with /
	Settings *formation.Settings
	Scanner  *scan.Scanner
	Opened   []*formation.Opened // the formations whose values are looked for
	Locked   []string            // those whose vault does not open with what is here, from the top

	seen   map[string]bool // folders
	values []scan.NamedValue
	keys   [][]byte
}

// Judge judges one repository.
type Judge struct {
	Repo gitutil.Repository
	// Basis is asked for from several goroutines: what it takes to know it (the
	// repository's vaults, opened) is done while git lists and reads. It answers
	// every call alike.
	Basis func() (*Basis, error)
	// Progress, where not nil, is told now and then how far it is.
	Progress func(files, commits int)
	// Now is what ages are counted to; nil is the clock.
	Now func() time.Time
	// Undated, after State, says that this clone is too shallow to tell how old
	// some values are.
	Undated bool
}

// WorkTree judges the files on disk that are tracked, or that git would track.
func (j *Judge) WorkTree(ctx context.Context) (*Report, error) {
	return j.Visit(ctx, "the work tree", func(v gitutil.Visitor) error { return j.Repo.WorkTree(ctx, v) })
}

// Range judges each commit of a range: what it brings in, and its message.
func (j *Judge) Range(ctx context.Context, r gitutil.Range) (*Report, error) {
	return j.Visit(ctx, "a range of commits", func(v gitutil.Visitor) error { return j.Repo.Commits(ctx, r, v) })
}

// History judges every commit of every ref.
func (j *Judge) History(ctx context.Context) (*Report, error) {
	return j.Visit(ctx, "the history", func(v gitutil.Visitor) error { return j.Repo.History(ctx, v) })
}

// Visit has visit show its files, and judges them on all cores meanwhile. what they
// are is for the trace. An error of visit is returned with what was found until then.
func (j *Judge) Visit(ctx context.Context, what string, visit func(gitutil.Visitor) error) (*Report, error) {
	said := trace.Timed(ctx)
	c := j.newCrew()
	go j.Basis() // while git starts up; it is needed whatever git shows
	err := visit(gitutil.Visitor{MaxBlob: scan.MaxHeld, Commit: c.commit, Blob: c.blob})
	findings := c.finish()

	basis, basisErr := j.Basis()
	if basisErr != nil {
		return nil, basisErr
	}
	// Other tools call a file secrets.enc, too: outside of formations it is theirs.
	findings = slices.DeleteFunc(findings, func(f scan.Finding) bool {
		dir := path.Dir(f.Path)
		return f.Rule == scan.VaultNotEncrypted && !c.formations[dir] && !basis.Scanner.IsFormation(dir)
	})
	c.report.Findings, c.report.Silenced = basis.Settle(findings)

	trace.Say(ctx, "known: %d values to look for; of %d formations the key is not at hand", len(basis.values), len(basis.Locked))
	for _, f := range c.report.Findings {
		trace.Say(ctx, "found %s, %s, line %d", f.Rule, f.Severity, f.Line)
	}
	said("judged %s: %d files, %d commits, %d findings, %d silenced, %d skipped",
		what, c.report.Files, c.report.Commits, len(c.report.Findings), len(c.report.Silenced), len(c.report.Skipped))
	return c.report, err
}

// Settle leaves one finding for each leak, the first, and parts them from those
// that a comment or the settings silence. What counts in one version of a file is
// not silenced by another one.
func (b *Basis) Settle(found []scan.Finding) (counting, silenced []scan.Finding) {
	seen := map[string]bool{}
	for i := range found {
		f := &found[i]
		if f.Silenced == "" && f.Rule.MayBeSilenced() && b.Settings.Allows(string(f.Rule), f.Path, f.Fingerprint) {
			f.Silenced = scan.ByAllow
		}
		if f.Silenced == "" && !seen[f.Fingerprint] {
			seen[f.Fingerprint] = true
			counting = append(counting, *f)
		}
	}
	for _, f := range found {
		if f.Silenced != "" && !seen[f.Fingerprint] {
			seen[f.Fingerprint] = true
			silenced = append(silenced, f)
		}
	}
	return counting, silenced
}

// Add takes findings of another kind into a report.
func (r *Report) Add(basis *Basis, found []scan.Finding) {
	counting, silenced := basis.Settle(found)
	r.Findings = append(r.Findings, counting...)
	r.Silenced = append(r.Silenced, silenced...)
}

func plainReason(err error) string {
	return safefile.Cause(err)
}

// Cleanup is what git takes out of a commit message before it makes the commit
// (git-commit(1), --cleanup). The zero value is nothing.
type Cleanup struct {
	Comment  []string // a line goes that starts with each of these, if there are any
	Scissors bool     // what stands at and below the scissors goes
}

func (c Cleanup) comments(line string) bool {
	kept := func(start string) bool { return !strings.HasPrefix(line, start) }
	return len(c.Comment) > 0 && !slices.ContainsFunc(c.Comment, kept)
}

const scissors = " ------------------------ >8 ------------------------"

// Message judges a commit message before the commit is made.
func (j *Judge) Message(message []byte, cleanup Cleanup) (*Report, error) {
	basis, err := j.Basis()
	if err != nil {
		return nil, err
	}
	var kept strings.Builder
	for line := range strings.Lines(string(message)) {
		if at := strings.Index(line, scissors); cleanup.Scissors && at > 0 && at < 8 && strings.TrimRight(line[at+len(scissors):], "\r\n") == "" {
			break
		}
		if cleanup.comments(line) {
			line = "\n" // stays a line, so that numbers stay right
		}
		kept.WriteString(line)
	}
	report := &Report{}
	report.Findings, report.Silenced = basis.Settle(basis.Scanner.Message([]byte(kept.String())))
	return report, nil
}
