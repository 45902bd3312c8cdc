package scrub

import (
	"bytes"
	"path"
	"slices"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// mask stands where a value stood that nothing can refer to.
const mask = "***"

// maxRounds bounds how often one text is looked at again: a change may show what
// it hid, and a file lists only so many findings at once.
const maxRounds = 64

// Change is one place that a leak goes out of.
type Change struct {
	Commit string // the first that has it
	Path   string // from the top, with /; empty for the commit's message
	Line   int
	Rule   scan.Rule
	Name   string // the secret that a reference to it takes the place of; "" for none
	Secret string // the secret whose value stood there, where that is known
	Gone   bool   // the file goes out of the trees
	Tag    string // of a tag's message: the tag

	fingerprint string
}

// vault is where the values of one formation go.
type vault struct {
	naming *formation.Naming
	dir    string // the formation's, from the top
}

// cleaner takes leaks out of texts. It remembers which values they were, and the
// names that these got.
type cleaner struct {
	basis  *judge.Basis
	vaults map[string]*vault // by formation; those alone that HEAD has
	// open holds the files of HEAD that are called like a vault and are not sealed.
	open map[string]bool
	// formations are further folders that are formations in some commit.
	formations map[string]bool
	stuck      []scan.Finding    // what could not be taken out
	fresh      []scan.NamedValue // that no vault has yet, in the order in which they were met
}

func newCleaner(basis *judge.Basis, dirs []string) *cleaner {
	c := &cleaner{basis: basis, vaults: map[string]*vault{}, open: map[string]bool{}, formations: map[string]bool{}}
	for _, dir := range dirs {
		c.vaults[dir] = &vault{formation.NewNaming(nil), dir}
	}
	return c
}

// knows gives a formation the values that it has.
func (c *cleaner) knows(dir string, stored *formation.Vault) {
	if v := c.vaults[dir]; v != nil {
		v.naming = formation.NewNaming(stored)
	}
}

// leaks are the findings in a file that stop a push.
func (c *cleaner) leaks(name string, content []byte, mode gitutil.Mode) []scan.Finding {
	kind := scan.Regular
	if mode == gitutil.ModeLink {
		kind = scan.Symlink
	}
	found := c.counting(c.basis.Scanner.File(name, content, kind))
	dir := path.Dir(name)
	return slices.DeleteFunc(found, func(f scan.Finding) bool {
		return f.Rule == scan.VaultNotEncrypted && !c.formations[dir] && !c.basis.Scanner.IsFormation(dir)
	})
}

func (c *cleaner) counting(found []scan.Finding) []scan.Finding {
	kept, _ := c.basis.Settle(found)
	return slices.DeleteFunc(kept, func(f scan.Finding) bool { return f.Severity != scan.Error })
}

// message takes the leaks out of a commit's or a tag's message.
func (c *cleaner) message(commit string, text []byte) (clean []byte, changes []Change) {
	// Git takes a message to end at a NUL, and so does whoever looks for leaks in it.
	end := len(text)
	if at := bytes.IndexByte(text, 0); at >= 0 {
		end = at
	}
	clean = text
	for range maxRounds {
		found := c.counting(c.basis.Scanner.Message(clean[:end]))
		if len(found) == 0 {
			return clean, changes
		}
		next := append(masked(clean[:end], found), clean[end:]...)
		end += len(next) - len(clean)
		changes = append(changes, changesOf(found)...)
		if bytes.Equal(next, clean) {
			break
		}
		clean = next
	}
	c.stays(commit, c.counting(c.basis.Scanner.Message(clean[:end])))
	return clean, changes
}

// stays notes what could not be taken out.
func (c *cleaner) stays(commit string, found []scan.Finding) {
	for _, f := range found {
		f.Commit = commit
		c.stuck = append(c.stuck, f)
	}
}

// file takes the leaks out of a version of a file. gone says that the file is the
// leak. commit is the first that has it.
func (c *cleaner) file(commit, name string, mode gitutil.Mode, content []byte) (clean []byte, gone bool, changes []Change) {
	clean = content
	for range maxRounds {
		found := c.leaks(name, clean, mode)
		if len(found) == 0 {
			return clean, false, changes
		}
		if whole := c.whole(name, clean, found); whole >= 0 {
			change := changesOf(found[whole : whole+1])[0]
			change.Gone = true
			return nil, true, []Change{change}
		}

		next, made := c.referenced(name, clean)
		if len(made) == 0 {
			next, made = c.masked(name, clean, found), changesOf(found)
		}
		changes = append(changes, made...)
		if bytes.Equal(next, clean) {
			break
		}
		clean = next
	}
	c.stays(commit, c.leaks(name, clean, mode))
	return clean, false, changes
}

// whole returns which finding is about the file as such: a key, or a vault that is
// not sealed, but for one that HEAD has like this; -1 for none.
func (c *cleaner) whole(name string, content []byte, found []scan.Finding) int {
	return slices.IndexFunc(found, func(f scan.Finding) bool {
		switch f.Rule {
		case scan.KeyFile:
			return true
		case scan.VaultNotEncrypted:
			_, err := crypto.Detect(content)
			return err != nil && !c.open[name]
		}
		return false
	})
}

// owner is the formation that a file belongs to, of those that HEAD has, and the
// file's path in it.
func (c *cleaner) owner(name string) (v *vault, rel string) {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if v := c.vaults[dir]; v != nil {
			return v, judge.Within(dir, name)
		}
		if dir == "." || dir == "/" {
			return nil, ""
		}
	}
}

// referenced puts references in place of the literals of a formation's file, and
// takes the values off the lines of its template. What has no name yet gets one.
func (c *cleaner) referenced(name string, content []byte) (clean []byte, changes []Change) {
	v, rel := c.owner(name)
	if v == nil {
		return content, nil
	}
	literals := slices.DeleteFunc(c.basis.Scanner.Literals(name, content), func(l scan.Literal) bool {
		return len(c.counting([]scan.Finding{{Rule: l.Rule, Severity: scan.Error, Path: name, Fingerprint: l.Fingerprint, Silenced: l.Silenced}})) == 0
	})
	if rel == formation.TemplateFile {
		return c.emptied(v, name, content, literals)
	}
	if !formation.MayRefer(rel) || len(literals) == 0 {
		return content, nil
	}

	spans := make([]formation.Span, len(literals))
	for i, l := range literals {
		spans[i] = l.Span()
	}
	pieces, failed := formation.Pieces(rel, content, spans)
	var good []formation.Piece
	var names []string
	for i, l := range literals {
		if failed[i] != nil || !storable(pieces[i].Value) {
			continue
		}
		to := c.name(v, pieces[i].Value, l.Proposal(rel, pieces[i].Value))
		good, names = append(good, pieces[i]), append(names, to)
		changes = append(changes, Change{Path: name, Line: l.Line, Rule: l.Rule, Name: to, Secret: to, fingerprint: l.Fingerprint})
	}
	if len(good) == 0 {
		return content, nil
	}
	return formation.Splice(content, good, names), changes
}

// storable reports whether a vault takes a value.
func storable(value string) bool { return value != "" && utf8.ValidString(value) }

// name gives a value the secret that has it, or a new one.
func (c *cleaner) name(v *vault, value, wanted string) string {
	name, stored := v.naming.For(value, wanted)
	if !stored {
		v.naming.Take(name, value)
		c.fresh = append(c.fresh, scan.NamedValue{Formation: v.dir, Name: name, Value: []byte(value)})
	}
	return name
}

// emptied takes values out of a template.
func (c *cleaner) emptied(v *vault, name string, content []byte, literals []scan.Literal) (clean []byte, changes []Change) {
	typed := map[int]formation.Assignment{}
	for _, a := range formation.ParseTemplate(content).Typed() {
		typed[a.Line] = a
	}
	at := 0
	for _, l := range literals {
		a, ok := typed[l.Line]
		if !l.IsTemplate() || !ok || !storable(a.Value) || l.Start < at || l.End <= l.Start {
			continue
		}
		to := c.name(v, a.Value, a.Name)
		clean = append(clean, content[at:l.Start]...)
		at = l.End
		if content[at-1] == '\r' {
			at--
		}
		changes = append(changes, Change{Path: name, Line: l.Line, Rule: l.Rule, Name: to, Secret: to, fingerprint: l.Fingerprint})
	}
	return append(clean, content[at:]...), changes
}

// masked puts the mask in place of what was found in a file, in a way that leaves
// YAML what it was: a plain *** would be an alias there.
func (c *cleaner) masked(name string, content []byte, found []scan.Finding) []byte {
	if slices.ContainsFunc(found, func(f scan.Finding) bool { return f.Rule == scan.VaultNotEncrypted }) {
		if _, err := crypto.Detect(content); err != nil {
			return content // all of it is the leak
		}
		if at := crypto.Beside(content); at >= 0 {
			return content[:at:at]
		}
	}
	if !swappable(content, found) {
		return content
	}
	clean := masked(content, found)
	if !formation.IsYAMLName(name) || !isYAML(content) || isYAML(clean) {
		return clean
	}
	if quoted := replaced(content, found, `"`+mask+`"`); isYAML(quoted) {
		return quoted
	}
	return clean
}

// swappable reports whether bytes of a file can change without the rest: not those
// in an archive, which has sums of them.
func swappable(content []byte, found []scan.Finding) bool {
	packed := slices.ContainsFunc(found, func(f scan.Finding) bool {
		_, _, placed := f.Span()
		return !placed && f.Rule != scan.VaultNotEncrypted
	})
	return !packed && !bytes.HasPrefix(content, []byte("PK\x03\x04"))
}

func isYAML(content []byte) bool {
	var any any
	return formation.DecodeYAML(content, &any) == nil
}

// masked puts the mask in place of what was found in a text.
func masked(text []byte, found []scan.Finding) []byte { return replaced(text, found, mask) }

// replaced puts by in place of what was found. In a text of 16 or 32 bits a
// character, and in what is no text, each of the value's becomes one of the mask's
// instead: nothing behind it moves.
func replaced(text []byte, found []scan.Finding, by string) []byte {
	var clean []byte
	inPlace := formation.IsBinary(text)
	at := 0
	for _, f := range found {
		start, end, ok := f.Span()
		end = min(keyEnd(text, f.Rule, end), len(text))
		if !ok || end <= at {
			continue
		}
		start = max(start, at)
		clean = append(clean, text[at:start]...)
		if value := text[start:end]; inPlace || bytes.IndexByte(value, 0) >= 0 {
			for _, b := range value {
				if b != 0 {
					b = '*'
				}
				clean = append(clean, b)
			}
		} else {
			clean = append(clean, by...)
		}
		at = end
	}
	return append(clean, text[at:]...)
}

// keyEnd takes in what closes a key: the = behind base64, the last line of a block.
func keyEnd(text []byte, rule scan.Rule, end int) int {
	if rule != scan.KeyMaterial || end > len(text) {
		return end
	}
	const last = "-----END"
	if rest := text[end:]; bytes.HasPrefix(rest, []byte(last)) {
		end += len(last)
		if dashes := bytes.Index(text[end:end+lineLength(text[end:])], []byte("-----")); dashes >= 0 {
			end += dashes + len("-----")
		}
		return end
	}
	for end < len(text) && text[end] == '=' {
		end++
	}
	return end
}

func lineLength(text []byte) int {
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return end
	}
	return len(text)
}

// changesOf says what becomes of findings that the mask takes the place of. Where
// two are about the same bytes, the first says it.
func changesOf(found []scan.Finding) (changes []Change) {
	end := -1
	for _, f := range found {
		start, to, ok := f.Span()
		if ok && start < end {
			continue
		}
		end = max(end, to)
		changes = append(changes, Change{Path: f.Path, Line: f.Line, Rule: f.Rule, Secret: f.Secret, fingerprint: f.Fingerprint})
	}
	return changes
}
