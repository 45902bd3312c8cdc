package gitutil

import (
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

// DubiousOwnershipError is git's refusal to read a repository that belongs to
// another user (safe.directory). Dir is the one git named, when it named one.
type DubiousOwnershipError struct {
	Dir string
	Err *GitError
}

func (e *DubiousOwnershipError) Error() string {
	return fmt.Sprintf("repository at '%s' belongs to another user", e.Dir)
}

func (e *DubiousOwnershipError) Unwrap() error { return e.Err }

// UnsupportedError says that the go-git backend cannot read this repository
// because of Feature. The git executable can.
type UnsupportedError struct {
	Feature string
	Err     error // the cause, or nil
}

func (e *UnsupportedError) Error() string {
	return "repository uses " + e.Feature + ", which needs the git executable"
}

func (e *UnsupportedError) Unwrap() error { return e.Err }

// RevisionError says that a name does not lead to a commit.
type RevisionError struct{ Rev string }

func (e *RevisionError) Error() string {
	return fmt.Sprintf("unknown revision '%s'", e.Rev)
}

// ShallowError says that a question cannot be answered because the clone's
// history is cut off (git clone --depth).
type ShallowError struct{ Question string }

func (e *ShallowError) Error() string {
	return "shallow clone: " + e.Question + " is not known here"
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
