package hooks

import (
	"bytes"
	"context"
	"path"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// bringGitFiles is gitFiles for a commit that touches a vault or such a file of a
// formation in dirs; what cannot be brought along is a finding.
func (r *Runner) bringGitFiles(ctx context.Context, out *Outcome, dirs, touched []string) ([]string, error) {
	if !slices.ContainsFunc(touched, aboutGitFiles) {
		return nil, nil
	}
	staged, lacking, err := r.gitFiles(ctx, dirs)
	out.Findings = append(out.Findings, judge.GitFiles(lacking)...)
	return staged, err
}

// aboutGitFiles reports whether a commit with this path may have or lack something
// in .gitignore and .gitattributes.
func aboutGitFiles(p string) bool {
	base := path.Base(p)
	return base == formation.VaultFile || base == formation.RecipientsFile || gitutil.IsPatternFile(p)
}

// filters finds attributes that have git store something else than the files of
// formations: those of the commit, and those of the work tree, by which git just
// took them in.
func (r *Runner) filters(ctx context.Context, dirs, touched []string) ([]scan.Finding, error) {
	if !slices.ContainsFunc(touched, aboutGitFiles) {
		return nil, nil
	}
	_, filters, err := judge.LackingIn(ctx, judge.Index(r.Repo), dirs)
	if err != nil {
		return nil, err
	}
	onDisk, err := judge.FiltersOnDisk(ctx, r.Repo, dirs)
	return judge.Filters(append(filters, onDisk...)), err
}

// gitFiles brings the lines that we wrote into .gitignore and .gitattributes into
// the commit that has the vault, like the template: 'git add secrets.enc' leaves
// them behind. What else somebody has in these files stays out. It returns the
// paths of those that it staged, and what it has no line for.
func (r *Runner) gitFiles(ctx context.Context, dirs []string) (staged []string, lacking []judge.Lacking, err error) {
	all, _, err := judge.LackingIn(ctx, judge.Index(r.Repo), dirs)
	if err != nil || len(all) == 0 {
		return nil, nil, err
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
