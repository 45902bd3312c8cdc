package gitutil

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Repository answers questions about one repository. Methods may be called
// from several goroutines, but not while one of them is inside a callback.
//
// Where a method takes paths they are absolute paths on this machine; a path
// outside of the work tree is neither ignored nor tracked and has no
// attributes.
type Repository interface {
	Layout() Layout

	// Backend is "git" or "go-git".
	Backend() string

	// Config gives the last value of a key such as "core.hooksPath" over all of
	// git's configuration files, as `git config --get` does. ok is false when it
	// is not set. A key without "=" in the file has the value "".
	Config(ctx context.Context, key string) (value string, ok bool, err error)

	// SetConfig writes a key of this clone's own configuration, in place of all
	// values that it had there. The value is passed on a command line: it must
	// not be secret.
	SetConfig(ctx context.Context, key, value string) error

	// Ignored tells for each path whether an ignore pattern matches it, tracked
	// or not (git check-ignore --no-index).
	Ignored(ctx context.Context, paths []string) ([]bool, error)

	// Attributes gives for each path the value of each named attribute:
	// "unspecified", "set", "unset", or the text behind "=".
	Attributes(ctx context.Context, paths, names []string) ([]map[string]string, error)

	// Tracked tells for each path whether the index holds it.
	Tracked(ctx context.Context, paths []string) ([]bool, error)

	// HooksDir is the folder git runs this repository's hooks from (git
	// rev-parse --git-path hooks), absolute; it need not exist. shared says that
	// it does not belong to this repository alone: core.hooksPath comes from
	// outside (system, global, command line), or the folder is outside.
	HooksDir(ctx context.Context) (dir string, shared bool, err error)

	// Head is the commit HEAD points to; ok is false before the first commit.
	Head(ctx context.Context) (hash string, ok bool, err error)

	// ResolveRev gives the commit a revision names (gitrevisions). Errors:
	// *RevisionError.
	ResolveRev(ctx context.Context, rev string) (hash string, err error)

	// MergeBase is a best common ancestor of two revisions; ok is false when
	// they have none.
	MergeBase(ctx context.Context, a, b string) (hash string, ok bool, err error)

	// Shallow tells whether the clone's history is cut off.
	Shallow(ctx context.Context) (bool, error)

	// Partial tells whether the clone may lack objects that it could fetch.
	// Nothing here fetches them: reading one is a *MissingObjectError.
	Partial(ctx context.Context) (bool, error)

	// Staged visits what the pending commit would bring in, in the order of the
	// index: added and changed files, the new name of a renamed one, changed
	// modes and types. Intent-to-add entries, submodules and unmerged paths are
	// left out (git refuses to commit the last). GIT_INDEX_FILE says which index.
	Staged(ctx context.Context, opt StagedOptions, v Visitor) error

	// IndexBlobs visits the index's entries at or below a path ("" for all), in
	// its order. GIT_INDEX_FILE says which index.
	IndexBlobs(ctx context.Context, path string, v Visitor) error

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

	// StageFile stores content and makes it the index's entry for path (relative
	// to the top), in place of the stages of an unmerged one; nil takes the entry
	// away. During `git commit PATH`, where the pending commit is made from an
	// index of its own, the entry of the index that stays behind follows when it
	// was the same before. The work tree is left alone.
	StageFile(ctx context.Context, path string, content []byte, mode Mode) error

	// Refresh has the index note which files on disk it agrees with (git
	// update-index --refresh): a staged file that it has not looked at counts as
	// changed to 'git merge --abort', which then refuses. Best effort.
	Refresh(ctx context.Context)

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
	// remembers are not visited: nothing pushes them.
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

	// Blobs reads whole objects by id, in the order given, the same one as often
	// as it is named. data is valid until visit returns. Errors:
	// *MissingObjectError.
	Blobs(ctx context.Context, ids []string, visit func(id string, data []byte) error) error

	// Tagged visits what refs hold beside commits: the messages of annotated
	// tags, and blobs and trees that a ref or a tag points to, with the ref's name
	// as (or before) their path.
	Tagged(ctx context.Context, refs []Ref, v Visitor) error

	// Close ends what the repository still holds. It is safe to call twice.
	Close() error
}

// Options choose how Open works. The zero value is right for a program.
type Options struct {
	// Getenv replaces os.Getenv for what we read ourselves.
	Getenv func(string) string
	// Environ replaces os.Environ for what git inherits. Hooks depend on it:
	// GIT_INDEX_FILE, GIT_OBJECT_DIRECTORY and GIT_QUARANTINE_PATH say what the
	// pending commit or push holds.
	Environ []string
	// Backend is "" to choose, "git" or "go-git" to insist.
	Backend string
}

// Open finds the repository around dir and picks the backend: git when there is
// an executable of that name on PATH, else go-git. It starts no process.
//
// Errors: *NotRepositoryError; *UnsupportedError when there is no git and
// go-git cannot read the repository.
func Open(dir string, opt Options) (Repository, error) {
	if opt.Getenv == nil {
		opt.Getenv = os.Getenv
	}
	if opt.Environ == nil {
		opt.Environ = os.Environ()
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
			return nil, &GitError{Code: -1, Err: err}
		}
		return openGoGit(layout, opt)
	case "go-git":
		return openGoGit(layout, opt)
	}
	return nil, fmt.Errorf("unknown git backend %q", opt.Backend)
}
