package commands

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
)

// session is one run of one command: the environment and what every command's
// common flags say.
type session struct {
	*Env
	doing   string // the command's name
	quiet   bool   // -q: say nothing but results and errors
	dir     string // -C DIR, or ""
	all     bool   // --all
	removed int    // people that share remove took out, over all formations
	wrote   bool   // files were put in place: an error after that is not "nothing was changed"

	layout *gitutil.Layout    // found once; nil until asked
	repo   gitutil.Repository // opened once; nil until asked
	looked bool

	below    []*formation.Formation            // those of the work tree; nil until asked
	keyFiles map[string][]*formation.Formation // by the file that .key is; nil until asked
}

func newSession(env *Env, c *cli.Context) *session {
	s := &session{Env: env, doing: c.Command.Name}
	// A common flag may stand before or behind the command's name.
	for _, level := range c.Lineage() {
		s.quiet = s.quiet || level.Bool("quiet")
		s.all = s.all || level.Bool("all")
		if dir := level.String("formation"); dir != "" && s.dir == "" {
			s.dir = dir
		}
	}
	return s
}

// say tells a person what was done; -q keeps it quiet.
func (s *session) say(format string, args ...any) {
	if !s.quiet {
		fmt.Fprintln(s.Err, sanitize(fmt.Sprintf(format, args...)))
	}
}

// warn tells a person about something that will bite later; -q does not hide it.
func (s *session) warn(format string, args ...any) {
	fmt.Fprintf(s.Err, "%s: %s %s\n", program, paint(s.Err, yellow, "warning:"), sanitize(fmt.Sprintf(format, args...)))
}

// hint tells a person what to do next.
func (s *session) hint(format string, args ...any) {
	if !s.quiet {
		fmt.Fprintf(s.Err, "%s: %s %s\n", program, paint(s.Err, cyan, "hint:"), sanitize(fmt.Sprintf(format, args...)))
	}
}

// again is how a hint has this program called on the same formation.
func (s *session) again() string {
	switch {
	case s.all:
		return program + " -C DIR"
	case s.dir != "":
		return program + " -C " + quote(s.show(s.start()))
	}
	return program
}

// start is the folder that the search for a formation starts from.
func (s *session) start() string {
	if s.dir == "" {
		return s.Dir
	}
	if filepath.IsAbs(s.dir) {
		return filepath.Clean(s.dir)
	}
	return filepath.Join(s.Dir, s.dir)
}

// show gives a path as messages have it: relative to the current folder, with
// /; absolute where that is shorter to read.
func (s *session) show(path string) string {
	rel, err := filepath.Rel(s.Dir, path)
	if err != nil || strings.Count(rel, "..") > 4 {
		return filepath.ToSlash(path)
	}
	return filepath.ToSlash(rel)
}

// showOwn is show for a file of the person's own: ~/ stands for their home.
func (s *session) showOwn(path string) string {
	if rel, err := filepath.Rel(s.homeDir(), path); err == nil && s.homeDir() != "" && filepath.IsLocal(rel) {
		if shown := s.show(path); strings.HasPrefix(shown, "../") {
			return "~/" + filepath.ToSlash(rel)
		}
	}
	return s.show(path)
}

// showFolder is show for a folder: with / at the end, ./ for the current one.
func (s *session) showFolder(path string) string {
	shown := s.show(path)
	if shown == "." {
		return "./"
	}
	return strings.TrimSuffix(shown, "/") + "/"
}

// name is what a formation is called in results: its folder without the last
// /, ./ for the current one.
func (s *session) name(f *formation.Formation) string {
	if shown := s.show(f.Dir); shown != "." {
		return shown
	}
	return "./"
}

// repository returns the repository around the session's folder, or nil where
// there is none: most commands work without. Nothing is started by it.
func (s *session) repository() (gitutil.Repository, error) {
	if s.looked {
		return s.repo, nil
	}
	repo, err := gitutil.Open(s.start(), gitutil.Options{Getenv: s.Getenv})
	var none *gitutil.NotRepositoryError
	if errors.As(err, &none) {
		s.looked = true
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.repo, s.looked = repo, true
	return repo, nil
}

// where is the repository's layout without opening it; ok is false outside.
func (s *session) where() (gitutil.Layout, bool) {
	if s.layout == nil {
		layout, err := gitutil.Discover(s.start(), s.Getenv)
		if err != nil {
			layout = gitutil.Layout{}
		}
		s.layout = &layout
	}
	return *s.layout, s.layout.CommonDir != ""
}

func (s *session) inRepository() bool {
	_, ok := s.where()
	return ok
}

func (s *session) close() {
	if s.repo != nil {
		s.repo.Close()
	}
}

// formation finds the one formation a command is about: the folder given with
// -C or one it lies in; else the nearest upwards; else the only one of the
// repository. A folder given by hand is never swapped for one elsewhere.
func (s *session) formation() (*formation.Formation, error) {
	start := s.start()
	if s.dir != "" {
		if _, err := os.Stat(start); err != nil {
			return nil, usage("cannot open folder '%s': %s", s.dir, (&formation.FileError{Err: err}).Cause()).
				hint("name the formation's folder with -C DIR")
		}
	}
	if f := formation.Above(start); f != nil {
		return s.found(f), s.sweep(f)
	}
	var found []*formation.Formation
	layout, inRepo := s.where()
	switch {
	case s.dir != "":
		found = formation.Below(start)
	case inRepo && layout.Top != "":
		found = formation.Below(layout.Top)
	}
	switch len(found) {
	case 0:
		e := usage("no formation here: '%s' has no formation.afs (or .yaml, .yml), nor has a folder above it", s.showFolder(start))
		if inRepo && s.dir == "" {
			e = usage("no formation in this repository: no folder has a formation.afs (or .yaml, .yml)")
		}
		return nil, e.hint("go to a formation's folder, or name it with -C DIR; 'muxi new formation' makes one")
	case 1:
		return s.found(found[0]), s.sweep(found[0])
	}
	e := usage("there are %d formations and none was chosen", len(found))
	for _, f := range found {
		e.line("%s", s.name(f))
	}
	return nil, e.hint("choose one with -C DIR, for example -C %s", quote(s.show(found[0].Dir)))
}

// found gives a formation what its repository knows of its key.
func (s *session) found(f *formation.Formation) *formation.Formation {
	if layout, ok := s.where(); ok {
		return hooks.Share(layout, f)
	}
	return f
}

// formations is formation for commands that take --all.
func (s *session) formations() ([]*formation.Formation, error) {
	if !s.all {
		f, err := s.formation()
		if err != nil {
			return nil, err
		}
		return []*formation.Formation{f}, nil
	}
	root := s.start()
	if layout, ok := s.where(); ok && layout.Top != "" && s.dir == "" {
		root = layout.Top
	}
	if _, err := os.Stat(root); err != nil {
		return nil, usage("cannot open folder '%s': %s", s.dir, (&formation.FileError{Err: err}).Cause())
	}
	found := formation.Below(root)
	if len(found) == 0 {
		return nil, usage("no formation in '%s': no folder has a formation.afs (or .yaml, .yml)", s.showFolder(root)).
			hint("'muxi new formation' makes one")
	}
	for _, f := range found {
		s.found(f)
		if err := s.sweep(f); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// sweep finishes or removes what a killed command left behind.
func (s *session) sweep(f *formation.Formation) error {
	folders := f.Folders()
	if layout, ok := s.where(); ok {
		folders = append(folders, filepath.Join(layout.CommonDir, "hooks"))
	}
	formation.Sweep(s.lockPath(f), folders...)
	return s.finish(f)
}

// statePath is where a note about a formation's unfinished work lies, beside the
// lock. No value is ever in one.
func (s *session) statePath(f *formation.Formation, what string) string {
	// A link to the folder is the folder, and a repository that is moved takes
	// its notes along.
	place := realDir(f.Dir)
	if layout, ok := s.where(); ok {
		if rel, err := filepath.Rel(realDir(layout.CommonDir), place); err == nil {
			place = filepath.ToSlash(rel)
		}
	}
	sum := sha256.Sum256([]byte(place))
	return filepath.Join(filepath.Dir(s.lockPath(f)), what+"-"+hex.EncodeToString(sum[:8]))
}

// lockPath is where writers to a formation meet. In a repository that is one
// file for all its worktrees, out of every work tree; elsewhere one per
// formation in the user's cache.
func (s *session) lockPath(f *formation.Formation) string {
	if layout, ok := s.where(); ok {
		return filepath.Join(layout.CommonDir, "muxi-secrets", "lock")
	}
	dir := f.Dir
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	sum := sha256.Sum256([]byte(dir))
	base, err := os.UserCacheDir()
	if err != nil {
		base = filepath.Join(os.TempDir(), fmt.Sprintf("git-muxi-secrets-%d", os.Getuid()))
	}
	return filepath.Join(base, "git-muxi-secrets", "locks", hex.EncodeToString(sum[:8]))
}

// defaultLockWait is how long a writer waits for another before it gives up:
// fifty writers on a slow disk are done in less.
const defaultLockWait = 30 * time.Second

// lock makes this process the only writer to f, and finishes what a writer that
// was waited for left behind when it was killed. The caller releases it.
func (s *session) lock(ctx context.Context, f *formation.Formation) (*formation.Lock, error) {
	wait := defaultLockWait
	if text := s.Getenv("GIT_MUXI_SECRETS_LOCK_TIMEOUT"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return nil, usage("GIT_MUXI_SECRETS_LOCK_TIMEOUT is no duration").hint("write it like 5s or 2m")
		}
		wait = d
	}
	lock, err := formation.AcquireLock(ctx, s.lockPath(f), s.doing, wait)
	if err != nil {
		return nil, err
	}
	if err := s.replay(f); err != nil {
		lock.Release()
		return nil, err
	}
	s.excludeTemps()
	return lock, nil
}

// excludeTemps has this clone's git ignore temp files: after a kill, one of them
// may hold a key until the next command removes it, and 'git add -A' comes first.
// Where that cannot be written, the hooks still know a key.
func (s *session) excludeTemps() {
	layout, ok := s.where()
	if !ok {
		return
	}
	file := filepath.Join(layout.CommonDir, "info", "exclude")
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || strings.Contains("\n"+string(content), "\n"+formation.TempPattern+"\n") {
		return
	}
	line := formation.TempPattern + "\n"
	if len(content) > 0 && content[len(content)-1] != '\n' {
		line = "\n" + line
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return
	}
	// One write at the end: it need not be atomic, nor outlive a crash.
	if out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
		out.WriteString(line)
		out.Close()
	}
}
