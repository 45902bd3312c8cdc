// Package docs holds what is installed beside the program: man pages and the
// shells' completion scripts.
package docs

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:generate go run ./generate

// pages are the man pages as man(1) reads them; 'go generate' makes them of the
// Markdown beside them.
//
//go:embed man/*.1 man/*.7
var pages embed.FS

//go:embed completion/git-muxi-secrets.bash completion/_git-muxi-secrets completion/git-muxi-secrets.fish
var completion embed.FS

// Page is one man page.
type Page struct {
	Name    string // "git-muxi-secrets-add"
	Section string // "1"
	Roff    []byte
}

// File is the page's file name: git-muxi-secrets-add.1.
func (p Page) File() string { return p.Name + "." + p.Section }

// Pages lists every man page, sorted by file name.
func Pages() []Page {
	files, err := fs.Glob(pages, "man/*")
	if err != nil {
		return nil // the pattern is well formed
	}
	slices.Sort(files)
	var list []Page
	for _, file := range files {
		roff, err := pages.ReadFile(file)
		if err != nil {
			continue // what is listed is embedded
		}
		section := strings.TrimPrefix(path.Ext(file), ".")
		list = append(list, Page{strings.TrimSuffix(path.Base(file), "."+section), section, roff})
	}
	return list
}

// Completion is the completion script of a shell: bash, zsh or fish. ok is
// false for another one.
func Completion(shell string) (script []byte, ok bool) {
	file := map[string]string{
		"bash": "git-muxi-secrets.bash",
		"zsh":  "_git-muxi-secrets",
		"fish": "git-muxi-secrets.fish",
	}[shell]
	if file == "" {
		return nil, false
	}
	script, err := completion.ReadFile("completion/" + file)
	return script, err == nil
}
