package formation

import (
	"cmp"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// maxReferenceFile is the size in bytes above which a file is not searched for
// references: instructions for an agent are never that long.
const maxReferenceFile = 16 << 20

// ReferenceFiles returns the paths (below the formation's folder, with /,
// sorted) of the files that may refer to secrets. A folder below that is a
// formation of its own is left out: it has its own vault.
func (f *Formation) ReferenceFiles() ([]string, error) {
	w := walk{root: f.Dir}
	if err := w.folder("", 0); err != nil {
		return nil, err
	}
	sort.Strings(w.found)
	return w.found, nil
}

type walk struct {
	root  string
	found []string
	seen  map[string]bool // real paths of linked folders followed, against loops
}

// folder collects below rel ("" or a path with /). Symbolic links to files are
// read as the runtime would; a linked folder is followed when it stands where
// the runtime loads from (agents -> ../shared/agents), so a link to the root of
// a disk cannot make this walk endless.
func (w *walk) folder(rel string, depth int) error {
	dir := filepath.Join(w.root, filepath.FromSlash(rel))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return &safefile.Error{Op: "read", Path: dir, Err: err}
	}

	for _, entry := range entries {
		name := entry.Name()
		path := name
		if rel != "" {
			path = rel + "/" + name
		}
		mode := entry.Type()
		full := filepath.Join(dir, name)
		if mode&fs.ModeSymlink != 0 {
			info, err := os.Stat(full)
			if err != nil {
				continue // a broken link: the runtime finds nothing there either
			}
			mode = info.Mode().Type()
			if mode.IsDir() && !w.follow(full, depth) {
				continue
			}
		}

		switch {
		case mode.IsDir():
			if SkipFolder(name) {
				continue
			}
			if _, err := At(full); err == nil {
				continue
			}
			if err := w.folder(path, depth+1); err != nil {
				return err
			}
		case mode.IsRegular():
			if MayRefer(path) {
				w.found = append(w.found, path)
			}
		}
	}

	return nil
}

func (w *walk) follow(full string, depth int) bool {
	if depth > 0 {
		return false
	}
	switch filepath.Base(full) {
	case "agents", "mcp", "mcps", "a2a", "groups", "transformers", "sops", "triggers", "skills", "knowledge":
	default:
		return false
	}
	real, err := filepath.EvalSymlinks(full)
	if err != nil || w.seen[real] {
		return false
	}
	if w.seen == nil {
		w.seen = map[string]bool{}
	}
	w.seen[real] = true
	return true
}

// Survey is everything a formation's files say about secrets.
type Survey struct {
	References []Reference
	Malformed  []Malformed
	Broken     map[string]error // files that are no YAML, by path
	// Filtered are files in whose place a filter of git's left something else, and
	// what, or that a version lacks: their references are not known, so that no secret
	// can be called unused.
	Filtered map[string]string

	manifest *manifest
	agents   map[string]string // what the files in agents/ call theirs, by path
}

// Survey reads the formation's files and collects their references.
func (f *Formation) Survey() (*Survey, error) { return f.SurveyWith(ReferencesIn) }

// SurveyWith is Survey with another way to come by what a file refers to: a
// caller that has judged most of the same bytes already need not parse them
// again.
func (f *Formation) SurveyWith(referencesIn func(path string, content []byte) References) (*Survey, error) {
	files, err := f.ReferenceFiles()
	if err != nil {
		return nil, err
	}
	s := &Survey{}
	for _, path := range files {
		content, err := f.readReferenceFile(path)
		if err != nil {
			return nil, err
		}
		s.Add(path, referencesIn(path, content))
	}
	return s, nil
}

func (f *Formation) readReferenceFile(path string) ([]byte, error) {
	full := f.Path(filepath.FromSlash(path))
	info, err := os.Stat(full)
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: full, Err: err}
	}
	if info.Size() > maxReferenceFile {
		return nil, nil
	}
	content, err := os.ReadFile(full)
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: full, Err: err}
	}
	return content, nil
}

// Add takes in what one file refers to. The files may come in any order.
func (s *Survey) Add(path string, r References) {
	fresh := len(s.References)
	s.References = append(s.References, r.References...)
	if strings.HasPrefix(path, "agents/") && r.Broken == nil {
		if s.agents == nil {
			s.agents = map[string]string{}
		}
		s.agents[path] = r.id
	}
	if r.manifest != nil && (s.manifest == nil || formationRank(path) < formationRank(s.manifest.file)) {
		s.manifest, fresh = r.manifest, 0
	}
	s.undeclared(s.References[fresh:])
	s.Malformed = append(s.Malformed, r.Malformed...)
	if r.Filtered != "" {
		if s.Filtered == nil {
			s.Filtered = map[string]string{}
		}
		s.Filtered[path] = r.Filtered
	}
	if r.Broken != nil {
		if s.Broken == nil {
			s.Broken = map[string]error{}
		}
		s.Broken[path] = r.Broken
	}
}

// Lack notes that a version is without the formation's own file, and why.
func (s *Survey) Lack(why string) { s.Add(formationFiles[0], References{Filtered: why}) }

// undeclared marks the references of agents that are not loaded.
func (s *Survey) undeclared(refs []Reference) {
	for i := range refs {
		if id, agent := s.agents[refs[i].Path]; agent && !s.manifest.loads(refs[i].Path, id) {
			refs[i].Soft = true
		}
	}
}

// Unreplaced returns everything that the runtime leaves as the text it is, by file
// and place: what is no reference, and references that are spelled as it does not
// look them up.
func (s *Survey) Unreplaced() []Malformed { return unreplaced(s.References, s.Malformed) }

// Unreplaced is that of one file.
func (r *References) Unreplaced() []Malformed { return unreplaced(r.References, r.Malformed) }

func unreplaced(refs []Reference, malformed []Malformed) []Malformed {
	all := slices.Clone(malformed)
	for _, ref := range refs {
		if ref.Unreplaced != "" {
			all = append(all, Malformed{ref.Path, ref.Line, ref.Column, ref.Unreplaced})
		}
	}
	slices.SortStableFunc(all, func(a, b Malformed) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return all
}

// Unkeyed reports whether the formation keeps its users' credentials, and gives the
// runtime no key for that: it then takes the formation's id, which is no secret.
func (s *Survey) Unkeyed() bool { return s.manifest != nil && s.manifest.unkeyed }

// Lack is a name that is referred to and has no value.
type Lack struct {
	Name  string
	Place Reference // the first that needs it
	Soft  bool      // the runtime only warns
}

// Lacking returns the names that need a value and have none in a vault, sorted.
func (s *Survey) Lacking(vault *Vault) []Lack {
	lacks := map[string]Lack{}
	for _, ref := range s.References {
		if _, stored := vault.Find(ref.Name); stored || ref.Optional {
			continue
		}
		if had, ok := lacks[ref.Name]; !ok || had.Soft && !ref.Soft {
			lacks[ref.Name] = Lack{ref.Name, ref, ref.Soft}
		}
	}
	return slices.SortedFunc(maps.Values(lacks), func(a, b Lack) int { return strings.Compare(a.Name, b.Name) })
}

// Unused returns the names in a vault that no file refers to, sorted; none while
// a file could not be read.
func (s *Survey) Unused(vault *Vault) []string {
	if len(s.Filtered) > 0 {
		return nil
	}
	used := map[string]bool{}
	for _, ref := range s.References {
		used[ref.Name] = true
	}
	return slices.DeleteFunc(vault.Names(), func(name string) bool { return used[Normalize(name)] })
}

// Names returns every name referred to, sorted, each once.
func (s *Survey) Names() []string { return s.names(func(Reference) bool { return true }) }

// Required returns the names that some reference needs a value for, sorted.
func (s *Survey) Required() []string {
	return s.names(func(r Reference) bool { return !r.Optional })
}

func (s *Survey) names(want func(Reference) bool) []string {
	set := map[string]bool{}
	for _, r := range s.References {
		if want(r) {
			set[r.Name] = true
		}
	}
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// To returns the references to name.
func (s *Survey) To(name string) []Reference {
	var refs []Reference
	for _, r := range s.References {
		if r.Name == name {
			refs = append(refs, r)
		}
	}
	return refs
}

// Edit is new content for one file of a formation.
type Edit struct {
	Path    string // absolute
	Content []byte
}

// Unrewritable is a reference that rename cannot express in the new name.
type Unrewritable struct {
	Reference Reference
	Reason    string
}

func (e *Unrewritable) Error() string { return e.Reason }

// RenameEdits returns the files with every reference to from spelled as a
// reference to to. Only the bytes of the names change: comments, quoting and
// layout stay. Nothing is written. A reference that cannot be rewritten that
// way is returned as *Unrewritable.
func (f *Formation) RenameEdits(from, to string) ([]Edit, error) {
	files, err := f.ReferenceFiles()
	if err != nil {
		return nil, err
	}

	var edits []Edit
	for _, path := range files {
		content, err := f.readReferenceFile(path)
		if err != nil {
			return nil, err
		}
		var out []byte
		at := 0
		for _, ref := range inOrder(ReferencesIn(path, content).References, from) {
			spelled, err := respell(ref, to)
			if err != nil {
				return nil, err
			}
			out = append(append(out, content[at:ref.start]...), spelled...)
			at = ref.end
		}

		if at > 0 {
			edits = append(edits, Edit{f.Path(filepath.FromSlash(path)), append(out, content[at:]...)})
		}
	}

	return edits, nil
}

// inOrder picks the references to name, by where they stand in the file.
func inOrder(refs []Reference, name string) []Reference {
	var picked []Reference
	for _, r := range refs {
		if r.Name == name {
			picked = append(picked, r)
		}
	}
	sort.Slice(picked, func(i, j int) bool { return picked[i].start < picked[j].start })
	return picked
}

func respell(ref Reference, to string) (string, error) {
	if ref.end == 0 {
		return "", &Unrewritable{ref, "it is spelled with escapes, so its bytes cannot be swapped"}
	}
	if !ref.User {
		return to, nil
	}
	credential, ok := strings.CutPrefix(to, userCredentials)
	if !ok || credential == "" {
		return "", &Unrewritable{ref, "'user.credentials.' can only name a secret that starts with " + userCredentials}
	}
	return strings.ToLower(credential), nil
}
