package gitutil

import (
	"context"
	"testing"
)

// TestSetAside: a stash or a patch of what is here counts, one of other work does
// not.
func TestSetAside(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(r *testRepo)
		want bool
	}{
		{"nothing", func(r *testRepo) {}, false},
		{"a stash that keeps the index", func(r *testRepo) { r.git("stash", "-q", "--keep-index") }, true},
		{"a stash of it all", func(r *testRepo) { r.git("stash", "-q") }, false},
		{"a stash of it all, and other work since", func(r *testRepo) {
			r.git("stash", "-q")
			r.write("b", "other")
			r.git("add", "b")
		}, false},
		{"a stash without unstaged work", func(r *testRepo) {
			r.git("checkout", "-q", "--", "a")
			r.git("stash", "-q", "--keep-index")
		}, false},
		{"a stash of an older commit", func(r *testRepo) {
			r.git("stash", "-q", "--keep-index")
			r.commit("since")
		}, false},
		{"a patch", func(r *testRepo) {
			r.git("diff", "--unified=0", "--output=.git/lint-staged_unstaged.patch")
			r.git("checkout", "-q", "--", "a")
		}, true},
		{"a patch in info", func(r *testRepo) {
			r.git("diff", "--output=.git/info/lefthook-unstaged.patch")
			r.git("checkout", "-q", "--", "a")
		}, true},
		{"a patch that was left behind", func(r *testRepo) {
			r.git("diff", "--output=.git/x.patch")
			r.write("a", "something else\n")
		}, false},
		{"an empty patch", func(r *testRepo) { r.write(".git/x.patch", "") }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.write("a", "1\n")
			r.write("b", "1\n")
			r.commit("base")
			r.write("b", "2\n")
			r.git("add", "b")
			r.write("a", "2\n")
			tt.make(r)
			if got, err := r.openWriter().SetAside(context.Background()); got != tt.want || err != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}
