//go:build unix

package commands_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age/armor"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// tool runs another program in the sandbox's top folder, or skips the test
// naming it; where CI=true its absence is fatal.
func (b *sandbox) tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	needs.Program(t, name)
	cmd := exec.Command(name, args...)
	cmd.Dir = b.top
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, errs.String())
	}
	return out.String()
}

// ageOpens reports whether age opens content with an identity file.
func (b *sandbox) ageOpens(t *testing.T, identity string, content []byte) (string, bool) {
	t.Helper()
	b.tool(t, "age", "--version")
	cmd := exec.Command("age", "-d", "-i", identity)
	cmd.Stdin = bytes.NewReader(content)
	out, err := cmd.Output()
	return string(out), err == nil
}

// askKey is what the terminal shows of an SSH key's passphrase prompt.
const askKey = "Passphrase of ../"

// TestSSHKeysOfEveryForm: what ssh-keygen makes is shared with by its .pub, and
// unlocks; a locked one by its passphrase, on the terminal.
func TestSSHKeysOfEveryForm(t *testing.T) {
	sideBySide(t)
	const passphrase = "correct horse \u00e9"
	for _, form := range sample([]struct {
		name   string
		args   []string
		locked bool
	}{
		{"ed25519", []string{"-t", "ed25519", "-C", "someone@host"}, false},
		{"ed25519 without a comment", []string{"-t", "ed25519", "-C", ""}, false},
		{"ed25519 locked", []string{"-t", "ed25519", "-C", "x"}, true},
		{"ed25519 locked, few rounds", []string{"-t", "ed25519", "-a", "1"}, true},
		{"rsa 2048", []string{"-t", "rsa", "-b", "2048", "-C", "two words"}, false},
		{"rsa 3072 locked", []string{"-t", "rsa", "-b", "3072"}, true},
		{"rsa 4096", []string{"-t", "rsa", "-b", "4096"}, false},
		{"rsa PEM", []string{"-t", "rsa", "-b", "2048", "-m", "PEM"}, false},
		{"rsa PEM locked", []string{"-t", "rsa", "-b", "2048", "-m", "PEM"}, true},
		{"rsa PKCS8", []string{"-t", "rsa", "-b", "2048", "-m", "PKCS8"}, false},
		{"rsa PKCS8 locked", []string{"-t", "rsa", "-b", "2048", "-m", "PKCS8"}, true},
	}) {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			b := newSandbox(t, simpleExample, true)
			words := ""
			if form.locked {
				words = passphrase
			}
			b.tool(t, "ssh-keygen", append([]string{"-q", "-N", words, "-f", filepath.Join(b.top, "key")}, form.args...)...)
			b.do("a value", "add", "OPENAI_API_KEY", "--stdin")
			b.do("", "share", "add", "../key.pub", "--name", "Ann")
			key := b.read(".key")
			b.loseKey()
			if !form.locked {
				if r := b.call(run{}, "unlock", "-i", "../key"); r.code != 0 {
					t.Fatalf("exit %d\n%s", r.code, r.err)
				}
			} else {
				if r := b.call(run{}, "unlock", "-i", "../key"); r.code != 2 || b.read(".key") != "" {
					t.Errorf("without a terminal: exit %d\n%s", r.code, r.err)
				}
				c := b.onTerminal(t, stdinNull, "unlock", "-i", "../key")
				c.waitFor(askKey + "key (hidden): ")
				c.typed("wrong words\r")
				c.exit(4, "wrong words")
				if b.read(".key") != "" {
					t.Error("the wrong passphrase, and there is a .key")
				}
				c = b.onTerminal(t, stdinPipe, "unlock", "-i", "../key")
				c.waitFor(askKey + "key (hidden): ")
				c.typed(passphrase + "\r")
				c.exit(0, passphrase, "correct horse", key)
			}
			if b.read(".key") != key {
				t.Error("unlock does not bring the key")
			}
			if !form.locked {
				if got, ok := b.ageOpens(t, filepath.Join(b.top, "key"), []byte(b.read(".key.age"))); !ok && !strings.Contains(form.name, "PKCS8") || ok && got != key {
					t.Error("age does not open .key.age")
				}
			}
		})
	}
}

// TestSSHKeyWithAnotherCipher: what the message says makes such a key work.
func TestSSHKeyWithAnotherCipher(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	key := filepath.Join(b.top, "key")
	b.tool(t, "ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-Z", "aes256-gcm@openssh.com", "-N", "some words", "-f", key)
	b.do("", "init")
	b.do("", "share", "add", "../key.pub")
	b.loseKey()
	r := b.call(run{}, "unlock", "-i", "../key")
	_, command, ok := strings.Cut(r.err, "'ssh-keygen ")
	command, _, _ = strings.Cut(command, "'")
	if r.code != 4 || !ok {
		t.Fatalf("exit %d\n%s", r.code, r.err)
	}
	b.tool(t, "ssh-keygen", append(strings.Fields(command), "-P", "some words", "-N", "some words", "-f", key)...)
	c := b.onTerminal(t, stdinNull, "unlock", "-i", "../key")
	c.waitFor("(hidden): ")
	c.typed("some words\r")
	c.exit(0, "some words")
}

// TestUnlockAsksOnlyForRecipients: of several locked keys the one that fits is
// asked for, once for all formations; Ctrl-C changes nothing.
func TestUnlockAsksOnlyForRecipients(t *testing.T) {
	isolateProcess(t)
	b := newSandbox(t, simpleExample, true)
	home := filepath.Join(os.Getenv("HOME"), ".ssh")
	must(t, os.MkdirAll(home, 0o700))
	for _, name := range []string{"id_aaa", "id_ed25519", "id_zzz"} {
		b.tool(t, "ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-C", name, "-N", "words of "+name, "-f", filepath.Join(home, name))
	}
	other := filepath.Join(b.top, "other")
	must(t, os.CopyFS(other, os.DirFS(b.dir)))
	b.do("", "init")
	b.do("", "-C", "../other", "init")
	b.do("", "share", "add", "--all", filepath.Join(home, "id_zzz.pub"))
	keys := []string{filepath.Join(b.dir, ".key"), filepath.Join(other, ".key")}
	for _, key := range keys {
		must(t, os.Remove(key))
	}
	b.forgetKeys()
	before := b.tree()
	for _, keystrokes := range []string{"\x03", "half\x03"} {
		c := b.onTerminal(t, stdinNull, "unlock", "--all")
		c.waitFor("id_zzz (hidden): ")
		c.typed(keystrokes)
		c.exit(130)
		if differ := differing(before, b.tree()); len(differ) > 0 {
			t.Errorf("Ctrl-C, and %v changed", differ)
		}
	}
	c := b.onTerminal(t, stdinNull, "unlock", "--all")
	c.waitFor("id_zzz (hidden): ")
	c.typed("words of id_zzz\r")
	c.exit(0, "words of")
	for _, key := range keys {
		if _, err := os.Stat(key); err != nil {
			t.Error("not all are unlocked")
		}
	}
	if n := strings.Count(c.shown(), "(hidden): "); n != 1 || strings.Contains(c.shown(), "id_aaa") || strings.Contains(c.shown(), "id_ed25519") {
		t.Errorf("it asks %d times, or for other keys", n)
	}
}

// TestPassphraseExport: key export --passphrase asks twice, age opens what it
// prints, key import takes it.
func TestPassphraseExport(t *testing.T) {
	long(t)
	isolateProcess(t)
	const words = "four random \u00fcber words"
	b := newSandbox(t, simpleExample, true)
	b.do("a value", "add", "OPENAI_API_KEY", "--stdin")
	key := b.read(".key")
	export := func(answers ...string) *console {
		c := b.onTerminal(t, stdinNull, "key", "export", "--passphrase")
		for i, prompt := range []string{"New passphrase (hidden): ", "The same again (hidden): "}[:len(answers)] {
			c.waitFor(prompt)
			c.typed(answers[i] + "\r")
		}
		return c
	}
	for _, refused := range [][]string{{"short"}, {""}, {words, words + "x"}} {
		c := export(refused...)
		c.exit(2, words)
		if strings.Contains(c.shown(), "BEGIN AGE") {
			t.Error("refused, and yet it prints a sealed key")
		}
	}
	c := export(words, words)
	c.exit(0, words, key)
	// A slow reader of the terminal may still be at it.
	c.waitFor("-----END AGE ENCRYPTED FILE-----")
	shown := strings.ReplaceAll(c.shown(), "\r", "")
	blob := shown[strings.Index(shown, "-----BEGIN AGE"):]
	blob = blob[:strings.Index(blob, "-----END AGE ENCRYPTED FILE-----")+len("-----END AGE ENCRYPTED FILE-----")] + "\n"
	b.write("blob", blob)

	before := b.tree()
	c = b.onTerminal(t, stdinNull, "key", "import", "blob")
	c.waitFor("Passphrase of the key (hidden): ")
	c.typed("another one\r")
	c.exit(4, "another one")
	c = b.onTerminal(t, stdinNull, "key", "import", "blob")
	c.waitFor("Passphrase of the key (hidden): ")
	c.typed("half\x03")
	c.exit(130, "half")
	if r := b.call(run{}, "key", "import", "blob"); r.code != 2 {
		t.Errorf("without a terminal: exit %d\n%s", r.code, r.err)
	}
	if differ := differing(before, b.tree()); len(differ) > 0 {
		t.Errorf("%v changed", differ)
	}
	b.loseKey()
	c = b.onTerminal(t, stdinNull, "key", "import", "blob")
	c.waitFor("Passphrase of the key (hidden): ")
	c.typed(words + "\r")
	c.exit(0, words, key)
	if b.read(".key") != key {
		t.Error("it is another key")
	}
	// The blob on a pipe, the passphrase on the terminal.
	b.loseKey()
	cmd := b.onTerminalWith(t, blob, "key", "import", "-")
	cmd.waitFor("Passphrase of the key (hidden): ")
	cmd.typed(words + "\r")
	cmd.exit(0, words, key)
	if b.read(".key") != key {
		t.Error("it is another key")
	}
	// A key that is asked for.
	b.loseKey()
	c = b.onTerminal(t, stdinNull, "key", "import")
	c.waitFor("Key (hidden): ")
	c.typed(" " + key + " \r")
	c.exit(0, key)
	if b.read(".key") != key {
		t.Error("it is another key")
	}
	c = b.onTerminal(t, stdinNull, "key", "import")
	c.waitFor("Key (hidden): ")
	c.typed("\r")
	c.exit(2)
}

// onTerminalWith is onTerminal with something on standard input.
func (b *sandbox) onTerminalWith(t *testing.T, stdin string, args ...string) *console {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stdin")
	must(t, os.WriteFile(path, []byte(stdin), 0o600))
	t.Setenv("TEST_STDIN", path)
	sh, err := exec.LookPath("sh")
	must(t, err)
	shim := filepath.Join(t.TempDir(), "git-muxi-secrets")
	program, err := exec.LookPath("git-muxi-secrets")
	must(t, err)
	must(t, os.WriteFile(shim, []byte("#!"+sh+"\nexec '"+program+"' \"$@\" <\"$TEST_STDIN\"\n"), 0o755))
	t.Setenv("PATH", filepath.Dir(shim)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return b.onTerminal(t, stdinClosed, args...)
}

// TestLockedIdentityFile: an age identity file under a passphrase is asked for
// when nothing else fits, and not before.
func TestLockedIdentityFile(t *testing.T) {
	isolateProcess(t)
	b := newSandbox(t, simpleExample, true)
	own := ownIdentity(t)
	usual := filepath.Join(os.Getenv("HOME"), ".config", "age", "keys.txt")
	identity, err := os.ReadFile(usual)
	must(t, err)
	sealed, err := crypto.WrapWithPassphrase(identity, []byte("words of the file"))
	must(t, err)
	b.do("", "init")
	b.do("", "share", "add", own)
	key := b.read(".key")
	b.loseKey()
	must(t, os.WriteFile(filepath.Join(b.dir, "locked.age"), sealed, 0o600))
	if r := b.call(run{}, "unlock", "-i", "locked.age", "-i", usual); r.code != 0 || b.read(".key") != key {
		t.Errorf("the open one does not come first: exit %d\n%s", r.code, r.err)
	}
	b.loseKey()
	must(t, os.WriteFile(usual, sealed, 0o600))
	c := b.onTerminal(t, stdinNull, "unlock")
	c.waitFor("keys.txt (hidden): ")
	c.typed("words of the file\r")
	c.exit(0, "words of", key)
	if b.read(".key") != key {
		t.Error("it is another key")
	}
}

// TestRemovedPersonIsOut: with every key that Bob ever had, nothing that was
// committed after he was removed opens; what was before, does.
func TestRemovedPersonIsOut(t *testing.T) {
	isolateProcess(t)
	b := newSandbox(t, simpleExample, true)
	b.tool(t, "age", "--version")
	bob := filepath.Join(b.top, ".git", "bob.txt")
	b.tool(t, "age-keygen", "-o", bob)
	own := ownIdentity(t)
	b.do("before one", "add", "BEFORE", "--stdin")
	b.do("", "share", "add", own, "--name", "Own")
	b.do("", "share", "add", strings.TrimSpace(b.tool(t, "age-keygen", "-y", bob)), "--name", "Bob")
	commit := func(message string) string {
		b.git("add", "-A")
		b.git("commit", "-qm", message)
		return strings.TrimSpace(b.git("rev-parse", "HEAD"))
	}
	commit("shared")
	had := []string{b.read(".key")}
	b.do("", "rotate")
	commit("rotated, with him")
	had = append(had, b.read(".key"))
	b.do("", "convert", "--to", "age")
	last := commit("as age, with him")
	had = append(had, b.read(".key"))

	b.do("", "share", "remove", "Bob")
	commit("without him")
	b.do("after one", "add", "AFTER", "--stdin")
	commit("a value")
	b.do("", "convert", "--to", "fernet")
	commit("as fernet")
	b.do("", "rotate")
	b.do("", "share", "wrap")
	b.do("other", "add", "BEFORE", "--stdin")
	commit("more")

	var keys []*crypto.Key
	for _, text := range had {
		key, err := crypto.ParseKey([]byte(text))
		must(t, err)
		keys = append(keys, key)
	}
	opened := 0
	for _, commit := range strings.Fields(b.git("rev-list", "HEAD")) {
		after := commit != last && b.git("merge-base", last, commit) == last+"\n"
		for _, file := range []string{".key.age", "secrets.enc"} {
			content := []byte(b.git("show", commit+":agent/"+file))
			opens := false
			if file == ".key.age" {
				_, opens = b.ageOpens(t, bob, content)
			}
			for _, key := range keys {
				_, err := key.Open(content)
				opens = opens || err == nil
			}
			for i, text := range had {
				path := filepath.Join(b.top, ".git", fmt.Sprintf("had-%d", i))
				must(t, os.WriteFile(path, []byte(text), 0o600))
				if strings.HasPrefix(text, "AGE-") {
					_, ok := b.ageOpens(t, path, content)
					opens = opens || ok
				}
			}
			if opens {
				opened++
			}
			if opens == after {
				t.Errorf("%s of %s: opens with Bob's keys: %v", file, strings.TrimSpace(b.git("log", "-1", "--format=%s", commit)), opens)
			}
		}
		// Nor does any file beside them hold a key of either.
		for _, name := range strings.Fields(b.git("ls-tree", "-r", "--name-only", commit)) {
			content := b.git("show", commit+":"+name)
			for _, text := range append(had, b.read(".key")) {
				if strings.Contains(content, strings.TrimSpace(text)) {
					t.Errorf("%s holds a key", name)
				}
			}
		}
	}
	if opened != 6 {
		t.Errorf("%d of the files before open with his keys, want 6", opened)
	}
}

// TestFiftyShareAdds: fifty at once are all in, and .key.age is for all of them.
func TestFiftyShareAdds(t *testing.T) {
	long(t)
	isolateProcess(t)
	own := ownIdentity(t)
	b := newSandbox(t, simpleExample, true)
	b.do("a value", "add", "OPENAI_API_KEY", "--stdin")
	b.do("", "share", "add", own, "--name", "Own")
	done := make(chan error)
	const people = 50
	for i := range people {
		cmd := b.process(run{}, "share", "add", aRecipient(b), "--name", fmt.Sprintf("Person %02d", i))
		var errs strings.Builder
		cmd.Stderr = &errs
		go func() {
			err := cmd.Run()
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, errs.String())
			}
			done <- err
		}()
	}
	for range people {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	list := b.do("", "share", "list").out
	if n := strings.Count(list, "  - Person "); n != people {
		t.Errorf("%d of %d are in the list", n, people)
	}
	sealed, err := crypto.Detect([]byte(b.read(".key.age")))
	if err != nil || sealed != crypto.Age || b.unwrapped() != b.read(".key") {
		t.Error(".key.age does not hold .key")
	}
	if n := stanzas(t, b.read(".key.age")); n != people+1 {
		t.Errorf(".key.age is for %d, want %d", n, people+1)
	}
	if left := append(b.leftovers(), b.journals()...); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// stanzas counts the recipients of an armored age file.
func stanzas(t *testing.T, armored string) int {
	t.Helper()
	binary, err := io.ReadAll(armor.NewReader(strings.NewReader(armored)))
	must(t, err)
	return strings.Count(string(binary), "\n-> X25519 ")
}

// TestPeopleFilesThatAreLinks: .key.age and .age-recipients that are links lead
// nowhere outside of the repository.
func TestPeopleFilesThatAreLinks(t *testing.T) {
	isolateProcess(t)
	own := ownIdentity(t)
	for _, name := range []string{".key.age", ".age-recipients"} {
		t.Run(name, func(t *testing.T) {
			b := newSandbox(t, simpleExample, true)
			b.do("a value", "add", "OPENAI_API_KEY", "--stdin")
			outside := filepath.Join(t.TempDir(), "precious")
			content := "# mine\n" + own + "\n"
			must(t, os.WriteFile(outside, []byte(content), 0o600))
			must(t, os.Symlink(outside, filepath.Join(b.dir, name)))
			for _, args := range [][]string{{"share", "add", own, "--name", "Own"}, {"share", "add", aRecipient(t)}, {"rotate"}, {"share", "wrap"}} {
				r := b.call(run{}, args...)
				if got, err := os.ReadFile(outside); err != nil || string(got) != content {
					t.Fatalf("%v writes through the link, exit %d", args, r.code)
				}
			}
		})
	}
}

// TestPeopleFilesLinkedInside: one list for several formations is fine.
func TestPeopleFilesLinkedInside(t *testing.T) {
	isolateProcess(t)
	own := ownIdentity(t)
	b := newSandbox(t, simpleExample, true)
	b.do("", "init")
	must(t, os.WriteFile(filepath.Join(b.top, "team"), []byte("# Own\n"+own+"\n"), 0o644))
	must(t, os.Symlink("../team", filepath.Join(b.dir, ".age-recipients")))
	b.do("", "share", "add", own) // vouched for, who stands there already
	b.do("", "share", "add", aRecipient(t), "--name", "Bob")
	team, err := os.ReadFile(filepath.Join(b.top, "team"))
	if must(t, err); !strings.Contains(string(team), "# Bob\n") || b.unwrapped() != b.read(".key") {
		t.Error("the linked list is not the list")
	}
}

// TestKeyThatIsALink: a .key that came as a link to some file does not have that
// file overwritten.
func TestKeyThatIsALink(t *testing.T) {
	isolateProcess(t)
	own := ownIdentity(t)
	b := newSandbox(t, simpleExample, true)
	b.do("", "init")
	b.do("", "share", "add", own)
	b.write("the.key", b.read(".key"))
	b.loseKey()
	for _, content := range []string{"precious\n", ""} {
		outside := filepath.Join(t.TempDir(), "precious")
		must(t, os.WriteFile(outside, []byte(content), 0o600))
		must(t, os.Symlink(outside, filepath.Join(b.dir, ".key")))
		for _, args := range [][]string{{"unlock"}, {"key", "import", "the.key"}} {
			r := b.call(run{}, args...)
			if got, err := os.ReadFile(outside); err != nil || string(got) != content || r.code != 3 || !strings.Contains(r.err, "hint: ") {
				t.Errorf("%v writes through the link, or exit %d\n%s", args, r.code, r.err)
			}
		}
		b.loseKey()
	}
}

// TestUnlockedIsReadByPython: a vault shared, unlocked and rotated is read by
// Python with the very bytes of .key.
func TestUnlockedIsReadByPython(t *testing.T) {
	isolateProcess(t)
	python := cryptotest.Python(t)
	own := ownIdentity(t)
	b := newSandbox(t, simpleExample, true)
	python.WriteFormation(t, b.dir, nil, keptValues)
	b.do("", "share", "add", own)
	for _, step := range []func(){
		func() { b.loseKey(); b.do("", "unlock") },
		func() { b.do("", "rotate") },
		func() { b.loseKey(); b.do("", "unlock") },
		func() { b.do("", "share", "remove", own) },
	} {
		step()
		if got, class := python.ReadFormation(t, b.dir); class != "" || !maps.Equal(got, keptValues) {
			t.Fatalf("Python does not read it: %s", class)
		}
	}
	f, err := formation.At(b.dir)
	must(t, err)
	if people, _, err := f.ReadPeople(); err != nil || len(people.All()) != 0 || !slices.ContainsFunc(people.Exposed(), func(x formation.Exposure) bool { return x.Secret == "OTHER" }) {
		t.Error("what was seen is not noted")
	}
}
