package gitutil

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Repository answers questions about one repository; nothing in it changes one.
// Both backends have all of it. Methods may be called from several goroutines,
// but not while one of them is inside a callback.
//
// Where a method takes paths they are absolute paths on this machine; a path
// outside of the work tree is neither ignored nor tracked and has no
// attributes.
type Repository interface {
	Layout() Layout

	// Config gives the last value of a key such as "core.hooksPath" over all of
	// git's configuration files, as `git config --get` does. ok is false when it
	// is not set. A key without "=" in the file has the value "".
	Config(ctx context.Context, key string) (value string, ok bool, err error)

	// Ignored tells for each path whether an ignore pattern matches it, tracked
	// or not (git check-ignore --no-index).
	Ignored(ctx context.Context, paths []string) ([]bool, error)

	// Attributes gives for each path the value of each named attribute:
	// "unspecified", "set", "unset", or the text behind "=".
	Attributes(ctx context.Context, paths, names []string) ([]map[string]string, error)

	// Tracked tells for each path whether the index holds it.
	Tracked(ctx context.Context, paths []string) ([]bool, error)

	// HooksDir is the folder git runs this repository's hooks from (git
	// rev-parse --git-path hooks).
	HooksDir(ctx context.Context) (HooksDir, error)

	// HookCommands are the shell commands that git's configuration has it run at a
	// hook, beside that in the folder (git 2.54 and newer; older git runs none).
	HookCommands(ctx context.Context, hook string) ([]string, error)

	// Head is the commit HEAD points to; ok is false before the first commit.
	Head(ctx context.Context) (hash string, ok bool, err error)

	// ResolveRev gives the commit a revision names (gitrevisions). Errors:
	// *RevisionError.
	ResolveRev(ctx context.Context, rev string) (hash string, err error)

	// Unambiguous refuses a revision that begins with a name which git calls
	// ambiguous: several refs go by it (gitrevisions(7)), or a ref and an object.
	// Git takes one of them and warns; which one, whoever may make a tag decides.
	// Errors: *AmbiguousError. Whether there is such a revision it does not say.
	Unambiguous(ctx context.Context, rev string) error

	// MergeBase is a best common ancestor of two revisions; ok is false when
	// they have none.
	MergeBase(ctx context.Context, a, b string) (hash string, ok bool, err error)

	// Staged visits what the pending commit would bring in, in the order of the
	// index: added and changed files, the new name of a renamed one, changed
	// modes and types. Intent-to-add entries, submodules and unmerged paths are
	// left out (git refuses to commit the last). GIT_INDEX_FILE says which index.
	// A hook is not told of --amend: what HEAD holds and the amended commit keeps is
	// not seen again; it was judged then, and Commits judges it before it is pushed.
	Staged(ctx context.Context, v Visitor) error

	// ListIndex lists the files of the index that want picks, in its order;
	// unmerged and intent-to-add entries are left out. want must not keep path.
	// GIT_INDEX_FILE says which index.
	ListIndex(ctx context.Context, want func(path []byte, mode Mode) bool) ([]IndexEntry, error)

	// Contents visits what ListIndex listed.
	Contents(ctx context.Context, entries []IndexEntry, v Visitor) error

	// Unmerged lists the paths of the index that a merge left unsettled, in its
	// order, of every mode. GIT_INDEX_FILE says which index.
	Unmerged(ctx context.Context) ([]Conflict, error)

	// Operation is what git is in the middle of in this work tree. It starts no
	// process when that is nothing.
	Operation(ctx context.Context) (Operation, error)

	// TreeBlobs visits the files of a commit at or below a path ("" for all).
	TreeBlobs(ctx context.Context, rev, path string, v Visitor) error

	// WorkTree visits the files on disk that are tracked, or untracked and not
	// ignored: untracked ones first, each part sorted. A symbolic link is never
	// followed: its content is its target. Tracked files that are gone from the
	// disk, submodules and other repositories inside are left out.
	WorkTree(ctx context.Context, v Visitor) error

	// Commits visits the commits of a range, parents before children, each
	// followed by the blobs it brings in: what differs from its parent, all of it
	// for a first commit, and for a merge what is in none of its parents. A blob
	// that comes again under the same path is visited once, at its first commit.
	//
	// Errors: *RevisionError; *ShallowError, after everything there is has been
	// visited, when the range goes beyond the end of a shallow clone.
	Commits(ctx context.Context, r Range, v Visitor) error

	// History is Commits over every ref, HEAD of every work tree and the topmost
	// stash, then what Tagged visits of every ref. Commits that only a reflog
	// remembers, or a ref below OwnRefs, are not visited: nothing pushes them.
	History(ctx context.Context, v Visitor) error

	// Log visits the commits reachable from rev (HEAD when "") that add, change or
	// take away a file whose base name is one of names, in any folder: the newest
	// first, and no commit before one that descends from it. A merge is visited
	// where it differs from each of its parents in such a file, with the changes
	// against each; elsewhere it only joins what other commits did, and like
	// git-log(1) by default we then look no further than at the parents that it
	// equals. A changed mode alone is no change; a symbolic link is a file, a
	// submodule is none.
	//
	// Errors: *RevisionError; *ShallowError, after everything there is has been
	// visited, when the history goes beyond the end of a shallow clone.
	Log(ctx context.Context, rev string, names []string, visit func(*LogEntry) error) error

	// LogAll is Log for every parent of a merge, also where the merge equals another
	// one in such files, as one that keeps a side whole ('-s ours') does.
	LogAll(ctx context.Context, rev string, names []string, visit func(*LogEntry) error) error

	// Blobs reads whole objects by id, in the order given, the same one as often
	// as it is named. data is valid until visit returns. Errors:
	// *MissingObjectError.
	Blobs(ctx context.Context, ids []string, visit func(id string, data []byte) error) error

	// Branches lists the local and the remote-tracking branches, sorted by name,
	// each with the commit it points to. A symbolic one (origin/HEAD) is none of
	// its own.
	Branches(ctx context.Context) ([]Ref, error)

	// FileIDs gives the id of the blob that each file has in its commit; "" where
	// the commit has no such file, or is not here. A symbolic link is a file.
	FileIDs(ctx context.Context, files []FileAt) ([]string, error)

	// Tagged visits what refs hold beside commits: the messages of annotated
	// tags, and blobs and trees that a ref or a tag points to, with the ref's name
	// as (or before) their path.
	Tagged(ctx context.Context, refs []Ref, v Visitor) error

	// Close ends what the repository still holds. It is safe to call twice.
	Close() error
}

// Writer is a repository that can be changed, too: by the git executable alone.
type Writer interface {
	Repository

	// SetConfig writes a key of this clone's own configuration, in place of all
	// values that it had there. The value is passed on a command line: it must
	// not be secret.
	SetConfig(ctx context.Context, key, value string) error

	// StageFile stores content and makes it the index's entry for path (relative
	// to the top), in place of the stages of an unmerged one; nil takes the entry
	// away. During `git commit PATH`, where the pending commit is made from an
	// index of its own, the entry of the index that stays behind follows when it
	// was the same before. The work tree is left alone.
	StageFile(ctx context.Context, path string, content []byte, mode Mode) error

	// SetAside reports whether somebody has put unstaged work of this work tree aside
	// to bring it back in a moment, as managers of hooks do: by a stash of what is
	// here, or by a patch in the git dir. Whatever is written meanwhile, in the index
	// or the work tree, may be in the way of that. It starts processes: it is for who
	// has something to write.
	SetAside(ctx context.Context) (bool, error)

	// Object reads one object as git stores it, whatever its kind. Errors:
	// *MissingObjectError, *LargeObjectError.
	Object(ctx context.Context, id string) (kind string, content []byte, err error)

	// StoreObject stores one, and gives its id. No ref leads to it yet.
	StoreObject(ctx context.Context, kind string, content []byte) (id string, err error)

	// HeadBranch is the ref that HEAD stands for; "" where HEAD is a commit itself.
	HeadBranch(ctx context.Context) (ref string, err error)

	// Changed lists the tracked paths in which index or work tree differ from HEAD.
	Changed(ctx context.Context) ([]string, error)

	// Tags lists the tags, each with the object that it points to itself.
	Tags(ctx context.Context) ([]Ref, error)

	// Holders lists the refs that reach any of these commits, those below OwnRefs
	// left out, and "HEAD of PATH" for other work trees that stand on such a one
	// without a branch.
	Holders(ctx context.Context, commits []string) ([]string, error)

	// ChangeRefs prepares a change of refs: each is locked and is what it should be
	// before meanwhile runs, and all change, or none, after it succeeded. The reason
	// is for the reflogs.
	ChangeRefs(ctx context.Context, reason string, changes []RefChange, meanwhile func() error) error

	// TreeChanges lists the files in which two commits differ.
	TreeChanges(ctx context.Context, from, to string) ([]TreeChange, error)

	// FollowTree brings index and work tree along a change between two commits: where
	// the index has the file as it was, it has it as it is afterwards, and so has the
	// disk. A file that is gone leaves the index alone and stays on the disk. It may
	// be done again after a kill. left are paths that somebody changed meanwhile.
	FollowTree(ctx context.Context, changes []TreeChange) (left []string, err error)

	// Refresh has the index note which files on disk it agrees with (git
	// update-index --refresh): a staged file that it has not looked at counts as
	// changed to 'git merge --abort', which then refuses. Best effort.
	Refresh(ctx context.Context)
}

// OwnRefs is where this program keeps refs that are nobody else's: no push takes
// them along.
const OwnRefs = "refs/muxi-secrets/"

// RefChange is one ref's way from an object to another. An Old of "" is a ref that
// is not there.
type RefChange struct{ Name, Old, New string }

// TreeChange is a file that two trees have in different versions; an ID of "" is no
// file.
type TreeChange struct {
	Path             string
	OldID, NewID     string
	OldMode, NewMode Mode
}

// HooksDir is where git looks for hooks. Shared says that the folder does not
// belong to this repository alone: core.hooksPath comes from outside (system,
// global, command line), or the folder is outside.
type HooksDir struct {
	Path   string // absolute; it need not exist
	Shared bool
	Scope  string // which configuration sets core.hooksPath ("local", "worktree", "global", ...); "" for none
}

// Writing gives a repository's Writer. Errors: *NoGitError.
func Writing(repo Repository) (Writer, error) {
	if w, ok := repo.(Writer); ok {
		return w, nil
	}
	return nil, &NoGitError{}
}

// Options choose how Open works. The zero value is right for a program.
type Options struct {
	// Getenv replaces os.Getenv for what we read ourselves.
	Getenv func(string) string
	// Environ replaces os.Environ for what git inherits. Hooks depend on it:
	// GIT_INDEX_FILE, GIT_OBJECT_DIRECTORY and GIT_QUARANTINE_PATH say what the
	// pending commit or push holds.
	Environ []string
	// Elsewhere says that the repository is not the one that the environment
	// speaks of, if it does: git gives its hooks and drivers GIT_DIR and the like.
	Elsewhere bool
	// Backend is "" to choose, "git" or "go-git" to insist.
	Backend string
}

// localVariable tells the variables that speak of one repository, as `git
// rev-parse --local-env-vars` lists them.
func localVariable(name string) bool {
	switch name {
	case "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
		"GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_QUARANTINE_PATH",
		"GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_GRAFT_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE":
		return true
	}
	return false
}

// elsewhere takes the variables of another repository out.
func (opt *Options) elsewhere() {
	getenv := opt.Getenv
	opt.Getenv = func(name string) string {
		if localVariable(name) {
			return ""
		}
		return getenv(name)
	}
	opt.Environ = slices.DeleteFunc(slices.Clone(opt.Environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return localVariable(name)
	})
}

// Open finds the repository around dir and picks the backend: git when there is
// an executable of that name on PATH, else go-git. It starts no process.
//
// Errors: *NotRepositoryError; *DubiousOwnershipError; *EmbeddedError; *UnsupportedError when there is no git and
// go-git cannot read the repository; *NoGitError.
func Open(dir string, opt Options) (Repository, error) {
	if opt.Getenv == nil {
		opt.Getenv = os.Getenv
	}
	if opt.Environ == nil {
		opt.Environ = os.Environ()
	}
	if opt.Elsewhere {
		opt.elsewhere()
	}
	layout, err := Discover(dir, opt.Getenv)
	if err != nil {
		return nil, err
	}
	switch opt.Backend {
	case "", "git":
		exe, err := exec.LookPath("git")
		if err == nil {
			return newGitRepo(layout, exe, opt)
		}
		if opt.Backend == "git" {
			return nil, &NoGitError{Err: err}
		}
		return openGoGit(layout, opt)
	case "go-git":
		return openGoGit(layout, opt)
	}
	return nil, fmt.Errorf("unknown git backend %q", opt.Backend)
}
