package commands

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// askLimit is how long another program may take to say its version.
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

// versionIn reads the first N.N of a text.
func versionIn(text string) (version [2]int, ok bool) {
	parts := regexp.MustCompile(`([0-9]+)\.([0-9]+)`).FindStringSubmatch(text)
	if parts == nil {
		return version, false
	}
	major, err := strconv.Atoi(parts[1])
	minor, errMinor := strconv.Atoi(parts[2])
	return [2]int{major, minor}, err == nil && errMinor == nil
}

func older(a, b [2]int) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }

// gitItself finds out whether git can be asked at all.
func (d *doctor) gitItself(ctx context.Context) {
	repo, err := d.s.repository()
	if err == nil && repo == nil {
		return
	}
	if err == nil {
		_, _, err = repo.Config(ctx, "core.bare")
	}
	if err == nil {
		_, err = repo.Tracked(ctx, nil)
	}
	if err != nil {
		e := d.s.explain(err)
		remedy := "git status"
		var owner *gitutil.DubiousOwnershipError
		if errors.As(err, &owner) {
			remedy = "git config --global --add safe.directory " + quote(owner.Dir)
		}
		d.say(nil, "git", fails, remedy, "%s", e.Lines[0])
		return
	}
	d.repo = repo
}

// clone examines what each clone has of its own: git, this program, drivers,
// hooks; and what git says of each formation's files.
func (d *doctor) clone(ctx context.Context) {
	if d.repo == nil {
		return
	}
	d.gitVersion(ctx)
	if err := d.gitFiles(ctx); err != nil {
		d.say(nil, "git", warns, "git status", "%s", d.s.explain(err).Lines[0])
	}
	d.keyHistory(ctx)
	d.unsettled(ctx)
	if d.repo.Layout().Top == "" {
		return
	}
	hooked := d.hooks(ctx)
	driven := d.drivers(ctx)
	d.onPath(ctx, hooked || driven)
}

func (d *doctor) gitVersion(ctx context.Context) {
	if _, err := exec.LookPath("git"); err != nil {
		d.say(nil, "git", warns, "command -v git", "there is no git on PATH: nothing can be committed from here, and no hook runs")
		return
	}
	// Before the first, options that we rely on are missing; before the second,
	// merges are less well tried.
	oldest, tried := [2]int{2, 21}, [2]int{2, 38}
	text, err := ask(ctx, "git", "--version")
	version, ok := versionIn(text)
	switch {
	case err != nil || !ok:
		d.say(nil, "git", warns, "git --version", "git does not tell its version")
	case older(version, oldest):
		d.say(nil, "git", fails, "git --version", "git %d.%d is too old: update it to %d.%d or newer", version[0], version[1], tried[0], tried[1])
	case older(version, tried):
		d.say(nil, "git", warns, "git --version", "git %d.%d is older than what merges are tried with: %d.%d or newer is better", version[0], version[1], tried[0], tried[1])
	default:
		d.ok(nil, "git", "git %d.%d", version[0], version[1])
	}
}

// gitFiles judges what git would do with the formations' files. Git is asked once
// for all of them.
func (d *doctor) gitFiles(ctx context.Context) error {
	if d.repo.Layout().Top == "" {
		return nil
	}
	var keys, vaults, files []string
	lines := map[*patient][]hooks.FileAttributes{}
	for _, p := range d.patients {
		keys = append(keys, p.Path(formation.KeyFile))
		vaults = append(vaults, p.Path(formation.VaultFile))
		w := &writing{Opened: &formation.Opened{Formation: p.Formation}, s: d.s}
		lines[p] = w.attributeLines()
		for _, line := range lines[p] {
			files = append(files, p.Path(line.File))
		}
	}
	tracked, err := d.repo.Tracked(ctx, keys)
	if err != nil {
		return err
	}
	ignored, err := d.repo.Ignored(ctx, keys)
	if err != nil {
		return err
	}
	if err := d.vaultsIgnored(ctx, vaults); err != nil {
		return err
	}
	set, err := d.repo.Attributes(ctx, files, []string{"diff", "merge", "text"})
	if err != nil {
		return err
	}
	for i, p := range d.patients {
		n := len(lines[p])
		d.gitOf(p, tracked[i], ignored[i], lines[p], set[:n])
		set = set[n:]
	}
	return nil
}

// vaultsIgnored speaks of vaults that no teammate will get: d.patients have them
// in the same order.
func (d *doctor) vaultsIgnored(ctx context.Context, vaults []string) error {
	ignored, err := d.repo.Ignored(ctx, vaults)
	if err != nil {
		return err
	}
	tracked, err := d.repo.Tracked(ctx, vaults)
	if err != nil {
		return err
	}
	for i, p := range d.patients {
		if there, err := p.HasVault(); err == nil && there && ignored[i] && !tracked[i] {
			d.say(p, "vault", fails, "git add -f "+quote(d.s.show(vaults[i])), "git ignores %s: nobody else will have it", formation.VaultFile)
		}
	}
	return nil
}

func (d *doctor) gitOf(p *patient, tracked, ignored bool, lines []hooks.FileAttributes, set []map[string]string) {
	key := p.Path(formation.KeyFile)
	if tracked {
		d.say(p, "key-tracked", fails, "git rm --cached "+quote(d.s.show(key)), "git tracks %s: take it out, and then, if it was ever pushed, make a new one with 'rotate'", formation.KeyFile)
	}
	mend := func(ctx context.Context) error { return d.s.tellGitOf(ctx, p.Formation) }
	if _, err := os.Lstat(key); err == nil && !ignored {
		d.say(p, "key-not-ignored", fails, fmt.Sprintf(`printf '%s\n' >> %s`, formation.KeyFile, quote(d.s.show(p.Path(".gitignore")))),
			"git does not ignore %s: the next 'git add' would take it in", formation.KeyFile).fix = mend
	}
	if vault, err := p.HasVault(); err != nil || !vault {
		return
	}
	var lacking []string
	text := ""
	for i, line := range lines {
		if !hasAttributes(set[i], line.Attributes) {
			lacking = append(lacking, line.File)
			text += line.File + " " + line.Attributes + `\n`
		}
	}
	if len(lacking) > 0 {
		c := d.say(p, "attributes", warns, fmt.Sprintf(`printf '%s' >> %s`, text, quote(d.s.show(p.Path(".gitattributes")))),
			"%s without attributes for %s: git would merge it line by line", ".gitattributes", some(lacking))
		c.fix = mend
		return
	}
	d.ok(p, "attributes", "git knows its files")
}

// tellGitOf writes the ignore and attribute lines alone, for which no key is
// needed.
func (s *session) tellGitOf(ctx context.Context, f *formation.Formation) error {
	w, err := s.lockToWrite(ctx, f, func(w *writing) error {
		w.Opened = &formation.Opened{Formation: f}
		return nil
	})
	if err != nil {
		return err
	}
	defer w.close()
	return w.commit()
}

// keyHistory looks for keys that were committed, in any folder and on any ref.
func (d *doctor) keyHistory(ctx context.Context) {
	settings := d.settings()
	current := map[string]*patient{}
	for _, p := range d.patients {
		if p.st.key != nil {
			current[p.st.key.Fingerprint()] = p
		}
	}
	type leak struct {
		p      *patient // the formation at that place; nil for none
		now    *patient // the formation that uses this key today; nil for none
		path   string
		commit string
	}
	leaks := map[string]*leak{}
	progress := d.s.progress()
	commits := 0
	err := d.repo.History(ctx, gitutil.Visitor{
		Want: func(name string, _ gitutil.Mode) bool { return strings.EqualFold(path.Base(name), formation.KeyFile) },
		Commit: func(*gitutil.Commit) error {
			commits++
			progress.tell(0, commits)
			return nil
		},
		Blob: func(b *gitutil.Blob) error {
			key, err := crypto.ParseKey(b.Data)
			if err != nil || settings.Allows(string(scan.KeyFile), b.Path) {
				return nil // no key that opens anything, or one that somebody knows of
			}
			l := leaks[b.Path]
			if l == nil {
				l = &leak{p: d.patientAt(path.Dir(b.Path)), path: b.Path, commit: b.Commit}
				leaks[b.Path] = l
			}
			if now := current[key.Fingerprint()]; now != nil {
				l.now, l.commit = now, b.Commit
			}
			return nil
		},
		MaxBlob: 64 << 10,
	})
	progress.clear()
	var shallow *gitutil.ShallowError
	if err != nil && !errors.As(err, &shallow) && ctx.Err() == nil {
		d.say(nil, "key-history", warns, "git fsck", "the history could not be searched for keys: %s", d.s.explain(err).Lines[0])
	}
	for _, name := range slices.Sorted(maps.Keys(leaks)) {
		l := leaks[name]
		short := l.commit[:min(len(l.commit), 10)]
		switch {
		case l.now != nil:
			d.say(l.now, "key-history", fails, l.now.on+" rotate", "the key in use is in the history (%s, commit %s): whoever has a clone can open %s", l.path, short, formation.VaultFile)
		case l.p != nil:
			d.say(l.p, "key-history", warns, l.p.on+" log", "an older key is in the history (%s, commit %s): values from then are known to whoever has a clone; replace those, then allow it in %s", l.path, short, formation.SettingsFile)
		default:
			d.say(nil, "key-history", warns, "git show --stat "+short, "a key is in the history (%s, commit %s): what it opened is known to whoever has a clone", l.path, short)
		}
	}
	if len(leaks) == 0 && err == nil {
		d.ok(nil, "key-history", "no key in the history")
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

// settings are the team's; nil where there are none, or where they are broken,
// which leaks says.
func (d *doctor) settings() *formation.Settings {
	if d.repo == nil || d.repo.Layout().Top == "" {
		return nil
	}
	content, err := os.ReadFile(filepath.Join(d.repo.Layout().Top, formation.SettingsFile))
	if err != nil {
		return nil
	}
	settings, err := formation.ParseSettings(content, func(string) bool { return true })
	if err != nil {
		return nil
	}
	return settings
}

// unsettled judges merges that wait for somebody to settle a name.
func (d *doctor) unsettled(ctx context.Context) {
	states, err := hooks.MergeStates(d.repo.Layout())
	if err != nil {
		return
	}
	for _, state := range states {
		open := state.Open()
		p := d.patientAt(path.Dir(state.Path))
		if alive, err := state.Alive(ctx, d.repo); err != nil || !alive || len(open) == 0 || p == nil {
			continue
		}
		d.say(p, "unsettled-merge", fails, fmt.Sprintf("%s resolve %s --ours", p.on, open[0]), "the merge waits for a decision on %s (--ours, --theirs or --stdin); a commit is stopped", some(open))
	}
}

// hooks reports whether a hook of ours is installed.
func (d *doctor) hooks(ctx context.Context) (installed bool) {
	list, _, err := d.s.installer(d.repo, false).Status(ctx)
	if err != nil {
		d.say(nil, "hooks", warns, program+" hooks status", "%s", d.s.explain(err).Lines[0])
		return false
	}
	var missing, outdated []string
	for _, hook := range list {
		switch hook.State {
		case hooks.Missing:
			missing = append(missing, hook.Name)
		case hooks.Outdated:
			outdated = append(outdated, hook.Name)
		}
		if hook.State == hooks.Installed && scriptVersion(readFile(hook.Path)) > scriptVersion([]byte(hooks.Script(hook.Name, ""))) {
			d.say(nil, "program", warns, "go install github.com/muxi-ai/git-muxi-secrets@latest", "this git-muxi-secrets is older than the one that installed the hook %s", hook.Name)
		}
	}
	mend := func(ctx context.Context) error {
		d.s.ensureHooks(ctx)
		return nil
	}
	switch {
	case len(missing) == len(list):
		d.say(nil, "hooks", warns, program+" hooks install", "the git hooks are not installed in this clone: nothing stops a leak before CI does").fix = mend
	case len(missing) > 0:
		d.say(nil, "hooks", warns, program+" hooks install", "the git hooks %s %s not installed in this clone", some(missing), isAre(len(missing))).fix = mend
	case len(outdated) > 0:
		d.say(nil, "hooks", warns, program+" hooks install", "the git hooks %s %s from another version", some(outdated), isAre(len(outdated))).fix = mend
	default:
		d.ok(nil, "hooks", "hooks")
	}
	return len(missing) < len(list)
}

func readFile(path string) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return content
}

// scriptVersion is the number in the line that says whose hook it is.
func scriptVersion(content []byte) int {
	if !hooks.IsOurs(content) {
		return 0
	}
	_, line, _ := strings.Cut(string(content), "\n")
	line, _, _ = strings.Cut(line, ":")
	n, _ := strconv.Atoi(line[strings.LastIndexByte(line, 'v')+1:])
	return n
}

// drivers reports whether git has any of the drivers.
func (d *doctor) drivers(ctx context.Context) (set bool) {
	needed := false
	for _, p := range d.patients {
		vault, _ := p.HasVault()
		needed = needed || vault
	}
	switch d.s.driversState(ctx) {
	case string(hooks.Installed):
		d.ok(nil, "drivers", "merge drivers")
		return true
	case string(hooks.Missing):
		if !needed {
			return false
		}
		on := d.patients[0].on
		d.say(nil, "drivers", warns, on+" sync", "git lacks the diff and merge drivers in this clone: a merge of %s would stop at a conflict", formation.VaultFile).
			fix = func(ctx context.Context) error {
			if err := hooks.SetDrivers(ctx, d.repo); err != nil {
				return err
			}
			d.s.say("Set git's diff and merge drivers in this clone")
			return nil
		}
	}
	return d.configured(hooks.Drivers()[0].Key)
}

// onPath judges whether git finds this program by its name, which hooks and
// drivers need, and whether it is as new as the one that runs.
func (d *doctor) onPath(ctx context.Context, needed bool) {
	self, _ := os.Executable()
	found, err := exec.LookPath("git-muxi-secrets")
	if err != nil {
		remedy := "go install github.com/muxi-ai/git-muxi-secrets@latest"
		if strings.HasPrefix(filepath.Base(self), "git-muxi-secrets") {
			remedy = fmt.Sprintf(`export PATH="$PATH:"%s`, quote(filepath.ToSlash(filepath.Dir(self))))
		}
		state := warns
		if needed {
			state = fails
		}
		d.say(nil, "program", state, remedy, "git-muxi-secrets is not on PATH, where git looks for what shows and merges %s", formation.VaultFile)
		return
	}
	one, errOne := os.Stat(self)
	other, errOther := os.Stat(found)
	if errOne == nil && errOther == nil && !os.SameFile(one, other) {
		if text, err := ask(ctx, found, "--version"); err == nil {
			theirs, okTheirs := versionIn(text)
			ours, okOurs := versionIn(buildVersion())
			if okTheirs && okOurs && older(theirs, ours) {
				d.say(nil, "program", warns, "go install github.com/muxi-ai/git-muxi-secrets@latest", "git runs an older git-muxi-secrets than this one: '%s' is %d.%d", d.s.show(found), theirs[0], theirs[1])
				return
			}
		}
	}
	d.ok(nil, "program", "git finds git-muxi-secrets")
}

// leaks runs the checks that a commit and CI run, and sorts what they find to
// the formations.
func (d *doctor) leaks(ctx context.Context) {
	if d.repo == nil || d.repo.Layout().Top == "" {
		return
	}
	found, err := d.findings(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return
		}
		e := d.s.explain(d.s.explainScope(err))
		remedy := program + " check"
		var settings *formation.SettingsError
		var config *hooks.ConfigError
		switch {
		case errors.As(err, &settings):
			remedy = d.edit(filepath.Join(d.repo.Layout().Top, formation.SettingsFile), 1)
		case errors.As(err, &config):
			remedy = "git config " + config.Key + " 90d"
		}
		d.say(nil, "check", fails, remedy, "%s", e.Lines[0])
		return
	}
	type group struct {
		p    *patient
		rule scan.Rule
	}
	var order []group
	places, messages, names := map[group][]place{}, map[group]string{}, map[group]string{}
	top := d.repo.Layout().Top
	for _, f := range found {
		g := group{d.owner(f.Path), f.Rule}
		switch f.Rule {
		case scan.TemplateStale, scan.MissingSecret, scan.KeyPermissions, scan.UnusedSecret, scan.MalformedReference, scan.UnsettledMerge, scan.KeyNotIgnored:
			continue // judged above, outside of a repository as well
		case scan.KeyFile:
			if g.p != nil && path.Base(f.Path) == formation.KeyFile && d.patientAt(path.Dir(f.Path)) == g.p {
				continue
			}
		}
		if d.told[fmt.Sprintf("%s:%d", f.Path, f.Line)] {
			continue
		}
		if _, ok := messages[g]; !ok {
			order = append(order, g)
			messages[g], names[g] = f.Message, f.Secret
		}
		places[g] = append(places[g], place{filepath.Join(top, filepath.FromSlash(f.Path)), f.Line})
	}
	leaking := map[*patient]bool{}
	for _, g := range order {
		state, remedy := fails, program+" check"
		if g.rule.Severity() == scan.Warning {
			state = warns
		}
		if g.p != nil {
			switch g.rule {
			case scan.SharedKey:
				remedy = g.p.on + " rotate"
			case scan.SharedValue, scan.ValueDue:
				remedy = g.p.on + " add " + quote(names[g])
			}
		}
		leaking[g.p] = true
		d.say(g.p, string(g.rule), state, remedy, "%s: %s", d.places(places[g]), messages[g])
	}
	if !leaking[nil] {
		d.ok(nil, "check", "no leak in the other files")
	}
	for _, p := range d.patients {
		if !leaking[p] {
			d.ok(p, "check", "no leak in its files")
		}
	}
}

// findings are those of a plain check.
func (d *doctor) findings(ctx context.Context) ([]scan.Finding, error) {
	j := &hooks.Judge{Repo: d.repo, Now: d.s.Now, Basis: hooks.BasisBeside(d.s.reopen, hooks.BasisOnDisk)}
	report, err := j.WorkTree(ctx)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, p := range d.patients {
		files = append(files, p.Path(p.File))
	}
	ignored, err := d.repo.Ignored(ctx, files)
	if err != nil {
		return nil, err
	}
	var snapshots []*hooks.Snapshot
	for i, p := range d.patients {
		if ignored[i] {
			continue // git does not know it
		}
		snapshot, err := hooks.OnDisk(d.repo.Layout(), &formation.Formation{Dir: realDir(p.Dir), File: p.File, SharedKey: p.SharedKey})
		if err != nil {
			continue // look said so
		}
		snapshots = append(snapshots, snapshot)
	}
	report, err = j.WithState(ctx, report, snapshots)
	if err != nil {
		return nil, err
	}
	return report.Findings, nil
}

// owner is the innermost formation around a file, named from the top with /.
func (d *doctor) owner(file string) *patient {
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if p := d.patientAt(dir); p != nil || dir == "." || dir == "/" {
			return p
		}
	}
}
