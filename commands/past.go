package commands

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"path"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
)

// past is a formation as a commit has it.
type past struct {
	rev    string // as it was asked for
	commit string
	dir    string // the formation's folder there, from the top, with /
	vault  *formation.Vault
	people *formation.People // who the key was wrapped for; never nil
}

// called is how a message speaks of the commit.
func (p *past) called() string {
	if strings.HasPrefix(p.commit, p.rev) {
		return p.commit[:10]
	}
	return p.rev + " (" + p.commit[:10] + ")"
}

// pastOf opens a formation's vault as a commit has it, with any key at hand, also
// where its folder had another name. Nothing is written.
func (s *session) pastOf(ctx context.Context, f *formation.Formation, rev string) (*past, error) {
	repo, err := s.needRepository()
	if err != nil {
		return nil, err
	}
	p := &past{rev: rev, people: &formation.People{}}
	if p.commit, err = repo.ResolveRev(ctx, rev); err != nil {
		return nil, s.explainHistory(err)
	}
	then := &side{name: rev, commit: p.commit, seed: maphash.MakeSeed()}
	if err := then.read(ctx, repo, ""); err != nil {
		return nil, s.explainHistory(err)
	}
	dir, err := s.committedFolder(ctx, repo, f, then.seed)
	if err != nil {
		return nil, s.explainHistory(err)
	}
	var there []string
	for dir := range then.vaults {
		there = append(there, dir)
	}
	slices.Sort(there)
	at, ok, err := history.Whereabouts(ctx, repo, s.keys(), dir, p.commit, there)
	if err != nil {
		return nil, s.explainHistory(err)
	}
	if !ok {
		return nil, refuse("%s has no %s in %s", s.name(f), formation.VaultFile, p.called()).hint("see which commits changed it: '%s log'", s.again())
	}
	p.dir = at
	if err := p.readPeople(ctx, repo); err != nil {
		return nil, s.explainHistory(err)
	}
	p.vault, _, err = s.keys().Open(path.Join(at, formation.VaultFile), then.vaults[at], func() []byte { return then.keys[at] })
	if err != nil {
		return nil, s.explainPast(f, p, err, then.keys[at] != nil)
	}
	return p, nil
}

// committedFolder is the folder that HEAD has a formation in: another one where it
// was renamed in the work tree alone.
func (s *session) committedFolder(ctx context.Context, repo gitutil.Repository, f *formation.Formation, seed maphash.Seed) (string, error) {
	dir := s.fromTop(repo.Layout(), f.Dir)
	head, err := s.headSide(ctx, repo)
	if err != nil {
		return "", err
	}
	head.seed = seed
	if err := head.read(ctx, repo, dir); err != nil || head.vaults[dir] != nil {
		return dir, err
	}
	now := &side{name: "work tree", disk: true, seed: seed}
	for _, one := range []*side{head, now} {
		if err := one.read(ctx, repo, ""); err != nil {
			return "", err
		}
	}
	if now.vaults[dir] != nil {
		if was := movedFrom(s.keys(), dir, head, now, now.open(s.keys(), dir)); was != "" {
			return was, nil
		}
	}
	return dir, nil
}

// readPeople reads the list that the formation had. One that cannot be read names
// nobody.
func (p *past) readPeople(ctx context.Context, repo gitutil.Repository) error {
	file := path.Join(p.dir, formation.RecipientsFile)
	return repo.TreeBlobs(ctx, p.commit, file, gitutil.Visitor{
		MaxBlob: maxWrapped,
		Want:    func(at string, _ gitutil.Mode) bool { return at == file },
		Blob: func(b *gitutil.Blob) error {
			if people, err := formation.ParsePeople(bytes.Clone(b.Data)); err == nil {
				p.people = people
			}
			return nil
		},
	})
}

// explainPast says why a version of a commit does not open, and who may open it.
func (s *session) explainPast(f *formation.Formation, p *past, err error, wrapped bool) error {
	var content *formation.ContentError
	if reason := crypto.ReasonOf(err); errors.As(err, &content) || reason != "" && reason != crypto.WrongKey {
		return failed(err, "%s in %s cannot be read: %v", formation.VaultFile, p.called(), err).
			hint("see which other commits have it: '%s log'", s.again())
	}
	var missing *formation.NoKeyError
	if reason := crypto.ReasonOf(err); reason != crypto.WrongKey && !errors.As(err, &missing) {
		return err // .key itself is the trouble
	}

	e := &Error{Code: exitNoKey, Err: err}
	e.line("no key here opens %s as it was in %s", formation.VaultFile, p.called())
	if there, err := f.HasKey(); err == nil && !there {
		e.hint("if the key has not changed since: '%[1]s unlock', or '%[1]s key import FILE'", s.callOn(f))
	}
	if wrapped {
		who := "people"
		if names := p.names(); len(names) > 0 {
			who = strings.Join(names, ", ")
		}
		e.hint("the key of then is wrapped there for %s: 'git config muxi-secrets.identity FILE' names the private key of one of them", who)
	}
	return e.hint("a clone that had the key then keeps a copy of it: the same command works there")
}

// names are those of the people of then who have one.
func (p *past) names() []string {
	var names []string
	for _, person := range p.people.All() {
		if person.Name != "" {
			names = append(names, person.Name)
		}
	}
	return names
}

// findPast is the name under which a commit has what a person's spelling means.
func (s *session) findPast(p *past, spelled string) (string, error) {
	name, ok := p.vault.Find(spelled)
	if ok {
		return name, nil
	}
	e := refuse("Secret %s not found in %s of %s", name, formation.VaultFile, p.called())
	if near := nearest(name, p.vault.Names()); near != "" {
		e.hint("did you mean %s?", near)
	}
	return "", e.hint("see which commits changed it: '%s log %s'", s.again(), name)
}

// seenBy are those who could read a value of then, or are known to have seen it, and
// are no longer on the list.
func (p *past) seenBy(now *formation.People, secret string) []string {
	var who []string
	for _, person := range p.people.All() {
		if len(now.Find(person.Recipient)) == 0 {
			name := person.Name
			if name == "" {
				name = person.Recipient
			}
			who = append(who, name)
		}
	}
	for _, e := range p.people.Exposed() {
		if (e.Secret == secret || e.IsAll()) && !slices.Contains(who, e.Person) && len(now.Find(e.Person)) == 0 {
			who = append(who, e.Person)
		}
	}
	return who
}
