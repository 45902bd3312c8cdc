package commands

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// Work that takes longer than this is seen to go on; what it says then changes
// only so often.
const (
	progressAfter = 500 * time.Millisecond
	progressEvery = 100 * time.Millisecond
)

// liveLine is the one line of a terminal that is written again and again, until
// something else is written.
type liveLine struct {
	to    io.Writer // nil: nobody watches
	shown bool
}

// clear takes the line away. It does nothing to a line that is not there.
func (l *liveLine) clear() {
	if l != nil && l.shown {
		l.shown = false
		fmt.Fprint(l.to, "\r\x1b[K")
	}
}

// progress says on the terminal how far work has come that takes a while.
type progress struct {
	line        *liveLine // nil: nobody watches
	now         func() time.Time
	start, last time.Time
	width       int
}

// progress starts now. Without a terminal behind Err, and with -q, it says nothing.
func (s *session) progress() *progress {
	p := &progress{now: s.Now}
	if to, ok := s.Err.(*stickyWriter); ok && to.live != nil && to.live.to != nil && !s.quiet {
		p.line, p.start, p.width = to.live, s.Now(), s.columns()-1
	}
	return p
}

// show says how far it has come.
func (p *progress) show(format string, args ...any) {
	if p.line == nil {
		return
	}
	now := p.now()
	if now.Sub(p.start) < progressAfter || now.Sub(p.last) < progressEvery {
		return
	}
	p.last, p.line.shown = now, true
	// A line that wraps would stay.
	fmt.Fprintf(p.line.to, "\r%s\x1b[K", cut(sanitize(fmt.Sprintf(format, args...)), p.width))
}

// tell is show for checks.
func (p *progress) tell(files, commits int) {
	p.show("checking: %d files, %d commits", files, commits)
}

func (p *progress) clear() { p.line.clear() }

// step counts through n formations. Of a single one there is nothing to count.
func (p *progress) step(doing string, i, n int) {
	if n > 1 {
		p.show("%s: %d of %d formations", doing, i, n)
	}
}

// readingLog shows how many commits have been read from a repository's log.
type readingLog struct {
	gitutil.Repository
	progress *progress
}

func (r readingLog) Log(ctx context.Context, rev string, names []string, visit func(*gitutil.LogEntry) error) error {
	commits := 0
	return r.Repository.Log(ctx, rev, names, func(e *gitutil.LogEntry) error {
		commits++
		r.progress.show("reading the history: %d commits", commits)
		return visit(e)
	})
}

// lastingLog asks git for each log once, however many formations ask: a command for
// all of them would read the whole history for each.
type lastingLog struct {
	gitutil.Repository
	logs map[string]*heardLog
}

type heardLog struct {
	entries []*gitutil.LogEntry
	err     error
}

func (r lastingLog) Log(ctx context.Context, rev string, names []string, visit func(*gitutil.LogEntry) error) error {
	return r.once(ctx, "log", r.Repository.Log, rev, names, visit)
}

func (r lastingLog) LogAll(ctx context.Context, rev string, names []string, visit func(*gitutil.LogEntry) error) error {
	return r.once(ctx, "all", r.Repository.LogAll, rev, names, visit)
}

type visitLog = func(ctx context.Context, rev string, names []string, visit func(*gitutil.LogEntry) error) error

func (r lastingLog) once(ctx context.Context, which string, log visitLog, rev string, names []string, visit func(*gitutil.LogEntry) error) error {
	asked := strings.Join(append([]string{which, rev}, names...), "\x00")
	heard := r.logs[asked]
	if heard == nil {
		heard = &heardLog{}
		heard.err = log(ctx, rev, names, func(e *gitutil.LogEntry) error {
			heard.entries = append(heard.entries, e)
			return nil
		})
		r.logs[asked] = heard
	}
	for _, e := range heard.entries {
		if err := visit(e); err != nil {
			return err
		}
	}
	return heard.err
}

// loggedOnce is the repository as one who asks about formation after formation has
// it; nil where there is none.
func (s *session) loggedOnce() (gitutil.Repository, error) {
	repo, err := s.repository()
	if err != nil || repo == nil {
		return nil, err
	}
	if s.logged == nil {
		s.logged = lastingLog{repo, map[string]*heardLog{}}
	}
	return s.logged, nil
}
