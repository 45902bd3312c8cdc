//go:build unix

package commands_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// TestCallsAreMadeInOnePlace looks at every text in the source: how the program is
// called from where a person stands is put together in calls.go alone.
func TestCallsAreMadeInOnePlace(t *testing.T) {
	may := map[string]bool{
		"calls.go": true,
		"help.go":  true, "completion.go": true, "man.go": true, // need no formation
		"run.go":    true, // before there is a session
		"verbs.go":  true,
		"report.go": true, // the help of rules, which are of no place
		// What git calls, and what stands in files.
		"script.go": true, "drivers.go": true, "foot.go": true, "marks.go": true, "precommit.go": true,
	}
	about := map[string]bool{"Description": true, "Usage": true, "UsageText": true}
	looked := 0
	for _, room := range []string{".", "../hooks", "../scan", "../formation"} {
		must(t, filepath.WalkDir(room, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || may[filepath.Base(file)] {
				return err
			}
			looked++
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, nil, 0)
			must(t, err)
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.KeyValueExpr:
					key, ok := n.Key.(*ast.Ident)
					return !ok || !about[key.Name]
				case *ast.BasicLit:
					if n.Kind != token.STRING {
						return true
					}
					if text, _ := strconv.Unquote(n.Value); strings.Contains(text, "git muxi-secrets ") {
						t.Errorf("%s: %q: no place is thought of", set.Position(n.Pos()), text)
					}
				case *ast.CallExpr:
					called, ok := n.Fun.(*ast.SelectorExpr)
					if !ok || called.Sel.Name != "hint" && called.Sel.Name != "warn" && called.Sel.Name != "line" && called.Sel.Name != "openTerminal" {
						return true
					}
					for _, arg := range n.Args {
						if name, ok := arg.(*ast.Ident); ok && name.Name == "program" {
							t.Errorf("%s: no place is thought of", set.Position(arg.Pos()))
						}
					}
				}
				return true
			})
			return nil
		}))
	}
	if looked < 100 {
		t.Errorf("only %d files were looked at", looked)
	}
}

// TestShellsAreSpokenInOnePlace: a file is moved, deleted, copied and shown in the
// words of the shell that the person has, which commands/shell knows.
func TestShellsAreSpokenInOnePlace(t *testing.T) {
	spoken := regexp.MustCompile(`(^|['(])(mv|rm|cp|ls|touch|export|echo|notepad|move|del|command -v) ([-%$./~"]|$)`)
	looked := 0
	must(t, filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") ||
			filepath.Dir(file) == "shell" || filepath.Base(file) == "verbs.go" {
			return err
		}
		looked++
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		must(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, _ := strconv.Unquote(lit.Value); spoken.MatchString(text) {
					t.Errorf("%s: %q is of one shell", set.Position(lit.Pos()), text)
				}
			}
			return true
		})
		return nil
	}))
	if looked < 60 {
		t.Errorf("only %d files were looked at", looked)
	}
}

// TestGitIsCalledOnFilesInOnePlace: a call of git's on a file of the repository has -C
// and the file's name from there where the person is elsewhere, which gitOn knows.
func TestGitIsCalledOnFilesInOnePlace(t *testing.T) {
	called := regexp.MustCompile(`'git (rm|restore|add|checkout|ls-files|log)\b[^']*%s`)
	files, err := filepath.Glob("*.go")
	must(t, err)
	below, err := filepath.Glob("*/*.go")
	must(t, err)
	for _, file := range append(files, below...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := os.ReadFile(file)
		must(t, err)
		for n, line := range strings.Split(string(content), "\n") {
			if called.MatchString(line) {
				t.Errorf("%s:%d has a call of git's of its own: %s", file, n+1, strings.TrimSpace(line))
			}
		}
	}
}

// place is where a person stands, and how they name the formation from there.
type place struct {
	name   string
	dir    string // from the top of the repository, or absolute
	choose []string
}

// TestHintsFromEverywhere types each hint as it stands, by a shell, from the top,
// from the formation, from below it, from another formation, from outside and in a
// linked work tree, with several formations whose names a shell would take apart:
// none is wrong use.
func TestHintsFromEverywhere(t *testing.T) {
	long(t)
	sideBySide(t)
	const bot, dash = "all bots/my bot", "-dash"
	outside := t.TempDir()
	made := newSandbox(t, simpleExample, true)
	must(t, os.MkdirAll(filepath.Join(made.top, "all bots"), 0o755))
	for _, to := range []string{bot, dash} {
		must(t, os.CopyFS(filepath.Join(made.top, to), os.DirFS(made.dir)))
		must(t, os.Mkdir(filepath.Join(made.top, to, "below"), 0o755))
		must(t, os.WriteFile(filepath.Join(made.top, to, "below", "file"), nil, 0o644))
		made.do("sk-the-first-value", "-C", filepath.Join(made.top, to), "add", "OPENAI_API_KEY", "--stdin")
	}
	must(t, os.RemoveAll(made.dir))
	made.git("add", "-A")
	made.git("commit", "-q", "--no-verify", "-m", "x")
	enter := func(t *testing.T, folder string, linked bool) *sandbox {
		b := &sandbox{t, filepath.Join(t.TempDir(), "top"), ""}
		must(t, os.CopyFS(b.top, os.DirFS(made.top)))
		for _, to := range []string{bot, dash} {
			must(t, os.Chmod(filepath.Join(b.top, to, ".key"), 0o600))
		}
		if linked {
			top := filepath.Join(t.TempDir(), "linked")
			b.git("worktree", "add", "-q", top)
			b.top = top
		}
		b.dir = filepath.Join(b.top, folder)
		return b
	}
	lose := func(b *sandbox) {
		must(b, os.RemoveAll(filepath.Join(b.top, ".git", "muxi-secrets", "keys")))
		must(b, os.Remove(filepath.Join(b.dir, ".key")))
	}
	problems := []trouble{
		{name: "not found", args: "get NOSUCH"},
		{name: "no name", args: "add A=B"},
		{name: "no terminal", args: "add OTHER"},
		{name: "empty", args: "add OTHER --stdin"},
		{name: "key lost", args: "list", before: lose},
		{name: "key lost, add", args: "add OTHER --stdin", stdin: "x", before: lose},
		{name: "key wrong", args: "list", before: both(lose, put(".key", otherKey))},
		{name: "key malformed", args: "list", before: both(lose, put(".key", "nonsense"))},
		{name: "markers", args: "list", before: put("secrets.enc", "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n")},
		{name: "not sealed", args: "list", before: put("secrets.enc", "{}")},
		{name: "a broken list", args: "share list", before: put(".age-recipients", "nonsense\n")},
		{name: "not shared", args: "unlock", before: lose},
		{name: "a stranger", args: "share remove Nobody", before: share},
		{name: "shared", args: "share add age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj --name Ann"},
		{name: "rotated", args: "rotate"},
		{name: "converted", args: "convert --to age"},
		{name: "stale", args: "sync --check", before: put("secrets", "")},
		{name: "status", args: "status", before: put("more.afs", "id: more\nkey: ${{ secrets.BRAVE_API_KEY }}\n")},
		{name: "doctor", args: "doctor", before: put("more.afs", "id: more\nkey: ${{ secrets.BRAVE_API_KEY }}\n")},
		{name: "render", args: "render", before: put("formation.afs", "id: x\nkey: ${{ secrets.BRAVE_API_KEY }}\n")},
		{name: "check", args: "check", before: both(put("more.afs", "id: more\nkey: ${{ secrets.BRAVE_API_KEY }}\n"), put("secrets", ""))},
		{name: "setup", args: "setup", before: put("more.afs", "id: more\nkey: ${{ secrets.BRAVE_API_KEY }}\n")},
		{name: "hooks", args: "hooks status", before: func(b *sandbox) { b.do("", "hooks", "uninstall") }},
		{name: "status of all", args: "status --all", before: lose},
		{name: "list of all", args: "list --all", before: lose},
		{name: "rotate all", args: "rotate --all", before: lose},
		{name: "log of none", args: "log NOSUCH"},
	}
	var typed atomic.Int32
	for _, linked := range []bool{false, true} {
		for _, folder := range []string{bot, dash} {
			places := []place{
				{"top", ".", []string{"-C", folder}},
				{"the formation", folder, nil},
				{"below it", filepath.Join(folder, "below"), nil},
				{"another formation", map[string]string{bot: dash, dash: bot}[folder], []string{"-C", "TOP/" + folder}},
				{"outside", outside, []string{"-C", "TOP/" + folder}},
			}
			for _, problem := range problems {
				if linked && (folder == dash || strings.Contains(problem.name, "all") || strings.HasPrefix(problem.name, "key ") || problem.name == "not shared") {
					continue // one formation is enough there, and the keys are the main work tree's
				}
				t.Run(fmt.Sprintf("%s in %s, linked %t", problem.name, folder, linked), func(t *testing.T) {
					t.Parallel()
					for _, at := range places {
						if linked && at.name != "top" && at.name != "below it" || folder == dash && at.name != "top" {
							continue
						}
						typed.Add(typeFrom(t, func() *sandbox { return enter(t, folder, linked) }, at, problem))
					}
				})
			}
		}
	}
	t.Cleanup(func() {
		if n := typed.Load(); n < 150 {
			t.Errorf("only %d hints were typed", n)
		}
	})
}

// typeFrom gets into trouble at a place, and types what is hinted there.
func typeFrom(t *testing.T, enter func() *sandbox, at place, problem trouble) (typed int32) {
	t.Helper()
	get := func() (*sandbox, result) {
		b := enter()
		if problem.before != nil {
			problem.before(b)
		}
		b.dir = at.dir
		if !filepath.IsAbs(at.dir) {
			b.dir = filepath.Join(b.top, at.dir)
		}
		var args []string
		for _, word := range at.choose {
			args = append(args, strings.Replace(word, "TOP", b.top, 1))
		}
		words := strings.Fields(problem.args)
		if strings.HasSuffix(problem.args, "--all") && at.dir != "." && len(args) > 0 {
			args = []string{"-C", b.top}
		}
		return b, b.call(run{stdin: problem.stdin, piped: true}, append(args, words...)...)
	}
	_, first := get()
	said := first.err + problemsIn(first.out)
	if problem.name == "doctor" {
		said = remediesIn(first.out)
	}
	for _, call := range regexp.MustCompile(`'git muxi-secrets ((?:\\.|[^'\\\n])*)'`).FindAllStringSubmatch(said, -1) {
		line := call[1]
		for _, placeholder := range []string{"NAME", "FILE", "RECIPIENT", "YOUR-PUBLIC-KEY", "WHO"} {
			line = regexp.MustCompile(`\b`+placeholder+`\b`).ReplaceAllString(line, map[string]string{"NAME": "OPENAI_API_KEY", "FILE": "/dev/null"}[placeholder]+map[bool]string{true: "x"}[placeholder != "NAME" && placeholder != "FILE"])
		}
		if strings.Contains(line, " -C DIR ") || strings.HasPrefix(line, "-C DIR ") {
			t.Errorf("%s: '%s' leaves the folder open\n%s", at.name, line, first.err)
			continue
		}
		words, err := exec.Command("sh", "-c", "printf '%s\\n' "+line).Output()
		if err != nil {
			t.Errorf("%s: a shell does not take '%s'", at.name, line)
			continue
		}
		b, _ := get()
		typed++
		had := wealthOf(t, b.top)
		then := b.call(run{stdin: "a value", piped: true}, strings.Split(strings.TrimSuffix(string(words), "\n"), "\n")...)
		if gone := loses(line, had, wealthOf(t, b.top)); len(gone) > 0 {
			t.Errorf("%s: '%s' loses a value of %s\n%s", at.name, line, gone, first.err)
		}
		for _, wrong := range []string{"none was chosen", "cannot open folder", "is not a formation", "no formation", "unknown command", "unknown flag", "Not in a git repository", "not in a git repository"} {
			if strings.Contains(then.err, wrong) {
				t.Errorf("%s: '%s' ends in %d\n%s\nafter\n%s", at.name, line, then.code, then.err, first.err)
				break
			}
		}
	}
	return typed
}

// remediesIn are the commands of a doctor's checks, each in quotes.
func remediesIn(out string) string {
	var found strings.Builder
	for line := range strings.Lines(out) {
		if call, ok := strings.CutPrefix(strings.TrimSpace(line), "git muxi-secrets "); ok {
			fmt.Fprintf(&found, "'git muxi-secrets %s'\n", call)
		}
	}
	return found.String()
}
