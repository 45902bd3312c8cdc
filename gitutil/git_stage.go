package gitutil

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func (g *gitRepo) StageFile(ctx context.Context, path string, content []byte, mode Mode) error {
	before, err := g.indexEntry(ctx, g.env, path)
	if err != nil {
		return err
	}
	entry := indexEntry{mode: mode, path: path, skip: before.skip}
	if content != nil {
		out, err := g.output(ctx, content, "hash-object", "-w", "--stdin")
		if err != nil {
			return err
		}
		entry.id = strings.TrimSpace(string(out))
	}
	if before.id == "" && entry.id != "" {
		c, err := g.readConfig(ctx)
		if err != nil {
			return err
		}
		entry.skip = c.truth("core.sparsecheckout") && !isDir(filepath.Dir(filepath.Join(g.layout.Top, filepath.FromSlash(path))))
	}
	if err := g.updateIndex(ctx, g.env, entry); err != nil {
		return err
	}
	staying, partial := stayingIndex(g.layout, g.getenv)
	if !partial {
		return nil
	}
	env := append(append([]string{}, g.env...), "GIT_INDEX_FILE="+staying)
	after, err := g.indexEntry(ctx, env, path)
	if err != nil || after != before {
		return err
	}
	return g.updateIndex(ctx, env, entry)
}

// indexEntry is what an index holds for a path; id is "" where that is nothing.
type indexEntry struct {
	mode Mode
	id   string
	path string
	skip bool // outside of the sparse checkout: not to be missed on disk
}

// indexEntry gives the entry for exactly this path.
func (g *gitRepo) indexEntry(ctx context.Context, env []string, path string) (indexEntry, error) {
	out, err := g.outputIn(ctx, env, nil, "ls-files", "--stage", "-t", "--full-name", "-z", "--", path)
	if err != nil {
		return indexEntry{}, err
	}
	for record := range bytes.SplitSeq(out, []byte{0}) {
		tag, record, ok := bytes.Cut(record, []byte{' '})
		if !ok {
			continue
		}
		entry, err := parseEntry(record)
		if err != nil {
			return indexEntry{}, err
		}
		if string(entry.path) == path {
			return indexEntry{entry.mode, entry.columns[0], path, string(tag) == "S"}, nil
		}
	}
	return indexEntry{}, nil
}

func (g *gitRepo) updateIndex(ctx context.Context, env []string, entry indexEntry) error {
	c, err := g.readConfig(ctx)
	if err != nil {
		return err
	}
	args := quietIndex(c)
	args = append(args, "update-index", "-z")
	if entry.id == "" {
		return g.whenUnlocked(ctx, env, entry.path+"\x00", append(args, "--force-remove", "--stdin")...)
	}
	line := fmt.Sprintf("%o %s 0\t%s\x00", entry.mode, entry.id, entry.path)
	err = g.whenUnlocked(ctx, env, line, append(args, "--index-info")...)
	if err == nil && entry.skip {
		err = g.whenUnlocked(ctx, env, entry.path+"\x00", append(args, "--skip-worktree", "--stdin")...)
	}
	return err
}

// How long an index that somebody else is writing is waited for.
const (
	lockTries = 40
	lockPause = 50 * time.Millisecond
)

// whenUnlocked runs what changes an index, again where somebody else is changing it:
// a manager that runs hooks side by side has others stage what they mended.
func (g *gitRepo) whenUnlocked(ctx context.Context, env []string, stdin string, args ...string) error {
	for try := 1; ; try++ {
		_, err := g.outputIn(ctx, env, []byte(stdin), args...)
		var failed *GitError
		if try == lockTries || !errors.As(err, &failed) || !strings.Contains(failed.Stderr, ".lock': File exists") {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lockPause):
		}
	}
}

// quietIndex are settings under which git changes an index and runs nothing.
func quietIndex(c *gitConfig) []string {
	args := noHooks(c) // a changed index would call post-index-change
	// Writing it, git reads files that changed in the same second again, through
	// their clean filter. Without one such an entry is looked at once more by the
	// next git command, that is all.
	for key := range c.values {
		if strings.HasPrefix(key, "filter.") && !strings.Contains(key, "=") {
			switch key[strings.LastIndexByte(key, '.'):] {
			case ".clean", ".process":
				args = append(args, "-c", key+"=")
			case ".required":
				args = append(args, "-c", key+"=false")
			}
		}
	}
	return args
}

// Refresh gives git's exit code no meaning: it says that some file differs.
func (g *gitRepo) Refresh(ctx context.Context) {
	if c, err := g.readConfig(ctx); err == nil {
		g.output(ctx, nil, append(quietIndex(c), "update-index", "-q", "--refresh")...)
	}
}

// stayingIndex gives the index that remains after `git commit PATH`. That
// command makes the commit from a temporary next-index-PID.lock, and holds
// what the index will be afterwards in index.lock (builtin/commit.c,
// prepare_index).
func stayingIndex(layout Layout, getenv func(string) string) (string, bool) {
	name := filepath.Base(getenv("GIT_INDEX_FILE"))
	if !strings.HasPrefix(name, "next-index-") || !strings.HasSuffix(name, ".lock") {
		return "", false
	}
	staying := filepath.Join(layout.GitDir, "index.lock")
	_, err := os.Stat(staying)
	return staying, err == nil
}
