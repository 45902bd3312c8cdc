package gitutil

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func unmerged(repo Repository) (string, error) {
	list, err := repo.Unmerged(context.Background())
	var out []string
	for _, c := range list {
		line := fmt.Sprintf("%q", c.Path)
		for _, s := range c.Stages {
			if s.ID == "" {
				line += " -"
				continue
			}
			line += fmt.Sprintf(" %o %.7s", s.Mode, s.ID)
			if s.Path != c.Path {
				line += " of " + s.Path
			}
		}
		out = append(out, line)
	}
	return lines(out...), err
}

// gitUnmerged is the same from git's own listing.
func (r *testRepo) gitUnmerged() string {
	r.t.Helper()
	var paths []string
	stages := map[string][3]string{}
	for record := range strings.SplitSeq(r.git("ls-files", "-z", "--unmerged", "--full-name"), "\x00") {
		head, path, ok := strings.Cut(record, "\t")
		if !ok {
			continue
		}
		var mode, id string
		stage := 0
		fmt.Sscan(head, &mode, &id, &stage)
		s, ok := stages[path]
		if !ok {
			paths = append(paths, path)
		}
		s[stage-1] = fmt.Sprintf("%s %.7s", mode, id)
		stages[path] = s
	}
	var out []string
	for _, path := range paths {
		line := fmt.Sprintf("%q", path)
		for _, s := range stages[path] {
			if s == "" {
				s = "-"
			}
			line += " " + s
		}
		out = append(out, line)
	}
	return lines(out...)
}

// conflicted is a repository in a merge with every kind of conflict, and more
// than a handful of entries.
func conflicted(t *testing.T, initArgs ...string) *testRepo {
	r := newRepo(t, initArgs...)
	for i := range 60 {
		r.write(fmt.Sprintf("f/%02d", i), fmt.Sprint(i))
	}
	for _, name := range []string{"a/secrets.enc", "changed or removed", "removed or changed", "odd \n\xff name", "link"} {
		r.write(name, "base\n")
	}
	r.commit("base")
	for _, side := range []string{"theirs", "main"} {
		text := side + "\n"
		if side != "main" {
			r.git("switch", "-qc", side)
		}
		r.write("a/secrets.enc", text)
		r.write("odd \n\xff name", text)
		r.write("added", text)
		r.write("clean "+side, text)
		r.remove("link")
		r.link("link", text)
		if side == "main" {
			r.write("changed or removed", text)
			r.remove("removed or changed")
		} else {
			r.remove("changed or removed")
			r.write("removed or changed", text)
		}
		for i := 20; i < 40; i++ {
			r.write(fmt.Sprintf("f/%02d", i), text)
		}
		r.commit(side)
		r.git("switch", "-q", "main")
	}
	return r
}

func TestUnmerged(t *testing.T) {
	for _, tt := range []struct {
		name    string
		init    []string
		onlyGit bool
		setup   func(*testRepo)
	}{
		{name: "version 2"},
		{name: "version 3", setup: func(r *testRepo) {
			r.write("later", "x")
			r.git("add", "-N", "later")
		}},
		{name: "version 4", setup: func(r *testRepo) { r.git("update-index", "--index-version", "4") }},
		{name: "split", onlyGit: true, setup: func(r *testRepo) { r.git("update-index", "--split-index") }},
		{name: "SHA-256", init: []string{"--object-format=sha256"}, onlyGit: true},
		{name: "reftable", init: []string{"--ref-format=reftable"}, onlyGit: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if !formatKnown(t, tt.init) {
				return
			}
			r := conflicted(t, tt.init...)
			onlyGit := len(tt.init) > 0 // from the start, and with any index
			r.both(onlyGit, "", unmerged)
			r.fails("merge", "theirs")
			if tt.setup != nil {
				tt.setup(r)
			}
			want := r.gitUnmerged()
			if strings.Count(want, "\n") != 25 {
				t.Fatalf("git has other conflicts:\n%s", want)
			}
			r.both(tt.onlyGit, want, unmerged)
			r.at("f").both(tt.onlyGit, want, unmerged)
			// Another index.
			other := r.with("GIT_INDEX_FILE=" + r.path(".git/other"))
			other.both(onlyGit, "", unmerged)
			other.git("read-tree", "-i", "-m", "HEAD~", "HEAD", "theirs")
			other.both(onlyGit, other.gitUnmerged(), unmerged)
			r.git("reset", "-q", "--hard")
			r.both(tt.onlyGit, "", unmerged)
		})
	}
	empty := newRepo(t)
	empty.both(false, "", unmerged)
}

func TestStageFileSettlesConflict(t *testing.T) {
	for _, linked := range []bool{false, true} {
		r := conflicted(t)
		if linked {
			r.git("worktree", "add", "-q", "../linked", "-b", "here")
			r = r.at("../linked")
		}
		r.fails("merge", "theirs")
		before := strings.Split(r.git("ls-files", "-z", "--stage"), "\x00")
		repo := r.openWriter()
		ctx := context.Background()
		disk, err := os.ReadFile(filepath.Join(r.dir, "a", "secrets.enc"))
		if err != nil {
			t.Fatal(err)
		}
		for path, content := range map[string][]byte{
			"a/secrets.enc": []byte("settled"), "odd \n\xff name": []byte("settled"), "added": []byte("settled"),
			"removed or changed": []byte("settled"), "changed or removed": nil,
		} {
			for range 2 { // once more changes nothing
				if err := repo.StageFile(ctx, path, content, ModeFile); err != nil {
					t.Fatalf("%q: %v", path, err)
				}
			}
		}
		id := r.gitIn("settled", "hash-object", "--stdin")
		var want []string
		last := ""
		for _, record := range before {
			_, path, _ := strings.Cut(record, "\t")
			switch path {
			case "changed or removed":
			case "a/secrets.enc", "odd \n\xff name", "added", "removed or changed":
				if path != last {
					want = append(want, "100644 "+id+" 0\t"+path)
				}
			default:
				want = append(want, record)
			}
			last = path
		}
		if got := r.git("ls-files", "-z", "--stage"); got != strings.Join(want, "\x00") {
			t.Errorf("linked %v: the index holds\n%q\nwant\n%q", linked, strings.Split(got, "\x00"), want)
		}
		if now, err := os.ReadFile(filepath.Join(r.dir, "a", "secrets.enc")); err != nil || string(now) != string(disk) {
			t.Errorf("the work tree has changed: %v", err)
		}
		r.git("add", "-A")
		r.git("commit", "-qm", "merged")
		r.git("fsck", "--strict")
	}
}
