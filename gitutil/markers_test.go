package gitutil

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

func TestSplitMarkers(t *testing.T) {
	for about, test := range map[string]struct{ content, base, ours, theirs string }{
		"whole":        {"<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n", "-", "a\n", "b\n"},
		"CRLF":         {"<<<<<<< HEAD\r\na\r\n=======\r\nb\r\n>>>>>>> x\r\n", "-", "a\r\n", "b\r\n"},
		"diff3":        {"<<<<<<< HEAD\na\n||||||| 1234\nc\n=======\nb\n>>>>>>> x", "c\n", "a\n", "b\n"},
		"two of them":  {"1\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n2\n<<<<<<< HEAD\n=======\nd\n>>>>>>> x\n3\n", "-", "1\na\n2\n3\n", "1\nb\n2\nd\n3\n"},
		"longer":       {"<<<<<<<<<< HEAD\na\n=======\n==========\nb\n>>>>>>>>>> x\n", "-", "a\n=======\n", "b\n"},
		"nested base":  {"<<<<<<< HEAD\na\n||||||| 12\n<<<<<<<<< A\nc\n=========\nd\n>>>>>>>>> B\n=======\nb\n>>>>>>> x\n", "<<<<<<<<< A\nc\n=========\nd\n>>>>>>>>> B\n", "a\n", "b\n"},
		"no mark":      {"a\n", "", "", ""},
		"an underline": {"Title\n=======\n", "", "", ""},
		"half":         {"<<<<<<< HEAD\na\n=======\nb\n", "", "", ""},
		"one gone":     {"<<<<<<< HEAD\na\nb\n>>>>>>> x\n", "", "", ""},
		"end alone":    {"a\n>>>>>>> x\n", "", "", ""},
		"twice":        {"<<<<<<< A\n<<<<<<< B\na\n=======\nb\n>>>>>>> x\n", "", "", ""},
		"empty":        {"", "", "", ""},
	} {
		base, ours, theirs, ok := SplitMarkers([]byte(test.content))
		want := test.ours != "" || test.theirs != ""
		if test.base == "-" {
			test.base = ""
			if base != nil {
				t.Errorf("%s: a base", about)
			}
		}
		if ok != want || string(base) != test.base || string(ours) != test.ours || string(theirs) != test.theirs {
			t.Errorf("%s: %q, %q, %q, %t", about, base, ours, theirs, ok)
		}
	}
}

// What git writes is taken apart again, in each of its styles.
func TestSplitMarkersOfGit(t *testing.T) {
	r := gittest.New(t)
	dir := t.TempDir()
	sides := map[string]string{"ours": "1\n2 ours\n3\n4\n5\n6\n7 ours\n", "base": "1\n2\n3\n4\n5\n6\n7\n", "theirs": "1\n2 theirs\n3\n4\n5\n6\n7 theirs\n"}
	for name, content := range sides {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, style := range []string{"--no-diff3", "--diff3"} {
		res := r.Run("", "git", "merge-file", "-p", style, filepath.Join(dir, "ours"), filepath.Join(dir, "base"), filepath.Join(dir, "theirs"))
		base, ours, theirs, ok := SplitMarkers([]byte(res.Out))
		if !ok || string(ours) != sides["ours"] || string(theirs) != sides["theirs"] || style == "--diff3" && string(base) != sides["base"] {
			t.Errorf("%s: %q, %q, %q, %t, of\n%s", style, base, ours, theirs, ok, res.Out)
		}
	}
}

func FuzzSplitMarkers(f *testing.F) {
	f.Add([]byte("<<<<<<< A\na\n||||||| B\nb\n=======\nc\n>>>>>>> C\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		base, ours, theirs, ok := SplitMarkers(content)
		if !ok {
			return
		}
		if len(ours)+len(theirs) > 2*len(content) || !bytes.Contains(content, []byte("<<<<<<<")) {
			t.Fatal("more than there was")
		}
		for _, side := range [][]byte{base, ours, theirs} {
			for line := range strings.Lines(string(side)) {
				if !bytes.Contains(content, []byte(strings.TrimRight(line, "\n"))) {
					t.Fatalf("%q was made up", line)
				}
			}
		}
	})
}
