//go:build unix

package formation

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Into a folder that nobody may write to, nothing is finished, and the journal
// waits. Root may write anywhere, so as root this asks a folder of the kernel's
// that refuses even root.
func TestReplayReadOnlyFolder(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		if _, err := os.Stat("/proc/self/status"); err != nil {
			t.Skip("as root, and no /proc")
		}
		dir = "/proc/self"
	} else {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o700)
	}
	writable := makeFiles(t, map[string]string{"old": "old content"})
	first, second := []byte("first"), []byte("second")
	content, err := json.Marshal(journal{journalVersion, []journalEntry{
		{Path: filepath.Join(writable, "old"), Mode: 0o600, Before: hashOf([]byte("old content")), After: hashOf(first), Content: first},
		{Path: filepath.Join(dir, "new"), Mode: 0o600, After: hashOf(second), Content: second},
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "journal")
	write(t, path, content)
	for range 2 {
		did, err := Replay(path, Files{})
		var file *FileError
		if did || !errors.As(err, &file) || file.Path != filepath.Join(dir, "new") {
			t.Errorf("%t, %v", did, err)
		}
		if there, err := exists(path); !there || err != nil {
			t.Errorf("the journal is there: %t, %v", there, err)
		}
		if old, err := os.ReadFile(filepath.Join(writable, "old")); string(old) != "old content" || err != nil {
			t.Errorf("a part of it was done, %v", err)
		}
		noTemps(t, writable, filepath.Dir(path))
	}
}
