package merge

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/formationtest"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/gittest"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
)

const vaultPath = "agent/secrets.enc"

// newMerger is what git's driver has in a repository with the formation agent.
func newMerger(t *testing.T, r *gittest.Repo) *Merger {
	t.Helper()
	repo := formationtest.Open(r.For(t), "git")
	keys := history.NewKeys(t.Context(), repo, r.Dir)
	t.Cleanup(keys.Close)
	return &Merger{Layout: repo.Layout(), Repo: func() (gitutil.Writer, error) { return gitutil.Writing(repo) }, Keys: keys, Environ: r.Env}
}

func contests(r *VaultResult) string {
	var names []string
	for _, c := range r.Contested {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

// By name and three-way: what one side did is done, what both did otherwise is
// contested and is ours until it is settled.
func TestMergeSealed(t *testing.T) {
	r := gittest.New(t)
	key := formationtest.NewKey(t)
	formationtest.Put(r, "agent", key, "KEEP=k")
	r.Commit("base")
	for _, tt := range []struct {
		name               string
		base, ours, theirs string // values; "-" is no file
		want, contested    string
	}{
		{"nothing", "A=1", "A=1", "A=1", "A=1", ""},
		{"ours changed", "A=1", "A=2", "A=1", "A=2", ""},
		{"theirs changed", "A=1", "A=1", "A=2", "A=2", ""},
		{"each added", "A=1", "A=1 B=1", "A=1 C=1", "A=1 B=1 C=1", ""},
		{"both alike", "A=1", "A=2 B=3", "A=2 B=3", "A=2 B=3", ""},
		{"theirs removed", "A=1 B=1", "A=1 B=1", "A=1", "A=1", ""},
		{"both changed", "A=1", "A=2", "A=3", "A=2", "A"},
		{"both added", "", "A=2", "A=3", "A=2", "A"},
		{"changed and removed", "A=1 B=1", "A=2 B=1", "B=1", "A=2 B=1", "A"},
		{"removed and changed", "A=1 B=1", "B=1", "A=2 B=1", "B=1", "A"},
		{"two of three", "A=1 B=1 C=1", "A=2 B=2 C=1", "A=3 B=3 C=3", "A=2 B=2 C=3", "A B"},
		{"no base", "-", "A=1 B=1", "A=1 C=1", "A=1 B=1 C=1", ""},
	} {
		m := newMerger(t, r)
		side := func(values string) []byte {
			if values == "-" {
				return nil
			}
			return formationtest.Sealed(t, key, strings.Fields(values)...)
		}
		got, err := m.MergeSealed(t.Context(), vaultPath, side(tt.base), side(tt.ours), side(tt.theirs))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if values := strings.Join(formationtest.Values(got.Vault), " "); values != tt.want || contests(got) != tt.contested {
			t.Errorf("%s: %s, contested '%s', want %s, contested '%s'", tt.name, values, contests(got), tt.want, tt.contested)
		}
		if !got.Key.Equal(key) || got.Elsewhere {
			t.Errorf("%s: sealed with another key than .key", tt.name)
		}
	}
}

// A side that does not open stops the merge, and says which it was and why.
func TestMergeSealedRefuses(t *testing.T) {
	r := gittest.New(t)
	key := formationtest.NewKey(t)
	formationtest.Put(r, "agent", key, "A=1")
	r.Commit("base")
	good, foreign := formationtest.Sealed(t, key, "A=1"), formationtest.Sealed(t, formationtest.NewKey(t), "A=2")
	for name, tt := range map[string]struct {
		ours, theirs []byte
		damaged      bool
		reason       crypto.Reason
	}{
		"a foreign key": {good, foreign, false, crypto.WrongKey},
		"plain text":    {good, []byte(`{"A":"1"}`), true, crypto.NotSealed},
		"a part":        {good[:40], good, true, crypto.Truncated},
	} {
		_, err := newMerger(t, r).MergeSealed(t.Context(), vaultPath, good, tt.ours, tt.theirs)
		var side *SideError
		if !errors.As(err, &side) || side.Damaged() != tt.damaged || crypto.ReasonOf(err) != tt.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// conflict is a repository in the middle of a merge in which both sides changed
// A and each added a name, and the driver's files of it.
func conflict(t *testing.T, key *crypto.Key) (*gittest.Repo, Sides) {
	t.Helper()
	r := gittest.New(t)
	put := func(message string, values ...string) {
		formationtest.Put(r, "agent", key, values...)
		r.Commit(message)
	}
	put("base", "A=1")
	r.Git("checkout", "-q", "-b", "theirs")
	put("theirs", "A=their-value", "T=1")
	r.Git("checkout", "-q", "main")
	put("ours", "A=our-value", "O=1")
	r.Fails("merge", "theirs")

	dir := gittest.Folder(t)
	s := Sides{Path: vaultPath, MarkerSize: "7"}
	for name, file := range map[string]*string{"1": &s.Base, "2": &s.Ours, "3": &s.Theirs} {
		*file = filepath.Join(dir, name)
		if err := os.WriteFile(*file, []byte(r.Git("cat-file", "blob", ":"+name+":"+vaultPath)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r, s
}

// From the driver to the last name that is settled: the merge leaves ours for the
// contested name and a note; settling it either way ends in a staged vault.
func TestVaultThenResolution(t *testing.T) {
	for name, want := range map[string]string{"ours": "A=our-value O=1 T=1", "theirs": "A=their-value O=1 T=1", "another": "A=another-value O=1 T=1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := formationtest.NewKey(t)
			r, s := conflict(t, key)
			m := newMerger(t, r)
			result, state, err := m.Vault(t.Context(), s)
			if err != nil || state == nil || contests(result) != "A" {
				t.Fatalf("%v", err)
			}
			left, err := os.ReadFile(s.Ours)
			if err != nil {
				t.Fatal(err)
			}
			vault, _, err := formation.OpenSealed(left, key)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(formationtest.Values(vault), " "); got != "A=our-value O=1 T=1" {
				t.Errorf("the driver leaves %s", got)
			}
			r.Write(vaultPath, string(left)) // as git does

			// Until then a commit is refused, and the note holds no value.
			repo := formationtest.Open(r.For(t), "git")
			if found, err := Unsettled(t.Context(), repo); err != nil || len(found) != 1 || found[0].Secret != "A" {
				t.Errorf("unsettled: %v, %v", found, err)
			}
			for _, file := range notes(t, r) {
				if content := r.Read(file); strings.Contains(content, "-value") {
					t.Errorf("%s holds a value", file)
				}
			}

			m = newMerger(t, r)
			m.Stopped, err = repo.Operation(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			res, err := m.Begin(t.Context(), vaultPath)
			if err != nil {
				t.Fatal(err)
			}
			if err := res.Merge(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			f, err := formation.At(r.Path("agent"))
			if err != nil {
				t.Fatal(err)
			}
			if err := res.Open(m.Keys.Of(f)); err != nil {
				t.Fatal(err)
			}
			if open := res.State.Open(); res.Settled() || !slices.Equal(open, []string{"A"}) {
				t.Errorf("open is %v", open)
			}
			if _, err := res.Contested("NONE"); err == nil {
				t.Error("a name that nobody contests is")
			}
			switch name {
			case "another":
				res.Set("A", "another-value")
			default:
				res.Take("A", name == "theirs")
			}
			if open := res.State.Open(); len(open) > 0 {
				t.Errorf("open is %v", open)
			}
			if got := strings.Join(formationtest.Values(res.Vault), " "); got != want {
				t.Errorf("settled it is %s, want %s", got, want)
			}
			sealed, err := key.Seal(res.Vault.Encode())
			if err != nil {
				t.Fatal(err)
			}
			r.Write(vaultPath, string(sealed))
			r.Write("agent/secrets", "A=\nO=\nT=\n")
			if open, err := res.Conclude(t.Context(), f); err != nil || len(open) > 0 {
				t.Fatalf("%v, %v", open, err)
			}
			if status := r.Git("ls-files", "-u", "--", vaultPath); status != "" {
				t.Errorf("not staged: %s", status)
			}
		})
	}
}

// notes are the files that merges left in the git dir.
func notes(t *testing.T, r *gittest.Repo) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(r.Path(".git/muxi-secrets"), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("the merge left no note")
	}
	return slices.Clip(found)
}

// Without a conflict there is nothing to be settled.
func TestBeginOutsideOfAMerge(t *testing.T) {
	r := gittest.New(t)
	formationtest.Put(r, "agent", formationtest.NewKey(t), "A=1")
	r.Commit("base")
	if _, err := newMerger(t, r).Begin(t.Context(), vaultPath); !errors.Is(err, ErrNoMerge) {
		t.Errorf("%v", err)
	}
}

// The template merges by name, and the people by entry; comments of both sides
// stay.
func TestTemplateAndPeople(t *testing.T) {
	r := gittest.New(t)
	formationtest.Put(r, "agent", formationtest.NewKey(t), "A=1")
	r.Commit("base")
	dir := gittest.Folder(t)
	sides := func(file string, texts ...string) Sides {
		s := Sides{Path: "agent/" + file, MarkerSize: "7"}
		for i, at := range []*string{&s.Base, &s.Ours, &s.Theirs} {
			*at = filepath.Join(dir, file+string(rune('1'+i)))
			if err := os.WriteFile(*at, []byte(texts[i]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	s := sides("secrets", "A=\nB=\n", "A=\nB=\nO=\n", "# theirs\nA=\nT=\n")
	if err := newMerger(t, r).Template(s); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(s.Ours)
	if err != nil || string(got) != "# theirs\nA=\nO=\nT=\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// An inner merge, of two merge bases, leaves a .key.age that is neither side's: git
// would take the other one in silence else. It is told by the length of the markers
// beyond the usual.
func TestWrappedKeyOfAnInnerMerge(t *testing.T) {
	for _, tt := range []struct {
		attribute, size string
		inner           bool
	}{
		{"", "7", false},
		{"", "8", true},
		{"", "", false},
		{"conflict-marker-size=9", "9", false},
		{"conflict-marker-size=9", "10", true},
		{"conflict-marker-size=9", "7", false},
		{"conflict-marker-size=x", "9", true},
		{"conflict-marker-size=0", "9", true},
		{"-conflict-marker-size", "9", true},
	} {
		r := gittest.New(t)
		r.Write(".gitattributes", "*.age "+tt.attribute+"\n")
		formationtest.Put(r, "agent", formationtest.NewKey(t), "A=1")
		r.Commit("base")
		dir := gittest.Folder(t)
		s := Sides{Path: "agent/.key.age", MarkerSize: tt.size}
		for name, file := range map[string]*string{"base": &s.Base, "ours": &s.Ours, "theirs": &s.Theirs} {
			*file = filepath.Join(dir, name)
			if err := os.WriteFile(*file, []byte(name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ok, err := newMerger(t, r).WrappedKey(t.Context(), s)
		got, readErr := os.ReadFile(s.Ours)
		if ok || err != nil || readErr != nil {
			t.Errorf("%+v: %t, %v, %v", tt, ok, err, readErr)
		}
		if inner := string(got) != "ours"; inner != tt.inner || slices.Contains([]string{"", "base", "theirs"}, string(got)) {
			t.Errorf("%+v: it holds %q", tt, got)
		}
	}
}
