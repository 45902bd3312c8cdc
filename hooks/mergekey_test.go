package hooks

import (
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// Of a key and the one that came after it, nothing new is sealed with the older
// one, whichever side it is on.
func TestMergedKey(t *testing.T) {
	keys := map[string]*crypto.Key{"": nil}
	for _, name := range []string{"old", "new", "other"} {
		key, err := crypto.GenerateKey(crypto.Fernet)
		check(t, err)
		keys[name] = key
	}
	for _, tt := range []struct {
		name                        string
		current, base, ours, theirs string
		had                         []string // of HEAD's history
		want                        string
	}{
		{"nothing rotated", "old", "old", "old", "old", []string{"old"}, "old"},
		{"rotated on theirs, unwrapped", "old", "old", "old", "new", []string{"old"}, "new"},
		{"rotated on theirs, .key is there", "new", "old", "old", "new", []string{"old"}, "new"},
		{"rotated on theirs, no .key", "", "old", "old", "new", []string{"old"}, "new"},
		{"rotated on ours", "new", "old", "new", "old", []string{"old", "new"}, "new"},
		{"rotated on ours, .key was not", "old", "old", "new", "old", []string{"old", "new"}, "new"},
		{"rotated on ours, no .key", "", "old", "new", "old", []string{"old", "new"}, "new"},
		{"revert of a rotation", "new", "new", "new", "old", []string{"old", "new"}, "new"},
		{"revert of a rotation, no .key", "", "new", "new", "old", []string{"old", "new"}, "new"},
		{"a new commit picked onto an old branch", "new", "new", "old", "new", []string{"old"}, "new"},
		{"an old commit picked onto a rotated branch", "new", "old", "new", "old", []string{"old", "new"}, "new"},
		{"both rotated", "new", "old", "new", "other", []string{"old", "new"}, "new"},
		{"both rotated, .key was not", "old", "old", "new", "other", []string{"old", "new"}, "new"},
		{"both rotated, .key is of theirs", "other", "old", "new", "other", []string{"old", "new"}, "other"},
		{"theirs alone", "", "", "", "new", nil, "new"},
		{"both added, .key is ours", "new", "", "new", "other", []string{"new"}, "new"},
	} {
		got := mergedKey(keys[tt.current], keys[tt.base], keys[tt.ours], keys[tt.theirs], func(key *crypto.Key) bool {
			for _, name := range tt.had {
				if sameKey(keys[name], key) {
					return true
				}
			}
			return false
		})
		if !sameKey(got, keys[tt.want]) {
			t.Errorf("%s: another key than %s", tt.name, tt.want)
		}
	}
}
