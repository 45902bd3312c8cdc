//go:build unix

package commands_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMergePlaces merges formations wherever they may lie.
func TestMergePlaces(t *testing.T) {
	long(t)
	sideBySide(t)
	base := secrets{"A": "a", "B": "b"}
	for _, folder := range []string{
		".", "deep/er/still", "with space", "new\nline", `quo"te's`, "$(touch gone)`x`", "-dash", "ключ-\U0001f511", "back\\slash", "%P", "tab\there",
	} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			m := newMergeRepo(t, "./"+folder, "A=a", "B=b")
			if folder == "." {
				m.folder = "."
			}
			m.sides([]string{"A=1", "D=1"}, []string{"A=2", "E=2"})
			want := base.change("D=1", "E=2")
			r := m.merge()
			if r.code != 1 || m.stages(filepath.Clean(m.vault())) != "123" {
				t.Errorf("exit %d, stages %q\n%s%s", r.code, m.stages(m.vault()), r.out, r.err)
			}
			m.holds(want.change("A=1"))
			if !strings.Contains(r.err, "both sides changed A\n") {
				t.Errorf("the message does not name A:\n%s", r.err)
			}
			m.refused("commit", "-qam", "x")
			m.resolve(0, "A", "--theirs")
			m.must("commit", "-q", "--no-edit")
			m.settled(want.change("A=2"))
		})
	}

	t.Run("two formations", func(t *testing.T) {
		t.Parallel()
		one := newMergeRepo(t, "one", "A=a", "B=b")
		one.addFormation("two")
		two := one.in("", "two")
		two.change("A=a", "B=b")
		one.commit("two")
		one.git("tag", "-f", "base")
		for _, branch := range []string{"theirs", "ours"} {
			one.git("checkout", "-q", "-B", branch, "base")
			one.change("A=" + branch)
			two.change("B="+branch, strings.ToUpper(branch)+"=x")
			one.commit(branch)
		}
		r := one.merge()
		one.conflicted(r, base.change("A=ours"), "A")
		two.conflicted(r, base.change("B=ours", "OURS=x", "THEIRS=x"), "B")
		one.resolve(1, "B", "--ours")
		one.resolve(0, "A", "--theirs")
		one.git("add", "-A")
		one.refused("commit", "-qm", "x")
		two.resolve(0, "B", "--theirs")
		one.must("commit", "-q", "--no-edit")
		one.settled(base.change("A=theirs"))
		two.settled(base.change("B=theirs", "OURS=x", "THEIRS=x"))
	})

	t.Run("submodule", func(t *testing.T) {
		t.Parallel()
		m := newMergeRepo(t, "agent", "A=a", "B=b")
		m.sides([]string{"A=1"}, []string{"A=2", "E=2"})
		outer := newRepo(t)
		outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", m.dir, "sub")
		s := &mergeRepo{outer.at("sub"), "agent"}
		s.write("agent/.key", m.read("agent/.key"))
		must(t, os.Chmod(s.path("agent/.key"), 0o600))
		s.muxiIn(run{}, "sync") // which brings the drivers
		s.mustMuxi("hooks", "install")
		r := s.do("merge", "--no-edit", "origin/theirs")
		s.conflicted(r, base.change("A=1", "E=2"), "A")
		s.refused("commit", "-qam", "x")
		s.resolve(0, "A", "--theirs")
		s.must("commit", "-q", "--no-edit")
		s.settled(base.change("A=2", "E=2"))
	})

	t.Run("two clones of a bare repository", func(t *testing.T) {
		t.Parallel()
		m := newMergeRepo(t, "agent", "A=a", "B=b")
		m.git("clone", "-q", "--bare", ".", "../hub.git")
		clone := func(name string) *mergeRepo {
			m.git("clone", "-q", "../hub.git", "../"+name)
			c := m.in("../"+name, "agent")
			if r := c.muxiIn(run{stdin: m.read("agent/.key")}, "key", "import", "-"); r.code != 0 {
				t.Fatalf("key import: exit %d\n%s", r.code, r.err)
			}
			c.mustMuxi("hooks", "install")
			return c
		}
		alice, bob := clone("alice"), clone("bob")
		alice.change("A=1", "D=1")
		alice.must("commit", "-qam", "by Alice")
		alice.must("push", "-q")
		bob.change("A=2", "E=2")
		bob.must("commit", "-qam", "by Bob")
		bob.conflicted(bob.do("pull", "-q", "--no-rebase", "--no-edit"), base.change("A=2", "D=1", "E=2"), "A")
		bob.resolve(0, "A", "--theirs")
		bob.must("commit", "-q", "--no-edit")
		bob.must("push", "-q")
		alice.must("pull", "-q")
		for _, c := range []*mergeRepo{alice, bob} {
			c.settled(base.change("A=1", "D=1", "E=2"))
		}
	})
}

// TestMergeRenamedFolder has one side rename the formation's folder. What git
// does not track, the key, stays where it was.
func TestMergeRenamedFolder(t *testing.T) {
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	files := []string{"formation.afs", "secrets.enc", "secrets", ".gitignore", ".gitattributes"}
	// side makes a branch that renames the folder, or changes the vault, or both.
	side := func(m *mergeRepo, branch string, rename bool, changes ...string) {
		m.git("checkout", "-q", "-B", branch, "base")
		m.change(changes...)
		m.git("commit", "-qam", branch, "--no-verify", "--allow-empty")
		if rename {
			must(m, os.MkdirAll(m.path("renamed"), 0o755))
			for _, file := range files {
				m.git("mv", "agent/"+file, "renamed/")
			}
			m.git("commit", "-qm", "renamed", "--no-verify")
		}
	}
	for _, tt := range sample([]struct {
		name                       string
		renamedOurs, renamedTheirs bool
		ours, theirs               []string
		want                       secrets
		contested                  []string
	}{
		{"renamed by ours", true, false, nil, []string{"A=2", "E=2"}, secrets{"A": "2", "B": "b", "E": "2"}, nil},
		{"renamed by theirs", false, true, []string{"A=1", "D=1"}, nil, secrets{"A": "1", "B": "b", "D": "1"}, nil},
		// Git then has no base for the new place.
		{"renamed by both", true, true, []string{"D=1"}, []string{"E=2"}, secrets{"A": "a", "B": "b", "D": "1", "E": "2"}, nil},
		{"renamed by both, contested", true, true, []string{"A=1", "D=1"}, []string{"A=2", "E=2"}, secrets{"A": "1", "B": "b", "D": "1", "E": "2"}, []string{"A"}},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := start.copyOf(t)
			side(m, "theirs", tt.renamedTheirs, tt.theirs...)
			side(m, "ours", tt.renamedOurs, tt.ours...)
			r := m.merge()
			moved, want := m.in("", "renamed"), tt.want
			// Nobody moved the key so far: it is found at the old place.
			if content := m.read("renamed/secrets.enc"); strings.Contains(content, "<<<<") {
				t.Fatalf("conflict markers\n%s%s", r.out, r.err)
			}
			must(t, os.Rename(m.path("agent/.key"), m.path("renamed/.key")))
			moved.holds(want)
			if tt.contested == nil && r.code != 0 {
				t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
			}
			if tt.contested != nil {
				moved.names(r, tt.contested...)
				moved.refused("commit", "-qam", "x")
				moved.resolve(0, "A", "--theirs")
				m.must("commit", "-q", "--no-edit")
				want = want.change("A=2")
			}
			moved.settled(want)
		})
	}
}

// TestMergeMovedAndChanged has one side rename the folder and change the vault
// too: git then sees one that was deleted, and a new one.
func TestMergeMovedAndChanged(t *testing.T) {
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	start.write(".git/info/exclude", ".key\n") // as at the old place, whose .gitignore goes
	files := []string{"formation.afs", "secrets.enc", "secrets", ".gitignore", ".gitattributes"}
	move := func(m *mergeRepo, branch string, changes ...string) {
		m.git("checkout", "-q", "-B", branch, "base")
		m.change(changes...)
		must(m, os.MkdirAll(m.path("bot"), 0o755))
		for _, file := range files {
			m.git("mv", "-f", "agent/"+file, "bot/")
		}
		m.git("commit", "-qam", branch, "--no-verify")
	}
	change := func(m *mergeRepo, branch string, changes ...string) {
		m.git("checkout", "-q", "-B", branch, "base")
		m.change(changes...)
		m.git("commit", "-qam", branch, "--no-verify")
	}
	for _, tt := range sample([]struct {
		name     string
		byTheirs bool
		ours     []string
		theirs   []string
		left     []string // contested
		want     secrets
	}{
		{"by ours", false, []string{"A=1", "D=1"}, []string{"B=2", "E=2"}, nil, secrets{"A": "1", "B": "2", "D": "1", "E": "2"}},
		{"by theirs", true, []string{"A=1", "D=1"}, []string{"B=2", "E=2"}, nil, secrets{"A": "1", "B": "2", "D": "1", "E": "2"}},
		{"by ours, contested", false, []string{"A=1"}, []string{"A=2", "E=2"}, []string{"A"}, secrets{"A": "2", "B": "b", "E": "2"}},
		{"by theirs, contested", true, []string{"A=1"}, []string{"A=2", "E=2"}, []string{"A"}, secrets{"A": "2", "B": "b", "E": "2"}},
	}) {
		for _, way := range []string{"merge", "cherry-pick", "rebase"} {
			for i, added := range []string{"", "add -A", "rm"} {
				if thinned(i, 3) {
					continue
				}
				t.Run(tt.name+", "+way+" "+added, func(t *testing.T) {
					t.Parallel()
					m := start.copyOf(t)
					ours, theirs := tt.ours, tt.theirs
					if tt.byTheirs {
						move(m, "theirs", theirs...)
						change(m, "ours", ours...)
					} else {
						change(m, "theirs", theirs...)
						move(m, "ours", ours...)
					}
					switch way {
					case "merge":
						m.merge()
					case "cherry-pick":
						m.do("cherry-pick", "theirs")
					default:
						m.git("checkout", "-q", "theirs")
						m.do("rebase", "-q", "ours")
					}
					switch added {
					case "add -A":
						m.git("add", "-A")
					case "rm":
						m.do("rm", "-q", "-f", "--ignore-unmatch", "agent/secrets.enc", "agent/secrets")
						m.git("add", "-A")
					}
					bot := m.in("", "bot")
					if added != "" {
						r := m.do("commit", "-qm", "x")
						if r.code == 0 || !strings.Contains(r.err, "agent/secrets.enc") || !strings.Contains(r.err, "resolve' merges the two") || strings.Contains(r.err, "checkout -m") {
							t.Fatalf("commit: exit %d\n%s", r.code, r.err)
						}
					}
					code := 0
					if tt.left != nil {
						code = 1
					}
					bot.resolve(code)
					if tt.left != nil {
						m.git("add", "-A")
						bot.refused("commit", "-qm", "x")
						for _, name := range tt.left {
							bot.resolve(0, name, "--theirs")
						}
					}
					if out := m.git("ls-files", "agent"); out != "" {
						t.Errorf("the index still has\n%s", out)
					}
					if _, err := os.Stat(m.path("agent/.key")); err == nil {
						must(t, os.Rename(m.path("agent/.key"), m.path("bot/.key")))
					}
					switch way {
					case "rebase":
						m.editing("").must("rebase", "--continue")
					default:
						m.must("commit", "-q", "--no-edit")
					}
					bot.settled(tt.want)
				})
			}
		}
	}
}

// TestMergeDeletedFiles has one side take the vault or the template away: git
// stops before any driver runs.
func TestMergeDeletedFiles(t *testing.T) {
	long(t)
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	branches := func(m *mergeRepo, file string, deletedByOurs bool) {
		for _, branch := range []string{"theirs", "ours"} {
			m.git("checkout", "-q", "-B", branch, "base")
			if (branch == "ours") == deletedByOurs {
				if file == m.template() {
					m.change("E=e") // and the template does not say so
				}
				m.remove(file)
				m.commit(branch)
				continue
			}
			m.change("D=d")
			m.commit(branch)
		}
	}
	for _, byOurs := range []bool{true, false} {
		who := "theirs"
		if byOurs {
			who = "ours"
		}
		t.Run("template by "+who, func(t *testing.T) {
			for _, way := range []string{"add", "rm", "resolve"} {
				t.Run(way, func(t *testing.T) {
					t.Parallel()
					m := start.copyOf(t)
					branches(m, m.template(), byOurs)
					if r := m.merge(); r.code != 1 || m.stages(m.vault()) != "0" {
						t.Errorf("exit %d, stages %q\n%s%s", r.code, m.stages(m.vault()), r.out, r.err)
					}
					want := secrets{"A": "a", "B": "b", "D": "d", "E": "e"}
					m.holds(want)
					switch way {
					case "add":
						m.git("add", "-A")
					case "rm":
						m.try("rm", "-qf", m.template())
					case "resolve":
						m.resolve(0)
					}
					m.must("commit", "-q", "--no-edit")
					m.settled(want)
				})
			}
		})
		t.Run("vault by "+who, func(t *testing.T) {
			t.Parallel()
			m := start.copyOf(t)
			branches(m, m.vault(), byOurs)
			before := m.everything()
			r := m.merge()
			if r.code != 1 {
				t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
			}
			other := m.copyOf(t)
			other.must("merge", "--abort")
			other.asBefore(before)
			// All is deleted, but D was added: nothing is contested.
			m.resolve(0)
			m.must("commit", "-q", "--no-edit")
			m.settled(secrets{"D": "d"})
		})
	}
}

// TestMergeTemplate merges what people wrote into templates.
func TestMergeTemplate(t *testing.T) {
	long(t)
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	write := func(m *mergeRepo, branch, template string, changes ...string) {
		m.git("checkout", "-q", "-B", branch, "base")
		m.change(changes...)
		m.write(m.template(), template)
		m.commit(branch)
	}
	t.Run("comments and placeholders of both", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t)
		write(m, "theirs", "A=\n# from the console\nB=\n# theirs\nE=sk-...\n", "E=2")
		write(m, "ours", "# ours above all\n\n# ask Bob\nA=sk-...\nB=\nD=\n", "D=1")
		m.must("merge", "-q", "--no-edit", "theirs")
		for _, line := range []string{"# from the console\nB=\n", "# theirs\nE=sk-...\n", "# ours above all\n", "# ask Bob\nA=sk-...\n", "D=\n"} {
			if !strings.Contains(m.read(m.template()), line) {
				t.Errorf("%q is not in the template:\n%s", line, m.read(m.template()))
			}
		}
		m.settled(secrets{"A": "a", "B": "b", "D": "1", "E": "2"})
	})
	t.Run("a new reference and a new secret", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t)
		m.git("checkout", "-q", "-B", "theirs", "base")
		m.refer("agent/formation.afs", "WANTED")
		m.commit("theirs")
		m.side("ours", "D=1")
		// Their template did not follow, nor did git have to merge it.
		r := m.do("merge", "-q", "--no-edit", "theirs")
		if r.code != 0 {
			if !strings.Contains(r.err, "'git commit' concludes the merge") {
				t.Errorf("it does not lead out:\n%s", r.err)
			}
			aborted := m.copyOf(t)
			aborted.must("merge", "--abort")
			aborted.forgotten()
			m.must("commit", "-q", "--no-edit")
		}
		if got := m.git("show", "HEAD:agent/secrets"); got != "A=\nB=\nD=\nWANTED=" {
			t.Errorf("the committed template is %q", got)
		}
		m.forgotten()
	})
	t.Run("the hook's template in the way of an abort", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t)
		m.git("checkout", "-q", "-B", "theirs", "base")
		m.refer("agent/formation.afs", "WANTED")
		m.commit("theirs")
		m.side("ours", "D=1")
		before := m.everything()
		if r := m.do("merge", "-q", "--no-edit", "theirs"); r.code == 0 {
			t.Skip("git merged it")
		}
		m.must("merge", "--abort")
		m.asBefore(before)
	})
	t.Run("formation.afs contested, too", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t)
		for _, branch := range []string{"theirs", "ours"} {
			m.git("checkout", "-q", "-B", branch, "base")
			m.write("agent/formation.afs", m.read("agent/formation.afs")+"x: ${{ secrets."+strings.ToUpper(branch)+" }}\n")
			m.change("A=" + branch)
			m.commit(branch)
		}
		r := m.merge()
		m.names(r, "A")
		m.resolve(0, "A", "--theirs")
		m.write("agent/formation.afs", "schema: \"1.0.0\"\nid: agent\nx: ${{ secrets.OURS }}${{ secrets.THEIRS }}\n")
		m.git("add", "-A")
		m.must("commit", "-q", "--no-edit")
		if got := m.git("show", "HEAD:agent/secrets"); got != "A=\nB=\nOURS=\nTHEIRS=" {
			t.Errorf("the committed template is %q", got)
		}
		m.forgotten()
	})
	t.Run("a template nobody wants in git", func(t *testing.T) {
		t.Parallel()
		m := start.copyOf(t)
		m.git("rm", "-q", "--cached", m.template())
		m.write("agent/.gitignore", m.read("agent/.gitignore")+"/secrets\n")
		m.commit("ignored")
		m.git("tag", "-f", "base")
		m.sides([]string{"A=1"}, []string{"A=2"})
		m.merge()
		m.resolve(0, "A", "--theirs")
		m.must("commit", "-q", "--no-edit")
		if got := m.git("ls-files", m.template()); got != "" {
			t.Errorf("git has %s", got)
		}
	})
}

// TestMergeCrissCross has two branches merged into each other before, so that
// git first merges two bases. What was contested there is contested again where
// it is not settled alike.
func TestMergeCrissCross(t *testing.T) {
	long(t)
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	settle := func(m *mergeRepo, from, how string) {
		m.Helper()
		r := m.do("merge", "--no-edit", "-q", from)
		if r.code != 0 {
			m.resolve(0, "A", how)
			m.must("commit", "-q", "--no-edit")
		}
	}
	for _, tt := range []struct {
		name        string
		left, right string // how each settled A, in the criss-cross
		later       [2][]string
		contested   bool
		want        string // of A, seen from left
	}{
		{"settled differently", "--ours", "--ours", [2][]string{}, true, "left"},
		{"settled differently, crosswise", "--theirs", "--theirs", [2][]string{}, true, "right"},
		{"settled alike", "--ours", "--theirs", [2][]string{}, false, "left"},
		{"settled alike, then left changes", "--ours", "--theirs", [2][]string{{"A=later"}, nil}, true, "later"},
		{"settled alike, then both change alike", "--ours", "--theirs", [2][]string{{"A=later"}, {"A=later"}}, false, "later"},
	} {
		for _, fromRight := range []bool{false, true} {
			name := tt.name
			if fromRight {
				name += ", merged by right"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				m := start.copyOf(t)
				m.side("left", "A=left", "L=1")
				m.side("right", "A=right", "R=1")
				m.git("tag", "right1")
				m.git("tag", "left1", "left")
				m.git("checkout", "-q", "left")
				settle(m, "right1", tt.left)
				m.on(append(tt.later[0], "L2=1")...)
				m.git("checkout", "-q", "right")
				settle(m, "left1", tt.right)
				m.on(append(tt.later[1], "R2=1")...)
				if got := len(strings.Fields(m.git("merge-base", "--all", "left", "right"))); got != 2 {
					t.Fatalf("%d merge bases", got)
				}
				from := "left"
				if !fromRight {
					m.git("checkout", "-q", "left")
					from = "right"
				}
				mine, yours := m.values()["A"], ""
				m.git("checkout", "-q", from)
				yours = m.values()["A"]
				m.git("checkout", "-q", "-")
				r := m.do("merge", "--no-edit", from)
				want := secrets{"A": mine, "B": "b", "L": "1", "R": "1", "L2": "1", "R2": "1"}
				switch {
				case mine == yours && r.code == 0:
				case mine == yours:
					t.Errorf("contested, though both have the same\n%s", r.err)
				case r.code == 0:
					t.Errorf("settled in silence\n%s", r.err)
				default:
					m.conflicted(r, want, "A")
					m.refused("commit", "-qam", "x")
					m.resolve(0, "A", "--theirs")
					m.must("commit", "-q", "--no-edit")
					want = want.change("A=" + yours)
				}
				m.settled(want)
			})
		}
	}
}
