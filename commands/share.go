package commands

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
)

func (r *runner) shareCommand() *cli.Command {
	return &cli.Command{
		Name:      "share",
		Usage:     "share the key with people, by their age or SSH public keys",
		UsageText: "add|remove|list|wrap",
		Description: `   git muxi-secrets share add ~/keys/bob.pub

.key.age is the key, wrapped for everybody in .age-recipients; both are
committed. Bob then runs 'git muxi-secrets unlock'.`,
		Subcommands: []*cli.Command{
			{
				Name:      "add",
				Usage:     "wrap the key for one more person",
				UsageText: "RECIPIENT|FILE|-... [--name WHO] [--all]",
				Description: `   git muxi-secrets share add ~/keys/bob.pub
   git muxi-secrets share add age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudh39hgs --name Bob
   curl https://github.com/bob.keys | git muxi-secrets share add - --name Bob

RECIPIENT is an age, ssh-ed25519 or ssh-rsa public key, or that of an age plugin;
FILE (- is standard input) holds such keys, a line each, with '# NAME' above. Keys
in it that cannot be used (ECDSA, security keys) are left out, and said.`,
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
						return usage("WHO is missing").hint("'%s share list' names them", s.again())
					}
					err := s.each(func(f *formation.Formation) error { return s.shareRemove(ctx, f, c.Args().Slice()) })
					if err == nil && s.removed == 0 {
						return refuse("no key here is shared with '%s'", sanitize(shorten(c.Args().First()))).hint("'%s share list --all' names the people", s.anywhere())
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
				Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
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
				Action: r.plain(func(ctx context.Context, s *session, c *cli.Context) error {
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
	news, err := c.vouched()
	if err != nil {
		return err
	}
	// Who is named is vouched for, also one who stands in the list already.
	named := func(there formation.Person) bool {
		return slices.ContainsFunc(people, func(p newPerson) bool { return p.recipient.String() == there.Recipient })
	}
	if others := slices.DeleteFunc(slices.Clone(news), named); len(others) > 0 {
		return s.refuseNewcomers(ctx, f, c.st, others)
	}
	var added []string
	for _, person := range news {
		added = append(added, whoIs(person.Name, person.Recipient))
	}
	for _, p := range people {
		if others := slices.DeleteFunc(c.people.Find(p.name), named); p.name != "" && len(others) > 0 {
			s.hint("%s has another key here already; '%s share remove %s' takes both away", p.name, s.again(), s.shell().Escape(p.name))
		}
		inList := slices.ContainsFunc(news, func(n formation.Person) bool { return n.Recipient == p.recipient.String() })
		if c.people.Add(p.name, p.recipient) && !inList {
			added = append(added, whoIs(p.name, p.recipient.String()))
		}
		if p.name != "" {
			c.people.Forgive(p.name)
		}
	}
	if there, err := paths.Exists(c.Path(formation.WrappedKeyFile)); len(added) == 0 && err == nil && there {
		s.say("%s is shared with %s already; nothing changed", s.name(f), plural(len(people), "such recipient"))
		return nil
	}
	left, err := c.leftUnmerged(ctx)
	if err != nil {
		return err
	}
	if err := c.put(s.talk(ctx)); err != nil {
		return err
	}
	if left {
		c.settle(ctx)
	}
	s.say("Shared the key of %s with %s", s.name(f), list(counted(added)))
	s.warnIgnored(ctx, f)
	s.hint("commit %s and %s; they then run '%s unlock'", s.show(c.Path(formation.RecipientsFile)), s.show(c.Path(formation.WrappedKeyFile)), s.again())
	return nil
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
	tracked, err := repo.Tracked(ctx, files)
	if err != nil {
		return
	}
	for i, file := range files {
		if ignored[i] && !tracked[i] {
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
	if err := c.refuseNewcomers(); err != nil {
		return err
	}
	s.removed += len(gone)
	stays := map[string]bool{}
	for _, p := range c.people.All() {
		stays[p.Name] = p.Name != ""
	}
	var removed []string
	seen := c.Vault.Names()
	for _, p := range gone {
		who := whoIs(p.Name, p.Recipient)
		removed = append(removed, who)
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
	s.say("Removed %s from %s, which has a new key: %s%s", list(counted(removed)), s.name(f), keyNow(c.Key), c.wrappedFor())
	if len(c.people.All()) == 0 {
		s.warn("nobody is left who can unlock %s: this .key is the only way in", s.name(f))
	}
	c.warnSameKey()
	if len(c.people.Exposed()) > 0 && len(seen) > 0 {
		fmt.Fprintf(s.Out, "%s has seen these values of %s:\n", sanitize(list(slices.Compact(slices.Sorted(slices.Values(removed))))), sanitize(s.name(f)))
		for _, name := range seen {
			fmt.Fprintf(s.Out, "  - %s\n", sanitize(name))
		}
		s.hint("have each of them replaced where it comes from, then '%s add NAME'; 'status' says which are left", s.again())
	}
	s.sayKeySpread(c)
	return nil
}

func (s *session) shareWrap(ctx context.Context, f *formation.Formation) error {
	if _, err := f.OpenToWrite(); err != nil {
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
		return refuse("%s is shared with nobody", s.name(f)).hint("'%s share add RECIPIENT' begins", s.again())
	}
	news, err := c.vouched()
	if err != nil {
		return err
	}
	if len(news) > 0 {
		if err := s.askNewcomers(ctx, f, c.st, news); err != nil {
			return err
		}
	}
	gone := c.st.gone(c.people, c.Key.Public())
	if len(gone) > 0 {
		if err := c.lockOut(gone); err != nil {
			return err
		}
	}
	left, err := c.leftUnmerged(ctx)
	if err != nil {
		return err
	}
	if err := c.put(s.talk(ctx)); err != nil {
		return err
	}
	if left {
		var sealed []string
		if len(gone) > 0 && c.Sealed {
			sealed = []string{formation.VaultFile}
		}
		c.settle(ctx, sealed...)
	}
	if len(gone) > 0 {
		s.say("Rotated the key of %s, since %s left the list: it is now %s", s.name(f), judge.People(gone), keyNow(c.Key))
		s.sayKeySpread(c)
	}
	s.say("Wrapped the key of %s for %s", s.name(f), c.recipients())
	return nil
}

// lockOut makes a new key, since people left the list by hand, and notes what they
// have seen.
func (c *keyChange) lockOut(gone []formation.Person) error {
	stays := map[string]bool{}
	for _, p := range c.people.All() {
		stays[p.Name] = p.Name != ""
	}
	for _, p := range gone {
		if !stays[p.Name] {
			c.people.Expose(whoIs(p.Name, p.Recipient), c.Vault.Names())
		}
	}
	return c.newKey(c.Key.Format())
}

// sharedWith is one formation in the JSON of share list.
type sharedWith struct {
	Formation  string           `json:"formation"`
	Recipients []sharedPerson   `json:"recipients"`
	Exposed    []exposedSecrets `json:"exposed"`
	People     string           `json:"people"`   // "none", "signed", "unsigned" or "unvouched"
	SignedBy   string           `json:"signedBy"` // the fingerprint of the key; "" for none

	call string // the program on this formation
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
		s.current = f
		people, _, err := f.ReadPeople()
		if err != nil {
			return err
		}
		s.foldSeen(f, people)
		one := sharedWith{Formation: s.name(f), Recipients: []sharedPerson{}, Exposed: exposures(people), call: s.callOn(f)}
		for _, p := range people.All() {
			one.Recipients = append(one.Recipients, sharedPerson(p))
		}
		if one.People, one.SignedBy, err = s.peopleState(f); err != nil {
			return err
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
		switch one.People {
		case "signed":
			fmt.Fprintf(s.Out, "signed by the key %s\n", one.SignedBy)
		case "unvouched":
			fmt.Fprintf(s.Out, "nobody vouches for this list: '%s share wrap' shows whom, and signs it\n", sanitize(one.call))
		case "unsigned":
			fmt.Fprintf(s.Out, "not signed yet: '%s share wrap' signs it\n", sanitize(one.call))
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
	file = path.Join(s.fromTop(repo.Layout(), f.Dir), name)
	sides, err = merge.SidesAt(ctx, repo, file)
	return sides, file, err
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
	return s.Files.Replace(f.Path(formation.RecipientsFile), formation.MergePeople(people[0], people[1], people[2]).Encode(), 0o644)
}

// leftUnmerged reports whether a merge left the people's files with their sides. The
// list goes along with one that was merged, or staged by a squash, since that is
// signed only now. It is asked before anything is written.
func (c *keyChange) leftUnmerged(ctx context.Context) (bool, error) {
	left := false
	if c.usurped != nil {
		folder := c.st.folder
		left = len(folder.Merging) > 0
		list := path.Join(folder.Dir, formation.RecipientsFile)
		err := folder.Repo.Staged(ctx, gitutil.Visitor{
			Want: func(file string, _ gitutil.Mode) bool { return file == list },
			Blob: func(*gitutil.Blob) error { left = true; return nil },
		})
		if err != nil {
			return false, err
		}
	}
	for _, name := range []string{formation.RecipientsFile, formation.WrappedKeyFile} {
		sides, _, err := c.s.unmergedFile(ctx, c.Formation, name)
		if err != nil {
			return false, err
		}
		left = left || sides != nil
	}
	return left, nil
}

// settle stages the people's files, and others that changed with them: each is one
// again. What is written stays written where git does not take it.
func (c *keyChange) settle(ctx context.Context, also ...string) {
	s, f := c.s, c.Formation
	names := append([]string{formation.RecipientsFile, formation.WrappedKeyFile}, also...)
	m, err := s.merger()
	if err == nil {
		err = m.Stage(ctx, f, s.vaultPath(m.Layout, f), names...)
	}
	if err != nil {
		var files []string
		for _, name := range names {
			files = append(files, f.Path(name))
		}
		s.warn("git still has both sides of a merge: %s", s.explain(err).Lines[0])
		s.hint("what was written is whole: '%s'", s.gitOn("git add", files...))
	}
}
