package gitutil

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
)

// LogFunc is Repository.Log, or Repository.LogAll.
type LogFunc func(repo Repository, ctx context.Context, rev string, names []string, visit func(*LogEntry) error) error

// LogEntry is one commit that Log found.
type LogEntry struct {
	Hash    string
	Parents []string  // without those that a shallow clone cut off
	Author  string    // as the commit names them: mailmap is not asked
	Email   string    // may be empty, as the name may
	Date    time.Time // the author's date, in the author's zone; zero where it is damaged
	Subject string    // the first paragraph of the message, on one line
	Changes []LogChange
}

// LogChange is what a commit did to one file.
type LogChange struct {
	Path     string // from the top, with /
	Old, New string // blob ids in hex; "" where the file was not, or is not there
	Parent   int    // which parent it is compared with, 0 the first; for a commit without parents 0

	// 0 where the id is "". A symbolic link's blob is the path it points to.
	OldMode, NewMode Mode
}

// keep tells whether the change is one that Log shows. Both backends make
// changes of everything that git's own walk takes for one, since that decides
// which commits are looked at; here a submodule becomes nothing.
func (c *LogChange) keep() bool {
	if !c.OldMode.hasContent() {
		c.Old, c.OldMode = "", 0
	}
	if !c.NewMode.hasContent() {
		c.New, c.NewMode = "", 0
	}
	return c.Old != c.New || c.OldMode == ModeLink != (c.NewMode == ModeLink)
}

// finish puts the changes in order: parent by parent, by path. false: there is
// nothing in them to show.
func (e *LogEntry) finish() bool {
	kept := e.Changes[:0]
	for _, c := range e.Changes {
		if c.keep() {
			kept = append(kept, c)
		}
	}
	e.Changes = kept
	slices.SortStableFunc(e.Changes, func(a, b LogChange) int {
		if a.Parent != b.Parent {
			return a.Parent - b.Parent
		}
		return strings.Compare(a.Path, b.Path)
	})
	return len(e.Changes) > 0
}

// fileNames leaves out what cannot be a file's base name.
func fileNames(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return name == "" || strings.ContainsAny(name, "/\x00")
	})
}

// rawDate reads "SECONDS +HHMM", as a commit has it and git prints it with
// --date=raw.
func rawDate(text string) time.Time {
	seconds, zone, _ := strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.ParseUint(seconds, 10, 63)
	if err != nil || zone == "" || zone[0] != '+' && zone[0] != '-' {
		return time.Time{}
	}
	date := time.Unix(int64(n), 0).UTC()
	offset, err := strconv.Atoi(zone)
	if err != nil || offset == 0 || offset <= -10000 || offset >= 10000 {
		return date
	}
	return date.In(time.FixedZone("", (offset/100*60+offset%100)*60))
}

// parseIdent takes apart "NAME <EMAIL> SECONDS ZONE" as git's split_ident_line
// does: the email ends at the first '>' behind the first '<', the date stands
// behind the last one. What is no identity at all has nothing in it.
func parseIdent(line string) (name, email string, date time.Time) {
	name, rest, ok := strings.Cut(line, "<")
	if !ok {
		return "", "", time.Time{}
	}
	email, _, ok = strings.Cut(rest, ">")
	if !ok {
		return "", "", time.Time{}
	}
	last := line[strings.LastIndexByte(line, '>')+1:]
	return strings.TrimRight(name, " \t\r\n"), email, rawDate(last)
}

// subjectOf is git's %s: the lines of the first paragraph, joined by blanks.
func subjectOf(message string) string {
	const blanks = " \t\r\n"
	var subject []string
	for line := range strings.Lines(message) {
		if line = strings.TrimRight(line, blanks); line != "" {
			subject = append(subject, line)
		} else if len(subject) > 0 {
			break
		}
	}
	return strings.Join(subject, " ")
}

// toUTF8 converts text of the encoding that a commit's header names. Like git
// with what iconv does not know, it leaves other text as it is.
func toUTF8(text, encoding string) string {
	switch strings.ToLower(encoding) {
	case "iso-8859-1", "iso8859-1", "iso88591", "latin1", "latin-1":
	default:
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(rune(text[i]))
	}
	return b.String()
}
