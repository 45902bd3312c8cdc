package formation

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// ChangeKind is what happened to a name between two vaults.
type ChangeKind string

// The kinds of change, as `diff --json` and `log --json` spell them.
const (
	Added   ChangeKind = "added"
	Changed ChangeKind = "changed"
	Removed ChangeKind = "removed"
)

// Change is one name that two vaults do not agree on.
type Change struct {
	Name string
	Kind ChangeKind
}

// Contest is a name that both sides of a merge changed, each in its own way.
type Contest struct {
	Name         string
	Ours, Theirs ChangeKind // against the base
}

// DiffVaults returns what leads from one vault to another, sorted by name; nil
// is the empty vault. Values that Python's json reads as equal are no change,
// however they are spelled.
func DiffVaults(from, to *Vault) []Change {
	var changes []Change
	for _, name := range sortedNames(from, to) {
		if kind := changeOf(name, from, to); kind != "" {
			changes = append(changes, Change{name, kind})
		}
	}
	return changes
}

// MergeVaults merges two vaults by name, against the one that both came from;
// nil is the empty vault. A name that one side changed is as that side has it,
// a name that both changed alike too. A name that they changed differently,
// change against delete included, is contested: merged holds ours of it.
// Contests are sorted by name.
func MergeVaults(base, ours, theirs *Vault) (merged *Vault, contested []Contest) {
	merged = NewVault()
	for _, name := range sortedNames(ours, theirs) {
		mine, yours := changeOf(name, base, ours), changeOf(name, base, theirs)
		from := ours
		switch {
		case yours == "" || changeOf(name, ours, theirs) == "":
		case mine == "":
			from = theirs
		default:
			contested = append(contested, Contest{name, mine, yours})
		}
		if e, ok := from.entry(name); ok {
			merged.entries[name] = e
		}
	}
	return merged, contested
}

// sortedNames returns the names that either vault holds.
func sortedNames(a, b *Vault) []string {
	set := map[string]bool{}
	for _, v := range []*Vault{a, b} {
		if v != nil {
			for name := range v.entries {
				set[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// entry returns what is stored under name; a nil vault holds nothing.
func (v *Vault) entry(name string) (entry, bool) {
	if v == nil {
		return entry{}, false
	}
	e, ok := v.entries[name]
	return e, ok
}

// changeOf says what happened to one name between two vaults; "" is nothing.
func changeOf(name string, from, to *Vault) ChangeKind {
	was, before := from.entry(name)
	is, after := to.entry(name)
	switch {
	case !before && !after, before && after && was.means(is):
		return ""
	case !before:
		return Added
	case !after:
		return Removed
	}
	return Changed
}

// Take makes name what it is in another vault: a value of any JSON type, or
// gone; nil is the empty vault.
func (v *Vault) Take(name string, from *Vault) {
	e, ok := from.entry(name)
	if !ok {
		v.Delete(name)
		return
	}
	v.touch(name)
	v.entries[name] = e
}

// Spoil stores a fresh random text under name. The virtual base of a
// criss-cross merge holds it for a contested name, so that it equals neither
// side and the outer merge contests the name again: with ours in the base, the
// outer merge would take theirs in silence.
func (v *Vault) Spoil(name string) { v.Set(name, rand.Text()) }

// Describe returns the vault as git's textconv shows it: a line "NAME MARK" for
// each name, sorted, where the mark tells the values of one name apart and tells
// nothing to whoever lacks the key. Names of other characters than printable
// ASCII are quoted as in JSON, so that none passes for a line of its own.
// Equal values have equal marks, however they are spelled.
func (v *Vault) Describe(key *crypto.Key) []byte {
	var b bytes.Buffer
	for _, name := range v.Names() {
		if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) || name == "" {
			writeJSONString(&b, name)
		} else {
			b.WriteString(name)
		}
		b.WriteByte(' ')
		b.WriteString(key.Mark(name, v.entries[name].meaning()))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// means reports whether two values are equal to whoever reads the JSON.
func (e entry) means(other entry) bool {
	if e.raw == nil || other.raw == nil {
		return e.equal(other) // a text never equals a value that is none
	}
	return bytes.Equal(e.raw, other.raw) || bytes.Equal(e.meaning(), other.meaning())
}

// meaning returns bytes that two values share when they are equal, and only
// then. The 0xff, which no text holds, keeps [1] apart from "[1]".
func (e entry) meaning() []byte {
	if e.raw == nil {
		return []byte(e.value)
	}
	p := plainJSON{in: e.raw}
	return append([]byte{0xff}, p.value()...)
}

// plainJSON rewrites valid JSON in one form for all its spellings: no blanks,
// strings without escapes (half a surrogate pair as three bytes, WTF-8), the
// names of an object sorted and each once, the last value counting, and numbers
// as Python's json tells them apart: whole ones by their digits, others by
// their float64. Strings are written with their length, lists and objects as a
// SHA-256 of what they hold, so that no two values share a form.
type plainJSON struct {
	in []byte
	at int
}

// next skips blanks and returns the byte that follows, 0 at the end.
func (p *plainJSON) next() byte {
	for p.at < len(p.in) {
		switch c := p.in[p.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			p.at++ // between values; the input is known to be valid
		default:
			return c
		}
	}
	return 0
}

func (p *plainJSON) value() string {
	switch c := p.next(); c {
	case '"':
		return p.text()
	case '[':
		var b strings.Builder
		for p.at++; p.next() != ']' && p.at < len(p.in); {
			b.WriteString(p.value())
			b.WriteByte(',')
		}
		p.at++
		return plainSum('[', b.String())
	case '{':
		members := map[string]string{}
		for p.at++; p.next() == '"'; {
			name := p.text()
			members[name] = p.value()
		}
		p.at++
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(members)) {
			b.WriteString(name)
			b.WriteString(members[name])
			b.WriteByte(',')
		}
		return plainSum('{', b.String())
	}
	start := p.at
	for p.at < len(p.in) && !bytes.ContainsRune([]byte(" \t\r\n,:]}"), rune(p.in[p.at])) {
		p.at++
	}
	return plainNumber(string(p.in[start:p.at]))
}

// plainSum stands for what a list or an object holds. A sum, so that the work
// does not grow with the square of the nesting.
func plainSum(kind byte, members string) string {
	sum := sha256.Sum256([]byte(members))
	return string(kind) + string(sum[:])
}

// plainNumber is one form for all spellings of a number; other words stay.
func plainNumber(word string) string {
	if word == "-0" {
		return "0"
	}
	if strings.Trim(word, "+-.0123456789eE") != "" || !strings.ContainsAny(word, ".eE") {
		return word // true, null, a whole number
	}
	f, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return word // out of range
	}
	return strconv.FormatFloat(f, 'e', -1, 64) // the e keeps 1.0 apart from 1
}

// text reads a string and returns it as LENGTH"BYTES.
func (p *plainJSON) text() string {
	var b []byte
	for p.at++; p.at < len(p.in) && p.in[p.at] != '"'; p.at++ {
		c := p.in[p.at]
		if c != '\\' || p.at+1 == len(p.in) {
			b = append(b, c)
			continue
		}
		p.at++
		switch c = p.in[p.at]; c {
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			b = p.escaped(b)
		default:
			b = append(b, c)
		}
	}
	p.at++
	return strconv.Itoa(len(b)) + `"` + string(b)
}

// escaped appends the character of a \u escape, with p.at on the u, and leaves
// p.at on the escape's last byte.
func (p *plainJSON) escaped(b []byte) []byte {
	r, _ := hex4(p.in[p.at+1:])
	p.at += 4
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(b, r)
	}
	if bytes.HasPrefix(p.in[min(p.at+1, len(p.in)):], []byte(`\u`)) {
		low, _ := hex4(p.in[p.at+3:])
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			p.at += 6
			return utf8.AppendRune(b, pair)
		}
	}
	return append(b, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
}
