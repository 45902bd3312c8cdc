package commands

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

func (r *runner) hookRunCommand() *cli.Command {
	return &cli.Command{
		Name:        "hook-run",
		Usage:       "what the installed git hooks call",
		UsageText:   "HOOK [ARGUMENTS]",
		Description: "   git muxi-secrets hook-run pre-commit",
		Hidden:      true,
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			return s.hookRun(ctx, c.Args().First(), c.Args().Tail())
		}),
	}
}

// hookRun does what a git hook is for. Everything it says goes to stderr: git
// shows that to the person who commits or pushes.
func (s *session) hookRun(ctx context.Context, name string, args []string) error {
	repo, err := s.needRepository()
	if err != nil {
		return err
	}
	progress := s.progress()
	run := &hooks.Runner{Repo: repo, Reopen: s.reopen, Files: s.Files, Getenv: s.Getenv, Progress: progress.tell}
	var out *hooks.Outcome
	switch name {
	case "pre-commit", "pre-merge-commit":
		if out, err = run.PreCommit(ctx); err == nil && name == "pre-merge-commit" && len(out.Templates) > 0 {
			repo.Refresh(ctx) // git stops here, and it may come to 'git merge --abort'
		}
	case "commit-msg":
		if len(args) != 1 {
			return usage("git gives the commit-msg hook the file of the message")
		}
		out, err = run.CommitMessage(ctx, s.at(args[0]))
	case "pre-push":
		remote := ""
		if len(args) > 0 {
			remote = args[0]
		}
		out, err = run.PrePush(ctx, remote, s.pushLines())
	case "pre-receive":
		out, err = run.PreReceive(ctx, s.In)
	default:
		return usage("there is no such hook").hint("the hooks: pre-commit, pre-merge-commit, commit-msg, pre-push, pre-receive")
	}
	progress.clear()
	if err != nil {
		return s.explainScope(err)
	}
	return s.sayOutcome(name, out)
}

// pushLines is what git tells a pre-push hook: on standard input, or in the
// variables of the pre-commit framework, which keeps that input to itself.
func (s *session) pushLines() io.Reader {
	if s.Getenv("PRE_COMMIT") == "" {
		return s.In
	}
	from, to := s.Getenv("PRE_COMMIT_FROM_REF"), s.Getenv("PRE_COMMIT_TO_REF")
	if to == "" { // not set for a push that brings a root commit along
		from, to = "", s.Getenv("PRE_COMMIT_LOCAL_BRANCH")
	}
	if to == "" {
		to = "HEAD"
	}
	if from == "" {
		from = "0000000000000000000000000000000000000000"
	}
	ref := s.Getenv("PRE_COMMIT_REMOTE_BRANCH")
	if ref == "" {
		ref = "refs/heads/x"
	}
	return strings.NewReader(fmt.Sprintf("%s %s %s %s\n", ref, to, ref, from))
}

// Of what a hook has to say only so much fits a screen.
const (
	maxSaidFindings = 30
	maxSaidWarnings = 8
)

func (s *session) sayOutcome(name string, out *hooks.Outcome) error {
	for _, template := range out.Templates {
		s.say("%s: brought %s up to date, in the commit too", program, showPath(template))
	}
	for i, f := range out.Warnings {
		if i == maxSaidWarnings {
			s.say("%s: and %s more: 'git muxi-secrets check' lists them", program, plural(len(out.Warnings)-i, "warning"))
			break
		}
		fmt.Fprintf(s.Err, "%s: %s: %s %s\n", program, showPlace(f), paint(s.Err, yellow, "warning:"), sanitize(f.Message))
	}
	s.saySkipped(program+": ", out.Skipped)
	errors := 0
	for i, f := range out.Findings {
		if f.Severity == scan.Error {
			errors++
		}
		switch {
		case i < maxSaidFindings:
			fmt.Fprintln(s.Err, textFinding(s.Err, f))
		case i == maxSaidFindings:
			fmt.Fprintf(s.Err, "and %d more\n", len(out.Findings)-i)
		}
	}
	what, pushed := "commit", false
	switch name {
	case "pre-push", "pre-receive":
		what, pushed = "push", true
	case "pre-merge-commit":
		what = "merge"
	}
	if errors == 0 {
		if name == "pre-merge-commit" && len(out.Templates) > 0 {
			// Git made the tree of this merge before it ran the hook, and takes
			// nothing into it any more.
			return refuse("the merge waits for a commit: a template was not up to date").
				hint("it is now, and staged: 'git commit' concludes the merge with it")
		}
		return nil
	}
	e := refuse("the %s was stopped: %s", what, plural(errors, "finding"))
	told := map[string]bool{}
	mayComment, mayAllow := false, false
	for _, f := range out.Findings {
		if f.Severity != scan.Error {
			continue
		}
		mayComment = mayComment || mayBeAllowedByComment(f)
		mayAllow = mayAllow || f.Rule != scan.UnsettledMerge
		if text := remedy(f); text != "" && !told[text] {
			told[text] = true
			e.hint("%s", text)
		}
	}
	if pushed && mayAllow {
		e.hint("it stands in commits: change those ('git commit --amend', 'git rebase -i'), a new commit on top does not take it out of them")
	}
	allow := "if this is no secret, an entry in " + formation.SettingsFile + " allows it"
	if mayComment {
		allow = "if this is no secret, a comment with muxi-secrets:allow on its line lets it pass, or an entry in " + formation.SettingsFile
	}
	if mayAllow {
		e.hint("%s", allow)
	}
	if name != "pre-receive" {
		e.hint("to skip every check this once: %s", hooks.SkipHint(name))
	}
	return e
}
