package gitutil

import (
	"context"
	"path/filepath"
	"strings"
)

// gitConfig is `git config --list`: the last value of each key and where it
// came from. One process answers every question about settings.
type gitConfig struct {
	values map[string]configValue
}

type configValue struct{ value, scope string }

func (g *gitRepo) readConfig(ctx context.Context) (*gitConfig, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.config != nil {
		return g.config, nil
	}
	out, err := g.output(ctx, nil, "config", "--list", "--includes", "--show-scope", "-z")
	if err != nil {
		return nil, err
	}
	c := &gitConfig{values: map[string]configValue{}}
	fields := strings.Split(string(out), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		key, value, _ := strings.Cut(fields[i+1], "\n")
		c.values[key] = configValue{value: value, scope: fields[i]}
	}
	g.config = c
	return c, nil
}

// canonicalKey lowers a key's section and name; the part between is kept.
func canonicalKey(key string) string {
	first, last := strings.IndexByte(key, '.'), strings.LastIndexByte(key, '.')
	if first < 0 {
		return strings.ToLower(key)
	}
	return strings.ToLower(key[:first]) + key[first:last] + strings.ToLower(key[last:])
}

func (g *gitRepo) Config(ctx context.Context, key string) (string, bool, error) {
	c, err := g.readConfig(ctx)
	if err != nil {
		return "", false, err
	}
	v, ok := c.values[canonicalKey(key)]
	return v.value, ok, nil
}

func (g *gitRepo) SetConfig(ctx context.Context, key, value string) error {
	_, err := g.output(ctx, nil, "config", "--local", "--replace-all", "--", key, value)
	if e, ok := err.(*GitError); ok {
		e.Args = []string{"config", "--local", key}
	}
	g.mu.Lock()
	g.config = nil
	g.mu.Unlock()
	return err
}

func (g *gitRepo) HooksDir(ctx context.Context) (string, bool, error) {
	out, err := g.output(ctx, nil, "rev-parse", "--git-path", "hooks")
	if err != nil {
		return "", false, err
	}
	dir := absFrom(g.dir, filepath.FromSlash(strings.TrimSuffix(string(out), "\n")))
	c, err := g.readConfig(ctx)
	if err != nil {
		return "", false, err
	}
	v, set := c.values["core.hookspath"]
	if !set {
		v.scope = "local" // the default, which a link may lead elsewhere
	}
	return dir, sharedHooks(g.layout, dir, v.scope), nil
}

// sharedHooks tells whether a folder of hooks, set in the given scope, serves
// more than this repository.
func sharedHooks(layout Layout, dir, scope string) bool {
	if scope != "local" && scope != "worktree" {
		return true
	}
	real := resolve(dir)
	for _, own := range []string{layout.Top, layout.GitDir, layout.CommonDir} {
		if own != "" && within(real, own) {
			return false
		}
	}
	return true
}

func (g *gitRepo) Head(ctx context.Context) (string, bool, error) {
	out, err := g.output(ctx, nil, "rev-parse", "--quiet", "--verify", "HEAD^{commit}")
	if err != nil {
		if exitCode(err) == 1 {
			return "", false, nil
		}
		return "", false, err
	}
	return strings.TrimSpace(string(out)), true, nil
}
