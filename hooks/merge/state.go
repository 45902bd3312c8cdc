package merge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// State is what a merge left to be settled in one vault. The index alone
// does not say: 'git add' takes its stages away, and with them the side that
// lost. It is kept in the git dir of the work tree, and holds names and sealed
// files, no value.
type State struct {
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
	// Marked are the hashes of the file with git's markers that the sides were found
	// in; nil where git still has the sides.
	Marked []string `json:"marked,omitempty"`
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
func (m *State) Open() []string {
	var names []string
	for _, c := range m.Contested {
		if !c.Settled {
			names = append(names, c.Name)
		}
	}
	return names
}

// contest notes what a merge contests.
func (m *State) contest(r *VaultResult) {
	for _, c := range r.Contested {
		m.Contested = append(m.Contested, Contested{Name: c.Name, Ours: c.Ours, Theirs: c.Theirs})
	}
}

// Settle notes that a name has been settled, and reports whether it was open.
func (m *State) Settle(name string) bool {
	for i, c := range m.Contested {
		if c.Name == name && !c.Settled {
			m.Contested[i].Settled = true
			return true
		}
	}
	return false
}

// LeftAs notes what the vault is now.
func (m *State) LeftAs(content []byte) {
	m.Earlier = append(m.Earlier, m.Left...)
	m.Left = gitutil.BlobIDs(content)
}

// left reports whether a file of git's is what the vault was left as, now or
// before a name was settled.
func (m *State) left(id string) bool {
	return slices.Contains(m.Left, id) || slices.Contains(m.Earlier, id)
}

// WasLeftAs reports whether content is what the vault was left as.
func (m *State) WasLeftAs(content []byte) bool {
	return slices.Contains(m.Left, gitutil.BlobIDs(content)[0])
}

func mergeDir(layout gitutil.Layout) string {
	return filepath.Join(layout.GitDir, "muxi-secrets", "merge")
}

// NewState begins the note for a vault, in place of any other.
func NewState(layout gitutil.Layout, path string) *State {
	sum := sha256.Sum256([]byte(path))
	return &State{Path: path, file: filepath.Join(mergeDir(layout), hex.EncodeToString(sum[:8])+".json")}
}

// ReadState returns the note for a vault, nil where there is none.
func ReadState(layout gitutil.Layout, path string) (*State, error) {
	return readState(NewState(layout, path).file)
}

func readState(file string) (*State, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: file, Err: err}
	}
	m := &State{}
	if err := json.Unmarshal(content, m); err != nil || m.Path == "" {
		return nil, &safefile.Error{Op: "read", Path: file, Err: errors.New("it is no note of a merge")}
	}
	m.file = file
	return m, nil
}

// States returns every note in a work tree. Mostly there is none, which
// costs a look at a folder.
func States(layout gitutil.Layout) ([]*State, error) {
	entries, err := os.ReadDir(mergeDir(layout))
	if err != nil {
		return nil, nil
	}
	var states []*State
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".json" {
			continue
		}
		m, err := readState(filepath.Join(mergeDir(layout), entry.Name()))
		if err != nil {
			return nil, err
		}
		if m != nil {
			states = append(states, m)
		}
	}
	return states, nil
}

// Waiting are the names that merges which are not over leave to be decided, by
// their vault's path. It only looks.
func Waiting(ctx context.Context, repo gitutil.Repository) (map[string][]string, error) {
	states, err := States(repo.Layout())
	if err != nil {
		return nil, err
	}
	waiting := map[string][]string{}
	for _, m := range states {
		open := m.Open()
		if len(open) == 0 {
			continue
		}
		alive, err := m.Alive(ctx, repo)
		if err != nil {
			return nil, err
		}
		if alive {
			waiting[m.Path] = open
		}
	}
	return waiting, nil
}

// AddTo has a batch write the note.
func (m *State) AddTo(batch *safefile.Batch) error { return m.put(batch.Put) }

// keep writes the note.
func (m *State) keep(files safefile.Files) error { return m.put(files.Put) }

func (m *State) put(put func(path string, data []byte, perm fs.FileMode) error) error {
	if err := safefile.MakePrivate(filepath.Dir(m.file)); err != nil {
		return &safefile.Error{Op: "write", Path: m.file, Err: err}
	}
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return put(m.file, content, 0o600)
}

// Forget removes the note.
func (m *State) Forget() { os.Remove(m.file) }

// Alive reports whether the merge is still one: an aborted one, and one whose
// result was replaced by hand after it was over, are forgotten.
func (m *State) Alive(ctx context.Context, repo gitutil.Repository) (bool, error) {
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
	if slices.Contains(m.Marked, staged) {
		return true, nil // nobody staged anything better
	}
	if m.TheirsFile != nil && slices.Contains(gitutil.BlobIDs(m.TheirsFile), staged) {
		return true, nil // theirs was taken whole, where git keeps no note of a merge
	}
	operation, err := repo.Operation(ctx)
	if err != nil || operation.Kind == "" {
		return false, err
	}
	return m.broughtBy(ctx, repo, operation), nil
}

// staged is the id that the index has of the vault; "" for none.
func (m *State) staged(ctx context.Context, repo gitutil.Repository) (string, error) {
	entries, err := repo.ListIndex(ctx, func(path []byte, _ gitutil.Mode) bool { return string(path) == m.Path })
	if err != nil || len(entries) == 0 {
		return "", err
	}
	return entries[0].ID, nil
}

// broughtBy reports whether what git is in the middle of is this merge, and not
// another commit of the same rebase, say, which had this one skipped. Where git
// does not tell it is.
func (m *State) broughtBy(ctx context.Context, repo gitutil.Repository, operation gitutil.Operation) bool {
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
	if !sameOrUnknown(gitutil.Show(ctx, repo, operation.Theirs, m.Path), after) {
		return false
	}
	for _, parent := range [...]string{"^1", "^2"} { // a merge may be picked by either
		id, err := repo.ResolveRev(ctx, operation.Theirs+parent)
		if err == nil && sameOrUnknown(gitutil.Show(ctx, repo, id, m.Path), before) {
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
func (m *State) waits(ctx context.Context, repo gitutil.Repository) (bool, error) {
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
func (m *State) sameSides(other *State) bool {
	return bytes.Equal(m.BaseFile, other.BaseFile) && bytes.Equal(m.OursFile, other.OursFile) && bytes.Equal(m.TheirsFile, other.TheirsFile)
}

// Sides reports whether the note is of the merge that left these stages.
func (m *State) Sides(c *gitutil.Conflict) bool {
	for i, content := range [3][]byte{m.BaseFile, m.OursFile, m.TheirsFile} {
		id := c.Stages[i].ID
		if i > 0 && id != "" && !slices.Contains(gitutil.BlobIDs(content), id) {
			return false
		}
	}
	return true
}
