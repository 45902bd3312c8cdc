//go:build unix

package commands_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// keptValues are what the vault holds in these tests, whatever happens.
var keptValues = map[string]string{"OPENAI_API_KEY": "old-openai", "OTHER": "old-other"}

// ownIdentity gives the person at home a new age identity in its usual place,
// and returns the public key.
func ownIdentity(t testing.TB) string {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	must(t, err)
	dir := filepath.Join(os.Getenv("HOME"), ".config", "age")
	must(t, os.MkdirAll(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "keys.txt"), []byte(identity.String()+"\n"), 0o600))
	return identity.Recipient().String()
}

// aRecipient is the public key of somebody whose private key nobody has.
func aRecipient(t testing.TB) string {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	must(t, err)
	return identity.Recipient().String()
}

// shared stores the kept values and shares the key with the person at home and
// with Bob.
func shared(b *sandbox, own string) {
	b.Helper()
	b.do("old-openai", "add", "OPENAI_API_KEY", "--stdin")
	b.do("old-other", "add", "OTHER", "--stdin")
	b.do("", "share", "add", own, "--name", "Own")
	b.do("", "share", "add", aRecipient(b), "--name", "Bob")
}

// unwrapped is what .key.age holds for the person at home.
func (b *sandbox) unwrapped() string {
	b.Helper()
	source := filepath.Join(os.Getenv("HOME"), ".config", "age", "keys.txt")
	content, err := os.ReadFile(source)
	must(b, err)
	ids, err := crypto.ParseIdentities(content, nil, source)
	must(b, err)
	wrapped := b.read(".key.age")
	if wrapped == "" {
		return ""
	}
	key, _, err := crypto.Unwrap([]byte(wrapped), ids, nil)
	if err != nil {
		b.Errorf(".key.age does not open: %v", err)
	}
	return string(key)
}

// journals returns the notes of changes that are not finished.
func (b *sandbox) journals() []string {
	found, err := filepath.Glob(filepath.Join(b.top, ".git", "muxi-secrets", "journal-*"))
	must(b, err)
	return found
}

// keysOnDisk returns every key that is left after a kill: .key, the keyring's,
// the one that is wrapped for the person, and one in a journal.
func (b *sandbox) keysOnDisk() []*crypto.Key {
	b.Helper()
	var keys []*crypto.Key
	for _, kept := range (formation.Keyring{Dir: filepath.Join(b.top, ".git", "muxi-secrets", "keys")}).Keys() {
		keys = append(keys, kept.Key)
	}
	add := func(content []byte) {
		if key, err := crypto.ParseKey(content); err == nil {
			keys = append(keys, key)
		}
	}
	add([]byte(b.read(".key")))
	add([]byte(b.unwrapped()))
	for _, path := range b.journals() {
		content, err := os.ReadFile(path)
		must(b, err)
		var journal struct {
			Entries []struct{ Before, After struct{ Content []byte } }
		}
		must(b, json.Unmarshal(content, &journal))
		for _, entry := range journal.Entries {
			add(entry.Before.Content)
			add(entry.After.Content)
		}
	}
	return keys
}

// opensSomehow checks that the vault opens with a key that is on the disk.
func (b *sandbox) opensSomehow(when string) {
	b.Helper()
	vault, _, err := formation.OpenSealed([]byte(b.read("secrets.enc")), b.keysOnDisk()...)
	if err != nil {
		b.Fatalf("%s: no key on the disk opens the vault: %v", when, err)
	}
	got := map[string]string{}
	for _, name := range vault.Names() {
		got[name], _, _ = vault.Get(name)
	}
	if !maps.Equal(got, keptValues) {
		b.Fatalf("%s: the vault has lost secrets: %v", when, vault.Names())
	}
}

// settled checks the formation after the next command: everything belongs
// together.
func (b *sandbox) settled(when string) {
	b.Helper()
	if left := append(b.leftovers(), b.journals()...); len(left) > 0 {
		b.Fatalf("%s: the next command leaves %v", when, left)
	}
	values, ok := b.secrets()
	if !ok || !maps.Equal(values, keptValues) {
		b.Fatalf("%s: .key does not open the vault, or not all of it", when)
	}
	if b.unwrapped() != b.read(".key") {
		b.Fatalf("%s: .key.age holds another key than .key", when)
	}
	ring := filepath.Join(b.top, ".git", "muxi-secrets", "keys")
	entries, _ := os.ReadDir(ring)
	for _, entry := range entries {
		info, err := entry.Info()
		must(b, err)
		content, err := os.ReadFile(filepath.Join(ring, entry.Name()))
		must(b, err)
		key, err := crypto.ParseKey(content)
		if err != nil || key.Fingerprint() != entry.Name() || info.Mode().Perm() != 0o600 {
			b.Fatalf("%s: the keyring has a file that is no key of that name and mode", when)
		}
	}
	if info, err := os.Stat(filepath.Join(b.dir, ".key")); err != nil || info.Mode().Perm() != 0o600 {
		b.Fatalf("%s: .key is not there with mode 0600", when)
	}
}

// keyChanges are the commands that put another key in place.
func keyChanges(own string) []scenario {
	hexKey := func(b *sandbox) {
		b.write(".key", strings.Repeat("0f1e2d3c", 8)+"\n")
		shared(b, own)
	}
	return []scenario{
		{name: "rotate", prepare: func(b *sandbox) { shared(b, own) }, args: []string{"rotate"}},
		{name: "rotate hex", prepare: hexKey, args: []string{"rotate"}},
		{name: "share remove", prepare: func(b *sandbox) { shared(b, own) }, args: []string{"share", "remove", "Bob"}},
		{name: "convert", prepare: func(b *sandbox) { shared(b, own) }, args: []string{"convert", "--to", "age"}},
		{name: "unlock after a rotation", prepare: func(b *sandbox) {
			shared(b, own)
			old := b.read(".key")
			b.do("", "rotate")
			b.write(".key", old)
			must(b, os.RemoveAll(filepath.Join(b.top, ".git", "muxi-secrets", "keys")))
		}, args: []string{"unlock"}},
		{name: "unlock in a clone", prepare: func(b *sandbox) {
			shared(b, own)
			b.loseKey()
			must(b, os.WriteFile(filepath.Join(b.dir, ".gitignore"), nil, 0o644))
		}, args: []string{"unlock"}},
	}
}

// next runs what a person runs next: list, and unlock where that has no key or
// not the one that fits.
func (b *sandbox) next(when string) {
	b.Helper()
	if r := b.call(run{}, "list"); r.code == 4 || strings.Contains(r.err, "unlock' puts it back") {
		if r := b.call(run{}, "unlock"); r.code != 0 {
			b.Fatalf("%s: list has no key, and unlock ends with %d\n%s", when, r.code, r.err)
		}
	} else if r.code != 0 {
		b.Fatalf("%s: list ends with %d\n%s", when, r.code, r.err)
	}
	b.settled(when)
}

// TestKeyChangeFaultAtEveryStep fails and kills each command that changes the
// key at each step of each file's write.
func TestKeyChangeFaultAtEveryStep(t *testing.T) {
	isolateProcess(t)
	own := ownIdentity(t)
	for _, sc := range sample(keyChanges(own)) {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			b := newSandbox(t, simpleExample, true)
			sc.prepare(b)
			before := b.tree()
			count := &nth{}
			if r := b.call(run{fault: count.fault}, sc.args...); r.code != 0 {
				t.Fatalf("exit %d\n%s", r.code, r.err)
			}
			b.settled("without a fault")
			renames := 0
			for _, step := range count.seen {
				if strings.HasPrefix(step, string(safefile.StepRename)) {
					renames++
				}
			}
			if renames < 2 { // the journal, and at least .key
				t.Fatalf("only %d files are put in place: %v", renames, count.seen)
			}
			for i, step := range count.seen {
				if thinned(i, len(count.seen)) {
					continue
				}
				for _, what := range []string{"kill", []string{"ENOSPC", "EACCES"}[i%2]} {
					t.Run(fmt.Sprintf("%d %s %s", i+1, step, what), func(t *testing.T) {
						b.TB = t
						b.restore(before)
						keyFault(b, sc, i+1, what, before)
						b.opensSomehow("after the fault")
						b.next("then")
						if r := b.call(run{}, sc.args...); r.code != 0 && !(sc.name == "share remove" && r.code == 1) {
							t.Errorf("run again, it ends with %d\n%s", r.code, r.err)
						}
						b.settled("run again")
					})
				}
			}
		})
	}
}

// keyFault runs a scenario's command with one fault and checks how it ended.
func keyFault(b *sandbox, sc scenario, n int, what string, before tree) {
	b.Helper()
	if what == "kill" {
		if r := b.spawn(run{env: []string{fmt.Sprintf("TEST_FAULT=#%d=kill", n)}}, sc.args...); r.code != -1 {
			b.Fatalf("not killed: exit %d\n%s", r.code, r.err)
		}
		return
	}
	count := &nth{n: n, what: map[string]error{"ENOSPC": syscall.ENOSPC, "EACCES": syscall.EACCES}[what]}
	r := b.call(run{fault: count.fault}, sc.args...)
	want := 3
	if strings.HasPrefix(count.seen[n-1], string(safefile.StepSyncDir)) {
		want = 0
	}
	if r.code != want {
		b.Errorf("exit %d, want %d\n%s", r.code, want, r.err)
	}
	if left := b.leftovers(); len(left) > 0 {
		b.Errorf("left behind without being killed: %v", left)
	}
	changed := slices.DeleteFunc(differing(before, b.tree()), func(path string) bool {
		return strings.HasPrefix(path, filepath.Join(".git", "muxi-secrets"))
	})
	if want == 0 {
		return
	}
	if !strings.Contains(r.err, "error: ") || !strings.Contains(r.err, "hint: ") {
		b.Errorf("no error with a way out:\n%s", r.err)
	}
	if len(changed) > 0 {
		b.Errorf("it failed, and changed %v:\n%s", changed, r.err)
	}
}

// TestKeyChangeKilledAtAnyMoment kills rotate, share remove and unlock while they
// run on from a step of theirs: in between two steps, as a rule.
func TestKeyChangeKilledAtAnyMoment(t *testing.T) {
	long(t)
	isolateProcess(t)
	own := ownIdentity(t)
	for _, change := range []struct {
		name  string
		kills int
		// ready brings the formation to where the command has something to do.
		ready func(*sandbox)
		args  []string
	}{
		{"rotate", 120, func(*sandbox) {}, []string{"rotate"}},
		{"share remove", 80, func(b *sandbox) {
			if !strings.Contains(b.read(".age-recipients"), "# Bob\n") {
				b.do("", "share", "add", aRecipient(b), "--name", "Bob")
			}
		}, []string{"share", "remove", "Bob"}},
		{"unlock", 80, func(b *sandbox) {
			if rand.N(2) == 0 {
				must(b, os.Remove(filepath.Join(b.dir, ".key")))
				return
			}
			old := b.read(".key")
			b.do("", "rotate")
			b.write(".key", old)
		}, []string{"unlock"}},
	} {
		t.Run(change.name, func(t *testing.T) {
			t.Parallel()
			b := newSandbox(t, simpleExample, true)
			shared(b, own)
			steps := map[bool]int{} // by whether there is a .key
			var early, late, torn int
			for i := range few(change.kills) {
				when := fmt.Sprintf("kill %d", i+1)
				change.ready(b)
				files := func() string { return b.read(".key") + b.read("secrets.enc") + b.read(".key.age") }
				was := files()
				keyed := b.read(".key") != ""
				if steps[keyed] == 0 {
					steps[keyed] = b.steps(run{}, change.args...)
				}
				cmd := b.startTo(rand.N(steps[keyed]+1), run{}, change.args...)
				cmd.Process.Kill()
				cmd.Wait()
				switch {
				case len(b.journals()) > 0:
					torn++
				case files() == was:
					early++
				default:
					late++
				}
				b.opensSomehow(when)
				b.next(when)
				if i%16 == 0 {
					got, class := cryptotest.Python(t).ReadFormation(t, b.dir)
					if class != "" || !maps.Equal(got, keptValues) {
						t.Fatalf("%s: Python does not read the formation: %s", when, class)
					}
				}
			}
			t.Logf("kills: %d before, %d in between, %d after", early, torn, late)
		})
	}
}

// TestKilledThenFromElsewhere: what a killed command began is finished from
// wherever the next one is started, and in a repository that was moved.
func TestKilledThenFromElsewhere(t *testing.T) {
	isolateProcess(t)
	own := ownIdentity(t)
	kill := []string{"TEST_FAULT=rename@.key=kill"}
	t.Run("a link to the folder", func(t *testing.T) {
		b := newSandbox(t, simpleExample, true)
		shared(b, own)
		link := filepath.Join(t.TempDir(), "link")
		must(t, os.Symlink(b.dir, link))
		through := &sandbox{t, b.top, link}
		if r := through.spawn(run{env: kill}, "rotate"); r.code != -1 {
			t.Fatalf("not killed: exit %d\n%s", r.code, r.err)
		}
		b.opensSomehow("after the kill")
		b.do("", "list")
		b.settled("from the folder itself")
		if r := b.spawn(run{env: kill}, "rotate"); r.code != -1 {
			t.Fatalf("not killed: exit %d\n%s", r.code, r.err)
		}
		through.do("", "list")
		b.settled("through the link")
	})
	t.Run("moved", func(t *testing.T) {
		b := newSandbox(t, simpleExample, true)
		shared(b, own)
		if r := b.spawn(run{env: kill}, "rotate"); r.code != -1 {
			t.Fatalf("not killed: exit %d\n%s", r.code, r.err)
		}
		moved := filepath.Join(t.TempDir(), "moved")
		must(t, os.Rename(b.top, moved))
		b.top, b.dir = moved, filepath.Join(moved, "agent")
		b.do("", "list")
		b.settled("moved")
	})
}

// TestKilledThenChanged: files that somebody changed between a kill and the next
// command are left alone, and the vault still opens: rotate takes the key that
// was on its way.
func TestKilledThenChanged(t *testing.T) {
	isolateProcess(t)
	own := ownIdentity(t)
	b := newSandbox(t, simpleExample, true)
	shared(b, own)
	if r := b.spawn(run{env: []string{"TEST_FAULT=rename@.key=kill"}}, "share", "remove", "Bob"); r.code != -1 {
		t.Fatalf("not killed: exit %d\n%s", r.code, r.err)
	}
	carol := aRecipient(t)
	b.write(".age-recipients", "# Own\n"+own+"\n# Carol\n"+carol+"\n")
	r := b.call(run{}, "list")
	if !strings.Contains(r.err, "had been interrupted") {
		t.Errorf("it is not said:\n%s", r.err)
	}
	b.opensSomehow("changed since")
	b.do("", "unlock") // the new key is kept, and the vault is sealed with it
	if r := b.call(run{}, "rotate"); r.code != 1 || !strings.Contains(r.err, carol) {
		t.Errorf("a key is made for people whom nobody vouched for: exit %d\n%s", r.code, r.err)
	}
	b.do("", "share", "add", own, carol)
	b.do("", "rotate")
	values, ok := b.secrets()
	if !ok || !maps.Equal(values, keptValues) {
		t.Error("rotate does not mend it")
	}
	if !strings.Contains(b.read(".age-recipients"), "# Carol\n") {
		t.Error("what was changed since is lost")
	}
}

// TestRotateWhileOthersWork: rotations and readers at once; each reader gets all
// values.
func TestRotateWhileOthersWork(t *testing.T) {
	long(t)
	isolateProcess(t)
	own := ownIdentity(t)
	b := newSandbox(t, simpleExample, true)
	shared(b, own)
	done := make(chan error)
	start := func(args ...string) {
		cmd := b.process(run{}, args...)
		var errs strings.Builder
		cmd.Stderr = &errs
		go func() {
			err := cmd.Run()
			if err != nil {
				err = fmt.Errorf("%v: %w\n%s", args, err, errs.String())
			}
			done <- err
		}()
	}
	n := 0
	for range 8 {
		start("rotate")
		start("list")
		start("unlock")
		start("get", "OTHER")
		start("share", "wrap")
		n += 5
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	b.settled("afterwards")
}

// TestRotateWhileAdding: what is added while the key changes is all there.
func TestRotateWhileAdding(t *testing.T) {
	isolateProcess(t)
	own := ownIdentity(t)
	b := newSandbox(t, simpleExample, true)
	shared(b, own)
	done := make(chan error)
	start := func(stdin string, args ...string) {
		cmd := b.process(run{stdin: stdin}, args...)
		var errs strings.Builder
		cmd.Stderr = &errs
		go func() {
			err := cmd.Run()
			if err != nil {
				err = fmt.Errorf("%v: %w\n%s", args, err, errs.String())
			}
			done <- err
		}()
	}
	want := maps.Clone(keptValues)
	for i := range 20 {
		name := fmt.Sprintf("NAME_%02d", i)
		want[name] = "value of " + name
		start(want[name], "add", name, "--stdin")
		if i%4 == 0 {
			start("", "rotate")
		}
		if i == 10 {
			start("", "share", "remove", "Bob")
		}
	}
	for range 26 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got, ok := b.secrets(); !ok || !maps.Equal(got, want) {
		t.Error("a value is lost")
	}
	if b.unwrapped() != b.read(".key") {
		t.Error(".key.age holds another key than .key")
	}
}
