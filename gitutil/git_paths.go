package gitutil

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
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
	path = filepath.Clean(path)
	parent := filepath.Dir(path)
	var missing []string
	for !exists(parent) && parent != filepath.Dir(parent) {
		missing = append([]string{filepath.Base(parent)}, missing...)
		parent = filepath.Dir(parent)
	}
	full := filepath.Join(append(append([]string{resolve(parent)}, missing...), filepath.Base(path))...)
	if full == l.Top || !within(full, l.Top) {
		return "", false
	}
	rel, err := filepath.Rel(l.Top, full)
	return filepath.ToSlash(rel), err == nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
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

// maxArgPaths bounds how many paths go on a command line. ls-files takes them
// nowhere else; above the bound listing the whole index costs less anyway.
const maxArgPaths = 64

func (g *gitRepo) Tracked(ctx context.Context, paths []string) ([]bool, error) {
	tracked := make([]bool, len(paths))
	list := g.layout.relative(paths)
	if len(list.rel) == 0 {
		return tracked, nil
	}
	args := []string{"ls-files", "-z", "--cached", "--full-name"}
	if len(list.rel) <= maxArgPaths {
		args = append(append(args, "--"), list.rel...)
	}
	out, err := g.output(ctx, nil, args...)
	if err != nil {
		return nil, err
	}
	want := make(map[string][]int, len(list.rel))
	for i, rel := range list.rel {
		want[rel] = append(want[rel], list.at[i])
	}
	for name := range bytes.SplitSeq(out, []byte{0}) {
		for _, at := range want[string(name)] {
			tracked[at] = true
		}
	}
	return tracked, nil
}
