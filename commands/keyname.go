package commands

import (
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// How a person names a key: by its fingerprint, or the beginning that messages show.

// isFingerprint reports whether a text may be a key's fingerprint, or as much of its
// beginning as messages show at least.
func isFingerprint(text string) bool {
	return len(text) >= 10 && len(text) <= 32 && strings.Trim(strings.ToLower(text), "0123456789abcdef") == ""
}

// isNamed reports whether a person who gave a fingerprint, or its beginning, means a key.
func isNamed(given string, key crypto.PublicKey) bool {
	return given != "" && strings.HasPrefix(key.Fingerprint(), strings.ToLower(given))
}

// unambiguous refuses the beginning of a fingerprint that several keys have.
func (s *session) unambiguous(f *formation.Formation) error {
	for _, given := range []string{s.accept, s.expect} {
		found := map[crypto.PublicKey]bool{}
		for _, kept := range keptOf(f) {
			if isNamed(given, kept.Key.Public()) {
				found[kept.Key.Public()] = true
			}
		}
		if len(found) > 1 {
			return usage("several keys that are kept here have a fingerprint that begins so; nothing was changed").hint("give all 32 characters of it")
		}
	}
	return nil
}

func keptOf(f *formation.Formation) []*formation.FoundKey {
	if f.Finder == nil {
		return nil
	}
	return f.Finder.Kept()
}
