package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
)

// Versions of git: before the oldest, options that we rely on are missing;
// before the tried one, merges are less well tried.
var oldestGit, triedGit = version{2, 21}, version{2, 38}

// latest is the command that brings the newest program.
const latest = "go install github.com/muxi-ai/git-muxi-secrets@latest"

// openRepository finds out whether git can be asked at all. Where it refuses, the
// rest is looked at as outside of a repository: one cause is one finding.
func (d *doctor) openRepository(ctx context.Context) {
	repo, err := d.Repo()
	if err == nil && repo == nil {
		return
	}
	if err == nil {
		// Questions that each backend has to ask: of the settings and of the index.
		if _, _, err = repo.Config(ctx, "core.bare"); err == nil && d.Layout.Top != "" {
			_, err = repo.Tracked(ctx, []string{filepath.Join(d.Layout.Top, formation.KeyFile)})
		}
	}
	if err != nil {
		d.trouble(nil, "git", Fail, err)
		return
	}
	d.repo = repo
}

// clone examines what each clone has of its own: git, this program, drivers,
// hooks; and what git says of each formation's files.
func (d *doctor) clone(ctx context.Context) {
	d.gitVersion(ctx)
	if d.Layout.Top != "" {
		if err := d.gitFiles(ctx); err != nil {
			d.trouble(nil, "git", Warn, err)
		}
	}
	d.keyHistory(ctx)
	d.inProgress(ctx)
	if d.Layout.Top != "" {
		hooked, driven := d.hooks(ctx), d.drivers(ctx)
		d.onPath(ctx, hooked || driven)
	}
}

// version is a program's major and minor version.
type version [2]int

func (v version) before(w version) bool { return slices.Compare(v[:], w[:]) < 0 }
func (v version) String() string        { return fmt.Sprintf("%d.%d", v[0], v[1]) }

// versionIn reads the first N.N of a text.
func versionIn(text string) (v version, ok bool) {
	parts := regexp.MustCompile(`([0-9]+)\.([0-9]+)`).FindStringSubmatch(text)
	if parts == nil {
		return v, false
	}
	var major, minor error
	v[0], major = strconv.Atoi(parts[1])
	v[1], minor = strconv.Atoi(parts[2])
	return v, major == nil && minor == nil
}

// askLimit is how long another program may take to tell something.
const askLimit = 5 * time.Second

// ask runs a program that only tells something.
func ask(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func (d *doctor) gitVersion(ctx context.Context) {
	if _, err := exec.LookPath("git"); err != nil {
		d.say(nil, "git", Warn, d.Shell.Find("git"), "there is no git on PATH: nothing can be committed from here, and no hook runs")
		return
	}
	text, err := ask(ctx, "git", "--version")
	v, ok := versionIn(text)
	switch {
	case err != nil || !ok:
		d.say(nil, "git", Warn, "git --version", "git does not tell its version")
	case v.before(oldestGit):
		d.say(nil, "git", Fail, "git --version", "git %v is too old: update it to %v or newer", v, triedGit)
	case v.before(triedGit):
		d.say(nil, "git", Warn, "git --version", "git %v is older than what merges are tried with: %v or newer is better", v, triedGit)
	default:
		d.ok(nil, "git", "git %v", v)
	}
}

// gitFiles judges what git would do with the formations' files. Git is asked once
// for all of them.
func (d *doctor) gitFiles(ctx context.Context) error {
	var files, attributed []string // the keys; and those with attributes
	for _, p := range d.patients {
		files = append(files, p.Path(formation.KeyFile))
		for _, line := range p.attributes() {
			attributed = append(attributed, p.Path(line.File))
		}
	}
	tracked, err := d.repo.Tracked(ctx, files)
	if err != nil {
		return err
	}
	ignored, err := d.repo.Ignored(ctx, files)
	if err != nil {
		return err
	}
	set, err := d.repo.Attributes(ctx, attributed, []string{"diff", "merge", "text"})
	if err != nil {
		return err
	}

	if err := d.filters(ctx); err != nil {
		return err
	}
	if err := d.leftOut(ctx); err != nil {
		return err
	}
	for i, p := range d.patients {
		lacking := judge.LackingOnDisk(d.Layout, p.Dir, p.hasPeople())
		d.gitKey(p, tracked[i], ignored[i], lacking)
		n := len(p.attributes())
		if there, err := p.HasVault(); err == nil && there {
			d.gitAttributes(p, set[:n], lacking)
		}
		set = set[n:]
	}
	return nil
}

// leftOut judges whether git has each vault.
func (d *doctor) leftOut(ctx context.Context) error {
	for _, p := range d.patients {
		found, err := judge.LeftOut(ctx, d.repo, []*formation.Formation{{Dir: p.real, File: p.File}})
		if err != nil {
			return err
		}
		for _, f := range found {
			d.say(p, string(f.Rule), Fail, d.Mend(f), "%s", f.Message)
		}
	}
	return nil
}

// filters judges whether git stores the formations' files as they are.
func (d *doctor) filters(ctx context.Context) error {
	for _, p := range d.patients {
		filters, err := judge.FiltersOnDisk(ctx, d.repo, []string{p.label})
		if err != nil {
			return err
		}
		said := map[gitutil.Origin]bool{} // one line is one cause
		for _, f := range filters {
			if said[f.From] {
				continue
			}
			said[f.From] = true
			at := place{f.From.File, f.From.Line}
			if at.path == "" {
				at = p.place(path.Base(f.File), 1)
			} else if !filepath.IsAbs(at.path) {
				at.path = filepath.Join(d.Layout.Top, filepath.FromSlash(at.path))
			}
			message := "%s: '%s' has git store something else than %s itself"
			if f.Local() {
				d.say(p, "filter", Fail, d.edit(at), message, d.places([]place{at}), f.Attribute, path.Base(f.File))
			} else {
				d.say(p, "filter", Fail, p.on+" doctor --fix", message+"; then 'git add --renormalize' takes it in", d.places([]place{at}), f.Attribute, path.Base(f.File)).Repair = TellGit
			}
		}
	}
	return nil
}

// attributes are what .gitattributes should say about the formation's files.
func (p *patient) attributes() []judge.FileAttributes { return judge.Attributes(p.hasPeople()) }

// hasPeople reports whether there are files of people.
func (p *patient) hasPeople() bool { return paths.There(p.Path(formation.RecipientsFile)) }

func (d *doctor) gitKey(p *patient, tracked, ignored bool, lacking []judge.Lacking) {
	key := p.Path(formation.KeyFile)
	if tracked {
		d.say(p, "key-tracked", Fail, d.Git("git rm --cached", key), "git tracks %s: take it out, and then, if it was ever pushed, make a new one with 'rotate'", formation.KeyFile)
	}
	if _, err := os.Lstat(key); err != nil {
		return
	}
	link := d.linked(p, ".gitignore")
	switch {
	case !judge.LacksIgnore(lacking):
	case link != "":
		d.say(p, "key-not-ignored", Fail, link, "git does not ignore %s, and follows no symbolic link called .gitignore: move that away; then 'doctor --fix' writes a file", formation.KeyFile)
	case !ignored:
		d.say(p, "key-not-ignored", Fail, p.on+" doctor --fix", "git does not ignore %s: the next 'git add' would take it in", formation.KeyFile).Repair = TellGit
	default:
		d.say(p, "key-not-ignored", Fail, p.on+" doctor --fix", "git does not ignore %s but by a file that no clone brings along: the next 'git add' in another one would take it in", formation.KeyFile).Repair = TellGit
	}
}

// gitAttributes judges the lines of .gitattributes by what comes along with a clone, and by
// what git makes of them in this one, where something else may be stronger.
func (d *doctor) gitAttributes(p *patient, set []map[string]string, lacking []judge.Lacking) {
	var files []string
	for i, line := range p.attributes() {
		if !line.In(set[i]) || slices.ContainsFunc(lacking, func(l judge.Lacking) bool { return slices.Contains(l.Lines, line.String()) }) {
			files = append(files, line.File)
		}
	}
	if len(files) == 0 {
		d.ok(p, "attributes", "git knows its files")
		return
	}
	if link := d.linked(p, ".gitattributes"); link != "" {
		d.say(p, "attributes", Warn, link, "git would merge %s line by line, and follows no symbolic link called .gitattributes: move that away; then 'doctor --fix' writes a file", some(files))
		return
	}
	d.say(p, "attributes", Warn, p.on+" doctor --fix", ".gitattributes without attributes for %s: git would merge it line by line", some(files)).Repair = TellGit
}

// linked is what moves a file of git's away that is a symbolic link, which git does
// not follow and no command of ours writes to; "" where it is none.
func (d *doctor) linked(p *patient, name string) string {
	file := p.Path(name)
	if info, err := os.Lstat(file); err != nil || info.Mode()&os.ModeSymlink == 0 {
		return ""
	}
	return d.Shell.Move(d.shell(file), d.shell(file+".link"))
}

// configured reports whether git's configuration has a setting.
func (d *doctor) configured(key string) bool {
	if d.repo == nil {
		return false
	}
	value, ok, err := d.repo.Config(context.Background(), key)
	return err == nil && ok && value != ""
}

// inProgress speaks of a merge, a rebase and the like: of what is half done, and
// of names that wait for somebody to settle them.
func (d *doctor) inProgress(ctx context.Context) {
	operation, err := d.repo.Operation(ctx)
	if err != nil {
		d.trouble(nil, "merge", Warn, err)
		return
	}
	if operation.Kind != "" {
		d.say(nil, "merge", Warn, "git status", "git is in the middle of a %s: what is said here is of files that are half way", operation.Kind)
	}

	waiting, err := merge.Waiting(ctx, d.repo)
	if err != nil {
		d.trouble(nil, "merge", Warn, err)
	}
	for _, p := range d.patients {
		if open := waiting[path.Join(p.label, formation.VaultFile)]; len(open) > 0 {
			d.say(p, "unsettled-merge", Fail, fmt.Sprintf("%s resolve %s --ours", p.on, open[0]), "the merge waits for a decision on %s (--ours, --theirs or --stdin); a commit is stopped", some(open))
		}
	}
}

// patientAt is the formation in a folder, named from the top with /.
func (d *doctor) patientAt(dir string) *patient {
	for _, p := range d.patients {
		if p.label == dir {
			return p
		}
	}
	return nil
}

// hooks reports whether a hook of ours is installed.
func (d *doctor) hooks(ctx context.Context) (installed bool) {
	in := &hooks.Installer{Repo: d.repo, Program: d.Program}
	list, dir, err := in.Status(ctx)
	if err != nil {
		d.trouble(nil, "hooks", Warn, err)
		return false
	}
	foreign := in.Foreign(dir)
	var nowhere *hooks.NowhereError
	if errors.As(foreign, &nowhere) {
		d.trouble(nil, "hooks", Warn, foreign)
		return false
	}
	list = slices.DeleteFunc(list, func(hook hooks.Hook) bool { return hook.Note }) // nothing fails without it
	by := map[hooks.State][]string{}
	for _, hook := range list {
		by[hook.State] = append(by[hook.State], hook.Name)
	}
	missing, outdated := by[hooks.Missing], by[hooks.Outdated]

	lacks := func(format string, args ...any) {
		c := d.say(nil, "hooks", Warn, d.Call(nil)+" hooks install", format, args...)
		if foreign == nil {
			c.Repair = Hooks
		}
	}
	switch {
	case len(missing) == len(list):
		lacks("the git hooks are not installed in this clone: nothing stops a leak before CI does")
	case len(missing) > 0:
		lacks("not all git hooks are installed in this clone: %s missing", some(missing))
	case len(by[hooks.Disabled]) > 0:
		lacks("git passes hooks over that cannot be executed: %s", some(by[hooks.Disabled]))
	case len(outdated) > 0:
		lacks("git hooks from another version: %s", some(outdated))
	case slices.ContainsFunc(list, func(hook hooks.Hook) bool { return hook.Newer }):
		d.say(nil, "program", Warn, latest, "this git-muxi-secrets is older than the one that installed the git hooks")
	default:
		d.ok(nil, "hooks", "hooks")
	}
	return len(missing) < len(list)
}

// drivers reports whether git has any of the drivers.
func (d *doctor) drivers(ctx context.Context) (any bool) {
	state, err := hooks.LookAtDrivers(ctx, d.Layout, d.Repo)
	if err != nil {
		d.trouble(nil, "drivers", Warn, err)
		return false
	}
	if state == hooks.Installed {
		d.ok(nil, "drivers", "merge drivers")
		return true
	}
	sealed := slices.IndexFunc(d.patients, func(p *patient) bool {
		there, err := p.HasVault()
		return err == nil && there
	})
	lacks := "git lacks the diff and merge drivers in this clone: a merge of %s would stop at a conflict"
	if state == hooks.Outdated {
		lacks = "git's diff and merge drivers are of another version, or of a program that is not there: %s may not be shown or merged"
	}
	if sealed >= 0 {
		d.say(nil, "drivers", Warn, d.patients[sealed].on+" sync", lacks, formation.VaultFile).Repair = Drivers
	}
	return state != hooks.Missing
}

// onPath judges whether git finds this program by its name, which hooks and
// drivers need, and whether it is as new as the one that runs.
func (d *doctor) onPath(ctx context.Context, needed bool) {
	found, err := exec.LookPath("git-muxi-secrets")
	if err != nil {
		remedy, state := latest, Warn
		if strings.HasPrefix(filepath.Base(d.Program), "git-muxi-secrets") {
			remedy = d.Shell.ExtendPath(filepath.ToSlash(filepath.Dir(d.Program)))
		}
		if needed {
			state = Fail
		}
		d.say(nil, "program", state, remedy, "git-muxi-secrets is not on PATH, where git looks for what shows and merges %s", formation.VaultFile)
		return
	}
	if theirs, older := d.olderProgram(ctx, found); older {
		d.say(nil, "program", Warn, latest, "git runs an older git-muxi-secrets than this one: '%s' is %v", d.Show(found), theirs)
		return
	}
	d.ok(nil, "program", "git finds git-muxi-secrets")
}

// olderProgram reports whether the program at path is of a version before this
// one's.
func (d *doctor) olderProgram(ctx context.Context, path string) (theirs version, older bool) {
	one, errOne := os.Stat(d.Program)
	other, errOther := os.Stat(path)
	if errOne != nil || errOther != nil || os.SameFile(one, other) {
		return theirs, false
	}
	text, err := ask(ctx, path, "--version")
	theirs, okTheirs := versionIn(text)
	ours, okOurs := versionIn(d.Version)
	return theirs, err == nil && okTheirs && okOurs && theirs.before(ours)
}
