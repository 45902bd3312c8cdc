package hooks

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// Setting is one line of git's configuration.
type Setting struct{ Key, Value string }

// Attributes are a formation's files and what .gitattributes says about each:
// which drivers show and merge it, and that no line ending in it may change.
// People's files are named where a formation has them.
func Attributes(people bool) []FileAttributes {
	all := []FileAttributes{
		{formation.VaultFile, "diff=muxi-secrets merge=muxi-secrets -text"},
		{formation.TemplateFile, "merge=muxi-secrets-template"},
	}
	if people {
		all = append(all,
			FileAttributes{formation.RecipientsFile, "merge=muxi-secrets-people -text"},
			FileAttributes{formation.WrappedKeyFile, "merge=muxi-secrets-people -text"})
	}
	return all
}

// FileAttributes are the attributes of one file, as a line of gitattributes(5)
// has them.
type FileAttributes struct{ File, Attributes string }

// Drivers are the settings behind those attributes. They are in no repository
// that is cloned: git takes commands from its configuration alone.
//
// cachetextconv is not among them, and must never be: git would keep what it
// shows of a vault in refs/notes.
func Drivers() []Setting {
	return []Setting{
		{"diff.muxi-secrets.textconv", "git muxi-secrets textconv"},
		{"merge.muxi-secrets.name", "secrets by name"},
		{"merge.muxi-secrets.driver", "git muxi-secrets merge-vault %O %A %B %L -- %P"},
		{"merge.muxi-secrets-template.name", "names of secrets"},
		{"merge.muxi-secrets-template.driver", "git muxi-secrets merge-template %O %A %B %L -- %P"},
		{"merge.muxi-secrets-people.name", "people who share a key"},
		{"merge.muxi-secrets-people.driver", "git muxi-secrets merge-people %O %A %B %L -- %P"},
	}
}

// DriversSet reports whether git has the drivers. A clone that had them written
// by this program is recognised without asking git.
func DriversSet(ctx context.Context, layout gitutil.Layout, repo func() (gitutil.Repository, error)) (bool, error) {
	content, err := os.ReadFile(filepath.Join(layout.CommonDir, "config"))
	if err == nil && plainlySet(string(content)) {
		return true, nil
	}
	r, err := repo()
	if err != nil || r == nil {
		return false, err
	}
	for _, want := range Drivers() {
		if strings.HasSuffix(want.Key, ".name") {
			continue
		}
		have, _, err := r.Config(ctx, want.Key)
		if err != nil {
			return false, err
		}
		if have != want.Value {
			return false, nil
		}
	}
	return true, nil
}

func plainlySet(config string) bool {
	for _, want := range Drivers() {
		key := want.Key[strings.LastIndexByte(want.Key, '.')+1:]
		if !strings.Contains(config, "\t"+key+" = "+want.Value+"\n") {
			return false
		}
	}
	return true
}

// SetDrivers writes the drivers to the clone's own configuration.
func SetDrivers(ctx context.Context, repo gitutil.Repository) error {
	for _, set := range Drivers() {
		if err := repo.SetConfig(ctx, set.Key, set.Value); err != nil {
			return err
		}
	}
	return nil
}
