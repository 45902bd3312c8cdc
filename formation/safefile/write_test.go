package safefile

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

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
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
	needs.Link(t, filepath.Join(w.other, "real"), filepath.Join(w.dir, "linked"))
	needs.Link(t, "old", filepath.Join(w.dir, "to-file"))
	needs.Link(t, "nowhere", filepath.Join(w.dir, "dangling"))
	return w
}

// place is where all of the world may be written, with a journal beside it.
func (w world) place() Place {
	return Place{Folders: []string{w.dir, w.other}, Journal: filepath.Join(w.other, "journal")}
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
	if err := b.Move(w.path("moved"), w.path("aside")); err != nil {
		return err
	}
	if err := b.Copy(w.path("linked"), w.path("alias")); err != nil {
		return err
	}
	if err := b.Put(w.path("to-file"), []byte("a file now"), 0o640); err != nil {
		return err
	}
	b.Remove(w.path("gone"))
	b.Remove(w.path("never there"))
	b.Remove(w.path("dangling"))
	return nil
}

// filled is what stands in the world then.
func (w world) filled() map[string]string {
	return map[string]string{
		"old": "-rw-r--r-- changed", "linked": "Lrwxrwxrwx -> " + filepath.Join(w.other, "real"), "new": "-rw------- created", "fresh": "-rw-r--r-- made",
		"aside": "-rw-r--r-- to be moved", "alias": "Lrwxrwxrwx -> " + filepath.Join(w.other, "real"), "to-file": "-rw-r----- a file now",
		"gone": "", "moved": "", "dangling": "",
	}
}

func (w world) check(t *testing.T) {
	t.Helper()
	got := snapshot(t, w.dir)
	for name, want := range w.filled() {
		if !OnWindows && got[w.path(name)] != want {
			t.Errorf("%s: %q, want %q", name, got[w.path(name)], want)
		}
	}
	if got := snapshot(t, w.other)[filepath.Join(w.other, "real")]; !OnWindows && got != "-rw-r--r-- changed, too" {
		t.Errorf("behind the link: %q", got)
	}
	if there, _ := paths.Exists(w.place().Journal); there {
		t.Error("the journal is there")
	}
	noTemps(t, w.dir, w.other)
}

func TestBatch(t *testing.T) {
	w := newWorld(t)
	b := Files{}.Batch(w.place())
	before := snapshot(t, w.dir)
	if err := w.fill(b); err != nil {
		t.Fatal(err)
	}
	if b.Len() != 11 {
		t.Errorf("%d writes", b.Len())
	}
	for path, was := range before {
		if now := snapshot(t, w.dir)[path]; now != was && path != w.dir {
			t.Errorf("%s changed before Commit", filepath.Base(path))
		}
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	b.Discard()
	w.check(t)
}

// A failure at any step, for any of the files, the last one too, leaves every
// byte as it was, and names the file. There is never a temp file.
func TestBatchFails(t *testing.T) {
	late := 0 // renames that failed behind the first file's
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
			b := files.Batch(w.place())
			err := w.fill(b)
			if err == nil {
				err = b.Commit()
			}
			b.Discard()
			if failed == "" {
				if err != nil || n == 0 {
					t.Fatalf("%s %d: %v", step, n, err)
				}
				w.check(t)
				break // every file had its turn
			}
			replaced := step == StepRename && failed != w.place().Journal
			if replaced {
				late++
			}
			var file *Error
			if !errors.As(err, &file) || !errors.Is(err, errInjected) || file.Path != failed || (file.Op == OpReplace) != replaced {
				t.Errorf("%s %d: %v", step, n, err)
			}
			noTemps(t, w.dir, w.other)
			if !maps.Equal(before, snapshot(t, w.dir)) || !maps.Equal(beforeOther, snapshot(t, w.other)) {
				t.Errorf("%s %d: something changed", step, n)
			}
		}
	}
	if late != 11 {
		t.Errorf("%d renames failed", late)
	}
}

// Where what was put in place cannot be taken back either, the journal stays, and
// from it all becomes new, or old where that still fails.
func TestBatchFailsTwice(t *testing.T) {
	for _, mended := range [...]bool{true, false} {
		w := newWorld(t)
		before := snapshot(t, w.dir)
		begun, stuck := false, true
		files := Files{Fault: func(step Step, path string) error {
			switch {
			case step != StepRename:
			case path == w.path("aside"):
				begun = true
				return errInjected
			case path == w.path("old") && begun && stuck:
				return errInjected
			}
			return nil
		}}
		b := files.Batch(w.place())
		if err := w.fill(b); err != nil {
			t.Fatal(err)
		}
		err := b.Commit()
		var file *Error
		if !errors.As(err, &file) || file.Op != OpTakeBack || file.Path != w.path("old") {
			t.Fatalf("%v", err)
		}
		if !exists(w.place().Journal) {
			t.Fatal("the journal is gone")
		}
		if mended {
			if did, err := Replay(w.place(), Files{}); !did || err != nil {
				t.Errorf("%t, %v", did, err)
			}
			w.check(t)
			continue
		}
		if did, err := Replay(w.place(), files); did || !errors.As(err, &file) || file.Op != OpReplace || !exists(w.place().Journal) {
			t.Errorf("still stuck: %t, %v", did, err)
		}
		stuck = false
		did, err := Replay(w.place(), files)
		var back *TakenBackError
		if did || !errors.As(err, &back) || !errors.As(err, &file) || file.Path != w.path("aside") {
			t.Errorf("%t, %v", did, err)
		}
		if !maps.Equal(before, snapshot(t, w.dir)) || exists(w.place().Journal) {
			t.Error("it is not as it was")
		}
	}
}

func exists(path string) bool {
	there, err := paths.Exists(path)
	return there || err != nil
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
	}}.Batch(w.place())
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
	}}.Batch(w.place())
	for _, name := range [...]string{"old", "fresh"} {
		if err := b.Replace(w.path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	want := "create temp old, write old, create temp fresh, write fresh, create temp journal, write journal, " +
		"fsync old, fsync fresh, fsync journal, close old, close fresh, close journal, rename journal, fsync folder " + filepath.Base(w.other) + ", " +
		"rename old, rename fresh, fsync folder " + filepath.Base(w.dir)
	if got := strings.Join(steps, ", "); got != want {
		t.Errorf("got %s", got)
	}
}

func TestCreateNeverReplaces(t *testing.T) {
	for about, prepare := range map[string]func(t *testing.T, path string){
		"a file":        func(t *testing.T, path string) { write(t, path, []byte("there")) },
		"a folder":      func(t *testing.T, path string) { os.Mkdir(path, 0o700) },
		"a broken link": func(t *testing.T, path string) { needs.Link(t, "nowhere", path) },
		"a link":        func(t *testing.T, path string) { needs.Link(t, "old", path) },
	} {
		// there already, and there by the time of Commit
		for _, late := range [...]bool{false, true} {
			w := newWorld(t)
			path := w.path("key")
			b := Files{}.Batch(w.place())
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
			var file *Error
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

// A file system may have no hard links: a new file gets there all the same, and
// still replaces nothing.
func TestCreateWithoutHardLinks(t *testing.T) {
	for _, late := range [...]bool{false, true} {
		w := newWorld(t)
		asked := 0
		files := Files{
			Fault: func(step Step, path string) error {
				if step == StepRename && late {
					write(t, path, []byte("there"))
				}
				return nil
			},
			link: func(string, string) error {
				asked++
				return errors.ErrUnsupported
			},
		}
		err := files.Do(func(b *Batch) error { return b.Create(w.path("key"), []byte("new"), 0o600) })
		got := snapshot(t, w.dir)[w.path("key")]
		if late {
			if !errors.Is(err, ErrExists) || !strings.HasSuffix(got, " there") {
				t.Errorf("there by then: %v, and it is %q", err, got)
			}
		} else if err != nil || asked != 1 || !strings.HasSuffix(got, " new") || !OnWindows && got != "-rw------- new" {
			t.Errorf("%v, and it is %q; %d links", err, got, asked)
		}
		noTemps(t, w.dir)
	}
}

// What cannot be removed is no success.
func TestRemoveFails(t *testing.T) {
	w := newWorld(t)
	if err := os.MkdirAll(w.path("folder/full"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := Files{}.Do(func(b *Batch) error { b.Remove(w.path("folder")); return nil })
	var file *Error
	if !errors.As(err, &file) || file.Op != OpReplace || file.Path != w.path("folder") {
		t.Errorf("got %v", err)
	}
	if err := (Files{}).Do(func(b *Batch) error { b.Remove(w.path("nowhere")); return nil }); err != nil {
		t.Errorf("what is not there: %v", err)
	}
}

// Several files need a place for their journal, and stay in the folders that it
// knows.
func TestBatchStaysInPlace(t *testing.T) {
	w := newWorld(t)
	before, beforeOther := snapshot(t, w.dir), snapshot(t, w.other)
	for about, place := range map[string]Place{
		"no journal":     {Folders: []string{w.dir, w.other}},
		"another folder": {Folders: []string{w.other}, Journal: filepath.Join(w.other, "journal")},
	} {
		b := Files{}.Batch(place)
		if err := errors.Join(b.Replace(w.path("old"), nil, 0o600), b.Replace(w.path("fresh"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		err := b.Commit()
		var file *Error
		if !errors.As(err, &file) || file.Op != OpJournal {
			t.Errorf("%s: %v", about, err)
		}
		if !maps.Equal(before, snapshot(t, w.dir)) || !maps.Equal(beforeOther, snapshot(t, w.other)) {
			t.Errorf("%s: something changed", about)
		}
	}
}

func TestReplaceRefuses(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(w.path("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	needs.Link(t, "folder", w.path("to-folder"))
	needs.Link(t, "nowhere", w.path("broken"))
	needs.Link(t, "loop", w.path("loop"))
	before := snapshot(t, w.dir)
	for name, cause := range map[string]error{
		"folder": ErrIsFolder, "to-folder": ErrIsFolder, "broken": fs.ErrNotExist, "loop": nil, "missing/file": fs.ErrNotExist, "old/file": nil,
	} {
		b := Files{}.Batch(w.place())
		err := b.Replace(w.path(name), []byte("x"), 0o600)
		b.Discard()
		var file *Error
		if !errors.As(err, &file) || file.Op != "write" || cause != nil && !errors.Is(err, cause) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !maps.Equal(snapshot(t, w.dir), before) {
		t.Error("something changed")
	}
}

// A vault that is put aside is replaced where it is, even if it was a link.
func TestCopyThenPut(t *testing.T) {
	w := newWorld(t)
	b := Files{}.Batch(w.place())
	if err := errors.Join(b.Copy(w.path("linked"), w.path("aside")), b.Put(w.path("linked"), []byte("new"), 0o600)); err != nil {
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

// What no reader would take is not written.
func TestTooLarge(t *testing.T) {
	w := newWorld(t)
	before := snapshot(t, w.dir)
	err := Files{}.Replace(w.path("old"), make([]byte, MaxSize+1), 0o600)
	var large *TooLargeError
	if !errors.As(err, &large) || large.Limit != MaxSize || !maps.Equal(before, snapshot(t, w.dir)) {
		t.Errorf("%v", err)
	}
}

func TestPutReplacesLink(t *testing.T) {
	w := newWorld(t)
	b := Files{}.Batch(w.place())
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
	b := Files{}.Batch(w.place())
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
	b := Files{}.Batch(w.place())
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

// A name that no file can have is an error, nothing that is not there.
func TestLookAtImpossibleName(t *testing.T) {
	for _, follow := range []bool{false, true} {
		if found, err := lookAt(filepath.Join(t.TempDir(), strings.Repeat("n", 5000)), follow); err == nil || found != nil {
			t.Errorf("follow %t: %v, %v", follow, found, err)
		}
	}
}
