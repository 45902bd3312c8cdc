package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
)

func (r *runner) statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "say how a formation stands: key, vault, missing and unused secrets",
		UsageText: "[--all] [--json]",
		Description: `   git muxi-secrets status

It works without the key, with what it can see, and exits 0 whatever it finds.`,
		Flags: []cli.Flag{jsonFlag(), allFlag()},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return s.status(ctx, c.Bool("json"))
		}),
	}
}

// standing is one formation in the JSON of status. The lists hold names.
type standing struct {
	Path       string   `json:"path"`
	Format     string   `json:"format"` // of secrets.enc, else of .key; "" for neither
	Key        string   `json:"key"`    // ok, missing, wrong, malformed
	Secrets    []string `json:"secrets"`
	References []string `json:"references"`
	Missing    []string `json:"missing"`
	Unused     []string `json:"unused"`
	Template   string   `json:"template"` // current, stale, missing
	Hooks      string   `json:"hooks"`
	Drivers    string   `json:"drivers"`
	Recipients []string `json:"recipients"`
	Exposed    []string `json:"exposed"`
	Problems   []string `json:"problems"` // what is wrong, in words

	Changed map[string]string `json:"changed"` // since when each name has its value, RFC 3339; empty where git cannot say

	opened    bool // what is stored is known
	vault     *formation.Vault
	oldest    string // the name whose value is the oldest, and its age
	fresh     bool   // neither key nor vault yet
	key       *crypto.Key
	survey    *formation.Survey
	exposures []exposedSecrets
	optional  []string // referred to as optional alone, without a value
}

func (s *session) status(ctx context.Context, asJSON bool) error {
	formations, err := s.formations()
	if err != nil {
		return err
	}
	installed := s.hooksState(ctx)
	drivers := s.driversState(ctx)
	all := []*standing{}
	progress := s.progress()
	for i, f := range formations {
		progress.step("looking", i, len(formations))
		st, err := s.standingOf(ctx, f)
		if err != nil {
			return err
		}
		st.Hooks, st.Drivers = installed, drivers
		all = append(all, st)
	}
	progress.clear()
	s.dateStandings(ctx, formations, all)
	switch {
	case asJSON:
		return s.printJSON(map[string]any{"formations": all})
	case s.all:
		s.printTable(all)
	default:
		s.printStanding(all[0])
	}
	s.hintStanding(all)
	return nil
}

// hooksState sums up the hooks of the repository in a word.
func (s *session) hooksState(ctx context.Context) string {
	repo, err := s.repository()
	if err != nil || repo == nil {
		return "no repository"
	}
	list, _, err := s.installer(repo, false).Status(ctx)
	if err != nil {
		return "unknown"
	}
	state := string(hooks.Installed)
	for _, hook := range list {
		switch hook.State {
		case hooks.Missing:
			return string(hooks.Missing)
		case hooks.Outdated:
			state = string(hooks.Outdated)
		}
	}
	return state
}

// standingOf looks at one formation. What it cannot see is a problem in the
// result, not a failure.
func (s *session) standingOf(ctx context.Context, f *formation.Formation) (*standing, error) {
	st := &standing{Path: s.name(f), Key: "ok", Secrets: []string{}, References: []string{}, Missing: []string{}, Unused: []string{},
		Recipients: []string{}, Exposed: []string{}, Problems: []string{}}
	vault := st.look(s, f)
	survey, err := f.Survey()
	if err != nil {
		return nil, err
	}
	if repo, err := s.repository(); err == nil && repo != nil {
		if tracked, err := repo.Tracked(ctx, []string{f.Path(formation.KeyFile)}); err == nil && tracked[0] {
			st.Problems = append(st.Problems, fmt.Sprintf("git tracks .key: 'git rm --cached %s', then 'git muxi-secrets rotate'", quote(s.show(f.Path(formation.KeyFile)))))
		}
	}
	st.survey = survey
	st.References = append(st.References, survey.Names()...)
	if vault != nil {
		st.opened, st.vault = true, vault
		st.Secrets = append(st.Secrets, vault.Names()...)
		st.Missing = append(st.Missing, absent(survey.Required(), vault)...)
		st.Unused = append(st.Unused, unused(survey, vault)...)
		required := map[string]bool{}
		for _, name := range survey.Required() {
			required[name] = true
		}
		for _, name := range absent(survey.Names(), vault) {
			if !required[name] {
				st.optional = append(st.optional, name)
			}
		}
	}
	st.lookAtPeople(s, f)
	for path, cause := range survey.Broken {
		st.Problems = append(st.Problems, fmt.Sprintf("%s is no valid YAML: %v", s.show(f.Path(path)), cause))
	}
	for _, bad := range survey.Malformed {
		st.Problems = append(st.Problems, fmt.Sprintf("%s:%d: the runtime will not replace this reference: %s", s.show(f.Path(bad.Path)), bad.Line, bad.Reason))
	}
	for _, ref := range survey.References {
		if !ref.Live && !ref.Optional && !ref.User {
			st.Problems = append(st.Problems, fmt.Sprintf("%s:%d: the runtime looks '%s' up as it is spelled; write ${{ secrets.%s }}", s.show(f.Path(ref.Path)), ref.Line, ref.Spelled, ref.Name))
		}
	}
	plan, err := f.PlanTemplate(survey, vault, nil)
	if err != nil {
		st.Template = string(formation.TemplateMissing)
		st.Problems = append(st.Problems, s.explain(err).Lines[0])
	} else {
		st.Template = string(plan.State)
	}
	return st, nil
}

// driversState says whether git has the diff and merge drivers.
func (s *session) driversState(ctx context.Context) string {
	layout, ok := s.where()
	if !ok {
		return "no repository"
	}
	set, err := hooks.DriversSet(ctx, layout, s.repository)
	switch {
	case err != nil:
		return "unknown"
	case set:
		return string(hooks.Installed)
	}
	return string(hooks.Missing)
}

// lookAtPeople says who can unlock, and what those have seen who no longer can.
func (st *standing) lookAtPeople(s *session, f *formation.Formation) {
	people, _, err := f.ReadPeople()
	if err != nil {
		st.Problems = append(st.Problems, s.explain(err).Lines[0])
		return
	}
	s.foldSeen(f, people)
	for _, p := range people.All() {
		st.Recipients = append(st.Recipients, whoIs(p.Name, p.Recipient))
	}
	st.exposures = exposures(people)
	for _, x := range st.exposures {
		for _, name := range x.Secrets {
			if !slices.Contains(st.Exposed, name) {
				st.Exposed = append(st.Exposed, name)
			}
		}
	}
	slices.Sort(st.Exposed)
	if there, err := fileExists(f.Path(formation.WrappedKeyFile)); err == nil && !there && len(st.Recipients) > 0 {
		st.Problems = append(st.Problems, fmt.Sprintf("%s is missing, so nobody in %s can unlock: 'git muxi-secrets share wrap' makes it", formation.WrappedKeyFile, formation.RecipientsFile))
	}
}

// look opens the vault as far as it goes; nil where it does not.
func (st *standing) look(s *session, f *formation.Formation) *formation.Vault {
	if sealed, ok, err := f.ReadSealed(); err == nil && ok {
		if format, err := crypto.Detect(sealed); err == nil {
			st.Format = string(format)
		}
	}
	if key, err := f.ReadKey(); err == nil {
		st.key = key
		if st.Format == "" {
			st.Format = string(key.Format())
		}
		if key.Legacy() {
			st.Problems = append(st.Problems, "the .key is spelled as 64 hex characters, which the MUXI runtime cannot load: 'git muxi-secrets rotate' makes a proper one")
		}
		if info, err := os.Stat(f.Path(formation.KeyFile)); err == nil && formation.ReadableByOthers(info) {
			st.Problems = append(st.Problems, fmt.Sprintf("others on this machine can read .key: 'chmod 600 %s'", quote(s.show(f.Path(formation.KeyFile)))))
		}
	}
	opened, err := f.Open()
	var none *formation.NoKeyError
	if errors.As(err, &none) && !none.Vault && none.Link == "" {
		st.Key = "missing"
		st.fresh = true
		return formation.NewVault() // nothing was set up yet: nothing is stored
	}
	if err == nil {
		if opened.Key.Format() == crypto.Age {
			st.Problems = append(st.Problems, "today's MUXI runtime reads only fernet; this formation is sealed with age")
		}
		return opened.Vault
	}
	st.Key = keyState(err)
	e := s.explain(err)
	st.Problems = append(st.Problems, e.Lines[0])
	return nil
}

// keyState is the word of the contract for why a formation does not open.
func keyState(err error) string {
	var missing *formation.NoKeyError
	var malformed *formation.KeyError
	switch {
	case errors.As(err, &missing):
		return "missing"
	case errors.As(err, &malformed):
		return "malformed"
	case crypto.ReasonOf(err) == crypto.WrongKey:
		return "wrong"
	}
	var file *formation.FileError
	if errors.As(err, &file) && filepath.Base(file.Path) == formation.KeyFile {
		return "missing" // there, but not for this user
	}
	return "ok" // the vault is at fault; the problem says how
}

func (s *session) printStanding(st *standing) {
	row := func(label, format string, args ...any) {
		text := sanitize(fmt.Sprintf(format, args...))
		as := cellStyle(text)
		switch {
		case label == "problem", label == "missing" && text != namesOrNone(nil):
			as = red
		case label == "exposed", label == "unused" && text != namesOrNone(nil):
			as = yellow
		}
		fmt.Fprintf(s.Out, "  %-11s %s\n", label, paint(s.Out, as, text))
	}
	fmt.Fprintf(s.Out, "%s\n", paint(s.Out, strong, sanitize(st.Path)))
	switch {
	case st.fresh:
		row("key", "none yet")
	case st.key != nil:
		row("key", "%s (%s %s)", st.Key, st.key.Format(), st.key.Fingerprint())
	default:
		row("key", "%s", st.Key)
	}
	row("format", "%s", orNone(st.Format))
	if st.opened {
		row("secrets", "%d stored, %d referred to", len(st.Secrets), len(st.References))
		row("missing", "%s", namesOrNone(st.Missing))
	} else {
		row("secrets", "%s does not open, %d referred to", formation.VaultFile, len(st.References))
	}
	if len(st.optional) > 0 {
		row("optional", "%s (no value; today's runtime leaves the text as it is)", strings.Join(st.optional, ", "))
	}
	if st.opened {
		row("unused", "%s", namesOrNone(st.Unused))
	}
	if st.oldest != "" {
		row("oldest", "%s", st.oldest)
	}
	row("template", "%s", st.Template)
	row("hooks", "%s", st.Hooks)
	row("drivers", "%s", st.Drivers)
	if len(st.Recipients) > 0 {
		row("shared", "with %s", list(st.Recipients))
	}
	for _, x := range st.exposures {
		row("exposed", "%s, who was removed, has seen %s", x.Person, list(x.Secrets))
	}
	for _, problem := range st.Problems {
		row("problem", "%s", problem)
	}
}

// hintStanding says once what to do about what stands above.
func (s *session) hintStanding(all []*standing) {
	for _, advice := range []struct {
		needed func(*standing) bool
		text   string
		calls  int // how often it names this program on the formation
	}{
		{func(st *standing) bool { return st.fresh }, "'%s init' or the first '%s add NAME' makes the key", 2},
		{func(st *standing) bool { return st.Key != "ok" && !st.fresh }, "the key that opens it comes with '%s unlock' or '%s key import FILE'", 2},
		{func(st *standing) bool { return len(st.Missing) > 0 }, "'%s setup' asks for what is missing", 1},
		{func(st *standing) bool {
			return st.Hooks == string(hooks.Missing) || st.Hooks == string(hooks.Outdated)
		}, "'" + program + " hooks install' installs the git hooks", 0},
		{func(st *standing) bool { return st.Drivers == string(hooks.Missing) && !st.fresh }, "git lacks the diff and merge drivers in this clone: '%s sync' sets them", 1},
		{func(st *standing) bool { return len(st.Exposed) > 0 }, "have the exposed values replaced where they come from, then '%s add NAME'", 1},
		{func(st *standing) bool { return st.Template != string(formation.TemplateCurrent) }, "'%s sync' brings the template up to date", 1},
	} {
		i := slices.IndexFunc(all, advice.needed)
		if i < 0 {
			continue
		}
		// Of several it names the first, so that it can be typed as it stands.
		on := s.again()
		if s.all {
			if on = program; all[i].Path != "./" {
				on += " -C " + quote(all[i].Path)
			}
		}
		s.hint(advice.text, slices.Repeat([]any{on}, advice.calls)...)
	}
}

func orNone(text string) string {
	if text == "" {
		return "none yet"
	}
	return text
}

func namesOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
