//go:build unix

package formation

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// A pipe is refused at once, where reading or writing it would block for ever.
func TestPipesRefused(t *testing.T) {
	f := makeFormation(t, map[string]string{"formation.afs": ""})
	for _, name := range [...]string{KeyFile, VaultFile, TemplateFile} {
		if err := syscall.Mkfifo(f.Path(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan map[string]error, 1)
	go func() {
		b := safefile.Files{}.Batch(safefile.Place{})
		defer b.Discard()
		got := map[string]error{"Replace": b.Replace(f.Path(VaultFile), nil, 0o600)}
		_, got["ReadKey"] = f.ReadKey()
		_, _, got["ReadSealed"] = f.ReadSealed()
		_, _, _, got["ReadTemplate"] = f.ReadTemplate()
		done <- got
	}()
	select {
	case got := <-done:
		for name, err := range got {
			var file *safefile.Error
			if !errors.As(err, &file) || !errors.Is(err, safefile.ErrNotRegular) {
				t.Errorf("%s: %v", name, err)
			}
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it blocks")
	}
}
