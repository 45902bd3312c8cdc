package gitutil

import (
	"os"
	"path/filepath"
	"strings"
)

// Range is a set of commits: those reachable from Include and not from the rest.
type Range struct {
	Include []string // revisions; HEAD when empty
	Exclude []string // revisions; an unknown one is a *RevisionError

	// Known are full object ids that the other side of a push has. Those that
	// this repository does not have are passed over: they exclude nothing here.
	Known []string

	ExceptRemote string // excludes what the remote-tracking branches of this remote hold
	Unpushed     bool   // excludes what any remote-tracking branch holds
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

// ShallowCommits are the commits of a shallow clone whose parents were cut off,
// by their ids; none in a whole one.
func (l Layout) ShallowCommits() map[string]bool {
	data, err := os.ReadFile(filepath.Join(l.CommonDir, "shallow"))
	if err != nil {
		return nil
	}
	cut := map[string]bool{}
	for _, id := range strings.Fields(string(data)) {
		cut[id] = true
	}
	return cut
}
