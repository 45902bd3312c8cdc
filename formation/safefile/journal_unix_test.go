//go:build unix

package safefile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Into a folder that nobody may write to, nothing is finished: all is taken back. Root may write anywhere, so as root this asks a folder of the kernel's
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
	j := &journal{Version: journalVersion, Entries: []entry{
		{Path: "old", Before: &state{Mode: 0o644, Content: []byte("old content")}, After: &state{Mode: 0o600, Content: []byte("first")}},
		{Folder: 1, Path: "new", After: &state{Mode: 0o600, Content: []byte("second")}},
	}}
	content, err := j.encode()
	if err != nil {
		t.Fatal(err)
	}
	place := Place{Folders: []string{writable, dir}, Journal: filepath.Join(t.TempDir(), "journal")}
	write(t, place.Journal, content)
	did, err := Replay(place, Files{})
	var back *TakenBackError
	var file *Error
	if did || !errors.As(err, &back) || !errors.As(err, &file) || file.Path != filepath.Join(dir, "new") {
		t.Errorf("%t, %v", did, err)
	}
	if exists(place.Journal) {
		t.Error("the journal is there")
	}
	if old, err := os.ReadFile(filepath.Join(writable, "old")); string(old) != "old content" || err != nil {
		t.Errorf("a part of it was done, %v", err)
	}
	noTemps(t, writable, filepath.Dir(place.Journal))
}
