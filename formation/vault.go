package formation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Vault is the plaintext of secrets.enc: names and their values. It holds
// secrets, so it never prints itself.
type Vault struct {
	entries map[string]entry
	// before is what the names that were touched since held at first; nil is
	// nothing.
	before map[string]*entry
}

// entry is one value: a string, or the JSON of anything else, kept as it is.
type entry struct {
	value string
	raw   []byte // set when the value is no string that UTF-8 can hold
}

// String keeps values out of logs and test failures.
func (v *Vault) String() string { return fmt.Sprintf("vault of %d secrets", len(v.entries)) }

// GoString keeps values out of %#v.
func (v *Vault) GoString() string { return v.String() }

// NewVault returns an empty vault.
func NewVault() *Vault { return &Vault{entries: map[string]entry{}} }

// ContentError says that a vault opened and holds something else than a JSON
// object of names and values.
type ContentError struct{ Reason string }

func (e *ContentError) Error() string { return e.Reason }

// ErrNotText is a stored value that is no text: a number, a list, or a string
// with half a surrogate pair, as older tools could write.
var ErrNotText = errors.New("the stored value is not a text")

// DecodeVault reads a vault's plaintext as Python's json.loads does: UTF-8
// without a BOM, of a name that comes twice the last value counts. Values that
// are no strings are kept byte for byte. Errors: *ContentError.
func DecodeVault(plaintext []byte) (*Vault, error) {
	if !utf8.Valid(plaintext) {
		return nil, &ContentError{"it holds bytes that are not UTF-8"}
	}

	var v Vault
	err := json.Unmarshal(plaintext, &v.entries)

	var damaged *json.SyntaxError
	switch {
	case errors.As(err, &damaged):
		return nil, &ContentError{"its JSON is damaged"}
	case err != nil, v.entries == nil: // null is no error
		return nil, &ContentError{"it does not hold a JSON object of names and values"}
	}
	return &v, nil
}

// UnmarshalJSON takes in one value of any type. A name with half a surrogate
// pair, which does not come here, gets U+FFFD in its place.
func (e *entry) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		if bytes.IndexByte(raw, '\\') < 0 {
			e.value = string(raw[1 : len(raw)-1])
			return nil
		}
		if _, halves := spellHalves(raw); !halves {
			return json.Unmarshal(raw, &e.value)
		}
	}
	e.raw = bytes.Clone(raw)
	return nil
}

// spellHalves returns valid JSON in which no string holds half a surrogate pair
// (\ud800), which Python keeps and which no UTF-8 can hold: it becomes U+FFFD and
// its four digits, and so does U+FFFD itself, so that different strings stay
// different.
func spellHalves(raw []byte) (spelled []byte, halves bool) {
	spelled = make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		size, unit := 1, rune(0)
		switch {
		case bytes.HasPrefix(raw[i:], []byte("\ufffd")):
			size, unit = utf8.RuneLen(utf8.RuneError), utf8.RuneError
		case raw[i] == '\\' && raw[i+1] != 'u':
			size = 2
		case raw[i] == '\\':
			size, unit = 6, escapedUnit(raw[i:])
			if utf16.DecodeRune(unit, escapedUnit(raw[i+6:])) != utf8.RuneError {
				size, unit = 12, 0 // both halves
			}
		}

		if half := utf16.IsSurrogate(unit); half || unit == utf8.RuneError {
			spelled = fmt.Appendf(spelled, "\ufffd%04x", unit)
			halves = halves || half
		} else {
			spelled = append(spelled, raw[i:i+size]...)
		}
		i += size
	}

	return spelled, halves
}

// escapedUnit is the number of the \u escape that JSON goes on with, or 0.
func escapedUnit(raw []byte) rune {
	if !bytes.HasPrefix(raw, []byte(`\u`)) {
		return 0
	}
	n, _ := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return rune(n)
}

// Encode returns the vault's plaintext: the bytes of Python's
// json.dumps(vault, indent=2, sort_keys=True), which is ASCII throughout.
func (v *Vault) Encode() []byte {
	names := v.Names()
	if len(names) == 0 {
		return []byte("{}")
	}
	var b bytes.Buffer
	b.WriteString("{\n")
	for i, name := range names {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString("  ")
		writeJSONString(&b, name)
		b.WriteString(": ")
		if e := v.entries[name]; e.raw != nil {
			b.Write(e.raw)
		} else {
			writeJSONString(&b, e.value)
		}
	}

	b.WriteString("\n}")
	return b.Bytes()
}

// writeJSONString writes s as Python's json does with ensure_ascii.
func writeJSONString(b *bytes.Buffer, s string) {
	const hex = "0123456789abcdef"
	escape := func(r rune) {
		b.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			b.WriteByte(hex[r>>shift&0xf])
		}
	}

	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteByte(byte(r))
		case r >= ' ' && r <= '~':
			b.WriteByte(byte(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			escape(high)
			escape(low)
		default:
			escape(r)
		}
	}

	b.WriteByte('"')
}

// Names returns the stored names, sorted by code point.
func (v *Vault) Names() []string {
	names := make([]string, 0, len(v.entries))
	for name := range v.entries {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Len is the number of stored secrets.
func (v *Vault) Len() int { return len(v.entries) }

// Has reports whether name, exactly so spelled, is stored.
func (v *Vault) Has(name string) bool {
	_, ok := v.entries[name]
	return ok
}

// Find returns the stored name that a person's spelling means: the very name,
// else the normalised one.
func (v *Vault) Find(spelled string) (string, bool) {
	if v.Has(spelled) {
		return spelled, true
	}
	name := Normalize(spelled)
	return name, v.Has(name)
}

// Get returns the value stored under name; ok is false where there is none.
// A value that is no text is ErrNotText.
func (v *Vault) Get(name string) (value string, ok bool, err error) {
	e, ok := v.entries[name]
	if !ok {
		return "", false, nil
	}
	if e.raw != nil {
		return "", true, ErrNotText
	}
	return e.value, true, nil
}

// Text returns what can be given out under a stored name: the value, or the JSON
// of one that is no string. A string that no UTF-8 can hold is ErrNotText.
func (v *Vault) Text(name string) (string, error) {
	e := v.entries[name]
	if e.raw == nil {
		return e.value, nil
	}
	if e.raw[0] == '"' {
		return "", ErrNotText
	}
	return string(e.raw), nil
}

// Set stores a value, which must be valid UTF-8, and reports whether that
// changed anything.
func (v *Vault) Set(name, value string) bool {
	if e, ok := v.entries[name]; ok && e.raw == nil && e.value == value {
		return false
	}
	v.touch(name)
	v.entries[name] = entry{value: strings.Clone(value)}
	return true
}

// Delete removes a name and reports whether it was there.
func (v *Vault) Delete(name string) bool {
	had := v.Has(name)
	v.touch(name)
	delete(v.entries, name)
	return had
}

// Copy stores under to whatever from holds, of any JSON type.
func (v *Vault) Copy(from, to string) {
	if e, ok := v.entries[from]; ok {
		v.touch(to)
		v.entries[to] = e
	}
}

// touch remembers what a name held before its first change.
func (v *Vault) touch(name string) {
	if _, ok := v.before[name]; ok {
		return
	}
	if v.before == nil {
		v.before = map[string]*entry{}
	}
	v.before[name] = nil
	if e, ok := v.entries[name]; ok {
		v.before[name] = &e
	}
}

// Changed reports whether the vault holds anything else than when it was made.
func (v *Vault) Changed() bool { return len(v.Touched()) > 0 }

// Touched returns the names that hold something else than when the vault was
// made, or nothing any more; sorted.
func (v *Vault) Touched() []string {
	var names []string
	for name, was := range v.before {
		now, ok := v.entries[name]
		if ok != (was != nil) || ok && !now.equal(*was) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func (e entry) equal(other entry) bool {
	return e.value == other.value && bytes.Equal(e.raw, other.raw)
}

// Same reports whether two names are both stored and hold equal values.
func (v *Vault) Same(a, b string) bool {
	x, okA := v.entries[a]
	y, okB := v.entries[b]
	return okA && okB && x.equal(y)
}
