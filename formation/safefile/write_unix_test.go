//go:build unix

package safefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

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
	}}.Batch(w.place())
	if err := b.Create(w.path("key"), []byte("k"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := modeOf(w.path("key"), 0); got != 0o600 || looked != 2 {
		t.Errorf("mode %v, looked %d times", got, looked)
	}
}

// A tight umask takes nothing from the mode that is asked for.
func TestModeWhateverTheUmask(t *testing.T) {
	dir := t.TempDir()
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	for _, mode := range [...]fs.FileMode{0o600, 0o644, 0o664} {
		file := filepath.Join(dir, mode.String())
		if err := (Files{}).Replace(file, nil, mode); err != nil {
			t.Fatal(err)
		}
		if got := modeOf(file, 0); got != mode {
			t.Errorf("%v, want %v", got, mode)
		}
		// And what a person gave it stays.
		if err := (Files{}).Replace(file, []byte("again"), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := modeOf(file, 0); got != mode {
			t.Errorf("replaced: %v, want %v", got, mode)
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
		b := Files{}.Batch(Place{Folders: []string{dir}})
		err := prepare(b)
		b.Discard()
		var file *Error
		if !errors.As(err, &file) || file.Op != "write" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
