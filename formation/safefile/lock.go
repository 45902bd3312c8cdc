package safefile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
)

// Lock keeps writers apart. The operating system drops it when its process
// ends, however that ends, so there is no stale lock to remove by hand.
type Lock struct{ file *os.File }

// LockedError says that the lock was not had in time, and who has it.
type LockedError struct {
	Path   string        // of the lock file
	Holder string        // "process 4711 on build-7 ('add', since 15:04:05)", or ""
	Waited time.Duration // zero: did not wait
}

func (e *LockedError) Error() string {
	holder := e.Holder
	if holder == "" {
		holder = "another process"
	}
	return fmt.Sprintf("%s is writing here; waited %s for it", holder, e.Waited.Round(time.Millisecond))
}

// OpLock is the Op of an *Error that AcquireLock returns where no lock can be
// made: nobody can write there.
const OpLock = "make lock"

// errBusy is what tryLock returns while another process has the lock.
var errBusy = errors.New("locked")

// AcquireLock takes the lock at path (a file that is made if need be and is
// never removed), waiting at most wait. doing says what for, to whoever waits.
// It fails with *LockedError, *Error, or ctx's error.
func AcquireLock(ctx context.Context, path, doing string, wait time.Duration) (*Lock, error) {
	file, err := openLock(path)
	if err != nil {
		return nil, &Error{OpLock, path, err}
	}

	start := time.Now()
	for {
		err := tryLock(file)
		if err == nil {
			noteHolder(file, doing)
			return &Lock{file}, nil
		}

		if !errors.Is(err, errBusy) {
			file.Close()
			return nil, &Error{"lock", path, err}
		}

		waited := time.Since(start)
		if waited >= wait {
			holder := holderOf(path)
			file.Close()
			return nil, &LockedError{path, holder, waited}
		}

		// A random pause keeps fifty waiters from all trying at once.
		pause := time.Duration(1+rand.IntN(8)) * time.Millisecond
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-time.After(min(pause, wait-waited)):
		}
	}
}

// openLock opens the lock's file, a new one if need be.
func openLock(path string) (*os.File, error) {
	if err := MakeFolder(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		giveTo(file, folderOwner(filepath.Dir(path))) // or they wait for it all the same
		return file, nil
	}
	if file, err = os.OpenFile(path, os.O_RDWR, 0); errors.Is(err, fs.ErrPermission) {
		return os.Open(path) // another user's: it can still be waited for
	}
	return file, err
}

// Release lets the next writer in.
func (l *Lock) Release() {
	if l == nil || l.file == nil {
		return
	}
	l.file.Truncate(0)
	unlock(l.file)
	l.file.Close()
	l.file = nil
}

// noteHolder writes who has the lock into it, for the message to others.
// Failing at that is no reason to fail.
func noteHolder(file *os.File, doing string) {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	file.Truncate(0)
	fmt.Fprintf(&offsetWriter{file}, "process %d on %s ('%s', since %s)", os.Getpid(), host, doing, time.Now().Format("15:04:05"))
}

// offsetWriter writes at the start of a file wherever its offset is.
type offsetWriter struct{ file *os.File }

func (w *offsetWriter) Write(b []byte) (int, error) { return w.file.WriteAt(b, 0) }

func holderOf(path string) string {
	note, err := os.ReadFile(path)
	if err != nil || len(note) > 400 {
		return ""
	}
	// Somebody else's file: nothing in it may steer our terminal.
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, string(note))
}

// Sweep removes the temp files that killed commands left in dirs, unless a
// writer is at work just now. It is called by every command, also by those
// that only read, so it costs one look at each folder when there is nothing.
func Sweep(lockPath string, dirs ...string) {
	var left []string
	for _, dir := range dirs {
		left = append(left, Leftovers(dir)...)
	}
	if len(left) == 0 {
		return
	}

	// A child that a killed command was just starting keeps its lock until it
	// runs a program of its own: a moment later it is gone.
	lock, err := AcquireLock(context.Background(), lockPath, "sweep", 30*time.Millisecond)
	if err != nil {
		return
	}
	defer lock.Release()
	for _, path := range left {
		removeTemp(path)
	}
}

// removeTemp removes a temp file, or a link to one and the one it points to.
func removeTemp(path string) {
	info, err := os.Lstat(path)
	if err != nil {
		return
	}
	switch info.Mode().Type() {
	case 0:
		os.Remove(path)
	case fs.ModeSymlink:
		// Any link may bear the name: it decides about temp files alone.
		temp, err := os.Readlink(path)
		if err != nil || filepath.Base(temp) != filepath.Base(path) {
			return
		}
		if info, err := os.Lstat(temp); err == nil && info.Mode().IsRegular() {
			os.Remove(temp)
		}
		os.Remove(path)
	}
}
