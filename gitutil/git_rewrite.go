package gitutil

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func (g *gitRepo) Object(ctx context.Context, id string) (kind string, content []byte, err error) {
	if !isObjectID(id) {
		return "", nil, &MissingObjectError{ID: id}
	}
	err = g.withCatFile(ctx, func(cat *catFile) error {
		_, kind, content, err = cat.object(ctx, id)
		return err
	})
	if err != nil {
		return "", nil, err
	}
	return kind, content, nil
}

// withCatFile lends the cat-file to use, which is ended after an error.
func (g *gitRepo) withCatFile(ctx context.Context, use func(*catFile) error) error {
	cat, err := g.takeCatFile()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, cat.kill)
	err = use(cat)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		cat.kill()
		cat.end()
		return err
	}
	g.keepCatFile(cat)
	return nil
}

// object reads an object of any kind, by its id or by a name that has it.
func (c *catFile) object(ctx context.Context, name string) (id, kind string, content []byte, err error) {
	if err := c.ask(name); err != nil {
		return "", "", nil, err
	}
	c.flush()
	header, err := c.out.ReadSlice('\n')
	if err != nil {
		return "", "", nil, c.failure(ctx, &Blob{ID: name})
	}
	columns := strings.Fields(string(header))
	if len(columns) != 3 {
		return "", "", nil, &MissingObjectError{ID: name}
	}
	size, err := strconv.ParseInt(columns[2], 10, 64)
	if err != nil {
		return "", "", nil, &GitError{Args: []string{"cat-file"}, Code: -1, Err: err}
	}
	if size > maxBlobs {
		return "", "", nil, &LargeObjectError{ID: name, Size: size}
	}
	id, kind, content = columns[0], columns[1], make([]byte, size+1)
	if _, err := io.ReadFull(c.out, content); err != nil {
		return "", "", nil, c.failure(ctx, &Blob{ID: id})
	}
	return id, kind, content[:size], nil
}

func (g *gitRepo) StoreObject(ctx context.Context, kind string, content []byte) (string, error) {
	if content == nil {
		content = []byte{}
	}
	out, err := g.output(ctx, content, "hash-object", "-w", "-t", kind, "--stdin")
	return strings.TrimSpace(string(out)), err
}

func (g *gitRepo) HeadBranch(ctx context.Context) (string, error) {
	out, err := g.output(ctx, nil, "symbolic-ref", "--quiet", "HEAD")
	if exitCode(err) == 1 {
		return "", nil
	}
	return strings.TrimSpace(string(out)), err
}

func (g *gitRepo) Changed(ctx context.Context) ([]string, error) {
	status, err := g.withoutHooks(ctx, "status", "--porcelain=v1", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames")
	if err != nil {
		return nil, err
	}
	out, err := g.output(ctx, nil, status...)
	if err != nil {
		return nil, err
	}
	var paths []string
	for record := range strings.SplitSeq(string(out), "\x00") {
		if len(record) > 3 {
			paths = append(paths, record[3:])
		}
	}
	return paths, nil
}

func (g *gitRepo) Tags(ctx context.Context) ([]Ref, error) {
	out, err := g.output(ctx, nil, "for-each-ref", "--format=%(objectname) %(refname)", "refs/tags/")
	if err != nil {
		return nil, err
	}
	var tags []Ref
	for line := range strings.Lines(string(out)) {
		if id, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			tags = append(tags, Ref{Name: name, ID: id})
		}
	}
	return tags, nil
}

// mostContains bounds how many commits one question names.
const mostContains = 500

func (g *gitRepo) Holders(ctx context.Context, commits []string) ([]string, error) {
	var found []string
	for batch := range slices.Chunk(commits, mostContains) {
		args := []string{"for-each-ref", "--format=%(refname) %(symref)"}
		for _, id := range batch {
			args = append(args, "--contains="+id)
		}
		out, err := g.output(ctx, nil, args...)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(out)) {
			columns := strings.Fields(line)
			if len(columns) == 1 && !strings.HasPrefix(columns[0], OwnRefs) && !slices.Contains(found, columns[0]) {
				found = append(found, columns[0])
			}
		}
	}
	trees, err := g.detachedTrees(ctx, commits)
	return append(found, trees...), err
}

// detachedTrees are the other work trees that stand on a commit, not on a branch,
// which reaches one of these.
func (g *gitRepo) detachedTrees(ctx context.Context, commits []string) (found []string, err error) {
	out, err := g.output(ctx, nil, "worktree", "list", "--porcelain")
	if err != nil {
		return nil, err
	}
	for record := range strings.SplitSeq(string(out), "\n\n") {
		dir, head, detached := "", "", false
		for line := range strings.Lines(record) {
			word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch word {
			case "worktree":
				dir = rest
			case "HEAD":
				head = rest
			case "detached":
				detached = true
			}
		}
		if !detached || filepath.Clean(dir) == g.layout.Top {
			continue
		}
		for _, id := range commits {
			base, ok, err := g.MergeBase(ctx, id, head)
			if err != nil {
				return nil, err
			}
			if ok && base == id {
				found = append(found, "HEAD of "+dir)
				break
			}
		}
	}
	return found, nil
}

// ChangeRefs uses the transaction of update-ref(1): once it is prepared, every ref
// is locked and was what it should be. Where this process ends before it said
// commit, git takes the locks away and changes nothing.
func (g *gitRepo) ChangeRefs(ctx context.Context, reason string, changes []RefChange, meanwhile func() error) (err error) {
	update, err := g.withoutHooks(ctx, "update-ref", "-m", reason, "--stdin", "-z")
	if err != nil {
		return err
	}
	cmd := g.command(ctx, update...)
	cmd.Env = g.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return &GitError{Args: []string{"update-ref"}, Code: -1, Err: err}
	}
	answers := bufio.NewReader(out)
	defer func() {
		in.Close()
		io.Copy(io.Discard, answers)
		if ended := cmd.Wait(); ended != nil && (err == nil || errors.Is(err, errNoAnswer)) {
			err = runError(ctx, []string{"update-ref"}, stderr.String(), ended)
		}
	}()

	var orders bytes.Buffer
	orders.WriteString("start\x00")
	for _, c := range changes {
		if c.Name == "HEAD" {
			orders.WriteString("option no-deref\x00")
		}
		if c.Old == "" {
			fmt.Fprintf(&orders, "create %s\x00%s\x00", c.Name, c.New)
		} else {
			fmt.Fprintf(&orders, "update %s\x00%s\x00%s\x00", c.Name, c.New, c.Old)
		}
	}
	orders.WriteString("prepare\x00")
	if err := say(in, answers, orders.String(), "prepare: ok"); err != nil {
		return err
	}
	if err := meanwhile(); err != nil {
		return err // without a word more git changes nothing
	}
	return say(in, answers, "commit\x00", "commit: ok")
}

var errNoAnswer = errors.New("git did not answer")

// say gives git orders and waits for the line that it is to answer with.
func say(in io.Writer, answers *bufio.Reader, orders, want string) error {
	if _, err := io.WriteString(in, orders); err != nil {
		return errNoAnswer
	}
	for {
		line, err := answers.ReadString('\n')
		if strings.TrimSpace(line) == want {
			return nil
		}
		if err != nil {
			return errNoAnswer
		}
	}
}

func (g *gitRepo) TreeChanges(ctx context.Context, from, to string) ([]TreeChange, error) {
	out, err := g.output(ctx, nil, append(rawDiff("diff-tree"), "-r", from, to)...)
	if err != nil {
		return nil, err
	}
	fields := strings.Split(string(out), "\x00")
	var changes []TreeChange
	for i := 0; i+1 < len(fields); i += 2 {
		columns := strings.Fields(strings.TrimPrefix(fields[i], ":"))
		if len(columns) != 5 {
			return nil, &GitError{Args: []string{"diff-tree"}, Stderr: "a line that is not of the form it should have"}
		}
		change := TreeChange{Path: fields[i+1], OldID: columns[2], NewID: columns[3]}
		for _, side := range []struct {
			mode string
			to   *Mode
			id   *string
		}{{columns[0], &change.OldMode, &change.OldID}, {columns[1], &change.NewMode, &change.NewID}} {
			mode, err := strconv.ParseUint(side.mode, 8, 32)
			if err != nil {
				return nil, &GitError{Args: []string{"diff-tree"}, Code: -1, Err: err}
			}
			if *side.to = Mode(mode); isZeroID(*side.id) {
				*side.id = ""
			}
		}
		changes = append(changes, change)
	}
	return changes, nil
}

func (g *gitRepo) FollowTree(ctx context.Context, changes []TreeChange) (left []string, err error) {
	var write []string
	for _, c := range changes {
		entry, err := g.indexEntry(ctx, g.env, c.Path)
		if err != nil {
			return nil, err
		}
		if entry.id != c.OldID && entry.id != c.NewID {
			left = append(left, c.Path)
			continue
		}
		disk, there := "", false
		if c.NewID != "" && !entry.skip {
			if disk, there, err = g.idOnDisk(ctx, c.Path); err != nil {
				return nil, err
			}
		}
		if entry.id != c.NewID {
			if err := g.updateIndex(ctx, g.env, indexEntry{c.NewMode, c.NewID, c.Path, entry.skip}); err != nil {
				return nil, err
			}
		}
		switch {
		case c.NewID == "" || entry.skip || there && disk == c.NewID:
		case there && disk != c.OldID:
			left = append(left, c.Path)
		default:
			write = append(write, c.Path)
		}
	}
	if len(write) == 0 {
		return left, nil
	}
	checkout, err := g.withoutHooks(ctx, "checkout-index", "--force", "--index", "-z", "--stdin")
	if err == nil {
		_, err = g.output(ctx, []byte(strings.Join(write, "\x00")+"\x00"), checkout...)
	}
	return left, err
}

// idOnDisk is the id that a file of the work tree has for git, once its filters are
// through with it.
func (g *gitRepo) idOnDisk(ctx context.Context, path string) (id string, there bool, err error) {
	full := filepath.Join(g.layout.Top, filepath.FromSlash(path))
	info, err := os.Lstat(full)
	switch {
	case err != nil && isMissing(err):
		return "", false, nil
	case err != nil:
		return "", false, err
	case info.Mode()&os.ModeSymlink != 0:
		target, err := os.Readlink(full)
		if err != nil {
			return "", false, err
		}
		out, err := g.output(ctx, []byte(filepath.ToSlash(target)), "hash-object", "--stdin")
		return strings.TrimSpace(string(out)), true, err
	case !info.Mode().IsRegular():
		return "", true, nil
	}
	out, err := g.output(ctx, nil, "hash-object", "--", path)
	return strings.TrimSpace(string(out)), true, err
}
