package gitutil

import (
	"os"
	"path/filepath"
	"strings"
)

// StagedOptions say what the index is compared with.
type StagedOptions struct {
	// Amend compares with the parent of HEAD. A hook is not told that it runs for
	// `git commit --amend`: compared with HEAD, as it does by default, content
	// that HEAD already holds and the amended commit keeps is not seen again. It
	// was judged when HEAD was made, and Commits judges it before it is pushed.
	Amend bool
}

// Range is a set of commits: those reachable from Include and not from the rest.
type Range struct {
	Include []string // revisions; HEAD when empty
	Exclude []string // revisions; an unknown one is a *RevisionError

	// Known are full object ids that the other side of a push has. Those that
	// this repository does not have are passed over: they exclude nothing here.
	Known []string

	ExceptRemote string // excludes what the remote-tracking branches of this remote hold
	ExceptRefs   bool   // excludes what any ref holds: in pre-receive, all that was there before
}

// ParseRange reads "A..B"; a side left out is HEAD. Errors: *RevisionError.
func ParseRange(text string) (Range, error) {
	a, b, ok := strings.Cut(text, "..")
	if !ok || strings.HasPrefix(b, ".") {
		return Range{}, &RevisionError{Rev: text}
	}
	if a == "" {
		a = "HEAD"
	}
	if b == "" {
		b = "HEAD"
	}
	return Range{Include: []string{b}, Exclude: []string{a}}, nil
}

// Base is the range that a pull request from HEAD into ref has:
// merge-base(ref, HEAD)..HEAD. All that both reach is reached from one of their
// merge bases, so that leaving out what ref reaches gives the same commits,
// with several merge bases as well.
func Base(ref string) Range {
	return Range{Include: []string{"HEAD"}, Exclude: []string{ref}}
}

func (r Range) include() []string {
	if len(r.Include) == 0 {
		return []string{"HEAD"}
	}
	return r.Include
}

// checkRev refuses what would not be taken for a single revision.
func checkRev(rev string) error {
	if rev == "" || strings.HasPrefix(rev, "-") || strings.HasPrefix(rev, "^") || strings.Contains(rev, "..") {
		return &RevisionError{Rev: rev}
	}
	return nil
}

// isObjectID tells a full id from a name.
func isObjectID(s string) bool {
	return (len(s) == 40 || len(s) == 64) && isHex(s)
}

func isZeroID(s string) bool { return strings.Trim(s, "0") == "" }

// shallowCommits reads the commits whose parents were cut off.
func shallowCommits(layout Layout) map[string]bool {
	data, err := os.ReadFile(filepath.Join(layout.CommonDir, "shallow"))
	if err != nil {
		return nil
	}
	cut := map[string]bool{}
	for _, id := range strings.Fields(string(data)) {
		cut[id] = true
	}
	return cut
}
