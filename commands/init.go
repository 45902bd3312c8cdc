package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
)

type initOptions struct {
	format    crypto.Format
	startOver bool
	noHooks   bool
}

func (r *runner) initCommand() *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "set a formation up: key, vault, template, git's part",
		UsageText: "[--format fernet|age] [--no-hooks] [--start-over]",
		Description: `   cd formations/my-agent && git muxi-secrets init

Running it again changes nothing.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: string(crypto.Fernet), Usage: "`FORMAT` of a new vault: fernet (which the MUXI runtime reads) or age"},
			&cli.BoolFlag{Name: "no-hooks", Usage: "do not install git hooks"},
			&cli.BoolFlag{Name: "start-over", Usage: "the key is lost: keep the old secrets.enc under another name and begin an empty one"},
		},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			o := initOptions{format: crypto.Format(c.String("format")), startOver: c.Bool("start-over"), noHooks: c.Bool("no-hooks")}
			if o.format != crypto.Fernet && o.format != crypto.Age {
				return usage("--format is 'fernet' or 'age'").hint("without it a new vault is fernet, which the MUXI runtime reads")
			}
			return s.init(ctx, o)
		}),
	}
}

func (s *session) init(ctx context.Context, o initOptions) error {
	f, err := s.formation()
	if err != nil {
		return err
	}
	s.unfilter = true
	open := s.openToWrite
	if o.startOver {
		open = s.startOver
		if err := s.notLost(ctx, f); err != nil {
			return err
		}
	}
	w, err := open(ctx, f, o.format)
	if err != nil {
		return err
	}
	defer w.close()
	had := w.Sealed
	changes := w.batch.Len()
	if _, err := w.save(); err != nil {
		return err
	}
	switch {
	case !had:
		s.say("%s is ready: %s", s.name(f), formation.VaultFile)
		if w.Key.Format() == crypto.Age {
			s.warn("today's MUXI runtime reads only fernet; this formation's secrets are age")
		}
	case changes == 0:
		s.say("%s was set up already", s.name(f))
	}
	if dropped := w.plan.Dropped; o.startOver && len(dropped) > 0 {
		s.say("Dropped %s from %s: nothing refers to %s, and the new %s has no value for %[3]s", list(dropped), s.show(f.Path(formation.TemplateFile)), them(dropped), formation.VaultFile)
	}
	if !s.inRepository() && !w.fresh {
		s.say("Not in a git repository: the git parts were left out")
	}
	if o.noHooks {
		s.noteHooks()
	} else {
		s.ensureHooks(ctx)
	}
	if !o.startOver { // which wraps it for those who had the one before
		s.hintUnshared(writings{w})
	}
	if missing := absent(w.survey.Required(), w.Vault); len(missing) > 0 {
		s.hint("%s no value yet: '%s setup' asks for %s", haveNo(missing), s.again(), them(missing))
	}
	return nil
}

// notLost puts a key back that is at hand, before anything is begun anew for want of
// one. A .key that is there is its owner's to judge.
func (s *session) notLost(ctx context.Context, f *formation.Formation) error {
	if there, err := f.HasKey(); err != nil || there {
		return nil // opening says more
	}
	put, err := s.putBack(ctx, f)
	if err != nil && s.explain(err).Code != exitNoKey {
		return err
	}
	if put {
		s.say("It was not lost after all")
	}
	return nil
}

func haveNo(names []string) string {
	if len(names) == 1 {
		return names[0] + " has"
	}
	return fmt.Sprintf("%d secrets have", len(names))
}

func them(names []string) string {
	if len(names) == 1 {
		return "it"
	}
	return "them"
}

// absent returns the names that a vault has no value for.
func absent(names []string, vault *formation.Vault) []string {
	var list []string
	for _, name := range names {
		if _, ok := vault.Find(name); !ok {
			list = append(list, name)
		}
	}
	return list
}

// startOver is openToWrite for a formation whose vault nobody can open: it puts
// that one aside, in the same batch as the new one. It never touches a .key: a
// good one is used for the new vault, a malformed one is the user's to move.
func (s *session) startOver(ctx context.Context, f *formation.Formation, format crypto.Format) (*writing, error) {
	return s.lockToWrite(ctx, f, func(w *writing) error {
		_, err := f.OpenToWrite()
		var missing *formation.NoKeyError
		var sealed *formation.VaultError
		switch {
		case err == nil:
			s.say("%s opens with its key; there is no need to start over, and nothing was put aside", s.name(f))
			return w.open(f, format)
		case errors.As(err, &missing) && missing.Link == "" && missing.Vault:
			key, err := crypto.GenerateKey(format)
			if err != nil {
				return err
			}
			w.fresh = true
			w.Opened = &formation.Opened{Formation: f, Key: key, Vault: formation.NewVault()}
		case errors.As(err, &sealed):
			own, err := f.ReadKeyFile()
			if err != nil {
				return err
			}
			w.Opened = &formation.Opened{Formation: f, Key: own.Key, Found: own, Vault: formation.NewVault()}
		default:
			return w.open(f, format)
		}
		// Who shared the old key gets the new one.
		people, shared, err := f.ReadPeople()
		if err != nil {
			return err
		}
		if w.fresh {
			if err := w.keepWrapped(); err != nil {
				return err
			}
		}
		switch {
		case w.fresh && shared && len(people.All()) > 0:
			if err := w.wrapAnew(ctx, f, people); err != nil {
				return err
			}
		case w.fresh:
			w.dropWrapped()
		}
		return w.putAside(formation.VaultFile, w.batch.Copy)
	})
}

// putAside keeps a file that begins anew under another name.
func (w *writing) putAside(file string, keep func(from, to string) error) error {
	aside, err := w.AsideName(file, w.s.Now())
	if err != nil {
		return err
	}
	if err := keep(w.Path(file), w.Path(aside)); err != nil {
		return err
	}
	w.done = append(w.done, fmt.Sprintf("Kept the old %s as %s", file, w.s.show(w.Path(aside))))
	return nil
}

// keepWrapped puts the wrapped key of before aside: it may be in no commit, and the
// only way that is left into the old vault. Nobody else needs to read it.
func (w *writing) keepWrapped() error {
	wrapped := w.Path(formation.WrappedKeyFile)
	content, err := safefile.Read(wrapped, maxWrapped)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &safefile.Error{Op: "read", Path: wrapped, Err: err}
	}
	return w.putAside(formation.WrappedKeyFile, func(_, to string) error { return w.batch.Create(to, content, 0o600) })
}

// wrapAnew wraps a key that begins anew for those whom the key before vouched for:
// others may have put themselves into the list.
func (w *writing) wrapAnew(ctx context.Context, f *formation.Formation, people *formation.People) error {
	st, err := w.s.sharing(ctx, f)
	if err != nil {
		return err
	}
	if st.folder.Repo != nil {
		news := st.newcomers(people, st.Pin.Key)
		for _, person := range news {
			people.Remove(person.Recipient)
		}
		if len(news) > 0 {
			w.s.warn("nobody vouched for %s in %s: the new key is not wrapped for them", judge.People(news), w.s.show(f.Path(formation.RecipientsFile)))
			w.s.hint("'%s share add RECIPIENT' vouches for one", w.s.callOn(f))
			if head, err := st.folder.Repo.ResolveRev(ctx, "HEAD"); err == nil && len(people.All()) == 0 && st.Head.Same(st.File) {
				list := fmt.Sprintf("%.10s:%s", head, path.Join(st.folder.Dir, formation.RecipientsFile))
				w.s.hintShareWithAll(f, list, fmt.Sprintf("git show %s | %s share add -", w.s.shell().Escape(list), w.s.callOn(f)))
			}
		}
	}
	if st.folder.Repo != nil && st.Once() {
		people.Sign(w.Key)
		w.signed = true
		if err := w.batch.Replace(f.Path(formation.RecipientsFile), people.Encode(), 0o644); err != nil {
			return err
		}
		w.done = append(w.done, "Nobody vouches for the new key, since the lost one cannot: 'check --base' is red for this change, once",
			fmt.Sprintf("Each colleague takes it with '%s unlock --accept %s'", w.s.callOn(f), w.Key.Fingerprint()))
	}
	recipients := people.Recipients()
	if len(recipients) == 0 {
		w.dropWrapped()
		return nil
	}
	wrapped, err := crypto.Wrap(w.Key.File(), recipients, w.s.talk(ctx))
	if err != nil {
		return w.s.explainWrap(err, len(recipients))
	}
	w.done = append(w.done, fmt.Sprintf("Wrapped the new key for %s", plural(len(recipients), "recipient")))
	return w.batch.Replace(f.Path(formation.WrappedKeyFile), wrapped, 0o644)
}
