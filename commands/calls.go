package commands

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/commands/shell"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Whatever a message has a person type is made here, so that it can be typed as
// it stands from the folder they are in: with -C where the command would not find
// the same formation, or the same repository, without.

// again is how this program is called on the formation that a command is about.
// Before one was chosen among several, DIR stands for it.
func (s *session) again() string {
	switch {
	case s.current != nil:
		return s.on(s.current.Dir)
	case s.dir != "" && !s.all:
		return s.on(s.start())
	case len(s.bare()) > 1:
		return program + " -C DIR"
	}
	return program
}

// callOn is how it is called on a formation; on the repository for nil.
func (s *session) callOn(f *formation.Formation) string {
	if f == nil {
		return s.anywhere()
	}
	return s.on(f.Dir)
}

// on is callOn for the formation in a folder.
func (s *session) on(dir string) string {
	if bare := s.bare(); len(bare) == 1 && same(bare[0].Dir, dir) {
		return program
	}
	return program + " -C " + s.argument(dir)
}

// anywhere is how it is called where only the repository counts.
func (s *session) anywhere() string {
	here, err := gitutil.Discover(s.stand(), s.Getenv)
	if layout, ok := s.where(); !ok || err == nil && here.GitDir == layout.GitDir {
		return program
	}
	return program + " -C " + s.argument(s.start())
}

// stand is the folder that the person is in. Git starts hooks and drivers at the
// top, and says where it was started itself, unless that is hidden.
func (s *session) stand() string {
	if prefix := s.Getenv("GIT_PREFIX"); prefix != "" && filepath.IsLocal(filepath.FromSlash(prefix)) && s.byGit {
		return filepath.Join(s.Dir, filepath.FromSlash(prefix))
	}
	return s.Dir
}

// hidden says that nothing tells where in the work tree the person is: 'git pull'
// starts the merge or rebase from the top, and so hides where it was started itself.
func (s *session) hidden() bool {
	return s.byGit && s.Getenv("GIT_PREFIX") == "" && strings.HasPrefix(s.Getenv("GIT_REFLOG_ACTION"), "pull")
}

// atTop is a session of somebody who stands at the top of the work tree.
func (s *session) atTop() *session {
	env, there := *s.Env, *s
	if layout, ok := s.where(); ok && layout.Top != "" {
		env.Dir, there.dir = layout.Top, ""
	}
	there.Env, there.reach, there.ownerless = &env, nil, nil
	return &there
}

// bare are the formations that a command finds without -C: one, or several of
// which none is chosen.
func (s *session) bare() []*formation.Formation {
	if s.reach == nil {
		s.reach = []*formation.Formation{}
		layout, err := gitutil.Discover(s.stand(), s.Getenv)
		if f := formation.Above(s.stand()); f != nil && !s.hidden() {
			s.reach = append(s.reach, f)
		} else if err == nil && layout.Top != "" {
			s.reach = formation.Below(layout.Top, layout.Elsewhere)
		}
	}
	return s.reach
}

// shell is what the person types in.
func (s *session) shell() shell.Shell {
	typed := shell.Shell{Home: s.homeDir()}
	if s.Shell != nil {
		typed.Kind = s.Shell()
	}
	return typed
}

// argument is a path as the person's shell takes it for one argument inside of
// quotes, relative to the folder that they are in; absolute where that is hidden.
func (s *session) argument(path string) string {
	if s.hidden() {
		return s.shell().Escape(filepath.ToSlash(path))
	}
	return s.argumentIn(s.stand(), path)
}

// argumentIn is argument for what is called in a folder.
func (s *session) argumentIn(folder, path string) string {
	shown := relative(folder, path)
	if strings.HasPrefix(shown, "-") {
		shown = "./" + shown
	}
	return s.shell().Escape(shown)
}

// gitOn is a call of git's, on files or on the repository at hand: with -C, and the
// files as they are named from there, where git would not find their repository without.
func (s *session) gitOn(words string, files ...string) string {
	call := words
	if top := s.otherTop(files); top != "" {
		call = "git -C " + s.argument(top) + strings.TrimPrefix(words, "git")
	}
	for _, file := range files {
		call += " " + s.gitArgument(file)
	}
	return call
}

// gitArgument is a file as gitOn names it.
func (s *session) gitArgument(file string) string {
	if top := s.otherTop([]string{file}); top != "" {
		return s.argumentIn(top, paths.Place(file))
	}
	return s.argument(file)
}

// otherTop is the top of the work tree that has files, of the one at hand for none; ""
// where the person is in it, or none has them.
func (s *session) otherTop(files []string) string {
	layout, _ := s.where()
	if len(files) > 0 && (layout.Top == "" || !paths.Within(layout.Top, paths.Place(files[0]))) {
		var err error
		if layout, err = gitutil.Discover(filepath.Dir(files[0]), s.Getenv); err != nil {
			return ""
		}
	}
	if here, err := gitutil.Discover(s.stand(), s.Getenv); err == nil && here.GitDir == layout.GitDir {
		return ""
	}
	return layout.Top
}

// remedied puts behind each finding's message the command that mends it.
func (s *session) remedied(found []scan.Finding) {
	for i := range found {
		if f := &found[i]; s.mendedBy(*f) != "" {
			f.Message += "; '" + s.mendedBy(*f) + "' " + f.Remedy.Does
		}
	}
}

// mendedBy is the command that mends a finding; "" where it names none.
func (s *session) mendedBy(f scan.Finding) string {
	switch {
	case f.Remedy.Restore != nil:
		return s.gitRestore(f.Remedy.Restore)
	case f.Remedy.Add != nil:
		return s.gitAdd(f.Remedy.Add)
	case f.Remedy.Command == "init":
		return s.tellsGit(s.owner(f.Subject()))
	case f.Remedy.Git != "":
		return s.gitOn("git " + f.Remedy.Git)
	case f.Remedy.Command != "":
		return s.onPath(f.Subject()) + " " + f.Remedy.Command
	}
	return ""
}

// tellsGit is the command that writes a formation's lines of .gitignore and
// .gitattributes: init, or what needs no key where init has none to work with.
func (s *session) tellsGit(f *formation.Formation) string {
	if f == nil {
		return s.again() + " init"
	}
	if _, err := s.found(f).OpenToWrite(); err != nil && !mayMakeKey(err, crypto.Fernet) {
		return s.on(f.Dir) + " doctor --fix"
	}
	return s.on(f.Dir) + " init"
}

// away is what takes away that lies where a formation's file should be: a link to
// nowhere gives way to the file that git has, all else is moved. "" for other trouble.
func (s *session) away(file *safefile.Error) string {
	cause, path := file.Cause(), s.argument(file.Path)
	link := strings.HasPrefix(cause, "it is a link to")
	ours := judge.IsShared(filepath.ToSlash(file.Path)) || filepath.Base(file.Path) == formation.TemplateFile
	if !ours || !link && cause != "it is a folder" && cause != "it is not a regular file" {
		return ""
	}
	if repo, err := s.repository(); link && err == nil && repo != nil && repo.Layout().Top != "" {
		name := judge.Label(repo.Layout().Top, file.Path)
		entries, err := repo.ListIndex(s.ctx, func(path []byte, mode gitutil.Mode) bool { return string(path) == name && mode != gitutil.ModeLink })
		if err == nil && len(entries) > 0 {
			return s.gitOn("git restore", file.Path)
		}
	}
	return s.shell().Move(path, s.argument(file.Path+".moved"))
}

// gitAdd is how git takes a remedy's files in.
func (s *session) gitAdd(a *scan.Add) string {
	call := "git add"
	if a.Force {
		call += " -f"
	}
	return s.gitOn(call, s.belowTop(a.Files)...)
}

// gitIgnore is what has git ignore one file, whatever is in its name.
func (s *session) gitIgnore(file string) string {
	return s.shell().Append(s.shell().Escape(ignoreLine(file)), s.argument(filepath.Join(filepath.Dir(file), ".gitignore")))
}

// gitRestore is how git brings a remedy's files back.
func (s *session) gitRestore(r *scan.Restore) string {
	return s.gitOn("git restore --source="+r.From+" --staged --worktree --", s.belowTop(r.Files)...)
}

// belowTop are files by their paths from the top.
func (s *session) belowTop(files []string) (full []string) {
	layout, _ := s.where()
	for _, file := range files {
		full = append(full, filepath.Join(layout.Top, filepath.FromSlash(file)))
	}
	return full
}

// stepBack is what brings the files of a formation back in step that a rotation
// changes together; "" where they are, or no version of the history has them so.
func (s *session) stepBack(f *formation.Formation) string {
	if step := s.outOfStep(f); step != nil && step.Remedy.Restore != nil {
		return s.mendedBy(*step)
	}
	return ""
}

// outOfStep is what is said of a formation whose files are not in step; nil where they
// are.
func (s *session) outOfStep(f *formation.Formation) *scan.Finding {
	repo, err := s.repository()
	if err != nil || repo == nil || repo.Layout().Top == "" {
		return nil
	}
	found, err := judge.OutOfStepOnDisk(s.ctx, repo, s.found(f))
	if err != nil || len(found) == 0 {
		return nil
	}
	return &found[0]
}

// putsBack says what makes a key that is at hand the .key again. Where vault and
// list are not in step, the list names another one and has to come back before.
func (s *session) putsBack(f *formation.Formation, what string) string {
	if back := s.stepBack(f); back != "" {
		return s.afterStep(f, back)
	}
	if opened, err := s.found(f).Open(); err == nil && s.acceptedElsewhere(f, opened.Key.Public()) {
		return fmt.Sprintf("it was accepted in another work tree, and counts there alone: '%s unlock' says how to take it here", s.callOn(f))
	}
	return fmt.Sprintf("'%s unlock' puts %s back", s.callOn(f), what)
}

// afterStep is putsBack for who knows what stepBack says.
func (s *session) afterStep(f *formation.Formation, back string) string {
	return fmt.Sprintf("list and vault are not in step: '%s' brings the list back, and '%s unlock' then the key", back, s.callOn(f))
}

// onPath is on for the formation that a file, by its path from the top with /,
// belongs to.
func (s *session) onPath(file string) string {
	if f := s.owner(file); f != nil {
		return s.on(f.Dir)
	}
	return s.again()
}

// callFor is how the program is called on the formation of findings: theirs, else the
// only one there is. Where there are several, all is how it is called with --all.
// Both are "" where there is none.
func (s *session) callFor(found ...scan.Finding) (on, all string) {
	if layout, ok := s.where(); ok && layout.Top == "" {
		return program, "" // a bare repository: what is typed is typed in a clone
	}
	for _, f := range found {
		switch owner := s.owner(f.Subject()); {
		case owner == nil:
		case on == "":
			on = s.on(owner.Dir)
		case on != s.on(owner.Dir):
			return "", s.anywhere()
		}
	}
	if on != "" {
		return on, ""
	}
	if s.ownerless == nil {
		s.ownerless = &[2]string{}
		switch f, several, _ := s.search(); {
		case f != nil:
			s.ownerless[0] = s.on(f.Dir)
		case len(several) > 0:
			s.ownerless[1] = s.anywhere()
		}
	}
	return s.ownerless[0], s.ownerless[1]
}

// owner is the formation that a file, by its path from the top with /, belongs to;
// nil for none.
func (s *session) owner(file string) *formation.Formation {
	layout, ok := s.where()
	if !ok || layout.Top == "" {
		return nil
	}
	f := formation.Above(filepath.Dir(filepath.Join(layout.Top, filepath.FromSlash(file))))
	if f == nil {
		return nil
	}
	if _, ok := paths.Below(layout.Top, f.Dir); !ok {
		return nil
	}
	return f
}
