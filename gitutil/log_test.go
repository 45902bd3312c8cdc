package gitutil

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// logged writes down what Log shows: a line for each commit, and one for each
// change with the contents before and after.
func logged(rev string, names ...string) func(Repository) (string, error) {
	return loggedBy(Repository.Log, rev, names...)
}

// loggedBy is logged for Log or LogAll.
func loggedBy(log LogFunc, rev string, names ...string) func(Repository) (string, error) {
	return func(repo Repository) (string, error) {
		ctx := context.Background()
		var entries []LogEntry
		err := log(repo, ctx, rev, names, func(e *LogEntry) error {
			entries = append(entries, *e)
			return nil
		})
		content := func(id string, mode Mode) string {
			if id == "" {
				return "-"
			}
			text := "?"
			if berr := repo.Blobs(ctx, []string{id}, func(_ string, data []byte) error {
				text = fmt.Sprintf("%q", data)
				return nil
			}); berr != nil && err == nil {
				err = berr
			}
			if mode == ModeLink {
				text = "link " + text
			}
			return text
		}
		var out []string
		for _, e := range entries {
			out = append(out, fmt.Sprintf("%s (%d)", e.Subject, len(e.Parents)))
			for _, c := range e.Changes {
				out = append(out, fmt.Sprintf("  %d %q %s %s", c.Parent, c.Path, content(c.Old, c.OldMode), content(c.New, c.NewMode)))
			}
		}
		return strings.Join(out, "\n"), err
	}
}

// mergeAs commits the work tree as a merge of these parents, whatever is in them.
func (r *testRepo) mergeAs(message string, parents ...string) {
	r.t.Helper()
	r.git("add", "-A")
	args := []string{"commit-tree", "-m", message}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	n := 0
	fmt.Sscan(r.git("rev-list", "--all", "--count"), &n)
	id := r.with(fmt.Sprintf("GIT_COMMITTER_DATE=%d +0000", 1700000000+60*n)).git(append(args, r.git("write-tree"))...)
	r.git("reset", "-q", "--soft", id)
}

func TestLog(t *testing.T) {
	tests := []struct {
		name  string
		names []string // "v" when nil
		rev   string
		setup func(*testRepo)
		want  string
	}{
		{name: "added, changed, removed, in folders", setup: func(r *testRepo) {
			r.write("v", "1")
			r.write("a/b/v", "1")
			r.write("other", "1")
			r.commit("one")
			r.write("other", "2")
			r.commit("not this")
			r.write("a/b/v", "2")
			r.commit("two")
			r.remove("v")
			r.commit("three")
			r.git("mv", "a", "z")
			r.commit("folder renamed")
		}, want: lines(
			`folder renamed (1)`, `  0 "a/b/v" "2" -`, `  0 "z/b/v" - "2"`,
			`three (1)`, `  0 "v" "1" -`,
			`two (1)`, `  0 "a/b/v" "1" "2"`,
			`one (0)`, `  0 "a/b/v" - "1"`, `  0 "v" - "1"`)},
		{name: "several names, another revision", names: []string{"w", "v", "", "a/v", "nope"}, rev: "old", setup: func(r *testRepo) {
			r.write("v", "1")
			r.write("a/w", "1")
			r.commit("one")
			r.git("tag", "-m", "annotated", "old")
			r.write("v", "2")
			r.commit("two")
		}, want: lines(`one (0)`, `  0 "a/w" - "1"`, `  0 "v" - "1"`)},
		{name: "no names", names: []string{"a/v", ""}, setup: func(r *testRepo) {
			r.write("v", "1")
			r.write("a/v", "1")
			r.commit("one")
		}},
		{name: "names that look like patterns", names: []string{"*", `a\*`, "[v]", "?", ":(top)v"}, setup: func(r *testRepo) {
			r.write("v", "1")
			r.write("*", "star")
			r.write("x/[v]", "class")
			r.write("x/:(top)v", "magic")
			r.commit("one")
		}, want: lines(`one (0)`, `  0 "*" - "star"`, `  0 "x/:(top)v" - "magic"`, `  0 "x/[v]" - "class"`)},
		{name: "folders with odd names", setup: func(r *testRepo) {
			for _, name := range hostileNames() {
				r.write(name+"/v", "1")
			}
			r.commit(":100644 looks like a change\n\nbody")
		}, want: func() string {
			l := []string{`:100644 looks like a change (0)`}
			names := hostileNames()
			names[4], names[5] = names[5], names[4] // a tab comes before a line end
			for _, name := range names {
				l = append(l, fmt.Sprintf(`  0 %q - "1"`, name+"/v"))
			}
			return lines(l...)
		}()},
		{name: "another letter case", setup: func(r *testRepo) {
			r.git("config", "core.ignoreCase", "true")
			r.write("V", "1")
			r.commit("one")
		}},
		{name: "a folder of that name", setup: func(r *testRepo) {
			r.write("v/v", "1")
			r.write("v/w", "1")
			r.commit("one")
			r.write("v/w", "2")
			r.commit("two")
			r.remove("v")
			r.write("v", "file")
			r.commit("three")
			r.remove("v")
			r.write("v/w", "2")
			r.commit("four")
		}, want: lines(`four (1)`, `  0 "v" "file" -`, `three (1)`, `  0 "v" - "file"`, `  0 "v/v" "1" -`, `one (0)`, `  0 "v/v" - "1"`)},
		{name: "modes and links", setup: func(r *testRepo) {
			r.write("v", "t")
			r.commit("one")
			r.git("update-index", "--chmod=+x", "v")
			r.commitStaged("a mode is no change")
			r.remove("v")
			r.link("v", "t")
			r.commit("a link is one, with the same bytes")
			r.remove("v")
			r.link("v", "elsewhere")
			r.commit("leads elsewhere")
		}, want: lines(`leads elsewhere (1)`, `  0 "v" link "t" link "elsewhere"`,
			`a link is one, with the same bytes (1)`, `  0 "v" "t" link "t"`, `one (0)`, `  0 "v" - "t"`)},
		{name: "submodules", setup: func(r *testRepo) {
			r.write("x", "1")
			id := r.commit("one")
			r.git("config", "diff.ignoreSubmodules", "all")
			r.git("update-index", "--add", "--cacheinfo", "160000,"+id+",sub/v")
			r.commitStaged("added")
			r.git("update-index", "--add", "--cacheinfo", "160000,"+r.git("rev-parse", "HEAD")+",sub/v")
			r.commitStaged("changed")
			r.git("rm", "-q", "--cached", "sub/v")
			r.git("update-index", "--add", "--cacheinfo", "100644,"+r.gitIn("f", "hash-object", "-w", "--stdin")+",sub/v")
			r.commitStaged("a file instead")
			r.git("branch", "side", "HEAD~")
			r.git("read-tree", "side")
			r.git("update-index", "--add", "--cacheinfo", "160000,"+r.git("rev-parse", "HEAD")+",sub/v")
			r.commitTree("merge", "side", "HEAD")
		}, want: lines(`merge (2)`, `  1 "sub/v" "f" -`, `a file instead (1)`, `  0 "sub/v" - "f"`)},
		{name: "merges", setup: func(r *testRepo) {
			r.write("v", "1")
			r.write("w/v", "1")
			r.commit("one")
			r.git("switch", "-qc", "side")
			r.write("v", "side")
			r.commit("side")
			r.git("switch", "-q", "main")
			r.write("w/v", "main")
			r.commit("main")
			r.git("switch", "-qc", "unrelated")
			r.write("x", "1")
			r.commit("not shown")
			r.git("switch", "-q", "main")
			r.write("v", "side")
			r.mergeAs("clean merge", "main", "side")
			r.write("x", "1")
			r.mergeAs("equals the first", "HEAD", "unrelated")
			r.git("switch", "-qc", "lost", "HEAD")
			r.write("v", "lost")
			r.commit("lost")
			r.git("switch", "-q", "main")
			r.git("commit", "-q", "--allow-empty", "-m", "empty")
			r.mergeAs("ours", "main", "lost")
			r.git("branch", "-f", "lost", "HEAD~")
			r.write("v", "evil")
			r.mergeAs("evil", "HEAD", "side")
		}, want: lines(
			`evil (2)`, `  0 "v" "side" "evil"`, `  1 "v" "side" "evil"`, `  1 "w/v" "1" "main"`,
			`clean merge (2)`, `  0 "v" "1" "side"`, `  1 "w/v" "1" "main"`,
			`main (1)`, `  0 "w/v" "1" "main"`,
			`side (1)`, `  0 "v" "1" "side"`,
			`one (0)`, `  0 "v" - "1"`, `  0 "w/v" - "1"`)},
		{name: "octopus, and unrelated histories", setup: func(r *testRepo) {
			r.write("a/v", "1")
			r.commit("root a")
			for _, name := range []string{"b", "c"} {
				r.git("switch", "-q", "--orphan", name)
				r.write(name+"/v", "1")
				r.commit("root " + name)
			}
			r.git("switch", "-q", "main")
			r.write("b/v", "1")
			r.write("c/v", "1")
			r.mergeAs("octopus", "main", "b", "c")
		}, want: lines(
			`octopus (3)`, `  0 "b/v" - "1"`, `  0 "c/v" - "1"`, `  1 "a/v" - "1"`, `  1 "c/v" - "1"`, `  2 "a/v" - "1"`, `  2 "b/v" - "1"`,
			`root c (0)`, `  0 "c/v" - "1"`, `root b (0)`, `  0 "b/v" - "1"`, `root a (0)`, `  0 "a/v" - "1"`)},
		{name: "dates that run backwards", setup: func(r *testRepo) {
			for i, date := range []string{"1900000000", "1800000000", "1700000000"} {
				r.write("v", fmt.Sprint(i))
				r.git("add", "v")
				r.with("GIT_COMMITTER_DATE="+date+" +0000").git("commit", "-qm", fmt.Sprint(i))
			}
			r.git("switch", "-qc", "side", "HEAD~")
			r.write("v", "s")
			r.git("add", "v")
			r.with("GIT_COMMITTER_DATE=1750000000 +0000").git("commit", "-qm", "s")
			r.mergeAs("merge", "main", "side", "side~")
		}, want: lines(`s (1)`, `  0 "v" "1" "s"`, `1 (1)`, `  0 "v" "0" "1"`, `0 (0)`, `  0 "v" - "0"`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepo(t)
			tt.setup(r)
			if tt.names == nil {
				tt.names = []string{"v"}
			}
			r.both(false, tt.want, logged(tt.rev, tt.names...))
		})
	}
}

// A merge that keeps one side whole hides nothing of the other one from LogAll, and
// is no change itself.
func TestLogAll(t *testing.T) {
	r := newRepo(t)
	r.write("v", "1")
	r.commit("one")
	r.git("switch", "-qc", "lost")
	r.write("v", "lost")
	r.commit("lost")
	r.git("switch", "-q", "main")
	r.write("x", "1")
	r.commit("not shown")
	r.mergeAs("ours", "main", "lost")

	one := []string{`one (0)`, `  0 "v" - "1"`}
	r.both(false, lines(one...), logged("", "v"))
	r.both(false, lines(append([]string{`lost (1)`, `  0 "v" "1" "lost"`}, one...)...), loggedBy(Repository.LogAll, "", "v"))
}

// commitTree is mergeAs with the index as it stands.
func (r *testRepo) commitTree(message string, parents ...string) {
	r.t.Helper()
	args := []string{"commit-tree", "-m", message}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	id := r.with("GIT_COMMITTER_DATE=1950000000 +0000").git(append(args, r.git("write-tree"))...)
	r.git("update-ref", "HEAD", id)
}

// Nothing that a user or the repository sets changes the answer.
func TestLogWhateverIsSet(t *testing.T) {
	r := newRepo(t)
	r.write("v", "1")
	r.commit("one")
	r.git("mv", "v", "w")
	r.write("a/v", "1")
	r.commit("two\n\n:100644 body")
	r.git("switch", "-qc", "side", "HEAD~")
	r.write("s/v", "\xe9\n")
	r.git("add", "-A")
	r.with("GIT_AUTHOR_NAME=\xe9\xdf", "GIT_COMMITTER_DATE=1700000500 +0000").
		git("-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-qm", "\xfcber\n  alles \n\nbody")
	r.git("switch", "-q", "main")
	r.with("GIT_COMMITTER_DATE=1700000600 +0000").git("merge", "-q", "-m", "merge", "side")
	want := lines(
		`merge (2)`, `  0 "s/v" - "\xe9\n"`, `  1 "a/v" - "1"`, `  1 "v" "1" -`,
		`über   alles (1)`, `  0 "s/v" - "\xe9\n"`,
		`two (1)`, `  0 "a/v" - "1"`, `  0 "v" "1" -`,
		`one (0)`, `  0 "v" - "1"`)
	r.both(false, want, logged("", "v"))

	replaced := r.git("rev-parse", "HEAD~")
	r.write(".mailmap", "Somebody Else <x@example.com> <a@example.com>\n")
	r.write(".git/info/grafts", r.git("rev-parse", "HEAD")+"\n")
	r.write("order", "w\n")
	r.git("update-ref", "refs/replace/"+replaced, r.git("rev-parse", "side"))
	r.git("notes", "add", "-m", "a note", "HEAD")
	for key, value := range map[string]string{
		"log.showSignature": "true", "gpg.program": "false", "log.showRoot": "false", "log.diffMerges": "combined", "log.follow": "true",
		"log.mailmap": "true", "log.decorate": "full", "log.date": "relative", "log.abbrevCommit": "true", "format.pretty": "oneline",
		"format.notes": "true", "i18n.logOutputEncoding": "ISO-8859-1", "core.abbrev": "4", "core.quotePath": "true", "color.ui": "always", "diff.renames": "copies",
		"diff.orderFile": "missing", "diff.relative": "true", "diff.external": "false", "diff.noprefix": "true",
		"core.pager": "false", "pager.log": "true", "diff.submodule": "log", "notes.displayRef": "*", "log.initialDecorationSet": "all",
	} {
		r.git("config", key, value)
	}
	hostile := r.at("a").with("GIT_ICASE_PATHSPECS=1", "GIT_EXTERNAL_DIFF=false", "GIT_PAGER=false")
	hostile.both(false, want, logged("", "v"))
	r.with("GIT_LITERAL_PATHSPECS=1").both(false, want, logged("HEAD", "v"))
	r.with("GIT_NOGLOB_PATHSPECS=1").both(false, want, logged("@", "v"))

	r.both(false, lines("a <a@example.com> 2023-11-14T22:13:20Z", "éß <a@example.com> 2023-11-14T22:13:20Z", "a <a@example.com> 2023-11-14T22:13:20Z", "a <a@example.com> 2023-11-14T22:13:20Z"),
		func(repo Repository) (string, error) {
			var who []string
			err := repo.Log(context.Background(), "", []string{"v"}, func(e *LogEntry) error {
				who = append(who, fmt.Sprintf("%s <%s> %s", e.Author, e.Email, e.Date.Format(time.RFC3339)))
				return nil
			})
			return lines(who...), err
		})
}

// Headers that a careful git would not write.
func TestLogOddHeaders(t *testing.T) {
	r := newRepo(t)
	r.write("v", "1")
	r.git("add", "v")
	tree := r.git("write-tree")
	for _, tt := range []struct{ author, message, want string }{
		{"A U Thor <a@example.com> 1700000000 +0530", "one\n", `"A U Thor" "a@example.com" 2023-11-15T03:43:20+05:30 "one"`},
		{"A <a> 1700000000 -0330", "\n\n  two  \nlines\t\n \nbody", `"A" "a" 2023-11-14T18:43:20-03:30 "  two lines"`},
		{" <> 0 +0000", "", `"" "" 1970-01-01T00:00:00Z ""`},
		{"nobody at all", "x", `"" "" 0001-01-01T00:00:00Z "x"`},
		{"A < b > 12 -0000", "x", `"A" " b " 1970-01-01T00:00:12Z "x"`},
		{"A <b>", "x", `"A" "b" 0001-01-01T00:00:00Z "x"`},
		{"A <b> -5 +0000", "x", `"A" "b" 0001-01-01T00:00:00Z "x"`},
		{"A <b> x <c> 7 +0000", "x", `"A" "b" 1970-01-01T00:00:07Z "x"`},
		{"é\x1b[31m <\"q\"> 7 +1400", "a\x00b", `"é\x1b[31m" "\"q\"" 1970-01-01T14:00:07+14:00 "a"`},
	} {
		object := "tree " + tree + "\nauthor " + tt.author + "\ncommitter c <c> 1700000000 +0000\n\n" + tt.message
		r.git("update-ref", "HEAD", r.gitIn(object, "hash-object", "-t", "commit", "-w", "--stdin", "--literally"))
		r.both(false, tt.want, func(repo Repository) (string, error) {
			text := ""
			err := repo.Log(context.Background(), "", []string{"v"}, func(e *LogEntry) error {
				text += fmt.Sprintf("%q %q %s %q", e.Author, e.Email, e.Date.Format(time.RFC3339), e.Subject)
				return nil
			})
			return text, err
		})
	}
}

func TestLogErrors(t *testing.T) {
	r := newRepo(t)
	unknown := func(r *testRepo, names []string, revs ...string) {
		t.Helper()
		for _, backend := range []string{"git", "go-git"} {
			repo, err := r.open(backend)
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range revs {
				err := repo.Log(context.Background(), bad, names, func(*LogEntry) error { return nil })
				var rev *RevisionError
				if !errors.As(err, &rev) || rev.Rev != bad && bad != "" {
					t.Errorf("%s: %q: %v", backend, bad, err)
				}
			}
			repo.Close()
		}
	}
	unknown(r, []string{"v"}, "", "HEAD")
	unknown(r, nil, "", "HEAD")
	r.write("v", "1")
	r.commit("one")
	r.write("v", "2")
	r.commit("two")
	unknown(r, []string{"v"}, "nope", "--all", "^main", "main..main", "main^!", "main^@", "main~99", "HEAD^{tree}", strings.Repeat("1", 40), "v")
	// A visitor's error ends the visit, and is what comes back.
	stop := errors.New("stop")
	for _, backend := range []string{"git", "go-git"} {
		repo, err := r.open(backend)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = repo.Log(context.Background(), "", []string{"v"}, func(*LogEntry) error { n++; return stop })
		if err != stop || n != 1 {
			t.Errorf("%s: %v after %d", backend, err, n)
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		err = repo.Log(ctx, "", []string{"v"}, func(*LogEntry) error { cancel(stop); return nil })
		if err != stop {
			t.Errorf("%s: cancelled: %v", backend, err)
		}
		repo.Close()
	}
	tree := r.git("rev-parse", "HEAD~:")
	if err := os.Remove(r.path(".git/objects/" + tree[:2] + "/" + tree[2:])); err != nil {
		t.Fatal(err)
	}
	for _, backend := range []string{"git", "go-git"} {
		repo, err := r.open(backend)
		if err != nil {
			t.Fatal(err)
		}
		err = repo.Log(context.Background(), "", []string{"v"}, func(*LogEntry) error { return nil })
		var missing *MissingObjectError
		if !errors.As(err, &missing) || missing.ID != tree {
			t.Errorf("%s: %v, want that %s is missing", backend, err, tree)
		}
		repo.Close()
	}
}

func TestLogShallow(t *testing.T) {
	r := newRepo(t)
	r.write("v", "1")
	r.commit("one")
	r.git("rm", "-q", "v")
	r.commit("two")
	r.write("x", "1")
	r.commit("three")
	r.write("v", "3")
	r.commit("four")
	r.git("switch", "-qc", "side", "HEAD~")
	r.write("x", "2")
	r.commit("side")
	r.git("switch", "-q", "main")
	r.write("x", "2")
	r.mergeAs("merge", "main", "side")
	for depth, want := range map[int]struct {
		log     string
		shallow bool
	}{
		1: {lines(`merge (0)`, `  0 "v" - "3"`), true},
		2: {lines(`four (0)`, `  0 "v" - "3"`), true}, // the walk does not follow side, which is cut too
		3: {lines(`four (1)`, `  0 "v" - "3"`), true}, // cut at a commit without the file
		9: {lines(`four (1)`, `  0 "v" - "3"`, `two (1)`, `  0 "v" "1" -`, `one (0)`, `  0 "v" - "1"`), false},
	} {
		name := fmt.Sprintf("../depth%d", depth)
		r.git("clone", "-q", fmt.Sprintf("--depth=%d", depth), "file://"+r.dir, name)
		r.at(name).both(false, want.log, func(repo Repository) (string, error) {
			text, err := logged("", "v")(repo)
			var shallow *ShallowError
			if errors.As(err, &shallow) != want.shallow {
				t.Errorf("%s: depth %d: %v", backendOf(repo), depth, err)
			}
			if shallow != nil {
				err = nil
			}
			return text, err
		})
	}
	// Where the walk passes by the cut, all of it is known.
	s := newRepo(t)
	s.git("fetch", "-q", "--depth=1", "file://"+r.dir, "side")
	s.git("switch", "-qc", "cut", "FETCH_HEAD")
	s.git("switch", "-q", "--orphan", "main")
	s.write("v", "1")
	s.commit("root")
	s.write("x", "2")
	s.mergeAs("merge", "main", "cut")
	s.both(false, lines(`root (0)`, `  0 "v" - "1"`), logged("", "v"))
}

// Random histories with merges of up to four parents: both backends tell the
// same, in a repository of loose objects and in a packed one.
func TestLogBackendsAgree(t *testing.T) {
	for seed := range int64(6) {
		r := newRepo(t)
		random := rand.New(rand.NewSource(seed))
		paths := []string{"v", "a/v", "a/b/v", "a/b/other", "c/w", "v2/v", "a-/v", "a.b/v", "other"}
		var stream bytes.Buffer
		const commits = 120
		for c := 1; c <= commits; c++ {
			message := fmt.Sprintf("commit %d", c)
			// No two of a second: those may come in any order.
			fmt.Fprintf(&stream, "commit refs/heads/b%d\nmark :%d\nauthor a <a> 5 +0000\ncommitter c <c> %d +0000\ndata %d\n%s\n", c, c,
				1700000000+1000*c+random.Intn(20)*999, len(message), message)
			parents := map[int]bool{}
			for i := range []int{1, 1, 1, 2, 2, 3, 4}[random.Intn(7)] {
				p := c - 1 - random.Intn(12)
				if i == 0 && c >= 100 {
					p = c - 1
				} else if p < 1 || parents[p] || random.Intn(40) == 0 {
					continue
				}
				verb := "merge"
				if len(parents) == 0 {
					verb = "from"
				}
				parents[p] = true
				fmt.Fprintf(&stream, "%s :%d\n", verb, p)
			}
			for range random.Intn(3) {
				path := paths[random.Intn(len(paths))]
				if random.Intn(5) == 0 {
					fmt.Fprintf(&stream, "D %s\n", path)
				} else {
					fmt.Fprintf(&stream, "M %s inline %s\ndata 1\n%d\n", []string{"100644", "100755", "120000"}[random.Intn(8)/3%3], path, random.Intn(3))
				}
			}
			stream.WriteByte('\n')
		}
		r.gitIn(stream.String(), "fast-import", "--quiet", "--force")
		r.git("symbolic-ref", "HEAD", fmt.Sprintf("refs/heads/b%d", commits))
		for _, packed := range []bool{false, true} {
			if packed {
				r.git("repack", "-adq")
				r.git("commit-graph", "write", "--reachable", "--changed-paths")
			}
			for _, rev := range []string{"", "HEAD~1", "b100"} {
				var want string
				all := loggedBy(Repository.LogAll, rev, "v", "w")
				r.both(false, "", func(repo Repository) (string, error) {
					got, err := all(repo)
					if backendOf(repo) == "git" {
						want = got
					} else if got != want {
						t.Errorf("seed %d, all of %q, packed %v: go-git:\n%s\ngit:\n%s", seed, rev, packed, got, want)
					}
					return "", err
				})
				r.both(false, "", func(repo Repository) (string, error) {
					got, err := logged(rev, "v", "w")(repo)
					if backendOf(repo) == "git" {
						want = got
						// Each commit is one that git's plain log has, in its order.
						plain := r.git("log", "--date-order", "--format=%s (%P)", r.git("rev-parse", repoRev(rev)), "--", ":(glob)**/v", ":(glob)**/w")
						if strings.Count(plain, "commit ") < strings.Count(got, "commit ") || !strings.Contains(got, "commit ") {
							t.Errorf("seed %d: %d commits, git's log has %d", seed, strings.Count(got, "commit "), strings.Count(plain, "commit "))
						}
					} else if got != want {
						t.Errorf("seed %d, %q, packed %v: go-git:\n%s\ngit:\n%s", seed, rev, packed, got, want)
					}
					return "", err
				})
			}
		}
	}
}

func repoRev(rev string) string {
	if rev == "" {
		return "HEAD"
	}
	return rev
}

func FuzzParseLog(f *testing.F) {
	id := strings.Repeat("1", 40)
	f.Add([]byte(id + "\x00\x00a\x00e\x005 +0000\x00s\x00\n:000000 100644 " + id + " " + id + " A\x00v\x00"))
	f.Add([]byte(id + "\x00" + id + " " + id + "\x00a\x00e\x005 +0000\x00s\x00\n:000000 100644 " + id + " " + id + " A\x00v\x00" +
		id + "\x00" + id + " " + id + "\x00a\x00e\x005 +0000\x00s\x00\n:000000 160000 " + id + " " + id + " A\x00v\x00"))
	f.Add([]byte(":\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		parseLog(&fields{r: bufio.NewReader(bytes.NewReader(text))}, len(text)%2 == 0, func(e *LogEntry) error {
			if !isObjectID(e.Hash) {
				t.Errorf("commit %q", e.Hash)
			}
			e.finish()
			for _, c := range e.Changes {
				if c.Parent >= max(1, len(e.Parents)) || c.Old == "" && c.New == "" {
					t.Errorf("change %+v", c)
				}
			}
			return nil
		})
	})
}

func FuzzIdentAndSubject(f *testing.F) {
	f.Add("A U Thor <a@example.com> 1700000000 +0530", "one\ntwo\n\nthree")
	f.Add("<<>>>", " \n")
	f.Fuzz(func(t *testing.T, ident, message string) {
		parseIdent(ident)
		if strings.Contains(subjectOf(message), "\n") {
			t.Error("a subject of two lines")
		}
	})
}

func TestBlobs(t *testing.T) {
	r := newRepo(t)
	r.write("v", "one")
	r.write("empty", "")
	r.write("big", strings.Repeat("0123456789\n", 100000))
	r.commit("x")
	one, empty, big := r.git("rev-parse", ":v"), r.git("rev-parse", ":empty"), r.git("rev-parse", ":big")
	read := func(ids ...string) func(Repository) (string, error) {
		return func(repo Repository) (string, error) {
			var out []string
			err := repo.Blobs(context.Background(), ids, func(id string, data []byte) error {
				out = append(out, fmt.Sprintf("%s %d %.3q", id, len(data), data))
				return nil
			})
			return lines(out...), err
		}
	}
	r.both(false, "", read())
	r.both(false, lines(one+` 3 "one"`, empty+` 0 ""`, big+` 1100000 "012"`, one+` 3 "one"`), read(one, empty, big, one))
	// More than fits into any pipe.
	many, want := []string{}, []string{}
	for range 3000 {
		many, want = append(many, one, empty), append(want, one+` 3 "one"`, empty+` 0 ""`)
	}
	r.both(false, lines(want...), read(many...))
	for _, bad := range []string{strings.Repeat("1", 40), strings.Repeat("0", 40), "", "HEAD", ":v", one[:10], one + "\n" + one, strings.Repeat("1", 64)} {
		r.both(false, one+` 3 "one"`, func(repo Repository) (string, error) {
			text, err := read(one, bad)(repo)
			var missing *MissingObjectError
			if !errors.As(err, &missing) || missing.ID != bad {
				t.Errorf("%s: %q: %v", backendOf(repo), bad, err)
			}
			// The next question is answered all the same.
			if after, err := read(empty)(repo); err != nil || after != empty+` 0 ""` {
				t.Errorf("%s: after %q: %s, %v", backendOf(repo), bad, after, err)
			}
			if text == "" {
				text = one + ` 3 "one"` // go-git and git may differ in how far they got
			}
			return text, nil
		})
	}
	stop := errors.New("stop")
	for _, backend := range []string{"git", "go-git"} {
		repo, err := r.open(backend)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := repo.Blobs(context.Background(), many, func(string, []byte) error { n++; return stop }); err != stop || n != 1 {
			t.Errorf("%s: %v after %d", backend, err, n)
		}
		repo.Close()
	}
	if _, err := os.Stat(filepath.Join(r.dir, "v")); err != nil {
		t.Error(err)
	}
}
