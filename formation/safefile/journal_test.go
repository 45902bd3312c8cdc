package safefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// rotation is a folder in a repository, with all the files that a rotation of
// keys changes. Each says of which key it is; .key is a link to a file that is
// shared.
type rotation struct {
	top     string
	dir     string
	ring    string
	journal string
}

// The files of a rotation, in the order in which they are put in place.
const (
	people  = ".age-recipients"
	wrapped = ".key.age"
	vault   = "secrets.enc"
	key     = ".key"
)

// rotationIn is what lies in top.
func rotationIn(top string) rotation {
	common := filepath.Join(top, "repo", ".git", "muxi-secrets")
	return rotation{top, filepath.Join(top, "repo", "agent"), filepath.Join(common, "keys"), filepath.Join(common, "rotate-1")}
}

// place is where a rotation writes.
func (r rotation) place() Place {
	return Place{Folders: []string{r.dir, filepath.Dir(filepath.Dir(r.journal))}, Journal: r.journal}
}

func (r rotation) path(name string) string { return filepath.Join(r.dir, name) }

func newRotation(t *testing.T) rotation {
	t.Helper()
	top := makeFiles(t, map[string]string{
		"repo/agent/secrets": "A=\n", "repo/agent/note": "goes", "repo/.git/HEAD": "",
		"repo/agent/secrets.enc": "key 0", "repo/agent/.key.age": "key 0", "shared/key": "key 0",
	})
	needs.Link(t, filepath.Join("..", "..", "shared", "key"), filepath.Join(top, "repo", "agent", key))
	r := rotationIn(top)
	if err := os.Chmod(filepath.Join(top, "shared", "key"), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// rotate does what a rotation does.
func (r rotation) rotate(files Files) error {
	old, err := os.ReadFile(r.path(key))
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(strings.TrimPrefix(string(old), "key "))
	if err != nil {
		return err
	}
	next := []byte(fmt.Sprintf("key %d", number+1))
	b := files.Batch(r.place())
	defer b.Discard()
	if err := MakePrivate(r.ring); err != nil {
		return err
	}
	for _, file := range [...]struct {
		path string
		data []byte
		perm fs.FileMode
	}{
		{filepath.Join(r.ring, string(old)), old, 0o600},
		{r.path(people), next, 0o644},
		{r.path(wrapped), next, 0o644},
		{r.path(vault), next, 0o600},
		{r.path(key), next, 0o600},
	} {
		if err := b.Replace(file.path, file.data, file.perm); err != nil {
			return err
		}
	}
	if there, _ := paths.Exists(r.path("note")); there {
		if err := b.Create(r.path("made"), []byte("by the first"), 0o640); err != nil {
			return err
		}
	}
	b.Remove(r.path("note"))
	return b.Commit()
}

// check fails unless all files are of one rotation; was is the key before it. It
// returns the key now.
func (r rotation) check(t *testing.T, was string) string {
	t.Helper()
	now := r.key(t)
	for _, name := range [...]string{wrapped, vault} {
		if content, err := os.ReadFile(r.path(name)); string(content) != now {
			t.Errorf("%s is of '%s', .key of '%s', %v", name, content, now, err)
		}
	}
	if info, err := os.Lstat(r.path(key)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf(".key is no link any more, %v", err)
	}
	_, note := os.Stat(r.path("note"))
	_, made := os.Stat(r.path("made"))
	if now == was {
		return now
	}
	if modeOf(r.path(key), 0) != 0o600 && !OnWindows {
		t.Errorf("mode %v", modeOf(r.path(key), 0))
	}
	if content, err := os.ReadFile(r.path(people)); string(content) != now {
		t.Errorf("the people are of another rotation, %v", err)
	}
	if kept, err := os.ReadFile(filepath.Join(r.ring, was)); string(kept) != was {
		t.Errorf("the old key is lost, %v", err)
	}
	if note == nil || made != nil {
		t.Errorf("removed: %v, created: %v", note, made)
	}
	return now
}

// clean fails where something is left of a write.
func (r rotation) clean(t *testing.T) {
	t.Helper()
	if _, err := os.Lstat(r.journal); err == nil {
		t.Error("the journal is there")
	}
	noTemps(t, r.dir, r.ring, filepath.Dir(r.journal), filepath.Join(r.top, "shared"))
}

// sweep does what the next command does.
func (r rotation) sweep(t *testing.T, files Files) (bool, error) {
	t.Helper()
	Sweep(filepath.Join(r.top, "lock"), r.dir, filepath.Join(r.top, "shared"))
	return Replay(r.place(), files)
}

func (r rotation) key(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(r.path(key))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestJournal(t *testing.T) {
	r := newRotation(t)
	old := r.key(t)
	var journaled []byte
	err := r.rotate(Files{Fault: func(step Step, path string) error {
		if step == StepRename && path != r.journal && journaled == nil {
			var err error
			if journaled, err = os.ReadFile(r.journal); err != nil {
				t.Error(err)
			}
			if info, err := os.Stat(filepath.Dir(r.journal)); !OnWindows && (err != nil || info.Mode().Perm() != 0o700 || modeOf(r.journal, 0) != 0o600) {
				t.Errorf("modes: %v, %v", modeOf(r.journal, 0), err)
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if now := r.check(t, old); now == old {
		t.Error("nothing was rotated")
	}
	r.clean(t)
	if again, err := Replay(r.place(), Files{}); again || err != nil {
		t.Errorf("a replay of nothing: %t, %v", again, err)
	}
	var j struct {
		Version int
		Entries []struct{ Path string }
	}
	if err := json.Unmarshal(journaled, &j); err != nil || j.Version != journalVersion || len(j.Entries) != 7 || j.Entries[4].Path != ".key" {
		t.Errorf("%+v, %v", j, err)
	}

	// One that was not removed has nothing left to do.
	before := snapshot(t, r.dir)
	write(t, r.journal, journaled)
	if did, err := Replay(r.place(), Files{}); !did || err != nil || !maps.Equal(before, snapshot(t, r.dir)) {
		t.Errorf("%t, %v", did, err)
	}
	r.clean(t)
}

// The child of the tests below: it rotates, and dies at the step in the
// environment or, with none there, rotates on until it is killed.
func TestJournalChild(t *testing.T) {
	top, at := os.Getenv("TEST_JOURNAL_TOP"), os.Getenv("TEST_JOURNAL_STEP")
	if top == "" {
		return // run by the tests below
	}
	r := rotationIn(top)
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	files := Files{Fault: func(step Step, path string) error {
		if steps++; strconv.Itoa(steps) == at {
			self.Kill()
			select {}
		}
		return nil
	}}
	if os.Getenv("TEST_JOURNAL_REPLAY") != "" {
		if _, err := Replay(r.place(), files); err != nil {
			t.Fatal(err)
		}
		return
	}
	if at == "" {
		fmt.Println("rotating")
	}
	for {
		if err := r.rotate(files); err != nil {
			t.Fatal(err)
		}
		if at != "" {
			return
		}
	}
}

func (r rotation) child(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable, "-test.run=^TestJournalChild$")
	cmd.Env = append(os.Environ(), append(env, "TEST_JOURNAL_TOP="+r.top)...)
	return cmd
}

// countSteps is the number of steps that do takes, and of the first at which
// the journal is in place.
func countSteps(t *testing.T, r rotation, do func(Files) error) (all, journaled int) {
	t.Helper()
	err := do(Files{Fault: func(Step, string) error {
		all++
		if there, _ := paths.Exists(r.journal); there && journaled == 0 {
			journaled = all
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return all, journaled
}

// Killed by the system at any step, the next command finds all files old, if
// there was no journal yet, or makes them all new. So it does when it is killed
// itself, at any step of finishing.
func TestJournalKilledAtEveryStep(t *testing.T) {
	probe := newRotation(t)
	steps, journaled := countSteps(t, probe, probe.rotate)
	if steps < 30 || journaled == 0 {
		t.Fatalf("%d steps, a journal at %d", steps, journaled)
	}
	for at := 1; at <= steps; at++ {
		r := newRotation(t)
		old := r.key(t)
		if err := r.child(t, fmt.Sprintf("TEST_JOURNAL_STEP=%d", at)).Run(); err == nil {
			t.Fatalf("step %d: not killed", at)
		}
		there, _ := paths.Exists(r.journal)
		did, err := r.sweep(t, Files{})
		if err != nil || did != there || there != (at >= journaled) {
			t.Fatalf("step %d: a journal %t, finished %t, %v", at, there, did, err)
		}
		if now := r.check(t, old); (now != old) != (at >= journaled) {
			t.Errorf("step %d: new %t", at, now != old)
		}
		r.clean(t)
	}
}

func TestReplayKilledAtEveryStep(t *testing.T) {
	half := func() (r rotation, old string) { return cut(t, 4) }
	probe, old := half()
	steps, _ := countSteps(t, probe, func(files Files) error { _, err := Replay(probe.place(), files); return err })
	probe.check(t, old)
	for at := 1; at <= steps; at++ {
		r, old := half()
		if err := r.child(t, fmt.Sprintf("TEST_JOURNAL_STEP=%d", at), "TEST_JOURNAL_REPLAY=1").Run(); err == nil {
			t.Fatalf("step %d: not killed", at)
		}
		if did, err := r.sweep(t, Files{}); err != nil || !did {
			t.Fatalf("step %d: finished %t, %v", at, did, err)
		}
		if r.check(t, old) == old {
			t.Errorf("step %d: it is old", at)
		}
		r.clean(t)

		// A failing disk in place of a kill: all is as it was before.
		r, old = half()
		n := 0
		_, err := Replay(r.place(), Files{Fault: func(step Step, path string) error {
			if n++; n == at && step != StepSyncDir {
				return errInjected
			}
			return nil
		}})
		var back *TakenBackError
		if err != nil && (!errors.As(err, &back) || !errors.Is(err, errInjected)) {
			t.Errorf("step %d: %v", at, err)
		}
		if now := r.check(t, old); (now == old) != (err != nil) {
			t.Errorf("step %d: failed, then %s", at, now)
		}
		r.clean(t)
	}
}

// A step that fails leaves all files old, and no journal.
func TestJournalFails(t *testing.T) {
	probe := newRotation(t)
	steps, _ := countSteps(t, probe, probe.rotate)
	for at := 1; at <= steps; at++ {
		r := newRotation(t)
		old := r.key(t)
		before := snapshot(t, r.dir)
		n, failed := 0, Step("")
		err := r.rotate(Files{Fault: func(step Step, path string) error {
			if n++; n == at {
				failed = step
				return errInjected
			}
			return nil
		}})
		var file *Error
		if (err == nil) != (failed == StepSyncDir) || err != nil && (!errors.As(err, &file) || !errors.Is(err, errInjected)) {
			t.Fatalf("step %d, %s: %v", at, failed, err)
		}
		if err != nil && !maps.Equal(snapshot(t, r.dir), before) {
			t.Errorf("step %d, %s: something changed", at, failed)
		}
		if now := r.check(t, old); (now == old) != (err != nil) {
			t.Errorf("step %d, %s: %s, %v", at, failed, now, err)
		}
		r.clean(t)
	}
}

func TestJournalRefuses(t *testing.T) {
	w := newWorld(t)
	before, other := snapshot(t, w.dir), snapshot(t, w.other)
	b := Files{}.Batch(w.place())
	if err := errors.Join(b.Replace(w.path("linked"), []byte("x"), 0o600), b.Replace(filepath.Join(w.other, "real"), []byte("y"), 0o600)); err != nil {
		t.Fatal(err)
	}
	err := b.Commit()
	var file *Error
	if !errors.As(err, &file) || file.Op != OpJournal {
		t.Errorf("one file twice: %v", err)
	}
	if !maps.Equal(before, snapshot(t, w.dir)) || !maps.Equal(other, snapshot(t, w.other)) {
		t.Error("one file twice: something changed")
	}

	// Nor is a journal lost that nobody has finished.
	write(t, w.place().Journal, []byte("unfinished"))
	b = Files{}.Batch(w.place())
	if err := b.Replace(w.path("old"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); !errors.Is(err, ErrExists) || !maps.Equal(before, snapshot(t, w.dir)) {
		t.Errorf("over another journal: %v", err)
	}
	// One of nothing is none.
	if err := (Files{}).Batch(w.place()).Commit(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(w.place().Journal); err != nil {
		t.Fatal(err)
	}

	// The same content twice is no harm: two formations with one key.
	b = Files{}.Batch(w.place())
	if err := errors.Join(b.Replace(w.path("linked"), []byte("same"), 0o600), b.Replace(filepath.Join(w.other, "real"), []byte("same"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Error(err)
	}
}

// cut is a rotation that was killed before its nth rename, the journal's being
// the first.
func cut(t *testing.T, n int) (r rotation, old string) {
	t.Helper()
	r = newRotation(t)
	old = r.key(t)
	r.stop(t, n)
	return r, old
}

// stop rotates as far as to the nth rename. A panic in place of a kill takes
// temp files along, and nothing else.
func (r rotation) stop(t *testing.T, n int) {
	t.Helper()
	const killed = "killed"
	defer func() {
		if got := recover(); got != killed {
			t.Fatalf("it did not stop: %v", got)
		}
	}()
	renames := 0
	r.rotate(Files{Fault: func(step Step, path string) error {
		if step == StepRename {
			if renames++; renames == n {
				panic(killed)
			}
		}
		return nil
	}})
}

func TestReplayAfterMove(t *testing.T) {
	for n := 2; n <= 7; n++ {
		r, old := cut(t, n)
		to := filepath.Join(filepath.Dir(r.top), "moved-"+filepath.Base(r.top))
		if err := os.Rename(r.top, to); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(to) })
		r = rotationIn(to)
		if did, err := r.sweep(t, Files{}); !did || err != nil {
			t.Fatalf("%t, %v", did, err)
		}
		if r.check(t, old) == old {
			t.Error("it is old")
		}
		r.clean(t)
	}
}

// The repository by two names: what was begun by one is finished by the other.
func TestReplayThroughLink(t *testing.T) {
	r := newRotation(t)
	alias := filepath.Join(t.TempDir(), "alias")
	needs.Link(t, r.top, alias)
	by := rotationIn(alias)
	by.ring, by.journal = r.ring, r.journal // as git says it, links resolved
	old := r.key(t)
	by.stop(t, 4)
	if err := os.Remove(alias); err != nil {
		t.Fatal(err)
	}
	if did, err := r.sweep(t, Files{}); !did || err != nil || r.check(t, old) == old {
		t.Errorf("%t, %v", did, err)
	}
	r.clean(t)
}

// A place that takes certain files alone finishes no journal that names another.
func TestReplayAdmits(t *testing.T) {
	r, old := cut(t, 4)
	place := r.place()
	place.Admits = func(path string) bool { return filepath.Base(path) != vault }
	did, err := Replay(place, Files{})
	var damaged *JournalError
	if did || !errors.As(err, &damaged) {
		t.Errorf("%t, %v", did, err)
	}

	place.Admits = func(string) bool { return true }
	if did, err := Replay(place, Files{}); !did || err != nil || r.check(t, old) == old {
		t.Errorf("%t, %v", did, err)
	}
	r.clean(t)
}

func TestReplayOverrun(t *testing.T) {
	for about, test := range map[string]struct {
		stop   int
		change func(r rotation)
		files  []string // below the formation
		kept   bool
	}{
		"another vault":          {5, func(r rotation) { write(t, r.path(vault), []byte("another branch's")) }, []string{vault}, true},
		"nothing was in place":   {2, func(r rotation) { write(t, r.path(vault), []byte("another branch's")) }, []string{vault}, false},
		"two files":              {5, func(r rotation) { os.Remove(r.path(vault)); write(t, r.path(people), nil) }, []string{people, vault}, true},
		"a folder in its place":  {5, func(r rotation) { os.Remove(r.path(vault)); os.Mkdir(r.path(vault), 0o700) }, []string{vault}, true},
		"what was to be created": {5, func(r rotation) { write(t, r.path("made"), []byte("by hand")) }, []string{"made"}, true},
		"what was to be removed": {5, func(r rotation) { write(t, r.path("note"), []byte("edited")) }, []string{"note"}, true},
		"the formation is gone":  {2, func(r rotation) { os.RemoveAll(r.dir) }, []string{people, wrapped, vault, key, "made"}, false},
	} {
		r, _ := cut(t, test.stop)
		journaled, err := os.ReadFile(r.journal)
		if err != nil {
			t.Fatal(err)
		}
		test.change(r)
		before := snapshot(t, filepath.Join(r.top, "repo"))
		did, err := Replay(r.place(), Files{})
		var over *OverrunError
		if did || !errors.As(err, &over) || over.Path != r.journal {
			t.Errorf("%s: %t, %v", about, did, err)
			continue
		}
		var names []string
		for _, path := range over.Files {
			rel, err := filepath.Rel(r.dir, path)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, rel)
		}
		if fmt.Sprint(names) != fmt.Sprint(test.files) {
			t.Errorf("%s: names %q, want %q", about, names, test.files)
		}
		after := snapshot(t, filepath.Join(r.top, "repo"))
		delete(before, r.journal)
		if kept, err := os.ReadFile(over.Kept); (over.Kept != "") != test.kept || test.kept && (err != nil || !bytes.Equal(kept, journaled)) {
			t.Errorf("%s: kept as %q, %v", about, over.Kept, err)
		}
		delete(after, over.Kept)
		if !maps.Equal(before, after) {
			t.Errorf("%s: something changed", about)
		}
		if did, err := Replay(r.place(), Files{}); did || err != nil {
			t.Errorf("%s: again: %t, %v", about, did, err)
		}
	}
}

func TestReplayDamaged(t *testing.T) {
	r, _ := cut(t, 4)
	good, err := os.ReadFile(r.journal)
	if err != nil {
		t.Fatal(err)
	}
	secret := "AAAA" // in what is encoded
	// edit is one whose sum is right.
	edit := func(change func(j *journal)) string {
		j, err := parseJournal(good)
		if err != nil {
			t.Fatal(err)
		}
		change(j)
		content, err := j.encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	before := snapshot(t, r.dir)
	for about, content := range map[string]string{
		"empty":             "",
		"text":              secret,
		"half":              string(good[:len(good)/2]),
		"all but the end":   string(good[:len(good)-1]),
		"something behind":  string(good) + "{}",
		"null":              "null",
		"a changed content": strings.Replace(string(good), "content\":\"", "content\":\"AAAA", 1),
		"a newer version":   edit(func(j *journal) { j.Version++ }),
		"no files":          edit(func(j *journal) { j.Entries = nil }),
		"no path":           edit(func(j *journal) { j.Entries[0].Path = "" }),
		"a path out":        edit(func(j *journal) { j.Entries[0].Path = "../elsewhere" }),
		"an absolute path":  edit(func(j *journal) { j.Entries[0].Path = "/etc/passwd" }),
		"another folder":    edit(func(j *journal) { j.Entries[0].Folder = 2 }),
		"no folder":         edit(func(j *journal) { j.Entries[0].Folder = -1 }),
		"an odd mode":       edit(func(j *journal) { j.Entries[0].After.Mode = fs.ModeSetuid | 0o755 }),
		"a link and a file": edit(func(j *journal) { j.Entries[0].After.Link = "x" }),
	} {
		write(t, r.journal, []byte(content))
		did, err := Replay(r.place(), Files{})
		var bad *JournalError
		if did || !errors.As(err, &bad) || bad.Path != r.journal || !strings.Contains(err.Error(), r.journal) {
			t.Errorf("%s: %t, %v", about, did, err)
			continue
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error repeats it", about)
		}
		if now, err := os.ReadFile(r.journal); err != nil || string(now) != content {
			t.Errorf("%s: the journal changed, %v", about, err)
		}
		if !maps.Equal(before, snapshot(t, r.dir)) {
			t.Errorf("%s: something changed", about)
		}
	}

	// What no Commit makes is not read: it may lead anywhere.
	for about, make := range map[string]func() error{
		"a folder":       func() error { return os.Mkdir(r.journal, 0o700) },
		"a link":         func() error { return os.Symlink(filepath.Join(r.top, "good"), r.journal) },
		"a link to none": func() error { return os.Symlink("nowhere", r.journal) },
	} {
		write(t, filepath.Join(r.top, "good"), good)
		os.Remove(r.journal)
		if err := make(); err != nil {
			t.Fatal(err)
		}
		_, err := Replay(r.place(), Files{})
		var bad *JournalError
		if !errors.As(err, &bad) || !errors.Is(err, ErrForeign) || !maps.Equal(before, snapshot(t, r.dir)) {
			t.Errorf("%s: %v", about, err)
		}
	}
}

// What cannot be had just now can be had later.
func TestReplayTriesAgain(t *testing.T) {
	r, old := cut(t, 4)
	shared := filepath.Join(r.top, "shared")
	if err := os.Rename(shared, shared+"-away"); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, r.dir)
	did, err := Replay(r.place(), Files{})
	var file *Error
	if did || !errors.As(err, &file) || file.Path != r.path(key) {
		t.Errorf("the link's folder is away: %t, %v", did, err)
	}
	if there, _ := paths.Exists(r.journal); !there || !maps.Equal(before, snapshot(t, r.dir)) {
		t.Errorf("the journal is there: %t", there)
	}
	if err := os.Rename(shared+"-away", shared); err != nil {
		t.Fatal(err)
	}
	if did, err := r.sweep(t, Files{}); !did || err != nil || r.check(t, old) == old {
		t.Errorf("later: %t, %v", did, err)
	}
	r.clean(t)
}

// A mode that was to change with the same content changes.
func TestReplayMode(t *testing.T) {
	w := newWorld(t)
	content := []byte("old content")
	j := &journal{Version: journalVersion, Entries: []entry{
		{Path: "old", Before: &state{Mode: 0o644, Content: content}, After: &state{Mode: 0o640, Content: content}},
	}}
	journaled, err := j.encode()
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.place().Journal, journaled)
	if did, err := Replay(w.place(), Files{}); !did || err != nil {
		t.Fatalf("%t, %v", did, err)
	}
	if got := modeOf(w.path("old"), 0); got != 0o640 && !OnWindows {
		t.Errorf("mode %v", got)
	}
}

func FuzzJournal(f *testing.F) {
	good, err := (&journal{Version: journalVersion, Entries: []entry{
		{Path: ".key", Follow: true, Before: &state{Mode: 0o600, Content: []byte("a"), Owner: &owner{0, 0}}, After: &state{Mode: 0o600, Content: []byte("x")}},
		{Folder: 1, Path: "keys/n", After: &state{Mode: 0o644}},
		{Path: "o", Before: &state{Link: "z"}},
	}}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, seed := range [...]string{"", "null", "{}", "[]", `{"version":2,"entries":[{}]}`, `{"version":2,"entries":[{"path":"a","before":null}]}`, `{"version":2,"entries":null}{}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		j, err := parseJournal(content)
		if err != nil {
			return
		}
		again, err := j.encode()
		if err != nil {
			t.Fatal(err)
		}
		same, err := parseJournal(again)
		if err != nil {
			t.Fatalf("%s does not read: %v", again, err)
		}
		if third, _ := same.encode(); !bytes.Equal(third, again) {
			t.Fatalf("%s reads as %s", again, third)
		}
		for _, e := range j.Entries {
			if !filepath.IsLocal(e.Path) || e.Folder < 0 || e.After != nil && e.After.Mode&^fs.ModePerm != 0 {
				t.Fatalf("%+v", e)
			}
		}
	})
}
