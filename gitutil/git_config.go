package gitutil

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// gitConfig is `git config --list`: the last value of each key and where it
// came from. One process answers every question about settings.
type gitConfig struct{ values map[string]configValue }

type configValue struct{ value, scope string }

func newGitConfig() *gitConfig { return &gitConfig{map[string]configValue{}} }

func (c *gitConfig) add(key, value, scope string) { c.values[key] = configValue{value, scope} }

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
	c := newGitConfig()
	fields := strings.Split(string(out), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		key, value, _ := strings.Cut(fields[i+1], "\n")
		c.add(key, value, fields[i])
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

func (g *gitRepo) HooksDir(ctx context.Context) (HooksDir, error) {
	out, err := g.output(ctx, nil, "rev-parse", "--git-path", "hooks")
	if err != nil {
		return HooksDir{}, err
	}
	c, err := g.readConfig(ctx)
	if err != nil {
		return HooksDir{}, err
	}
	dir := paths.From(g.dir, filepath.FromSlash(strings.TrimSuffix(string(out), "\n")))
	return newHooksDir(g.layout, dir, c.values["core.hookspath"].scope), nil
}

// HookCommands asks git, which knows what its version reads and which hooks are
// switched off (git-hook(1)).
func (g *gitRepo) HookCommands(ctx context.Context, hook string) ([]string, error) {
	c, err := g.readConfig(ctx)
	if err != nil || len(c.hooks()) == 0 {
		return nil, err
	}
	out, err := g.output(ctx, nil, "hook", "list", "-z", hook)
	if exitCode(err) > 0 { // there is none, or git is older
		return nil, nil
	}
	var commands []string
	for name := range strings.SplitSeq(string(out), "\x00") {
		if v, ok := c.values["hook."+name+".command"]; ok {
			commands = append(commands, v.value)
		}
	}
	return commands, err
}

// hooks names the hooks that the configuration has a command for.
func (c *gitConfig) hooks() (names []string) {
	for key := range c.values {
		rest, ok := strings.CutPrefix(key, "hook.")
		if name, ok2 := strings.CutSuffix(rest, ".command"); ok && ok2 {
			names = append(names, name)
		}
	}
	return names
}

// withoutHooks has git run a command and none of its hooks: not those of the folder,
// nor those of the configuration, which are switched off by name (git 2.54 knows no
// other way).
func (g *gitRepo) withoutHooks(ctx context.Context, command ...string) ([]string, error) {
	c, err := g.readConfig(ctx)
	if err != nil {
		return nil, err
	}
	return append(noHooks(c), command...), nil
}

func noHooks(c *gitConfig) []string {
	args := []string{"-c", "core.hooksPath=" + os.DevNull}
	for _, name := range c.hooks() {
		if !strings.Contains(name, "=") { // no -c can name it
			args = append(args, "-c", "hook."+name+".enabled=false")
		}
	}
	return args
}

// newHooksDir tells whether a folder of hooks, set in the given scope, serves
// more than this repository. The default may be a link that leads elsewhere.
func newHooksDir(layout Layout, dir, scope string) HooksDir {
	h := HooksDir{Path: dir, Shared: true, Scope: scope}
	if scope != "" && scope != "local" && scope != "worktree" {
		return h
	}
	real := paths.Real(dir)
	for _, own := range []string{layout.Top, layout.GitDir, layout.CommonDir} {
		if own != "" && paths.Within(own, real) {
			h.Shared = false
		}
	}
	return h
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
