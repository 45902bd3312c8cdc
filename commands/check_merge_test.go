//go:build unix

package commands_test

import (
	"strings"
	"testing"
)

// A merge that waits for a decision is said by each command that looks, not by the
// commit's hook alone: 'git rebase --continue' runs none.
func TestOpenMergeIsSaid(t *testing.T) {
	sideBySide(t)
	start := newMergeRepo(t, "agent", "A=a", "B=b")
	start.sides([]string{"A=1"}, []string{"A=2", "C=3"})
	saidBy := func(m *mergeRepo, want bool) {
		t.Helper()
		for args, sign := range map[string]string{
			"check": "[unsettled-merge]", "check --staged": "[unsettled-merge]",
			"status": "waits for a decision on A", "doctor": "the merge waits for a decision on A",
		} {
			r := m.muxiIn(run{}, strings.Fields(args)...)
			if said := strings.Contains(r.out, sign); said != want {
				t.Errorf("%s: speaks of the merge: %t, want %t\n%s%s", args, said, want, r.out, r.err)
			}
			if stops := r.code == 1; stops != want && args != "status" {
				t.Errorf("%s: exit %d\n%s%s", args, r.code, r.out, r.err)
			}
		}
	}

	t.Run("merge", func(t *testing.T) {
		m := start.copyOf(t)
		saidBy(m, false)
		m.merge()
		saidBy(m, true)
		m.git("add", "-A")
		saidBy(m, true)
		m.resolve(0, "A", "--theirs")
		m.git("commit", "-qm", "merged")
		saidBy(m, false)
	})
	t.Run("rebase", func(t *testing.T) {
		m := start.copyOf(t)
		m.git("checkout", "-q", "theirs")
		m.do("rebase", "-q", "ours")
		saidBy(m, true)
		m.git("add", "-A")
		m.editing("").must("rebase", "--continue") // git asks nobody
		saidBy(m, true)
		m.resolve(0, "A", "--theirs")
		m.git("commit", "-qm", "settled")
		saidBy(m, false)
		m.holds(secrets{"A": "2", "B": "b", "C": "3"})
	})
}
