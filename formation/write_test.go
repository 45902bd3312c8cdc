package formation

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// snapshot reads everything below dir: path to mode and content, or to the
// target of a link.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(content)
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " -> " + to
		}
		all[path] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func noTemps(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if left := Leftovers(dir); len(left) > 0 {
			t.Errorf("%d temp files left", len(left))
		}
	}
}

var errInjected = errors.New("injected")

// world is a folder with an old file, a linked one and room for a new one.
type world struct{ dir, other string }

func newWorld(t *testing.T) world {
	w := world{makeFiles(t, map[string]string{"old": "old content", "gone": "to be removed", "moved": "to be moved"}), makeFiles(t, map[string]string{"real": "real content"})}
	link(t, filepath.Join(w.other, "real"), filepath.Join(w.dir, "linked"))
	return w
}

func (w world) path(name string) string { return filepath.Join(w.dir, name) }

// fill prepares one of each kind of write.
func (w world) fill(b *Batch) error {
	if err := b.Replace(w.path("old"), []byte("changed"), 0o600); err != nil {
		return err
	}
	if err := b.Replace(w.path("linked"), []byte("changed, too"), 0o640); err != nil {
		return err
	}
	if err := b.Create(w.path("new"), []byte("created"), 0o600); err != nil {
		return err
	}
	if err := b.Replace(w.path("fresh"), []byte("made"), 0o644); err != nil {
		return err
	}
	b.Move(w.path("moved"), w.path("aside"))
	b.Remove(w.path("gone"))
	b.Remove(w.path("never there"))
	return nil
}

func TestBatch(t *testing.T) {
	for _, withHome := range [...]bool{false, true} {
		w := newWorld(t)
		b := Files{}.Batch()
		if withHome {
			b = Files{}.BatchIn(w.dir)
		}
		before := snapshot(t, w.dir)
		if err := w.fill(b); err != nil {
			t.Fatal(err)
		}
		if b.Len() != 7 {
			t.Errorf("%d writes", b.Len())
		}
		for path, was := range before {
			if now := snapshot(t, w.dir)[path]; now != was {
				t.Errorf("%s changed before Commit", filepath.Base(path))
			}
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		b.Discard()
		got := snapshot(t, w.dir)
		for name, want := range map[string]string{
			"old": "-rw------- changed", "linked": "Lrwxrwxrwx -> " + filepath.Join(w.other, "real"), "new": "-rw------- created", "fresh": "-rw-r--r-- made",
			"aside": "-rw-r--r-- to be moved", "gone": "", "moved": "",
		} {
			if !onWindows && got[w.path(name)] != want {
				t.Errorf("%s: %q, want %q", name, got[w.path(name)], want)
			}
		}
		if got := snapshot(t, w.other)[filepath.Join(w.other, "real")]; !onWindows && got != "-rw-r----- changed, too" {
			t.Errorf("behind the link: %q", got)
		}
		noTemps(t, w.dir, w.other)
	}
}

// A failure at any step before the first rename, for any of the files, leaves
// every byte as it was. At a later rename, those before it are new, those
// behind it old, and the error says so. There is never a temp file.
func TestBatchFails(t *testing.T) {
	paths := map[string]int{} // in the order of their renames
	for _, step := range [...]Step{StepTemp, StepWrite, StepSync, StepClose, StepRename} {
		for n := 0; ; n++ {
			w := newWorld(t)
			before, beforeOther := snapshot(t, w.dir), snapshot(t, w.other)
			calls, failed := 0, ""
			files := Files{Fault: func(s Step, path string) error {
				if s != step {
					return nil
				}
				if calls++; calls-1 != n {
					return nil
				}
				failed = path
				return errInjected
			}}
			b := files.BatchIn(w.dir)
			err := w.fill(b)
			if (err != nil) != (step != StepRename && failed != "") {
				t.Fatalf("%s %d: %v", step, n, err)
			}
			if err == nil {
				err = b.Commit()
			}
			b.Discard()
			if failed == "" {
				if err != nil || n == 0 {
					t.Fatalf("%s %d: %v", step, n, err)
				}
				break // every file had its turn
			}
			var file *FileError
			if !errors.As(err, &file) || !errors.Is(err, errInjected) || file.Path != failed || (file.Op == OpPublish) != (step == StepRename) {
				t.Errorf("%s %d: %v", step, n, err)
			}
			noTemps(t, w.dir, w.other)
			after, afterOther := snapshot(t, w.dir), snapshot(t, w.other)
			if step != StepRename || n == 0 {
				if !maps.Equal(before, after) || !maps.Equal(beforeOther, afterOther) {
					t.Errorf("%s %d: something changed", step, n)
				}
				continue
			}
			paths[filepath.Base(failed)] = n
			same := 0
			for path, was := range before {
				if after[path] == was && path != w.dir {
					same++
				}
			}
			if !maps.Equal(beforeOther, afterOther) != (n >= 2) || (after[w.path("new")] != "") != (n >= 3) || (after[w.path("gone")] != "") != (n <= 5) || after[w.path("old")] == before[w.path("old")] {
				t.Errorf("rename %d: not those before it alone", n)
			}
		}
	}
	if len(paths) != 6 {
		t.Errorf("%d later renames failed: %v", len(paths), paths)
	}
}

// Syncing the folder is a courtesy: the new file is in place by then.
func TestBatchFolderNotSynced(t *testing.T) {
	w := newWorld(t)
	synced := 0
	b := Files{Fault: func(step Step, path string) error {
		if step == StepSyncDir {
			synced++
			return errInjected
		}
		return nil
	}}.Batch()
	if err := w.fill(b); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil || synced < 2 {
		t.Errorf("%d folders, %v", synced, err)
	}
}

// The steps of one file come in the order that makes it safe.
func TestBatchOrder(t *testing.T) {
	w := newWorld(t)
	var steps []string
	b := Files{Fault: func(step Step, path string) error {
		steps = append(steps, fmt.Sprintf("%s %s", step, filepath.Base(path)))
		return nil
	}}.Batch()
	for _, name := range [...]string{"old", "fresh"} {
		if err := b.Replace(w.path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	want := "create temp old, write old, fsync old, close old, create temp fresh, write fresh, fsync fresh, close fresh, rename old, rename fresh, fsync folder " + filepath.Base(w.dir)
	if got := strings.Join(steps, ", "); got != want {
		t.Errorf("got %s", got)
	}
}

func TestCreateNeverReplaces(t *testing.T) {
	for about, prepare := range map[string]func(t *testing.T, path string){
		"a file":        func(t *testing.T, path string) { write(t, path, []byte("there")) },
		"a folder":      func(t *testing.T, path string) { os.Mkdir(path, 0o700) },
		"a broken link": func(t *testing.T, path string) { link(t, "nowhere", path) },
		"a link":        func(t *testing.T, path string) { link(t, "old", path) },
	} {
		// there already, and there by the time of Commit
		for _, late := range [...]bool{false, true} {
			w := newWorld(t)
			path := w.path("key")
			b := Files{}.Batch()
			if !late {
				prepare(t, path)
			}
			err := b.Create(path, []byte("new"), 0o600)
			var before map[string]string
			if late {
				if err != nil {
					t.Fatal(err)
				}
				prepare(t, path)
				before = snapshot(t, w.dir)
				err = b.Commit()
				for name := range before {
					if strings.HasPrefix(filepath.Base(name), tempPrefix) {
						delete(before, name)
					}
				}
			} else {
				before = snapshot(t, w.dir)
			}
			b.Discard()
			var file *FileError
			if !errors.Is(err, ErrExists) || !errors.As(err, &file) || file.Path != path {
				t.Errorf("%s, late %t: %v", about, late, err)
			}
			if !maps.Equal(snapshot(t, w.dir), before) {
				t.Errorf("%s, late %t: something changed", about, late)
			}
			noTemps(t, w.dir)
		}
	}
}

func TestMoveNeverReplaces(t *testing.T) {
	w := newWorld(t)
	before := snapshot(t, w.dir)
	b := Files{}.Batch()
	b.Move(w.path("old"), w.path("gone"))
	if err := b.Commit(); !errors.Is(err, ErrExists) {
		t.Errorf("%v", err)
	}
	if !maps.Equal(snapshot(t, w.dir), before) {
		t.Error("something changed")
	}
}

func TestReplaceRefuses(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(w.path("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	link(t, "folder", w.path("to-folder"))
	link(t, "nowhere", w.path("broken"))
	link(t, "loop", w.path("loop"))
	before := snapshot(t, w.dir)
	for name, cause := range map[string]error{
		"folder": errIsFolder, "to-folder": errIsFolder, "broken": fs.ErrNotExist, "loop": nil, "missing/file": fs.ErrNotExist, "old/file": nil,
	} {
		b := Files{}.Batch()
		err := b.Replace(w.path(name), []byte("x"), 0o600)
		b.Discard()
		var file *FileError
		if !errors.As(err, &file) || file.Op != "write" || cause != nil && !errors.Is(err, cause) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !maps.Equal(snapshot(t, w.dir), before) {
		t.Error("something changed")
	}
}

// A vault that is put aside is replaced where it is, even if it was a link.
func TestMoveThenReplace(t *testing.T) {
	w := newWorld(t)
	b := Files{}.Batch()
	b.Move(w.path("linked"), w.path("aside"))
	if err := b.Replace(w.path("linked"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(w.path("aside")); string(content) != "real content" {
		t.Errorf("aside: %q, %v", content, err)
	}
	if info, err := os.Lstat(w.path("linked")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("in its place: %v, %v", info.Mode(), err)
	}
}

func TestPutReplacesLink(t *testing.T) {
	w := newWorld(t)
	b := Files{}.Batch()
	if err := b.Put(w.path("linked"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(w.path("linked")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("still a link, %v", err)
	}
	if content, _ := os.ReadFile(filepath.Join(w.other, "real")); string(content) != "real content" {
		t.Error("what it pointed to changed")
	}
}

func TestDiscard(t *testing.T) {
	w := newWorld(t)
	before := snapshot(t, w.dir)
	b := Files{}.BatchIn(w.dir)
	if err := w.fill(b); err != nil {
		t.Fatal(err)
	}
	if len(Leftovers(w.dir)) == 0 {
		t.Error("no temp file was made")
	}
	b.Discard()
	b.Discard()
	if b.Len() != 0 || !maps.Equal(snapshot(t, w.dir), before) {
		t.Error("something is left")
	}
	noTemps(t, w.other)
	if err := b.Commit(); err != nil || !maps.Equal(snapshot(t, w.dir), before) {
		t.Errorf("Commit after Discard did something, %v", err)
	}
}

// A large file is written whole.
func TestBatchLarge(t *testing.T) {
	w := newWorld(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	b := Files{}.Batch()
	if err := b.Replace(w.path("old"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(w.path("old")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
