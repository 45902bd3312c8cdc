package doctor

import (
	"context"
	"errors"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// keyLeak is a key that was committed.
type keyLeak struct {
	owner  *patient // the formation at that place; nil for none
	user   *patient // the formation that uses this key today; nil for none
	path   string
	commit string
}

// keyHistory looks for keys that were committed, in any folder and on any ref.
func (d *doctor) keyHistory(ctx context.Context) {
	leaks, err := d.keyLeaks(ctx)
	var shallow *gitutil.ShallowError
	if err != nil && !errors.As(err, &shallow) && ctx.Err() == nil {
		d.say(nil, "key-history", Warn, "git fsck", "the history could not be searched for keys: %s", d.Explain(err))
	}
	for _, name := range slices.Sorted(maps.Keys(leaks)) {
		l := leaks[name]
		short := l.commit[:min(len(l.commit), 10)]
		var tracked *formation.TrackedKeyError
		switch {
		case l.owner != nil && errors.As(l.owner.Locked(), &tracked):
			d.say(l.owner, "key-history", Fail, d.Git("git rm --cached", tracked.Path), "a key that git tracks is in the history (%s, commit %s): whoever has a clone has it; take it out of git, then make a new one with 'rotate'", l.path, short)
		case l.user != nil:
			d.say(l.user, "key-history", Fail, l.user.on+" rotate", "the key in use is in the history (%s, commit %s): whoever has a clone can open %s", l.path, short, formation.VaultFile)
		case l.owner != nil:
			d.say(l.owner, "key-history", Warn, l.owner.on+" log", "an older key is in the history (%s, commit %s): values from then are known to whoever has a clone; replace those, then allow it in %s", l.path, short, formation.SettingsFile)
		default:
			d.say(nil, "key-history", Warn, "git show --stat "+short, "a key is in the history (%s, commit %s): what it opened is known to whoever has a clone", l.path, short)
		}
	}
	if len(leaks) == 0 && err == nil {
		d.ok(nil, "key-history", "no key in the history")
	}
}

// keyLeaks are the keys of the history by their paths; of several in one place
// the one that is still in use.
func (d *doctor) keyLeaks(ctx context.Context) (map[string]keyLeak, error) {
	settings := d.settings()
	leaks := map[string]keyLeak{}
	commits := 0
	err := d.repo.History(ctx, gitutil.Visitor{
		MaxBlob: 64 << 10,
		Want:    func(name string, _ gitutil.Mode) bool { return strings.EqualFold(path.Base(name), formation.KeyFile) },
		Commit: func(*gitutil.Commit) error {
			commits++
			d.Walked(commits)
			return nil
		},
		Blob: func(b *gitutil.Blob) error {
			key, err := crypto.ParseKey(b.Data)
			if err != nil || settings.Allows(string(scan.KeyFile), b.Path, scan.Fingerprint(scan.KeyFile, b.Path, "")) {
				return nil // no key that opens anything, or one that somebody knows of
			}
			l := keyLeak{d.patientAt(path.Dir(b.Path)), d.userOf(key), b.Path, b.Commit}
			if _, had := leaks[b.Path]; !had || l.user != nil {
				leaks[b.Path] = l
			}
			return nil
		},
	})
	return leaks, err
}

// userOf is the formation that uses a key.
func (d *doctor) userOf(key *crypto.Key) *patient {
	for _, p := range d.patients {
		if own, err := p.ReadKey(); err == nil && own.Equal(key) {
			return p
		}
	}
	return nil
}

// settings are the team's; nil where there are none, or where they are broken,
// which leaks says.
func (d *doctor) settings() *formation.Settings {
	content, err := read(filepath.Join(d.Layout.Top, formation.SettingsFile))
	if err != nil || d.Layout.Top == "" {
		return nil
	}
	settings, err := formation.ParseSettings(content, func(string) bool { return true })
	if err != nil {
		return nil
	}
	return settings
}

// finding is what the checks of a commit found of one rule in one formation.
type finding struct {
	p       *patient
	rule    scan.Rule
	message string
	secret  string
	mended  string // the command, where extract cannot do it
	staged  bool   // the index alone still has it
	movable bool   // extract takes all of it, as far as it was asked
	places  []place
}

// MaxAsked is how many findings of a kind are asked for a way out: each may take
// reading a file.
const MaxAsked = 100

// leaks runs the checks that a commit and CI run, and sorts what they find to
// the formations.
func (d *doctor) leaks(ctx context.Context) {
	if d.repo == nil || d.Layout.Top == "" {
		return
	}
	found, err := d.findings(ctx)
	if err != nil {
		d.trouble(nil, "check", Fail, err)
		return
	}
	leaking := map[*patient]bool{}
	for _, f := range found {
		state, remedy, repair := Fail, d.Call(nil)+" check", Repair("")
		if f.rule.Severity() == scan.Warning {
			state = Warn
		}
		switch {
		case f.staged:
			d.say(f.p, string(f.rule), state, d.gitAdd(f.places), "%s: staged, and not on disk any more: %s", d.places(f.places), f.message)
			leaking[f.p] = true
			continue
		case f.mended != "":
			remedy = f.mended
		case f.movable:
			remedy = f.p.on + " extract"
		case f.p != nil && f.rule == scan.GitFiles:
			if len(judge.LackingOnDisk(d.Layout, f.p.Dir, f.p.hasPeople())) > 0 {
				remedy, repair = f.p.on+" doctor --fix", TellGit
			} else {
				remedy = d.gitAdd(f.places)
			}
		case f.rule == scan.KeyFile:
			if remedy = d.Git("git rm --cached", f.places[0].path); !d.tracks(ctx, f.places[0].path) {
				remedy = d.Shell.MoveHome(d.shell(f.places[0].path))
			}
		case f.p != nil && f.rule == scan.SharedKey:
			remedy = f.p.on + " rotate"
		case f.p != nil && (f.rule == scan.SharedValue || f.rule == scan.ValueDue):
			remedy = f.p.on + " add " + d.Shell.Quote(f.secret)
		}
		leaking[f.p] = true
		d.say(f.p, string(f.rule), state, remedy, "%s: %s", d.places(f.places), f.message).Repair = repair
	}

	if !leaking[nil] && !d.leaky(nil) {
		d.ok(nil, "check", "no leak in the other files")
	}
	for _, p := range d.patients {
		if !leaking[p] && !d.leaky(p) {
			d.ok(p, "check", "no leak in its files")
		}
	}
}

// tracks reports whether git tracks a file, also where that cannot be told.
func (d *doctor) tracks(ctx context.Context, file string) bool {
	tracked, err := d.repo.Tracked(ctx, []string{file})
	return err != nil || tracked[0]
}

// gitAdd stages the files of these places as they are.
func (d *doctor) gitAdd(places []place) string {
	var files []string
	for i, at := range places {
		if i == 0 || at.path != places[i-1].path {
			files = append(files, at.path)
		}
	}
	return d.Git("git add", files...)
}

// findings are those of a plain check, but for what is said already.
func (d *doctor) findings(ctx context.Context) ([]*finding, error) {
	var formations []*formation.Formation
	for _, p := range d.patients {
		if p.Problem.Survey == nil {
			formations = append(formations, &formation.Formation{Dir: p.real, File: p.File, Finder: p.Finder})
		}
	}
	j := &judge.Judge{Repo: d.repo, Now: d.Now, Basis: hooks.BasisBeside(d.Reopen, func(repo gitutil.Repository) (*judge.Basis, error) {
		return judge.BasisOnDisk(ctx, repo)
	})}
	report, err := j.WorkTreeWithState(ctx, func() ([]*formation.Formation, error) { return formations, nil })
	if err != nil {
		return nil, err
	}

	staged, err := j.Staged(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range staged.Findings {
		if f.Remedy.Stage {
			report.Findings = append(report.Findings, f)
		}
	}

	var all []*finding
	for _, f := range report.Findings {
		p := d.owner(f.Path)
		at := place{filepath.Join(paths.Real(d.Layout.Top), filepath.FromSlash(f.Path)), f.Line}
		if d.saidAlready(p, f, at) {
			continue
		}
		mended := ""
		if f.Rule == scan.TemplateValue {
			mended = d.Mend(f)
		}
		i := slices.IndexFunc(all, func(had *finding) bool {
			return had.p == p && had.rule == f.Rule && had.staged == f.Remedy.Stage && had.mended == mended
		})
		if i < 0 {
			i = len(all)
			all = append(all, &finding{p: p, rule: f.Rule, message: f.Message, secret: f.Secret, staged: f.Remedy.Stage, mended: mended, movable: p != nil})
		}
		if all[i].movable && len(all[i].places) < MaxAsked {
			all[i].movable = d.Movable(f)
		}
		if f.Rule == scan.PlaintextKey && all[i].message != f.Message {
			all[i].message = "credentials in plain text" // each is another one
		}
		all[i].places = append(all[i].places, at)
	}
	return all, nil
}

// saidAlready reports whether another check speaks of a finding, outside of a
// repository as well.
func (d *doctor) saidAlready(p *patient, f scan.Finding, at place) bool {
	switch f.Rule {
	case scan.TemplateStale, scan.MissingSecret, scan.KeyPermissions, scan.UnusedSecret, scan.MalformedReference, scan.UnsettledMerge, scan.KeyNotIgnored:
		return true
	case scan.KeyOutOfStep:
		return p != nil
	case scan.UnvouchedKey, scan.UnvouchedPeople:
		if p != nil && p.step != nil {
			return true
		}
	case scan.VaultNotEncrypted:
		if p != nil && path.Base(f.Path) == formation.VaultFile && f.Broken != scan.BesideSeal && d.said(p, "vault") {
			return true
		}
	case scan.GitFiles:
		if f.Filtered != "" || p != nil && d.said(p, map[string]string{".gitignore": "key-not-ignored", ".gitattributes": "attributes", formation.VaultFile: string(scan.GitFiles)}[path.Base(f.Path)]) {
			return true
		}
	case scan.KeyFile:
		if p != nil && f.Path == path.Join(p.label, formation.KeyFile) {
			return true
		}
	}
	return d.told[at]
}

// owner is the innermost formation around a file, named from the top with /.
func (d *doctor) owner(file string) *patient {
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if p := d.patientAt(dir); p != nil || dir == "." || dir == "/" {
			return p
		}
	}
}
