//go:build unix

package commands_test

import (
	"fmt"
	"strings"
	"testing"
)

// prints are a check's fingerprints by place.
func (c checked) prints() map[string]string {
	prints := map[string]string{}
	for _, f := range c.Findings {
		prints[fmt.Sprintf("%s %s %s", f.Rule, f.Path, f.Secret)] += f.Fingerprint + " "
	}
	return prints
}

// A finding keeps its fingerprint when lines move, on squash and on rebase, and
// has the same one from the work tree, the index, a range and the history.
func TestFingerprintsStay(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.formation("agent", "STORED=hunter2-hunter2")
	r.git("branch", "origin")
	text := "a: hunter2-hunter2\nb: hunter2-hunter2\n" + leak
	r.stage("one.txt", text)
	r.stage("two.txt", text)
	r.stage("agent/mcp/x.afs", "auth:\n  token: some-literal-token\n")
	staged, _ := r.check("--staged")
	want := staged.prints()
	if len(staged.Findings) != 7 {
		t.Fatalf("%q", staged.places())
	}
	seen := map[string]bool{}
	for _, f := range staged.Findings {
		if seen[f.Fingerprint] {
			t.Errorf("%s:%d shares its fingerprint", f.Path, f.Line)
		}
		seen[f.Fingerprint] = true
	}
	same := func(what string, args ...string) {
		t.Helper()
		c, _ := r.check(args...)
		got := c.prints()
		for place, print := range want {
			if got[place] != print {
				t.Errorf("%s: %s has another fingerprint", what, place)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %q", what, c.places())
		}
	}
	same("work tree")
	r.save("leaky")
	same("base", "--base", "origin")
	same("range", "--range", "origin..HEAD")
	same("history", "--history")
	r.git("commit", "-q", "--no-verify", "--amend", "-m", "another message")
	same("amended", "--base", "origin")
	r.stage("one.txt", "moved\n\n\n"+strings.ReplaceAll(text, "\n", "\nbetween\n"))
	r.stage("agent/mcp/x.afs", "# a comment\nid: x\nauth:\n  type: bearer\n  token: some-literal-token # here\n")
	r.save("lines moved")
	same("lines moved, work tree")
	same("lines moved", "--base", "origin")
	r.git("reset", "-q", "--soft", "origin")
	r.save("squashed")
	same("squashed", "--base", "origin")
	same("squashed, history", "--history")
	r.git("checkout", "-q", "-b", "side", "origin")
	r.stage("side.txt", clean)
	r.save("side")
	r.git("checkout", "-q", "main")
	r.git("rebase", "-q", "side")
	same("rebased", "--base", "origin")
	r.git("gc", "-q")
	same("packed", "--history")
}

// A baseline silences what it lists and nothing new, and does not change when
// lines move or files are staged.
func TestBaseline(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.formation("agent", "STORED=hunter2-hunter2")
	r.stage("b.txt", leak+leak)
	r.save("old leaks")
	r.write("z.txt", "hunter2-hunter2\n")
	res := r.muxi("check", "--write-baseline", ".baseline.json")
	if res.code != 0 || !strings.Contains(res.err, "3 findings") {
		t.Fatalf("exit %d\n%s", res.code, res.err)
	}
	first := r.read(".baseline.json")
	if strings.Contains(first, "hunter2") || strings.Contains(first, "ghp_") || strings.Contains(first, `"line"`) {
		t.Error("it holds a value, or what changes when lines move")
	}
	for _, format := range checkFormats {
		if res := r.muxi("check", "--baseline", ".baseline.json", "--format", format); res.code != 0 {
			t.Errorf("%s: exit %d\n%s", format, res.code, res.out)
		}
	}
	r.finds(0, nil, "--baseline", ".baseline.json", "--history")
	r.finds(0, nil, "--baseline", ".baseline.json", "--base", "HEAD~1")

	// Moved, staged, and written again from a subfolder: not a byte changes.
	r.stage("z.txt", "moved\n\n"+r.read("z.txt"))
	r.write("b.txt", "top\n"+r.read("b.txt")+"end\n")
	r.git("add", ".baseline.json")
	r.finds(0, nil, "--baseline", ".baseline.json")
	r.at("agent").mustMuxi("check", "--write-baseline", "../.baseline.json")
	if r.read(".baseline.json") != first {
		t.Errorf("it changed from\n%s\nto\n%s", first, r.read(".baseline.json"))
	}
	if res := r.at("agent").muxi("check", "--baseline", "../.baseline.json"); res.code != 0 {
		t.Errorf("from a subfolder: exit %d\n%s", res.code, res.out)
	}

	r.write("b.txt", r.read("b.txt")+leak)
	r.write("new.txt", leak)
	r.finds(1, []string{"plaintext-key b.txt:5:8", "plaintext-key new.txt:1:8"}, "--baseline", ".baseline.json")
	if res := r.muxi("check", "--baseline", "agent/formation.afs"); res.code != 2 {
		t.Errorf("what is no baseline: exit %d\n%s", res.code, res.err)
	}
	// Both at once: the new file has all, the old one silences nothing of it.
	r.mustMuxi("check", "--baseline", ".baseline.json", "--write-baseline", "both.json")
	r.finds(0, nil, "--baseline", "both.json")
	empty := newRepo(t)
	empty.mustMuxi("check", "--write-baseline", "none.json")
	if got := empty.read("none.json"); strings.Contains(got, "null") {
		t.Errorf("an empty one: %s", got)
	}
}

// What may be silenced, and by what.
func TestAllow(t *testing.T) {
	sideBySide(t)
	line := strings.TrimSuffix(leak, "\n")
	for _, tt := range sample([]struct {
		name     string
		path     string
		content  string
		settings string
		found    int
	}{
		{name: "comment on the line", content: line + " # muxi-secrets:allow\n" + leak, found: 1},
		{name: "comment in another language", path: "a.go", content: "x := `" + line + "` // muxi-secrets:allow: a test\n"},
		{name: "no comment", content: "muxi-secrets:allow " + leak, found: 1},
		{name: "comment on the line before", content: "# muxi-secrets:allow\n" + leak, found: 1},
		{name: "path", settings: "allow:\n  - path: notes.txt\n"},
		{name: "folder", path: "test/data/a.txt", settings: "allow:\n  - path: test/\n"},
		{name: "name anywhere", path: "test/data/a.txt", settings: "allow:\n  - path: a.txt\n"},
		{name: "pattern", path: "test/data/a.txt", settings: "allow:\n  - path: \"test/**/*.txt\"\n"},
		{name: "another path", settings: "allow:\n  - path: other.txt\n", found: 1},
		{name: "rule", settings: "allow:\n  - rule: plaintext-key\n"},
		{name: "another rule", settings: "allow:\n  - rule: key-file\n", found: 1},
		{name: "path and rule", settings: "allow:\n  - path: notes.txt\n    rule: plaintext-key\n"},
		{name: "path and another rule", settings: "allow:\n  - path: notes.txt\n    rule: known-secret\n", found: 1},
		{name: "another path and rule", settings: "allow:\n  - path: other.txt\n    rule: plaintext-key\n", found: 1},
		{name: "one of several", settings: "allow:\n  - path: x\n  - path: notes.txt\n"},
		{name: "case matters", settings: "allow:\n  - path: NOTES.txt\n", found: 1},
		{name: "a key file by comment", path: ".key", content: "# muxi-secrets:allow\n", found: 1},
		{name: "a key file by path", path: "fixtures/.key", content: "x", settings: "allow:\n  - path: fixtures/.key\n"},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			if tt.path == "" {
				tt.path = "notes.txt"
			}
			if tt.content == "" {
				tt.content = leak
			}
			if tt.settings != "" {
				r.stage(".muxi-secrets.yaml", tt.settings)
			}
			r.stage("base.txt", "base\n")
			r.save("base")
			r.mustMuxi("hooks", "install")
			r.stage(tt.path, tt.content)
			for _, scope := range [][]string{nil, {"--staged"}} {
				if c, res := r.check(scope...); len(c.Findings) != tt.found {
					t.Errorf("check %v: exit %d, %q", scope, res.code, c.places())
				}
			}
			if res := r.try("commit", "-qm", "x"); (res.code == 0) != (tt.found == 0) {
				t.Errorf("commit: exit %d\n%s", res.code, res.err)
			}
			r.git("commit", "-q", "--no-verify", "--allow-empty", "-m", "x")
			for _, scope := range [][]string{{"--base", "HEAD~1"}, {"--history"}} {
				if c, _ := r.check(scope...); len(c.Findings) != tt.found {
					t.Errorf("check %v: %q", scope, c.places())
				}
			}
		})
	}
}

// Settings that are broken stop a hook too: nothing passes on half an answer.
func TestBrokenSettingsStopCommit(t *testing.T) {
	sideBySide(t)
	for _, settings := range []string{"allow: [", "keyPullCommand: id\n", "allow:\n  - {}\n", "maxAge: soon\n", "a: &a [*a]\n", strings.Repeat("[", 20000)} {
		r := newRepo(t)
		r.mustMuxi("hooks", "install")
		r.stage(".muxi-secrets.yaml", settings)
		res := r.try("commit", "-qm", "x")
		if res.code == 0 || !strings.Contains(res.err, ".muxi-secrets.yaml") || len(res.err) > 1000 {
			t.Errorf("%.20q: exit %d\n%.1000s", settings, res.code, res.err)
		}
		if r.head() != "" {
			t.Errorf("%.20q: committed", settings)
		}
	}
}
