package commands

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
	"github.com/urfave/cli/v2"
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
				name, err := s.oneName(c)
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
	Vouched   *bool           `json:"vouched"`             // of a rotation where lists are signed: by the key before; else null
	Converted crypto.Format   `json:"converted,omitempty"` // the format since
	MovedFrom string          `json:"movedFrom,omitempty"` // the folder before
	Oldest    bool            `json:"oldest,omitempty"`    // a shallow clone ends here
	Readable  bool            `json:"readable"`            // false: what changed cannot be said
	Note      string          `json:"note,omitempty"`

	date     time.Time
	rotation trust.Rotation
}

func (s *session) log(ctx context.Context, o logOptions) error {
	repo, err := s.needRepository()
	if err != nil {
		return err
	}
	dirs, formations, err := s.logDirs(ctx, repo)
	if err != nil {
		return s.explainHistory(err)
	}
	list := make([]logged, len(dirs))
	for i, dir := range dirs {
		list[i] = logged{Formation: dir, Entries: []loggedEntry{}}
		if formations != nil {
			list[i].Formation = s.name(formations[i])
		}
	}
	// Thousands of small things are made and dropped; there is memory for them.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	var ahead *history.Ahead
	if o.most == 0 {
		ahead = &history.Ahead{Reopen: s.reopen, Dirs: dirs}
	}
	progress, walked := s.progress(), 0
	past, err := history.Read(ctx, readingLog{repo, progress}, s.keys(), "", ahead)
	if err == nil {
		err = past.Walk(dirs, func(n int, c *history.VaultCommit) bool {
			walked++
			progress.show("comparing versions: %d commits", walked)
			if entry, ok := entryOf(c, o.name); ok {
				list[n].Entries = append(list[n].Entries, entry)
			}
			return o.most == 0 || len(list[n].Entries) < o.most
		})
	}
	progress.clear()
	if err == nil {
		err = judgeRotations(ctx, repo, list)
	}
	if err != nil {
		return s.explainHistory(err)
	}
	s.sayHistory(past, o, list)
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

// logDirs are the folders whose vaults are followed, from the top, and their formations.
// A bare repository has none of these: there HEAD says which folders.
func (s *session) logDirs(ctx context.Context, repo gitutil.Repository) (dirs []string, formations []*formation.Formation, err error) {
	layout := repo.Layout()
	if layout.Bare {
		head, err := s.headSide(ctx, repo)
		if err == nil {
			err = head.read(ctx, repo, "")
		}
		if err != nil {
			return nil, nil, err
		}
		if dirs, err = s.vaultDirs(head); err == nil && len(dirs) == 0 {
			err = usage("HEAD of this bare repository has no %s", formation.VaultFile).hint("'git branch' lists what it has; 'git symbolic-ref HEAD refs/heads/NAME' sets which one HEAD is")
		}
		return dirs, nil, err
	}
	if formations, err = s.formations(); err != nil {
		return nil, nil, err
	}
	for _, f := range formations {
		dirs = append(dirs, s.fromTop(layout, f.Dir))
	}
	return dirs, formations, nil
}

// entryOf is what log tells of a commit; ok is false where it has nothing about
// the one name asked for.
func entryOf(c *history.VaultCommit, name string) (entry loggedEntry, ok bool) {
	entry = loggedEntry{
		Commit: c.Hash, Author: c.Author, Email: c.Email, Subject: c.Subject, date: c.Date,
		Changes: changedSecrets(c.Changes), Rotated: c.Rotated, Converted: c.Converted, MovedFrom: c.MovedFrom, Oldest: c.Oldest, Readable: c.Err == nil,
	}
	if !c.Date.IsZero() {
		entry.Date = c.Date.Format(time.RFC3339)
	}
	if c.Rotated {
		entry.rotation = trust.Rotation{Commit: c.Hash, Parents: c.Parents, Dir: c.Dir, Was: c.MovedFrom, From: c.From.Public(), To: c.To.Public()}
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

// judgeRotations says of each rotation whether the key before vouched for it.
func judgeRotations(ctx context.Context, repo gitutil.Repository, list []logged) error {
	var entries []*loggedEntry
	var rotations []trust.Rotation
	for _, one := range list {
		for i := range one.Entries {
			if e := &one.Entries[i]; e.Rotated {
				entries = append(entries, e)
				rotations = append(rotations, e.rotation)
			}
		}
	}

	vouching, err := trust.OfRotations(ctx, repo, rotations)
	for i, v := range vouching {
		if v != trust.NeverSigned {
			vouched := v == trust.Vouches
			entries[i].Vouched = &vouched
		}
	}
	return err
}

// vouchedFor is what is said of a rotation behind it.
func (e loggedEntry) vouchedFor() string {
	switch {
	case e.Vouched == nil:
		return ""
	case *e.Vouched:
		return ", vouched for"
	}
	return "; nobody vouched for it"
}

// sayHistory says what the log does not show.
func (s *session) sayHistory(past *history.History, o logOptions, list []logged) {
	if past.Shallow && o.most == 0 {
		s.warn("this clone is shallow: what came before its oldest commits is not shown ('git fetch --unshallow' gets it)")
	}
	empty := !slices.ContainsFunc(list, func(l logged) bool { return len(l.Entries) > 0 })
	if empty && o.name == "" {
		s.say("no commit has changed a secret yet")
	}
	if i := slices.IndexFunc(list, func(l logged) bool {
		return slices.ContainsFunc(l.Entries, func(e loggedEntry) bool { return !e.Readable })
	}); i >= 0 {
		// Of several it names the first, so that it can be typed as it stands.
		on := s.on(s.at(list[i].Formation))
		s.hint("get the key with '%s unlock' or '%s key import FILE' to see what was changed in every commit", on, on)
	}
}

// neverLogged tells a name that is stored and was not committed yet from one
// that never was.
func (s *session) neverLogged(spelled string, formations []*formation.Formation) {
	name := formation.Normalize(spelled)
	for _, f := range formations {
		opened, err := s.open(f)
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
			line("converted to %s%s", e.Converted, e.vouchedFor())
		case e.Rotated:
			line("rotated the key%s", e.vouchedFor())
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
