package formation

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// Bounds of .age-recipients, so that a hostile one costs nothing.
const (
	maxPeopleFile = 1 << 20  // bytes
	maxPeople     = 4096     // entries
	maxPeopleLine = 60 << 10 // bytes; the age program's own reader ends at 64 KiB
	maxPersonName = 200      // characters
	maxSeenSecret = 500      // bytes of a secret's name in an exposure
	maxSeenLine   = 4 << 10  // bytes of an exposure, all of its name escaped
)

// Why .age-recipients cannot be read, where no single key is to blame.
var (
	// ErrPeopleMarkers says that git left its conflict markers in it.
	ErrPeopleMarkers = errors.New("it has merge markers")
	errPeopleText    = errors.New("it is not UTF-8 text")
	errPeopleControl = errors.New("a control character")
)

// PeopleError says where .age-recipients cannot be read. Err is a
// *crypto.RecipientError where a line is no public key. Nothing of the file is
// in it.
type PeopleError struct {
	Path string // "" where only bytes were parsed
	Line int    // 1-based; 0: the file as a whole
	Err  error
}

func (e *PeopleError) Error() string {
	text := e.Err.Error()
	if e.Line > 0 {
		text = fmt.Sprintf("line %d: %s", e.Line, text)
	}
	if e.Path == "" {
		return text
	}
	return fmt.Sprintf("cannot read '%s': %s", e.Path, text)
}
func (e *PeopleError) Unwrap() error { return e.Err }

// Person is somebody the key is wrapped for.
type Person struct {
	Name      string // "" where the file gives none
	Recipient string // the public key's canonical text
}

// Exposure says that a removed person has seen the value that a secret still
// has. Where so many secrets would make the list too long to be read, Secret is
// "all 50000", for those that there were, and stays until somebody takes the line
// out.
type Exposure struct{ Person, Secret string }

// IsAll reports whether an exposure is of all secrets that there were.
func (e Exposure) IsAll() bool {
	count, ok := strings.CutPrefix(e.Secret, "all ")
	return ok && count != "" && strings.Trim(count, "0123456789") == ""
}

// People is the content of .age-recipients: the public keys that .key is wrapped
// for, and what people who were removed have seen. The same people give the
// same bytes, in whatever order they were added.
type People struct {
	header, footer []string // comment lines, and "" between their blocks
	entries        map[string]*peopleEntry
	exposed        map[Exposure]bool

	foot    *Foot // nil: none
	footErr error
	signer  *crypto.Key // that signs what is encoded; nil: nobody
	// text is a list with a foot, but for its exposures, as it was read: what is
	// signed there stays as it is until somebody comes or goes. nil from then on.
	text []string
}

type peopleEntry struct {
	name  string
	notes []string // comment lines above that of the name
	key   *crypto.Recipient
}

// The lines that exposures are kept in.
const (
	seenTitle  = "# Values that removed people have seen; a name goes when its value changes:"
	seenPrefix = "# seen by "
)

func newPeople() *People {
	return &People{entries: map[string]*peopleEntry{}, exposed: map[Exposure]bool{}}
}

// ParsePeople reads a .age-recipients file: one public key per line, with the
// person's name in the comment line right above it or, for an SSH key, in its
// own comment. Other comments are kept, blank lines are not; CRLF and a BOM are
// fine. Of a key that comes twice the first counts. The error is a
// *PeopleError.
//
// The age program reads the same syntax with -R, but for CRLF and blanks at the
// start of a line.
func ParsePeople(content []byte) (*People, error) {
	text := plainLines(content)
	switch {
	case len(content) > maxPeopleFile:
		return nil, &PeopleError{Err: fmt.Errorf("it is longer than %d bytes", maxPeopleFile)}
	case !utf8.Valid(text):
		return nil, &PeopleError{Err: errPeopleText}
	}

	p := newPeople()
	p.foot, p.footErr = ParseFoot(content)
	lines := strings.Split(string(text), "\n")
	var block []string // the lines since the last key: comments, and "" for blank ones
	for i, line := range lines {
		failed := func(err error) (*People, error) { return nil, &PeopleError{Line: i + 1, Err: err} }
		switch {
		case len(line) > maxPeopleLine:
			return failed(fmt.Errorf("longer than %d bytes", maxPeopleLine))
		case isMergeMarker(line):
			return failed(ErrPeopleMarkers)
		case strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }):
			return failed(errPeopleControl)
		}

		written := line
		line = strings.TrimSpace(line)
		exposure, seen := parseExposure(line)
		if seen {
			p.exposed[exposure] = true
		}
		seen = seen || line == seenTitle
		if !seen && (p.foot != nil || p.footErr != nil) {
			p.text = append(p.text, written)
		}

		// Neither is anybody's name, nor a note of theirs.
		if seen || isFootLine(line) {
			line = ""
		}
		if line == "" || line[0] == '#' {
			block = append(block, line)
			continue
		}

		key, err := crypto.ParseRecipient(line)
		if err != nil {
			return failed(err)
		}
		if len(p.entries) == 0 {
			p.header, block = cutHeader(block)
		}
		p.read(key, block)
		block = nil
		if len(p.entries) > maxPeople {
			return failed(fmt.Errorf("more than %d people", maxPeople))
		}
	}

	if len(p.entries) == 0 {
		p.header = trimBlock(block)
	} else {
		p.footer = trimBlock(block)
	}

	return p, nil
}

// read adds a key and the lines above it.
func (p *People) read(key *crypto.Recipient, block []string) {
	name := ""
	if last := len(block) - 1; last >= 0 && block[last] != "" {
		name = cleanPersonName(block[last][1:])
		block = block[:last]
	}

	if name == "" {
		name = cleanPersonName(key.Comment())
	}
	notes := slices.DeleteFunc(slices.Clone(block), func(line string) bool { return line == "" })
	text := key.String()
	if there := p.entries[text]; there != nil {
		there.name = cmp.Or(there.name, name)
		there.notes = append(there.notes, notes...)
		return
	}

	p.entries[text] = &peopleEntry{name, notes, key}
}

// cutHeader splits what stands above the first key: the blocks that a blank line
// follows are the file's, the one right above the key is the key's.
func cutHeader(block []string) (header, rest []string) {
	for at := len(block) - 1; at >= 0; at-- {
		if block[at] == "" {
			return trimBlock(block[:at]), block[at+1:]
		}
	}
	return nil, block
}

// trimBlock takes off blank lines at both ends and all but one in between.
func trimBlock(block []string) []string {
	var lines []string
	for _, line := range block {
		if line != "" || len(lines) > 0 && lines[len(lines)-1] != "" {
			lines = append(lines, line)
		}
	}
	if last := len(lines) - 1; last >= 0 && lines[last] == "" {
		lines = lines[:last]
	}
	return lines
}

func isMergeMarker(line string) bool {
	for _, marker := range [...]string{"<<<<<<<", "|||||||", "=======", ">>>>>>>"} {
		if strings.HasPrefix(line, marker) {
			return true
		}
	}
	return false
}

// parseExposure reads a line that formatExposure wrote.
func parseExposure(line string) (Exposure, bool) {
	text, ok := strings.CutPrefix(line, seenPrefix)
	if !ok || len(line) > maxSeenLine {
		return Exposure{}, false
	}

	// A quoted name has no `: "` in it, but at its end.
	for end := len(text); ; {
		at := strings.LastIndex(text[:end], ": ")
		if at < 0 {
			return Exposure{}, false
		}
		person, secret := text[:at], text[at+len(": "):]
		if strings.HasPrefix(secret, `"`) {
			unquoted, err := strconv.Unquote(secret)
			if err != nil {
				end = at + 1
				continue
			}

			secret = unquoted
		} else if !isPlainSecret(secret) && !(Exposure{Secret: secret}).IsAll() {
			end = at + 1
			continue
		}

		if person != cleanPersonName(person) || person == "" || secret == "" {
			return Exposure{}, false
		}
		return Exposure{person, seenSecret(secret)}, true
	}
}

func (e Exposure) line() string {
	secret := e.Secret
	if !isPlainSecret(secret) && !e.IsAll() {
		secret = strconv.QuoteToASCII(secret)
	}
	return seenPrefix + e.Person + ": " + secret
}

// isPlainSecret reports whether a secret's name needs no quotes. Those that the
// runtime makes do not; other tools may have stored any text.
func isPlainSecret(name string) bool {
	for i := range len(name) {
		if !isNameByte(name[i]) {
			return false
		}
	}
	return name != ""
}

// seenSecret is a secret's name as an exposure has it: one that would fill the
// line gives way to a part of it and its hash.
func seenSecret(name string) string {
	name = strings.ToValidUTF8(name, "\ufffd")
	if len(name) <= maxSeenSecret {
		return name
	}
	return strings.ToValidUTF8(name[:100], "") + fmt.Sprintf("...%x", sha256.Sum256([]byte(name)))
}

// cleanPersonName makes a name fit for one comment line and for a terminal. One
// that would be read as a line of ours is put in brackets.
func cleanPersonName(name string) string {
	name = crypto.Printable(name)
	if line := "# " + name; strings.HasPrefix(line, seenPrefix) || line == seenTitle || isFootLine(line) {
		name = "(" + name + ")"
	}
	if runes := []rune(name); len(runes) > maxPersonName {
		name = strings.TrimSpace(string(runes[:maxPersonName]))
	}
	return name
}

// ReadPeople reads the formation's .age-recipients; an absent one is empty, with
// ok false. It fails with *safefile.Error, or *PeopleError with its Path.
func (f *Formation) ReadPeople() (p *People, ok bool, err error) {
	path := f.Path(RecipientsFile)
	content, err := safefile.Read(path, maxPeopleFile)
	if errors.Is(err, fs.ErrNotExist) {
		if link, linkErr := os.Readlink(path); linkErr == nil {
			return nil, false, &safefile.Error{Op: "read", Path: path, Err: fmt.Errorf("it is a link to '%s', which is not there", link)}
		}
		return newPeople(), false, nil
	}

	if err != nil {
		return nil, false, &safefile.Error{Op: "read", Path: path, Err: err}
	}
	p, err = ParsePeople(content)
	if bad, isOne := errors.AsType[*PeopleError](err); isOne {
		bad.Path = path
	}
	return p, err == nil, err
}

// ReadList reads the formation's .age-recipients as bytes; nil where there is none.
// It fails with *safefile.Error.
func (f *Formation) ReadList() ([]byte, error) {
	path := f.Path(RecipientsFile)
	content, err := safefile.Read(path, 16*maxPeopleFile) // one that is too long is there all the same
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, &safefile.Error{Op: "read", Path: path, Err: err}
	}
	return append([]byte{}, content...), nil
}

// sorted returns the entries by name, letter case folded, then by key.
func (p *People) sorted() []*peopleEntry {
	return slices.SortedFunc(maps.Values(p.entries), func(a, b *peopleEntry) int {
		return cmp.Or(cmp.Compare(fold(a.name), fold(b.name)), cmp.Compare(a.key.String(), b.key.String()))
	})
}

func fold(name string) string { return strings.ToLower(name) }

func (e *peopleEntry) person() Person { return Person{e.name, e.key.String()} }

// All returns the people, in the file's order.
func (p *People) All() []Person {
	var all []Person
	for _, e := range p.sorted() {
		all = append(all, e.person())
	}
	return all
}

// Recipients returns their public keys, in the same order.
func (p *People) Recipients() []*crypto.Recipient {
	var keys []*crypto.Recipient
	for _, e := range p.sorted() {
		keys = append(keys, e.key)
	}
	return keys
}

// Add adds a public key under a name or, where that is "", an SSH key's own
// comment. A key that is there already gets the name, unless that is "". Add
// reports whether it changed anything.
func (p *People) Add(name string, r *crypto.Recipient) bool {
	name = cleanPersonName(name)
	if e := p.entries[r.String()]; e != nil {
		if name == "" || name == e.name {
			return false
		}
		e.name = name
		p.text = nil
		return true
	}
	p.text = nil
	p.entries[r.String()] = &peopleEntry{name: cmp.Or(name, cleanPersonName(r.Comment())), key: r}
	return true
}

// Find returns the people that who names: by public key (with or without a
// comment), by name, or else by name in any letter case. Several may share a
// name.
func (p *People) Find(who string) []Person {
	if r, err := crypto.ParseRecipient(who); err == nil {
		if e := p.entries[r.String()]; e != nil {
			return []Person{e.person()}
		}
		return nil
	}

	who = cleanPersonName(who)
	if who == "" {
		return nil
	}

	for _, same := range [...]func(string) bool{
		func(name string) bool { return name == who },
		func(name string) bool { return sameName(name, who) },
	} {
		var found []Person
		for _, e := range p.sorted() {
			if same(e.name) {
				found = append(found, e.person())
			}
		}

		if found != nil {
			return found
		}
	}

	return nil
}

func sameName(a, b string) bool { return strings.EqualFold(a, b) }

// Remove removes a public key, given by its canonical text, and reports whether
// it was there.
func (p *People) Remove(recipient string) bool {
	_, there := p.entries[recipient]
	if there {
		delete(p.entries, recipient)
		p.text = nil
	}
	return there
}

// Expose notes that a person, who may be gone, has seen these secrets' values.
// Where the person has no name, the public key stands for it.
func (p *People) Expose(person string, secrets []string) {
	person = cleanPersonName(person)
	if person == "" {
		return
	}
	for _, secret := range secrets {
		if secret != "" {
			p.exposed[Exposure{person, seenSecret(secret)}] = true
		}
	}
}

// Exposed returns who has seen what, sorted by person, letter case folded, and
// secret.
func (p *People) Exposed() []Exposure {
	return slices.SortedFunc(maps.Keys(p.exposed), func(a, b Exposure) int {
		return cmp.Or(cmp.Compare(fold(a.Person), fold(b.Person)), cmp.Compare(a.Person, b.Person), cmp.Compare(a.Secret, b.Secret))
	})
}

// fit makes a person's exposures one, the longest first, until all of them take at
// most room bytes.
func (p *People) fit(room int) {
	size := map[string]int{} // of each person's lines
	count := map[string]int{}
	all := len(seenTitle) + 2
	for e := range p.exposed {
		size[e.Person] += len(e.line()) + 1
		count[e.Person]++
		all += len(e.line()) + 1
	}

	people := slices.SortedFunc(maps.Keys(size), func(a, b string) int { return cmp.Or(size[b]-size[a], cmp.Compare(a, b)) })
	var ones []Exposure
	short := map[string]bool{}
	for _, person := range people {
		if all <= room || count[person] == 1 {
			break
		}
		one := Exposure{person, fmt.Sprintf("all %d", count[person])}
		ones, short[person] = append(ones, one), true
		all += len(one.line()) + 1 - size[person]
	}

	p.dropExposed(func(e Exposure) bool { return short[e.Person] })
	for _, one := range ones {
		p.exposed[one] = true
	}
}

// Settle notes that a secret has another value, which nobody who was removed has
// seen, and reports whether somebody had seen the old one.
func (p *People) Settle(secret string) bool {
	return p.dropExposed(func(e Exposure) bool { return e.Secret == seenSecret(secret) })
}

// RenameSecret moves what was seen under a secret's old name to its new one.
func (p *People) RenameSecret(from, to string) {
	for e := range maps.Clone(p.exposed) {
		if e.Secret == seenSecret(from) {
			delete(p.exposed, e)
			p.exposed[Exposure{e.Person, seenSecret(to)}] = true
		}
	}
}

// Forgive forgets what a person has seen, who was added again.
func (p *People) Forgive(person string) {
	person = cleanPersonName(person)
	p.dropExposed(func(e Exposure) bool { return sameName(e.Person, person) })
}

func (p *People) dropExposed(drop func(Exposure) bool) bool {
	before := len(p.exposed)
	maps.DeleteFunc(p.exposed, func(e Exposure, _ bool) bool { return drop(e) })
	return len(p.exposed) < before
}

// Encode returns the bytes of .age-recipients; none where there is nothing to
// say. ParsePeople reads them again, unless they have become longer than it
// reads. Of a list with a foot all but the exposures is as it was read, where nobody
// came or went and no key is to sign: a signature above them holds.
func (p *People) Encode() []byte {
	var b strings.Builder
	part := func(lines []string) {
		if b.Len() > 0 && len(lines) > 0 {
			b.WriteString("\n")
		}
		for _, line := range lines {
			b.WriteString(line + "\n")
		}
	}

	if p.text != nil {
		part(trimEnd(p.text))
	} else {
		part(p.header)
		part(p.entryLines())
		part(p.footer)
		p.encodeFoot(&b, part)
	}

	if len(p.exposed) > 0 {
		p.fit(maxPeopleFile - b.Len())
		lines := []string{seenTitle}
		for _, e := range p.Exposed() {
			lines = append(lines, e.line())
		}

		part(lines)
	}

	return []byte(b.String())
}

// trimEnd takes off blank lines at the end.
func trimEnd(lines []string) []string {
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func (p *People) entryLines() (lines []string) {
	for _, e := range p.sorted() {
		lines = append(lines, e.notes...)
		switch {
		case e.name != "":
			lines = append(lines, "# "+e.name)
		case len(e.notes) > 0:
			lines = append(lines, "#") // or the last note would be the name
		}
		lines = append(lines, e.key.String())
	}
	return lines
}

// encodeFoot puts the foot below what is written so far. Without a signer its
// signature is the one from before, which holds no longer.
func (p *People) encodeFoot(b *strings.Builder, part func([]string)) {
	if p.foot == nil {
		return
	}

	signed, _ := p.foot.lines()
	part(signed)
	if p.signer != nil {
		p.foot.Signature = p.signer.SignPeople([]byte(b.String()))
	}
	_, signature := p.foot.lines()
	b.WriteString(signature + "\n")
}

// MergePeople merges two changes of one file by public key and by exposure. What
// one side removed stays removed, what one side added comes in, and of a name or
// comment that both changed ours counts. base may be nil, for an empty one. None
// of the three changes.
func MergePeople(base, ours, theirs *People) *People {
	if base == nil {
		base = newPeople()
	}

	m := newPeople()
	m.header = mergeLines(base.header, ours.header, theirs.header)
	m.footer = mergeLines(base.footer, ours.footer, theirs.footer)
	m.foot = mergeFeet(ours.foot, theirs.foot)
	for text := range union(ours.entries, theirs.entries) {
		b, o, t := base.entries[text], ours.entries[text], theirs.entries[text]
		switch {
		case o != nil && t != nil:
			if b == nil {
				b = &peopleEntry{}
			}
			m.entries[text] = &peopleEntry{
				name:  mergeText(b.name, o.name, t.name),
				notes: mergeLines(b.notes, o.notes, t.notes),
				key:   o.key,
			}
		case b == nil:
			one := *cmp.Or(o, t)
			m.entries[text] = &one
		}
	}

	for e := range union(ours.exposed, theirs.exposed) {
		if ours.exposed[e] && theirs.exposed[e] || !base.exposed[e] {
			m.exposed[e] = true
		}
	}

	return m
}

// mergeText is ours, unless only theirs changed.
func mergeText(base, ours, theirs string) string {
	if ours == base {
		return theirs
	}
	return ours
}

func mergeLines(base, ours, theirs []string) []string {
	if slices.Equal(ours, base) {
		return slices.Clone(theirs)
	}
	return slices.Clone(ours)
}

func union[K comparable, V any](a, b map[K]V) map[K]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
