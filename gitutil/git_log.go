package gitutil

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// logFormat: id, parents, author, email, date, subject.
const logFormat = "%H%x00%P%x00%an%x00%ae%x00%ad%x00%s"

// Log joins rev-list and diff-tree, which unlike log have no settings that change
// what they show. (`git log -m` itself has given up simplifying the history
// since 2.32.)
func (g *gitRepo) Log(ctx context.Context, rev string, names []string, visit func(*LogEntry) error) error {
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
	walk := append([]string{"rev-list", "--date-order", rev + "^{commit}", "--"}, specs...)
	diff := append(rawDiff("diff-tree", "--stdin"), "-r", "-m", "--root",
		// The walk counts a submodule as a change. Were it left out of the output,
		// a parent that differs in nothing else would be, too.
		"--ignore-submodules=none", "--encoding=UTF-8", "--date=raw", "--format="+logFormat, "--")
	l := listing{from: walk, args: append(diff, specs...), env: g.plainPathspecs(), flush: func() {}, started: func() error { return nil }}
	// Else rev-list hands on each commit by itself, which costs as much as finding it.
	l.env = append(l.env, "GIT_FLUSH=0")
	cut := shallowCommits(g.layout)
	reachedCut := false
	err := g.stream(ctx, l, func(f *fields) error {
		return parseLog(f, func(e *LogEntry) error {
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
		walked := append([]string{"rev-list", "--sparse", "--max-parents=0", rev + "^{commit}", "--"}, specs...)
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

// parseLog reads what `git diff-tree -z -m` prints in logFormat. A merge comes
// once for each parent that it differs from, in their order, without saying
// which; but rev-list gives only merges that differ from every parent, so that
// they can be counted.
func parseLog(f *fields, visit func(*LogEntry) error) error {
	var entry *LogEntry
	parent := 0
	complete := func() bool { return parent == max(len(entry.Parents), 1)-1 }
	for {
		field, err := f.next()
		if err == io.EOF && entry != nil {
			if !complete() {
				return io.ErrUnexpectedEOF
			}
			return visit(entry)
		}
		if err != nil {
			return err
		}
		// A line end stands between a commit and its changes.
		if field = bytes.TrimPrefix(field, []byte("\n")); len(field) == 0 {
			continue
		}
		if field[0] == ':' {
			if entry == nil {
				return fmt.Errorf("unexpected change in git's listing: %q", field)
			}
			change, err := parseLogChange(field)
			if err != nil {
				return err
			}
			path, err := f.next()
			if err != nil {
				return unexpectedEnd(err)
			}
			change.Path, change.Parent = string(path), parent
			entry.Changes = append(entry.Changes, change)
			continue
		}
		hash := string(field)
		if !isObjectID(hash) {
			return fmt.Errorf("unexpected text in git's listing: %q", field)
		}
		var header [5]string
		for i := range header {
			if field, err = f.next(); err != nil {
				return unexpectedEnd(err)
			}
			header[i] = string(field)
		}
		if entry != nil && entry.Hash == hash {
			parent++
			continue
		}
		if entry != nil {
			if !complete() {
				return fmt.Errorf("git compares commit %s with %d of %d parents", entry.Hash, parent+1, len(entry.Parents))
			}
			if err := visit(entry); err != nil {
				return err
			}
		}
		parent = 0
		entry = &LogEntry{Hash: hash, Parents: strings.Fields(header[0]), Author: header[1], Email: header[2],
			Date: rawDate(header[3]), Subject: header[4]}
	}
}

func unexpectedEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseLogChange reads ":oldmode newmode oldid newid status".
func parseLogChange(record []byte) (LogChange, error) {
	columns := strings.Fields(string(record[1:]))
	if len(columns) != 5 {
		return LogChange{}, fmt.Errorf("unexpected line in git's raw diff: %q", record)
	}
	var modes [2]Mode
	for i := range modes {
		mode, err := strconv.ParseUint(columns[i], 8, 32)
		if err != nil {
			return LogChange{}, fmt.Errorf("unexpected mode in git's raw diff: %q", record)
		}
		modes[i] = Mode(mode)
	}
	return LogChange{Old: columns[2], New: columns[3], OldMode: modes[0], NewMode: modes[1]}, nil
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
