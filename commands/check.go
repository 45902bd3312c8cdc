package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

type checkOptions struct {
	staged, history bool
	base, commits   string // revisions
	format, output  string
	baseline        string
	writeBaseline   string
	strict          bool
}

func (r *runner) checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "find keys and secrets that leaked, and formations out of order",
		UsageText: "[--staged | --base REF | --range A..B | --history] [--format FORMAT] [--strict]",
		Description: `   git muxi-secrets check                        the work tree
   git muxi-secrets check --staged               what the next commit brings in
   git muxi-secrets check --base origin/main     every commit of a pull request
   git muxi-secrets check --history              every commit of every ref

It always looks at the whole repository. Exits 1 when it finds an error, with
--strict also for a warning. A comment with muxi-secrets:allow silences its line.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "staged", Usage: "what is staged for the next commit"},
			&cli.StringFlag{Name: "base", Usage: "every commit since the work left `REF`, and the formations as HEAD has them"},
			&cli.StringFlag{Name: "range", Usage: "every commit of `A..B`"},
			&cli.BoolFlag{Name: "history", Usage: "every commit of every ref"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "`FORMAT`: " + strings.Join(reportFormats[:], ", ")},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the findings to `FILE` instead of standard output"},
			&cli.StringFlag{Name: "baseline", Usage: "leave out the findings that `FILE` lists"},
			&cli.StringFlag{Name: "write-baseline", Usage: "list all findings in `FILE`, for --baseline, and exit 0"},
			&cli.BoolFlag{Name: "strict", Usage: "warnings count as errors"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			o := checkOptions{
				staged: c.Bool("staged"), history: c.Bool("history"), base: c.String("base"), commits: c.String("range"),
				format: c.String("format"), output: c.String("output"),
				baseline: c.String("baseline"), writeBaseline: c.String("write-baseline"), strict: c.Bool("strict"),
			}
			scopes := 0
			for _, name := range []string{"staged", "base", "range", "history"} {
				if c.IsSet(name) {
					scopes++
				}
			}
			if scopes > 1 {
				return usage("--staged, --base, --range and --history exclude each other").hint("give one of them, or none for the work tree")
			}
			if c.IsSet("base") && o.base == "" || c.IsSet("range") && o.commits == "" {
				return usage("a revision is missing").hint("see '%s -h'", c.Command.HelpName)
			}
			if !knownFormat(o.format) {
				return usage("--format is one of: %s", strings.Join(reportFormats[:], ", "))
			}
			return s.check(ctx, o)
		}),
	}
}

func (s *session) check(ctx context.Context, o checkOptions) error {
	repo, err := s.needRepository()
	if err != nil {
		return err
	}
	var ignored map[string]bool
	if o.baseline != "" {
		if ignored, err = readBaseline(s.at(o.baseline)); err != nil {
			return err
		}
	}
	progress := s.progress()
	report, stopped := s.judge(ctx, repo, o, progress.tell)
	progress.clear()
	if report == nil {
		return s.explainScope(stopped)
	}
	if o.writeBaseline != "" && stopped == nil {
		if err := s.writeBaseline(s.at(o.writeBaseline), report.Findings); err != nil {
			return err
		}
		s.summary(report)
		s.say("Wrote %s to %s", plural(len(report.Findings), "finding"), s.show(s.at(o.writeBaseline)))
		return nil
	}
	kept := report.Findings[:0]
	for _, f := range report.Findings {
		if !ignored[f.Fingerprint] {
			kept = append(kept, f)
		}
	}
	report.Findings = kept
	if err := s.writeReport(report, o); err != nil {
		return err
	}
	s.summary(report)
	if stopped != nil {
		return s.explainScope(stopped)
	}
	if hooks.Stops(report.Findings) || o.strict && len(report.Findings) > 0 {
		return exitCode(exitNo)
	}
	return nil
}

// needRepository is repository for commands that are nothing without one.
func (s *session) needRepository() (gitutil.Repository, error) {
	if s.dir != "" {
		if _, err := os.Stat(s.start()); err != nil {
			return nil, usage("cannot open folder '%s': %s", s.dir, (&formation.FileError{Err: err}).Cause()).hint("name a folder of the repository with -C DIR")
		}
	}
	repo, err := s.repository()
	if err == nil && repo == nil {
		_, err = gitutil.Discover(s.start(), s.Getenv)
	}
	return repo, err
}

// judge looks at what the options ask for. An error that came after something
// was seen is returned beside the report of that.
func (s *session) judge(ctx context.Context, repo gitutil.Repository, o checkOptions, progress func(files, commits int)) (*hooks.Report, error) {
	plain := !o.staged && !o.history && o.base == "" && o.commits == ""
	j := &hooks.Judge{Repo: repo, Progress: progress, Now: s.Now, Basis: hooks.BasisBeside(s.reopen, func(repo gitutil.Repository) (*hooks.Basis, error) {
		switch {
		case repo.Layout().Top == "":
			return hooks.BasisOf(ctx, repo, hooks.Tree(repo, "HEAD"))
		case plain:
			return hooks.BasisOnDisk(repo)
		}
		return hooks.BasisOfIndex(ctx, repo)
	})}
	defer func() {
		if j.Undated {
			s.warn("this clone is shallow: whether some values are due could not be judged [value-due]")
			s.hint("'git fetch --unshallow' gets the rest of the history")
		}
	}()
	switch {
	case o.staged:
		return j.Staged(ctx, gitutil.StagedOptions{})
	case o.history:
		return j.History(ctx)
	case o.commits != "":
		r, err := gitutil.ParseRange(o.commits)
		if err != nil {
			return nil, err
		}
		return j.Range(ctx, r)
	case o.base != "":
		return s.judgeBase(ctx, repo, j, o.base)
	}
	if repo.Layout().Top == "" {
		return nil, usage("a bare repository has no work tree to check").hint("check its commits with --history or --range A..B")
	}
	return s.judgeWorkTree(ctx, repo, j)
}

func (s *session) judgeBase(ctx context.Context, repo gitutil.Repository, j *hooks.Judge, base string) (*hooks.Report, error) {
	fork, ok, err := repo.MergeBase(ctx, base, "HEAD")
	if err != nil {
		return nil, err
	}
	if !ok {
		if shallow, err := repo.Shallow(ctx); err != nil || shallow {
			return nil, errors.Join(err, &gitutil.ShallowError{Question: "where the work left '" + base + "'"})
		}
		fork = base // two histories that never met: everything that base has not
	}
	report, err := j.Range(ctx, gitutil.Range{Exclude: []string{fork}})
	if err != nil {
		return report, err
	}
	head := hooks.Tree(repo, "HEAD")
	basis, err := hooks.BasisOf(ctx, repo, head)
	if err != nil {
		return nil, err
	}
	snapshots, err := hooks.Snapshots(ctx, repo, head, basis.Dirs, basis.Dirs)
	if err != nil {
		return nil, err
	}
	return j.WithState(ctx, report, snapshots)
}

func (s *session) judgeWorkTree(ctx context.Context, repo gitutil.Repository, j *hooks.Judge) (*hooks.Report, error) {
	report, err := j.WorkTree(ctx)
	if err != nil {
		return report, err
	}
	basis, err := j.Basis()
	if err != nil {
		return nil, err
	}
	formations, err := hooks.Formations(repo.Layout(), basis.Dirs)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, f := range formations {
		files = append(files, f.Path(f.File))
	}
	out, err := repo.Ignored(ctx, files)
	if err != nil {
		return nil, err
	}
	var snapshots []*hooks.Snapshot
	for i, f := range formations {
		if out[i] {
			continue // git does not know it
		}
		if err := s.sweep(f); err != nil {
			return nil, err
		}
		snapshot, err := hooks.OnDisk(repo.Layout(), f)
		if err != nil {
			return nil, err
		}
		if snapshot.Err != nil {
			s.warn("cannot open the vault of %s, so its values are not looked for: %v", s.showFolder(f.Dir), snapshot.Err)
		}
		snapshots = append(snapshots, snapshot)
	}
	return j.WithState(ctx, report, snapshots)
}

// reopen opens the repository once more, for a question beside another.
func (s *session) reopen() (gitutil.Repository, error) {
	return gitutil.Open(s.start(), gitutil.Options{Getenv: s.Getenv})
}

// explainScope says why git could not show what was asked for.
func (s *session) explainScope(err error) error {
	var rev *gitutil.RevisionError
	if errors.As(err, &rev) {
		if layout, ok := s.where(); ok && isShallow(layout) {
			return failed(err, "unknown revision '%s' in a shallow clone", rev.Rev).
				hint("fetch the whole history: 'fetch-depth: 0' in GitHub Actions, GIT_DEPTH: 0 in GitLab CI, 'git fetch --unshallow' by hand")
		}
		return usage("unknown revision '%s'", rev.Rev).hint("see what there is with 'git branch -a'; in CI, fetch the branch first")
	}
	var settings *formation.SettingsError
	if errors.As(err, &settings) {
		return usage("cannot use %s: %s", formation.SettingsFile, settings.Reason).hint("mend it: until then nothing is silenced and nothing is checked")
	}
	var config *hooks.ConfigError
	if errors.As(err, &config) {
		return s.explainConfig(config)
	}
	var shallow *gitutil.ShallowError
	if errors.As(err, &shallow) {
		return failed(err, "%v: the check did not see all that was asked for", shallow).
			hint("fetch the whole history: 'fetch-depth: 0' in GitHub Actions, GIT_DEPTH: 0 in GitLab CI, 'git fetch --unshallow' by hand")
	}
	var missing *gitutil.MissingObjectError
	if errors.As(err, &missing) {
		return failed(err, "%v: the check did not see all that was asked for", missing).
			hint("in a partial clone, fetch everything first: 'git config --unset remote.origin.partialclonefilter', then 'git fetch --refetch'; elsewhere the repository is damaged: 'git fsck' says how")
	}
	return err
}

// explainConfig says which setting of git's cannot be used.
func (s *session) explainConfig(config *hooks.ConfigError) *Error {
	return usage("git config %s: %v", config.Key, config.Err).hint("set it right: 'git config %s 90d'", config.Key)
}

func isShallow(layout gitutil.Layout) bool {
	there, err := fileExists(filepath.Join(layout.CommonDir, "shallow"))
	return err == nil && there
}

// summary tells a check that saw nothing from one that found nothing.
func (s *session) summary(report *hooks.Report) {
	s.saySkipped("", report.Skipped)
	fmt.Fprintf(s.Err, "checked %d files, %d commits\n", report.Files, report.Commits)
	errors, warnings := 0, 0
	for _, f := range report.Findings {
		if f.Severity == scan.Error {
			errors++
		} else {
			warnings++
		}
	}
	if errors+warnings > 0 {
		fmt.Fprintf(s.Err, "found %s, %s\n", plural(errors, "error"), plural(warnings, "warning"))
	}
}

func (s *session) saySkipped(before string, skipped []hooks.Skipped) {
	for i, file := range skipped {
		if i == 20 {
			fmt.Fprintf(s.Err, "%sand %d more\n", before, len(skipped)-i)
			break
		}
		fmt.Fprintf(s.Err, "%snot checked in full: %s (%s)\n", before, showPath(file.Path), sanitize(file.Reason))
	}
}
