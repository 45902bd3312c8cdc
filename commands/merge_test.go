//go:build unix

package commands_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// hush begins every value in the tests of merging: no output may hold it.
const hush = "hush-"

// secrets are the values of a vault by name, without hush.
type secrets map[string]string

// mergeSecrets is the model that merges are held against: a plain three-way
// merge of JSON objects by key, with ours for what is contested.
func mergeSecrets(base, ours, theirs secrets) (merged secrets, contested []string) {
	merged = secrets{}
	names := map[string]bool{}
	for _, side := range []secrets{base, ours, theirs} {
		for name := range side {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		b, inBase := base[name]
		o, inOurs := ours[name]
		t, inTheirs := theirs[name]
		switch {
		case o == t && inOurs == inTheirs:
		case o == b && inOurs == inBase:
			o, inOurs = t, inTheirs
		case t == b && inTheirs == inBase:
		default:
			contested = append(contested, name)
		}
		if inOurs {
			merged[name] = o
		}
	}
	return merged, contested
}

// change returns the secrets with changes made: "A=v" stores, "-A" removes.
func (s secrets) change(changes ...string) secrets {
	after := maps.Clone(s)
	if after == nil {
		after = secrets{}
	}
	for _, one := range changes {
		if name, gone := strings.CutPrefix(one, "-"); gone {
			delete(after, name)
			continue
		}
		name, value, _ := strings.Cut(one, "=")
		after[name] = value
	}
	return after
}

// mergeRepo is a repository with a formation in it that branches change.
type mergeRepo struct {
	*repo
	folder string // the formation, from the top
}

// newMergeRepo makes one, with hooks, whose formation holds values. Its first
// commit has the tag base.
func newMergeRepo(t testing.TB, folder string, values ...string) *mergeRepo {
	t.Helper()
	m := &mergeRepo{newRepo(t, "--template="), folder}
	m.addFormation(folder)
	m.git("add", "-A")
	m.save("formation")
	m.mustMuxi("hooks", "install")
	m.change(values...)
	m.commit("base")
	m.git("tag", "base")
	return m
}

// addFormation makes a formation without a secret.
func (m *mergeRepo) addFormation(folder string) {
	m.Helper()
	m.write(filepath.Join(folder, "formation.afs"), "schema: \"1.0.0\"\nid: agent\n")
	if r := m.at(folder).muxi("init", "--no-hooks"); r.code != 0 {
		m.Fatalf("init: exit %d\n%s", r.code, r.err)
	}
}

// copyOf is the same repository in another place, for a test of its own.
func (m *mergeRepo) copyOf(t testing.TB) *mergeRepo {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	dir := filepath.Join(top, "repo")
	must(t, os.CopyFS(dir, os.DirFS(m.dir)))
	c := &mergeRepo{&repo{t, dir, m.env}, m.folder}
	if err := os.Chmod(c.path(filepath.Join(c.folder, ".key")), 0o600); !errors.Is(err, fs.ErrNotExist) {
		must(t, err)
	}
	c.try("update-index", "-q", "--refresh")
	return c
}

// in is the same repository seen from another of its formations, or work trees.
func (m *mergeRepo) in(top, folder string) *mergeRepo { return &mergeRepo{m.at(top), folder} }

// change changes the vault of the work tree and its template, in this process.
// A value "!{...}" is stored as that JSON.
func (m *mergeRepo) change(changes ...string) {
	m.Helper()
	f, err := formation.At(m.path(m.folder))
	must(m, err)
	opened, err := f.Open()
	must(m, err)
	for _, one := range changes {
		if name, gone := strings.CutPrefix(one, "-"); gone {
			opened.Vault.Delete(name)
			continue
		}
		name, value, _ := strings.Cut(one, "=")
		if raw, isRaw := strings.CutPrefix(value, "!"); isRaw {
			other, err := formation.DecodeVault([]byte(`{"` + name + `": ` + raw + `}`))
			must(m, err)
			opened.Vault.Take(name, other)
			continue
		}
		opened.Vault.Set(name, hush+value)
	}
	batch := safefile.Files{}.Batch(safefile.Place{Folders: []string{f.Dir}, Journal: filepath.Join(m.TempDir(), "journal")})
	defer batch.Discard()
	_, err = opened.Save(batch)
	must(m, err)
	survey, err := f.Survey()
	must(m, err)
	plan, err := f.PlanTemplate(survey, opened.Vault, nil)
	must(m, err)
	_, err = plan.Apply(batch)
	must(m, err)
	must(m, batch.Commit())
}

// commit commits everything, past the hooks.
func (m *mergeRepo) commit(message string) {
	m.Helper()
	m.git("add", "-A")
	m.git("commit", "-q", "--no-verify", "--allow-empty", "-m", message)
}

// side makes a branch from base with one commit.
func (m *mergeRepo) side(branch string, changes ...string) {
	m.Helper()
	m.git("checkout", "-q", "-B", branch, "base")
	m.change(changes...)
	m.commit(branch)
}

// sides makes the branches ours, which is then checked out, and theirs.
func (m *mergeRepo) sides(ours, theirs []string) {
	m.Helper()
	m.side("theirs", theirs...)
	m.side("ours", ours...)
}

// vault is a path beside the vault, from the top; "" is the vault itself.
func (m *mergeRepo) vault() string    { return filepath.Join(m.folder, "secrets.enc") }
func (m *mergeRepo) template() string { return filepath.Join(m.folder, "secrets") }

// muxiIn runs a command on the formation, in this process.
func (m *mergeRepo) muxiIn(r run, args ...string) result {
	m.Helper()
	return m.quiet(here(r, m.path(m.folder), os.Environ(), args...))
}

// resolve runs resolve, and expects an exit code.
func (m *mergeRepo) resolve(code int, args ...string) result {
	m.Helper()
	res := m.muxiIn(run{}, append([]string{"resolve"}, args...)...)
	if res.code != code {
		m.Errorf("resolve %v: exit %d, want %d\n%s%s", args, res.code, code, res.out, res.err)
	}
	return res
}

// quiet fails where an output holds a value.
func (m *mergeRepo) quiet(r result) result {
	m.Helper()
	if strings.Contains(r.out, hush) || strings.Contains(r.err, hush) {
		m.Errorf("an output holds a value")
	}
	return r
}

// do is try, and looks for values in the output.
func (m *mergeRepo) do(args ...string) result {
	m.Helper()
	return m.quiet(m.try(args...))
}

// merge merges theirs.
func (m *mergeRepo) merge(args ...string) result {
	m.Helper()
	return m.do(append([]string{"merge", "--no-edit", "theirs"}, args...)...)
}

// opened opens the vault of the work tree with the .key there.
func (m *mergeRepo) opened() (*formation.Opened, error) {
	f, err := formation.At(m.path(m.folder))
	if err != nil {
		return nil, err
	}
	return f.Open()
}

// values are what the work tree's vault holds.
func (m *mergeRepo) values() secrets {
	m.Helper()
	opened, err := m.opened()
	if err != nil {
		m.Errorf("the vault does not open: %v", err)
		return nil
	}
	return plain(opened.Vault)
}

func plain(v *formation.Vault) secrets {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(v.Encode(), &all); err != nil {
		return nil
	}
	found := secrets{}
	for name, raw := range all {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			found[name] = strings.TrimPrefix(text, hush)
		} else {
			found[name] = "!" + string(raw)
		}
	}
	return found
}

// holds checks the vault of the work tree.
func (m *mergeRepo) holds(want secrets) {
	m.Helper()
	if got := m.values(); got != nil && !maps.Equal(got, want) {
		m.Errorf("the vault holds other secrets than it should (names %v, want %v)",
			slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

// settled checks that nothing is left to do: no stage, nothing to commit, and
// the template is as it is regenerated.
func (m *mergeRepo) settled(want secrets) {
	m.Helper()
	m.holds(want)
	if out := m.git("status", "--porcelain", "--untracked-files=all"); out != "" {
		m.Errorf("git status says:\n%s", out)
	}
	m.agreed(want)
	m.forgotten()
}

// agreed checks that the template on disk is what the hook would make of it.
func (m *mergeRepo) agreed(want secrets) {
	m.Helper()
	if r := m.muxiIn(run{}, "sync", "--check"); r.code != 0 {
		m.Errorf("the template is stale: exit %d\n%s%s", r.code, r.out, r.err)
	}
	content, _ := os.ReadFile(m.path(m.template()))
	var names []string
	for line := range strings.Lines(string(content)) {
		if name, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			names = append(names, name)
		}
	}
	var stored []string
	for name := range want {
		stored = append(stored, formation.Normalize(name))
	}
	slices.Sort(stored)
	if stored = slices.Compact(stored); !slices.Equal(names, stored) {
		m.Errorf("the template has %v, want %v", names, stored)
	}
}

// forgotten checks that a commit is refused by nothing.
func (m *mergeRepo) forgotten() {
	m.Helper()
	if r := m.do("commit", "-q", "--allow-empty", "-m", "later"); r.code != 0 {
		m.Errorf("a later commit is refused:\n%s", r.err)
	}
}

// looked has git say how the merge would end: with a code and these words, and no way
// out that only a merge has which was begun. Nothing is kept of it.
func (m *mergeRepo) looked(code int, says ...string) {
	m.Helper()
	before := m.everything()
	r := m.do("merge-tree", "--write-tree", "ours", "theirs")
	said := r.out + r.err
	if r.code != code {
		m.Errorf("looked at: exit %d\n%s", r.code, said)
	}
	for _, text := range says {
		if !strings.Contains(said, text) {
			m.Errorf("looked at, it does not say %q:\n%s", text, said)
		}
	}
	for _, none := range []string{"git muxi-secrets resolve", "--abort", "can read these"} {
		if strings.Contains(said, none) {
			m.Errorf("looked at, it says %q, for which there is nothing:\n%s", none, said)
		}
	}
	m.asBefore(before)
	if notes, _ := os.ReadDir(m.path(".git/muxi-secrets/merge")); len(notes) > 0 {
		m.Error("a note is kept of a merge that was looked at")
	}
}

// refused checks that a command is stopped since a name is not settled.
func (m *mergeRepo) refused(args ...string) {
	m.Helper()
	head := m.head()
	r := m.do(args...)
	if r.code == 0 || m.head() != head || !strings.Contains(r.err, "[unsettled-merge]") {
		m.Errorf("git %s: exit %d, want a refusal\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
}

// stages are those that the index has of a path.
func (m *mergeRepo) stages(path string) string {
	m.Helper()
	found := ""
	for line := range strings.Lines(m.git("--literal-pathspecs", "ls-files", "-s", "--", path)) {
		if fields := strings.Fields(line); len(fields) > 2 {
			found += fields[2]
		}
	}
	return found
}

// conflicted checks what a merge with contested names leaves: an exit of 1, the
// stages, the work tree, the names in the message.
func (m *mergeRepo) conflicted(r result, want secrets, contested ...string) {
	m.Helper()
	if r.code != 1 && r.code != 128 { // rebase, am: 1 or 128
		m.Errorf("exit %d, want a conflict\n%s%s", r.code, r.out, r.err)
	}
	m.holds(want)
	if got := m.stages(m.vault()); !strings.HasSuffix(got, "23") {
		m.Errorf("the index has the stages %q of the vault", got)
	}
	m.names(r, contested...)
}

// names checks that the message of a conflict names exactly these.
func (m *mergeRepo) names(r result, contested ...string) {
	m.Helper()
	if text := "both sides changed " + strings.Join(contested, ", ") + "\n"; !strings.Contains(r.out+r.err, text) {
		m.Errorf("the message does not say %q:\n%s%s", text, r.out, r.err)
	}
}

// everything is every file below the repository's folder, those of git but for
// what it logs included, by path.
func (m *mergeRepo) everything() tree {
	m.Helper()
	found := tree{}
	must(m, filepath.WalkDir(m.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(m.dir, path)
		if err != nil {
			return err
		}
		switch rel {
		case ".git/objects", ".git/logs", ".git/muxi-secrets/merge":
			return fs.SkipDir
		case ".git/index", ".git/ORIG_HEAD", ".git/COMMIT_EDITMSG", ".git/AUTO_MERGE", ".git/MERGE_RR", ".git/muxi-secrets/lock", ".git/muxi-secrets/said-unused":
			return nil // the index is compared as git lists it
		}
		if entry.IsDir() {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		mode := info.Mode()
		if entry.Name() != ".key" {
			mode &= 0o100 // all that git keeps of it
		}
		found[rel] = file{mode, string(content)}
		return err
	}))
	found["(index)"] = file{0, m.git("ls-files", "-s")}
	return found
}

// asBefore fails where a file is not what it was.
func (m *mergeRepo) asBefore(before tree) {
	m.Helper()
	if differ := differing(before, m.everything()); len(differ) > 0 {
		m.Errorf("these are not as they were: %v", differ)
	}
}

// python collects sealed vaults, to be opened by one Python in the end.
type python struct {
	sync.Mutex
	names []string
	cases []cryptotest.Case
	want  []secrets
}

func (p *python) add(m *mergeRepo, want secrets) {
	m.Helper()
	p.Lock()
	defer p.Unlock()
	p.names = append(p.names, m.Name())
	p.cases = append(p.cases, cryptotest.Case{Key: []byte(m.read(filepath.Join(m.folder, ".key"))), Token: []byte(m.read(m.vault()))})
	p.want = append(p.want, want)
}

func (p *python) check(t *testing.T) {
	for i, r := range cryptotest.Python(t).OpenAll(t, p.cases) {
		if r.Class != "" {
			t.Errorf("%s: Python cannot open the vault: %s", p.names[i], r.Class)
			continue
		}
		v, err := formation.DecodeVault(r.Plaintext)
		if err != nil || !maps.Equal(plain(v), p.want[i]) {
			t.Errorf("%s: Python reads other secrets", p.names[i])
		}
	}
}

// situation is one merge: what both sides came from, and what each did.
type situation struct {
	name               string
	base, ours, theirs []string
	contested          []string // as the table's reader expects it; the model must agree
}

func situations() []situation {
	abc := []string{"A=a", "B=b", "C=c"}
	var many, manyOurs, manyTheirs []string
	for i := range 60 {
		many = append(many, fmt.Sprintf("N%02d=%d", i, i))
		switch i % 3 {
		case 0:
			manyOurs = append(manyOurs, fmt.Sprintf("N%02d=ours", i))
		case 1:
			manyTheirs = append(manyTheirs, fmt.Sprintf("-N%02d", i))
		}
	}
	return []situation{
		{"each adds another", nil, []string{"A=1"}, []string{"B=2"}, nil},
		{"each adds another to some", abc, []string{"D=1"}, []string{"E=2"}, nil},
		{"neighbours by the alphabet", abc, []string{"AA=1"}, []string{"AB=2"}, nil},
		{"both add the same", abc, []string{"D=1"}, []string{"D=1"}, nil},
		{"both add the same, and more", abc, []string{"D=1", "E=2"}, []string{"D=1", "F=3"}, nil},
		{"both add one name, two values", abc, []string{"D=1"}, []string{"D=2"}, []string{"D"}},
		{"both add one name to nothing", nil, []string{"D=1"}, []string{"D=2"}, []string{"D"}},
		{"each changes another", abc, []string{"A=1"}, []string{"B=2"}, nil},
		{"both change alike", abc, []string{"A=1"}, []string{"A=1"}, nil},
		{"both change alike, and more", abc, []string{"A=1", "B=2"}, []string{"A=1", "C=3"}, nil},
		{"both change one", abc, []string{"A=1"}, []string{"A=2"}, []string{"A"}},
		{"both change one, ours another too", abc, []string{"A=1", "B=1"}, []string{"A=2"}, []string{"A"}},
		{"both change one, theirs another too", abc, []string{"A=1"}, []string{"A=2", "B=2"}, []string{"A"}},
		{"both change one, each another too", abc, []string{"A=1", "B=1"}, []string{"A=2", "C=2"}, []string{"A"}},
		{"both change two", abc, []string{"A=1", "B=1"}, []string{"A=2", "B=2"}, []string{"A", "B"}},
		{"both change everything", abc, []string{"A=1", "B=1", "C=1"}, []string{"A=2", "B=2", "C=2"}, []string{"A", "B", "C"}},
		{"each removes another", abc, []string{"-A"}, []string{"-B"}, nil},
		{"both remove one", abc, []string{"-A", "D=1"}, []string{"-A", "E=2"}, nil},
		{"both remove one and nothing else", abc, []string{"-A"}, []string{"-A"}, nil},
		{"both remove everything", abc, []string{"-A", "-B", "-C"}, []string{"-A", "-B", "-C"}, nil},
		{"each removes half", []string{"A=a", "B=b"}, []string{"-A"}, []string{"-B"}, nil},
		{"ours changes, theirs removes", abc, []string{"A=1"}, []string{"-A"}, []string{"A"}},
		{"ours removes, theirs changes", abc, []string{"-A"}, []string{"A=2"}, []string{"A"}},
		{"ours changes, theirs removes everything", abc, []string{"A=1"}, []string{"-A", "-B", "-C"}, []string{"A"}},
		{"ours removes everything, theirs changes", abc, []string{"-A", "-B", "-C"}, []string{"A=2"}, []string{"A"}},
		{"ours renames, theirs changes another", abc, []string{"-A", "A2=a"}, []string{"B=2"}, nil},
		{"ours renames, theirs changes it", abc, []string{"-A", "A2=a"}, []string{"A=2"}, []string{"A"}},
		{"both rename to two names", abc, []string{"-A", "A2=a"}, []string{"-A", "A3=a"}, nil},
		{"both rename to one name", abc, []string{"-A", "A2=a"}, []string{"-A", "A2=a", "D=1"}, nil},
		{"two names change places, theirs adds", abc, []string{"A=b", "B=a"}, []string{"D=1"}, nil},
		{"ours changes, theirs adds", abc, []string{"A=1"}, []string{"D=1"}, nil},
		{"ours adds, theirs removes", abc, []string{"D=1"}, []string{"-A"}, nil},
		{"ours changes, theirs removes another", abc, []string{"A=1"}, []string{"-B"}, nil},
		{"a value that git would not merge by lines", abc, []string{"A=line\nline\n"}, []string{"B=line\r\nother\x01"}, nil},
		{"values of several lines", abc, []string{"A=one\ntwo\n"}, []string{"A=one\nthree\n"}, []string{"A"}},
		{"values that differ by a newline", abc, []string{"A=x\n"}, []string{"A=x"}, []string{"A"}},
		{"values that differ by letter case", abc, []string{"A=x"}, []string{"A=X"}, []string{"A"}},
		{"values that differ by normal form", abc, []string{"A=\u00e9"}, []string{"A=e\u0301"}, []string{"A"}},
		{"values that look like conflict markers", abc, []string{"A=<<<<<<< HEAD\n=======\n>>>>>>> theirs\n"}, []string{"B=>>>>>>> x"}, nil},
		{"values in every script", abc, []string{"A=\U0001f511 ключ"}, []string{"B=\"'$\\`%s%%"}, nil},
		{"long values", abc, []string{"A=" + strings.Repeat("x", 70000)}, []string{"B=" + strings.Repeat("y", 70000)}, nil},
		{"many names", many, manyOurs, manyTheirs, nil},
		{"an old value that is no text, kept", []string{"A=a", "PORT=!5432"}, []string{"A=1"}, []string{"B=2"}, nil},
		{"an old value that is no text, contested", []string{"A=a", "PORT=!5432"}, []string{"PORT=1"}, []string{"PORT=2"}, []string{"PORT"}},
		{"an old value that is no text, changed", []string{"A=a", "PORT=!5432"}, []string{"PORT=5432"}, []string{"A=2"}, nil},
		{"a name of one letter case and another", []string{"a=1", "A=2"}, []string{"a=3"}, []string{"A=4"}, nil},
		{"an empty value against none", []string{"A="}, []string{"A=1"}, []string{"-A"}, []string{"A"}},
	}
}

// TestMergeSituations merges each situation with git, in both directions, and
// compares with the model: values, exit code, stages, template, messages.
func TestMergeSituations(t *testing.T) {
	sideBySide(t)
	start := newMergeRepo(t, "agent")
	all := situations()
	if len(all) < 40 {
		t.Fatalf("%d situations", len(all))
	}
	sealed := &python{}
	t.Run("all", func(t *testing.T) {
		for i, tt := range all {
			if thinned(i, len(all)) {
				continue
			}
			for _, turned := range []bool{false, true} {
				name, ours, theirs := tt.name, tt.ours, tt.theirs
				if turned {
					name, ours, theirs = tt.name+", turned", tt.theirs, tt.ours
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					m := start.copyOf(t)
					base := secrets{}.change(tt.base...)
					want, contested := mergeSecrets(base, base.change(ours...), base.change(theirs...))
					if !slices.Equal(contested, tt.contested) {
						t.Fatalf("the model contests %v, the table %v", contested, tt.contested)
					}
					m.change(tt.base...)
					m.commit("base")
					m.git("tag", "-f", "base")
					m.sides(ours, theirs)
					r := m.merge()
					if len(contested) == 0 {
						if r.code != 0 {
							t.Fatalf("exit %d\n%s%s", r.code, r.out, r.err)
						}
					} else {
						m.conflicted(r, want, contested...)
						if !turned { // once for each
							m.refused("commit", "-qam", "x")
						}
						for i, name := range contested {
							how := "--ours"
							if i%2 == 1 {
								how = "--theirs"
								want = want.change("-" + name)
								if value, ok := base.change(theirs...)[name]; ok {
									want[name] = value
								}
							}
							m.resolve(0, name, how)
						}
						if r := m.do("commit", "-q", "--no-edit"); r.code != 0 {
							t.Errorf("commit: exit %d\n%s", r.code, r.err)
						}
					}
					m.settled(want)
					if !strings.Contains(tt.name, "no text") && len(want) > 0 {
						sealed.add(m, want)
					}
				})
			}
		}
	})
	t.Run("python", sealed.check)
}

// editing has git's editors do a sed command to the list of a rebase, and
// nothing to messages.
func (m *mergeRepo) editing(todo string) *mergeRepo {
	env := []string{"GIT_EDITOR=true", "GIT_SEQUENCE_EDITOR=true"}
	if todo != "" {
		env[1] = "GIT_SEQUENCE_EDITOR=sed -i " + todo
	}
	return &mergeRepo{&repo{m.TB, m.dir, append(slices.Clone(m.env), env...)}, m.folder}
}

// must is do for what has to succeed.
func (m *mergeRepo) must(args ...string) {
	m.Helper()
	if r := m.do(args...); r.code != 0 {
		m.Errorf("git %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
}

// on is one more commit on the current branch.
func (m *mergeRepo) on(changes ...string) {
	m.Helper()
	m.change(changes...)
	m.commit("one more")
}

// TestMergeThroughGit goes through what in git merges besides 'git merge'. Each
// starts with A, B and C in the vault.
func TestMergeThroughGit(t *testing.T) {
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b", "C=c")
	base := secrets{"A": "a", "B": "b", "C": "c"}
	clean := func(m *mergeRepo) secrets {
		m.sides([]string{"A=1", "D=1"}, []string{"B=2", "E=2"})
		return base.change("A=1", "D=1", "B=2", "E=2")
	}
	// After contested A is 1 on ours, 2 on theirs; D came by ours, E by theirs.
	contested := func(m *mergeRepo) secrets {
		m.sides([]string{"A=1", "D=1"}, []string{"A=2", "E=2"})
		return base.change("D=1", "E=2")
	}
	for _, tt := range sample([]struct {
		name string
		run  func(m *mergeRepo)
	}{
		{"rebase", func(m *mergeRepo) {
			want := clean(m)
			m.must("rebase", "-q", "theirs")
			m.settled(want)
		}},
		{"rebase by apply", func(m *mergeRepo) {
			want := clean(m)
			m.must("rebase", "-q", "--apply", "theirs")
			m.settled(want)
		}},
		{"rebase by apply, contested", func(m *mergeRepo) {
			want := contested(m)
			m.conflicted(m.do("rebase", "-q", "--apply", "theirs"), want.change("A=2"), "A")
			m.resolve(0, "A", "--theirs")
			m.editing("").must("rebase", "--continue")
			m.settled(want.change("A=1"))
		}},
		{"rebase -i, several", func(m *mergeRepo) {
			want := clean(m)
			m.on("F=1")
			m.on("-C", "A=3")
			m.editing("'1s/^pick/reword/;2s/^pick/edit/'").must("rebase", "-q", "-i", "theirs")
			m.holds(want.change("F=1"))
			m.change("G=1")
			m.must("commit", "-q", "-a", "--amend", "--no-edit")
			m.editing("").must("rebase", "--continue")
			m.settled(want.change("F=1", "G=1", "-C", "A=3"))
		}},
		{"rebase -i, in another order", func(m *mergeRepo) {
			want := clean(m)
			m.on("F=1")
			m.on("G=1")
			m.editing("'1{h;d};2G'").must("rebase", "-q", "-i", "theirs")
			m.settled(want.change("F=1", "G=1"))
		}},
		{"rebase -i, fixup", func(m *mergeRepo) {
			want := clean(m)
			m.on("F=1")
			m.on("G=1", "-F")
			m.editing("'2,3s/^pick/fixup/'").must("rebase", "-q", "-i", "theirs")
			m.settled(want.change("G=1"))
		}},
		{"rebase, contested", func(m *mergeRepo) {
			want := contested(m)
			m.on("F=1")
			m.conflicted(m.do("rebase", "-q", "theirs"), want.change("A=2"), "A")
			m.resolve(0, "A", "--theirs")
			m.editing("").must("rebase", "--continue")
			m.settled(want.change("A=1", "F=1"))
		}},
		{"rebase, contested twice", func(m *mergeRepo) {
			want := contested(m)
			m.on("A=3")
			m.conflicted(m.do("rebase", "-q", "theirs"), want.change("A=2"), "A")
			m.resolve(0, "A", "--ours")
			m.conflicted(m.editing("").do("rebase", "--continue"), want.change("A=2"), "A")
			m.resolve(0, "A", "--theirs")
			m.editing("").must("rebase", "--continue")
			m.settled(want.change("A=3"))
		}},
		{"rebase, a merge made again", func(m *mergeRepo) {
			m.side("side", "F=1")
			m.sides([]string{"A=1"}, []string{"B=2"})
			m.must("merge", "-q", "--no-edit", "side")
			m.must("rebase", "-q", "--rebase-merges", "theirs")
			m.settled(base.change("A=1", "B=2", "F=1"))
		}},
		{"rebase --skip", func(m *mergeRepo) {
			want := contested(m)
			m.on("F=1")
			m.conflicted(m.do("rebase", "-q", "theirs"), want.change("A=2"), "A")
			m.editing("").must("rebase", "--skip")
			m.settled(base.change("A=2", "E=2", "F=1"))
		}},
		{"rebase --abort", func(m *mergeRepo) {
			want := contested(m)
			before := m.everything()
			m.conflicted(m.do("rebase", "-q", "theirs"), want.change("A=2"), "A")
			m.must("rebase", "--abort")
			m.asBefore(before)
			m.settled(base.change("A=1", "D=1"))
			m.resolve(1, "A", "--ours")
		}},
		{"rebase --abort after one is settled", func(m *mergeRepo) {
			m.sides([]string{"A=1", "B=1"}, []string{"A=2", "B=2"})
			before := m.everything()
			m.conflicted(m.do("rebase", "-q", "theirs"), base.change("A=2", "B=2"), "A", "B")
			m.resolve(0, "A", "--theirs")
			m.must("rebase", "--abort")
			m.asBefore(before)
			m.settled(base.change("A=1", "B=1"))
		}},
		{"rebase --autostash", func(m *mergeRepo) {
			want := clean(m)
			m.change("F=1")
			m.must("rebase", "-q", "--autostash", "theirs")
			m.holds(want.change("F=1"))
		}},
		{"cherry-pick", func(m *mergeRepo) {
			want := clean(m)
			m.must("cherry-pick", "theirs")
			m.settled(want)
		}},
		{"cherry-pick several", func(m *mergeRepo) {
			m.side("theirs", "B=2")
			m.on("E=2", "-C")
			m.on("F=2")
			m.side("ours", "A=1")
			m.must("cherry-pick", "base..theirs")
			m.settled(base.change("A=1", "B=2", "E=2", "-C", "F=2"))
		}},
		{"cherry-pick one from the middle", func(m *mergeRepo) {
			m.side("theirs", "B=2")
			m.on("E=2", "-C")
			m.on("F=2")
			m.side("ours", "A=1")
			m.must("cherry-pick", "theirs^")
			m.settled(base.change("A=1", "E=2", "-C"))
		}},
		{"cherry-pick, contested", func(m *mergeRepo) {
			want := contested(m)
			m.conflicted(m.do("cherry-pick", "theirs"), want.change("A=1"), "A")
			m.refused("commit", "-qam", "x")
			m.refused("-c", "core.editor=true", "commit", "-qa")
			m.resolve(0, "A", "--theirs")
			m.editing("").must("cherry-pick", "--continue")
			m.settled(want.change("A=2"))
		}},
		{"cherry-pick several, one contested", func(m *mergeRepo) {
			m.side("theirs", "B=2")
			m.on("A=2")
			m.on("F=2")
			m.side("ours", "A=1")
			m.conflicted(m.do("cherry-pick", "base..theirs"), base.change("A=1", "B=2"), "A")
			m.resolve(0, "A", "--theirs")
			m.editing("").must("cherry-pick", "--continue")
			m.settled(base.change("A=2", "B=2", "F=2"))
		}},
		{"cherry-pick --skip", func(m *mergeRepo) {
			m.side("theirs", "B=2")
			m.on("A=2")
			m.on("F=2")
			m.side("ours", "A=1")
			m.conflicted(m.do("cherry-pick", "base..theirs"), base.change("A=1", "B=2"), "A")
			m.must("cherry-pick", "--skip")
			m.settled(base.change("A=1", "B=2", "F=2"))
		}},
		{"cherry-pick --abort", func(m *mergeRepo) {
			want := contested(m)
			before := m.everything()
			m.conflicted(m.do("cherry-pick", "theirs"), want.change("A=1"), "A")
			m.must("cherry-pick", "--abort")
			m.asBefore(before)
			m.settled(base.change("A=1", "D=1"))
		}},
		{"cherry-pick --quit, and the vault put back", func(m *mergeRepo) {
			want := contested(m)
			m.conflicted(m.do("cherry-pick", "theirs"), want.change("A=1"), "A")
			m.must("cherry-pick", "--quit")
			m.must("reset", "-q", "--hard")
			m.settled(base.change("A=1", "D=1"))
		}},
		{"cherry-pick -n", func(m *mergeRepo) {
			want := clean(m)
			m.must("cherry-pick", "-n", "theirs")
			m.must("commit", "-qm", "x")
			m.settled(want)
		}},
		{"revert", func(m *mergeRepo) {
			m.side("ours", "A=1", "D=1")
			m.on("B=2")
			m.must("revert", "--no-edit", "HEAD^")
			m.settled(base.change("B=2"))
		}},
		{"revert, contested", func(m *mergeRepo) {
			m.side("ours", "A=1", "D=1")
			m.on("A=2")
			m.conflicted(m.do("revert", "--no-edit", "HEAD^"), base.change("A=2"), "A")
			m.refused("commit", "-qam", "x")
			m.resolve(0, "A", "--theirs")
			m.editing("").must("revert", "--continue")
			m.settled(base)
		}},
		{"revert of what came since, deleted", func(m *mergeRepo) {
			m.side("ours", "D=1")
			m.on("D=2")
			m.conflicted(m.do("revert", "--no-edit", "HEAD^"), base.change("D=2"), "D")
			m.resolve(0, "D", "--theirs")
			m.editing("").do("revert", "--continue")
			m.settled(base)
		}},
		{"stash pop", func(m *mergeRepo) {
			m.side("ours", "A=1")
			m.change("B=2", "E=2")
			m.must("stash", "-q")
			m.on("D=1")
			m.must("stash", "pop")
			m.commit("popped")
			m.settled(base.change("A=1", "B=2", "E=2", "D=1"))
		}},
		{"stash pop, contested", func(m *mergeRepo) {
			m.side("ours", "D=1")
			m.change("A=2", "E=2")
			m.must("stash", "-q")
			m.on("A=1")
			want := base.change("D=1", "E=2")
			m.conflicted(m.do("stash", "pop"), want.change("A=1"), "A")
			m.refused("commit", "-qam", "x")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-qam", "x")
			m.settled(want.change("A=2"))
		}},
		{"stash pop, contested, taken back", func(m *mergeRepo) {
			m.side("ours", "D=1")
			m.change("A=2")
			m.must("stash", "-q")
			m.on("A=1")
			m.conflicted(m.do("stash", "pop"), base.change("D=1", "A=1"), "A")
			m.must("reset", "-q", "--hard")
			m.settled(base.change("D=1", "A=1"))
		}},
		{"am -3", func(m *mergeRepo) {
			want := clean(m)
			m.git("format-patch", "-q", "-o", "..", "base..theirs")
			m.must("am", "-q", "-3", "../0001-theirs.patch")
			m.settled(want)
		}},
		{"am -3, contested", func(m *mergeRepo) {
			want := contested(m)
			m.git("format-patch", "-q", "-o", "..", "base..theirs")
			m.conflicted(m.do("am", "-q", "-3", "../0001-theirs.patch"), want.change("A=1"), "A")
			m.resolve(0, "A", "--theirs")
			m.must("am", "--continue")
			m.settled(want.change("A=2"))
		}},
		{"am -3 --abort", func(m *mergeRepo) {
			want := contested(m)
			before := m.everything()
			m.git("format-patch", "-q", "-o", "..", "base..theirs")
			m.conflicted(m.do("am", "-q", "-3", "../0001-theirs.patch"), want.change("A=1"), "A")
			m.must("am", "--abort")
			m.asBefore(before)
			m.settled(base.change("A=1", "D=1"))
		}},
		{"merge --squash", func(m *mergeRepo) {
			want := clean(m)
			m.must("merge", "-q", "--squash", "theirs")
			m.must("commit", "-qm", "x")
			m.settled(want)
		}},
		{"merge --squash, contested", func(m *mergeRepo) {
			want := contested(m)
			m.conflicted(m.do("merge", "--squash", "theirs"), want.change("A=1"), "A")
			m.refused("commit", "-qam", "x")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-qm", "x")
			m.settled(want.change("A=2"))
		}},
		{"merge --squash, contested, theirs whole", func(m *mergeRepo) {
			want := contested(m)
			m.conflicted(m.do("merge", "--squash", "theirs"), want.change("A=1"), "A")
			m.must("checkout", "-q", "--theirs", m.vault())
			m.git("add", m.vault())
			m.refused("commit", "-qm", "x")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-qm", "x")
			m.settled(want.change("A=2"))
		}},
		{"merge --squash, contested, taken back", func(m *mergeRepo) {
			want := contested(m)
			m.conflicted(m.do("merge", "--squash", "theirs"), want.change("A=1"), "A")
			m.must("reset", "-q", "--hard")
			m.settled(base.change("A=1", "D=1"))
		}},
		{"merge -s ours", func(m *mergeRepo) {
			contested(m)
			m.must("merge", "-q", "--no-edit", "-s", "ours", "theirs")
			m.settled(base.change("A=1", "D=1"))
		}},
		{"merge -s resolve", func(m *mergeRepo) {
			want := contested(m)
			if r := m.merge("-s", "resolve"); r.code != 1 || m.stages(m.vault()) != "123" {
				m.Errorf("exit %d, stages %q\n%s%s", r.code, m.stages(m.vault()), r.out, r.err)
			}
			if r := m.do("commit", "-qam", "x"); r.code == 0 {
				m.Error("conflict markers were committed")
			}
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-q", "--no-edit")
			m.settled(want.change("A=2"))
		}},
		{"merge -s recursive", func(m *mergeRepo) {
			want := contested(m)
			m.conflicted(m.merge("-s", "recursive"), want.change("A=1"), "A")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-q", "--no-edit")
			m.settled(want.change("A=2"))
		}},
		{"merge -X ours", func(m *mergeRepo) { // which git does not tell a driver of
			want := contested(m)
			m.conflicted(m.merge("-X", "ours"), want.change("A=1"), "A")
		}},
		{"merge -X theirs", func(m *mergeRepo) {
			want := contested(m)
			m.conflicted(m.merge("-X", "theirs"), want.change("A=1"), "A")
		}},
		{"merge --no-commit", func(m *mergeRepo) {
			want := clean(m)
			m.must("merge", "--no-commit", "theirs")
			m.holds(want)
			m.must("commit", "-q", "--no-edit")
			m.settled(want)
		}},
		{"merge --no-ff of a branch ahead", func(m *mergeRepo) {
			m.side("theirs", "A=2")
			m.git("checkout", "-q", "-b", "ours", "base")
			m.must("merge", "-q", "--no-edit", "--no-ff", "theirs")
			m.settled(base.change("A=2"))
		}},
		{"merge --continue after resolve", func(m *mergeRepo) {
			want := contested(m)
			m.conflicted(m.merge(), want.change("A=1"), "A")
			m.resolve(0, "A", "--theirs")
			m.editing("").must("merge", "--continue")
			m.settled(want.change("A=2"))
		}},
		{"merge --continue before resolve", func(m *mergeRepo) {
			want := contested(m)
			m.conflicted(m.merge(), want.change("A=1"), "A")
			m.git("add", "-A")
			m.editing("").refused("merge", "--continue")
			m.resolve(0, "A", "--theirs")
			m.editing("").must("merge", "--continue")
			m.settled(want.change("A=2"))
		}},
		{"merge --abort", func(m *mergeRepo) {
			want := contested(m)
			before := m.everything()
			m.conflicted(m.merge(), want.change("A=1"), "A")
			m.must("merge", "--abort")
			m.asBefore(before)
			m.settled(base.change("A=1", "D=1"))
			m.resolve(1, "A", "--ours")
		}},
		{"merge --abort after everything is settled", func(m *mergeRepo) {
			want := contested(m)
			before := m.everything()
			m.conflicted(m.merge(), want.change("A=1"), "A")
			m.resolve(0, "A", "--theirs")
			m.must("merge", "--abort")
			m.asBefore(before)
			m.resolve(1, "A", "--theirs")
			m.settled(base.change("A=1", "D=1"))
		}},
		{"merge, aborted, then another merge", func(m *mergeRepo) {
			m.side("other", "A=3", "F=3")
			want := contested(m)
			m.conflicted(m.merge(), want.change("A=1"), "A")
			m.must("merge", "--abort")
			r := m.do("merge", "--no-edit", "other")
			m.conflicted(r, base.change("A=1", "D=1", "F=3"), "A")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-q", "--no-edit")
			m.settled(base.change("A=3", "D=1", "F=3"))
		}},
		{"pull", func(m *mergeRepo) {
			m.sides([]string{"A=1", "D=1"}, []string{"A=2", "E=2"})
			want := base.change("D=1", "E=2")
			m.git("clone", "-q", "--bare", ".", "../hub.git")
			m.git("remote", "add", "origin", "../hub.git")
			m.conflicted(m.do("pull", "-q", "--no-rebase", "--no-edit", "origin", "theirs"), want.change("A=1"), "A")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-q", "--no-edit")
			m.settled(want.change("A=2"))
			m.must("push", "-q", "origin", "ours")
		}},
		{"pull --rebase", func(m *mergeRepo) {
			m.sides([]string{"A=1", "D=1"}, []string{"A=2", "E=2"})
			want := base.change("D=1", "E=2")
			m.git("clone", "-q", "--bare", ".", "../hub.git")
			m.git("remote", "add", "origin", "../hub.git")
			m.conflicted(m.do("pull", "-q", "--rebase", "origin", "theirs"), want.change("A=2"), "A")
			m.resolve(0, "A", "--theirs")
			m.editing("").must("rebase", "--continue")
			m.settled(want.change("A=1"))
		}},
		{"from a subfolder", func(m *mergeRepo) {
			want := contested(m)
			must(m, os.MkdirAll(m.path("agent/agents/deep"), 0o755))
			sub := &mergeRepo{m.at("agent/agents/deep"), "../.."}
			if r := sub.do("merge", "--no-edit", "theirs"); r.code != 1 {
				m.Errorf("exit %d\n%s", r.code, r.err)
			}
			if r := sub.quiet(sub.muxi("resolve", "A", "--theirs")); r.code != 0 {
				m.Errorf("resolve: exit %d\n%s", r.code, r.err)
			}
			m.must("commit", "-q", "--no-edit")
			m.settled(want.change("A=2"))
		}},
		{"in a linked work tree without a key", func(m *mergeRepo) {
			want := contested(m)
			m.git("checkout", "-q", "base")
			m.git("worktree", "add", "-q", "../linked", "ours")
			w := m.in("../linked", "agent")
			if r := w.merge(); r.code != 1 {
				m.Errorf("exit %d\n%s", r.code, r.err)
			} else {
				m.names(r, "A")
			}
			// The main work tree knows nothing of it.
			m.forgotten()
			m.resolve(1, "A", "--ours")
			w.refused("commit", "-qam", "x")
			w.resolve(0, "A", "--theirs")
			w.must("commit", "-q", "--no-edit")
			m.must("checkout", "-q", "--ignore-other-worktrees", "ours")
			m.settled(want.change("A=2"))
		}},
		{"attributes that make conflict markers longer", func(m *mergeRepo) {
			m.write(".gitattributes", "* conflict-marker-size=32\n")
			m.commit("attributes")
			m.git("tag", "-f", "base")
			want := contested(m)
			m.conflicted(m.merge(), want.change("A=1"), "A")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-q", "--no-edit")
			m.settled(want.change("A=2"))
		}},
		{"with the conflict style of three sides", func(m *mergeRepo) {
			want := contested(m)
			m.git("config", "merge.conflictStyle", "zdiff3")
			m.conflicted(m.merge(), want.change("A=1"), "A")
		}},
		{"with rerere", func(m *mergeRepo) {
			m.git("config", "rerere.enabled", "true")
			m.git("config", "rerere.autoUpdate", "true")
			want := contested(m)
			m.conflicted(m.merge(), want.change("A=1"), "A")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-q", "--no-edit")
			m.must("reset", "-q", "--hard", "HEAD^")
			m.conflicted(m.merge(), want.change("A=1"), "A")
			m.refused("commit", "-qam", "x")
		}},
		{"looked at, and not begun", func(m *mergeRepo) {
			want := contested(m)
			looks := func() {
				m.remove(".git/muxi-secrets/keys")
				before := m.everything()
				for _, look := range [][]string{{"merge-tree", "--write-tree", "ours", "theirs"}, {"log", "-2", "--remerge-diff"}} {
					if r := m.do(look...); strings.Contains(r.out+r.err, "resolve") {
						m.Errorf("%v names what there is nothing for:\n%s%s", look, r.out, r.err)
					}
				}
				m.asBefore(before)
				m.forgotten()
			}
			looks()
			m.conflicted(m.merge(), want.change("A=1"), "A")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-q", "--no-edit")
			looks()
			m.on("B=new")
			m.settled(want.change("A=2", "B=new"))
		}},
		{"looked at by merge-tree and remerge-diff in between", func(m *mergeRepo) {
			m.side("other", "F=3")
			m.side("third", "A=3")
			want := contested(m)
			m.git("branch", "both", "theirs")
			m.git("checkout", "-q", "both")
			m.must("merge", "-q", "--no-edit", "other")
			m.git("checkout", "-q", "ours")
			m.conflicted(m.do("merge", "--squash", "theirs"), want.change("A=1"), "A")
			m.do("merge-tree", "--write-tree", "ours", "theirs")
			m.do("merge-tree", "--write-tree", "ours", "other")
			m.do("merge-tree", "--write-tree", "ours", "third")
			m.do("show", "--remerge-diff", "both")
			m.refused("commit", "-qam", "x")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-qm", "x")
			m.settled(want.change("A=2"))
		}},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(start.copyOf(t))
		})
	}
}

// keyOf is the key in a folder's .key.
func (m *mergeRepo) keyOf(folder string) *crypto.Key {
	m.Helper()
	key, err := crypto.ParseKey([]byte(m.read(filepath.Join(folder, ".key"))))
	must(m, err)
	return key
}
