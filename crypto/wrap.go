package crypto

import (
	"errors"
	"fmt"
	"slices"

	"filippo.io/age"
)

const (
	// NoIdentity: none of the identities fits the wrapped file.
	NoIdentity Reason = "no identity fits"
	// WrongPassphrase: the passphrase opens neither the file nor the identity.
	WrongPassphrase Reason = "wrong passphrase"
	// NeedsPerson: an identity that may fit must ask somebody, and nobody is there.
	NeedsPerson Reason = "somebody must be asked"
	// TooLarge: more than a key, or more work than a key is worth.
	TooLarge Reason = "too large"
)

// maxWrapped bounds what is wrapped: it is a .key, not a document.
const maxWrapped = 64 << 10

// ErrNoRecipients: there is nobody to wrap for.
var ErrNoRecipients = errors.New("no recipients")

// MixedRecipientsError is age's own rule: a file that one classic key opens is
// no safer than that key, so post-quantum recipients are among themselves.
type MixedRecipientsError struct{ PostQuantum, Classic int }

func (e *MixedRecipientsError) Error() string {
	return fmt.Sprintf("post-quantum and classic recipients can't be mixed: %d and %d", e.PostQuantum, e.Classic)
}

// TooManyRecipientsError: age opens no file with so many recipients.
type TooManyRecipientsError struct{ Count int }

func (e *TooManyRecipientsError) Error() string {
	return fmt.Sprintf("%d recipients are more than one age file holds", e.Count)
}

// WrapError says which recipient could not be wrapped for.
type WrapError struct {
	Recipient *Recipient
	Err       error // often a [*PluginError]
}

func (e *WrapError) Error() string {
	return fmt.Sprintf("wrapping for '%s': %v", e.Recipient, e.Err)
}

func (e *WrapError) Unwrap() error { return e.Err }

// Wrap returns content sealed for every recipient: an armored age file with
// their stanzas in the order given. talk is for plugins and may be nil.
//
// The error is [ErrNoRecipients], a [*MixedRecipientsError], a
// [*TooManyRecipientsError], a [*WrapError], an [*Error] with the reason
// [TooLarge], or what a function of talk returned.
func Wrap(content []byte, to []*Recipient, talk *Talk) ([]byte, error) {
	switch {
	case len(to) == 0:
		return nil, ErrNoRecipients
	case len(content) > maxWrapped:
		return nil, tooLarge()
	}
	quantum, classic := 0, 0
	for _, r := range to {
		switch {
		case r.quantum:
			quantum++
		case r.plugin == "":
			classic++
		}
	}
	// Before a plugin asks anybody to touch anything.
	if quantum > 0 && classic > 0 {
		return nil, &MixedRecipientsError{quantum, classic}
	}
	g := &recipients{to: to, talk: talk}
	sealed, err := (&ageKey{recipient: g}).seal(content)
	switch {
	case g.err != nil:
		return nil, g.err
	case err != nil:
		return nil, err
	}
	// age writes more stanzas than it reads.
	if _, ok := readStanzas(sealed); !ok {
		return nil, &TooManyRecipientsError{len(to)}
	}
	return sealed, nil
}

// recipients is all of them as one, so that an error can name the one at fault
// and the labels of all are seen.
type recipients struct {
	to   []*Recipient
	talk *Talk
	err  error
}

var errWrap = errors.New("a recipient failed")

func (g *recipients) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	stanzas, _, err := g.WrapWithLabels(fileKey)
	return stanzas, err
}

func (g *recipients) WrapWithLabels(fileKey []byte) (all []*age.Stanza, labels []string, err error) {
	mixed := MixedRecipientsError{}
	differ := (*Recipient)(nil)
	for i, r := range g.to {
		stanzas, own, err := r.wrap(fileKey, g.talk)
		if err != nil {
			g.err = err
			return nil, nil, errWrap
		}
		all = append(all, stanzas...)
		slices.Sort(own)
		if slices.Contains(own, "postquantum") {
			mixed.PostQuantum++
		} else {
			mixed.Classic++
		}
		if i == 0 {
			labels = own
		} else if !slices.Equal(own, labels) {
			differ = r
		}
	}
	switch {
	case mixed.PostQuantum > 0 && mixed.Classic > 0:
		g.err = &mixed
	case differ != nil:
		g.err = &WrapError{differ, errors.New("it can't be mixed with the other recipients")}
	default:
		return all, labels, nil
	}
	return nil, nil, errWrap
}

func (r *Recipient) wrap(fileKey []byte, talk *Talk) (stanzas []*age.Stanza, labels []string, err error) {
	if r.plugin != "" {
		stanzas, labels, err = wrapWithPlugin(r, fileKey, talk)
	} else if to, ok := r.age.(age.RecipientWithLabels); ok {
		stanzas, labels, err = to.WrapWithLabels(fileKey)
	} else {
		stanzas, err = r.age.Wrap(fileKey)
	}
	if err != nil {
		return nil, nil, &WrapError{r, err}
	}
	return stanzas, labels, nil
}

// WrapWithPassphrase returns content sealed with a passphrase: an armored age
// file with scrypt, at age's own work factor. An empty passphrase is an [*Error]
// with the reason [WrongPassphrase], too much content one with [TooLarge].
func WrapWithPassphrase(content, passphrase []byte) ([]byte, error) {
	if len(content) > maxWrapped {
		return nil, tooLarge()
	}
	to, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, &Error{WrongPassphrase, "an empty passphrase", nil}
	}
	return (&ageKey{recipient: to}).seal(content)
}

// NeedsPassphrase reports whether this is an age file, armored or not, that a
// passphrase opens.
func NeedsPassphrase(wrapped []byte) bool {
	stanzas, ok := readStanzas(wrapped)
	return ok && isScrypt(stanzas)
}

func isScrypt(stanzas []*age.Stanza) bool {
	return slices.ContainsFunc(stanzas, func(s *age.Stanza) bool { return s.Type == "scrypt" })
}

// UnwrapWithPassphrase opens what [WrapWithPassphrase] or `age -p` made.
//
// The error is an [*Error] with the reason [WrongPassphrase], [NoIdentity] (the
// file is for recipients), [TooLarge] (also for a work factor above 22, age's
// own bound), [WrongKey] (it is damaged), [Truncated], [NotSealed],
// [MergeMarkers] or [EmptyFile].
func UnwrapWithPassphrase(wrapped, passphrase []byte) ([]byte, error) {
	with := &passphraseIdentity{passphrase: passphrase}
	return openWrapped(wrapped, with)
}

type passphraseIdentity struct {
	passphrase []byte
	tried      attempt
}

func (p *passphraseIdentity) attempt() *attempt { return &p.tried }

func (p *passphraseIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if !isScrypt(stanzas) {
		return nil, p.tried.fail(&Error{NoIdentity, "the file is sealed for recipients, not with a passphrase", nil})
	}
	fileKey, err := unwrapScrypt(stanzas, p.passphrase)
	if err != nil {
		return nil, p.tried.fail(err)
	}
	return fileKey, nil
}

// unwrapScrypt tells apart what age says in words only.
func unwrapScrypt(stanzas []*age.Stanza, passphrase []byte) ([]byte, *Error) {
	if len(passphrase) == 0 {
		return nil, &Error{WrongPassphrase, "an empty passphrase", nil}
	}
	id, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, &Error{WrongPassphrase, "an empty passphrase", nil}
	}
	fileKey, err := id.Unwrap(stanzas)
	switch {
	case err == nil:
		return fileKey, nil
	case errors.Is(err, age.ErrIncorrectIdentity):
		return nil, &Error{WrongPassphrase, "wrong passphrase, or a damaged file", nil}
	case len(stanzas) == 1 && len(stanzas[0].Args) == 2 && isLargeNumber(stanzas[0].Args[1]):
		return nil, &Error{TooLarge, "its passphrase takes more work than age allows", nil}
	}
	return nil, damagedFile()
}

func isLargeNumber(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) > 2 || s > "22"
}

// Unwrap opens what [Wrap] or `age -r` made, with the first identity that fits:
// those that need nobody, then plugins, then locked SSH keys that the file
// names, then identity files under a passphrase. which is the one that fitted.
//
// The error is an [*Error] with the reason [NoIdentity] (Err then holds what
// plugins said, each a [*PluginError]), [WrongPassphrase], [NeedsPerson],
// [TooLarge], [WrongKey] (the file is damaged), [Truncated], [NotSealed],
// [MergeMarkers] or [EmptyFile]; or what a function of talk returned.
func Unwrap(wrapped []byte, with []*Identity, talk *Talk) (content []byte, which *Identity, err error) {
	g := &identities{with: byRank(with), talk: talk}
	content, err = openWrapped(wrapped, g)
	if err != nil {
		return nil, nil, err
	}
	return content, g.fitted, nil
}

// attempt is what happened to the stanzas of a file.
type attempt struct {
	err error
}

// fail keeps the cause, because [ageKey.open] does not.
func (a *attempt) fail(err error) error {
	a.err = err
	return age.ErrIncorrectIdentity
}

type attempter interface {
	age.Identity
	attempt() *attempt
}

func openWrapped(wrapped []byte, with attempter) ([]byte, error) {
	format, err := inspect(wrapped)
	switch {
	case err != nil:
		return nil, err
	case format != Age:
		return nil, &Error{NotSealed, "it is a Fernet token, not an age file", nil}
	}
	content, err := (&ageKey{identity: with}).open(wrapped)
	switch {
	case with.attempt().err != nil:
		return nil, with.attempt().err
	case err != nil && err.Reason == WrongKey:
		// A wrong key was told above: the header or the content is damaged.
		return nil, damagedFile()
	case err != nil:
		return nil, err
	case len(content) > maxWrapped:
		return nil, tooLarge()
	}
	return content, nil
}

func damagedFile() *Error { return &Error{WrongKey, "the file is damaged", nil} }

func tooLarge() *Error {
	return &Error{TooLarge, fmt.Sprintf("more than %d KiB, a key is small", maxWrapped>>10), nil}
}

// readStanzas returns the stanzas of an age file whose header reads.
func readStanzas(wrapped []byte) ([]*age.Stanza, bool) {
	if format, err := inspect(wrapped); err != nil || format != Age {
		return nil, false
	}
	var l listing
	(&ageKey{identity: &l}).open(wrapped)
	return l.stanzas, l.stanzas != nil
}

// listing is an identity that looks and opens nothing.
type listing struct{ stanzas []*age.Stanza }

func (l *listing) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	l.stanzas = stanzas
	return nil, age.ErrIncorrectIdentity
}
