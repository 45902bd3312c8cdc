package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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

// ManagedError says that the hooks are somebody else's to write, and what to
// put there.
type ManagedError struct {
	Manager string // "husky", "lefthook", "pre-commit", or why the folder is not ours
	Snippet string
}

func (e *ManagedError) Error() string { return "the hooks here belong to " + e.Manager }

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
		content, err := os.ReadFile(hook.Path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, "", &formation.FileError{Op: "read", Path: hook.Path, Err: err}
		}
		info, statErr := os.Stat(hook.Path)
		switch {
		case err != nil:
		case IsOurs(content):
			hook.State = Installed
			if string(content) != Script(name, in.Program) && !sameButProgram(content, name) || statErr != nil || !formation.Executable(info) {
				hook.State = Outdated
			}
		case runsOurs(content):
			hook.State = Managed
		}
		if _, err := os.Lstat(hook.Path + keptSuffix); err == nil {
			hook.Kept = true
		}
		hooks = append(hooks, hook)
	}
	return hooks, dir, nil
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

// runsOurs reports whether somebody else's hook calls ours.
func runsOurs(content []byte) bool {
	return bytes.Contains(content, []byte("muxi-secrets hook-run")) || bytes.Contains(content, []byte("muxi-secrets check"))
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
	var links []string // kept links made so far, in case the rest fails
	failed := func(err error) ([]Hook, error) {
		for _, link := range links {
			os.Remove(link)
		}
		return nil, err
	}
	for i, hook := range wanted {
		if hook.State == Missing {
			link, err := in.keep(batch, hook.Path)
			if err != nil {
				return failed(err)
			}
			if link != "" {
				links = append(links, link)
			}
			_, err = os.Lstat(hook.Path)
			wanted[i].Kept = err == nil || hook.Kept
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

// keep prepares a copy of the hook at path, if there is one, under the name it
// has from now on: the same bytes and mode, or the same link.
func (in *Installer) keep(batch *formation.Batch, path string) (link string, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", &formation.FileError{Op: "read", Path: path, Err: err}
	}
	kept := path + keptSuffix
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		if err == nil {
			err = os.Symlink(target, kept)
		}
		if err != nil {
			return "", &formation.FileError{Op: "keep", Path: path, Err: err}
		}
		return kept, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", &formation.FileError{Op: "read", Path: path, Err: err}
	}
	return "", batch.Create(kept, content, info.Mode().Perm())
}

// Uninstall takes our hooks away and gives those that were there before their
// names back, byte for byte. It returns what it changed.
func (in *Installer) Uninstall(ctx context.Context) ([]Hook, error) {
	hooks, _, err := in.Status(ctx)
	if err != nil {
		return nil, err
	}
	var changed []Hook
	for _, hook := range hooks {
		if hook.State != Installed && hook.State != Outdated {
			continue
		}
		if hook.Kept {
			err = os.Rename(hook.Path+keptSuffix, hook.Path)
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

// manager returns *ManagedError where another tool, or everybody, owns the
// folder that git runs hooks from.
func (in *Installer) manager(ctx context.Context, dir string) error {
	_, shared, err := in.Repo.HooksDir(ctx)
	if err != nil {
		return err
	}
	if shared {
		return &ManagedError{
			Manager: fmt.Sprintf("every repository that shares core.hooksPath ('%s')", dir),
			Snippet: "in each hook there (" + list(Names(in.Server)) + "), call:\n\n    " + `git muxi-secrets hook-run "$(basename "$0")" "$@" || exit $?` + "\n",
		}
	}
	top := in.Repo.Layout().Top
	switch {
	case in.Server || top == "":
		return nil
	case isIn(dir, filepath.Join(top, ".husky")):
		return &ManagedError{"husky", huskySnippet()}
	case anyFile(top, "lefthook.yml", "lefthook.yaml", ".lefthook.yml", ".lefthook.yaml", "lefthook.toml", "lefthook.json") && hookSays(dir, "lefthook"):
		return &ManagedError{"lefthook", lefthookSnippet()}
	case hookSays(dir, "File generated by pre-commit"):
		return &ManagedError{"pre-commit", preCommitSnippet()}
	}
	return nil
}

func list(names []string) string {
	text := ""
	for i, name := range names {
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}

func isIn(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

func anyFile(dir string, names ...string) bool {
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// hookSays reports whether a hook in dir that we would replace has this text.
func hookSays(dir, text string) bool {
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && !IsOurs(content) && bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}

func huskySnippet() string {
	text := "add a line to the files in .husky (make those that are missing):\n"
	for _, name := range names {
		text += fmt.Sprintf("\n    .husky/%s:\n        %s \"$@\"\n", name, command(name))
	}
	return text
}

func lefthookSnippet() string {
	text := "add to lefthook.yml, then run 'lefthook install':\n"
	for _, name := range names {
		line := command(name)
		extra := ""
		switch name {
		case "commit-msg":
			line += " {1}"
		case "pre-push":
			line += " {1} {2}"
			extra = "          use_stdin: true\n"
		}
		text += fmt.Sprintf("\n    %s:\n      commands:\n        muxi-secrets:\n          run: %s\n%s", name, line, extra)
	}
	return text
}

func preCommitSnippet() string {
	return `add to .pre-commit-config.yaml:

    - repo: local
      hooks:
        - id: muxi-secrets
          name: git muxi-secrets
          entry: git-muxi-secrets hook-run pre-commit
          language: system
          pass_filenames: false
          always_run: true
          stages: [pre-commit, pre-merge-commit]
        - id: muxi-secrets-message
          name: git muxi-secrets (message)
          entry: git-muxi-secrets hook-run commit-msg
          language: system
          always_run: true
          stages: [commit-msg]
        - id: muxi-secrets-push
          name: git muxi-secrets (push)
          entry: git-muxi-secrets hook-run pre-push
          language: system
          pass_filenames: false
          always_run: true
          stages: [pre-push]

then run: pre-commit install -t pre-commit -t pre-merge-commit -t commit-msg -t pre-push
`
}
