package scan

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
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
	// Filtered is the file, from the top, of which git has what a filter made of it;
	// "" where that is not the matter.
	Filtered string `json:"-"`
	// Broken says why a vault is no sealed file, or BesideSeal.
	Broken crypto.Reason `json:"-"`
	// Silenced says what keeps it from counting; "" where nothing does. File and
	// Message know comments; the rest is for the caller.
	Silenced Cause `json:"-"`
	// Where says what its place is, where that is no line of a file.
	Where Where `json:"-"`
	// Remedy, where there is one, is said behind the message, by who knows how the
	// program is called there.
	Remedy Remedy `json:"-"`
	// Foreign says that a key is of a kind that no formation has: a private key of
	// somebody else's.
	Foreign bool `json:"-"`

	start, end int // of the value in the file, in bytes; see Span
}

// BesideSeal is a vault with text beside what is sealed in it.
const BesideSeal crypto.Reason = "more than a sealed file"

// Span is where in the file's bytes the value stands that a finding of File or
// Message is about; ok is false for one about the file as such.
func (f Finding) Span() (start, end int, ok bool) { return f.start, f.end, f.start < f.end }

// Remedy is what mends a finding.
type Remedy struct {
	Command string // words behind the program's name, on the formation that Path is of
	Does    string // as in "writes it"
	// Restore and Add, where not nil, and Git, words behind git, take the place of
	// Command.
	Restore *Restore
	Add     *Add
	Git     string
	// Stage says that the file on disk is mended, and only has to be staged.
	Stage bool
}

// Add is files, by their paths from the top, that git is to take in, by force where
// it ignores one.
type Add struct {
	Files []string
	Force bool
}

// Restore is files that are to come back from a commit, by their paths from the top.
type Restore struct {
	From  string
	Files []string
}

// Subject is the file that a finding is about: where a filter is at fault, the one
// that it changes.
func (f Finding) Subject() string { return cmp.Or(f.Filtered, f.Path) }

// MendedBy gives a finding its remedy.
func (f Finding) MendedBy(command, does string) Finding {
	f.Remedy = Remedy{Command: command, Does: does}
	return f
}

// Cause is what silences a finding.
type Cause string

// The causes.
const (
	ByComment  Cause = "comment"  // muxi-secrets:allow on its line
	ByAllow    Cause = "allow"    // an entry in the team's settings
	ByBaseline Cause = "baseline" // a file of known findings
)

// hit is a finding in the making: byte offsets instead of lines.
type hit struct {
	rule       Rule
	start, end int
	field      int    // offset of the field's name, where it may stand on an earlier line; else start
	place      string // where it is, in terms that survive an edit elsewhere
	secret     string
	message    string
	random     bool          // text[start:end] is too random to be guessed
	broken     crypto.Reason // see Finding
	from, to   int           // the random part, when it is not start, end
	remedy     *Remedy       // nil for none: there may be many hits
	foreign    bool          // see Finding
}

const (
	// maxFindings bounds what one file reports. The last one then says so.
	maxFindings = 1000
	// maxHits bounds what each detector collects in one file.
	maxHits = 1 << 16
)

// findings turns the hits of one file into findings: one for each place, in the
// order of the text.
func findings(path string, all []reading) []Finding {
	if !slices.ContainsFunc(all, func(r reading) bool { return len(r.hits) > 0 }) {
		return nil
	}
	if len(all) > 1 {
		unrepeated(all)
	}
	var found []Finding
	seen := map[string]int{}
	more := false
	for _, r := range all {
		if len(r.hits) == 0 {
			continue
		}
		var cut bool
		found, cut = r.findings(path, found, seen, position{text: r.text, line: 1})
		more = more || cut
	}
	if len(all) > 1 {
		slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	}
	return notListed(found, more)
}

// notListed has the last finding that counts say that there are more.
func notListed(found []Finding, more bool) []Finding {
	for i := len(found) - 1; more && i >= 0; i-- {
		if found[i].Silenced == "" {
			found[i].Message += "; more of this file is not listed"
			more = false
		}
	}
	return found
}

// findings adds those of one reading to found. at is where its text begins; seen
// counts the identities so far; cut says that not everything is listed. What is
// silenced is counted apart, so that it keeps nothing else off the list.
func (r *reading) findings(path string, found []Finding, seen map[string]int, at position) (_ []Finding, cut bool) {
	cut = r.more || len(r.hits) >= maxHits
	// A file with more leaks than are looked at is not silenced: thousands of
	// silenced lines must not hide one that is not.
	silenced := !cut && bytes.Contains(r.text, []byte(allowMark))
	hits := merge(onePlace(r.hits))
	found = slices.Grow(found, min(len(hits), maxFindings))
	begin, before := r.skipped, 0 // the bytes of the file up to an offset of the text
	listed := map[Cause]int{}
	for _, f := range found {
		listed[f.Silenced]++
	}
	for _, h := range hits {
		var by Cause
		if silenced && allowed(r.text, h) {
			by = ByComment
		}
		if listed[by]++; listed[by] > maxFindings {
			if by == "" {
				return found, true
			}
			continue
		}
		line, column := at.of(h.start)
		begin, before = begin+r.encoding.length(r.text[before:h.start]), h.start
		end := begin + r.encoding.length(r.text[h.start:min(max(h.start, h.end), len(r.text))])
		identity := h.identity(path, r.text)
		found = append(found, Finding{
			Rule: h.rule, Severity: h.rule.Severity(), Path: path, Line: line, Column: column,
			Secret: h.secret, Message: h.message, Fingerprint: fingerprint(identity, seen[identity]), Silenced: by,
			Foreign: h.foreign, start: begin, end: end,
		})
		if h.remedy != nil {
			found[len(found)-1].Remedy = *h.remedy
		}
		if found[len(found)-1].Broken = h.broken; h.broken == crypto.Filtered {
			found[len(found)-1].Filtered = path
		}
		seen[identity]++
	}
	return found, cut
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

// onePlace leaves one hit where several rules saw the same text: the first in
// the order of [Rules], but key material that is the value of a stored secret is
// the secret's: 32 random bytes look like a Fernet key, and the name says more.
func onePlace(hits []hit) []hit {
	known := placesOf(hits, KnownSecret)
	hits = slices.DeleteFunc(hits, func(h hit) bool {
		p := known.overlapped(h)
		return h.rule == KeyMaterial && p != nil && (p.start <= h.start && h.end <= p.end || h.message == fernetMessage)
	})

	strong := placesOf(hits, KnownSecret, KeyMaterial)
	if len(strong) == 0 {
		return hits
	}
	hits = slices.DeleteFunc(hits, func(h hit) bool {
		if h.rule != PlaintextKey && h.rule != TemplateValue {
			return false
		}
		p := strong.overlapped(h)
		if p != nil {
			p.field = min(p.field, h.field) // where a comment may stand
		}
		return p != nil
	})
	for i := range hits {
		if h := &hits[i]; h.rule == KnownSecret || h.rule == KeyMaterial {
			h.field = min(h.field, strong.overlapped(*h).field)
		}
	}
	return hits
}

// stretches of a text are in order, and do not overlap.
type stretches []stretch

type stretch struct{ start, end, field int }

// placesOf are the places of the hits of some rules, those that overlap as one.
func placesOf(hits []hit, rules ...Rule) (all stretches) {
	for _, h := range hits {
		if slices.Contains(rules, h.rule) {
			all = append(all, stretch{h.start, max(h.end, h.start+1), h.field})
		}
	}
	slices.SortFunc(all, func(a, b stretch) int { return cmp.Compare(a.start, b.start) })
	merged := all[:0]
	for _, p := range all {
		if last := len(merged) - 1; last >= 0 && p.start < merged[last].end {
			merged[last].end = max(merged[last].end, p.end)
			merged[last].field = min(merged[last].field, p.field)
			continue
		}
		merged = append(merged, p)
	}
	return merged
}

// overlapped is the first of them that shares a byte with h; nil for none.
func (all stretches) overlapped(h hit) *stretch {
	at := sort.Search(len(all), func(i int) bool { return all[i].end > h.start })
	if at == len(all) || all[at].start >= max(h.end, h.start+1) {
		return nil
	}
	return &all[at]
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

// NewFinding is a finding about the state of a file: a name, not a place of its
// text, tells it from others of its rule, and lines count from 1.
func NewFinding(rule Rule, file, secret string, line, column int, format string, args ...any) Finding {
	return Finding{
		Rule: rule, Severity: rule.Severity(), Path: file, Line: max(line, 1), Column: max(column, 1),
		Secret: secret, Message: fmt.Sprintf(format, args...), Fingerprint: Fingerprint(rule, file, secret),
	}
}
