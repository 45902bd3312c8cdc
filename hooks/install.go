package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// State is how one hook stands.
type State string

// The states of a hook.
const (
	Installed State = "installed"
	Outdated  State = "outdated" // ours, of another version
	Missing   State = "missing"  // no hook, or only somebody else's
	Managed   State = "managed"  // another hook manager's, which runs ours
)

// Hook is one hook of a repository.
type Hook struct {
	Name  string `json:"name"`
	Path  string `json:"path"`
	State State  `json:"state"`
	// Kept says that a hook which was there before runs first.
	Kept bool `json:"kept"`
}

// Installer installs, removes and looks at the hooks of one repository.
type Installer struct {
	Repo   gitutil.Repository
	Files  formation.Files
	Server bool
	// Program is the path of this program, for a client without PATH.
	Program string
}

// Status tells how each hook stands. dir is where git looks for them.
func (in *Installer) Status(ctx context.Context) (hooks []Hook, dir string, err error) {
	dir, _, err = in.Repo.HooksDir(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, name := range Names(in.Server) {
		hook := Hook{Name: name, Path: filepath.Join(dir, name), State: Missing}
		content, err := readHook(hook.Path)
		if err != nil {
			return nil, "", err
		}
		if !IsOurs(content) {
			// `pre-commit install` gives a hook that it finds this name, and runs it.
			legacy, err := readHook(hook.Path + ".legacy")
			if err != nil {
				return nil, "", err
			}
			if IsOurs(legacy) && bytes.Contains(content, []byte(preCommitMark)) {
				hook.Path, content = hook.Path+".legacy", legacy
			}
		}
		info, statErr := os.Stat(hook.Path)
		switch {
		case IsOurs(content):
			hook.State = Installed
			if newer(content) {
				break // a newer program's: it knows better
			}
			if string(content) != Script(name, in.Program) && !sameButProgram(content, name) || statErr != nil || !formation.Executable(info) {
				hook.State = Outdated
			}
		case runsOurs(content), in.managedRunsOurs(dir, name):
			hook.State = Managed
		}
		_, err = os.Lstat(filepath.Join(dir, name) + keptSuffix)
		hook.Kept = err == nil
		hooks = append(hooks, hook)
	}
	return hooks, dir, nil
}

// readHook reads a hook; an absent one is nil.
func readHook(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) { // core.hooksPath=/dev/null
		return nil, &formation.FileError{Op: "read", Path: path, Err: err}
	}
	return content, nil
}

// sameButProgram reports whether a hook is of this version, installed by a
// program at another path.
func sameButProgram(content []byte, name string) bool {
	const before, behind = "|| program='", "'\nif !"
	_, rest, ok := bytes.Cut(content, []byte(before))
	if !ok {
		return false
	}
	program, _, ok := bytes.Cut(rest, []byte(behind))
	return ok && string(content) == Script(name, string(bytes.ReplaceAll(program, []byte(`'\''`), []byte("'"))))
}

// Install puts every hook in place, or none. A hook that is there already is
// kept beside ours and runs first. It returns what it changed; nothing when all
// is as it should be. Where the hooks are another manager's it changes nothing
// and returns *ManagedError.
func (in *Installer) Install(ctx context.Context) ([]Hook, error) {
	hooks, dir, err := in.Status(ctx)
	if err != nil {
		return nil, err
	}
	var wanted []Hook
	for _, hook := range hooks {
		if hook.State == Missing || hook.State == Outdated {
			wanted = append(wanted, hook)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	if err := in.manager(ctx, dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, &formation.FileError{Op: "make", Path: dir, Err: err}
	}
	batch := in.Files.Batch()
	defer batch.Discard()
	var undo []func()
	failed := func(err error) ([]Hook, error) {
		batch.Discard()
		for _, back := range undo {
			back()
		}
		return nil, err
	}
	for i, hook := range wanted {
		back, err := in.keep(batch, &wanted[i])
		undo = append(undo, back)
		if err != nil {
			return failed(err)
		}
		if err := batch.Put(hook.Path, []byte(Script(hook.Name, in.Program)), 0o755); err != nil {
			return failed(err)
		}
	}
	if err := batch.Commit(); err != nil {
		return failed(err)
	}
	for i := range wanted {
		wanted[i].State = Installed
	}
	return wanted, nil
}

// keep prepares for what is at a hook's path now: what is not ours gets a copy
// under the name it has from then on, the same bytes and mode or the same link.
// back makes all as it was, from whatever came after.
func (in *Installer) keep(batch *formation.Batch, hook *Hook) (back func(), err error) {
	path, kept := hook.Path, hook.Path+keptSuffix
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return func() { os.Remove(path) }, nil
	}
	nothing := func() {}
	failed := func(err error) (func(), error) {
		return nothing, &formation.FileError{Op: "keep", Path: path, Err: err}
	}
	if err != nil {
		return failed(err)
	}
	var content []byte
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err = os.Readlink(path)
	} else {
		content, err = os.ReadFile(path)
	}
	if err != nil {
		return failed(err)
	}
	if hook.State == Outdated {
		return func() {
			if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, content) {
				return
			}
			os.Remove(path)
			if target != "" {
				os.Symlink(target, path)
			} else if os.WriteFile(path, content, info.Mode().Perm()) == nil {
				os.Chmod(path, info.Mode().Perm())
			}
		}, nil
	}
	if hook.Kept {
		// Left by an install that was killed, or by one before another hook came.
		if same(kept, info, content, target) {
			return func() { os.Rename(kept, path) }, nil
		}
		return nothing, &KeptError{Hook: path, Kept: kept}
	}
	hook.Kept = true
	back = func() {
		if _, err := os.Lstat(kept); err == nil {
			os.Rename(kept, path)
		}
	}
	if target != "" {
		if err := os.Symlink(target, kept); err != nil {
			return failed(err)
		}
		return back, nil
	}
	return back, batch.Create(kept, content, info.Mode().Perm())
}

// same reports whether the file at path is like another one, of this content or
// link target.
func same(path string, info fs.FileInfo, content []byte, target string) bool {
	other, err := os.Lstat(path)
	if err != nil || other.Mode() != info.Mode() {
		return false
	}
	if target != "" {
		to, err := os.Readlink(path)
		return err == nil && to == target
	}
	has, err := os.ReadFile(path)
	return err == nil && bytes.Equal(has, content)
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
	hooks, dir, err := in.Status(ctx)
	if err != nil {
		return nil, err
	}
	var changed []Hook
	for _, hook := range hooks {
		ours := hook.State == Installed || hook.State == Outdated
		if !ours {
			// Ours may be gone by hand; the one before it is still to be put back.
			if _, err := os.Lstat(hook.Path); err == nil || !hook.Kept {
				continue
			}
		}
		if hook.Kept {
			err = os.Rename(filepath.Join(dir, hook.Name)+keptSuffix, hook.Path)
		} else {
			err = os.Remove(hook.Path)
		}
		if err != nil {
			return changed, &formation.FileError{Op: "remove", Path: hook.Path, Err: err}
		}
		hook.State = Missing
		changed = append(changed, hook)
	}
	return changed, nil
}
