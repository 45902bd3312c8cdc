package commands

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

func (r *runner) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "say what would make 'docker compose up' or a commit fail, and the remedy",
		UsageText: "[--fix] [--all] [--json]",
		Description: `   git muxi-secrets doctor
   git muxi-secrets doctor --fix      does what is safe, and says what it did

It looks at the whole repository, or with -C DIR at one formation: keys, vaults,
references, templates, git's part, compose files and Dockerfiles. Below what it
found stands a command that mends it. It exits 1 when something would fail.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "fix", Usage: "mode of .key, ignore and attribute lines, drivers, hooks, templates, .dockerignore"},
			jsonFlag(),
			allFlag(),
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return s.doctor(ctx, c.Bool("fix"), c.Bool("json"))
		}),
	}
}

// health is what a check came to.
type health string

const (
	healthy health = "ok"
	warns   health = "warn" // bites later, or may not be meant
	fails   health = "fail" // 'docker compose up', a commit or CI stops at it
)

// checked is one line of doctor. It holds names and places, never a value.
type checked struct {
	Formation string `json:"formation"` // as status has it; "" for what is not about one
	Check     string `json:"check"`
	State     health `json:"state"`
	Message   string `json:"message"`
	Remedy    string `json:"remedy"` // a command that can be typed in this folder; "" where all is well

	// fix does what the remedy does, where that can do no harm.
	fix func(context.Context) error
}

// mended is what --fix did.
type mended struct {
	Formation string `json:"formation"`
	Check     string `json:"check"`
}

// doctor is one look at everything.
type doctor struct {
	s        *session
	repo     gitutil.Repository // nil outside of a repository, and where git refuses
	patients []*patient         // every formation there is
	checks   []checked
	told     map[string]bool // path:line from the top of what is said elsewhere already
}

// patient is one formation.
type patient struct {
	*formation.Formation
	name   string
	label  string // its folder from the top of the repository, with /; "" outside
	on     string // how this program is called on it
	chosen bool   // it is asked about; others are only compared with
	st     *standing
	err    error // why it does not open
}

func (s *session) doctor(ctx context.Context, fix, asJSON bool) error {
	all, chosen, err := s.toDoctor()
	if err != nil {
		return err
	}
	d, err := s.examine(ctx, all, chosen)
	if err != nil {
		return err
	}
	done := []mended{}
	if fix {
		if done = s.mend(ctx, d); len(done) > 0 {
			if d, err = s.examine(ctx, all, chosen); err != nil {
				return err
			}
		}
	}
	if asJSON {
		report := map[string]any{"checks": d.checks}
		if fix {
			report["fixed"] = done
		}
		err = s.printJSON(report)
	} else {
		s.printDoctor(d)
	}
	if err == nil && slices.ContainsFunc(d.checks, func(c checked) bool { return c.State == fails }) {
		return exitCode(exitNo)
	}
	return err
}

// toDoctor finds the formations there are, and those that are asked about: all,
// or the one that -C names.
func (s *session) toDoctor() (all []*formation.Formation, chosen map[string]bool, err error) {
	layout, inRepo := s.where()
	if s.dir != "" && !s.all {
		one, err := s.formation()
		if err != nil {
			return nil, nil, err
		}
		chosen = map[string]bool{one.Dir: true}
		if inRepo && layout.Top != "" {
			for _, f := range formation.Below(layout.Top) {
				if realDir(f.Dir) != realDir(one.Dir) {
					all = append(all, s.found(f))
				}
			}
		}
		// Last, so that what it shares with others is said of it.
		all = append(all, one)
		return all, chosen, nil
	}
	narrow := s.all
	defer func() { s.all = narrow }() // hints speak of one formation each
	if s.all = true; s.dir == "" && !inRepo && formation.Above(s.start()) != nil && len(formation.Below(s.start())) == 0 {
		s.all = false
	}
	all, err = s.formations()
	return all, nil, err
}

func (s *session) examine(ctx context.Context, all []*formation.Formation, chosen map[string]bool) (*doctor, error) {
	d := &doctor{s: s, told: map[string]bool{}}
	for _, f := range all {
		p := &patient{Formation: f, name: s.name(f), on: program, chosen: chosen == nil || chosen[f.Dir]}
		if f.Dir != s.Dir {
			p.on += " -C " + quote(s.show(f.Dir))
		}
		if layout, ok := s.where(); ok && layout.Top != "" {
			p.label = d.s.fromTop(layout, f.Dir)
		}
		d.patients = append(d.patients, p)
	}
	d.gitItself(ctx)
	progress := s.progress()
	defer progress.clear()
	for i, p := range d.patients {
		progress.step("looking", i, len(d.patients))
		if err := d.look(ctx, p); err != nil {
			return nil, err
		}
	}
	d.clone(ctx)
	d.docker(ctx)
	d.leaks(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.sort()
	return d, nil
}

// say notes what a check came to. p is nil for what is about no formation.
func (d *doctor) say(p *patient, check string, state health, remedy, format string, args ...any) *checked {
	c := checked{Check: check, State: state, Message: sanitize(fmt.Sprintf(format, args...)), Remedy: sanitize(remedy)}
	if p != nil {
		if !p.chosen {
			return &checked{}
		}
		c.Formation = p.name
	}
	d.checks = append(d.checks, c)
	return &d.checks[len(d.checks)-1]
}

// ok notes that there is nothing to say.
func (d *doctor) ok(p *patient, check, format string, args ...any) {
	d.say(p, check, healthy, "", format, args...)
}

// sort brings what belongs together together: what is about no formation first,
// the formations by path, in each what fails before what warns.
func (d *doctor) sort() {
	rank := map[health]int{fails: 0, warns: 1, healthy: 2}
	slices.SortStableFunc(d.checks, func(a, b checked) int {
		return cmp.Or(strings.Compare(a.Formation, b.Formation), cmp.Compare(rank[a.State], rank[b.State]))
	})
}

// manyGroups is how many formations are shown one by one where all is well.
const manyGroups = 6

func (s *session) printDoctor(d *doctor) {
	failing, warning := 0, 0
	checks := d.checks
	var well []string // formations that a screen has no room for
	for len(checks) > 0 {
		group := checks[0].Formation
		n := 0
		for n < len(checks) && checks[n].Formation == group {
			n++
		}
		mine := checks[:n]
		checks = checks[n:]
		if mine[0].State == healthy && group != "" && len(d.patients) > manyGroups { // what is worst comes first
			well = append(well, group)
			continue
		}
		title := group
		if title == "" {
			title = "this clone"
			if d.repo == nil {
				title = "here"
			}
		}
		fmt.Fprintln(s.Out, sanitize(title))
		var fine []string
		for _, c := range mine {
			switch c.State {
			case healthy:
				fine = append(fine, c.Message)
				continue
			case fails:
				failing++
			case warns:
				warning++
			}
			fmt.Fprintf(s.Out, "  %s %s\n", paint(s.Out, severityStyle(string(c.State)), fmt.Sprintf("%-5s", c.State)), c.Message)
			if c.Remedy != "" {
				fmt.Fprintf(s.Out, "        %s\n", c.Remedy)
			}
		}
		s.printFine(fine)
	}
	if len(well) > 0 {
		fmt.Fprintln(s.Out, "all is well in")
		s.printFine(well)
	}
	summary := "nothing found that would fail"
	if failing > 0 {
		summary = fmt.Sprintf("%d would fail", failing)
	}
	if warning > 0 {
		summary += fmt.Sprintf(", %s", plural(warning, "warning"))
	}
	s.say("%s", summary)
}

func (s *session) printFine(phrases []string) {
	for i, line := range filled(phrases, tableWidth-8) {
		fmt.Fprintf(s.Out, "  %s %s\n", paint(s.Out, green, fmt.Sprintf("%-5s", map[bool]string{true: "ok"}[i == 0])), sanitize(line))
	}
}

// filled joins phrases into lines of at most width columns.
func filled(phrases []string, width int) []string {
	var lines []string
	line := ""
	for _, phrase := range phrases {
		if line != "" && len(line)+2+len(phrase) > width {
			lines = append(lines, line+",")
			line = ""
		}
		if line != "" {
			line += ", "
		}
		line += phrase
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// mend does what is safe. What cannot be mended is said again by the look after.
func (s *session) mend(ctx context.Context, d *doctor) []mended {
	done := []mended{}
	for _, c := range d.checks {
		if c.fix == nil {
			continue
		}
		if err := c.fix(ctx); err != nil {
			s.warn("not mended: %s: %s", c.Message, s.explain(err).Lines[0])
			continue
		}
		done = append(done, mended{c.Formation, c.Check})
	}
	return done
}

// edit is the command that opens a file at a line, for what only a person can
// mend.
func (d *doctor) edit(path string, line int) string {
	if runtime.GOOS == "windows" {
		return "notepad " + quote(d.s.show(path))
	}
	return fmt.Sprintf("${EDITOR:-vi} +%d %s", max(line, 1), quote(d.s.show(path)))
}

// place is a line of a file as messages name it.
type place struct {
	path string // absolute
	line int
}

func (d *doctor) at(p place) string { return fmt.Sprintf("%s:%d", d.s.show(p.path), p.line) }

// places names the first ones and counts the rest.
func (d *doctor) places(all []place) string {
	var shown []string
	for _, one := range all {
		if text := d.at(one); !slices.Contains(shown, text) {
			shown = append(shown, text)
		}
	}
	return some(shown)
}

// some lists at most three, so that a screen stays one.
func some(all []string) string {
	if len(all) > 4 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:3], ", "), len(all)-3)
	}
	return strings.Join(all, ", ")
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// inside reports whether path is dir or below it.
func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
