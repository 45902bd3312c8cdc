package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks"
)

// writing is a formation opened for a change: locked, with its key and vault,
// and a batch that takes every file that is to change.
type writing struct {
	*formation.Opened
	s     *session
	lock  *formation.Lock
	batch *formation.Batch
	ctx   context.Context
	fresh bool // this run makes the key
	// sharing says that people's files come in with this batch.
	sharing bool
	done    []string // what to say once the batch is committed
	// folded says that .age-recipients takes what merges found people have seen.
	folded bool

	// editTemplate, where not nil, changes the template before it is regenerated.
	editTemplate func(*formation.Template)

	// merge, where not nil, is a merge that this run settles a name of.
	merge *hooks.MergeState

	// moved names secrets that only got another name: to -> from.
	moved map[string]string

	// After save: what the formation's files refer to, and what the template
	// was and became.
	survey *formation.Survey
	plan   *formation.TemplatePlan
}

// existing is the format to give openToWrite where no key may be made.
const existing crypto.Format = ""

// openToWrite locks the formation and opens it. Where neither .key nor
// secrets.enc is there yet, a new key of that format joins the batch. A missing
// .key beside a secrets.enc is an error and changes nothing. The caller closes
// it.
func (s *session) openToWrite(ctx context.Context, f *formation.Formation, format crypto.Format) (*writing, error) {
	// Without its key nothing changes, not even by the folder of a lock.
	if _, err := f.ReadKey(); err != nil && !mayMakeKey(err, format) {
		return nil, err
	}
	return s.lockToWrite(ctx, f, func(w *writing) error { return w.open(f, format) })
}

// lockToWrite locks the formation, has it opened, and starts the batch with
// git's part and the key, if that is new.
func (s *session) lockToWrite(ctx context.Context, f *formation.Formation, open func(*writing) error) (*writing, error) {
	lock, err := s.lock(ctx, f)
	if err != nil {
		return nil, err
	}
	w := &writing{s: s, ctx: ctx, lock: lock, batch: s.Files.BatchIn(f.Dir)}
	if err = open(w); err == nil {
		err = w.begin(ctx)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *writing) open(f *formation.Formation, format crypto.Format) error {
	opened, err := w.s.openOrFresh(f, format)
	if err != nil {
		return err
	}
	w.Opened = opened.Opened
	w.fresh = opened.fresh
	return nil
}

func (w *writing) begin(ctx context.Context) error {
	if err := w.s.filesStayInside(w.Formation); err != nil {
		return err
	}
	// Git learns to ignore the key before there is one to ignore.
	if err := w.tellGit(ctx); err != nil {
		return err
	}
	if !w.fresh {
		return nil
	}
	w.done = append(w.done, fmt.Sprintf("Made %s (keep a copy in a safe place: without it the secrets are lost)", w.s.show(w.Path(formation.KeyFile))))
	return w.batch.Create(w.Path(formation.KeyFile), w.Key.File(), 0o600)
}

// freshOrOpened is an opened formation; fresh says that its key exists only in
// memory so far.
type freshOrOpened struct {
	*formation.Opened
	fresh bool
}

// openOrFresh opens a formation. One that has neither .key nor secrets.enc gets
// a new key, in memory.
func (s *session) openOrFresh(f *formation.Formation, format crypto.Format) (freshOrOpened, error) {
	opened, err := f.Open()
	if !mayMakeKey(err, format) {
		return freshOrOpened{opened, false}, err
	}
	key, err := crypto.GenerateKey(format)
	if err != nil {
		return freshOrOpened{}, err
	}
	return freshOrOpened{&formation.Opened{Formation: f, Key: key, Vault: formation.NewVault()}, true}, nil
}

// mayMakeKey reports whether err says that there is neither .key nor
// secrets.enc, and format that a command may then begin with a new key.
func mayMakeKey(err error, format crypto.Format) bool {
	var missing *formation.NoKeyError
	return format != existing && errors.As(err, &missing) && !missing.Vault && missing.Link == ""
}

func (w *writing) close() {
	w.batch.Discard()
	w.lock.Release()
}

// save brings the template along, seals the vault if it changed, and puts
// everything in place. It reports whether secrets.enc changed.
//
// The template goes first: killed between the two, the command can be run
// again and finishes, where a second delete would find nothing to delete.
func (w *writing) save() (bool, error) {
	survey, err := w.Survey()
	if err != nil {
		return false, err
	}
	w.survey = survey
	plan, err := w.PlanTemplate(survey, w.Vault, w.editTemplate)
	if err != nil {
		return false, err
	}
	w.plan = plan
	if _, err := plan.Apply(w.batch); err != nil {
		return false, err
	}
	sealed, err := w.Save(w.batch)
	if err != nil {
		return false, err
	}
	// Behind the vault: a value that was not changed after all stays listed.
	if err := w.settleExposures(); err != nil {
		return false, err
	}
	if err := w.noteMerge(sealed); err != nil {
		return false, err
	}
	return sealed != nil, w.commit()
}

// noteMerge keeps the note of an unsettled merge true: the vault is now sealed,
// and a name that got a value by hand is settled.
func (w *writing) noteMerge(sealed []byte) error {
	state := w.merge
	if state == nil {
		layout, ok := w.s.where()
		if !ok || sealed == nil || layout.Top == "" {
			return nil
		}
		var err error
		if state, err = hooks.ReadMergeState(layout, w.s.vaultPath(layout, w.Formation)); err != nil || state == nil {
			return nil // nothing of ours to keep
		}
		old, _, err := w.ReadSealed()
		if err != nil || !state.WasLeftAs(old) {
			return nil // over, or aborted
		}
		for _, name := range w.Vault.Touched() {
			state.Settle(name)
		}
	}
	if sealed != nil {
		state.LeftAs(sealed)
	}
	return state.AddTo(w.batch)
}

// vaultPath is where git has a formation's vault, from the top, with /.
func (s *session) vaultPath(layout gitutil.Layout, f *formation.Formation) string {
	return path.Join(s.fromTop(layout, f.Dir), formation.VaultFile)
}

// settleExposures forgets who has seen a value that is none any more.
func (w *writing) settleExposures() error {
	touched := w.Vault.Touched()
	if len(touched) == 0 {
		return nil
	}
	people, there, err := w.ReadPeople()
	if err != nil || !there {
		return err
	}
	before := people.Encode()
	if w.merge == nil { // a merge is not to leave more files to commit
		w.folded = w.s.foldSeen(w.Formation, people)
	}
	for to, from := range w.moved {
		people.RenameSecret(from, to)
	}
	for _, name := range touched {
		if _, moved := w.moved[name]; !moved {
			people.Settle(name)
		}
	}
	if after := people.Encode(); !bytes.Equal(after, before) {
		// Run again after a kill, the command would find no change to settle.
		w.batch.Journal(w.s.journalPath(w.Formation))
		return w.batch.Replace(w.Path(formation.RecipientsFile), after, formation.ModeOf(w.Path(formation.RecipientsFile), 0o644))
	}
	return nil
}

// commit puts everything in the batch in place, and says so.
func (w *writing) commit() error {
	changes := w.batch.Len() > 0
	if err := w.batch.Commit(); err != nil {
		return err
	}
	w.s.wrote = w.s.wrote || changes
	if layout, ok := w.s.where(); ok && w.folded {
		hooks.ForgetSeen(layout, w.s.vaultPath(layout, w.Formation))
	}
	for _, line := range w.done {
		w.s.say("%s", line)
	}
	w.s.ensureDrivers(w.ctx)
	if w.fresh && !w.s.inRepository() {
		w.s.say("Not in a git repository: nothing here keeps %s from being shared; after 'git init', run '%s init' again",
			w.s.show(w.Path(formation.KeyFile)), program)
	}
	return nil
}

// at joins a path a person gave to the current folder.
func (s *session) at(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(s.Dir, file)
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
