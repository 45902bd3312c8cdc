//go:build unix

package commands_test

import (
	"path/filepath"
	"regexp"
	"testing"
)

// TestResolveNameByName: on a terminal, resolve alone goes name by name, with what each
// side has, masked, and who gave it that; it stops with the last name.
func TestResolveNameByName(t *testing.T) {
	sideBySide(t)
	m := newMergeRepo(t, "agent", "A=a", "B=b", "C=c", "D=d")
	m.sides([]string{"A=1", "B=1", "-C", "D=1"}, []string{"A=2", "B=2", "C=2", "D=2"})
	if r := m.merge(); r.code == 0 {
		t.Fatal("no conflict")
	}
	b := &sandbox{TB: t, top: filepath.Dir(m.dir), dir: m.path("agent")}
	const ask = "Take (o)urs, (t)heirs or another (v)alue; Enter leaves it for later: "

	c := b.onTerminal(t, stdinNull, "resolve")
	for _, step := range []struct{ wait, keys string }{
		{"[1/4] A", "o\r"}, {"[2/4] B", "what\r"}, {ask + "what", "theirs\r"}, {"[3/4] C", "\r"}, {"[4/4] D", "v\r"}, {"Value of D (hidden): ", hush + "3\r"},
	} {
		c.waitFor(step.wait)
		c.typed(step.keys)
	}
	c.waitFor("both sides changed C")
	c.exit(1, hush)
	shown := c.shown()
	for _, want := range []string{
		`ours +\*{4}, by \S.* on \d{4}-\d\d-\d\d \(commit [0-9a-f]{10}\)`, `theirs +\*{4}, by .*\(commit [0-9a-f]{10}\)`, `ours +deleted, by `,
		`Settled A in`, `both sides changed C\b`,
	} {
		if !regexp.MustCompile(want).MatchString(shown) {
			t.Errorf("it does not show %s", want)
		}
	}

	c = b.onTerminal(t, stdinNull, "resolve")
	c.waitFor("[1/1] C")
	c.typed("t\r")
	c.waitFor("Nothing is left to settle")
	c.exit(0)
	m.holds(secrets{"A": "1", "B": "2", "C": "2", "D": "3"})
	if stages := m.stages(m.vault()); stages != "0" {
		t.Errorf("not staged: %s", stages)
	}

	// Given up: what was answered is settled, the rest waits.
	n := newMergeRepo(t, "agent", "A=a", "B=b")
	n.sides([]string{"A=1", "B=1"}, []string{"A=2", "B=2"})
	n.merge()
	b = &sandbox{TB: t, top: filepath.Dir(n.dir), dir: n.path("agent")}
	c = b.onTerminal(t, stdinNull, "resolve")
	c.waitFor("[1/2] A")
	c.typed("t\r")
	c.waitFor("[2/2] B")
	c.typed("\x03")
	c.exit(130)
	n.holds(secrets{"A": "2", "B": "1"})
}
