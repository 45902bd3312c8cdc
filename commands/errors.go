package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// Exit codes, as the contract and git-muxi-secrets(1) list them.
const (
	exitDone        = 0
	exitNo          = 1   // a check found something, or the answer is no
	exitUsage       = 2   // wrong use
	exitFailed      = 3   // could not complete
	exitNoKey       = 4   // no key, or the wrong one
	exitInterrupted = 130 // files are as they were
)

// Error is what a command fails with. It is printed in one place: print.
type Error struct {
	Code  int
	Lines []string // the error line, then more lines that belong to it
	Hints []string
	Err   error // the cause, for errors.Is and errors.As
}

func (e *Error) Error() string { return strings.Join(e.Lines, "; ") }
func (e *Error) Unwrap() error { return e.Err }

func usage(format string, args ...any) *Error {
	return &Error{Code: exitUsage, Lines: []string{fmt.Sprintf(format, args...)}}
}

func refuse(format string, args ...any) *Error {
	return &Error{Code: exitNo, Lines: []string{fmt.Sprintf(format, args...)}}
}

func failed(err error, format string, args ...any) *Error {
	return &Error{Code: exitFailed, Lines: []string{fmt.Sprintf(format, args...)}, Err: err}
}

func (e *Error) hint(format string, args ...any) *Error {
	e.Hints = append(e.Hints, fmt.Sprintf(format, args...))
	return e
}

// line adds a line below the error line.
func (e *Error) line(format string, args ...any) *Error {
	e.Lines = append(e.Lines, fmt.Sprintf(format, args...))
	return e
}

const program = "git muxi-secrets"

// print says what went wrong and gives the exit code. It is the only place
// that turns an error into words on a stream.
func (e *Error) print(w io.Writer) int {
	for i, line := range e.Lines {
		if i == 0 {
			fmt.Fprintf(w, "%s: %s %s\n", program, paint(w, red, "error:"), sanitize(line))
		} else {
			fmt.Fprintf(w, "  %s\n", sanitize(line))
		}
	}
	for _, hint := range e.Hints {
		fmt.Fprintf(w, "%s: %s %s\n", program, paint(w, cyan, "hint:"), sanitize(hint))
	}
	return e.Code
}

// sanitize keeps what a file name or a foreign message brings along from
// steering the terminal.
func sanitize(s string) string {
	return strings.Map(func(r rune) rune {
		if steers(r) && r != '\t' {
			return '\ufffd'
		}
		return r
	}, s)
}

// explain turns any error into an *Error with its exit code, in the user's
// terms, and with the way out. where is what the session calls its folders.
func (s *session) explain(err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, tty.ErrInterrupted):
		return &Error{Code: exitInterrupted, Lines: []string{"interrupted; nothing was changed"}, Err: err}
	case errors.Is(err, tty.ErrNoTerminal):
		return &Error{Code: exitUsage, Lines: []string{"there is no terminal to ask on"}, Err: err}
	case errors.Is(err, tty.ErrEOF):
		return &Error{Code: exitUsage, Lines: []string{"no answer was given; nothing was changed"}, Err: err}
	}
	if errors.Is(err, tty.ErrSeveralLines) {
		return usage("several lines came at once, and this terminal does not mark a paste as one; nothing was changed").
			hint("give a value of several lines with --from-file FILE or --stdin")
	}
	var long *tty.TooLongError
	if errors.As(err, &long) {
		return usage("the answer is longer than the %d bytes a prompt takes; nothing was changed", long.Limit).
			hint("give it with --from-file FILE or --stdin")
	}
	if e := s.explainFormation(err); e != nil {
		return e
	}
	if e := s.explainGit(err); e != nil {
		return e
	}
	return failed(err, "%v", err)
}

func (s *session) explainFormation(err error) *Error {
	var noKey *formation.NoKeyError
	if errors.As(err, &noKey) {
		return s.explainNoKey(noKey)
	}
	var key *formation.KeyError
	if errors.As(err, &key) {
		e := &Error{Code: exitNoKey, Err: err}
		if there, err := fileExists(filepath.Join(filepath.Dir(key.Path), formation.VaultFile)); err == nil && !there {
			e.line("cannot use '%s': %v", s.show(key.Path), key.Err)
			return e.hint("nothing is sealed with it yet: remove it, and '%s init' makes a proper one", program)
		}
		e.line("Failed to decrypt %s: %v", formation.VaultFile, key.Err)
		e.line("(%s)", s.show(key.Path))
		return e.hint("fetch the right one: 'git muxi-secrets unlock', or 'git muxi-secrets key import FILE'")
	}
	var vault *formation.VaultError
	if errors.As(err, &vault) {
		return s.explainVault(vault)
	}
	var people *formation.PeopleError
	if errors.As(err, &people) {
		path := formation.RecipientsFile
		if people.Path != "" {
			path = s.show(people.Path)
		}
		var private *crypto.RecipientError
		if errors.As(err, &private) && private.Private {
			return failed(err, "line %d of '%s' is a private key (it is not repeated here)", people.Line, path).
				hint("take it out, and make a new one: whoever can read the file has it")
		}
		e := failed(err, "cannot use '%s': line %d: %v", path, people.Line, people.Err)
		if errors.Is(err, formation.ErrPeopleMarkers) {
			return e.hint("keep the lines of both sides and take the markers out, then '%s share wrap'", program)
		}
		return e.hint("mend or remove that line; people are added with '%s share add'", program)
	}
	var journal *formation.JournalError
	if errors.As(err, &journal) {
		return failed(err, "an interrupted change cannot be finished: %v", journal).
			hint("it is noted in '%s'; with that file moved away, the formation stays as it is now", s.show(journal.Path))
	}
	var locked *formation.LockedError
	if errors.As(err, &locked) {
		return failed(err, "%v", locked).hint("try again when it is done; the lock goes with its process (%s)", s.show(locked.Path))
	}
	var file *formation.FileError
	if errors.As(err, &file) {
		return s.explainFile(file)
	}
	var not *formation.NotFormationError
	if errors.As(err, &not) {
		if not.Err != nil {
			return usage("cannot open folder '%s': %s", s.show(not.Dir), (&formation.FileError{Err: not.Err}).Cause()).
				hint("name the formation's folder with -C DIR")
		}
		return usage("'%s' is not a formation: it has no formation.afs (or .yaml, .yml)", s.show(not.Dir)).
			hint("name the formation's folder with -C DIR")
	}
	return nil
}

func (s *session) explainNoKey(missing *formation.NoKeyError) *Error {
	e := &Error{Code: exitNoKey, Err: missing}
	e.line("Could not find %s file in %s", formation.KeyFile, s.showFolder(missing.Dir))
	if missing.Link != "" {
		e.line("it is a symbolic link to '%s', which is not there", missing.Link)
		e.hint("bring the file it points to back, or remove the link")
	}
	if !missing.Vault {
		if missing.Link != "" {
			return e
		}
		return e.hint("start with 'git muxi-secrets init'")
	}
	if shared, err := fileExists(filepath.Join(missing.Dir, formation.WrappedKeyFile)); err == nil && shared && missing.Link == "" {
		on := s.again()
		if s.all {
			on = program + " -C " + quote(s.show(missing.Dir))
		}
		return e.hint("the team shares it: '%s unlock' gets it with your own key ('%s key import FILE' takes one in by hand)", on, on)
	}
	return e.hint("'%s' needs the key that it was sealed with; a new one would never open it", s.show(filepath.Join(missing.Dir, formation.VaultFile))).
		hint("if the team shares the key: 'git muxi-secrets unlock'").
		hint("if someone sends you the key: 'git muxi-secrets key import FILE'").
		hint("if it is lost for good: 'git muxi-secrets init --start-over' (keeps the old %s under another name)", formation.VaultFile)
}

func (s *session) explainVault(vault *formation.VaultError) *Error {
	e := &Error{Code: exitFailed, Err: vault}
	e.line("Failed to decrypt %s: %v", formation.VaultFile, vault.Err)
	path := quote(s.show(vault.Path))
	e.line("(%s)", s.show(vault.Path))
	restore := fmt.Sprintf("bring back the last good one: 'git restore %s'", path)
	if !s.inRepository() {
		restore = "bring it back from a backup"
	}
	switch crypto.ReasonOf(vault.Err) {
	case crypto.WrongKey:
		e.Code = exitNoKey
		if s.retiredOpens(vault.Path) {
			if shared, err := fileExists(filepath.Join(filepath.Dir(vault.Path), formation.WrappedKeyFile)); err == nil && shared {
				e.hint("if the key was rotated by somebody else: '%s unlock'", s.again())
			}
			return e.line("another key that is kept here opens it: the file is from before a rotation, or .key is").
				hint("bring in the commit that belongs to .key ('git pull', 'git merge'), or give both a new key: '%s rotate'", s.again())
		}
		return e.hint("fetch the right key: 'git muxi-secrets unlock', or 'git muxi-secrets key import FILE'").
			hint("or, if the file was damaged, %s", restore)
	case crypto.MergeMarkers:
		return e.hint("in a merge, '%s resolve' merges both sides by name", program).
			hint("markers that were committed: %s", restore)
	case crypto.NotSealed:
		return e.hint("do not commit it: move it away, and if it holds values take them in with 'git muxi-secrets import'").hint("%s", restore)
	}
	return e.hint("%s", restore)
}

// retiredOpens reports whether a key of the keyring opens a vault.
func (s *session) retiredOpens(path string) bool {
	sealed, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	ring := s.keyring().Keys()
	if len(ring) == 0 {
		return false
	}
	_, _, err = formation.OpenSealed(sealed, ring...)
	return err == nil
}

func (s *session) explainFile(file *formation.FileError) *Error {
	path := s.show(file.Path)
	if strings.Contains(filepath.Base(path), "=") && errors.Is(file, fs.ErrNotExist) {
		return failed(file, "cannot %s a file that is not there (its name is not repeated here: NAME=VALUE is none)", file.Op).
			hint("to store a value: '%s add NAME'", program)
	}
	e := failed(file, "cannot %s '%s': %s", file.Op, path, file.Cause())
	if filepath.Base(file.Path) == formation.KeyFile && file.Op == "read" {
		e.Code = exitNoKey
	}
	cause := file.Cause()
	if file.Op == formation.OpPublish {
		return e.hint("run the command again: it finishes what is left")
	}
	again, outcome := "run the command again", "; nothing was changed"
	if s.wrote {
		again, outcome = "run the command again: it finishes what is left", ""
	}
	switch {
	case strings.Contains(cause, "folder"), strings.Contains(cause, "regular file"):
		e.hint("move it away: MUXI keeps a file of this name there")
	case strings.Contains(cause, "is a directory"):
		e.hint("a file is needed there, not a folder; nothing was changed")
	case strings.Contains(cause, "no space"), strings.Contains(cause, "quota"):
		e.hint("free some space and %s%s", again, outcome)
	case file.Op == "read" && strings.Contains(cause, "permission denied"):
		e.hint("check its owner and mode: 'ls -l %s'", quote(path))
	case strings.Contains(cause, "permission denied"), strings.Contains(cause, "read-only"), strings.Contains(cause, "not permitted"):
		e.hint("make '%s' writable for you and %s%s", s.showFolder(folderOf(file.Path)), again, outcome)
	case strings.Contains(cause, "no such file"):
		e.hint("check the path")
	default:
		e.hint("when that is settled, %s%s", again, outcome)
	}
	return e
}

// folderOf is the nearest folder above path that is there.
func folderOf(path string) string {
	for {
		above := filepath.Dir(path)
		if _, err := os.Stat(above); err == nil || above == path {
			return above
		}
		path = above
	}
}

func (s *session) explainGit(err error) *Error {
	var none *gitutil.NotRepositoryError
	if errors.As(err, &none) {
		return usage("not in a git repository: '%s'", s.show(none.Dir)).hint("run it inside one, or make one with 'git init'")
	}
	var unsupported *gitutil.UnsupportedError
	if errors.As(err, &unsupported) {
		return failed(err, "%v", unsupported).hint("install git: with it on PATH every kind of repository works")
	}
	var owner *gitutil.DubiousOwnershipError
	if errors.As(err, &owner) {
		return failed(err, "%v", owner).hint("if you trust it: git config --global --add safe.directory %s", quote(owner.Dir))
	}
	var git *gitutil.GitError
	if errors.As(err, &git) {
		return failed(err, "%v", git).hint("run the same git command by hand to see more")
	}
	return nil
}

// quote makes a path safe to paste into a POSIX shell.
func quote(path string) string {
	if path != "" && strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+,=@:%") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
