package commands

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// writeOutput writes a report or a baseline: a file that may be committed.
func (s *session) writeOutput(ctx context.Context, path string, content []byte) error {
	if err := s.refuseBroughtLink(ctx, path); err != nil {
		return err
	}
	return s.Files.Replace(path, content, 0o644)
}

// refuseBroughtLink refuses an output where a symbolic link that git tracks is on
// the way to it: whoever made a branch would choose which file is written over.
// A link of the person's own is followed, as anywhere.
func (s *session) refuseBroughtLink(ctx context.Context, path string) error {
	link, err := s.broughtLink(ctx, path)
	if err != nil || link == "" {
		return err
	}
	return refuse("'%s' is a symbolic link that came with the repository, and would choose the file that is written; nothing was written", s.show(link)).
		hint("choose another name for the output")
}

// broughtLink returns the first link on the way to path that git tracks, or "".
func (s *session) broughtLink(ctx context.Context, path string) (string, error) {
	root := filepath.VolumeName(path) + string(filepath.Separator)
	rest := strings.Split(strings.TrimPrefix(filepath.Clean(path), root), string(filepath.Separator))
	at := root // as far as it is resolved
	for links := 0; len(rest) > 0 && links < 255; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(next)
		if err != nil {
			return "", nil // what is not there is no link; writing says the rest
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if tracked, err := s.tracks(ctx, next); err != nil || tracked {
			return next, err
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", nil
		}
		if filepath.IsAbs(target) {
			at = filepath.VolumeName(target) + string(filepath.Separator)
		}
		rest = append(strings.Split(filepath.ToSlash(strings.TrimPrefix(target, at)), "/"), rest...)
		links++
	}
	return "", nil
}

// tracks reports whether a repository around a file tracks it.
func (s *session) tracks(ctx context.Context, path string) (bool, error) {
	repo, err := gitutil.Open(filepath.Dir(path), gitutil.Options{Getenv: s.Getenv})
	var none *gitutil.NotRepositoryError
	if errors.As(err, &none) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer repo.Close()
	if top := repo.Layout().Top; top == "" || !strings.HasPrefix(path, strings.TrimSuffix(top, string(filepath.Separator))+string(filepath.Separator)) {
		return false, nil
	}
	tracked, err := repo.Tracked(ctx, []string{path})
	return err == nil && tracked[0], err
}
