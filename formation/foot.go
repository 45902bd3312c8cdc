package formation

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// The foot of a .age-recipients is what the formation's key signed, in comment
// lines, so that `age -R` reads the file:
//
//	# muxi-secrets v1: signed by the key; ...
//	# muxi-secrets key PUBLIC
//	# muxi-secrets rotation OLD NEW SIGNATURE
//	# muxi-secrets signature SIGNATURE
//
// Each rotation has a line, which the old key signed; the last one leads to the
// key of the foot. The signature is over the file's bytes above its own line,
// with \n at each line's end and without a byte order mark. Below stand exposures
// alone, which admit nobody.
const (
	footMark      = "# muxi-secrets"
	footPrefix    = footMark + " "
	footTitle     = footPrefix + "v1: signed by the key; after a change by hand 'git muxi-secrets share wrap' signs it again"
	footKey       = footPrefix + "key "
	footRotation  = footPrefix + "rotation "
	footSignature = footPrefix + "signature "

	maxChain = 64 // rotations that a foot remembers
)

// Succession says that one key vouched for the one that took its place.
type Succession struct {
	Old, New  crypto.PublicKey
	Signature crypto.Signature
}

// Holds reports whether the old key said so.
func (s Succession) Holds() bool { return s.Old.VerifySuccession(s.New, s.Signature) }

// Chain is how the keys of one formation followed each other, oldest first. Each
// begins with the key that the one before it led to, and no key comes twice.
type Chain []Succession

// Leads reports whether one key vouched for another, or for one that did, and so
// on. A key leads to itself.
func (c Chain) Leads(from, to crypto.PublicKey) bool {
	at := slices.IndexFunc(c, func(s Succession) bool { return s.Old == from })
	for from != to {
		if at < 0 || at >= len(c) || !c[at].Holds() {
			return false
		}
		from = c[at].New
		at++
	}
	return !to.IsZero()
}

// Successor returns the key that another vouched for, and whether there is one.
func (c Chain) Successor(of crypto.PublicKey) (next crypto.PublicKey, ok bool) {
	for _, s := range c {
		if s.Old == of && s.Holds() {
			return s.New, true
		}
	}
	return next, false
}

// linear reports whether this is a chain that ends with a key.
func (c Chain) linear(end crypto.PublicKey) bool {
	seen := map[crypto.PublicKey]bool{end: true}
	for i := len(c) - 1; i >= 0; i-- {
		if c[i].New != end || seen[c[i].Old] {
			return false
		}
		end = c[i].Old
		seen[end] = true
	}
	return true
}

// Foot is what a .age-recipients says that the key signed. Whether it did,
// [Foot.Holds] says.
type Foot struct {
	Key       crypto.PublicKey // that the formation has
	Chain     Chain            // how it came to be; it ends with Key
	Signature crypto.Signature

	signed []byte // the file above the signature
}

// Holds reports whether the key of the foot signed what stands above.
func (f *Foot) Holds() bool { return f.Key.VerifyPeople(f.signed, f.Signature) }

// FootError says why lines of a foot are no foot, so that the list is not signed.
type FootError struct {
	Line   int    // 1-based
	Reason string // a lower-case phrase without a full stop
}

func (e *FootError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// ParseFoot reads the foot of a .age-recipients; nil where the file has no line of
// one. It looks at nobody's key, and is quick. The error is a *FootError: there
// is exactly one foot, in one spelling, and nothing but exposures below it.
func ParseFoot(content []byte) (*Foot, error) {
	text := plainLines(content)
	first := bytes.Index(text, []byte(footMark))
	if first < 0 {
		return nil, nil
	}

	// All the people above it need not be looked at.
	at := bytes.LastIndexByte(text[:first], '\n') + 1
	above := bytes.TrimSuffix(text[:at], []byte("\n"))
	number := bytes.Count(text[:at], []byte("\n"))
	r := footReader{foot: &Foot{}, last: string(above[bytes.LastIndexByte(above, '\n')+1:])}
	for line := range bytes.Lines(text[at:]) {
		number++
		if reason := r.line(strings.TrimSuffix(string(line), "\n"), text[:at]); reason != "" {
			return nil, &FootError{number, reason}
		}
		at += len(line)
	}

	switch {
	case r.next == wantTitle:
		return nil, nil
	case r.next != wantNothing:
		return nil, &FootError{number, "the foot is cut short"}
	case !r.foot.Chain.linear(r.foot.Key):
		return nil, &FootError{number, "its rotations do not follow each other to its key"}
	}

	return r.foot, nil
}

// plainLines are the bytes of a list as they are signed.
func plainLines(content []byte) []byte {
	return bytes.ReplaceAll(crypto.PlainText(content), []byte("\r\n"), []byte("\n"))
}

// SignedPart returns a file up to the first signature in it, and whether that
// holds: what was put behind it by hand takes nothing from those above.
func SignedPart(content []byte) (part []byte, ok bool) {
	text := plainLines(content)
	at := bytes.Index(text, []byte("\n"+footSignature))
	if at < 0 {
		return nil, false
	}
	end := len(text)
	if n := bytes.IndexByte(text[at+1:], '\n'); n >= 0 {
		end = at + 1 + n + 1
	}
	foot, err := ParseFoot(text[:end])
	return text[:end], err == nil && foot != nil && foot.Holds()
}

// footReader goes through a file line by line.
type footReader struct {
	foot *Foot
	next wanted
	last string // the line before
}

// wanted is what may come next of a foot.
type wanted int

const (
	wantTitle wanted = iota
	wantKey
	wantSignature // or a rotation
	wantNothing
)

// line takes the next line, without its end, and what stands above it. It returns
// why that is no foot.
func (r *footReader) line(line string, above []byte) (reason string) {
	before := r.last
	r.last = line

	if !isFootLine(line) {
		switch {
		case r.next == wantTitle:
		case r.next != wantNothing:
			return "a line that is none of the foot's is in it"
		case !mayFollowFoot(line):
			return "something other than '" + strings.TrimSpace(seenPrefix) + "' lines stands below the foot"
		}

		return ""
	}

	switch {
	case r.next == wantNothing:
		return "a second foot"
	case r.next == wantTitle && line == footTitle:
		if before != "" {
			return "the foot does not stand behind a blank line"
		}
		r.next = wantKey
		return ""
	case r.next == wantKey:
		key, ok := crypto.ParsePublicKey(strings.TrimPrefix(line, footKey))
		if ok && strings.HasPrefix(line, footKey) {
			r.foot.Key = key
			r.next = wantSignature
			return ""
		}
	case r.next == wantSignature:
		return r.proof(line, above)
	}

	return badFootLine
}

const badFootLine = "a line of the foot is not as it was written"

// proof takes a rotation, or the signature.
func (r *footReader) proof(line string, above []byte) (reason string) {
	if text, ok := strings.CutPrefix(line, footRotation); ok {
		s, ok := parseSuccession(text)
		switch {
		case !ok:
			return badFootLine
		case len(r.foot.Chain) == maxChain:
			return fmt.Sprintf("more than %d rotations", maxChain)
		}
		r.foot.Chain = append(r.foot.Chain, s)
		return ""
	}

	signature, ok := crypto.ParseSignature(strings.TrimPrefix(line, footSignature))
	if !ok || !strings.HasPrefix(line, footSignature) {
		return badFootLine
	}
	r.foot.Signature = signature
	r.foot.signed = above
	r.next = wantNothing
	return ""
}

func parseSuccession(text string) (s Succession, ok bool) {
	words := strings.Split(text, " ")
	if len(words) != 3 {
		return s, false
	}

	var good [3]bool
	s.Old, good[0] = crypto.ParsePublicKey(words[0])
	s.New, good[1] = crypto.ParsePublicKey(words[1])
	s.Signature, good[2] = crypto.ParseSignature(words[2])
	return s, good == [3]bool{true, true, true}
}

// isFootLine reports whether a line would be taken for one of a foot, by us or by
// a person, in whatever spelling.
func isFootLine(line string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line, footPrefix) || line == footMark
}

func mayFollowFoot(line string) bool {
	line = strings.TrimSpace(line)
	_, exposure := parseExposure(line)
	return line == "" || line == seenTitle || exposure
}

// lines returns the foot up to its signature, and the line of that.
func (f *Foot) lines() (signed []string, signature string) {
	signed = append(signed, footTitle, footKey+f.Key.String())
	for _, s := range f.Chain {
		signed = append(signed, footRotation+s.Old.String()+" "+s.New.String()+" "+s.Signature.String())
	}
	return signed, footSignature + f.Signature.String()
}

// Foot returns what the list says that the key signed; nil where it has no line
// of a foot. The error is a *FootError. After a change of the list it is what
// stood there before.
func (p *People) Foot() (*Foot, error) { return p.foot, p.footErr }

// SignedBy returns the key that signed the list as it was read; the zero value
// where none did.
func (p *People) SignedBy() (key crypto.PublicKey) {
	if p.foot != nil && p.foot.Holds() {
		return p.foot.Key
	}
	return key
}

// Sign has the formation's key sign what Encode returns. The rotations that led to
// this key stay, of the list or else of others that are known; where nothing leads
// to the key, it begins anew.
func (p *People) Sign(key *crypto.Key, known ...Chain) {
	p.signWith(key, p.leadingTo(key.Public(), known))
}

// SignSuccessor has a key vouch for the one that takes its place, and that one
// sign what Encode returns.
func (p *People) SignSuccessor(old, next *crypto.Key, known ...Chain) {
	chain := append(p.leadingTo(old.Public(), known), Succession{old.Public(), next.Public(), old.SignSuccession(next.Public())})
	p.signWith(next, chain[max(0, len(chain)-maxChain):])
}

// leadingTo is the longest chain that leads to a key.
func (p *People) leadingTo(key crypto.PublicKey, known []Chain) (longest Chain) {
	if p.foot != nil {
		known = append(slices.Clone(known), p.foot.Chain)
	}
	for _, chain := range known {
		if chain = chain.until(key); len(chain) > len(longest) && chain.Leads(chain[0].Old, key) {
			longest = chain
		}
	}
	return longest
}

func (p *People) signWith(key *crypto.Key, chain Chain) {
	p.foot, p.footErr = &Foot{Key: key.Public(), Chain: chain}, nil
	p.signer = key
	p.text = nil
}

// until is the part of a chain that leads to a key; a new slice.
func (c Chain) until(key crypto.PublicKey) Chain {
	at := slices.IndexFunc(c, func(s Succession) bool { return s.New == key })
	return slices.Clone(c[:at+1])
}

// mergeFeet is the foot of two merged lists, whose signature does not hold: ours,
// but theirs where our key led to theirs.
func mergeFeet(ours, theirs *Foot) *Foot {
	if ours == nil || theirs != nil && ours.Key != theirs.Key && theirs.Chain.Leads(ours.Key, theirs.Key) {
		return theirs
	}
	return ours
}

// Head returns the list but for its exposures, which are nobody's word: two
// versions with one head say the same of people and keys.
func (p *People) Head() []byte {
	bare := *p
	bare.exposed = nil
	return bare.Encode()
}
