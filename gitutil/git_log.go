package gitutil

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// logFormat: id, parents, author, email, date, subject.
const logFormat = "%H%x00%P%x00%an%x00%ae%x00%ad%x00%s"

// Log joins rev-list and diff-tree, which unlike log have no settings that change
// what they show. (`git log -m` itself has given up simplifying the history
// since 2.32.)
func (g *gitRepo) Log(ctx context.Context, rev string, names []string, visit func(*LogEntry) error) error {
	return g.log(ctx, rev, names, false, visit)
}

func (g *gitRepo) LogAll(ctx context.Context, rev string, names []string, visit func(*LogEntry) error) error {
	return g.log(ctx, rev, names, true, visit)
}

// log is Log, or LogAll.
func (g *gitRepo) log(ctx context.Context, rev string, names []string, all bool, visit func(*LogEntry) error) error {
	if rev == "" {
		rev = "HEAD"
	}
	if err := checkRev(rev); err != nil {
		return err
	}
	names = fileNames(names)
	if len(names) == 0 {
		_, err := g.ResolveRev(ctx, rev)
		return err
	}
	specs := logSpecs(names)
	var options []string
	if all {
		options = []string{"--full-history"}
	}
	walk := slices.Concat([]string{"rev-list", "--date-order"}, options, []string{rev + "^{commit}", "--"}, specs)
	diff := append(rawDiff("diff-tree", "--stdin"), "-r", "-m", "--root",
		// The walk counts a submodule as a change. Were it left out of the output,
		// a parent that differs in nothing else would be, too.
		"--ignore-submodules=none", "--encoding=UTF-8", "--date=raw", "--format="+logFormat, "--")
	l := listing{from: walk, args: append(diff, specs...), env: g.plainPathspecs(), flush: func() {}, started: func() error { return nil }}
	// Else rev-list hands on each commit by itself, which costs as much as finding it.
	l.env = append(l.env, "GIT_FLUSH=0")
	cut := g.layout.ShallowCommits()
	reachedCut := false
	err := g.stream(ctx, l, func(f *fields) error {
		return parseLog(f, all, func(e *LogEntry) error {
			reachedCut = reachedCut || cut[e.Hash]
			if !e.finish() {
				return nil
			}
			return visit(e)
		})
	})
	if err != nil {
		return revError(err, rev)
	}
	if len(cut) > 0 && !reachedCut {
		// The walk may have ended at a cut in a commit that has no such file.
		walked := slices.Concat([]string{"rev-list", "--sparse", "--max-parents=0"}, options, []string{rev + "^{commit}", "--"}, specs)
		out, err := g.outputIn(ctx, l.env, nil, walked...)
		if err != nil {
			return revError(err, rev)
		}
		reachedCut = slices.ContainsFunc(strings.Fields(string(out)), func(id string) bool { return cut[id] })
	}
	if reachedCut {
		return &ShallowError{Question: "the history before the oldest commits"}
	}
	return nil
}

// logSpecs are the pathspecs of these base names in any folder, from the top.
func logSpecs(names []string) []string {
	literal := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)
	specs := make([]string, len(names))
	for i, name := range names {
		specs[i] = ":(top,glob)**/" + literal.Replace(name)
	}
	return specs
}

// parseLog reads what `git diff-tree -z -m` prints in logFormat.
func parseLog(f *fields, all bool, visit func(*LogEntry) error) error {
	p := &logParser{fields: f, all: all, visit: visit}
	for {
		field, err := f.next()
		if err == io.EOF && p.entry != nil {
			if !p.complete() && !p.joins() {
				return io.ErrUnexpectedEOF // git says why
			}
			return p.done()
		}
		if err != nil {
			return err
		}
		// A line end stands between a commit and its changes.
		if field = bytes.TrimPrefix(field, []byte("\n")); len(field) == 0 {
			continue
		}
		if field[0] == ':' {
			err = p.change(field)
		} else {
			err = p.commit(string(field))
		}
		if err != nil {
			return err
		}
	}
}

// logParser holds the commit that is being read. A merge comes once for each
// parent that it differs from, in their order, without saying which; but only those
// count that differ from every parent, and rev-list gives no others unless it gives
// all: so the parents can be counted.
type logParser struct {
	*fields
	all    bool
	visit  func(*LogEntry) error
	entry  *LogEntry
	parent int
}

func (p *logParser) change(record []byte) error {
	if p.entry == nil {
		return fmt.Errorf("unexpected change in git's listing: %q", record)
	}
	change, err := parseRaw(record)
	if err != nil {
		return err
	}
	path, err := p.next()
	if err != nil {
		return unexpectedEnd(err)
	}
	p.entry.Changes = append(p.entry.Changes, LogChange{
		Path: string(path), Parent: p.parent,
		Old: change.oldID, New: change.id, OldMode: change.oldMode, NewMode: change.mode,
	})
	return nil
}

// commit reads a commit's header, of which the hash is read.
func (p *logParser) commit(hash string) error {
	if !isObjectID(hash) {
		return fmt.Errorf("unexpected text in git's listing: %q", hash)
	}
	var header [5]string
	for i := range header {
		field, err := p.next()
		if err != nil {
			return unexpectedEnd(err)
		}
		header[i] = string(field)
	}
	if p.entry != nil && p.entry.Hash == hash {
		p.parent++
		return nil
	}
	if p.entry != nil {
		if !p.complete() && !p.joins() {
			return fmt.Errorf("git compares commit %s with %d of %d parents", p.entry.Hash, p.parent+1, len(p.entry.Parents))
		}
		if err := p.done(); err != nil {
			return err
		}
	}
	p.parent = 0
	p.entry = &LogEntry{Hash: hash, Parents: strings.Fields(header[0]), Author: header[1], Email: header[2],
		Date: rawDate(header[3]), Subject: header[4]}
	return nil
}

// complete tells whether the commit was compared with all its parents.
func (p *logParser) complete() bool { return p.parent == max(len(p.entry.Parents), 1)-1 }

// joins tells whether the commit is a merge that equals a parent.
func (p *logParser) joins() bool { return p.all && p.parent < len(p.entry.Parents)-1 }

func (p *logParser) done() error {
	if p.joins() {
		return nil
	}
	return p.visit(p.entry)
}

func unexpectedEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Blobs goes through cat-file, which stays for the next question.
func (g *gitRepo) Blobs(ctx context.Context, ids []string, visit func(id string, data []byte) error) error {
	v := Visitor{MaxBlob: maxBlobs, Blob: func(b *Blob) error { return wholeBlob(b, visit) }}
	return g.visit(ctx, &v, func(_ context.Context, e *emitter) error {
		for _, id := range ids {
			if !isObjectID(id) {
				return &MissingObjectError{ID: id}
			}
			if err := e.blob(Blob{Mode: ModeFile, ID: id}); err != nil {
				return err
			}
		}
		return nil
	})
}
