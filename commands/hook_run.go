package commands

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/internal/trace"
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
	repo, err := s.needGit()
	if err != nil {
		return err
	}
	if name == "post-merge" {
		s.tellPulled(ctx, repo, args)
		return nil
	}
	progress := s.progress()
	run := &hooks.Runner{Repo: repo, Keys: s.keys(), Reopen: s.reopen, Files: s.Files, Getenv: s.Getenv, Progress: progress.tell}
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
		out, err = run.PreReceive(ctx, s.input())
	default:
		return usage("there is no such hook").hint("the hooks: pre-commit, pre-merge-commit, commit-msg, pre-push, post-merge, pre-receive")
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
		return s.input()
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
	trace.Say(s.ctx, "hook %s: %d findings, %d warnings, %d files kept from git, %d templates and %d files of git brought along",
		name, len(out.Findings), len(out.Warnings), len(out.Kept), len(out.Templates), len(out.GitFiles))
	s.warnLocked(out.Locked)
	s.remedied(out.Findings)
	s.remedied(out.Warnings)
	for _, template := range out.Templates {
		s.say("%s: brought %s up to date, in the commit too", program, showPath(template))
	}
	for _, file := range out.GitFiles {
		s.say("%s: brought the lines of %s along, in the commit", program, showPath(file))
	}
	for i, f := range out.Warnings {
		if i == maxSaidWarnings {
			s.say("%s: and %s more: '%s check' lists them", program, plural(len(out.Warnings)-i, "warning"), s.anywhere())
			break
		}
		f.Severity = scan.Warning // here, whatever 'check' calls it
		fmt.Fprintln(s.Err, fold(s.Err, textFinding(s.Err, f)))
	}
	s.saySkipped(program+": ", out.Skipped)
	errors := 0
	for _, f := range out.Findings {
		if f.Severity == scan.Error {
			errors++
		}
	}
	if err := reportText(s.Err, out.Findings[:min(len(out.Findings), maxSaidFindings)]); err != nil {
		return err
	}
	if more := len(out.Findings) - maxSaidFindings; more > 0 {
		fmt.Fprintf(s.Err, "and %d more\n", more)
	}
	if silenced := countSilenced(out.Silenced); silenced != "" && (name == "pre-push" || name == "pre-receive" || errors > 0) {
		fmt.Fprintf(s.Err, "%s: %s\n", program, silenced)
	}
	what, pushed := "commit", false
	switch name {
	case "pre-push", "pre-receive":
		what, pushed = "push", true
	case "pre-merge-commit":
		what = "merge"
	}
	if errors == 0 && len(out.Kept) == 0 {
		if name == "pre-merge-commit" && len(out.Templates) > 0 {
			// Git made the tree of this merge before it ran the hook, and takes
			// nothing into it any more.
			return refuse("the merge waits for a commit: a template was not up to date").
				hint("it is now, and staged: 'git commit' concludes the merge with it")
		}
		return nil
	}
	return s.stopped(name, what, pushed, errors, out)
}

// stopped is the end of what a hook says when it stops git: the ways on.
func (s *session) stopped(name, what string, pushed bool, errors int, out *hooks.Outcome) error {
	e := refuse("the %s was stopped: %s", what, plural(errors, "finding"))
	if len(out.Kept) > 0 {
		if e = s.refuseKept(out.Kept, errors); errors == 0 {
			return e
		}
	}
	found := out.Findings
	mayComment, mayAllow, key, stays := false, false, false, false
	for _, f := range found {
		if f.Severity != scan.Error {
			continue
		}
		mayComment = mayComment || mayBeAllowedByComment(f)
		mayAllow = mayAllow || f.Rule != scan.UnsettledMerge && f.Rule.MayBeSilenced()
		key = key || f.Rule == scan.KeyFile || f.Rule == scan.KeyMaterial
		stays = stays || isLeak(f.Rule) || f.Rule == scan.VaultNotEncrypted
	}
	if out.Unpushed { // then one command mends all that stands in commits
		found = slices.DeleteFunc(slices.Clone(found), scrubs)
	}
	s.hintRemedies(e, found)
	if name == "pre-merge-commit" {
		e.hint("or go back: 'git merge --abort'")
	}
	if pushed && stays {
		s.hintCommits(e, name, out)
	}
	allow := "if this is no secret, an entry in " + formation.SettingsFile + " allows it"
	if mayComment {
		allow = "if this is no secret, a comment with muxi-secrets:allow on its line lets it pass, or an entry in " + formation.SettingsFile
	}
	if mayAllow {
		e.hint("%s", allow)
	}
	if name != "pre-receive" && !key {
		e.hint("to skip every check this once: %s", hooks.SkipHint(name))
	}
	return e
}

// hintRemedies gives the remedies of what was found. Those that differ by the file
// alone are said once, with the other files behind.
func (s *session) hintRemedies(e *Error, found []scan.Finding) {
	for _, w := range s.ways(found, func(f scan.Finding) bool { return f.Severity == scan.Error }, func(scan.Finding) bool { return true }) {
		if w.text == "" {
			continue
		}
		e.hint("%s", w.text)
		if len(w.files) > 0 {
			e.hint("%s", w.others())
		}
	}
}

// tellPulled says in a line each what a merge or a pull brought. It stops nothing,
// whatever happens: the merge is done.
func (s *session) tellPulled(ctx context.Context, repo gitutil.Writer, args []string) {
	squash := s.Getenv("PRE_COMMIT_IS_SQUASH_MERGE")
	if len(args) > 0 {
		squash = args[0]
	}
	if squash == "1" {
		return // nothing came into a commit yet
	}
	progress := s.progress()
	run := &hooks.Runner{Repo: repo, Keys: s.keys(), Reopen: s.reopen, Files: s.Files, Getenv: s.Getenv, Progress: progress.tell}
	pulled, err := run.PostMerge(ctx)
	progress.clear()
	what := "merge"
	if strings.HasPrefix(s.Getenv("GIT_REFLOG_ACTION"), "pull") {
		what = "pull"
	}
	if err != nil {
		s.say("%s: what this %s brought could not be looked at: %s", program, what, s.explain(s.explainScope(err)).Lines[0])
		return
	}
	if pulled == nil {
		return
	}

	if n := len(pulled.Findings); n > 0 {
		s.say("%s: this %s brought %s: '%s check --range %.12s..%.12s' lists %s", program, what, plural(n, "finding"), s.anywhere(), pulled.From, pulled.To, map[bool]string{true: "it", false: "them"}[n == 1])
	}
	layout, _ := s.where()
	for _, rotated := range pulled.Rotated {
		on := s.on(filepath.Join(layout.Top, filepath.FromSlash(rotated.Dir)))
		commit := claimed(&gitutil.LogEntry{Hash: rotated.Commit, Author: rotated.Author})
		s.say("%s: the key of %s is another one since %s: %s", program, showPath(rotated.Dir), commit, getsOther(on, rotated.Wrapped))
	}
}
