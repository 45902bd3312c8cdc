package trust

import (
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// cast are the keys of a story, by name: made when they are first named.
type cast struct {
	t    testing.TB
	keys map[string]*crypto.Key
}

func newCast(t testing.TB) *cast { return &cast{t, map[string]*crypto.Key{}} }

func (c *cast) key(name string) *crypto.Key {
	c.t.Helper()
	if c.keys[name] == nil {
		key, err := crypto.GenerateKey(crypto.Fernet)
		if err != nil {
			c.t.Fatal(err)
		}
		c.keys[name] = key
	}
	return c.keys[name]
}

// public is the public half of a key; "" is none.
func (c *cast) public(name string) (p crypto.PublicKey) {
	if name == "" {
		return p
	}
	return c.key(name).Public()
}

func (c *cast) nameOf(p crypto.PublicKey) string {
	for name, key := range c.keys {
		if key.Public() == p {
			return name
		}
	}
	return ""
}

// text makes a list: "a" is signed by a, "a>b>c" by c after two rotations; with "!"
// behind it it was changed since, "-" is an unsigned one, "" none at all.
func (c *cast) text(story string, people ...formation.Person) []byte {
	c.t.Helper()
	if story == "" {
		return nil
	}
	p, err := formation.ParsePeople([]byte("# Ann\n" + ann + "\n"))
	if err != nil {
		c.t.Fatal(err)
	}
	add := func(person formation.Person) {
		r, err := crypto.ParseRecipient(person.Recipient)
		if err != nil {
			c.t.Fatal(err)
		}
		p.Add(person.Name, r)
	}
	for _, person := range people {
		add(person)
	}
	if story == "-" {
		return p.Encode()
	}

	story, broken := strings.CutSuffix(story, "!")
	names := strings.Split(story, ">")
	p.Sign(c.key(names[0]))
	for i := 1; i < len(names); i++ {
		p.SignSuccessor(c.key(names[i-1]), c.key(names[i]))
	}
	content := p.Encode()
	if broken {
		content = []byte(strings.Replace(string(content), "# Ann\n", "# Anna\n", 1))
	}
	return content
}

func (c *cast) list(story string, people ...formation.Person) List {
	c.t.Helper()
	return ReadList(c.text(story, people...))
}

const ann = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

func person(t testing.TB, name string) formation.Person {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return formation.Person{Name: name, Recipient: id.Recipient().String()}
}

func TestReadList(t *testing.T) {
	c := newCast(t)
	for story, want := range map[string]State{"": NoList, "-": Unsigned, "a": Signed, "a>b": Signed, "a>b!": Broken} {
		l := c.list(story)
		if l.State != want {
			t.Errorf("%q: state %v, want %v", story, l.State, want)
		}
		if _, ok := l.Names(); ok != (want == Signed) {
			t.Errorf("%q: names a key: %v", story, ok)
		}
	}
	appended := ReadList(append(c.text("a"), "\n"+person(t, "x").Recipient+"\n"...))
	if appended.State != Broken || len(appended.People) != 2 || len(VouchedBy(c.public("a"), NewSuccession(), appended)) != 1 {
		t.Errorf("a key behind the foot: %+v", appended)
	}
	if l := ReadList([]byte("<<<<<<< ours\n")); l.State != Broken || l.Err == nil {
		t.Errorf("merge markers: %+v", l)
	}
	markers := append([]byte("<<<<<<< ours\n"), c.text("a>b")...)
	if l := ReadList(markers); l.State != Broken || l.Key != c.public("b") || len(l.Chain) != 1 {
		t.Error("merge markers above a foot: its rotations are gone")
	}

	// Exposures say nothing of who counts.
	exposed := append(c.text("a"), "\n# seen by Eve: A\n"...)
	if !ReadList(exposed).Same(c.list("a")) || ReadList(exposed).State != Signed {
		t.Error("an exposure makes another list")
	}
	for _, story := range []string{"", "-", "b", "a!"} {
		if c.list(story).Same(c.list("a")) {
			t.Errorf("%q is the same", story)
		}
	}
}

func TestSuccession(t *testing.T) {
	c := newCast(t)
	s := NewSuccession(c.list("a>b"), c.list("b>c"), c.list("b>x!"), c.list("m>n"))
	for _, tc := range []struct{ from, to, path string }{
		{"a", "a", "a"}, {"a", "b", "a>b"}, {"a", "c", "a>b>c"}, {"a", "x", "a>b>x"}, {"z", "z", "z"},
		{"b", "a", ""}, {"c", "x", ""}, {"a", "n", ""}, {"", "a", ""}, {"a", "", ""},
	} {
		var names []string
		for _, key := range s.Path(c.public(tc.from), c.public(tc.to)) {
			names = append(names, c.nameOf(key))
		}
		if got := strings.Join(names, ">"); got != tc.path || s.Leads(c.public(tc.from), c.public(tc.to)) != (tc.path != "") {
			t.Errorf("%s to %s: %q, want %q", tc.from, tc.to, got, tc.path)
		}
	}
	if origin, ok := s.Origin(c.public("c"), c.public("x")); !ok || !s.Leads(c.public("a"), origin) {
		t.Error("the two successors have no origin")
	}
	if _, ok := s.Origin(c.public("c"), c.public("n")); ok {
		t.Error("two strangers have one origin")
	}

	forged := c.list("a>b")
	forged.Chain = formation.Chain{{Old: c.public("a"), New: c.public("evil"), Signature: c.key("evil").SignSuccession(c.public("evil"))}}
	if NewSuccession(forged).Leads(c.public("a"), c.public("evil")) {
		t.Error("a rotation counts that the old key did not sign")
	}
}

// keyCase is one row: what is known, and what becomes of a key.
type keyCase struct {
	name       string
	pin        string // the pinned key; with "*" behind it the list was signed then
	vanished   string // a pin of a folder that is gone
	head, file string
	tips       string // lists of branches, with blanks between; "+" before one: HEAD contains it
	kept       string // keys that this clone had, with blanks between
	elsewhere  string // those of them that are, or were, another formation's here
	earlier    string // and those that were this one's
	accepted   string // and those that were accepted in a work tree
	knowingly  bool   // the pinned key was accepted
	retired    string // those that HEAD's history has a later one of
	replaced   string // and, by its lists, the later one behind it: "a>b"
	was        bool   // an ancestor had the list signed
	key        string
	want       Standing
	rival      string
}

func (c *cast) evidence(tc keyCase) *Evidence {
	pin, signed := strings.CutSuffix(tc.pin, "*")
	e := &Evidence{
		Pinned:    pin != "",
		Pin:       formation.Pin{Folder: "bot", Key: c.public(pin), Signed: signed},
		Head:      c.list(tc.head),
		File:      c.list(tc.file),
		WasSigned: func() bool { return tc.was },
		InHead:    func(commit string) bool { return commit == "in HEAD" },
		Kept:      c.among(tc.kept),
		Elsewhere: c.among(tc.elsewhere),
		Accepted:  c.among(tc.accepted),
		Retired:   c.among(tc.retired),
		Replaced: func(key crypto.PublicKey) (crypto.PublicKey, bool) {
			from, to, ok := strings.Cut(tc.replaced, ">")
			return c.public(to), ok && c.public(from) == key
		},
	}
	if tc.knowingly {
		e.Pin.Accepted = []crypto.PublicKey{e.Pin.Key}
	}
	for _, name := range strings.Fields(tc.earlier) {
		e.Pin.Earlier = append(e.Pin.Earlier, c.public(name))
	}
	if tc.vanished != "" {
		e.Vanished = []formation.Pin{{Folder: "old", Key: c.public(tc.vanished)}}
	}
	for _, story := range strings.Fields(tc.tips) {
		story, in := strings.CutPrefix(story, "+")
		tip := Tip{Ref: story, List: c.list(story)}
		if in {
			tip.Commit = "in HEAD"
		}
		e.Tips = append(e.Tips, tip)
	}
	return e
}

func (c *cast) among(names string) func(crypto.PublicKey) bool {
	return func(key crypto.PublicKey) bool {
		return slices.ContainsFunc(strings.Fields(names), func(name string) bool { return c.public(name) == key })
	}
}

func TestUnlock(t *testing.T) {
	for _, tc := range []keyCase{
		{name: "first contact, never signed", head: "-", file: "-", key: "a", want: FirstContact},
		{name: "first contact, no list", key: "a", want: FirstContact},
		{name: "first contact, the list names the key", head: "a>b", file: "a>b", key: "b", want: FirstContact},
		{name: "first contact, the list names another", head: "a", file: "a", key: "evil", want: NotNamed},
		{name: "first contact, the list was changed since", head: "a!", file: "a!", key: "a", want: NotSigned},
		{name: "first contact, a list in the work tree alone, changed since", file: "a!", key: "a", want: NotSigned},
		{name: "first contact, a list in the work tree alone", file: "a", key: "a", want: FirstContact},
		{name: "first contact, the foot was stripped", head: "-", file: "-", was: true, key: "evil", want: NotSigned},
		{name: "first contact, the list is gone", was: true, key: "evil", want: NotSigned},
		{name: "first contact, swapped in the work tree", head: "a", file: "-", key: "evil", want: NotSigned},

		{name: "the pinned key", pin: "a", head: "a", file: "a", key: "a", want: Ours},
		{name: "the pinned key, whatever the list says", pin: "a*", head: "evil", file: "evil", key: "a", want: Ours},
		{name: "the pinned key, never signed", pin: "a", head: "-", file: "-", key: "a", want: Ours},

		{name: "a rotation", pin: "a*", head: "a>b", file: "a>b", key: "b", want: Successor},
		{name: "two rotations", pin: "a*", head: "a>b>c", file: "a>b>c", key: "c", want: Successor},
		{name: "a rotation that signs for the first time", pin: "a", head: "a>b", file: "a>b", key: "b", want: Successor},
		{name: "a rotation, and the list names its next", pin: "a*", head: "a>b>c", file: "a>b>c", key: "b", want: NotNamed},
		{name: "a rotation whose list was changed since", pin: "a*", head: "a>b!", file: "a>b!", key: "b", want: NotSigned},
		{name: "a rotation that was itself replaced, and the list put back", pin: "a*", head: "a>b", file: "a>b", replaced: "b>c", key: "b", want: Retired},
		{name: "a rotation that another branch knows", pin: "a*", head: "b", file: "b", tips: "a>b", key: "b", want: Successor},

		{name: "a stranger's key", pin: "a*", head: "evil", file: "evil", key: "evil", want: Unvouched},
		{name: "a stranger's key, never signed", pin: "a", head: "-", file: "-", key: "evil", want: Unvouched},
		{name: "a stranger's key without a list", pin: "a", key: "evil", want: Unvouched},
		{name: "a stranger's key, the foot stripped", pin: "a*", head: "-", file: "-", key: "evil", want: Unvouched},
		{name: "a stranger's key after his own rotation", pin: "a*", head: "x>evil", file: "x>evil", key: "evil", want: Unvouched},

		{name: "a fork at a branch", pin: "a*", head: "a>b", file: "a>b", tips: "a>c", key: "b", want: Forked, rival: "c"},
		{name: "a fork later on", pin: "a*", head: "a>b>c", file: "a>b>c", tips: "a>b>d", key: "c", want: Forked, rival: "d"},
		{name: "a fork whose list was changed since", pin: "a*", head: "a>b", file: "a>b", tips: "a>c!", key: "b", want: Forked, rival: "c"},
		{name: "a fork that HEAD settled", pin: "a*", head: "a>b", file: "a>b", tips: "+a>c", key: "b", want: Successor},
		{name: "no fork: behind", pin: "a*", head: "a>b>c", file: "a>b>c", tips: "a a>b", key: "c", want: Successor},
		{name: "no fork: ahead", pin: "a*", head: "a>b", file: "a>b", tips: "a>b>c", key: "b", want: Successor},
		{name: "no fork: other keys", pin: "a*", head: "a>b", file: "a>b", tips: "x>y - evil", key: "b", want: Successor},
		{name: "a fork before the pin is settled", pin: "b*", head: "a>b", file: "a>b", tips: "a>c", key: "b", want: Ours},
		{name: "the other side of a fork", pin: "b*", head: "a>c", file: "a>c", tips: "a>b", key: "c", want: Forked, rival: "b"},

		{name: "an older branch", pin: "b*", head: "a", file: "a", tips: "a>b", kept: "a", key: "a", want: Earlier},
		{name: "an older branch, never signed", pin: "b", head: "-", file: "-", kept: "a", key: "a", want: Earlier},
		{name: "a rotation that was thrown away", pin: "b*", head: "a", file: "a", kept: "a", key: "a", want: Earlier},
		{name: "a retired key", pin: "b*", head: "a>b", file: "a>b", kept: "a", key: "a", want: Retired},
		{name: "a retired key that signs for itself", pin: "b*", head: "a>b", file: "a", kept: "a", key: "a", want: Retired},
		{name: "a retired key's list, merged", pin: "b*", head: "a", file: "a", tips: "a>b", kept: "a", retired: "a", key: "a", want: Retired},
		{name: "first contact with a key that HEAD's history replaced", head: "a", file: "a", replaced: "a>b", key: "a", want: Retired},
		{name: "the pinned key, replaced in HEAD's history", pin: "a*", head: "a", file: "a", replaced: "a>b", key: "a", want: Retired},
		{name: "the pinned key, gone back to knowingly", pin: "a*", knowingly: true, head: "a", file: "a", replaced: "a>b", key: "a", want: Ours},
		{name: "an older key that was never here", pin: "b*", head: "a", file: "a", tips: "a>b", key: "a", want: Retired},
		{name: "another folder's key", pin: "a*", head: "x", file: "x", kept: "x", elsewhere: "x", key: "x", want: Unvouched},
		{name: "another folder's key, never signed", pin: "a", head: "-", file: "-", kept: "x", elsewhere: "x", key: "x", want: Unvouched},
		{name: "a key that a copied folder had, too", pin: "a*", head: "x", file: "x", kept: "x", elsewhere: "x", earlier: "x", key: "x", want: Earlier},
		{name: "a key that was accepted at most", pin: "a*", head: "evil", file: "evil", kept: "evil", accepted: "evil", key: "evil", want: Unvouched},
		{name: "an earlier key that was accepted, too", pin: "b*", head: "a", file: "a", tips: "a>b", kept: "a", accepted: "a", earlier: "a", key: "a", want: Earlier},
		{name: "an accepted key that ours vouches for now", pin: "a*", head: "a>b", file: "a>b", kept: "b", accepted: "b", key: "b", want: Successor},
		{name: "an older branch whose list names another", pin: "b*", head: "a", file: "evil", kept: "a", key: "a", want: NotNamed},

		{name: "a renamed folder", vanished: "a", head: "a", file: "a", key: "a", want: FirstContact},
		{name: "a renamed folder, and a rotation", vanished: "a", head: "a>b", file: "a>b", key: "b", want: Successor},
		{name: "a renamed folder, its key swapped", vanished: "a", head: "evil", file: "evil", key: "evil", want: Swapped},
		{name: "a renamed folder, its key swapped, no list", vanished: "a", key: "evil", want: Swapped},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCast(t)
			e := c.evidence(tc)
			if tc.name == "a renamed folder" {
				tc.want = Ours
			}
			v := e.Unlock(c.public(tc.key))
			if v.Standing != tc.want || v.Believed() != (tc.want < Unvouched) {
				t.Errorf("got %v, want %v", v.Standing, tc.want)
			}
			if rival := c.nameOf(v.RivalKey); rival != tc.rival {
				t.Errorf("the rival is %q, want %q", rival, tc.rival)
			}
			if v.Key != c.public(tc.key) {
				t.Error("the verdict is of another key")
			}
		})
	}
}

// One that a commit brought is nobody's to hand round.
func TestSealArrived(t *testing.T) {
	c := newCast(t)
	for key, want := range map[string]Standing{"a": Ours, "b": Unvouched, "old": Earlier} {
		e := c.evidence(keyCase{pin: "a", head: "-", file: "-", kept: "old"})
		e.Arrived = func() bool { return true }
		if v := e.Seal(c.public(key)); v.Standing != want {
			t.Errorf("%s: got %v, want %v", key, v.Standing, want)
		}
	}
}

// While a merge waits, the list of the work tree is not signed yet: a side's names
// the key in its place, and only the one that it names.
func TestUnlockWithinAMerge(t *testing.T) {
	for _, tt := range []struct {
		sides string
		want  Standing
	}{{"a", FirstContact}, {"b a", FirstContact}, {"b", NotSigned}, {"- a!", NotSigned}} {
		c := newCast(t)
		e := c.evidence(keyCase{head: "a", file: "-", key: "a"})
		for _, story := range strings.Fields(tt.sides) {
			e.Sides = append(e.Sides, ReadList(c.text(story)))
		}
		if v := e.Unlock(c.public("a")); v.Standing != tt.want {
			t.Errorf("sides %s: got %v, want %v", tt.sides, v.Standing, tt.want)
		}
	}
}

// A fork that is being merged is decided first; a stranger's list beside one is none.
func TestSealWithinAMerge(t *testing.T) {
	for _, tt := range []struct {
		file, sides string
		want        Standing
	}{
		{"a>c", "", Usurped},
		{"a>c", "a>b a>c", NotNamed},
		{"evil", "a>b evil", Usurped},
		{"a>b", "a>b a>c", Ours},
	} {
		c := newCast(t)
		e := c.evidence(keyCase{pin: "b*", head: "a>b", file: tt.file})
		for _, story := range strings.Fields(tt.sides) {
			e.Sides = append(e.Sides, c.list(story))
		}
		if v := e.Seal(c.public("b")); v.Standing != tt.want {
			t.Errorf("file %s, sides %q: got %v, want %v", tt.file, tt.sides, v.Standing, tt.want)
		}
	}
}

func TestSeal(t *testing.T) {
	for _, tc := range []keyCase{
		{name: "no list", pin: "a", key: "a", want: Ours},
		{name: "nothing is pinned", head: "a", file: "a", key: "a", want: FirstContact},
		{name: "all agree", pin: "a*", head: "a", file: "a", key: "a", want: Ours},
		{name: "a rotation that is not committed", pin: "b*", head: "a", file: "a>b", key: "b", want: Ours},
		{name: "a rotation that came by hand", pin: "a*", head: "a>b", file: "a>b", key: "b", want: Successor},
		{name: "a new commit picked onto an old branch", pin: "b*", head: "a", file: "a", tips: "a>b", key: "b", want: Ours},
		{name: "an older branch", pin: "b*", head: "a", file: "a", tips: "a>b", kept: "a", key: "a", want: Earlier},
		{name: "another folder's key", pin: "a*", head: "x", file: "x", kept: "x", elsewhere: "x", key: "x", want: Unvouched},
		{name: "a list that was changed since", pin: "a*", head: "a!", file: "a!", key: "a", want: Ours},
		{name: "a key handed round, never signed", pin: "a", head: "-", file: "-", key: "b", want: Ours},

		{name: "replaced in HEAD's history", pin: "a*", head: "a", file: "a", replaced: "a>b", key: "a", want: Retired},
		{name: "nothing is pinned, replaced in HEAD's history", head: "a", file: "a", replaced: "a>b", key: "a", want: Retired},
		{name: "gone back to knowingly", pin: "a*", knowingly: true, head: "a", file: "a", replaced: "a>b", key: "a", want: Ours},
		{name: "another was gone back to knowingly", pin: "a*", knowingly: true, head: "a>b", file: "a>b", replaced: "b>c", key: "b", want: Retired},
		{name: "another was replaced", pin: "b*", head: "a>b", file: "a>b", replaced: "a>b", key: "b", want: Ours},
		{name: "HEAD names another", pin: "a*", head: "evil", file: "evil", key: "a", want: Usurped},
		{name: "the work tree names another", pin: "a*", head: "a", file: "evil", key: "a", want: Usurped},
		{name: "HEAD names a later one", pin: "a*", head: "a>b", file: "a>b", key: "a", want: NotNamed},
		{name: "nothing is pinned, the list names another", head: "a", file: "a", key: "evil", want: NotNamed},
		{name: "a stranger's key", pin: "a*", head: "evil", file: "evil", key: "evil", want: Unvouched},
		{name: "a stranger's key, accepted", pin: "evil*", head: "evil", file: "evil", key: "evil", want: Ours},
		{name: "a stranger's key, the list gone", pin: "a*", key: "evil", want: Unvouched},
		{name: "accepted on a branch, and back on main", pin: "evil*", head: "a", file: "a", key: "evil", want: Usurped},
		{name: "a fork", pin: "a*", head: "a>b", file: "a>b", tips: "a>c", key: "b", want: Forked, rival: "c"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCast(t)
			v := c.evidence(tc).Seal(c.public(tc.key))
			if v.Standing != tc.want || c.nameOf(v.RivalKey) != tc.rival {
				t.Errorf("got %v beside %q, want %v", v.Standing, c.nameOf(v.RivalKey), tc.want)
			}
		})
	}
}

func TestMerge(t *testing.T) {
	for _, tc := range []struct {
		keyCase
		ours, base, theirs string // the keys that ours and theirs are sealed with
		sides              string // their lists
		picks              string
		side               int
	}{
		{keyCase{name: "one key", pin: "a*", head: "a", want: Ours}, "a", "a", "a", "a", "a", -1},
		{keyCase{name: "theirs was rotated", pin: "a*", head: "a", want: Successor}, "a", "a", "b", "a>b", "b", 2},
		{keyCase{name: "theirs was rotated twice", pin: "a*", head: "a", want: Successor}, "a", "a", "c", "a>b>c", "c", 2},
		{keyCase{name: "ours was rotated", pin: "b*", head: "a>b", want: Ours}, "b", "a", "a", "a", "b", -1},
		{keyCase{name: "ours was rotated by a colleague, a rebase", pin: "a*", head: "a>b", want: Successor}, "b", "a", "a", "a", "b", 1},
		{keyCase{name: "a revert of a rotation", pin: "b*", head: "a>b", want: Ours}, "b", "b", "a", "a", "b", -1},
		{keyCase{name: "no list, one key", pin: "a", want: Ours}, "a", "a", "a", "", "a", -1},
		{keyCase{name: "no list, a key that was here", pin: "a", kept: "o", want: Ours}, "a", "o", "o", "", "a", -1},
		{keyCase{name: "a side without a vault", pin: "a", want: Ours}, "", "a", "a", "", "a", -1},

		{keyCase{name: "a stranger's", pin: "a*", head: "a", want: Unvouched}, "a", "a", "evil", "evil", "evil", 2},
		{keyCase{name: "a stranger's, no list", pin: "a", want: Unvouched}, "a", "a", "evil", "", "evil", 2},
		{keyCase{name: "a stranger's is HEAD", pin: "a*", head: "evil", want: Unvouched}, "evil", "a", "a", "a", "evil", 1},
		{keyCase{name: "both rotated", pin: "b*", head: "a>b", want: Forked, rival: "b"}, "b", "a", "c", "a>c", "c", 2},
		{keyCase{name: "both rotated, neither is here", pin: "a*", head: "a>b", want: Forked, rival: "b"}, "b", "a", "c", "a>c", "c", 2},
		{keyCase{name: "theirs was rotated, and so was another branch", pin: "a*", head: "a", tips: "a>c", want: Forked, rival: "c"}, "a", "a", "b", "a>b", "b", 2},
		{keyCase{name: "no key is ours", head: "a", want: Unvouched}, "a", "a", "a", "a", "", -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCast(t)
			e := c.evidence(tc.keyCase)
			e.Sides = []List{c.list(tc.sides)}
			v, side := e.Merge(e.Pin.Key, c.public(tc.base), c.public(tc.ours), c.public(tc.theirs))
			if v.Standing != tc.want || c.nameOf(v.Key) != tc.picks || side != tc.side || c.nameOf(v.RivalKey) != tc.rival {
				t.Errorf("got %v, %q of side %d beside %q", v.Standing, c.nameOf(v.Key), side, c.nameOf(v.RivalKey))
			}
		})
	}
}

func TestVouchedPeople(t *testing.T) {
	bob, eve, zoe := person(t, "Bob"), person(t, "Eve"), person(t, "Zoe")
	renamed := formation.Person{Name: "Robert", Recipient: bob.Recipient}
	list := []formation.Person{{Name: "Ann", Recipient: ann}, bob, eve, zoe}
	for _, tc := range []struct {
		name  string
		key   string
		lists func(*cast) []List
		want  []formation.Person // those nobody vouched for
	}{
		{"signed by the key", "a", func(c *cast) []List { return []List{c.list("a", bob, eve, zoe)} }, nil},
		{"by a successor", "a", func(c *cast) []List { return []List{c.list("a>b", bob, eve, zoe)} }, nil},
		{"two sides of a merge, each with one", "a", func(c *cast) []List { return []List{c.list("a", bob), c.list("a", eve)} }, []formation.Person{zoe}},
		{"unsigned", "a", func(c *cast) []List { return []List{c.list("-", bob, eve, zoe)} }, list},
		{"changed since", "a", func(c *cast) []List { return []List{c.list("a!", bob, eve, zoe), c.list("a", bob)} }, []formation.Person{eve, zoe}},
		{"by a stranger", "a", func(c *cast) []List { return []List{c.list("evil", bob, eve, zoe), c.list("a")} }, []formation.Person{bob, eve, zoe}},
		{"by a retired key", "b", func(c *cast) []List { return []List{c.list("a", bob, eve, zoe), c.list("a>b", bob)} }, []formation.Person{eve, zoe}},
		{"under another name", "a", func(c *cast) []List { return []List{c.list("a", renamed, eve, zoe)} }, []formation.Person{bob}},
		{"nobody", "a", func(c *cast) []List { return nil }, list},
	} {
		c := newCast(t)
		lists := tc.lists(c)
		got := VouchedBy(c.public(tc.key), NewSuccession(lists...), lists...).Newcomers(list)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v are new, want %v", tc.name, got, tc.want)
		}
	}
}

// Keyless CI: the root is the tip of the base.
func TestChange(t *testing.T) {
	bob, eve := person(t, "Bob"), person(t, "Eve")
	for _, tc := range []struct {
		name               string
		tip, before, after string
		root               string // where it is not the tip's
		rewrapped          bool
		added              []formation.Person // after
		removed            []formation.Person // before
		fault              Fault
		first              bool
		came, left         int
	}{
		{name: "nothing", tip: "a", before: "a", after: "a"},
		{name: "never signed", tip: "-", before: "-", after: "-", rewrapped: true},
		{name: "never signed, somebody came", tip: "-", before: "-", after: "-", added: []formation.Person{eve}, came: 1},
		{name: "never shared", rewrapped: true},
		{name: "the first signature", tip: "-", before: "-", after: "a", first: true},
		{name: "the first list", after: "a", first: true, came: 1},
		{name: "somebody was added", tip: "a", before: "a", after: "a", added: []formation.Person{bob}, rewrapped: true, came: 1},
		{name: "somebody was removed", tip: "a", before: "a", after: "a>b", removed: []formation.Person{bob}, rewrapped: true, left: 1},
		{name: "a rotation", tip: "a", before: "a", after: "a>b", rewrapped: true},
		{name: "open while the base was rotated", tip: "a>b", before: "a", after: "a"},

		{name: "a stranger's key", tip: "a", before: "a", after: "evil", rewrapped: true, fault: KeyUnvouched},
		{name: "a stranger's rotation", tip: "a", before: "a", after: "x>evil", fault: KeyUnvouched},
		{name: "by hand", tip: "a", before: "a", after: "a!", added: []formation.Person{eve}, fault: PeopleUnvouched, came: 1},
		{name: "the foot stripped", tip: "a", before: "a", after: "-", fault: PeopleUnvouched},
		{name: "the list gone", tip: "a", before: "a", after: "", fault: PeopleUnvouched, left: 1},
		{name: "the list gone, which was by hand before", tip: "a!", root: "a", before: "a!", after: "", fault: PeopleUnvouched, left: 1},
		{name: "by hand in the base", tip: "a!", root: "a", before: "a!", after: "a!", rewrapped: true, fault: PeopleUnvouched},
		{name: "healed", tip: "a!", root: "a", before: "a!", after: "a", rewrapped: true},
		{name: "from before a removal", tip: "a>b", before: "a", after: "a", added: []formation.Person{eve}, fault: KeyBehind, came: 1},
		{name: "from before a removal, wrapped again", tip: "a>b", before: "a", after: "a", rewrapped: true, fault: KeyBehind},
		{name: "from before a removal, with a rotation of his own", tip: "a>b", before: "a", after: "a>evil", rewrapped: true, fault: KeyUnvouched},
		{name: "the base merged in", tip: "a>b", before: "a>b", after: "a>b", added: []formation.Person{eve}, rewrapped: true, came: 1},
	} {
		c := newCast(t)
		tip := Version{There: true, List: c.list(tc.tip), Wrapped: "x"}
		change := Change{
			Tip:    tip,
			Root:   tip.List,
			Before: Version{There: true, List: c.list(tc.before, tc.removed...), Wrapped: "x"},
			After:  Version{There: true, List: c.list(tc.after, tc.added...), Wrapped: "x"},
		}
		if tc.root != "" {
			change.Root = c.list(tc.root)
		}
		if tc.rewrapped {
			change.After.Wrapped = "y"
		}
		v := change.Judge()
		if v.Fault != tc.fault || v.FirstSigned != tc.first || len(v.Came) != tc.came || len(v.Left) != tc.left {
			t.Errorf("%s: %+v, want fault %v, first %v, %d came, %d left", tc.name, v, tc.fault, tc.first, tc.came, tc.left)
		}
	}

	// A formation that is gone needs nobody's word.
	c := newCast(t)
	gone := Change{Tip: Version{There: true, List: c.list("a")}, Root: c.list("a"), Before: Version{There: true, List: c.list("a")}}
	if v := gone.Judge(); v.Fault != NoFault {
		t.Errorf("a formation was deleted: %+v", v)
	}
}

func TestGone(t *testing.T) {
	c := newCast(t)
	ann, bob, carl := formation.Person{Name: "Ann", Recipient: "age1ann"}, formation.Person{Name: "Bob", Recipient: "age1bob"}, formation.Person{Name: "Carl", Recipient: "age1carl"}
	signed := func(key string, people ...formation.Person) List {
		return List{State: Signed, Key: c.public(key), People: people}
	}
	lists := []List{
		signed("a", ann, bob), signed("b", ann, carl), signed("b", ann),
		{State: Broken, Key: c.public("b"), People: []formation.Person{bob}}, {},
	}
	if got := names(Gone([]formation.Person{ann}, c.public("b"), lists...)); got != "Carl" {
		t.Errorf("%q are gone", got)
	}
	again := formation.Person{Name: "another name", Recipient: carl.Recipient}
	if got := names(Gone([]formation.Person{ann, again}, c.public("b"), lists...)); got != "" {
		t.Errorf("%q are gone, though they are there", got)
	}
}
