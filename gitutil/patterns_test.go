package gitutil

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func patternPaths() []string {
	return []string{".key", "f/.key", "f/g/.key", "a", "ab", "a.txt", "f/a.txt", "f/g/a.txt", "f/g/h/a", "b c", "b ", "!x", "#x", "[z]", "z", "\\q", "dir/in", "dir/sub/in", "foo/dir/x", "é", "A.TXT", "*", "a-b", "a]b", "f.txt/x"}
}

func TestIgnored(t *testing.T) {
	tests := []struct {
		files string // NAME: pattern|pattern
		want  string // the paths that are ignored
	}{
		{"", ""},
		{".gitignore: .key", ".key f/.key f/g/.key"},
		{".gitignore: /.key", ".key"},
		{".gitignore: .key|!/f/.key", ".key f/g/.key"},
		{".gitignore: .key; f/.gitignore: !.key", ".key"},
		{".gitignore: f/|!f/.key", "f/.key f/g/.key f/a.txt f/g/a.txt f/g/h/a"},
		{".gitignore: f/*|!f/g", "f/.key f/a.txt"},
		{".gitignore: *.txt", "a.txt f/a.txt f/g/a.txt f.txt/x"},
		{".gitignore: **/g/**", "f/g/.key f/g/a.txt f/g/h/a"},
		{".gitignore: f/**/a", "f/g/h/a"},
		{".gitignore: f/**/.key", "f/.key f/g/.key"},
		{".gitignore: dir/", "dir/in dir/sub/in foo/dir/x"},
		{".gitignore: /dir", "dir/in dir/sub/in"},
		{".gitignore: a/", ""},
		{".gitignore: \\!x|\\#x|\\*", "!x #x *"},
		{".gitignore: b\\ c|b\\ ", "b c b "},
		{".gitignore: b c   ", "b c"},
		{".gitignore: [a-b]|[[:upper:]]*", "a f/g/h/a A.TXT"},
		{".gitignore: [!a-z]*|[]a]\\]b", ".key f/.key f/g/.key !x #x [z] \\q é A.TXT * a]b"},
		{".gitignore: [z]|\\[z]|\\\\q", "[z] z \\q"},
		{".gitignore: ?|a?b", "a f/g/h/a z * a-b a]b dir/in?"},
		{".gitignore: #.key|.key\r| ", ".key f/.key f/g/.key"},
		{".git/info/exclude: .key; .gitignore: !f/.key", ".key f/g/.key"},
		{"../excludes: .key|*.txt; f/.gitignore: !*.txt", ".key f/.key f/g/.key a.txt f.txt/x"},
		{"../.config/git/ignore: a.txt", "a.txt f/a.txt f/g/a.txt"},
		{".gitignore: f/g/|!f/g/", ""},
		{"list: .key; f/.gitignore -> ../list", ""}, // git follows no link of the work tree
		{"list: .key; .gitignore -> list; f/.gitignore: a.txt", "f/a.txt f/g/a.txt"},
		{".gitignore: a**b|a**t", "ab a.txt f/a.txt f/g/a.txt a-b a]b"},
	}
	for _, tt := range tests {
		t.Run(tt.files, func(t *testing.T) {
			t.Parallel()
			r := patternRepo(t, tt.files)
			if strings.Contains(tt.files, "../excludes") {
				r.git("config", "core.excludesFile", r.path("../excludes"))
			}
			answers := map[string]string{}
			for _, backend := range []string{"git", "go-git"} {
				repo, err := r.open(backend)
				if err != nil {
					t.Fatal(err)
				}
				var paths []string
				for _, name := range patternPaths() {
					paths = append(paths, r.path(name))
				}
				paths = append(paths, r.dir, r.path("../outside"), r.path("none/yet/.key"))
				ignored, err := repo.Ignored(context.Background(), paths)
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for i, yes := range ignored[:len(patternPaths())] {
					if yes {
						names = append(names, patternPaths()[i])
					}
				}
				if ignored[len(ignored)-3] || ignored[len(ignored)-2] {
					t.Errorf("%s: the top or a path outside is ignored", backend)
				}
				answers[backend] = strings.Join(names, " ")
				repo.Close()
			}
			if answers["git"] != answers["go-git"] {
				t.Errorf("git     %s\ngo-git  %s", answers["git"], answers["go-git"])
			}
			if !strings.Contains(tt.want, "?") && answers["git"] != tt.want {
				t.Errorf("got  %s\nwant %s", answers["git"], tt.want)
			}
		})
	}
}

// patternRepo has all the paths, tracked, and the named pattern files and links.
func patternRepo(t *testing.T, files string) *testRepo {
	r := newRepo(t)
	for _, name := range patternPaths() {
		r.write(name, "x")
	}
	r.git("add", "-A")
	for _, file := range strings.Split(files, "; ") {
		if name, text, ok := strings.Cut(file, ": "); ok {
			r.write(name, strings.ReplaceAll(text, "|", "\n")+"\n")
		}
		if name, to, ok := strings.Cut(file, " -> "); ok {
			if err := os.Symlink(to, r.path(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return r
}

func TestAttributes(t *testing.T) {
	tests := []string{
		".gitattributes: secrets.enc diff=muxi merge=muxi -text",
		".gitattributes: * text=auto|*.txt -diff|/a.txt diff|f/g/* merge=x !text",
		".gitattributes: *.txt binary; f/.gitattributes: a.txt diff text=y",
		".gitattributes: [attr]own -text diff=z|*.txt own|f/*.txt -own|f/g/a.txt !own own=1",
		".gitattributes: \"b c\" text|\"b\\040\" -text|\"\\303\\251\" diff=e",
		".git/info/attributes: *.txt merge=info; .gitattributes: *.txt merge=tree -diff; f/.gitattributes: *.txt diff",
		"../.config/git/attributes: * merge=global; f/.gitattributes: * !merge",
		".gitattributes: dir/ text|!a text|dir/** merge=d|**/x diff",
		".gitattributes:   *.txt\ttext  diff=a -text|# * diff|* merge",
		".gitattributes: * merge text=1 diff -merge merge=last",
		".gitattributes: !x diff|\\!x text",
		"../attributes: *.txt diff=own merge=own -text; .gitattributes: a.txt merge=top !diff",
		".gitattributes: [attr]binary text=own|a binary; f/.gitattributes: [attr]n text|* n",
	}
	for _, files := range tests {
		t.Run(files, func(t *testing.T) {
			t.Parallel()
			r := patternRepo(t, files)
			if strings.Contains(files, "../attributes") {
				r.git("config", "core.attributesFile", r.path("../attributes"))
			}
			answers := map[string]string{}
			for _, backend := range []string{"git", "go-git"} {
				repo, err := r.open(backend)
				if err != nil {
					t.Fatal(err)
				}
				var paths []string
				for _, name := range append(patternPaths(), "../outside", "secrets.enc") {
					paths = append(paths, r.path(name))
				}
				names := []string{"diff", "merge", "text", "own", "binary", "n"}
				all, err := repo.Attributes(context.Background(), paths, names)
				if err != nil {
					t.Fatal(err)
				}
				var b strings.Builder
				for i, values := range all {
					fmt.Fprintf(&b, "%s:", filepath.Base(paths[i]))
					for _, name := range names {
						b.WriteString(" " + values[name])
					}
					b.WriteByte('\n')
				}
				answers[backend] = b.String()
				repo.Close()
			}
			if answers["git"] != answers["go-git"] {
				t.Errorf("git\n%sgo-git\n%s", answers["git"], answers["go-git"])
			}
			if !strings.Contains(answers["git"], " set") && !strings.Contains(answers["git"], " unset") && !strings.Contains(answers["git"], "global") {
				t.Errorf("no attribute at all:\n%s", answers["git"])
			}
		})
	}
}

// The line that gives an attribute is the one whose state git goes by.
func TestAttributeFrom(t *testing.T) {
	for _, test := range [...]struct{ files, file, from string }{
		{".gitattributes: # c||*.txt diff|a.txt text", "a.txt", ".gitattributes:3"},
		{".gitattributes: *.txt diff|*.txt text|*.txt -diff", "a.txt", ".gitattributes:3"},
		{".gitattributes: * diff; f/.gitattributes: x diff|a.txt diff=y", "f/a.txt", "f/.gitattributes:2"},
		{".gitattributes: * diff; .git/info/attributes: f/* diff", "f/a.txt", ".git/info/attributes:1"},
		{".gitattributes: [attr]own diff|x own|*.txt own", "a.txt", ".gitattributes:3"},
		{".gitattributes: *.txt text", "a.txt", ""},
		{"../attributes: *.txt diff; .gitattributes: f/a.txt diff", "a.txt", "../attributes:1"},
		{"../attributes: *.txt diff; .gitattributes: f/a.txt diff", "f/a.txt", ".gitattributes:1"},
	} {
		r := patternRepo(t, test.files)
		if strings.Contains(test.files, "../attributes") {
			r.git("config", "core.attributesFile", r.path("../attributes"))
		}
		for _, backend := range []string{"git", "go-git"} {
			repo, err := r.open(backend)
			if err != nil {
				t.Fatal(err)
			}
			from, err := AttributeFrom(context.Background(), repo, r.path(test.file), "diff")
			got := ""
			if from.File != "" {
				rel, _ := filepath.Rel(repo.Layout().Top, from.File)
				got = fmt.Sprintf("%s:%d", filepath.ToSlash(rel), from.Line)
			}
			if err != nil || got != test.from {
				t.Errorf("%s, %s: %s has it from %q, %v; want %q", backend, test.files, test.file, got, err, test.from)
			}
			repo.Close()
		}
	}
	version := PatternFiles{".gitattributes": []byte("* filter=x\n"), "f/.gitattributes": []byte("\n*.txt filter=y\n")}
	for file, want := range map[string]Origin{"a": {".gitattributes", 1}, "f/a": {".gitattributes", 1}, "f/a.txt": {"f/.gitattributes", 2}} {
		if got := version.AttributeFrom(file, "filter"); got != want {
			t.Errorf("%s has it from %v, want %v", file, got, want)
		}
	}
}

func TestTrackedAndIgnoredThroughLinks(t *testing.T) {
	r := newRepo(t)
	r.write("real/.key", "k")
	r.write("real/x", "x")
	r.link("alias", "real")
	r.link("../outside-alias", "repo/real")
	r.write(".gitignore", ".key\n")
	r.git("add", "real/x", ".gitignore", "alias")
	r.both(false, "1 0 1 0 1 0 1 | 0 1 0 1 0 1 0", func(repo Repository) (string, error) {
		paths := []string{r.path("real/x"), r.path("real/.key"), r.path("alias/x"), r.path("alias/.key"), r.path("../outside-alias/x"), r.path("../outside-alias/.key"), r.path("alias")}
		tracked, err := repo.Tracked(context.Background(), paths)
		if err != nil {
			return "", err
		}
		ignored, err := repo.Ignored(context.Background(), paths)
		return bits(tracked) + " | " + bits(ignored), err
	})
}

// Whatever stage of a path the index has, git tracks it.
func TestTrackedInEveryStage(t *testing.T) {
	r := newRepo(t)
	r.write("conflict", "base")
	r.commit("base")
	r.git("checkout", "-q", "-b", "other")
	r.write("conflict", "theirs")
	r.commit("theirs")
	r.git("checkout", "-q", "main")
	r.write("conflict", "ours")
	r.commit("ours")
	r.fails("merge", "-q", "other")
	r.write("intended", "")
	r.git("add", "-N", "intended")
	r.write("no", "")
	r.both(false, "1 1 0", func(repo Repository) (string, error) {
		tracked, err := repo.Tracked(context.Background(), []string{r.path("conflict"), r.path("intended"), r.path("no")})
		return bits(tracked), err
	})
}

func TestTrackedMany(t *testing.T) {
	r := newRepo(t)
	var paths []string
	for i := range 200 {
		name := fmt.Sprintf("d/f%d", i)
		paths = append(paths, r.path(name))
		if i%2 == 0 {
			r.write(name, "")
		}
	}
	r.git("add", "-A")
	r.both(false, strings.TrimSpace(strings.Repeat("1 0 ", len(paths)/2)), func(repo Repository) (string, error) {
		tracked, err := repo.Tracked(context.Background(), paths)
		return bits(tracked), err
	})
}

func TestWorkTree(t *testing.T) {
	r := newRepo(t)
	r.write("tracked", "1")
	r.write("changed", "1")
	r.write("gone", "1")
	r.write("forced.key", "k")
	r.write("into-link/x", "1")
	r.write("into-file/x", "1")
	r.write(".gitignore", "*.key\nbuild/\n")
	r.git("add", "-A")
	r.git("add", "-f", "forced.key")
	r.commitStaged("base")
	r.write("changed", "2")
	r.remove("gone")
	r.write("untracked/deep/x", "u")
	r.write("ignored.key", "k")
	r.write("build/x", "b")
	r.write("ita", "i")
	r.git("add", "-N", "ita")
	r.link("alink", "/etc/passwd")
	r.remove("into-link")
	r.link("into-link", "untracked")
	r.remove("into-file")
	r.write("into-file", "file now")
	r.git("init", "-q", "nested")
	r.write("nested/x", "another repository's")
	r.git("init", "-q", "../lib")
	r.at("../lib").commit("x")
	r.git("submodule", "--quiet", "add", r.path("../lib"), "sub")
	r.write("sub/x", "a submodule's")
	os.Mkdir(r.path("empty"), 0o755)
	want := lines(`120000 "alink" "/etc/passwd"`, `100644 "into-file" "file now"`, `120000 "into-link" "untracked"`, `100644 "untracked/deep/x" "u"`,
		`100644 ".gitignore" "*.key\nbuild/\n"`, fmt.Sprintf("100644 \".gitmodules\" %q", mustRead(t, r.path(".gitmodules"))),
		`100644 "changed" "2"`, `100644 "forced.key" "k"`, `100644 "ita" "i"`, `100644 "tracked" "1"`)
	r.both(false, want, func(repo Repository) (string, error) { return visited(repo.WorkTree) })
	r.at("untracked").both(false, want, func(repo Repository) (string, error) { return visited(repo.WorkTree) })
}

// FuzzAttributes: any file of patterns is read, without a panic.
func FuzzAttributes(f *testing.F) {
	for _, seed := range []string{"*a*b -text", "[attr]x y=z\nx", "\"\\303\" a", "a !b"} {
		f.Add(seed, "some/path/aab")
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		r := &attributeRules{macros: map[string][]attribute{}}
		r.collect(r.parse(text, "", "", true), path, map[string]given{})
	})
}
