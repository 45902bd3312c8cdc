package judge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// State judges formations as a whole: the rules that no single file shows.
func (j *Judge) State(ctx context.Context, snapshots []*Snapshot) (*Report, error) {
	report := &Report{}
	var found []scan.Finding
	for _, s := range snapshots {
		for _, file := range slices.Sorted(maps.Keys(s.Survey.Filtered)) {
			report.Skipped = append(report.Skipped, Skipped{path.Join(s.Dir, file), "what it refers to is not known: " + s.Survey.Filtered[file]})
		}
		found = append(found, s.template()...)
		values, err := j.values(ctx, s)
		if err != nil {
			return nil, err
		}
		found = append(found, values...)
		onKey, err := j.keyFile(ctx, s.Dir)
		if err != nil {
			return nil, err
		}
		found = append(found, onKey...)
	}
	found = append(found, shared(j.Repo.Layout().Top, snapshots)...)
	basis, err := j.Basis()
	if err != nil {
		return nil, err
	}
	due, err := j.due(ctx, snapshots, basis.Settings)
	if err != nil {
		return nil, err
	}
	report.Add(basis, append(found, due...))
	return report, nil
}

// MaxAgeConfig is the git setting for how old a value may become; it wins over
// the team's.
const MaxAgeConfig = "muxi-secrets.maxAge"

// ConfigError is a setting of git's that cannot be used.
type ConfigError struct {
	Key string
	Err error
}

func (e *ConfigError) Error() string { return e.Key + ": " + e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// maxAge is how old a value may become; 0 is any age.
func (j *Judge) maxAge(ctx context.Context, settings *formation.Settings) (time.Duration, error) {
	text, ok, err := j.Repo.Config(ctx, MaxAgeConfig)
	if err != nil {
		return 0, err
	}
	if ok {
		age, err := formation.ParseAge(strings.TrimSpace(text))
		if err != nil {
			return 0, &ConfigError{MaxAgeConfig, err}
		}
		return age, nil
	}
	if settings != nil {
		return settings.MaxAge, nil
	}
	return 0, nil
}

// due finds values that are older than they should become. How old one is stands
// in the history; where a clone does not hold all of it, a value is at least as
// old as what the clone does hold.
func (j *Judge) due(ctx context.Context, snapshots []*Snapshot, settings *formation.Settings) ([]scan.Finding, error) {
	current := map[string]*formation.Vault{}
	for _, s := range snapshots {
		if vault := s.Vault(); vault != nil && vault.Len() > 0 {
			current[s.Dir] = vault
		}
	}
	if len(current) == 0 {
		return nil, nil
	}
	limit, err := j.maxAge(ctx, settings)
	if err != nil || limit == 0 {
		return nil, err
	}
	now := time.Now()
	if j.Now != nil {
		now = j.Now()
	}
	past, err := history.Read(ctx, j.Repo, history.NewKeys(ctx, j.Repo, ""), "", nil)
	if err != nil {
		return nil, err
	}
	ages, err := past.Ages(current, now)
	if missing := (*gitutil.MissingObjectError)(nil); errors.As(err, &missing) {
		return nil, nil // a partial clone that cannot tell
	}
	if err != nil {
		return nil, err
	}
	var found []scan.Finding
	for _, s := range snapshots {
		for name, since := range past.AtLeast[s.Dir] {
			if now.Sub(since) > limit {
				ages[s.Dir][name] = since // it is due, however old it is
			} else {
				j.Undated = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(ages[s.Dir])) {
			since := ages[s.Dir][name]
			if age := now.Sub(since); !since.IsZero() && age > limit {
				found = append(found, scan.NewFinding(scan.ValueDue, path.Join(s.Dir, formation.VaultFile), name, 1, 1,
					"%s has had its value since %s, for %d days; it is due after %d", name, since.Format(time.DateOnly), int(age.Hours()/24), int(limit.Hours()/24)))
			}
		}
	}
	return found, nil
}

// template judges the template of a formation that was set up. Before that, a
// template is what the formation's author made of it: MUXI's own examples leave
// names out of theirs.
func (s *Snapshot) template() []scan.Finding {
	if s.Linked || !s.HasVault && s.Key == nil {
		return nil
	}
	plan := s.Template
	if plan == nil || plan.State == formation.TemplateCurrent {
		return nil
	}
	message := "the template is not as it would be written"
	switch {
	case plan.State == formation.TemplateMissing:
		message = "the template is missing"
	case len(plan.Added)+len(plan.Dropped) > 0:
		message = fmt.Sprintf("the template is stale (%s)", plan.Changes())
	}
	stale := scan.NewFinding(scan.TemplateStale, path.Join(s.Dir, formation.TemplateFile), "", 1, 1, "%s", message)
	return []scan.Finding{stale.MendedBy("sync", "writes it")}
}

// values compares what is referred to with what is stored.
func (j *Judge) values(ctx context.Context, s *Snapshot) (found []scan.Finding, err error) {
	if s.Fresh || s.Vault() == nil {
		return nil, nil
	}
	for _, lack := range s.Survey.Lacking(s.Vault()) {
		missing := scan.NewFinding(scan.MissingSecret, path.Join(s.Dir, lack.Place.Path), lack.Name, lack.Place.Line, lack.Place.Column, "%s has no value", lack.Name)
		if lack.Soft {
			missing.Severity = scan.Warning // as the runtime has it
		}
		missing, here, err := j.notBrought(ctx, s, missing)
		if err != nil {
			return nil, err
		}
		if !here {
			missing = missing.MendedBy("add "+lack.Name, "stores one")
		}
		found = append(found, missing)
	}
	for _, name := range s.Survey.Unused(s.Vault()) {
		found = append(found, scan.NewFinding(scan.UnusedSecret, path.Join(s.Dir, formation.VaultFile), name, 1, 1, "%s is stored and no file refers to it", name))
	}
	return found, nil
}

// keyFile judges the .key on disk.
func (j *Judge) keyFile(ctx context.Context, dir string) ([]scan.Finding, error) {
	top := j.Repo.Layout().Top
	if top == "" {
		return nil, nil
	}
	full := filepath.Join(top, filepath.FromSlash(dir), formation.KeyFile)
	info, err := os.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &safefile.Error{Op: "read", Path: full, Err: err}
	}
	name := path.Join(dir, formation.KeyFile)
	var found []scan.Finding
	ignored, err := j.Repo.Ignored(ctx, []string{full})
	if err != nil {
		return nil, err
	}
	message := ""
	switch {
	case !ignored[0]:
		message = "git would track this key"
	case LacksIgnore(LackingOnDisk(j.Repo.Layout(), filepath.Dir(full), false)):
		message = "git would track this key in every other clone: no file that comes along has it ignored"
	}
	if message != "" {
		found = append(found, scan.NewFinding(scan.KeyNotIgnored, name, "", 1, 1, "%s", message).MendedBy("init", "has it ignored"))
	}
	if info.Mode().IsRegular() && safefile.ReadableByOthers(info) {
		found = append(found, scan.NewFinding(scan.KeyPermissions, name, "", 1, 1, "others on this machine can read this key; 'chmod 600' it"))
	}
	return found, nil
}

// onlyNotIgnored leaves one finding for a .key that git does not have yet, and would
// take in: a key-file is one that git has.
func (j *Judge) onlyNotIgnored(ctx context.Context, report *Report) error {
	loose := map[string]bool{}
	for _, f := range report.Findings {
		if f.Rule != scan.KeyNotIgnored {
			continue
		}
		tracked, err := j.Repo.Tracked(ctx, []string{filepath.Join(j.Repo.Layout().Top, filepath.FromSlash(f.Path))})
		if err != nil {
			return err
		}
		loose[f.Path] = !tracked[0]
	}
	report.Findings = slices.DeleteFunc(report.Findings, func(f scan.Finding) bool { return f.Rule == scan.KeyFile && loose[f.Path] })
	return nil
}

// shared finds formations that have one key, or one value for the same name. One
// vault that links show in several folders is one, and shares with nobody.
func shared(top string, snapshots []*Snapshot) []scan.Finding {
	if top != "" {
		vaults := map[string]bool{}
		snapshots = slices.DeleteFunc(slices.Clone(snapshots), func(s *Snapshot) bool {
			file := filepath.Join(top, filepath.FromSlash(s.Dir), formation.VaultFile)
			real := paths.Real(file)
			linked := s.HasVault && vaults[real]
			vaults[real] = true
			return linked
		})
	}
	var found []scan.Finding
	keys := map[string]string{}
	values := map[[2]string]string{}
	for _, s := range snapshots {
		if s.Key != nil {
			if first, ok := keys[s.Key.Fingerprint()]; ok {
				found = append(found, scan.NewFinding(scan.SharedKey, path.Join(s.Dir, formation.KeyFile), "", 1, 1, "the same key as %s has; give each formation its own", where(first)))
			} else {
				keys[s.Key.Fingerprint()] = s.Dir
			}
		}
		vault := s.Vault()
		if vault == nil {
			continue
		}
		for _, name := range vault.Names() {
			value, _, err := vault.Get(name)
			if err != nil {
				continue
			}
			at := [2]string{name, value}
			if first, ok := values[at]; ok {
				found = append(found, scan.NewFinding(scan.SharedValue, path.Join(s.Dir, formation.VaultFile), name, 1, 1, "%s has the same value in %s", name, where(first)))
			} else {
				values[at] = s.Dir
			}
		}
	}
	return found
}

func where(dir string) string {
	if dir == "." {
		return "the top of the repository"
	}
	return "'" + dir + "'"
}

// WithState adds to a report what State finds.
func (j *Judge) WithState(ctx context.Context, report *Report, snapshots []*Snapshot) (*Report, error) {
	state, err := j.State(ctx, snapshots)
	if err != nil {
		return nil, err
	}
	report.Findings = append(report.Findings, state.Findings...)
	report.Silenced = append(report.Silenced, state.Silenced...)
	report.Skipped = append(report.Skipped, state.Skipped...)
	return report, nil
}

// WorkTreeWithState judges the work tree and then the state of the formations in
// it, but for those that git ignores.
func (j *Judge) WorkTreeWithState(ctx context.Context, find func() ([]*formation.Formation, error)) (*Report, error) {
	report, err := j.WorkTree(ctx)
	if err != nil {
		return report, err
	}
	formations, err := find()
	if err != nil {
		return nil, err
	}
	var files []string
	for _, f := range formations {
		files = append(files, f.Path(f.File))
	}
	ignored, err := j.Repo.Ignored(ctx, files)
	if err != nil {
		return nil, err
	}
	tracked, err := j.Repo.Tracked(ctx, files)
	if err != nil {
		return nil, err
	}

	var known []*formation.Formation
	for i, f := range formations {
		if tracked[i] || !ignored[i] { // else git does not know it
			known = append(known, f)
		}
	}
	leftOut, err := LeftOut(ctx, j.Repo, known)
	if err != nil {
		return nil, err
	}
	var snapshots []*Snapshot
	var outOfStep []scan.Finding
	for _, f := range known {
		found, err := OutOfStepOnDisk(ctx, j.Repo, f)
		if err != nil {
			return nil, err
		}
		outOfStep = append(outOfStep, found...)
		snapshot, err := OnDisk(j.Repo.Layout(), f)
		var unread *safefile.Error
		if errors.As(err, &unread) {
			// One file that is not there is not the end of the look at all others.
			report.Skipped = append(report.Skipped, Skipped{Label(j.Repo.Layout().Top, unread.Path), "the state of its formation is not known: " + unread.Cause()})
			continue
		}
		if err != nil {
			return nil, err
		}
		snapshots = append(snapshots, snapshot)
	}
	if report, err = j.WithState(ctx, report, snapshots); err != nil {
		return nil, err
	}
	if err := j.onlyNotIgnored(ctx, report); err != nil {
		return nil, err
	}
	vouched, err := j.Vouched(ctx, snapshots)
	if err != nil {
		return nil, err
	}
	basis, err := j.Basis()
	if err != nil {
		return nil, err
	}
	lacking, _, err := LackingIn(ctx, Index(j.Repo), basis.Dirs)
	if err != nil {
		return nil, err
	}
	filters, err := FiltersOnDisk(ctx, j.Repo, basis.Dirs)
	if err != nil {
		return nil, err
	}
	report.Add(basis, outOfStep)
	report.Add(basis, leftOut)
	report.Add(basis, GitFiles(lacking))
	report.Add(basis, Filters(filters))
	report.Add(basis, vouched)
	return report, nil
}
