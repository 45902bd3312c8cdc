package merge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// seenNote is what a merge found that removed people can read. A driver cannot
// write .age-recipients, which git may be merging just then, so that it is kept
// here until the next command writes that. It holds names, no value.
type seenNote struct {
	Path string               `json:"path"` // of the vault, from the top, with /
	Seen []formation.Exposure `json:"seen"`
}

func seenFile(layout gitutil.Layout, vaultPath string) string {
	sum := sha256.Sum256([]byte(vaultPath))
	return filepath.Join(layout.CommonDir, "muxi-secrets", "seen", hex.EncodeToString(sum[:8])+".json")
}

// Seen returns what merges found that removed people have seen of a vault (its
// path from the top, with /), and that .age-recipients does not say yet.
func Seen(layout gitutil.Layout, vaultPath string) []formation.Exposure {
	content, err := os.ReadFile(seenFile(layout, vaultPath))
	note := seenNote{}
	if err != nil || json.Unmarshal(content, &note) != nil || note.Path != vaultPath {
		return nil
	}
	return note.Seen
}

// ForgetSeen forgets that: .age-recipients says it now.
func ForgetSeen(layout gitutil.Layout, vaultPath string) { os.Remove(seenFile(layout, vaultPath)) }

// NoteSeen keeps what removed people can read of a merged vault, and returns
// what is new: a side that still had the old key added or changed values, which
// stand in its commits sealed with a key that they have.
func (m *Merger) NoteSeen(ctx context.Context, vaultPath string, r *VaultResult, merged *formation.Vault) ([]formation.Exposure, error) {
	if r.keys[1] == nil || r.keys[2] == nil || r.keys[1].Equal(r.keys[2]) {
		return nil, nil
	}
	var found []formation.Exposure
	known := Seen(m.Layout, vaultPath)
	for side, other := range map[int]int{1: 2, 2: 1} {
		if r.Key.Equal(r.keys[side]) {
			continue
		}
		names := r.cameIn(side, merged)
		if len(names) == 0 {
			continue
		}
		for _, person := range m.removed(ctx, vaultPath, other) {
			for _, name := range names {
				x := formation.Exposure{Person: person, Secret: name}
				if !slices.Contains(known, x) && !slices.Contains(found, x) {
					found = append(found, x)
				}
			}
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	slices.SortFunc(found, func(a, b formation.Exposure) int {
		return strings.Compare(a.Person+"\x00"+a.Secret, b.Person+"\x00"+b.Secret)
	})
	content, err := json.Marshal(seenNote{vaultPath, append(slices.Clone(known), found...)})
	if err != nil {
		return nil, err
	}
	kept, err := m.keep(func() error {
		file := seenFile(m.Layout, vaultPath)
		if err := safefile.MakePrivate(filepath.Dir(file)); err != nil {
			return &safefile.Error{Op: "write", Path: file, Err: err}
		}
		return m.Files.Put(file, content, 0o600)
	})
	if !kept {
		return nil, nil // none of it is in a commit of this merge
	}
	return found, err
}

// cameIn names what a side (1 ours, 2 theirs) added or changed, and a merged vault
// has as it has it.
func (r *VaultResult) cameIn(side int, merged *formation.Vault) (names []string) {
	vault := r.Side(side == 2)
	differs := map[string]bool{}
	for _, c := range formation.DiffVaults(vault, merged) {
		differs[c.Name] = true
	}
	for _, c := range formation.DiffVaults(r.base, vault) {
		if c.Kind != formation.Removed && !differs[c.Name] {
			names = append(names, c.Name)
		}
	}
	return names
}

// CameRetired names what comes into a merged vault from a side whose key led to the
// one of the merge, where nobody was removed meanwhile: whoever has the old key, a
// leak included, can read it in that side's commits. Nil where git only looks.
func (m *Merger) CameRetired(ctx context.Context, vaultPath string, r *VaultResult, merged *formation.Vault) (names []string, key crypto.PublicKey) {
	if m.Simulated || r.keys[1] == nil || r.keys[2] == nil {
		return nil, key
	}
	for side, other := range map[int]int{1: 2, 2: 1} {
		if r.Key.Equal(r.keys[side]) {
			continue
		}
		came := r.cameIn(side, merged)
		if len(came) == 0 || len(m.removed(ctx, vaultPath, other)) > 0 {
			continue // whom it is said of, then
		}
		_, e, err := m.evidence(ctx, vaultPath)
		if err == nil && e.Leads(r.keys[side].Public(), r.Key.Public()) {
			names, key = append(names, came...), r.keys[side].Public()
		}
	}
	return names, key
}

// removed names the people whom a side (1 ours, 2 theirs) removed since the
// base, by the lists of the commits; where those are not to be had, those whom
// the list of the work tree calls removed.
func (m *Merger) removed(ctx context.Context, vaultPath string, side int) []string {
	list := path.Join(path.Dir(vaultPath), formation.RecipientsFile)
	repo, err := m.Repo()
	if err != nil {
		return nil
	}
	if theirs := m.theirs(); theirs != "" {
		rev, base := "HEAD", ""
		if side == 2 {
			rev = theirs
		}
		if fork, ok, err := repo.MergeBase(ctx, "HEAD", theirs); err == nil && ok {
			base = fork
		}
		if content := gitutil.Show(ctx, repo, rev, list); base != "" && content != nil {
			if stay, err := formation.ParsePeople(content); err == nil {
				return gone(gitutil.Show(ctx, repo, base, list), stay)
			}
		}
	}
	content, err := os.ReadFile(filepath.Join(m.Layout.Top, filepath.FromSlash(list)))
	if err != nil {
		return nil
	}
	people, err := formation.ParsePeople(content)
	if err != nil {
		return nil
	}
	var names []string
	for _, x := range people.Exposed() {
		if !slices.Contains(names, x.Person) {
			names = append(names, x.Person)
		}
	}
	return names
}
