package commands

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

func (s *session) printDiff(all []difference, from, to *side, format string) error {
	switch format {
	case "json":
		if s.all {
			return s.printJSON(map[string]any{"formations": all})
		}
		if len(all) == 0 {
			all = append(all, difference{From: from.name, To: to.name, FromCommit: from.commit, ToCommit: to.commit, Readable: true, Changes: []changedSecret{}})
		}
		return s.printJSON(all[0])
	case "github":
		return s.writeSummary(markdownDiff(all, from, to))
	}
	some := false
	for _, d := range all {
		if d.Rotated {
			s.say("the key of %s was rotated between %s and %s", d.Formation, d.From, d.To)
		}
		if d.MovedFrom != "" {
			s.say("%s was %s before", d.Formation, d.MovedFrom)
		}
		if !d.Readable {
			some = true
			s.printUnreadable(d)
			continue
		}
		if len(d.Changes) == 0 {
			continue
		}
		some = true
		indent := ""
		if s.all {
			fmt.Fprintf(s.Out, "%s:\n", sanitize(d.Formation))
			indent = "  "
		}
		for _, c := range d.Changes {
			as := changeStyle(c.Change)
			fmt.Fprintf(s.Out, "%s%s %s (%s)\n", indent, paint(s.Out, as, changeSign(c.Change)), sanitize(c.Name), paint(s.Out, as, string(c.Change)))
		}
	}
	if !some {
		s.say("no change between %s and %s", from.name, to.name)
	}
	return nil
}

// printUnreadable is the one line about a vault that is not opened: a result
// where it changed, a remark where it did not.
func (s *session) printUnreadable(d difference) {
	if !d.Differs {
		s.say("%s: %s is the same in both, and %s", d.Formation, formation.VaultFile, d.Note)
	} else {
		fmt.Fprintf(s.Out, "%s: %s changed, and %s\n", sanitize(d.Formation), formation.VaultFile, d.Note)
	}
	if strings.HasSuffix(d.Note, "with the keys here") {
		on := s.onPath(path.Join(d.path, formation.VaultFile))
		s.hint("get the key with '%s unlock' or '%s key import FILE'", on, on)
	}
}

// changeSign is what stands before a name.
func changeSign(kind formation.ChangeKind) string {
	switch kind {
	case formation.Added:
		return "+"
	case formation.Removed:
		return "-"
	}
	return "~"
}

func changeStyle(kind formation.ChangeKind) style {
	switch kind {
	case formation.Added:
		return green
	case formation.Removed:
		return red
	}
	return yellow
}

// markdownDiff is a table for the summary of a job.
func markdownDiff(all []difference, from, to *side) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "### Secrets that changed between %s and %s\n\n", markdown(from.name), markdown(to.name))
	rows := 0
	for _, d := range all {
		row := func(name, change string) {
			if rows++; rows == 1 {
				b.WriteString("| Formation | Secret | Change |\n| --- | --- | --- |\n")
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", markdown(d.path), name, change)
		}
		switch {
		case !d.Readable && d.Differs:
			row("", "changed, and "+d.Note)
		case !d.Readable:
			row("", "the same in both, and "+d.Note)
		}
		for _, c := range d.Changes {
			row(markdown(c.Name), string(c.Change))
		}
		if d.Rotated {
			row("", "the key was rotated")
		}
	}
	if rows == 0 {
		b.WriteString("None.\n")
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// markdown makes text that Markdown shows as it is: a plain name as code, and
// of all else every character that could mean something as an entity.
func markdown(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./~^") == "" {
		return "`" + text + "`"
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		switch {
		case steers(r):
			b.WriteRune('\ufffd')
		case r < 0x80 && r != ' ' && !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// writeSummary appends to the summary of the job that runs in GitHub Actions;
// elsewhere it prints.
func (s *session) writeSummary(text []byte) error {
	file := s.Getenv("GITHUB_STEP_SUMMARY")
	if file == "" {
		_, err := s.Out.Write(text)
		return err
	}
	out, err := os.OpenFile(s.at(file), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = out.Write(text)
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		return failed(err, "cannot write the job's summary: %s", safefile.Cause(err)).hint("GITHUB_STEP_SUMMARY names its file; without it the table is printed")
	}
	return nil
}

// explainHistory says why git could not show the versions asked for.
func (s *session) explainHistory(err error) error {
	const remedy = "fetch the whole history: 'fetch-depth: 0' in GitHub Actions, GIT_DEPTH: 0 in GitLab CI, 'git fetch --unshallow' by hand"
	var shallow *gitutil.ShallowError
	if errors.As(err, &shallow) {
		return failed(err, "%v", shallow).hint(remedy)
	}
	var missing *gitutil.MissingObjectError
	if errors.As(err, &missing) {
		return failed(err, "%v", missing).
			hint("in a partial clone, fetch everything first: 'git config --unset remote.origin.partialclonefilter', then 'git fetch --refetch'; elsewhere the repository is damaged: 'git fsck' says how")
	}
	return s.explainScope(err)
}
