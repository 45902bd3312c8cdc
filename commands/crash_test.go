//go:build unix

package commands_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// scenario is one command that writes, and what it starts from.
type scenario struct {
	name    string
	example string
	prepare func(*sandbox)
	stdin   string
	args    []string
}

func scenarios(t testing.TB) []scenario {
	stored := func(b *sandbox) {
		b.do("old-openai", "add", "OPENAI_API_KEY", "--stdin")
		b.do("old-other", "add", "OTHER", "--stdin")
	}
	own := ownIdentity(t)
	share := func(b *sandbox) { b.do("", "share", "add", own, "--name", "Own") }
	other := func(b *sandbox) {
		must(b, os.CopyFS(filepath.Join(b.top, "other"), os.DirFS(b.dir)))
		os.Remove(filepath.Join(b.top, "other", ".key"))
		os.Remove(filepath.Join(b.top, "other", "secrets.enc"))
		b.do("the-value-to-copy", "-C", "../other", "add", "OPENAI_API_KEY", "--stdin")
	}
	literals := func(b *sandbox) {
		b.write("agents/literal.afs", "token: old-other-one\nheaders: {Authorization: Bearer literal-4711-a}\n")
		b.write("secrets", "OPENAI_API_KEY=\nTYPED_TOKEN=old-other-typed\n")
	}
	env := func(b *sandbox) { b.write("in.env", "OPENAI_API_KEY=from-env\nNEW_ONE=from env\nOTHER=too\n") }
	return []scenario{
		{name: "init", example: agentExample, args: []string{"init"}},
		{name: "add first", example: simpleExample, stdin: "a-value", args: []string{"add", "OPENAI_API_KEY", "--stdin"}},
		{name: "add later", example: simpleExample, prepare: stored, stdin: "a-value", args: []string{"add", "FRESH", "--stdin"}},
		{name: "add again", example: simpleExample, prepare: stored, stdin: "a-value", args: []string{"add", "OTHER", "--stdin"}},
		{name: "delete", example: simpleExample, prepare: stored, args: []string{"delete", "OTHER"}},
		{name: "restore", example: simpleExample, prepare: func(b *sandbox) {
			stored(b)
			b.git("add", "-A")
			b.git("commit", "-qm", "first", "--no-verify")
			b.do("", "delete", "OTHER")
			b.do("a-value", "add", "OPENAI_API_KEY", "--stdin")
		}, args: []string{"restore", "OTHER", "OPENAI_API_KEY", "--rev", "HEAD"}},
		{name: "edit", example: simpleExample, prepare: stored, args: []string{"edit"}}, // by the editor below
		{name: "delete in use", example: simpleExample, prepare: stored, args: []string{"delete", "--force", "OPENAI_API_KEY"}},
		{name: "rename", example: teamExample, prepare: func(b *sandbox) {
			stored(b)
			b.write("agents/extra.afs", "a: '${{ secrets.OPENAI_API_KEY }}' # stays\n")
		}, args: []string{"rename", "OPENAI_API_KEY", "RENAMED"}},
		{name: "extract", example: agentExample, prepare: func(b *sandbox) {
			stored(b)
			literals(b)
		}, args: []string{"extract", "--yes"}},
		{name: "extract first", example: agentExample, prepare: literals, args: []string{"extract", "--yes"}},
		{name: "rename unused", example: simpleExample, prepare: stored, args: []string{"rename", "OTHER", "RENAMED"}},
		{name: "import first", example: agentExample, prepare: env, args: []string{"import", "in.env"}},
		{name: "import later", example: simpleExample, prepare: func(b *sandbox) { stored(b); env(b) },
			args: []string{"import", "--overwrite", "in.env"}},
		{name: "sync", example: agentExample, prepare: func(b *sandbox) {
			stored(b)
			b.write("secrets", "# mine\nGONE=\n")
		}, args: []string{"sync"}},
		{name: "export", example: simpleExample, prepare: func(b *sandbox) {
			stored(b)
			b.write(".gitignore", ".key\nout\n")
			must(b, os.Mkdir(filepath.Join(b.dir, "out"), 0o755))
		}, args: []string{"export", "--output", "out/values.env"}},
		{name: "start over", example: simpleExample, prepare: func(b *sandbox) {
			stored(b)
			must(b, os.Remove(filepath.Join(b.dir, ".key")))
		}, args: []string{"init", "--start-over"}},
		// Those that make another key are in rotate_crash_test.go.
		{name: "share add first", example: simpleExample, prepare: stored, args: []string{"share", "add", own, "--name", "Own"}},
		{name: "share add later", example: simpleExample, prepare: func(b *sandbox) { stored(b); share(b) },
			args: []string{"share", "add", "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", "--name", "Another"}},
		{name: "add exposed", example: simpleExample, prepare: func(b *sandbox) {
			stored(b)
			share(b)
			b.do("", "share", "remove", "Own")
		}, stdin: "a-value", args: []string{"add", "OTHER", "--stdin"}},
		{name: "rename exposed", example: simpleExample, prepare: func(b *sandbox) {
			stored(b)
			share(b)
			b.do("", "share", "remove", "Own")
		}, args: []string{"rename", "OTHER", "RENAMED"}},
		{name: "unlock", example: simpleExample, prepare: func(b *sandbox) {
			stored(b)
			share(b)
			must(b, os.Remove(filepath.Join(b.dir, ".key")))
		}, args: []string{"unlock"}},
		{name: "key import", example: simpleExample, prepare: func(b *sandbox) {
			stored(b)
			b.write("a.key", b.read(".key"))
			must(b, os.Remove(filepath.Join(b.dir, ".key")))
		}, args: []string{"key", "import", "a.key"}},
		{name: "copy first", example: simpleExample, prepare: other, args: []string{"-C", "../other", "copy", "OPENAI_API_KEY", "--to", "."}},
		{name: "copy over", example: simpleExample, prepare: func(b *sandbox) { stored(b); other(b) },
			args: []string{"-C", "../other", "copy", "OPENAI_API_KEY", "--to", ".", "--overwrite"}},
	}
}

// state is a sandbox with what differs from run to run taken out: the vault is
// its content, a key made by the run is just a key.
func state(b *sandbox, before tree) tree {
	b.Helper()
	now := b.tree()
	key, vault := filepath.Join("agent", ".key"), filepath.Join("agent", "secrets.enc")
	keys := filepath.Join(".git", "muxi-secrets", "keys")
	for path, file := range maps.Clone(now) {
		base := filepath.Base(path)
		switch {
		case strings.HasPrefix(base, ".muxi-secrets-tmp-"):
			delete(now, path)
			if file.mode.Perm()&0o077 != 0 && hasValue(file.content) {
				b.Errorf("a temp file with values is readable by others")
			}
		case path == key && before[key].content == "":
			if !isKey(file.content) {
				b.Errorf(".key is no key")
			}
			file.content = "a key"
			now[path] = file
		case filepath.Dir(path) == keys && before[path].content == "":
			if !isKey(file.content) || file.mode.Perm() != 0o600 {
				b.Errorf("what is kept is no key, or readable by others")
			}
			delete(now, path)
			file.content = "a key"
			now[filepath.Join(keys, "a key")] = file
		case filepath.Base(filepath.Dir(path)) == "pins" && before[path].content == "":
			if hasValue(file.content) || file.mode.Perm() != 0o600 {
				b.Errorf("a pin holds a value, or is readable by others")
			}
			file.content = "a pin"
			now[path] = file
		case path == vault && file == before[vault]:
			// Byte for byte what it was; it may be one that no key opens.
		case path == vault:
			values, ok := b.secrets()
			if !ok {
				b.Errorf("secrets.enc is there and does not open")
			}
			file.content = fmt.Sprint(values)
			now[path] = file
		case base == formation.WrappedKeyFile:
			if wrapped := b.unwrapped(); before[key].content != "" && wrapped != before[key].content || !isKey(wrapped) {
				b.Errorf(".key.age holds another key than .key")
			}
			file.content = "the key, wrapped"
			now[path] = file
		case strings.HasPrefix(path, filepath.Join(".git", "muxi-secrets", "journal-")):
			delete(now, path) // the note of a change that is under way; no value is in it
			if file.mode.Perm() != 0o600 {
				b.Errorf("a note is readable by others")
			}
			if hasValue(file.content) {
				b.Errorf("a note holds a value")
			}
		case strings.HasPrefix(base, "secrets.enc.old-"):
			delete(now, path)
			now[filepath.Join("agent", "secrets.enc.old")] = file
		}
	}
	return now
}

func hasValue(content string) bool {
	return strings.Contains(content, "old-openai") || strings.Contains(content, "old-other")
}

// TestFaultAtEveryStep fails and kills each command at each step of each
// file's write. One that fails changed nothing. After a kill the next command
// makes all files old or all new and leaves no temp file; and the same command
// again ends as the first one should have.
func TestFaultAtEveryStep(t *testing.T) {
	isolateProcess(t)
	t.Setenv("GIT_EDITOR", editorScript(t, `{ printf 'OTHER=a-value\nFRESH=a-value\n'; grep -v -e ^OTHER= -e ^FRESH= "$1"; } >"$1.new" && mv "$1.new" "$1"`))
	for _, sc := range sample(scenarios(t)) {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			b := newSandbox(t, sc.example, true)
			if sc.prepare != nil {
				sc.prepare(b)
			}
			before := b.tree()
			old := state(b, before)
			count := &nth{}
			if r := b.call(run{stdin: sc.stdin, fault: count.fault}, sc.args...); r.code != 0 {
				t.Fatalf("exit %d\n%s", r.code, r.err)
			}
			after := state(b, before)
			if len(count.seen) == 0 || len(differing(old, after)) == 0 {
				t.Fatal("the command writes nothing")
			}
			for i, step := range count.seen {
				if thinned(i, len(count.seen)) {
					continue
				}
				for _, what := range []string{"kill", []string{"ENOSPC", "EACCES"}[i%2]} {
					t.Run(fmt.Sprintf("%d %s %s", i+1, step, what), func(t *testing.T) {
						b.TB = t
						b.restore(before)
						faulted(b, sc, i+1, what, before)
						finishes(b, sc, before, old, after)
					})
				}
			}
		})
	}
}

// faulted runs a scenario's command with one fault and checks how it ended.
func faulted(b *sandbox, sc scenario, n int, what string, before tree) {
	b.Helper()
	if what == "kill" {
		r := b.spawn(run{stdin: sc.stdin, env: []string{fmt.Sprintf("TEST_FAULT=#%d=kill", n)}}, sc.args...)
		if r.code != -1 {
			b.Fatalf("not killed: exit %d\n%s", r.code, r.err)
		}
		return
	}
	count := &nth{n: n, what: map[string]error{"ENOSPC": syscall.ENOSPC, "EACCES": syscall.EACCES}[what]}
	r := b.call(run{stdin: sc.stdin, fault: count.fault}, sc.args...)
	if len(count.seen) < n {
		b.Fatalf("step %d was never reached", n)
	}
	step := count.seen[n-1]
	// A folder that cannot be synced undoes nothing; hooks that cannot be
	// written are warned of.
	hook := strings.HasSuffix(step, "hooks") || strings.Contains(step, " hook")
	published := strings.HasPrefix(step, string(safefile.StepSyncDir)) || hook
	if sc.name == "edit" && r.code == 0 && strings.Contains(r.err, "not stored: ") && strings.Contains(r.err, "opens again") {
		return // and what failed once was stored then: nothing that was typed is lost
	}
	if want := map[bool]int{true: 0, false: 3}[published]; r.code != want {
		b.Errorf("exit %d, want %d\n%s", r.code, want, r.err)
	}
	if left := b.leftovers(); len(left) > 0 {
		b.Errorf("left behind without being killed: %v", left)
	}
	changed := differing(before, b.tree())
	if r.code == 0 {
		if hook && !strings.HasPrefix(step, string(safefile.StepSyncDir)) && (!strings.Contains(r.err, "warning: ") || !strings.Contains(r.err, "hint: ")) {
			b.Errorf("no warning with a way out:\n%s", r.err)
		}
		return
	}
	if !strings.Contains(r.err, "error: ") || !strings.Contains(r.err, "hint: ") {
		b.Errorf("no error with a way out:\n%s", r.err)
	}
	if len(changed) > 0 {
		b.Errorf("it failed, and changed %v:\n%s", changed, r.err)
	}
}

// finishes checks the files after a fault, that the next command cleans up,
// and that the same command again leads to where the first should have.
func finishes(b *sandbox, sc scenario, before, old, after tree) {
	b.Helper()
	now := state(b, before)
	for _, path := range differing(old, now) {
		if now[path] != after[path] {
			b.Errorf("%s is neither the old file nor the new one", path)
		}
	}
	b.call(run{}, "list")
	if left := append(b.leftovers(), b.journals()...); len(left) > 0 {
		b.Errorf("the next command leaves %v", left)
	}
	if len(differing(before, b.tree())) == 0 {
		return // as if it had never run
	}
	now = state(b, before)
	aside := func(path string) bool {
		return filepath.Dir(path) == hooksFolder || filepath.Dir(path) == ".git" || filepath.Base(path) == "hooks-offered"
	}
	left := slices.DeleteFunc(differing(after, now), aside) // those come after the batch
	begun := slices.DeleteFunc(differing(old, now), aside)
	if len(left) > 0 && len(begun) > 0 {
		b.Errorf("the next command leaves a part of it: new are %v, old %v", begun, left)
	}
	again := b.call(run{stdin: sc.stdin}, sc.args...)
	differ := differing(after, state(b, before))
	if len(differ) > 0 && sc.name == "add first" {
		// A second add is no first one and leaves the hooks alone; init does not.
		differ = slices.DeleteFunc(differ, func(path string) bool { return filepath.Dir(path) == hooksFolder })
		b.do("", "init")
		if state(b, before)[filepath.Join(hooksFolder, "pre-commit")] != after[filepath.Join(hooksFolder, "pre-commit")] {
			b.Errorf("init does not bring the hooks")
		}
	}
	if len(differ) > 0 {
		b.Errorf("run again (exit %d), it still differs in %v\n%s", again.code, differ, again.err)
	} else if again.code != 0 && len(differing(after, now)) > 0 {
		b.Errorf("run again, it finishes, with exit %d\n%s", again.code, again.err)
	}
	if left := b.leftovers(); len(left) > 0 {
		b.Errorf("at the end there is %v", left)
	}
}

// TestKilledAtAnyMoment kills add while it runs on from a step of its writes: in
// between two steps, as a rule.
func TestKilledAtAnyMoment(t *testing.T) {
	sideBySide(t)
	t.Run("later", func(t *testing.T) {
		t.Parallel()
		b := newSandbox(t, simpleExample, true)
		b.do("the first value", "add", "OPENAI_API_KEY", "--stdin")
		key := b.read(".key")
		steps := b.steps(run{stdin: "new value"}, "add", "NAME", "--stdin")
		var early, late, torn int
		for i := range few(200) {
			name := fmt.Sprintf("NAME_%03d", i)
			vault, template := b.read("secrets.enc"), b.read("secrets")
			values, _ := b.secrets()
			killAdd(b, name, "new value", rand.N(steps+1))

			if b.read(".key") != key {
				t.Fatal(".key changed")
			}
			now, ok := b.secrets()
			if !ok {
				t.Fatalf("kill %d: the vault does not open", i)
			}
			switch {
			case b.read("secrets.enc") == vault:
				early++
			case now[name] == "new value" && len(now) == len(values)+1:
				late++
			default:
				t.Fatalf("kill %d: the vault is neither the old one nor the new one", i)
			}
			if got := b.read("secrets"); got != template && got != templateOf(template, values, name) {
				t.Fatalf("kill %d: the template is neither the old one nor the new one", i)
			}
			if len(b.leftovers()) > 0 {
				torn++
			}
			if b.do("", "list"); len(b.leftovers()) > 0 {
				t.Fatalf("kill %d: the next command leaves %v", i, b.leftovers())
			}
		}
		t.Logf("kills: %d before the vault was in place, %d after; %d left a temp file, which list took away", early, late, torn)
		if b.do("", "sync"); b.call(run{}, "sync", "--check").code != 0 {
			t.Error("sync does not settle the template")
		}
	})
	t.Run("first", func(t *testing.T) {
		t.Parallel()
		b := newSandbox(t, simpleExample, true)
		before := b.tree()
		steps := b.steps(run{stdin: "new value"}, "add", "OPENAI_API_KEY", "--stdin")
		var none, part, whole int
		for i := range few(50) {
			b.restore(before)
			killAdd(b, "OPENAI_API_KEY", "new value", rand.N(steps+1))
			_, err := os.Stat(filepath.Join(b.dir, "secrets.enc"))
			key := b.read(".key")
			switch {
			case key == "" && err == nil:
				t.Fatalf("kill %d: a vault without its key", i)
			case key == "":
				none++
			case !isKey(key):
				t.Fatalf("kill %d: .key is no key", i)
			case err != nil:
				part++
			default:
				whole++
			}
			if b.call(run{}, "list"); len(b.leftovers()) > 0 {
				t.Fatalf("kill %d: the next command leaves %v", i, b.leftovers())
			}
			b.do("new value", "add", "OPENAI_API_KEY", "--stdin")
			if key != "" && b.read(".key") != key {
				t.Fatalf("kill %d: the next add made another key", i)
			}
			if got, _ := b.secrets(); len(got) != 1 || got["OPENAI_API_KEY"] != "new value" {
				t.Fatalf("kill %d: add does not finish what was begun", i)
			}
		}
		t.Logf("kills: %d before the key, %d between key and vault, %d after both", none, part, whole)
	})
}

// killAdd starts an add and kills it when it has come to a step.
func killAdd(b *sandbox, name, value string, step int) {
	b.Helper()
	cmd := b.startTo(step, run{stdin: value}, "add", name, "--stdin")
	cmd.Process.Kill()
	cmd.Wait()
}

// thinned reports whether -short leaves a row of a long table out: it takes the
// middle one alone.
func thinned(row, rows int) bool { return testing.Short() && row != rows/2 }

// sample are the rows of a table: with -short the middle one alone.
func sample[T any](rows []T) []T {
	if testing.Short() {
		return rows[len(rows)/2:][:1]
	}
	return rows
}

// long skips a test that -short leaves out.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes seconds, and -short is given")
	}
}

// few is how often a test kills: twice with -short.
func few(kills int) int {
	if testing.Short() {
		return 2
	}
	return kills
}

// templateOf is a template brought up to date for the stored names and one more.
func templateOf(template string, values map[string]string, name string) string {
	return string(formation.ParseTemplate([]byte(template)).With(append(slices.Collect(maps.Keys(values)), name)))
}

// TestStartOverBesideALink: a secrets.enc that is a symbolic link is put aside
// with what it points to.
func TestStartOverBesideALink(t *testing.T) {
	sideBySide(t)
	b := newSandbox(t, simpleExample, true)
	b.do("old", "add", "OPENAI_API_KEY", "--stdin")
	sealed := b.read("secrets.enc")
	elsewhere := filepath.Join(b.top, "elsewhere")
	must(t, os.Rename(filepath.Join(b.dir, "secrets.enc"), elsewhere))
	must(t, os.Symlink(elsewhere, filepath.Join(b.dir, "secrets.enc")))
	b.loseKey()
	b.do("", "init", "--start-over")
	if kept, err := os.ReadFile(elsewhere); err != nil || string(kept) != sealed {
		t.Error("the old vault is gone")
	}
	if got, ok := b.secrets(); !ok || len(got) != 0 {
		t.Error("there is no new, empty vault")
	}
}
