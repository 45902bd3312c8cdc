package trust

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
)

// stage is a repository in which lists come and go.
type stage struct {
	*gittest.Repo
	*cast
}

func newStage(t *testing.T) *stage {
	t.Helper()
	return &stage{gittest.New(t), newCast(t)}
}

// put commits a list in a folder; "" takes it away.
func (s *stage) put(dir, story string, people ...formation.Person) string {
	s.Helper()
	s.Write(dir+"/formation.afs", "id: "+dir+"\n")
	file := dir + "/" + formation.RecipientsFile
	if story == "" {
		s.Remove(file)
	} else {
		s.Write(file, string(s.text(story, people...)))
	}
	return s.Commit(dir + " " + story)
}

// both asks about a folder through both backends.
func (s *stage) both(f Folder, check func(t *testing.T, f *Folder, e *Evidence)) {
	s.Helper()
	for _, backend := range []string{"git", "go-git"} {
		repo, err := gitutil.Open(s.Dir, gitutil.Options{Getenv: s.Getenv, Environ: s.Env, Backend: backend})
		if err != nil {
			s.Fatal(err)
		}
		s.TB.(*testing.T).Run(backend, func(t *testing.T) {
			asked := f
			asked.Repo = repo
			asked.File, _ = os.ReadFile(filepath.Join(s.Dir, f.Dir, formation.RecipientsFile))
			e, err := asked.Gather(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			check(t, &asked, e)
		})
		repo.Close()
	}
}

func (s *stage) pin(pin formation.Pin) {
	s.Helper()
	pins := PinsOf(gitutil.Layout{GitDir: filepath.Join(s.Dir, ".git"), CommonDir: filepath.Join(s.Dir, ".git")})
	batch := safefile.Files{}.Batch(safefile.Place{})
	if err := pins.Set(batch, pin); err != nil {
		s.Fatal(err)
	}
	if err := batch.Commit(); err != nil {
		s.Fatal(err)
	}
}

func names(people []formation.Person) string {
	var all []string
	for _, p := range people {
		all = append(all, p.Name)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

// vouched names those whom the key vouches for.
func vouched(e *Evidence, f *Folder, key crypto.PublicKey) string {
	lists := f.Vouching(e)
	var people []formation.Person
	for person := range VouchedBy(key, NewSuccession(lists...), lists...) {
		people = append(people, person)
	}
	return names(people)
}

func TestGatherNothing(t *testing.T) {
	s := newStage(t)
	s.both(Folder{Dir: "bot"}, func(t *testing.T, f *Folder, e *Evidence) {
		if e.Pinned || e.Head.State != NoList || e.File.State != NoList || len(e.Tips) != 0 || e.Once() || f.Brought(crypto.PublicKey{}) != nil {
			t.Errorf("before the first commit: %+v", e)
		}
	})

	outside := Folder{File: s.text("a")}
	e, err := outside.Gather(context.Background())
	if err != nil || e.File.State != Signed || len(outside.Vouching(e)) != 1 || outside.LastChange(context.Background(), "x") != nil {
		t.Errorf("outside of any repository: %+v, %v", e, err)
	}
}

func TestGatherForks(t *testing.T) {
	s := newStage(t)
	s.put("bot", "a")
	s.Git("checkout", "-q", "-b", "other")
	other := s.put("bot", "a>c")
	s.Git("checkout", "-q", "main")
	rotation := s.put("bot", "a>b")
	s.pin(formation.Pin{Folder: "bot", Key: s.public("a"), Signed: true})

	s.both(Folder{Dir: "bot"}, func(t *testing.T, f *Folder, e *Evidence) {
		v := e.Unlock(s.public("b"))
		if v.Standing != Forked || v.Rival.Ref != "refs/heads/other" || v.Rival.Commit != other || v.RivalKey != s.public("c") {
			t.Errorf("got %+v", v)
		}
		if commit := f.Brought(s.public("b")); commit == nil || commit.Hash != rotation {
			t.Errorf("the rotation came in %+v, want %s", commit, rotation)
		}
		if last := f.LastChange(context.Background(), formation.RecipientsFile); last == nil || last.Hash != rotation {
			t.Errorf("the list was changed last in %+v", last)
		}
	})

	// On another remote's branch it is one as well; in HEAD's own history it is
	// settled, whatever else still points to it.
	s.Git("branch", "-m", "other", "was")
	s.Git("update-ref", "refs/remotes/fork/x", other)
	s.Git("branch", "-D", "was")
	s.both(Folder{Dir: "bot"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if v := e.Unlock(s.public("b")); v.Standing != Forked || v.Rival.Ref != "refs/remotes/fork/x" {
			t.Errorf("got %+v", v)
		}
	})
	s.Git("merge", "-q", "-s", "ours", "-m", "settled", other)
	s.both(Folder{Dir: "bot"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if v := e.Unlock(s.public("b")); v.Standing != Successor {
			t.Errorf("a fork that HEAD contains counts: %+v", v)
		}
	})
}

// A folder that came in one commit, and whose old one went in another, is none that
// history shows; the branch that has the old one knows of the rotation there.
func TestGatherForkOfRenamedFolder(t *testing.T) {
	s := newStage(t)
	s.put("bot", "a")
	s.Git("checkout", "-q", "-b", "other")
	s.put("bot", "a>b")
	s.Git("checkout", "-q", "main")
	s.put("new", "a>c")
	s.Git("rm", "-rq", "bot")
	s.Commit("gone")
	s.pin(formation.Pin{Folder: "bot", Key: s.public("a"), Signed: true})
	s.both(Folder{Dir: "new"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if v := e.Unlock(s.public("c")); v.Standing != Forked || v.RivalKey != s.public("b") {
			t.Errorf("got %+v", v)
		}
	})
}

// Chains are judged per folder.
func TestGatherCopiedFormation(t *testing.T) {
	s := newStage(t)
	s.put("bot", "a")
	s.put("copy", "a>c")
	s.put("bot", "a>b")
	s.pin(formation.Pin{Folder: "bot", Key: s.public("a")})
	s.both(Folder{Dir: "bot"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if v := e.Unlock(s.public("b")); v.Standing != Successor {
			t.Errorf("got %+v", v)
		}
	})
}

func TestGatherPins(t *testing.T) {
	s := newStage(t)
	s.put("bot", "a")
	s.pin(formation.Pin{Folder: "old", Key: s.public("a")})
	s.both(Folder{Dir: "bot"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if e.Pinned || len(e.Vanished) != 1 || e.Unlock(s.public("a")).Standing != Ours || e.Unlock(s.public("evil")).Standing != Swapped {
			t.Errorf("a renamed folder: %+v", e)
		}
	})
	s.pin(formation.Pin{Folder: "old", Key: s.public("a"), Gone: true})
	s.both(Folder{Dir: "bot"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if len(e.Vanished) != 0 || e.Unlock(s.public("a")).Standing != FirstContact {
			t.Errorf("a folder that nobody misses: %+v", e)
		}
	})
	s.pin(formation.Pin{Folder: "old", Key: s.public("a")})
	s.put("old", "a")
	s.both(Folder{Dir: "bot"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if len(e.Vanished) != 0 {
			t.Errorf("a folder that is there: %+v", e)
		}
	})
	s.pin(formation.Pin{Folder: "bot", Key: s.public("b")})
	s.both(Folder{Dir: "bot"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if !e.Pinned || e.Pin.Key != s.public("b") {
			t.Errorf("a pinned folder: %+v", e)
		}
	})

	// A new work tree of a repository that has met the formation.
	s.Git("worktree", "add", "-q", "../linked")
	linked := &stage{s.At("../linked"), s.cast}
	linked.both(Folder{Dir: "bot"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if !e.Pinned || e.Pin.Key != s.public("b") {
			t.Errorf("another work tree: %+v", e)
		}
	})
}

func TestGatherHistory(t *testing.T) {
	s := newStage(t)
	s.put("bot", "a")
	s.put("bot", "a>b")
	s.put("bot", "a") // put back, by whoever has the old key
	s.pin(formation.Pin{Folder: "bot", Key: s.public("b"), Signed: true})
	s.both(Folder{Dir: "bot", Kept: []*crypto.Key{s.key("a")}}, func(t *testing.T, _ *Folder, e *Evidence) {
		if v := e.Unlock(s.public("a")); v.Standing != Retired {
			t.Errorf("a retired key: %+v", v)
		}
	})

	s.both(Folder{Dir: "bot"}, func(t *testing.T, f *Folder, e *Evidence) {
		if later, ok := e.Replaced(s.public("a")); !ok || later != s.public("b") {
			t.Errorf("a was replaced by %s, %v", s.nameOf(later), ok)
		}
		if _, ok := e.Replaced(s.public("b")); ok {
			t.Error("b was replaced")
		}
		if commit := f.Rotated(s.public("a")); commit == nil || commit.Subject != "bot a>b" {
			t.Errorf("it was rotated in %+v", commit)
		}
	})

	s.put("bot", "-")
	s.both(Folder{Dir: "bot"}, func(t *testing.T, f *Folder, e *Evidence) {
		e.Pin, e.Pinned = formation.Pin{}, false
		if !e.Once() || e.Unlock(s.public("evil")).Standing != NotSigned {
			t.Error("a foot that was stripped: it was never signed")
		}
	})
	s.put("bot", "")
	s.both(Folder{Dir: "bot"}, func(t *testing.T, f *Folder, e *Evidence) {
		e.Pin, e.Pinned = formation.Pin{}, false
		if !e.Once() || e.Unlock(s.public("evil")).Standing != NotSigned {
			t.Error("a list that was deleted: it was never signed")
		}
	})
	s.put("bot", "-")
	s.both(Folder{Dir: "bot"}, func(t *testing.T, f *Folder, e *Evidence) {
		if !e.Once() {
			t.Error("a list that was made anew: it was never signed")
		}
	})

	// The folder has another name since.
	s.put("bot", "a>b")
	s.Git("mv", "bot", "agent")
	s.Commit("renamed")
	s.put("agent", "-")
	s.both(Folder{Dir: "agent", Was: []string{"bot"}}, func(t *testing.T, f *Folder, e *Evidence) {
		if !e.Once() {
			t.Error("a renamed folder: it was never signed")
		}
		if got := vouched(e, f, s.public("b")); got != "Ann" {
			t.Errorf("a renamed folder: %q are vouched for", got)
		}
	})
}

// A merge that kept one side whole has the other one in its history.
func TestGatherMergedAway(t *testing.T) {
	s := newStage(t)
	s.put("bot", "a")
	s.put("old", "-")
	s.Git("branch", "pr")
	s.put("bot", "a>b")
	s.put("old", "a")
	s.Git("checkout", "-q", "pr")
	s.Write("x", "x")
	s.Commit("pr")
	s.both(Folder{Dir: "bot"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if _, ok := e.Replaced(s.public("a")); ok {
			t.Error("a rotation on another branch replaced the key")
		}
	})

	s.Git("merge", "-q", "-s", "ours", "--no-edit", "main")
	s.both(Folder{Dir: "bot"}, func(t *testing.T, f *Folder, e *Evidence) {
		if later, ok := e.Replaced(s.public("a")); !ok || later != s.public("b") || f.Rotated(s.public("a")) == nil {
			t.Errorf("a was replaced by %s, %v", s.nameOf(later), ok)
		}
	})
	s.both(Folder{Dir: "old"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if !e.Once() {
			t.Error("it was never signed")
		}
	})
}

func TestGatherPeople(t *testing.T) {
	s := newStage(t)
	bob, eve, zoe := person(t, "Bob"), person(t, "Eve"), person(t, "Zoe")
	base := s.put("bot", "a")
	s.Git("checkout", "-q", "-b", "one")
	s.put("bot", "a", bob)
	s.Git("checkout", "-q", "-b", "two", base)
	s.put("bot", "a", eve)

	// Merged without a driver, and by hand besides.
	s.Try("merge", "-q", "one")
	s.put("bot", "-", bob, eve, zoe)
	s.both(Folder{Dir: "bot"}, func(t *testing.T, f *Folder, e *Evidence) {
		if got := vouched(e, f, s.public("a")); got != "Ann Bob Eve" {
			t.Errorf("%q are vouched for", got)
		}
		if got := vouched(e, f, s.public("b")); got != "" {
			t.Errorf("by another key: %q", got)
		}
	})
	s.put("bot", "a!", bob, eve, zoe) // and once more
	s.both(Folder{Dir: "bot"}, func(t *testing.T, f *Folder, e *Evidence) {
		if got := vouched(e, f, s.public("a")); got != "Ann Bob Eve" {
			t.Errorf("two changes by hand: %q are vouched for", got)
		}
	})

	// In the middle of a merge the stages say it.
	s.Git("checkout", "-q", "one")
	s.Git("checkout", "-q", "-b", "three")
	s.Fails("merge", "-q", "two~2")
	head := s.Git("rev-parse", "two~2")
	s.both(Folder{Dir: "bot", Merging: []string{head}}, func(t *testing.T, f *Folder, e *Evidence) {
		if got := vouched(e, f, s.public("a")); got != "Ann Bob Eve" {
			t.Errorf("in a merge: %q are vouched for", got)
		}
	})
	s.Git("merge", "--abort")

	// Someone who was removed, and has the key of then.
	s.put("bot", "a>b", bob)
	s.both(Folder{Dir: "bot", Merging: []string{head}}, func(t *testing.T, f *Folder, e *Evidence) {
		if got := vouched(e, f, s.public("b")); got != "Ann Bob" {
			t.Errorf("after a rotation: %q are vouched for", got)
		}
	})
}

// Who put a person into a list is not who changed it last, nor who merged that.
func TestGatherIntroduced(t *testing.T) {
	s := newStage(t)
	bob, eve, zoe := person(t, "Bob"), person(t, "Eve"), person(t, "Zoe")
	base := s.put("bot", "a")
	s.Git("checkout", "-q", "-b", "stranger")
	came := s.put("bot", "-", eve)
	s.Git("checkout", "-q", "-b", "own", base)
	s.put("bot", "a", bob)

	s.Try("merge", "-q", "stranger")
	s.put("bot", "-", bob, eve) // settles it
	s.Git("commit", "-q", "--allow-empty", "-m", "later")
	s.put("bot", "-", bob, eve, person(t, "Later"))
	s.both(Folder{Dir: "bot"}, func(t *testing.T, f *Folder, e *Evidence) {
		if commit := f.Introduced(eve); commit == nil || commit.Hash != came {
			t.Errorf("she came in %+v, want %s", commit, came)
		}
		if commit := f.Introduced(zoe); commit != nil {
			t.Errorf("somebody who is in no commit came in %+v", commit)
		}
	})

	// While the merge is under way.
	s.Git("checkout", "-q", "-b", "again", "own~3")
	s.Fails("merge", "-q", "stranger")
	s.both(Folder{Dir: "bot", Merging: []string{came}}, func(t *testing.T, f *Folder, e *Evidence) {
		if commit := f.Introduced(eve); commit == nil || commit.Hash != came {
			t.Errorf("in a merge she came in %+v, want %s", commit, came)
		}
	})
}

// A list whose signature fits nothing was signed all the same.
func TestGatherBroken(t *testing.T) {
	s := newStage(t)
	s.put("bot", "a>b!")
	s.put("bot", "-")
	s.both(Folder{Dir: "bot"}, func(t *testing.T, _ *Folder, e *Evidence) {
		if !e.WasSigned() || !e.Once() {
			t.Error("it was never signed")
		}
	})
}

// Who vouched for a rotation of the past is told by the lists of its commit, of those
// before and of HEAD's, also where the folder had another name then.
func TestOfRotations(t *testing.T) {
	s := newStage(t)
	start := s.put("bot", "")
	unsigned := s.put("bot", "-")
	signed := s.put("bot", "a")
	s.Git("mv", "bot", "agent")
	s.Write("agent/"+formation.RecipientsFile, string(s.text("-")))
	moved := s.Commit("moved, and the list is not signed any more")
	broken := s.put("agent", "a>b!")
	head := s.put("agent", "b>c")
	a, b, c := s.public("a"), s.public("b"), s.public("c")
	rotations := []Rotation{
		{Commit: unsigned, Parents: []string{start}, Dir: "bot", From: a, To: b},
		{Commit: signed, Parents: []string{unsigned}, Dir: "bot", From: b, To: a},
		{Commit: moved, Parents: []string{signed}, Dir: "agent", Was: "bot", From: a, To: s.public("evil")},
		{Commit: moved, Parents: []string{start}, Dir: "agent", Was: "bot", From: a, To: s.public("evil")},
		{Commit: broken, Parents: []string{moved}, Dir: "agent", From: a, To: s.public("evil")},
		{Commit: head, Parents: []string{broken}, Dir: "agent", From: b, To: c},
		{Commit: moved, Parents: []string{signed}, Dir: "agent", Was: "bot", From: b, To: c}, // signed later on
	}
	want := []Vouching{NeverSigned, VouchedForByNobody, VouchedForByNobody, NeverSigned, VouchedForByNobody, Vouches, Vouches}
	for _, backend := range []string{"git", "go-git"} {
		repo, err := gitutil.Open(s.Dir, gitutil.Options{Getenv: s.Getenv, Environ: s.Env, Backend: backend})
		if err != nil {
			t.Fatal(err)
		}
		got, err := OfRotations(t.Context(), repo, rotations)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v (%v)", backend, got, want, err)
		}
		repo.Close()
	}
}
