package formation

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

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
// nothing to whoever lacks the key. Names with other characters than printable
// ASCII are quoted as in JSON, so that none passes for a line of its own; so are
// those with : or #, which could be commands to the pipeline that prints them.
// Equal values have equal marks, however they are spelled.
func (v *Vault) Describe(key *crypto.Key) []byte {
	var b bytes.Buffer
	for _, name := range v.Names() {
		if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\:#`, r) }) || name == "" {
			var quoted bytes.Buffer
			writeJSONString(&quoted, name)
			b.Write(bytes.ReplaceAll(quoted.Bytes(), []byte("#"), []byte(`\u0023`)))
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
	return append([]byte{0xff}, canonicalJSON(e.raw)...)
}

// canonicalJSON is one form for all spellings of a JSON value: of an object's
// names, sorted, each once, the last value counts.
func canonicalJSON(raw []byte) []byte {
	spelled, _ := spellHalves(raw)
	decoder := json.NewDecoder(bytes.NewReader(spelled))
	decoder.UseNumber()

	var value any
	if err := decoder.Decode(&value); err != nil {
		return raw // it was read once, so it is JSON
	}
	canonical, err := json.Marshal(canonicalNumbers(value))
	if err != nil {
		return raw // what was decoded can be encoded
	}
	return canonical
}

// canonicalNumbers makes numbers what Python's json tells apart: whole ones by
// their digits, others by their float64.
func canonicalNumbers(value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = canonicalNumbers(value[i])
		}
	case map[string]any:
		for name := range value {
			value[name] = canonicalNumbers(value[name])
		}
	case json.Number:
		f, err := value.Float64()
		switch whole := !strings.ContainsAny(value.String(), ".eE"); {
		case value == "-0":
			return json.Number("0")
		case !whole && err == nil: // in range
			return json.Number(strconv.FormatFloat(f, 'e', -1, 64)) // the e keeps 1.0 apart from 1
		}
	}
	return value
}
