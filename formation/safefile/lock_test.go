package safefile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
	"github.com/muxi-ai/git-muxi-secrets/internal/ramdisk"
)

// What the test binary does instead of testing, when it runs as a second
// process: the first argument, with a path in the second.
const (
	roleHold  = "hold-the-lock"   // until stdin ends
	roleCount = "count-and-count" // adds to a number in a file, under the lock
	roleWrite = "write-and-write" // replaces a file until it is killed
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case roleHold, roleCount, roleWrite:
			if err := play(os.Args[1], os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(ramdisk.Tests{M: m}.Run())
}

const counts = 20

func play(role, path string) error {
	lockPath := filepath.Join(path, "lock")
	switch role {
	case roleHold:
		lock, err := AcquireLock(context.Background(), lockPath, "hold", 0)
		if err != nil {
			return err
		}
		defer lock.Release()
		fmt.Println("held")
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	case roleCount:
		for range counts {
			lock, err := AcquireLock(context.Background(), lockPath, "count", time.Minute)
			if err != nil {
				return err
			}
			file := filepath.Join(path, "number")
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			number, err := strconv.Atoi(string(text))
			if err != nil {
				return err
			}
			b := Files{}.Batch(Place{})
			if err := b.Replace(file, strconv.AppendInt(nil, int64(number)+1, 10), 0o600); err != nil {
				return err
			}
			if err := b.Commit(); err != nil {
				return err
			}
			lock.Release()
		}
	case roleWrite:
		fmt.Println("writing")
		for i := 0; ; i++ {
			lock, err := AcquireLock(context.Background(), lockPath, "write", time.Minute)
			if err != nil {
				return err
			}
			place := killedPlace(path)
			if _, err := Replay(place, Files{}); err != nil {
				return err
			}
			b := Files{}.Batch(place)
			for _, name := range [...]string{"vault", "elsewhere/link"} {
				if err := b.Replace(filepath.Join(path, name), []byte(strings.Repeat(strconv.Itoa(i%10), 100_000)), 0o600); err != nil {
					return err
				}
			}
			if err := b.Commit(); err != nil {
				return err
			}
			lock.Release()
		}
	}
	return nil
}

// killedPlace is where roleWrite writes.
func killedPlace(dir string) Place {
	return Place{Folders: []string{dir}, Journal: filepath.Join(dir, "state", "journal")}
}

// second starts this test binary as a second process; line is its first.
func second(t *testing.T, role, path string) (cmd *exec.Cmd, stdin io.Closer, line string) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(executable, role, path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the second process said nothing: %v", err)
	}
	return cmd, in, strings.TrimSpace(line)
}

func TestLockNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lock")
	cmd, stdin, _ := second(t, roleHold, dir)

	start := time.Now()
	_, err := AcquireLock(context.Background(), path, "test", 150*time.Millisecond)
	took := time.Since(start)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Path != path {
		t.Fatalf("%v", err)
	}
	if want := fmt.Sprintf("process %d on ", cmd.Process.Pid); !strings.HasPrefix(locked.Holder, want) || !strings.Contains(locked.Holder, "('hold', since ") {
		t.Errorf("holder %q", locked.Holder)
	}
	if took < 150*time.Millisecond || took > 5*time.Second || locked.Waited < 150*time.Millisecond {
		t.Errorf("waited %v, says %v", took, locked.Waited)
	}
	if !strings.Contains(err.Error(), locked.Holder) {
		t.Errorf("the message does not name the holder: %v", err)
	}

	// Not waiting at all.
	if _, err := AcquireLock(context.Background(), path, "test", 0); !errors.As(err, &locked) {
		t.Errorf("%v", err)
	}
	// Interrupted while waiting.
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := AcquireLock(ctx, path, "test", time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	// Had while waiting.
	time.AfterFunc(50*time.Millisecond, func() { stdin.Close() })
	lock, err := AcquireLock(context.Background(), path, "test", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	lock.Release()
	lock.Release()
	(*Lock)(nil).Release()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if note, err := os.ReadFile(path); err != nil || len(note) > 0 {
		t.Errorf("the lock still names somebody: %q, %v", note, err)
	}
}

func TestLockReleasedByKill(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lock")
	cmd, _, _ := second(t, roleHold, dir)
	if _, err := AcquireLock(context.Background(), path, "test", 0); err == nil {
		t.Fatal("two have the lock")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	lock, err := AcquireLock(context.Background(), path, "test", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	note, _ := os.ReadFile(path)
	if !strings.HasPrefix(string(note), fmt.Sprintf("process %d on ", os.Getpid())) || strings.Contains(string(note), "hold") {
		t.Errorf("the note is %q", note)
	}
}

// What a stranger wrote into the lock file cannot steer a terminal.
func TestLockHolderIsHarmless(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lock")
	lock, err := AcquireLock(context.Background(), path, "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	var locked *LockedError
	for note, want := range map[string]string{"a\x1b]0;b\x07\x7f\r\n\u009bc": "a]0;bc", strings.Repeat("x", 401): "", "": ""} {
		write(t, path, []byte(note))
		_, err := AcquireLock(context.Background(), path, "test", 0)
		if !errors.As(err, &locked) || locked.Holder != want {
			t.Errorf("%q: holder %q, %v", note, locked.Holder, err)
		}
		if want == "" && !strings.HasPrefix(err.Error(), "another process ") {
			t.Errorf("%v", err)
		}
	}
}

func TestLockCannotBeMade(t *testing.T) {
	dir := makeFiles(t, map[string]string{"file": ""})
	for _, path := range [...]string{"file/lock", "file/deep/lock", "."} {
		_, err := AcquireLock(context.Background(), filepath.Join(dir, path), "test", time.Minute)
		var file *Error
		if !errors.As(err, &file) || file.Op != "make lock" {
			t.Errorf("%s: %v", path, err)
		}
	}
	lock, err := AcquireLock(context.Background(), filepath.Join(dir, "not", "yet", "lock"), "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	lock.Release()
}

// Several processes and several goroutines of one: nobody's count is lost.
func TestLockCounts(t *testing.T) {
	dir := makeFiles(t, map[string]string{"number": "0"})
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const processes, routines = 3, 3
	failed := make([]error, processes+routines)
	var all sync.WaitGroup
	for i := range failed {
		all.Go(func() {
			if i < routines {
				failed[i] = play(roleCount, dir)
			} else {
				failed[i] = exec.Command(executable, roleCount, dir).Run()
			}
		})
	}
	all.Wait()
	for i, err := range failed {
		if err != nil {
			t.Errorf("counter %d: %v", i, err)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "number")); string(got) != strconv.Itoa(counts*len(failed)) {
		t.Errorf("counted to %s", got)
	}
	noTemps(t, dir)
}

func TestSweep(t *testing.T) {
	dir, other := makeFiles(t, map[string]string{"keep": "", tempPrefix + "a": "", ".muxi-secrets-other": ""}), makeFiles(t, map[string]string{
		tempPrefix + "b": "", "important": "", tempPrefix + "d": "",
	})
	// Links: to a temp file of the same name, to nothing any more, and two that
	// somebody else made to have us delete what they point to.
	needs.Link(t, filepath.Join(other, tempPrefix+"b"), filepath.Join(dir, tempPrefix+"b"))
	needs.Link(t, filepath.Join(other, tempPrefix+"c"), filepath.Join(dir, tempPrefix+"c"))
	needs.Link(t, filepath.Join(other, "important"), filepath.Join(dir, tempPrefix+"evil"))
	needs.Link(t, filepath.Join(other, tempPrefix+"d"), filepath.Join(dir, tempPrefix+"evil2"))
	if err := os.Mkdir(filepath.Join(dir, tempPrefix+"folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	lockDir := t.TempDir()
	lockPath := filepath.Join(lockDir, "lock")

	cmd, stdin, _ := second(t, roleHold, lockDir)
	before := snapshot(t, dir)
	Sweep(lockPath, dir)
	if now := snapshot(t, dir); len(now) != len(before) {
		t.Error("swept while another process was writing")
	}
	stdin.Close()
	cmd.Wait()

	Sweep(lockPath, dir, filepath.Join(dir, "missing"))
	left := snapshot(t, dir)
	for name, want := range map[string]bool{"keep": true, ".muxi-secrets-other": true, tempPrefix + "a": false, tempPrefix + "b": false, tempPrefix + "c": false, tempPrefix + "folder": true} {
		if _, ok := left[filepath.Join(dir, name)]; ok != want {
			t.Errorf("%s: there %t", name, ok)
		}
	}
	left = snapshot(t, other)
	for name, want := range map[string]bool{"important": true, tempPrefix + "b": false, tempPrefix + "d": true} {
		if _, ok := left[filepath.Join(other, name)]; ok != want {
			t.Errorf("behind the links, %s: there %t", name, ok)
		}
	}
}

// Where there is nothing to sweep no lock is made: reading leaves no litter.
func TestSweepNothing(t *testing.T) {
	dir := makeFiles(t, map[string]string{"keep": ""})
	lockPath := filepath.Join(dir, "lock")
	Sweep(lockPath, dir)
	if there, err := paths.Exists(lockPath); there || err != nil {
		t.Errorf("a lock file is there: %t, %v", there, err)
	}
}

// Killed at any moment, a writer leaves the old file or a new one, whole, and the
// next one makes both of one write. What else it leaves the next Sweep on the
// folder takes away, also from the folder that a link leads to.
func TestKilledWhileWriting(t *testing.T) {
	dir := makeFiles(t, map[string]string{"vault": strings.Repeat("0", 100_000), "elsewhere/real": strings.Repeat("0", 100_000)})
	needs.Link(t, "real", filepath.Join(dir, "elsewhere", "link"))
	for i := range 25 {
		cmd, _, _ := second(t, roleWrite, dir)
		time.Sleep(time.Duration(i) * 700 * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		for _, name := range [...]string{"vault", "elsewhere/real"} {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || len(content) != 100_000 || strings.Trim(string(content), string(content[:1])) != "" {
				t.Fatalf("%s: %d bytes, not of one write, %v", name, len(content), err)
			}
		}
		Sweep(filepath.Join(dir, "lock"), dir)
		noTemps(t, dir, filepath.Join(dir, "elsewhere"), filepath.Join(dir, "state"))
		if _, err := Replay(killedPlace(dir), Files{}); err != nil {
			t.Fatal(err)
		}
		if !Same(filepath.Join(dir, "vault"), filepath.Join(dir, "elsewhere", "real")) {
			t.Fatal("the two are of two writes")
		}
	}
}
