package history

import (
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Version is one version of a vault, opened. Of its values it keeps what tells them
// apart, by one seed for all that are compared. The zero value is that of what is
// not there: it holds nothing.
type Version struct {
	Sums   []formation.Sum
	Key    *crypto.Key   // nil: not opened, or no vault
	Format crypto.Format // "": none
	Err    error         // why it does not open
}

// Gone is a vault that goes where another appears.
type Gone struct {
	*Version
	Same bool // the very bytes that appear
}

// MovedFrom tells which of the vaults that went one is that appeared, or -1: the
// same bytes, or mostly the same names and values. Where the values do not tell, the
// names do, if nothing else can be meant (alone: no other appeared), or the
// formation's own file went the same way.
func MovedFrom(now *Version, gone []Gone, alone bool, sameFile func(i int) bool) int {
	best, most := -1, 0.0
	var named []int
	for i, was := range gone {
		if was.Same {
			return i
		}
		if alike := was.likeness(now); alike >= 0.5 && alike > most {
			best, most = i, alike
		}
		if was.named(now) {
			named = append(named, i)
		}
	}
	if best >= 0 {
		return best
	}
	if len(named) == 1 && alone {
		return named[0]
	}
	if i := slices.IndexFunc(named, sameFile); i >= 0 {
		return named[i]
	}
	return -1
}

// likeness is the share of the names that have one value in both; 0 where one
// does not open.
func (v *Version) likeness(o *Version) float64 {
	if !v.opens() || !o.opens() {
		return 0
	}
	all := max(len(v.Sums), len(o.Sums))
	if all == 0 {
		return 0
	}
	equal := 0
	for _, x := range v.Sums {
		i, ok := slices.BinarySearchFunc(o.Sums, x.Name, func(y formation.Sum, name string) int { return strings.Compare(y.Name, name) })
		if ok && o.Sums[i].Value == x.Value {
			equal++
		}
	}
	return float64(equal) / float64(all)
}

func (v *Version) opens() bool { return v != nil && v.Err == nil }

// named reports whether two versions, by their names, may be of one vault.
func (v *Version) named(o *Version) bool {
	return v.opens() && o.opens() && MostlyNamed(v.names(), o.names())
}

func (v *Version) names() []string {
	var names []string
	for _, x := range v.Sums {
		names = append(names, x.Name)
	}
	return names
}

// MostlyNamed reports whether two vaults, by their names, may be one that was
// moved: at least half of the names of the smaller one are in both. Many may
// have been added by the way.
func MostlyNamed(a, b []string) bool {
	both := 0
	for _, name := range a {
		if slices.Contains(b, name) {
			both++
		}
	}
	return both > 0 && 2*both >= min(len(a), len(b))
}
