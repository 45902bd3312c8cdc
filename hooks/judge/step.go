package judge

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Shared is what a version of a formation has of the files that a rotation changes
// together; nil where it has no such file.
type Shared struct {
	Dir                  string // from the top, with /
	Vault, List, Wrapped []byte
}

// SharedIn reads a version's; formations without any of them are left out.
func SharedIn(ctx context.Context, from Source, dirs []string) ([]Shared, error) {
	read := map[string]*Shared{}
	err := from(ctx, "", gitutil.Visitor{
		MaxBlob: safefile.MaxSize,
		Want: func(p string, mode gitutil.Mode) bool {
			return mode != gitutil.ModeLink && IsShared(p) && slices.Contains(dirs, path.Dir(p))
		},
		Blob: func(b *gitutil.Blob) error {
			s := read[path.Dir(b.Path)]
			if s == nil {
				s = &Shared{Dir: path.Dir(b.Path)}
				read[s.Dir] = s
			}
			*s.file(path.Base(b.Path)) = append([]byte{}, b.Data...)
			return b.Err
		},
	})
	var shared []Shared
	for _, dir := range dirs {
		if s := read[dir]; s != nil {
			shared = append(shared, *s)
		}
	}
	return shared, err
}

// SharedOnDisk is the work tree's.
func SharedOnDisk(layout gitutil.Layout, f *formation.Formation) (s Shared, err error) {
	s.Dir = Label(layout.Top, f.Dir)
	if s.List, err = f.ReadList(); err != nil {
		return s, err
	}
	for _, name := range [...]string{formation.VaultFile, formation.WrappedKeyFile} {
		if content, err := safefile.Read(f.Path(name), safefile.MaxSize); err == nil {
			*s.file(name) = content
		}
	}
	return s, nil
}

var sharingFiles = [...]string{formation.VaultFile, formation.RecipientsFile, formation.WrappedKeyFile}

// IsShared reports whether a file is one of those that a rotation changes together.
func IsShared(file string) bool { return slices.Contains(sharingFiles[:], path.Base(file)) }

func (s *Shared) path(name string) string { return path.Join(s.Dir, name) }

func (s *Shared) file(name string) *[]byte {
	switch name {
	case formation.VaultFile:
		return &s.Vault
	case formation.RecipientsFile:
		return &s.List
	}
	return &s.Wrapped
}

// stepper judges one formation. Which key a file speaks of is known by the key, by
// the signature of the list, or by the history: what a rotation replaced belonged to
// the key that it retired, and a wrapped key to the one of the list that came with it.
type stepper struct {
	repo    gitutil.Repository
	keys    *history.Keys // nil: none are at hand
	rev     string
	sharing Shared
	list    trust.List

	merging bool                // the versions are those of a merge under way
	entries []*gitutil.LogEntry // of rev's history, newest first
	lists   map[string]trust.List
}

// OutOfStep finds the formations whose list or wrapped key speaks of another key
// than the one that seals the vault, or of one that was rotated in the history of
// rev, which the versions stand on, and the vaults that such a one seals. No key is
// needed, and more is found with one. Errors: what git says.
func OutOfStep(ctx context.Context, repo gitutil.Repository, keys *history.Keys, rev string, all []Shared) (found []scan.Finding, err error) {
	for _, sharing := range all {
		var finding *scan.Finding
		s := &stepper{repo: repo, keys: keys, rev: rev, sharing: sharing, list: trust.ReadList(sharing.List)}
		if s.list.State >= trust.Broken && len(sharing.Vault) > 0 { // else it speaks of no key
			if err := s.read(ctx); err != nil {
				return nil, err
			}
			if finding, err = s.judge(ctx); err != nil {
				return nil, err
			}
		}
		if finding == nil {
			if finding, err = s.takenBack(ctx); err != nil {
				return nil, err
			}
		}
		if finding != nil {
			found = append(found, *finding)
		}
	}
	return found, nil
}

// OutOfStepOnDisk is OutOfStep for a formation of the work tree. A file that cannot be
// read is what others speak of.
func OutOfStepOnDisk(ctx context.Context, repo gitutil.Repository, f *formation.Formation) ([]scan.Finding, error) {
	sharing, err := SharedOnDisk(repo.Layout(), f)
	if err != nil {
		return nil, nil
	}
	keys, _ := f.Finder.(*history.Keys)
	return OutOfStep(ctx, repo, keys, "", []Shared{sharing})
}

func (s *stepper) path(name string) string { return s.sharing.path(name) }

// read reads the history of the three files, and every version of the list. Of a
// pending commit that merges, it is that of both sides.
func (s *stepper) read(ctx context.Context) error {
	revs := []string{s.rev}
	if s.rev == "" {
		operation, err := s.repo.Operation(ctx)
		if err != nil {
			return err
		}
		if s.merging = operation.Kind == "merge"; s.merging {
			revs = append(revs, operation.Theirs)
		}
	}

	ids := []string{}
	seen := map[string]bool{}
	for _, rev := range revs {
		s.repo.LogAll(ctx, rev, sharingFiles[:], func(e *gitutil.LogEntry) error {
			one := *e
			one.Changes = nil
			for _, c := range e.Changes {
				if path.Dir(c.Path) != s.sharing.Dir {
					continue
				}
				one.Changes = append(one.Changes, c)
				if path.Base(c.Path) == formation.RecipientsFile {
					ids = append(ids, c.Old, c.New)
				}
			}
			if len(one.Changes) > 0 && !seen[one.Hash] {
				seen[one.Hash] = true
				s.entries = append(s.entries, &one)
			}
			return nil
		}) // as far as it goes: a shallow clone knows no more
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
	slices.Sort(ids)
	s.lists = map[string]trust.List{}
	return s.repo.Blobs(ctx, slices.Compact(ids), func(id string, data []byte) error {
		s.lists[id] = trust.ReadList(append([]byte{}, data...))
		return nil
	})
}

// rotated is a change of the list's key in the history.
type rotated struct {
	from, to crypto.PublicKey
	entry    *gitutil.LogEntry
}

// rotations lists the changes in which one signed key took the place of another,
// the newest first.
func (s *stepper) rotations() (all []rotated) {
	for _, e := range s.entries {
		for _, c := range e.Changes {
			was, signed := s.lists[c.Old].Names()
			now := s.lists[c.New]
			if path.Base(c.Path) == formation.RecipientsFile && signed && now.State >= trust.Broken && now.Key != was {
				all = append(all, rotated{was, now.Key, e})
			}
		}
	}
	return all
}

// replaced returns the key that a version of a file belonged to when a rotation
// replaced it.
func (s *stepper) replaced(name string, ids ...string) (key crypto.PublicKey, ok bool) {
	for _, r := range s.rotations() {
		for _, c := range r.entry.Changes {
			if c.Path == s.path(name) && c.Old != c.New && slices.Contains(ids, c.Old) {
				return r.from, true
			}
		}
	}
	return key, false
}

// sealedBy is the key that a vault is sealed with, as far as it is known.
func (s *stepper) sealedBy(sealed []byte) (key crypto.PublicKey, known bool) {
	if s.keys != nil {
		if _, opened, err := s.keys.Open(s.path(formation.VaultFile), sealed, nil); err == nil {
			return opened.Public(), true
		}
	}
	return s.replaced(formation.VaultFile, gitutil.BlobIDs(sealed)...)
}

// wrappedFor is the key in a .key.age, as far as it is known.
func (s *stepper) wrappedFor(wrapped []byte) (key crypto.PublicKey, known bool) {
	if s.keys != nil {
		if one := s.keys.Wrapped(wrapped); one != nil {
			return one.Public(), true
		}
	}
	ids := gitutil.BlobIDs(wrapped)
	if key, known = s.replaced(formation.WrappedKeyFile, ids...); known {
		return key, true
	}
	return s.cameWith(ids...)
}

// cameWith returns the key that a version of the wrapped key was made for: that of
// the signed list which came in one commit with it. A merge may have either of a
// side.
func (s *stepper) cameWith(ids ...string) (key crypto.PublicKey, ok bool) {
	for _, e := range s.entries {
		came := slices.ContainsFunc(e.Changes, func(c gitutil.LogChange) bool {
			return c.Path == s.path(formation.WrappedKeyFile) && slices.Contains(ids, c.New)
		})
		for _, c := range e.Changes {
			named, signed := s.lists[c.New].Names()
			if came && signed && len(e.Parents) < 2 && c.Path == s.path(formation.RecipientsFile) {
				return named, true
			}
		}
	}
	return key, false
}

func (s *stepper) judge(ctx context.Context) (*scan.Finding, error) {
	named := s.list.Key
	vault, vaultKnown := s.sealedBy(s.sharing.Vault)
	wrapped, wrappedKnown := s.wrappedFor(s.sharing.Wrapped)
	say := func(name, format string, args ...any) *scan.Finding {
		f := scan.NewFinding(scan.KeyOutOfStep, s.path(name), "", 1, 1, format, args...)
		return &f
	}

	var f *scan.Finding
	switch {
	case named.IsZero() && (!vaultKnown || !wrappedKnown || wrapped == vault):
		return nil, nil // nothing speaks of a key
	case named.IsZero():
		f = say(formation.WrappedKeyFile, "it holds the key %s, and %s is sealed with %s", ShortFingerprint(wrapped), formation.VaultFile, ShortFingerprint(vault))
	case vaultKnown && vault != named:
		f = say(formation.RecipientsFile, "it speaks of the key %s, and %s is sealed with %s", ShortFingerprint(named), formation.VaultFile, ShortFingerprint(vault))
	case wrappedKnown && wrapped != named:
		f = say(formation.WrappedKeyFile, "it holds the key %s, and %s speaks of %s", ShortFingerprint(wrapped), formation.RecipientsFile, ShortFingerprint(named))
	default:
		later := s.laterThan(named)
		if later == nil {
			return s.goneWithout(named), nil
		}
		f = say(formation.RecipientsFile, "it speaks of the key %s, which was rotated to %s in commit %.10s", ShortFingerprint(named), ShortFingerprint(later.to), later.entry.Hash)
	}

	// Where the list is that of the vault, signed or being merged, only the key has to
	// be wrapped again.
	if (s.list.State == trust.Signed || s.merging) && vaultKnown && vault == named && s.laterThan(named) == nil {
		*f = f.MendedBy("share wrap", "wraps the right one")
		return f, nil
	}
	good, err := s.lastInStep(ctx, vault, vaultKnown)
	if err != nil {
		return nil, err
	}
	if good == nil {
		*f = f.MendedBy("share wrap", "signs the list and wraps the key again")
		return f, nil
	}
	drops, err := s.drops(ctx, good)
	switch {
	case err != nil:
		return nil, err
	case drops:
		*f = f.MendedBy("rotate", "brings them in step and keeps the values that are in no commit yet")
		return f, nil
	case s.merging && good.vault != "":
		// Either side's vault lacks what the other one changed.
		f.Remedy = scan.Remedy{Git: "merge --abort", Does: "goes back; merged again, nothing is lost that either side changed"}
		return f, nil
	}
	f.Remedy = scan.Remedy{Restore: &scan.Restore{From: good.from, Files: good.files}, Does: "brings them back in step"}
	return f, nil
}

// goneWithout finds people who were in the list of a key and are not any more, as where
// a share was reverted: they still have the key. nil for none.
func (s *stepper) goneWithout(key crypto.PublicKey) *scan.Finding {
	var past []trust.List
	for _, e := range s.entries {
		for _, c := range e.Changes {
			past = append(past, s.lists[c.New])
		}
	}
	gone := trust.Gone(s.list.People, key, past...)
	if s.list.State != trust.Signed || len(gone) == 0 {
		return nil
	}
	found := scan.NewFinding(scan.UnvouchedPeople, s.path(formation.RecipientsFile), "", 1, 1,
		"%s left the list without a rotation, and still can open what the key %s seals", People(gone), ShortFingerprint(key))
	found = found.MendedBy("share wrap", "makes a new one for those who are in it")
	return &found
}

// laterThan is the rotation away from a key in the history; nil where none is.
func (s *stepper) laterThan(key crypto.PublicKey) *rotated {
	for _, r := range s.rotations() {
		if r.from == key && s.succession().Leads(r.from, r.to) {
			return &r
		}
	}
	return nil
}

func (s *stepper) succession() *trust.Succession {
	lists := []trust.List{s.list}
	for _, l := range s.lists {
		lists = append(lists, l)
	}
	return trust.NewSuccession(lists...)
}

// lastKey is the key of the newest signed list in the history that no other one there
// came after.
func (s *stepper) lastKey() (key crypto.PublicKey, ok bool) {
	succession := s.succession()
	for _, e := range s.entries {
		for _, c := range e.Changes {
			named, signed := s.lists[c.New].Names()
			if path.Base(c.Path) != formation.RecipientsFile || !signed {
				continue
			}
			later := slices.ContainsFunc(s.rotations(), func(r rotated) bool { return r.from == named && succession.Leads(named, r.to) })
			if !later {
				return named, true
			}
		}
	}
	return key, false
}

// mostSteps bounds how far back a good version is looked for.
const mostSteps = 200

// goodVersion is a commit that has the files in step.
type goodVersion struct {
	from  string
	vault string   // its blob; "" where it is not to come from there
	files []string // that are to come from there
}

// lastInStep is the newest commit that has the files in step, by the last key that
// the history has; nil where none has. The vault is to come from there, only where it
// is sealed with another key.
func (s *stepper) lastInStep(ctx context.Context, vault crypto.PublicKey, vaultKnown bool) (*goodVersion, error) {
	last, ok := s.lastKey()
	if !ok {
		return nil, nil
	}
	head, err := s.repo.ResolveRev(ctx, cmp.Or(s.rev, "HEAD"))
	if err != nil {
		return nil, err
	}
	commits := []string{head}
	for _, e := range s.entries[:min(len(s.entries), mostSteps)] {
		commits = append(commits, e.Hash)
	}
	var asked []gitutil.FileAt
	for _, name := range sharingFiles {
		asked = append(asked, gitutil.FilesAt(commits, s.path(name))...)
	}
	ids, err := s.repo.FileIDs(ctx, asked)
	if err != nil {
		return nil, err
	}

	n := len(commits)
	for i, commit := range commits {
		vaultID, listID, wrappedID := ids[i], ids[n+i], ids[2*n+i]
		named, signed := s.lists[listID].Names()
		if !signed || named != last || vaultID == "" || wrappedID == "" {
			continue
		}
		good, err := s.inStep(ctx, last, vaultID, wrappedID)
		if err != nil {
			return nil, err
		}
		if !good {
			continue
		}
		version := &goodVersion{from: fmt.Sprintf("%.10s", commit), files: []string{s.path(formation.RecipientsFile), s.path(formation.WrappedKeyFile)}}
		if vaultKnown && vault != last {
			version.vault = vaultID
			version.files = append([]string{s.path(formation.VaultFile)}, version.files...)
		}
		return version, nil
	}
	return nil, nil
}

// inStep reports whether a vault and a wrapped key of the history are of a key, as
// far as that is known.
func (s *stepper) inStep(ctx context.Context, key crypto.PublicKey, vaultID, wrappedID string) (good bool, err error) {
	good = true
	err = s.repo.Blobs(ctx, []string{vaultID}, func(_ string, data []byte) error {
		sealed, known := s.sealedBy(append([]byte{}, data...))
		good = !known || sealed == key
		return nil
	})
	if err != nil || !good {
		return false, err
	}
	err = s.repo.Blobs(ctx, []string{wrappedID}, func(_ string, data []byte) error {
		wrapped, known := s.wrappedFor(append([]byte{}, data...))
		good = !known || wrapped == key
		return nil
	})
	return good, err
}
