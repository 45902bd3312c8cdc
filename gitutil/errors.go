package gitutil

import (
	"errors"
	"fmt"
	"strings"
)

// NotRepositoryError says that no repository was found at or above Dir, or
// that what was found there is no repository git would accept (Reason).
type NotRepositoryError struct {
	Dir    string
	Reason string // empty when nothing was found at all
}

func (e *NotRepositoryError) Error() string {
	if e.Reason != "" {
		return fmt.Sprintf("not a git repository: '%s': %s", e.Dir, e.Reason)
	}
	return fmt.Sprintf("not a git repository (or any of the parent directories): '%s'", e.Dir)
}

// GitError is a failed run of the git executable. Args never holds file
// content or a configuration value, so it is safe to print.
type GitError struct {
	Args   []string // subcommand and its arguments, without "git" and our own -c options
	Stderr string   // what git said, trimmed
	Code   int      // exit status; -1 when git did not start or was killed
	Err    error    // the cause when git did not start, else nil
}

func (e *GitError) Error() string {
	what := "git"
	if len(e.Args) > 0 {
		what += " " + e.Args[0]
	}
	switch {
	case e.Stderr != "":
		return what + ": " + strings.TrimPrefix(e.Stderr, "fatal: ")
	case e.Err != nil:
		return what + ": " + e.Err.Error()
	}
	return fmt.Sprintf("%s: exit status %d", what, e.Code)
}

func (e *GitError) Unwrap() error { return e.Err }

// NoGitError says that something needs the git executable, and there is none of
// that name on PATH.
type NoGitError struct{ Err error } // the cause, or nil

func (e *NoGitError) Error() string { return "there is no git on PATH" }
func (e *NoGitError) Unwrap() error { return e.Err }

// DubiousOwnershipError is the refusal to read a repository that belongs to another
// user (safe.directory). Dir is the place that would have to be called safe.
type DubiousOwnershipError struct {
	Dir string
	Err error // what git said; nil where it was not asked
}

func (e *DubiousOwnershipError) Error() string {
	return fmt.Sprintf("repository at '%s' belongs to another user", e.Dir)
}

func (e *DubiousOwnershipError) Unwrap() error { return e.Err }

// EmbeddedError is the refusal to read a git dir that is a plain folder of another
// repository's work tree: all of it may have been cloned along, its configuration
// and what this program keeps in a git dir.
type EmbeddedError struct{ Dir string }

func (e *EmbeddedError) Error() string {
	return fmt.Sprintf("'%s' is a git dir that lies in the work tree of another repository, with which it may have come", e.Dir)
}

// UnsupportedError says that the go-git backend cannot read this repository
// because of Feature. The git executable can.
type UnsupportedError struct{ Feature string }

func (e *UnsupportedError) Error() string {
	return "repository uses " + e.Feature + ", which needs the git executable"
}

// RevisionError says that a name does not lead to a commit.
type RevisionError struct {
	Rev   string
	Cause string // in git's words; empty where there is just no such commit
}

func (e *RevisionError) Error() string {
	if e.Cause != "" {
		return fmt.Sprintf("unknown revision '%s': %s", e.Rev, e.Cause)
	}
	return fmt.Sprintf("unknown revision '%s'", e.Rev)
}

// IsUnborn reports whether an error says no more than that a name leads to no
// commit, as HEAD before the first one.
func IsUnborn(err error) bool {
	e, ok := errors.AsType[*RevisionError](err)
	return ok && e.Cause == ""
}

// AmbiguousError says that a name may stand for more than one thing.
type AmbiguousError struct{ Rev string }

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("the name '%s' is ambiguous", e.Rev)
}

// ShallowError says that a question cannot be answered because the clone's
// history is cut off (git clone --depth).
type ShallowError struct{ Question string }

func (e *ShallowError) Error() string {
	return "shallow clone: it does not hold " + e.Question
}

// MissingObjectError names an object that this repository refers to and does
// not hold: a partial clone, or a damaged repository. Nothing is fetched.
type MissingObjectError struct {
	ID   string
	Path string // where it is used, if known
}

func (e *MissingObjectError) Error() string {
	if e.Path != "" {
		return fmt.Sprintf("object %s of '%s' is not in this repository", e.ID, e.Path)
	}
	return fmt.Sprintf("object %s is not in this repository", e.ID)
}
