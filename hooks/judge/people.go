package judge

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
	"github.com/muxi-ai/git-muxi-secrets/scan"
)

// Sharing judges what a commit, head, does to the keys and people of formations, by
// what the tip of base vouches for and, where this work tree has a key, by that. fork
// is the commit where head left base; without a base both are "". No key is needed.
// Errors: what git says, *safefile.Error.
func (j *Judge) Sharing(ctx context.Context, base, fork, head string) (found []scan.Finding, err error) {
	tip := ""
	if base != "" {
		if tip, err = j.Repo.ResolveRev(ctx, base); err != nil {
			return nil, err
		}
	}
	head, err = j.Repo.ResolveRev(ctx, head)
	if err != nil {
		return nil, err
	}
	here, _, err := j.Repo.Head(ctx)
	if err != nil {
		return nil, err
	}
	changes, err := trust.Changes(ctx, j.Repo, tip, fork, head)
	if err != nil {
		return nil, err
	}

	switch base {
	case "":
		base = "an earlier commit"
	case tip:
		base = tip[:min(len(tip), 10)] // no name was given
	}
	pins := trust.PinsOf(j.Repo.Layout())
	for _, c := range changes {
		pin, pinned, err := pins.Get(c.Dir)
		if err != nil {
			return nil, err
		}
		v := c.Judge()
		if v.Fault == trust.KeyUnvouched && pinned && c.DecidedBy(pin) {
			v.Fault = trust.NoFault
		}
		found = append(found, sharing(c, v, base)...)
		if v.Fault != trust.NoFault || !pinned || !c.Touched() {
			continue
		}
		one, err := j.vouchedChange(ctx, c, pin, head == here)
		if err != nil {
			return nil, err
		}
		found = append(found, one...)
	}
	return found, nil
}

// vouchedChange judges by the key of this work tree what the base has nothing against.
// A list is missed, or its signature, only where it was there before.
func (j *Judge) vouchedChange(ctx context.Context, c trust.FolderChange, pin formation.Pin, atHead bool) ([]scan.Finding, error) {
	if list := c.After.List; list.State <= trust.Unsigned && !c.Before.There {
		return nil, nil
	}
	return j.vouched(ctx, c.Dir, c.After.List, pin, atHead)
}

// sharing says what became of one formation.
func sharing(c trust.FolderChange, v trust.ChangeVerdict, base string) (found []scan.Finding) {
	list := path.Join(c.Dir, formation.RecipientsFile)
	add := func(rule scan.Rule, format string, args ...any) {
		found = append(found, scan.NewFinding(rule, list, "", 1, 1, format, args...))
	}

	root, now := ShortFingerprint(c.Root.Key), ShortFingerprint(c.After.List.Key)
	was := cmp.Or(c.Was, c.Dir)
	switch v.Fault {
	case trust.KeyUnvouched:
		add(scan.UnvouchedKey, "the list is signed by the key %s, for which that of %s in %s (%s) did not vouch", now, was, base, root)
	case trust.KeyBehind:
		add(scan.UnvouchedKey, "the list is signed by the key %s, which was rotated in %s since (to %s): merge %s first", now, base, root, base)
	case trust.PeopleUnvouched:
		add(scan.UnvouchedPeople, "%s; that of %s in %s is signed by the key %s", unsigned(c.After.List), was, base, root)
	}
	if text := whoChanged(v); text != "" {
		add(scan.PeopleChanged, "%s", text)
	}
	return found
}

// unsigned says why nobody vouches for a list.
func unsigned(l trust.List) string {
	switch {
	case l.State == trust.NoList:
		return "the list is gone"
	case l.State == trust.Unsigned:
		return "the list has no signature"
	case l.Err != nil:
		return "the signature of the list does not read: " + l.Err.Error()
	}
	return "the list was changed since it was signed"
}

// whoChanged says who came and who went, and whether a list was never signed
// before.
func whoChanged(v trust.ChangeVerdict) string {
	var parts []string
	for _, one := range []struct {
		people []formation.Person
		what   string
	}{{v.Came, "can unlock now"}, {v.Left, "cannot unlock any more"}} {
		if len(one.people) > 0 {
			parts = append(parts, People(one.people)+" "+one.what)
		}
	}
	if v.FirstSigned {
		parts = append(parts, "signed for the first time, by the key "+v.By.Fingerprint())
	}
	return strings.Join(parts, "; ")
}

// mostPeople bounds how many people a message names.
const mostPeople = 12

// People names people in a message: by name, and by the beginning of the public
// key, which no two share.
func People(people []formation.Person) string {
	var names []string
	for i, p := range people {
		if i == mostPeople {
			names = append(names, fmt.Sprintf("%d more", len(people)-i))
			break
		}
		key := p.Recipient
		if kind, blob, ok := strings.Cut(key, " "); ok && len(blob) > 12 {
			key = kind + " ..." + blob[len(blob)-12:] // an SSH key's beginning is its type's
		} else if len(key) > 16 {
			key = key[:16] + "..."
		}
		if p.Name == "" {
			names = append(names, key)
		} else {
			names = append(names, p.Name+" ("+key+")")
		}
	}
	return strings.Join(names, ", ")
}

// ShortFingerprint is how a message names a key: the first characters of its
// fingerprint.
func ShortFingerprint(key crypto.PublicKey) string {
	fingerprint := key.Fingerprint()
	return fingerprint[:min(16, len(fingerprint))]
}

// Vouched judges the lists of people of formations by the key that this work tree
// has: where it has one, no key is needed for it. Errors: what git says,
// *safefile.Error.
func (j *Judge) Vouched(ctx context.Context, snapshots []*Snapshot) (found []scan.Finding, err error) {
	pins := trust.PinsOf(j.Repo.Layout())
	for _, s := range snapshots {
		pin, ok, err := pins.Get(s.Dir)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		one, err := j.vouched(ctx, s.Dir, trust.ReadList(s.List), pin, true)
		if err != nil {
			return nil, err
		}
		found = append(found, one...)
	}
	return found, nil
}

// vouched judges a list by the key of this work tree. atHead says that HEAD's history
// is that of the list, which tells an older branch from a key that was retired in it.
func (j *Judge) vouched(ctx context.Context, dir string, list trust.List, pin formation.Pin, atHead bool) ([]scan.Finding, error) {
	named, signed := list.Names()
	say := func(rule scan.Rule, format string, args ...any) ([]scan.Finding, error) {
		return []scan.Finding{scan.NewFinding(rule, path.Join(dir, formation.RecipientsFile), "", 1, 1, format, args...)}, nil
	}
	switch {
	case signed && named == pin.Key, list.State <= trust.Unsigned && !pin.Signed:
		return nil, nil
	case list.State == trust.NoList && j.leftOut(dir, pin):
		found, err := say(scan.UnvouchedPeople, "it is not in the commit, and signed by the key of this work tree (%s) as it lies on disk", ShortFingerprint(pin.Key))
		if err != nil {
			return nil, err
		}
		add, err := j.addSharing(ctx, dir)
		found[0].Remedy = scan.Remedy{Add: add, Does: "brings it along"}
		return found, err
	case !signed:
		return say(scan.UnvouchedPeople, "%s; the key of this work tree (%s) vouches for nobody in it", unsigned(list), ShortFingerprint(pin.Key))
	}

	folder := &trust.Folder{Repo: j.Repo, Dir: dir}
	e, err := folder.Gather(ctx)
	if err != nil {
		return nil, err
	}
	e.File = list
	if e.Leads(pin.Key, named) || e.Leads(named, pin.Key) && !(atHead && e.Retired(named)) {
		return nil, nil // rotated and not unlocked yet, or an older branch
	}
	return say(scan.UnvouchedKey, "the list is signed by the key %s, for which that of this work tree (%s) did not vouch", ShortFingerprint(named), ShortFingerprint(pin.Key))
}

// addSharing has git take in the list of a formation, and the key for those on it: a
// list alone lets nobody in.
func (j *Judge) addSharing(ctx context.Context, dir string) (*scan.Add, error) {
	add := &scan.Add{}
	var full []string
	for _, name := range []string{formation.RecipientsFile, formation.WrappedKeyFile} {
		file := path.Join(dir, name)
		if at := filepath.Join(j.Repo.Layout().Top, filepath.FromSlash(file)); paths.There(at) {
			add.Files, full = append(add.Files, file), append(full, at)
		}
	}
	ignored, err := j.Repo.Ignored(ctx, full)
	add.Force = slices.Contains(ignored, true)
	return add, err
}

// leftOut reports whether the list on disk is one that the key of this work tree
// signed: git was not told of it.
func (j *Judge) leftOut(dir string, pin formation.Pin) bool {
	top := j.Repo.Layout().Top
	if top == "" {
		return false
	}
	content, err := safefile.Read(filepath.Join(top, filepath.FromSlash(dir), formation.RecipientsFile), safefile.MaxSize)
	if err != nil {
		return false // gone, or nobody knows
	}
	named, signed := trust.ReadList(content).Names()
	return signed && named == pin.Key
}
