package gitutil

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func (g *gitRepo) StageFile(ctx context.Context, path string, content []byte, mode Mode) error {
	if content == nil {
		content = []byte{}
	}
	staying, partial := stayingIndex(g.layout, g.getenv)
	before := ""
	if partial {
		var err error
		if before, err = g.indexEntry(ctx, g.env, path); err != nil {
			return err
		}
	}
	out, err := g.output(ctx, content, "hash-object", "-w", "--stdin")
	if err != nil {
		return err
	}
	entry := fmt.Sprintf("%o %s 0\t%s", mode, strings.TrimSpace(string(out)), path)
	if err := g.updateIndex(ctx, g.env, entry); err != nil || !partial {
		return err
	}
	env := append(append([]string{}, g.env...), "GIT_INDEX_FILE="+staying)
	after, err := g.indexEntry(ctx, env, path)
	if err != nil || after != before {
		return err
	}
	return g.updateIndex(ctx, env, entry)
}

// indexEntry gives "MODE ID STAGE\tPATH" for exactly this path, or "".
func (g *gitRepo) indexEntry(ctx context.Context, env []string, path string) (string, error) {
	out, err := g.outputIn(ctx, env, nil, "ls-files", "--stage", "--full-name", "-z", "--", path)
	for entry := range strings.SplitSeq(string(out), "\x00") {
		if _, name, _ := strings.Cut(entry, "\t"); name == path {
			return entry, err
		}
	}
	return "", err
}

func (g *gitRepo) updateIndex(ctx context.Context, env []string, entry string) error {
	c, err := g.readConfig(ctx)
	if err != nil {
		return err
	}
	// A changed index would call the post-index-change hook.
	args := []string{"-c", "core.hooksPath=" + os.DevNull}
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
	_, err = g.outputIn(ctx, env, []byte(entry+"\x00"), append(args, "update-index", "-z", "--index-info")...)
	return err
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
