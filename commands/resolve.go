package commands

import (
	"context"
	"errors"
	"path"
	"path/filepath"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
	"github.com/urfave/cli/v2"
)

type resolveOptions struct {
	name         string // "" merges again, and says what is left
	ours, theirs bool
	stdin        bool
	value        string // in place of what stdin would give
	ask          bool   // a person is asked about what is left
	key          string // "ours" or "theirs": whose key counts, where it was rotated twice, apart
}

// whole is the side that settles every name there is, or stands for one that
// does not open; "" for neither.
func (o resolveOptions) whole() string {
	switch {
	case o.name != "":
		return ""
	case o.ours:
		return "ours"
	case o.theirs:
		return "theirs"
	}
	return ""
}

func (r *runner) resolveCommand() *cli.Command {
	return &cli.Command{
		Name:      "resolve",
		Usage:     "settle a secret that both sides of a merge changed",
		UsageText: "[NAME] [--ours|--theirs|--stdin] [--key ours|theirs]",
		Description: `   git muxi-secrets resolve OPENAI_API_KEY --theirs

Ours and theirs are what git means by them. Once no name is left, secrets.enc and
the template are staged, and 'git commit' (or 'git rebase --continue') goes on.
Without NAME it asks on a terminal, name by name, with mask, author and date of both
sides. It also merges again, by name, a vault that could not be merged: for want of a
key, or because git did it line by line, also where the markers were committed since;
it asks for a passphrase where that opens a side. --ours or --theirs without NAME
settles every name that is left this way; where a side is damaged, the other one is
taken whole. --key says whose key counts where both sides rotated it; who has the
other then types 'unlock --accept'.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "ours", Usage: "keep what our side has"},
			&cli.BoolFlag{Name: "theirs", Usage: "take what their side has; it may mean that the secret goes"},
			&cli.BoolFlag{Name: "stdin", Usage: "read another value from standard input; one newline (LF or CR LF) at its end is taken off"},
			&cli.StringFlag{Name: "key", Usage: "where both sides rotated the key, the one that counts: ours or theirs, as `SIDE`"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			o := resolveOptions{ours: c.Bool("ours"), theirs: c.Bool("theirs"), stdin: c.Bool("stdin"), key: c.String("key")}
			if o.key != "" && o.key != "ours" && o.key != "theirs" {
				return usage("--key is 'ours' or 'theirs'").hint("see '%s -h'", c.Command.HelpName)
			}
			ways := 0
			for _, way := range []bool{o.ours, o.theirs, o.stdin} {
				if way {
					ways++
				}
			}
			if c.Args().Present() {
				name, err := s.oneName(c)
				if err != nil {
					return err
				}
				o.name = name
			}
			if ways > 1 || o.name != "" && ways == 0 || o.name == "" && o.stdin {
				return usage("'resolve' takes a NAME, and one of --ours, --theirs and --stdin").hint("see '%s -h'", c.Command.HelpName)
			}
			if o.name == "" && ways == 0 {
				return s.resolveAsking(ctx, o)
			}
			return s.resolve(ctx, o)
		}),
	}
}

func (s *session) resolve(ctx context.Context, o resolveOptions) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	repo, err := s.needGit()
	if err != nil {
		return err
	}
	if repo.Layout().Top == "" {
		return refuse("there is no work tree here, and so no merge")
	}
	value := o.value
	if o.stdin && value == "" {
		if value, err = s.givenValue(addOptions{stdin: true}); err != nil {
			return err
		}
		if err := s.checkValue(value); err != nil {
			return err
		}
	}

	lock, err := s.lock(ctx, f)
	if err != nil {
		return err
	}
	defer lock.Release()
	m, err := s.merger()
	if err != nil {
		return err
	}
	asked := s.askForSides(ctx, m.Keys)
	r, err := m.Begin(ctx, s.vaultPath(repo.Layout(), f))
	if errors.Is(err, merge.ErrNoMerge) {
		return s.resolveNothing(ctx, m, f, o)
	}
	if err != nil {
		return err
	}
	if from := r.State.From; from != "" && r.State.Failed {
		s.say("One side moved %s to %s, and the other changed it: merging the two", from, r.State.Path)
	}
	if o.whole() != "" && r.Settled() {
		s.say("nothing is left to settle in %s; nothing changed", s.name(f))
		return nil
	}

	unsaid := r.State.Failed // by the driver, which merged nothing
	err = r.Merge(ctx, o.whole())
	if fork, ok := errors.AsType[*merge.KeyError](err); ok && fork.Standing == trust.Forked && o.key != "" {
		if err := m.Decide(fork, o.key == "theirs"); err != nil {
			return err
		}
		err = r.Merge(ctx, o.whole())
	}
	if err != nil {
		return s.explainMerge(ctx, err, asked)
	}
	if r.Taken != "" {
		why := whoseSide(r.Taken) + " does not open"
		if r.Refused {
			why = "nobody vouched for the key of " + whoseSide(r.Taken)
		}
		s.warn("%s: %s, and the other side is taken whole", showPath(r.State.Path), why)
	}
	if unsaid {
		s.sayRetired(ctx, m, r.State.Path, r.Result, r.Result.Vault)
	}
	name := ""
	if o.name != "" {
		if name, err = r.Contested(o.name); err != nil {
			return explainContested(err)
		}
		if r.Settled() {
			s.say("%s is settled already; nothing changed", name)
			return nil
		}
	}
	return s.settle(ctx, m, r, f, o, name, value, asked)
}

// settle settles what was asked for, writes vault, template and note, and says
// what is left.
func (s *session) settle(ctx context.Context, m *merge.Merger, r *merge.Resolution, f *formation.Formation, o resolveOptions, name, value string, asked *asking) error {
	if err := r.Open(f); err != nil {
		return err
	}
	if len(r.Again) > 0 {
		s.warn("%s is not what was left to settle, and is merged again: settle these again, too: %s", s.show(f.Path(formation.VaultFile)), list(r.Again))
	}
	w := &writing{s: s, ctx: ctx, batch: s.batch(f), merge: r.State}
	defer w.batch.Discard()
	w.Opened = &formation.Opened{Formation: f, Key: r.Result.Key, Vault: r.Vault, Sealed: r.OnDisk}
	if err := s.keepAsked(w, asked, r.Result); err != nil {
		return err
	}
	if err := w.templateAgain(m, r.State.Path); err != nil {
		return err
	}

	switch {
	case name == "" && o.whole() != "":
		for _, one := range r.State.Open() {
			r.Take(one, o.theirs)
		}
	case name != "" && o.stdin:
		r.Set(name, value)
	case name != "":
		r.Take(name, o.theirs)
	}
	if _, err := w.save(); err != nil {
		return err
	}
	r.State.ForgetLost()
	s.noteSeen(ctx, m, r.State.Path, r.Result, r.Vault)
	if name != "" {
		s.say("Settled %s in %s", name, s.name(f))
	}
	s.hintElsewhere(m.Layout, f, r.State, r.Result)

	if left := r.State.Open(); len(left) > 0 {
		switch {
		case name == "" && o.ask:
			return &undecided{r}
		case name == "":
			s.contested(r.State.Path, r.State)
			return exitCode(exitNo)
		case !o.ask: // else it is asked about next
			s.hint("still to settle: %s", list(left))
		}
		return nil
	}
	left, err := r.Conclude(ctx, f)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		s.warn("still in conflict at the old place: %s; take over by hand what counts, then 'git rm' it there", list(left))
	}
	s.say("Nothing is left to settle in %s: staged %s and %s", s.name(f), formation.VaultFile, formation.TemplateFile)
	st, err := s.sharing(ctx, f)
	if err != nil {
		return err
	}
	if key, overlaid := st.Overlaid(); overlaid {
		s.hint("%s is still signed by the key %s: before you commit, '%s share wrap' signs it with the one that counts here", s.show(f.Path(formation.RecipientsFile)), fingerprintOf(key), s.callOn(f))
	}
	return nil
}

// resolveNothing is for a vault that is in no merge. Its template may be: git
// stops where one side deleted it, before any driver could run.
func (s *session) resolveNothing(ctx context.Context, m *merge.Merger, f *formation.Formation, o resolveOptions) error {
	vaultPath := s.vaultPath(m.Layout, f)
	if err := s.noSideLeft(ctx, m, f, vaultPath); err != nil {
		return err
	}
	w := &writing{s: s, ctx: ctx, batch: s.batch(f)}
	defer w.batch.Discard()
	if o.name == "" {
		if err := w.templateAgain(m, vaultPath); err != nil {
			return err
		}
	}
	if w.editTemplate == nil {
		return refuse("there is no conflict in %s", s.show(f.Path(formation.VaultFile))).
			hint("names are settled while a merge, rebase, cherry-pick or stash has left %s open", formation.VaultFile).
			hint("a conflict that 'git add' took away comes back with '%s'", s.gitOn("git checkout -m --", f.Path(formation.VaultFile)))
	}

	var err error
	if w.Opened, err = f.OpenToWrite(); err != nil {
		return err
	}
	if _, err := w.save(); err != nil {
		return err
	}
	if err := m.Stage(ctx, f, vaultPath, formation.TemplateFile); err != nil {
		return err
	}
	s.say("Nothing is left to settle in %s: staged %s", s.name(f), formation.TemplateFile)
	return nil
}

// noSideLeft says what there is to do where a vault has markers that somebody
// edited, so that no side is to be had from them.
func (s *session) noSideLeft(ctx context.Context, m *merge.Merger, f *formation.Formation, vaultPath string) error {
	sealed, there, err := f.ReadSealed()
	if err != nil || !there {
		return err
	}
	if _, err := crypto.Detect(sealed); crypto.ReasonOf(err) != crypto.MergeMarkers {
		return nil
	}
	e := failed(nil, "the markers of the conflict in %s are not whole, and no side can be read from it", s.show(f.Path(formation.VaultFile)))
	if commit, err := m.LastWhole(ctx, vaultPath); err == nil && commit != "" {
		e.hint("bring back the last good one: '%s'", s.gitOn("git restore --source="+commit[:min(len(commit), 10)], f.Path(formation.VaultFile)))
	}
	return e
}

// templateAgain merges a template by name that git merged line by line.
func (w *writing) templateAgain(m *merge.Merger, vaultPath string) error {
	merged, ok, err := m.TemplateAgain(w.ctx, vaultPath)
	if ok {
		w.editTemplate = func(t *formation.Template) { *t = *formation.ParseTemplate(merged) }
	}
	return err
}

// explainMerge says why a merge cannot be done, and what came of asking for keys.
func (s *session) explainMerge(ctx context.Context, err error, asked *asking) error {
	if none := (*merge.NoSideError)(nil); errors.As(err, &none) {
		f, _ := s.formation()
		return refuse("%s has no %s to take", whoseSide(none.Side), formation.VaultFile).
			hint("'%s' takes it away for good", s.gitOn("git rm", f.Path(formation.VaultFile)))
	}
	e := s.explain(s.explainSide(ctx, err, false))
	if asked.err != nil {
		for _, line := range s.explain(asked.err).Lines {
			e.line("%s", line)
		}
	}
	return e
}

// explainContested says which names could be meant.
func explainContested(err error) error {
	var not *merge.NotContestedError
	if !errors.As(err, &not) {
		return err
	}
	e := refuse("%s is not contested", not.Name)
	if len(not.Open) > 0 {
		return e.hint("these are: %s", list(not.Open))
	}
	return e.hint("no name is: 'git add' and 'git commit' conclude the merge")
}

// noUnsettledMerge refuses a new key for a vault that a merge has left open: the
// sides would not open with it any more, and what was settled would be lost.
func (s *session) noUnsettledMerge(ctx context.Context, f *formation.Formation) error {
	repo, err := s.repository()
	if err != nil || repo == nil || repo.Layout().Top == "" {
		return err
	}
	waits, open, err := merge.Waits(ctx, repo, s.vaultPath(repo.Layout(), f))
	if err != nil || !waits {
		return err
	}
	e := refuse("a merge of %s is not settled; nothing was changed", s.show(f.Path(formation.VaultFile)))
	if len(open) > 0 {
		e.line("still to settle: %s", list(open))
	}
	return e.hint("'%s resolve' says what is left; conclude the merge first, or go back with %s", s.again(), s.goBack(ctx))
}

// asking is what came of asking a person to open a .key.age.
type asking struct {
	keys []*crypto.Key
	err  error // the last one
}

// askForSides has keys ask the person for what opens a .key.age: unlike a
// driver, 'resolve' is run by one.
func (s *session) askForSides(ctx context.Context, keys *history.Keys) *asking {
	asked := &asking{}
	var have *identities
	keys.Unwrap = func(wrapped []byte) ([]byte, error) {
		if have == nil {
			found, err := s.identities(nil)
			if err != nil {
				asked.err = err
				return nil, err
			}
			have = found
		}
		content, _, err := s.unwrap(ctx, wrapped, have)
		if err != nil {
			asked.err = err
			return nil, err
		}
		if key, err := crypto.ParseKey(content); err == nil {
			asked.keys = append(asked.keys, key)
		}
		return content, nil
	}
	return asked
}

// keepAsked keeps keys that a person was asked for, where a side needed them:
// nobody is to be asked again for the next name.
func (s *session) keepAsked(w *writing, asked *asking, result *merge.VaultResult) error {
	for _, key := range asked.keys {
		for _, theirs := range []bool{false, true} {
			used := result.KeyOf(theirs)
			if !key.Equal(used) {
				continue
			}
			side := "ours"
			if theirs {
				side = "theirs"
			}
			w.done = append(w.done, "Opened "+whoseSide(side)+" with the "+keyNow(key)+" of its "+formation.WrappedKeyFile)
			if err := w.KeepKey(w.batch, key, key.File()); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// hintElsewhere says how .key follows a vault that is sealed with another key.
func (s *session) hintElsewhere(layout gitutil.Layout, f *formation.Formation, state *merge.State, result *merge.VaultResult) {
	if !result.Elsewhere {
		return
	}
	if old := path.Dir(state.From); state.From != "" {
		at := filepath.Join(layout.Top, filepath.FromSlash(old), formation.KeyFile)
		here, _ := paths.Exists(f.Path(formation.KeyFile))
		if paths.There(at) && !here {
			s.hint("its key is still at the old place: '%s'", s.shell().Move(s.argument(at), s.argument(f.Path(formation.KeyFile))))
			return
		}
	}
	how := "unlock"
	if there, err := paths.Exists(f.Path(formation.WrappedKeyFile)); err != nil || !there {
		how = "key import FILE"
	}
	s.hint("%s is sealed with the %s, which is not its .key here: '%s %s' gets it", s.show(f.Path(formation.VaultFile)), keyNow(result.Key), s.again(), how)
}
