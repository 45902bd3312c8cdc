package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// State is how one hook stands.
type State string

// The states of a hook.
const (
	Installed State = "installed"
	Outdated  State = "outdated" // ours, of another version
	Missing   State = "missing"  // no hook, or only somebody else's
	Managed   State = "managed"  // another hook manager's, which runs ours
	Disabled  State = "not executable"
)

// Lacks reports whether git does not run the hook as this program has it.
func (s State) Lacks() bool { return s == Missing || s == Outdated || s == Disabled }

// Hook is one hook of a repository.
type Hook struct {
	Name  string `json:"name"`
	Path  string `json:"path"`
	State State  `json:"state"`
	// Kept says that a hook which was there before runs first.
	Kept bool `json:"kept"`
	// Note says that the hook only tells something, and stops nothing.
	Note bool `json:"note"`
	// Unheard says that somebody else's hook calls ours and goes on whatever it
	// answers: it stops nothing.
	Unheard bool `json:"unheard"`
	// Newer says that a later version of this program installed it.
	Newer bool `json:"-"`
}

// Installer installs, removes and looks at the hooks of one repository.
type Installer struct {
	Repo   gitutil.Repository
	Files  safefile.Files
	Server bool
	// NoNotes has Install leave the notes out, and take those away that are there.
	NoNotes bool
	// Write says that another manager's files may be written: then a note that is all
	// they lack is worth it.
	Write bool
	// Afresh has Install bring the notes only where it installs the rest: whoever
	// left them out is not given them again by the way.
	Afresh bool
	// Program is the path of this program, for a client without PATH.
	Program string
}

// Status tells how each hook stands, by the files that git would run: one that is
// not there or cannot be executed is none. dir is where git looks for them.
func (in *Installer) Status(ctx context.Context) (hooks []Hook, dir gitutil.HooksDir, err error) {
	dir, err = in.Repo.HooksDir(ctx)
	if err != nil {
		return nil, dir, err
	}
	for _, name := range All(in.Server) {
		hook := Hook{Name: name, Path: filepath.Join(dir.Path, name), State: Missing, Note: isNote(name)}
		if _, err := os.Lstat(hook.Path + keptSuffix); err == nil {
			hook.Kept = true
		}
		content, runs, err := readHook(hook.Path)
		if err != nil {
			return nil, dir, err
		}
		if !IsOurs(content) && runs && bytes.Contains(content, []byte(preCommitMark)) {
			// `pre-commit install` gives a hook that it finds this name, and runs it.
			legacy, legacyRuns, err := readHook(hook.Path + ".legacy")
			if err != nil {
				return nil, dir, err
			}
			if IsOurs(legacy) {
				hook.Path, content, runs = hook.Path+".legacy", legacy, legacyRuns
			}
		}

		switch {
		case IsOurs(content):
			hook.Newer = newer(content) // it knows better what is in it
			hook.State = Outdated
			switch {
			case !runs:
				hook.State = Disabled
			case hook.Newer, string(content) == Script(name, in.Program), sameButProgram(content, name):
				hook.State = Installed
			}
		default:
			called, err := in.configCalls(ctx, name)
			if err != nil {
				return nil, dir, err
			}
			if runs {
				called = max(called, in.otherCalls(dir.Path, name, string(content)))
			}
			switch called {
			case callHeard:
				hook.State = Managed
			case callUnheard:
				hook.Unheard = !hook.Note
				if hook.Note {
					hook.State = Managed
				}
			}
		}
		hooks = append(hooks, hook)
	}
	return hooks, dir, nil
}

// readHook reads a hook, and reports whether git would run it; an absent one is
// nil.
func readHook(path string) (content []byte, runs bool, err error) {
	info, err := os.Stat(path)
	if err == nil {
		content, err = os.ReadFile(path)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // core.hooksPath=/dev/null
		return nil, false, nil
	}
	if err != nil {
		return nil, false, &safefile.Error{Op: "read", Path: path, Err: err}
	}
	return content, safefile.Executable(info), nil
}

// sameButProgram reports whether a hook is of this version, installed by a
// program at another path.
func sameButProgram(content []byte, name string) bool {
	program, ok := programIn(string(content), "\nif !")
	return ok && string(content) == Script(name, program)
}

// Install puts every hook in place, or none. A hook that is there already is
// kept beside ours and runs first. It returns what it changed; nothing when all
// is as it should be. Where the hooks are another manager's it changes nothing
// and returns *ManagedError.
func (in *Installer) Install(ctx context.Context) ([]Hook, error) {
	hooks, dir, err := in.settled(ctx)
	if err != nil {
		return nil, err
	}
	wanted, unwanted := in.wanted(hooks)
	if len(wanted)+len(unwanted) == 0 {
		return nil, nil
	}
	if len(wanted) > 0 {
		err := in.Foreign(dir)
		if _, managed := errors.AsType[*ManagedError](err); managed && wanted[0].Note && !in.Write {
			return nil, nil // what stops git is there
		}
		if err != nil {
			return nil, err
		}
	}
	if err := safefile.MakeFolder(dir.Path, 0o755); err != nil {
		return nil, &safefile.Error{Op: "make", Path: dir.Path, Err: err}
	}
	batch := in.Files.Batch(in.place(dir))
	defer batch.Discard()
	for i, hook := range wanted {
		if err := in.keep(batch, &wanted[i]); err != nil {
			return nil, err
		}
		if err := batch.Put(hook.Path, []byte(Script(hook.Name, in.Program)), 0o755); err != nil {
			return nil, err
		}
	}
	for i := range unwanted {
		if err := takeAway(batch, dir, &unwanted[i]); err != nil {
			return nil, err
		}
	}
	if err := batch.Commit(); err != nil {
		return nil, err
	}
	for i := range wanted {
		wanted[i].State = Installed
	}
	return append(wanted, unwanted...), nil
}

// wanted are the hooks that Install puts in place, and those that it takes away.
func (in *Installer) wanted(hooks []Hook) (wanted, unwanted []Hook) {
	for _, hook := range hooks {
		ours := hook.State == Installed || hook.State == Outdated || hook.State == Disabled
		switch {
		case hook.Note && in.NoNotes && ours:
			unwanted = append(unwanted, hook)
		case hook.Note && hook.State == Missing && (in.NoNotes || in.Afresh && !missing(wanted)):
		case hook.State.Lacks():
			wanted = append(wanted, hook)
		}
	}
	return wanted, unwanted
}

// missing reports whether one of the hooks is not there at all. The notes come
// last in every list.
func missing(hooks []Hook) bool {
	return slices.ContainsFunc(hooks, func(hook Hook) bool { return hook.State == Missing })
}

// takeAway has the batch remove a hook of ours and give the one before it its name
// back.
func takeAway(batch *safefile.Batch, dir gitutil.HooksDir, hook *Hook) error {
	if !hook.Kept {
		batch.Remove(hook.Path)
	} else if err := batch.Move(filepath.Join(dir.Path, hook.Name)+keptSuffix, hook.Path); err != nil {
		return err
	}
	hook.State = Missing
	return nil
}

// settled is Status for who changes the hooks and holds the lock: what a killed
// command began is finished first, or taken back.
func (in *Installer) settled(ctx context.Context) ([]Hook, gitutil.HooksDir, error) {
	hooks, dir, err := in.Status(ctx)
	if err != nil || !Unfinished(in.Repo.Layout()) {
		return hooks, dir, err
	}
	for _, place := range []safefile.Place{in.place(dir), in.managersPlace()} {
		_, err = safefile.Replay(place, in.Files)
		var back *safefile.TakenBackError
		var overrun *safefile.OverrunError
		if err != nil && !errors.As(err, &back) && !errors.As(err, &overrun) {
			return nil, dir, err
		}
	}
	return in.Status(ctx) // whatever became of it
}

func (in *Installer) place(dir gitutil.HooksDir) safefile.Place {
	return safefile.Place{Folders: []string{dir.Path}, Journal: journalOf(in.Repo.Layout())}
}

// Unfinished reports whether a killed command left hooks to be finished.
func Unfinished(layout gitutil.Layout) bool {
	return slices.ContainsFunc([]string{journalOf(layout), managersJournal(layout)}, func(journal string) bool {
		there, err := paths.Exists(journal)
		return there && err == nil
	})
}

// Finish does that. The caller holds the lock.
func (in *Installer) Finish(ctx context.Context) error {
	_, _, err := in.settled(ctx)
	return err
}

func journalOf(layout gitutil.Layout) string {
	return filepath.Join(layout.CommonDir, "muxi-secrets", "journal-hooks")
}

// keep has what is at a hook's path and is not ours get a copy under the name it
// has from then on, the same bytes and mode or the same link.
func (in *Installer) keep(batch *safefile.Batch, hook *Hook) error {
	kept := hook.Path + keptSuffix
	if _, err := os.Lstat(hook.Path); errors.Is(err, fs.ErrNotExist) || hook.State != Missing {
		return nil
	}
	if hook.Kept {
		// Left by another program's install, or by one before another hook came.
		if safefile.Same(hook.Path, kept) {
			return nil
		}
		return &KeptError{Hook: hook.Path, Kept: kept}
	}
	hook.Kept = true
	return batch.Copy(hook.Path, kept)
}

// KeptError says that a hook cannot be kept under its name: there is another one
// from before.
type KeptError struct{ Hook, Kept string }

func (e *KeptError) Error() string {
	return fmt.Sprintf("'%s' cannot be kept as '%s': another one is there", e.Hook, e.Kept)
}

// Uninstall takes our hooks away and gives those that were there before their
// names back, byte for byte. It returns what it changed.
func (in *Installer) Uninstall(ctx context.Context) ([]Hook, error) {
	hooks, dir, err := in.settled(ctx)
	if err != nil {
		return nil, err
	}
	batch := in.Files.Batch(in.place(dir))
	defer batch.Discard()
	var changed []Hook
	for _, hook := range hooks {
		ours := hook.State == Installed || hook.State == Outdated || hook.State == Disabled
		if !ours {
			// Ours may be gone by hand; the one before it is still to be put back.
			if _, err := os.Lstat(hook.Path); err == nil || !hook.Kept {
				continue
			}
		}
		if err := takeAway(batch, dir, &hook); err != nil {
			return nil, err
		}
		changed = append(changed, hook)
	}
	if err := batch.Commit(); err != nil {
		return nil, err
	}
	return changed, nil
}
