package commands

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

func (r *runner) shareCommand() *cli.Command {
	return &cli.Command{
		Name:      "share",
		Usage:     "share the key with people, by their age or SSH public keys",
		UsageText: "add|remove|list|wrap",
		Description: `   git muxi-secrets share add ~/keys/bob.pub

.key.age is the key, wrapped for everybody in .age-recipients; both are
committed. Bob then runs 'git muxi-secrets unlock'.`,
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return usage("'share' is followed by add, remove, list or wrap").hint("see '%s share -h'", program)
			}
			return unknownCommand(c.Command.Subcommands, program+" share", c.Args().First())
		},
		Subcommands: []*cli.Command{
			{
				Name:      "add",
				Usage:     "wrap the key for one more person",
				UsageText: "RECIPIENT|FILE... [--name WHO] [--all]",
				Description: `   git muxi-secrets share add ~/keys/bob.pub
   git muxi-secrets share add age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudh39hgs --name Bob

RECIPIENT is an age, ssh-ed25519 or ssh-rsa public key, or that of an age plugin;
FILE holds such keys, a line each, with '# NAME' above.`,
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "name", Usage: "`WHO` this is; an SSH key's comment otherwise"},
					allFlag(),
				},
				Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
					if !c.Args().Present() {
						return usage("RECIPIENT or FILE is missing").hint("see '%s -h'", c.Command.HelpName)
					}
					people, err := s.newPeople(c.Args().Slice(), c.String("name"))
					if err != nil {
						return err
					}
					return s.each(func(f *formation.Formation) error { return s.shareAdd(ctx, f, people) })
				}),
			},
			{
				Name:      "remove",
				Usage:     "lock a person out: a new key, wrapped for those who stay",
				UsageText: "WHO|RECIPIENT|FILE... [--all]",
				Description: `   git muxi-secrets share remove Bob

What Bob could open he has seen: the names are listed, and 'status' keeps saying
so until each value has changed.`,
				Flags: []cli.Flag{allFlag()},
				Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
					if !c.Args().Present() {
						return usage("WHO is missing").hint("'%s share list' names them", program)
					}
					err := s.each(func(f *formation.Formation) error { return s.shareRemove(ctx, f, c.Args().Slice()) })
					if err == nil && s.removed == 0 {
						return refuse("no key here is shared with '%s'", sanitize(shorten(c.Args().First()))).hint("'%s share list --all' names the people", program)
					}
					return err
				}),
			},
			{
				Name:        "list",
				Usage:       "list the people the key is shared with",
				UsageText:   "[--json] [--all]",
				Description: "   git muxi-secrets share list",
				Flags:       []cli.Flag{jsonFlag(), allFlag()},
				Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
					if err := noArguments(c); err != nil {
						return err
					}
					return s.shareList(c.Bool("json"))
				}),
			},
			{
				Name:      "wrap",
				Usage:     "wrap the key again, for the people in .age-recipients as it is now",
				UsageText: "[--all]",
				Description: `   git muxi-secrets share wrap

After .age-recipients was changed by hand, or a merge left .key.age behind.`,
				Flags: []cli.Flag{allFlag()},
				Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
					if err := noArguments(c); err != nil {
						return err
					}
					return s.each(func(f *formation.Formation) error { return s.shareWrap(ctx, f) })
				}),
			},
		},
	}
}

func (s *session) shareAdd(ctx context.Context, f *formation.Formation, people []newPerson) error {
	c, err := s.openKeyChange(ctx, f, false, true)
	if err != nil {
		return err
	}
	defer c.close()
	var added []string
	for _, p := range people {
		if others := c.people.Find(p.name); p.name != "" && len(others) > 0 && others[0].Recipient != p.recipient.String() {
			s.hint("%s has another key here already; 'share remove %s' takes both away", p.name, quote(p.name))
		}
		if c.people.Add(p.name, p.recipient) {
			added = append(added, whoIs(p.name, p.recipient.String()))
		}
		if p.name != "" {
			c.people.Forgive(p.name)
		}
	}
	if there, err := fileExists(c.Path(formation.WrappedKeyFile)); len(added) == 0 && err == nil && there {
		s.say("%s is shared with %s already; nothing changed", s.name(f), plural(len(people), "such recipient"))
		return nil
	}
	if err := c.put(s.talk(ctx)); err != nil {
		return err
	}
	s.say("Shared the key of %s with %s", s.name(f), list(added))
	s.warnIgnored(ctx, f)
	s.hint("commit %s and %s; they then run '%s unlock'", s.show(c.Path(formation.RecipientsFile)), s.show(c.Path(formation.WrappedKeyFile)), program)
	return nil
}

// whoIs names a person in a message.
func whoIs(name, recipient string) string {
	if name == "" {
		return shorten(recipient)
	}
	return name
}

// shorten cuts a long key for a message.
func shorten(recipient string) string {
	const most = 62
	if len(recipient) <= most {
		return recipient
	}
	return recipient[:most-3] + "..."
}

// warnIgnored speaks up where git would not take people's files along.
func (s *session) warnIgnored(ctx context.Context, f *formation.Formation) {
	repo, err := s.repository()
	if err != nil || repo == nil {
		return
	}
	files := []string{f.Path(formation.RecipientsFile), f.Path(formation.WrappedKeyFile)}
	ignored, err := repo.Ignored(ctx, files)
	if err != nil {
		return
	}
	for i, file := range files {
		if ignored[i] {
			s.warn("git ignores %s: add '!%s' to %s", s.show(file), filepath.Base(file), s.show(f.Path(".gitignore")))
		}
	}
}

func (s *session) shareRemove(ctx context.Context, f *formation.Formation, args []string) error {
	c, err := s.openKeyChange(ctx, f, true, true)
	if err != nil {
		return err
	}
	defer c.close()
	var gone []formation.Person
	for _, arg := range args {
		found, err := s.findPeople(c.people, arg)
		if err != nil {
			var none *Error
			if s.all && errors.As(err, &none) && none.Code == exitNo {
				continue // with --all, a person need not be in every formation
			}
			return err
		}
		for _, p := range found {
			if c.people.Remove(p.Recipient) {
				gone = append(gone, p)
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	s.removed += len(gone)
	stays := map[string]bool{}
	for _, p := range c.people.All() {
		stays[p.Name] = p.Name != ""
	}
	var names []string
	keys := map[string]int{}
	seen := c.Vault.Names()
	for _, p := range gone {
		who := whoIs(p.Name, p.Recipient)
		if keys[who]++; keys[who] == 1 {
			names = append(names, who)
		}
		if !stays[p.Name] { // else another key of the same person is still in
			c.people.Expose(who, seen)
		}
	}
	if err := c.newKey(c.Key.Format()); err != nil {
		return err
	}
	if err := c.put(s.talk(ctx)); err != nil {
		return err
	}
	var counted []string
	for _, who := range names {
		if keys[who] > 1 {
			who = fmt.Sprintf("%s (%d keys)", who, keys[who])
		}
		counted = append(counted, who)
	}
	s.say("Removed %s from %s, which has a new key: %s%s", list(counted), s.name(f), keyNow(c.Key), c.wrappedFor())
	if len(c.people.All()) == 0 {
		s.warn("nobody is left who can unlock %s: this .key is the only way in", s.name(f))
	}
	c.warnSameKey()
	if len(c.people.Exposed()) > 0 && len(seen) > 0 {
		fmt.Fprintf(s.Out, "%s has seen these values of %s:\n", sanitize(list(names)), sanitize(s.name(f)))
		for _, name := range seen {
			fmt.Fprintf(s.Out, "  - %s\n", sanitize(name))
		}
		s.hint("have each of them replaced where it comes from, then '%s add NAME'; 'status' says which are left", s.again())
	}
	s.sayKeySpread(c)
	return nil
}

func (s *session) shareWrap(ctx context.Context, f *formation.Formation) error {
	if _, err := f.Open(); err != nil {
		return err
	}
	if err := s.mergeList(ctx, f); err != nil {
		return err
	}
	c, err := s.openKeyChange(ctx, f, false, true)
	if err != nil {
		return err
	}
	defer c.close()
	if len(c.people.All()) == 0 {
		if s.all {
			return nil
		}
		return refuse("%s is shared with nobody", s.name(f)).hint("'%s share add RECIPIENT' begins", program)
	}
	if err := c.put(s.talk(ctx)); err != nil {
		return err
	}
	if err := s.settleWrapped(ctx, f); err != nil {
		return err
	}
	s.say("Wrapped the key of %s for %s", s.name(f), c.recipients())
	return nil
}

// sharedWith is one formation in the JSON of share list.
type sharedWith struct {
	Formation  string           `json:"formation"`
	Recipients []sharedPerson   `json:"recipients"`
	Exposed    []exposedSecrets `json:"exposed"`
}

type sharedPerson struct {
	Name      string `json:"name"`
	Recipient string `json:"recipient"`
}

// exposedSecrets are secrets whose values somebody who was removed has seen.
type exposedSecrets struct {
	Person  string   `json:"person"`
	Secrets []string `json:"secrets"`
}

func exposures(people *formation.People) []exposedSecrets {
	all := []exposedSecrets{}
	for _, x := range people.Exposed() {
		if n := len(all); n == 0 || all[n-1].Person != x.Person {
			all = append(all, exposedSecrets{Person: x.Person})
		}
		last := &all[len(all)-1]
		last.Secrets = append(last.Secrets, x.Secret)
	}
	return all
}

func (s *session) shareList(asJSON bool) error {
	formations, err := s.formations()
	if err != nil {
		return err
	}
	lists := []sharedWith{}
	for _, f := range formations {
		people, _, err := f.ReadPeople()
		if err != nil {
			return err
		}
		s.foldSeen(f, people)
		one := sharedWith{Formation: s.name(f), Recipients: []sharedPerson{}, Exposed: exposures(people)}
		for _, p := range people.All() {
			one.Recipients = append(one.Recipients, sharedPerson(p))
		}
		lists = append(lists, one)
	}
	switch {
	case asJSON && s.all:
		return s.printJSON(map[string]any{"formations": lists})
	case asJSON:
		return s.printJSON(lists[0])
	}
	for i, one := range lists {
		if i > 0 {
			fmt.Fprintln(s.Out)
		}
		if len(one.Recipients) == 0 {
			fmt.Fprintf(s.Out, "%s is shared with nobody\n", sanitize(one.Formation))
		} else {
			fmt.Fprintf(s.Out, "%s is shared with:\n", sanitize(one.Formation))
		}
		for _, p := range one.Recipients {
			name := p.Name
			if name == "" {
				name = "(no name)"
			}
			fmt.Fprintf(s.Out, "  - %s: %s\n", sanitize(name), sanitize(p.Recipient))
		}
		for _, x := range one.Exposed {
			fmt.Fprintf(s.Out, "%s, who was removed, has seen: %s\n", sanitize(x.Person), sanitize(list(x.Secrets)))
		}
	}
	return nil
}

// unmergedFile returns the sides of a formation's file that a merge has left
// open, and its path from the top; nil where it has not.
func (s *session) unmergedFile(ctx context.Context, f *formation.Formation, name string) (sides *[3][]byte, file string, err error) {
	repo, err := s.repository()
	if err != nil || repo == nil || repo.Layout().Top == "" {
		return nil, "", err
	}
	conflicts, err := repo.Unmerged(ctx)
	if err != nil {
		return nil, "", err
	}
	file = path.Join(path.Dir(s.vaultPath(repo.Layout(), f)), name)
	conflict := conflictAt(conflicts, file)
	if conflict == nil {
		return nil, file, nil
	}
	found, err := sidesOf(ctx, repo, conflict)
	return &found, file, err
}

// mergeList merges by entry a list of people that git merged line by line, as in
// a clone that has no drivers yet.
func (s *session) mergeList(ctx context.Context, f *formation.Formation) error {
	sides, _, err := s.unmergedFile(ctx, f, formation.RecipientsFile)
	if err != nil || sides == nil {
		return err
	}
	var people [3]*formation.People
	for i, content := range sides {
		if people[i], err = formation.ParsePeople(content); err != nil {
			return err
		}
	}
	lock, err := s.lock(ctx, f)
	if err != nil {
		return err
	}
	defer lock.Release()
	batch := s.Files.BatchIn(f.Dir)
	defer batch.Discard()
	list := f.Path(formation.RecipientsFile)
	if err := batch.Replace(list, formation.MergePeople(people[0], people[1], people[2]).Encode(), formation.ModeOf(list, 0o644)); err != nil {
		return err
	}
	return batch.Commit()
}

// settleWrapped stages the people's files that a merge had left with their
// sides: each is one again.
func (s *session) settleWrapped(ctx context.Context, f *formation.Formation) error {
	for _, name := range []string{formation.RecipientsFile, formation.WrappedKeyFile} {
		sides, file, err := s.unmergedFile(ctx, f, name)
		if err != nil {
			return err
		}
		if sides == nil {
			continue
		}
		content, err := readSmall(f.Path(name), maxWrapped)
		if err != nil {
			return &formation.FileError{Op: "read", Path: f.Path(name), Err: err}
		}
		if err := s.repo.StageFile(ctx, file, content, gitutil.ModeFile); err != nil {
			return err
		}
	}
	return nil
}
