package commands_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// mountedAlone mounts a file on itself, as containers do with one that is mounted
// as a file: it can be read and written, and nothing can be put in its place.
func mountedAlone(t *testing.T, path string) (free func()) {
	t.Helper()
	if err := syscall.Mount(path, path, "", syscall.MS_BIND, ""); err != nil {
		if os.Getenv("CI") == "true" && os.Getuid() == 0 {
			t.Fatalf("cannot mount a file: %v", err)
		}
		t.Skipf("cannot mount a file (it takes root): %v", err)
	}
	mounted := true
	free = func() {
		if mounted {
			must(t, syscall.Unmount(path, syscall.MNT_DETACH))
		}
		mounted = false
	}
	t.Cleanup(free)
	return free
}

// immutable gives a file the attribute that 'chattr +i' gives.
func immutable(t *testing.T, path string) (free func()) {
	t.Helper()
	const flag = 0x10 // FS_IMMUTABLE_FL
	set := func(on bool) error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		flags, err := unix.IoctlGetUint32(int(file.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			return err
		}
		if flags &^= flag; on {
			flags |= flag
		}
		return unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, int(flags))
	}
	if err := set(true); err != nil {
		t.Skipf("cannot make a file immutable (it takes root, and a file system that can): %v", err)
	}
	free = func() { must(t, set(false)) }
	t.Cleanup(func() { set(false) })
	return free
}

// TestUnreplaceable: where one of the files that belong together cannot be
// replaced, all stay as they are, the file is named with the cause, and reading
// goes on.
func TestUnreplaceable(t *testing.T) {
	isolateProcess(t)
	t.Setenv("XDG_CONFIG_HOME", "")
	own := ownIdentity(t)
	for obstacle, test := range map[string]struct {
		put  func(*testing.T, string) func()
		hint string
	}{
		"mounted alone": {mountedAlone, "mount the folder that it lies in"},
		"immutable":     {immutable, "'sudo chattr -i .key' ends that"},
	} {
		t.Run(obstacle, func(t *testing.T) {
			b := newSandbox(t, simpleExample, true)
			shared(b, own)
			free := test.put(t, filepath.Join(b.dir, ".key"))
			for _, args := range [][]string{{"rotate"}, {"convert", "--to", "age"}, {"share", "remove", "Bob"}} {
				before := b.tree()
				r := b.call(run{}, args...)
				if r.code != 3 || !strings.Contains(r.err, "error: cannot replace '.key': ") || !strings.Contains(r.err, "; nothing was changed\n") || !strings.Contains(r.err, test.hint) {
					t.Errorf("%s: exit %d\n%s", args[0], r.code, r.err)
				}
				if changed := differing(before, b.tree()); len(changed) > 0 {
					t.Errorf("%s changed %v", args[0], changed)
				}
				b.settled(args[0])
			}
			b.do("", "list")
			b.do("sk-another", "add", "ANOTHER", "--stdin")
			b.do("", "delete", "ANOTHER")

			free()
			b.do("", "rotate")
			b.settled("free again")
		})
	}
}

// TestUnreplaceableAfterKill: what a killed command began, and the next one cannot
// finish, is taken back.
func TestUnreplaceableAfterKill(t *testing.T) {
	long(t)
	isolateProcess(t)
	t.Setenv("XDG_CONFIG_HOME", "")
	b := newSandbox(t, simpleExample, true)
	shared(b, ownIdentity(t))
	before := b.read("secrets.enc")
	if r := b.spawn(run{env: []string{"TEST_FAULT=rename@.key=kill"}}, "rotate"); r.code != -1 {
		t.Fatalf("not killed: exit %d\n%s", r.code, r.err)
	}
	if b.read("secrets.enc") == before {
		t.Fatal("nothing was put in place")
	}
	mountedAlone(t, filepath.Join(b.dir, ".key"))
	r := b.call(run{}, "list")
	if r.code != 0 || !strings.Contains(r.err, "was taken back") || !strings.Contains(r.err, "cannot replace '.key'") {
		t.Errorf("exit %d\n%s", r.code, r.err)
	}
	if b.read("secrets.enc") != before {
		t.Error("the vault is another")
	}
	b.settled("taken back")
	if values, ok := b.secrets(); !ok || !maps.Equal(values, keptValues) {
		t.Error("a value is lost")
	}
}

// TestOwnerStays: root in somebody else's checkout (a container, sudo) leaves
// nothing there that its owner cannot use.
func TestOwnerStays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to work in another user's folder")
	}
	isolateProcess(t)
	t.Setenv("XDG_CONFIG_HOME", "")
	const user, group = 1234, 1235
	give := func(b *sandbox) {
		must(b, filepath.WalkDir(b.top, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, user, group)
		}))
	}
	theirs := func(b *sandbox, when string) {
		must(b, filepath.WalkDir(b.top, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(b.top, path)
			must(b, err)
			if rel == filepath.Join(".git", "config") {
				return nil // which git writes
			}
			info, err := entry.Info()
			must(b, err)
			if stat := info.Sys().(*syscall.Stat_t); stat.Uid != user || stat.Gid != group {
				b.Errorf("%s: %s is of %d:%d", when, rel, stat.Uid, stat.Gid)
			}
			return nil
		}))
	}
	own := ownIdentity(t)

	b := newSandbox(t, simpleExample, true)
	give(b)
	b.git("config", "--global", "safe.directory", "*")
	b.do("a value", "add", "OPENAI_API_KEY", "--stdin")
	theirs(b, "the first add")
	must(t, os.Chmod(filepath.Join(b.dir, ".key"), 0o640))
	must(t, os.Chmod(filepath.Join(b.dir, "secrets.enc"), 0o644))
	for _, l := range []line{
		{stdin: "a value", args: []string{"add", "OTHER", "--stdin"}}, {args: []string{"rename", "OTHER", "RENAMED"}}, {args: []string{"share", "add", own, "--name", "Own"}},
		{args: []string{"rotate"}}, {args: []string{"sync"}}, {args: []string{"hooks", "uninstall"}}, {args: []string{"hooks", "install"}},
	} {
		b.do(l.stdin, l.args...)
		theirs(b, strings.Join(l.args, " "))
	}
	for name, want := range map[string]fs.FileMode{".key": 0o600, "secrets.enc": 0o600} {
		if info, err := os.Stat(filepath.Join(b.dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}

	// A killed one's journal is root's, and root finishes it.
	if r := b.spawn(run{env: []string{"TEST_FAULT=rename@.key=kill"}}, "rotate"); r.code != -1 {
		t.Fatalf("not killed: exit %d\n%s", r.code, r.err)
	}
	b.do("", "list")
	if left := b.journals(); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
	theirs(b, "finished")
}

// TestReadingWhileStuck: where a killed change can be neither finished nor taken back,
// reading goes on with a key that is kept, and says why nothing is finished.
func TestReadingWhileStuck(t *testing.T) {
	isolateProcess(t)
	t.Setenv("XDG_CONFIG_HOME", "")
	b := newSandbox(t, simpleExample, true)
	shared(b, ownIdentity(t))
	if r := b.spawn(run{env: []string{"TEST_FAULT=rename@.key=kill"}}, "rotate"); r.code != -1 {
		t.Fatalf("not killed: exit %d\n%s", r.code, r.err)
	}
	stuck := run{fault: func(step safefile.Step, _ string) error {
		if step == safefile.StepRename {
			return syscall.EBUSY
		}
		return nil
	}}
	before := b.tree()
	for name, value := range keptValues {
		if r := b.call(stuck, "get", name); r.code != 0 || r.out != value || !strings.Contains(r.err, "warning: ") {
			t.Errorf("get %s: exit %d\n%s", name, r.code, r.err)
		}
	}
	for _, args := range [][]string{{"rotate"}, {"unlock"}, {"delete", "--force", "OPENAI_API_KEY"}} {
		if r := b.call(stuck, args...); r.code != 3 && r.code != 4 || !strings.Contains(r.err, "cannot replace '.key'") {
			t.Errorf("%v: exit %d\n%s", args, r.code, r.err)
		}
	}
	for _, path := range differing(before, b.tree()) {
		if !strings.Contains(path, ".muxi-secrets-tmp-") { // those are swept
			t.Errorf("%s changed", path)
		}
	}
	b.do("", "list")
	b.settled("free again")
}

// TestUnreplaceableIsKnown: an immutable file is known for one before a value is asked
// for.
func TestUnreplaceableIsKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.enc")
	must(t, os.WriteFile(path, nil, 0o600))
	free := immutable(t, path)
	if err := safefile.Replaceable(path); err == nil {
		t.Error("an immutable file can be replaced")
	}
	free()
	if err := safefile.Replaceable(path); err != nil {
		t.Errorf("an ordinary one: %v", err)
	}
}
