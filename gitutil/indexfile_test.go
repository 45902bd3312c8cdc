package gitutil

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

// ListIndex gives what git itself lists, whatever the index's format, and reads
// the file itself where that has a plain one.
func TestListIndexEqualsGit(t *testing.T) {
	for _, tt := range []struct {
		name    string
		setup   func(*testRepo)
		init    []string
		odd     bool // git alone reads the file
		onlyGit bool // nor any other part of the repository
	}{
		{name: "version 2"},
		{name: "version 3", setup: func(r *testRepo) {
			r.write("later", "x")
			r.git("add", "-N", "later")
		}},
		{name: "version 4", setup: func(r *testRepo) { r.git("update-index", "--index-version", "4") }},
		{name: "version 4, paths of any length", setup: func(r *testRepo) {
			r.git("update-index", "--index-version", "4")
			for i := range 40 {
				r.write("deep/d"+strings.Repeat("x", 5*i%211)+"/f"+strings.Repeat("y", 7*i%199), "x")
			}
			r.write("late", "x")
			r.write("later", "x")
			r.git("add", "a", "sub", "deep", "late")
			r.git("add", "-N", "later")
		}},
		{name: "split", odd: true, setup: func(r *testRepo) { r.git("update-index", "--split-index") }},
		{name: "sparse", odd: true, setup: func(r *testRepo) {
			r.commitStaged("base")
			r.git("sparse-checkout", "set", "--cone", "--sparse-index", "other")
		}},
		{name: "SHA-256", init: []string{"--object-format=sha256"}, onlyGit: true},
		{name: "empty", setup: func(r *testRepo) { r.git("rm", "-rqf", "--cached", ".") }},
		{name: "a long path", setup: func(r *testRepo) {
			blob := strings.TrimSpace(r.git("hash-object", "-w", "sub/b"))
			for _, length := range [...]int{4094, 4095} { // the most that git takes, and where the length field is full
				path := strings.Repeat(strings.Repeat("d", 200)+"/", 20)
				r.git("update-index", "--add", "--cacheinfo", "100644,"+blob+","+path+strings.Repeat("e", length-len(path)))
			}
		}},
		{name: "thousands", setup: func(r *testRepo) {
			for i := range 3000 {
				r.write("many/"+strings.Repeat("n", i%90)+"/"+string(rune('a'+i%26))+strings.Repeat("x", i%50), "x")
			}
			r.git("add", "-A")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepo(t, tt.init...)
			r.write("a", "1")
			r.write("sub/b", "2")
			r.write("sub/odd \n name", "3")
			r.git("add", "-A")
			if tt.setup != nil {
				tt.setup(r)
			}
			var want []string
			for record := range strings.SplitSeq(r.git("ls-files", "-z", "--stage"), "\x00") {
				if head, path, ok := strings.Cut(record, "\t"); ok && path != "later" {
					want = append(want, strings.TrimSuffix(head, " 0")+" "+path)
				}
			}
			r.both(tt.odd || tt.onlyGit, lines(want...), func(repo Repository) (string, error) {
				entries, err := repo.ListIndex(context.Background(), func([]byte, Mode) bool { return true })
				var got []string
				for _, e := range entries {
					if e.Path != "later" {
						got = append(got, modeText(e.Mode)+" "+e.ID+" "+e.Path)
					}
				}
				return lines(got...), err
			})
			_, err := readIndexFile(r.path(".git/index"), func() {}, func(*indexRecord) {})
			if odd := errors.Is(err, errIndexForm); odd != tt.odd || err != nil && !odd {
				t.Errorf("reading the file: %v", err)
			}
		})
	}
}

// The index in one of its plain forms is read without git being started.
func TestListIndexStartsNoGit(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.git("add", "-A")
	for _, split := range []bool{false, true} {
		if split {
			r.git("update-index", "--split-index")
		}
		repo, err := r.open("git")
		if err != nil {
			t.Fatal(err)
		}
		repo.(*gitRepo).exe = r.path("no-git")
		entries, err := repo.ListIndex(t.Context(), func([]byte, Mode) bool { return true })
		if split != (err != nil) || split != (len(entries) == 0) {
			t.Errorf("split: %t: %d entries, %v", split, len(entries), err)
		}
		repo.Close()
	}
}

func modeText(mode Mode) string {
	text := ""
	for shift := 15; shift >= 0; shift -= 3 {
		text += string(rune('0' + mode>>shift&7))
	}
	return text
}

// FuzzParseIndex: any bytes are read or refused, never a panic.
func FuzzParseIndex(f *testing.F) {
	if content, err := os.ReadFile("../.git/index"); err == nil && len(content) < 1<<20 {
		f.Add(content)
	}
	f.Add([]byte("DIRC\x00\x00\x00\x02\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, size := range [...]int{20, 32} {
			parseIndex(bytes.NewReader(content), int64(len(content)), size, func(e *indexRecord) {
				if len(e.id) != size || e.stage > 3 {
					t.Errorf("entry %q of stage %d", e.path, e.stage)
				}
			})
		}
	})
}
