//go:build unix

package formation

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"
)

// A pipe is refused at once, where reading or writing it would block for ever.
func TestPipesRefused(t *testing.T) {
	f := makeFormation(t, map[string]string{"formation.afs": ""})
	for _, name := range [...]string{KeyFile, VaultFile, TemplateFile} {
		if err := syscall.Mkfifo(f.Path(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan map[string]error, 1)
	go func() {
		b := Files{}.Batch()
		defer b.Discard()
		got := map[string]error{"Replace": b.Replace(f.Path(VaultFile), nil, 0o600)}
		_, got["ReadKey"] = f.ReadKey()
		_, _, got["ReadSealed"] = f.ReadSealed()
		_, _, _, got["ReadTemplate"] = f.ReadTemplate()
		done <- got
	}()
	select {
	case got := <-done:
		for name, err := range got {
			var file *FileError
			if !errors.As(err, &file) || !errors.Is(err, errNotRegular) {
				t.Errorf("%s: %v", name, err)
			}
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it blocks")
	}
}

// A new file is private from its first byte, whatever the umask and whatever
// mode it has in the end.
func TestPrivateFromTheFirstByte(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	w := newWorld(t)
	looked := 0
	b := Files{Fault: func(step Step, path string) error {
		for _, temp := range Leftovers(w.dir) {
			if step != StepWrite && step != StepSync {
				continue // the mode that was asked for may be set already
			}
			looked++
			if info, err := os.Stat(temp); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("at '%s': %v, %v", step, info.Mode(), err)
			}
		}
		return nil
	}}.Batch()
	if err := b.Create(w.path("key"), []byte("k"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := ModeOf(w.path("key"), 0); got != 0o600 || looked != 2 {
		t.Errorf("mode %v, looked %d times", got, looked)
	}
}

// A tight umask takes nothing from the mode that is asked for.
func TestModeWhateverTheUmask(t *testing.T) {
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, mode := range [...]fs.FileMode{0o600, 0o644, 0o664} {
		b := Files{}.Batch()
		if err := b.Replace(dir+"/f", nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		if got := ModeOf(dir+"/f", 0); got != mode {
			t.Errorf("%v, want %v", got, mode)
		}
	}
}

// In a folder that nobody may write to, nothing changes. Root may, so as root
// this asks a folder of the kernel's that refuses even root.
func TestReadOnlyFolder(t *testing.T) {
	dir := makeFiles(t, map[string]string{"old": "old content"})
	if os.Geteuid() == 0 {
		if _, err := os.Stat("/proc/self/status"); err != nil {
			return
		}
		dir = "/proc/self"
	} else {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o700)
	}
	for name, prepare := range map[string]func(b *Batch) error{
		"Replace": func(b *Batch) error { return b.Replace(dir+"/old", []byte("x"), 0o600) },
		"Create":  func(b *Batch) error { return b.Create(dir+"/new", []byte("x"), 0o600) },
	} {
		b := Files{}.BatchIn(dir)
		err := prepare(b)
		b.Discard()
		var file *FileError
		if !errors.As(err, &file) || file.Op != "write" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
