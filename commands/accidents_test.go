//go:build unix

package commands_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/formation"
)

var (
	accidentRounds = flag.Int("accidents", 24, "rounds of TestAccidents")
	accidentSeed   = flag.Uint64("accidents-seed", 1, "where its random walk begins")
)

// walk is somebody who works with secrets and does, between commits, what people do
// by accident. Each commit's values are noted; whatever was not committed is git's to
// take away, but for the key.
type walk struct {
	*mergeRepo
	good  map[string]secrets // by commit
	trail []string
}

func newWalk(t testing.TB, shared bool) *walk {
	t.Helper()
	ann := newPerson(t)
	w := &walk{mergeRepo: newMergeRepo(t, "agent", "A=a-first-value", "B=b-first-value").as(ann), good: map[string]secrets{}}
	w.git("checkout", "-q", "-B", "main")
	if shared {
		w.mustCommand("share", "add", ann.recipient, "--name", "Ann")
		w.git("add", "-A")
		w.save("shared")
	}
	w.good[w.git("rev-parse", "base")] = secrets{"A": "a-first-value", "B": "b-first-value"}
	w.good[w.git("rev-parse", "base~1")] = secrets{}
	w.git("branch", "-q", "elsewhere", w.git("commit-tree", "-m", "no formation here", w.git("mktree")))
	w.note()
	return w
}

func (w *walk) note() { w.good[w.head()] = w.values() }

// here is the folder in which a person would type: the formation, while there is one.
func (w *walk) here() string {
	if _, err := os.Stat(w.path(w.folder)); err != nil {
		return w.dir
	}
	return w.path(w.folder)
}

func (w *walk) shell(command string) result {
	w.Helper()
	return (&repo{w.TB, w.here(), w.env}).run("", "/bin/sh", "-c", command)
}

// accident is what people do, typed in the formation's folder.
type accident struct {
	name     string
	do       func(*walk)
	destroys bool // the only copy of the key, where it was not shared
}

func typed(command string) accident {
	return accident{name: command, do: func(w *walk) { w.shell(command) }}
}

// lost is where the key is gone with all its copies.
func lost(command string) accident {
	return accident{command, func(w *walk) { w.shell(command) }, true}
}

func accidents() []accident {
	return []accident{
		typed("rm .key"),
		typed("rm secrets.enc"),
		typed("rm secrets"),
		typed("rm -rf ../agent"),
		typed("git checkout -qf elsewhere && git clean -qfdx; git checkout -qf main"),
		typed("git checkout -q elsewhere; git clean -qfd; git checkout -q main"),
		typed("git clean -qfdx ."),
		typed("git reset -q --hard"),
		typed("git stash -qu; git stash pop -q"),
		typed("git stash -qu"),
		typed("git stash -qua; git stash pop -q"),
		typed("git checkout -qf HEAD~1"),
		typed("git checkout -qf HEAD~2"),
		typed("git checkout -qf main~1; rm .key; git checkout -qf main"),
		typed("git switch -q -C side; git muxi-secrets rotate; git commit -qam side; git switch -q -f main"),
		typed("git muxi-secrets rotate; git commit -qam rotated; git revert --no-edit HEAD"),
		typed("git muxi-secrets rotate; git reset -q --hard"),
		typed("git muxi-secrets rotate; git commit -qam rotated; git reset -q --hard HEAD~1"),
		typed("git muxi-secrets rotate; git stash -q"),
		typed("git muxi-secrets rotate; git checkout -q -- secrets.enc"),
		typed("git muxi-secrets rotate; git checkout -q -- .key.age"),
		typed("git muxi-secrets rotate; git checkout -q -- .age-recipients"),
		typed("git muxi-secrets rotate; git add secrets.enc; git commit -qm half; git reset -q --hard"),
		typed("printf 'C: sk-ant-api03-Qm7Zt2Rk9Wd4Xv6Ns1Lp8Jf3Gh5Bc0Ya2Te4UiKo\\n' >>notes.txt; git add notes.txt; git commit -qnm leak; git muxi-secrets scrub"),
		typed("printf '' >.key"),
		typed("rm .key; echo nonsense >.key"),
		typed("rm .key; echo MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE= >.key"),
		typed("rm .key; mkdir .key"),
		typed("rm .key; ln -s ../nowhere .key"),
		typed("mv .key .key.bak"),
		typed("chmod 000 .key"),
		typed("chmod 444 .key secrets.enc"),
		typed("rm -rf ../.git/muxi-secrets"),
		lost("rm -rf ../.git/muxi-secrets .key"),
		typed("echo '# a comment' >secrets"),
		typed("printf 'A=\\n' >>secrets"),
		typed("rm -f .gitattributes ../.gitattributes"),
		typed("rm -f .gitignore ../.gitignore"),
		typed("rm -f .age-recipients"),
		typed("rm -f .key.age"),
		typed("echo nonsense >.age-recipients"),
		typed("printf x >>secrets.enc"),
		typed("head -c 40 secrets.enc >x; cat x >secrets.enc; rm x"),
		typed("printf '' >secrets.enc"),
		typed("mv ../agent ../bot; mv ../bot ../agent"),
		typed("git config --remove-section merge.muxi-secrets; git config --remove-section diff.muxi-secrets"),
		typed("git-muxi-secrets rotate & sleep 0.02; kill -9 $!; wait"),
		typed("git-muxi-secrets rotate & sleep 0.05; kill -9 $!; wait"),
		typed("git-muxi-secrets convert --to age & sleep 0.05; kill -9 $!; wait"),
		typed("rm -f ../.git/index; git reset -q"),
		typed("git rm -rq --cached .; git reset -q"),
	}
}

// reads reports whether a person has all the values.
func (w *walk) reads(want secrets) bool {
	dir := w.path(w.folder)
	f, err := formation.At(dir)
	if err != nil {
		return false
	}
	opened, err := f.Open()
	return err == nil && maps.Equal(plain(opened.Vault), want)
}

var quotedCall = regexp.MustCompile(`'((?:git|rm|mv|cp|mkdir|chmod|chown) [^']*)'`)

// placeholder is what a person would have to fill in.
var placeholder = regexp.MustCompile(`\b(FILE|DIR|NAME|WHO|RECIPIENT|REV|FINGERPRINT|URL|BLOB|COMMIT)\b`)

// hints are the commands that a text has people type, in its order.
func hintsIn(r result) (calls []string) {
	for line := range strings.Lines(r.err + r.out) {
		if !strings.Contains(line, "hint: ") && !strings.Contains(line, "problem") {
			continue
		}
		for _, found := range quotedCall.FindAllStringSubmatch(line, -1) {
			if !placeholder.MatchString(found[1]) && !slices.Contains(calls, found[1]) {
				calls = append(calls, found[1])
			}
		}
	}
	return calls
}

// recovers follows the hints: what the program says to 'list', and where that is
// content, to 'status', typed as it stands. At most three commands may be needed.
func (w *walk) recovers(want secrets) {
	w.Helper()
	var done []string
	for len(done) <= 3 {
		if w.reads(want) {
			return
		}
		said := w.shell("git muxi-secrets list")
		calls := hintsIn(said)
		if len(calls) == 0 || slices.Contains(done, calls[0]) {
			said = w.shell("git muxi-secrets status")
			calls = append(calls, hintsIn(said)...)
		}
		at := slices.IndexFunc(calls, func(call string) bool { return !slices.Contains(done, call) })
		if at < 0 {
			w.Errorf("nothing leads on after %q:\n%s\ncommands typed: %q", w.trail[max(0, len(w.trail)-4):], said.err+said.out, done)
			return
		}
		w.shell(calls[at])
		done = append(done, calls[at])
	}
	w.Errorf("three commands were not enough after %q: %q", w.trail[max(0, len(w.trail)-4):], done)
}

// after does an accident and follows the hints back to the values that the commit
// has which it leaves the work tree at.
func (w *walk) after(a accident) {
	w.Helper()
	before := w.head()
	w.trail = append(w.trail, a.name)
	a.do(w)
	want, known := w.good[w.head()]
	if !known { // a commit of the accident's own, which changed no value
		want = w.good[before]
		w.good[w.head()] = want
	}
	w.recovers(want)
}

// TestAccidents has each of them happen on its own.
func TestAccidents(t *testing.T) {
	sideBySide(t)
	for _, shared := range []bool{false, true} {
		base := newWalk(t, shared)
		base.change("A=second", "C=third")
		base.commit("more")
		base.note()
		for i, a := range accidents() {
			if a.destroys && !shared || thinned(i, len(accidents())) {
				continue
			}
			t.Run(fmt.Sprintf("%s, shared %t", a.name, shared), func(t *testing.T) {
				t.Parallel()
				w := *base
				w.mergeRepo, w.good = base.copyOf(t), maps.Clone(base.good)
				w.after(a)
			})
		}
	}
}

// TestAccidentalWalk does some work and has some accident, round by round, in one
// repository. Afterwards everything is put as it is committed, which loses nothing
// either.
func TestAccidentalWalk(t *testing.T) {
	long(t)
	sideBySide(t)
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared %t", shared), func(t *testing.T) {
			t.Parallel()
			w := newWalk(t, shared)
			random := rand.New(rand.NewPCG(*accidentSeed, 1))
			for round := range *accidentRounds / 2 {
				w.works(random, round)
				all := accidents()
				a := all[random.IntN(len(all))]
				if a.destroys && !shared {
					continue
				}
				w.after(a)
				w.after(typed("git checkout -qf main; git stash clear; git clean -qfd"))
				if t.Failed() {
					t.Fatalf("in round %d, with -accidents-seed %d", round, *accidentSeed)
				}
			}
		})
	}
}

// works is what people do on purpose, and commit.
func (w *walk) works(random *rand.Rand, round int) {
	w.Helper()
	name := string(rune('A' + random.IntN(6)))
	do := []string{
		fmt.Sprintf("printf 'value-%d' | git muxi-secrets add %s --stdin", round, name),
		fmt.Sprintf("printf 'other-%d' | git muxi-secrets add %s --stdin", round, name),
		"git muxi-secrets delete " + name + " --force",
		"git muxi-secrets rotate",
		"git muxi-secrets sync",
	}[random.IntN(5)]
	w.trail = append(w.trail, do)
	w.shell(do)
	w.shell("git add -A; git commit -qm 'round'")
	w.note()
}
