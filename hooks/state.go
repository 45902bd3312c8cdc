package hooks

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

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Snapshot is one formation as the work tree, the index or a commit has it. Its
// key is always the one on disk: no commit ever holds it.
type Snapshot struct {
	Dir      string // from the top, with /; "." is the top
	Survey   *formation.Survey
	Template []byte
	HasTemplate,
	HasVault bool
	templateMode gitutil.Mode
	// linked says that the template is a symbolic link: what git has of it is a
	// path, and the names are elsewhere.
	linked bool
	Key    *crypto.Key      // nil: not at hand, or no key
	Vault  *formation.Vault // nil: not to be opened
	// Err is why a vault with a key at hand does not open.
	Err error
}

// Source shows the files of one version of the repository at or below a path.
type Source func(ctx context.Context, path string, v gitutil.Visitor) error

// Index is the version that the pending commit is made from.
func Index(repo gitutil.Repository) Source { return repo.IndexBlobs }

// Tree is the version that a commit holds.
func Tree(repo gitutil.Repository, rev string) Source {
	return func(ctx context.Context, path string, v gitutil.Visitor) error {
		return repo.TreeBlobs(ctx, rev, path, v)
	}
}

// Snapshots reads the formations in dirs from a version. all are the folders of
// every formation in it: a file belongs to the innermost one around it.
func Snapshots(ctx context.Context, repo gitutil.Repository, from Source, dirs, all []string) ([]*Snapshot, error) {
	return snapshots(ctx, repo, from, dirs, all, formation.ReferencesIn)
}

// referencesIn is formation.ReferencesIn, or something that remembers.
type referencesIn func(path string, content []byte) formation.References

// remembered parses each content once: in a hook, the index and the work tree
// mostly hold the same.
func remembered() referencesIn {
	known := map[string]formation.References{}
	return func(path string, content []byte) formation.References {
		key := path + "\x00" + string(content)
		found, ok := known[key]
		if !ok {
			found = formation.ReferencesIn(path, content)
			known[key] = found
		}
		return found
	}
}

func snapshots(ctx context.Context, repo gitutil.Repository, from Source, dirs, all []string, parse referencesIn) ([]*Snapshot, error) {
	type reading struct {
		*Snapshot
		sealed []byte
	}
	read := map[string]*reading{}
	for _, dir := range all {
		read[dir] = nil
	}
	var list []*reading
	for _, dir := range dirs {
		r := &reading{Snapshot: &Snapshot{Dir: dir, Survey: &formation.Survey{}}}
		read[dir] = r
		list = append(list, r)
	}
	owner := func(p string) (*reading, string) {
		for dir := path.Dir(p); ; dir = path.Dir(dir) {
			if r, ok := read[dir]; ok {
				return r, within(dir, p)
			}
			if dir == "." {
				return nil, ""
			}
		}
	}
	only := ""
	if len(dirs) == 1 && dirs[0] != "." {
		only = dirs[0]
	}
	err := from(ctx, only, gitutil.Visitor{
		Want: func(p string, _ gitutil.Mode) bool {
			r, rel := owner(p)
			return r != nil && (rel == formation.VaultFile || rel == formation.TemplateFile || formation.MayRefer(rel))
		},
		Blob: func(b *gitutil.Blob) error {
			r, rel := owner(b.Path)
			switch rel {
			case formation.VaultFile:
				r.HasVault, r.sealed = true, append([]byte(nil), b.Data...)
			case formation.TemplateFile:
				r.HasTemplate, r.Template = true, append([]byte(nil), b.Data...)
				r.templateMode, r.linked = b.Mode, b.Mode == gitutil.ModeLink
			default:
				r.Survey.Add(rel, parse(rel, b.Data))
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	var snapshots []*Snapshot
	for _, r := range list {
		r.open(repo.Layout(), r.sealed)
		snapshots = append(snapshots, r.Snapshot)
	}
	return snapshots, nil
}

// OnDisk is the formation as the work tree has it.
func OnDisk(layout gitutil.Layout, f *formation.Formation) (*Snapshot, error) {
	return onDisk(layout, f, formation.ReferencesIn)
}

func onDisk(layout gitutil.Layout, f *formation.Formation, parse referencesIn) (*Snapshot, error) {
	survey, err := f.SurveyWith(parse)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Dir: Label(layout.Top, f.Dir), Survey: survey}
	if _, s.Template, s.HasTemplate, err = f.ReadTemplate(); err != nil {
		return nil, err
	}
	sealed, ok, err := f.ReadSealed()
	if err != nil {
		return nil, err
	}
	s.HasVault = ok
	s.open(layout, sealed)
	return s, nil
}

// open opens the vault with the key of the work tree, if there is one.
func (s *Snapshot) open(layout gitutil.Layout, sealed []byte) {
	if layout.Top == "" {
		return
	}
	f := Share(layout, &formation.Formation{Dir: filepath.Join(layout.Top, filepath.FromSlash(s.Dir))})
	key, err := f.ReadKey()
	var missing *formation.NoKeyError
	if errors.As(err, &missing) {
		return
	}
	if err != nil {
		s.Err = err
		return
	}
	s.Key = key
	if !s.HasVault {
		s.Vault = formation.NewVault()
		return
	}
	plaintext, err := key.Open(sealed)
	if err == nil {
		s.Vault, err = formation.DecodeVault(plaintext)
	}
	if err != nil {
		s.Err = &formation.VaultError{Path: f.Path(formation.VaultFile), Err: err}
	}
}

// within gives p relative to the folder dir, or "" where it is not inside.
func within(dir, p string) string {
	if dir == "." {
		return p
	}
	rel, ok := strings.CutPrefix(p, dir+"/")
	if !ok {
		return ""
	}
	return rel
}

// State judges formations as a whole: the rules that no single file shows.
func (j *Judge) State(ctx context.Context, snapshots []*Snapshot) ([]scan.Finding, error) {
	var found []scan.Finding
	for _, s := range snapshots {
		found = append(found, s.template()...)
		found = append(found, s.values()...)
		onKey, err := j.keyFile(ctx, s.Dir)
		if err != nil {
			return nil, err
		}
		found = append(found, onKey...)
	}
	found = append(found, shared(snapshots)...)
	basis, err := j.Basis()
	if err != nil {
		return nil, err
	}
	due, err := j.due(ctx, snapshots, basis.Settings)
	if err != nil {
		return nil, err
	}
	return basis.Settle(append(found, due...)), nil
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
		if s.Vault != nil && s.Vault.Len() > 0 {
			current[s.Dir] = s.Vault
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
	history, err := ReadHistory(ctx, j.Repo, NewKeys(ctx, j.Repo, ""), "", nil)
	if err != nil {
		return nil, err
	}
	ages, err := history.Ages(current, now)
	if missing := (*gitutil.MissingObjectError)(nil); errors.As(err, &missing) {
		return nil, nil // a partial clone that cannot tell
	}
	if err != nil {
		return nil, err
	}
	var found []scan.Finding
	for _, s := range snapshots {
		for name, since := range history.AtLeast[s.Dir] {
			if now.Sub(since) > limit {
				ages[s.Dir][name] = since // it is due, however old it is
			} else {
				j.Undated = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(ages[s.Dir])) {
			since := ages[s.Dir][name]
			if age := now.Sub(since); !since.IsZero() && age > limit {
				found = append(found, finding(scan.ValueDue, path.Join(s.Dir, formation.VaultFile), name, 1, 1,
					"%s has had its value since %s, for %d days; it is due after %d", name, since.Format(time.DateOnly), int(age.Hours()/24), int(limit.Hours()/24)))
			}
		}
	}
	return found, nil
}

func finding(rule scan.Rule, file, secret string, line, column int, format string, args ...any) scan.Finding {
	return scan.Finding{
		Rule: rule, Severity: rule.Severity(), Path: file, Line: max(line, 1), Column: max(column, 1),
		Secret: secret, Message: fmt.Sprintf(format, args...), Fingerprint: scan.Fingerprint(rule, file, secret),
	}
}

// Plan is the template as it should be in this version.
func (s *Snapshot) Plan() *formation.TemplatePlan {
	return formation.PlanTemplate(s.Template, s.HasTemplate, s.Survey, s.Vault, nil)
}

// template judges the template of a formation that was set up. Before that, a
// template is what the formation's author made of it: MUXI's own examples leave
// names out of theirs.
func (s *Snapshot) template() []scan.Finding {
	if s.linked || !s.HasVault && s.Key == nil {
		return nil
	}
	plan := s.Plan()
	if plan.State == formation.TemplateCurrent {
		return nil
	}
	message := "the template is not what 'git muxi-secrets sync' would write"
	switch {
	case plan.State == formation.TemplateMissing:
		message = "the template is missing; 'git muxi-secrets sync' writes it"
	case len(plan.Added)+len(plan.Dropped) > 0:
		message = fmt.Sprintf("the template is stale (%s); 'git muxi-secrets sync' writes it", plan.Changes())
	}
	return []scan.Finding{finding(scan.TemplateStale, path.Join(s.Dir, formation.TemplateFile), "", 1, 1, "%s", message)}
}

// values compares what is referred to with what is stored.
func (s *Snapshot) values() []scan.Finding {
	if s.Vault == nil {
		return nil
	}
	var found []scan.Finding
	told := map[string]bool{}
	used := map[string]bool{}
	for _, ref := range s.Survey.References {
		used[ref.Name] = true
		if _, ok := s.Vault.Find(ref.Name); ok || ref.Optional || told[ref.Name] {
			continue
		}
		told[ref.Name] = true
		found = append(found, finding(scan.MissingSecret, path.Join(s.Dir, ref.Path), ref.Name, ref.Line, ref.Column,
			"%s has no value; 'git muxi-secrets add %s' stores one", ref.Name, ref.Name))
	}
	for _, name := range s.Vault.Names() {
		if !used[formation.Normalize(name)] {
			found = append(found, finding(scan.UnusedSecret, path.Join(s.Dir, formation.VaultFile), name, 1, 1,
				"%s is stored and no file refers to it", name))
		}
	}
	return found
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
		return nil, &formation.FileError{Op: "read", Path: full, Err: err}
	}
	name := path.Join(dir, formation.KeyFile)
	var found []scan.Finding
	ignored, err := j.Repo.Ignored(ctx, []string{full})
	if err != nil {
		return nil, err
	}
	if !ignored[0] {
		found = append(found, finding(scan.KeyNotIgnored, name, "", 1, 1, "git would track this key; 'git muxi-secrets init' has it ignored"))
	}
	if formation.ReadableByOthers(info) {
		found = append(found, finding(scan.KeyPermissions, name, "", 1, 1, "others on this machine can read this key; 'chmod 600' it"))
	}
	return found, nil
}

// shared finds formations that have one key, or one value for the same name.
func shared(snapshots []*Snapshot) []scan.Finding {
	var found []scan.Finding
	keys := map[string]string{}
	values := map[[2]string]string{}
	for _, s := range snapshots {
		if s.Key != nil {
			if first, ok := keys[s.Key.Fingerprint()]; ok {
				found = append(found, finding(scan.SharedKey, path.Join(s.Dir, formation.KeyFile), "", 1, 1, "the same key as %s has; give each formation its own", where(first)))
			} else {
				keys[s.Key.Fingerprint()] = s.Dir
			}
		}
		if s.Vault == nil {
			continue
		}
		for _, name := range s.Vault.Names() {
			value, _, err := s.Vault.Get(name)
			if err != nil {
				continue
			}
			at := [2]string{name, value}
			if first, ok := values[at]; ok {
				found = append(found, finding(scan.SharedValue, path.Join(s.Dir, formation.VaultFile), name, 1, 1, "%s has the same value in %s", name, where(first)))
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
	found, err := j.State(ctx, snapshots)
	if err != nil {
		return nil, err
	}
	report.Findings = append(report.Findings, found...)
	return report, nil
}
