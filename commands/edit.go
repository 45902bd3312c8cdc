package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/commands/tty"
	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
)

// editFormats are the formats of edit, and the name of the file in each.
var editFormats = map[formation.EditFormat]string{formation.EditDotenv: "secrets.env", formation.EditYAML: "secrets.yaml"}

func (r *runner) editCommand() *cli.Command {
	return &cli.Command{
		Name:      "edit",
		Usage:     "change secrets in an editor",
		UsageText: "[--format dotenv|yaml]",
		Description: `   git muxi-secrets edit

Opens every secret in the editor that git would use; what changed when you leave
it is said by name and stored. A line that is taken out deletes the secret. The
file is in memory, where the machine has room for such files, and goes with the
editor.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: string(formation.EditDotenv), Usage: "`FORMAT`: dotenv, yaml"},
		},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			format := formation.EditFormat(c.String("format"))
			if editFormats[format] == "" {
				return usage("--format is one of: %s, %s", formation.EditDotenv, formation.EditYAML)
			}
			ctx, signals := tty.TakeSignals(ctx)
			defer signals.Stop()
			s.ctx = ctx
			return s.edit(ctx, format, signals)
		}),
	}
}

// editing is one run of edit.
type editing struct {
	*formation.Editing
	s        *session
	f        *formation.Formation
	editor   *editor
	signals  *tty.Signals
	file     string          // in the scratch folder
	written  []byte          // what was written there last
	alone    int             // how often it was opened again without anybody asked
	accepted map[string]bool // names in use that may go
}

func (s *session) edit(ctx context.Context, format formation.EditFormat, signals *tty.Signals) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	opened, _, err := s.openOrFresh(f, crypto.Fernet)
	if err != nil {
		return err
	}
	e := &editing{s: s, f: f, signals: signals, Editing: formation.StartEditing(format, opened.Vault), accepted: map[string]bool{}}
	if e.written, err = e.text(opened.Vault); err != nil {
		return err
	}
	if e.editor, err = s.chosenEditor(ctx, f.Dir); err != nil {
		return err
	}

	scratch, err := safefile.NewScratch(s.scratchPlaces())
	if err != nil {
		return err
	}
	defer scratch.Close()
	e.file = filepath.Join(scratch.Dir, editFormats[format])
	s.warnEditor(e.editor, scratch)
	return e.run(ctx)
}

// scratchPlaces are where the file may lie while it is edited, the best first.
func (s *session) scratchPlaces() []string {
	var places []string
	if dir := s.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		places = append(places, safefile.ScratchPlace(dir))
	}
	for _, dir := range append(safefile.MemoryFolders(), os.TempDir()) {
		places = append(places, safefile.ScratchPlace(dir))
	}
	return places
}

// warnEditor says what is not in our hand.
func (s *session) warnEditor(e *editor, scratch *safefile.Scratch) {
	if !scratch.InMemory {
		s.warn("there is no folder in memory here: while the editor runs, the values are in a file in '%s'", s.showFolder(scratch.Dir))
	}
	if e.habits.keeps != "" {
		s.hint("%s: %s", e.name, e.habits.keeps)
	}
	if wait := e.habits.wait; wait != "" && !strings.Contains(e.line, wait) && !slices.Contains(strings.Fields(e.line), "-w") {
		s.hint("'%[1]s' returns before the file is closed: 'git config --global core.editor \"%[1]s %[2]s\"'", e.line, wait)
	}
}

// text is what the editor opens, and what is said of the formation in it. It comes
// back as it was, or nothing is opened.
func (e *editing) text(vault *formation.Vault) ([]byte, error) {
	template, _, _, err := e.f.ReadTemplate()
	if err != nil {
		return nil, err
	}
	questions, err := e.s.questions(e.f)
	if err != nil {
		return nil, err
	}
	notes := map[string]string{}
	for _, q := range questions {
		notes[q.name] = "no value yet: " + q.places[0] + q.note()
	}
	intro := []string{
		"Secrets of " + e.s.name(e.f) + ": what you change is stored when you leave the editor.",
		"A line that you take out deletes its secret. Comments are not stored.",
	}
	for _, name := range e.Aside() {
		intro = append(intro, fmt.Sprintf("Not shown, and left as it is: %q", name))
	}
	text := e.Text(intro, template, notes)
	if list, err := e.Read(text); err != nil || !e.Plan(list, vault).Empty() {
		return nil, failed(err, "the secrets of %s cannot be written so that they are read back as they are; nothing was changed", e.s.name(e.f)).
			hint("change them one by one: '%s add NAME'", e.s.again())
	}
	return text, nil
}

// run has the person edit until what they leave is stored, or they give up.
func (e *editing) run(ctx context.Context) error {
	var before []byte // what the editor left the last time
	var wrong error   // with that
	for first := true; ; first = false {
		if err := os.WriteFile(e.file, e.written, 0o600); err != nil {
			return &safefile.Error{Op: "write", Path: e.file, Err: err}
		}
		if err := e.signals.Lend(func() error { return e.s.runEditor(ctx, e.editor, e.file) }); err != nil {
			return err
		}
		text, err := safefile.Read(e.file, safefile.MaxSize)
		if err != nil {
			return &safefile.Error{Op: "read", Path: e.file, Err: err}
		}
		if first && bytes.Equal(text, e.written) {
			e.s.say("Nothing was changed")
			return nil
		}
		if e.alone > 0 && (bytes.Equal(text, e.written) || bytes.Equal(text, before)) {
			return wrong // the answer of a person who gives up, and of a script
		}
		before = text
		text = crypto.PlainText(text) // UTF-16, if it likes that
		wrong = e.take(ctx, text)
		if wrong == nil || ctx.Err() != nil || errors.Is(wrong, tty.ErrInterrupted) || !e.offer(ctx, text, wrong) {
			return wrong
		}
	}
}

// conflictError says that another command changed what the person changed.
type conflictError struct {
	names []string
	lines []string // for the person alone: they hold values
}

func (c *conflictError) Error() string {
	return fmt.Sprintf("%s was changed by another command, too, while the editor was open", strings.Join(c.names, ", "))
}

// take stores what a text says.
func (e *editing) take(ctx context.Context, text []byte) error {
	s := e.s
	list, err := e.read(text)
	if err != nil {
		return err
	}
	opened, _, err := s.openOrFresh(e.f, crypto.Fernet)
	if err != nil {
		return err
	}
	plan := e.Plan(list, opened.Vault)
	if plan.Empty() {
		s.say("Nothing was changed")
		return nil
	}
	// Asked before the lock is taken: others wait for nobody's answer.
	if err := e.mayDelete(ctx, list, plan); err != nil {
		return err
	}

	w, err := s.openToWrite(ctx, e.f, crypto.Fernet)
	if err != nil {
		return err
	}
	defer w.close()
	if plan = e.Plan(list, w.Vault); len(plan.Conflicts) > 0 {
		conflict := &conflictError{plan.Conflicts, e.Concede(plan.Conflicts, w.Vault)}
		no := refuse("%v; nothing was changed", conflict).hint("run the command again: it begins with what there is now")
		no.Err = conflict
		return no
	}
	from, to := renamedIn(plan, w.Vault)
	for name, value := range plan.Set {
		w.Vault.Set(name, value)
	}
	for _, name := range plan.Deleted {
		w.Vault.Delete(name)
	}
	if _, err := w.save(); err != nil {
		return err
	}
	s.sayEdited(ctx, w, plan)
	if from != "" {
		s.hint("next time '%s rename %s %s' changes the references as well", s.again(), from, to)
	}
	return nil
}

// read reads a text, and refuses a value that no vault can hold.
func (e *editing) read(text []byte) ([]formation.Assignment, error) {
	list, err := e.Read(text)
	for _, a := range list {
		if len(a.Value) > maxValue && err == nil {
			err = &formation.EditError{Line: a.Line, Reason: tooLong().Error()}
		}
	}
	if err != nil {
		return nil, failed(err, "the text cannot be stored: %v; nothing was changed", err).
			hint("every line is a name and a value, a # comment or blank; a value of several lines stands in quotes")
	}
	return list, nil
}

// mayDelete asks about secrets that are taken out and that a file refers to, and
// where nothing at all is left.
func (e *editing) mayDelete(ctx context.Context, list []formation.Assignment, plan *formation.EditPlan) error {
	s := e.s
	survey, err := e.f.Survey()
	if err != nil {
		return err
	}
	var inUse []string
	for _, name := range plan.Deleted {
		if refs := survey.To(formation.Normalize(name)); len(refs) > 0 && !e.accepted[name] {
			inUse = append(inUse, fmt.Sprintf("%s (%s)", name, s.places(e.f, refs)[0]))
		}
	}

	refusal := refuse("taken out, but a file refers to it: %s; nothing was changed", strings.Join(inUse, ", "))
	switch everything := len(list) == 0 && e.Shown() > 1 && !e.accepted[plan.Deleted[0]]; {
	case everything:
		refusal = refuse("all %d secrets are taken out; nothing was changed", e.Shown())
	case len(inUse) == 0:
		return nil
	}
	terminal, err := s.Terminal()
	if err != nil {
		return refusal.hint("'%s delete NAME --force' deletes one all the same", s.again())
	}
	defer terminal.Close()
	for _, name := range inUse {
		terminal.Print("Taken out, but a file refers to it: " + sanitize(name))
	}
	answer, err := terminal.Ask(ctx, fmt.Sprintf("Delete %s for good (yes/no)? ", plural(len(plan.Deleted), "secret")), tty.Options{})
	if err != nil && !errors.Is(err, tty.ErrEOF) {
		return err
	}
	if !isYes(answer) {
		return refusal
	}
	for _, name := range plan.Deleted {
		e.accepted[name] = true
	}
	return nil
}

// maxAlone is how often the editor is opened again without a terminal: a script that
// adds to the text each time never leaves the same one twice.
const maxAlone = 10

// offer says what is wrong, and asks whether to open the editor again with the text
// as the person left it. Without a terminal the editor asks: one with a window waits
// for them, and closing the text as it is gives it up.
func (e *editing) offer(ctx context.Context, text []byte, err error) bool {
	notice := []string{strings.Replace(e.s.explain(err).Error(), "; nothing was changed", "", 1)}
	conflict, theirs := errors.AsType[*conflictError](err)
	if theirs {
		notice = append(notice, conflict.lines...)
	}
	terminal, none := e.s.Terminal()
	switch {
	case none == nil:
		defer terminal.Close()
	case theirs: // a script that writes the same again must not decide that
		notice = append(notice, "Close this as it is to give it up; to have yours stored all the same, add a comment below.")
	default:
		notice = append(notice, "Close this as it is to give it up.")
	}
	if wrong, ok := errors.AsType[*formation.EditError](err); ok {
		_, down := formation.WithNotice(text, notice) // its line moves with what stands on top
		notice[0] = wrong.Down(down).Error()
	}
	e.written, _ = formation.WithNotice(text, notice)

	if none != nil {
		e.alone++
		if e.alone <= maxAlone {
			e.s.warn("not stored: %s; the editor opens again with your text", notice[0])
		}
		return e.alone <= maxAlone
	}
	terminal.Print("Not stored: " + sanitize(notice[0]))
	answer, err := terminal.Ask(ctx, "Enter opens the editor again with your text, q gives it up: ", tty.Options{})
	return err == nil && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "q")
}

// renamedIn finds a secret that only got another name: to say that there is a command
// for it.
func renamedIn(plan *formation.EditPlan, vault *formation.Vault) (from, to string) {
	if len(plan.Added) != 1 || len(plan.Deleted) != 1 {
		return "", ""
	}
	if value, _, err := vault.Get(plan.Deleted[0]); err == nil && value == plan.Set[plan.Added[0]] {
		return plan.Deleted[0], plan.Added[0]
	}
	return "", ""
}

// sayEdited says by name what was changed.
func (s *session) sayEdited(ctx context.Context, w *writing, plan *formation.EditPlan) {
	for _, part := range []struct {
		format string
		names  []string
	}{{"Added %s to %s", plan.Added}, {"Changed %s in %s", plan.Changed}, {"Deleted %s from %s", plan.Deleted}} {
		for _, name := range part.names {
			s.say(part.format, name, s.name(w.Formation))
		}
	}
	if len(plan.Merged) > 0 {
		s.say("Changed by another command meanwhile, and kept so: %s", strings.Join(plan.Merged, ", "))
	}
	s.offerHooks(ctx)
	for _, name := range slices.Sorted(maps.Keys(plan.Set)) {
		s.doubt(name, plan.Set[name])
		if len(w.survey.To(formation.Normalize(name))) == 0 && slices.Contains(plan.Added, name) {
			s.hint("nothing refers to %s yet; write ${{ secrets.%s }} where the value belongs", name, formation.Normalize(name))
		}
	}
	for _, name := range plan.Deleted {
		if refs := w.survey.To(formation.Normalize(name)); len(refs) > 0 {
			s.warn("%s is still referred to in %s", name, s.places(w.Formation, refs)[0])
		}
	}
}
