package commands

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
)

// lastGood says how the last good one comes back of a vault that does not open; ""
// where git has none, or where what lies there may be the only one of its kind.
func (s *session) lastGood(vault *formation.VaultError) string {
	if !s.inRepository() {
		return "bring it back from a backup"
	}
	dir := filepath.Dir(vault.Path)
	back := s.fromGit(vault.Path)
	if had := s.vaultInIndex(dir); crypto.ReasonOf(vault.Err) == crypto.WrongKey && had != nil {
		layout, _ := s.where()
		if _, _, err := s.keys().Open(s.vaultPath(layout, &formation.Formation{Dir: dir}), had, nil); err != nil {
			return "" // another key may open what lies here, and git has no better one
		}
	}
	if back == "" {
		return ""
	}
	return fmt.Sprintf("bring back the last good one: '%s'", back)
}

// fromGit is the call of git's that brings a sealed file back whole, from the index
// rather than from the commit before; "" where git has none that is.
func (s *session) fromGit(file string) string {
	layout, _ := s.where()
	repo, err := s.repository()
	if err != nil || repo == nil || layout.Top == "" {
		return ""
	}
	whole := func(content []byte) bool {
		_, err := crypto.Detect(content)
		return err == nil
	}
	name := judge.Label(layout.Top, paths.Place(file))
	if content, err := judge.Read(s.ctx, judge.Index(repo), name); err == nil && whole(content) {
		return s.gitOn("git restore", file)
	}
	if whole(gitutil.Show(s.ctx, repo, "HEAD", name)) {
		return s.gitOn("git restore --staged --worktree", file)
	}
	return ""
}

// rotatedSince is when HEAD's history left the .key behind which does not open the
// vault in a folder; nil where it did not, or has another vault.
func (s *session) rotatedSince(dir string) *formation.Retirement {
	f := s.found(&formation.Formation{Dir: dir})
	own, err := f.ReadKeyFile()
	if err != nil || f.Finder == nil {
		return nil
	}
	here, there, err := f.ReadSealed()
	if err != nil || !there || !bytes.Equal(here, s.vaultInIndex(dir)) {
		return nil // damaged here
	}
	since, err := f.Finder.Retired(dir, own.Key)
	if err != nil {
		return nil
	}
	return since
}

// vaultInIndex is the vault that the index has of the formation in a folder; nil for
// none.
func (s *session) vaultInIndex(dir string) []byte {
	layout, _ := s.where()
	repo, err := s.repository()
	if err != nil || repo == nil || layout.Top == "" {
		return nil
	}
	file := s.vaultPath(layout, &formation.Formation{Dir: dir})
	content, err := judge.Read(s.ctx, judge.Index(repo), file)
	if err != nil {
		return nil
	}
	return content
}

// plainVault is why no key opens what lies in a vault's place: nobody sealed it. nil
// where somebody did.
func (s *session) plainVault(dir string) *formation.VaultError {
	f := &formation.Formation{Dir: dir}
	content, there, err := f.ReadSealed()
	if err != nil || !there {
		return nil
	}
	if _, err := crypto.Detect(content); crypto.ReasonOf(err) == crypto.NotSealed {
		return &formation.VaultError{Path: f.Path(formation.VaultFile), Err: err}
	}
	return nil
}
