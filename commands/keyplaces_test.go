//go:build unix

package commands_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// keyPlace is a place where a formation's key can be, or what can be there in its
// stead, and what every reader of a key has to make of it.
type keyPlace struct {
	name string
	// at makes it so in a repository with the formation 'agent', whose vault two
	// commits changed, and returns the repository and the folder to go on with.
	at func(r *repo) (*repo, string)

	word   string // of status
	reads  bool   // what shows values reads the vault of now
	past   bool   // what shows versions reads those of the past
	says   string // a pattern of what a reader says beside its answer, or of its error
	writes bool   // the vault may be sealed
	unlock int    // the code of unlock without an identity; after 0 all is as it should be
}

const (
	keptSays    = `hint: there is no \.key in agent/: read with the key kept in '\.git/muxi-secrets/keys/'; 'git muxi-secrets( -C agent)? unlock' puts it back`
	trackedSays = `error: git tracks 'agent/(\.key|mine)', so it is not read(.|\n)*hint: take it out of git: 'git rm --cached agent/(\.key|mine)'`
)

func keyPlaces() []keyPlace {
	lose := func(r *repo) { r.remove("agent/.key") }
	forget := func(r *repo) { r.remove(".git/muxi-secrets/keys") }
	stay := func(do ...func(*repo)) func(*repo) (*repo, string) {
		return func(r *repo) (*repo, string) {
			for _, step := range do {
				step(r)
			}
			return r, "agent"
		}
	}
	put := func(content string) func(*repo) { return func(r *repo) { r.write("agent/.key", content) } }
	other := func(r *repo) {
		key, err := crypto.GenerateKey(crypto.Fernet)
		must(r, err)
		r.write("agent/.key", string(key.File()))
	}
	all := keyPlace{word: "ok", reads: true, past: true, writes: true}
	kept := keyPlace{word: "kept", reads: true, past: true, says: keptSays}
	as := func(p keyPlace, name string, at func(*repo) (*repo, string)) keyPlace {
		p.name, p.at = name, at
		return p
	}
	wrong := kept
	wrong.says = `hint: 'agent/\.key' does not open secrets\.enc: read with the key kept in`
	moved := kept
	moved.says = `hint: there is no \.key in bot/: read with the key in 'agent/\.key', where a rename of the folder left it; 'git muxi-secrets( -C bot)? unlock' puts it back`
	tracked := keyPlace{word: "missing", says: trackedSays, unlock: 4}

	return []keyPlace{
		as(all, "in the folder", stay()),
		as(all, "in the folder, by hand", stay(forget)),
		as(all, "a link of one's own", stay(func(r *repo) {
			must(r, os.Rename(r.path("agent/.key"), r.path("../own.key")))
			must(r, os.Symlink("../../own.key", r.path("agent/.key")))
		})),
		as(all, "in the main work tree", stay(forget, func(r *repo) {
			r.git("worktree", "add", "-q", "../linked")
			r.dir = r.path("../linked")
		})),
		as(all, "in a sibling of a bare repository", stay(func(r *repo) {
			key := r.read("agent/.key")
			r.git("clone", "-q", "--bare", ".", "../hub/.bare")
			hub := r.at("../hub/.bare")
			hub.git("worktree", "add", "-q", "../one", "main")
			hub.git("worktree", "add", "-q", "../two", "-b", "two")
			r.write("../hub/one/agent/.key", key)
			r.dir = r.path("../hub/two")
			r.mustMuxi("-C", "agent", "sync")
			r.mustMuxi("hooks", "install")
			r.remove("../.bare/muxi-secrets/keys")
		})),
		as(moved, "under the folder's earlier name", func(r *repo) (*repo, string) {
			key := r.read("agent/.key")
			r.git("clone", "-q", ".", "../clone")
			r.git("mv", "agent", "bot")
			r.git("commit", "-qm", "moved", "--no-verify")
			clone := r.at("../clone")
			clone.write("agent/.key", key)
			clone.git("pull", "-q")
			clone.mustMuxi("hooks", "install")
			clone.git("config", "diff.muxi-secrets.textconv", "git-muxi-secrets textconv")
			return clone, "bot"
		}),
		as(kept, "in the git dir", stay(lose)),
		as(wrong, "in the git dir, beside a wrong one", stay(other)),
		as(kept, "in the git dir, of a rotation", stay(func(r *repo) {
			r.mustMuxi("-C", "agent", "rotate")
			r.git("commit", "-qam", "rotated")
			r.git("clean", "-fdxq")
		})),
		as(wrong, "in the git dir, of a rotation that was thrown away", stay(func(r *repo) {
			r.mustMuxi("-C", "agent", "rotate")
			r.git("checkout", "-q", "--", "agent/secrets.enc")
		})),
		as(wrong, "in the git dir, of a commit from before a rotation", stay(func(r *repo) {
			r.mustMuxi("-C", "agent", "rotate")
			r.git("commit", "-qam", "rotated")
			r.git("checkout", "-q", "HEAD^")
		})),
		as(keyPlace{word: "missing", past: true, says: `the fernet key [0-9a-f]{16} opens it, which Test replaced on 2026-01-02 \(commit [0-9a-f]{10}\)`, unlock: 4},
			"retired", stay(func(r *repo) {
				r.mustMuxi("-C", "agent", "rotate")
				r.git("commit", "-qam", "rotated")
				r.git("checkout", "-q", "HEAD^", "--", "agent/secrets.enc")
				r.git("commit", "-qm", "back", "--no-verify")
				r.remove("agent/.key")
			})),
		as(keyPlace{word: "malformed", says: `error: Failed to decrypt secrets\.enc: malformed key, an empty one`}, "empty", stay(put(""))),
		as(keyPlace{word: "malformed", says: `error: Failed to decrypt secrets\.enc: malformed key`}, "malformed", stay(put("no key"))),
		as(keyPlace{word: "malformed", says: `error: Failed to decrypt secrets\.enc: malformed key`, unlock: 4}, "malformed, and no other", stay(put("no key"), forget)),
		as(keyPlace{word: "missing", says: `error: Could not find \.key file in agent/`}, "a link to nowhere", stay(lose, func(r *repo) { must(r, os.Symlink("nowhere", r.path("agent/.key"))) })),
		as(keyPlace{word: "missing", says: `error: cannot read 'agent/\.key': it is a folder`}, "an empty folder", stay(lose, func(r *repo) { must(r, os.Mkdir(r.path("agent/.key"), 0o755)) })),
		as(keyPlace{word: "missing", says: `error: cannot read 'agent/\.key': it is not a regular file`}, "a pipe", stay(lose, func(r *repo) { must(r, syscall.Mkfifo(r.path("agent/.key"), 0o600)) })),
		as(keyPlace{word: "missing", says: `error: cannot read 'agent/\.key': it is a folder`, unlock: 3}, "a folder with something in it", stay(lose, func(r *repo) { r.write("agent/.key/x", "x") })),
		as(tracked, "tracked", stay(func(r *repo) { r.git("add", "-f", "agent/.key") })),
		as(tracked, "tracked, and gone", stay(func(r *repo) { r.git("add", "-f", "agent/.key") }, lose)),
		as(tracked, "a tracked link", stay(func(r *repo) {
			must(r, os.Rename(r.path("agent/.key"), r.path("../own.key")))
			must(r, os.Symlink("../../own.key", r.path("agent/.key")))
			r.git("add", "-f", "agent/.key")
		})),
		as(tracked, "a link to what is tracked", stay(func(r *repo) {
			must(r, os.Rename(r.path("agent/.key"), r.path("agent/mine")))
			must(r, os.Symlink("mine", r.path("agent/.key")))
			r.git("add", "agent/mine")
		})),
		as(keyPlace{word: "wrong", says: `error: Failed to decrypt secrets\.enc: wrong key`, unlock: 4}, "wrong, and no other", stay(other, forget)),
		as(keyPlace{word: "missing", says: `error: Could not find \.key file in agent/`, unlock: 4}, "nowhere", stay(lose, forget)),
	}
}

// Every reader of a key finds it in the same places, in every state that those can
// be in: commands, hooks, git's drivers, what shows the past.
func TestKeyPlaces(t *testing.T) {
	sideBySide(t)
	base := newRepo(t)
	base.write("agent/formation.afs", "id: x\na: ${{ secrets.A_KEY }}\n")
	add := func(r *repo, dir, name, value string) result {
		return r.run(value, "git-muxi-secrets", "-C", dir, "add", name, "--stdin")
	}
	for i, value := range []string{"first-value-4711", "hunter2-hunter2"} {
		if res := add(base, "agent", "A_KEY", value); res.code != 0 {
			t.Fatal(res.err)
		}
		base.git("add", "-A")
		base.git("commit", "-qm", value[:5])
		base.git("tag", fmt.Sprintf("v%d", i+1))
	}

	for _, place := range sample(keyPlaces()) {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "repo")
			must(t, os.CopyFS(dir, os.DirFS(base.dir)))
			must(t, os.Chmod(filepath.Join(dir, "agent", ".key"), 0o600))
			r, folder := place.at(&repo{TB: t, dir: dir})
			readPlace(t, r, folder, place)
			writePlace(t, r, folder, place)
		})
	}
}

// readPlace tries every reader.
func readPlace(t *testing.T, r *repo, folder string, place keyPlace) {
	t.Helper()
	said := regexp.MustCompile(place.says)
	identity, err := age.GenerateX25519Identity()
	must(t, err)
	recipient := identity.Recipient().String()
	for _, args := range [][]string{{"list"}, {"get", "A_KEY"}, {"export"}, {"render"}, {"key", "fingerprint"}, {"key", "export", "--to", recipient}} {
		res := r.muxi(append([]string{"-C", folder}, args...)...)
		want := 4
		if place.reads || args[1%len(args)] == "fingerprint" && place.word == "wrong" {
			want = 0
		}
		if res.code != want {
			t.Errorf("%v: exit %d, want %d\n%s", args, res.code, want, res.err)
		}
		if place.says == "" && place.reads && strings.Contains(res.err, ".key") || place.says != "" && want == 4 && !said.MatchString(res.err) || place.reads && !said.MatchString(res.err) {
			t.Errorf("%v said:\n%s\nwant %s", args, res.err, place.says)
		}
	}
	if res := r.muxi("-C", folder, "status", "--json"); res.code != 0 || !strings.Contains(res.out, `"key": "`+place.word+`"`) {
		t.Errorf("status: exit %d, want the word %s\n%s", res.code, place.word, res.out)
	}

	past := map[bool]string{true: "A_KEY"}[place.past]
	if res := r.muxi("-C", folder, "log", "--json"); res.code != 0 || strings.Contains(res.out, `"name": "A_KEY"`) != place.past {
		t.Errorf("log: exit %d, want '%s'\n%s%s", res.code, past, res.out, res.err)
	}
	if res := r.muxi("-C", folder, "diff", "HEAD~1", "HEAD", "--json"); res.code != 0 || strings.Contains(res.out, `"readable": true`) != place.past {
		t.Errorf("diff: exit %d, want '%s'\n%s%s", res.code, past, res.out, res.err)
	}
	if res := r.muxi("textconv", filepath.Join(folder, "secrets.enc")); res.code != 0 || strings.Contains(res.out, "A_KEY ") != place.past {
		t.Errorf("textconv: exit %d, want '%s'\n%s%s", res.code, past, res.out, res.err)
	}

	for name, rev := range map[string]string{"base": "v1", "ours": "v2", "theirs": "v1"} {
		r.write("../"+name, r.git("show", "--no-textconv", rev+":agent/secrets.enc"))
	}
	if res := r.muxi("merge-vault", "../base", "../ours", "../theirs", "7", "--", folder+"/secrets.enc"); (res.code == 0) != place.past || res.code != 0 && res.code != 129 {
		t.Errorf("merge driver: exit %d\n%s", res.code, res.err)
	}

	r.write("notes.txt", "the value: hunter2-hunter2\n")
	for _, scope := range [][]string{{"check"}, {"check", "--staged"}, {"hook-run", "pre-commit"}} {
		r.git("add", "notes.txt")
		res := r.muxi(scope...)
		if found := strings.Contains(res.out+res.err, "notes.txt:1:12: error: the value of A_KEY"); found != place.reads {
			t.Errorf("%v: found is %v\n%s%s", scope, found, res.out, res.err)
		}
	}
	r.git("rm", "-qf", "notes.txt")
}

// writePlace tries to write, and to unlock.
func writePlace(t *testing.T, r *repo, folder string, place keyPlace) {
	t.Helper()
	add := func() result { return r.run("another", "git-muxi-secrets", "-C", folder, "add", "B_KEY", "--stdin") }
	sealed := r.read(folder + "/secrets.enc")
	for _, write := range []func() result{
		func() result { return r.muxi("-C", folder, "delete", "NONE_KEY", "--force") },
		add,
	} {
		res := write()
		if (res.code == 4) == place.writes || res.code == 4 && place.reads && !strings.Contains(res.err, "unlock' puts it back") {
			t.Errorf("a write: exit %d\n%s", res.code, res.err)
		}
	}
	if changed := sealed != r.read(folder+"/secrets.enc"); changed != place.writes {
		t.Errorf("secrets.enc: changed is %v", changed)
	}

	if res := r.muxi("-C", folder, "unlock"); res.code != place.unlock {
		t.Fatalf("unlock: exit %d, want %d\n%s", res.code, place.unlock, res.err)
	}
	if place.unlock != 0 {
		return
	}
	if res := r.muxi("-C", folder, "list"); res.code != 0 || strings.Contains(res.err, "unlock") {
		t.Errorf("list after unlock: exit %d\n%s", res.code, res.err)
	}
	if res := add(); res.code != 0 {
		t.Errorf("add after unlock: exit %d\n%s", res.code, res.err)
	}
	r.git("add", "-A")
	if staged := r.git("diff", "--cached", "--name-only"); strings.Contains(staged, ".key") {
		t.Errorf("git would take a key along:\n%s", staged)
	}
}
