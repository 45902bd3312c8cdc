package commands

import (
	"fmt"

	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// hintCommits says what takes leaks out of commits that are being pushed: scrub,
// for what it can take out. What a branch or a tag is called stands in none.
func (s *session) hintCommits(e *Error, hook string, out *hooks.Outcome) {
	inCommits, scrubbed := false, false
	for _, f := range out.Findings {
		switch {
		case f.Severity != scan.Error || f.Commit == "":
		case f.Where == "" || f.Where == scan.InName:
			inCommits, scrubbed = true, scrubbed || scrubs(f)
		}
	}
	if !inCommits {
		return
	}

	how := "change those ('git rebase -i'), or where no remote has them yet, '" + program + " scrub' on the branch that has them"
	switch {
	case !scrubbed:
		how = "change those ('git rebase -i')"
	case hook == "pre-receive":
		how = "'" + program + " scrub' in the clone that pushes makes them again without it"
	case out.Unpushed:
		how = fmt.Sprintf("'%[1]s scrub' makes those again without it ('%[1]s scrub --dry-run' shows how)", s.anywhere())
	}
	e.hint("it stands in commits, and a new commit on top does not take it out of them: %s", how)
}

// scrubs reports whether 'scrub' takes what a finding is about out of its commit.
func scrubs(f scan.Finding) bool {
	if f.Commit == "" || f.Where != "" {
		return false
	}
	switch f.Rule {
	case scan.KeyFile:
		return true
	case scan.KeyMaterial, scan.KnownSecret, scan.PlaintextKey, scan.TemplateValue:
		_, _, placed := f.Span() // not what is in an archive
		return placed
	}
	return false
}

// refuseKept stops a push that takes along what is this clone's own.
func (s *session) refuseKept(refs []string, findings int) *Error {
	more := ""
	if findings > 0 {
		more = ", and it has " + plural(findings, "finding")
	}
	e := refuse("the push was stopped: it takes %s along, the commits that 'scrub' cleaned%s", list(refs), more)
	return e.hint("'git push --all' and 'git push --tags' push branches and tags alone; 'git update-ref -d %s' forgets the old commits", s.shell().Escape(refs[0]))
}
