package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
)

func (r *runner) statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "say how a formation stands: key, vault, missing and unused secrets",
		UsageText: "[--all] [--json]",
		Description: `   git muxi-secrets status

It works without the key, with what it can see, and exits 0 whatever it finds.`,
		Flags: []cli.Flag{jsonFlag(), allFlag()},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			return s.status(ctx, c.Bool("json"))
		}),
	}
}

// standing is one formation in the JSON of status. The lists hold names.
type standing struct {
	Path       string   `json:"path"`
	Format     string   `json:"format"` // of secrets.enc, else of .key; "" for neither
	Key        string   `json:"key"`    // ok, kept, missing, wrong, malformed
	Secrets    []string `json:"secrets"`
	References []string `json:"references"`
	Missing    []string `json:"missing"`
	Unused     []string `json:"unused"`
	Template   string   `json:"template"` // current, stale, missing
	Hooks      string   `json:"hooks"`
	Drivers    string   `json:"drivers"`
	Recipients []string `json:"recipients"`
	Vouched    string   `json:"people"` // "none", "signed", "unsigned" or "unvouched"
	Exposed    []string `json:"exposed"`
	Merge      string   `json:"merge"`     // what git is in the middle of: merge, rebase, ...; "" for nothing
	Unsettled  []string `json:"unsettled"` // names that it leaves to be decided
	Problems   []string `json:"problems"`  // what is wrong, in words

	Changed map[string]string `json:"changed"` // since when each name has its value, RFC 3339; empty where git cannot say

	*formation.Look `json:"-"`

	oldest    string // the name whose value is the oldest, and its age
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
		st, err := s.standingOf(f)
		if err != nil {
			return err
		}
		st.Hooks, st.Drivers = installed, drivers
		all = append(all, st)
	}
	progress.clear()
	s.mergeStandings(ctx, formations, all)
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

// mergeStandings says of each formation what a merge in progress leaves to do.
func (s *session) mergeStandings(ctx context.Context, formations []*formation.Formation, all []*standing) {
	repo, err := s.repository()
	if err != nil || repo == nil {
		return
	}
	operation, err := repo.Operation(ctx)
	if err != nil {
		return
	}
	waiting, err := merge.Waiting(ctx, repo)
	if err != nil {
		return
	}
	for i, f := range formations {
		all[i].Merge = operation.Kind
		all[i].Unsettled = append(all[i].Unsettled, waiting[s.vaultPath(repo.Layout(), f)]...)
	}
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
		switch {
		case hook.Note: // nothing is stopped without it
		case hook.State == hooks.Missing:
			return string(hooks.Missing)
		case hook.State.Lacks():
			state = string(hook.State)
		}
	}
	return state
}

// standingOf looks at one formation. What it cannot see is a problem in the
// result, not a failure.
func (s *session) standingOf(f *formation.Formation) (*standing, error) {
	look := f.Look(formation.ReferencesIn)
	if look.Problem.Survey != nil {
		return nil, look.Problem.Survey
	}
	st := &standing{Look: look, Path: s.name(f), Format: string(look.Format), Key: s.keyState(look), Template: string(look.State()),
		Secrets: []string{}, References: []string{}, Missing: []string{}, Unused: []string{},
		Recipients: []string{}, Exposed: []string{}, Unsettled: []string{}, Problems: []string{}}
	st.sayKey(s)
	survey := look.Survey
	st.References = append(st.References, survey.Names()...)
	if vault := look.Vault(); vault != nil {
		st.Secrets = append(st.Secrets, vault.Names()...)
		st.Missing = append(st.Missing, absent(survey.Required(), vault)...)
		st.Unused = append(st.Unused, survey.Unused(vault)...)
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
	st.lookAtPeople(s)
	for path, why := range survey.Filtered {
		st.Problems = append(st.Problems, fmt.Sprintf("what %s refers to is not known: %s", s.show(f.Path(path)), why))
	}
	for path, cause := range survey.Broken {
		st.Problems = append(st.Problems, fmt.Sprintf("%s is no valid YAML: %v", s.show(f.Path(path)), cause))
	}
	for _, bad := range survey.Unreplaced() {
		st.Problems = append(st.Problems, fmt.Sprintf("%s:%d: the runtime will not replace this reference: %s", s.show(f.Path(bad.Path)), bad.Line, bad.Reason))
	}
	if err := look.Problem.Template; err != nil {
		st.Problems = append(st.Problems, s.explain(err).Lines[0])
	}
	return st, nil
}

// driversState says whether git has the diff and merge drivers.
func (s *session) driversState(ctx context.Context) string {
	layout, ok := s.where()
	if !ok {
		return "no repository"
	}
	state, err := hooks.LookAtDrivers(ctx, layout, s.repository)
	if err != nil {
		return "unknown"
	}
	return string(state)
}

// lookAtPeople says who can unlock, and what those have seen who no longer can.
func (st *standing) lookAtPeople(s *session) {
	f, people := st.Formation, st.People
	if err := st.Problem.People; err != nil {
		st.Problems = append(st.Problems, s.explain(err).Lines[0])
		return
	}
	s.foldSeen(f, people)
	for _, p := range people.All() {
		st.Recipients = append(st.Recipients, whoIs(p.Name, p.Recipient))
	}
	var err error
	if st.Vouched, _, err = s.peopleState(f); err != nil {
		st.Problems = append(st.Problems, s.explain(err).Lines[0])
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
	if there, err := paths.Exists(f.Path(formation.WrappedKeyFile)); err == nil && !there && len(st.Recipients) > 0 {
		st.Problems = append(st.Problems, fmt.Sprintf("%s is missing, so nobody in %s can unlock: '%s share wrap' makes it", formation.WrappedKeyFile, formation.RecipientsFile, s.on(f.Dir)))
	}
}

// sayKey says what is wrong with key and vault.
func (st *standing) sayKey(s *session) {
	say := func(format string, args ...any) { st.Problems = append(st.Problems, fmt.Sprintf(format, args...)) }
	if st.Look.Key != nil && st.Look.Key.Legacy() {
		say("the .key is spelled as 64 hex characters, which the MUXI runtime cannot load: '%s rotate' makes a proper one", s.on(st.Formation.Dir))
	}
	if st.KeyReadableByOthers() {
		say("others on this machine can read .key: 'chmod 600 %s'", s.argument(st.Formation.Path(formation.KeyFile)))
	}
	if st.Opened != nil && st.Look.Key != nil && st.Look.Key.Format() == crypto.Age {
		say("today's MUXI runtime reads only fernet; this formation is sealed with age")
	}

	err := st.Locked()
	elsewhere, _ := errors.AsType[*formation.ElsewhereError](err)
	retired, _ := errors.AsType[*formation.RetiredKeyError](err)
	switch {
	case err == nil, st.Fresh:
	case elsewhere != nil:
		say("%s; the key is at hand, %s", s.explain(elsewhere.Err).Lines[0], s.whereKept(elsewhere.Opened.Found))
	case retired != nil:
		lines := s.explain(err).Lines
		say("%s", lines[len(lines)-1])
	default:
		say("%s", s.explain(err).Lines[0])
	}
}

// keyState is the word of the contract for how a formation's key stands.
func (s *session) keyState(look *formation.Look) string {
	err := look.Problem.Key
	_, elsewhere := errors.AsType[*formation.ElsewhereError](err)
	_, malformed := errors.AsType[*formation.KeyError](err)
	_, arrived := errors.AsType[*formation.ArrivedKeyError](err)
	switch {
	case err == nil:
		return "ok" // if the vault is at fault, the problem says how
	case elsewhere:
		return "kept"
	case malformed:
		return "malformed"
	case arrived, crypto.ReasonOf(err) == crypto.WrongKey:
		return "wrong"
	}
	return "missing" // or there, but not for this user
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
	case st.Fresh:
		row("key", "none yet")
	case st.Look.Key != nil:
		row("key", "%s (%s %s)", st.Key, st.Look.Key.Format(), st.Look.Key.Fingerprint())
	default:
		row("key", "%s", st.Key)
	}
	row("format", "%s", orNone(st.Format))
	if st.Opened != nil {
		row("secrets", "%d stored, %d referred to", len(st.Secrets), len(st.References))
		row("missing", "%s", namesOrNone(st.Missing))
	} else if there, err := st.HasVault(); err == nil && !there {
		row("secrets", "no %s, %d referred to", formation.VaultFile, len(st.References))
	} else {
		row("secrets", "%s does not open, %d referred to", formation.VaultFile, len(st.References))
	}
	if len(st.optional) > 0 {
		row("optional", "%s (no value; today's runtime leaves the text as it is)", strings.Join(st.optional, ", "))
	}
	if st.Opened != nil {
		row("unused", "%s", namesOrNone(st.Unused))
	}
	if st.oldest != "" {
		row("oldest", "%s", st.oldest)
	}
	row("template", "%s", st.Template)
	row("hooks", "%s", st.Hooks)
	row("drivers", "%s", st.Drivers)
	switch {
	case len(st.Unsettled) > 0:
		row("merge", "waits for a decision on %s", list(st.Unsettled))
	case st.Merge != "":
		row("merge", "git is in the middle of a %s", st.Merge)
	}
	if len(st.Recipients) > 0 {
		row("shared", "with %s%s", list(st.Recipients), map[string]string{"unsigned": "; not signed yet", "unvouched": "; nobody vouches for all of them"}[st.Vouched])
	}
	for _, x := range st.exposures {
		row("exposed", "%s, who was removed, has seen %s", x.Person, list(x.Secrets))
	}
	for _, problem := range st.Problems {
		row("problem", "%s", problem)
	}
}

// lacksKey reports whether any key that opens the vault would be of help.
func (st *standing) lacksKey() bool {
	switch st.Locked().(type) {
	case *formation.NoKeyError, *formation.KeyError:
		there, err := st.HasVault()
		return err != nil || there
	case *formation.VaultError:
		return crypto.ReasonOf(st.Locked()) == crypto.WrongKey
	}
	return false
}

// hintStanding says once what to do about what stands above.
func (s *session) hintStanding(all []*standing) {
	// What no other key mends has a way out of its own.
	if i := slices.IndexFunc(all, func(st *standing) bool {
		return st.Locked() != nil && !st.lacksKey() && st.Key != "kept" && !st.Fresh
	}); i >= 0 {
		for _, hint := range s.explain(all[i].Locked()).Hints {
			s.hint("%s", hint)
		}
	}
	for _, advice := range []struct {
		needed func(*standing) bool
		text   string
		calls  int // how often it names this program on the formation
	}{
		{func(st *standing) bool { return st.Fresh }, "'%s init' or the first '%s add NAME' makes the key", 2},
		{func(st *standing) bool { return st.Key == "kept" }, "", 0},
		{(*standing).lacksKey, "the key that opens it comes with '%s unlock' or '%s key import FILE'", 2},
		{func(st *standing) bool { return len(st.Unsettled) > 0 }, "for each contested name: '%s resolve NAME --ours', '--theirs', or '--stdin' for another value", 1},
		{func(st *standing) bool { return len(st.Missing) > 0 }, "'%s setup' asks for what is missing", 1},
		{func(st *standing) bool { return hooks.State(st.Hooks).Lacks() }, "'%s hooks install' installs the git hooks", 1},
		{func(st *standing) bool { return st.Drivers == string(hooks.Outdated) }, "git's diff and merge drivers are of another version: '%s sync' renews them", 1},
		{func(st *standing) bool { return st.Drivers == string(hooks.Missing) && !st.Fresh }, "git lacks the diff and merge drivers in this clone: '%s sync' sets them", 1},
		{func(st *standing) bool { return len(st.Exposed) > 0 }, "have the exposed values replaced where they come from, then '%s add NAME'", 1},
		{func(st *standing) bool { return st.Template != string(formation.TemplateCurrent) }, "'%s sync' brings the template up to date", 1},
	} {
		i := slices.IndexFunc(all, advice.needed)
		if i < 0 {
			continue
		}
		// Of several it names the first, so that it can be typed as it stands.
		on := s.on(s.at(all[i].Path))
		switch {
		case strings.Contains(advice.text, "hooks install"):
			on = s.anywhere()
		case advice.text == "":
			s.hint("%s", s.putsBack(&formation.Formation{Dir: s.at(all[i].Path)}, "the key"))
			continue
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
