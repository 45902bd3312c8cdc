package formationtest

import (
	"math/rand/v2"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// ProviderKey makes a key of a format at random, of the least length that is
// usual: what has no end has twelve characters more than it must.
func ProviderKey(r *rand.Rand, f formation.KeyFormat) string {
	var key strings.Builder
	key.WriteString(f.Prefix)
	for form := f.Form; form != ""; {
		var part formation.Part
		part, form = form.Cut()
		key.WriteString(part.Text)
		if part.Text != "" {
			continue
		}

		length := part.Min + 12
		if part.Max > 0 {
			length = part.Min + r.IntN(part.Max-part.Min+1)
		}
		// Nothing that may be punctuation stands at the end.
		for i := range length {
			key.WriteByte(character(r, part.Alphabet, form == "" && i == length-1))
		}
	}
	return key.String()
}

func character(r *rand.Rand, a formation.Alphabet, last bool) byte {
	all := characters[a]
	for {
		if b := all[r.IntN(len(all))]; !last || formation.Alphabet('a').Has(b) {
			return b
		}
	}
}

// characters are those of each alphabet.
var characters = func() (all [128]string) {
	for a := range all {
		for b := byte('!'); b <= '~'; b++ {
			if formation.Alphabet(a).Has(b) {
				all[a] += string(b)
			}
		}
	}
	return all
}()
