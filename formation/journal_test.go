package formation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
)

// rotation is a formation in a repository, with all the files that a rotation
// changes. Its .key is a link to a file that is shared.
type rotation struct {
	top     string
	f       *Formation
	ring    Keyring
	journal string
}

// rotationIn is what lies in top.
func rotationIn(t *testing.T, top string) rotation {
	t.Helper()
	f, err := At(filepath.Join(top, "repo", "agent"))
	if err != nil {
		t.Fatal(err)
	}
	common := filepath.Join(top, "repo", ".git", "muxi-secrets")
	return rotation{top, f, Keyring{filepath.Join(common, "keys")}, filepath.Join(common, "rotate-1")}
}

func newRotation(t *testing.T) rotation {
	t.Helper()
	top := makeFiles(t, map[string]string{"repo/agent/formation.afs": "", "repo/agent/secrets": "A=\n", "repo/agent/note": "goes", "shared/empty": "", "repo/.git/HEAD": ""})
	link(t, filepath.Join("..", "..", "shared", "key"), filepath.Join(top, "repo", "agent", KeyFile))
	r := rotationIn(t, top)
	key := newKey(t, crypto.Fernet)
	write(t, filepath.Join(top, "shared", "key"), key.File())
	token, err := key.Seal([]byte(oneSecret))
	if err != nil {
		t.Fatal(err)
	}
	write(t, r.f.Path(VaultFile), token)
	write(t, r.f.Path(WrappedKeyFile), []byte(key.Fingerprint()))
	return r
}

// rotate is what a rotation does, the wrapped key being a fingerprint.
func (r rotation) rotate(files Files) error {
	opened, err := r.f.Open()
	if err != nil {
		return err
	}
	key, err := crypto.GenerateKey(crypto.Fernet)
	if err != nil {
		return err
	}
	token, err := key.Seal(opened.Vault.Encode())
	if err != nil {
		return err
	}
	b := files.BatchIn(r.f.Dir)
	defer b.Discard()
	b.Journal(r.journal)
	if err := r.ring.Add(b, opened.Key); err != nil {
		return err
	}
	for _, file := range [...]struct {
		name string
		data []byte
		perm fs.FileMode
	}{
		{RecipientsFile, []byte("# " + key.Fingerprint() + "\n"), 0o644},
		{WrappedKeyFile, []byte(key.Fingerprint()), 0o644},
		{VaultFile, token, 0o600},
		{KeyFile, key.File(), 0o600},
	} {
		if err := b.Replace(r.f.Path(file.name), file.data, file.perm); err != nil {
			return err
		}
	}
	if there, _ := exists(r.f.Path("note")); there {
		if err := b.Create(r.f.Path("made"), []byte("by the first"), 0o640); err != nil {
			return err
		}
	}
	b.Remove(r.f.Path("note"))
	return b.Commit()
}

// check fails unless all files are of one rotation; was is the fingerprint of
// the key before it. It returns that of the key now.
func (r rotation) check(t *testing.T, was string) string {
	t.Helper()
	opened, err := r.f.Open()
	if err != nil {
		t.Fatal(err)
	}
	if value, _, _ := opened.Vault.Get("A"); value != marker {
		t.Fatal("the vault has another value")
	}
	now := opened.Key.Fingerprint()
	if content, err := os.ReadFile(r.f.Path(WrappedKeyFile)); string(content) != now {
		t.Errorf("the wrapped key is another, %v", err)
	}
	if info, err := os.Lstat(r.f.Path(KeyFile)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf(".key is no link any more, %v", err)
	}
	if ModeOf(r.f.Path(KeyFile), 0) != 0o600 && !onWindows {
		t.Errorf("mode %v", ModeOf(r.f.Path(KeyFile), 0))
	}
	retired := fingerprints(r.ring.Keys())
	_, note := os.Stat(r.f.Path("note"))
	_, made := os.Stat(r.f.Path("made"))
	if now == was {
		return now
	}
	if content, err := os.ReadFile(r.f.Path(RecipientsFile)); string(content) != "# "+now+"\n" {
		t.Errorf("the people are of another rotation, %v", err)
	}
	if !strings.Contains(retired, was) {
		t.Error("the old key is lost")
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
	noTemps(t, r.f.Dir, r.ring.Dir, filepath.Dir(r.journal), filepath.Join(r.top, "shared"))
}

// sweep does what the next command does.
func (r rotation) sweep(t *testing.T, files Files) (bool, error) {
	t.Helper()
	Sweep(filepath.Join(r.top, "lock"), r.f.Folders()...)
	return Replay(r.journal, files)
}

func (r rotation) key(t *testing.T) string {
	t.Helper()
	key, err := r.f.ReadKey()
	if err != nil {
		t.Fatal(err)
	}
	return key.Fingerprint()
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
			if info, err := os.Stat(filepath.Dir(r.journal)); !onWindows && (err != nil || info.Mode().Perm() != 0o700 || ModeOf(r.journal, 0) != 0o600) {
				t.Errorf("modes: %v, %v", ModeOf(r.journal, 0), err)
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
	if again, err := Replay(r.journal, Files{}); again || err != nil {
		t.Errorf("a replay of nothing: %t, %v", again, err)
	}
	var j struct {
		Version int
		Entries []struct{ Path string }
	}
	if err := json.Unmarshal(journaled, &j); err != nil || j.Version != 1 || len(j.Entries) != 7 || j.Entries[4].Path != "../../agent/.key" {
		t.Errorf("%+v, %v", j, err)
	}

	// One that was not removed has nothing left to do.
	before := snapshot(t, r.f.Dir)
	write(t, r.journal, journaled)
	if did, err := Replay(r.journal, Files{}); !did || err != nil || !maps.Equal(before, snapshot(t, r.f.Dir)) {
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
	r := rotationIn(t, top)
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
		if _, err := Replay(r.journal, files); err != nil {
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
		if there, _ := exists(r.journal); there && journaled == 0 {
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
		there, _ := exists(r.journal)
		did, err := r.sweep(t, Files{})
		// The last step comes after the journal was removed.
		if err != nil || did != there || there != (at >= journaled && at < steps) {
			t.Fatalf("step %d: a journal %t, finished %t, %v", at, there, did, err)
		}
		if now := r.check(t, old); (now != old) != (at >= journaled) {
			t.Errorf("step %d: new %t", at, now != old)
		}
		r.clean(t)
	}
}

func TestReplayKilledAtEveryStep(t *testing.T) {
	// half leaves the journal, and the first of the files in place.
	half := func() (r rotation, old string) {
		r = newRotation(t)
		old = r.key(t)
		renames := 0
		err := r.rotate(Files{Fault: func(step Step, path string) error {
			if step == StepRename {
				if renames++; renames == 3 {
					return errInjected
				}
			}
			return nil
		}})
		var file *FileError
		if !errors.As(err, &file) || file.Op != OpPublish {
			t.Fatalf("%v", err)
		}
		return r, old
	}
	probe, old := half()
	steps, _ := countSteps(t, probe, func(files Files) error { _, err := Replay(probe.journal, files); return err })
	probe.check(t, old)
	for at := 1; at <= steps; at++ {
		r, old := half()
		if err := r.child(t, fmt.Sprintf("TEST_JOURNAL_STEP=%d", at), "TEST_JOURNAL_REPLAY=1").Run(); err == nil {
			t.Fatalf("step %d: not killed", at)
		}
		if did, err := r.sweep(t, Files{}); err != nil || did != (at < steps) {
			t.Fatalf("step %d: finished %t, %v", at, did, err)
		}
		if r.check(t, old) == old {
			t.Errorf("step %d: it is old", at)
		}
		r.clean(t)

		// A failing disk in place of a kill: the next try finishes.
		r, old = half()
		n := 0
		_, err := Replay(r.journal, Files{Fault: func(step Step, path string) error {
			if n++; n == at && step != StepSyncDir {
				return errInjected
			}
			return nil
		}})
		var file *FileError
		if there, _ := exists(r.journal); err != nil && (!errors.As(err, &file) || !errors.Is(err, errInjected) || !there) || (err == nil) == there {
			t.Errorf("step %d: journal there %t, %v", at, there, err)
		}
		if _, err := r.sweep(t, Files{}); err != nil || r.check(t, old) == old {
			t.Errorf("step %d: failed, then %v", at, err)
		}
		r.clean(t)
	}
}

// Killed at random moments of its real run time, one rotation after another.
func TestJournalKilledAtAnyMoment(t *testing.T) {
	kills := 100
	if testing.Short() {
		kills = 10
	}
	r := newRotation(t)
	start := time.Now()
	for range 5 {
		if err := r.rotate(Files{}); err != nil {
			t.Fatal(err)
		}
	}
	longest := time.Since(start) / 5 * 2
	was := r.key(t)
	finished := 0
	for i := range kills {
		cmd := r.child(t)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out.Read(make([]byte, 1)) // it rotates from now on
		time.Sleep(rand.N(longest))
		cmd.Process.Kill()
		cmd.Wait()
		did, err := r.sweep(t, Files{})
		if err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		if did {
			finished++
		}
		now := r.key(t)
		if retired := fingerprints(r.ring.Keys()); !strings.Contains(retired, was) && now != was {
			t.Fatalf("kill %d: an old key is lost", i)
		}
		was = r.check(t, was)
		r.clean(t)
	}
	t.Logf("%d kills, %d of them with a journal to finish, %d rotations", kills, finished, len(r.ring.Keys()))
	if finished == 0 && !testing.Short() {
		t.Error("no kill came between the first file and the last")
	}
}

// A step that fails leaves all files old and no journal, or a journal from
// which all become new.
func TestJournalFails(t *testing.T) {
	probe := newRotation(t)
	steps, _ := countSteps(t, probe, probe.rotate)
	kept := 0
	for at := 1; at <= steps; at++ {
		r := newRotation(t)
		old := r.key(t)
		before := snapshot(t, r.f.Dir)
		n, failed := 0, Step("")
		err := r.rotate(Files{Fault: func(step Step, path string) error {
			if n++; n == at {
				failed = step
				return errInjected
			}
			return nil
		}})
		var file *FileError
		if (err == nil) != (failed == StepSyncDir) || err != nil && (!errors.As(err, &file) || !errors.Is(err, errInjected)) {
			t.Fatalf("step %d, %s: %v", at, failed, err)
		}
		noTemps(t, r.f.Dir, r.ring.Dir, filepath.Dir(r.journal), filepath.Join(r.top, "shared"))
		there, _ := exists(r.journal)
		switch {
		case there:
			kept++
			if did, err := Replay(r.journal, Files{}); err != nil || !did || r.check(t, old) == old {
				t.Errorf("step %d, %s: finished %t, %v", at, failed, did, err)
			}
		case err != nil:
			if !maps.Equal(snapshot(t, r.f.Dir), before) {
				t.Errorf("step %d, %s: something changed", at, failed)
			}
		}
		r.check(t, old)
		r.clean(t)
	}
	if kept != 6 {
		t.Errorf("%d of the later renames kept a journal", kept)
	}
}

func TestJournalRefuses(t *testing.T) {
	for about, fill := range map[string]func(w world, b *Batch) error{
		"a move":                 func(w world, b *Batch) error { b.Move(w.path("moved"), w.path("aside")); return nil },
		"a link that is removed": func(w world, b *Batch) error { b.Remove(w.path("linked")); return nil },
		"a link that is replaced": func(w world, b *Batch) error {
			return b.Put(w.path("linked"), []byte("x"), 0o600)
		},
		"one file twice": func(w world, b *Batch) error {
			return errors.Join(b.Replace(w.path("linked"), []byte("x"), 0o600), b.Replace(filepath.Join(w.other, "real"), []byte("y"), 0o600))
		},
	} {
		w := newWorld(t)
		before, other := snapshot(t, w.dir), snapshot(t, w.other)
		b := Files{}.BatchIn(w.dir)
		b.Journal(filepath.Join(t.TempDir(), "journal"))
		if err := b.Replace(w.path("old"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := fill(w, b); err != nil {
			t.Fatal(err)
		}
		err := b.Commit()
		var file *FileError
		if !errors.As(err, &file) || file.Op != OpJournal {
			t.Errorf("%s: %v", about, err)
		}
		if !maps.Equal(before, snapshot(t, w.dir)) || !maps.Equal(other, snapshot(t, w.other)) {
			t.Errorf("%s: something changed", about)
		}
		if there, _ := exists(b.journal); there {
			t.Errorf("%s: there is a journal", about)
		}
	}
	// Nor is a journal lost that nobody has finished.
	w := newWorld(t)
	write(t, w.path("journal"), []byte("unfinished"))
	before := snapshot(t, w.dir)
	b := Files{}.Batch()
	b.Journal(w.path("journal"))
	if err := b.Replace(w.path("old"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); !errors.Is(err, ErrExists) || !maps.Equal(before, snapshot(t, w.dir)) {
		t.Errorf("over another journal: %v", err)
	}
	// One of nothing is none.
	b = Files{}.Batch()
	b.Journal(w.path("journal"))
	if err := b.Commit(); err != nil {
		t.Error(err)
	}
	// The same content twice is no harm: two formations with one key.
	b = Files{}.Batch()
	b.Journal(w.path("second"))
	for _, path := range [...]string{w.path("linked"), filepath.Join(w.other, "real")} {
		if err := b.Replace(path, []byte("same"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(); err != nil {
		t.Error(err)
	}
}

// cut is a rotation that stopped before its nth rename, the journal's being the
// first.
func cut(t *testing.T, n int) (r rotation, old string) {
	t.Helper()
	r = newRotation(t)
	old = r.key(t)
	renames := 0
	var saved []byte
	err := r.rotate(Files{Fault: func(step Step, path string) error {
		if step != StepRename {
			return nil
		}
		if renames++; renames == n {
			var err error
			if saved, err = os.ReadFile(r.journal); err != nil {
				t.Fatal(err)
			}
			return errInjected
		}
		return nil
	}})
	if err == nil {
		t.Fatal("it did not stop")
	}
	write(t, r.journal, saved) // before the first file Commit takes it back
	return r, old
}

func TestReplayAfterMove(t *testing.T) {
	for n := 2; n <= 7; n++ {
		r, old := cut(t, n)
		to := filepath.Join(filepath.Dir(r.top), "moved-"+filepath.Base(r.top))
		if err := os.Rename(r.top, to); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(to) })
		r = rotationIn(t, to)
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
	link(t, r.top, alias)
	by := rotationIn(t, alias)
	by.journal = r.journal // as git says it, links resolved
	old := r.key(t)
	renames := 0
	err := by.rotate(Files{Fault: func(step Step, path string) error {
		if step == StepRename {
			if renames++; renames == 4 {
				return errInjected
			}
		}
		return nil
	}})
	if err == nil {
		t.Fatal("it did not stop")
	}
	if err := os.Remove(alias); err != nil {
		t.Fatal(err)
	}
	if did, err := r.sweep(t, Files{}); !did || err != nil || r.check(t, old) == old {
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
		"another vault":          {5, func(r rotation) { write(t, r.f.Path(VaultFile), []byte("another branch's")) }, []string{VaultFile}, true},
		"nothing was in place":   {2, func(r rotation) { write(t, r.f.Path(VaultFile), []byte("another branch's")) }, []string{VaultFile}, false},
		"two files":              {5, func(r rotation) { os.Remove(r.f.Path(VaultFile)); write(t, r.f.Path(RecipientsFile), nil) }, []string{RecipientsFile, VaultFile}, true},
		"a folder in its place":  {5, func(r rotation) { os.Remove(r.f.Path(VaultFile)); os.Mkdir(r.f.Path(VaultFile), 0o700) }, []string{VaultFile}, true},
		"what was to be created": {5, func(r rotation) { write(t, r.f.Path("made"), []byte("by hand")) }, []string{"made"}, true},
		"what was to be removed": {5, func(r rotation) { write(t, r.f.Path("note"), []byte("edited")) }, []string{"note"}, true},
		"the formation is gone":  {2, func(r rotation) { os.RemoveAll(r.f.Dir) }, []string{RecipientsFile, WrappedKeyFile, VaultFile, KeyFile, "made"}, false},
	} {
		r, _ := cut(t, test.stop)
		journaled, err := os.ReadFile(r.journal)
		if err != nil {
			t.Fatal(err)
		}
		test.change(r)
		before := snapshot(t, filepath.Join(r.top, "repo"))
		did, err := Replay(r.journal, Files{})
		var over *OverrunError
		if did || !errors.As(err, &over) || over.Path != r.journal {
			t.Errorf("%s: %t, %v", about, did, err)
			continue
		}
		var names []string
		for _, path := range over.Files {
			rel, err := filepath.Rel(r.f.Dir, path)
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
		if did, err := Replay(r.journal, Files{}); did || err != nil {
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
	edit := func(change func(j *journal)) string {
		j, err := parseJournal(good)
		if err != nil {
			t.Fatal(err)
		}
		change(j)
		content, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	before := snapshot(t, r.f.Dir)
	for about, content := range map[string]string{
		"empty":              "",
		"text":               secret,
		"half":               string(good[:len(good)/2]),
		"all but the end":    string(good[:len(good)-1]),
		"something behind":   string(good) + "{}",
		"null":               "null",
		"a newer version":    edit(func(j *journal) { j.Version = 2 }),
		"no files":           edit(func(j *journal) { j.Entries = nil }),
		"no path":            edit(func(j *journal) { j.Entries[0].Path = "" }),
		"a changed content":  edit(func(j *journal) { j.Entries[0].Content[0] ^= 1 }),
		"no content":         edit(func(j *journal) { j.Entries[0].Content = nil }),
		"an odd mode":        edit(func(j *journal) { j.Entries[0].Mode = fs.ModeSetuid | 0o755 }),
		"an odd hash":        edit(func(j *journal) { j.Entries[0].Before = "x" }),
		"content to remove":  edit(func(j *journal) { j.Entries[0].Removed = true }),
		"created over a one": edit(func(j *journal) { j.Entries[0].Create, j.Entries[0].Before = true, hashOf(nil) }),
	} {
		write(t, r.journal, []byte(content))
		did, err := Replay(r.journal, Files{})
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
		if !maps.Equal(before, snapshot(t, r.f.Dir)) {
			t.Errorf("%s: something changed", about)
		}
	}
	os.Remove(r.journal)
	if err := os.Mkdir(r.journal, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = Replay(r.journal, Files{})
	if _, ok := errors.AsType[*FileError](err); !ok {
		t.Errorf("a folder: %v", err)
	}
}

// What cannot be had just now can be had later.
func TestReplayTriesAgain(t *testing.T) {
	r, old := cut(t, 4)
	shared := filepath.Join(r.top, "shared")
	if err := os.Rename(shared, shared+"-away"); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, r.f.Dir)
	did, err := Replay(r.journal, Files{})
	var file *FileError
	if did || !errors.As(err, &file) || file.Path != r.f.Path(KeyFile) {
		t.Errorf("the link's folder is away: %t, %v", did, err)
	}
	if there, _ := exists(r.journal); !there || !maps.Equal(before, snapshot(t, r.f.Dir)) {
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
	journal := w.path("journal")
	b := Files{Fault: func(step Step, path string) error {
		if step == StepRename && path == w.path("old") {
			return errInjected
		}
		return nil
	}}.Batch()
	b.Journal(journal)
	for _, name := range [...]string{"gone", "old"} {
		content, err := os.ReadFile(w.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Replace(w.path(name), content, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(); err == nil {
		t.Fatal("it did not stop")
	}
	if did, err := Replay(journal, Files{}); !did || err != nil {
		t.Fatalf("%t, %v", did, err)
	}
	if got := ModeOf(w.path("old"), 0); got != 0o640 && !onWindows {
		t.Errorf("mode %v", got)
	}
}

// Whoever reads while rotations go on opens one of the states, never a mixture.
func TestOpenWhileRotating(t *testing.T) {
	r := newRotation(t)
	stop := make(chan struct{})
	done := make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			// A slow disk: the window between vault and key is open for long.
			err := r.rotate(Files{Fault: func(step Step, path string) error {
				if step == StepRename && filepath.Base(path) == "key" {
					time.Sleep(20 * time.Millisecond)
				}
				return nil
			}})
			if err != nil {
				done <- err
				return
			}
		}
	}()
	seen := map[string]bool{}
	for range 100_000 {
		if len(seen) > 5 {
			break
		}
		opened, err := r.f.Open()
		if err != nil {
			t.Error(err)
			break
		}
		seen[opened.Key.Fingerprint()] = true
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(seen) < 2 && !t.Failed() {
		t.Error("nothing was rotated meanwhile")
	}
}

// A key that does not fit is said at once where nobody writes, and in the end
// where a killed writer left a temp file.
func TestOpenWrongKeyBesideLeftover(t *testing.T) {
	f, _ := sealed(t, crypto.Fernet, oneSecret)
	write(t, f.Path(KeyFile), newKey(t, crypto.Fernet).File())
	for range 2 {
		_, err := f.Open()
		var vault *VaultError
		if !errors.As(err, &vault) || crypto.ReasonOf(err) != crypto.WrongKey {
			t.Errorf("%v", err)
		}
		write(t, f.Path(tempPrefix+"0"), nil)
	}
}

func FuzzJournal(f *testing.F) {
	good, err := json.Marshal(journal{1, []journalEntry{
		{Path: "../../agent/.key", Mode: 0o600, Before: hashOf(nil), After: hashOf([]byte("x")), Content: []byte("x")},
		{Path: "../n", Mode: 0o644, After: hashOf([]byte("y")), Content: []byte("y"), Create: true},
		{Path: "../o", Before: hashOf([]byte("z")), Removed: true},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, seed := range [...]string{"", "null", "{}", "[]", `{"version":1,"entries":[{}]}`, `{"version":1,"entries":[{"path":"a","removed":true}]}`, `{"version":1,"entries":null}{}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		j, err := parseJournal(content)
		if err != nil {
			return
		}
		again, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		same, err := parseJournal(again)
		if err != nil {
			t.Fatalf("%s does not read: %v", again, err)
		}
		if third, _ := json.Marshal(same); !bytes.Equal(third, again) {
			t.Fatalf("%s reads as %s", again, third)
		}
		for _, e := range j.Entries {
			if e.Removed == (e.After != "") || e.Mode&^fs.ModePerm != 0 || !e.Removed && hashOf(e.Content) != e.After {
				t.Fatalf("%+v", e)
			}
		}
	})
}
