package formation

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// maxReferenceFile is the size in bytes above which a file is not searched for
// references: instructions for an agent are never that long.
const maxReferenceFile = 16 << 20

// FileError says that a file of a formation could not be used.
type FileError struct {
	Op   string // "read", "write", "remove", ...
	Path string // absolute
	Err  error
}

func (e *FileError) Error() string {
	return fmt.Sprintf("cannot %s '%s': %s", e.Op, e.Path, e.Cause())
}
func (e *FileError) Unwrap() error { return e.Err }

// Cause is why, without the path.
func (e *FileError) Cause() string { return plainCause(e.Err) }

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
		return &FileError{"read", dir, err}
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
			if skipFolder(name) {
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
		return nil, &FileError{"read", full, err}
	}
	if info.Size() > maxReferenceFile {
		return nil, nil
	}
	content, err := os.ReadFile(full)
	if err != nil {
		return nil, &FileError{"read", full, err}
	}
	return content, nil
}

// Add takes in what one file refers to.
func (s *Survey) Add(path string, r References) {
	s.References = append(s.References, r.References...)
	s.Malformed = append(s.Malformed, r.Malformed...)
	if r.Broken != nil {
		if s.Broken == nil {
			s.Broken = map[string]error{}
		}
		s.Broken[path] = r.Broken
	}
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
