package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
	"github.com/urfave/cli/v2"
)

type checkOptions struct {
	staged, history bool
	stdin           bool   // a text from a pipe
	base, commits   string // revisions
	format, output  string
	baseline        string
	writeBaseline   string
	strict          bool
}

func (r *runner) checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Aliases:   []string{"scan"},
		Usage:     "find keys and secrets that leaked, and formations out of order",
		UsageText: "[--staged | --base REF | --range A..B | --history | --stdin] [--format " + strings.Join(reportFormats[:], "|") + "] [--strict]",
		Description: `   git muxi-secrets check                        the work tree
   git muxi-secrets check --staged               what the next commit brings in
   git muxi-secrets check --base origin/main     every commit of a pull request
   git muxi-secrets check --history              every commit of every ref
   git muxi-secrets check --stdin <build.log     a text from elsewhere

It always looks at the whole repository. Exits 1 when it finds an error, with
--strict also for a warning. A comment with muxi-secrets:allow silences its line.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "staged", Usage: "what is staged for the next commit"},
			&cli.StringFlag{Name: "base", Usage: "every commit since the work left `REF`, and the formations as HEAD has them"},
			&cli.StringFlag{Name: "range", Usage: "every commit of `A..B`"},
			&cli.BoolFlag{Name: "history", Usage: "every commit of every ref"},
			&cli.BoolFlag{Name: "stdin", Usage: "one text from a pipe: a CI log, a transcript"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "`FORMAT`: " + strings.Join(reportFormats[:], ", ")},
			jsonFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the findings to `FILE` instead of standard output"},
			&cli.StringFlag{Name: "baseline", Usage: "leave out the findings that `FILE` lists"},
			&cli.StringFlag{Name: "write-baseline", Usage: "list all findings in `FILE`, for --baseline, and exit 0"},
			&cli.BoolFlag{Name: "strict", Usage: "warnings count as errors"},
		},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			o, err := parseCheck(c)
			if err != nil {
				return err
			}
			return s.check(ctx, o)
		}),
	}
}

// parseCheck reads what is to be checked, and how it is to be said.
func parseCheck(c *cli.Context) (checkOptions, error) {
	o := checkOptions{
		stdin: c.Bool("stdin"), staged: c.Bool("staged"), history: c.Bool("history"), base: c.String("base"), commits: c.String("range"),
		format: c.String("format"), output: c.String("output"),
		baseline: c.String("baseline"), writeBaseline: c.String("write-baseline"), strict: c.Bool("strict"),
	}
	scopes := 0
	for _, name := range []string{"staged", "base", "range", "history", "stdin"} {
		if c.IsSet(name) {
			scopes++
		}
	}

	if c.Bool("json") {
		if c.IsSet("format") && o.format != "json" {
			return o, usage("--json and --format exclude each other").hint("give one of them")
		}
		o.format = "json"
	}

	switch {
	case scopes > 1:
		return o, usage("--staged, --base, --range, --history and --stdin exclude each other").hint("give one of them, or none for the work tree")
	case c.IsSet("base") && o.base == "" || c.IsSet("range") && o.commits == "":
		return o, usage("a revision is missing").hint("see '%s -h'", c.Command.HelpName)
	case !isRange(o.commits):
		return o, usage("--range takes A..B, not '%s'", o.commits).hint("give both, as in main..HEAD, or one revision with --base")
	case !knownFormat(o.format):
		return o, usage("--format is one of: %s", strings.Join(reportFormats[:], ", "))
	}
	return o, nil
}

// isRange reports whether a text, if any, is a range of commits.
func isRange(text string) bool {
	_, err := gitutil.ParseRange(text)
	return text == "" || err == nil
}

func (s *session) check(ctx context.Context, o checkOptions) error {
	var repo gitutil.Repository
	var err error
	if !o.stdin {
		if repo, err = s.needRepository(); err != nil {
			return err
		}
	}
	ignored, err := s.baselineOf(ctx, repo, o)
	if err != nil {
		return err
	}
	var report *judge.Report
	var stopped error
	if o.stdin {
		report, stopped = s.judgeText()
	} else {
		progress := s.progress()
		report, stopped = s.judge(ctx, repo, o, progress.tell)
		progress.clear()
	}
	if report == nil {
		return s.explainScope(stopped)
	}
	if o.writeBaseline != "" && stopped == nil {
		if err := s.writeBaseline(ctx, s.at(o.writeBaseline), report.Findings); err != nil {
			return err
		}
		s.summary(report)
		s.say("Wrote %s to %s", plural(len(report.Findings), "finding"), s.show(s.at(o.writeBaseline)))
		return nil
	}
	kept := report.Findings[:0]
	for _, f := range report.Findings {
		if ignored[f.Fingerprint] && f.Rule.MayBeSilenced() {
			f.Silenced = scan.ByBaseline
			report.Silenced = append(report.Silenced, f)
			continue
		}
		kept = append(kept, f)
	}
	report.Findings = kept
	if err := s.writeReport(ctx, report, o); err != nil {
		return err
	}
	s.summary(report)
	if o.format == "text" {
		s.sayRules(report.Findings)
	}
	s.hintCommitted(ctx, repo, report, o)
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
			return nil, usage("cannot open folder '%s': %s", s.show(s.start()), safefile.Cause(err)).hint("name a folder of the repository with -C DIR")
		}
	}
	repo, err := s.repository()
	if err == nil && repo == nil {
		_, err = gitutil.Discover(s.start(), s.Getenv)
	}
	return repo, err
}

// needGit is needRepository for commands that change what git alone can change.
func (s *session) needGit() (gitutil.Writer, error) {
	repo, err := s.needRepository()
	if err != nil {
		return nil, err
	}
	return gitutil.Writing(repo)
}

// judge looks at what the options ask for. An error that came after something
// was seen is returned beside the report of that.
func (s *session) judge(ctx context.Context, repo gitutil.Repository, o checkOptions, progress func(files, commits int)) (*judge.Report, error) {
	plain := !o.staged && !o.history && o.base == "" && o.commits == ""
	base, err := o.judgedBy()
	if err != nil {
		return nil, err
	}
	j := &judge.Judge{Repo: repo, Progress: progress, Now: s.Now, Basis: hooks.BasisBeside(s.reopen, func(repo gitutil.Repository) (*judge.Basis, error) {
		basis, err := basisFor(ctx, repo, base, plain)
		if err != nil {
			return nil, err
		}
		return basis, basis.Everywhere(ctx, repo)
	})}
	defer func() {
		if basis, err := j.Basis(); err == nil {
			s.warnLocked(basis.Locked)
		}
	}()
	defer func() {
		if j.Undated {
			s.warn("this clone is shallow: whether some values are due could not be judged [value-due]")
			s.hint("'git fetch --unshallow' gets the rest of the history")
		}
	}()
	switch {
	case o.staged:
		report, err := s.judgeStaged(ctx, j)
		return s.withOpenMerges(ctx, repo, j, report, err)
	case o.history:
		return j.History(ctx)
	case o.commits != "":
		r, err := gitutil.ParseRange(o.commits)
		if err != nil {
			return nil, err
		}
		for _, rev := range append(r.Include, r.Exclude...) {
			if err := repo.Unambiguous(ctx, rev); err != nil {
				return nil, err
			}
		}
		report, err := j.Range(ctx, r)
		s.warnEmpty(report, err, o.commits)
		return report, err
	case o.base != "":
		report, err := s.judgeBase(ctx, repo, j, o.base)
		s.warnEmpty(report, err, o.base+"..HEAD")
		return report, err
	}
	if repo.Layout().Top == "" {
		return nil, usage("a bare repository has no work tree to check").hint("check its commits with --history or --range A..B")
	}
	report, err := s.judgeWorkTree(ctx, repo, j)
	return s.withOpenMerges(ctx, repo, j, report, err)
}

// judgeStaged judges what the hook before a commit does, which may bring lines of
// git's files along: nobody does that here.
func (s *session) judgeStaged(ctx context.Context, j *judge.Judge) (*judge.Report, error) {
	pending, err := j.Pending(ctx)
	if err != nil {
		return pending.Report, err
	}
	if err := pending.WithFormations(ctx, s.keys(), judge.Remembered()); err != nil {
		return nil, err
	}
	basis, err := j.Basis()
	if err != nil {
		return nil, err
	}
	pending.Add(basis, judge.GitFiles(pending.Lacking))
	return pending.Report, nil
}

// withOpenMerges adds what merges left to be settled, which a commit would stop at:
// also one that 'git rebase --continue' took into a commit, for which git runs no hook.
func (s *session) withOpenMerges(ctx context.Context, repo gitutil.Repository, j *judge.Judge, report *judge.Report, err error) (*judge.Report, error) {
	if err != nil || repo.Layout().Top == "" {
		return report, err
	}
	open, err := merge.Open(ctx, repo)
	if err != nil {
		return nil, err
	}
	lost, err := merge.LostIn(ctx, repo, "HEAD")
	if err != nil && !gitutil.IsUnborn(err) {
		return nil, err
	}
	basis, err := j.Basis()
	if err != nil {
		return nil, err
	}
	report.Add(basis, append(open, lost...))
	return report, nil
}

func basisFor(ctx context.Context, repo gitutil.Repository, base string, plain bool) (*judge.Basis, error) {
	switch {
	case base != "":
		return judge.BasisOfChange(ctx, repo, base)
	case repo.Layout().Top == "":
		return judge.BasisOf(ctx, repo, judge.Tree(repo, "HEAD"))
	case plain:
		return judge.BasisOnDisk(ctx, repo)
	}
	return judge.BasisOfIndex(ctx, repo)
}

// warnLocked says whose values were not looked for.
func (s *session) warnLocked(dirs []string) {
	layout, _ := s.where()
	tracked := func(dir string) bool {
		f := s.found(&formation.Formation{Dir: filepath.Join(layout.Top, filepath.FromSlash(dir))})
		_, err := f.ReadKeyFile()
		_, tracked := errors.AsType[*formation.TrackedKeyError](err)
		return tracked && layout.Top != ""
	}
	var locked, given []string
	for _, dir := range dirs {
		if tracked(dir) {
			given = append(given, dir)
		} else {
			locked = append(locked, dir)
		}
	}
	if len(locked) > 0 {
		s.warn("no key here opens the vault of %s, so its values were not looked for", list(locked))
	}
	if len(given) > 0 {
		s.warn("git tracks the .key of %s, so it is not read, and the values of its vault were not looked for", list(given))
	}
}

// judgedBy is the revision whose settings and baseline count, which a change that
// is checked cannot choose; "" where the check is of no change to another one.
func (o checkOptions) judgedBy() (string, error) {
	if o.commits == "" {
		return o.base, nil
	}
	r, err := gitutil.ParseRange(o.commits)
	if err != nil {
		return "", err
	}
	return r.Exclude[0], nil
}

// warnEmpty tells a change in which nothing was looked at from one in which
// nothing was found.
func (s *session) warnEmpty(report *judge.Report, err error, span string) {
	if err == nil && report.Commits == 0 {
		s.warn("there is no commit in %s: nothing of a change was checked", span)
	}
}

func (s *session) judgeBase(ctx context.Context, repo gitutil.Repository, j *judge.Judge, base string) (*judge.Report, error) {
	if err := repo.Unambiguous(ctx, base); err != nil {
		return nil, err
	}
	fork, ok, err := repo.MergeBase(ctx, base, "HEAD")
	if err != nil {
		return nil, err
	}
	if !ok {
		if len(repo.Layout().ShallowCommits()) > 0 {
			return nil, errors.Join(err, &gitutil.ShallowError{Question: "where the work left '" + base + "'"})
		}
		fork = base // two histories that never met: everything that base has not
	}
	report, err := j.Range(ctx, gitutil.Range{Exclude: []string{fork}})
	if err != nil {
		return report, err
	}
	basis, err := j.Basis()
	if err != nil {
		return nil, err
	}
	sharing, err := j.Sharing(ctx, base, fork, "HEAD")
	if err != nil {
		return nil, err
	}
	report.Add(basis, sharing)
	head := judge.Tree(repo, "HEAD")
	dirs, err := judge.FormationsAt(ctx, head)
	if err != nil {
		return nil, err
	}
	older, err := judge.Older(ctx, repo, fork, dirs)
	if err != nil {
		return nil, err
	}
	report.Add(basis, older)
	lacking, filters, err := judge.LackingIn(ctx, head, dirs)
	if err != nil {
		return nil, err
	}
	report.Add(basis, judge.GitFiles(lacking))
	report.Add(basis, judge.Filters(filters))
	sharedHere, err := judge.SharedIn(ctx, head, dirs)
	if err != nil {
		return nil, err
	}
	step, err := judge.OutOfStep(ctx, repo, s.keys(), "HEAD", sharedHere)
	if err != nil {
		return nil, err
	}
	report.Add(basis, step)
	snapshots, err := judge.Snapshots(ctx, repo, s.keys(), head, dirs, dirs)
	if err != nil {
		return nil, err
	}
	return j.WithState(ctx, report, snapshots)
}

func (s *session) judgeWorkTree(ctx context.Context, repo gitutil.Repository, j *judge.Judge) (*judge.Report, error) {
	return j.WorkTreeWithState(ctx, func() ([]*formation.Formation, error) {
		basis, err := j.Basis()
		if err != nil {
			return nil, err
		}
		formations, err := judge.Formations(repo.Layout(), s.keys(), basis.Dirs)
		for _, f := range formations {
			if err := s.sweep(f); err != nil {
				return nil, err
			}
		}
		return formations, err
	})
}

// reopen opens the repository once more, for a question beside another.
func (s *session) reopen() (gitutil.Repository, error) {
	return gitutil.Open(s.start(), gitutil.Options{Getenv: s.Getenv})
}

// explainScope says why git could not show what was asked for.
func (s *session) explainScope(err error) error {
	var rev *gitutil.RevisionError
	if errors.As(err, &rev) {
		if layout, ok := s.where(); ok && len(layout.ShallowCommits()) > 0 {
			return failed(err, "unknown revision '%s' in a shallow clone", rev.Rev).
				hint("fetch the whole history: 'fetch-depth: 0' in GitHub Actions, GIT_DEPTH: 0 in GitLab CI, 'git fetch --unshallow' by hand")
		}
		return usage("%s", rev).hint("see what there is with 'git branch -a'; in CI, fetch the branch first")
	}
	var ambiguous *gitutil.AmbiguousError
	if errors.As(err, &ambiguous) {
		name, _, _ := strings.Cut(strings.ReplaceAll(ambiguous.Rev, "^", "~"), "~")
		return failed(err, "the name '%s' is ambiguous: git knows more than one thing by it", name).
			hint("write the whole name, as in refs/remotes/origin/main; 'git show-ref %s' lists what there is", s.shell().Escape(name))
	}
	var settings *formation.SettingsError
	if errors.As(err, &settings) {
		e := usage("cannot use %s: %s", formation.SettingsFile, settings.Reason)
		if settings.Example != "" {
			e.line("it is written as in")
			for line := range strings.Lines(settings.Example) {
				e.line("  %s", strings.TrimSuffix(line, "\n"))
			}
		}
		return e.hint("mend it: until then nothing is silenced and nothing is checked")
	}
	var config *judge.ConfigError
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
func (s *session) explainConfig(config *judge.ConfigError) *Error {
	return usage("git config %s: %v", config.Key, config.Err).hint("set it right: 'git config %s 90d'", config.Key)
}

// summary tells a check that saw nothing from one that found nothing.
func (s *session) summary(report *judge.Report) {
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
	if silenced := countSilenced(report.Silenced); silenced != "" {
		fmt.Fprintln(s.Err, silenced)
	}
}

func (s *session) saySkipped(before string, skipped []judge.Skipped) {
	for i, file := range skipped {
		if i == 20 {
			fmt.Fprintf(s.Err, "%sand %d more\n", before, len(skipped)-i)
			break
		}
		fmt.Fprintf(s.Err, "%snot checked in full: %s (%s)\n", before, showPath(file.Path), sanitize(file.Reason))
	}
}
