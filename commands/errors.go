package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/commands/shell"
	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
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
			fmt.Fprintln(w, fold(w, program+": "+paint(w, red, "error:")+" "+sanitize(line)))
		} else {
			fmt.Fprintln(w, fold(w, "  "+sanitize(line)))
		}
	}
	for _, hint := range e.Hints {
		fmt.Fprintln(w, fold(w, program+": "+paint(w, cyan, "hint:")+" "+sanitize(hint)))
	}
	return e.Code
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
			hint("give a value with --from-file FILE or --stdin, a folder with -C DIR")
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
	if elsewhere, ok := errors.AsType[*formation.ElsewhereError](err); ok {
		return s.explainElsewhere(elsewhere)
	}
	if retired, ok := errors.AsType[*formation.RetiredKeyError](err); ok {
		return s.explainRetired(retired)
	}
	if tracked, ok := errors.AsType[*formation.TrackedKeyError](err); ok {
		return s.explainTracked(tracked)
	}
	if arrived, ok := errors.AsType[*formation.ArrivedKeyError](err); ok {
		return s.explainArrived(arrived)
	}
	var noKey *formation.NoKeyError
	if errors.As(err, &noKey) {
		return s.explainNoKey(noKey)
	}
	if gone, ok := errors.AsType[*formation.GoneError](err); ok {
		return failed(err, "there is no '%s', though git tracks it", s.show(gone.Path)).
			hint("'%s' brings it back; '%s' where there shall be none", s.gitOn("git restore", gone.Path), s.gitOn("git rm", gone.Path))
	}
	var key *formation.KeyError
	if errors.As(err, &key) {
		e := &Error{Code: exitNoKey, Err: err}
		if there, err := paths.Exists(filepath.Join(filepath.Dir(key.Path), formation.VaultFile)); err == nil && !there {
			e.line("cannot use '%s': %v", s.show(key.Path), key.Err)
			return e.hint("nothing is sealed with it yet: remove it, and '%s init' makes a proper one", s.again())
		}
		e.line("Failed to decrypt %s: %v", formation.VaultFile, key.Err)
		e.line("(%s)", s.show(key.Path))
		return e.hint("fetch the right one: '%[1]s unlock', or '%[1]s key import FILE'", s.on(filepath.Dir(key.Path)))
	}
	var vault *formation.VaultError
	if errors.As(err, &vault) {
		return s.explainVault(vault)
	}
	if beside, ok := errors.AsType[*formation.BesideError](err); ok {
		return failed(err, "line %d of '%s' is not encrypted, and would be lost (it is not repeated here); nothing was changed", beside.Line, s.show(beside.Path)).
			hint("take it out by hand; if it holds a value, '%s add NAME' stores that then", s.on(filepath.Dir(beside.Path)))
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
			return e.hint("keep the lines of both sides and take the markers out, then '%s share wrap'", s.again())
		}
		return e.hint("mend or remove that line; people are added with '%s share add'", s.again())
	}
	var journal *safefile.JournalError
	if errors.As(err, &journal) {
		e := failed(err, "an interrupted change cannot be finished: '%s': %v", s.show(journal.Path), journal.Err)
		if errors.Is(err, safefile.ErrForeign) {
			e.hint("whoever began the change finishes it with any command here, root by 'sudo %s'", s.again()+" status")
		}
		return e.hint("with that file moved away, the formation stays as it is now: '%s'", s.shell().Move(s.argument(journal.Path), s.argument(journal.Path+".unfinished")))
	}
	var locked *safefile.LockedError
	if errors.As(err, &locked) {
		return failed(err, "%v", locked).hint("try again when it is done; the lock goes with its process (%s)", s.show(locked.Path))
	}
	var file *safefile.Error
	if errors.As(err, &file) {
		return s.explainFile(file)
	}
	var not *formation.NotFormationError
	if errors.As(err, &not) {
		if not.Err != nil {
			return usage("cannot open folder '%s': %s", s.show(not.Dir), safefile.Cause(not.Err)).
				hint("name the formation's folder with %s DIR", s.flag())
		}
		return usage("'%s' is not a formation: it has no formation.afs (or .yaml, .yml)", s.show(not.Dir)).
			hint("name the formation's folder with %s DIR", s.flag())
	}
	return nil
}

func (s *session) explainNoKey(missing *formation.NoKeyError) *Error {
	if plain := s.plainVault(missing.Dir); plain != nil && missing.Vault && missing.Link == "" {
		return s.explainVault(plain)
	}
	e := &Error{Code: exitNoKey, Err: missing}
	e.line("Could not find %s file in %s", formation.KeyFile, s.showFolder(missing.Dir))
	on := s.on(missing.Dir)
	if missing.Link != "" {
		e.line("it is a symbolic link to '%s', which is not there", missing.Link)
		e.hint("bring the file it points to back, or remove the link")
	}
	if !missing.Vault {
		if missing.Link != "" {
			return e
		}
		return e.hint("start with '%s init'", on)
	}
	if paths.There(filepath.Join(missing.Dir, formation.WrappedKeyFile)) && missing.Link == "" {
		e.hint("the team shares it: '%s unlock' gets it with your own key ('%s key import FILE' takes one in by hand)", on, on)
	} else {
		e.hint("'%s' needs the key that it was sealed with; a new one would never open it", s.show(filepath.Join(missing.Dir, formation.VaultFile))).
			hint("if the team shares the key: '%s unlock'", on).
			hint("if someone sends you the key: '%s key import FILE'", on)
	}
	return e.hint("if it is lost for good: '%s init --start-over' (keeps the old %s under another name)", on, formation.VaultFile)
}

func (s *session) explainVault(vault *formation.VaultError) *Error {
	e := &Error{Code: exitFailed, Err: vault}
	e.line("Failed to decrypt %s: %v", formation.VaultFile, vault.Err)
	on := s.on(filepath.Dir(vault.Path))
	e.line("(%s)", s.show(vault.Path))
	restore := s.lastGood(vault)
	switch crypto.ReasonOf(vault.Err) {
	case crypto.WrongKey:
		e.Code = exitNoKey
		if since := s.rotatedSince(filepath.Dir(vault.Path)); since != nil {
			wrapped := paths.There(filepath.Join(filepath.Dir(vault.Path), formation.WrappedKeyFile))
			return e.line("the key of %s is another one since %s", s.showFolder(filepath.Dir(vault.Path)), claimed(&gitutil.LogEntry{Hash: since.Commit, Author: since.Author})).
				hint("%s", getsOther(on, wrapped))
		}
		if e.hint("fetch the right key: '%[1]s unlock', or '%[1]s key import FILE'", on); restore != "" {
			e.hint("or, if the file was damaged, %s", restore)
		}
		return e
	case crypto.MergeMarkers:
		if !s.inRepository() {
			break
		}
		return e.hint("'%s resolve' merges both sides by name, also where the markers were committed", on)
	case crypto.Filtered:
		return s.filteredHints(e, on, vault.Path)
	case crypto.NotSealed:
		e.hint("do not commit it: move it away, and if it holds values take them in with '%s import FILE'", on)
	}
	if restore == "" && len(e.Hints) == 0 {
		restore = "bring it back from a backup"
	}
	if restore != "" {
		e.hint("%s", restore)
	}
	return e
}

// getsOther says how one who had the key before gets the one that a commit sealed the
// vault with, which may be a stranger's; on is how the program is called.
func getsOther(on string, wrapped bool) string {
	if wrapped {
		return "'" + on + " unlock' gets it, if somebody vouched for it"
	}
	return "only if a colleague says that it counts: '" + on + " key import FILE' takes it in"
}

// filteredHints says how a file comes back that a filter of git's changed. What git has
// of it is the same, so that 'git restore' would bring nothing.
func (s *session) filteredHints(e *Error, on, file string) *Error {
	lfs := "'git lfs pull' for Git LFS"
	if _, err := exec.LookPath("git-lfs"); err != nil {
		lfs += " (which is not installed here)"
	}
	return e.hint("bring the file itself: %s, 'git-crypt unlock' for git-crypt", lfs).
		hint("then '%s doctor --fix' has git keep it as it is, and '%s' takes it in", on, s.gitOn("git add --renormalize", file))
}

// explainElsewhere says where the key is that .key should be.
func (s *session) explainElsewhere(elsewhere *formation.ElsewhereError) *Error {
	opened := elsewhere.Opened
	e := s.explain(elsewhere.Err)
	e.Err, e.Hints = elsewhere, nil
	return e.line("the key that opens it is at hand, %s", s.whereKept(opened.Found)).
		hint("%s", s.putsBack(opened.Formation, "it"))
}

// whereKept says where a key was found that is not the .key.
func (s *session) whereKept(found *formation.FoundKey) string {
	if found.Place == formation.LeftBehind {
		return fmt.Sprintf("in '%s', where a rename of the folder left it", s.show(found.Path))
	}
	return fmt.Sprintf("kept in '%s'", s.showFolder(filepath.Dir(found.Path)))
}

// explainRetired says since when a key is one of the past.
func (s *session) explainRetired(retired *formation.RetiredKeyError) *Error {
	e := s.explain(retired.Err)
	e.Err, e.Hints = retired, nil
	vault := filepath.Join(retired.Dir, formation.VaultFile)
	e.line("it is from before a rotation: the %s opens it, which %s replaced on %s (commit %.10s)",
		keyNow(retired.Found.Key), retired.Retired.Author, retired.Retired.Date.Format(time.DateOnly), retired.Retired.Commit)
	switch step := s.outOfStep(&formation.Formation{Dir: retired.Dir}); {
	case step != nil && step.Remedy.Restore != nil:
		e.hint("bring back what belongs together: '%s'", s.mendedBy(*step))
	case step == nil: // else bringing a version back drops a value that no commit has
		e.hint("bring back the vault of this branch: '%s'", s.gitOn(fmt.Sprintf("git restore --source=%.10s", retired.Retired.Newest), vault))
	}
	return e.hint("only to look at a value of then: '%s get NAME --rev %.10s~1'", s.on(retired.Dir), retired.Retired.Commit).
		hint("only if you mean to go back to it: '%s unlock --accept %s'", s.on(retired.Dir), retired.Found.Key.Fingerprint())
}

func (s *session) explainTracked(tracked *formation.TrackedKeyError) *Error {
	path := s.show(tracked.Path)
	return (&Error{Code: exitNoKey, Err: tracked}).
		line("git tracks '%s', so it is not read: whoever wrote the commit chose what is in it, and everybody with a clone has it", path).
		hint("take it out of git: '%s'", s.gitOn("git rm --cached", tracked.Path)).
		hint("then, since others may have it, '%s rotate' makes a new one", s.callOn(&formation.Formation{Dir: tracked.Dir}))
}

func (s *session) explainArrived(arrived *formation.ArrivedKeyError) *Error {
	on := s.callOn(&formation.Formation{Dir: arrived.Dir})
	return (&Error{Code: exitNoKey, Err: arrived}).
		line("'%s' is not read: git laid the key of commit %.10s over the one that was here (%s)", s.show(arrived.Found.Path), arrived.Commit, fingerprintOf(arrived.Pinned)).
		hint("put yours back: '%s unlock'", on).
		hint("only if a colleague says that the other one (%s) counts: '%s unlock --accept %s'", fingerprintOf(arrived.Found.Key.Public()), on, arrived.Found.Key.Fingerprint())
}

func (s *session) explainFile(file *safefile.Error) *Error {
	path := s.show(file.Path)
	if strings.Contains(filepath.Base(path), "=") && errors.Is(file, fs.ErrNotExist) {
		return failed(file, "cannot %s a file that is not there (its name is not repeated here: NAME=VALUE is none)", file.Op).
			hint("to store a value: '%s add NAME'", s.again())
	}
	e := failed(file, "cannot %s '%s': %s", file.Op, path, file.Cause())
	if filepath.Base(file.Path) == formation.KeyFile && file.Op == "read" {
		e.Code = exitNoKey
	}
	switch file.Op {
	case safefile.OpOwner:
		return e.explainOwner(file, path)
	case safefile.OpReplace:
		e.Lines[0] += "; nothing was changed"
	case safefile.OpTakeBack:
		return e.line("some of the files that belong together are new, others old").
			hint("when that is settled, '%s status' finishes the change, or takes it back", s.again())
	}
	if e.Code == exitNoKey && inItsPlace(file) {
		on := s.on(filepath.Dir(file.Path))
		return e.hint("'%s unlock' puts the key in its place, where a copy is at hand", on).
			hint("move it away: '%s'; then '%s key import FILE' takes another one in", s.shell().Move(s.argument(file.Path), s.argument(file.Path+".moved")), on)
	}
	cause := file.Cause()
	again, outcome := "run the command again", "; nothing was changed"
	if s.wrote {
		again, outcome = "run the command again: it finishes what is left", ""
	}
	switch {
	case strings.HasPrefix(s.away(file), "git "):
		e.hint("'%s' brings back the file that git has", s.away(file))
	case s.away(file) != "":
		e.hint("move it away: MUXI keeps a file of this name there; '%s'", s.away(file))
	case strings.Contains(cause, "folder"), strings.Contains(cause, "is a directory"):
		e.hint("a file is needed there, not a folder%s", outcome)
	case strings.Contains(cause, "regular file"):
		e.hint("a plain file is needed there%s", outcome)
	case strings.Contains(cause, "no space"), strings.Contains(cause, "quota"):
		e.hint("free some space and %s%s", again, outcome)
	case file.Op == "read" && strings.Contains(cause, "permission denied"):
		mode := "u+rw"
		if info, err := os.Stat(file.Path); err == nil && info.IsDir() {
			mode += "x"
		}
		if word := s.shell().Escape(path); s.shell().Kind == shell.POSIX {
			e.hint("if it is yours: 'chmod %s %s'; '%s' shows its owner and mode", mode, word, s.shell().Rights(word))
		} else {
			e.hint("'%s' shows who may do what with it", s.shell().Rights(word))
		}
	case file.Op == safefile.OpReplace && errors.Is(file, syscall.EPERM):
		e.hint("if 'lsattr %s' shows an 'i', it was made immutable: 'sudo chattr -i %[1]s' ends that", paths.Escape(path))
	case strings.Contains(cause, "permission denied"), strings.Contains(cause, "read-only"), strings.Contains(cause, "not permitted"):
		e.hint("make '%s' writable for you and %s%s", s.showFolder(folderOf(file.Path)), again, outcome)
	case strings.Contains(cause, "no such file"):
		e.hint("check the path")
	case errors.Is(file, syscall.EBUSY):
		e.hint("it is mounted there by itself, as a file in a container: mount the folder that it lies in, or run the command outside")
	default:
		e.hint("when that is settled, %s%s", again, outcome)
	}
	return e
}

// explainOwner says how to go on where a file's owner would change.
func (e *Error) explainOwner(file *safefile.Error, path string) *Error {
	e.Lines[0] += "; nothing was changed"
	info, err := os.Lstat(file.Path)
	if err != nil {
		return e.hint("run the command as the user whose folder it is")
	}
	if user, group := safefile.OwnerOf(info); user != os.Geteuid() {
		e.hint("it belongs to user %d: have them run the command, or take it over: 'sudo chown %d %s'", user, os.Geteuid(), paths.Escape(path))
	} else {
		e.hint("it belongs to group %d, which you are not in: 'chgrp %d %s' gives it to yours", group, os.Getegid(), paths.Escape(path))
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
	var nowhere *hooks.NowhereError
	if errors.As(err, &nowhere) {
		e := failed(err, "git looks for hooks in '%s', which cannot be a folder, and runs none", s.show(nowhere.Dir))
		if unset := nowhere.Unset(); unset != "" {
			return e.hint("take core.hooksPath out: '%s'", unset)
		}
		return e.hint("move away what is in its place, or take core.hooksPath out where it is set")
	}
	var none *gitutil.NotRepositoryError
	if errors.As(err, &none) {
		return usage("not in a git repository: '%s'", s.show(none.Dir)).hint("run it inside one, or make one with 'git init'")
	}
	var unsupported *gitutil.UnsupportedError
	if errors.As(err, &unsupported) {
		return failed(err, "%v", unsupported).hint("install git: with it on PATH every kind of repository works")
	}
	var noGit *gitutil.NoGitError
	if errors.As(err, &noGit) {
		return failed(err, "this needs git, and there is none on PATH").hint("install git, or put its folder on PATH, and run the command again")
	}
	var embedded *gitutil.EmbeddedError
	if errors.As(err, &embedded) {
		return failed(err, "%v", embedded).hint("if it came along, it is a folder again without its HEAD: '%s'", s.shell().Remove(s.shell().Escape(filepath.Join(embedded.Dir, "HEAD")))).
			hint("if it is a repository of your own, move it out of the work tree")
	}
	var owner *gitutil.DubiousOwnershipError
	if errors.As(err, &owner) {
		return failed(err, "%v", owner).hint("if you trust it: git config --global --add safe.directory %s", s.shell().Quote(owner.Dir))
	}
	var git *gitutil.GitError
	if errors.As(err, &git) {
		return failed(err, "%v", git).hint("run the same git command by hand to see more")
	}
	return nil
}
