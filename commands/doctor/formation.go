package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
)

// look examines what a formation's own folder shows.
func (d *doctor) look(p *patient) {
	p.Look = p.Formation.Look(formation.ReferencesIn)
	if err := p.Problem.Survey; err != nil {
		p.Survey = &formation.Survey{}
		d.trouble(p, "files", Fail, err) // nothing else about it is known
		return
	}

	d.keyMode(p)
	d.key(p)
	d.values(p)
	d.references(p)
	d.template(p)
	d.people(p)
}

// stores reports whether a name is known to have a value.
func (p *patient) stores(name string) bool {
	if p.Opened == nil {
		return false
	}
	_, ok := p.Opened.Vault.Find(name)
	return ok
}

// refers reports whether the formation's files refer to a name.
func (p *patient) refers(name string) bool { return len(p.Survey.To(name)) > 0 }

func (p *patient) place(file string, line int) place {
	return place{p.Path(filepath.FromSlash(file)), line}
}

// key judges key and vault: whether one opens the other, for us and for today's
// runtime.
func (d *doctor) key(p *patient) {
	required := p.Survey.Required()
	switch {
	case p.Fresh && len(required) > 0:
		d.say(p, "key", Fail, p.on+" setup", "nothing is stored yet, and the files refer to %s", some(required))
		return
	case p.Fresh:
		d.ok(p, "key", "no secrets")
		return
	case p.Locked() != nil:
		d.keyFails(p)
		return
	}

	if !p.Opened.Sealed && len(required) > 0 {
		remedy := p.on + " setup"
		if d.atHead(p, formation.VaultFile) {
			remedy = d.Git("git restore --source=HEAD", p.Path(formation.VaultFile))
		}
		d.say(p, "vault", Fail, remedy, "there is no %s, and the files refer to %s", formation.VaultFile, some(required))
	}
	switch {
	case p.Opened.Key.Legacy():
		d.say(p, "key-format", Fail, p.on+" rotate", "%s is spelled in 64 hexadecimal characters, which today's MUXI runtime cannot load", formation.KeyFile)
	case p.Opened.Key.Format() == crypto.Age:
		d.say(p, "format", Fail, p.on+" convert --to fernet", "sealed with age, and today's MUXI runtime reads only fernet")
	default:
		d.ok(p, "key", "key opens its vault")
	}
}

// keyFails says why key and vault do not go together, and what to do first.
func (d *doctor) keyFails(p *patient) {
	get := p.on + " key import"
	if paths.There(p.Path(formation.WrappedKeyFile)) {
		get = p.on + " unlock"
	} else if d.configured("muxi-secrets.keyPullCommand") {
		get = p.on + " key pull"
	}
	restore, resolve := d.Shell.List(d.shell(p.Path(formation.VaultFile))), ""
	if d.repo != nil {
		restore, resolve = d.Git("git restore", p.Path(formation.VaultFile)), p.on+" resolve"
	}

	err := p.Locked()
	put := Repair("")
	if _, lost := p.OpenElsewhere(err); lost == nil {
		get, put = p.on+" unlock", PutBack // what lies in its place hides a copy
	}
	var elsewhere *formation.ElsewhereError
	var retired *formation.RetiredKeyError
	var tracked *formation.TrackedKeyError
	var arrived *formation.ArrivedKeyError
	var owner *gitutil.DubiousOwnershipError
	var missing *formation.NoKeyError
	var malformed *formation.KeyError
	var file *safefile.Error
	switch reason := crypto.ReasonOf(err); {
	case errors.As(err, &elsewhere):
		c := d.say(p, "key", Fail, p.on+" unlock", "%s; the key is at hand, %s", d.Explain(elsewhere.Err), d.KeptAt(elsewhere.Opened.Found))
		c.Repair, c.Of = PutBack, p.Formation
	case errors.As(err, &retired): // which inStep says
	case errors.As(err, &tracked), errors.As(err, &owner): // which git's part says
	case errors.As(err, &arrived):
		c := d.say(p, "key", Fail, p.on+" unlock", "%s", d.Explain(arrived))
		c.Repair, c.Of = PutBack, p.Formation
	case errors.As(err, &missing):
		c := d.say(p, "key", Fail, get, "%s; MUXI would make a new one, which opens nothing", d.Explain(err))
		c.Repair, c.Of = put, p.Formation
	case errors.As(err, &malformed):
		c := d.say(p, "key", Fail, get, "%s is no key: %v", formation.KeyFile, malformed.Err)
		c.Repair, c.Of = put, p.Formation
	case errors.As(err, &file) && filepath.Base(file.Path) == formation.KeyFile && put != "":
		c := d.say(p, "key", Fail, get, "%s", d.Explain(err))
		c.Repair, c.Of = put, p.Formation
	case errors.As(err, &file) && filepath.Base(file.Path) == formation.KeyFile:
		d.trouble(p, "key", Fail, err)
	case errors.As(err, &file):
		d.trouble(p, "vault", Fail, err)
	case reason == crypto.WrongKey:
		d.say(p, "key", Fail, get, "%s does not open %s: the wrong key, or a damaged file", formation.KeyFile, formation.VaultFile)
	case reason == crypto.MergeMarkers && resolve != "":
		d.say(p, "vault", Fail, resolve, "%s", d.Explain(err))
	case reason == crypto.Filtered: // what git has of it is the same
		d.say(p, "vault", Fail, Unfilter(err.Error()), "%s", d.Explain(err))
	case reason == crypto.NotSealed: // it may hold values that stand nowhere else
		file := p.Path(formation.VaultFile)
		d.say(p, "vault", Fail, d.Shell.Move(d.shell(file), d.shell(file+".plain")), "%s", d.Explain(err))
	default:
		d.say(p, "vault", Fail, restore, "%s", d.Explain(err))
	}
}

// Unfilter is the command that brings a file in whose place a filter of git's left
// something else, by what was said of it.
func Unfilter(why string) string {
	if strings.Contains(why, "git-crypt") {
		return "git-crypt unlock"
	}
	return "git lfs pull"
}

// keyMode judges who on this machine can read the key.
func (d *doctor) keyMode(p *patient) {
	file := p.keyPath()
	if (&formation.Formation{Dir: filepath.Dir(file)}).KeyReadableByOthers() {
		c := d.say(p, "key-permissions", Warn, "chmod 600 "+d.shell(file), "others on this machine can read %s", formation.KeyFile)
		c.Repair, c.File = CloseKey, file
	}
}

// keyPath is where the formation's key lies: in a linked work tree that may be
// the main one.
func (p *patient) keyPath() string {
	if found, err := p.ReadKeyFile(); err == nil {
		return found.Path
	}
	return p.Path(formation.KeyFile)
}

// values judges what is stored, by names alone.
func (d *doctor) values(p *patient) {
	if p.Opened == nil || !p.Opened.Sealed {
		return
	}
	live := map[string]bool{}
	for _, ref := range p.Survey.References {
		live[ref.Name] = live[ref.Name] || ref.Live()
	}
	var slashes, others []string
	for _, name := range p.Vault().Names() {
		if !live[name] {
			continue // nobody puts it anywhere
		}
		value, _, err := p.Vault().Get(name)
		switch {
		case errors.Is(err, formation.ErrNotText):
			others = append(others, name)
		case strings.Contains(value, `\`):
			slashes = append(slashes, name)
		}
	}
	if len(slashes) > 0 {
		d.say(p, "backslash", Fail, p.on+" add "+slashes[0], "a backslash in the value of %s: today's MUXI runtime stops at it or changes it; store one without", some(slashes))
	}
	if len(others) > 0 {
		d.say(p, "no-text", Fail, p.on+" add "+others[0], "the value of %s is no text, which today's MUXI runtime cannot put in", some(others))
	}
	d.missing(p)
}

// missing judges whether what is referred to has a value.
func (d *doctor) missing(p *patient) {
	var names, soft []string
	var where, softly []place
	for _, lack := range p.Survey.Lacking(p.Vault()) {
		at := p.place(lack.Place.Path, lack.Place.Line)
		if lack.Soft {
			soft, softly = append(soft, lack.Name), append(softly, at)
		} else {
			names, where = append(names, lack.Name), append(where, at)
		}
	}
	remedy := func(names []string) string {
		if len(names) == 1 {
			return p.on + " add " + names[0]
		}
		return p.on + " setup"
	}
	if len(soft) > 0 {
		d.say(p, "missing", Warn, remedy(soft), "no value for %s (%s), of which the MUXI runtime only warns", some(soft), d.places(softly))
	}
	if len(names) > 0 {
		d.say(p, "missing", Fail, remedy(names), "no value for %s (%s)", some(names), d.places(where))
	}
	if len(soft)+len(names)+len(p.Survey.Filtered) == 0 {
		d.ok(p, "missing", "references have values")
	}
}

// references judges what the files say: what today's runtime would not replace.
func (d *doctor) references(p *patient) {
	for _, file := range slices.Sorted(maps.Keys(p.Survey.Filtered)) {
		why := p.Survey.Filtered[file]
		d.say(p, "filtered", Fail, Unfilter(why), "what %s refers to is not known: %s", d.Show(p.place(file, 1).path), why)
	}
	for _, file := range slices.Sorted(maps.Keys(p.Survey.Broken)) {
		at := p.place(file, 1)
		d.say(p, "yaml", Fail, d.edit(at), "%s is no valid YAML: %v", d.Show(at.path), p.Survey.Broken[file])
	}
	var optional, filled []place
	why := map[string][]place{} // by the reason that the runtime has
	state := map[string]State{}
	for _, ref := range p.Survey.References {
		at := p.place(ref.Path, ref.Line)
		switch {
		case ref.Optional && p.stores(ref.Name):
			filled = append(filled, at)
		case ref.Optional:
			optional = append(optional, at)
		case ref.Unreplaced != "":
			why[ref.Unreplaced] = append(why[ref.Unreplaced], at)
			if !ref.Soft || ref.User {
				state[ref.Unreplaced] = Fail
			}
		}
	}
	malformed := map[string][]place{} // by what is wrong with it
	for _, bad := range p.Survey.Malformed {
		malformed[bad.Reason] = append(malformed[bad.Reason], p.place(bad.Path, bad.Line))
	}

	tell := func(check string, state State, all []place, format string, args ...any) {
		if len(all) > 0 {
			d.say(p, check, state, d.edit(all[0]), "%s: %s", d.places(all), fmt.Sprintf(format, args...))
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		tell("reference-spelling", cmp.Or(state[reason], Warn), why[reason], "%s", reason)
	}
	for _, reason := range slices.Sorted(maps.Keys(malformed)) {
		tell("reference-malformed", Fail, malformed[reason], "text that looks like a reference and that the MUXI runtime leaves as it is (%s)", reason)
	}
	if p.Survey.Unkeyed() {
		at := p.place(p.File, 1)
		d.say(p, "user-credentials", Warn, d.edit(at), "%s: user_credentials has no encryption.key: the MUXI runtime then encrypts what its users give it with the formation's id, which is no secret", d.Show(at.path))
	}
	tell("reference-optional", Warn, filled, "has a value, but today's MUXI runtime leaves a reference with || as text; without the || it gets the value")
	tell("reference-optional", Warn, optional, "today's MUXI runtime leaves a reference with || as text, and passes that on")
}

// template judges the template of a formation that was set up; before that it is
// what its author made of it.
func (d *doctor) template(p *patient) {
	if p.Fresh {
		return
	}
	if err := p.Problem.Template; err != nil {
		d.trouble(p, "template", Fail, err)
		return
	}
	state := p.State()
	if state == formation.TemplateCurrent {
		d.ok(p, "template", "template is current")
		return
	}
	c := d.say(p, "template", Fail, p.on+" sync", "the template '%s' is %s; 'check' stops at that", formation.TemplateFile, state)
	var missing *formation.NoKeyError
	if p.Locked() == nil || errors.As(p.Locked(), &missing) {
		c.Repair = Template
	}
}

// inStep judges whether vault, list and wrapped key are of one key. Where they are
// not, that is the cause of what else is wrong with keys and people.
func (d *doctor) inStep(ctx context.Context, p *patient) {
	if d.repo == nil || d.Layout.Top == "" {
		return
	}
	found, err := judge.OutOfStepOnDisk(ctx, d.repo, &formation.Formation{Dir: p.real, File: p.File, Finder: p.Finder})
	if err != nil || len(found) == 0 {
		return // an error others say
	}
	p.step = &found[0]
	d.say(p, string(found[0].Rule), Fail, d.Mend(found[0]), "%s: %s", path.Base(found[0].Path), found[0].Message)
}

// vouched judges whether somebody who has the key vouches for the people.
func (d *doctor) vouched(p *patient) {
	if p.step != nil {
		return
	}
	state, by, err := d.Vouched(p.Formation)
	switch {
	case err != nil:
		d.trouble(p, "people", Fail, err)
	case state == "unvouched" && by != "":
		d.say(p, "people-unvouched", Fail, p.on+" unlock", "%s is signed by the key %.16s, for which that of this work tree did not vouch: ask whoever made it; 'unlock' says how it came", formation.RecipientsFile, by)
	case state == "unvouched":
		d.say(p, "people-unvouched", Fail, p.on+" share wrap", "nobody who has the key vouches for %s as it is now: 'share wrap' shows who is new, and signs it", formation.RecipientsFile)
	case state == "unsigned" && len(p.People.All()) > 0:
		d.say(p, "people-unvouched", Warn, p.on+" share wrap", "nobody signed %s yet: 'share wrap' shows who is in it, once, and signs it", formation.RecipientsFile)
	}
}

// people judges who can unlock, and who should have been forgotten.
func (d *doctor) people(p *patient) {
	people := p.People
	if err := p.Problem.People; err != nil {
		at := p.place(formation.RecipientsFile, 1)
		var bad *formation.PeopleError
		if errors.As(err, &bad) {
			at.line = bad.Line
		}
		d.say(p, "people", Fail, d.edit(at), "%s", d.Explain(err))
		return
	}
	d.vouched(p)
	wrapped := p.Path(formation.WrappedKeyFile)
	switch {
	case !paths.There(wrapped) && len(people.All()) > 0:
		remedy := p.on + " share wrap"
		if p.Locked() != nil {
			remedy = d.Git("git log --oneline --", wrapped)
		}
		d.say(p, "people", Warn, remedy, "%s is missing, so that nobody in %s can unlock", formation.WrappedKeyFile, formation.RecipientsFile)
	case p.step == nil && p.Opened != nil && paths.There(wrapped) && d.wrapsAnother(p):
		d.say(p, "people", Fail, p.on+" share wrap", "%s wraps another key than the one that opens %s: nobody can unlock with it", formation.WrappedKeyFile, formation.VaultFile)
	}

	if d.Layout.Top != "" {
		for _, x := range merge.Seen(d.Layout, path.Join(p.label, formation.VaultFile)) {
			people.Expose(x.Person, []string{x.Secret})
		}
	}
	seen := map[string][]string{}
	for _, x := range people.Exposed() {
		seen[x.Person] = append(seen[x.Person], x.Secret)
	}
	for _, person := range slices.Sorted(maps.Keys(seen)) {
		remedy := p.on + " add " + d.Shell.Quote(seen[person][0])
		if (formation.Exposure{Secret: seen[person][0]}).IsAll() {
			remedy = p.on + " add NAME"
		}
		d.say(p, "exposed", Warn, remedy, "%s, who was removed, has seen %s: have it replaced where it comes from", person, some(seen[person]))
	}
}

// wrapsAnother reports whether a .key.age that this person can open holds another
// key than the one in use.
func (d *doctor) wrapsAnother(p *patient) bool {
	other, err := d.Wrapped(p.Formation)
	return err == nil && !other.Equal(p.Opened.Key)
}

// atHead reports whether the last commit has a file of the formation.
func (d *doctor) atHead(p *patient, name string) bool {
	return d.repo != nil && d.Layout.Top != "" && gitutil.Show(context.Background(), d.repo, "HEAD", path.Join(p.label, name)) != nil
}
