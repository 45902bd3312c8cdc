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
	"slices"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/internal/trace"
	"github.com/urfave/cli/v2"
)

// session is one run of one command: the environment and what every command's
// common flags say.
type session struct {
	*Env
	ctx      context.Context // of the run
	doing    string          // the command's name
	quiet    bool            // -q: say nothing but results and errors
	dir      string          // -C DIR, or ""
	to       bool            // it was given as --to DIR
	all      bool            // --all
	accept   string          // unlock --accept: the fingerprint of a key that is taken all the same
	expect   string          // unlock --expect: the only one that is taken
	removed  int             // people that share remove took out, over all formations
	told     map[string]bool // folders whose key is said to be elsewhere
	unfilter bool            // git shall keep the formation's files as they are
	wrote    bool            // files were put in place: an error after that is not "nothing was changed"

	picked    *formation.Formation   // that a person chose among several; nil: none
	current   *formation.Formation   // that the command is about just now; nil before one is chosen
	reach     []*formation.Formation // those found without -C; nil until asked
	ownerless *[2]string             // how commands are called for a file of no formation; nil until asked
	byGit     bool                   // git started this run, at the top of the work tree

	layout *gitutil.Layout    // found once; nil until asked
	repo   gitutil.Repository // opened once; nil until asked
	logged gitutil.Repository // the same, which remembers its logs; nil until asked
	looked bool
	theirs error         // not nil: the repository here is not to be read
	waits  bool          // it was said what waits for git
	finder *history.Keys // nil until asked
	onDisk *judge.Basis  // of the work tree, for literals; nil until asked

	below    []*formation.Formation            // those of the work tree; nil until asked
	keyFiles map[string][]*formation.Formation // by the file that .key is; nil until asked
}

func newSession(env *Env, c *cli.Context) *session {
	s := &session{Env: env, ctx: c.Context, doing: c.Command.Name}
	s.byGit = s.doing == "hook-run" || s.doing == "textconv" || strings.HasPrefix(s.doing, "merge-")
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
		fmt.Fprintln(s.Err, fold(s.Err, sanitize(fmt.Sprintf(format, args...))))
	}
}

// warn tells a person about something that will bite later; -q does not hide it.
func (s *session) warn(format string, args ...any) {
	fmt.Fprintln(s.Err, fold(s.Err, program+": "+paint(s.Err, yellow, "warning:")+" "+sanitize(fmt.Sprintf(format, args...))))
}

// hint tells a person what to do next.
func (s *session) hint(format string, args ...any) {
	if !s.quiet {
		fmt.Fprintln(s.Err, fold(s.Err, program+": "+paint(s.Err, cyan, "hint:")+" "+sanitize(fmt.Sprintf(format, args...))))
	}
}

// start is the folder that the search for a formation starts from.
func (s *session) start() string {
	if s.dir == "" {
		return s.Dir
	}
	return paths.From(s.Dir, s.dir)
}

// show gives a path as messages have it: relative to the current folder, with
// /; absolute where that is shorter to read.
func (s *session) show(path string) string { return relative(s.Dir, path) }

func relative(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil || strings.Count(rel, "..") > 4 {
		return filepath.ToSlash(path)
	}
	return filepath.ToSlash(rel)
}

// showOwn is show for a file of the person's own: ~/ stands for their home.
func (s *session) showOwn(path string) string {
	if rel, ok := paths.Below(s.homeDir(), path); ok && s.homeDir() != "" {
		if shown := s.show(path); strings.HasPrefix(shown, "../") {
			return "~/" + rel
		}
	}
	return s.show(path)
}

// showInstalled is showOwn for what lies in no project: absolute where it is neither in the
// home nor below the current folder.
func (s *session) showInstalled(path string) string {
	if shown := s.showOwn(path); !strings.HasPrefix(shown, "../") {
		return shown
	}
	return filepath.ToSlash(path)
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
	trace.Say(s.ctx, "the repository is '%s'", repo.Layout().Top)
	return repo, nil
}

// git is the repository for the part of a command that git alone can do: its
// drivers, its hooks. nil where there is no repository, and where there is no
// git, which is said once: the command has done its own work all the same.
func (s *session) git() gitutil.Writer {
	repo, err := s.repository()
	if err != nil || repo == nil {
		return nil
	}
	git, err := gitutil.Writing(repo)
	if err != nil && !s.waits {
		s.waits = true
		s.say("There is no git on PATH: its diff and merge drivers and the hooks wait for '%s init' beside one", s.again())
	}
	return git
}

// ours refuses what would read a repository that belongs to another user, or that
// came as plain files of another one: its journal and its settings say which files
// are written and which commands run, and its pins which key counts.
// doctor goes on as if there were none, and says so.
func (s *session) ours() error {
	if s.where(); s.doing == "doctor" {
		return nil
	}
	return s.theirs
}

// where is the repository's layout without opening it; ok is false outside, and
// where it is not to be read.
func (s *session) where() (gitutil.Layout, bool) {
	if s.layout == nil {
		layout, err := gitutil.Discover(s.start(), s.Getenv)
		var none *gitutil.NotRepositoryError
		if !errors.As(err, &none) {
			s.theirs = err
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
	if s.finder != nil {
		s.finder.Close()
	}
	if s.repo != nil {
		s.repo.Close()
	}
}

// chosen makes a formation the one that the command is about.
func (s *session) chosen(f *formation.Formation) (*formation.Formation, error) {
	s.current = f
	return f, s.sweep(f)
}

// formationsBelow are the formations in a folder and under it, without those of
// another work tree or repository that lies there.
func (s *session) formationsBelow(root string) []*formation.Formation {
	layout, inRepo := s.where()
	if !inRepo {
		return formation.Below(root, nil)
	}
	found := formation.Below(root, layout.Elsewhere)
	for _, f := range found {
		s.found(f)
	}
	return found
}

// found gives a formation what its repository knows of its key.
func (s *session) found(f *formation.Formation) *formation.Formation {
	if s.inRepository() {
		return s.keys().Of(f)
	}
	return f
}

// keys finds the keys of the repository's formations, and those of the versions of
// vaults that git has. Nothing is looked for before one is asked for.
func (s *session) keys() *history.Keys {
	if s.finder == nil {
		repo, err := s.repository()
		s.finder = history.NewKeys(s.ctx, repo, "")
		s.finder.Fault = err
		s.finder.Unwrap = s.unwrapAlone(s.ctx)
	}
	return s.finder
}

// open opens a formation to read it, and says where that takes another key than
// its .key.
func (s *session) open(f *formation.Formation) (*formation.Opened, error) {
	opened, err := f.Open()
	if err != nil {
		trace.Say(s.ctx, "formation '%s' does not open", f.Dir)
	} else {
		trace.Say(s.ctx, "formation '%s' opens with the %v in '%s', %d secrets", f.Dir, opened.Key, opened.Found.Path, len(opened.Vault.Names()))
	}
	if err == nil && opened.Found.Place != formation.InFolder && !s.told[f.Dir] {
		if s.told == nil {
			s.told = map[string]bool{}
		}
		s.told[f.Dir] = true
		what := fmt.Sprintf("there is no %s in %s", formation.KeyFile, s.showFolder(f.Dir))
		if there, err := f.HasKey(); err == nil && there {
			what = fmt.Sprintf("'%s' does not open %s", s.show(f.Path(formation.KeyFile)), formation.VaultFile)
		}
		s.hint("%s: read with the key %s; %s", what, s.whereKept(opened.Found), s.putsBack(f, "it"))
	}
	return opened, err
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
	if err := s.ours(); err != nil {
		return nil, err
	}
	root := s.start()
	if layout, ok := s.where(); ok && layout.Top != "" && s.dir == "" {
		root = layout.Top
	}
	if _, err := os.Stat(root); err != nil {
		return nil, &formation.NotFormationError{Dir: root, Err: err}
	}
	found := s.formationsBelow(root)
	if len(found) == 0 {
		return nil, usage("no formation in '%s': no folder has a formation.afs (or .yaml, .yml)", s.showFolder(root)).
			hint("'muxi new formation' makes one")
	}
	for _, f := range found {
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
		for _, dir := range slices.Compact([]string{layout.CommonDir, layout.GitDir}) {
			for _, below := range []string{"", "keys", "pins", "merge", "lost", "seen"} {
				folders = append(folders, filepath.Join(dir, "muxi-secrets", below))
			}
		}
	}
	safefile.Sweep(s.lockPath(f), folders...)
	safefile.SweepScratch(s.scratchPlaces())
	return s.finish(f)
}

// journalPath is where a formation's unfinished change is noted, beside the lock.
func (s *session) journalPath(f *formation.Formation) string {
	// A link to the folder is the folder, and a repository that is moved takes
	// its notes along.
	place := paths.Real(f.Dir)
	if layout, ok := s.where(); ok {
		if rel, err := filepath.Rel(layout.CommonDir, place); err == nil {
			place = filepath.ToSlash(rel)
		}
	}
	sum := sha256.Sum256([]byte(place))
	return filepath.Join(filepath.Dir(s.lockPath(f)), "journal-"+hex.EncodeToString(sum[:8]))
}

// lockPath is where writers to a formation meet. In a repository that is one
// file for all its worktrees, out of every work tree; elsewhere one per
// formation in the user's cache.
func (s *session) lockPath(f *formation.Formation) string {
	if layout, ok := s.where(); ok {
		return filepath.Join(layout.CommonDir, "muxi-secrets", "lock")
	}
	sum := sha256.Sum256([]byte(paths.Real(f.Dir)))
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
func (s *session) lock(ctx context.Context, f *formation.Formation) (*safefile.Lock, error) {
	if err := s.ours(); err != nil {
		return nil, err // where a prompt led
	}
	wait := defaultLockWait
	if text := s.Getenv("GIT_MUXI_SECRETS_LOCK_TIMEOUT"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return nil, usage("GIT_MUXI_SECRETS_LOCK_TIMEOUT is no duration").hint("write it like 5s or 2m")
		}
		wait = d
	}
	lock, err := safefile.AcquireLock(ctx, s.lockPath(f), s.doing, wait)
	if err != nil {
		return nil, err
	}
	if err := s.replay(f); err != nil {
		lock.Release()
		return nil, err
	}
	// After a kill, one of them may hold a key until the next command removes it, and
	// 'git add -A' comes first.
	s.exclude(safefile.TempPattern)
	return lock, nil
}

// lockIfAny is lock for who may turn out to change nothing: where no lock can be
// made, since nobody can write there, it says why instead.
func (s *session) lockIfAny(ctx context.Context, f *formation.Formation) (lock *safefile.Lock, none, err error) {
	lock, err = s.lock(ctx, f)
	var file *safefile.Error
	if errors.As(err, &file) && file.Op == safefile.OpLock {
		return nil, err, nil
	}
	return lock, nil, err
}

// exclude has this clone's git ignore a pattern, on whatever branch. Where that
// cannot be written, the hooks still know a key.
func (s *session) exclude(pattern string) {
	layout, ok := s.where()
	if !ok {
		return
	}
	file := layout.ExcludeFile()
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || strings.Contains("\n"+string(content), "\n"+pattern+"\n") {
		return
	}
	line := pattern + "\n"
	if len(content) > 0 && content[len(content)-1] != '\n' {
		line = "\n" + line
	}
	if err := safefile.MakeFolder(filepath.Dir(file), 0o755); err != nil {
		return
	}
	// One write at the end: it need not be atomic, nor outlive a crash.
	if out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
		out.WriteString(line)
		out.Close()
	}
}
