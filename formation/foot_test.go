package formation

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// signedList is a list of two people with a rotation behind it and an exposure
// below.
func signedList(t testing.TB) (content []byte, old, key *crypto.Key) {
	t.Helper()
	old, key = newKey(t, crypto.Fernet), newKey(t, crypto.Age)
	p := mustPeople(t, "# The team\n\n# Ann\n"+ageKey(t)+"\n"+ed25519Key(t)+" bob@host\n\n# that is all")
	p.SignSuccessor(old, key)
	p.Expose("Eve", []string{"A"})
	return p.Encode(), old, key
}

func TestFoot(t *testing.T) {
	content, old, key := signedList(t)
	p := mustPeople(t, string(content))
	foot, err := p.Foot()
	if err != nil || foot == nil {
		t.Fatalf("no foot: %v\n%s", err, content)
	}
	if p.SignedBy() != key.Public() || foot.Key != key.Public() || len(foot.Chain) != 1 || !foot.Chain.Leads(old.Public(), key.Public()) {
		t.Errorf("not signed by the key, or nothing leads to it: %s", content)
	}
	if len(p.All()) != 2 || p.All()[0].Name != "Ann" || p.All()[1].Name != "bob@host" || len(p.Exposed()) != 1 {
		t.Errorf("got %v, %v", p.All(), p.Exposed())
	}
	if recipients, err := age.ParseRecipients(bytes.NewReader(dropSSH(content))); err != nil || len(recipients) != 1 {
		t.Errorf("age reads %d recipients, %v", len(recipients), err)
	}

	// Neither line ends nor a byte order mark are anybody's word.
	bare, _, _ := bytes.Cut(content, []byte("\n\n"+seenTitle))
	if q := mustPeople(t, string(bare)); q.SignedBy() != key.Public() {
		t.Error("no line end: the signature does not hold")
	}
	for name, spelled := range map[string][]byte{
		"CRLF": bytes.ReplaceAll(content, []byte("\n"), []byte("\r\n")),
		"BOM":  append([]byte("\ufeff"), content...),
	} {
		if q := mustPeople(t, string(spelled)); q.SignedBy() != key.Public() || !bytes.Equal(q.Encode(), content) {
			t.Errorf("%s: the signature does not hold", name)
		}
	}
	if got := p.Encode(); !bytes.Equal(got, content) {
		t.Errorf("written again as\n%s, want\n%s", got, content)
	}
}

// dropSSH leaves what age.ParseRecipients reads; the program itself reads more.
func dropSSH(content []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(content) {
		if !bytes.HasPrefix(line, []byte("ssh-")) {
			kept = append(kept, line...)
		}
	}
	return kept
}

func TestFootOfNobody(t *testing.T) {
	key := newKey(t, crypto.Fernet)
	p := mustPeople(t, "")
	p.Sign(key)
	content := p.Encode()
	if again := mustPeople(t, string(content)); again.SignedBy() != key.Public() || len(again.All()) != 0 || !bytes.HasPrefix(content, []byte(footTitle)) {
		t.Errorf("not signed: %s", content)
	}
}

func TestUnsignedLists(t *testing.T) {
	for _, text := range []string{"", "# Ann\n" + ageKey(t), "# about muxi-secrets\n" + ageKey(t)} {
		p := mustPeople(t, text)
		if foot, err := p.Foot(); foot != nil || err != nil || !p.SignedBy().IsZero() {
			t.Errorf("%q: %v, %v", text, foot, err)
		}
	}
}

// Whatever byte of a signed list is another one, it is noticed.
func TestEveryFlippedByteIsNoticed(t *testing.T) {
	content, _, key := signedList(t)
	end := bytes.Index(content, []byte("\n"+seenTitle))
	if end < 0 {
		t.Fatalf("no exposures below the foot: %s", content)
	}

	for i := range content[:end] {
		for bit := range 8 {
			flipped := bytes.Clone(content)
			flipped[i] ^= 1 << bit
			p, err := ParsePeople(flipped)
			if err == nil && p.SignedBy() == key.Public() {
				t.Errorf("byte %d, bit %d: %q is signed still", i, bit, flipped[max(0, i-20):min(len(flipped), i+20)])
			}
		}
	}
}

func TestDamagedFeet(t *testing.T) {
	content, _, _ := signedList(t)
	text, _, _ := strings.Cut(string(content), "\n"+seenTitle)
	at := strings.Index(text, footTitle)
	list, foot := text[:at], text[at:]
	lines := strings.SplitAfter(strings.TrimSuffix(foot, "\n"), "\n")
	other, _, _ := signedList(t)
	otherFoot, _, _ := strings.Cut(string(other)[strings.Index(string(other), footTitle):], "\n"+seenTitle)
	name := "\n# Eve\n" + ageKey(t) + "\n"

	for what, damaged := range map[string]string{
		"a key behind it":              text + name,
		"a key right behind it":        text + name[1:],
		"a key in it":                  list + lines[0] + name[7:] + strings.Join(lines[1:], "") + "\n",
		"a comment behind it":          text + "# more\n",
		"a second foot":                text + "\n" + foot,
		"another's foot behind it":     text + "\n" + otherFoot,
		"another's foot before it":     otherFoot + "\n" + text,
		"two feet at once":             list + foot + foot,
		"no blank line before it":      strings.TrimSuffix(list, "\n") + foot,
		"nor before one of two":        strings.TrimSuffix(list, "\n") + "\n\n#" + footMark + "\n" + strings.TrimPrefix(foot, "\n"),
		"blanks at a line's end":       strings.TrimSuffix(text, "\n") + " \n",
		"blanks before a line":         strings.Replace(text, footKey, " "+footKey, 1),
		"a blank line in it":           strings.Replace(text, "\n"+footKey, "\n\n"+footKey, 1),
		"no title":                     list + strings.Join(lines[1:], "") + "\n",
		"another title":                strings.Replace(text, "v1:", "v2:", 1),
		"no key":                       list + lines[0] + lines[2] + lines[3] + "\n",
		"two keys":                     list + lines[0] + lines[1] + lines[1] + lines[2] + lines[3] + "\n",
		"no signature":                 list + lines[0] + lines[1] + lines[2],
		"the signature first":          list + lines[0] + lines[1] + lines[3] + "\n" + lines[2],
		"a rotation twice":             list + lines[0] + lines[1] + lines[2] + lines[2] + lines[3] + "\n",
		"a rotation cut":               list + lines[0] + lines[1] + lines[2][:100] + "\n" + lines[3] + "\n",
		"a rotation to another key":    list + lines[0] + strings.SplitAfter(otherFoot, "\n")[1] + lines[2] + lines[3] + "\n",
		"padding":                      strings.TrimSuffix(text, "\n") + "==\n",
		"a last bit":                   lastBit(text),
		"the line alone":               list + footMark + "\n",
		"a line of it in a note":       footKey + "\n" + list,
		"more rotations than it keeps": tooLong(t),
	} {
		p, err := ParsePeople([]byte(damaged))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		foot, err := p.Foot()
		if foot != nil || err == nil || !p.SignedBy().IsZero() {
			t.Errorf("%s: is a foot\n%s", what, damaged)
		}
		for _, person := range p.All() {
			if strings.Contains(person.Name, "muxi-secrets") {
				t.Errorf("%s: somebody is called %q", what, person.Name)
			}
		}
		// A secret that changes is no reason to take it away.
		p.Expose("Eve", []string{"B"})
		if again := mustPeople(t, string(p.Encode())); errorOf(again.Foot()) == nil || !slices.Equal(again.All(), p.All()) {
			t.Errorf("%s: written as\n%s", what, p.Encode())
		}
	}
}

func errorOf[T any](_ T, err error) error { return err }

// lastBit changes the bits that no byte of the signature needs.
func lastBit(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := len(text) - 2
	return text[:last] + string(alphabet[strings.IndexByte(alphabet, text[last])^1]) + "\n"
}

func tooLong(t testing.TB) string {
	t.Helper()
	p := mustPeople(t, "# Ann\n"+ageKey(t))
	key := newKey(t, crypto.Fernet)
	var chain Chain
	for range maxChain + 1 {
		next := newKey(t, crypto.Fernet)
		chain = append(chain, Succession{key.Public(), next.Public(), key.SignSuccession(next.Public())})
		key = next
	}
	p.signWith(key, chain)
	return string(p.Encode())
}

// Signed are the people and their names: who comes, goes, or is called otherwise
// is not vouched for until the key signs again.
func TestChangedSinceSigned(t *testing.T) {
	content, _, key := signedList(t)
	for what, change := range map[string]func(*People){
		"added":   func(p *People) { p.Add("Eve", recipient(t, ageKey(t))) },
		"removed": func(p *People) { p.Remove(p.All()[0].Recipient) },
		"renamed": func(p *People) { p.Add("Anne", recipient(t, p.All()[0].Recipient)) },
	} {
		p := mustPeople(t, string(content))
		change(p)
		again := mustPeople(t, string(p.Encode()))
		foot, err := again.Foot()
		if err != nil || foot == nil || foot.Holds() || len(foot.Chain) != 1 {
			t.Errorf("%s: foot %v, %v", what, foot, err)
		}
		again.Sign(key)
		if signed := mustPeople(t, string(again.Encode())); signed.SignedBy() != key.Public() || len(signed.foot.Chain) != 1 || !slices.Equal(signed.All(), p.All()) {
			t.Errorf("%s: not signed again:\n%s", what, again.Encode())
		}
	}
}

// Exposures admit nobody, and go without a signature: from under a list that was
// changed by hand, too, which is not signed by the way.
func TestExposuresBelowFoot(t *testing.T) {
	content, _, key := signedList(t)
	p := mustPeople(t, string(content))
	p.Expose("Eve", []string{"B"})
	p.RenameSecret("A", "C")
	again := mustPeople(t, string(p.Encode()))
	if again.SignedBy() != key.Public() || len(again.Exposed()) != 2 {
		t.Errorf("exposures break the signature:\n%s", p.Encode())
	}
	again.Settle("B")
	again.Settle("C")
	bare := again.Encode()
	if q := mustPeople(t, string(bare)); q.SignedBy() != key.Public() || bytes.Contains(bare, []byte(seenTitle)) {
		t.Errorf("without exposures:\n%s", bare)
	}

	byHand := bytes.Replace(content, []byte("# Ann\n"), []byte("#  Anna\n"), 1)
	p = mustPeople(t, string(byHand))
	p.Settle("A")
	if want, _, _ := bytes.Cut(byHand, []byte("\n"+seenTitle)); !bytes.Equal(p.Encode(), want) {
		t.Errorf("a list that was changed by hand is written as\n%s", p.Encode())
	}
}

func TestNamesLikeTheFoot(t *testing.T) {
	key := newKey(t, crypto.Fernet)
	for _, name := range []string{strings.TrimPrefix(footTitle, "# "), "muxi-secrets", "muxi-secrets key " + key.Public().String(), " muxi-secrets\tsignature x"} {
		p := mustPeople(t, "")
		p.Add(name, recipient(t, ageKey(t)))
		p.Sign(key)
		again := mustPeople(t, string(p.Encode()))
		if again.SignedBy() != key.Public() || !strings.HasPrefix(again.All()[0].Name, "(muxi-secrets") {
			t.Errorf("%q: written as\n%s", name, p.Encode())
		}
	}
}

func TestChain(t *testing.T) {
	keys := make([]*crypto.Key, maxChain+10)
	for i := range keys {
		keys[i] = newKey(t, crypto.Fernet)
	}
	p := mustPeople(t, "# Ann\n"+ageKey(t))
	for i := range len(keys) - 1 {
		p.SignSuccessor(keys[i], keys[i+1])
		p = mustPeople(t, string(p.Encode()))
	}

	last := keys[len(keys)-1].Public()
	foot, err := p.Foot()
	if err != nil || !foot.Holds() || len(foot.Chain) != maxChain {
		t.Fatalf("%d rotations, %v", len(foot.Chain), err)
	}
	oldest := keys[len(keys)-1-maxChain].Public()
	for what, tc := range map[string]struct {
		from crypto.PublicKey
		want bool
	}{
		"itself": {last, true}, "the one before": {keys[len(keys)-2].Public(), true}, "the oldest": {oldest, true},
		"one it forgot": {keys[0].Public(), false}, "a stranger": {newKey(t, crypto.Age).Public(), false}, "no key": {crypto.PublicKey{}, false},
	} {
		if got := foot.Chain.Leads(tc.from, last); got != tc.want {
			t.Errorf("%s leads there: %v", what, got)
		}
	}
	if foot.Chain.Leads(last, oldest) || foot.Chain.Leads(last, crypto.PublicKey{}) {
		t.Error("a key vouches for the one before it, or for none")
	}
	if next, ok := foot.Chain.Successor(oldest); !ok || next != keys[len(keys)-maxChain].Public() {
		t.Error("the successor of the oldest is not the next")
	}
	if _, ok := foot.Chain.Successor(last); ok {
		t.Error("the last has a successor")
	}

	// One rotation that nobody signed ends it.
	forged := slices.Clone(foot.Chain)
	forged[5].Signature[3] ^= 1
	if _, ok := forged.Successor(forged[5].Old); ok || forged.Leads(oldest, last) || !forged.Leads(forged[6].Old, last) {
		t.Error("a forged rotation counts")
	}

	// Going back on rotations knowingly, and over to a key from elsewhere.
	for what, tc := range map[string]struct {
		key  *crypto.Key
		want int
	}{"a key of the chain": {keys[len(keys)-3], maxChain - 2}, "a stranger": {newKey(t, crypto.Fernet), 0}, "the same": {keys[len(keys)-1], maxChain}} {
		q := mustPeople(t, string(p.Encode()))
		q.Sign(tc.key)
		q = mustPeople(t, string(q.Encode()))
		if q.SignedBy() != tc.key.Public() || len(q.foot.Chain) != tc.want {
			t.Errorf("%s: %d rotations, %v", what, len(q.foot.Chain), q.footErr)
		}
	}
}

func TestMergedFeet(t *testing.T) {
	content, old, key := signedList(t)
	base := mustPeople(t, string(content))
	next, fork := newKey(t, crypto.Fernet), newKey(t, crypto.Fernet)
	signed := func(from, to *crypto.Key) *People {
		p := mustPeople(t, string(content))
		if from == to {
			p.Add("", recipient(t, ageKey(t)))
			p.Sign(to)
		} else {
			p.SignSuccessor(from, to)
		}
		return mustPeople(t, string(p.Encode()))
	}
	same, rotated, forked := signed(key, key), signed(key, next), signed(key, fork)
	unsigned := mustPeople(t, "# Ann\n"+ageKey(t))

	for what, tc := range map[string]struct {
		ours, theirs *People
		want         *crypto.Key
	}{
		"nobody rotated":    {same, base, key},
		"theirs rotated":    {same, rotated, next},
		"ours rotated":      {rotated, same, next},
		"a fork":            {rotated, forked, next},
		"theirs has none":   {same, unsigned, key},
		"ours has none":     {unsigned, same, key},
		"a retired key":     {base, signed(old, old), key},
		"a stranger's list": {same, signed(fork, fork), key},
	} {
		merged := MergePeople(base, tc.ours, tc.theirs)
		again := mustPeople(t, string(merged.Encode()))
		foot, err := again.Foot()
		if err != nil || foot.Key != tc.want.Public() {
			t.Errorf("%s: %v", what, err)
		}
	}
	if foot, err := mustPeople(t, string(MergePeople(nil, unsigned, unsigned).Encode())).Foot(); foot != nil || err != nil {
		t.Error("two unsigned lists make a signed one")
	}
}

// Only what the key signed reads as signed by it.
func FuzzFoot(f *testing.F) {
	content, _, key := signedList(f)
	genuine, _ := ParseFoot(content)
	f.Add(content)
	f.Add(append([]byte("\ufeff"), bytes.ReplaceAll(content, []byte("\n"), []byte("\r\n"))...))
	f.Add(append(bytes.Clone(content), content...))
	f.Add([]byte(footTitle + "\n" + footKey + key.Public().String() + "\n" + footSignature + genuine.Signature.String() + "\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		foot, err := ParseFoot(content)
		p, unread := ParsePeople(content)
		if unread == nil {
			again, err2 := p.Foot()
			if (again == nil) != (foot == nil) || fmt.Sprint(err) != fmt.Sprint(err2) {
				t.Fatalf("two readers: %v and %v", err, err2)
			}
		}
		if foot == nil {
			return
		}
		if err != nil || len(foot.Chain) > maxChain || !foot.Chain.linear(foot.Key) {
			t.Fatalf("%v, %d rotations", err, len(foot.Chain))
		}
		signed, signature := foot.lines()
		whole := strings.Join(append(signed, signature), "\n") + "\n"
		if !bytes.Contains(append(plainLines(content), '\n'), []byte(whole)) {
			t.Fatalf("%q is another spelling of %q", content, whole)
		}
		if foot.Key == key.Public() && foot.Holds() && !bytes.Equal(foot.signed, genuine.signed) {
			t.Fatalf("forged: %q", content)
		}
	})
}

// A list as long as one may be, with all the rotations it keeps, against what a
// process takes to start (some milliseconds).
func BenchmarkVerifyPeople(b *testing.B) {
	var text strings.Builder
	for i := range maxPeople {
		fmt.Fprintf(&text, "# Person %d of a large organisation\n%s\n", i, ed25519Key(b))
	}
	p := mustPeople(b, text.String())
	key := newKey(b, crypto.Fernet)
	for range maxChain {
		next := newKey(b, crypto.Fernet)
		p.SignSuccessor(key, next)
		key = next
	}
	content := p.Encode()
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		foot, err := ParseFoot(content)
		if err != nil || !foot.Holds() {
			b.Fatal("not signed", err)
		}
	}
}
