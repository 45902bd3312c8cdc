package gitutil

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
)

// rawChange is one record of git's raw diff format (git-diff(1)): what the entry
// became, whatever number of parents it is compared with.
type rawChange struct {
	mode   Mode
	id     string
	status byte
}

// parseRaw reads ":oldmode newmode oldid newid status", or with n parents n
// colons, n+1 modes, n+1 ids and n statuses.
func parseRaw(record []byte) (rawChange, error) {
	parents := 0
	for parents < len(record) && record[parents] == ':' {
		parents++
	}
	columns := bytes.Split(record[parents:], []byte{' '})
	if parents == 0 || len(columns) != 2*parents+3 || len(columns[2*parents+2]) == 0 {
		return rawChange{}, fmt.Errorf("unexpected line in git's raw diff: %q", record)
	}
	mode, err := strconv.ParseUint(string(columns[parents]), 8, 32)
	if err != nil {
		return rawChange{}, fmt.Errorf("unexpected mode in git's raw diff: %q", record)
	}
	return rawChange{Mode(mode), string(columns[2*parents+1]), columns[2*parents+2][0]}, nil
}

// The flags that keep a diff's form and content away from anyone's settings.
func rawDiff(command ...string) []string {
	return append(command, "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv",
		"--no-color", "--no-relative", "--ignore-submodules=all")
}

func (g *gitRepo) Staged(ctx context.Context, opt StagedOptions, v Visitor) error {
	base := "HEAD"
	if opt.Amend {
		base = "HEAD^"
	}
	return g.visit(ctx, &v, func(ctx context.Context, e *emitter) error {
		err := g.listStaged(ctx, e, base)
		if exitCode(err) != 128 {
			return err
		}
		// No such commit: this is the first one, or the first one amended.
		if _, ok, herr := g.Head(ctx); herr != nil || (ok && !opt.Amend) {
			return err
		} else if ok {
			if _, rerr := g.ResolveRev(ctx, base); rerr == nil {
				return err
			}
		}
		empty, terr := g.emptyTree(ctx)
		if terr != nil {
			return terr
		}
		return g.listStaged(ctx, e, empty)
	})
}

func (g *gitRepo) listStaged(ctx context.Context, e *emitter, base string) error {
	args := append(rawDiff("diff-index", "--cached", "--ita-invisible-in-index"), base, "--")
	return g.list(ctx, e, nil, args, func(f *fields) error {
		for {
			record, err := f.next()
			if err != nil {
				return err
			}
			change, err := parseRaw(record)
			if err != nil {
				return err
			}
			path, err := f.next()
			if err != nil {
				return err
			}
			switch change.status {
			case 'U':
				continue
			case 'D':
				err = e.deleted(string(path))
			default:
				err = e.blob(Blob{Path: string(path), Mode: change.mode, ID: change.id})
			}
			if err != nil {
				return err
			}
		}
	})
}

// emptyTree is the id of the tree without entries, which every git knows
// without storing it.
func (g *gitRepo) emptyTree(ctx context.Context) (string, error) {
	out, err := g.output(ctx, []byte{}, "hash-object", "-t", "tree", "--stdin")
	return strings.TrimSpace(string(out)), err
}

func (g *gitRepo) Contents(ctx context.Context, entries []IndexEntry, v Visitor) error {
	return g.visit(ctx, &v, func(_ context.Context, e *emitter) error {
		for _, entry := range entries {
			if err := e.blob(Blob{Path: entry.Path, Mode: entry.Mode, ID: entry.ID}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (g *gitRepo) IndexBlobs(ctx context.Context, path string, v Visitor) error {
	return indexBlobs(ctx, g, path, v)
}

func (g *gitRepo) TreeBlobs(ctx context.Context, rev, path string, v Visitor) error {
	if err := checkRev(rev); err != nil {
		return err
	}
	args := []string{"ls-tree", "-r", "--full-tree", "-z", rev}
	if path != "" {
		args = append(args, "--", path)
	}
	return g.visit(ctx, &v, func(ctx context.Context, e *emitter) error {
		err := g.list(ctx, e, nil, args, func(f *fields) error { return parseTree(f, e) })
		return revError(err, rev)
	})
}

func parseTree(f *fields, e *emitter) error {
	return parseEntries(f, e, func(columns []string) (string, bool) { return columns[2], true })
}

// parseEntries reads "MODE COLUMN COLUMN\tPATH" records; pick says which column
// is the object id, and whether the entry counts.
func parseEntries(f *fields, e *emitter, pick func(columns []string) (id string, ok bool)) error {
	for {
		record, err := f.next()
		if err != nil {
			return err
		}
		head, path, ok := strings.Cut(string(record), "\t")
		columns := strings.Fields(head)
		if !ok || len(columns) != 3 {
			return fmt.Errorf("unexpected entry in git's listing: %q", record)
		}
		mode, err := strconv.ParseUint(columns[0], 8, 32)
		if err != nil {
			return fmt.Errorf("unexpected mode in git's listing: %q", record)
		}
		if id, ok := pick(columns); ok {
			if err := e.blob(Blob{Path: path, Mode: Mode(mode), ID: id}); err != nil {
				return err
			}
		}
	}
}
