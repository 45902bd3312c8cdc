package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// Change is what becomes of a file of another manager's. Before is nil for a file
// that is made, After for one that goes.
type Change struct {
	Path          string
	Before, After []byte
	mode          fs.FileMode
}

// Adoption is how another manager comes to run our hooks.
type Adoption struct {
	Manager string
	Changes []*Change
	// Then is the command by which the manager puts its hooks into a clone.
	Then string
}

// UnsafeError says that a manager's file cannot be changed so that all else in it
// stays as it is, and what to write there by hand.
type UnsafeError struct {
	Path    string
	Reason  string
	Snippet string
}

func (e *UnsafeError) Error() string { return fmt.Sprintf("'%s' %s", e.Path, e.Reason) }

// manager is one of those whose files we write.
type manager struct {
	name    string
	then    string
	snippet func(names []string) string
	// plan makes the changes that have it run hooks, all but those that it does.
	plan func(top string, names []string) ([]*Change, error)
}

// Adopt plans how the manager that has the hooks here comes to run those of ours
// that it does not. nil is one whose files are not written. Errors: *UnsafeError.
func (in *Installer) Adopt(ctx context.Context) (*Adoption, error) {
	list, dir, err := in.settled(ctx)
	if err != nil {
		return nil, err
	}
	var managed *ManagedError
	if !errors.As(in.Foreign(dir), &managed) || managed.manager == nil {
		return nil, nil
	}
	var stopping, names []string
	for _, hook := range list {
		switch {
		case hook.State == Managed, hook.Note && in.NoNotes:
			continue
		case !hook.Note:
			stopping = append(stopping, hook.Name)
		}
		names = append(names, hook.Name)
	}
	top := in.Repo.Layout().Top
	changes, err := managed.manager.plan(top, stopping)
	if err != nil || len(changes) > 0 || in.Write { // the notes come with the rest, or when they are asked for
		changes, err = managed.manager.plan(top, names)
	}
	if err != nil {
		return nil, err
	}
	for _, change := range changes {
		if rest, _, _, err := takeOut(change.After); err != nil || change.Before != nil && !bytes.Equal(rest, change.Before) {
			return nil, &UnsafeError{change.Path, "could not be made as it was again", managed.manager.snippet(names)}
		}
	}
	return &Adoption{managed.manager.name, changes, managed.manager.then}, nil
}

// Apply makes the changes, all or none.
func (in *Installer) Apply(ctx context.Context, changes []*Change) error {
	if _, _, err := in.settled(ctx); err != nil || len(changes) == 0 {
		return err
	}
	place := in.managersPlace()
	if err := safefile.MakeFolder(place.Folders[0], 0o755); err != nil {
		return &safefile.Error{Op: "make", Path: place.Folders[0], Err: err}
	}
	batch := in.Files.Batch(place)
	defer batch.Discard()
	for _, change := range changes {
		if err := change.add(batch); err != nil {
			return err
		}
	}
	return batch.Commit()
}

// managersPlace is where the managers' files are: each work tree has its own. What
// a killed command leaves there is known by a folder in the git dir, which every
// command looks into.
func (in *Installer) managersPlace() safefile.Place {
	journal := managersJournal(in.Repo.Layout())
	return safefile.Place{Folders: []string{filepath.Dir(journal), in.Repo.Layout().Top}, Journal: journal}
}

func managersJournal(layout gitutil.Layout) string {
	return filepath.Join(layout.GitDir, "muxi-secrets", "journal-managers")
}

func (c *Change) add(batch *safefile.Batch) error {
	switch {
	case c.After == nil:
		batch.Remove(c.Path)
		return nil
	case c.Before == nil:
		return batch.Create(c.Path, c.After, c.mode)
	}
	return batch.Replace(c.Path, c.After, c.mode)
}

// Written are the changes that take out of the managers' files what Adopt put there.
// Errors: *UnsafeError.
func (in *Installer) Written(ctx context.Context) ([]*Change, error) {
	top := in.Repo.Layout().Top
	if in.Server || top == "" {
		return nil, nil
	}
	if _, _, err := in.settled(ctx); err != nil {
		return nil, err
	}
	var files []string
	for _, stem := range lefthookFiles {
		for _, kind := range lefthookKinds {
			files = append(files, stem+kind)
		}
	}
	files = append(files, preCommitSettings)
	for _, name := range All(false) {
		files = append(files, filepath.Join(".husky", name))
	}

	var changes []*Change
	for _, file := range files {
		path := filepath.Join(top, filepath.FromSlash(file))
		content, err := readPlain(path)
		if err != nil {
			continue // not there, or none that we would write
		}
		rest, found, made, err := takeOut(content)
		if err != nil {
			return nil, &UnsafeError{path, err.Error() + ": take them out by hand, from '" + beginMark + "' to '" + endMark + "'", ""}
		}
		switch {
		case !found:
			continue
		case made && string(rest) == shebang:
			rest = nil
		case rest == nil:
			rest = []byte{}
		}
		changes = append(changes, &Change{Path: path, Before: content, After: rest})
	}
	return changes, nil
}

// readPlain reads a file that is one itself, and no link to another.
func readPlain(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is no plain file")
	}
	content, err := safefile.Read(path, maxSettings)
	if err == nil && content == nil {
		content = []byte{}
	}
	return content, err
}

// offsetOfLine is where a line begins, from 1; the end for one behind the last.
func offsetOfLine(content []byte, line int) int {
	at := 0
	for ; line > 1; line-- {
		next := bytes.IndexByte(content[at:], '\n')
		if next < 0 {
			return len(content)
		}
		at += next + 1
	}
	return at
}

// sortInsertions puts them in the order of their places.
func sortInsertions(list []insertion) {
	slices.SortStableFunc(list, func(a, b insertion) int { return a.at - b.at })
}
