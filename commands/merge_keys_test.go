//go:build unix

package commands_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// person is somebody with a home of their own and an age key in it.
type person struct {
	home, recipient string
}

func newPerson(t testing.TB) person {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	must(t, err)
	home := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(home, ".config", "age"), 0o700))
	must(t, os.WriteFile(filepath.Join(home, ".config", "age", "keys.txt"), []byte(identity.String()+"\n"), 0o600))
	return person{home, identity.Recipient().String()}
}

// as is the repository as somebody works in it.
func (m *mergeRepo) as(p person) *mergeRepo {
	return &mergeRepo{&repo{m.TB, m.dir, append(m.env[:len(m.env):len(m.env)], "HOME="+p.home)}, m.folder}
}

// command runs a command of ours on the formation, in a process of its own.
func (m *mergeRepo) command(args ...string) result {
	m.Helper()
	return m.quiet((&repo{m.TB, m.path(m.folder), m.env}).muxi(args...))
}

func (m *mergeRepo) mustCommand(args ...string) result {
	m.Helper()
	r := m.command(args...)
	if r.code != 0 {
		m.Errorf("%s: exit %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r
}

// opens checks that somebody's clone opens the vault after unlock.
func (m *mergeRepo) opens(p person, want secrets) {
	m.Helper()
	c := m.cloneFor(p)
	c.mustCommand("unlock")
	c.holds(want)
}

// cloneFor clones what is committed for somebody.
func (m *mergeRepo) cloneFor(p person) *mergeRepo {
	m.Helper()
	top, err := filepath.EvalSymlinks(m.TempDir())
	must(m, err)
	m.git("clone", "-q", m.dir, filepath.Join(top, "clone"))
	return (&mergeRepo{&repo{m.TB, filepath.Join(top, "clone"), nil}, m.folder}).as(p)
}

// TestMergeAcrossRotation merges branches of which one, or each, has another
// key than the one they came from.
func TestMergeAcrossRotation(t *testing.T) {
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	want := secrets{"A": "1", "B": "2", "D": "1", "E": "2"}
	// rotated makes the branches; each may be rotated. The key of base is kept.
	rotated := func(m *mergeRepo, ours, theirs bool) (base, ourKey, theirKey string) {
		m.Helper()
		base = m.read("agent/.key")
		side := func(branch string, rotate bool, changes ...string) string {
			m.git("checkout", "-q", "-B", branch, "base")
			m.stage("agent/.key", base) // as it was
			m.git("rm", "-q", "--cached", "agent/.key")
			m.change(changes...)
			if rotate {
				m.mustCommand("rotate")
			}
			m.commit(branch)
			return m.read("agent/.key")
		}
		theirKey = side("theirs", theirs, "B=2", "E=2")
		ourKey = side("ours", ours, "A=1", "D=1")
		return base, ourKey, theirKey
	}
	key := func(m *mergeRepo, content string) {
		m.write("agent/.key", content)
		must(m, os.Chmod(m.path("agent/.key"), 0o600))
	}
	for _, tt := range []struct {
		name         string
		ours, theirs bool
	}{{"ours", true, false}, {"theirs", false, true}, {"both", true, true}} {
		t.Run(tt.name+" rotated", func(t *testing.T) {
			t.Parallel()
			m := start.copyOf(t)
			_, ourKey, theirKey := rotated(m, tt.ours, tt.theirs)
			r := m.merge()
			if r.code != 0 {
				t.Fatalf("exit %d\n%s%s", r.code, r.out, r.err)
			}
			if tt.ours || strings.Contains(r.err, "unlock") {
				key(m, ourKey)
			}
			if !tt.ours {
				// The new key must not be undone: it is not the .key on disk.
				if r := m.muxiIn(run{}, "list"); r.code != 0 || !strings.Contains(r.err, "unlock' puts it back") {
					t.Errorf("the vault is sealed with the old key: exit %d", r.code)
				}
				if !strings.Contains(r.err, "unlock") {
					t.Errorf("it does not say how to get the key:\n%s", r.err)
				}
				key(m, theirKey)
			}
			m.settled(want)
		})
		t.Run(tt.name+" rotated, contested", func(t *testing.T) {
			t.Parallel()
			m := start.copyOf(t)
			_, _, theirKey := rotated(m, tt.ours, tt.theirs)
			m.git("checkout", "-q", "theirs")
			mine := m.read("agent/.key")
			key(m, theirKey)
			m.on("A=2")
			m.git("checkout", "-q", "ours")
			key(m, mine)
			r := m.merge()
			m.names(r, "A")
			if !tt.ours {
				key(m, theirKey)
			}
			m.holds(want)
			m.refused("commit", "-qam", "x")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-q", "--no-edit")
			m.settled(want.change("A=2"))
		})
		t.Run(tt.name+" rotated, rebase", func(t *testing.T) {
			t.Parallel()
			m := start.copyOf(t)
			_, ourKey, theirKey := rotated(m, tt.ours, tt.theirs)
			if r := m.do("rebase", "-q", "theirs"); r.code != 0 {
				t.Fatalf("exit %d\n%s%s", r.code, r.out, r.err)
			}
			if _, err := m.opened(); err != nil {
				key(m, theirKey)
			}
			_ = ourKey
			m.settled(want)
		})
	}

	// In another clone, which has no retired keys: theirs opens by what its
	// .key.age holds for the person at work.
	t.Run("theirs rotated elsewhere, shared", func(t *testing.T) {
		t.Parallel()
		alice, bob := newPerson(t), newPerson(t)
		m := start.copyOf(t).as(alice)
		m.mustCommand("share", "add", alice.recipient, "--name", "Alice")
		m.mustCommand("share", "add", bob.recipient, "--name", "Bob")
		m.commit("shared")
		c := m.cloneFor(bob)
		c.mustCommand("unlock")
		c.change("A=1", "D=1")
		c.commit("by Bob")
		m.mustCommand("rotate")
		m.change("B=2", "E=2")
		m.commit("by Alice")
		r := c.do("pull", "-q", "--no-rebase", "--no-edit", "origin")
		if r.code != 0 || !strings.Contains(r.err, "unlock") {
			t.Errorf("exit %d, or it does not name unlock\n%s%s", r.code, r.out, r.err)
		}
		c.mustCommand("unlock")
		c.holds(want)
		// And back.
		m.must("pull", "-q", "--no-rebase", "--no-edit", c.dir, "HEAD")
		m.settled(want)
		c.settled(want)
	})
	t.Run("theirs rotated elsewhere, not shared", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t)
		_, ourKey, theirKey := rotated(m, false, true)
		m.remove(".git/muxi-secrets/keys") // as in a clone that never had it
		sealed := m.read(m.vault())
		r := m.merge()
		if r.code != 1 || m.read(m.vault()) != sealed || !strings.Contains(r.err, "key import") {
			t.Errorf("exit %d, or another vault\n%s%s", r.code, r.out, r.err)
		}
		m.refused("commit", "-qam", "x")
		key(m, ourKey)
		// A key that opens neither side is refused; that of theirs is not, though
		// the vault of the work tree is still ours.
		if r := m.muxiIn(run{stdin: newMergeRepo(t, "agent").read("agent/.key")}, "key", "import", "-"); r.code != 4 {
			t.Errorf("key import of a third key: exit %d", r.code)
		}
		if r := m.muxiIn(run{stdin: theirKey}, "key", "import", "-"); r.code != 0 {
			t.Fatalf("key import: exit %d\n%s", r.code, r.err)
		}
		m.resolve(0)
		m.must("commit", "-q", "--no-edit")
		m.settled(want)
	})
}

// TestMergePeople merges who shares the key.
func TestMergePeople(t *testing.T) {
	long(t)
	sideBySide(t)
	alice, bob, carol, dave := newPerson(t), newPerson(t), newPerson(t), newPerson(t)
	start := newMergeRepo(t, "agent", "A=a").as(alice)
	start.mustCommand("share", "add", alice.recipient, "--name", "Alice")
	start.mustCommand("share", "add", bob.recipient, "--name", "Bob")
	start.commit("shared")
	start.git("tag", "-f", "base")
	// sides has each side run a command of share, and add a secret.
	sides := func(m *mergeRepo, ours, theirs []string) {
		m.Helper()
		base := m.read("agent/.key")
		for i, args := range [][]string{theirs, ours} {
			branch := []string{"theirs", "ours"}[i]
			m.git("checkout", "-q", "-B", branch, "base")
			m.write("agent/.key", base)
			must(m, os.Chmod(m.path("agent/.key"), 0o600))
			m.mustCommand(append([]string{"share"}, args...)...)
			m.change(strings.ToUpper(branch) + "=" + branch)
			m.commit(branch)
		}
	}
	want := secrets{"A": "a", "OURS": "ours", "THEIRS": "theirs"}
	addCarol, addDave := []string{"add", carol.recipient, "--name", "Carol"}, []string{"add", dave.recipient, "--name", "Dave"}
	listed := func(m *mergeRepo, people ...person) {
		m.Helper()
		out := m.mustCommand("share", "list").out
		for _, p := range people {
			if !strings.Contains(out, p.recipient) {
				m.Errorf("somebody is missing:\n%s", out)
			}
		}
		if strings.Count(out, "age1") != len(people) {
			m.Errorf("there are others:\n%s", out)
		}
	}
	t.Run("add on both", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t)
		sides(m, addCarol, addDave)
		m.must("merge", "-q", "--no-edit", "theirs")
		listed(m, alice, bob, carol, dave)
		for _, p := range []person{alice, bob, carol, dave} {
			m.opens(p, want)
		}
		m.settled(want)
	})
	t.Run("add on both, cherry-picked", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t)
		sides(m, addCarol, addDave)
		r := m.do("cherry-pick", "theirs")
		if r.code != 0 {
			if !strings.Contains(r.err, "share wrap") {
				t.Errorf("it does not name share wrap:\n%s", r.err)
			}
			m.mustCommand("share", "wrap")
			if got := m.stages("agent/.key.age"); got != "0" {
				t.Errorf("the index has the stages %q of .key.age", got)
			}
			m.editing("").must("cherry-pick", "--continue")
		}
		listed(m, alice, bob, carol, dave)
		for _, p := range []person{alice, bob, carol, dave} {
			m.opens(p, want)
		}
		m.settled(want)
	})
	t.Run("add on both, rebased", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t)
		sides(m, addCarol, addDave)
		if r := m.do("rebase", "-q", "theirs"); r.code != 0 {
			m.mustCommand("share", "wrap")
			m.editing("").must("rebase", "--continue")
		}
		for _, p := range []person{alice, bob, carol, dave} {
			m.opens(p, want)
		}
		m.settled(want)
	})
	t.Run("add on both, and a name contested", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t)
		sides(m, addCarol, addDave)
		m.git("checkout", "-q", "theirs")
		m.on("A=2")
		m.git("checkout", "-q", "ours")
		m.on("A=1")
		m.conflicted(m.merge(), want.change("A=1"), "A")
		m.refused("commit", "-qam", "x")
		m.resolve(0, "A", "--theirs")
		m.must("commit", "-q", "--no-edit")
		for _, p := range []person{alice, bob, carol, dave} {
			m.opens(p, want.change("A=2"))
		}
		m.settled(want.change("A=2"))
	})
	t.Run("the first people on both", func(t *testing.T) {
		t.Parallel()
		m := newMergeRepo(t, "agent", "A=a").as(alice)
		sides(m, addCarol, addDave)
		if r := m.merge(); r.code != 0 {
			m.mustCommand("share", "wrap")
			m.git("add", "-A")
			m.must("commit", "-q", "--no-edit")
		}
		listed(m, carol, dave)
		for _, p := range []person{carol, dave} {
			m.opens(p, want)
		}
	})
	for _, turned := range []bool{false, true} {
		name := "remove on ours, add on theirs"
		if turned {
			name = "add on ours, remove on theirs"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := start.copyOf(t).as(alice)
			old := m.read("agent/.key")
			remove := []string{"remove", "Bob"}
			if turned {
				sides(m, addCarol, remove)
			} else {
				sides(m, remove, addCarol)
			}
			// Carol was added under the key that Bob has: she is named once more.
			r := m.do("merge", "--no-edit", "theirs")
			if r.code != 1 || !strings.Contains(r.err, "nobody vouched for Carol") {
				t.Fatalf("exit %d\n%s%s", r.code, r.out, r.err)
			}
			m.mustCommand("unlock")
			m.mustCommand("share", "add", carol.recipient)
			m.must("commit", "-q", "--no-edit")
			listed(m, alice, carol)
			for _, p := range []person{alice, carol} {
				m.opens(p, want)
			}
			m.settled(want)
			// What Bob has opens nothing.
			c := m.cloneFor(bob)
			if r := c.command("unlock"); r.code != 4 {
				t.Errorf("Bob unlocks it: exit %d", r.code)
			}
			c.write("agent/.key", old)
			if _, err := c.opened(); err == nil {
				t.Error("the old key opens it")
			}
			if r := m.mustCommand("status"); !strings.Contains(r.out, "Bob") {
				t.Errorf("status does not say what Bob has seen:\n%s", r.out)
			}
		})
	}
	t.Run("remove on both", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t).as(alice)
		m.mustCommand("share", "add", carol.recipient, "--name", "Carol")
		m.commit("Carol")
		m.git("tag", "-f", "base")
		sides(m, []string{"remove", "Bob"}, []string{"remove", "Carol"})
		// Each side's new key is known to whom the other side removed: nobody but a
		// person settles that, and only a third key locks both out.
		m.looked(1, "rotated twice, apart", "agree with the others")
		r := m.do("merge", "--no-edit", "theirs")
		if r.code != 1 || !strings.Contains(r.err, "rotated twice, apart") || !strings.Contains(r.err, "resolve --key ours") {
			t.Fatalf("exit %d\n%s%s", r.code, r.out, r.err)
		}
		m.mustCommand("resolve", "--key", "ours")
		m.mustCommand("share", "wrap")
		m.must("commit", "-q", "--no-edit")
		m.mustCommand("unlock")
		listed(m, alice)
		m.opens(alice, want)
		m.mustCommand("rotate")
		m.commit("rotated")
		m.opens(alice, want)
		for _, p := range []person{bob, carol} {
			for _, rev := range []string{"", "theirs", "theirs^", "ours^1", "ours^1^1"} {
				c := m.cloneFor(p)
				if rev != "" {
					c.write("agent/.key.age", m.git("show", rev+":agent/.key.age")+"\n")
				}
				if r := c.command("unlock"); r.code != 4 {
					t.Errorf("somebody who was removed unlocks it with the .key.age of '%s'", rev)
				}
			}
		}
	})
}

// TestMergeExposes has one side remove Bob, and the other, whose key Bob has, add
// and change values: he reads them in its commits.
func TestMergeExposes(t *testing.T) {
	long(t)
	sideBySide(t)
	alice, bob := newPerson(t), newPerson(t)
	start := newMergeRepo(t, "agent", "A=a", "OTHER=o", "SAME=s").as(alice)
	start.mustCommand("share", "add", alice.recipient, "--name", "Alice")
	start.mustCommand("share", "add", bob.recipient, "--name", "Bob")
	start.commit("shared")
	start.git("tag", "-f", "base")
	start.side("theirs", "FRESH=1", "OTHER=2")
	start.git("checkout", "-q", "-B", "ours", "base")
	start.mustCommand("share", "remove", "Bob")
	if r := start.muxiIn(run{stdin: hush + "1"}, "add", "A", "--stdin"); r.code != 0 {
		t.Fatalf("add: exit %d\n%s", r.code, r.err)
	}
	start.commit("removed")
	for _, how := range []string{"merge", "rebase"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			m := start.copyOf(t).as(alice)
			var r result
			if how == "merge" {
				m.looked(0)
				r = m.merge()
			} else {
				r = m.do("rebase", "-q", "ours", "theirs")
			}
			if r.code != 0 || !strings.Contains(r.err, "Bob, who was removed, can read these") || !strings.Contains(r.err, "FRESH, OTHER") {
				t.Fatalf("exit %d\n%s", r.code, r.err)
			}
			if out := m.mustCommand("status").out; !strings.Contains(out, "has seen FRESH, OTHER, SAME") {
				t.Errorf("status says\n%s", out)
			}
			if out := m.mustCommand("share", "list").out; !strings.Contains(out, "has seen: FRESH, OTHER, SAME") {
				t.Errorf("share list says\n%s", out)
			}
			if r := m.muxiIn(run{stdin: hush + "x"}, "add", "FRESH", "--stdin"); r.code != 0 {
				t.Fatalf("add: exit %d\n%s", r.code, r.err)
			}
			if list := m.read("agent/.age-recipients"); !strings.Contains(list, "# seen by Bob: OTHER\n") || strings.Contains(list, "FRESH") {
				t.Error(".age-recipients does not say what is left")
			}
			if out := m.mustCommand("status").out; !strings.Contains(out, "has seen OTHER, SAME") {
				t.Errorf("status says\n%s", out)
			}
		})
	}
}

// TestRevertOfRotation takes back a rotation, and the removal of Bob, after a
// value was added: nothing new is sealed with the key that was retired.
func TestRevertOfRotation(t *testing.T) {
	sideBySide(t)
	alice, bob := newPerson(t), newPerson(t)
	for _, change := range [][]string{{"rotate"}, {"share", "remove", "Bob"}} {
		t.Run(change[0], func(t *testing.T) {
			t.Parallel()
			m := newMergeRepo(t, "agent", "A=a", "B=b").as(alice)
			m.mustCommand("share", "add", alice.recipient, "--name", "Alice")
			m.mustCommand("share", "add", bob.recipient, "--name", "Bob")
			m.commit("shared")
			old, err := m.opened()
			must(t, err)
			m.mustCommand(change...)
			m.change("B=2")
			m.commit("rotated")
			m.change("NEW=n")
			m.commit("later")
			m.do("revert", "--no-edit", "HEAD~1")
			if _, _, err := formation.OpenSealed([]byte(m.read(m.vault())), old.Key); err == nil {
				t.Error("the retired key opens what was committed later")
			}
			m.holds(secrets{"A": "a", "B": "b", "NEW": "n"})
		})
	}
	t.Run("a new commit picked onto an old branch", func(t *testing.T) {
		t.Parallel()
		m := newMergeRepo(t, "agent", "A=a", "B=b")
		old, err := m.opened()
		must(t, err)
		m.side("ours", "A=1")
		m.git("checkout", "-q", "-B", "theirs", "base")
		m.mustCommand("rotate")
		m.commit("rotated")
		m.change("B=2")
		m.commit("picked")
		m.git("checkout", "-q", "ours")
		m.must("cherry-pick", "theirs")
		if _, _, err := formation.OpenSealed([]byte(m.read(m.vault())), old.Key); err == nil {
			t.Error("the retired key opens the new value")
		}
		m.holds(secrets{"A": "1", "B": "2"})
	})
}

// TestResolveAsks: a driver asks nobody, resolve is run by a person.
func TestResolveAsks(t *testing.T) {
	isolateProcess(t)
	needs.Program(t, "ssh-keygen")
	const words = "correct horse"
	home := os.Getenv("HOME")
	must(t, os.MkdirAll(filepath.Join(home, ".ssh"), 0o700))
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-C", "x", "-N", words, "-f", filepath.Join(home, ".ssh", "id_ed25519")).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	defer os.RemoveAll(filepath.Join(home, ".ssh"))
	public, err := os.ReadFile(filepath.Join(home, ".ssh", "id_ed25519.pub"))
	must(t, err)
	m := newMergeRepo(t, "agent", "A=a", "B=b")
	m.mustCommand("share", "add", strings.TrimSpace(string(public)))
	m.commit("shared")
	m.git("tag", "-f", "base")
	old := m.read("agent/.key")
	m.git("checkout", "-q", "-B", "theirs", "base")
	m.mustCommand("rotate")
	m.change("B=2")
	m.commit("rotated")
	m.git("checkout", "-q", "-B", "ours", "base")
	m.write("agent/.key", old)
	must(t, os.Chmod(m.path("agent/.key"), 0o600))
	m.remove(".git/muxi-secrets/keys") // as in another clone
	m.change("A=1")
	m.commit("ours")
	if r := m.merge(); r.code == 0 || !strings.Contains(r.err, "resolve' merges") {
		t.Fatalf("exit %d\n%s", r.code, r.err)
	}
	if r := m.resolve(4); !strings.Contains(r.err, "asks for a passphrase") {
		t.Errorf("without a terminal it does not say what fits:\n%s", r.err)
	}
	b := &sandbox{TB: t, top: filepath.Dir(m.dir), dir: m.path("agent")}
	c := b.onTerminal(t, stdinNull, "resolve")
	c.waitFor(".ssh/id_ed25519 (hidden): ")
	c.typed(words + "\r")
	c.exit(0, words)
	if shown := strings.Join(strings.Fields(c.shown()), " "); !strings.Contains(shown, "Opened their side with the fernet key") || !strings.Contains(shown, "unlock' gets it") {
		t.Errorf("it does not say what it did:\n%s", shown)
	}
	if r := m.muxiIn(run{}, "list"); r.code != 0 || !strings.Contains(r.err, "unlock' puts it back") {
		t.Errorf("the vault is sealed with the old key: exit %d", r.code)
	}
	if entries, err := os.ReadDir(m.path(".git/muxi-secrets/keys")); err != nil || len(entries) != 1 {
		t.Errorf("the key is not kept: %d, %v", len(entries), err)
	}
}
