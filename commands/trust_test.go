//go:build unix

package commands_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// intrigue is Ann's clone of a team's repository, in which she removed Bob, and
// those who want to read what she keeps there. Its tag base is from before the
// removal, when PROD had a value that Bob may know; since then it has another.
type intrigue struct {
	*mergeRepo
	ann, bob, eve, zoe person

	key       string        // Ann's .key
	outsiders []*crypto.Key // that others hold: Bob's retired one, and their own
}

const (
	knownValue = hush + "known" // to Bob
	liveValue  = hush + "live"  // begins what only Ann may know
)

// attack is a change of the formation's files that somebody without the key gets
// onto a branch.
type attack struct {
	name string
	who  func(*intrigue) person
	from string
	do   func(*intrigue, *mergeRepo)
}

// attacks are the changes. Each is tried by each of the roads.
func attacks() []attack {
	eve := func(s *intrigue) person { return s.eve }
	bob := func(s *intrigue) person { return s.bob }
	ownVault := func(s *intrigue, c *mergeRepo) {
		for _, name := range []string{"secrets.enc", ".key.age", ".age-recipients"} {
			c.remove("agent/" + name)
		}
		c.mustCommand("init", "--no-hooks")
		c.change("A=a", "PROD=evil")
		c.mustCommand("share", "add", s.ann.recipient, "--name", "Ann")
		c.mustCommand("share", "add", s.eve.recipient, "--name", "Carl")
		s.outsiders = append(s.outsiders, c.keyOf("agent"))
	}
	list := func(c *mergeRepo) string { return c.read("agent/.age-recipients") }

	return []attack{
		{"a stranger's vault, key and list", eve, "main", ownVault},
		{"a stranger's vault and key beside the team's list", eve, "main", func(s *intrigue, c *mergeRepo) {
			signed := list(c)
			ownVault(s, c)
			c.write("agent/.age-recipients", signed)
		}},
		{"a stranger's key, and no list any more", eve, "main", func(s *intrigue, c *mergeRepo) {
			ownVault(s, c)
			c.remove("agent/.age-recipients")
		}},
		{"a stranger's key under a list without a foot", eve, "main", func(s *intrigue, c *mergeRepo) {
			ownVault(s, c)
			part, _, _ := strings.Cut(list(c), "# muxi-secrets")
			c.write("agent/.age-recipients", part)
		}},
		{"a stranger's .key is committed with its vault", eve, "main", func(s *intrigue, c *mergeRepo) {
			ownVault(s, c)
			c.git("add", "-f", "agent/.key")
		}},
		{"a contributor writes himself into the list", eve, "main", func(s *intrigue, c *mergeRepo) {
			c.write("agent/.age-recipients", "# Carl\n"+s.eve.recipient+"\n"+list(c))
		}},
		{"a contributor appends himself to the list", eve, "main", func(s *intrigue, c *mergeRepo) {
			c.write("agent/.age-recipients", list(c)+s.eve.recipient+"\n")
		}},
		{"a contributor puts himself in Ann's place", eve, "main", func(s *intrigue, c *mergeRepo) {
			c.write("agent/.age-recipients", strings.ReplaceAll(list(c), s.ann.recipient, s.eve.recipient))
		}},
		{"a contributor takes the foot away and comes in", eve, "main", func(s *intrigue, c *mergeRepo) {
			part, _, _ := strings.Cut(list(c), "# muxi-secrets")
			c.write("agent/.age-recipients", part+"# Carl\n"+s.eve.recipient+"\n")
		}},
		{"the removal is undone", eve, "main", func(s *intrigue, c *mergeRepo) {
			c.git("checkout", "-q", "base", "--", "agent")
		}},
		{"the list of before the removal is put back", eve, "main", func(s *intrigue, c *mergeRepo) {
			c.git("checkout", "-q", "base", "--", "agent/.age-recipients")
		}},
		{"who was removed brings somebody in", bob, "base", func(s *intrigue, c *mergeRepo) {
			c.mustCommand("unlock")
			c.mustCommand("share", "add", s.zoe.recipient, "--name", "Zoe")
		}},
		{"who was removed brings somebody in, on what is there now", bob, "base", func(s *intrigue, c *mergeRepo) {
			c.mustCommand("unlock")
			c.mustCommand("share", "add", s.zoe.recipient, "--name", "Zoe")
			signed := list(c)
			c.git("checkout", "-qf", "origin/main")
			c.write("agent/.age-recipients", signed)
		}},
		{"who was removed rotates", bob, "base", func(s *intrigue, c *mergeRepo) {
			c.mustCommand("unlock")
			c.mustCommand("share", "add", s.zoe.recipient, "--name", "Zoe")
			c.commit("Zoe")
			c.mustCommand("rotate")
			s.outsiders = append(s.outsiders, c.keyOf("agent"))
		}},
	}
}

// road is a way of a branch, theirs, into Ann's work tree.
type road struct {
	name string
	come func(*intrigue) []result
	back string // what goes back, typed, where git stopped half-way
}

func roads() []road {
	one := func(args ...string) func(*intrigue) []result {
		return func(s *intrigue) []result { return []result{s.do(args...)} }
	}
	// ahead has main go on first.
	ahead := func(args ...string) func(*intrigue) []result {
		return func(s *intrigue) []result {
			s.goesOn()
			return []result{s.do(args...)}
		}
	}

	return []road{
		{"merge", ahead("merge", "--no-edit", "theirs"), "merge --abort"},
		{"fast-forward", one("merge", "--ff", "--no-edit", "theirs"), "merge --abort"},
		{"squash", func(s *intrigue) []result {
			s.goesOn()
			return []result{s.do("merge", "--squash", "theirs"), s.do("commit", "-qm", "squashed")}
		}, "reset -q --hard"},
		{"pull", ahead("pull", "-q", "--no-rebase", "--no-edit", ".", "theirs"), "merge --abort"},
		{"pull --rebase", ahead("pull", "-q", "--rebase", ".", "theirs"), "rebase --abort"},
		{"rebase of theirs", func(s *intrigue) []result {
			s.goesOn()
			return []result{s.do("rebase", "-q", "main", "theirs")}
		}, "rebase --abort"},
		{"main merged into theirs", func(s *intrigue) []result {
			s.goesOn()
			return []result{s.do("checkout", "-q", "theirs"), s.do("merge", "--no-edit", "main")}
		}, "merge --abort"},
		{"cherry-pick", ahead("cherry-pick", "theirs"), "cherry-pick --abort"},
		{"stash", func(s *intrigue) []result {
			s.change("STASHED=live-stashed")
			return []result{s.do("stash", "-q"), s.do("checkout", "-q", "theirs"), s.do("stash", "pop")}
		}, "reset -q --hard"},
		{"checkout", one("checkout", "-q", "theirs"), "reset -q --hard"},
		{"checkout of files", one("checkout", "-q", "theirs", "--", "."), "reset -q --hard"},
		{"octopus", func(s *intrigue) []result {
			s.git("checkout", "-q", "-b", "other")
			s.write("README", "text\n")
			s.commit("text")
			s.git("checkout", "-qf", "main")
			s.goesOn()
			return []result{s.do("merge", "--no-edit", "other", "theirs")}
		}, "reset -q --hard"},
		{"criss-cross", func(s *intrigue) []result {
			// both sides merged the other before the attack came
			innocent := s.git("commit-tree", "-m", "text", "-p", "main", "main^{tree}")
			s.goesOn()
			ours := s.git("commit-tree", "-m", "merge", "-p", "main", "-p", innocent, "main^{tree}")
			theirs := s.git("commit-tree", "-m", "merge", "-p", innocent, "-p", "main", "main^{tree}")
			theirs = s.git("commit-tree", "-m", "docs: tidy", "-p", theirs, "theirs^{tree}")
			s.git("reset", "-q", "--hard", ours)
			s.git("branch", "-qf", "theirs", theirs)
			return []result{s.do("merge", "--no-edit", "theirs")}
		}, "merge --abort"},
		{"subtree", func(s *intrigue) []result {
			s.goesOn()
			s.git("branch", "-qf", "theirs", s.git("commit-tree", "-m", "docs: tidy", "theirs:agent"))
			return []result{s.do("merge", "--no-edit", "--allow-unrelated-histories", "-Xsubtree=agent", "theirs")}
		}, "merge --abort"},
	}
}

// newIntrigue makes it, with refs/attack/N for each of the attacks.
func newIntrigue(t testing.TB) *intrigue {
	t.Helper()
	s := &intrigue{ann: newPerson(t), bob: newPerson(t), eve: newPerson(t), zoe: newPerson(t)}
	s.mergeRepo = newMergeRepo(t, "agent", "A=a", "PROD=known").as(s.ann)
	s.git("checkout", "-q", "-B", "main")
	s.mustCommand("share", "add", s.ann.recipient, "--name", "Ann")
	s.mustCommand("share", "add", s.bob.recipient, "--name", "Bob")
	s.commit("shared")
	s.git("tag", "-f", "base")
	s.outsiders = append(s.outsiders, s.keyOf("agent"))

	s.mustCommand("share", "remove", "Bob")
	s.change("PROD=live")
	s.commit("Bob goes")
	s.key = s.read("agent/.key")
	return s
}

// plant has an attack in refs/attack/N, which is no branch to others.
func (s *intrigue) plant(n string, a attack) {
	s.Helper()
	c := s.cloneFor(a.who(s))
	c.git("checkout", "-q", "-B", "pr", map[string]string{"main": "origin/main", "base": "base"}[a.from])
	a.do(s, c)
	c.commit("docs: tidy")
	s.git("fetch", "-q", c.dir, "HEAD:refs/attack/"+n)
}

func (s *intrigue) goesOn() {
	s.Helper()
	s.change("NEWER=live-newer")
	s.commit("main goes on")
}

// opensFor opens a wrapped key with somebody's identity.
func opensFor(t testing.TB, p person, wrapped []byte) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(p.home, ".config", "age", "keys.txt"))
	must(t, err)
	identity, err := age.ParseX25519Identity(strings.TrimSpace(string(content)))
	must(t, err)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(wrapped)), identity)
	if err != nil {
		return nil
	}
	key, err := io.ReadAll(r)
	must(t, err)
	return key
}

// versions are what the files of the formation with a name have been in any commit,
// and are in the index and the work tree.
func (s *intrigue) versions(names ...string) map[string][]string {
	s.Helper()
	name := map[string]string{} // by blob
	all := map[string][]string{}
	for _, n := range names {
		all[n] = append(all[n], s.read(path.Join(s.folder, n)))
	}
	listed := s.git("rev-list", "--all", "--reflog", "--objects", "--indexed-objects")
	var ids strings.Builder
	for line := range strings.Lines(listed) {
		if id, file, _ := strings.Cut(strings.TrimSpace(line), " "); slices.Contains(names, path.Base(file)) && name[id] == "" {
			name[id] = path.Base(file)
			ids.WriteString(id + "\n")
		}
	}

	for rest := s.run(ids.String(), "git", "cat-file", "--batch").out; rest != ""; {
		var id string
		var size int
		header, content, _ := strings.Cut(rest, "\n")
		if n, err := fmt.Sscanf(header, "%s blob %d", &id, &size); n != 2 || err != nil {
			s.Fatalf("cat-file says %q", header)
		}
		all[name[id]] = append(all[name[id]], content[:size])
		rest = content[size+1:]
	}
	return all
}

// unread checks that nobody but Ann can read what is hers, of all that is in the
// repository.
func (s *intrigue) unread() {
	s.Helper()
	versions := s.versions(formation.VaultFile, formation.WrappedKeyFile)
	for _, sealed := range versions[formation.VaultFile] {
		for _, key := range s.outsiders {
			if plain, err := key.Open([]byte(sealed)); err == nil && bytes.Contains(plain, []byte(liveValue)) {
				s.Errorf("a vault with what is Ann's is sealed with the key of somebody else")
			}
		}
	}
	own, err := crypto.ParseKey([]byte(s.key))
	must(s, err)
	for _, wrapped := range versions[formation.WrappedKeyFile] {
		for _, p := range []person{s.bob, s.eve, s.zoe} {
			if content := opensFor(s, p, []byte(wrapped)); content != nil {
				if key, err := crypto.ParseKey(content); err == nil && key.Equal(own) {
					s.Errorf("Ann's key is wrapped for somebody else")
				}
			}
		}
	}
}

// told is what a person reads who must know that something came that nobody
// vouched for.
const told = `vouch|unvouched-|their side does not open|was rotated since|rotated twice|was retired|was signed once|names [0-9a-f]{16}|tracked|key-in-git|in git`

// TestNothingThatArrivesIsObeyed has each attack come by each road. Then Ann does
// what she does any day: she checks, adds a secret, unlocks, shares. No value of
// hers may be under a key that she did not have, her key is wrapped for nobody,
// she was told, and one typed line leads back to where she was.
func TestNothingThatArrivesIsObeyed(t *testing.T) {
	sideBySide(t)
	needs.Program(t, "git")
	start := newIntrigue(t)
	say := regexp.MustCompile(told)
	all := attacks()
	for i, a := range all {
		if thinned(i, len(all)) {
			continue
		}
		branch := string(rune('a' + i))
		start.plant(branch, a)
		for j, r := range roads() {
			if thinned(j, len(roads())) {
				continue
			}
			t.Run(a.name+", by "+r.name, func(t *testing.T) {
				t.Parallel()
				s := *start
				s.mergeRepo = start.copyOf(t).as(s.ann)
				s.git("branch", "-q", "theirs", "refs/attack/"+branch)
				results := r.come(&s)
				results = append(results,
					s.muxiIn(run{}, "check"),
					s.muxiIn(run{stdin: liveValue + "-later"}, "add", "LATER", "--stdin"),
					s.command("unlock"),
				)
				// On a branch from before the removal unlock gives the key of then, and says so.
				if !strings.Contains(results[len(results)-1].err, "was rotated since") {
					results = append(results,
						s.muxiIn(run{stdin: liveValue + "-last"}, "add", "LAST", "--stdin"),
						s.command("share", "wrap"),
						s.command("share", "add", s.ann.recipient, "--name", "Annie"),
					)
				}
				var all strings.Builder
				for _, one := range results {
					all.WriteString(one.out + one.err)
				}
				if !say.MatchString(all.String()) {
					t.Errorf("she was not told:\n%s", all.String())
				}
				s.unread()

				s.try(strings.Fields(r.back)...)
				s.git("checkout", "-qf", "main")
				s.git("reset", "-q", "--hard", start.head())
				if key, _ := os.ReadFile(s.path("agent/.key")); string(key) != s.key {
					all.WriteString(s.command("unlock").err)
				}
				if s.read("agent/.key") != s.key {
					t.Errorf("she does not have her key any more:\n%s", all.String())
				}
				s.holds(secrets{"A": "a", "PROD": "live"})
				s.unread()
			})
		}
	}
}
