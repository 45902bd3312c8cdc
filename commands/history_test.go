//go:build unix

package commands_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// history is a repository whose commits have a date each, a minute apart.
type history struct {
	*repo
	minute int
}

func newHistory(t testing.TB) *history {
	h := &history{repo: newRepo(t)}
	h.write("agent/formation.afs", "name: agent\n")
	h.mustMuxi("-C", "agent", "init", "--no-hooks")
	return h
}

// set stores values: NAME, VALUE...
func (h *history) set(dir string, pairs ...string) {
	h.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if res := h.run(pairs[i+1], "git-muxi-secrets", "-C", dir, "add", pairs[i], "--stdin"); res.code != 0 {
			h.Fatalf("add %s: exit %d\n%s", pairs[i], res.code, res.err)
		}
	}
}

// commit commits all there is.
func (h *history) commit(subject string) {
	h.Helper()
	h.tick()
	h.git("add", "-A")
	h.git("commit", "-q", "-m", subject)
}

func (h *history) tick() {
	h.minute++
	date := fmt.Sprintf("2026-02-03T04:%02d:00Z", h.minute)
	h.env = []string{"GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date}
}

// logOf is `log --json` in short: "SUBJECT +NAME ~NAME -NAME rotated <OLD".
func (h *history) logOf(program string, args ...string) []string {
	h.Helper()
	res := h.run("", program, append([]string{"log", "--json"}, args...)...)
	var got struct {
		Entries []struct {
			Subject   string
			Changes   []struct{ Name, Change string }
			Rotated   bool
			MovedFrom string
			Readable  bool
		}
	}
	if err := json.Unmarshal([]byte(res.out), &got); err != nil || res.code != 0 {
		h.Fatalf("log: exit %d, %v\n%s", res.code, err, res.err)
	}
	lines := []string{}
	for _, e := range got.Entries {
		line := e.Subject
		for _, c := range e.Changes {
			line += " " + map[string]string{"added": "+", "changed": "~", "removed": "-"}[c.Change] + c.Name
		}
		if e.Rotated {
			line += " rotated"
		}
		if e.MovedFrom != "" {
			line += " <" + e.MovedFrom
		}
		if !e.Readable {
			line += " ?"
		}
		lines = append(lines, line)
	}
	return lines
}

// The log of histories of every shape, with git and with go-git where there is
// none.
func TestLogShapes(t *testing.T) {
	sideBySide(t)
	bin := filepath.Join(t.TempDir(), "bin")
	must(t, os.Mkdir(bin, 0o755))
	self, err := os.Executable()
	must(t, err)
	alone := filepath.Join(bin, "git-muxi-secrets")
	must(t, os.Symlink(self, alone))
	for _, shape := range sample([]struct {
		name  string
		build func(h *history)
		args  []string
		want  []string
	}{
		{"root", func(h *history) {
			h.set("agent", "A", "1")
			h.commit("root")
		}, []string{"-C", "agent"}, []string{"root +A"}},
		{"a merge that only joins is none", func(h *history) {
			h.set("agent", "A", "1", "B", "1")
			h.commit("root")
			h.git("checkout", "-q", "-b", "side")
			h.set("agent", "A", "2")
			h.commit("side")
			h.git("checkout", "-q", "main")
			h.set("agent", "B", "2")
			h.commit("main")
			h.tick()
			h.git("merge", "-q", "-m", "merge", "side")
		}, []string{"-C", "agent"}, []string{"main ~B", "side ~A", "root +A +B"}},
		{"an evil merge", func(h *history) {
			h.set("agent", "A", "1", "B", "1")
			h.commit("root")
			h.git("checkout", "-q", "-b", "side")
			h.set("agent", "A", "2")
			h.commit("side")
			h.git("checkout", "-q", "main")
			h.set("agent", "B", "2")
			h.commit("main")
			h.tick()
			h.git("merge", "-q", "--no-commit", "side")
			h.set("agent", "EVIL", "1")
			h.commit("merge")
		}, []string{"-C", "agent"}, []string{"merge +EVIL", "main ~B", "side ~A", "root +A +B"}},
		{"one name across a merge", func(h *history) {
			h.set("agent", "A", "1", "B", "1")
			h.commit("root")
			h.git("checkout", "-q", "-b", "side")
			h.set("agent", "A", "2")
			h.commit("side")
			h.git("checkout", "-q", "main")
			h.set("agent", "B", "2")
			h.commit("main")
			h.tick()
			h.git("merge", "-q", "-m", "merge", "side")
		}, []string{"-C", "agent", "a"}, []string{"side ~A", "root +A"}},
		{"criss-cross", func(h *history) {
			h.set("agent", "A", "1", "B", "1")
			h.commit("root")
			h.git("checkout", "-q", "-b", "side")
			h.set("agent", "A", "2")
			h.commit("side")
			h.git("checkout", "-q", "main")
			h.set("agent", "B", "2")
			h.commit("main")
			h.git("tag", "before")
			h.tick()
			h.git("merge", "-q", "-m", "one way", "side")
			h.git("checkout", "-q", "side")
			h.tick()
			h.git("merge", "-q", "-m", "other way", "before")
			h.set("agent", "C", "1")
			h.commit("side again")
			h.git("checkout", "-q", "main")
			h.set("agent", "D", "1")
			h.commit("main again")
			h.tick()
			h.git("merge", "-q", "-m", "together", "side")
		}, []string{"-C", "agent"}, []string{"main again +D", "side again +C", "main ~B", "side ~A", "root +A +B"}},
		{"a renamed folder, and a rotation", func(h *history) {
			h.set("agent", "A", "1", "B", "1")
			h.commit("root")
			h.mustMuxi("-C", "agent", "rotate")
			h.commit("key")
			h.git("mv", "agent", "bot")
			h.commit("move")
			h.set("bot", "A", "2")
			h.commit("after")
		}, []string{"-C", "bot"}, []string{"after ~A", "move <agent", "key rotated", "root +A +B"}},
		{"moved and changed at once", func(h *history) {
			h.set("agent", "A", "1", "B", "1", "C", "1")
			h.commit("root")
			h.git("mv", "agent", "bot")
			h.set("bot", "A", "2")
			h.commit("move")
		}, []string{"-C", "bot"}, []string{"move ~A <agent", "root +A +B +C"}},
		{"the old path has another formation now", func(h *history) {
			h.set("agent", "A", "1")
			h.commit("root")
			h.git("mv", "agent", "bot")
			h.commit("move")
			h.write("agent/formation.afs", "name: other\n")
			h.mustMuxi("-C", "agent", "init", "--no-hooks")
			h.set("agent", "OTHER", "1")
			h.commit("other")
		}, []string{"-C", "bot"}, []string{"move <agent", "root +A"}},
		{"gone and back", func(h *history) {
			h.set("agent", "A", "1")
			h.commit("root")
			h.git("rm", "-q", "agent/secrets.enc")
			h.commit("gone")
			h.git("checkout", "HEAD~1", "--", "agent/secrets.enc")
			h.commit("back")
		}, []string{"-C", "agent"}, []string{"back +A", "gone -A", "root +A"}},
		{"a branch from before the folder was renamed", func(h *history) {
			h.set("agent", "A", "1", "B", "1", "C", "1")
			h.commit("root")
			h.git("checkout", "-q", "-b", "side")
			h.set("agent", "A", "2")
			h.commit("side")
			h.git("checkout", "-q", "main")
			h.git("mv", "agent", "bot")
			h.commit("move")
			h.tick()
			h.git("merge", "-q", "-m", "merge", "side")
		}, []string{"-C", "bot", "A"}, []string{"side ~A", "root +A"}},
		{"a vault that was committed broken", func(h *history) {
			h.set("agent", "A", "1")
			h.commit("root")
			h.write("agent/secrets.enc", "A=1\n")
			h.commit("broken")
			h.git("checkout", "HEAD~1", "--", "agent/secrets.enc")
			h.commit("mended")
		}, []string{"-C", "agent"}, []string{"mended ?", "broken ?", "root +A"}},
	}) {
		t.Run(shape.name, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			shape.build(h)
			if got := h.logOf("git-muxi-secrets", shape.args...); !slices.Equal(got, shape.want) {
				t.Errorf("with git: %q, want %q", got, shape.want)
			}
			h.env = append(h.env, "PATH="+bin)
			if got := h.logOf(alone, shape.args...); !slices.Equal(got, shape.want) {
				t.Errorf("with go-git: %q, want %q", got, shape.want)
			}
		})
	}
}

// A pull that renames a folder leaves its .key behind: what git has under the new
// name is opened with that.
func TestKeyLeftBehind(t *testing.T) {
	sideBySide(t)
	h := newHistory(t)
	h.set("agent", "A", "1")
	h.commit("root")
	must(t, os.MkdirAll(h.path("bot"), 0o755))
	for _, name := range []string{"formation.afs", "secrets.enc", "secrets", ".gitignore", ".gitattributes"} {
		h.git("mv", "agent/"+name, "bot/"+name)
	}
	h.git("commit", "-q", "--no-verify", "-m", "move") // what is staged alone: nothing ignores the old .key
	h.remove(".git/muxi-secrets/keys")
	if got, want := h.logOf("git-muxi-secrets", "-C", "bot"), []string{"move <agent", "root +A"}; !slices.Equal(got, want) {
		t.Errorf("log: %q, want %q", got, want)
	}
	if shown := h.git("show", "--format=", "HEAD", "--", "bot/secrets.enc"); !strings.Contains(shown, "\n+A ") {
		t.Errorf("git show does not open the vault:\n%s", shown)
	}
	h.remove("agent/.key")
	if got, want := h.logOf("git-muxi-secrets", "-C", "bot"), []string{"move <agent", "root ?"}; !slices.Equal(got, want) {
		t.Errorf("without any key: %q, want %q", got, want)
	}
}

// A PIN has 10,000 possible values: none of them, hashed in any way that needs no
// key, is in what git shows, and another key shows another mark.
func TestMarksTellNothing(t *testing.T) {
	sideBySide(t)
	const name, pin = "PIN", "4711"
	var shown []string
	for range 2 {
		h := newHistory(t)
		h.set("agent", name, pin, "OTHER", pin)
		h.commit("root")
		for _, args := range [][]string{{"show", "HEAD"}, {"log", "-p"}} {
			shown = append(shown, h.git(args...))
		}
		shown = append(shown, h.mustMuxi("-C", "agent", "log", "--json")+h.mustMuxi("-C", "agent", "diff", "HEAD", "--json"),
			h.run("", "git-muxi-secrets", "textconv", "agent/secrets.enc").out)
	}
	marks := map[string]bool{}
	for _, text := range []string{shown[3], shown[7]} {
		for line := range strings.Lines(text) {
			fields := strings.Fields(line)
			if len(fields) != 2 || len(fields[1]) != 16 {
				t.Fatalf("textconv prints another form: %d fields", len(fields))
			}
			marks[fields[1]] = true
		}
	}
	if len(marks) != 4 {
		t.Errorf("%d different marks of two names under two keys, want 4", len(marks))
	}
	all := strings.ToLower(strings.Join(shown, "\n"))
	for n := range 10_000 {
		guess := fmt.Sprintf("%04d", n)
		for _, text := range []string{guess, name + guess, name + "=" + guess, name + "\x00" + guess, name + ":" + guess, guess + "\n"} {
			data := []byte(text)
			sum1, sum5, sum256, sum512 := sha1.Sum(data), md5.Sum(data), sha256.Sum256(data), sha512.Sum512(data)
			for _, sum := range [][]byte{sum1[:], sum5[:], sum256[:], sum512[:]} {
				if strings.Contains(all, hex.EncodeToString(sum[:5])) {
					t.Fatal("a hash of a guess is in the output")
				}
			}
		}
	}
	if strings.Contains(strings.Join(append(shown[:2:2], shown[3]), "\n"), " "+pin) {
		t.Error("the value itself is in the output")
	}
}

// Names and authors that would steer a terminal, or mean something in Markdown.
func TestDiffAndLogHostile(t *testing.T) {
	sideBySide(t)
	h := newHistory(t)
	h.set("agent", "A", "1")
	h.tick()
	h.git("add", "-A")
	h.git("-c", "user.name=E\x1b[31mve", "commit", "-q", "-m", "a\x1b]0;title\x07b \u202e reversed")
	out := h.mustMuxi("-C", "agent", "log") + h.mustMuxi("-C", "agent", "log", "--json")
	if strings.ContainsAny(out, "\x1b\x07\u202e") {
		t.Error("a control character reaches the terminal")
	}
}

// A version whose key is nowhere but in an older .key.age opens with what the
// person has, if that asks nothing.
func TestLogUnwrapsOlderKeys(t *testing.T) {
	keygen := needs.Program(t, "ssh-keygen")
	isolateProcess(t)
	ssh := filepath.Join(os.Getenv("HOME"), ".ssh")
	must(t, os.Mkdir(ssh, 0o700))
	identity := filepath.Join(ssh, "id_ed25519")
	h := newHistory(t)
	if res := h.run("", keygen, "-q", "-t", "ed25519", "-N", "", "-f", identity); res.code != 0 {
		t.Fatalf("ssh-keygen: %s", res.err)
	}
	h.set("agent", "A", "1")
	h.mustMuxi("-C", "agent", "share", "add", identity+".pub")
	h.commit("first")
	h.mustMuxi("-C", "agent", "rotate")
	h.commit("key")
	clone := &history{repo: &repo{TB: t, dir: filepath.Join(t.TempDir(), "clone")}}
	h.git("clone", "-q", h.dir, clone.dir)
	clone.mustMuxi("-C", "agent", "unlock")
	if got, want := clone.logOf("git-muxi-secrets", "-C", "agent"), []string{"key rotated", "first +A"}; !slices.Equal(got, want) {
		t.Errorf("with the identity: %q, want %q", got, want)
	}
	if out := clone.mustMuxi("-C", "agent", "diff", "HEAD~1"); out != "" {
		t.Errorf("a rotation shows as a change:\n%s", out)
	}
	must(t, os.Remove(identity))
	if got, want := clone.logOf("git-muxi-secrets", "-C", "agent"), []string{"key ?", "first ?"}; !slices.Equal(got, want) {
		t.Errorf("without it: %q, want %q", got, want)
	}
}
