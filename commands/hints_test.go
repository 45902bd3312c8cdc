//go:build unix

package commands_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/age"

	"github.com/muxi-ai/git-muxi-secrets/commands"
)

// hinted finds the calls of this program that a text has people type: between
// quotes, or behind a colon.
func hinted(text string) []string {
	var calls []string
	for _, found := range regexp.MustCompile(`(?:'|: )git muxi-secrets( [^'\n]*)?`).FindAllStringSubmatch(text, -1) {
		call := found[1]
		if end := strings.IndexAny(call, "|;<>()"); end >= 0 {
			call = call[:end]
		}
		switch words := strings.Fields(call); {
		case len(words) == 0, words[0] == "error:", words[0] == "hint:":
		case !slices.Contains(calls, strings.Join(words, " ")):
			calls = append(calls, strings.Join(words, " "))
		}
	}
	return calls
}

// TestHintsNameWhatExists looks at every text in the source: each command line of
// ours in it has a command and flags that exist.
func TestHintsNameWhatExists(t *testing.T) {
	var files []string
	for _, folder := range []string{".", "../hooks", "../scan", "../formation"} {
		found, err := filepath.Glob(filepath.Join(folder, "*.go"))
		must(t, err)
		files = append(files, found...)
	}
	calls := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if os.IsNotExist(err) {
			continue
		}
		must(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			must(t, err)
			// program and again() stand first in a quotation.
			text = regexp.MustCompile(`'%s( [a-z-])`).ReplaceAllString(text, "'git muxi-secrets$1")
			text = strings.NewReplacer("--%s", "--help", "%s", "X", "%d", "1", "%v", "X").Replace(text)
			for _, call := range hinted(text) {
				calls[call] = true
				if problem := commands.WrongCall(strings.Fields(call)); problem != "" {
					t.Errorf("%s: %q: %s", set.Position(literal.Pos()), text, problem)
				}
			}
			return true
		})
	}
	if len(calls) < 40 {
		t.Errorf("only %d calls were found: %v", len(calls), calls)
	}
}

// trouble is a way into an error, and what the program is asked then. Placeholders of
// its hints are what a person would put there.
type trouble struct {
	name    string
	example string // "" for a simple formation with one secret, OPENAI_API_KEY
	outside bool   // not in a repository
	fresh   bool   // nothing was set up yet
	before  func(*sandbox)
	args    string
	stdin   string
	code    int
	first   func(*sandbox) // what the hint says to do before its command
	silent  bool           // no command of ours is hinted: what to do is in the words
}

func remove(path string) func(*sandbox) {
	return func(b *sandbox) { must(b, os.Remove(filepath.Join(b.dir, path))) }
}

func put(path, content string) func(*sandbox) {
	return func(b *sandbox) { b.write(path, content) }
}

// both runs one after the other.
func both(steps ...func(*sandbox)) func(*sandbox) {
	return func(b *sandbox) {
		for _, step := range steps {
			step(b)
		}
	}
}

func share(b *sandbox) {
	identity, err := age.GenerateX25519Identity() // which nobody keeps
	must(b, err)
	b.do("", "share", "add", identity.Recipient().String(), "--name", "Ann")
}

const otherKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

func troubles() []trouble {
	secondFormation := func(b *sandbox) {
		other := filepath.Join(b.top, "other")
		must(b, os.Mkdir(other, 0o755))
		must(b, os.WriteFile(filepath.Join(other, "formation.afs"), []byte(b.read("formation.afs")), 0o644))
	}
	return []trouble{
		{name: "no command", args: "", code: 2},
		{name: "unknown command", args: "nosuch", code: 2},
		{name: "mistyped command", args: "lst", code: 2},
		{name: "unknown flag", args: "list --nosuch", code: 2},
		{name: "subcommand missing", args: "share", code: 2},
		{name: "unknown subcommand", args: "share nosuch", code: 2},
		{name: "NAME missing", args: "get", code: 2},
		{name: "two names", args: "get A B", code: 2},
		{name: "an argument too many", args: "status x", code: 2},
		{name: "a value as argument", args: "add NAME value", code: 2, silent: true},
		{name: "a wrong name", args: "add NAME=value", code: 2},
		{name: "an empty value", args: "add NAME --stdin", code: 2},
		{name: "no terminal", args: "add NAME", code: 2, silent: true},
		{name: "setup without a terminal", args: "setup", fresh: true, code: 2},
		{name: "prune without a terminal", args: "sync --prune", stdin: "", before: func(b *sandbox) { b.do("x", "add", "OTHER", "--stdin") }, code: 2},
		{name: "init with an unknown format", args: "init --format zip", code: 2, silent: true},
		{name: "convert to nothing", args: "convert", code: 2},
		{name: "not found", args: "get NOSUCH", code: 1},
		{name: "nearly found", args: "get OPENAI_API_KEYS", code: 1, silent: true},
		{name: "nothing to delete", args: "delete NOSUCH", code: 1},
		{name: "in use", args: "delete OPENAI_API_KEY", code: 1, silent: true},
		{name: "taken", args: "rename OPENAI_API_KEY OTHER", before: func(b *sandbox) { b.do("another", "add", "OTHER", "--stdin") }, code: 1, silent: true},
		{name: "nothing logged", args: "log NOSUCH", before: func(b *sandbox) { b.git("add", "-A"); b.git("commit", "-qm", "x") }},
		{name: "nothing set up", args: "list", fresh: true, code: 4},
		{name: "key missing", args: "list", before: (*sandbox).loseKey, code: 4},
		{name: "key missing, asked for a value", args: "get OPENAI_API_KEY", before: (*sandbox).loseKey, code: 4},
		{name: "key missing, add", args: "add OTHER --stdin", stdin: "x", before: (*sandbox).loseKey, code: 4},
		{name: "key missing, init", args: "init", before: (*sandbox).loseKey, code: 4},
		{name: "key missing, rotate", args: "rotate", before: (*sandbox).loseKey, code: 4},
		{name: "key missing, shared", args: "list", before: both(share, (*sandbox).loseKey), code: 4},
		{name: "key missing, all", args: "list --all", before: both(share, (*sandbox).loseKey), code: 4},
		{name: "key wrong", args: "list", before: both((*sandbox).forgetKeys, put(".key", otherKey)), code: 4},
		{name: "key kept, list", args: "list", before: remove(".key")},
		{name: "key kept, add", args: "add OTHER --stdin", stdin: "x", before: remove(".key"), code: 4},
		{name: "key kept beside a wrong one", args: "rotate", before: put(".key", otherKey), code: 4},
		{name: "key tracked", args: "list", before: func(b *sandbox) { b.git("add", "-f", "agent/.key") }, first: func(b *sandbox) { b.git("rm", "-q", "--cached", "agent/.key") }, code: 4},
		{name: "key malformed", args: "list", before: put(".key", "nonsense"), code: 4},
		{name: "key malformed, no vault", args: "list", fresh: true, before: put(".key", "nonsense"), first: remove(".key"), code: 4},
		{name: "vault deleted", args: "list", before: func(b *sandbox) {
			b.git("add", "-A")
			b.git("commit", "-qm", "x")
			must(b, os.Remove(filepath.Join(b.dir, "secrets.enc")))
		}, code: 3, silent: true},
		{name: "vault deleted, add", args: "add OTHER --stdin", stdin: "x", before: func(b *sandbox) {
			b.git("add", "-A")
			must(b, os.Remove(filepath.Join(b.dir, "secrets.enc")))
		}, code: 3, silent: true},
		{name: "merge markers", args: "list", before: put("secrets.enc", "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n"), code: 3},
		{name: "not sealed", args: "list", before: put("secrets.enc", "{\"A\": \"b\"}"), first: remove("secrets.enc"), code: 3},
		{name: "empty vault", args: "list", before: put("secrets.enc", ""), code: 3, silent: true},
		{name: "markers in the list of people", args: "share list", before: put(".age-recipients", "<<<<<<< HEAD\n=======\n>>>>>>> x\n"), first: put(".age-recipients", ""), code: 3},
		{name: "a broken line in the list of people", args: "share list", before: put(".age-recipients", "nonsense\n"), code: 3},
		{name: "several formations", args: "-C .. list", before: secondFormation, code: 2, silent: true},
		{name: "unlock, nothing shared", args: "unlock", before: (*sandbox).loseKey, code: 4},
		{name: "unlock, not for me", args: "unlock", before: both(share, (*sandbox).loseKey), code: 4},
		{name: "remove a stranger", args: "share remove Nobody", before: share, code: 1},
		{name: "remove, nothing shared", args: "share remove Nobody", code: 1},
		{name: "wrap for nobody", args: "share wrap", code: 1},
		{name: "export to nobody", args: "key export", code: 2},
		{name: "no pull command", args: "key pull", code: 2, silent: true},
		{name: "import of no key", args: "key import -", stdin: "nonsense", code: 2, silent: true},
		{name: "import of another key", args: "key import -", stdin: otherKey, code: 4, silent: true},
		{name: "resolve without a conflict", args: "resolve OPENAI_API_KEY --ours", code: 1, silent: true},
		{name: "export where git would track it", args: "export --output plain.env", code: 1, silent: true},
		{name: "render without a value", args: "render", fresh: true, code: 4},
		{name: "copy of nothing", args: "copy NOSUCH --to ../other", before: both(secondFormation, func(b *sandbox) { b.do("", "-C", "../other", "init") }), code: 1},
		{name: "check outside", args: "check", outside: true, code: 2, silent: true},
		{name: "status, all to do", args: "status", fresh: true},
		{name: "status, key missing", args: "status", before: (*sandbox).loseKey},
		{name: "status, a hex key", args: "status", fresh: true, before: put(".key", strings.Repeat("0123456789abcdef", 4))},
		{name: "status of all", args: "status --all", before: secondFormation},
		{name: "status, nobody can unlock", args: "status", before: both(share, remove(".key.age"))},
		{name: "check, a value missing", args: "check", before: func(b *sandbox) {
			b.write("more.afs", "id: more\nkey: ${{ secrets.BRAVE_API_KEY }}\n")
		}, code: 1},
	}
}

// TestNoDeadEnd walks into every trouble and types each command that the program then
// names, as it stands: none is unknown, none fails on how it is written, none leads
// back to where it came from, and no value is less than before.
func TestNoDeadEnd(t *testing.T) {
	sideBySide(t)
	var walked, rich atomic.Int32
	all := troubles()
	t.Run("all", func(t *testing.T) {
		for _, trouble := range sample(all) {
			t.Run(trouble.name, func(t *testing.T) {
				t.Parallel()
				enter := func() (*sandbox, result) {
					example := trouble.example
					if example == "" {
						example = simpleExample
					}
					b := newSandbox(t, example, !trouble.outside)
					if !trouble.fresh {
						b.do("sk-the-first-value", "add", "OPENAI_API_KEY", "--stdin")
					}
					if trouble.before != nil {
						trouble.before(b)
					}
					return b, b.call(run{stdin: trouble.stdin, piped: true}, strings.Fields(trouble.args)...)
				}
				_, r := enter()
				if r.code != trouble.code {
					t.Fatalf("exit %d, want %d\n%s", r.code, trouble.code, r.err)
				}
				if r.code != 0 && !strings.Contains(r.err, "hint: ") && r.out == "" {
					t.Errorf("no hint:\n%s", r.err)
				}
				said := r.err
				if !strings.Contains(trouble.args, "-h") {
					said += problemsIn(r.out)
				}
				calls := hinted(said)
				if trouble.silent != (len(calls) == 0) {
					t.Errorf("%d commands are hinted: %q\n%s", len(calls), calls, r.err)
				}
				for _, call := range calls {
					if problem := commands.WrongCall(strings.Fields(call)); problem != "" {
						t.Errorf("'%s': %s", call, problem)
						continue
					}
					walked.Add(1)
					b, _ := enter() // each of them from the same place
					if trouble.first != nil {
						trouble.first(b)
					}
					had := wealthOf(t, b.top)
					then := b.call(run{stdin: "a value", piped: true}, strings.Fields(call)...)
					if len(had) > 0 {
						rich.Add(1)
					}
					if gone := loses(call, had, wealthOf(t, b.top)); len(gone) > 0 {
						t.Errorf("'%s' loses a value of %s\n%s", call, gone, r.err)
					}
					for _, stuck := range []string{"unknown command", "unknown flag", "no command given", "needs a value", "cannot open folder 'DIR'", "wrong use of a flag"} {
						if strings.Contains(then.err, stuck) {
							t.Errorf("'%s' leads nowhere: exit %d\n%s", call, then.code, then.err)
						}
					}
					// The same error again is no way out.
					if then.code != 0 && then.err == r.err {
						t.Errorf("'%s' leads back: exit %d\n%s", call, then.code, then.err)
					}
				}
			})
		}
	})
	if len(all) < 30 || (walked.Load() < 40 || rich.Load() < 40) && !testing.Short() {
		t.Errorf("%d troubles, %d ways out, %d with values to lose", len(all), walked.Load(), rich.Load())
	}
}

// problemsIn are the lines of a status or of findings that say what to do.
func problemsIn(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "  problem") || strings.Contains(line, ": error: ") || strings.Contains(line, ": warning: ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
