package judge

import (
	"cmp"
	"fmt"
	"path"
	"runtime"
	"slices"
	"sync"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// batchBytes is how much content one worker takes at a time: enough that handing
// it over costs nothing, little enough that memory stays small.
const batchBytes = 256 << 10

const (
	// bigBytes is what makes a batch a big one, because of its last file.
	bigBytes = 4 * batchBytes
	// maxBig is how many of these wait or are judged, whatever the number of cores.
	maxBig = 3
)

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
}

// crew judges files on all cores while more of them are read.
type crew struct {
	judge      *Judge
	report     *Report
	formations map[string]bool // folders that are formations in what is shown

	jobs, free chan *job
	big        chan struct{} // has one for each big batch that is under way
	current    *job          // being filled
	order      int

	workers sync.WaitGroup
	mu      sync.Mutex
	results []result
}

// result is what a worker made of a job.
type result struct {
	order    int
	findings []scan.Finding
	unread   []scan.Unread
}

func (j *Judge) newCrew() *crew {
	workers := max(1, runtime.GOMAXPROCS(0))
	c := &crew{
		judge: j, report: &Report{}, formations: map[string]bool{},
		jobs: make(chan *job, workers), free: make(chan *job, 2*workers+1), big: make(chan struct{}, maxBig),
	}
	for range 2*workers + 1 {
		c.free <- &job{}
	}
	for range workers {
		c.workers.Go(c.work)
	}
	c.current = <-c.free
	return c
}

func (c *crew) work() {
	for work := range c.jobs {
		if basis, err := c.judge.Basis(); err == nil {
			found, unread := judge(basis.Scanner, work)
			c.keep(result{work.order, found, unread}, "")
		}

		work.files, work.bytes = work.files[:0], work.bytes[:0]
		if cap(work.bytes) > bigBytes {
			work.bytes = nil // one big file must not be paid for till the end
			<-c.big
		}
		c.free <- work
	}
}

// commit takes in a commit's message.
func (c *crew) commit(commit *gitutil.Commit) error {
	if commit.Tag == "" {
		c.report.Commits++
	}
	c.add(file{commit: commit.Hash, message: true}, []byte(commit.Message))
	return nil
}

// blob takes in a file.
func (c *crew) blob(b *gitutil.Blob) error {
	c.report.Files++
	if dir, base := path.Split(b.Path); formation.IsFormationFile(base) {
		c.formations[path.Clean(dir)] = true
	}
	if b.Err != nil {
		c.skip(b, plainReason(b.Err))
		return nil
	}

	switch {
	case b.Size > maxRead:
		c.skip(b, fmt.Sprintf("longer than %d MiB: searched for known secrets and key material only, and not beyond", maxRead>>20))
	case b.Size > scan.MaxText:
		c.skip(b, fmt.Sprintf("longer than %d MiB: searched for known secrets and key material only", scan.MaxText>>20))
	}
	mode := scan.Regular
	if b.Mode == gitutil.ModeLink {
		mode = scan.Symlink
	}
	if b.Truncated() {
		return c.large(b, mode)
	}
	c.add(file{path: b.Path, mode: mode, commit: b.Commit}, b.Data)
	return nil
}

// large judges a file that is too large to be handed over, as it is read.
func (c *crew) large(b *gitutil.Blob, mode scan.Mode) error {
	c.send()
	order := c.order
	c.order++
	basis, err := c.judge.Basis()
	if err != nil {
		return nil // finish says why
	}
	found, unread, err := basis.Scanner.OpenLarge(scan.Large{
		Name: b.Path, Size: b.Size, Mode: mode, Head: b.Data, Rest: b.Rest, Reopen: b.Reopen, Limit: maxRead,
	})
	switch {
	case err != nil && b.ID != "":
		return err
	case err != nil: // it went away, or the disk failed
		c.skip(b, plainReason(err))
	}
	c.keep(result{order, found, unread}, b.Commit)
	return nil
}

// keep takes in what was found in files of a commit.
func (c *crew) keep(r result, commit string) {
	if len(r.findings)+len(r.unread) == 0 {
		return
	}
	for i := range r.findings {
		r.findings[i].Commit = cmp.Or(r.findings[i].Commit, commit)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results = append(c.results, r)
}

func (c *crew) skip(b *gitutil.Blob, reason string) {
	c.report.Skipped = append(c.report.Skipped, Skipped{b.Path, reason})
}

func (c *crew) add(f file, content []byte) {
	f.start = len(c.current.bytes)
	c.current.bytes = append(c.current.bytes, content...)
	f.end = len(c.current.bytes)
	c.current.files = append(c.current.files, f)

	if len(c.current.bytes) >= batchBytes || len(c.current.files) >= 256 {
		c.send()
	}
}

func (c *crew) send() {
	if len(c.current.files) == 0 {
		return
	}
	c.current.order = c.order
	c.order++
	if cap(c.current.bytes) > bigBytes {
		c.big <- struct{}{}
	}
	c.jobs <- c.current
	c.current = <-c.free
	if c.judge.Progress != nil {
		c.judge.Progress(c.report.Files, c.report.Commits)
	}
}

// finish waits for the workers, and returns what they found in the order of the
// files.
func (c *crew) finish() []scan.Finding {
	c.send()
	close(c.jobs)
	c.workers.Wait()

	if basis, err := c.judge.Basis(); err == nil {
		for i := range c.report.Skipped {
			c.report.Skipped[i].Path = basis.Scanner.Shown(c.report.Skipped[i].Path)
		}
	}

	slices.SortFunc(c.results, func(a, b result) int { return cmp.Compare(a.order, b.order) })
	var all []scan.Finding
	said := map[Skipped]bool{}
	for _, r := range c.results {
		all = append(all, r.findings...)
		for _, part := range r.unread {
			if skipped := (Skipped{part.Path, part.Reason}); !said[skipped] { // once for all versions of a file
				said[skipped] = true
				c.report.Skipped = append(c.report.Skipped, skipped)
			}
		}
	}
	return all
}

// judge is one worker's share.
func judge(scanner *scan.Scanner, work *job) (all []scan.Finding, unread []scan.Unread) {
	for _, f := range work.files {
		content := work.bytes[f.start:f.end]
		var found []scan.Finding
		if f.message {
			found = scanner.Message(content)
		} else {
			var parts []scan.Unread
			found, parts = scanner.Open(f.path, content, f.mode)
			unread = append(unread, parts...)
		}
		for i := range found {
			found[i].Commit = f.commit
		}
		all = append(all, found...)
	}
	return all, unread
}
