package hooks

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// MergeState is what a merge left to be settled in one vault. The index alone
// does not say: 'git add' takes its stages away, and with them the side that
// lost. It is kept in the git dir of the work tree, and holds names and sealed
// files, no value.
type MergeState struct {
	Path   string `json:"path"`   // of the vault, from the top, with /
	Head   string `json:"head"`   // the commit that was merged into; "" before the first
	Theirs string `json:"theirs"` // the commit that was brought in; "" where git did not say
	// From is the path that the vault had where one side moved it; else "".
	From string `json:"from,omitempty"`
	// Failed says that the sides could not be opened: every name may be
	// contested, and the vault is still ours.
	Failed    bool        `json:"failed,omitempty"`
	Contested []Contested `json:"contested"`
	// Left are the hashes of what the vault was left as, in both of git's object
	// formats: as long as git has that, nobody settled anything.
	Left []string `json:"left"`
	// Earlier are those from before some names were settled; git may have been
	// told of them.
	Earlier []string `json:"earlier,omitempty"`
	// The sealed sides; nil for a side without the file.
	BaseFile   []byte `json:"base"`
	OursFile   []byte `json:"ours"`
	TheirsFile []byte `json:"theirsFile"`

	file string
}

// Contested is one name that both sides changed, each in its own way.
type Contested struct {
	Name    string               `json:"name"`
	Ours    formation.ChangeKind `json:"ours"`
	Theirs  formation.ChangeKind `json:"theirs"`
	Settled bool                 `json:"settled,omitempty"`
}

// Open names the contested names that nobody settled.
func (m *MergeState) Open() []string {
	var names []string
	for _, c := range m.Contested {
		if !c.Settled {
			names = append(names, c.Name)
		}
	}
	return names
}

// Settle notes that a name has been settled, and reports whether it was open.
func (m *MergeState) Settle(name string) bool {
	for i, c := range m.Contested {
		if c.Name == name && !c.Settled {
			m.Contested[i].Settled = true
			return true
		}
	}
	return false
}

// LeftAs notes what the vault is now.
func (m *MergeState) LeftAs(content []byte) {
	m.Earlier = append(m.Earlier, m.Left...)
	m.Left = blobIDs(content)
}

// left reports whether a file of git's is what the vault was left as, now or
// before a name was settled.
func (m *MergeState) left(id string) bool {
	return slices.Contains(m.Left, id) || slices.Contains(m.Earlier, id)
}

// WasLeftAs reports whether content is what the vault was left as.
func (m *MergeState) WasLeftAs(content []byte) bool {
	return slices.Contains(m.Left, blobIDs(content)[0])
}

// blobIDs are the names that git has for content, in SHA-1 and SHA-256.
func blobIDs(content []byte) []string {
	blob := append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...)
	short, long := sha1.Sum(blob), sha256.Sum256(blob)
	return []string{hex.EncodeToString(short[:]), hex.EncodeToString(long[:])}
}

func mergeDir(layout gitutil.Layout) string {
	return filepath.Join(layout.GitDir, "muxi-secrets", "merge")
}

// NewMergeState begins the note for a vault, in place of any other.
func NewMergeState(layout gitutil.Layout, path string) *MergeState {
	sum := sha256.Sum256([]byte(path))
	return &MergeState{Path: path, file: filepath.Join(mergeDir(layout), hex.EncodeToString(sum[:8])+".json")}
}

// ReadMergeState returns the note for a vault, nil where there is none.
func ReadMergeState(layout gitutil.Layout, path string) (*MergeState, error) {
	return readMergeState(NewMergeState(layout, path).file)
}

func readMergeState(file string) (*MergeState, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &formation.FileError{Op: "read", Path: file, Err: err}
	}
	m := &MergeState{}
	if err := json.Unmarshal(content, m); err != nil || m.Path == "" {
		return nil, &formation.FileError{Op: "read", Path: file, Err: errors.New("it is no note of a merge")}
	}
	m.file = file
	return m, nil
}

// MergeStates returns every note in a work tree. Mostly there is none, which
// costs a look at a folder.
func MergeStates(layout gitutil.Layout) ([]*MergeState, error) {
	entries, err := os.ReadDir(mergeDir(layout))
	if err != nil {
		return nil, nil
	}
	var states []*MergeState
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".json" {
			continue
		}
		m, err := readMergeState(filepath.Join(mergeDir(layout), entry.Name()))
		if err != nil {
			return nil, err
		}
		if m != nil {
			states = append(states, m)
		}
	}
	return states, nil
}

// AddTo has a batch write the note.
func (m *MergeState) AddTo(batch *formation.Batch) error {
	if err := os.MkdirAll(filepath.Dir(m.file), 0o700); err != nil {
		return &formation.FileError{Op: "write", Path: m.file, Err: err}
	}
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return batch.Put(m.file, content, 0o600)
}

// Forget removes the note.
func (m *MergeState) Forget() { os.Remove(m.file) }

// Alive reports whether the merge is still one: an aborted one, and one whose
// result was replaced by hand after it was over, are forgotten.
func (m *MergeState) Alive(ctx context.Context, repo gitutil.Repository) (bool, error) {
	conflicts, err := repo.Unmerged(ctx)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(conflicts, func(c gitutil.Conflict) bool { return c.Path == m.Path }) {
		return true, nil
	}
	head, _, err := repo.Head(ctx)
	if err != nil {
		return false, err
	}
	staged, err := m.staged(ctx, repo)
	if err != nil {
		return false, err
	}
	if !m.Failed && m.left(staged) {
		// Nobody else seals these bytes: where they are, the merge is.
		return len(m.Open()) > 0 || head == m.Head, nil
	}
	if head != m.Head {
		return false, nil
	}
	if m.TheirsFile != nil && slices.Contains(blobIDs(m.TheirsFile), staged) {
		return true, nil // theirs was taken whole, where git keeps no note of a merge
	}
	operation, err := repo.Operation(ctx)
	if err != nil || operation.Kind == "" {
		return false, err
	}
	return m.broughtBy(ctx, repo, operation), nil
}

// staged is the id that the index has of the vault; "" for none.
func (m *MergeState) staged(ctx context.Context, repo gitutil.Repository) (string, error) {
	entries, err := repo.ListIndex(ctx, func(path []byte, _ gitutil.Mode) bool { return string(path) == m.Path })
	if err != nil || len(entries) == 0 {
		return "", err
	}
	return entries[0].ID, nil
}

// broughtBy reports whether what git is in the middle of is this merge, and not
// another commit of the same rebase, say, which had this one skipped. Where git
// does not tell it is.
func (m *MergeState) broughtBy(ctx context.Context, repo gitutil.Repository, operation gitutil.Operation) bool {
	if operation.Theirs == "" {
		return true
	}
	if m.Theirs != "" {
		return m.Theirs == operation.Theirs
	}
	after, before := m.TheirsFile, m.BaseFile
	if operation.Kind == "revert" {
		after, before = before, after
	}
	if !sameOrUnknown(fileAt(ctx, repo, operation.Theirs, m.Path), after) {
		return false
	}
	for _, parent := range [...]string{"^1", "^2"} { // a merge may be picked by either
		id, err := repo.ResolveRev(ctx, operation.Theirs+parent)
		if err == nil && sameOrUnknown(fileAt(ctx, repo, id, m.Path), before) {
			return true
		}
	}
	return false
}

// sameOrUnknown compares a file of a commit, which may have another name there,
// with a side.
func sameOrUnknown(content, side []byte) bool {
	return content == nil || side == nil || bytes.Equal(content, side)
}

// waits reports whether git stands where this merge left it, so that none of
// its commands can be in the middle of another.
func (m *MergeState) waits(ctx context.Context, repo gitutil.Repository) (bool, error) {
	head, _, err := repo.Head(ctx)
	if err != nil || head != m.Head {
		return false, err
	}
	conflicts, err := repo.Unmerged(ctx)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(conflicts, func(c gitutil.Conflict) bool { return c.Path == m.Path && m.Sides(&c) }) {
		return true, nil
	}
	staged, err := m.staged(ctx, repo)
	if err != nil {
		return false, err
	}
	if !m.Failed && m.left(staged) {
		return true, nil
	}
	operation, err := repo.Operation(ctx)
	return err == nil && operation.Kind == "merge" && m.broughtBy(ctx, repo, operation), err
}

// sameSides reports whether two notes are of the same merge.
func (m *MergeState) sameSides(other *MergeState) bool {
	return bytes.Equal(m.BaseFile, other.BaseFile) && bytes.Equal(m.OursFile, other.OursFile) && bytes.Equal(m.TheirsFile, other.TheirsFile)
}

// unsettled finds what merges left to be settled in the vaults of the pending
// commit, and forgets the merges that are over.
func unsettled(ctx context.Context, repo gitutil.Repository) ([]scan.Finding, error) {
	states, err := MergeStates(repo.Layout())
	if err != nil {
		return nil, err
	}
	var found []scan.Finding
	noted := map[string]bool{}
	for _, m := range states {
		alive, err := m.Alive(ctx, repo)
		if err != nil {
			return nil, err
		}
		if !alive {
			m.Forget()
			continue
		}
		noted[m.Path] = true
		if m.From != "" {
			noted[m.From] = true
		}
		found = append(found, m.findings(howToResolve(ctx, repo, m.Path))...)
	}
	moved, err := movedUnsettled(ctx, repo, noted)
	if err != nil {
		return nil, err
	}
	found = append(found, moved...)
	unnoted, err := takenWhole(ctx, repo, noted)
	return append(found, unnoted...), err
}

// takenWhole finds vaults that git itself says it could not merge, of which
// nothing is noted here (the driver was not found, or was killed; git knows of
// none), and that are staged as one side has them.
func takenWhole(ctx context.Context, repo gitutil.Repository, noted map[string]bool) ([]scan.Finding, error) {
	message, err := os.ReadFile(filepath.Join(repo.Layout().GitDir, "MERGE_MSG"))
	if err != nil {
		return nil, nil
	}
	var found []scan.Finding
	for _, p := range conflictsIn(string(message)) {
		if path.Base(p) != formation.VaultFile || noted[p] {
			continue
		}
		m := &MergeState{Path: p}
		staged, err := m.staged(ctx, repo)
		if err != nil {
			return nil, err
		}
		operation, err := repo.Operation(ctx)
		if err != nil {
			return nil, err
		}
		for rev, side := range map[string]string{"HEAD": "ours", operation.Theirs: "theirs"} {
			if rev == "" || staged == "" {
				continue
			}
			if content := fileAt(ctx, repo, rev, p); content != nil && slices.Contains(blobIDs(content), staged) {
				found = append(found, finding(scan.UnsettledMerge, p, "", 1, 1,
					"git could not merge this vault, and %s was taken whole: what the other side changed would be lost; 'git checkout -m -- %s' brings the conflict back, '%s' merges it", side, p, howToResolve(ctx, repo, p)))
				break
			}
		}
	}
	return found, nil
}

// conflictsIn lists the paths that git put into the message of a commit it could
// not make (append_conflicts_hint in sequencer.c).
func conflictsIn(message string) []string {
	_, listed, ok := strings.Cut("\n"+message, " Conflicts:\n")
	if !ok {
		return nil
	}
	var paths []string
	for line := range strings.Lines(listed) {
		_, p, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			break
		}
		paths = append(paths, p)
	}
	return paths
}

// howToResolve is the command that looks at a vault's merge: where there are
// several formations, one has to be chosen.
func howToResolve(ctx context.Context, repo gitutil.Repository, vaultPath string) string {
	vaults, err := repo.ListIndex(ctx, func(p []byte, _ gitutil.Mode) bool { return formation.IsFormationFile(path.Base(string(p))) })
	if dir := path.Dir(vaultPath); err == nil && len(vaults) > 1 && dir != "." {
		return "git muxi-secrets -C " + dir + " resolve"
	}
	return "git muxi-secrets resolve"
}

// findings says what of a merge is not settled; how is the command that does.
func (m *MergeState) findings(how string) []scan.Finding {
	if m.Failed {
		return []scan.Finding{finding(scan.UnsettledMerge, m.Path, "", 1, 1,
			"this vault was not merged, since a side did not open: as it is, all that theirs changed would be lost; '%s' merges it", how)}
	}
	var found []scan.Finding
	for _, name := range m.Open() {
		found = append(found, finding(scan.UnsettledMerge, m.Path, name, 1, 1,
			"both sides of the merge changed %s, and nobody said which counts; '%s' lists what is left", name, how))
	}
	return found
}

// unsettledIn finds merges that a rebase or a cherry-pick, which run no hook,
// put into a commit without anybody settling them.
func unsettledIn(ctx context.Context, repo gitutil.Repository, rev string) ([]scan.Finding, error) {
	states, err := MergeStates(repo.Layout())
	if err != nil {
		return nil, err
	}
	var found []scan.Finding
	for _, m := range states {
		if m.Failed || len(m.Open()) == 0 {
			continue
		}
		err := repo.TreeBlobs(ctx, rev, m.Path, gitutil.Visitor{
			Blob: func(b *gitutil.Blob) error {
				if b.Path == m.Path && m.left(b.ID) {
					found = append(found, m.findings(howToResolve(ctx, repo, m.Path))...)
				}
				return nil
			},
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// lostFile is where it is kept that a merge did not open a side, also once
// another merge of the same vault took the note's place.
func (m *MergeState) lostFile() string {
	sum := sha256.Sum256([]byte(m.Path + "\x00" + m.Head + "\x00" + m.Theirs))
	return filepath.Join(filepath.Dir(filepath.Dir(m.file)), "lost", hex.EncodeToString(sum[:8])+".json")
}

// addLost has a batch keep that theirs may get lost: a rebase that is told to go
// on runs no hook, and leaves ours in place of what was not merged.
func (m *MergeState) addLost(batch *formation.Batch) error {
	gitDir := filepath.Dir(filepath.Dir(filepath.Dir(m.file)))
	if _, err := os.Stat(filepath.Join(gitDir, "rebase-merge")); err != nil || !m.Failed || m.Theirs == "" || m.Head == "" {
		return nil // else the hook sees to it
	}
	kept := *m
	kept.file = m.lostFile()
	return kept.AddTo(batch)
}

// ForgetLost forgets that theirs did not open: somebody has settled that.
func (m *MergeState) ForgetLost() { os.Remove(m.lostFile()) }

// lostIn finds commits of a rebase that brought nothing of what theirs changed,
// since it did not open: a commit on top of the one that was merged into, with
// the message of theirs, and none of its values since.
func lostIn(ctx context.Context, repo gitutil.Repository, rev string) ([]scan.Finding, error) {
	files, _ := filepath.Glob(filepath.Join(repo.Layout().GitDir, "muxi-secrets", "lost", "*.json"))
	if len(files) == 0 {
		return nil, nil
	}
	var found []scan.Finding
	keys := NewKeys(ctx, repo, "")
	for _, file := range files {
		m, err := readMergeState(file)
		if err != nil || m == nil {
			continue
		}
		if _, err := repo.ResolveRev(ctx, m.Head); err != nil {
			m.Forget() // pruned: nobody can push it any more
			continue
		}
		lost, err := m.isLost(ctx, repo, keys, rev)
		if err != nil {
			return nil, err
		}
		if lost {
			found = append(found, finding(scan.UnsettledMerge, m.Path, "", 1, 1,
				"a rebase went on though this vault could not be merged: what %.10s changed in it is lost; with the key at hand, 'git cherry-pick %.10s' brings it back", m.Theirs, m.Theirs))
		}
	}
	return found, nil
}

func (m *MergeState) isLost(ctx context.Context, repo gitutil.Repository, keys *Keys, rev string) (bool, error) {
	if fork, ok, err := repo.MergeBase(ctx, m.Theirs, rev); err != nil || ok && fork == m.Theirs {
		return false, nil // merged since, or forgotten by git
	}
	if fork, ok, err := repo.MergeBase(ctx, m.Head, rev); err != nil || !ok || fork != m.Head {
		return false, nil // went back to before
	}
	message := ""
	err := repo.Commits(ctx, gitutil.Range{Include: []string{m.Theirs}, Known: []string{m.Head}}, gitutil.Visitor{Commit: func(c *gitutil.Commit) error {
		if c.Hash == m.Theirs {
			message = strings.TrimSpace(c.Message)
		}
		return nil
	}})
	if err != nil {
		return false, nil
	}
	went := false
	err = repo.Commits(ctx, gitutil.Range{Include: []string{rev}, Known: []string{m.Head}}, gitutil.Visitor{Commit: func(c *gitutil.Commit) error {
		went = went || slices.Contains(c.Parents, m.Head) && strings.TrimSpace(c.Message) == message
		return nil
	}})
	if err != nil || !went {
		return false, nil
	}
	now := fileAt(ctx, repo, rev, m.Path)
	if bytes.Equal(now, m.OursFile) {
		return !bytes.Equal(m.BaseFile, m.TheirsFile), nil
	}
	var vaults [4]*formation.Vault
	for i, sealed := range [4][]byte{m.BaseFile, m.OursFile, m.TheirsFile, now} {
		if len(sealed) == 0 {
			continue
		}
		if vaults[i], _, err = keys.Open(m.Path, sealed, nil); err != nil {
			return false, nil // it is another one, and nobody can say which
		}
	}
	changed := formation.DiffVaults(vaults[0], vaults[2])
	since := formation.DiffVaults(vaults[1], vaults[3])
	apart := formation.DiffVaults(vaults[1], vaults[2])
	has := func(list []formation.Change, name string) bool {
		return slices.ContainsFunc(list, func(c formation.Change) bool { return c.Name == name })
	}
	lost := false
	for _, c := range changed {
		if has(apart, c.Name) {
			if has(since, c.Name) {
				return false, nil // somebody brought it, or another value
			}
			lost = true
		}
	}
	return lost, nil
}

// Sides reports whether the note is of the merge that left these stages.
func (m *MergeState) Sides(c *gitutil.Conflict) bool {
	for i, content := range [3][]byte{m.BaseFile, m.OursFile, m.TheirsFile} {
		id := c.Stages[i].ID
		if i > 0 && id != "" && !slices.Contains(blobIDs(content), id) {
			return false
		}
	}
	return true
}
