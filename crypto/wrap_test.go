package crypto

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/creack/pty"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

func decodeBlob(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sealWithPassphrase is `age -p` with less work.
func sealWithPassphrase(t testing.TB, content, passphrase string, work int) []byte {
	t.Helper()
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(work)
	sealed, err := (&ageKey{recipient: to}).seal([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func binaryOf(t testing.TB, armored []byte) []byte {
	t.Helper()
	b, err := io.ReadAll(armor.NewReader(bytes.NewReader(armored)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWrap(t *testing.T) {
	anna, annasKey := person(t, "anna")
	ben, bensKey := person(t, "ben")
	carl, carlsKey := person(t, "carl")
	wrapped := mustWrap(t, "content\x00", anna, ben)
	if f, err := Detect(wrapped); f != Age || err != nil || !bytes.HasPrefix(wrapped, []byte(armor.Header)) {
		t.Errorf("not an armored age file: %v", err)
	}
	for _, tc := range []struct {
		with  []*Identity
		which *Identity
	}{
		{[]*Identity{annasKey}, annasKey}, {[]*Identity{carlsKey, bensKey}, bensKey}, {[]*Identity{bensKey, annasKey}, bensKey},
	} {
		for _, spelling := range [][]byte{wrapped, binaryOf(t, wrapped), bytes.ReplaceAll(wrapped, []byte("\n"), []byte("\r\n")), append([]byte("\ufeff\n"), wrapped...)} {
			got, which, err := Unwrap(spelling, tc.with, nil)
			if err != nil || string(got) != "content\x00" || which != tc.which {
				t.Errorf("%v: %v %v", tc.with, which, err)
			}
		}
	}
	if _, which, err := Unwrap(wrapped, []*Identity{carlsKey}, nil); ReasonOf(err) != NoIdentity || which != nil {
		t.Errorf("a stranger: %v", err)
	}
	if _, _, err := Unwrap(wrapped, nil, nil); ReasonOf(err) != NoIdentity {
		t.Errorf("no identity: %v", err)
	}
	if _, err := Wrap([]byte("x"), nil, nil); !errors.Is(err, ErrNoRecipients) {
		t.Errorf("no recipients: %v", err)
	}
	if _, err := Wrap(make([]byte, maxWrapped+1), []*Recipient{carl}, nil); ReasonOf(err) != TooLarge {
		t.Errorf("too large: %v", err)
	}
	large := make([]byte, maxWrapped)
	if got, _, err := Unwrap(mustWrap(t, string(large), anna), []*Identity{annasKey}, nil); err != nil || len(got) != len(large) {
		t.Errorf("as large as allowed: %v", err)
	}
}

// The order of stanzas is that of the recipients, so that one person more is a
// small diff. What each holds is fresh.
func TestWrapOrder(t *testing.T) {
	blob := func(last byte) string {
		return sshBlob("ssh-rsa", "\x01\x00\x01", "\x00"+strings.Repeat("\xff", 255)+string(last))
	}
	var to []*Recipient
	var kinds []string
	for i := range 6 {
		r, _ := person(t, "")
		if i%2 == 1 {
			r = mustRecipient(t, "ssh-rsa "+blob(byte(2*i+1)))
		}
		to = append(to, r)
		kinds = append(kinds, map[string]string{"age": "X25519", "ssh-rsa": "ssh-rsa"}[r.Kind()])
	}
	stanzas, ok := readStanzas(mustWrap(t, "x", to...))
	if !ok {
		t.Fatal("the header does not read")
	}
	var got []string
	for _, s := range stanzas {
		got = append(got, s.Type)
	}
	if !slices.Equal(got, kinds) {
		t.Errorf("got %v, want %v", got, kinds)
	}
}

func TestMixedRecipients(t *testing.T) {
	classic, _ := person(t, "")
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	quantum := mustRecipient(t, id.Recipient().String())
	_, err = Wrap([]byte("x"), []*Recipient{classic, quantum, classic}, nil)
	if e, ok := errors.AsType[*MixedRecipientsError](err); !ok || e.PostQuantum != 1 || e.Classic != 2 {
		t.Errorf("got %v", err)
	}
	wrapped := mustWrap(t, "x", quantum, quantum)
	if got, _, err := Unwrap(wrapped, mustIdentities(t, []byte(id.String()), nil, "pq"), nil); err != nil || string(got) != "x" {
		t.Errorf("post-quantum alone: %v", err)
	}
}

// age writes a header of any size and reads one of 1024 stanzas.
func TestTooManyRecipients(t *testing.T) {
	r, id := person(t, "")
	most := slices.Repeat([]*Recipient{r}, 1024)
	if _, _, err := Unwrap(mustWrap(t, "x", most...), []*Identity{id}, nil); err != nil {
		t.Errorf("1024: %v", err)
	}
	_, err := Wrap([]byte("x"), append(most, r), nil)
	if e, ok := errors.AsType[*TooManyRecipientsError](err); !ok || e.Count != 1025 {
		t.Errorf("1025: %v", err)
	}
}

// A key without strength is named, whoever put it there.
func TestWrapNamesTheRecipient(t *testing.T) {
	good, _ := person(t, "")
	bad := mustRecipient(t, bech32("age", make([]byte, 32)))
	_, err := Wrap([]byte("x"), []*Recipient{good, bad}, nil)
	if e, ok := errors.AsType[*WrapError](err); !ok || e.Recipient != bad || !strings.HasPrefix(e.Error(), "wrapping for '"+bad.String()+"': ") {
		t.Errorf("got %v", err)
	}
}

func TestUnwrapErrors(t *testing.T) {
	r, id := person(t, "")
	wrapped := mustWrap(t, "the content of a key", r)
	binary := binaryOf(t, wrapped)
	header, rest, _ := bytes.Cut(binary, []byte("\n---"))
	flip := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 1
		return b
	}
	_, other := person(t, "")
	var large bytes.Buffer
	w, err := age.Encrypt(&large, r.age)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(make([]byte, maxWrapped+1))
	w.Close()
	for name, tc := range map[string]struct {
		wrapped []byte
		reason  Reason
	}{
		"no bytes":       {nil, EmptyFile},
		"blanks":         {[]byte(" \n"), EmptyFile},
		"markers":        {append([]byte("<<<<<<< HEAD\n"), wrapped...), MergeMarkers},
		"cut":            {wrapped[:len(wrapped)/2], Truncated},
		"cut, binary":    {binary[:len(binary)-1], WrongKey},
		"cut, no end":    {binary[:len(binary)-60], Truncated},
		"text":           {[]byte("hello"), NotSealed},
		"a vault":        {mustSeal(t, mustGenerate(t, Fernet), []byte("x")), NotSealed},
		"flipped end":    {flip(binary, len(binary)-1), WrongKey},
		"flipped MAC":    {flip(binary, len(header)+10), WrongKey},
		"no stanzas":     {[]byte(ageIntro + "---" + string(rest)), WrongKey},
		"a stanza more":  {[]byte(string(header) + "\n-> X25519\n\n---" + string(rest)), WrongKey},
		"bad stanza":     {[]byte(ageIntro + "-> X25519\n\n---" + string(rest)), WrongKey},
		"larger":         {large.Bytes(), TooLarge},
		"for passphrase": {sealWithPassphrase(t, "x", "p", 2), NoIdentity},
	} {
		got, which, err := Unwrap(tc.wrapped, []*Identity{other, id}, nil)
		if ReasonOf(err) != tc.reason || got != nil || which != nil {
			t.Errorf("%s: %v, want %q", name, err, tc.reason)
		}
	}
}

func TestPassphrase(t *testing.T) {
	sealed, err := WrapWithPassphrase([]byte("k"), []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	if !NeedsPassphrase(sealed) || !NeedsPassphrase(binaryOf(t, sealed)) {
		t.Error("not told from a file for recipients")
	}
	if got, err := UnwrapWithPassphrase(sealed, []byte("open sesame")); err != nil || string(got) != "k" {
		t.Errorf("round trip: %v", err)
	}
	stanzas, _ := readStanzas(sealed)
	if len(stanzas) != 1 || stanzas[0].Args[1] != "18" {
		t.Error("not at age's work factor")
	}
	r, _ := person(t, "")
	forAnna := mustWrap(t, "k", r)
	cheap := sealWithPassphrase(t, "k", "p", 2)
	text := string(binaryOf(t, cheap))
	for name, tc := range map[string]struct {
		sealed     string
		passphrase string
		reason     Reason
	}{
		"wrong":          {string(cheap), "q", WrongPassphrase},
		"empty":          {string(cheap), "", WrongPassphrase},
		"for recipients": {string(forAnna), "p", NoIdentity},
		"work 23":        {strings.Replace(text, " 2\n", " 23\n", 1), "p", TooLarge},
		"work 1000":      {strings.Replace(text, " 2\n", " 1000\n", 1), "p", TooLarge},
		"work x":         {strings.Replace(text, " 2\n", " x\n", 1), "p", WrongKey},
		"two":            {strings.Replace(text, "\n--- ", "\n-> scrypt a 2\n\n--- ", 1), "p", WrongKey},
		"large":          {string(sealWithPassphrase(t, strings.Repeat("x", maxWrapped+1), "p", 2)), "p", TooLarge},
		"damaged":        {text[:len(text)-1] + "\x00", "p", WrongKey},
		"nothing":        {"", "p", EmptyFile},
		"cut":            {string(cheap[:len(cheap)-50]), "p", Truncated},
	} {
		got, err := UnwrapWithPassphrase([]byte(tc.sealed), []byte(tc.passphrase))
		if ReasonOf(err) != tc.reason || got != nil {
			t.Errorf("%s: %v, want %q", name, err, tc.reason)
		}
	}
	for _, other := range [][]byte{forAnna, nil, []byte("text"), mustSeal(t, mustGenerate(t, Age), []byte("x")), cheap[:len(cheap)-50]} {
		if NeedsPassphrase(other) {
			t.Error("taken for a file under a passphrase")
		}
	}
	if _, err := WrapWithPassphrase([]byte("k"), nil); ReasonOf(err) != WrongPassphrase {
		t.Errorf("an empty passphrase: %v", err)
	}
	if _, err := WrapWithPassphrase(make([]byte, maxWrapped+1), []byte("p")); ReasonOf(err) != TooLarge {
		t.Errorf("too large: %v", err)
	}
}

// The age program and this package open each other's files.
func TestAgeProgram(t *testing.T) {
	needs.Program(t, "age")
	keys := run(t, nil, "age-keygen")
	path := writeFile(t, keys)
	public := strings.TrimSpace(string(run(t, nil, "age-keygen", "-y", path)))
	r := mustRecipient(t, public)
	ids := mustIdentities(t, keys, nil, path)
	if got := run(t, mustWrap(t, "ours", r), "age", "-d", "-i", path); string(got) != "ours" {
		t.Error("age reads other bytes")
	}
	list := writeFile(t, []byte("# anna\n"+r.String()+"\n"))
	for _, args := range [][]string{{"-r", public}, {"-a", "-r", public}, {"-R", list}, {"-e", "-i", path}} {
		if got, _, err := Unwrap(run(t, []byte("theirs"), "age", args...), ids, nil); err != nil || string(got) != "theirs" {
			t.Errorf("age %s: %v", args[0], err)
		}
	}
}

// ageAtTerminal runs age, which asks for passphrases at a terminal only.
func ageAtTerminal(t *testing.T, answers int, args ...string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a pty")
	}
	cmd := exec.Command(needs.Program(t, "age"), args...)
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	var said []byte
	buf := make([]byte, 1024)
	for answers > 0 {
		n, err := tty.Read(buf)
		if err != nil {
			break
		}
		said = append(said, buf[:n]...)
		if i := bytes.Index(said, []byte("assphrase")); i >= 0 && bytes.ContainsRune(said[i:], ':') {
			said = nil
			answers--
			io.WriteString(tty, "open sesame\n")
		}
	}
	go io.Copy(io.Discard, tty)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("age %s: %v", args[0], err)
	}
}

func TestAgeProgramPassphrase(t *testing.T) {
	if testing.Short() {
		t.Skip("age's scrypt takes a second each time, and -short is given")
	}
	dir := t.TempDir()
	ours, err := WrapWithPassphrase([]byte("ours"), []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	opened := filepath.Join(dir, "opened")
	ageAtTerminal(t, 1, "-d", "-o", opened, writeFile(t, ours))
	if string(readFile(t, opened)) != "ours" {
		t.Error("age reads other bytes")
	}
	// An identity file that it locked.
	keys := run(t, nil, "age-keygen")
	locked := filepath.Join(dir, "locked")
	ageAtTerminal(t, 2, "-p", "-o", locked, writeFile(t, keys))
	r := mustRecipient(t, strings.TrimSpace(string(run(t, nil, "age-keygen", "-y", writeFile(t, keys)))))
	talk, _ := asked("open sesame")
	if _, _, err := Unwrap(mustWrap(t, "k", r), mustIdentities(t, readFile(t, locked), nil, locked), talk); err != nil {
		t.Errorf("an identity file that age locked: %v", err)
	}
	// In it, age's file under a passphrase is read as any other.
	theirs := readFile(t, locked)
	if !NeedsPassphrase(theirs) {
		t.Error("not told from a file for recipients")
	}
	if got, err := UnwrapWithPassphrase(theirs, []byte("open sesame")); err != nil || !bytes.Equal(got, keys) {
		t.Errorf("age's file: %v", err)
	}
}
