// Package hooks is what stands between a secret and a commit, a push or a pull
// request: it judges what git has by the rules of package scan, and it installs,
// chains and removes the hooks that have it do so.
package hooks

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
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
}

// Skipped is a file that was not looked at in full.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// maxWhole is how much of one file is held in memory, in bytes. What lies
// behind is not searched; the file is named in Skipped.
const maxWhole = 256 << 20

// Basis is what a judgment rests on.
type Basis struct {
	Dirs     []string // the folders that are formations, from the top, with /
	Settings *formation.Settings
	Scanner  *scan.Scanner
}

// Judge judges one repository.
type Judge struct {
	Repo gitutil.Repository
	// Basis is asked for by the first worker that has a file: what it takes to
	// know it (the repository's vaults, opened) is done while git already lists
	// and reads. It answers every call alike.
	Basis func() (*Basis, error)
	// Progress, where not nil, is told now and then how far it is.
	Progress func(files, commits int)
	// Now is what ages are counted to; nil is the clock.
	Now func() time.Time
	// Undated, after State, says that this clone is too shallow to tell how old
	// some values are.
	Undated bool
}

// Staged judges what the pending commit would bring in.
func (j *Judge) Staged(ctx context.Context, opt gitutil.StagedOptions) (*Report, error) {
	return j.run(func(v gitutil.Visitor) error { return j.Repo.Staged(ctx, opt, v) })
}

// WorkTree judges the files on disk that are tracked, or that git would track.
func (j *Judge) WorkTree(ctx context.Context) (*Report, error) {
	return j.run(func(v gitutil.Visitor) error { return j.Repo.WorkTree(ctx, v) })
}

// Range judges each commit of a range: what it brings in, and its message.
func (j *Judge) Range(ctx context.Context, r gitutil.Range) (*Report, error) {
	return j.run(func(v gitutil.Visitor) error { return j.Repo.Commits(ctx, r, v) })
}

// History judges every commit of every ref.
func (j *Judge) History(ctx context.Context) (*Report, error) {
	return j.run(func(v gitutil.Visitor) error { return j.Repo.History(ctx, v) })
}

// batchBytes is how much content one worker takes at a time: enough that handing
// it over costs nothing, little enough that memory stays small.
const batchBytes = 256 << 10

// job is files for a worker, with its place in the order of all.
type job struct {
	order int
	files []file
	bytes []byte // the contents, one behind the other
}

type file struct {
	path       string
	mode       scan.Mode
	commit     string
	start, end int
	message    bool // a commit's message
	size       int64
}

// result is what a worker made of a job.
type result struct {
	order    int
	findings []scan.Finding
}

// run has visit show its files, and judges them on all cores meanwhile. An
// error of visit is returned with what was found until then.
func (j *Judge) run(visit func(gitutil.Visitor) error) (*Report, error) {
	report := &Report{}
	workers := max(1, runtime.GOMAXPROCS(0))
	jobs := make(chan *job, workers)
	free := make(chan *job, 2*workers+1)
	for range 2*workers + 1 {
		free <- &job{}
	}
	var results []result
	var mu sync.Mutex
	var done sync.WaitGroup
	for range workers {
		done.Add(1)
		go func() {
			defer done.Done()
			for work := range jobs {
				if basis, err := j.Basis(); err == nil {
					if found := judge(basis.Scanner, work); len(found) > 0 {
						mu.Lock()
						results = append(results, result{work.order, found})
						mu.Unlock()
					}
				}
				work.files, work.bytes = work.files[:0], work.bytes[:0]
				if cap(work.bytes) > 4*batchBytes {
					work.bytes = nil // one big file must not be paid for till the end
				}
				free <- work
			}
		}()
	}
	current := <-free
	order := 0
	send := func() {
		if len(current.files) == 0 {
			return
		}
		current.order = order
		order++
		jobs <- current
		current = <-free
		if j.Progress != nil {
			j.Progress(report.Files, report.Commits)
		}
	}
	add := func(f file, content []byte) {
		f.start = len(current.bytes)
		current.bytes = append(current.bytes, content...)
		f.end = len(current.bytes)
		current.files = append(current.files, f)
		if len(current.bytes) >= batchBytes || len(current.files) >= 256 {
			send()
		}
	}
	err := visit(gitutil.Visitor{
		MaxBlob: maxWhole,
		Commit: func(c *gitutil.Commit) error {
			if c.Tag == "" {
				report.Commits++
			}
			add(file{commit: c.Hash, message: true}, []byte(c.Message))
			return nil
		},
		Blob: func(b *gitutil.Blob) error {
			report.Files++
			if b.Err != nil {
				report.Skipped = append(report.Skipped, Skipped{b.Path, plainReason(b.Err)})
				return nil
			}
			mode := scan.Regular
			if b.Mode == gitutil.ModeLink {
				mode = scan.Symlink
			}
			switch {
			case b.Truncated():
				report.Skipped = append(report.Skipped, Skipped{b.Path, fmt.Sprintf("longer than %d MiB: searched for known secrets and key material only, and not beyond", maxWhole>>20)})
			case b.Size > scan.MaxText:
				report.Skipped = append(report.Skipped, Skipped{b.Path, fmt.Sprintf("longer than %d MiB: searched for known secrets and key material only", scan.MaxText>>20)})
			}
			add(file{path: b.Path, mode: mode, commit: b.Commit, size: b.Size}, b.Data)
			return nil
		},
	})
	send()
	close(jobs)
	done.Wait()
	basis, basisErr := j.Basis()
	if basisErr != nil {
		return nil, basisErr
	}
	slices.SortFunc(results, func(a, b result) int { return cmp.Compare(a.order, b.order) })
	for _, r := range results {
		report.Findings = append(report.Findings, r.findings...)
	}
	report.Findings = basis.Settle(report.Findings)
	return report, err
}

// judge is one worker's share.
func judge(scanner *scan.Scanner, work *job) []scan.Finding {
	var all []scan.Finding
	for _, f := range work.files {
		content := work.bytes[f.start:f.end]
		var found []scan.Finding
		if f.message {
			found = scanner.Message(content)
		} else {
			found = scanner.File(f.path, content, f.mode)
		}
		for i := range found {
			found[i].Commit = f.commit
		}
		all = append(all, found...)
	}
	return all
}

// Settle leaves one finding for each leak, the first, and takes out what the
// settings allow.
func (b *Basis) Settle(found []scan.Finding) []scan.Finding {
	seen := map[string]bool{}
	kept := found[:0]
	for _, f := range found {
		if seen[f.Fingerprint] || b.Settings.Allows(string(f.Rule), f.Path) {
			continue
		}
		seen[f.Fingerprint] = true
		kept = append(kept, f)
	}
	return kept
}

func plainReason(err error) string {
	return (&formation.FileError{Err: err}).Cause()
}

// Cleanup is what git takes out of a commit message before it makes the commit
// (git-commit(1), --cleanup). The zero value is nothing.
type Cleanup struct {
	Comment  string // starts a line that goes, if not empty
	Scissors bool   // what stands at and below the scissors goes
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
		if cleanup.Comment != "" && strings.HasPrefix(line, cleanup.Comment) {
			line = "\n" // stays a line, so that numbers stay right
		}
		kept.WriteString(line)
	}
	return &Report{Findings: basis.Settle(basis.Scanner.Message([]byte(kept.String())))}, nil
}
