package wildmatch

import (
	"fmt"
	"math/rand"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// excludes is a .gitignore of one line, and whether it excludes a file.
func excludes(line, file string, fold bool) bool {
	p, ok := Line(line, "", fold)
	return ok && Excluded(file, false, func(path string, isDir bool) bool { return p.Match(path, isDir) && !p.Negated })
}

func TestExcludes(t *testing.T) {
	for _, tt := range []struct {
		line string
		yes  string // files, with blanks between
		no   string
	}{
		{"README.md", "README.md docs/README.md README.md/x", "README.mdx xREADME.md"},
		{"/README.md", "README.md README.md/x", "docs/README.md"},
		{"docs/", "docs/a docs/a/b x/docs/a", "docs x/docs docs2/a"},
		{"docs/a", "docs/a docs/a/b", "x/docs/a"},
		{"docs/*.md", "docs/a.md", "docs/x/a.md x/docs/a.md docs/a.mdx"},
		{"docs/*", "docs/a docs/x/a.md", "docs"},
		{"docs/**", "docs/a docs/x/a.md", "docs x/docs/a"},
		{"**/docs", "docs/a x/docs x/y/docs/z", "docs2"},
		{"**/x/*", "x/c a/b/x/c", "x"},
		{"a/**/b", "a/b a/x/b a/x/y/b/c", "ab a/x/y/c x/a/b"},
		{"a**b", "ab axxb d/ab", "a/b"},
		{"d/a**b", "d/ab d/axxb", "d/a/x/b"},
		{"**", "a a/b", ""},
		{"*", "a a/b", ""},
		{"***/a", "a x/y/a", "b"},
		{"d**/a", "d/a dx/a", "da dx/y/a d/x/a xd/a"},
		{"?.md", "a.md x/b.md", ".md ab.md"},
		{"d/?", "d/a", "d d/ab"},
		{"[ab].md", "a.md b.md", "c.md ].md"},
		{"[!a].md", "b.md !.md", "a.md"},
		{"[^a].md", "b.md", "a.md"},
		{"[]a]", "] a", "b"},
		{"[!]a]", "b", "] a"},
		{"[a-c]x", "ax bx cx", "dx -x"},
		{"[a-]x", "ax -x", "bx"},
		{"[\\]]x", "]x", "\\x"},
		{"[[:upper:]]x", "Ax", "ax"},
		{"[[:]x", "[x :x", "ax"},
		{"d[/]a", "", "d/a da"},
		{"d/[!x]a", "d/ba", "d/xa d//a"},
		{"[a", "", "a [a"},
		{"[[:none:]a]", "", "a"},
		{"a\\", "", "a a\\"},
		{"a\\*b", "a*b", "axb"},
		{"\\!x", "!x", "x"},
		{"\\#x", "#x", "x"},
		{"#x", "", "#x x"},
		{"!x", "", "x !x"},
		{"x ", "x", ""},
		{"x\\ ", "x\\040", "x"},
		{"x\r", "x", ""},
		{"", "", "x"},
		{"/", "", "x"},
		{"d/", "d/a", "d"},
	} {
		for _, file := range strings.Fields(tt.yes) {
			if file = strings.ReplaceAll(file, "\\040", " "); !excludes(tt.line, file, false) {
				t.Errorf("%q does not exclude %q", tt.line, file)
			}
		}
		for _, file := range strings.Fields(tt.no) {
			if excludes(tt.line, file, false) {
				t.Errorf("%q excludes %q", tt.line, file)
			}
		}
	}
}

func TestBase(t *testing.T) {
	for _, tt := range []struct {
		text, path string
		want       bool
	}{{"a", "d/a", true}, {"a", "d/x/a", true}, {"a", "a", false}, {"/a", "d/a", true}, {"/a", "d/x/a", false}, {"x/a", "d/x/a", true}, {"x/a", "dx/x/a", false}} {
		if p := New(tt.text, "d", false); p.Match(tt.path, false) != tt.want {
			t.Errorf("%q in d on %q: %t", tt.text, tt.path, !tt.want)
		}
	}
}

func TestPossible(t *testing.T) {
	for text, want := range map[string]bool{"a": true, "[a]": true, "[a": false, "a\\": false, "\\a": true, "[[:x:]]": false, "**": true} {
		if p := New(text, "", false); p.Possible() != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}

// A pattern that could take exponential time does not: at a step for each pair
// of bytes these are done at once, else never.
func TestMatchEnds(t *testing.T) {
	for _, text := range []string{strings.Repeat("**/a/", 200) + "b", strings.Repeat("*a", 200) + "b", "x/" + strings.Repeat("**\\/a", 200) + "b"} {
		p := New(text, "", false)
		for _, path := range []string{strings.Repeat("a/", 2000) + "c", strings.Repeat("a", 2000), "x/" + strings.Repeat("a/", 2000) + "c"} {
			if p.Match(path, false) {
				t.Errorf("%.20q matches", text)
			}
		}
	}
}

// olderGit tells whether this machine's git reads a ** behind the plain beginning of
// line as one that crosses slashes, as none does from 2.52 on.
func olderGit(line string) bool {
	return gitVersion() < 2052 && crossedOnce.MatchString(line)
}

var crossedOnce = regexp.MustCompile(`^!?/?[^*?\[\\]*[^*?\[\\/]\*\*`)

// gitVersion is 2052 for git 2.52.
var gitVersion = sync.OnceValue(func() int {
	var major, minor int
	out, err := exec.Command("git", "--version").Output()
	if _, scanErr := fmt.Sscanf(string(out), "git version %d.%d", &major, &minor); err != nil || scanErr != nil {
		panic(fmt.Sprint(err, scanErr))
	}
	return 1000*major + minor
})

// gitSays asks git, in one process, whether each line excludes each of its files.
func gitSays(t testing.TB, lines []string, files [][]string, fold bool) [][]bool {
	t.Helper()
	r := gittest.New(t)
	r.Git("config", "core.ignoreCase", fmt.Sprint(fold))

	var asked strings.Builder
	for i, line := range lines {
		r.Write(fmt.Sprintf("%d/.gitignore", i), line+"\n")
		for _, file := range files[i] {
			fmt.Fprintf(&asked, "./%d/%s\x00", i, file)
		}
	}
	res := r.Run(asked.String(), "git", "check-ignore", "--no-index", "-z", "-v", "-n", "--stdin")
	if res.Code > 1 {
		t.Fatalf("git check-ignore: exit %d\n%s", res.Code, res.Err)
	}
	answers := strings.Split(res.Out, "\x00")
	said := make([][]bool, len(lines))
	at := 0
	for i := range lines {
		for range files[i] {
			source, pattern := answers[4*at], answers[4*at+2]
			said[i] = append(said[i], source != "" && !strings.HasPrefix(pattern, "!"))
			at++
		}
	}
	return said
}

// Patterns and paths made of what matters, by chance: git says the same.
func TestEqualsGit(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	pieces := strings.Split("a a a b A B / / / * * ** **/ /** *** ? \\ \\/ \\* [ ] [a] [!a] [^b] [a-b] [B-a] [b-A] [] []-a] [[:alpha:]] [[:upper:]-] [[:space:]] [[:] [:a:] [[:x:]] [\\]] [a\\-b] [/] [!/] - ! # . é \xff", " ")
	pieces = append(pieces, " ", "\\ ")
	letters := strings.Split("a a a b A B / / * ? [ ] \\ - ! # . é \xff \t \v", " ")
	letters = append(letters, " ")
	make1 := func(from []string, most int) string {
		var b strings.Builder
		for range 1 + random.Intn(most) {
			b.WriteString(from[random.Intn(len(from))])
		}
		return b.String()
	}
	for _, fold := range []bool{false, true} {
		const patterns, paths = 3000, 12
		lines, files := make([]string, patterns), make([][]string, patterns)
		for i := range lines {
			lines[i] = make1(pieces, 6)
			for len(files[i]) < paths {
				if file := cleanPath(make1(letters, 6)); file != "" {
					files[i] = append(files[i], file)
				}
			}
		}
		matched := 0
		for i, said := range gitSays(t, lines, files, fold) {
			for j, want := range said {
				if got := excludes(lines[i], files[i][j], fold); got != want && !olderGit(lines[i]) {
					t.Errorf("%q on %q, fold %t: %t, git says %t", lines[i], files[i][j], fold, got, want)
				}
				if want {
					matched++
				}
			}
		}
		if matched < patterns/3 {
			t.Errorf("only %d matches", matched)
		}
	}
}

// Of each class of bytes git says the same, byte by byte.
func TestClassesEqualGit(t *testing.T) {
	var lines []string
	var files [][]string
	for _, class := range strings.Fields("alnum alpha blank cntrl digit graph lower print punct space upper xdigit") {
		lines = append(lines, "x[[:"+class+":]]")
		var bytes []string
		for c := 1; c < 256; c++ {
			if c != '/' {
				bytes = append(bytes, "x"+string([]byte{byte(c)}))
			}
		}
		files = append(files, bytes)
	}
	for _, fold := range []bool{false, true} {
		for i, said := range gitSays(t, lines, files, fold) {
			for j, want := range said {
				if got := excludes(lines[i], files[i][j], fold); got != want {
					t.Errorf("%s on %q, fold %t: %t, git says %t", lines[i], files[i][j], fold, got, want)
				}
			}
		}
	}
}

// cleanPath makes a path of git's out of any text; "" where there is none in it.
func cleanPath(text string) string {
	var parts []string
	for part := range strings.SplitSeq(strings.ReplaceAll(text, "\x00", ""), "/") {
		if part != "" && part != "." && part != ".." && !strings.EqualFold(part, ".git") && len(part) < 200 {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}

// FuzzMatch asks git for every pair.
func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"*a*b", "[a-", "[[:alpha:]]", "\\", "**/x", "a/**/b/**", "[!]", "[]-a]", "!a", "a/ "} {
		f.Add(seed, "some/path/aab", false)
	}
	f.Fuzz(func(t *testing.T, line, path string, fold bool) {
		file := cleanPath(path)
		if file == "" || len(file) > 500 || strings.ContainsAny(line, "\x00\n") || strings.HasPrefix(line, "\ufeff") {
			return
		}
		got := excludes(line, file, fold)
		if olderGit(line) {
			return
		}
		if want := gitSays(t, []string{line}, [][]string{{file}}, fold)[0][0]; got != want {
			t.Errorf("%q on %q: %t, git says %t", line, file, got, want)
		}
	})
}
