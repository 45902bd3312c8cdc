//go:build unix

package commands_test

import (
	"encoding/json"
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
	m := &mergeRepo{newRepo(t), folder}
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
	return &mergeRepo{&repo{t, dir, m.env}, m.folder}
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
	batch := formation.Files{}.Batch()
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
	b := &sandbox{m.TB, m.dir, m.path(m.folder)}
	res := b.call(r, args...)
	m.quiet(res)
	return res
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
	if !slices.Equal(names, slices.Sorted(maps.Keys(want))) {
		m.Errorf("the template has %v, want %v", names, slices.Sorted(maps.Keys(want)))
	}
}

// forgotten checks that a commit is refused by nothing.
func (m *mergeRepo) forgotten() {
	m.Helper()
	if r := m.do("commit", "-q", "--allow-empty", "-m", "later"); r.code != 0 {
		m.Errorf("a later commit is refused:\n%s", r.err)
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
		case ".git/index", ".git/ORIG_HEAD", ".git/COMMIT_EDITMSG", ".git/AUTO_MERGE", ".git/MERGE_RR", ".git/muxi-secrets/lock":
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
		found[rel] = file{info.Mode(), string(content)}
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
	isolateProcess(t)
	start := newMergeRepo(t, "agent")
	all := situations()
	if len(all) < 40 {
		t.Fatalf("%d situations", len(all))
	}
	sealed := &python{}
	t.Run("all", func(t *testing.T) {
		for _, tt := range all {
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

// keyOf is the key in a folder's .key.
func (m *mergeRepo) keyOf(folder string) *crypto.Key {
	m.Helper()
	key, err := crypto.ParseKey([]byte(m.read(filepath.Join(folder, ".key"))))
	must(m, err)
	return key
}
