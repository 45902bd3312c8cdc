package commands

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// countedLog has one log, which ends in an error for one revision.
type countedLog struct {
	gitutil.Repository
	asked []string
}

var errShort = errors.New("the history ends here")

func (r *countedLog) Log(_ context.Context, rev string, names []string, visit func(*gitutil.LogEntry) error) error {
	r.asked = append(r.asked, rev+":"+names[0])
	for _, hash := range []string{rev + "2", rev + "1"} {
		if err := visit(&gitutil.LogEntry{Hash: hash}); err != nil {
			return err
		}
	}
	if rev == "shallow" {
		return errShort
	}
	return nil
}

// TestLastingLog: git is asked once for each log, and everybody hears all of it, one
// who stopped early and one who comes later.
func TestLastingLog(t *testing.T) {
	counted := &countedLog{}
	repo := lastingLog{counted, map[string]*heardLog{}}
	enough := errors.New("enough")
	for range 2 {
		for _, rev := range []string{"", "shallow"} {
			for _, name := range []string{"a", "b"} {
				if err := repo.Log(t.Context(), rev, []string{name}, func(*gitutil.LogEntry) error { return enough }); !errors.Is(err, enough) {
					t.Errorf("%q: %v", rev, err)
				}

				var heard []string
				err := repo.Log(t.Context(), rev, []string{name}, func(e *gitutil.LogEntry) error {
					heard = append(heard, e.Hash)
					return nil
				})
				if !slices.Equal(heard, []string{rev + "2", rev + "1"}) || errors.Is(err, errShort) != (rev == "shallow") {
					t.Errorf("%q: heard %q, %v", rev, heard, err)
				}
			}
		}
	}
	if want := []string{":a", ":b", "shallow:a", "shallow:b"}; !slices.Equal(counted.asked, want) {
		t.Errorf("asked for %q, want %q", counted.asked, want)
	}
}
