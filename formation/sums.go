package formation

import (
	"bytes"
	"hash/maphash"
	"io/fs"
	"path/filepath"
	"unicode/utf8"
)

// Sum stands for the value of one name where many versions of a vault are held
// at once: under one seed equal values have equal sums, however they are
// spelled. A seed lives as long as the process, so that a sum tells nothing to
// anybody else; it is never to be shown.
type Sum struct {
	Name  string
	Value uint64
}

// Sums returns the sum of every name, sorted by name.
func (v *Vault) Sums(seed maphash.Seed) []Sum {
	sums := make([]Sum, 0, len(v.entries))
	for _, name := range v.Names() {
		e := v.entries[name]
		if e.raw == nil {
			sums = append(sums, Sum{name, maphash.String(seed, e.value)})
		} else {
			sums = append(sums, Sum{name, maphash.Bytes(seed, e.meaning())})
		}
	}
	return sums
}

// DiffSums is DiffVaults for sums of one seed; nil is the empty vault.
func DiffSums(from, to []Sum) []Change {
	var changes []Change
	for len(from) > 0 || len(to) > 0 {
		switch {
		case len(to) == 0 || len(from) > 0 && from[0].Name < to[0].Name:
			changes = append(changes, Change{from[0].Name, Removed})
			from = from[1:]
		case len(from) == 0 || to[0].Name < from[0].Name:
			changes = append(changes, Change{to[0].Name, Added})
			to = to[1:]
		default:
			if from[0].Value != to[0].Value {
				changes = append(changes, Change{to[0].Name, Changed})
			}
			from, to = from[1:], to[1:]
		}
	}
	return changes
}

// SumsOf is DecodeVault and Sums in one. Errors: *ContentError.
func SumsOf(plaintext []byte, seed maphash.Seed) ([]Sum, error) {
	sums := make([]Sum, 0, bytes.Count(plaintext, []byte{'"'})/4)
	sorted := true
	plain := utf8.Valid(plaintext) && scanPlain(plaintext, func(name, value []byte) {
		sorted = sorted && (len(sums) == 0 || sums[len(sums)-1].Name < string(name))
		sums = append(sums, Sum{string(name), maphash.Bytes(seed, value)})
	})
	if plain && sorted {
		return sums, nil
	}
	v, err := DecodeVault(plaintext)
	if err != nil {
		return nil, err
	}
	return v.Sums(seed), nil
}

// decodePlain is DecodeVault for the form that nearly every vault has; nil: it is
// of another.
func decodePlain(in []byte) *Vault {
	v := &Vault{entries: make(map[string]entry, bytes.Count(in, []byte{'"'})/4)}
	if !scanPlain(in, func(name, value []byte) { v.entries[string(name)] = entry{value: string(value)} }) {
		return nil
	}
	return v
}

// scanPlain reads an object of strings without an escape, in the order of the
// text. It is many times as fast as a reader of all of JSON, which a history of
// thousands of versions is glad of. false: it is of another form, or no JSON at
// all.
func scanPlain(in []byte, member func(name, value []byte)) bool {
	at := 0
	blanks := func() {
		for at < len(in) && (in[at] == ' ' || in[at] == '\n' || in[at] == '\r' || in[at] == '\t') {
			at++
		}
	}
	next := func(want byte) bool { // takes the byte if it is that
		if blanks(); at == len(in) || in[at] != want {
			return false
		}
		at++
		return true
	}
	text := func() (found []byte, ok bool) {
		if !next('"') {
			return nil, false
		}
		for start := at; at < len(in); at++ {
			switch c := in[at]; {
			case c == '"':
				at++
				return in[start : at-1], true
			case c == '\\', c < ' ':
				return nil, false
			}
		}
		return nil, false
	}
	if !next('{') {
		return false
	}
	for first := true; !next('}'); first = false {
		if !first && !next(',') {
			return false
		}
		name, ok := text()
		if !ok || !next(':') {
			return false
		}
		value, ok := text()
		if !ok {
			return false
		}
		member(name, value)
	}
	blanks()
	return at == len(in)
}

// FoldersWithKey returns the folders in root and under it that hold a .key,
// whether they are formations or not; it gives up after that many folders.
// Symbolic links to folders are not followed.
func FoldersWithKey(root string, most int) []string {
	var found []string
	filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && (entry == nil || !entry.IsDir()):
			return nil
		case err != nil:
			return fs.SkipDir
		case !entry.IsDir():
			if entry.Name() == KeyFile {
				found = append(found, filepath.Dir(path))
			}
			return nil
		}
		if most--; most < 0 {
			return fs.SkipAll
		}
		if path != root && skipFolder(entry.Name()) {
			return fs.SkipDir
		}
		return nil
	})
	return found
}
