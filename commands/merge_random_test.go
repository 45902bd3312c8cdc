//go:build unix

package commands_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

// mergeHistory is a repository with the secrets that each of its commits should have.
type mergeHistory struct {
	*mergeRepo
	rng   *rand.Rand
	is    map[string]secrets // by commit
	keyAt map[string]string  // the .key of each commit
	said  []string           // what was done, for a failure
}

func (h *mergeHistory) note(format string, args ...any) {
	h.said = append(h.said, fmt.Sprintf(format, args...))
}

// record notes HEAD.
func (h *mergeHistory) record(want secrets) {
	h.Helper()
	id := h.head()
	h.is[id], h.keyAt[id] = want, h.read("agent/.key")
}

func (h *mergeHistory) useKey(content string) {
	h.Helper()
	h.write("agent/.key", content)
	must(h, os.Chmod(h.path("agent/.key"), 0o600))
}

// checkout goes to a branch, and has the key of its commit, as somebody who
// works there would.
func (h *mergeHistory) checkout(branch string) {
	h.Helper()
	h.git("checkout", "-q", branch)
	h.useKey(h.keyAt[h.head()])
}

// base is what git compares two commits with: their merge base, or the merge of
// those there are. Of that, a contested name equals nothing.
func (h *mergeHistory) base(a, b string) secrets {
	h.Helper()
	bases := strings.Fields(h.git("merge-base", "--all", a, b))
	if len(bases) == 0 {
		h.Fatal("no merge base")
	}
	merged := h.is[bases[0]]
	for _, other := range bases[1:] {
		virtual, contested := mergeSecrets(h.base(bases[0], other), merged, h.is[other])
		for i, name := range contested {
			virtual[name] = fmt.Sprintf("contested %d by %s and %s", i, bases[0], other)
		}
		merged = virtual
	}
	if len(bases) > 1 {
		h.note("(%d merge bases)", len(bases))
	}
	return merged
}

var randomNames = [...]string{"A", "B", "C", "D", "E", "F"}

// changes are one to three random changes; values repeat, so that sides agree
// now and then.
func (h *mergeHistory) changes(at secrets) []string {
	var all []string
	for range 1 + h.rng.IntN(3) {
		name := randomNames[h.rng.IntN(len(randomNames))]
		value, there := at[name]
		switch other := randomNames[h.rng.IntN(len(randomNames))]; {
		case there && h.rng.IntN(4) == 0:
			all = append(all, "-"+name)
		case there && h.rng.IntN(5) == 0 && other != name: // renamed, over another perhaps
			all = append(all, "-"+name, other+"="+value)
		default:
			all = append(all, name+"="+strconv.Itoa(h.rng.IntN(5)))
		}
		at = at.change(all...)
	}
	return all
}

// mergeIn merges a branch into the one at hand, settles what is contested, and
// compares with the model.
func (h *mergeHistory) mergeIn(other string) {
	h.Helper()
	ours, theirs := h.head(), h.git("rev-parse", other)
	if h.try("merge-base", "--is-ancestor", theirs, ours).code == 0 {
		return
	}
	want, contested := mergeSecrets(h.base(ours, theirs), h.is[ours], h.is[theirs])
	r := h.do("merge", "--no-edit", "-q", other)
	h.note("merge %s: %d contested", other, len(contested))
	if (r.code == 0) != (len(contested) == 0) {
		h.Fatalf("exit %d, and %v should be contested\n%s%s", r.code, contested, r.out, r.err)
	}
	// The key may be theirs now, which the message has to say.
	if _, err := h.opened(); err != nil {
		opens := false
		for _, content := range slices.Sorted(maps.Values(h.keyAt)) {
			key, err := crypto.ParseKey([]byte(content))
			must(h, err)
			if _, _, err := formation.OpenSealed([]byte(h.read(h.vault())), key); err == nil {
				h.useKey(content)
				opens = true
				break
			}
		}
		if !opens {
			h.Fatal("no key opens the merged vault")
		}
		fastForward := h.head() == theirs
		if !fastForward && !strings.Contains(r.err, "unlock") && h.git("rev-parse", "HEAD:"+h.vault()) != h.git("rev-parse", theirs+":"+h.vault()) {
			h.Errorf("it does not say how to get the key:\n%s", r.err)
		}
	}
	h.holds(want)
	if len(contested) > 0 {
		h.names(r, contested...)
		h.rng.Shuffle(len(contested), func(i, j int) { contested[i], contested[j] = contested[j], contested[i] })
		for i, name := range contested {
			if i == 0 && h.rng.IntN(4) == 0 {
				h.refused("commit", "-qam", "x")
			}
			switch h.rng.IntN(3) {
			case 0:
				h.resolve(0, name, "--ours")
			case 1:
				h.resolve(0, name, "--theirs")
				value, ok := h.is[theirs][name]
				if want = want.change("-" + name); ok {
					want[name] = value
				}
			default:
				value := strconv.Itoa(h.rng.IntN(9))
				if r := h.muxiIn(run{stdin: hush + value}, "resolve", name, "--stdin"); r.code != 0 {
					h.Errorf("resolve --stdin: exit %d\n%s", r.code, r.err)
				}
				want = want.change(name + "=" + value)
			}
		}
		h.must("commit", "-q", "--no-edit")
		h.holds(want)
	}
	h.record(want)
}

// What somebody asks of TestMergeRandom, from before it has an environment of its own.
var mergeRounds, mergeSeed = os.Getenv("TEST_MERGE_ROUNDS"), os.Getenv("TEST_MERGE_SEED")

// TestMergeRandom builds two branches of random changes, rotations and merges of
// each other, merges them in the end in both directions, and compares with a
// plain three-way merge by name at each step. TEST_MERGE_ROUNDS asks for more
// rounds, TEST_MERGE_SEED has one of them again.
func TestMergeRandom(t *testing.T) {
	sideBySide(t)
	rounds := 60
	if testing.Short() {
		rounds = 2
	}
	if n, err := strconv.Atoi(mergeRounds); err == nil {
		rounds = n
	}
	seeds := make([]uint64, rounds)
	for i := range seeds {
		seeds[i] = rand.Uint64()
	}
	if seed, err := strconv.ParseUint(mergeSeed, 10, 64); err == nil {
		seeds = []uint64{seed}
	}
	first := []string{"KEEP=k", "A=0", "B=1", "C=2"}
	start := newMergeRepo(t, "agent", first...)
	sealed := &python{}
	t.Run("rounds", func(t *testing.T) {
		for _, seed := range seeds {
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				h := &mergeHistory{start.copyOf(t), rand.New(rand.NewPCG(seed, 1)), map[string]secrets{}, map[string]string{}, nil}
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("TEST_MERGE_SEED=%d: %s", seed, strings.Join(h.said, "; "))
					}
				})
				h.record(secrets{}.change(first...))
				branches := []string{"left", "right"}
				for _, branch := range branches {
					h.git("branch", branch)
				}
				for range 5 + h.rng.IntN(5) {
					i := h.rng.IntN(2)
					h.checkout(branches[i])
					switch h.rng.IntN(10) {
					case 0:
						h.note("%s: rotate", branches[i])
						want := h.is[h.head()]
						if r := h.muxiIn(run{}, "rotate"); r.code != 0 {
							t.Fatalf("rotate: exit %d\n%s", r.code, r.err)
						}
						h.commit("rotate")
						h.record(want)
					case 1, 2, 3:
						other := branches[1-i]
						if h.rng.IntN(2) == 0 && h.try("rev-parse", "-q", "--verify", other+"^").code == 0 {
							other += "^" // what makes merges criss-cross
						}
						h.note("%s:", branches[i])
						h.mergeIn(other)
					default:
						want := h.is[h.head()]
						changes := h.changes(want)
						h.note("%s: %d changes", branches[i], len(changes))
						h.change(changes...)
						h.commit("changes")
						h.record(want.change(changes...))
					}
					if t.Failed() {
						return
					}
				}
				for i, branch := range branches {
					c := &mergeHistory{h.copyOf(t), h.rng, maps.Clone(h.is), maps.Clone(h.keyAt), h.said}
					c.checkout(branch)
					c.note("at last, %s:", branch)
					c.mergeIn(branches[1-i])
					c.settled(c.is[c.head()])
					h.said = c.said
					sealed.add(c.mergeRepo, c.values())
				}
			})
		}
	})
	t.Run("python", sealed.check)
}
