package formation

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"sync"
)

// KeyFormat is how a provider's keys look. Prefix, alphabet and length decide,
// unless the format is weak.
type KeyFormat struct {
	Prefix string // what each of them begins with, and what may be shown of it; may be ""
	Form   Form   // what follows the prefix
	Name   string // for people: "a Groq key"
	Source string // where its provider shows one or speaks of them, without https://
	Shown  Shown  // how much of the form the source was seen to say
	// Weak says that words and identifiers begin like this, too: the rest has to
	// look like chance.
	Weak bool
}

// Shown is how much of a form its source was seen to say, when the table was last
// gone through.
type Shown string

const (
	Unconfirmed Shown = ""       // nothing that could be confirmed: it is how keys look that people have
	PrefixAlone Shown = "prefix" // the prefix; the rest is how keys look
	Whole       Shown = "whole"  // prefix and length, in words, as an example, or as code that makes or checks keys
)

// Form is how what follows a prefix is written: parts with blanks between, each a
// 'text' or a letter for an alphabet with a length: "a8 '_' a24", "h64", "w20-40",
// "w20+" (no limit). The alphabets are those of [Alphabet].
type Form string

// Alphabet is a set of characters:
//
//	a  letters and digits            h  0-9 a-f
//	l  small letters and digits      x  hex in either case
//	u  capitals and digits           i  0-9 a-f -, as in a UUID
//	d  digits                        b  base64
//	w  letters, digits, _ and -      e  base64 in both alphabets
//	k  the same and dots             q  the same and ~
//	s  what digits look like in base64, and m what these begin with
type Alphabet byte

// Part is a part of a form: a text, or Min to Max characters of an alphabet. Max
// 0: no limit.
type Part struct {
	Text     string
	Alphabet Alphabet
	Min, Max int
}

// Cut returns the first part of the form, and the rest.
func (f Form) Cut() (Part, Form) {
	part, rest, _ := strings.Cut(string(f), " ")
	if part[0] == '\'' {
		return Part{Text: part[1 : len(part)-1]}, Form(rest)
	}

	p := Part{Alphabet: Alphabet(part[0])}
	least, most, ranged := strings.Cut(strings.TrimSuffix(part[1:], "+"), "-")
	p.Min = number(least)
	switch {
	case ranged:
		p.Max = number(most)
	case part[len(part)-1] != '+':
		p.Max = p.Min
	}
	return p, Form(rest)
}

func number(digits string) (n int) {
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}

// Has reports whether b is in the alphabet.
func (a Alphabet) Has(b byte) bool {
	lower, upper, digit := b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9'
	alnum := lower || upper || digit
	switch a {
	case 'a':
		return alnum
	case 'l':
		return lower || digit
	case 'u':
		return upper || digit
	case 'd':
		return digit
	case 'h':
		return digit || b >= 'a' && b <= 'f'
	case 'x':
		return digit || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
	case 'i':
		return digit || b >= 'a' && b <= 'f' || b == '-'
	case 'w':
		return alnum || b == '-' || b == '_'
	case 'k':
		return alnum || b == '-' || b == '_' || b == '.'
	case 'q':
		return alnum || b == '-' || b == '_' || b == '.' || b == '~'
	case 'b':
		return alnum || b == '+' || b == '/'
	case 'e':
		return alnum || strings.IndexByte("+/-_", b) >= 0
	case 'm':
		return b == 'M' || b == 'N' || b == 'O'
	case 's':
		return strings.IndexByte("MNODTjzAEIQUYcgkwxy012345", b) >= 0
	}
	return false
}

// Lead is the text that each key begins with: the prefix, or one that is too
// short to be shown of a value that is perhaps none.
func (f *KeyFormat) Lead() string {
	if f.Prefix == "" && f.Form[0] == '\'' {
		part, _ := f.Form.Cut()
		return part.Text
	}
	return f.Prefix
}

// bare says that the lead does not end in a separator, so that it may occur
// inside base64 by chance.
func (f *KeyFormat) bare() bool {
	lead := f.Lead()
	return lead != "" && Alphabet('a').Has(lead[len(lead)-1])
}

// Telling reports whether the lead tells a key even behind the - or _ of a name:
// it is not short, and no word that names have (a cache-key_ with a hash behind it).
func (f *KeyFormat) Telling() bool {
	switch lead := f.Lead(); lead {
	case "key_", "key-", "pat_", "pat-", "app-", "dataset-", "secret_", "luma-":
		return false
	default:
		return len(lead) >= 4
	}
}

// Wordy reports whether a key of the format may have - and _ in it, as names have.
func (f *KeyFormat) Wordy() bool { return strings.ContainsAny(string(f.Form), "wkqi") }

// insideBase64 reports whether the sign before start belongs to base64, and is not
// a / behind a folder's name.
func insideBase64(text []byte, start int) bool {
	if start == 0 || text[start-1] == '+' {
		return start > 0
	}
	if text[start-1] != '/' {
		return false
	}

	folder := text[max(0, start-longEnough) : start-1]
	folder = folder[bytes.LastIndexFunc(folder, func(r rune) bool { return r >= 0x80 || r != '+' && !Alphabet('w').Has(byte(r)) })+1:]
	return bytes.ContainsFunc(folder[min(1, len(folder)):], func(r rune) bool { return r == '+' || r >= 'A' && r <= 'Z' })
}

// longEnough is how much of a key without end is looked at: keys may begin at every
// word of a text, and each look has to be short.
const longEnough = 320

// Match says whether a key of the format begins at start, and where it ends.
func (f *KeyFormat) Match(text []byte, start int) (end int, ok bool) {
	if !bytes.HasPrefix(text[start:], []byte(f.Prefix)) {
		return 0, false
	}

	at, length := start+len(f.Prefix), 0
	var part Part
	for form := f.Form; form != ""; {
		part, form = form.Cut()
		if part.Text != "" {
			if !bytes.HasPrefix(text[at:], []byte(part.Text)) {
				return 0, false
			}
			at += len(part.Text)
			continue
		}

		length = 0
		most := part.Max
		if most == 0 {
			most = longEnough
		}
		for at < len(text) && length < most && part.Alphabet.Has(text[at]) {
			at, length = at+1, length+1
		}
		if length < part.Min {
			return 0, false
		}
	}
	if length == longEnough {
		return at, true // wherever it ends
	}

	for part.Text == "" && length > part.Min && strings.IndexByte("-_.", text[at-1]) >= 0 {
		at, length = at-1, length-1 // punctuation behind it; a cut key is still the same key
	}
	return at, !f.goesOn(text, start, at, part)
}

// goesOn reports whether text[start:end] is part of something longer.
func (f *KeyFormat) goesOn(text []byte, start, end int, last Part) bool {
	if f.bare() && insideBase64(text, start) {
		return true
	}
	if end == len(text) {
		return false
	}

	switch next := text[end]; next {
	case '+', '/', '=': // base64, if it begins with the key by chance, or a path
		return f.bare() && !last.Alphabet.Has('+') && (f.Weak || next == '=')
	case '-', '_':
		if next == '-' && !last.Alphabet.Has('-') {
			return false
		}
		for end < len(text) && (text[end] == '-' || text[end] == '_') {
			end++
		}
		return end < len(text) && Alphabet('a').Has(text[end])
	default:
		return Alphabet('a').Has(next)
	}
}

// KeyFormats returns the formats that providers have published, sorted by name:
// the one table for what is masked, named and searched for.
func KeyFormats() []KeyFormat {
	sorted := slices.Clone(keyFormats[:])
	slices.SortStableFunc(sorted, func(a, b KeyFormat) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Prefix, b.Prefix))
	})
	return sorted
}

// IsLeadlessLength reports whether keys without a lead that have neither dot nor
// colon in them are n bytes long.
func IsLeadlessLength(n int) bool { return n == 84 || n == 36 || n == 37 }

// KeyFormatsAt returns the formats whose keys may begin as text does, the longest
// lead first.
func KeyFormatsAt(text []byte) []KeyFormat {
	if len(text) < 2 {
		return nil
	}
	return byLead().byPair[uint16(text[0])<<8|uint16(text[1])]
}

// LeadlessKeyFormats returns those that nothing tells but their parts.
func LeadlessKeyFormats() []KeyFormat { return byLead().leadless }

// leadIndex is the table by the first two bytes of the lead.
type leadIndex struct {
	byPair   map[uint16][]KeyFormat
	leadless []KeyFormat
}

var byLead = sync.OnceValue(func() leadIndex {
	sorted := slices.Clone(keyFormats[:])
	slices.SortStableFunc(sorted, func(a, b KeyFormat) int { return cmp.Compare(len(b.Lead()), len(a.Lead())) })

	index := leadIndex{byPair: map[uint16][]KeyFormat{}}
	for _, f := range sorted {
		lead := f.Lead()
		if lead == "" {
			index.leadless = append(index.leadless, f)
			continue
		}
		pair := uint16(lead[0])<<8 | uint16(lead[1])
		index.byPair[pair] = append(index.byPair[pair], f)
	}
	return index
})
