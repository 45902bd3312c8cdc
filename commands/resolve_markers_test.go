//go:build unix

package commands_test

import (
	"os"
	"strings"
	"testing"
)

// byLines has git merge without this program, as in a clone that never heard of it,
// and commits what comes out, markers and all.
func (m *mergeRepo) byLines(args ...string) {
	m.Helper()
	config := m.read(".git/config")
	for _, driver := range []string{"merge.muxi-secrets", "merge.muxi-secrets-template"} {
		m.try("config", "--remove-section", driver)
	}
	m.try(append([]string{"-c", "core.hooksPath=/dev/null", "merge", "--no-edit"}, args...)...)
	m.write(".git/config", config)
	if !strings.Contains(m.read(m.vault()), "<<<<<<<") {
		m.Fatal("the merge left no markers")
	}
}

// Markers that somebody committed are healed by name: nothing that either side had is
// lost, and what both changed is asked about.
func TestResolveCommittedMarkers(t *testing.T) {
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b", "C=c")
	start.sides([]string{"A=1", "-B", "D=1"}, []string{"A=2", "C=2", "E=2"})
	merged := secrets{"A": "1", "C": "2", "D": "1", "E": "2"}
	for _, tt := range sample([]struct {
		name   string
		git    []string // of the merge
		commit func(m *mergeRepo)
		want   secrets // nil: merged
	}{
		{name: "committed", commit: func(m *mergeRepo) { m.commit("by hand") }},
		{name: "with the base", git: []string{"-c", "merge.conflictStyle=diff3"}, commit: func(m *mergeRepo) { m.commit("by hand") }},
		{name: "committed, and others since", commit: func(m *mergeRepo) {
			m.commit("by hand")
			m.write("other", "x")
			m.commit("more")
		}},
		{name: "staged, in the merge", commit: func(m *mergeRepo) { m.git("add", "-A") }},
		{name: "seen in a clone", commit: func(m *mergeRepo) {
			m.commit("by hand")
			os.RemoveAll(m.path(".git/muxi-secrets"))
		}},
		// Nobody knows what was there before: what only one side has stays.
		{name: "squashed", commit: func(m *mergeRepo) {
			m.commit("by hand")
			m.git("reset", "-q", "--soft", "base")
			m.commit("squashed")
		}, want: secrets{"A": "1", "B": "b", "C": "c", "D": "1", "E": "2"}},
	}) {
		t.Run(tt.name, func(t *testing.T) {
			m := start.copyOf(t)
			for i := 1; i < len(tt.git); i += 2 {
				name, value, _ := strings.Cut(tt.git[i], "=")
				m.git("config", name, value)
			}
			m.byLines("theirs")
			tt.commit(m)
			want := tt.want
			if want == nil {
				want = merged
			}

			if r := m.muxiIn(run{}, "list"); r.code != 3 || !strings.Contains(r.err, "resolve' merges both sides by name") || strings.Contains(r.err, "git restore") {
				t.Errorf("list: exit %d\n%s", r.code, r.err)
			}
			if r := m.resolve(1); !strings.Contains(r.out+r.err, "A") {
				t.Errorf("resolve names nothing:\n%s%s", r.out, r.err)
			}
			m.holds(want)
			m.refused("commit", "-qam", "not settled")
			m.resolve(0, "A", "--theirs")
			if len(tt.want) > 0 {
				m.resolve(0, "--theirs")
				want["C"] = "2"
			}
			want["A"] = "2"
			m.do("commit", "-qm", "healed")
			m.settled(want)
			m.resolve(1)
		})
		merged["A"] = "1"
	}
}

// Where nobody is contested one call heals, for every format.
func TestResolveCommittedMarkersAtOnce(t *testing.T) {
	sideBySide(t)
	for _, format := range []string{"fernet", "age"} {
		m := newMergeRepo(t, "agent", "A=a")
		if r := m.muxiIn(run{}, "convert", "--to", format); format == "age" && r.code != 0 {
			t.Fatal(r.err)
		}
		m.commit("converted")
		m.git("tag", "-f", "base")
		m.sides([]string{"B=1"}, []string{"C=2"})
		m.byLines("theirs")
		m.commit("by hand")
		m.resolve(0)
		m.do("commit", "-qm", "healed")
		m.settled(secrets{"A": "a", "B": "1", "C": "2"})
	}
}

// Where the markers were edited away in part, the way back is one typed line.
func TestResolveBrokenMarkers(t *testing.T) {
	sideBySide(t)
	m := newMergeRepo(t, "agent", "A=a")
	m.sides([]string{"A=1"}, []string{"A=2"})
	good := m.head()
	m.byLines("theirs")
	m.write(m.vault(), strings.Replace(m.read(m.vault()), "=======\n", "", 1))
	m.commit("by hand")
	r := m.resolve(3)
	hint := "git restore --source=" + good[:10] + " secrets.enc"
	if !strings.Contains(r.err, "'"+hint+"'") {
		t.Fatalf("no way back to %s:\n%s", good, r.err)
	}
	m.at("agent").git(strings.Fields(hint)[1:]...)
	m.holds(secrets{"A": "1"})
}
