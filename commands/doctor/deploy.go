package doctor

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// deploy judges what `muxi deploy` would pack with the formation's folder: a vault
// without the key that opens it, and values that are in no vault. It packs what git
// ignores, too, which no other check looks at.
func (d *doctor) deploy(ctx context.Context, p *patient) {
	if !p.asked {
		return
	}
	if p.Locked() == nil && p.Opened.Sealed {
		d.shipped(p)
	}

	var leaks named
	what, left := "", int64(maxUnseen)
	for _, file := range d.unseen(ctx, p) {
		if strings.HasPrefix(filepath.Base(file), ".env") {
			if stored := d.secretsIn(file); len(stored.names) > 0 {
				d.say(p, "deploy", Warn, p.on+" import "+d.shell(file),
					"%s: the value of %s lies in the folder that 'muxi deploy' packs; store it, and move the file away", d.places(stored.places), some(stored.names))
			}
			continue
		}
		content, err := read(file)
		if left -= int64(len(content)); err != nil || left < 0 {
			continue
		}
		found := d.known().File(filepath.ToSlash(file), content, scan.Regular)
		i := slices.IndexFunc(found, isLeak)
		if i < 0 {
			continue
		}
		what = cmp.Or(what, found[i].Message)
		d.add(&leaks, "", place{file, found[i].Line})
	}
	if len(leaks.places) > 0 {
		d.say(p, "deploy", Warn, d.Shell.MoveHome(d.shell(leaks.places[0].path)), "%s: %s; git ignores it, and 'muxi deploy' would pack it with the folder: move it away", d.places(leaks.places), what)
	}
}

func isLeak(f scan.Finding) bool {
	switch f.Rule {
	case scan.KeyFile, scan.KeyMaterial, scan.KnownSecret, scan.PlaintextKey:
		return true
	}
	return false
}

// shipped judges whether what is packed as key and vault belongs together on the
// other side as it does here.
func (d *doctor) shipped(p *patient) {
	own := p.Path(formation.KeyFile)
	if p.keyPath() != own {
		d.say(p, "deploy", Warn, d.Shell.Copy(d.shell(p.keyPath()), d.shell(own)),
			"the key lies in another work tree: 'muxi deploy' from here would take the vault without it")
		return
	}
	for _, name := range [...]string{formation.KeyFile, formation.VaultFile} {
		file := p.Path(name)
		to, err := os.Readlink(file)
		if err != nil {
			continue
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(p.real, to)
		}
		if !paths.Within(p.real, paths.Real(to)) {
			d.say(p, "deploy", Warn, d.Shell.Unlink(d.shell(file), d.shell(paths.Real(to))),
				"%s is a symbolic link out of the folder, which leads nowhere where 'muxi deploy' unpacks it", name)
		}
	}
}

// mostUnseen and maxUnseen bound the files of a folder that are looked at, and their
// bytes: what a build left behind is ignored as well.
const mostUnseen, maxUnseen = 5_000, 64 << 20

// unseen are the files in a formation's folder that git ignores, so that no other
// check sees them, but for those that belong there; outside of a repository, all.
func (d *doctor) unseen(ctx context.Context, p *patient) (files []string) {
	filepath.WalkDir(p.Dir, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // a search is no place to fail
		case entry.IsDir() && file != p.Dir:
			if formation.SkipFolder(entry.Name()) {
				return fs.SkipDir
			}
			if _, err := formation.At(file); err == nil {
				return fs.SkipDir
			}
		case entry.Type().IsRegular() && !ours(p, file):
			if files = append(files, file); len(files) == mostUnseen {
				return fs.SkipAll
			}
		}
		return nil
	})
	if d.repo == nil {
		return files
	}
	ignored, err := d.repo.Ignored(ctx, files)
	if err != nil {
		return nil
	}
	var unseen []string
	for i, file := range files {
		if ignored[i] || strings.HasPrefix(filepath.Base(file), ".env") && filepath.Dir(file) == p.Dir {
			unseen = append(unseen, file)
		}
	}
	return unseen
}

// ours reports whether a file is one of those that a formation has for its secrets.
func ours(p *patient, file string) bool {
	if filepath.Dir(file) != p.Dir {
		return false
	}
	switch filepath.Base(file) {
	case formation.KeyFile, formation.VaultFile, formation.TemplateFile, formation.WrappedKeyFile, formation.RecipientsFile:
		return true
	}
	return false
}

// known is what finds stored values and keys.
func (d *doctor) known() *scan.Scanner {
	if d.scanner != nil {
		return d.scanner
	}
	var values []scan.NamedValue
	var keys [][]byte
	for _, p := range d.patients {
		if p.Opened == nil || p.Opened.Key == nil {
			continue
		}
		keys = append(keys, p.Opened.Key.File())
		for _, name := range p.Vault().Names() {
			if value, _, err := p.Vault().Get(name); err == nil {
				values = append(values, scan.NamedValue{Formation: d.Name(p.Formation), Name: name, Value: []byte(value)})
			}
		}
	}
	d.scanner = &scan.Scanner{}
	if len(keys) > 0 {
		d.scanner.Known = scan.NewKnown(values, keys...)
	}
	return d.scanner
}
