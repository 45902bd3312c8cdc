package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// look examines what a formation's own folder shows.
func (d *doctor) look(ctx context.Context, p *patient) error {
	var opened *formation.Opened
	opened, p.err = p.Open()
	st, err := d.s.standingOf(ctx, p.Formation)
	if err != nil {
		// A file that cannot be read: nothing else about it is known.
		e := d.s.explain(err)
		if e.Code == exitInterrupted {
			return err
		}
		p.st = &standing{Template: string(formation.TemplateCurrent), survey: &formation.Survey{}}
		d.say(p, "files", fails, "ls -ld "+quote(d.s.showFolder(p.Dir)), "%s", e.Lines[0])
		return nil
	}
	p.st = st
	d.key(p)
	if opened != nil && opened.Sealed {
		d.values(p, opened.Vault)
	}
	d.references(p)
	d.template(p)
	d.people(p)
	return nil
}

// key judges key and vault: whether one opens the other, for us and for today's
// runtime.
func (d *doctor) key(p *patient) {
	d.keyMode(p)
	if p.st.fresh {
		if names := p.st.survey.Required(); len(names) > 0 {
			d.say(p, "key", fails, p.on+" setup", "nothing is stored yet, and the files refer to %s", some(names))
		} else {
			d.ok(p, "key", "no secrets")
		}
		return
	}
	if p.err != nil {
		d.keyFails(p)
		return
	}
	if vault, err := p.HasVault(); err == nil && !vault && len(p.st.survey.Required()) > 0 {
		remedy := p.on + " setup"
		if d.repo != nil && len(fileAtHead(d, p)) > 0 {
			remedy = "git restore --source=HEAD " + quote(d.s.show(p.Path(formation.VaultFile)))
		}
		d.say(p, "vault", fails, remedy, "there is no %s, and the files refer to %s", formation.VaultFile, some(p.st.survey.Required()))
	}
	switch {
	case p.st.key.Legacy():
		d.say(p, "key-format", fails, p.on+" rotate", "%s is spelled in 64 hexadecimal characters, which today's MUXI runtime cannot load", formation.KeyFile)
	case p.st.key.Format() == crypto.Age:
		d.say(p, "format", fails, p.on+" convert --to fernet", "sealed with age, and today's MUXI runtime reads only fernet")
	default:
		d.ok(p, "key", "key opens %s", plural(len(p.st.Secrets), "secret"))
	}
}

// keyFails says why key and vault do not go together, and what to do first.
func (d *doctor) keyFails(p *patient) {
	e := d.s.explain(p.err)
	get := p.on + " key import"
	if there, err := fileExists(p.Path(formation.WrappedKeyFile)); err == nil && there {
		get = p.on + " unlock"
	} else if d.configured("muxi-secrets.keyPullCommand") {
		get = p.on + " key pull"
	}
	vault := quote(d.s.show(p.Path(formation.VaultFile)))
	restore := "git restore " + vault
	if d.repo == nil {
		restore = "ls -l " + vault
	}
	var missing *formation.NoKeyError
	var malformed *formation.KeyError
	var file *formation.FileError
	switch {
	case errors.As(p.err, &missing):
		d.say(p, "key", fails, get, "%s; MUXI would make a new one, which opens nothing", e.Lines[0])
	case errors.As(p.err, &malformed):
		d.say(p, "key", fails, get, "%s is no key: %v", formation.KeyFile, malformed.Err)
	case errors.As(p.err, &file):
		check, remedy := "vault", "ls -l "+quote(d.s.show(file.Path))
		if filepath.Base(file.Path) == formation.KeyFile {
			check = "key"
		}
		if errors.Is(file, fs.ErrPermission) {
			remedy = `sudo chown "$(id -u)" ` + quote(d.s.show(file.Path))
		}
		d.say(p, check, fails, remedy, "%s", e.Lines[0])
	case crypto.ReasonOf(p.err) == crypto.WrongKey && d.s.retiredOpens(p.Path(formation.VaultFile)):
		d.say(p, "key", fails, p.on+" rotate", "%s does not open %s, but a key kept from a rotation does: one of the two is from before it", formation.KeyFile, formation.VaultFile)
	case crypto.ReasonOf(p.err) == crypto.WrongKey:
		d.say(p, "key", fails, get, "%s does not open %s: the wrong key, or a damaged file", formation.KeyFile, formation.VaultFile)
	case crypto.ReasonOf(p.err) == crypto.MergeMarkers:
		if d.repo != nil {
			restore = p.on + " resolve"
		}
		d.say(p, "vault", fails, restore, "%s", e.Lines[0])
	default:
		d.say(p, "vault", fails, restore, "%s", e.Lines[0])
	}
}

// configured reports whether git's configuration has a setting.
func (d *doctor) configured(key string) bool {
	if d.repo == nil {
		return false
	}
	value, ok, err := d.repo.Config(context.Background(), key)
	return err == nil && ok && value != ""
}

// keyMode judges who on this machine can read the key.
func (d *doctor) keyMode(p *patient) {
	path := p.keyPath()
	info, err := os.Stat(path)
	if err != nil || !formation.ReadableByOthers(info) {
		return
	}
	d.say(p, "key-permissions", warns, "chmod 600 "+quote(d.s.show(path)), "others on this machine can read %s", formation.KeyFile).
		fix = func(context.Context) error {
		if err := os.Chmod(path, 0o600); err != nil {
			return &formation.FileError{Op: "change", Path: path, Err: err}
		}
		d.s.say("Set the mode of %s to 0600", d.s.show(path))
		return nil
	}
}

// keyPath is where the formation's key lies: in a linked work tree that may be
// the main one.
func (p *patient) keyPath() string {
	path := p.Path(formation.KeyFile)
	if _, err := os.Lstat(path); err != nil && p.SharedKey != "" {
		return p.SharedKey
	}
	return path
}

// values judges what is stored, by names alone.
func (d *doctor) values(p *patient, vault *formation.Vault) {
	live := map[string]bool{}
	for _, ref := range p.st.survey.References {
		if ref.Live {
			live[ref.Name] = true
		}
	}
	var slashes, others []string
	for _, name := range vault.Names() {
		if !live[name] {
			continue // nobody puts it anywhere
		}
		value, _, err := vault.Get(name)
		switch {
		case errors.Is(err, formation.ErrNotText):
			others = append(others, name)
		case strings.Contains(value, `\`):
			slashes = append(slashes, name)
		}
	}
	if len(slashes) > 0 {
		d.say(p, "backslash", fails, p.on+" add "+slashes[0], "a backslash in the value of %s: today's MUXI runtime stops at it or changes it; store one without", some(slashes))
	}
	if len(others) > 0 {
		d.say(p, "no-text", fails, p.on+" add "+others[0], "the value of %s is no text, which today's MUXI runtime cannot put in", some(others))
	}
	if missing := p.st.Missing; len(missing) > 0 {
		remedy := p.on + " setup"
		if len(missing) == 1 {
			remedy = p.on + " add " + missing[0]
		}
		var where []place
		for _, name := range missing {
			for _, ref := range p.st.survey.To(name) {
				if !ref.Optional {
					where = append(where, p.place(ref.Path, ref.Line))
					break
				}
			}
		}
		d.say(p, "missing", fails, remedy, "no value for %s (%s)", some(missing), d.places(where))
	} else {
		d.ok(p, "missing", "references have values")
	}
}

func (p *patient) place(path string, line int) place {
	return place{p.Path(filepath.FromSlash(path)), line}
}

// references judges what the files say: what today's runtime would not replace.
func (d *doctor) references(p *patient) {
	survey := p.st.survey
	for _, path := range slices.Sorted(maps.Keys(survey.Broken)) {
		full := p.Path(filepath.FromSlash(path))
		d.say(p, "yaml", fails, d.edit(full, 1), "%s is no valid YAML: %v", d.s.show(full), survey.Broken[path])
	}
	var spelled, malformed, optional, filled []place
	name := ""
	for _, ref := range survey.References {
		at := p.place(ref.Path, ref.Line)
		switch {
		case ref.Optional:
			if _, ok := p.stored(ref.Name); ok {
				filled = append(filled, at)
			} else {
				optional = append(optional, at)
			}
		case !ref.Live && !ref.User:
			spelled = append(spelled, at)
			name = ref.Name
		}
	}
	for _, bad := range survey.Malformed {
		malformed = append(malformed, p.place(bad.Path, bad.Line))
	}
	tell := func(check string, state health, all []place, format string, args ...any) {
		if len(all) > 0 {
			d.say(p, check, state, d.edit(all[0].path, all[0].line), "%s: %s", d.places(all), fmt.Sprintf(format, args...))
		}
	}
	tell("reference-spelling", fails, spelled, "the MUXI runtime looks names up as they are spelled; write ${{ secrets.%s }}", name)
	if len(malformed) > 0 {
		tell("reference-malformed", fails, malformed, "text that looks like a reference and that the MUXI runtime leaves as it is (%s)", survey.Malformed[0].Reason)
	}
	tell("reference-optional", warns, filled, "has a value, but today's MUXI runtime leaves a reference with || as text; without the || it gets the value")
	tell("reference-optional", warns, optional, "today's MUXI runtime leaves a reference with || as text, and passes that on")
}

// stored reports whether a name is known to have a value.
func (p *patient) stored(name string) (string, bool) {
	if p.st.vault == nil {
		return "", false
	}
	return p.st.vault.Find(name)
}

// template judges the template of a formation that was set up; before that it is
// what its author made of it.
func (d *doctor) template(p *patient) {
	if p.st.fresh {
		return
	}
	if p.st.Template == string(formation.TemplateCurrent) {
		d.ok(p, "template", "template is current")
		return
	}
	c := d.say(p, "template", fails, p.on+" sync", "the template '%s' is %s; 'check' stops at that", formation.TemplateFile, p.st.Template)
	var missing *formation.NoKeyError
	if p.err == nil || errors.As(p.err, &missing) {
		c.fix = func(ctx context.Context) error {
			_, err := d.s.sync(ctx, p.Formation, syncOptions{})
			return err
		}
	}
}

// people judges who can unlock, and who should have been forgotten.
func (d *doctor) people(p *patient) {
	if _, _, err := p.ReadPeople(); err != nil {
		d.say(p, "people", fails, d.edit(p.Path(formation.RecipientsFile), lineOf(err)), "%s", d.s.explain(err).Lines[0])
		return
	}
	wrapped, err := fileExists(p.Path(formation.WrappedKeyFile))
	if err == nil && !wrapped && len(p.st.Recipients) > 0 {
		remedy := p.on + " share wrap"
		if p.err != nil {
			remedy = "git log --oneline -- " + quote(d.s.show(p.Path(formation.WrappedKeyFile)))
		}
		d.say(p, "people", warns, remedy, "%s is missing, so that nobody in %s can unlock", formation.WrappedKeyFile, formation.RecipientsFile)
	}
	if key, err := p.ReadKey(); err == nil && wrapped && p.err == nil {
		content, err := readSmall(p.Path(formation.WrappedKeyFile), maxWrapped)
		if err == nil {
			content, err = d.s.unwrapAlone(context.Background())(content)
		}
		if err == nil {
			if other, err := crypto.ParseKey(content); err == nil && other.Fingerprint() != key.Fingerprint() {
				d.say(p, "people", fails, p.on+" share wrap", "%s wraps another key than the one that opens %s: nobody can unlock with it", formation.WrappedKeyFile, formation.VaultFile)
			}
		}
	}
	for _, x := range p.st.exposures {
		d.say(p, "exposed", warns, p.on+" add "+quote(x.Secrets[0]), "%s, who was removed, has seen %s: have it replaced where it comes from", x.Person, some(x.Secrets))
	}
}

func lineOf(err error) int {
	var people *formation.PeopleError
	if errors.As(err, &people) {
		return people.Line
	}
	return 1
}

// fileAtHead is the vault as the last commit has it.
func fileAtHead(d *doctor, p *patient) []byte {
	layout := d.repo.Layout()
	if layout.Top == "" {
		return nil
	}
	var content []byte
	vault := d.s.vaultPath(layout, p.Formation)
	d.repo.TreeBlobs(context.Background(), "HEAD", vault, gitutil.Visitor{Blob: func(b *gitutil.Blob) error {
		if b.Path == vault {
			content = append([]byte(nil), b.Data...)
		}
		return nil
	}})
	return content
}
