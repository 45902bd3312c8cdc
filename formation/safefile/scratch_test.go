//go:build unix

package safefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestScratch(t *testing.T) {
	place := filepath.Join(t.TempDir(), "place")
	s, err := NewScratch([]string{filepath.Join(place, "nowhere", "x"), place})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(s.Dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	// At work: it stays.
	SweepScratch([]string{place})
	if _, err := os.Stat(filepath.Join(s.Dir, "file")); err != nil {
		t.Error("one that is at work was removed")
	}
	// Its process is gone, and with it the lock.
	s.lock.file.Close()
	SweepScratch([]string{place})
	if _, err := os.Stat(place); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something is left behind")
	}

	s, err = NewScratch([]string{place})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(place); !errors.Is(err, fs.ErrNotExist) {
		t.Error("Close leaves something")
	}
}

// A place that others may read, or that leads elsewhere, is none.
func TestScratchOfOthers(t *testing.T) {
	dir := t.TempDir()
	open, link := filepath.Join(dir, "open"), filepath.Join(dir, "link")
	for _, err := range []error{os.Mkdir(open, 0o700), os.Chmod(open, 0o755), os.Symlink(dir, link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(open, scratchPrefix+"x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := NewScratch([]string{open, link}); err == nil {
		t.Errorf("made %s", s.Dir)
	}
	SweepScratch([]string{open, link})
	if _, err := os.Stat(filepath.Join(open, scratchPrefix+"x")); err != nil {
		t.Error("a folder that is not ours was swept")
	}
	if _, err := NewScratch(nil); err == nil {
		t.Error("there is a place where none is given")
	}
}

// Some make scratch folders while others sweep: nobody loses one.
func TestScratchRaces(t *testing.T) {
	place := filepath.Join(t.TempDir(), "place")
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for range 40 {
				SweepScratch([]string{place})
			}
		})
		done.Go(func() {
			for range 40 {
				s, err := NewScratch([]string{place})
				var refused *Error
				if errors.As(err, &refused) && errors.Is(refused.Err, errSwept) {
					continue // five times in a row
				}
				if err != nil {
					t.Error(err)
					continue
				}
				if err := os.WriteFile(filepath.Join(s.Dir, "file"), nil, 0o600); err != nil {
					t.Error("one that is at work was removed")
				}
				s.Close()
			}
		})
	}
	done.Wait()
}
