package commands_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDiskFull runs the commands that write on a file system of 64 KiB that is
// full: exit 3, the way out, and every file as it was.
func TestDiskFull(t *testing.T) {
	isolateProcess(t)
	t.Setenv("GIT_EDITOR", editorScript(t, `grep -q ^EDITED= "$1" || echo EDITED=x >>"$1"`)) // opened again it leaves what it had
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		if os.Getenv("CI") == "true" && os.Getuid() == 0 {
			t.Fatalf("cannot mount a small tmpfs: %v", err)
		}
		t.Skipf("cannot mount a small tmpfs (it takes root): %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(disk, syscall.MNT_DETACH)) })

	b := newSandbox(t, agentExample, false)
	b.top, b.dir = disk, filepath.Join(disk, "agent")
	must(t, os.CopyFS(b.dir, os.DirFS(filepath.Join("..", "testdata", "formations", agentExample))))
	must(t, os.WriteFile(filepath.Join(b.dir, "agents", "literal.afs"), []byte("token: hunter2-hunter2\n"), 0o644))
	fill := filepath.Join(disk, "fill")
	full := func() {
		t.Helper()
		file, err := os.Create(fill)
		must(t, err)
		defer file.Close()
		for chunk := make([]byte, 4096); ; {
			if _, err := file.Write(chunk); err != nil {
				return
			}
		}
	}
	for _, l := range []line{
		{stdin: "a value", args: []string{"add", "OPENAI_API_KEY", "--stdin"}},
		{stdin: strings.Repeat("x", 5000), args: []string{"add", "FRESH", "--stdin"}},
		{args: []string{"rename", "OPENAI_API_KEY", "RENAMED"}},
		{args: []string{"extract", "--yes"}},
		{stdin: "NEW=1\nRENAMED=2\n", args: []string{"import", "-", "--overwrite"}},
		{args: []string{"delete", "NEW"}},
		{args: []string{"edit"}},
		{args: []string{"export", "--output", "values.env"}},
		{args: []string{"init", "--start-over"}},
	} {
		if l.args[0] == "init" {
			must(t, os.Remove(filepath.Join(b.dir, ".key")))
		}
		full()
		before := b.tree()
		r := b.call(run{stdin: l.stdin}, l.args...)
		if r.code != 3 || !strings.Contains(r.err, "no space left") || !strings.Contains(r.err, "hint: free some space") {
			t.Errorf("%s on a full disk: exit %d\n%s", l.args[0], r.code, r.err)
		}
		if differ := differing(before, b.tree()); len(differ) > 0 {
			t.Errorf("%s on a full disk changed %v", l.args[0], differ)
		}
		must(t, os.Remove(fill))
		b.do(l.stdin, l.args...)
	}
}
