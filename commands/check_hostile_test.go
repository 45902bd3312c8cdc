//go:build unix

package commands_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// Names that would steer a terminal are quoted wherever they are said.
func TestHostileNames(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	evil := "\x1b]0;owned\x07\x1b[2J\r\n\u009b31m\u202etxt"
	r.formation("agent"+evil, "TOKEN=hunter2-hunter2")
	r.mustMuxi("hooks", "install")
	r.stage(evil, leak)
	r.stage("agent"+evil+"/.key", r.read("agent"+evil+"/.key"))
	r.stage("agent"+evil+"/secrets", "TOKEN=a-real-value-here\n")
	r.refer("agent"+evil+"/formation.afs", "MISSING")
	r.git("add", "-A")
	raw := func(what string, res result) {
		t.Helper()
		for _, steering := range []string{"\x1b", "\x07", "\r", "\u009b", "\u202e"} {
			if strings.Contains(res.out+res.err, steering) {
				t.Errorf("%s: %q is printed raw", what, steering)
			}
		}
	}
	raw("commit", r.try("commit", "-qm", "x"))
	r.git("rm", "-q", "--cached", evil, "agent"+evil+"/.key", "agent"+evil+"/secrets")
	raw("commit with warnings", r.try("commit", "-qm", "x"))
	r.git("add", "-A", "-f")
	r.save(leak + evil)
	for _, format := range checkFormats {
		raw(format, r.muxi("check", "--format", format))
		raw(format+" --history", r.muxi("check", "--history", "--format", format))
	}
	r.git("tag", "-am", leak, "v1")
	raw("check --base", r.muxi("check", "--base", evil))
	raw("hooks", r.at("agent"+evil).muxi("hooks", "status"))
	r.write(".muxi-secrets.yaml", "\"a\\eb\u202e\": 1\n")
	raw("settings", r.muxi("check"))
}

// Files made to exhaust or to confuse whoever parses them.
func TestHostileFiles(t *testing.T) {
	long(t)
	sideBySide(t)
	r := newRepo(t)
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for name := 'b'; name <= 'z'; name++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", name, name, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", name-1), 9), ", "))
	}
	r.write("bomb/formation.afs", bomb+"x: ${{ secrets.BOMB }}\nserver:\n  api_keys:\n    admin_key: a-literal-key-1\n")
	r.write("deep/formation.afs", strings.Repeat("[", 10_000)+"\n")
	r.write("deeper/formation.afs", deepYAML(10_000)+"x: ${{ secrets.DEEP }}\n")
	r.write("merge/formation.afs", "a: &a\n  <<: *a\n  b: ${{ secrets.MERGE }}\n")
	r.write("invalid/formation.afs", "a: \xff\xfe\xc3\x28 ${{ secrets.INVALID }}\ntoken: \xff"+leak)
	r.write("empty/formation.afs", "")
	r.write("nul/formation.afs", strings.Repeat("\x00", 5000))
	r.write("long/formation.afs", "a: "+strings.Repeat("x", 3_000_000)+"\n"+strings.Repeat("b: ${{ secrets.A }}\n", 50_000))
	r.write("unclosed/formation.afs", strings.Repeat("${{ secrets.", 100_000))
	r.write("dots/secrets.enc", "-----BEGIN AGE ENCRYPTED FILE-----\n")
	r.write("bom.txt", "\xef\xbb\xbf"+leak)
	r.write("odd-utf16.txt", "\xfe\xff\x00")
	r.mustMuxi("hooks", "install")
	r.git("add", "-A")
	c, res := r.check()
	if res.code != 1 {
		t.Errorf("check: exit %d\n%s", res.code, res.err)
	}
	found := strings.Join(c.places(), "\n")
	for _, want := range []string{"plaintext-key invalid/formation.afs:2:", "plaintext-key bom.txt:1:", "plaintext-key bomb/formation.afs:"} {
		if !strings.Contains(found, want) {
			t.Errorf("%s is not found in\n%s", want, found)
		}
	}
	if res := r.try("commit", "-qm", "x"); res.code == 0 || strings.Contains(res.err, "panic") || strings.Contains(res.err, "goroutine") {
		t.Errorf("commit: exit %d\n%.2000s", res.code, res.err)
	}
	r.git("rm", "-rq", "--cached", "dots", "bom.txt", "invalid", "bomb")
	if res := r.try("commit", "-qm", "x"); res.code != 0 {
		t.Errorf("without the leaks: exit %d\n%.2000s", res.code, res.err)
	}
}

func deepYAML(levels int) string {
	var b strings.Builder
	for i := range levels {
		b.WriteString(strings.Repeat(" ", i))
		b.WriteString("a:\n")
	}
	return b.String()
}

// A large file is searched as far as the bound goes, and said to be.
func TestHostileLargeFile(t *testing.T) {
	long(t)
	sideBySide(t)
	r := newRepo(t)
	r.formation("agent", "TOKEN=hunter2-hunter2")
	r.mustMuxi("hooks", "install")
	line := bytes.Repeat([]byte("abcdefghijklmnopqrstuvwxyz 0123456789 =\n"), 1<<20/40)
	file, err := os.Create(r.path("large.bin"))
	must(t, err)
	for range 100 {
		_, err := file.Write(line)
		must(t, err)
	}
	_, err = file.WriteString("hunter2-hunter2\n" + leak)
	must(t, err)
	must(t, file.Close())
	r.git("-c", "core.compression=0", "add", "large.bin")
	start := time.Now()
	res := r.try("commit", "-qm", "x")
	t.Logf("100 MB staged: %v", time.Since(start))
	if res.code == 0 || !strings.Contains(res.err, "large.bin:") || !strings.Contains(res.err, "TOKEN") || !strings.Contains(res.err, "not checked in full: large.bin (longer than 64 MiB") {
		t.Errorf("commit: exit %d\n%s", res.code, res.err)
	}
	c, _ := r.check()
	if len(c.Checked.Skipped) != 1 || c.Checked.Skipped[0].Path != "large.bin" || c.Checked.Skipped[0].Reason == "" {
		t.Errorf("skipped: %+v", c.Checked.Skipped)
	}
}

func TestHostileManyFiles(t *testing.T) {
	long(t)
	sideBySide(t)
	r := newRepo(t)
	r.mustMuxi("hooks", "install")
	var stream strings.Builder
	stream.WriteString("commit refs/heads/main\ncommitter T <t@example.com> 1700000000 +0000\ndata 1\nx\n")
	for i := range 100_000 {
		fmt.Fprintf(&stream, "M 644 inline d%d/f%d\ndata 2\n%d\n\n", i%1000, i, i%10)
	}
	fmt.Fprintf(&stream, "M 644 inline d0/zzz\ndata %d\n%s\n", len(leak), leak)
	if res := r.run(stream.String(), "git", "fast-import", "--quiet"); res.code != 0 {
		t.Fatal(res.err)
	}
	r.git("read-tree", "HEAD")
	start := time.Now()
	c, res := r.check("--history")
	t.Logf("100,000 files in the history: %v", time.Since(start))
	if res.code != 1 || len(c.Findings) != 1 || c.Findings[0].Path != "d0/zzz" || c.Checked.Files != 100_001 {
		t.Errorf("history: exit %d, %d findings, %d files", res.code, len(c.Findings), c.Checked.Files)
	}
	r.git("update-ref", "-d", "refs/heads/main")
	start = time.Now()
	res = r.try("commit", "-qm", "x")
	t.Logf("100,000 files staged: %v", time.Since(start))
	if res.code == 0 || !strings.Contains(res.err, "d0/zzz:1:8") {
		t.Errorf("commit: exit %d\n%.500s", res.code, res.err)
	}
}

// A thousand leaks do not fill the screen.
func TestHostileManyFindings(t *testing.T) {
	long(t)
	sideBySide(t)
	r := newRepo(t)
	r.mustMuxi("hooks", "install")
	for i := range 50 {
		r.write(fmt.Sprintf("f%02d.txt", i), strings.Repeat(leak, 100))
	}
	r.git("add", "-A")
	res := r.try("commit", "-qm", "x")
	if lines := strings.Count(res.err, "\n"); res.code == 0 || lines > 50 || !strings.Contains(res.err, " more\n") {
		t.Errorf("exit %d, %d lines", res.code, lines)
	}
}

// Nothing that a repository brings along is ever run, and no attribute or
// setting of its own keeps a leak from being seen.
func TestHostileSettings(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.formation("agent", "TOKEN=hunter2-hunter2")
	r.git("branch", "origin")
	canary := r.path("../canary")
	touch := "touch '" + canary + "'; cat"
	r.hook("evil.sh", touch+"\n")
	evil := r.path("evil.sh")
	for key, value := range map[string]string{
		"filter.evil.clean": touch, "filter.evil.smudge": touch, "filter.evil.process": evil, "filter.evil.required": "true",
		"diff.evil.textconv": evil, "diff.evil.command": evil, "diff.external": evil, "merge.evil.driver": evil,
		"core.fsmonitor": evil, "core.sshCommand": evil, "core.pager": evil, "core.editor": evil, "core.askPass": evil,
		"core.gitProxy": evil, "credential.helper": "!" + touch, "gpg.program": evil, "uploadpack.packObjectsHook": evil,
		"alias.diff-index": "!" + touch, "alias.cat-file": "!" + touch, "alias.ls-files": "!" + touch, "pager.diff-index": evil,
		"core.alternateRefsCommand": evil, "interactive.diffFilter": evil, "trailer.x.command": evil, "log.showSignature": "true",
		"remote.origin.url": "ext::" + evil, "remote.origin.promisor": "true", "remote.origin.partialclonefilter": "blob:none",
		"init.templateDir": r.path(".git"), "submodule.x.update": "!" + touch, "core.hooksPath": r.path("hooks"),
		"muxi-secrets.keyPullCommand": touch, "muxi-secrets.keyPushCommand": touch, "include.path": "../evil.config",
		"core.worktree": "", "extensions.worktreeConfig": "true",
	} {
		if key == "core.worktree" {
			continue
		}
		r.git("config", key, value)
	}
	for _, hook := range []string{"pre-commit", "post-index-change", "post-checkout", "reference-transaction", "pre-auto-gc", "fsmonitor-watchman"} {
		r.hook("hooks/"+hook, touch+"\n")
	}
	plain := []string{
		"-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "filter.evil.clean=", "-c", "filter.evil.process=",
		"-c", "filter.evil.required=false",
	}
	r.write(".gitattributes", "* filter=evil diff=evil merge=evil -text working-tree-encoding=UTF-16\n*.txt -diff binary export-ignore\n[attr]leak -diff\n")
	r.write("notes.txt", leak)
	id := strings.TrimSpace(r.run(leak, "git", append(plain, "hash-object", "-w", "--stdin", "--no-filters")...).out)
	attributes := strings.TrimSpace(r.run(r.read(".gitattributes"), "git", append(plain, "hash-object", "-w", "--stdin", "--no-filters")...).out)
	r.git(append(plain, "update-index", "--add", "--cacheinfo", "100644,"+id+",notes.txt", "--cacheinfo", "100644,"+attributes+",.gitattributes")...)
	must(t, os.RemoveAll(canary))
	untouched := func(what string) {
		t.Helper()
		if _, err := os.Stat(canary); err == nil {
			t.Errorf("%s ran a command of the repository", what)
			must(t, os.RemoveAll(canary))
		}
	}
	want := []string{"plaintext-key notes.txt:1:8"}
	filtered := append([]string{"git-files .gitattributes:1:1", "git-files .gitattributes:1:1"}, want...)
	r.finds(1, filtered)
	untouched("check")
	r.finds(1, filtered, "--staged")
	untouched("check --staged")
	if res := r.muxi("hook-run", "pre-commit"); res.code != 1 {
		t.Errorf("hook-run: exit %d\n%s", res.code, res.err)
	}
	untouched("pre-commit")
	r.muxi("hooks", "status")
	untouched("hooks status")
	// A formation's files have no filter: the commit stops, and none is asked.
	r.git(append(plain, "rm", "-q", "--cached", "notes.txt")...)
	reference := strings.TrimSpace(r.run("id: agent\nx: ${{ secrets.NEW }}\n", "git", append(plain, "hash-object", "-w", "--stdin", "--no-filters")...).out)
	r.git(append(plain, "update-index", "--cacheinfo", "100644,"+reference+",agent/formation.afs")...)
	if res := r.muxi("hook-run", "pre-commit"); res.code != 1 || !strings.Contains(res.err, "'filter=evil'") {
		t.Errorf("hook-run: exit %d\n%s", res.code, res.err)
	}
	untouched("the files of a formation")
	commit := r.git(append(plain, "commit-tree", r.git(append(plain, "write-tree")...), "-p", "HEAD", "-m", "x")...)
	r.git(append(plain, "update-ref", "refs/heads/main", commit)...)
	must(t, os.RemoveAll(canary))
	for _, scope := range [][]string{{"--base", "origin"}, {"--history"}, {"--range", "origin..HEAD"}} {
		r.check(scope...)
		untouched("check " + scope[0])
	}
}

// What the work tree leads to by links is neither read as part of it nor written.
func TestHostileLinks(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.formation("agent", "TOKEN=hunter2-hunter2")
	r.mustMuxi("hooks", "install")
	outside := r.path("../outside")
	r.write("../outside/precious", "PATH=/usr/bin\nOTHER=1\n")
	r.write("../outside/leak.txt", leak)
	must(t, os.Symlink(outside, r.path("folder")))
	must(t, os.Symlink(filepath.Join(outside, "leak.txt"), r.path("file.txt")))
	r.remove("agent/secrets")
	must(t, os.Symlink(filepath.Join(outside, "precious"), r.path("agent/secrets")))
	r.refer("agent/formation.afs", "NEW")
	r.git("add", "-A")
	r.git("commit", "-qm", "x")
	if got := r.read("../outside/precious"); got != "PATH=/usr/bin\nOTHER=1\n" {
		t.Errorf("the hook wrote through a link: %q", got)
	}
	c, _ := r.check()
	for _, f := range c.Findings {
		if f.Rule == "plaintext-key" {
			t.Errorf("a file outside is judged: %s", f.Path)
		}
	}
	must(t, os.Symlink("loop", r.path("loop")))
	must(t, os.Symlink("/dev/zero", r.path("zero")))
	must(t, os.Symlink("/dev/zero", r.path("agent/agents")))
	if _, res := r.check(); res.code > 1 {
		t.Errorf("exit %d\n%s", res.code, res.err)
	}
}

// Pipes and devices are not waited for.
func TestHostilePipes(t *testing.T) {
	sideBySide(t)
	needs.Program(t, "mkfifo")
	r := newRepo(t)
	r.formation("agent", "TOKEN=hunter2-hunter2")
	for _, path := range []string{"pipe", "agent/pipe.afs", "agent/skills"} {
		r.mustRun("mkfifo", path)
	}
	r.remove("agent/secrets")
	r.mustRun("mkfifo", "agent/secrets")
	done := make(chan result, 1)
	go func() { done <- r.muxi("check") }()
	select {
	case res := <-done:
		if strings.Contains(res.err, "panic") {
			t.Error(res.err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for a pipe")
	}
}

// Another user's repository is git's to refuse, and the message says how to
// trust it.
func TestHostileOwner(t *testing.T) {
	sideBySide(t)
	r := newRepo(t)
	r.stage("notes.txt", leak)
	r.save("leaky")
	r.env = []string{"GIT_TEST_ASSUME_DIFFERENT_OWNER=1"}
	for _, args := range [][]string{{"check"}, {"check", "--staged"}, {"check", "--history"}, {"check", "--base", "HEAD"}, {"hooks", "install"}, {"hook-run", "pre-commit"}} {
		res := r.muxi(args...)
		if res.code != 3 || !strings.Contains(res.err, "another user") || !strings.Contains(res.err, "safe.directory") {
			t.Errorf("%v: exit %d\n%s", args, res.code, res.err)
		}
	}
}
