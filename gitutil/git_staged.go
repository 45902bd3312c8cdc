package gitutil

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// rawChange is one record of git's raw diff format (git-diff(1)): what the first
// parent has, and what became of it.
type rawChange struct {
	oldMode, mode Mode
	oldID, id     string
	status        byte
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
	oldMode, oldErr := parseMode(columns[0])
	mode, err := parseMode(columns[parents])
	if err != nil || oldErr != nil {
		return rawChange{}, fmt.Errorf("unexpected mode in git's raw diff: %q", record)
	}
	return rawChange{
		oldMode: oldMode, mode: mode,
		oldID: string(columns[parents+1]), id: string(columns[2*parents+1]),
		status: columns[2*parents+2][0],
	}, nil
}

func parseMode(text []byte) (Mode, error) {
	mode, err := strconv.ParseUint(string(text), 8, 32)
	return Mode(mode), err
}

// The flags that keep a diff's form and content away from anyone's settings.
func rawDiff(command ...string) []string {
	return append(command, "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv",
		"--no-color", "--no-relative", "--ignore-submodules=all")
}

func (g *gitRepo) Staged(ctx context.Context, v Visitor) error {
	return g.visit(ctx, &v, func(ctx context.Context, e *emitter) error {
		if changes, ok := g.pendingTree(ctx); ok {
			return e.changes(changes)
		}
		err := g.listStaged(ctx, e, "HEAD")
		if exitCode(err) != 128 {
			return err
		}
		if _, ok, herr := g.Head(ctx); herr != nil || ok {
			return err
		}
		empty, terr := g.emptyTree(ctx) // this is the first commit
		if terr != nil {
			return terr
		}
		return g.listStaged(ctx, e, empty)
	})
}

// pendingTree compares HEAD's tree with the one that git commits, where the index
// names it: before a hook runs git has written that tree. It saves a process in
// every commit, and what the reader of contents is asked for is the folders in
// which something changed. Where anything is out of the ordinary (the first commit,
// an index with conflicts or with a form of its own, SHA-256) git is asked.
func (g *gitRepo) pendingTree(ctx context.Context) (changes []IndexEntry, ok bool) {
	tree, err := readIndexFile(indexPath(g.layout, g.getenv), func() {}, func(*indexRecord) {})
	if err != nil || len(tree) != len(plumbing.Hash{}) {
		return nil, false
	}
	err = g.withCatFile(ctx, func(cat *catFile) error {
		head, kind, _, err := cat.object(ctx, "HEAD^{tree}")
		if err != nil {
			return err
		}
		if kind != "tree" {
			return &MissingObjectError{ID: head}
		}
		var content trees = func(id plumbing.Hash) ([]byte, error) {
			_, _, data, err := cat.object(ctx, id.String())
			return data, err
		}
		same := func(_ string, at []treeEntry) bool { return at[0].same(at[1]) }
		return content.walk([]plumbing.Hash{plumbing.NewHash(head), plumbing.Hash(tree)}, "", same, func(path string, at []treeEntry) error {
			switch old, e := at[0], at[1]; {
			case e.name != nil:
				changes = append(changes, IndexEntry{path, e.id.String(), e.mode})
			case old.mode.hasContent():
				changes = append(changes, IndexEntry{Path: path})
			}
			return nil
		})
	})
	return changes, err == nil
}

// changes passes on files of the pending commit; those without an id are gone.
func (e *emitter) changes(files []IndexEntry) error {
	for _, file := range files {
		var err error
		if file.ID == "" {
			err = e.deleted(file.Path)
		} else {
			err = e.blob(Blob{Path: file.Path, Mode: file.Mode, ID: file.ID})
		}
		if err != nil {
			return err
		}
	}
	return nil
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

// parseTree reads what ls-tree -r prints.
func parseTree(f *fields, e *emitter) error {
	for {
		record, err := f.next()
		if err != nil {
			return err
		}
		entry, err := parseEntry(record)
		if err != nil {
			return err
		}
		if err := e.blob(Blob{Path: string(entry.path), Mode: entry.mode, ID: entry.columns[1]}); err != nil {
			return err
		}
	}
}

// listedEntry is a record of ls-tree ("MODE TYPE ID\tPATH") or of ls-files
// --stage ("MODE ID STAGE\tPATH").
type listedEntry struct {
	mode    Mode
	columns [2]string // behind the mode
	path    []byte
}

func parseEntry(record []byte) (listedEntry, error) {
	head, path, ok := bytes.Cut(record, []byte{'\t'})
	columns := bytes.Fields(head)
	if !ok || len(columns) != 3 {
		return listedEntry{}, fmt.Errorf("unexpected entry in git's listing: %q", record)
	}
	mode, err := parseMode(columns[0])
	if err != nil {
		return listedEntry{}, fmt.Errorf("unexpected mode in git's listing: %q", record)
	}
	return listedEntry{mode, [2]string{string(columns[1]), string(columns[2])}, path}, nil
}
