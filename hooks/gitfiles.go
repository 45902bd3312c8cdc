package hooks

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
)

// gitFiles brings the lines that we wrote into .gitignore and .gitattributes into
// the commit that has the vault, like the template: 'git add secrets.enc' leaves
// them behind. What else somebody has in these files stays out. It returns the
// paths of those that it staged, and what it has no line for.
func (r *Runner) gitFiles(ctx context.Context, all []judge.Lacking) (staged []string, lacking []judge.Lacking, err error) {
	if len(all) == 0 {
		return nil, nil, nil
	}
	if may, err := r.mayWrite(ctx); err != nil || !may {
		return nil, all, err
	}
	for _, l := range all {
		if !r.written(l) {
			lacking = append(lacking, l)
			continue
		}
		if err := r.Repo.StageFile(ctx, l.Path, l.WithLines(), gitutil.ModeFile); err != nil {
			return staged, nil, err
		}
		staged = append(staged, l.Path)
	}
	return staged, lacking, nil
}

// written reports whether the work tree's file has the lines.
func (r *Runner) written(l judge.Lacking) bool {
	file := filepath.Join(r.Repo.Layout().Top, filepath.FromSlash(l.Path))
	if target, err := safefile.Target(file); err != nil || target != file {
		return false // git follows no link there
	}
	content, err := safefile.Read(file, 1<<20)
	if err != nil {
		return false
	}
	have := map[string]bool{}
	for line := range bytes.Lines(content) {
		have[string(bytes.TrimRight(line, "\r\n"))] = true
	}
	return !slices.ContainsFunc(l.Lines, func(line string) bool { return !have[line] })
}
