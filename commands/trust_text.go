package commands

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
	"github.com/muxi-ai/git-muxi-secrets/hooks/judge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/merge"
	"github.com/muxi-ai/git-muxi-secrets/hooks/trust"
)

// fingerprintOf names a key in a message.
func fingerprintOf(key crypto.PublicKey) string {
	fingerprint := key.Fingerprint()
	return fingerprint[:min(16, len(fingerprint))]
}

// claimed names a commit and who it says has made it, where that is known.
func claimed(commit *gitutil.LogEntry) string {
	if commit.Author == "" {
		return fmt.Sprintf("commit %.10s", commit.Hash)
	}
	return fmt.Sprintf("commit %.10s, which says it is by %s", commit.Hash, commit.Author)
}

// explainKey says why a key, came, does not count, and what can be done.
func (s *session) explainKey(ctx context.Context, f *formation.Formation, st *vouching, v trust.Verdict, came *crypto.Key) *Error {
	e := &Error{Code: exitNoKey}
	key, name := fingerprintOf(v.Key), s.name(f)
	list := s.show(f.Path(formation.RecipientsFile))
	switch v.Standing {
	case trust.NotNamed:
		e.line("the key of %s here is %s, but %s names %s; nothing was changed", name, key, list, fingerprintOf(v.Named))
		if back := s.stepBack(f); back != "" {
			return e.hint("%s", s.afterStep(f, back))
		}
		e.hint("'%s unlock' gets the one that is named, if somebody vouched for it", s.callOn(f))
		return e
	case trust.Usurped:
		e.line("%s is signed by the key %s, for which nobody vouched who had that of %s (%s); nothing was changed", list, fingerprintOf(v.Named), name, key)
		if commit := st.folder.Brought(v.Named); commit != nil {
			e.line("it came with %s", claimed(commit))
		}
		return e.hint("'%s share wrap' takes the people whom yours vouched for, asks about others, and signs the list with yours again", s.callOn(f))
	case trust.NotSigned:
		e.line("%s was signed once, and is not any more: nobody vouches for the key %s; nothing was changed", list, key)
		e.hint("whoever has the key looks at the list and signs it: '%s share wrap'", s.callOn(f))
	case trust.Forked:
		e.line("the key of %s was rotated twice, apart: to %s and to %s; nothing was changed", name, key, fingerprintOf(v.RivalKey))
		if v.Rival.Ref != "" {
			e.line("%s has %s, in commit %.10s", v.Rival.Ref, fingerprintOf(v.RivalKey), v.Rival.Commit)
		}
	case trust.Retired:
		return s.explainReplaced(f, st, v)
	case trust.Swapped:
		e.line("%s was %s before, whose key was %s: that did not vouch for %s; nothing was changed", name, showPath(v.From), fingerprintOf(v.Ours), key)
	default:
		e.line("nobody who had the key of %s (%s) vouched for this one: %s; nothing was changed", name, fingerprintOf(v.Ours), key)
	}

	commit := st.folder.Brought(v.Key)
	if commit == nil {
		commit = st.folder.LastChange(ctx, formation.WrappedKeyFile)
	}
	if commit != nil {
		e.line("it came with %s", claimed(commit))
	}
	if own := s.aliasOf(f, came); own != nil {
		e.line("%s", saidAlias(own))
	}
	return e.hint("ask a colleague what '%s key fingerprint' prints there", s.again()).
		hint("only if that is the key: '%s unlock --accept %s' takes it, for this work tree", s.callOn(f), v.Key.Fingerprint())
}

// explainReplaced says of a key that came that it is one of the past.
func (s *session) explainReplaced(f *formation.Formation, st *vouching, v trust.Verdict) *Error {
	later := cmp.Or(v.Named, v.Ours)
	e := (&Error{Code: exitNoKey}).line("the key %s of %s was retired: %s came after it; nothing was changed", fingerprintOf(v.Key), s.name(f), fingerprintOf(later))
	if commit := st.folder.Rotated(v.Key); commit != nil {
		e.line("it was rotated on %s, in %s", commit.Date.Format(time.DateOnly), claimed(commit))
	}
	if back := s.stepBack(f); back != "" {
		e.hint("bring back what belongs together: '%s', then '%s unlock'", back, s.callOn(f))
	}
	return e.hint("only if you mean to go back to it: '%s unlock --accept %s' takes it, for this work tree", s.callOn(f), v.Key.Fingerprint())
}

func saidAlias(own *crypto.Key) string {
	return fmt.Sprintf("it is an alias of the one you have (%s): another age identity of the same recipient", fingerprintOf(own.Public()))
}

// newcomer is a person in the list whom nobody vouched for: name, whole public key,
// and where they came from.
func (st *vouching) newcomer(who formation.Person) string {
	text := nameOr(who.Name) + ": " + who.Recipient
	if commit := st.folder.Introduced(who); commit != nil {
		return text + ", who came in " + claimed(commit)
	}
	return text + ", in no commit yet"
}

func plural2(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func nameOr(name string) string {
	if name == "" {
		return "(no name)"
	}
	return name
}

// sayKey tells a person which key comes: the first one, or one that another
// vouched for.
func (s *session) sayKey(ctx context.Context, f *formation.Formation, st *vouching, v trust.Verdict) {
	switch v.Standing {
	case trust.FirstContact:
		commit := st.folder.LastChange(ctx, formation.WrappedKeyFile)
		if commit == nil {
			return
		}
		s.say("The first key of %s here is %s, from %s", s.name(f), v.Key.Fingerprint(), claimed(commit))
		s.hint("a colleague's '%s key fingerprint' prints the same", s.again())
	case trust.Earlier:
		// A branch from before a rotation, which may be from before a removal.
		if tip, later := st.After(v.Key); later != nil {
			s.warn("the key %s of %s was rotated since, to %s in %s: somebody who was removed may have it, so store nothing new before the two are merged", fingerprintOf(v.Key), s.name(f), fingerprintOf(*later), tip.Ref)
		}
	case trust.Successor:
		if commit := st.folder.Brought(v.Key); commit != nil {
			s.say("The key of %s was rotated from %s to %s in %s", s.name(f), fingerprintOf(v.Ours), fingerprintOf(v.Key), claimed(commit))
		} else {
			s.say("The key of %s was rotated from %s to %s", s.name(f), fingerprintOf(v.Ours), fingerprintOf(v.Key))
		}
	}
}

// explainMergeKey says why a merge is not sealed with the key that it would take.
func (s *session) explainMergeKey(ctx context.Context, unvouched *merge.KeyError, simulated bool) *Error {
	e := &Error{Code: exitNoKey, Err: unvouched}
	vault, key, on := showPath(unvouched.Path), fingerprintOf(unvouched.Key), s.onPath(unvouched.Path)
	switch unvouched.Standing {
	case trust.Forked:
		e.line("cannot merge %s: its key was rotated twice, apart: to %s and to %s", vault, fingerprintOf(unvouched.RivalKey), key)
		if unvouched.Rival.Ref != "" {
			e.line("%s has %s, in commit %.10s", unvouched.Rival.Ref, fingerprintOf(unvouched.RivalKey), unvouched.Rival.Commit)
		}
	case trust.Unvouched:
		e.line("cannot merge %s: a side is sealed with the key %s, and nobody vouched for it who had yours (%s)", vault, key, fingerprintOf(unvouched.Ours))
	default:
		e.line("cannot merge %s: .key is %s, which the list of people does not name", vault, key)
	}
	if unvouched.Brought != nil {
		e.line("it came with %s", claimed(unvouched.Brought))
	}
	switch {
	case simulated && unvouched.Standing == trust.Forked:
		return e.hint("agree with the others which of the two counts: a merge that is begun says how that is settled")
	case simulated:
		return e.hint("only if a colleague says that this is the key: '%s unlock --accept %s'", on, unvouched.Key.Fingerprint())
	case unvouched.Standing == trust.Forked:
		return e.hint("agree with the others which of the two counts, then '%s resolve --key ours', or '--key theirs'", on).
			hint("or go back with %s", s.goBack(ctx))
	}
	back := "go back with " + s.goBack(ctx)
	if own := unvouched.Own(); own != "" {
		back += fmt.Sprintf(", or keep yours: '%s resolve --%s'", on, own)
	}
	return e.hint("%s", back).
		hint("only if a colleague says that this is the key: '%[1]s unlock --accept %[2]s', then '%[1]s resolve'", on, unvouched.Key.Fingerprint())
}

// sayNewcomers says for whom a merge wraps no key.
func (s *session) sayNewcomers(m *merge.Merger, file string) {
	if len(m.Newcomers) == 0 {
		return
	}
	s.warn("nobody vouched for %s in %s: the list is merged without a signature", judge.People(m.Newcomers), showPath(file))
	s.hint("when the merge is done: '%s share wrap' shows them and asks", s.onPath(file))
}
