// Package doctor looks for everything that would make `docker compose up`, a
// deployment or a commit fail: in a formation's own files, in what git and this
// clone know of them, in compose files and Dockerfiles. It never writes. What a
// check says is in words, for a screen, with the command that mends it.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/commands/shell"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// State is what a check came to.
type State string

// The states of a check.
const (
	OK   State = "ok"
	Warn State = "warn" // bites later, or may not be meant
	Fail State = "fail" // 'docker compose up', a commit or CI stops at it
)

// Check is one line of what doctor says. It holds names and places, never a
// value.
type Check struct {
	Formation string `json:"formation"` // its name; "" for what is about none
	Check     string `json:"check"`
	State     State  `json:"state"`
	Message   string `json:"message"`
	Remedy    string `json:"remedy"` // a command that can be typed as it stands; "" where all is well

	// Repair does what the remedy does, where that can do no harm; "" elsewhere.
	Repair Repair `json:"-"`
	// Of is the formation to repair, and File the file, where it is not all of it.
	Of   *formation.Formation `json:"-"`
	File string               `json:"-"`
}

// Repair is something that can be mended without a person.
type Repair string

// The repairs.
const (
	PutBack   Repair = "key that is kept elsewhere"
	CloseKey  Repair = "mode of .key"
	TellGit   Repair = "ignore and attribute lines"
	Template  Repair = "template"
	Drivers   Repair = "diff and merge drivers"
	Hooks     Repair = "hooks"
	IgnoreKey Repair = "line in File, a .dockerignore" // KeyPattern
)

// KeyPattern keeps every formation's key out of a build context.
const KeyPattern = "**/" + formation.KeyFile

// Options say what to look at, and how the program that asks speaks of it.
type Options struct {
	Formations []*formation.Formation // every one there is
	Asked      func(*formation.Formation) bool
	Layout     gitutil.Layout                     // zero outside of a repository
	Repo       func() (gitutil.Repository, error) // nil, nil outside of a repository
	Reopen     func() (gitutil.Repository, error) // once more, for questions beside others
	// KeptAt says where a key was found that is not the .key.
	KeptAt func(*formation.FoundKey) string
	// Vouched says whether somebody vouches for a formation's list of people: "none",
	// "signed", "unsigned" or "unvouched", and the fingerprint of who signed it.
	Vouched func(*formation.Formation) (state, by string, err error)
	// Wrapped is the key in a formation's .key.age, where this person can open it
	// without being asked.
	Wrapped func(*formation.Formation) (*crypto.Key, error)

	Getenv  func(string) string
	Now     func() time.Time
	Program string // the path of this program
	Version string // of this program

	Name    func(*formation.Formation) string          // what a formation is called
	Call    func(*formation.Formation) string          // how this program is called on it; on the repository for nil
	Show    func(path string) string                   // a path as messages have it
	Explain func(error) string                         // an error in a line
	Mend    func(scan.Finding) string                  // the command that mends a finding; "" for none
	Movable func(scan.Finding) bool                    // whether extract takes what a finding speaks of
	Git     func(words string, files ...string) string // a call of git's on files
	Away    func(*safefile.Error) string               // the command that clears the place of a file; "" for other trouble
	Shell   shell.Shell                                // what remedies are typed in

	Looking func(i, n int) // told that formation i of n is looked at
	Walked  func(commits int)
}

// doctor is one look at everything.
type doctor struct {
	Options
	repo     gitutil.Repository // nil outside of a repository, and where git refuses
	patients []*patient
	checks   []Check
	told     map[place]bool // what is said elsewhere already
	scanner  *scan.Scanner  // see known
}

// patient is one formation.
type patient struct {
	*formation.Look
	real  string // its folder, without links
	label string // its folder from the top of the repository, with /; "" outside
	on    string // how this program is called on it
	asked bool   // others are only compared with
	// step says that the files which a rotation changes together are not in step.
	step *scan.Finding
}

// Examine looks at everything, and says first what is about no formation, then
// the formations by path, in each what fails before what warns. It fails only
// when ctx ends.
func Examine(ctx context.Context, o Options) ([]Check, error) {
	d := &doctor{Options: o, told: map[place]bool{}}
	for _, f := range o.Formations {
		p := &patient{Look: &formation.Look{Formation: f}, on: o.Call(f), asked: o.Asked(f), real: paths.Real(f.Dir)}
		if o.Layout.Top != "" {
			p.label = judge.Label(o.Layout.Top, p.real)
		}
		d.patients = append(d.patients, p)
	}

	d.openRepository(ctx)
	for i, p := range d.patients {
		o.Looking(i, len(d.patients))
		d.inStep(ctx, p)
		d.look(p)
	}
	if d.repo != nil {
		d.clone(ctx)
	}
	d.docker(ctx)
	for _, p := range d.patients {
		d.deploy(ctx, p)
	}
	d.leaks(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}

	rank := map[State]int{Fail: 0, Warn: 1, OK: 2}
	slices.SortStableFunc(d.checks, func(a, b Check) int {
		return cmp.Or(strings.Compare(a.Formation, b.Formation), cmp.Compare(rank[a.State], rank[b.State]))
	})
	return d.checks, nil
}

// say notes what a check came to; p is nil for what is about no formation. A
// cause that shows in several places is said once.
func (d *doctor) say(p *patient, check string, state State, remedy, format string, args ...any) *Check {
	c := Check{Check: check, State: state, Message: fmt.Sprintf(format, args...), Remedy: remedy}
	if p != nil {
		if !p.asked {
			return &Check{}
		}
		c.Formation, c.Of = d.Name(p.Formation), p.Formation
	}
	same := func(had Check) bool { return had.Formation == c.Formation && had.Message == c.Message }
	if slices.ContainsFunc(d.checks, same) {
		return &Check{}
	}
	d.checks = append(d.checks, c)
	return &d.checks[len(d.checks)-1]
}

// leaky reports whether anything was said of a formation, or of what is in none, that
// lies open: "no leak" beside it would be wrong.
func (d *doctor) leaky(p *patient) bool {
	return slices.ContainsFunc(d.checks, func(c Check) bool {
		switch c.Check {
		case "key-tracked", "key-history", "key-not-ignored", "docker-context", "compose-environment", "compose-env-file", "deploy":
			return c.State != OK && (p == nil && c.Formation == "" || p != nil && c.Formation == d.Name(p.Formation))
		}
		return false
	})
}

// said reports whether a check spoke of a formation.
func (d *doctor) said(p *patient, check string) bool {
	return slices.ContainsFunc(d.checks, func(c Check) bool {
		return c.Check == check && c.State != OK && c.Formation == d.Name(p.Formation)
	})
}

// ok notes that there is nothing to mend.
func (d *doctor) ok(p *patient, check, format string, args ...any) {
	d.say(p, check, OK, "", format, args...)
}

// trouble says why something cannot be looked at, and the way out that belongs
// to the cause.
func (d *doctor) trouble(p *patient, check string, state State, err error) {
	remedy := "git status"
	var owner *gitutil.DubiousOwnershipError
	var settings *formation.SettingsError
	var config *judge.ConfigError
	var nowhere *hooks.NowhereError
	var file *safefile.Error
	switch {
	case errors.As(err, &nowhere) && nowhere.Unset() != "":
		remedy = nowhere.Unset()
	case errors.As(err, &owner):
		remedy = "git config --global --add safe.directory " + d.Shell.Quote(owner.Dir)
	case errors.As(err, &settings):
		remedy = d.edit(place{filepath.Join(d.Layout.Top, formation.SettingsFile), 1})
	case errors.As(err, &config):
		remedy = "git config " + config.Key + " 90d"
	case errors.As(err, &file) && errors.Is(file, fs.ErrPermission):
		remedy = d.Shell.TakeOver(d.shell(file.Path))
	case errors.As(err, &file) && d.Away(file) != "":
		remedy = d.Away(file)
	case errors.As(err, &file):
		remedy = d.Shell.Rights(d.shell(file.Path))
	}
	d.say(p, check, state, remedy, "%s", d.Explain(err))
}

// shell is a path as it can be typed.
func (d *doctor) shell(path string) string { return d.Shell.Quote(d.Show(path)) }

// place is a line of a file.
type place struct {
	path string // absolute
	line int    // 1-based
}

// edit is the command that opens a file at a line, for what only a person can
// mend.
func (d *doctor) edit(at place) string { return d.Shell.Edit(d.shell(at.path), at.line) }

func (d *doctor) at(p place) string { return fmt.Sprintf("%s:%d", d.Show(p.path), p.line) }

// places names the first ones and counts the rest.
func (d *doctor) places(all []place) string {
	var shown []string
	for _, one := range all {
		if text := d.at(one); !slices.Contains(shown, text) {
			shown = append(shown, text)
		}
	}
	return some(shown)
}

// some lists at most three, so that a screen stays one.
func some(all []string) string {
	if len(all) > 4 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:3], ", "), len(all)-3)
	}
	return strings.Join(all, ", ")
}

// maxFile bounds what is read of others' files, in bytes.
const maxFile = 4 << 20

// read reads a file that somebody else is the master of.
func read(file string) ([]byte, error) { return safefile.Read(file, maxFile) }
