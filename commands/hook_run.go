package commands

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

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
		out, err = run.PreCommit(ctx)
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
	to := s.Getenv("PRE_COMMIT_TO_REF")
	if to == "" {
		return s.In
	}
	from := s.Getenv("PRE_COMMIT_FROM_REF")
	if from == "" {
		from = "0000000000000000000000000000000000000000"
	}
	return bytes.NewBufferString(fmt.Sprintf("%s %s %s %s\n", "refs/heads/x", to, "refs/heads/x", from))
}

func (s *session) sayOutcome(name string, out *hooks.Outcome) error {
	for _, template := range out.Templates {
		s.say("git muxi-secrets: brought %s up to date, in the commit too", showPath(template))
	}
	for _, f := range out.Warnings {
		fmt.Fprintf(s.Err, "git muxi-secrets: %s: warning: %s\n", showPlace(f), sanitize(f.Message))
	}
	for _, skipped := range out.Skipped {
		fmt.Fprintf(s.Err, "git muxi-secrets: not checked in full: %s (%s)\n", showPath(skipped.Path), sanitize(skipped.Reason))
	}
	if len(out.Findings) == 0 {
		return nil
	}
	for _, f := range out.Findings {
		fmt.Fprintln(s.Err, textFinding(f))
	}
	if !hooks.Stops(out.Findings) {
		return nil
	}
	what := map[string]string{"pre-push": "push", "pre-receive": "push", "pre-merge-commit": "merge"}[name]
	if what == "" {
		what = "commit"
	}
	errors := 0
	var e *Error
	told := map[string]bool{}
	for _, f := range out.Findings {
		if f.Severity == scan.Error {
			errors++
		}
	}
	e = refuse("the %s was stopped: %s", what, plural(errors, "finding"))
	for _, f := range out.Findings {
		if text := remedy(f.Rule); text != "" && f.Severity == scan.Error && !told[text] {
			told[text] = true
			e.hint("%s", text)
		}
	}
	if name == "pre-receive" {
		return e
	}
	return e.hint("if this is no secret, allow it in .muxi-secrets.yaml or with a comment muxi-secrets:allow; to skip every check this once: %s", hooks.SkipHint(name))
}
