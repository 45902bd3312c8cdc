package hooks

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation/formationtest"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// TestEditLefthook: a file of lefthook's comes to run every hook of ours, nothing
// else in it changes, and it is taken out again to the byte; or the file is left
// alone, and why is said.
func TestEditLefthook(t *testing.T) {
	for _, tt := range []struct {
		name, content string
		refused       string // "" where it is done
	}{
		{"empty", "", ""},
		{"comments", "# lefthook\n# nothing yet", ""},
		{"another setting", "skip_output: [meta]\n", ""},
		{"no line end", "pre-commit:\n  commands:\n    lint:\n      run: x", ""},
		{"commands", "pre-commit:\n  parallel: true # fast\n  commands: # all\n    # lints\n    lint: {run: x, glob: '*.js'}\n\npre-push:\n  commands:\n    test:\n      run: y\n", ""},
		{"jobs", "pre-commit:\n  jobs:\n    # first\n    - run: x\n    - group:\n        jobs: [{run: y}]\n", ""},
		{"jobs at the margin", "pre-commit:\n  jobs:\n  - run: x\ncommit-msg:\n  jobs:\n  -   name: y\n      run: y\n", ""},
		{"commands and jobs", "pre-commit:\n  jobs:\n    - run: x\n  commands:\n    a:\n      run: y\n", ""},
		{"neither", "pre-commit:\n    parallel: true\n    tags: a\n", ""},
		{"nothing behind it", "pre-commit:\npre-push: # later\ncommit-msg: # later still", ""},
		{"nothing behind commands", "pre-commit:\n  commands:\n", ""},
		{"Windows", "pre-commit:\r\n  commands:\r\n    lint:\r\n      run: x\r\n", ""},
		{"Windows, no line end", "# x\r\npre-commit:\r\n  commands:\r\n    lint:\r\n      run: x", ""},
		{"indented", "  pre-commit:\n    commands:\n      lint:\n        run: x\n  output: [meta]\n", ""},
		{"a document's mark", "---\npre-commit:\n  commands:\n    lint:\n      run: x\n", ""},
		{"quoted names", "\"pre-commit\":\n  'commands':\n    lint:\n      run: x\n", ""},
		{"a text over lines", "pre-commit:\n  commands:\n    lint:\n      run: |\n        one\n        two\n\n# the end\n", ""},
		{"anchors elsewhere", "x: &x\n  run: x\npre-commit:\n  commands:\n    lint: *x\n    more:\n      <<: *x\n", ""},
		{"an anchor on the commands", "pre-commit:\n  commands: &all\n    lint:\n      run: x\npre-push:\n  commands: *all\n", "has an anchor"},
		{"an alias", "x: &x\n  commands:\n    lint:\n      run: x\npre-commit: *x\n", "is an alias"},
		{"flow style", "pre-commit: {commands: {lint: {run: x}}}\n", "is in flow style"},
		{"flow style within", "pre-commit:\n  commands: {lint: {run: x}}\n", "is in flow style"},
		{"an empty mapping", "pre-commit:\n  commands: {}\n", "is in flow style"},
		{"all in flow style", "{pre-commit: {commands: {}}}\n", "is no mapping in block style"},
		{"JSON", "{\"pre-commit\": {}}\n", "is no mapping in block style"},
		{"a list", "- x\n", "is no mapping in block style"},
		{"broken", "pre-commit: [\n", "is no valid YAML"},
		{"a tab", "pre-commit:\n\tcommands:\n", "is no valid YAML"},
		{"twice", "pre-commit:\n  a: 1\npre-commit:\n  b: 1\n", "line 3"},
		{"a text without a line end", "x: |\n  text", "would not say the same"},
		{"two documents", "pre-commit:\n  commands:\n    a:\n      run: x\n---\nother: 1\n", "would not say the same"},
		{"a document's end", "x: 1\n...\n", "would not say the same"},
		{"a name over two lines", "? pre-commit\n: commands:\n    a:\n      run: x\n", ""},
		{"skipped", "pre-commit:\n  skip: true\n  commands:\n    a:\n      run: x\n", "skip"},
		{"for certain files", "pre-commit:\n  glob: '*.js'\n  commands:\n    a:\n      run: x\n", "glob"},
		{"one of the same name", "pre-commit:\n  commands:\n    muxi-secrets:\n      run: x\n", "of its own"},
		{"a single value", "pre-commit: x\n", "is a single value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := t.TempDir()
			write(t, top, map[string]string{"lefthook.yml": tt.content})
			names := All(false)
			changes, err := planLefthook(top, names)
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refused) {
					t.Fatalf("it says %v", err)
				}
				if unsafe, ok := err.(*UnsafeError); !ok || strings.Count(unsafe.Snippet, "muxi-secrets hook-run") != len(names) {
					t.Errorf("what to write by hand: %q", unsafe.Snippet)
				}
				return
			}
			if err != nil || len(changes) != 1 {
				t.Fatalf("%v, %v", changes, err)
			}
			checkTakenOut(t, changes[0], tt.content)
			write(t, top, map[string]string{"lefthook.yml": string(changes[0].After)})
			for _, name := range names {
				if lefthookCalls(top, name) != callHeard {
					t.Errorf("%s is not called\n%s", name, changes[0].After)
				}
			}
			if again, err := planLefthook(top, names); err != nil || len(again) != 0 {
				t.Errorf("again: %v, %v", again, err)
			}
		})
	}
}

func checkTakenOut(t *testing.T, change *Change, before string) {
	t.Helper()
	rest, found, _, err := takeOut(change.After)
	if err != nil || !found || string(rest) != before {
		t.Errorf("%v, %v: %q, was %q", found, err, rest, before)
	}
	if crlf := strings.Count(before, "\r\n"); crlf > 0 && bytes.Count(change.After, []byte("\n")) != bytes.Count(change.After, []byte("\r\n")) {
		t.Errorf("mixed line ends: %q", change.After)
	}
}

func TestEditPreCommit(t *testing.T) {
	for _, tt := range []struct{ name, content, refused string }{
		{"one", "repos:\n  - repo: https://github.com/x/y\n    rev: v1\n    hooks: [{id: a}]\n", ""},
		{"at the margin", "repos:\n-   repo: local\n    hooks:\n    -   id: x\n        name: x\n        entry: y\n        language: system\n", ""},
		{"a local one is there", "# top\nrepos: # all\n  # ours\n  - repo: local\n    hooks:\n      - {id: x, name: x, entry: y, language: system}\nfail_fast: true", ""},
		{"Windows", "default_stages: [commit]\r\nrepos:\r\n- repo: local\r\n  hooks: []\r\n", ""},
		{"nothing behind it", "repos:\n", ""},
		{"empty", "repos: []\n", "is in flow style"},
		{"flow style", "repos: [{repo: local, hooks: []}]\n", "is in flow style"},
		{"an anchor", "repos: &r\n  - repo: local\n    hooks: []\nci: *r\n", "has an anchor"},
		{"none", "fail_fast: true\n", "has no repos"},
		{"no file", "", "has no repos"},
		{"broken", "repos: [\n", "is no valid YAML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := t.TempDir()
			write(t, top, map[string]string{preCommitSettings: tt.content})
			names := All(false)
			changes, err := planPreCommit(top, names)
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refused) {
					t.Fatalf("it says %v", err)
				}
				return
			}
			if err != nil || len(changes) != 1 {
				t.Fatalf("%v, %v", changes, err)
			}
			checkTakenOut(t, changes[0], tt.content)
			write(t, top, map[string]string{preCommitSettings: string(changes[0].After)})
			if again, err := planPreCommit(top, names); err != nil || len(again) != 0 {
				t.Errorf("again: %v, %v", again, err)
			}
		})
	}

	// What is there by hand is not written a second time.
	top := t.TempDir()
	write(t, top, map[string]string{preCommitSettings: "repos:\n  - repo: local\n    hooks:\n      - id: m\n        entry: git-muxi-secrets hook-run pre-commit\n        stages: [commit]\n"})
	changes, err := planPreCommit(top, All(false))
	if err != nil || strings.Count(string(changes[0].After), "hook-run pre-commit") != 2 || strings.Contains(string(changes[0].After), "[commit, merge-commit]") {
		t.Errorf("%v\n%s", err, changes[0].After)
	}
}

func TestPlanHusky(t *testing.T) {
	for _, tt := range []struct{ name, content, begins, refused string }{
		{"version 9", "npm test\n", beginMark, ""},
		{"version 8", "#!/usr/bin/env sh\n. \"$(dirname -- \"$0\")/_/husky.sh\"\n\nnpx lint-staged\n", "#!/usr/bin/env sh\n. \"$(dirname -- \"$0\")/_/husky.sh\"\n" + beginMark, ""},
		{"no line end", "#!/bin/sh", "#!/bin/sh\n" + beginMark, ""},
		{"empty", "", beginMark, ""},
		{"it ends early", "#!/bin/sh\nexit 0\n", "#!/bin/sh\n" + beginMark, ""},
		{"Windows", "npm test\r\n", "", "line ends of Windows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := t.TempDir()
			for _, name := range All(false) {
				write(t, top, map[string]string{".husky/" + name: tt.content})
			}
			changes, err := planHusky(top, All(false))
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refused) {
					t.Fatalf("it says %v", err)
				}
				return
			}
			if err != nil || len(changes) != len(All(false)) {
				t.Fatalf("%v, %v", changes, err)
			}
			for _, change := range changes {
				checkTakenOut(t, change, tt.content)
				if !strings.HasPrefix(string(change.After), tt.begins) {
					t.Errorf("%s", change.After)
				}
			}
		})
	}

	top := t.TempDir()
	write(t, top, map[string]string{"elsewhere": "x\n"})
	if err := os.Mkdir(filepath.Join(top, ".husky"), 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Symlink("../elsewhere", filepath.Join(top, ".husky", "pre-commit")) == nil {
		if _, err := planHusky(top, All(false)); err == nil || !strings.Contains(err.Error(), "plain file") {
			t.Errorf("a link: %v", err)
		}
	}
}

// TestTakeOut: what somebody did to the file since stays.
func TestTakeOut(t *testing.T) {
	const ours = beginMark + endBegin + "\nx\n" + endMark + "\n"
	const glued = beginMark + markNoEnd + endBegin + "\nx\n" + endMark + "\n"
	for _, tt := range []struct {
		content, want string
		broken        bool
	}{
		{"a\n" + ours + "b\n", "a\nb\n", false},
		{"  " + strings.ReplaceAll(ours, "\n", "\n  "), "  ", false},
		{"a\n" + glued, "a", false},
		{"a\n" + glued + "b\n", "a\nb\n", false},
		{"a\r\n" + strings.ReplaceAll(glued, "\n", "\r\n"), "a", false},
		{ours + "a\n" + ours, "a\n", false},
		{"a\n" + beginMark + endBegin + "\nx\n", "", true},
		{"a\n" + endMark + "\n", "", true},
		{beginMark + endBegin + "\n" + ours, "", true},
	} {
		rest, _, _, err := takeOut([]byte(tt.content))
		if (err != nil) != tt.broken || string(rest) != tt.want {
			t.Errorf("%q: %q, %v", tt.content, rest, err)
		}
	}
}

// FuzzAdopt: whatever a file has, it comes back to the byte, or is left alone.
func FuzzAdopt(f *testing.F) {
	f.Add([]byte("pre-commit:\n  commands:\n    lint:\n      run: x"))
	f.Add([]byte("repos:\r\n- repo: local\r\n  hooks: []\r\n"))
	f.Add([]byte("{a: [b]}"))
	f.Add([]byte(beginMark + endBegin + "\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if bytes.Contains(content, []byte(beginMark)) || bytes.Contains(content, []byte(endMark)) {
			takeOut(content)
			return
		}
		lefthook, err := editLefthook(content, All(false))
		if err == nil {
			if rest, _, _, err := takeOut(lefthook); err != nil || !bytes.Equal(rest, content) {
				t.Errorf("lefthook: %q, %v", rest, err)
			}
		}
		if framework, err := editPreCommit(content, All(false)); err == nil {
			if rest, _, _, err := takeOut(framework); err != nil || !bytes.Equal(rest, content) {
				t.Errorf("pre-commit: %q, %v", rest, err)
			}
		}
		(&Change{Before: content, After: lefthook}).Diff("x")
	})
}

func TestOffsetOfLine(t *testing.T) {
	const text = "\n\nab\nc"
	for line, want := range []int{0, 0, 1, 2, 5, 6, 6} {
		if got := offsetOfLine([]byte(text), line); got != want {
			t.Errorf("line %d begins at %d, want %d", line, got, want)
		}
	}
}

// A new file is one that was not there, as diff -u says it; of the lines above only
// bare names are shown.
func TestDiffOfAChange(t *testing.T) {
	for _, tt := range []struct{ before, after, want string }{
		{"", "b\n", "--- /dev/null\n+++ b/x\n@@ -0,0 +1,1 @@\n+b\n"},
		{"a:\n", "a:\n  b\n", "--- a/x\n+++ b/x\n@@ -1,1 +1,2 @@\n a:\n+  b\n"},
		{"token: t\n", "token: t\nb\n", "--- a/x\n+++ b/x\n@@ -1,0 +2,1 @@\n+b\n"},
	} {
		c := &Change{After: []byte(tt.after)}
		if tt.before != "" {
			c.Before = []byte(tt.before)
		}
		if got := c.Diff("x"); got != tt.want {
			t.Errorf("%q to %q:\n%swant\n%s", tt.before, tt.after, got, tt.want)
		}
	}
}

// Only a hook that git tells something on standard input reads it, and only where
// something follows that wants it, too: another one would wait for the keyboard.
func TestHuskyReadsInput(t *testing.T) {
	for _, name := range All(false) {
		for _, more := range []bool{false, true} {
			lines := strings.Join(huskyLines(name, more), "\n")
			if reads := strings.Contains(lines, "cat"); reads != (name == "pre-push" && more) {
				t.Errorf("%s, more %t: it reads: %t\n%s", name, more, reads, lines)
			}
		}
	}
}

// What git does not answer is no permission to write.
func TestApplyWithoutGit(t *testing.T) {
	r := gittest.New(t)
	in := &Installer{Repo: formationtest.Open(r, "git"), Program: "/x/git-muxi-secrets"}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := r.Path("lefthook.yml")
	if err := in.Apply(ctx, []*Change{{Path: file, After: []byte("x\n"), mode: 0o644}}); err == nil {
		t.Error("no error")
	}
	if _, err := os.Lstat(file); err == nil {
		t.Error("it was written")
	}
	if err := in.Apply(t.Context(), []*Change{{Path: file, After: []byte("x\n"), mode: 0o644}}); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "x\n" {
		t.Errorf("%q, %v", content, err)
	}
}
