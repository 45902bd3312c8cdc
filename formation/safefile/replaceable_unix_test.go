//go:build unix

package safefile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := Replaceable(file); err != nil {
		t.Errorf("one that is not there: %v", err)
	}
	if err := os.WriteFile(file, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := Replaceable(file); err != nil {
		t.Errorf("a read-only one: %v", err)
	}
	if err := Replaceable(dir); !errors.Is(err, ErrIsFolder) {
		t.Errorf("a folder: %v", err)
	}

	if os.Geteuid() == 0 {
		t.Log("root may write anywhere: .ci/ordinary asks the rest, as an ordinary user")
		return
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	if Replaceable(file) == nil {
		t.Error("in a folder that takes no files")
	}
}
