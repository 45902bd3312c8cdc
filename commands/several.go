package commands

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// writings are formations opened for one change of all of them: all or none of
// their files change.
type writings []*writing

// openAllToWrite opens formations for one change. Several lie in one work tree; the
// caller has seen to that. One that is new gets a key of that format. The caller
// closes them.
func (s *session) openAllToWrite(ctx context.Context, formations []*formation.Formation, format crypto.Format) (writings, error) {
	if len(formations) == 1 {
		w, err := s.openToWrite(ctx, formations[0], format)
		if err != nil {
			return nil, err
		}
		return writings{w}, nil
	}

	place, ok := s.placeOfSeveral()
	if !ok {
		return nil, usage("several formations are written together in a git repository alone").hint("name them one by one with -C DIR, or 'git init'")
	}
	formations = slices.Clone(formations)
	for i, f := range formations {
		// The journal knows the work tree by git's path, not by one through a link.
		if real := paths.Real(f.Dir); real != f.Dir {
			f = s.found(&formation.Formation{Dir: real, File: f.File})
			formations[i] = f
		}
		if _, err := f.OpenToWrite(); err != nil && !mayMakeKey(err, format) {
			return nil, err
		}
	}
	lock, err := s.lock(ctx, formations[0])
	if err != nil {
		return nil, err
	}
	all := writings{}
	batch := s.Files.Batch(place)
	for _, f := range formations {
		w := &writing{s: s, ctx: ctx, batch: batch}
		if len(all) == 0 {
			w.lock = lock
		}
		all = append(all, w)
		err := s.replay(f)
		if err == nil {
			err = w.open(f, format)
		}
		if err == nil {
			err = w.begin(ctx)
		}
		if err != nil {
			all.close()
			return nil, err
		}
	}
	return all, nil
}

func (all writings) close() {
	for _, w := range all {
		w.close()
	}
}

// save puts all of the change in place. It reports of each whether its secrets.enc
// changed.
func (all writings) save() ([]bool, error) {
	changed := make([]bool, len(all))
	for i, w := range all {
		var err error
		if changed[i], err = w.fill(); err == nil {
			err = w.addPin()
		}
		if err != nil {
			return nil, err
		}
	}

	batch := all[0].batch
	changes := batch.Len() > 0
	if changes && all[0].unlocked != nil {
		return nil, all[0].unlocked
	}
	if err := batch.Commit(); err != nil {
		return nil, err
	}
	for _, w := range all {
		w.committed(changes)
	}
	return changed, nil
}

// placeOfSeveral is where a change of several formations writes: in the work tree,
// but only what belongs to a formation, and in the git dirs. ok is false outside of
// a work tree.
func (s *session) placeOfSeveral() (place safefile.Place, ok bool) {
	layout, ok := s.where()
	if !ok || layout.Top == "" {
		return safefile.Place{}, false
	}
	home := filepath.Join(layout.CommonDir, "muxi-secrets")
	top := paths.Real(layout.Top)
	if rel, err := filepath.Rel(layout.CommonDir, top); err == nil {
		top = filepath.ToSlash(rel)
	}
	sum := sha256.Sum256([]byte(top))

	return safefile.Place{
		Folders: []string{home, layout.Top, layout.CommonDir, layout.GitDir},
		Journal: filepath.Join(home, "journal-several-"+hex.EncodeToString(sum[:8])),
		Admits: func(path string) bool {
			for _, dir := range [...]string{layout.CommonDir, layout.GitDir} {
				if _, within := paths.Below(dir, path); within {
					return true
				}
			}
			return slices.Contains(writtenFiles, filepath.Base(path))
		},
	}, true
}

// writtenFiles are what such a change writes in a work tree.
var writtenFiles = []string{
	formation.KeyFile, formation.VaultFile, formation.TemplateFile, formation.RecipientsFile, formation.WrappedKeyFile, ".gitignore", ".gitattributes",
}

// named are the formations in folders that a person gave, each once. s is about the
// first one's repository from then on; of several, all are in its work tree.
func (s *session) named(dirs []string) (formations []*formation.Formation, err error) {
	s.dir, s.to, s.all = filepath.Clean(s.at(dirs[0])), true, false
	for i, dir := range dirs {
		one := &session{Env: s.Env, ctx: s.ctx, doing: s.doing, quiet: s.quiet, dir: filepath.Clean(s.at(dir)), to: true}
		if i == 0 {
			one = s
		}
		f, err := one.formation()
		if err != nil {
			one.close()
			return nil, err
		}
		if i > 0 {
			here, _ := s.where()
			there, _ := one.where()
			one.close()
			if here.Top == "" || paths.Real(here.Top) != paths.Real(there.Top) {
				return nil, usage("%s is not in the git work tree of %s, and several formations are written together in one alone", s.name(f), s.name(formations[0])).
					hint("give one of them after the other")
			}
			f = s.found(&formation.Formation{Dir: f.Dir, File: f.File})
		}
		if !slices.ContainsFunc(formations, func(other *formation.Formation) bool { return same(other.Dir, f.Dir) }) {
			formations = append(formations, f)
		}
	}
	return formations, nil
}
