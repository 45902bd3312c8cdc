package scan

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Finding is one leak, or one mistake. It never holds a value or a part of one.
type Finding struct {
	Rule     Rule     `json:"rule"`
	Severity Severity `json:"severity"`
	Path     string   `json:"path"`             // from the top of the repository, with /; empty for a commit message
	Line     int      `json:"line"`             // 1-based
	Column   int      `json:"column"`           // 1-based, in characters: where what leaks begins
	Commit   string   `json:"commit,omitempty"` // left for the caller
	Secret   string   `json:"secret,omitempty"` // the secret's name, if known
	Message  string   `json:"message"`
	// Fingerprint is 32 hex digits. See [fingerprint].
	Fingerprint string `json:"fingerprint"`
}

// hit is a finding in the making: byte offsets instead of lines.
type hit struct {
	rule       Rule
	start, end int
	field      int    // offset of the field's name, where it may stand on an earlier line; else start
	place      string // where it is, in terms that survive an edit elsewhere
	secret     string
	message    string
	random     bool // text[start:end] is too random to be guessed
	from, to   int  // the random part, when it is not start, end
}

const (
	// maxFindings bounds what one file reports. The last one then says so.
	maxFindings = 1000
	// maxHits bounds what each detector collects in one file.
	maxHits = 1 << 16
)

// findings turns the hits of one file into findings: silenced ones left out,
// one for each place, in the order of the text.
func findings(path string, text []byte, hits []hit, more bool) []Finding {
	if len(hits) == 0 {
		return nil
	}
	more = more || len(hits) >= maxHits
	// A file with more leaks than are looked at is not silenced: thousands of
	// silenced lines must not hide one that is not.
	silenced := !more && bytes.Contains(text, []byte(allowMark))
	hits = explained(merge(hits))
	found := make([]Finding, 0, min(len(hits), maxFindings))
	seen := map[string]int{}
	at := position{text: text, line: 1}
	for _, h := range hits {
		if silenced && allowed(text, h) {
			continue
		}
		if len(found) == maxFindings {
			more = true
			break
		}
		line, column := at.of(h.start)
		identity := h.identity(path, text)
		found = append(found, Finding{
			Rule: h.rule, Severity: h.rule.Severity(), Path: path, Line: line, Column: column,
			Secret: h.secret, Message: h.message, Fingerprint: fingerprint(identity, seen[identity]),
		})
		seen[identity]++
	}
	if more && len(found) > 0 {
		found[len(found)-1].Message += "; more of this file is not listed"
	}
	return found
}

// merge sorts hits by place and leaves one where several detectors of one rule
// saw the same text. The first one given wins: detectors that know a place's
// name run first. It learns from the others whether the text is random.
func merge(hits []hit) []hit {
	order := map[Rule]int{}
	for i, h := range hits {
		if _, ok := order[h.rule]; !ok {
			order[h.rule] = i
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(order[a.rule], order[b.rule]), cmp.Compare(a.start, b.start))
	})
	kept := hits[:0]
	for _, h := range hits {
		if h.random && h.to == 0 {
			h.from, h.to = h.start, h.end
		}
		if len(kept) > 0 {
			last := &kept[len(kept)-1]
			if last.rule == h.rule && h.start < last.end {
				last.learn(h)
				continue
			}
		}
		kept = append(kept, h)
	}
	slices.SortStableFunc(kept, func(a, b hit) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.field, b.field))
	})
	// What stands inside the value of a field belongs to the field: a comment
	// beside its name silences all of it.
	outer := hit{}
	for i := range kept {
		if kept[i].start < outer.end {
			kept[i].field = min(kept[i].field, outer.field)
		}
		if kept[i].field < kept[i].start && kept[i].end > outer.end {
			outer = kept[i]
		}
	}
	return kept
}

// explained leaves out key material that is the value of a stored secret: 32
// random bytes look like a Fernet key, and the name says more.
func explained(hits []hit) []hit {
	end := 0 // of the known secrets so far
	return slices.DeleteFunc(hits, func(h hit) bool {
		if h.rule == KnownSecret {
			end = max(end, h.end)
		}
		return h.rule == KeyMaterial && h.end <= end
	})
}

// learn takes over what another detector knows about the same text.
func (h *hit) learn(other hit) {
	if h.place == "" && other.place != "" {
		h.place, h.message, h.field = other.place, other.message, other.field
	}
	if !h.random && other.random {
		h.random, h.from, h.to = true, other.from, other.to
	}
	h.end = max(h.end, other.end)
}

// identity is what stays the same of a finding while lines move around it and
// commits are rewritten: its rule, its file, the field or variable it stands in,
// and its content - the latter only if that is random enough not to be guessed.
//
// A fingerprint is public: it stands in baselines and in reports. A hash of
// hunter2 could be found by trying words, and so could a hash of the line around
// it; therefore a value that a person may have thought of takes no part in it.
// The price: such a value, replaced by another in the same field, keeps its
// fingerprint. A key of 100 random bits and more can be hashed safely, and is:
// a new one in an old place is a new finding.
func (h hit) identity(path string, text []byte) string {
	id := fmt.Sprintf("%q %q %q %q", h.rule, path, h.place, h.secret)
	if h.random {
		sum := sha256.Sum256(append([]byte("git-muxi-secrets content v1\x00"), text[h.from:h.to]...))
		id += " " + hex.EncodeToString(sum[:])
	}
	return id
}

// fingerprint hashes an identity and which of its occurrences in the file this
// one is, so that two places never share a fingerprint.
func fingerprint(identity string, occurrence int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "git-muxi-secrets finding v1\x00%s %d", identity, occurrence))
	return hex.EncodeToString(sum[:16])
}

// Fingerprint is the fingerprint of a finding that is about a whole formation
// or file instead of a place in its text: the same for the same rule, path and
// secret.
func Fingerprint(rule Rule, path, secret string) string {
	return fingerprint(hit{rule: rule, secret: secret}.identity(path, nil), 0)
}

// position turns offsets, asked for in rising order, into lines and columns in
// one pass.
type position struct {
	text         []byte
	line, begin  int // begin: offset of the line's first byte
	column, last int // characters before last on this line
}

func (p *position) of(offset int) (line, column int) {
	for {
		next := bytes.IndexByte(p.text[p.begin:offset], '\n')
		if next < 0 {
			break
		}
		p.line++
		p.begin += next + 1
		p.last, p.column = p.begin, 0
	}
	p.column += utf8.RuneCount(p.text[p.last:offset])
	p.last = offset
	return p.line, p.column + 1
}

// allowMark, in a comment, silences the findings of its line.
const allowMark = "muxi-secrets:allow"

// allowed reports whether a comment on the line of the value, or on that of its
// field, silences a hit.
func allowed(text []byte, h hit) bool {
	if h.rule == KeyFile || h.rule == VaultNotEncrypted {
		return false // the file is the leak, not a line of it
	}
	return allowedAt(text, h.start) || h.field < h.start && allowedAt(text, h.field) ||
		h.end > h.start && h.end <= len(text) && allowedAt(text, h.end)
}

// nearby is how far from a value on its line, in bytes, a comment is looked for:
// a line may be as long as a file.
const nearby = 4096

func allowedAt(text []byte, offset int) bool {
	from := max(0, offset-nearby)
	from += bytes.LastIndexByte(text[from:offset], '\n') + 1
	line := text[from:min(len(text), offset+nearby)]
	line = line[:min(len(line), offset-from+lineLength(line[offset-from:]))]
	for at := 0; ; {
		next := bytes.Index(line[at:], []byte(allowMark))
		if next < 0 {
			return false
		}
		at += next
		if opensComment(string(line[:at])) {
			return true
		}
		at += len(allowMark)
	}
}

// opensComment reports whether something before a mark opens a comment in one of
// the languages people write. A # inside a word, as in a URL, does not.
func opensComment(before string) bool {
	for _, sign := range [...]string{"#", "//", "/*", "<!--", "--", ";", "%", "*"} {
		at := strings.LastIndex(before, sign)
		if at == 0 || at > 0 && strings.IndexByte(" \t;,)}]\"'", before[at-1]) >= 0 {
			return true
		}
	}
	return false
}
