package gitutil

import (
	"path"
	"path/filepath"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/wildmatch"
)

// PatternFiles are the .gitignore and .gitattributes of one version, by their
// paths from the top, with '/': what git goes by in every clone of it, whatever
// this one has besides.
type PatternFiles map[string][]byte

// PatternFilesOnDisk are those that a work tree has for the files of a folder in it,
// as they would come along with it: no excludes of the person, nor of this clone. A
// folder outside of the tree is judged as a tree of its own.
func PatternFilesOnDisk(layout Layout, folder string) (files PatternFiles, dir string) {
	top, dir := layout.Top, ""
	if rel, ok := paths.Below(top, paths.Real(folder)); ok && top != "" {
		dir = filepath.ToSlash(rel)
	} else {
		top, dir = folder, "."
	}
	files = PatternFiles{}
	for at, more := parentOf(path.Join(dir, "x")), true; more; at, more = parentOf(at), at != "" {
		for _, name := range [...]string{".gitignore", ".gitattributes"} {
			if text := patternsOnDisk(top, name)(at); text != "" {
				files[path.Join(at, name)] = []byte(text)
			}
		}
	}
	return files, dir
}

// IsPatternFile reports whether a path is one of a PatternFiles.
func IsPatternFile(p string) bool {
	base := path.Base(p)
	return base == ".gitignore" || base == ".gitattributes"
}

// Ignores reports whether git ignores a file where nothing else says so.
func (f PatternFiles) Ignores(file string) bool {
	r := &ignoreRules{read: f.reader(".gitignore"), dirs: map[string][]wildmatch.Pattern{}}
	return r.ignored(file, false)
}

// Attributes gives the named attributes of a file, as a Repository does.
func (f PatternFiles) Attributes(file string, names []string) map[string]string {
	r := newAttributes(f.reader(".gitattributes"), false)
	r.rulesIn("") // its macros come first
	return r.values(file, names)
}

// AttributeFrom returns the line that gives a file an attribute.
func (f PatternFiles) AttributeFrom(file, name string) Origin {
	r := newAttributes(f.reader(".gitattributes"), false)
	r.rulesIn("")
	return r.all(file)[name].from
}

func (f PatternFiles) reader(name string) func(dir string) string {
	return func(dir string) string { return string(f[path.Join(dir, name)]) }
}
