package commands

import (
	"bytes"
	"context"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
)

// A value that leaves a file of the work tree may still stand in the index, and the
// next commit is made from that.

// staging is what the index has of the files that values move between.
type staging struct {
	files   []*stagedFile
	tracked bool // one that a value leaves is in the index
}

type stagedFile struct {
	path   string // absolute
	before []byte // on disk
	index  *gitutil.IndexEntry
	same   bool // the index has what was on disk
}

// lookStaged notes, before anything changes, which files of the work tree the index
// has as they are. leaves are those that values leave.
func (w *writing) lookStaged(leaves []string) (*staging, error) {
	repo, err := w.s.repository()
	if err != nil || repo == nil || repo.Layout().Top == "" {
		return nil, err
	}
	known := &staging{}
	names := map[string]*stagedFile{}
	all := slices.Clone(leaves)
	for _, name := range [...]string{formation.VaultFile, formation.TemplateFile, ".gitignore", ".gitattributes"} {
		all = append(all, w.Path(name))
	}
	for _, name := range all {
		real := paths.Real(name)
		rel, ok := paths.Below(paths.Real(repo.Layout().Top), real)
		if !ok || names[rel] != nil {
			continue
		}
		content, err := safefile.Read(real, safefile.MaxSize)
		if err != nil {
			content = nil // none yet
		}
		names[rel] = &stagedFile{path: real, before: content}
		known.files = append(known.files, names[rel])
	}

	entries, err := repo.ListIndex(w.ctx, func(p []byte, _ gitutil.Mode) bool { return names[string(p)] != nil })
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		file := names[entry.Path]
		file.index = &entry
		known.tracked = known.tracked || slices.ContainsFunc(leaves, func(name string) bool { return paths.Real(name) == file.path })
	}
	err = repo.Contents(w.ctx, entries, gitutil.Visitor{MaxBlob: safefile.MaxSize, Blob: func(b *gitutil.Blob) error {
		file := names[b.Path]
		file.same = b.Mode != gitutil.ModeLink && !b.Truncated() && bytes.Equal(b.Data, file.before)
		return nil
	}})
	return known, err
}

// stage brings the index along: where it had a file as that was on disk, it has it
// as it is now. Of the others somebody staged something else, or nothing yet: what
// is to come in they know.
func (w *writing) stage() {
	if w.staging == nil || !w.staging.tracked {
		return
	}
	git := w.s.git()
	var staged, left []string
	for _, file := range w.staging.files {
		now, err := safefile.Read(file.path, safefile.MaxSize)
		if err != nil || bytes.Equal(now, file.before) {
			continue
		}
		if git != nil && file.same && git.StageFile(w.ctx, file.index.Path, now, file.index.Mode) == nil {
			staged = append(staged, w.s.show(file.path))
			continue
		}
		left = append(left, file.path)
	}
	if len(staged) > 0 {
		w.s.say("Staged %s", list(staged))
	}
	if len(left) > 0 {
		w.s.hint("bring the rest into the commit, too: '%s'", w.s.gitOn("git add", left...))
	}
}

// stillStaged are the files of a formation, from the top, of which the index has a
// literal that they do not have any more.
func (s *session) stillStaged(ctx context.Context, f *formation.Formation) ([]string, error) {
	repo, err := s.repository()
	layout, ok := s.where()
	if err != nil || repo == nil || !ok || layout.Top == "" {
		return nil, err
	}
	j := &judge.Judge{Repo: repo, Basis: func() (*judge.Basis, error) {
		if s.onDisk == nil {
			if s.onDisk, err = judge.BasisOnDisk(ctx, repo); err != nil {
				return nil, err
			}
		}
		return s.onDisk, nil
	}}
	report, err := j.Staged(ctx)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, found := range report.Findings {
		if found.Remedy.Stage && judge.Within(s.fromTop(layout, f.Dir), found.Path) != "" && !slices.Contains(files, found.Path) {
			files = append(files, found.Path)
		}
	}
	return files, nil
}
