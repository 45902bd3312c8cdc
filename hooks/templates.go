package hooks

import (
	"context"
	"path"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
)

// templates brings the templates of formations up to date: the staged one from
// what is staged, the one in the work tree from what is there, so that neither
// takes over what belongs to the other. It returns the paths of those that it
// staged. Everything that can fail beforehand does so before the first change.
// Errors: errSetAside.
func (r *Runner) templates(ctx context.Context, versions []*judge.Snapshot, parse judge.ParseReferences) ([]string, error) {
	top := r.Repo.Layout().Top
	var onDisk []*safefile.Batch // one for each: the files are made anew from what they list
	defer func() {
		for _, batch := range onDisk {
			batch.Discard()
		}
	}()
	var staged []*judge.Snapshot
	var files []string
	for _, s := range versions {
		if s.Template.State != formation.TemplateCurrent && !s.Linked {
			staged = append(staged, s)
			files = append(files, filepath.Join(top, filepath.FromSlash(s.Dir), formation.TemplateFile))
		}
		batch, err := r.templateOnDisk(s.Dir, parse)
		if err != nil {
			return nil, err
		}
		onDisk = append(onDisk, batch)
	}

	if len(staged) > 0 || slices.ContainsFunc(onDisk, func(batch *safefile.Batch) bool { return batch.Len() > 0 }) {
		may, err := r.mayWrite(ctx)
		if err == nil && !may {
			err = errSetAside
		}
		if err != nil {
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
			mode = s.TemplateMode
		}
		name := path.Join(s.Dir, formation.TemplateFile)
		if err := r.Repo.StageFile(ctx, name, s.Template.Content, mode); err != nil {
			return names, err
		}
		names = append(names, name)
	}
	for _, batch := range onDisk {
		if err := batch.Commit(); err != nil {
			return names, err
		}
	}
	return names, nil
}

// templateOnDisk prepares the template in the work tree: nothing where that is not
// ours to write.
func (r *Runner) templateOnDisk(dir string, parse judge.ParseReferences) (*safefile.Batch, error) {
	folder := filepath.Join(r.Repo.Layout().Top, filepath.FromSlash(dir))
	batch := r.Files.Batch(safefile.Place{Folders: []string{folder}})
	f, err := formation.At(folder)
	if err != nil {
		return batch, nil // not in the work tree (a sparse checkout)
	}
	if !r.Repo.Layout().InWorkTree(f.Path(formation.TemplateFile)) {
		return batch, nil // a link out of the repository
	}

	there, err := judge.OnDiskWith(r.Repo.Layout(), r.Keys.Of(f), parse)
	if err != nil {
		return batch, err
	}
	if _, err := there.Template.Apply(batch); err != nil {
		batch.Discard()
		return batch, err
	}
	return batch, nil
}
