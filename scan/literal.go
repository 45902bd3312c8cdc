package scan

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// Literal is a leak that a reference can stand in for: where its text is, so that
// who may change the file can. Like a finding it holds no value.
type Literal struct {
	Rule         Rule
	Line, Column int
	// Start and End are the bytes of the file that are the value, as far as the
	// scanner can tell: it covers all of it, and may take in more of its scalar.
	// 0, 0 where the file is not written in bytes that can be swapped.
	Start, End int
	Field      string // llm.api_keys.openai; the variable's name where no field is known
	Variable   string // the name before a = or : on the line, as in GITHUB_TOKEN=...; "" for none
	Option     string // of a command line, the one that takes it: --api-key; "" for none
	Secret     string // the name under which it is stored, or that the template has for it
	// Filled says that the runtime fills references in where this stands.
	Filled bool
	// Silenced says what keeps it from counting, as in a finding.
	Silenced    Cause
	Fingerprint string
}

// Literals finds what File calls a literal or the value of a stored secret, in a
// file of a formation: in the order of the text, no two of them over the same
// bytes. name is as in File.
func (s *Scanner) Literals(name string, content []byte) []Literal {
	all := readings(content)
	r := all[0] // what a byte order mark says, else the bytes as they are
	if len(content) > MaxText {
		return nil
	}

	hits := slices.DeleteFunc(s.rules(name, r.text, Regular, true), func(h hit) bool {
		return h.rule != PlaintextKey && h.rule != TemplateValue
	})
	hits = outermost(append(merge(hits), s.Known.whole(r.text)...))

	filled := s.isFormationYAML(name, r.text)
	at := position{text: r.text, line: 1}
	seen := map[string]int{}
	var found []Literal
	for _, h := range hits {
		identity := h.identity(name, r.text)
		l := Literal{Rule: h.rule, Field: h.place, Secret: h.secret, Filled: filled, Variable: variable(r.text, h.start), Option: optionBefore(r.text, h.start),
			Fingerprint: fingerprint(identity, seen[identity])}
		seen[identity]++
		l.Line, l.Column = at.of(h.start)
		if r.encoding == bytewise {
			l.Start, l.End = r.skipped+h.start, r.skipped+h.end
		}
		if allowed(r.text, h) {
			l.Silenced = ByComment
		}
		found = append(found, l)
	}
	return found
}

// optionBefore returns the option that stands right before an argument, on its line
// or the one above.
func optionBefore(text []byte, offset int) string {
	const separators = " \t\r\n\"',[-"
	before := text[max(0, offset-128):offset]
	end := len(bytes.TrimRight(before, separators))
	start := spanBack(before, end, isToken)
	if word := string(before[start:end]); strings.HasPrefix(word, "-") {
		return word
	}
	return ""
}

// whole returns where stored values stand as they are, all of them. A part of one,
// or one in base64, is nothing that a reference could stand for.
func (k *Known) whole(text []byte) (hits []hit) {
	matches, _ := k.find(text)
	for _, m := range matches {
		if !k.isKey(m.value) && m.form == formRaw && k.names[m.value].part == "" {
			hits = append(hits, k.hit(text, m))
		}
	}
	return hits
}

// outermost leaves the widest of the hits that lie over each other, in the order
// of the text. Of two over the same text the one that knows the secret wins.
func outermost(hits []hit) []hit {
	slices.SortStableFunc(hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end))
	})
	kept := hits[:0]
	for _, h := range hits {
		if n := len(kept); n > 0 && h.start < kept[n-1].end {
			last := &kept[n-1]
			if h.start == last.start && h.end == last.end {
				last.secret = cmp.Or(last.secret, h.secret)
			}
			last.end = max(last.end, h.end)
			continue
		}
		kept = append(kept, h)
	}
	return kept
}

// IsTemplate reports whether a literal stands in the template.
func (l Literal) IsTemplate() bool { return l.Rule == TemplateValue }

// Span is where a literal's text is, for [formation.Pieces].
func (l Literal) Span() formation.Span { return formation.Span{Start: l.Start, End: l.End} }
