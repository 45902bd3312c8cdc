package hooks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation/formationtest"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
)

const stored = "hunter2-hunter2"

// newRunner is what a hook has in a repository.
func newRunner(t *testing.T, r *gittest.Repo) *Runner {
	t.Helper()
	repo := formationtest.Open(r.For(t), "git")
	writer, err := gitutil.Writing(repo)
	if err != nil {
		t.Fatal(err)
	}
	keys := history.NewKeys(t.Context(), repo, r.Dir)
	t.Cleanup(keys.Close)
	return &Runner{
		Repo: writer, Keys: keys, Getenv: r.Getenv,
		Reopen: func() (gitutil.Repository, error) {
			return gitutil.Open(r.Dir, gitutil.Options{Backend: "git", Environ: r.Env, Getenv: r.Getenv})
		},
	}
}

// said are the findings of an outcome, those that only warn with a "w".
func said(o *Outcome) string {
	var lines []string
	for _, f := range o.Findings {
		lines = append(lines, fmt.Sprintf("%s %s", f.Rule, f.Path))
	}
	for _, f := range o.Warnings {
		lines = append(lines, fmt.Sprintf("w %s %s", f.Rule, f.Path))
	}
	return strings.Join(lines, ", ")
}

// What is staged is judged, and nothing else; the staged template is made of what
// is staged, the one on disk of what is there.
func TestPreCommit(t *testing.T) {
	r := gittest.New(t)
	formationtest.Put(r, "agent", formationtest.NewKey(t), "TOKEN="+stored)
	r.Write("agent/.gitattributes", attributesText())
	r.Commit("formation")

	r.Write("notes.txt", "it is "+stored+"\n") // not staged
	r.Stage("fine.txt", "fine\n")
	if o, err := newRunner(t, r).PreCommit(t.Context()); err != nil || said(o) != "" {
		t.Errorf("a leak that is not staged: %v, %v", said(o), err)
	}
	r.Git("add", "notes.txt")
	o, err := newRunner(t, r).PreCommit(t.Context())
	if err != nil || said(o) != "known-secret notes.txt" || !Stops(o.Findings) {
		t.Fatalf("a leak: %v, %v", said(o), err)
	}
	r.Git("rm", "-q", "--cached", "notes.txt")

	r.Stage("agent/more.afs", "x: ${{ secrets.STAGED }}\n")
	r.Write("agent/more.afs", "x: ${{ secrets.STAGED }}\ny: ${{ secrets.DISK }}\n")
	o, err = newRunner(t, r).PreCommit(t.Context())
	if err != nil || said(o) != "w missing-secret agent/more.afs" || Stops(o.Findings) || len(o.Templates) != 1 {
		t.Errorf("a new reference: %v, templates %v, %v", said(o), o.Templates, err)
	}
	if staged, disk := r.Git("show", ":agent/secrets"), r.Read("agent/secrets"); staged != "STAGED=\nTOKEN=" || disk != "DISK=\nSTAGED=\nTOKEN=\n" {
		t.Errorf("staged %q, on disk %q", staged, disk)
	}
}

// attributesText is what a formation's .gitattributes must say.
func attributesText() string {
	text := ""
	for _, a := range judge.Attributes(false) {
		text += a.File + " " + a.Attributes + "\n"
	}
	return text
}

// A message is judged as git would leave it.
func TestCommitMessage(t *testing.T) {
	r := gittest.New(t)
	formationtest.Put(r, "agent", formationtest.NewKey(t), "TOKEN="+stored)
	r.Commit("formation")
	for message, want := range map[string]string{"fine\n": "", "it is " + stored + "\n": "known-secret ", "fine\n# it is " + stored + "\n": ""} {
		r.Write(".git/COMMIT_EDITMSG", message)
		o, err := newRunner(t, r).CommitMessage(t.Context(), r.Path(".git/COMMIT_EDITMSG"))
		if err != nil || said(o) != want {
			t.Errorf("%q, %v, want %q", said(o), err, want)
		}
	}
}

// A push is judged by what the remote lacks: a leak that was taken out again is
// still pushed, and one that it has is no news.
func TestPrePush(t *testing.T) {
	r := gittest.New(t)
	formationtest.Put(r, "agent", formationtest.NewKey(t), "TOKEN="+stored)
	base := r.Commit("formation")
	r.Write("notes.txt", "it is "+stored+"\n")
	leak := r.Commit("leak")
	r.Remove("notes.txt")
	tip := r.Commit("gone again")
	zero := strings.Repeat("0", 40)
	for name, tt := range map[string]struct{ remote, want string }{
		"new branch":    {zero, "known-secret notes.txt, git-files agent/.gitattributes"},
		"from the base": {base, "known-secret notes.txt"},
		"after it":      {leak, ""},
		"nothing":       {tip, ""},
	} {
		line := "refs/heads/main " + tip + " refs/heads/main " + tt.remote + "\n"
		o, err := newRunner(t, r).PrePush(t.Context(), "origin", strings.NewReader(line))
		if err != nil || said(o) != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, said(o), err, tt.want)
		}
	}
}

// hookFiles are the files of the hooks' folder, samples left out.
func hookFiles(t *testing.T, r *gittest.Repo) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(r.Path(".git/hooks"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".sample") {
			info, err := entry.Info()
			if err != nil {
				t.Fatal(err)
			}
			target, _ := os.Readlink(r.Path(filepath.Join(".git/hooks", entry.Name())))
			found[entry.Name()] = fmt.Sprintf("%v %s %s", info.Mode(), target, r.Read(filepath.Join(".git/hooks", entry.Name())))
		}
	}
	return found
}

// Installed, again, and uninstalled: a hook that was there is kept, and comes
// back to the byte.
func TestInstallAndUninstall(t *testing.T) {
	r := gittest.New(t)
	r.Write(".git/hooks/pre-commit", "#!/bin/sh\necho mine\n")
	if err := os.Chmod(r.Path(".git/hooks/pre-commit"), 0o755); err != nil {
		t.Fatal(err)
	}
	before := hookFiles(t, r)
	in := &Installer{Repo: formationtest.Open(r, "git"), Program: "/usr/bin/git-muxi-secrets"}
	changed, err := in.Install(t.Context())
	if err != nil || len(changed) != len(All(false)) {
		t.Fatalf("%v, %v", changed, err)
	}
	if again, err := in.Install(t.Context()); err != nil || len(again) != 0 {
		t.Errorf("again: %v, %v", again, err)
	}
	hooks, _, err := in.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, hook := range hooks {
		if hook.State != Installed || hook.Kept != (hook.Name == "pre-commit") {
			t.Errorf("%+v", hook)
		}
	}
	if _, err := in.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := hookFiles(t, r); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("uninstalled:\n%v\nwant\n%v", after, before)
	}
}

// linkHooks makes one hook a link to another, and one a link to an older text of ours.
func linkHooks(t *testing.T, r *gittest.Repo) {
	t.Helper()
	r.Link(".git/hooks/pre-commit", "pre-push")
	r.Write(".git/linked", strings.Replace(Script("commit-msg", "/x/git-muxi-secrets"), idLine+scriptVersion, idLine+"v0", 1))
	if err := os.Chmod(r.Path(".git/linked"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.Link(".git/hooks/commit-msg", "../linked")
}

// A write that fails at any step leaves every hook as it was, or all in place.
func TestInstallFailsAtEveryStep(t *testing.T) {
	steps := 0
	for at := 0; at <= steps; at++ {
		r := gittest.New(t)
		r.Write(".git/hooks/pre-push", "#!/bin/sh\n")
		if err := os.Chmod(r.Path(".git/hooks/pre-push"), 0o755); err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" {
			linkHooks(t, r)
		}
		before := hookFiles(t, r)
		seen, injected := 0, errors.New("injected")
		in := &Installer{Repo: formationtest.Open(r, "git"), Program: "/x/git-muxi-secrets", Files: safefile.Files{Fault: func(step safefile.Step, _ string) error {
			if seen++; seen == at {
				return injected
			}
			return nil
		}}}
		_, err := in.Install(t.Context())
		if at == 0 {
			steps = seen // the run without a fault counts them
		}
		if err != nil && !errors.Is(err, injected) {
			t.Errorf("step %d: %v", at, err)
		}
		in.Files = safefile.Files{}
		if err := in.Finish(t.Context()); err != nil {
			t.Errorf("step %d, finishing: %v", at, err)
		}
		after := hookFiles(t, r)
		hooks, _, statusErr := in.Status(t.Context())
		installed := 0
		for _, hook := range hooks {
			if hook.State == Installed {
				installed++
			}
		}
		if whole := installed == len(All(false)); statusErr != nil || !whole && (err == nil || fmt.Sprint(after) != fmt.Sprint(before)) {
			t.Errorf("step %d of %d: %d hooks installed, %v", at, steps, installed, err)
		}
	}
	if steps < 10 {
		t.Errorf("only %d steps", steps)
	}
}
