package formation

import (
	"hash/maphash"
	"io/fs"
	"path/filepath"
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

// decodePlain is DecodeVault for the form that nearly every vault has: strings
// without an escape. It is ten times as fast, which a history of thousands of
// versions is glad of. nil: it is of another form, or no JSON at all.
func decodePlain(in []byte) *Vault {
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
	text := func() ([]byte, bool) {
		if !next('"') {
			return nil, false
		}
		start := at
		for at < len(in) && in[at] != '"' {
			if in[at] == '\\' || in[at] < ' ' {
				return nil, false
			}
			at++
		}
		at++
		return in[start:min(at-1, len(in))], at <= len(in)
	}
	if !next('{') {
		return nil
	}
	v := NewVault()
	for !next('}') {
		if v.Len() > 0 && !next(',') {
			return nil
		}
		name, ok := text()
		if !ok || !next(':') {
			return nil
		}
		value, ok := text()
		if !ok {
			return nil
		}
		v.entries[string(name)] = entry{value: string(value)}
	}
	if blanks(); at != len(in) {
		return nil
	}
	return v
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
