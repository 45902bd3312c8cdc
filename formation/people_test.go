package formation

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

func ageIdentity(t testing.TB) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func ageKey(t testing.TB) string {
	t.Helper()
	return ageIdentity(t).Recipient().String()
}

// sshLine is the text of an SSH public key of these parts (RFC 4253, 6.6).
func sshLine(kind string, parts ...[]byte) string {
	var b []byte
	for _, part := range append([][]byte{[]byte(kind)}, parts...) {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	return kind + " " + base64.StdEncoding.EncodeToString(b)
}

func ed25519Key(t testing.TB) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sshLine("ssh-ed25519", public)
}

func rsaKey(t testing.TB, bits int) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return sshLine("ssh-rsa", big.NewInt(int64(key.E)).Bytes(), append([]byte{0}, key.N.Bytes()...))
}

func recipient(t testing.TB, line string) *crypto.Recipient {
	t.Helper()
	r, err := crypto.ParseRecipient(line)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustPeople(t testing.TB, text string) *People {
	t.Helper()
	p, err := ParsePeople([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParsePeople(t *testing.T) {
	a, b, s := ageKey(t), ageKey(t), ed25519Key(t)
	for _, test := range [...]struct{ about, file, people, written string }{ // written "": as file
		{"empty", "", "", ""},
		{"a key", a + "\n", "=A", ""},
		{"no newline", a, "=A", a + "\n"},
		{"a name", "# Ann\n" + a + "\n", "Ann=A", ""},
		{"no blank in the comment", "#Ann\n" + a + "\n", "Ann=A", "# Ann\n" + a + "\n"},
		{"the last comment is the name", "# works here\n# Ann\n" + a + "\n", "Ann=A", ""},
		{"a comment that is no name", "# all\n# works here\n\n" + a + "\n", "=A", ""},
		{"an SSH key's comment", s + " sue@host  1\n", "sue@host 1=S", "# sue@host 1\n" + s + "\n"},
		{"a name before an SSH key's comment", "# Sue\n" + s + " sue@host\n", "Sue=S", "# Sue\n" + s + "\n"},
		{"an empty name", "#\n" + s + " sue@host\n", "sue@host=S", "# sue@host\n" + s + "\n"},
		{"sorted", "# bob\n" + b + "\n# Ann\n" + a + "\n# Zoë\n" + s + "\n", "Ann=A bob=B Zoë=S", "# Ann\n" + a + "\n# bob\n" + b + "\n# Zoë\n" + s + "\n"},
		{"comments go along", "# b1\n# bob\n" + b + "\n# a1\n#a2\n# Ann\n" + a + "\n", "Ann=A bob=B", "# a1\n#a2\n# Ann\n" + a + "\n# b1\n# bob\n" + b + "\n"},
		{"a nameless one's comments", "# Ann\n" + a + "\n# about b\n\n" + b + "\n", "=B Ann=A", "# about b\n#\n" + b + "\n# Ann\n" + a + "\n"},
		{"a header", "# The team\n# of us\n\n# Ann\n" + a + "\n", "Ann=A", ""},
		{"a header of two blocks", "\n# The team\n\n\n# of us\n\n\n" + a + "\n", "=A", "# The team\n\n# of us\n\n" + a + "\n"},
		{"a header alone", "# The team\n", "", ""},
		{"a footer", "# Ann\n" + a + "\n\n# That is all\n\n# really\n", "Ann=A", ""},
		{"a footer at once", a + "\n# That is all", "=A", a + "\n\n# That is all\n"},
		{"blanks and CRLF", "\ufeff# Ann \r\n  " + a + "\t\r\n\r\n", "Ann=A", "# Ann\n" + a + "\n"},
		{"twice", a + "\n# Ann\n" + a + "\n", "Ann=A", "# Ann\n" + a + "\n"},
		{"exposures", "# Ann\n" + a + "\n\n" + seenTitle + "\n# seen by Bob: A\n# seen by bob: B\n", "Ann=A !Bob:A !bob:B", ""},
		{"a key behind exposures", a + "\n\n" + seenTitle + "\n# seen by Bob: A\n" + b + "\n", "=A =B !Bob:A", "sorted"},
		{"a name behind exposures", "# Ann\n" + a + "\n\n" + seenTitle + "\n# seen by Bob: A\n# Bea\n" + b + "\n", "Ann=A Bea=B !Bob:A",
			"# Ann\n" + a + "\n# Bea\n" + b + "\n\n" + seenTitle + "\n# seen by Bob: A\n"},
		{"exposures alone", seenTitle + "\n# seen by Bob: A\n", "!Bob:A", ""},
		{"exposures and a footer", a + "\n\n# end\n\n" + seenTitle + "\n# seen by Bob: A\n", "=A !Bob:A", ""},
		{"odd exposures", seenTitle + "\n# seen by a: b: \"c: \\\"d\": \"e: \"\n# seen by x: Y: Z\n", "!a: b: \"c: \\\"d\":e:  !x: Y:Z", ""},
		{"a comment like an exposure", "# seen by nobody\n\n" + a + "\n", "=A", ""},
		{"a name like an exposure", "# seen by nobody\n" + a + "\n", "(seen by nobody)=A", "# (seen by nobody)\n" + a + "\n"},
	} {
		p, err := ParsePeople([]byte(test.file))
		if err != nil {
			t.Errorf("%s: %v", test.about, err)
			continue
		}
		letters := strings.NewReplacer(a, "A", b, "B", s, "S")
		var got []string
		for _, person := range p.All() {
			got = append(got, person.Name+"="+letters.Replace(person.Recipient))
		}
		for _, e := range p.Exposed() {
			got = append(got, "!"+e.Person+":"+e.Secret)
		}
		want := test.people
		if test.written == "sorted" {
			test.written = slices.Min([]string{a, b}) + "\n" + slices.Max([]string{a, b}) + "\n\n" + seenTitle + "\n# seen by Bob: A\n"
			slices.Sort(got)
			want = "!Bob:A =A =B"
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %q, want %q", test.about, got, want)
		}
		written := test.written
		if written == "" {
			written = test.file
		}
		if got := string(p.Encode()); got != written {
			t.Errorf("%s: written as %q, want %q", test.about, got, written)
		}
	}
}

func TestParsePeopleErrors(t *testing.T) {
	a := ageKey(t)
	private := ageIdentity(t).String()
	var many strings.Builder
	for range maxPeople + 1 {
		many.WriteString(ed25519Key(t) + "\n")
	}
	for _, test := range [...]struct {
		about, file string
		line        int
		is          error
	}{
		{"text", a + "\nhunter2\n", 2, nil},
		{"two on a line", a + " " + a, 1, nil},
		{"a private key", "# me\n" + private + "\n", 2, nil},
		{"a private key's block", "-----BEGIN OPENSSH PRIVATE KEY-----\n", 1, nil},
		{"a plugin with a path", "age1../../x1qqqq\n", 1, nil},
		{"markers", "<<<<<<< ours\n" + a + "\n=======\n>>>>>>> theirs\n", 1, ErrPeopleMarkers},
		{"half of the markers", a + "\n=======\n", 2, ErrPeopleMarkers},
		{"diff3 markers", a + "\n||||||| base\n", 2, ErrPeopleMarkers},
		{"not UTF-8", a + "\n# \xff\n", 0, errPeopleText},
		{"half of UTF-16", "\xff\xfea\x00g\x00e", 0, errPeopleText},
		{"zero bytes", a + "\n\x00\n", 2, errPeopleControl},
		{"an escape sequence", "# \x1b[2Jhunter2\n" + a, 1, errPeopleControl},
		{"a carriage return", "# a\rb\n", 1, errPeopleControl},
		{"a long comment", "# " + strings.Repeat("x", 64<<10) + "\n", 1, nil},
		{"a long key", "age1" + strings.Repeat("x", 64<<10) + "\n", 1, nil},
		{"large", strings.Repeat("#\n", maxPeopleFile/2+1), 0, nil},
		{"many", many.String(), maxPeople + 1, nil},
	} {
		p, err := ParsePeople([]byte(test.file))
		var bad *PeopleError
		if p != nil || !errors.As(err, &bad) || bad.Line != test.line || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: %v", test.about, err)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), private) {
			t.Errorf("%s: the error repeats the line", test.about)
		}
		if refused, ok := errors.AsType[*crypto.RecipientError](err); strings.Contains(test.about, "private") && (!ok || !refused.Private) {
			t.Errorf("%s: not said to be one", test.about)
		}
	}
}

func TestReadPeople(t *testing.T) {
	f := makeFormation(t, map[string]string{"formation.afs": ""})
	if p, ok, err := f.ReadPeople(); err != nil || ok || len(p.All()) != 0 || len(p.Encode()) != 0 {
		t.Errorf("absent: %t, %v", ok, err)
	}
	write(t, f.Path(RecipientsFile), []byte(ageKey(t)+"\n"))
	if p, ok, err := f.ReadPeople(); err != nil || !ok || len(p.All()) != 1 {
		t.Errorf("%t, %v", ok, err)
	}
	write(t, f.Path(RecipientsFile), []byte("\nhunter2\n"))
	_, ok, err := f.ReadPeople()
	var bad *PeopleError
	if ok || !errors.As(err, &bad) || bad.Path != f.Path(RecipientsFile) || bad.Line != 2 || !strings.Contains(err.Error(), RecipientsFile) {
		t.Errorf("malformed: %v", err)
	}
	for about, make := range map[string]func(){
		"a folder":      func() { os.Mkdir(f.Path(RecipientsFile), 0o700) },
		"a broken link": func() { needs.Link(t, "nowhere", f.Path(RecipientsFile)) },
		"large":         func() { write(t, f.Path(RecipientsFile), bytes.Repeat([]byte("#\n"), maxPeopleFile)) },
	} {
		os.Remove(f.Path(RecipientsFile))
		make()
		_, ok, err := f.ReadPeople()
		var file *safefile.Error
		if ok || !errors.As(err, &file) {
			t.Errorf("%s: %v", about, err)
		}
	}
}

func TestPeopleChange(t *testing.T) {
	a, b, s := recipient(t, ageKey(t)), recipient(t, ageKey(t)), recipient(t, ed25519Key(t)+" sue@host")
	p := mustPeople(t, "")
	for _, step := range [...]struct {
		about string
		did   bool
		want  bool
		all   string
	}{
		{"a new one", p.Add(" Ann\t\x1bX ", a), true, "Ann X=A"},
		{"again", p.Add("", a), false, "Ann X=A"},
		{"again with that name", p.Add("Ann X", a), false, "Ann X=A"},
		{"another name", p.Add("ann", a), true, "ann=A"},
		{"an SSH key", p.Add("", s), true, "ann=A sue@host=S"},
		{"an SSH key again", p.Add("", s), false, "ann=A sue@host=S"},
		{"of the same name", p.Add("ANN", b), true, "ANN=B ann=A sue@host=S"},
		{"one that is not there", p.Remove("age1nobody"), false, "ANN=B ann=A sue@host=S"},
	} {
		if step.did != step.want {
			t.Errorf("%s: %t", step.about, step.did)
		}
	}
	letters := strings.NewReplacer(a.String(), "A", b.String(), "B", s.String(), "S")
	text := func(people []Person) string {
		var all []string
		for _, person := range people {
			all = append(all, person.Name+"="+letters.Replace(person.Recipient))
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	for who, want := range map[string]string{
		"": "", "nobody": "", "ann": "ann=A", "ANN": "ANN=B", "Ann": "ANN=B ann=A", "SUE@HOST": "sue@host=S",
		a.String(): "ann=A", s.String(): "sue@host=S", s.String() + " other": "sue@host=S", ageKey(t): "",
	} {
		if got := text(p.Find(who)); got != want {
			t.Errorf("Find(%q): %q, want %q", who, got, want)
		}
	}
	if keys := p.Recipients(); len(keys) != 3 || keys[2] != s {
		t.Errorf("%d recipients, or in another order than the people", len(keys))
	}
	if !p.Remove(a.String()) || !p.Remove(s.String()) || text(p.All()) != "ANN=B" {
		t.Errorf("after Remove: %q", text(p.All()))
	}
	if again := mustPeople(t, string(p.Encode())); text(again.All()) != "ANN=B" {
		t.Errorf("read again: %q", text(again.All()))
	}
}

func TestExposures(t *testing.T) {
	p := mustPeople(t, "")
	long := strings.Repeat("x", 100_000)
	odd := []string{"A", "a b", "", "ü", ": ", `"`, "x\ny", "\x1b[2J", "\xff", long}
	p.Expose("Bob", odd)
	p.Expose("x: \"y", []string{"A", `"A"`})
	p.Expose("", []string{"A"})
	p.Expose("seen by Bob: A", nil)
	if got := len(p.Exposed()); got != len(odd)-1+2 {
		t.Fatalf("%d exposures", got)
	}
	content := p.Encode()
	for line := range strings.Lines(string(content)) {
		if len(line) > 4000 || strings.ContainsRune(line, 0x1b) {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	again := mustPeople(t, string(content))
	if !slices.Equal(again.Exposed(), p.Exposed()) {
		t.Errorf("read again: %q, want %q", again.Exposed(), p.Exposed())
	}
	again.RenameSecret("A", "RENAMED")
	again.Forgive("BOB")
	if got := fmt.Sprint(again.Exposed()); got != `[{x: "y "A"} {x: "y RENAMED}]` {
		t.Errorf("renamed and forgiven: %s", got)
	}
	if again.Settle("A") || !again.Settle("RENAMED") || !again.Settle(`"A"`) || len(again.Encode()) != 0 {
		t.Errorf("settled: %q", again.Encode())
	}
	if !p.Settle(long) || p.Settle(long) {
		t.Error("a long name is not settled")
	}
}

// The bytes say who the people are, not how they came.
func TestPeopleOrder(t *testing.T) {
	type one struct {
		name string
		key  *crypto.Recipient
	}
	var all []one
	for i := range 20 {
		all = append(all, one{[...]string{"Ann", "ann", "", "Bob"}[i%4], recipient(t, ageKey(t))})
	}
	exposed := []Exposure{{"x", "A"}, {"X", "A"}, {"y", "B"}, {"x", "C"}}
	var want []byte
	for range 50 {
		mathrand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		mathrand.Shuffle(len(exposed), func(i, j int) { exposed[i], exposed[j] = exposed[j], exposed[i] })
		p := mustPeople(t, "# ours\n\n")
		for _, one := range all {
			p.Add(one.name, one.key)
		}
		for _, e := range exposed {
			p.Expose(e.Person, []string{e.Secret})
		}
		got := p.Encode()
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Fatal("other bytes in another order")
		}
		if !bytes.Equal(mustPeople(t, string(got)).Encode(), want) {
			t.Fatal("other bytes when read again")
		}
	}
}

func TestMergePeople(t *testing.T) {
	a, b, c := ageKey(t), ageKey(t), ageKey(t)
	keys := strings.NewReplacer("<A>", a, "<B>", b, "<C>", c)
	seen := "\n" + seenTitle + "\n"
	for _, test := range [...]struct{ about, base, ours, theirs, want string }{
		{"nothing", "", "", "", ""},
		{"both add", "# A\n<A>\n", "# A\n<A>\n# B\n<B>\n", "# A\n<A>\n# C\n<C>\n", "# A\n<A>\n# B\n<B>\n# C\n<C>\n"},
		{"both add the same", "", "# A\n<A>\n", "# A\n<A>\n", "# A\n<A>\n"},
		{"both add the same under two names", "", "# A\n<A>\n", "# B\n<A>\n", "# A\n<A>\n"},
		{"theirs has a name", "", "<A>\n", "# B\n<A>\n", "# B\n<A>\n"},
		{"ours removes", "# A\n<A>\n# B\n<B>\n", "# B\n<B>\n", "# A\n<A>\n# B\n<B>\n", "# B\n<B>\n"},
		{"theirs removes, ours renames", "# A\n<A>\n# B\n<B>\n", "# AA\n<A>\n# B\n<B>\n", "# B\n<B>\n", "# B\n<B>\n"},
		{"theirs renames", "# A\n<A>\n", "# A\n<A>\n", "# X\n<A>\n", "# X\n<A>\n"},
		{"both rename", "# A\n<A>\n", "# X\n<A>\n", "# Y\n<A>\n", "# X\n<A>\n"},
		{"one removes, one adds", "# A\n<A>\n", "", "# A\n<A>\n# B\n<B>\n", "# B\n<B>\n"},
		{"a removal with exposures, an addition", "# A\n<A>\n# B\n<B>\n", "# B\n<B>\n" + seen + "# seen by A: S\n", "# A\n<A>\n# B\n<B>\n# C\n<C>\n", "# B\n<B>\n# C\n<C>\n" + seen + "# seen by A: S\n"},
		{"settled on one side", seenTitle + "\n# seen by A: S\n# seen by A: T\n", seenTitle + "\n# seen by A: T\n", seenTitle + "\n# seen by A: S\n# seen by A: T\n", seenTitle + "\n# seen by A: T\n"},
		{"settled and new", seenTitle + "\n# seen by A: S\n", "", seenTitle + "\n# seen by A: S\n# seen by A: T\n", seenTitle + "\n# seen by A: T\n"},
		{"comments", "# h\n\n# n\n# A\n<A>\n\n# f\n", "# h2\n\n# n\n# A\n<A>\n\n# f\n", "# h\n\n# n2\n# A\n<A>\n\n# f2\n", "# h2\n\n# n2\n# A\n<A>\n\n# f2\n"},
	} {
		base, ours, theirs := mustPeople(t, keys.Replace(test.base)), mustPeople(t, keys.Replace(test.ours)), mustPeople(t, keys.Replace(test.theirs))
		if got, want := string(MergePeople(base, ours, theirs).Encode()), keys.Replace(test.want); got != want {
			t.Errorf("%s: %q, want %q", test.about, got, want)
		}
		if string(ours.Encode()) != keys.Replace(test.ours) || string(theirs.Encode()) != keys.Replace(test.theirs) {
			t.Errorf("%s: a side changed", test.about)
		}
		if test.base == "" && string(MergePeople(nil, ours, theirs).Encode()) != keys.Replace(test.want) {
			t.Errorf("%s: other without a base", test.about)
		}
	}
}

// Any two edits: what is merged has of each key and each exposure what
// three-way says, and, where no name was changed on both sides, is the same
// from either side.
func TestMergePeopleAnyEdits(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(1, 2))
	var keys []*crypto.Recipient
	for range 8 {
		keys = append(keys, recipient(t, ageKey(t)))
	}
	secrets := []string{"S", "T", "U"}
	edit := func(p *People, names []string) {
		for range random.IntN(6) {
			key := keys[random.IntN(len(keys))]
			switch random.IntN(4) {
			case 0:
				p.Add(names[random.IntN(len(names))], key)
			case 1:
				p.Remove(key.String())
			case 2:
				p.Expose("gone", secrets[random.IntN(3):])
			case 3:
				p.Settle(secrets[random.IntN(3)])
			}
		}
	}
	for range 2000 {
		base := mustPeople(t, "")
		edit(base, []string{"a", "b"})
		ours, theirs := mustPeople(t, string(base.Encode())), mustPeople(t, string(base.Encode()))
		edit(ours, []string{"a", "c"})
		edit(theirs, []string{"b", "d"})
		merged := MergePeople(base, ours, theirs)
		three := func(b, o, th bool) bool { return o && th || !b && (o || th) }
		conflict := false
		for _, key := range keys {
			text := key.String()
			b, o, th, m := base.entries[text], ours.entries[text], theirs.entries[text], merged.entries[text]
			if (m != nil) != three(b != nil, o != nil, th != nil) {
				t.Fatalf("a key: base %t, ours %t, theirs %t, merged %t", b != nil, o != nil, th != nil, m != nil)
			}
			was := ""
			if b != nil {
				was = b.name
			}
			conflict = conflict || o != nil && th != nil && o.name != th.name && o.name != was && th.name != was
		}
		for _, secret := range secrets {
			e := Exposure{"gone", secret}
			if merged.exposed[e] != three(base.exposed[e], ours.exposed[e], theirs.exposed[e]) {
				t.Fatal("an exposure")
			}
		}
		if same := bytes.Equal(merged.Encode(), MergePeople(base, theirs, ours).Encode()); !same && !conflict {
			t.Fatalf("from the other side: %q and %q", merged.Encode(), MergePeople(base, theirs, ours).Encode())
		}
		if !bytes.Equal(MergePeople(base, ours, base).Encode(), ours.Encode()) || !bytes.Equal(MergePeople(base, base, theirs).Encode(), theirs.Encode()) {
			t.Fatal("an edit of one side alone is not the merge")
		}
	}
}

// The age program reads what we write, whatever is in it.
func TestAgeReadsPeople(t *testing.T) {
	program := needs.Program(t, "age")
	identity := ageIdentity(t)
	p := mustPeople(t, "# The team\n#\n# 日本\n\n# about Ann\n# Ann\n"+identity.Recipient().String()+"\n# that is all")
	p.Add("", recipient(t, ed25519Key(t)+" sue@host"))
	p.Add("Rob \"r\" <rob@host> # 1", recipient(t, rsaKey(t, 2048)))
	p.Add("", recipient(t, ageKey(t)))
	p.Expose("Bob", []string{"A", "b c", strings.Repeat("é\n", 40_000)})
	dir := t.TempDir()
	write(t, filepath.Join(dir, RecipientsFile), p.Encode())
	write(t, filepath.Join(dir, "identity"), []byte(identity.String()+"\n"))

	run := func(stdin []byte, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || stderr.Len() > 0 {
			t.Fatalf("age: %v\n%s", err, &stderr)
		}
		return out
	}
	wrapped := run([]byte("content"), "-R", RecipientsFile)
	header, _, _ := bytes.Cut(wrapped, []byte("\n---"))
	for stanza, want := range map[string]int{"-> X25519 ": 2, "-> ssh-ed25519 ": 1, "-> ssh-rsa ": 1} {
		if got := bytes.Count(header, []byte(stanza)); got != want {
			t.Errorf("%d of %q", got, stanza)
		}
	}
	if got := run(wrapped, "-d", "-i", "identity"); string(got) != "content" {
		t.Error("age reads back something else")
	}
}

func FuzzPeople(f *testing.F) {
	a, b := ageKey(f), ed25519Key(f)
	for _, seed := range [...]string{"", a, "# h\n\n# n\n# A\n" + a + "\n" + b + " c\n# f", seenTitle + "\n# seen by x: Y\n# seen by : \"\n" + a, "# seen by a: \": \": \"\\\"\"\n",
		"#\n" + a + "\n\n#\n\n# x\n\n" + b, "\ufeff\r\n# A\r\n" + a, "<<<<<<<", "\x00"} {
		f.Add([]byte(seed), "Ann", "SECRET")
	}
	f.Add([]byte(a+"\n"+b), "seen by x: Y", ": \"")
	signed := mustPeople(f, "# Ann\n"+a)
	signed.Sign(newKey(f, crypto.Fernet))
	f.Add(signed.Encode(), "muxi-secrets key", "A")
	f.Add(append(signed.Encode(), "\n# B\n"+b...), "", "A")
	key := recipient(f, ageKey(f))
	f.Fuzz(func(t *testing.T, content []byte, name, secret string) {
		p, err := ParsePeople(content)
		if err != nil {
			var bad *PeopleError
			if p != nil || !errors.As(err, &bad) {
				t.Fatalf("%v", err)
			}
			return
		}
		check := func() {
			t.Helper()
			written := p.Encode()
			if len(written) > maxPeopleFile {
				return
			}
			again, err := ParsePeople(written)
			if err != nil {
				t.Fatalf("%q does not read: %v", written, err)
			}
			if !bytes.Equal(again.Encode(), written) || !slices.Equal(again.All(), p.All()) || !slices.Equal(again.Exposed(), p.Exposed()) {
				t.Fatalf("%q reads as something else: %q", written, again.Encode())
			}
			for line := range strings.Lines(string(written)) {
				// All that the age program may meet.
				if line != "\n" && line[0] != '#' && p.text == nil {
					if r, err := crypto.ParseRecipient(line); err != nil || r.String()+"\n" != line {
						t.Fatalf("a line is neither comment nor key")
					}
				}
			}
		}
		check()
		p.Add(name, key)
		p.Expose(name, []string{secret})
		check()
		if secret != "" && cleanPersonName(name) != "" && !p.Settle(secret) {
			t.Fatal("an exposure cannot be settled")
		}
		if len(p.Find(key.String())) != 1 || !p.Remove(key.String()) {
			t.Fatal("who was added is not found")
		}
	})
}

// However many secrets there are, and however many people were removed, the list
// can be read again: what does not fit is said in one line for each person.
func TestExposuresFit(t *testing.T) {
	names := func(n int) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf("SOME_LONG_NAME_OF_A_SECRET_%05d", i)
		}
		return all
	}
	for about, test := range map[string]struct{ people, secrets, all int }{
		"a team":          {10, 200, 0},
		"many secrets":    {1, 50_000, 1},
		"many of both":    {3, 50_000, 3},
		"a hundred gone":  {100, 400, -1},
		"thousands gone":  {4000, 50, -1},
		"one of them all": {4000, 1, 0},
	} {
		p := newPeople()
		for i := range test.people {
			p.Expose(fmt.Sprintf("Person %d", i), names(test.secrets))
		}
		again, err := ParsePeople(p.Encode())
		if err != nil {
			t.Errorf("%s: %v", about, err)
			continue
		}
		all, people := 0, map[string]bool{}
		for _, e := range again.Exposed() {
			people[e.Person] = true
			if e.IsAll() {
				all++
				if want := fmt.Sprintf("all %d", test.secrets); e.Secret != want {
					t.Errorf("%s: %q, want %q", about, e.Secret, want)
				}
			}
		}
		if len(people) != test.people || test.all >= 0 && all != test.all || test.all < 0 && (all == 0 || all == test.people) {
			t.Errorf("%s: %d people, %d of whom have seen all", about, len(people), all)
		}
		if all == test.people && again.Settle(names(1)[0]) {
			t.Errorf("%s: one new value, and nobody has seen any", about)
		}
	}
	// A secret by that name is none of it to a reader of the line.
	p := newPeople()
	p.Expose("Bob", []string{"all of them", "all"})
	again, err := ParsePeople(p.Encode())
	if got := again.Exposed(); err != nil || len(got) != 2 || got[0].IsAll() || got[1].IsAll() {
		t.Errorf("%v, %v", got, err)
	}
}
