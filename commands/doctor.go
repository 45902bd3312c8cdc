package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/commands/doctor"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/scan"
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
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			return s.doctor(ctx, c.Bool("fix"), c.Bool("json"))
		}),
	}
}

// mended is what --fix did.
type mended struct {
	Formation string `json:"formation"`
	Check     string `json:"check"`
}

func (s *session) doctor(ctx context.Context, fix, asJSON bool) error {
	options, err := s.doctorOptions(ctx)
	if err != nil {
		return err
	}
	checks, err := s.examine(ctx, options)
	if err != nil {
		return err
	}
	done := []mended{}
	if fix {
		if done = s.mend(ctx, checks); len(done) > 0 {
			if checks, err = s.examine(ctx, options); err != nil {
				return err
			}
		}
	}

	if asJSON {
		report := map[string]any{"checks": checks}
		if fix {
			report["fixed"] = done
		}
		err = s.printJSON(report)
	} else {
		s.printDoctor(checks, len(options.Formations))
	}
	if err == nil && slices.ContainsFunc(checks, func(c doctor.Check) bool { return c.State == doctor.Fail }) {
		return exitCode(exitNo)
	}
	return err
}

// examine looks, and makes what it says fit for a screen.
func (s *session) examine(ctx context.Context, options doctor.Options) ([]doctor.Check, error) {
	progress := s.progress()
	defer progress.clear()
	options.Looking = func(i, n int) { progress.step("looking", i, n) }
	options.Walked = func(commits int) { progress.tell(0, commits) }
	checks, err := doctor.Examine(ctx, options)
	for i := range checks {
		checks[i].Message, checks[i].Remedy = sanitize(checks[i].Message), sanitize(checks[i].Remedy)
	}
	return checks, err
}

func (s *session) doctorOptions(ctx context.Context) (doctor.Options, error) {
	all, asked, err := s.toDoctor()
	if err != nil {
		return doctor.Options{}, err
	}
	layout, _ := s.where()
	program, _ := os.Executable()
	unwrap := s.unwrapAlone(ctx)
	return doctor.Options{
		Formations: all, Asked: asked, Layout: layout, Repo: s.repository, Reopen: s.reopen, KeptAt: s.whereKept, Vouched: s.peopleState,
		Wrapped: func(f *formation.Formation) (*crypto.Key, error) {
			content, err := safefile.Read(f.Path(formation.WrappedKeyFile), maxWrapped)
			if err != nil {
				return nil, err
			}
			if content, err = unwrap(content); err != nil {
				return nil, err
			}
			return crypto.ParseKey(content)
		},

		Getenv: s.Getenv, Now: s.Now, Program: program, Version: buildVersion(),

		Name: s.name, Call: s.callOn, Show: s.show,
		Mend:    s.mendedBy,
		Movable: func(f scan.Finding) bool { return s.movable(f) != nil },
		Git:     s.gitOn,
		Away:    s.away,
		Shell:   s.shell(),
		Explain: func(err error) string { return s.explain(s.explainScope(err)).Lines[0] },
	}, nil
}

// toDoctor finds the formations there are, and those that are asked about: all,
// or the one that -C names.
func (s *session) toDoctor() (all []*formation.Formation, asked func(*formation.Formation) bool, err error) {
	layout, inRepo := s.where()
	if s.dir != "" && !s.all {
		one, err := s.formation()
		if err != nil {
			return nil, nil, err
		}
		if inRepo && layout.Top != "" {
			for _, f := range s.formationsBelow(layout.Top) {
				if paths.Real(f.Dir) != paths.Real(one.Dir) {
					all = append(all, f)
				}
			}
		}
		// Last, so that what it shares with others is said of it.
		return append(all, one), func(f *formation.Formation) bool { return f == one }, nil
	}
	narrow := s.all
	defer func() { s.all = narrow }() // hints speak of one formation each
	if s.all = true; s.dir == "" && !inRepo && formation.Above(s.start()) != nil && len(s.formationsBelow(s.start())) == 0 {
		s.all = false
	}
	all, err = s.formations()
	return all, func(*formation.Formation) bool { return true }, err
}

// mend does what is safe. What cannot be mended is said again by the look after.
func (s *session) mend(ctx context.Context, checks []doctor.Check) []mended {
	done := []mended{}
	for _, c := range checks {
		if c.Repair == "" {
			continue
		}
		if err := s.repair(ctx, c); err != nil {
			s.warn("not mended: %s: %s", c.Message, s.explain(err).Lines[0])
			continue
		}
		done = append(done, mended{c.Formation, c.Check})
	}
	return done
}

func (s *session) repair(ctx context.Context, c doctor.Check) error {
	switch c.Repair {
	case doctor.PutBack:
		_, err := s.putBack(ctx, c.Of)
		return err
	case doctor.CloseKey:
		if err := os.Chmod(c.File, 0o600); err != nil {
			return &safefile.Error{Op: "change", Path: c.File, Err: err}
		}
		s.say("Set the mode of %s to 0600", s.show(c.File))
	case doctor.TellGit:
		return s.tellGitOf(ctx, c.Of)
	case doctor.Template:
		_, err := s.sync(ctx, c.Of, syncOptions{})
		return err
	case doctor.Drivers:
		repo, err := s.repository()
		if err != nil {
			return err
		}
		git, err := gitutil.Writing(repo)
		if err != nil {
			return err
		}
		if err := hooks.SetDrivers(ctx, git, ownProgram()); err != nil {
			return err
		}
		s.say("Set git's diff and merge drivers in this clone")
	case doctor.Hooks:
		s.ensureHooks(ctx)
	case doctor.IgnoreKey:
		return s.dockerIgnore(c.File)
	}
	return nil
}

// tellGitOf writes the ignore and attribute lines alone, for which no key is
// needed.
func (s *session) tellGitOf(ctx context.Context, f *formation.Formation) error {
	s.unfilter = true
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

// dockerIgnore has a .dockerignore keep keys out, unless an earlier repair did.
func (s *session) dockerIgnore(file string) error {
	if err := s.staysInside(file); err != nil {
		return err
	}
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &safefile.Error{Op: "read", Path: file, Err: err}
	}
	if doctor.KeyIgnored(content) {
		return nil
	}
	if err := s.Files.Replace(file, appendLine(content, doctor.KeyPattern), 0o644); err != nil {
		return err
	}
	s.say("Added '%s' to %s", doctor.KeyPattern, s.show(file))
	return nil
}

// manyGroups is how many formations are shown one by one where all is well.
const manyGroups = 6

func (s *session) printDoctor(checks []doctor.Check, formations int) {
	count := map[doctor.State]int{}
	var well []string // formations that a screen has no room for
	for len(checks) > 0 {
		group := checks[0].Formation
		n := 1
		for n < len(checks) && checks[n].Formation == group {
			n++
		}
		mine := checks[:n]
		checks = checks[n:]
		if mine[0].State == doctor.OK && group != "" && formations > manyGroups { // what is worst comes first
			well = append(well, group)
			continue
		}

		switch {
		case group != "":
			fmt.Fprintln(s.Out, sanitize(group))
		case s.inRepository():
			fmt.Fprintln(s.Out, "this clone")
		default:
			fmt.Fprintln(s.Out, "here")
		}
		var fine []string
		for _, c := range mine {
			if c.State == doctor.OK {
				fine = append(fine, c.Message)
				continue
			}
			count[c.State]++
			fmt.Fprintf(s.Out, "  %s %s\n        %s\n", paint(s.Out, severityStyle(string(c.State)), fmt.Sprintf("%-5s", c.State)), c.Message, c.Remedy)
		}
		s.printFine(fine)
	}
	if len(well) > 0 {
		fmt.Fprintln(s.Out, "all is well in")
		s.printFine(well)
	}

	summary := "nothing found that would fail"
	if n := count[doctor.Fail]; n > 0 {
		summary = fmt.Sprintf("%d would fail", n)
	}
	if n := count[doctor.Warn]; n > 0 {
		summary += ", " + plural(n, "warning")
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
		switch {
		case line == "":
			line = phrase
		case len(line)+2+len(phrase) > width:
			lines = append(lines, line+",")
			line = phrase
		default:
			line += ", " + phrase
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
