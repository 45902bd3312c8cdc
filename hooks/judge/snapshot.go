package judge

import (
	"context"
	"errors"
	"path"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
)

// Snapshot is one formation as the work tree, the index or a commit has it. Its
// key is always the one on disk: no commit ever holds it.
type Snapshot struct {
	Dir string // from the top, with /; "." is the top
	*formation.Look
	List []byte // the .age-recipients; nil: there is none
	HasTemplate,
	HasVault bool
	TemplateMode gitutil.Mode
	// Linked says that the template is a symbolic link: what git has of it is a
	// path, and the names are elsewhere.
	Linked bool
}

// Source shows the files of one version of the repository at or below a path.
type Source func(ctx context.Context, path string, v gitutil.Visitor) error

// Index is the version that the pending commit is made from.
func Index(repo gitutil.Repository) Source {
	return func(ctx context.Context, path string, v gitutil.Visitor) error {
		return gitutil.IndexBlobs(ctx, repo, path, v)
	}
}

// Tree is the version that a commit holds.
func Tree(repo gitutil.Repository, rev string) Source {
	return func(ctx context.Context, path string, v gitutil.Visitor) error {
		return repo.TreeBlobs(ctx, rev, path, v)
	}
}

// Snapshots reads the formations in dirs from a version. all are the folders of
// every formation in it: a file belongs to the innermost one around it.
func Snapshots(ctx context.Context, repo gitutil.Repository, keys *history.Keys, from Source, dirs, all []string) ([]*Snapshot, error) {
	return SnapshotsWith(ctx, repo, keys, from, dirs, all, formation.ReferencesIn)
}

// ParseReferences is formation.ReferencesIn, or something that remembers.
type ParseReferences func(path string, content []byte) formation.References

// Remembered parses each content once: in a hook, the index and the work tree
// mostly hold the same.
func Remembered() ParseReferences {
	known := map[string]formation.References{}
	return func(path string, content []byte) formation.References {
		key := path + "\x00" + string(content)
		found, ok := known[key]
		if !ok {
			found = formation.ReferencesIn(path, content)
			known[key] = found
		}
		return found
	}
}

func SnapshotsWith(ctx context.Context, repo gitutil.Repository, keys *history.Keys, from Source, dirs, all []string, parse ParseReferences) ([]*Snapshot, error) {
	type reading struct {
		*Snapshot
		formation.Version
		whole bool // the formation file is there
	}
	read := map[string]*reading{}
	for _, dir := range all {
		read[dir] = nil
	}
	var list []*reading
	for _, dir := range dirs {
		r := &reading{Snapshot: &Snapshot{Dir: dir}, Version: formation.Version{Survey: &formation.Survey{}}}
		read[dir] = r
		list = append(list, r)
	}
	ownerOf := func(dir string) (*reading, string) {
		for ; ; dir = path.Dir(dir) {
			if r, ok := read[dir]; ok {
				return r, dir
			}
			if dir == "." {
				return nil, ""
			}
		}
	}
	// The files of a folder come one after the other, and most folders of a large
	// repository are no formation's.
	asked := "\x00" // no path has it
	var nearest *reading
	var nearestDir string
	only := ""
	if len(dirs) == 1 && dirs[0] != "." {
		only = dirs[0]
	}
	err := from(ctx, only, gitutil.Visitor{
		Want: func(p string, _ gitutil.Mode) bool {
			if folder := p[:max(strings.LastIndexByte(p, '/'), 0)]; folder != asked {
				asked = folder
				nearest, nearestDir = ownerOf(path.Dir(p))
			}
			if nearest == nil {
				return false
			}
			rel := Within(nearestDir, p)
			return rel == formation.VaultFile || rel == formation.RecipientsFile || rel == formation.TemplateFile || formation.MayRefer(rel)
		},
		Blob: func(b *gitutil.Blob) error {
			r, dir := ownerOf(path.Dir(b.Path))
			rel := Within(dir, b.Path)
			switch rel {
			case formation.VaultFile:
				r.Version.HasVault, r.Sealed = true, append([]byte(nil), b.Data...)
			case formation.RecipientsFile:
				r.List = append([]byte{}, b.Data...)
			case formation.TemplateFile:
				r.Version.HasTemplate, r.Version.Template = true, append([]byte(nil), b.Data...)
				r.TemplateMode, r.Linked = b.Mode, b.Mode == gitutil.ModeLink
			default:
				r.whole = r.whole || formation.IsFormationFile(rel)
				r.Version.Survey.Add(rel, parse(rel, b.Data))
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	var snapshots []*Snapshot
	for _, r := range list {
		if !r.whole {
			r.Version.Survey.Lack("git does not have it yet")
		}
		f := &formation.Formation{Dir: filepath.FromSlash(r.Dir)} // of a bare repository: it has no key
		if top := repo.Layout().Top; top != "" {
			f = keys.Of(&formation.Formation{Dir: filepath.Join(top, filepath.FromSlash(r.Dir))})
			r.Look = f.LookAt(&r.Version)
		} else {
			r.Look = &formation.Look{Formation: f, Survey: r.Version.Survey}
		}
		r.Snapshot.HasVault, r.Snapshot.HasTemplate = r.Version.HasVault, r.Version.HasTemplate
		snapshots = append(snapshots, r.Snapshot)
	}
	return snapshots, nil
}

// OnDisk is the formation as the work tree has it.
func OnDisk(layout gitutil.Layout, f *formation.Formation) (*Snapshot, error) {
	return OnDiskWith(layout, f, formation.ReferencesIn)
}

func OnDiskWith(layout gitutil.Layout, f *formation.Formation, parse ParseReferences) (*Snapshot, error) {
	s := &Snapshot{Dir: Label(layout.Top, f.Dir), Look: f.Look(parse)}
	unread, _ := errors.AsType[*safefile.Error](s.Problem.Vault)
	for _, err := range []error{s.Problem.Survey, s.Problem.Template} {
		if err != nil {
			return nil, err
		}
	}
	if unread != nil {
		return nil, unread
	}
	if _, gone := errors.AsType[*formation.GoneError](s.Problem.Vault); gone {
		// What nothing here has a value for any more is missing, whatever git has.
		s.Opened = &formation.Opened{Formation: f, Key: s.Key, Vault: formation.NewVault()}
	}
	var err error
	if s.HasVault, err = f.HasVault(); err != nil {
		return nil, err
	}
	if s.HasTemplate, err = paths.Exists(f.Path(formation.TemplateFile)); err != nil {
		return nil, err
	}
	s.List, err = f.ReadList()
	return s, err
}

// Within gives p relative to the folder dir, or "" where it is not inside.
func Within(dir, p string) string {
	if dir == "." {
		return p
	}
	rel, ok := strings.CutPrefix(p, dir+"/")
	if !ok {
		return ""
	}
	return rel
}
