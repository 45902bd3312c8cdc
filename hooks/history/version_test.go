package history

import (
	"hash/maphash"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// What a vault was before it appeared elsewhere, by bytes, values, names.
func TestMovedFrom(t *testing.T) {
	seed := maphash.MakeSeed()
	version := func(pairs ...string) *Version {
		v := formation.NewVault()
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return &Version{Sums: v.Sums(seed)}
	}
	locked := &Version{Err: &formation.NoKeyError{}}
	now := version("A", "1", "B", "2", "C", "3")
	for _, test := range []struct {
		about string
		now   *Version
		gone  []Gone
		alone bool
		file  int // whose formation's file went the same way; -1 for none
		want  int
	}{
		{"nothing went", now, nil, true, -1, -1},
		{"the same bytes, though nothing opens", locked, []Gone{{locked, false}, {locked, true}}, false, -1, 1},
		{"mostly the same values", now, []Gone{{version("A", "1"), false}, {version("A", "1", "B", "2", "X", "9"), false}}, false, -1, 1},
		{"other values, one that can be meant", now, []Gone{{version("A", "x", "B", "y", "C", "z"), false}}, true, -1, 0},
		{"other values, and another appeared", now, []Gone{{version("A", "x", "B", "y", "C", "z"), false}}, false, -1, -1},
		{"other values, two that can be meant", now, []Gone{{version("A", "x"), false}, {version("B", "y"), false}}, true, -1, -1},
		{"the formation's file tells", now, []Gone{{version("A", "x"), false}, {version("B", "y"), false}}, false, 1, 1},
		{"a file without a name in common tells nothing", now, []Gone{{version("X", "x"), false}}, false, 0, -1},
		{"one that does not open", now, []Gone{{locked, false}}, true, 0, -1},
		{"one that is not there", now, []Gone{{nil, false}}, true, 0, -1},
		{"two empty ones", version(), []Gone{{version(), false}}, true, -1, -1},
	} {
		if got := MovedFrom(test.now, test.gone, test.alone, func(i int) bool { return i == test.file }); got != test.want {
			t.Errorf("%s: %d, want %d", test.about, got, test.want)
		}
	}
}
