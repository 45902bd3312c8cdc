package gitutil

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
)

// ListIndex gives what git itself lists, whatever the index's format.
func TestListIndexEqualsGit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(*testRepo)
		init  []string
	}{
		{name: "version 2"},
		{name: "version 3", setup: func(r *testRepo) {
			r.write("later", "x")
			r.git("add", "-N", "later")
		}},
		{name: "version 4", setup: func(r *testRepo) { r.git("update-index", "--index-version", "4") }},
		{name: "split", setup: func(r *testRepo) { r.git("update-index", "--split-index") }},
		{name: "SHA-256", init: []string{"--object-format=sha256"}},
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
			repo, err := r.open("git")
			if err != nil {
				t.Fatal(err)
			}
			defer repo.Close()
			entries, err := repo.ListIndex(context.Background(), func([]byte, Mode) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				if e.Path == "later" {
					continue
				}
				got = append(got, modeText(e.Mode)+" "+e.ID+" "+e.Path)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %d entries, git lists %d", len(got), len(want))
			}
		})
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
