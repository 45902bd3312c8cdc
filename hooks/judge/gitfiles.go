package judge

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

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

// String is that line.
func (a FileAttributes) String() string { return a.File + " " + a.Attributes }

// In reports whether git gives the file these attributes already. have is its
// answer for diff, merge and text.
func (a FileAttributes) In(have map[string]string) bool {
	for _, want := range strings.Fields(a.Attributes) {
		name, value, assigned := strings.Cut(want, "=")
		switch {
		case assigned && have[name] != value:
			return false
		case strings.HasPrefix(want, "-") && have[want[1:]] != "unset":
			return false
		}
	}
	return true
}

// Lacking is a file of git's that lacks what a formation needs of it, in a version
// that has the formation's vault: a clone of that would take in its key, or merge
// its vault line by line.
type Lacking struct {
	Path    string   // of the .gitignore or .gitattributes beside the vault, from the top, with /
	Content []byte   // what the version has of it
	Lines   []string // what is missing
}

// WithLines is the file as it should be.
func (l Lacking) WithLines() []byte {
	content := slices.Clone(l.Content)
	ending := "\n"
	if bytes.Contains(content, []byte("\r\n")) {
		ending = "\r\n"
	}
	if len(content) > 0 && content[len(content)-1] != '\n' {
		content = append(content, ending...)
	}
	return append(content, strings.Join(l.Lines, ending)+ending...)
}

// Filter is an attribute that has git store something else than what lies in a file
// of a formation: nobody else could read that, and no hook could judge it.
type Filter struct {
	File      string         // from the top, with /
	Attribute string         // as in "filter=lfs"
	From      gitutil.Origin // the line that says so; its file is from the top, with /, where it lies there
}

// filtering are the attributes of that kind, and how a line takes each back.
var filtering = [...]struct{ name, off string }{{"filter", "-filter"}, {"working-tree-encoding", "!working-tree-encoding"}}

// Local reports whether the line is this clone's own, which is stronger than any
// that a .gitattributes can have.
func (f Filter) Local() bool { return strings.HasSuffix(f.From.File, "/info/attributes") }

// FilterNames are the names to ask git for.
func FilterNames() (names []string) {
	for _, f := range filtering {
		names = append(names, f.name)
	}
	return names
}

// FiltersIn picks from git's answer for a file's FilterNames.
func FiltersIn(have map[string]string) (names []string) {
	for _, f := range filtering {
		if state := have[f.name]; state != "" && state != "unset" && state != "unspecified" {
			names = append(names, f.name)
		}
	}
	return names
}

// WithoutFilters is what a line of .gitattributes says so that git keeps a file as
// it is.
func WithoutFilters(names []string) string {
	var words []string
	for _, f := range filtering {
		if slices.Contains(names, f.name) {
			words = append(words, f.off)
		}
	}
	return strings.Join(words, " ")
}

// FiltersOnDisk finds the filters on the files of the formations in dirs, by git's
// own word and this clone's own settings.
func FiltersOnDisk(ctx context.Context, repo gitutil.Repository, dirs []string) ([]Filter, error) {
	top := repo.Layout().Top
	var files, full []string
	for _, dir := range dirs {
		for _, file := range Attributes(true) {
			p := path.Join(dir, file.File)
			if at := filepath.Join(top, filepath.FromSlash(p)); paths.There(at) {
				files, full = append(files, p), append(full, at)
			}
		}
	}
	if len(full) == 0 {
		return nil, nil
	}
	set, err := repo.Attributes(ctx, full, FilterNames())
	if err != nil {
		return nil, err
	}
	var found []Filter
	for i, file := range files {
		for _, name := range FiltersIn(set[i]) {
			from, err := gitutil.AttributeFrom(ctx, repo, full[i], name)
			if err != nil {
				return nil, err
			}
			if rel, ok := paths.Below(top, from.File); ok {
				from.File = filepath.ToSlash(rel)
			}
			found = append(found, Filter{file, name + "=" + set[i][name], from})
		}
	}
	return found, nil
}

// filtersOf are those that a version's own files say.
func filtersOf(files gitutil.PatternFiles, file string) (found []Filter) {
	set := files.Attributes(file, FilterNames())
	for _, name := range FiltersIn(set) {
		found = append(found, Filter{file, name + "=" + set[name], files.AttributeFrom(file, name)})
	}
	return found
}

// Filters says what filters there are as findings.
func Filters(filters []Filter) (found []scan.Finding) {
	for _, f := range filters {
		at, line, from := f.From.File, f.From.Line, ""
		if at == "" || path.IsAbs(at) || filepath.IsAbs(at) {
			// A line of this person's, outside of the tree.
			if at != "" {
				from = fmt.Sprintf(" (line %d of %s)", line, at)
			}
			at, line = f.File, 1
		}
		finding := scan.NewFinding(scan.GitFiles, at, f.Attribute, line, 1, "'%s'%s has git store something else than '%s' itself", f.Attribute, from, f.File)
		finding.Secret, finding.Filtered = "", f.File
		if f.Local() {
			finding.Message += "; take that line out"
		} else {
			finding = finding.MendedBy("init", "has git keep it as it is")
		}
		found = append(found, finding)
	}
	return found
}

// maxPatternFile bounds a file of git's that is looked at, in bytes.
const maxPatternFile = 16 << 20

// LackingIn finds what the formations in dirs lack in a version, and what filters
// it has on their files. Only what the version itself has counts: this clone's own
// excludes come along nowhere.
func LackingIn(ctx context.Context, from Source, dirs []string) (lacking []Lacking, filters []Filter, err error) {
	files := gitutil.PatternFiles{}
	vaults, people := map[string]bool{}, map[string]bool{}
	has := map[string]bool{} // files that a filter could change
	err = from(ctx, "", gitutil.Visitor{
		MaxBlob: maxPatternFile,
		Want: func(p string, mode gitutil.Mode) bool {
			switch dir := path.Dir(p); path.Base(p) {
			case formation.VaultFile:
				vaults[dir] = true
			case formation.RecipientsFile:
				people[dir] = true
			}
			switch path.Base(p) {
			case formation.VaultFile, formation.TemplateFile, formation.RecipientsFile, formation.WrappedKeyFile:
				has[p] = true
			}
			return mode != gitutil.ModeLink && gitutil.IsPatternFile(p)
		},
		Blob: func(b *gitutil.Blob) error {
			files[b.Path] = slices.Clone(b.Data)
			return b.Err
		},
	})
	if err != nil {
		return nil, nil, err
	}

	for _, dir := range dirs {
		if !vaults[dir] {
			continue
		}
		for _, file := range Attributes(true) {
			if name := path.Join(dir, file.File); has[name] {
				filters = append(filters, filtersOf(files, name)...)
			}
		}
		lacking = append(lacking, lackingOf(files, dir, people[dir])...)
	}
	return lacking, filters, nil
}

// LackingOnDisk finds what the formation in a folder lacks in the work tree: all that
// LackingIn would find once its files are in a version as they are. people says that
// the formation has, or is to have, files of people.
func LackingOnDisk(layout gitutil.Layout, folder string, people bool) []Lacking {
	files, dir := gitutil.PatternFilesOnDisk(layout, folder)
	return lackingOf(files, dir, people)
}

// LacksIgnore reports whether a clone would take in the key.
func LacksIgnore(lacking []Lacking) bool { return slices.ContainsFunc(lacking, Lacking.ignores) }

// ignores reports whether a file is the one that has the key ignored.
func (l Lacking) ignores() bool { return path.Base(l.Path) == ".gitignore" }

// lackingOf is the rule: what a formation needs has to come along with it. What else
// a person, or this clone, has git ignore is no help to anybody else's.
func lackingOf(files gitutil.PatternFiles, dir string, people bool) (lacking []Lacking) {
	add := func(name string, lines []string) {
		if name = path.Join(dir, name); len(lines) > 0 {
			lacking = append(lacking, Lacking{name, files[name], lines})
		}
	}
	if !files.Ignores(path.Join(dir, formation.KeyFile)) {
		add(".gitignore", []string{formation.KeyFile})
	}
	var lines []string
	for _, file := range Attributes(people) {
		if !file.In(files.Attributes(path.Join(dir, file.File), []string{"diff", "merge", "text"})) {
			lines = append(lines, file.String())
		}
	}
	add(".gitattributes", lines)
	return lacking
}

// GitFiles says what formations lack as findings.
func GitFiles(lacking []Lacking) (found []scan.Finding) {
	for _, l := range lacking {
		message := "a clone would merge the vault line by line"
		if l.ignores() {
			message = "a clone would not ignore " + formation.KeyFile
		}
		found = append(found, scan.NewFinding(scan.GitFiles, l.Path, "", 1, 1, "%s: it lacks '%s'", message, strings.Join(l.Lines, "', '")))
	}
	return found
}
