package commands

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
)

type logOptions struct {
	name string // as the person spelled it; "" for all
	json bool
	most int // commits per formation; 0 for all
}

func (r *runner) logCommand() *cli.Command {
	return &cli.Command{
		Name:      "log",
		Usage:     "show which commit added, changed or removed which secret",
		UsageText: "[NAME] [-n COUNT] [--json] [--all]",
		Description: `   git muxi-secrets log
   git muxi-secrets log OPENAI_API_KEY

The newest commit comes first. Renamed folders and rotations are followed, and
values are never shown. A merge is listed where it changed something itself. It
exits 0 whatever it finds, also for a NAME that was never there.`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "max-count", Aliases: []string{"n"}, Usage: "`COUNT` commits at most"},
			jsonFlag(),
			allFlag(),
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			o := logOptions{json: c.Bool("json"), most: c.Int("max-count")}
			if c.IsSet("max-count") && o.most < 1 {
				return usage("--max-count is a number of commits").hint("see '%s -h'", c.Command.HelpName)
			}
			if c.Args().Present() {
				name, err := oneName(c)
				if err != nil {
					return err
				}
				o.name = name
			}
			return s.log(ctx, o)
		}),
	}
}

// logged is one formation in the JSON of log.
type logged struct {
	Formation string        `json:"formation"`
	Entries   []loggedEntry `json:"entries"`
}

type loggedEntry struct {
	Commit    string          `json:"commit"`
	Author    string          `json:"author"`
	Email     string          `json:"email"`
	Date      string          `json:"date"` // RFC 3339, in the author's zone; "" where the commit has none
	Subject   string          `json:"subject"`
	Changes   []changedSecret `json:"changes"`
	Rotated   bool            `json:"rotated"`
	Converted crypto.Format   `json:"converted,omitempty"` // the format since
	MovedFrom string          `json:"movedFrom,omitempty"` // the folder before
	Oldest    bool            `json:"oldest,omitempty"`    // a shallow clone ends here
	Readable  bool            `json:"readable"`            // false: what changed cannot be said
	Note      string          `json:"note,omitempty"`

	date time.Time
}

func (s *session) log(ctx context.Context, o logOptions) error {
	repo, err := s.needRepository()
	if err != nil {
		return err
	}
	formations, err := s.formations()
	if err != nil {
		return err
	}
	layout := repo.Layout()
	list := make([]logged, len(formations))
	dirs := make([]string, len(formations))
	for i, f := range formations {
		list[i] = logged{Formation: s.name(f), Entries: []loggedEntry{}}
		dirs[i] = s.fromTop(layout, f.Dir)
	}
	// Thousands of small things are made and dropped; there is memory for them.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	var ahead *hooks.Ahead
	if o.most == 0 {
		ahead = &hooks.Ahead{Reopen: s.reopen, Dirs: dirs}
	}
	progress, walked := s.progress(), 0
	history, err := hooks.ReadHistory(ctx, readingLog{repo, progress}, s.gitKeys(ctx, repo), "", ahead)
	if err == nil {
		err = history.Walk(dirs, func(n int, c *hooks.VaultCommit) bool {
			walked++
			progress.show("comparing versions: %d commits", walked)
			if entry, ok := entryOf(c, o.name); ok {
				list[n].Entries = append(list[n].Entries, entry)
			}
			return o.most == 0 || len(list[n].Entries) < o.most
		})
	}
	progress.clear()
	if err != nil {
		return s.explainHistory(err)
	}
	s.sayHistory(history, o, list)
	if o.name != "" && !slices.ContainsFunc(list, func(l logged) bool { return len(l.Entries) > 0 }) {
		s.neverLogged(o.name, formations)
	}
	switch {
	case o.json && s.all:
		return s.printJSON(map[string]any{"formations": list})
	case o.json:
		return s.printJSON(list[0])
	}
	for i, one := range list {
		if s.all && i > 0 {
			fmt.Fprintln(s.Out)
		}
		s.printLog(one)
	}
	return nil
}

// entryOf is what log tells of a commit; ok is false where it has nothing about
// the one name asked for.
func entryOf(c *hooks.VaultCommit, name string) (entry loggedEntry, ok bool) {
	entry = loggedEntry{
		Commit: c.Hash, Author: c.Author, Email: c.Email, Subject: c.Subject, date: c.Date,
		Changes: changedSecrets(c.Changes), Rotated: c.Rotated, Converted: c.Converted, MovedFrom: c.MovedFrom, Oldest: c.Oldest, Readable: c.Err == nil,
	}
	if !c.Date.IsZero() {
		entry.Date = c.Date.Format(time.RFC3339)
	}
	if c.Err != nil {
		entry.Note = whyUnread(c.Err)
	}
	if name == "" {
		return entry, true
	}
	normal := formation.Normalize(name)
	entry.Changes = slices.DeleteFunc(entry.Changes, func(change changedSecret) bool {
		return change.Name != name && formation.Normalize(change.Name) != normal
	})
	return entry, len(entry.Changes) > 0 || !entry.Readable
}

// sayHistory says what the log does not show.
func (s *session) sayHistory(history *hooks.History, o logOptions, list []logged) {
	if history.Shallow && o.most == 0 {
		s.warn("this clone is shallow: what came before its oldest commits is not shown ('git fetch --unshallow' gets it)")
	}
	empty := !slices.ContainsFunc(list, func(l logged) bool { return len(l.Entries) > 0 })
	if empty && o.name == "" {
		s.say("no commit has changed a secret yet")
	}
	if slices.ContainsFunc(list, func(l logged) bool {
		return slices.ContainsFunc(l.Entries, func(e loggedEntry) bool { return !e.Readable })
	}) {
		s.hint("get the key with '%s unlock' or '%s key import FILE' to see what was changed in every commit", program, program)
	}
}

// neverLogged tells a name that is stored and was not committed yet from one
// that never was.
func (s *session) neverLogged(spelled string, formations []*formation.Formation) {
	name := formation.Normalize(spelled)
	for _, f := range formations {
		opened, err := f.Open()
		if err != nil {
			continue
		}
		if stored, ok := opened.Vault.Find(spelled); ok {
			s.say("no commit has changed %s yet", stored)
			return
		}
	}
	s.say("Secret %s not found in the history of %s", name, formation.VaultFile)
	s.hint("see all that changed with '%s log'", s.again())
}

func (s *session) printLog(one logged) {
	indent := ""
	if s.all {
		fmt.Fprintf(s.Out, "%s:\n", sanitize(one.Formation))
		indent = "  "
	}
	if s.all && len(one.Entries) == 0 {
		fmt.Fprintf(s.Out, "%snothing\n", indent)
	}
	for _, e := range one.Entries {
		date := "no date"
		if !e.date.IsZero() {
			date = e.date.Format(time.DateOnly)
		}
		fmt.Fprintf(s.Out, "%s%s %s %s: %s\n", indent, paint(s.Out, yellow, fmt.Sprintf("%.10s", e.Commit)), date, sanitize(e.Author), sanitize(e.Subject))
		line := func(format string, args ...any) {
			fmt.Fprintf(s.Out, "%s  %s\n", indent, sanitize(fmt.Sprintf(format, args...)))
		}
		for _, c := range e.Changes {
			fmt.Fprintf(s.Out, "%s  %s %s\n", indent, paint(s.Out, changeStyle(c.Change), changeSign(c.Change)), sanitize(c.Name))
		}
		switch {
		case e.Converted != "":
			line("converted to %s", e.Converted)
		case e.Rotated:
			line("rotated the key")
		}
		if e.MovedFrom != "" {
			line("moved from %s", e.MovedFrom)
		}
		if !e.Readable {
			line("what changed is not known: %s", e.Note)
		}
		if e.Oldest {
			line("the oldest commit of this shallow clone: what it adds may be older")
		}
	}
}
