package gitutil

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// pathList is a list of absolute paths as git wants them: relative to the top,
// with '/'. Those outside of the work tree are left out; at[i] is where the
// i-th remaining one stood.
type pathList struct {
	rel []string
	at  []int
}

func (l Layout) relative(paths []string) pathList {
	var list pathList
	if l.Top == "" {
		return list
	}
	for i, path := range paths {
		if rel, ok := l.rel(path); ok {
			list.rel = append(list.rel, rel)
			list.at = append(list.at, i)
		}
	}
	return list
}

// rel gives a path relative to the top. Links in the folders above the file are
// followed, since git refuses paths beyond a symbolic link; the file itself is
// not, since git tracks the link.
func (l Layout) rel(path string) (string, bool) {
	rel, ok := paths.Below(l.Top, paths.Place(path))
	return rel, ok && rel != "."
}

// ExcludeFile is where this clone alone has patterns to ignore.
func (l Layout) ExcludeFile() string { return filepath.Join(l.CommonDir, "info", "exclude") }

// InWorkTree tells whether a file, or the place where it would be made, lies in
// the work tree once links are followed: what a clone brings along may lead
// anywhere. A link to nowhere does not, nor does what is in .git.
func (l Layout) InWorkTree(path string) bool {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	rel, ok := paths.Below(l.Top, paths.Real(path))
	first, _, _ := strings.Cut(rel, "/")
	return ok && l.Top != "" && first != ".git"
}

func (p pathList) stdin() []byte {
	return []byte(strings.Join(p.rel, "\x00") + "\x00")
}

// dotted is stdin with ./ before each path, so that none starts with the ':' of
// pathspec magic.
func (p pathList) dotted() []byte {
	return []byte("./" + strings.Join(p.rel, "\x00./") + "\x00")
}

// plainPathspecs is the environment for check-ignore, which refuses to run with
// literal pathspecs and takes its paths literally anyway.
func (g *gitRepo) plainPathspecs() []string {
	env := make([]string, 0, len(g.env))
	for _, entry := range g.env {
		if !strings.HasPrefix(entry, "GIT_LITERAL_PATHSPECS=") {
			env = append(env, entry)
		}
	}
	return env
}

func (g *gitRepo) Ignored(ctx context.Context, paths []string) ([]bool, error) {
	ignored := make([]bool, len(paths))
	list := g.layout.relative(paths)
	if len(list.rel) == 0 {
		return ignored, nil
	}
	out, err := g.outputIn(ctx, g.plainPathspecs(), list.dotted(), "check-ignore", "-z", "--stdin", "--no-index", "--verbose", "--non-matching")
	// 1 says that none is ignored; with --non-matching nothing is said then
	// that we need.
	if err != nil && exitCode(err) != 1 {
		return nil, err
	}
	fields := bytes.Split(out, []byte{0})
	for i := 0; i < len(list.at) && 4*i+3 < len(fields); i++ {
		source, pattern := fields[4*i], fields[4*i+2]
		ignored[list.at[i]] = len(source) > 0 && !bytes.HasPrefix(pattern, []byte("!"))
	}
	return ignored, nil
}

func (g *gitRepo) Attributes(ctx context.Context, paths, names []string) ([]map[string]string, error) {
	all := unspecified(paths, names)
	list := g.layout.relative(paths)
	if len(list.rel) == 0 || len(names) == 0 {
		return all, nil
	}
	out, err := g.output(ctx, list.stdin(), append([]string{"check-attr", "-z", "--stdin"}, names...)...)
	if err != nil {
		return nil, err
	}
	fields := strings.Split(string(out), "\x00")
	for i := 0; 3*i+2 < len(fields); i++ {
		if at := i / len(names); at < len(list.at) {
			all[list.at[at]][fields[3*i+1]] = fields[3*i+2]
		}
	}
	return all, nil
}

func unspecified(paths, names []string) []map[string]string {
	all := make([]map[string]string, len(paths))
	for i := range all {
		all[i] = make(map[string]string, len(names))
		for _, name := range names {
			all[i][name] = "unspecified"
		}
	}
	return all
}

func (g *gitRepo) Tracked(ctx context.Context, paths []string) ([]bool, error) {
	return listTracked(ctx, g, g.layout, paths)
}

func (r *goGitRepo) Tracked(ctx context.Context, paths []string) ([]bool, error) {
	return listTracked(ctx, r, r.layout, paths)
}

// listTracked reads the index: whatever stage an entry has, git tracks it.
func listTracked(ctx context.Context, index indexReader, layout Layout, paths []string) ([]bool, error) {
	tracked := make([]bool, len(paths))
	list := layout.relative(paths)
	if len(list.rel) == 0 {
		return tracked, nil
	}
	want := make(map[string][]int, len(list.rel))
	for i, rel := range list.rel {
		want[rel] = append(want[rel], list.at[i])
	}
	err := index.eachIndexEntry(ctx, func() { clear(tracked) }, func(e *indexRecord) {
		for _, at := range want[string(e.path)] {
			tracked[at] = true
		}
	})
	return tracked, err
}
