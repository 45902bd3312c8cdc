package judge

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// drops reports whether bringing back a good version's vault would lose a value that
// stands in the index or the work tree alone.
func (s *stepper) drops(ctx context.Context, good *goodVersion) (bool, error) {
	if good.vault == "" {
		return false, nil
	}
	here, err := s.vaultsHere(ctx)
	if err != nil {
		return false, err
	}
	here = slices.DeleteFunc(here, s.committed)
	if len(here) == 0 {
		return false, nil
	}

	var kept *formation.Vault
	err = s.repo.Blobs(ctx, []string{good.vault}, func(_ string, data []byte) error {
		kept = s.valuesOf(data)
		return nil
	})
	lost := func(sealed []byte) bool {
		vault := s.valuesOf(sealed)
		if vault == nil || kept == nil {
			return true // nobody knows
		}
		return slices.ContainsFunc(vault.Names(), func(name string) bool {
			value, err := vault.Text(name)
			there, none := kept.Text(name)
			return !kept.Has(name) || err != nil || none != nil || there != value
		})
	}
	return slices.ContainsFunc(here, lost), err
}

// vaultsHere are the vault that is judged and those of the index and the work tree.
func (s *stepper) vaultsHere(ctx context.Context) ([][]byte, error) {
	file := s.path(formation.VaultFile)
	here := [][]byte{s.sharing.Vault}
	if top := s.repo.Layout().Top; top != "" {
		if content, err := safefile.Read(filepath.Join(top, filepath.FromSlash(file)), safefile.MaxSize); err == nil {
			here = append(here, content)
		}
	}
	indexed, err := Read(ctx, Index(s.repo), file)
	return append(here, indexed), err
}

// Read is a file of a version, of at most safefile.MaxSize bytes; nil where there is
// none.
func Read(ctx context.Context, from Source, file string) (content []byte, err error) {
	err = from(ctx, file, gitutil.Visitor{
		MaxBlob: safefile.MaxSize,
		Want:    func(p string, mode gitutil.Mode) bool { return p == file && mode != gitutil.ModeLink },
		Blob: func(b *gitutil.Blob) error {
			content = append([]byte{}, b.Data...)
			return b.Err
		},
	})
	return content, err
}

// committed reports whether a version of the vault is in the history.
func (s *stepper) committed(sealed []byte) bool {
	ids := gitutil.BlobIDs(sealed)
	for _, e := range s.entries {
		for _, c := range e.Changes {
			if c.Path == s.path(formation.VaultFile) && (slices.Contains(ids, c.Old) || slices.Contains(ids, c.New)) {
				return true
			}
		}
	}
	return len(sealed) == 0
}

// valuesOf opens a version of the vault; nil where no key at hand does.
func (s *stepper) valuesOf(sealed []byte) *formation.Vault {
	if s.keys == nil {
		return nil
	}
	vault, _, err := s.keys.Open(s.path(formation.VaultFile), slices.Clone(sealed), nil)
	if err != nil {
		return nil
	}
	return vault
}
