package hooks

import (
	"context"
	"os"
	"path"
	"path/filepath"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// templates brings the templates of formations up to date: the staged one from
// what is staged, the one in the work tree from what is there, so that neither
// takes over what belongs to the other. It returns the paths of those that it
// staged. Everything that can fail beforehand does so before the first change.
func (r *Runner) templates(ctx context.Context, versions []*Snapshot, parse referencesIn) ([]string, error) {
	top := r.Repo.Layout().Top
	batch := r.Files.Batch()
	defer batch.Discard()
	var staged []*Snapshot
	var files []string
	for _, s := range versions {
		if s.Plan().State != formation.TemplateCurrent && !s.linked {
			staged = append(staged, s)
			files = append(files, filepath.Join(top, filepath.FromSlash(s.Dir), formation.TemplateFile))
		}
		f, err := formation.At(filepath.Join(top, filepath.FromSlash(s.Dir)))
		if err != nil {
			continue // not in the work tree (a sparse checkout)
		}
		if !inside(top, f.Path(formation.TemplateFile)) {
			continue // a link out of the repository: what is there is not ours to write
		}
		onDisk, err := onDisk(r.Repo.Layout(), Share(r.Repo.Layout(), f), parse)
		if err != nil {
			return nil, err
		}
		plan, err := f.PlanTemplate(onDisk.Survey, onDisk.Vault, nil)
		if err != nil {
			return nil, err
		}
		if _, err := plan.Apply(batch); err != nil {
			return nil, err
		}
	}
	ignored, err := r.Repo.Ignored(ctx, files)
	if err != nil {
		return nil, err
	}
	var names []string
	for i, s := range staged {
		if ignored[i] && !s.HasTemplate {
			continue // somebody does not want it in git
		}
		mode := gitutil.ModeFile
		if s.HasTemplate {
			mode = s.templateMode
		}
		name := path.Join(s.Dir, formation.TemplateFile)
		if err := r.Repo.StageFile(ctx, name, s.Plan().Content, mode); err != nil {
			return names, err
		}
		names = append(names, name)
	}
	return names, batch.Commit()
}

// inside reports whether a file, or the place where it would be made, lies below
// top once symbolic links are followed. What a clone brings along may lead
// anywhere.
func inside(top, file string) bool {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		if _, err := os.Lstat(file); err == nil {
			return false // a link to nowhere
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(file))
		if err != nil {
			return false
		}
		real = filepath.Join(dir, filepath.Base(file))
	}
	return isIn(real, top)
}
