package formation

import (
	"fmt"
	"maps"
	"slices"
)

// Naming knows which names of a vault are taken, and for which value.
type Naming struct{ values map[string]string }

// NewNaming takes the names of a vault; nil for one that is not there yet.
func NewNaming(vault *Vault) *Naming {
	n := &Naming{map[string]string{}}
	if vault == nil {
		return n
	}
	for _, name := range vault.Names() {
		value, _, err := vault.Get(name)
		if err != nil {
			value = "" // none that a literal can have
		}
		n.values[name] = value
	}
	return n
}

// For gives a value the name that it has, else the wanted one or, where another
// value has that, the next free one.
func (n *Naming) For(value, wanted string) (name string, stored bool) {
	for _, name := range slices.Sorted(maps.Keys(n.values)) {
		if n.values[name] == value && Normalize(name) == name {
			return name, true
		}
	}
	name = wanted
	for i := 2; n.Taken(name, value); i++ {
		name = fmt.Sprintf("%s_%d", wanted, i)
	}
	return name, false
}

// Taken reports whether a name has another value.
func (n *Naming) Taken(name, value string) bool {
	have, there := n.values[name]
	return there && have != value
}

// Has reports whether a name has this value.
func (n *Naming) Has(name, value string) bool {
	have, there := n.values[name]
	return there && have == value
}

// Stored reports whether some name has this value.
func (n *Naming) Stored(value string) bool {
	for _, have := range n.values {
		if have == value {
			return true
		}
	}
	return false
}

// Take gives a name its value.
func (n *Naming) Take(name, value string) { n.values[name] = value }
