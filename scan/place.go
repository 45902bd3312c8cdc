package scan

import (
	"cmp"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Where says what a finding's place is, where it is no line of a file.
type Where string

// The places that are none.
const (
	InMessage Where = "commit message"
	InName    Where = "file name"
	InBranch  Where = "branch name"
	InTag     Where = "tag name"
	InRef     Where = "ref name"
	InText    Where = "standard input"
)

// named judges a name. Its hits are in the order of the name.
func (s *Scanner) named(name string) []hit {
	text := []byte(name)
	hits, _ := s.bytes("", text)
	hits = append(hits, tokens("", text)...)
	hits = teamTokens(text, s.Formats, hits)
	if len(name) >= minBase64 || strings.ContainsAny(name, `%\&`) {
		hits, _ = s.layers(text, true, hits)
	}
	return merge(onePlace(hits))
}

// Shown is a file's path as it may be shown: with **** in place of whatever must
// not be.
func (s *Scanner) Shown(name string) string { return shown(name, s.named(name)) }

func shown(name string, hits []hit) string {
	if len(hits) == 0 {
		return name
	}
	var b strings.Builder
	at := 0
	for _, h := range hits {
		if h.start >= at {
			b.WriteString(name[at:h.start] + formation.Mask(""))
		}
		at = max(at, h.end)
	}
	return b.String() + name[at:]
}

// inName turns what is found in a name into findings about it; path is what is
// shown of it.
func inName(name, path string, where Where, hits []hit) (found []Finding) {
	seen := map[string]int{}
	for _, h := range hits {
		h.place = string(where)
		identity := h.identity(path, []byte(name))
		found = append(found, Finding{
			Rule: h.rule, Severity: h.rule.Severity(), Path: path, Line: 1, Column: 1, Where: where, Secret: h.secret,
			Message: h.message + ", in the " + string(where), Fingerprint: fingerprint(identity, seen[identity]),
		})
		seen[identity]++
	}
	return found
}

// Ref judges the name of a ref, such as refs/heads/main. The findings have no path:
// the name is what leaks.
func (s *Scanner) Ref(name string) []Finding {
	where := InRef
	if strings.HasPrefix(name, "refs/heads/") {
		where = InBranch
	} else if strings.HasPrefix(name, "refs/tags/") {
		where = InTag
	}
	return inName(name, "", where, s.named(name))
}

// Place is a finding's path, or what stands in for it.
func (f Finding) Place() string {
	return cmp.Or(f.Path, string(f.Where), string(InMessage))
}
