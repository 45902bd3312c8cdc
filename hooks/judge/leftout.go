package judge

import (
	"context"
	"path"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// LeftOut finds the vaults of the work tree that git leaves out although it has the
// rest of the formation, or would take it in: no clone has them. One that nobody has
// added yet is none of these.
func LeftOut(ctx context.Context, repo gitutil.Repository, formations []*formation.Formation) (found []scan.Finding, err error) {
	var files []string // of each formation the vault, the file itself and the template
	for _, f := range formations {
		if paths.There(f.Path(formation.VaultFile)) {
			files = append(files, f.Path(formation.VaultFile), f.Path(f.File), f.Path(formation.TemplateFile))
		}
	}
	if len(files) == 0 {
		return nil, nil
	}
	tracked, err := repo.Tracked(ctx, files)
	if err != nil {
		return nil, err
	}
	ignored, err := repo.Ignored(ctx, files)
	if err != nil {
		return nil, err
	}

	top := repo.Layout().Top
	for i := 0; i < len(files); i += 3 {
		vault := Label(top, files[i])
		known := tracked[i+1] || tracked[i+2]
		message := "git ignores %s: nobody else will have it"
		switch {
		case tracked[i], ignored[i] && ignored[i+1] && !known:
			continue
		case !ignored[i] && !(known && inHistory(ctx, repo, vault)):
			continue
		case !ignored[i]:
			message = "%s was taken out of git: no clone has it"
		}
		f := scan.NewFinding(scan.GitFiles, vault, "", 1, 1, message, path.Base(vault))
		f.Remedy = scan.Remedy{Add: &scan.Add{Files: []string{vault}, Force: ignored[i]}, Does: "takes it in"}
		found = append(found, f)
	}
	return found, nil
}

// inHistory reports whether HEAD's history has a vault, as far as this clone has that.
func inHistory(ctx context.Context, repo gitutil.Repository, vault string) (had bool) {
	repo.Log(ctx, "", []string{formation.VaultFile}, func(e *gitutil.LogEntry) error {
		had = had || slices.ContainsFunc(e.Changes, func(c gitutil.LogChange) bool { return c.Path == vault })
		return nil
	})
	return had
}

// notBrought is the finding for a name that the vault of the work tree has a value for,
// and the one of this version has not; ok is false where neither has.
func (j *Judge) notBrought(ctx context.Context, s *Snapshot, missing scan.Finding) (found scan.Finding, ok bool, err error) {
	top := j.Repo.Layout().Top
	if top == "" {
		return missing, false, nil
	}
	opened, err := s.OpenToWrite()
	if err != nil || opened.Vault == nil || !opened.Vault.Has(missing.Secret) {
		return missing, false, nil // whoever looks at the work tree says what is wrong with it
	}
	ignored, err := j.Repo.Ignored(ctx, []string{filepath.Join(top, filepath.FromSlash(s.Dir), formation.VaultFile)})
	if err != nil {
		return missing, false, err
	}
	missing.Message = missing.Secret + " has its value in the " + formation.VaultFile + " of the work tree alone"
	missing.Remedy = scan.Remedy{Add: &scan.Add{Files: []string{path.Join(s.Dir, formation.VaultFile)}, Force: ignored[0]}, Does: "brings it along"}
	return missing, true, nil
}
