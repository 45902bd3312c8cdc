//go:build unix

package safefile

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// asRoot skips where this is not root, who alone gives files away.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it takes root to make files of other users")
	}
}

func chown(t *testing.T, path string, user, group int) {
	t.Helper()
	if err := os.Lchown(path, user, group); err != nil {
		t.Fatal(err)
	}
}

// of tells user, group and mode of a file.
func of(t *testing.T, path string) (owner, fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return *ownerOf(info), info.Mode().Perm()
}

// Root in somebody else's folder (a container, sudo) leaves every file theirs.
func TestOwnerStays(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	them := owner{1234, 1235}
	for _, path := range []string{w.dir, w.other, w.path("old"), filepath.Join(w.other, "real"), w.path("gone")} {
		chown(t, path, them.User, them.Group)
	}
	if err := os.Chmod(w.path("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	b := Files{Fault: func(step Step, path string) error {
		if step == StepRename && path == w.path("old") {
			// Who wrote the journal finishes it.
			if got, mode := of(t, w.place().Journal); got.User != 0 || mode != 0o600 {
				t.Errorf("the journal is of %v, %v", got, mode)
			}
		}
		return nil
	}}.Batch(w.place())
	if err := w.fill(b); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{w.path("old"): 0o640, filepath.Join(w.other, "real"): 0o644, w.path("new"): 0o600, w.path("fresh"): 0o644, w.path("aside"): 0o644} {
		if got, mode := of(t, path); got != them || mode != want {
			t.Errorf("%s is of %v with mode %v", filepath.Base(path), got, mode)
		}
	}
	made := filepath.Join(w.dir, "a", "b")
	if err := MakePrivate(made); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{made, filepath.Dir(made)} {
		if got, mode := of(t, dir); got != them || mode != 0o700 {
			t.Errorf("the folder %s is of %v with mode %v", filepath.Base(dir), got, mode)
		}
	}
	lock, err := AcquireLock(t.Context(), filepath.Join(made, "lock"), "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	lock.Release()
	if got, _ := of(t, filepath.Join(made, "lock")); got != them {
		t.Errorf("the lock is of %v", got)
	}
}

// What is taken back is theirs, too, a file that was removed as well.
func TestOwnerStaysWhenTakenBack(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	for i, name := range []string{"old", "gone"} {
		chown(t, w.path(name), 1234+i, 4321)
	}
	b := Files{Fault: func(step Step, path string) error {
		if step == StepRename && path == w.path("dangling") {
			return errInjected
		}
		return nil
	}}.Batch(w.place())
	if err := w.fill(b); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	for i, name := range []string{"old", "gone"} {
		if got, _ := of(t, w.path(name)); got != (owner{1234 + i, 4321}) {
			t.Errorf("%s is of %v", name, got)
		}
	}
}

// A journal of another user's is not read: it may say anything.
func TestJournalOfAnother(t *testing.T) {
	asRoot(t)
	r, _ := cut(t, 4)
	chown(t, r.journal, 1234, 1234)
	before := snapshot(t, r.top)
	_, err := Replay(r.place(), Files{})
	var bad *JournalError
	if !errors.As(err, &bad) || !errors.Is(err, ErrForeign) || !maps.Equal(before, snapshot(t, r.top)) {
		t.Errorf("%v", err)
	}
}

// TestOwnerChild, as another user, replaces a file of root's.
func TestOwnerChild(t *testing.T) {
	dir := os.Getenv("TEST_OWNER_DIR")
	if dir == "" {
		return // run by the test below
	}
	err := Files{}.Replace(filepath.Join(dir, "old"), []byte("new"), 0o644)
	var file *Error
	if !errors.As(err, &file) || file.Op != OpOwner || file.Path != filepath.Join(dir, "old") {
		t.Errorf("%v", err)
	}
}

// Where a file cannot stay its owner's, nothing changes.
func TestOwnerCannotStay(t *testing.T) {
	asRoot(t)
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The other user must get at both.
	dir, err := os.MkdirTemp("/tmp", "owner")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	binary, err := os.ReadFile(executable)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o777), os.WriteFile(filepath.Join(dir, "test"), binary, 0o755)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "old"), []byte("old content"))
	before := snapshot(t, dir)
	cmd := exec.Command(filepath.Join(dir, "test"), "-test.run=^TestOwnerChild$")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TEST_OWNER_DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if !maps.Equal(before, snapshot(t, dir)) {
		t.Error("something changed")
	}
}
