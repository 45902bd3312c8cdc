package gitutil

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Operation is what git is in the middle of. Kind is "" (nothing), "merge",
// "rebase", "am", "cherry-pick" or "revert". Theirs is the id of the commit that
// is being brought in or, for a revert, taken back: MERGE_HEAD (the first of an
// octopus), REBASE_HEAD, CHERRY_PICK_HEAD, REVERT_HEAD; "" where git does not
// say. Git writes these when it stops: a merge driver, which runs before that,
// sees no merge yet, and the rebase but not its commit.
type Operation struct {
	Kind   string
	Theirs string
}

func (g *gitRepo) Operation(ctx context.Context) (Operation, error) {
	return findOperation(g.layout, func(names []string) (map[string]string, error) {
		out, err := g.output(ctx, []byte(strings.Join(names, "\n")+"\n"), "cat-file", "--batch-check=%(objectname)")
		if err != nil {
			return nil, err
		}
		ids := map[string]string{}
		for i, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
			if i < len(names) && isObjectID(line) {
				ids[names[i]] = line
			}
		}
		return ids, nil
	})
}

func (r *goGitRepo) Operation(context.Context) (Operation, error) {
	return findOperation(r.layout, nil) // reftable is refused in supported
}

// findOperation looks at the files that git leaves, in the order of git's own
// wt_status_get_state (wt-status.c). Where refs are in a reftable, all of these
// heads but MERGE_HEAD are in there too, and ask reads them; a pick or revert
// that has stopped still leaves the file MERGE_MSG.
func findOperation(layout Layout, ask func(names []string) (map[string]string, error)) (Operation, error) {
	s := &stateFiles{dir: layout.GitDir}
	kind := ""
	switch {
	case s.has("rebase-apply"):
		if kind = "rebase"; s.has("rebase-apply/applying") {
			kind = "am"
		}
	case s.has("rebase-merge"):
		kind = "rebase"
	}
	// Inside of a rebase the commit at hand is a pick, or the other side of a
	// merge that is made again.
	heads := []struct{ name, kind string }{
		{"MERGE_HEAD", "merge"}, {"CHERRY_PICK_HEAD", "cherry-pick"}, {"REVERT_HEAD", "revert"}, {"REBASE_HEAD", "rebase"},
	}
	if kind == "" {
		heads = heads[:3] // what a rebase of old left behind says nothing
	}
	ids := map[string]string{}
	var unseen []string
	stored := usesReftable(layout)
	for _, head := range heads {
		switch id, ok := s.head(head.name); {
		case ok:
			ids[head.name] = id
		case stored && head.name != "MERGE_HEAD":
			unseen = append(unseen, head.name)
		}
	}
	if len(unseen) > 0 && ask != nil && s.err == nil && (kind != "" || s.has("sequencer") || s.has("MERGE_MSG")) {
		found, err := ask(unseen)
		if err != nil {
			return Operation{}, err
		}
		for name, id := range found {
			ids[name] = id
		}
	}
	for _, head := range heads {
		if id, ok := ids[head.name]; ok {
			if kind == "" {
				kind = head.kind
			}
			return Operation{Kind: kind, Theirs: id}, s.err
		}
	}
	if kind == "" {
		kind = s.sequence()
	}
	return Operation{Kind: kind}, s.err
}

// Incoming is the id of the commit that git is bringing in while a merge driver
// runs, before it has stopped and Operation knows: a merge names it in the
// environment that it hands down (GITHEAD_ID), a rebase in its list of what it
// has begun. "" where git does not say, and in an octopus, where it does not say
// which.
func (l Layout) Incoming(environ []string) string {
	found := ""
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if id, ok := strings.CutPrefix(name, "GITHEAD_"); ok {
			if found != "" {
				return ""
			}
			found = id
		}
	}
	if found != "" {
		return found
	}

	done, err := os.ReadFile(filepath.Join(l.GitDir, "rebase-merge", "done"))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(done)), "\n")
	if words := strings.Fields(lines[len(lines)-1]); len(words) > 1 && isObjectID(words[1]) {
		return words[1]
	}
	return ""
}

// Rebasing tells whether a rebase is under way that merges commit by commit.
func (l Layout) Rebasing() bool { return isDir(filepath.Join(l.GitDir, "rebase-merge")) }

// NotedConflicts lists the paths that git put into the message of a commit that
// it could not make (append_conflicts_hint in sequencer.c): the index forgets
// them with 'git add'.
func (l Layout) NotedConflicts() []string {
	message, err := os.ReadFile(filepath.Join(l.GitDir, "MERGE_MSG"))
	if err != nil {
		return nil
	}
	_, listed, ok := strings.Cut("\n"+string(message), " Conflicts:\n")
	if !ok {
		return nil
	}
	var paths []string
	for line := range strings.Lines(listed) {
		_, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			break
		}
		paths = append(paths, path)
	}
	return paths
}

// usesReftable tells whether refs are not in files (gitformat-reftable(5)).
func usesReftable(layout Layout) bool {
	for _, e := range readConfigFile(filepath.Join(layout.CommonDir, "config")) {
		if e.key == "extensions.refstorage" && e.value != "files" {
			return true
		}
	}
	return false
}

// stateFiles reads what git keeps in a work tree's own git dir, and remembers
// the first thing that it could not read.
type stateFiles struct {
	dir string
	err error
}

func (s *stateFiles) failed(err error) bool {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && s.err == nil {
		s.err = err
	}
	return err != nil
}

// text reads the beginning of a file; an empty one is no error.
func (s *stateFiles) text(name string) (string, error) {
	text, err := readSmall(filepath.Join(s.dir, filepath.FromSlash(name)))
	if err == io.EOF {
		err = nil
	}
	return text, err
}

func (s *stateFiles) has(name string) bool {
	_, err := os.Lstat(filepath.Join(s.dir, filepath.FromSlash(name)))
	return !s.failed(err)
}

// head reads the first id of a file; "" where there is something else.
func (s *stateFiles) head(name string) (id string, ok bool) {
	text, err := s.text(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	s.failed(err)
	if line, _, _ := strings.Cut(text, "\n"); isObjectID(strings.TrimSpace(line)) {
		return strings.TrimSpace(line), true
	}
	return "", true
}

// sequence tells what is left of several picks or reverts when the one that
// stopped was committed or reset by hand.
func (s *stateFiles) sequence() string {
	text, err := s.text("sequencer/todo")
	if s.failed(err) {
		return ""
	}
	for line := range strings.Lines(text) {
		command, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch command {
		case "pick", "p":
			return "cherry-pick"
		case "revert":
			return "revert"
		}
	}
	return ""
}
