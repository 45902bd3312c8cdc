package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
)

// writing is a formation opened for a change: locked, with its key and vault,
// and a batch that takes every file that is to change.
type writing struct {
	*formation.Opened
	s    *session
	lock *safefile.Lock
	// unlocked is why there is no lock; nothing may change then.
	unlocked error
	batch    *safefile.Batch
	ctx      context.Context
	fresh    bool // this run makes the key
	signed   bool // and signs the people's list with it
	// sharing says that people's files come in with this batch.
	sharing bool
	// wraps says that this run signs the list: one that somebody signed whose key
	// nobody vouched for is signed again, and is no reason to stop.
	wraps   bool
	usurped *vouching // what is known then; nil: the list is no such one
	done    []string  // what to say once the batch is committed
	// pin is the key that this work tree has from now on; nil: the one it has.
	pin *formation.Pin
	// folded says that .age-recipients takes what merges found people have seen.
	folded bool

	// editTemplate, where not nil, changes the template before it is regenerated.
	editTemplate func(*formation.Template)

	// merge, where not nil, is a merge that this run settles a name of.
	merge *merge.State

	// edits are files that change with this batch, behind the vault.
	edits []formation.Edit

	// answered are the lines of the template with a value that this run knows what
	// becomes of.
	answered map[int]bool

	// leaves are files that values leave for the vault, and staging what the index has
	// of them; nil where none does.
	leaves  []string
	staging *staging
	// followed says that the index is brought along by who has this written.
	followed bool

	// moved names secrets that only got another name: to -> from.
	moved map[string]string

	// seen names secrets that get a value of the past, and who has seen that one and
	// left. Who is known to have seen the one of now stays on the list.
	seen map[string][]string

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
	if _, err := f.OpenToWrite(); err != nil && !mayMakeKey(err, format) {
		return nil, err
	}
	return s.lockToWrite(ctx, f, func(w *writing) error { return w.open(f, format) })
}

// lockToWrite locks the formation, has it opened, and starts the batch with
// git's part and the key, if that is new.
func (s *session) lockToWrite(ctx context.Context, f *formation.Formation, open func(*writing) error) (*writing, error) {
	lock, unlocked, err := s.lockIfAny(ctx, f)
	if err != nil {
		return nil, err
	}
	w := &writing{s: s, ctx: ctx, lock: lock, unlocked: unlocked, batch: s.batch(f)}
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
	var err error
	w.Opened, w.fresh, err = w.s.openOrNew(f, format)
	return err
}

func (w *writing) begin(ctx context.Context) error {
	if err := w.s.filesStayInside(w.Formation); err != nil {
		return err
	}
	// Git learns to ignore the key before there is one to ignore.
	if err := w.tellGit(ctx); err != nil {
		return err
	}
	if err := w.judgeKey(ctx); err != nil {
		return err
	}
	switch {
	case w.fresh:
		w.done = append(w.done, fmt.Sprintf("Made %s (keep a copy in a safe place: without it the secrets are lost)", w.s.show(w.Path(formation.KeyFile))))
		if err := w.batch.Create(w.Path(formation.KeyFile), w.Key.File(), 0o600); err != nil {
			return err
		}
		return w.KeepKey(w.batch, w.Key, w.Key.File())
	case w.Found != nil && w.unlocked == nil: // else nothing can be written
		return w.KeepKey(w.batch, w.Key, w.Found.Content)
	}
	return nil // git's part alone
}

// openOrFresh is openOrNew for who asks a person for values first: they need not give
// them where none can be stored.
func (s *session) openOrFresh(f *formation.Formation, format crypto.Format) (opened *formation.Opened, fresh bool, err error) {
	if opened, fresh, err = s.openOrNew(f, format); err == nil {
		err = opened.Replaceable()
	}
	return opened, fresh, err
}

// mayAsk refuses, before a value is asked for, where it could not be stored.
func (s *session) mayAsk(f *formation.Formation) error {
	if _, _, _, err := f.ReadTemplate(); err != nil {
		return err
	}
	for _, name := range [...]string{formation.VaultFile, formation.TemplateFile} {
		if err := safefile.Replaceable(f.Path(name)); err != nil {
			return err
		}
	}
	return nil
}

// openOrNew opens a formation to write it. One that has neither .key nor
// secrets.enc gets a new key, in memory: fresh.
func (s *session) openOrNew(f *formation.Formation, format crypto.Format) (opened *formation.Opened, fresh bool, err error) {
	if opened, err = f.OpenToWrite(); !mayMakeKey(err, format) {
		return opened, false, err
	}
	key, err := crypto.GenerateKey(format)
	if err != nil {
		return nil, false, err
	}
	return &formation.Opened{Formation: f, Key: key, Vault: formation.NewVault()}, true, nil
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
func (w *writing) save() (bool, error) {
	changed, err := w.fill()
	if err != nil {
		return false, err
	}
	return changed, w.commit()
}

// fill brings all that changes into the batch. It reports whether secrets.enc does.
func (w *writing) fill() (bool, error) {
	survey, err := w.SurveyWith(w.referencesIn)
	if err != nil {
		return false, err
	}
	w.survey = survey
	if err := w.takeTyped(); err != nil {
		return false, err
	}
	plan, err := w.PlanTemplate(survey, w.Vault, w.editTemplate)
	if err != nil {
		return false, err
	}
	w.plan = plan
	// The vault goes first: a value that leaves a file is in it by then.
	sealed, err := w.Save(w.batch)
	if err != nil {
		return false, err
	}
	if _, err := plan.Apply(w.batch); err != nil {
		return false, err
	}
	if err := w.addEdits(); err != nil {
		return false, err
	}
	// Behind the vault: a value that was not changed after all stays listed.
	if err := w.settleExposures(); err != nil {
		return false, err
	}
	if err := w.noteMerge(sealed); err != nil {
		return false, err
	}
	if len(w.leaves) > 0 && !w.followed {
		w.staging, err = w.lookStaged(w.leaves)
	}
	return sealed != nil, err
}

// addEdits brings the changed files of the formation into the batch.
func (w *writing) addEdits() error {
	for _, edit := range w.edits {
		if err := w.s.staysInside(edit.Path); err != nil {
			return err
		}
		if err := w.batch.Replace(edit.Path, edit.Content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// takeTyped moves values that somebody typed into the template, as into a .env
// file, into the vault. Where that has another value for the name, or this run
// changes it, the line stays, and that is said.
func (w *writing) takeTyped() error {
	_, content, _, err := w.ReadTemplate()
	if err != nil || w.merge != nil {
		return err
	}
	w.warnUntyped(content)
	touched := w.Vault.Touched()
	for _, a := range formation.ParseTemplate(content).Typed() {
		name, there := w.Vault.Find(a.Name)
		value, _, _ := w.Vault.Get(name)
		switch {
		case w.answered[a.Line], there && value == a.Value:
			w.leaves = append(w.leaves, w.Path(formation.TemplateFile))
		case there, slices.Contains(touched, name), w.s.checkValue(a.Value) != nil:
			w.s.warn("%s:%d holds a value for %s that is not the one in the vault, and stays: store it with '%s', or take the line out",
				w.s.show(w.Path(formation.TemplateFile)), a.Line, a.Name, w.s.on(w.Dir)+" add "+a.Name)
		default:
			w.Vault.Set(a.Name, a.Value)
			w.leaves = append(w.leaves, w.Path(formation.TemplateFile))
			w.done = append(w.done, fmt.Sprintf("Moved the value of %s from %s into %s", a.Name, w.s.show(w.Path(formation.TemplateFile)), formation.VaultFile))
		}
	}
	return nil
}

// warnUntyped speaks of what cannot be moved out of the template whole; nothing of it
// is moved then.
func (w *writing) warnUntyped(content []byte) {
	nameless := 0
	for _, v := range formation.ParseTemplate(content).Untyped() {
		at := fmt.Sprintf("%s:%d", w.s.show(w.Path(formation.TemplateFile)), v.Line)
		switch {
		case v.Name != "":
			w.s.warn("%s holds a value for %s that cannot be moved whole, and stays: store it with '%s add %s --from-file FILE', and take it out", at, v.Name, w.s.on(w.Dir), v.Name)
		case nameless == 0:
			w.s.warn("%s is no NAME=, no comment and not blank, and stays: if it is part of a value, store that with '%s add NAME --from-file FILE', and take it out", at, w.s.on(w.Dir))
		}
		if v.Name == "" {
			nameless++
		}
	}
}

// referencesIn tells what a file of the formation refers to once the batch is
// committed.
func (w *writing) referencesIn(path string, content []byte) formation.References {
	for _, edit := range w.edits {
		if edit.Path == w.Path(filepath.FromSlash(path)) {
			content = edit.Content
		}
	}
	return formation.ReferencesIn(path, content)
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
		if state, err = merge.ReadState(layout, w.s.vaultPath(layout, w.Formation)); err != nil || state == nil {
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
		_, moved := w.moved[name]
		who, old := w.seen[name]
		if !moved && !old {
			people.Settle(name)
		}
		for _, person := range who {
			people.Expose(person, []string{name})
		}
	}
	if after := people.Encode(); !bytes.Equal(after, before) {
		return w.batch.Replace(w.Path(formation.RecipientsFile), after, 0o644)
	}
	return nil
}

// commit puts everything in the batch in place, and says so.
func (w *writing) commit() error {
	changes := w.batch.Len() > 0
	if changes && w.unlocked != nil {
		return w.unlocked
	}
	if err := w.addPin(); err != nil {
		return err
	}
	if err := w.batch.Commit(); err != nil {
		return err
	}
	w.committed(changes)
	return nil
}

// addPin has this work tree note the key that it has from now on.
func (w *writing) addPin() error {
	layout, ok := w.s.where()
	if !ok || layout.Top == "" || w.pin == nil || w.unlocked != nil {
		return nil
	}
	w.pin.Folder = w.s.fromTop(layout, w.Dir)
	return trust.PinsOf(layout).Set(w.batch, *w.pin)
}

// committed does what follows once the files are in place.
func (w *writing) committed(changes bool) {
	w.s.wrote = w.s.wrote || changes
	if layout, ok := w.s.where(); ok && w.folded {
		merge.ForgetSeen(layout, w.s.vaultPath(layout, w.Formation))
	}
	for _, line := range w.done {
		w.s.say("%s", line)
	}
	w.stage()
	w.s.ensureDrivers(w.ctx)
	if w.unlocked == nil {
		// On a branch without the formation's .gitignore, 'git clean' would take it.
		w.s.exclude(formation.KeyFile)
	}
	if w.fresh && !w.s.inRepository() {
		w.s.say("Not in a git repository: nothing here keeps %s from being shared; after 'git init', run '%s init' again",
			w.s.show(w.Path(formation.KeyFile)), w.s.again())
	}
}

// at joins a path a person gave to the current folder.
func (s *session) at(file string) string { return paths.From(s.Dir, file) }

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
