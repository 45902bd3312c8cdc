package commands

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/hooks/scrub"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

func (r *runner) scrubCommand() *cli.Command {
	return &cli.Command{
		Name:      "scrub",
		Usage:     "take leaked values out of the commits that were not pushed yet",
		UsageText: "[--base REF] [--dry-run]",
		Description: `   git muxi-secrets scrub --dry-run
   git muxi-secrets scrub

Makes the commits again that no remote-tracking branch has: a reference or ***
takes the place of each value, key files go, all else of them stays. A value of
a formation that is not stored yet goes into the vault first. The old commits
stay under a ref that no push takes along.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "base", Usage: "only the commits since `REF`"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only say what would be taken out, and where"},
		},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			if c.IsSet("base") && c.String("base") == "" {
				return usage("a revision is missing").hint("see '%s -h'", c.Command.HelpName)
			}
			return s.scrub(ctx, c.String("base"), c.Bool("dry-run"))
		}),
	}
}

func (s *session) scrub(ctx context.Context, base string, dryRun bool) error {
	repo, err := s.needGit()
	if err != nil {
		return err
	}
	if err := s.ours(); err != nil {
		return err
	}
	layout := repo.Layout()
	if layout.Top == "" {
		return usage("a bare repository has no branch to work on").hint("run it in a clone that has a work tree")
	}
	if err := s.sweep(&formation.Formation{Dir: layout.Top}); err != nil {
		return err
	}
	if base != "" {
		if err := repo.Unambiguous(ctx, base); err != nil {
			return s.explainScope(err)
		}
	}
	if err := s.mayScrub(ctx, repo, dryRun); err != nil {
		return err
	}

	progress := s.progress()
	run := &hooks.Runner{Repo: repo, Keys: s.keys(), Reopen: s.reopen, Files: s.Files, Getenv: s.Getenv}
	work := &scrub.Scrubber{Repo: repo, Basis: run.BasisFor, Progress: progress.tell}
	if s.Files.Fault != nil {
		work.Fault = func(step string) error { return s.Files.Fault(safefile.Step(step), layout.GitDir) }
	}
	plan, err := work.Plan(ctx, base)
	progress.clear()
	if dryRun {
		return s.showScrub(plan, err)
	}
	if err != nil {
		return s.explainScrub(err)
	}
	s.warnLocked(plan.Locked)
	return s.applyScrub(ctx, work, plan)
}

// showScrub is the end of a dry run: what would be done, and what is in the way of
// it, which is no reason to fail here.
func (s *session) showScrub(plan *scrub.Plan, err error) error {
	var pushed *scrub.PushedError
	var stuck *scrub.StuckError
	switch isStuck := errors.As(err, &stuck); {
	case err != nil && !isStuck && !errors.As(err, &pushed):
		return s.explainScrub(err)
	case plan != nil:
		s.warnLocked(plan.Locked)
		for _, line := range s.scrubLines(plan) {
			fmt.Fprintln(s.Out, line)
		}
		if err == nil && len(plan.Changes) == 0 {
			s.sayClean(plan)
		}
	}
	if err == nil {
		return nil
	}
	e := s.explain(s.explainScrub(err))
	for _, line := range e.Lines {
		fmt.Fprintln(s.Out, sanitize("stays: "+line))
	}
	for _, hint := range e.Hints {
		s.hint("%s", hint)
	}
	return nil
}

// mayScrub refuses where a branch cannot be made again.
func (s *session) mayScrub(ctx context.Context, repo gitutil.Writer, dryRun bool) error {
	if _, born, err := repo.Head(ctx); err != nil || !born {
		if err == nil && dryRun {
			s.say("there is no commit yet")
			return exitCode(exitDone)
		}
		if err == nil {
			err = refuse("there is no commit yet").hint("'%s check' looks at the work tree", s.anywhere())
		}
		return err
	}
	if dryRun {
		return nil
	}
	at, err := repo.Operation(ctx)
	if err != nil {
		return err
	}
	if at.Kind != "" {
		return refuse("git is in the middle of a %s", at.Kind).
			hint("finish it with 'git %[1]s --continue', or give it up with 'git %[1]s --abort', then run this again", at.Kind)
	}
	changed, err := repo.Changed(ctx)
	if err != nil || len(changed) == 0 {
		return err
	}
	e := refuse("the work tree has changes that are not committed")
	for i, name := range changed {
		if i == 10 {
			e.line("and %d more", len(changed)-i)
			break
		}
		e.line("%s", showPath(name))
	}
	return e.hint("'git commit' them, or 'git stash' puts them aside ('git stash pop' brings them back)")
}

// scrubLines say what becomes of each place.
func (s *session) scrubLines(plan *scrub.Plan) (lines []string) {
	for _, c := range plan.Changes {
		place := showPath(c.Path) + fmt.Sprintf(":%d", c.Line)
		switch {
		case c.Tag != "":
			place = "message of the tag " + showPath(c.Tag)
		case c.Path == "":
			place = fmt.Sprintf("message:%d", c.Line)
		case c.Gone:
			place = showPath(c.Path)
		}
		what := c.Secret
		if what == "" {
			what = "[" + string(c.Rule) + "]"
		}
		becomes := "***"
		switch {
		case c.Gone:
			what, becomes = "["+string(c.Rule)+"]", "the file goes"
		case c.Rule == scan.TemplateValue && c.Name != "":
			becomes = c.Name + "="
		case c.Name != "":
			becomes = "${{ secrets." + c.Name + " }}"
		}
		lines = append(lines, sanitize(fmt.Sprintf("%s %s  %s  ->  %s", c.Commit[:10], place, what, becomes)))
	}
	return lines
}

func (s *session) sayClean(plan *scrub.Plan) {
	if plan.Commits == 0 {
		s.say("There is no commit here that no remote-tracking branch has; nothing was changed")
		return
	}
	s.say("Nothing to take out of %s that no remote-tracking branch has; nothing was changed", plural(plan.Commits, "commit"))
}

// applyScrub makes the commits again, stores what belongs into a vault, and moves
// the branch.
func (s *session) applyScrub(ctx context.Context, work *scrub.Scrubber, plan *scrub.Plan) error {
	dirs := slices.Sorted(maps.Keys(plan.Fresh))
	for _, dir := range dirs {
		if _, _, err := s.openOrFresh(s.formationAt(dir), crypto.Fernet); err != nil {
			return err
		}
	}
	if err := work.Make(ctx, plan); err != nil {
		e := s.explain(s.explainScrub(err))
		if len(e.Hints) == 0 {
			e.hint("nothing was changed; run it again when the cause is gone: '%s scrub'", s.anywhere())
		}
		return e
	}
	if plan.Rewritten == 0 && len(plan.Tags) == 0 {
		s.sayClean(plan)
		return nil
	}

	var left []string
	err := s.storeScrubbed(ctx, plan, dirs, func(store func() error) (err error) {
		left, err = work.Apply(ctx, plan, store)
		return err
	})
	if err != nil {
		if scrub.Unfinished(work.Repo.Layout()) {
			return failed(err, "the values are stored, and the rest is not done yet: %s", s.explain(err).Lines[0]).
				hint("when the cause is gone, any command finishes it: '%s status'", s.anywhere())
		}
		return err
	}
	s.sayScrubbed(plan, left)
	return nil
}

// formationAt is the formation in a folder, from the top.
func (s *session) formationAt(dir string) *formation.Formation {
	layout, _ := s.where()
	return s.found(&formation.Formation{Dir: filepath.Join(layout.Top, filepath.FromSlash(dir))})
}

// storeScrubbed stores values while the refs are locked by apply. The note of what
// is left to do goes with the last of them.
func (s *session) storeScrubbed(ctx context.Context, plan *scrub.Plan, dirs []string, apply func(store func() error) error) error {
	layout, _ := s.where()
	if len(dirs) == 0 {
		top := &formation.Formation{Dir: layout.Top}
		lock, err := s.lock(ctx, top)
		if err != nil {
			return err
		}
		defer lock.Release()
		return apply(func() error {
			return s.Files.Do(func(batch *safefile.Batch) error { return plan.AddNote(layout, batch) })
		})
	}

	last := len(dirs) - 1
	for _, dir := range dirs[:last] {
		w, err := s.openToWrite(ctx, s.formationAt(dir), crypto.Fernet)
		if err == nil {
			err = s.storeFresh(w, plan.Fresh[dir])
			w.close()
		}
		if err != nil {
			return err
		}
	}
	w, err := s.openToWrite(ctx, s.formationAt(dirs[last]), crypto.Fernet)
	if err != nil {
		return err
	}
	defer w.close()
	return apply(func() error {
		if err := plan.AddNote(layout, w.batch); err != nil {
			return err
		}
		return s.storeFresh(w, plan.Fresh[dirs[last]])
	})
}

func (s *session) storeFresh(w *writing, values []scan.NamedValue) error {
	for _, v := range values {
		if have, there, err := w.Vault.Get(v.Name); err != nil || there && have != string(v.Value) {
			return failed(err, "%s changed meanwhile; nothing was changed", v.Name).hint("run the command again: '%s scrub'", s.anywhere())
		}
		w.Vault.Set(v.Name, string(v.Value))
	}
	// The lines of the template that held one are answered for.
	_, content, _, err := w.ReadTemplate()
	if err != nil {
		return err
	}
	var lines []int
	w.answered = map[int]bool{}
	for _, a := range formation.ParseTemplate(content).Typed() {
		if slices.ContainsFunc(values, func(v scan.NamedValue) bool { return string(v.Value) == a.Value }) {
			w.answered[a.Line], lines = true, append(lines, a.Line)
		}
	}
	w.editTemplate = func(t *formation.Template) {
		for _, line := range lines {
			t.Empty(line)
		}
	}
	w.followed = true
	_, err = w.save()
	return err
}

func (s *session) sayScrubbed(plan *scrub.Plan, left []string) {
	for _, line := range s.scrubLines(plan) {
		s.say("%s", line)
	}
	waits := &scan.Add{}
	for _, dir := range slices.Sorted(maps.Keys(plan.Fresh)) {
		var names []string
		for _, v := range plan.Fresh[dir] {
			names = append(names, v.Name)
		}
		f := s.formationAt(dir)
		s.say("Stored %s in %s, which waits for a commit", list(names), s.show(f.Path(formation.VaultFile)))
		for _, name := range [...]string{formation.VaultFile, formation.TemplateFile, ".gitignore", ".gitattributes"} {
			if paths.There(f.Path(name)) {
				waits.Files = append(waits.Files, path.Join(dir, name))
			}
		}
	}
	if len(waits.Files) > 0 {
		s.hint("commit what was stored: '%s', then 'git commit'", s.gitAdd(waits))
	}
	if plan.Rewritten > 0 {
		s.say("Made %s of %s again: %s is now %s", plural(plan.Rewritten, "commit"), strings.TrimPrefix(plan.Branch, "refs/heads/"), plan.Old[:10], plan.New[:10])
	}
	if len(plan.Tags) > 0 {
		s.say("Moved %s along", list(shortRefs(plan.Tags)))
	}
	if plan.Signatures > 0 {
		s.say("Dropped %s: what was signed are the old commits", plural(plan.Signatures, "signature"))
	}
	if len(plan.Gone) > 0 {
		for _, name := range plan.Gone {
			s.exclude("/" + name)
		}
		s.say("Out of git, and still on the disk: %s", list(plan.Gone))
	}
	for _, name := range left {
		if filepath.Base(name) != formation.TemplateFile { // the vault's own change is in it
			s.warn("'%s' was changed meanwhile, and stays as it is on the disk", showPath(name))
		}
	}
	if len(plan.Holders) > 0 {
		s.warn("the old commits are also in %s", list(shortRefs(plan.Holders)))
		s.hint("'git switch BRANCH' and '%s scrub' there cleans a branch; 'git branch -D BRANCH' deletes one that nobody needs", s.anywhere())
	}
	if plan.Kept != "" {
		s.say("The old commits stay under %s, which no push takes along", plan.Kept)
		logs := "HEAD"
		if branch, ok := strings.CutPrefix(plan.Branch, "refs/heads/"); ok {
			logs += " " + s.shell().Escape(branch)
		}
		s.hint("to forget them: 'git update-ref -d %s'; your own reflog has them for some weeks more, or until 'git reflog expire --expire=now %s && git gc --prune=now'", s.shell().Escape(plan.Kept), logs)
	}
	if len(plan.Locked) > 0 && slices.ContainsFunc(plan.Gone, func(name string) bool { return filepath.Base(name) == formation.KeyFile }) {
		s.hint("a committed %s is read nowhere, so that its vault was not opened: '%s scrub' once more looks for its values", formation.KeyFile, s.anywhere())
	}
}

func shortRefs(refs []string) (short []string) {
	for _, ref := range refs {
		for _, prefix := range [...]string{"refs/heads/", "refs/tags/", "refs/"} {
			if rest, ok := strings.CutPrefix(ref, prefix); ok {
				ref = rest
				break
			}
		}
		short = append(short, ref)
	}
	return short
}

// explainScrub says why nothing was made again.
func (s *session) explainScrub(err error) error {
	var pushed *scrub.PushedError
	if errors.As(err, &pushed) {
		f := pushed.Finding
		return refuse("the commit %s was pushed, and holds a leak: nothing was changed", f.Commit[:10]).
			line("%s: %s [%s]", showPlace(f), sanitize(f.Message), f.Rule).
			hint("what others have cannot be taken back: have the value replaced where it comes from, then store the new one with '%s add NAME'", s.onPath(f.Path)).
			hint("without --base, '%s scrub' cleans what was not pushed yet", s.anywhere())
	}
	var stuck *scrub.StuckError
	if errors.As(err, &stuck) {
		e := refuse("%s could not be taken out; nothing was changed", plural(len(stuck.Findings), "leak"))
		for i, f := range stuck.Findings {
			if i == maxSaidFindings {
				e.line("and %d more", len(stuck.Findings)-i)
				break
			}
			at := ""
			if f.Commit != "" {
				at = f.Commit[:10] + " "
			}
			e.line("%s%s: %s [%s]", at, showPlace(f), sanitize(f.Message), f.Rule)
		}
		if first := stuck.Findings[0].Commit; first != "" {
			return e.hint("change those commits by hand, from the first on: 'git rebase -i %s', then run this again", s.rebaseFrom(first))
		}
		return e.hint("change those commits by hand with 'git rebase -i', then run this again")
	}
	return s.explainScope(err)
}

// rebaseFrom is what a rebase is told so that it begins with a commit: the first of
// all has no parent.
func (s *session) rebaseFrom(commit string) string {
	repo, err := s.repository()
	if err == nil && repo != nil {
		if _, err := repo.ResolveRev(s.ctx, commit+"^"); err != nil {
			return "--root"
		}
	}
	return fmt.Sprintf("%.10s^", commit)
}

// finishScrub finishes a run of scrub that was killed.
func (s *session) finishScrub() error {
	repo, err := s.repository()
	if err != nil || repo == nil || s.byGit {
		return err // a hook must not move what git is at
	}
	git, err := gitutil.Writing(repo)
	if err != nil {
		return nil // waits for a run with git
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done, err := scrub.Finish(ctx, git)
	switch {
	case err != nil || done == nil:
		return err
	case done.Finished:
		s.say("Finished a 'scrub' of %s that had been interrupted", strings.TrimPrefix(done.Branch, "refs/heads/"))
	default:
		s.warn("a 'scrub' of %s had been interrupted, and the branch was moved since: run it again", strings.TrimPrefix(done.Branch, "refs/heads/"))
	}
	return nil
}
