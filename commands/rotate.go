package commands

import (
	"context"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
)

func (r *runner) rotateCommand() *cli.Command {
	return &cli.Command{
		Name:      "rotate",
		Usage:     "make a new key and seal the vault with it",
		UsageText: "[--all]",
		Description: `   git muxi-secrets rotate

The old key is kept in the repository's git folder, so that older commits still
open here; .key.age is wrapped again for everybody in .age-recipients. It asks
nothing. What the old key opened was seen by whoever had it: change the values
that matter where they come from, too.`,
		Flags: []cli.Flag{allFlag()},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			return s.each(func(f *formation.Formation) error { return s.rotate(ctx, f) })
		}),
	}
}

func (r *runner) convertCommand() *cli.Command {
	return &cli.Command{
		Name:      "convert",
		Usage:     "change the format of a vault, and with it the key",
		UsageText: "--to fernet|age [--all]",
		Description: `   git muxi-secrets convert --to age

Today's MUXI runtime reads only fernet. The old key is kept as by 'rotate'.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "`FORMAT`: fernet or age"},
			allFlag(),
		},
		Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
			format := crypto.Format(c.String("to"))
			if format != crypto.Fernet && format != crypto.Age {
				return usage("--to is 'fernet' or 'age'").hint("see '%s -h'", c.Command.HelpName)
			}
			return s.each(func(f *formation.Formation) error { return s.convert(ctx, f, format) })
		}),
	}
}

// each runs a command on one formation or, with --all, on every one: what works
// is done, and the exit code is that of the first which does not.
func (s *session) each(run func(*formation.Formation) error) error {
	formations, err := s.formations()
	if err != nil {
		return err
	}
	if !s.all {
		return run(formations[0])
	}
	code := exitDone
	progress := s.progress()
	defer progress.clear()
	for i, f := range formations {
		s.current = f
		progress.step(s.doing, i, len(formations))
		if err := run(f); err != nil {
			e := s.explain(err)
			if e.Code == exitInterrupted {
				return err
			}
			e.Lines[0] = s.name(f) + ": " + e.Lines[0]
			if failed := e.print(s.Err); code == exitDone {
				code = failed
			}
		}
	}
	if code != exitDone {
		return exitCode(code)
	}
	return nil
}

func (s *session) rotate(ctx context.Context, f *formation.Formation) error {
	c, err := s.openKeyChange(ctx, f, true, false)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.refuseNewcomers(); err != nil {
		return err
	}
	old := c.Key
	if err := c.newKey(old.Format()); err != nil {
		return err
	}
	if err := c.put(s.talk(ctx)); err != nil {
		return err
	}
	s.say("Rotated the key of %s: %s is now %s%s", s.name(f), keyNow(old), keyNow(c.Key), c.wrappedFor())
	c.warnSameKey()
	s.sayKeySpread(c)
	return nil
}

// sayKeySpread says how a new key reaches the others.
func (s *session) sayKeySpread(c *keyChange) {
	if to, err := os.Readlink(c.Path(formation.KeyFile)); err == nil {
		s.warn("'%s' is a link: the new key stands in '%s', for whoever else links to it, too", s.show(c.Path(formation.KeyFile)), to)
	}
	files := s.show(c.Path(formation.VaultFile))
	if c.listed {
		files = s.show(c.Path(formation.RecipientsFile)) + ", " + files
	}
	if n := len(c.people.All()); n > 0 {
		s.hint("commit %s and %s; the others then run '%s unlock'", files, s.show(c.Path(formation.WrappedKeyFile)), s.again())
		return
	}
	s.hint("commit %s, and give the new key to whoever needs it: '%s key export -h'", files, s.again())
}

func (s *session) convert(ctx context.Context, f *formation.Formation, format crypto.Format) error {
	c, err := s.openKeyChange(ctx, f, true, false)
	if err != nil {
		return err
	}
	defer c.close()
	if c.Key.Format() == format {
		s.say("%s is %s already; nothing changed", s.name(f), format)
		return nil
	}
	if err := c.refuseNewcomers(); err != nil {
		return err
	}
	if err := c.newKey(format); err != nil {
		return err
	}
	if err := c.put(s.talk(ctx)); err != nil {
		return err
	}
	s.say("Converted %s to %s, with a new key: %s%s", s.name(f), format, keyNow(c.Key), c.wrappedFor())
	c.warnSameKey()
	if format == crypto.Age {
		s.warn("today's MUXI runtime reads only fernet; '%s convert --to fernet' goes back", s.again())
	}
	s.sayKeySpread(c)
	return nil
}

// wrappedFor names those who can get the key, so that nobody is among them
// unseen.
func (c *keyChange) wrappedFor() string {
	if names := c.recipients(); names != "" {
		return ", wrapped for " + names
	}
	return ""
}

// recipients names the people the key is wrapped for.
func (c *keyChange) recipients() string {
	var names []string
	for _, p := range c.people.All() {
		names = append(names, whoIs(p.Name, p.Recipient))
	}
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", list(names[:most]), len(names)-most)
	}
	return list(names)
}
